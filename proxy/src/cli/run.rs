//! `sundew run`: serve, from a configuration file or from flags.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use sundew_config::load::{FlagOptions, Loader, Options, StaticFlag, StaticSource, from_flags};
use sundew_config::{Diagnostics, Severity};

use super::{count, exit_code, print, static_source};
use crate::control::run::{Plan, run as run_plan};

const AFTER_HELP: &str = "\
Examples:
  sundew run --config traefik.yml
  sundew run --config traefik.yml --lenient --workers 4
  sundew run --entryPoints.web.address=:80 --providers.file.filename=/etc/sundew/app.yml
  sundew run --listen 127.0.0.1:8080 --server http://127.0.0.1:9001 --server http://127.0.0.1:9002
  sundew run --listen :80 --server http://app:8080 --cookie srv_id
  sundew run --listen :80 --server http://app:8080 --no-sticky

Without --config: /etc/sundew/sundew.yml, or the file that Traefik would find (also .yaml, .toml);
else static keys as flags; else as variables, TRAEFIK_ENTRYPOINTS_WEB_ADDRESS or SUNDEW_….";

const USAGE: &str = "\
sundew run [--config FILE | --STATIC.KEY=VALUE...] [--lenient] [--workers N]
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
pub(super) fn run(arguments: RunArguments, flags: Vec<StaticFlag>) -> ExitCode {
    let workers = arguments.workers;
    let is_short = !arguments.listen.is_empty();
    if is_short && !flags.is_empty() {
        eprintln!("error: --listen and --server have no place beside static keys as flags");
        return ExitCode::from(2);
    }
    let loaded = if is_short {
        load_short(arguments)
    } else {
        match static_source(arguments.config, flags) {
            Ok((source, warnings)) => load(source, arguments.lenient, warnings),
            Err(code) => return code,
        }
    };
    let mut plan = match loaded {
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

fn load(
    source: StaticSource,
    lenient: bool,
    mut diagnostics: Diagnostics,
) -> Result<Plan, Diagnostics> {
    let (loader, initial) = Loader::open_source(source, Options { lenient })?;
    diagnostics.extend(initial.diagnostics);
    Ok(Plan { statics: initial.statics, model: initial.model, loader: Some(loader), diagnostics })
}

fn load_short(arguments: RunArguments) -> Result<Plan, Diagnostics> {
    let (statics, model) = from_flags(&FlagOptions {
        listen: arguments.listen,
        servers: arguments.server,
        sticky_cookie: (!arguments.no_sticky).then_some(arguments.cookie),
    })?;
    Ok(Plan { statics, model, loader: None, diagnostics: Diagnostics::new() })
}
