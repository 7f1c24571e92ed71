//! `sundew-loadtest compare`: sundew beside its peers, in turn, on the same CPUs. This file owns
//! the command line, the order of the runs and the verdict; it measures nothing itself. Called by
//! `main`.
//!
//! Only figures of one run are compared, as ratios: machines are shared and their mood changes.
//! The steady figure is the proxy's CPU time per request.

mod generator;
mod http;
mod measure;
mod peer;
mod plots;
mod proc;
mod program;
mod report;
mod row;
mod sample;
mod statistics;
mod svg;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use generator::Generator;
use measure::{Bench, LOAD_CPU, Origins};
use peer::{ALL, Own, Peer};
use program::{Interrupt, pinned};
use row::{Case, Kind, QUICK_BAR, ROWS, Unit};
use sample::Sample;

/// What `sundew-loadtest compare` takes.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Row a alone, sundew beside nginx and `HAProxy`, 8 rounds of 2 s, nothing kept. Exits with 1
    /// when the ratio is above the bar by more than half its spread.
    #[arg(long)]
    quick: bool,
    /// Rows, in order; all when left out.
    #[arg(long, alias = "row", value_delimiter = ',')]
    rows: Vec<String>,
    /// Peers; all that are installed when left out.
    #[arg(long, value_delimiter = ',')]
    peers: Vec<String>,
    /// Sizes of a row that has several, such as 8,64; all when left out.
    #[arg(long, value_delimiter = ',')]
    sizes: Vec<u32>,
    /// Rounds; those of each row when left out.
    #[arg(long)]
    rounds: Option<u32>,
    /// Length of a measured run, seconds.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Load before it that does not count, seconds.
    #[arg(long, default_value_t = 0.5)]
    warm_up: f64,
    /// Silence before the memory of idle connections is read, seconds.
    #[arg(long, default_value_t = 8.0)]
    idle_seconds: f64,
    /// Driver of sundew: auto, uring or epoll.
    #[arg(long, default_value = "uring", value_parser = ["auto", "uring", "epoll"])]
    driver: String,
    /// Load generator of the rows without a rate.
    #[arg(long, default_value = "wrk")]
    generator: Generator,
    /// The sundew to measure.
    #[arg(long, default_value = "target/release/sundew")]
    sundew: PathBuf,
    /// The sundew-loadtest that serves and loads; this program when left out.
    #[arg(long)]
    loadtest: Option<PathBuf>,
    /// Kind of machine, for the name of the results.
    #[arg(long, default_value = "local")]
    machine: String,
    /// Folder that the folder of the results is made in.
    #[arg(long, default_value = "bench-results")]
    out: PathBuf,
    /// Measure although the machine is busy.
    #[arg(long)]
    anyway: bool,
}

/// Share of CPU time that others may use before the start.
const NOISE_MAX: f64 = 0.08;
/// How long the machine is watched for it.
const NOISE_WATCH_MS: u64 = 1500;
const QUICK_ROUNDS: u32 = 8;
/// What a start and an end of a proxy take about; for the estimate only.
const OVERHEAD_S: f64 = 0.8;
/// Not a missed bar: nothing could be measured.
const EXIT_FAULT: u8 = 2;

/// Compares; the exit code is that of the whole program: 0, 1 for a missed bar, 2 for a fault.
pub(crate) fn run(options: &Options) -> ExitCode {
    match compare(options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("sundew-loadtest compare: {why}");
            ExitCode::from(EXIT_FAULT)
        }
    }
}

/// What is to be done, checked.
#[derive(Debug)]
struct Plan {
    cases: Vec<Case>,
    peers: Vec<Peer>,
    rounds: Option<u32>,
}

/// Whether the bar is met.
fn compare(options: &Options) -> Result<bool, String> {
    let interrupt = Interrupt::watch().map_err(|why| why.to_string())?;
    let files_max = raise_file_limit();
    let own = Own { program: options.sundew.clone(), driver: options.driver.clone() };
    let mut problems = Vec::new();
    let plan = plan(options, &own, files_max, &mut problems)?;
    options.generator.check()?;
    for problem in &problems {
        println!("left out: {problem}");
    }
    println!("about {:.0} s", plan.seconds(options));
    let noise = noise(&interrupt)?;
    problems.extend(check_noise(noise, options.anyway)?);
    let folder = tempfile::tempdir().map_err(|why| format!("a scratch folder: {why}"))?;
    let loadtest = options.loadtest.clone().map_or_else(std::env::current_exe, Ok);
    let bench = Bench {
        own,
        loadtest: loadtest.map_err(|why| format!("this program's path: {why}"))?,
        generator: options.generator,
        warm_up: Duration::from_secs_f64(options.warm_up),
        length: Duration::from_secs_f64(options.seconds),
        idle: Duration::from_secs_f64(options.idle_seconds),
        files_max,
        interrupt,
        folder: folder.path().to_owned(),
    };
    let begin = Instant::now();
    // This program's own work is the load's, not the proxy's.
    let samples = pinned(&[LOAD_CPU], || measure_all(&bench, &plan, options, &mut problems))??;
    if samples.is_empty() {
        return Err(format!("nothing was measured\n{}", problems.join("\n")));
    }
    print!("{}", report::summary(&samples, &plan.cases, &problems));
    if options.quick {
        return verdict(&samples, &plan.cases);
    }
    let revision = revision();
    let plots = plots::all(&samples);
    let about = report::Circumstances {
        bench: &bench,
        peers: &plan.peers,
        revision: &revision,
        command: command_line(),
        noise,
        seconds: begin.elapsed().as_secs(),
        plots: plots.iter().map(|it| it.0).collect(),
    };
    let mut files = vec![
        ("raw.csv", sample::csv(&samples)),
        ("summary.md", report::summary(&samples, &plan.cases, &problems)),
        ("README.md", report::readme(&about, &samples)),
    ];
    files.extend(plots);
    let day = peer::first_line(Command::new("date").arg("+%Y-%m-%d"));
    let out = options.out.join(format!("{day}-{}-{revision}", options.machine));
    keep(&out, &files)?;
    println!("\nwritten to {}", out.display());
    Ok(true)
}

/// Allows this process and its children as many open files as the hard limit has.
fn raise_file_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // Refused: then the limit stays, and it is the limit that is returned.
    let _ = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::from(u32::MAX))
}

fn plan(
    options: &Options,
    own: &Own,
    files_max: u64,
    problems: &mut Vec<String>,
) -> Result<Plan, String> {
    let default_rows: Vec<&str> =
        if options.quick { vec!["a"] } else { ROWS.iter().map(|row| row.name).collect() };
    let rows: Vec<&str> = if options.rows.is_empty() {
        default_rows
    } else {
        options.rows.iter().map(String::as_str).collect()
    };
    let mut cases = Vec::new();
    for name in rows {
        let row = row::find(name)?;
        let sizes = row.sizes.iter().copied();
        let wanted = sizes.filter(|it| options.sizes.is_empty() || options.sizes.contains(it));
        cases.extend(wanted.map(|size| Case { row, size: bounded(row.unit, size, files_max) }));
    }
    if cases.is_empty() {
        return Err(format!("no row has any of the sizes {:?}", options.sizes));
    }
    let wanted: Vec<Peer> = if !options.peers.is_empty() {
        options.peers.iter().map(|name| Peer::find(name)).collect::<Result<_, _>>()?
    } else if options.quick {
        vec![Peer::Sundew, Peer::Nginx, Peer::Haproxy]
    } else {
        ALL.to_vec()
    };
    let mut peers = Vec::new();
    for peer in wanted {
        match peer.program(own) {
            Ok(_) => peers.push(peer),
            // Who asks for a peer by name wants its figures, or to know why there are none.
            Err(why) if options.quick || !options.peers.is_empty() => return Err(why),
            Err(why) => problems.push(why),
        }
    }
    let rounds = options.rounds.or(options.quick.then_some(QUICK_ROUNDS));
    Ok(Plan { cases, peers, rounds })
}

/// A number of connections as far as descriptors go, with a tenth to spare: nginx closes idle
/// clients when a sixteenth of its connections is left.
fn bounded(unit: Unit, size: u32, files_max: u64) -> u32 {
    if unit != Unit::Connections {
        return size;
    }
    let room = (files_max * 9 / 10).saturating_sub(200) / 100 * 100;
    size.min(u32::try_from(room).unwrap_or(u32::MAX))
}

impl Plan {
    fn rounds_of(&self, case: &Case) -> u32 {
        self.rounds.unwrap_or(case.row.rounds)
    }

    fn takes_part(&self, case: &Case) -> impl Iterator<Item = Peer> {
        let who = case.row.who;
        self.peers.iter().copied().filter(move |it| it.takes_part(who))
    }

    fn seconds(&self, options: &Options) -> f64 {
        let of = |case: &Case| {
            let runs = f64::from(self.rounds_of(case)) * self.takes_part(case).count() as f64;
            let each = options.seconds + options.warm_up + OVERHEAD_S;
            let clients = f64::from(case.connections());
            // Connected twice: by this program, and by the generator as it warms up.
            let each = each + clients / 4000.0;
            let idle = options.idle_seconds + clients / 4000.0 + 1.0;
            runs * match case.row.kind {
                Kind::Idle => OVERHEAD_S + idle,
                Kind::Memory => each + idle,
                Kind::Closed { .. } | Kind::Rate(_) => each,
            }
        };
        self.cases.iter().map(of).sum()
    }
}

/// Every sample, row by row; within a row A B C A B C over its sizes and peers. A peer that fails
/// in a row is left out of the rest of it; in a quick comparison that is the end.
fn measure_all(
    bench: &Bench,
    plan: &Plan,
    options: &Options,
    problems: &mut Vec<String>,
) -> Result<Vec<Sample>, String> {
    let mut samples = Vec::new();
    let mut cases = plan.cases.as_slice();
    while let Some(first) = cases.first() {
        let same = cases.iter().take_while(|it| it.row.name == first.row.name).count();
        let (row, rest) = cases.split_at(same);
        cases = rest;
        let mut failed: Vec<(u32, Peer)> = Vec::new();
        let mut origins: Option<Origins> = None;
        for round in 0..plan.rounds_of(first) {
            for (case, peer) in row.iter().flat_map(|it| plan.takes_part(it).map(move |p| (it, p)))
            {
                if failed.contains(&(case.size, peer)) {
                    continue;
                }
                let taken = one(bench, peer, case, round, &mut origins);
                bench.interrupt.check()?;
                match taken {
                    Ok(sample) => {
                        println!("{}", line(&sample));
                        samples.push(sample);
                    }
                    Err(why) if options.quick => return Err(why),
                    Err(why) => {
                        let problem =
                            format!("{} {} {}: {why}", case.row.name, case.size, peer.name());
                        println!("failed: {problem}");
                        problems.push(problem);
                        failed.push((case.size, peer));
                    }
                }
            }
        }
    }
    Ok(samples)
}

fn one(
    bench: &Bench,
    peer: Peer,
    case: &Case,
    round: u32,
    origins: &mut Option<Origins>,
) -> Result<Sample, String> {
    let usable = origins.take().filter(|it| it.fit(case));
    let mut serving = match usable {
        Some(it) => it,
        None => bench.origins(case)?,
    };
    let sample = bench.sample(peer, case, round, &mut serving);
    // Origins that died are started anew for the next sample.
    if serving.check().is_ok() {
        *origins = Some(serving);
    }
    sample
}

/// A sample as it passes.
fn line(it: &Sample) -> String {
    let mib =
        |kib: Option<u64>| kib.map_or("–".into(), |kib| format!("{:.1}", kib as f64 / 1024.0));
    let head = format!("{} {} round {} {:12}", it.row, it.size, it.round, it.peer);
    let cpu = it.user_us + it.system_us;
    let rate = it.requests as f64 / it.seconds.max(1e-9);
    let mut line = head;
    if it.requests > 0 {
        line += &format!(" {cpu:6.1} µs/request {rate:8.0}/s errors {}", it.errors);
    }
    if it.idle_kib.is_some() {
        let memory = [it.start_kib, it.idle_kib, it.active_kib].map(mib).join(" / ");
        line += &format!(" MiB at start / idle / at work {memory}");
    }
    line
}

/// Share of all CPU time that is used while nothing of ours runs.
fn noise(interrupt: &Interrupt) -> Result<f64, String> {
    let before = proc::core(None);
    interrupt.pause(Duration::from_millis(NOISE_WATCH_MS))?;
    Ok(proc::core(None).busy_since(before))
}

/// A warning that belongs into the results.
///
/// # Errors
/// The machine is busy and nobody said to measure anyway.
fn check_noise(noise: f64, anyway: bool) -> Result<Option<String>, String> {
    if noise <= NOISE_MAX {
        return Ok(None);
    }
    let what = format!(
        "the machine is not quiet: its CPUs are busy for {:.0} % of the time, and more than {:.0} % \
         makes figures worthless",
        noise * 100.0,
        NOISE_MAX * 100.0
    );
    if anyway {
        println!("warning: {what}");
        return Ok(Some(what));
    }
    Err(what + " (--anyway measures nevertheless)")
}

/// Prints the ratio last; whether the bar is met.
fn verdict(samples: &[Sample], cases: &[Case]) -> Result<bool, String> {
    let mut is_met = true;
    for case in cases {
        let bar = case.row.bar.unwrap_or(QUICK_BAR);
        let peer = samples.iter().find(|it| it.peer.starts_with("sundew"));
        let peer = peer.ok_or("sundew was not measured")?.peer;
        let ratio = report::ratio_of(samples, *case, peer);
        let ratio = ratio.ok_or("no rival was measured: nginx or haproxy")?;
        let is_above = ratio.is_above(bar);
        is_met &= !is_above;
        let word = if is_above { "above" } else { "not above" };
        println!(
            "\n{} {}: {ratio:.3} of the CPU per request of the better of nginx and HAProxy, {word} \
             the bar of {bar:.2}",
            case.row.name, case.size
        );
    }
    Ok(is_met)
}

fn keep(folder: &Path, files: &[(&str, String)]) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|why| format!("{}: {why}", folder.display()))?;
    for (name, text) in files {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|why| format!("{}: {why}", path.display()))?;
    }
    Ok(())
}

/// The revision of the checkout, marked when files differ from it.
fn revision() -> String {
    let git = |arguments: &[&str]| {
        let done = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(done.stdout).ok()?.trim().to_owned();
        done.status.success().then_some(text)
    };
    let Some(revision) = git(&["rev-parse", "--short", "HEAD"]) else { return "unknown".into() };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]);
    revision + if changed.is_some_and(|it| !it.is_empty()) { "-dirty" } else { "" }
}

/// The command as a person would type it.
fn command_line() -> String {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    format!("sundew-loadtest {}", arguments.join(" "))
}

#[cfg(test)]
mod tests;
