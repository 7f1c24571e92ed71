//! The differential test: the same mutated requests go through the real proxy to origins whose
//! parsers are not alike, and what each of them read is compared with what the client said by a
//! strict model. One client request is at most one origin request, with the same method, target
//! and body, and no answer reaches another request.
//!
//! `run` beside this file (`just differential`) is the way to send many; here runs a small share
//! of a fixed seed.

mod client;
mod draft;
mod ledger;
mod model;
mod mutate;
mod origins;
mod random;
mod recorder;
mod run;
mod script;
#[path = "../support/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "made for the black-box tests; starting the proxy is all that is used of it here"
)]
mod support;

use std::io::{self, Write as _};
use std::path::Path;
use std::{env, fs};

use run::{Plan, Report};
use script::Script;
use support::Driver;

/// Mutated requests that every test run sends to each origin, on each driver.
const SMALL_SHARE: u64 = 1_000;

/// Connections with a finding that are shown.
const SHOWN_MAX: usize = 5;

#[test]
fn one_client_request_is_at_most_one_origin_request_on_uring() {
    small_share(Driver::Uring);
}

#[test]
fn one_client_request_is_at_most_one_origin_request_on_epoll() {
    small_share(Driver::Epoll);
}

fn small_share(driver: Driver) {
    for (name, program) in origins::ALL {
        if !origins::is_installed(program) {
            skip(driver, name, program);
        }
    }
    check(driver, Plan { seed: 1, cases: SMALL_SHARE, only: None });
}

/// By `SUNDEW_DIFFERENTIAL_CASES`, `_SEED`, `_ONLY` and `_DRIVER`, which `run` sets.
#[test]
#[ignore = "long; see just differential"]
fn a_whole_run() {
    let setting = |name: &str| env::var(format!("SUNDEW_DIFFERENTIAL_{name}")).ok();
    let number = |name: &str| setting(name).map(|it| it.parse::<u64>().expect("a number"));
    let plan = Plan {
        seed: number("SEED").unwrap_or(1),
        cases: number("CASES").unwrap_or(SMALL_SHARE),
        only: number("ONLY"),
    };
    let driver = setting("DRIVER").unwrap_or_else(|| "both".to_owned());
    for (name, which) in [("uring", Driver::Uring), ("epoll", Driver::Epoll)] {
        if driver == name || driver == "both" {
            check(which, plan);
        }
    }
}

/// Written past the test harness, which shows nothing of a test that passes.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// An origin that is missing is said aloud, and counted by CI.
fn skip(driver: Driver, name: &str, program: &str) {
    let line = format!(
        "differential test ({driver:?}): {SMALL_SHARE} mutations not sent to {name}: \
         {program} is not installed"
    );
    say(&format!("SKIPPED {line}"));
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("skipped.txt");
    let file = fs::OpenOptions::new().create(true).append(true).open(path);
    writeln!(file.expect("the list of skipped tests"), "{line}").expect("written");
}

#[track_caller]
fn check(driver: Driver, plan: Plan) {
    if let Some(only) = plan.only {
        println!("{}", Script::new(plan.seed, only).bytes.escape_ascii());
    }
    let report = run::run(driver, plan);
    say(&summary(driver, plan, &report));
    if !report.findings.is_empty() {
        show(plan, &report);
        panic!("{} findings", report.findings.len());
    }
    assert!(
        plan.only.is_some() || report.accepted_percent() >= 20,
        "the mutations are too blunt: {} % accepted",
        report.accepted_percent()
    );
}

fn summary(driver: Driver, plan: Plan, report: &Report) -> String {
    let Report { cases, connections, resets, statuses, .. } = report;
    let Report { refused_though_valid, bad_gateways, .. } = report;
    let per_status: Vec<String> =
        statuses.iter().map(|(status, count)| format!("{status}: {count}")).collect();
    format!(
        "differential ({driver:?}, seed {}): {cases} mutated requests on {connections} connections \
         to each origin, {} findings, {} % accepted, {:.1} s\n  \
         answers {{{}}}, valid but not 2xx {refused_though_valid}, resets {resets}, \
         bad gateways {bad_gateways:?}",
        plan.seed,
        report.findings.len(),
        report.accepted_percent(),
        report.elapsed.as_secs_f64(),
        per_status.join(", "),
    )
}

fn show(plan: Plan, report: &Report) {
    for finding in &report.findings {
        let of = finding.connection.map_or_else(String::new, |it| format!(" (connection {it})"));
        say(&format!("FINDING{of} {}", finding.what));
    }
    for (number, seen) in report.seen.iter().take(SHOWN_MAX) {
        let bytes = Script::new(plan.seed, *number).bytes;
        say(&format!("connection {number}: --seed {} --only {number}", plan.seed));
        say(&format!("{}\n{seen}", bytes.escape_ascii()));
    }
}
