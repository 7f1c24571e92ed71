//! `sundew explain`: where a request would go and why, from the configuration's files and, where a
//! sundew runs with them, with the state of its servers. Sends nothing to a server.

use std::io::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use serde_json::{Value, json};
use sundew_config::load::{Initial, Loader, Options};
use sundew_config::model::{
    EntryPoint, EntryPointIndex, LoadBalancer, Model, Service, ServiceIndex, ServiceKind, Strategy,
};

use super::{cookie, print, servers};
use crate::http1::target::{self, TargetPolicy};
use crate::observe::access_log::{FieldLines, FieldSpan};
use crate::route::{RequestView, RouteMatch, RouteTable};

const AFTER_HELP: &str = "\
Examples:
  sundew explain http://app.example.com/cart --config traefik.yml
  sundew explain http://localhost:8080/ --cookie sid=7ada663d74f94374 --config traefik.yml
  sundew explain http://localhost/ --method POST --header 'X-Api: 2' --from 10.0.0.7 --config t.yml

The URL's port tells the entry point. Exit code: 0 when a router takes the request, 1 when not.";

/// Say which router, service and server a request would go to, and why.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct ExplainArguments {
    /// Such as http://app.example.com:8080/cart?item=1
    #[arg(value_name = "URL")]
    url: String,

    /// The static file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,

    /// Ask the sundew behind this file of `sundew.api.socket`, not the one that the file tells
    #[arg(long, value_name = "FILE")]
    socket: Option<PathBuf>,

    /// A Cookie field, such as `sid=1; theme=dark`
    #[arg(long, value_name = "COOKIES")]
    cookie: Option<String>,

    /// A field, such as `X-Api: 2`; may be repeated
    #[arg(long, value_name = "FIELD", value_parser = field)]
    header: Vec<(String, String)>,

    #[arg(long, value_name = "METHOD", default_value = "GET")]
    method: String,

    /// Where the connection comes from
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    from: IpAddr,

    /// Judge as `sundew run --lenient` does
    #[arg(long)]
    lenient: bool,

    /// For programs
    #[arg(long)]
    json: bool,
}

fn field(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write `Name: value`")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// Answers the question.
pub(super) fn explain(arguments: &ExplainArguments) -> ExitCode {
    let options = Options { lenient: arguments.lenient };
    let initial = match Loader::open(&arguments.config, options) {
        Ok((_, initial)) => initial,
        Err(diagnostics) => {
            print(&diagnostics);
            return ExitCode::FAILURE;
        }
    };
    let mut found = match find(&initial, arguments) {
        Ok(found) => found,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::FAILURE;
        }
    };
    if let Some(service) = found.get("service").and_then(Value::as_str) {
        let config = Some(arguments.config.clone()).filter(|_| arguments.socket.is_none());
        let running = servers::of_service(arguments.socket.clone(), config, service);
        found["running"] = running.unwrap_or(Value::Null);
    }
    let text = if arguments.json { format!("{found:#}") } else { in_words(&found) };
    // Whoever closed standard output still gets the exit code.
    let _ = writeln!(std::io::stdout(), "{text}");
    if found["router"].is_null() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The answer for programs, but for what is running.
fn find(initial: &Initial, asked: &ExplainArguments) -> Result<Value, String> {
    let (host, port, target) = parts(&asked.url)?;
    let points = &initial.statics.entry_points;
    let listens = |it: &EntryPoint| it.address.port == port;
    let Some((index, point)) = (0_u16..).zip(points).find(|(_, it)| listens(it)) else {
        let all: Vec<String> =
            points.iter().map(|it| format!("{} (:{})", it.name, it.address.port)).collect();
        return Err(format!(
            "no entry point listens on port {port}; there are: {}",
            all.join(", ")
        ));
    };
    let policy = TargetPolicy {
        sanitize_path: point.sanitize_path,
        encode_query_semicolons: point.encode_query_semicolons,
    };
    let (mut text, mut scratch) = (Vec::new(), Vec::new());
    let target = target::parse(asked.method.as_bytes(), target.as_bytes(), policy, &mut text)
        .map_err(|why| format!("such a request is answered 400: {why:?}"))?;
    let (bytes, spans) = head(asked);
    let believed = &point.forwarded_headers;
    let view = RequestView {
        method: asked.method.as_bytes(),
        host: host.as_bytes(),
        path: target::routing_path(target.path(), &mut scratch),
        query: target.query().unwrap_or_default(),
        fields: FieldLines { bytes: &bytes, spans: &spans },
        client: asked.from,
        is_trusted: believed.insecure
            || believed.trusted_ips.iter().any(|it| it.contains(&asked.from)),
    };
    let ping = initial.statics.ping.as_ref().and_then(|it| it.entry_point);
    let entry = EntryPointIndex(index);
    let table = RouteTable::new(&initial.model, entry, ping == Some(entry));
    let mut matching = table.all(&view);
    let first = matching.next();
    let others: Vec<Value> = matching.map(|it| router(&initial.model, it)).collect();
    let mut found = json!({
        "entryPoint": point.name,
        "path": String::from_utf8_lossy(view.path),
        "router": first.map(|it| router(&initial.model, it)),
        "alsoMatching": others,
    });
    if let Some(RouteMatch {
        target: sundew_config::model::RouterTarget::Service(service), ..
    }) = first
    {
        decide(&initial.model, service, asked, target.query(), &mut found);
    }
    Ok(found)
}

/// Host with port, port, and what stands behind.
fn parts(url: &str) -> Result<(&str, u16, &str), String> {
    let (default, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
        (Some(rest), _) => (80, rest),
        (_, Some(rest)) => (443, rest),
        _ => return Err(format!("`{url}` does not start with http:// or https://")),
    };
    let (host, target) = match rest.find(['/', '?']) {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let behind = host.rsplit_once(']').map_or(host, |(_, behind)| behind);
    let port = match behind.rsplit_once(':') {
        Some((_, port)) => port.parse().map_err(|_| format!("`{port}` is not a port"))?,
        None => default,
    };
    Ok((host, port, if target.starts_with('/') { target } else { "/" }))
}

/// The fields as they would arrive, and where they are.
fn head(asked: &ExplainArguments) -> (Vec<u8>, Vec<FieldSpan>) {
    let cookie = asked.cookie.iter().map(|it| ("Cookie", it.as_str()));
    let written = asked.header.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let (mut bytes, mut spans) = (Vec::new(), Vec::new());
    // An argument of the command line is never as long as a u32 counts.
    let place = |bytes: &Vec<u8>| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    for (name, value) in cookie.chain(written) {
        let name_start = place(&bytes);
        bytes.extend_from_slice(name.as_bytes());
        let name_end = place(&bytes);
        bytes.extend_from_slice(b": ");
        let value_start = place(&bytes);
        bytes.extend_from_slice(value.as_bytes());
        spans.push(FieldSpan { name_start, name_end, value_start, value_end: place(&bytes) });
        bytes.extend_from_slice(b"\r\n");
    }
    (bytes, spans)
}

fn router(model: &Model, found: RouteMatch) -> Value {
    let position = found.router.and_then(|it| usize::try_from(it).ok());
    match position.and_then(|it| model.routers.get(it)) {
        Some(router) => json!({
            "name": router.name,
            "rule": router.rule_text,
            "priority": router.priority,
            "service": router.service_text,
        }),
        None => json!({"name": "ping@internal", "rule": "PathPrefix(`/ping`)"}),
    }
}

/// Follows the request from service to service: `path` of services, `service`, `server` and `why`.
fn decide(
    model: &Model,
    mut index: ServiceIndex,
    asked: &ExplainArguments,
    query: Option<&[u8]>,
    found: &mut Value,
) {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut through = Vec::new();
    let at =
        |index: ServiceIndex| usize::try_from(index.0).ok().and_then(|it| model.services.get(it));
    while let Some(service) = at(index) {
        through.push(service.name.as_str());
        let pin = pinned(service, asked, now_s);
        let next = match &service.kind {
            ServiceKind::LoadBalancer(balancer) => {
                found["service"] = json!(service.name);
                found["server"] = json!(pin.as_ref().map(|it| it.0.as_str()));
                found["why"] = json!(why(balancer, pin, asked, query));
                break;
            }
            ServiceKind::Weighted(weighted) => {
                let child = |(name, _): &(String, String)| {
                    weighted.children.iter().find(|it| it.name == *name)
                };
                let only = weighted.children.first().filter(|_| weighted.children.len() == 1);
                pin.as_ref().and_then(child).or(only).map(|it| it.service)
            }
            ServiceKind::Mirroring(it) => Some(it.service),
            ServiceKind::Failover(it) => Some(it.service),
            ServiceKind::HighestRandomWeight(_) => None,
        };
        let Some(next) = next else {
            let by = match &service.kind {
                ServiceKind::Weighted(_) => "its weights choose",
                _ => "a hash of the client's address chooses",
            };
            found["why"] = json!(format!("`{}`: {by} a service", service.name));
            break;
        };
        index = next;
    }
    found["through"] = json!(through);
}

/// The server or child that a cookie pins to, and in which words.
fn pinned(service: &Service, asked: &ExplainArguments, now_s: u64) -> Option<(String, String)> {
    let sent = asked.header.iter().filter(|(name, _)| name.eq_ignore_ascii_case("cookie"));
    let sent = sent.map(|(_, value)| value.as_str()).chain(asked.cookie.as_deref());
    let mut pairs =
        sent.flat_map(|it| it.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find_map(|(name, value)| cookie::pin(service, name, value.as_bytes(), now_s))
}

fn why(
    balancer: &LoadBalancer,
    pin: Option<(String, String)>,
    asked: &ExplainArguments,
    query: Option<&[u8]>,
) -> String {
    if let Some((_, words)) = pin {
        return words;
    }
    let rules = &balancer.sticky_rules;
    let is_sent = |name: &&String| asked.header.iter().any(|it| it.0.eq_ignore_ascii_case(name));
    if let Some(name) = rules.header.as_ref().filter(is_sent) {
        return format!("a hash of the field `{name}` chooses");
    }
    let query = String::from_utf8_lossy(query.unwrap_or_default()).into_owned();
    let is_asked = |name: &&String| {
        query.split('&').any(|it| it.split_once('=').is_some_and(|pair| pair.0 == **name))
    };
    if let Some(name) = rules.query.as_ref().filter(is_asked) {
        return format!("a hash of the parameter `{name}` chooses");
    }
    let strategy = match balancer.strategy {
        Strategy::Wrr => "wrr",
        Strategy::P2c => "p2c",
        Strategy::Hrw => "hrw (a hash of the client's address)",
        Strategy::LeastTime => "leasttime",
    };
    let pins = if balancer.sticky.is_some() { "no pin: " } else { "" };
    let servers: Vec<&str> = balancer.servers.iter().map(|it| it.url.as_str()).collect();
    match servers.as_slice() {
        [] => "it has no server: 503".to_owned(),
        [only] => format!("{pins}{only} is its only server"),
        several => format!("{pins}{strategy} chooses among {}", several.join(", ")),
    }
}

fn in_words(found: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let router = |it: &Value| {
        format!("{} (priority {}): {}", text(&it["name"]), it["priority"], text(&it["rule"]))
    };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut lines = vec![
        format!("entry point  {}", text(&found["entryPoint"])),
        format!("path         {}", text(&found["path"])),
    ];
    if found["router"].is_null() {
        lines.push("router       none: 404".to_owned());
        return lines.join("\n");
    }
    lines.push(format!("router       {}", router(&found["router"])));
    lines.extend(
        list(&found["alsoMatching"]).iter().map(|it| format!("  not        {}", router(it))),
    );
    let through: Vec<String> = list(&found["through"]).iter().map(text).collect();
    if !through.is_empty() {
        lines.push(format!("service      {}", through.join(" → ")));
    }
    if let Some(server) = found["server"].as_str() {
        lines.push(format!("server       {server}"));
    }
    if let Some(why) = found["why"].as_str() {
        lines.push(format!("why          {why}"));
    }
    for it in list(&found["running"]) {
        let (state, health) = (text(&it["state"]), text(&it["health"]));
        lines.push(format!("running      {} {state}, {health}", text(&it["id"])));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests;
