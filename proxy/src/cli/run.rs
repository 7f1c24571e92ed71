//! `sundew run`: serve, from a configuration file or from flags.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use sundew_config::load::{FlagOptions, Loader, Options, from_flags};
use sundew_config::{Diagnostics, Severity};

use super::{count, exit_code, print};
use crate::control::run::{Plan, run as run_plan};

const AFTER_HELP: &str = "\
Examples:
  sundew run --config traefik.yml
  sundew run --config traefik.yml --lenient --workers 4
  sundew run --listen 127.0.0.1:8080 --server http://127.0.0.1:9001 --server http://127.0.0.1:9002
  sundew run --listen :80 --server http://app:8080 --cookie srv_id
  sundew run --listen :80 --server http://app:8080 --no-sticky";

const USAGE: &str = "\
sundew run --config FILE [--lenient] [--workers N]
       sundew run --listen ADDR... --server URL... [--cookie NAME | --no-sticky] [--workers N]";

/// Serve until told to stop.
#[derive(Debug, Args)]
#[command(override_usage = USAGE, after_help = AFTER_HELP)]
pub(super) struct RunArguments {
    /// Traefik static file (YAML or TOML); may hold the dynamic part as well
    #[arg(
        long,
        value_name = "FILE",
        aliases = ["configFile", "configfile"],
        required_unless_present_all = ["listen", "server"],
        conflicts_with_all = ["listen", "server", "cookie", "no_sticky"]
    )]
    config: Option<PathBuf>,

    /// Address to listen on, such as :8080 or 127.0.0.1:8080; may be repeated
    #[arg(long, value_name = "ADDR", requires = "server")]
    listen: Vec<String>,

    /// Server to send requests to, such as http://10.0.0.1:8080; may be repeated
    #[arg(long, value_name = "URL", requires = "listen")]
    server: Vec<String>,

    /// Name of the sticky cookie
    #[arg(long, value_name = "NAME", default_value = "sundew", requires = "server")]
    cookie: String,

    /// Balance every request anew
    #[arg(long, requires = "server", conflicts_with = "cookie")]
    no_sticky: bool,

    /// Data-plane threads [default: one for every CPU that the process may use]
    #[arg(long, value_name = "N", value_parser = super::worker_count)]
    workers: Option<usize>,

    /// Warn about what is not supported, and leave out what is wrong by itself, as Traefik does
    #[arg(long)]
    lenient: bool,
}

/// Loads, then runs until the process is to end.
pub(super) fn run(arguments: RunArguments) -> ExitCode {
    let workers = arguments.workers;
    let mut plan = match load(arguments) {
        Ok(plan) => plan,
        Err(diagnostics) => {
            print(&diagnostics);
            let errors = count(&diagnostics, Severity::Error);
            eprintln!("sundew cannot start: {errors} error(s) in the configuration");
            return ExitCode::FAILURE;
        }
    };
    if workers.is_some() {
        plan.statics.settings.workers = workers;
    }
    exit_code(run_plan(plan, |_| {}))
}

fn load(arguments: RunArguments) -> Result<Plan, Diagnostics> {
    if let Some(file) = &arguments.config {
        let options = Options { lenient: arguments.lenient };
        let (loader, initial) = Loader::open(file, options)?;
        return Ok(Plan {
            statics: initial.statics,
            model: initial.model,
            loader: Some(loader),
            diagnostics: initial.diagnostics,
        });
    }
    let (statics, model) = from_flags(&FlagOptions {
        listen: arguments.listen,
        servers: arguments.server,
        sticky_cookie: (!arguments.no_sticky).then_some(arguments.cookie),
    })?;
    Ok(Plan { statics, model, loader: None, diagnostics: Diagnostics::new() })
}
