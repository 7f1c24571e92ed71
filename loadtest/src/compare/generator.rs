//! Who makes the load: `wrk`, or `sundew-loadtest load`. Starts it, waits for it, reads its
//! report. It knows nothing of proxies. Called by the measurement.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde_json::Value;

use super::program::{Interrupt, Program, find};
use super::row::{Case, Kind, Unit};

/// A load generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Generator {
    /// Closed loop only; from Debian's package `wrk`.
    Wrk,
    /// `sundew-loadtest load`; rows with a rate always use it.
    SundewLoadtest,
}

/// One load.
#[derive(Debug)]
pub(super) struct Load<'a> {
    pub(super) case: &'a Case,
    pub(super) port: u16,
    /// Valid cookies, `name=value`.
    pub(super) pins: &'a [String],
    pub(super) length: Duration,
    pub(super) cpus: &'a [usize],
    pub(super) folder: &'a Path,
    /// The program `sundew-loadtest`.
    pub(super) loadtest: &'a Path,
}

/// What a generator reports.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Report {
    pub(super) requests: u64,
    pub(super) errors: u64,
    /// From the first request to the last answer, as the generator saw it.
    pub(super) seconds: f64,
    /// Percentile and microseconds, rising.
    pub(super) latency: Vec<(f64, f64)>,
}

/// Percentiles of every report.
pub(super) const PERCENTILES: &[f64] = &[50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99];
/// How long after its time a generator may take to report.
const LATE_S_MAX: u64 = 30;

impl Generator {
    /// The generator that a case can have.
    pub(super) fn for_case(self, case: &Case) -> Self {
        if matches!(case.row.kind, Kind::Rate(_)) { Self::SundewLoadtest } else { self }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Wrk => "wrk",
            Self::SundewLoadtest => "sundew-loadtest",
        }
    }

    /// # Errors
    /// It is not here; with the command that brings it.
    pub(super) fn check(self) -> Result<(), String> {
        if self == Self::Wrk && find("wrk").is_none() {
            return Err("wrk is not installed: apt-get install wrk (or --generator \
                        sundew-loadtest)"
                .into());
        }
        Ok(())
    }

    pub(super) fn version(self, loadtest: &Path) -> String {
        match self {
            Self::Wrk => super::peer::first_line(Command::new("wrk").arg("-v")),
            Self::SundewLoadtest => {
                super::peer::first_line(Command::new(loadtest).arg("--version"))
            }
        }
    }

    /// Runs one load to its end; `watch` is called meanwhile.
    ///
    /// # Errors
    /// It does not start, fails, has no report, or `watch` says stop.
    pub(super) fn run(
        self,
        load: &Load<'_>,
        interrupt: &Interrupt,
        mut watch: impl FnMut() -> Result<(), String>,
    ) -> Result<Report, String> {
        let report = load.folder.join("load.json");
        let command = match self {
            Self::Wrk => wrk(load)?,
            Self::SundewLoadtest => own(load, &report),
        };
        let mut program = Program::start(self.name(), command, load.cpus, load.folder)?;
        let begin = Instant::now();
        let deadline = begin + load.length + Duration::from_secs(LATE_S_MAX);
        let mut is_asked = false;
        let asker = program.pid();
        let status = program.wait(deadline, || {
            // wrk takes whole seconds; it ends early and reports when interrupted.
            if self == Self::Wrk && !is_asked && begin.elapsed() >= load.length {
                super::program::interrupt(asker);
                is_asked = true;
            }
            interrupt.check()?;
            watch()
        })?;
        if !status.success() {
            return Err(program.fault(&format!("ended with {status}")));
        }
        let parsed = match self {
            Self::Wrk => parse_wrk(&program.output()),
            Self::SundewLoadtest => fs::read_to_string(&report)
                .map_err(|why| why.to_string())
                .and_then(|text| parse_own(&text)),
        };
        parsed.map_err(|why| program.fault(&format!("has no report ({why})")))
    }
}

/// The request of a case: method, path, bytes of its body.
fn request_of(case: &Case) -> (&'static str, &'static str, u32) {
    match case.row.kind {
        Kind::Closed { method, path, body_bytes } => (method, path, body_bytes),
        Kind::Rate(_) | Kind::Memory | Kind::Idle => ("GET", "/", 0),
    }
}

fn wrk(load: &Load<'_>) -> Result<Command, String> {
    let path = load.folder.join("load.lua");
    fs::write(&path, wrk_script(load)).map_err(|why| format!("{}: {why}", path.display()))?;
    let mut command = Command::new(find("wrk").unwrap_or_else(|| PathBuf::from("wrk")));
    command
        .args(["-t1", "--timeout", "10s"])
        .arg(format!("-c{}", load.case.connections()))
        .arg(format!("-d{}s", load.length.as_secs() + 5))
        .arg("-s")
        .arg(path)
        .arg(format!("http://127.0.0.1:{}/", load.port));
    Ok(command)
}

/// Each request of a connection takes the next pin, so all servers get equal shares.
fn wrk_script(load: &Load<'_>) -> String {
    let (method, path, body_bytes) = request_of(load.case);
    let pins: Vec<String> = load.pins.iter().map(|pin| format!("{pin:?}")).collect();
    let pins = pins.join(", ");
    let close = if load.case.row.unit == Unit::NewConnections {
        "headers[\"Connection\"] = \"close\""
    } else {
        ""
    };
    let host = load.case.host().map(|it| format!("headers[\"Host\"] = {it:?}")).unwrap_or_default();
    let body =
        if body_bytes == 0 { "nil".into() } else { format!("string.rep(\"x\", {body_bytes})") };
    let percentiles: Vec<String> = PERCENTILES.iter().map(ToString::to_string).collect();
    format!(
        r#"local requests, turn = {{}}, 0
function init(args)
  for i, pin in ipairs({{{pins}}}) do
    local headers = {{["Cookie"] = pin}}
    {close}
    {host}
    requests[i] = wrk.format("{method}", "{path}", headers, {body})
  end
end
function request()
  turn = turn % #requests + 1
  return requests[turn]
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d", summary.requests,
    e.connect + e.read + e.write + e.status + e.timeout, summary.duration))
  for _, at in ipairs({{{}}}) do io.write(string.format(" %d", latency:percentile(at))) end
  io.write("\n")
end
"#,
        percentiles.join(", ")
    )
}

fn parse_wrk(output: &str) -> Result<Report, String> {
    let line = output.lines().find_map(|line| line.strip_prefix("RESULT "));
    let numbers: Vec<u64> = line
        .unwrap_or_default()
        .split(' ')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .map_err(|_| "no RESULT line".to_owned())?;
    let [requests, errors, duration_us, latency @ ..] = numbers.as_slice() else {
        return Err("a short RESULT line".into());
    };
    let latency = PERCENTILES.iter().copied().zip(latency.iter().map(|us| *us as f64)).collect();
    let seconds = *duration_us as f64 / 1e6;
    Ok(Report { requests: *requests, errors: *errors, seconds, latency })
}

fn own(load: &Load<'_>, report: &Path) -> Command {
    let (method, path, body_bytes) = request_of(load.case);
    let mut command = Command::new(load.loadtest);
    command
        .arg("load")
        .arg(format!("http://127.0.0.1:{}{path}", load.port))
        .args(["--threads", "1", "--warm-up", "0s", "--cookies", "jar", "--method", method])
        .arg("--connections")
        .arg(load.case.connections().to_string())
        .arg("--duration")
        .arg(format!("{}ms", load.length.as_millis()))
        .arg("--json")
        .arg(report);
    if body_bytes > 0 {
        command.arg("--body").arg(body_bytes.to_string());
    }
    if let Kind::Rate(rate) = load.case.row.kind {
        command.arg("--rate").arg(rate.to_string());
    }
    if let Some(host) = load.case.host() {
        command.arg("--host").arg(host);
    }
    if load.case.row.unit == Unit::NewConnections {
        command.arg("--new-connection-per-request");
    }
    command
}

fn parse_own(text: &str) -> Result<Report, String> {
    let json: Value = serde_json::from_str(text).map_err(|why| why.to_string())?;
    let responses = json["responses"].as_u64().or_else(|| json["requests"].as_u64());
    let errors = json["errors"].as_object().into_iter().flatten();
    let failed: u64 = json["statuses"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(status, _)| !status.starts_with('2'))
        .chain(errors)
        .filter_map(|(_, count)| count.as_u64())
        .sum();
    let names = ["p50", "p75", "p90", "p95", "p99", "p999", "p9999"];
    let at = |name: &str| json["latency_us"][name].as_f64();
    let latency = PERCENTILES
        .iter()
        .zip(names)
        .filter_map(|(percentile, name)| Some((*percentile, at(name)?)));
    Ok(Report {
        requests: responses.ok_or("no number of responses")?,
        errors: failed,
        seconds: json["duration_s"].as_f64().ok_or("no duration")?,
        latency: latency.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::row;
    use super::*;

    fn load(case: &Case) -> String {
        let pins = ["sid=a".to_owned(), "sid=\"b".to_owned()];
        let load = Load {
            case,
            port: 80,
            pins: &pins,
            length: Duration::from_millis(2500),
            cpus: &[],
            folder: Path::new("/scratch"),
            loadtest: Path::new("loadtest"),
        };
        format!("{:?}\n{}", own(&load, Path::new("/r.json")), wrk_script(&load))
    }

    #[test]
    fn a_row_becomes_the_same_request_of_either_generator() {
        let of = |name: &str, size| load(&Case { row: row::find(name).expect("a row"), size });
        let post = of("d", 64);
        assert!(
            post.contains("\"--body\" \"4096\"") && post.contains("rep(\"x\", 4096)"),
            "{post}"
        );
        assert!(post.contains("{\"sid=a\", \"sid=\\\"b\"}"), "{post}");
        let fresh = of("c", 64);
        assert!(fresh.contains("--new-connection-per-request"), "{fresh}");
        assert!(fresh.contains("[\"Connection\"] = \"close\""), "{fresh}");
        assert!(!of("a", 64).contains("close"));
        let rate = of("rate", 64);
        assert!(rate.contains("\"--rate\" \"5000\"") && rate.contains("\"2500ms\""), "{rate}");
        let routed = of("routers", 10);
        assert!(routed.contains("\"--host\" \"h5.example\""), "{routed}");
        assert!(routed.contains("[\"Host\"] = \"h5.example\""), "{routed}");
    }

    #[test]
    fn only_the_own_generator_holds_a_rate() {
        let of = |name| {
            Generator::Wrk.for_case(&Case { row: row::find(name).expect("a row"), size: 64 })
        };
        assert_eq!(of("a"), Generator::Wrk);
        assert_eq!(of("rate"), Generator::SundewLoadtest);
    }

    #[test]
    fn the_report_of_wrk_is_its_last_line() {
        let report = parse_wrk("Running 1s test\nRESULT 900 2 2500000 10 20 30 40 50 60 70\n")
            .expect("a report");
        assert_eq!((report.requests, report.errors, report.seconds), (900, 2, 2.5));
        assert_eq!(report.latency.get(4), Some(&(99.0, 50.0)));
        for wrong in ["", "RESULT", "RESULT x 1", "RESULT 1", "RESULT 1 2"] {
            assert!(parse_wrk(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn errors_and_bad_statuses_count_alike_in_the_own_report() {
        let text = r#"{"requests": 12, "responses": 10, "duration_s": 1.5, "errors": {"reset": 2, "mispinned": 1},
            "statuses": {"200": 7, "503": 3}, "latency_us": {"p50": 5, "p99": 9.5, "max": 11}}"#;
        let report = parse_own(text).expect("a report");
        assert_eq!((report.requests, report.errors, report.seconds), (10, 6, 1.5));
        assert_eq!(report.latency, [(50.0, 5.0), (99.0, 9.5)]);
        assert!(parse_own("{}").is_err());
        assert!(parse_own("").is_err());
    }
}
