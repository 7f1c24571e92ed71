//! sundew-loadtest: what the proxy is measured with. `origin` is a server that is never the
//! bottleneck. Nothing here shares code with the proxy.

mod origin;
mod special;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Serves small and large bodies on many ports, thread per core.
    ///
    /// `/b/N` answers N bytes, every other path 100. `X-Server` names the port. Bodies of requests
    /// are read and dropped. `/echo/TOKEN` answers TOKEN and the request's body, an upgrade echoes,
    /// `/fault/KIND` misbehaves.
    Origin(origin::Options),
}

fn main() -> ExitCode {
    let Arguments { verb } = Arguments::parse();
    let done = match verb {
        Verb::Origin(options) => origin::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("sundew-loadtest: {why}");
            ExitCode::FAILURE
        }
    }
}
