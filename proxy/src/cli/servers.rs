//! `sundew servers`: look at the servers of a running sundew, drain them, take them down, and make
//! them ready again. Asks the API; owns no state.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use sundew_config::load::{Loader, Options};

use super::print;
use crate::control::admin::client::{Door, ask, encoded};

const AFTER_HELP: &str = "\
Examples:
  sundew servers list --socket /run/sundew.sock
  sundew servers drain app@file http://10.0.0.1:8080 --deadline 30m --config traefik.yml
  sundew servers ready app@file http://10.0.0.1:8080 --config traefik.yml

Exit code: 0 when it was done, 1 when it was refused or nobody answered.";

/// Look at the servers of a running sundew, drain them, take them down
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct ServersArguments {
    #[command(subcommand)]
    verb: ServersVerb,
}

#[derive(Debug, Subcommand)]
enum ServersVerb {
    /// State, health, requests in flight and pins seen of every server
    List {
        /// Of this service alone, such as app@file
        #[arg(value_name = "SERVICE")]
        service: Option<String>,
        /// Count clients that came with a pin within this time
        #[arg(long, value_name = "TIME", default_value = "5m")]
        window: String,
        #[command(flatten)]
        way: Way,
    },
    /// No new clients; those that are pinned stay
    Drain {
        #[command(flatten)]
        target: Target,
        /// When it goes down for its pinned clients too: 30m, or 2030-01-31T18:00:00Z
        #[arg(long, value_name = "TIME")]
        deadline: Option<String>,
        #[command(flatten)]
        way: Way,
    },
    /// Nobody is sent there
    Down {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        way: Way,
    },
    /// Ends what was ordered
    Ready {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        way: Way,
    },
}

#[derive(Debug, Args)]
struct Target {
    /// Such as app@file
    #[arg(value_name = "SERVICE")]
    service: String,
    /// Its id, or its URL as configured
    #[arg(value_name = "SERVER")]
    server: String,
    /// Also when no server would be left for new clients
    #[arg(long)]
    force: bool,
}

/// How the running sundew is found.
#[derive(Debug, Args)]
struct Way {
    /// The file of `sundew.api.socket`
    #[arg(long, value_name = "FILE", required_unless_present = "config")]
    socket: Option<PathBuf>,
    /// The static file that it runs with
    #[arg(long, value_name = "FILE", conflicts_with = "socket")]
    config: Option<PathBuf>,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// Asks and prints.
pub(super) fn servers(arguments: ServersArguments) -> ExitCode {
    let outcome = match arguments.verb {
        ServersVerb::List { service, window, way } => list(service, &window, &way),
        ServersVerb::Drain { target, deadline, way } => order(&target, "drain", deadline, &way),
        ServersVerb::Down { target, way } => order(&target, "down", None, &way),
        ServersVerb::Ready { target, way } => order(&target, "ready", None, &way),
    };
    match outcome {
        Ok(text) => {
            // Whoever closed standard output still gets the exit code.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(why) => {
            if !why.is_empty() {
                eprintln!("{why}");
            }
            ExitCode::FAILURE
        }
    }
}

fn list(service: Option<String>, window: &str, way: &Way) -> Result<String, String> {
    let door = way.door()?;
    let window = encoded(window);
    let services = match service {
        Some(service) => vec![service],
        None => services(&door)?,
    };
    let mut all = Vec::new();
    for service in services {
        let path = format!("/api/http/services/{}/servers?window={window}", encoded(&service));
        let Value::Array(servers) = get(&door, &path)? else {
            return Err("not a list of servers; is that a sundew?".to_owned());
        };
        all.extend(servers);
    }
    if way.json {
        return Ok(format!("{:#}\n", Value::Array(all)));
    }
    Ok(table(&all))
}

/// The servers of a service as a running sundew sees them; `None` when none answers.
pub(super) fn of_service(
    socket: Option<PathBuf>,
    config: Option<PathBuf>,
    service: &str,
) -> Option<Value> {
    let door = Way { socket, config, json: false }.door().ok()?;
    get(&door, &format!("/api/http/services/{}/servers", encoded(service))).ok()
}

/// Every service that has servers.
fn services(door: &Door) -> Result<Vec<String>, String> {
    let Value::Object(mut raw) = get(door, "/api/rawdata")? else { return Ok(Vec::new()) };
    let Some(Value::Object(services)) = raw.remove("services") else { return Ok(Vec::new()) };
    let with_servers = services.into_iter().filter(|(_, it)| it.get("loadBalancer").is_some());
    Ok(with_servers.map(|(name, _)| name).collect())
}

fn order(
    target: &Target,
    state: &str,
    deadline: Option<String>,
    way: &Way,
) -> Result<String, String> {
    let door = way.door()?;
    let Target { service, server, force } = target;
    let path = format!("/api/http/services/{}/servers/{}/state", encoded(service), encoded(server));
    let mut body = json!({ "state": state, "force": force });
    if let (Some(deadline), Some(fields)) = (deadline, body.as_object_mut()) {
        fields.insert("deadline".to_owned(), Value::String(deadline));
    }
    let answer = answered(&door, ask(&door, "PUT", &path, body.to_string()))?;
    if way.json {
        return Ok(format!("{answer:#}\n"));
    }
    Ok(table(&[answer]))
}

fn get(door: &Door, path: &str) -> Result<Value, String> {
    answered(door, ask(door, "GET", path, String::new()))
}

/// The answer, or why there is none.
fn answered(door: &Door, answer: std::io::Result<(u16, String)>) -> Result<Value, String> {
    let place = match door {
        Door::Socket(file) => file.display().to_string(),
        Door::Address(address) => address.to_string(),
    };
    let (status, text) = answer.map_err(|error| format!("nobody answers at {place}: {error}"))?;
    let value: Option<Value> = serde_json::from_str(&text).ok();
    match (status, value) {
        (200, Some(value)) => Ok(value),
        (_, value) => {
            let message = value.as_ref().and_then(|it| it.get("message")?.as_str());
            Err(format!("refused ({status}): {}", message.unwrap_or(text.trim_end())))
        }
    }
}

/// One line a server, columns as wide as they must be.
fn table(servers: &[Value]) -> String {
    let text = |value: Option<&Value>| match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let mut rows = vec![
        ["SERVICE", "SERVER", "STATE", "HEALTH", "IN FLIGHT", "PINNED", "LAST PIN", "DEADLINE"]
            .map(str::to_owned),
    ];
    rows.extend(servers.iter().map(|server| {
        let pins = |key: &str| server.get("pins").and_then(|pins| pins.get(key));
        let age = pins("lastSeenSecondsAgo").and_then(Value::as_u64);
        [
            text(server.get("service")),
            text(server.get("id")),
            text(server.get("state")),
            text(server.get("health")),
            text(server.get("inFlight")),
            text(pins("clients")),
            age.map_or_else(|| "-".to_owned(), |age| format!("{age} s ago")),
            text(server.get("deadline")),
        ]
    }));
    let mut widths = [0; 8];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}

impl Way {
    fn door(&self) -> Result<Door, String> {
        if let Some(socket) = &self.socket {
            return Ok(Door::Socket(socket.clone()));
        }
        // Not reached without: one of the two is required.
        let Some(file) = &self.config else { return Err("write --socket or --config".to_owned()) };
        // A file that would not start may still be the one that runs.
        let (_, initial) = Loader::open(file, Options { lenient: true }).map_err(|problems| {
            print(&problems);
            String::new()
        })?;
        let admin = initial.statics.admin;
        if let Some(socket) = admin.socket {
            return Ok(Door::Socket(socket));
        }
        let point = admin.api_entry_point;
        let point = point.and_then(|it| initial.statics.entry_points.get(usize::from(it.0)));
        let Some(point) = point else {
            let help = "write `sundew: {api: {socket: FILE}}` or `api: {insecure: true}`";
            return Err(format!("{}: the API is off; {help}", file.display()));
        };
        let address = match point.address.host.parse() {
            Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) => Ipv4Addr::LOCALHOST.into(),
            Ok(IpAddr::V6(Ipv6Addr::UNSPECIFIED)) => Ipv6Addr::LOCALHOST.into(),
            Ok(written) => written,
            Err(_) => Ipv4Addr::LOCALHOST.into(),
        };
        Ok(Door::Address(SocketAddr::new(address, point.address.port)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_stand_in_columns() {
        let servers = [
            json!({
                "service": "app@file", "id": "http://10.0.0.1", "state": "drain", "health": "UP",
                "inFlight": 2, "deadline": "2030-01-31T18:00:00Z",
                "pins": {"clients": 12, "lastSeenSecondsAgo": 3},
            }),
            json!({
                "service": "app@file", "id": "b", "state": "ready", "health": "DOWN",
                "inFlight": 0, "deadline": null,
                "pins": {"clients": 0, "lastSeenSecondsAgo": null},
            }),
        ];
        assert_eq!(
            table(&servers),
            "SERVICE   SERVER           STATE  HEALTH  IN FLIGHT  PINNED  LAST PIN  DEADLINE\n\
             app@file  http://10.0.0.1  drain  UP      2          12      3 s ago   \
             2030-01-31T18:00:00Z\n\
             app@file  b                ready  DOWN    0          0       -         -\n"
        );
    }
}
