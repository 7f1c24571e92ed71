//! One run: the origins, the real proxy in front of them, clients side by side, and after each
//! batch the comparison of what was said with what arrived. Called by the tests of `main`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use tempfile::TempDir;

use super::client::{Answer, End, Outcome, converse};
use super::ledger::{Answered, Finding, Ledger, Sent};
use super::model::read_connection;
use super::origins::{ALL, Origin, is_installed};
use super::script::Script;
use super::support::{DEADLINE, Driver, Sundew};

/// Clients at a time.
const CLIENTS: usize = 12;

/// Connections between two comparisons.
const BATCH: u64 = 2_000;

/// Findings after which a run ends: more say no more.
const FINDINGS_MAX: usize = 20;

/// What to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// Mutated requests.
    pub(crate) cases: u64,
    /// One connection alone, and everything about it.
    pub(crate) only: Option<u64>,
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) cases: u64,
    pub(crate) connections: u64,
    pub(crate) resets: u64,
    /// Answers to mutated requests, by status; 0 is an end without one.
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Mutated requests that the model takes and that got another answer than 2xx.
    pub(crate) refused_though_valid: u64,
    /// Origins and connections for which the proxy found its server wanting, though it was up.
    pub(crate) bad_gateways: Vec<(&'static str, u64)>,
    pub(crate) findings: Vec<Finding>,
    /// For each connection with a finding, what each origin saw of it.
    pub(crate) seen: BTreeMap<u64, String>,
    pub(crate) elapsed: Duration,
}

impl Report {
    /// Of the mutated requests of all origins, in per cent.
    pub(crate) fn accepted_percent(&self) -> u64 {
        let accepted: u64 = self.statuses.range(200..300).map(|(_, count)| count).sum();
        accepted * 100 / self.statuses.values().sum::<u64>().max(1)
    }
}

/// The proxy with an entry point for each origin.
struct Scene {
    proxy: Sundew,
    origins: Vec<(Origin, SocketAddr, Ledger)>,
    _folder: TempDir,
}

impl Scene {
    fn start(driver: Driver) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let installed = ALL.iter().filter(|(_, program)| is_installed(program));
        let origins: Vec<Origin> =
            installed.map(|&(name, _)| Origin::start(name, folder.path())).collect();
        let [mut entries, mut routers, mut services] = [const { String::new() }; 3];
        for origin in &origins {
            let (name, url) = (origin.name, origin.url());
            let _ = writeln!(entries, "  {name}: {{address: \"127.0.0.1:0\"}}");
            let rule = "rule: \"PathPrefix(`/`)\"";
            let _ =
                writeln!(routers, "    {name}: {{{rule}, service: {name}, entryPoints: [{name}]}}");
            let sticky = "sticky: {cookie: {name: sid}}";
            let servers = format!("servers: [{{url: \"{url}\"}}]");
            let _ = writeln!(services, "    {name}: {{loadBalancer: {{{sticky}, {servers}}}}}");
        }
        let driver = if driver == Driver::Uring { "uring" } else { "epoll" };
        // One worker: every exchange shares its buffers and its connections.
        let text = format!(
            "entryPoints:\n{entries}sundew: {{driver: {driver}, workers: 1}}\n\
             http:\n  routers:\n{routers}  services:\n{services}"
        );
        let path = folder.path().join("sundew.yml");
        fs::write(&path, text).expect("a configuration");
        let path = path.to_str().expect("a plain path");
        let proxy = Sundew::with_arguments(&["run", "--config", path]);
        let origins = origins.into_iter().map(|origin| {
            let start = format!("entry point {}: listening on ", origin.name);
            let line = proxy.wait_for_log(&start);
            let (_, rest) = line.split_once(&start).expect("the line that was waited for");
            let address = rest.split_whitespace().next().and_then(|it| it.parse().ok());
            (origin, address.expect("an address"), Ledger::default())
        });
        Self { origins: origins.collect(), proxy, _folder: folder }
    }

    fn targets(&self) -> Vec<Target> {
        self.origins.iter().map(|(origin, address, _)| (origin.name, *address)).collect()
    }
}

/// An origin's name, and the entry point that leads to it.
type Target = (&'static str, SocketAddr);

/// Everything that a client thread found out about a connection at one origin.
struct Told {
    origin: usize,
    sent: Vec<Sent>,
    findings: Vec<Finding>,
}

/// Runs the plan on one driver.
pub(crate) fn run(driver: Driver, plan: Plan) -> Report {
    let begin = Instant::now();
    let mut scene = Scene::start(driver);
    let mut report = Report::default();
    let mut next = plan.only.unwrap_or(0);
    let end = plan.only.map_or(u64::MAX, |only| only + 1);
    while next < end && (plan.only.is_some() || report.cases < plan.cases) {
        if report.findings.len() >= FINDINGS_MAX {
            break;
        }
        // The mutations of a connection are not known before: a little over one, in most.
        let wanted = (plan.cases - report.cases.min(plan.cases)).clamp(64, BATCH);
        let until = end.min(next + wanted);
        let told = batch(&scene.targets(), plan, next..until, &mut report);
        let since: Vec<usize> = scene.origins.iter().map(|(_, _, ledger)| ledger.len()).collect();
        for told in told {
            report.findings.extend(told.findings);
            let (_, _, ledger) = &mut scene.origins[told.origin];
            told.sent.into_iter().for_each(|sent| ledger.note(sent));
        }
        for ((origin, _, ledger), since) in scene.origins.iter_mut().zip(since) {
            compare(origin, ledger, since, plan, &mut report.findings);
        }
        next = until;
    }
    let ledgers = finish(scene, plan, &mut report.findings);
    for number in report.findings.iter().filter_map(|it| it.connection) {
        report.seen.entry(number).or_insert_with(|| {
            let mut text = String::new();
            for (name, ledger) in &ledgers {
                for sent in ledger.of(number) {
                    let _ = writeln!(text, "  {name}: {sent:?}");
                }
            }
            text
        });
    }
    report.elapsed = begin.elapsed();
    report
}

/// Sends the connections of a range to every origin.
fn batch(
    targets: &[Target],
    plan: Plan,
    range: std::ops::Range<u64>,
    report: &mut Report,
) -> Vec<Told> {
    let next = AtomicU64::new(range.start);
    let told = Mutex::new(Vec::new());
    let shared = Mutex::new(std::mem::take(report));
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if !range.contains(&number) {
                        return;
                    }
                    let heard = play(targets, plan, number, &shared);
                    told.lock().expect("what was heard").extend(heard);
                }
            });
        }
    });
    *report = shared.into_inner().expect("the report");
    told.into_inner().expect("what was heard")
}

/// Sends one connection to every origin, one after the other.
fn play(targets: &[Target], plan: Plan, number: u64, report: &Mutex<Report>) -> Vec<Told> {
    let mut script = Script::new(plan.seed, number);
    let is_head: Vec<bool> = {
        let whole = script.requests.iter().filter(|it| it.is_whole);
        whole.map(|it| it.method == "HEAD").collect()
    };
    let mut heard = Vec::new();
    let mut outcomes = Vec::new();
    for (origin, (name, address)) in targets.iter().enumerate() {
        let outcome = converse(*address, &script.bytes, &is_head, &mut script.random);
        if plan.only.is_some() {
            println!("{name}: {outcome:?}");
        }
        let answer = |at: usize| {
            outcome.answers.get(at).map(|it| Answered {
                status: it.status,
                is_from_origin: it.has_server || it.target.is_some(),
            })
        };
        let requests = script.requests.iter().enumerate();
        let sent = requests.map(|(at, it)| Sent::new(number, it, answer(at))).collect();
        let wrong = judge(&script, &outcome)
            .into_iter()
            .map(|what| Finding { connection: Some(number), what: format!("{name}: {what}") });
        heard.push(Told { origin, sent, findings: wrong.collect() });
        outcomes.push(outcome);
    }
    let mut report = report.lock().expect("the report");
    report.connections += 1;
    report.cases += script.cases.len() as u64;
    for (outcome, (name, _)) in outcomes.iter().zip(targets) {
        count(&mut report, &script, outcome);
        if outcome.answers.iter().any(|it| it.status == 502) {
            report.bad_gateways.push((*name, number));
        }
    }
    heard
}

fn count(report: &mut Report, script: &Script, outcome: &Outcome) {
    report.resets += u64::from(outcome.end == End::Reset);
    for &first in &script.cases {
        // What the proxy did not come to, as it had closed before, is not counted.
        if first > outcome.answers.len() {
            break;
        }
        let status = outcome.answers.get(first).map_or(0, |it| it.status);
        *report.statuses.entry(status).or_default() += 1;
        let is_valid = script.requests.get(first).is_some_and(|it| it.is_whole);
        report.refused_though_valid += u64::from(is_valid && !(200..300).contains(&status));
    }
}

/// What a client can tell by itself: an answer belongs to the request in its place, and the
/// connection ends.
fn judge(script: &Script, outcome: &Outcome) -> Vec<String> {
    let mut wrong = Vec::new();
    for (at, answer) in outcome.answers.iter().enumerate() {
        let Answer { status, target, body, .. } = answer;
        if !(200..300).contains(status) {
            continue;
        }
        let asked = script.requests.get(at);
        if target.is_none() && asked.is_some_and(|it| it.target == "*") {
            // The proxy's own answer, as Go's server gives it; the request goes nowhere.
            continue;
        }
        let is_right = asked.is_some_and(|asked| {
            let wanted = if asked.method == "HEAD" { "" } else { &asked.target };
            asked.is_whole && *target == Some(asked.target.clone()) && body == wanted.as_bytes()
        });
        if !is_right {
            wrong.push(format!("answer {at} is not that of {asked:?}: {answer:?}"));
        }
    }
    if matches!(outcome.end, End::Silent | End::Garbled(_)) {
        wrong.push(format!("the connection did not end in order: {outcome:?}"));
    }
    wrong
}

/// Takes the reports of an origin until every answered request has its own.
fn compare(
    origin: &Origin,
    ledger: &mut Ledger,
    since: usize,
    plan: Plan,
    findings: &mut Vec<Finding>,
) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let is_complete = ledger.unreported(since).next().is_none();
        let left = deadline.saturating_duration_since(Instant::now());
        // What is there already is taken in any case.
        let wait = if is_complete { Duration::ZERO } else { left };
        let Ok(seen) = origin.reports.recv_timeout(wait) else { break };
        if plan.only.is_some() {
            println!("{} saw {seen:?}", origin.name);
        }
        if let Some(found) = ledger.see(&seen) {
            let what = format!("{}: {}", origin.name, found.what);
            findings.push(Finding { what, ..found });
        }
    }
    for sent in ledger.unreported(since) {
        let what = format!("{}: answered, but never seen: {sent:?}", origin.name);
        findings.push(Finding { connection: Some(sent.connection), what });
    }
}

/// Ends the proxy, and with it every connection to an origin, and takes the last reports: those in
/// front of that of a last request, which goes to the origin directly.
fn finish(scene: Scene, plan: Plan, findings: &mut Vec<Finding>) -> Vec<(&'static str, Ledger)> {
    let Scene { mut proxy, mut origins, _folder } = scene;
    proxy.terminate();
    for (origin, _, ledger) in &mut origins {
        let request = "GET /m/end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let mut stream = origin.connect();
        stream.write_all(request.as_bytes()).expect("the origin lives");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the origin answers");
        assert!(answer.starts_with("HTTP/1.1 200"), "{}: {answer}", origin.name);
        let (requests, _) = read_connection(request.as_bytes());
        let since = ledger.len();
        let answered = Answered { status: 200, is_from_origin: true };
        ledger.note(Sent::new(u64::MAX, &requests[0], Some(answered)));
        compare(origin, ledger, since, plan, findings);
        if let Some(found) = ledger.close() {
            findings.push(Finding { what: format!("{}: {}", origin.name, found.what), ..found });
        }
    }
    origins.into_iter().map(|(origin, _, ledger)| (origin.name, ledger)).collect()
}
