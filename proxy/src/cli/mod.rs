//! The command line: one file a verb. Turns arguments into what [`crate::control`] runs, and what
//! it says into an exit code: 0 fine, 1 a configuration or a start that failed, 2 bad usage.

mod audit;
mod check;
mod config;
mod cookie;
mod demo;
mod explain;
#[cfg(test)]
#[path = "../../../config/src/generated.rs"]
mod generated;
mod keygen;
mod run;
mod servers;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sundew_config::load::{StaticFlag, StaticSource, take_static_flags};
use sundew_config::{Diagnostics, Severity};

use crate::control::run::{Ending, StartError, in_order};

const AFTER_HELP: &str = "\
Examples:
  sundew demo
      Three small servers and sundew in front of them, to watch stickiness work.
  sundew run --config /etc/traefik/traefik.yml
      A Traefik static file, with the dynamic files that it names.
  sundew run --listen :8080 --server http://10.0.0.1:80 --server http://10.0.0.2:80
      The same without a file; clients are pinned with the cookie `sundew`.
  sundew check /etc/traefik/traefik.yml
      Say everything that is wrong with a configuration, and start nothing.

Signals: TERM, INT stop gracefully (twice: at once); HUP reloads; USR1 opens log files again.";

/// A reverse proxy that pins clients to servers with a cookie.
#[derive(Debug, Parser)]
#[command(name = "sundew", version, after_help = AFTER_HELP, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(run::RunArguments),
    Check(check::CheckArguments),
    Config(config::ConfigArguments),
    Demo(demo::DemoArguments),
    Servers(servers::ServersArguments),
    Audit(audit::AuditArguments),
    Explain(explain::ExplainArguments),
    Cookie(cookie::CookieArguments),
    Keygen(keygen::KeygenArguments),
}

/// Runs the verb that the process's arguments name.
#[must_use]
pub fn main() -> ExitCode {
    let (line, flags) = static_flags(std::env::args_os().collect());
    let arguments = match Arguments::try_parse_from(line) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nothing is left to say it to when that fails too.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match arguments.verb {
        Verb::Run(arguments) => run::run(arguments, flags),
        Verb::Check(arguments) => check::check(arguments, flags),
        Verb::Config(arguments) => config::config(arguments, flags),
        Verb::Demo(arguments) => demo::demo(&arguments),
        Verb::Audit(arguments) => audit::audit(&arguments),
        Verb::Explain(arguments) => explain::explain(&arguments, flags),
        Verb::Servers(arguments) => servers::servers(arguments),
        Verb::Cookie(arguments) => cookie::cookie(&arguments),
        Verb::Keygen(arguments) => keygen::keygen(&arguments),
    }
}

/// Verbs that take Traefik's static keys as flags.
const CONFIGURED: [&str; 4] = ["run", "check", "config", "explain"];

/// Takes the static keys out of the arguments of a verb that reads a configuration.
fn static_flags(line: Vec<OsString>) -> (Vec<OsString>, Vec<StaticFlag>) {
    let verb = line.get(1).and_then(|it| it.to_str()).unwrap_or_default();
    let words: Option<Vec<String>> = line.iter().map(|it| it.to_str().map(str::to_owned)).collect();
    match words {
        Some(words) if CONFIGURED.contains(&verb) => {
            let (rest, flags) = take_static_flags(words);
            (rest.into_iter().map(OsString::from).collect(), flags)
        }
        _ => (line, Vec::new()),
    }
}

/// Where the static part is: the named file, a usual one, flags or the environment.
fn static_source(
    file: Option<PathBuf>,
    flags: Vec<StaticFlag>,
) -> Result<(StaticSource, Diagnostics), ExitCode> {
    let variables: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    match StaticSource::choose(file, flags, &variables) {
        Ok(Some(chosen)) => Ok(chosen),
        Ok(None) => {
            eprintln!("{NOTHING_TO_READ}");
            Err(ExitCode::from(2))
        }
        Err(problems) => {
            print(&problems);
            Err(ExitCode::FAILURE)
        }
    }
}

const NOTHING_TO_READ: &str = "\
error: no configuration: name a file, or write static keys as flags (--entryPoints.web.address=:80)
or as variables (TRAEFIK_ENTRYPOINTS_WEB_ADDRESS=:80, or SUNDEW_…); --help tells more";

/// Prints diagnostics to standard error in the order of their places.
fn print(diagnostics: &Diagnostics) {
    for diagnostic in in_order(diagnostics) {
        eprintln!("{diagnostic}");
    }
}

fn count(diagnostics: &Diagnostics, severity: Severity) -> usize {
    diagnostics.iter().filter(|it| it.severity == severity).count()
}

fn exit_code(result: Result<Ending, StartError>) -> ExitCode {
    match result {
        Ok(Ending::Stopped) => ExitCode::SUCCESS,
        Ok(Ending::WorkerDied | Ending::Forced) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sundew cannot start:\n{error}");
            ExitCode::FAILURE
        }
    }
}

/// `--workers`: at least one.
fn worker_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=WORKERS_MAX) => Ok(count),
        _ => Err(format!("a number from 1 to {WORKERS_MAX}")),
    }
}

/// More than this is a slip of the finger: one worker serves one CPU.
const WORKERS_MAX: usize = 1024;

#[cfg(test)]
mod tests;
