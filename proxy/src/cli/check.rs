//! `sundew check`: everything that is wrong with a configuration, and nothing is started.

mod snippet;
#[cfg(test)]
mod tests;

use std::env;
use std::ffi::OsStr;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use sundew_config::load::{self, CheckReport, Options, StaticFlag};
use sundew_config::{Diagnostic, Severity};

use super::{count, print, static_source};
use crate::control::run::in_order;

const AFTER_HELP: &str = "\
Examples:
  sundew check /etc/traefik/traefik.yml     a static file and everything that it names
  sundew check dynamic/app.toml             a dynamic file alone
  sundew check --entryPoints.web.address=:80 --providers.file.directory=/etc/sundew/dynamic
  sundew check traefik.yml --json           for programs; the fields are in docs/configuration.md

Exit code: 0 when `sundew run` would accept it, 1 when not (or with --fail-on warning when there is
a warning), 2 for bad usage.";

/// Validate a static file with all it refers to, a dynamic file alone, or both in one
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct CheckArguments {
    /// The file (YAML or TOML); without one, what `sundew run` would read
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    /// Judge as `sundew run --lenient` does
    #[arg(long)]
    lenient: bool,

    /// One line a problem, as `sundew run` logs them
    #[arg(long, conflicts_with = "json")]
    short: bool,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    /// Exit with 1 when something at least that bad was found
    #[arg(long, value_name = "SEVERITY", default_value = "error")]
    fail_on: FailOn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Warning,
    Error,
}

/// Prints every problem and a summary.
pub(super) fn check(arguments: CheckArguments, flags: Vec<StaticFlag>) -> ExitCode {
    let (source, warnings) = match static_source(arguments.file, flags) {
        Ok(chosen) => chosen,
        Err(code) => return code,
    };
    let name = source.to_string();
    let mut report = load::check_source(&source, Options { lenient: arguments.lenient });
    report.diagnostics.splice(0..0, warnings);
    // Whoever closed standard output still gets the exit code.
    let mut out = std::io::stdout();
    if arguments.json {
        let _ = writeln!(out, "{:#}", as_json(&name, &report));
    } else {
        if arguments.short {
            print(&report.diagnostics);
        } else {
            let is_coloured = is_coloured(std::io::stderr().is_terminal());
            eprint!("{}", snippet::text(&report.diagnostics, is_coloured));
        }
        let _ = writeln!(out, "{}", summary(&name, &report));
    }
    let worst = report.diagnostics.iter().map(|it| it.severity).max();
    let limit = match arguments.fail_on {
        FailOn::Warning => Severity::Warning,
        FailOn::Error => Severity::Error,
    };
    if worst.is_some_and(|it| it >= limit) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Colours are for terminals that have not declined them (no-color.org).
fn is_coloured(is_terminal: bool) -> bool {
    let is_set = |name| env::var_os(name).is_some_and(|it| !it.is_empty());
    let is_dumb = env::var_os("TERM").as_deref() == Some(OsStr::new("dumb"));
    is_terminal && !is_set("NO_COLOR") && !is_dumb
}

fn is_accepted(report: &CheckReport) -> bool {
    count(&report.diagnostics, Severity::Error) == 0
}

fn summary(name: &str, report: &CheckReport) -> String {
    let verdict = if is_accepted(report) { "accepted" } else { "refused" };
    format!(
        "{name}: {verdict}; routers: {}, services: {}, errors: {}, warnings: {}",
        report.routers,
        report.services,
        count(&report.diagnostics, Severity::Error),
        count(&report.diagnostics, Severity::Warning),
    )
}

/// The fields are a promise: docs/configuration.md.
fn as_json(name: &str, report: &CheckReport) -> Value {
    let problem = |it: &Diagnostic| {
        // The lines of a file count from 1; without one the problem is the file's.
        let number = |it: u32| (it > 0).then_some(it);
        let text = |it: &str| (!it.is_empty()).then(|| it.to_owned());
        json!({
            "severity": word(it.severity),
            "file": it.place.file.display().to_string(),
            "line": number(it.place.line),
            "column": number(it.place.column),
            "path": text(&it.path),
            "message": it.message,
            "help": text(&it.help),
        })
    };
    json!({
        "file": name,
        "accepted": is_accepted(report),
        "routers": report.routers,
        "services": report.services,
        "errors": count(&report.diagnostics, Severity::Error),
        "warnings": count(&report.diagnostics, Severity::Warning),
        "notes": count(&report.diagnostics, Severity::Note),
        "problems": in_order(&report.diagnostics).into_iter().map(problem).collect::<Vec<_>>(),
    })
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}
