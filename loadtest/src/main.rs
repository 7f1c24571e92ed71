//! sundew-loadtest: what the proxy is measured with. `origin` is a server that is never the
//! bottleneck, `load` asks it and reports, `compare` sets sundew beside other proxies. Nothing here
//! shares code with the proxy.

mod compare;
mod load;
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
    /// are read and dropped. `X-Load-Id` comes back, with a body made of it. `/echo/TOKEN` answers
    /// TOKEN and the request's body, an upgrade echoes, `/fault/KIND` misbehaves.
    Origin(origin::Options),
    /// Asks at a constant rate or as fast as answers come, and reports.
    ///
    /// With `--rate`, latency counts from the moment at which a request was due, so that a stall of
    /// the server is seen in full. With `--oracle`, every answer is checked against its request and
    /// the client's pin, and one wrong answer fails the run. Ctrl-C ends it with the report.
    Load(Box<load::Options>),
    /// Measures sundew beside other proxies: CPU time per request, latency, memory.
    ///
    /// Nothing else may run on the machine. Results go to a folder below bench-results.
    Compare(Box<compare::Options>),
}

fn main() -> ExitCode {
    let Arguments { verb } = Arguments::parse();
    let done = match verb {
        Verb::Origin(options) => origin::run(&options).map(|()| ExitCode::SUCCESS),
        Verb::Load(options) => load::run(&options),
        Verb::Compare(options) => return compare::run(&options),
    };
    match done {
        Ok(code) => code,
        Err(why) => {
            eprintln!("sundew-loadtest: {why}");
            ExitCode::FAILURE
        }
    }
}
