//! Samples as text: the table of each row, the verdict, and the page that says how they came
//! about. Pure but for the questions about versions. Called by the comparison at its end.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use super::generator::Generator;
use super::measure::{Bench, LOAD_CPU, PROXY_CPU};
use super::peer::{ALL, Peer, RIVALS, first_line};
use super::row::{Case, Kind, Row, Unit};
use super::sample::{self, Figure, Sample};
use super::statistics::{Spread, ratio};

/// A pinned CPU less busy than this waited for the load generator.
const BUSY_LEAST: f64 = 0.95;

/// CPU time per request of a peer to that of the better rival, round by round.
pub(super) fn ratio_of(samples: &[Sample], case: Case, peer: &str) -> Option<Spread> {
    let cost = |peer: &str| sample::of(samples, (case.row.name, case.size, peer), Figure::CpuUs);
    let rivals: Vec<_> = RIVALS.iter().map(|it| cost(it.name())).collect();
    ratio(&cost(peer), &rivals)
}

/// The tables of all rows.
pub(super) fn summary(samples: &[Sample], cases: &[Case], problems: &[String]) -> String {
    let mut text = String::from(
        "# Summary\n\nMedians with the least and the greatest of all rounds. A ratio is that of \
         CPU per request to the better of nginx and HAProxy, taken inside each round. CPU 0 holds \
         what kernel threads did for the proxy too.\n",
    );
    if !problems.is_empty() {
        text.push_str("\nBeware:\n\n");
        for problem in problems {
            put(&mut text, format_args!("- {}\n", problem.replace('\n', "\n  ")));
        }
    }
    let mut done: Vec<&str> = Vec::new();
    for case in cases {
        let row = case.row;
        if done.contains(&row.name) || !samples.iter().any(|it| it.row == row.name) {
            continue;
        }
        done.push(row.name);
        put(&mut text, format_args!("\n## {}: {}\n\n", row.name, row.about));
        let of_row: Vec<Case> =
            cases.iter().copied().filter(|it| it.row.name == row.name).collect();
        if row.kind.is_memory() {
            memory_table(&mut text, samples, &of_row);
        } else {
            load_table(&mut text, samples, &of_row);
            remarks(&mut text, samples, row, &of_row);
        }
    }
    text
}

/// Writing to a string cannot fail.
fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(what);
}

fn load_table(text: &mut String, samples: &[Sample], cases: &[Case]) {
    let unit = cases.first().map_or("", |it| it.row.unit.word());
    put(
        text,
        format_args!(
            "| {unit} | peer | CPU µs per request | user + system | CPU 0 µs per request | requests/s \
         | p50 · p99 · p99.9 µs | ratio | errors |\n|---|---|---|---|---|---|---|---|---|\n"
        ),
    );
    for (case, peer) in cases_and_peers(cases) {
        let key = (case.row.name, case.size, peer.name());
        let of = |figure| spread(samples, key, figure);
        let Some(cpu) = of(Figure::CpuUs) else { continue };
        let ratio = ratio_of(samples, case, peer.name());
        let ratio = ratio.map_or("–".into(), |it| format!("{it:.2}"));
        let own = |it: &&Sample| (it.row, it.size, it.peer) == key;
        let errors: u64 = samples.iter().filter(own).map(|it| it.errors).sum();
        let latency = [50.0, 99.0, 99.9].map(|at| middle(of(Figure::Latency(at)), 0)).join(" · ");
        put(
            text,
            format_args!(
                "| {} | {} | {cpu:.1} | {} + {} | {} | {} | {latency} | {ratio} | {errors} |\n",
                case.size,
                peer.name(),
                middle(of(Figure::UserUs), 1),
                middle(of(Figure::SystemUs), 1),
                of(Figure::CoreUs).map_or("–".into(), |it| format!("{it:.1}")),
                of(Figure::Rate).map_or("–".into(), |it| format!("{it:.0}")),
            ),
        );
    }
}

fn memory_table(text: &mut String, samples: &[Sample], cases: &[Case]) {
    text.push_str(
        "| connections | peer | MiB at start | MiB idle | MiB at work | KiB per idle connection \
         |\n|---|---|---|---|---|---|\n",
    );
    for (case, peer) in cases_and_peers(cases) {
        let key = (case.row.name, case.size, peer.name());
        let of = |figure| spread(samples, key, figure).map(|it| format!("{it:.1}"));
        let Some(start) = of(Figure::StartMib) else { continue };
        let cell = |figure| of(figure).unwrap_or("–".into());
        put(
            text,
            format_args!(
                "| {} | {} | {start} | {} | {} | {} |\n",
                case.size,
                peer.name(),
                cell(Figure::IdleMib),
                cell(Figure::ActiveMib),
                cell(Figure::IdleKibEach),
            ),
        );
    }
}

fn cases_and_peers(cases: &[Case]) -> impl Iterator<Item = (Case, Peer)> {
    cases.iter().flat_map(|case| ALL.iter().map(|peer| (*case, *peer)))
}

fn spread(samples: &[Sample], key: (&str, u32, &str), figure: Figure) -> Option<Spread> {
    Spread::of(sample::of(samples, key, figure).into_iter().map(|it| it.1))
}

fn middle(spread: Option<Spread>, digits: usize) -> String {
    spread.map_or("–".into(), |it| format!("{:.digits$}", it.median))
}

/// What a reader must know to read a table right.
fn remarks(text: &mut String, samples: &[Sample], row: &Row, cases: &[Case]) {
    for case in cases {
        if let (Some(bar), Some(ratio)) = (row.bar, ratio_of(samples, *case, "sundew"))
            && !matches!(row.kind, Kind::Rate(_))
        {
            let word = if ratio.is_above(bar) {
                "missed"
            } else if ratio.median > bar {
                "missed, but within the noise"
            } else {
                "met"
            };
            put(text, format_args!("\nThe bar, at most {bar:.2}: {word} ({ratio:.2}).\n"));
        }
    }
    if matches!(row.kind, Kind::Rate(_)) {
        latency_ratio(text, samples, cases);
        return;
    }
    let idlest = samples.iter().filter(|it| it.row == row.name).map(|it| it.core_busy);
    let idlest = idlest.fold(1.0, f64::min);
    if row.unit != Unit::Workers && idlest < BUSY_LEAST {
        put(
            text,
            format_args!(
                "\nCPU 0 was busy for {:.0} % in the idlest run: there the load generator was the \
             limit, so quote CPU per request, not requests/s.\n",
                idlest * 100.0
            ),
        );
    }
}

/// Latency of sundew to that of the better rival, which is what a fixed rate is for.
fn latency_ratio(text: &mut String, samples: &[Sample], cases: &[Case]) {
    for (case, at) in cases.iter().flat_map(|case| [50.0, 99.0].map(|at| (case, at))) {
        let of =
            |peer: &str| sample::of(samples, (case.row.name, case.size, peer), Figure::Latency(at));
        let rivals: Vec<_> = RIVALS.iter().map(|it| of(it.name())).collect();
        if let Some(ratio) = ratio(&of("sundew"), &rivals) {
            put(text, format_args!("\np{at} of sundew to the better rival: {ratio:.2}.\n"));
        }
    }
}

/// What is told about a comparison besides its samples.
#[derive(Debug)]
pub(super) struct Circumstances<'a> {
    pub(super) bench: &'a Bench,
    pub(super) peers: &'a [Peer],
    pub(super) revision: &'a str,
    /// The command line.
    pub(super) command: String,
    /// Share of CPU time that others used before the start.
    pub(super) noise: f64,
    /// How long all of it took, seconds.
    pub(super) seconds: u64,
    pub(super) plots: Vec<&'static str>,
}

/// The page that stands beside the figures.
pub(super) fn readme(about: &Circumstances<'_>, samples: &[Sample]) -> String {
    let bench = about.bench;
    let mut text = format!("# Comparison, revision {}\n\n", about.revision);
    put(&mut text, format_args!("Command: `{}`\n\n", about.command));
    for peer in about.peers {
        put(&mut text, format_args!("- {}: {}\n", peer.name(), peer.version(&bench.own)));
    }
    for generator in [Generator::Wrk, Generator::SundewLoadtest] {
        if samples.iter().any(|it| it.generator == generator.name()) {
            let version = generator.version(&bench.loadtest);
            put(&mut text, format_args!("- {} (load): {version}\n", generator.name()));
        }
    }
    put(
        &mut text,
        format_args!(
            "- kernel: {}\n- processor: {}\n- open files at most: {}\n- rounds of {} s after {} s of \
         warm-up; {} s of silence before idle memory; {} s in all\n- CPUs busy before the start: \
         {:.1} %\n\n",
            first_line(Command::new("uname").arg("-r")),
            processor(),
            bench.files_max,
            bench.length.as_secs_f64(),
            bench.warm_up.as_secs_f64(),
            bench.idle.as_secs_f64(),
            about.seconds,
            about.noise * 100.0,
        ),
    );
    put(
        &mut text,
        format_args!(
            "One worker on CPU {PROXY_CPU}; load generator and origins on CPU {LOAD_CPU}; in the row \
         `workers` nothing is pinned. Peers in turn, round after round, each started afresh. Four \
         origins, sticky cookies learned from each proxy and checked, no access log, upstream \
         connections kept. CPU time is user and system of all processes of the proxy. \
         Configurations: `loadtest/peers/`.\n\n{}",
            noise_table(samples)
        ),
    );
    for plot in &about.plots {
        put(&mut text, format_args!("\n![{}]({plot})\n", plot.trim_end_matches(".svg")));
    }
    text
}

/// How far the rounds of one peer lie apart: what a difference must exceed to mean something.
fn noise_table(samples: &[Sample]) -> String {
    let mut text = String::from(
        "Noise: the distance between the cheapest and the dearest round, as a share of the median \
         CPU per request. A difference below it is no result.\n\n| peer | median over the cases | \
         greatest |\n|---|---|---|\n",
    );
    for peer in ALL {
        let mut keys: Vec<(&str, u32)> = samples.iter().map(|it| (it.row, it.size)).collect();
        keys.dedup();
        keys.sort_unstable();
        keys.dedup();
        let shares = keys.into_iter().filter_map(|(row, size)| {
            let values = sample::of(samples, (row, size, peer.name()), Figure::CpuUs);
            let spread = Spread::of(values.iter().map(|it| it.1))?;
            (values.len() > 1 && spread.median > 0.0).then(|| spread.width() / spread.median)
        });
        if let Some(of) = Spread::of(shares) {
            let (middle, most) = (of.median * 100.0, of.greatest * 100.0);
            put(&mut text, format_args!("| {} | {middle:.0} % | {most:.0} % |\n", peer.name()));
        }
    }
    text
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split_once(':')).map_or("unknown", |it| it.1.trim());
    let count = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!("{model}, {count} CPUs")
}

#[cfg(test)]
mod tests {
    use super::super::row;
    use super::super::sample::made_up;
    use super::*;

    fn case(name: &str, size: u32) -> Case {
        Case { row: row::find(name).expect("a row"), size }
    }

    fn rounds() -> Vec<Sample> {
        [(12.0, 20.0, 22.0), (13.0, 20.0, 30.0), (10.0, 20.0, 22.0)]
            .iter()
            .zip(0..)
            .flat_map(|((own, nginx, haproxy), round)| {
                [("sundew", own), ("nginx", nginx), ("haproxy", haproxy)]
                    .map(|(peer, us)| made_up("a", 64, round, peer, *us))
            })
            .collect()
    }

    #[test]
    fn the_ratio_is_to_the_better_rival() {
        let got = ratio_of(&rounds(), case("a", 64), "sundew").expect("a ratio");
        assert_eq!((got.median, got.least, got.greatest), (0.6, 0.5, 0.65));
        assert!(ratio_of(&rounds(), case("b", 64), "sundew").is_none());
    }

    #[test]
    fn the_summary_names_figures_bar_and_what_is_missing() {
        let problems = ["caddy is not installed: apt-get install caddy".to_owned()];
        let text = summary(&rounds(), &[case("a", 64), case("b", 64)], &problems);
        assert!(text.contains("| 64 | sundew | 12.0 (10.0–13.0) | 3.0 + 9.0 |"), "{text}");
        assert!(text.contains("| 0.60 (0.50–0.65) | 0 |"), "{text}");
        assert!(text.contains("The bar, at most 0.80: met (0.60"), "{text}");
        assert!(text.contains("- caddy is not installed"), "{text}");
        assert!(text.contains("busy for 90 %") && !text.contains("## b"), "{text}");
    }

    #[test]
    fn a_missed_bar_is_called_so_unless_noise_explains_it() {
        for (costs, word) in [
            ([18.0, 18.0, 18.0], "missed (0.90"),
            ([13.0, 16.5, 20.0], "missed, but within the noise"),
            ([15.0, 15.0, 15.0], "met"),
        ] {
            let samples: Vec<Sample> = costs
                .iter()
                .zip(0..)
                .flat_map(|(us, round)| {
                    [("sundew", *us), ("nginx", 20.0)].map(|it| made_up("a", 64, round, it.0, it.1))
                })
                .collect();
            let text = summary(&samples, &[case("a", 64)], &[]);
            assert!(text.contains(&format!("at most 0.80: {word}")), "{text}");
        }
    }

    #[test]
    fn memory_has_a_table_of_its_own() {
        let mut sample = Sample { row: "memory", size: 5000, peer: "nginx", ..Sample::default() };
        sample.connections = 1024;
        (sample.start_kib, sample.idle_kib) = (Some(1024), Some(5120));
        let text = summary(&[sample], &[case("memory", 5000)], &[]);
        let want = "| 5000 | nginx | 1.0 (1.0–1.0) | 5.0 (5.0–5.0) | – | 4.0 (4.0–4.0) |";
        assert!(text.contains(want), "{text}");
    }

    #[test]
    fn noise_is_the_width_of_the_rounds() {
        let text = noise_table(&rounds());
        assert!(
            text.contains("| sundew | 25 % | 25 % |") && text.contains("| nginx | 0 % |"),
            "{text}"
        );
        assert!(!text.contains("caddy"));
    }
}
