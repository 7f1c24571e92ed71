//! sundew-loadtest: what the proxy is measured with. `origin` is a server that is never the
//! bottleneck; `compare` sets sundew beside other proxies. Nothing here shares code with the proxy.

mod compare;
mod origin;

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
    /// are read and dropped.
    Origin(origin::Options),
    /// Measures sundew beside other proxies: CPU time per request, latency, memory.
    ///
    /// Nothing else may run on the machine. Results go to a folder below bench-results.
    Compare(Box<compare::Options>),
}

fn main() -> ExitCode {
    let Arguments { verb } = Arguments::parse();
    let done = match verb {
        Verb::Origin(options) => origin::run(&options),
        Verb::Compare(options) => return compare::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("sundew-loadtest: {why}");
            ExitCode::FAILURE
        }
    }
}
