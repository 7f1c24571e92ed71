//! `sundew demo`: three small servers and sundew in front of them, in one process, to watch
//! stickiness work without writing a file.

mod page;
mod servers;

use std::io::{BufRead, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use clap::Args;
use sundew_config::Diagnostics;
use sundew_config::load::{FlagOptions, from_flags};
use sundew_config::model::{HealthCheck, HealthMode, LogLevel, Model, ServiceKind};

use super::{exit_code, print};
use crate::control::run::{Plan, run};
use servers::Servers;

/// The demo's sticky cookie.
const COOKIE: &str = "sundew_demo";

/// Where the demo listens unless told otherwise.
const LISTEN: &str = "127.0.0.1:8000";

/// Between two steps of `--chaos`.
const CHAOS_PAUSE: Duration = Duration::from_secs(4);

/// Between two health probes.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// Three small servers and sundew in front of them, to watch stickiness work.
///
/// Press Enter to stop a server, and again to start it.
#[derive(Debug, Args)]
pub(super) struct DemoArguments {
    /// Address to listen on [default: 127.0.0.1:8000, or any free port when that is taken]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,

    /// Stop and start servers in turn, without a key press
    #[arg(long)]
    chaos: bool,

    /// Data-plane threads [default: one for every CPU that the process may use]
    #[arg(long, value_name = "N", value_parser = super::worker_count)]
    workers: Option<usize>,
}

/// Runs until Ctrl-C.
pub(super) fn demo(arguments: &DemoArguments) -> ExitCode {
    let servers = match Servers::start() {
        Ok(servers) => servers,
        Err(error) => {
            eprintln!("the demo's servers cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let plan = match plan(arguments, &servers) {
        Ok(plan) => plan,
        Err(diagnostics) => {
            print(&diagnostics);
            return ExitCode::FAILURE;
        }
    };
    let is_chaotic = arguments.chaos;
    exit_code(run(plan, move |addresses| {
        if let Some(address) = addresses.first() {
            introduce(*address, &servers, is_chaotic);
        }
        play(servers, is_chaotic);
    }))
}

fn plan(arguments: &DemoArguments, servers: &Servers) -> Result<Plan, Diagnostics> {
    let (mut statics, mut model) = from_flags(&FlagOptions {
        listen: vec![arguments.listen.clone().unwrap_or_else(default_listen)],
        servers: servers.urls(),
        sticky_cookie: Some(COOKIE.into()),
    })?;
    // The steps are printed here; of the log only trouble is of interest.
    statics.log.level = LogLevel::Warn;
    statics.settings.workers = arguments.workers;
    probe_every_second(&mut model);
    Ok(Plan { statics, model, loader: None, diagnostics: Diagnostics::new() })
}

fn default_listen() -> String {
    // Dropped at once; whoever is faster after that is named when sundew binds.
    match TcpListener::bind(LISTEN) {
        Ok(_) => LISTEN.into(),
        Err(_) => "127.0.0.1:0".into(),
    }
}

fn probe_every_second(model: &mut Model) {
    for service in &mut model.services {
        if let ServiceKind::LoadBalancer(balancer) = &mut service.kind {
            balancer.health_check = Some(HealthCheck {
                mode: HealthMode::Http,
                path: servers::HEALTH_PATH.into(),
                method: "GET".into(),
                status: None,
                hostname: None,
                port: None,
                interval: PROBE_INTERVAL,
                unhealthy_interval: PROBE_INTERVAL,
                timeout: PROBE_INTERVAL,
                headers: Vec::new(),
                follow_redirects: true,
                healthy_threshold: 1,
                unhealthy_threshold: 1,
            });
        }
    }
}

fn introduce(address: SocketAddr, servers: &Servers, is_chaotic: bool) {
    // Where it listens on every address, this machine's own is the one to try.
    let address = match address.ip() {
        ip if ip.is_unspecified() => SocketAddr::from(([127, 0, 0, 1], address.port())),
        _ => address,
    };
    let mut text = format!("sundew listens on http://{address}/ before three servers:\n");
    for (name, url) in servers.names().iter().zip(servers.urls()) {
        text.push_str(&format!("  {name:<8} {url}\n"));
    }
    text.push_str(&format!(
        "\nTry:
  curl -i http://{address}/                      a new client: see Set-Cookie
  curl -c jar -b jar http://{address}/           again and again: the same server
  http://{address}/                              in a browser: it keeps its colour on reload\n\n"
    ));
    text.push_str(if is_chaotic {
        "Servers stop and start by themselves; watch the client move and stay. Ctrl-C ends.\n"
    } else {
        "Press Enter to stop a server, again to start it; watch the client move. Ctrl-C ends.\n"
    });
    say(&text);
}

/// Standard output may be a pipe that nobody reads any more; the demo goes on.
fn say(text: &str) {
    let mut output = std::io::stdout().lock();
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}

/// Stops and starts servers in a thread of its own, which ends with the process.
fn play(servers: Servers, is_chaotic: bool) {
    let (sender, presses) = channel();
    let keeper = sender.clone();
    std::thread::spawn(move || listen_to_keys(&sender));
    std::thread::spawn(move || {
        // Without it the end of standard input would look like the end of everything.
        let _keeper = keeper;
        take_turns(&servers, &presses, is_chaotic, say);
    });
}

/// One message a line. The end of the input, as in a script, is no key press.
fn listen_to_keys(presses: &Sender<()>) {
    for line in std::io::stdin().lock().lines() {
        if line.is_err() || presses.send(()).is_err() {
            return;
        }
    }
}

fn take_turns(servers: &Servers, presses: &Receiver<()>, is_chaotic: bool, say: impl Fn(&str)) {
    for turn in (0..servers.names().len()).cycle() {
        for is_running in [false, true] {
            if is_chaotic {
                match presses.recv_timeout(CHAOS_PAUSE) {
                    Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            } else if presses.recv().is_err() {
                return;
            }
            servers.set_running(turn, is_running);
            let name = servers.names().get(turn).copied().unwrap_or_default();
            say(&match is_running {
                false => {
                    format!("- {name} stopped: its clients get another server and a new cookie\n")
                }
                true => format!("+ {name} started: clients that moved away stay where they are\n"),
            });
        }
    }
}

#[cfg(test)]
mod tests;
