//! `sundew config`: the configuration that counts, and the schemas of the files. Starts nothing.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use sundew_config::load::{self, Options, StaticFlag};
use sundew_config::{effective, schema};

use super::{print, static_source};

const AFTER_SHOW: &str = "\
Examples:
  sundew config show traefik.yml            YAML that means the same; comments say where from
  sundew config show traefik.yml --json     {\"settings\": [{\"path\", \"keys\", \"value\", \"from\"}]}
  sundew config show --entryPoints.web.address=:80

Exit code: 0; 1 when the configuration has an error; 2 for bad usage.";

/// Show the effective configuration, or the schemas of its files
#[derive(Debug, Args)]
pub(super) struct ConfigArguments {
    #[command(subcommand)]
    verb: ConfigVerb,
}

#[derive(Debug, Subcommand)]
enum ConfigVerb {
    /// Print every value that counts, defaults too, and where each comes from
    #[command(after_help = AFTER_SHOW)]
    Show(ShowArguments),
    /// Print the JSON Schema of a kind of file
    Schema {
        /// Which kind
        #[arg(value_name = "KIND")]
        kind: Kind,
    },
}

#[derive(Debug, Args)]
struct ShowArguments {
    /// The file (YAML or TOML); without one, what `sundew run` would read
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    /// Judge as `sundew run --lenient` does
    #[arg(long)]
    lenient: bool,

    /// Print YAML with comments (the default)
    #[arg(long, conflicts_with = "json")]
    yaml: bool,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Static,
    Dynamic,
}

/// Prints what the verb asks for.
pub(super) fn config(arguments: ConfigArguments, flags: Vec<StaticFlag>) -> ExitCode {
    let text = match arguments.verb {
        ConfigVerb::Schema { kind: Kind::Static } => format!("{:#}\n", schema::static_file()),
        ConfigVerb::Schema { kind: Kind::Dynamic } => format!("{:#}\n", schema::dynamic_file()),
        ConfigVerb::Show(arguments) => match shown(arguments, flags) {
            Ok(text) => text,
            Err(code) => return code,
        },
    };
    // Whoever closed standard output still gets the exit code.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn shown(arguments: ShowArguments, flags: Vec<StaticFlag>) -> Result<String, ExitCode> {
    let ShowArguments { file, lenient, yaml: _, json } = arguments;
    let (source, warnings) = static_source(file, flags)?;
    print(&warnings);
    let setting = load::effective(&source, Options { lenient }).map_err(|problems| {
        print(&problems);
        ExitCode::FAILURE
    })?;
    Ok(if json { format!("{:#}\n", effective::json(&setting)) } else { effective::yaml(&setting) })
}
