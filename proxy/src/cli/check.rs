//! `sundew check`: everything that is wrong with a configuration, and nothing is started.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use sundew_config::Severity;
use sundew_config::load::{self, Options};

use super::{count, print};

const AFTER_HELP: &str = "\
Examples:
  sundew check /etc/traefik/traefik.yml     a static file and everything that it names
  sundew check dynamic/app.toml             a dynamic file alone

Exit code: 0 when `sundew run` would accept it, 1 when not.";

/// Validate a static file with all it refers to, a dynamic file alone, or both in one.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct CheckArguments {
    /// The file (YAML or TOML)
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Judge as `sundew run --lenient` does
    #[arg(long)]
    lenient: bool,
}

/// Prints every diagnostic and a summary.
pub(super) fn check(arguments: &CheckArguments) -> ExitCode {
    let report = load::check(&arguments.file, Options { lenient: arguments.lenient });
    print(&report.diagnostics);
    let errors = count(&report.diagnostics, Severity::Error);
    let warnings = count(&report.diagnostics, Severity::Warning);
    let verdict = if errors == 0 { "accepted" } else { "refused" };
    // Whoever closed standard output still gets the exit code.
    let _ = writeln!(
        std::io::stdout(),
        "{}: {verdict}; routers: {}, services: {}, errors: {errors}, warnings: {warnings}",
        arguments.file.display(),
        report.routers,
        report.services,
    );
    if errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
