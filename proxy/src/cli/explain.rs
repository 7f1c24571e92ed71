//! `sundew explain`: which router, service and server a request would come to, and why. Decides with
//! the code that serves requests, on the configuration's files, without a running sundew; so every
//! server counts as up, and none has anything to do.

#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use serde_json::{Value, json};
use sundew_config::load::{Initial, Loader, Options, StaticFlag};
use sundew_config::model::{EntryPoint, EntryPointIndex, Model, RouterTarget, ServiceIndex};

use super::{print, static_source};
use crate::cluster::{Build, Pick, PickError, PinSources, Tables, Trail};
use crate::http1::head::{HeadLimits, Progress, RequestHead, parse_request};
use crate::http1::target::{self, TargetPolicy};
use crate::observe::access_log::FieldLines;
use crate::observe::outcome::StickyOutcome;
use crate::route::RequestView;

const AFTER_HELP: &str = "\
Examples:
  sundew explain http://app.example.com/cart --config traefik.yml
  sundew explain http://app.example.com/ --cookie srv_id=7ada663d74f94374 --json
  sundew explain http://app.example.com/ --header 'X-Client-Id: 7' --method POST --from 10.0.0.9

Every server counts as up. Exit code: 0 when a server takes the request, 1 when none does.";

/// Say which router, service and server a request would come to, and why
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct ExplainArguments {
    /// What a client asks for, such as http://app.example.com/cart?id=7
    #[arg(value_name = "URL")]
    url: String,

    /// A cookie that the client sends, as name=value; may be repeated
    #[arg(long, value_name = "COOKIE")]
    cookie: Vec<String>,

    /// A field that the client sends, as 'Name: value'; may be repeated
    #[arg(long, value_name = "FIELD")]
    header: Vec<String>,

    /// The request's method
    #[arg(long, value_name = "METHOD", default_value = "GET")]
    method: String,

    /// The client's address
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    from: IpAddr,

    /// The entry point; without it those with the URL's port, or else all, in their order
    #[arg(long, value_name = "NAME")]
    entry_point: Option<String>,

    /// The static file; without one, what `sundew run` would read
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Judge as `sundew run --lenient` does
    #[arg(long)]
    lenient: bool,

    /// For programs
    #[arg(long)]
    json: bool,
}

/// Answers the question.
pub(super) fn explain(arguments: &ExplainArguments, flags: Vec<StaticFlag>) -> ExitCode {
    let (source, warnings) = match static_source(arguments.config.clone(), flags) {
        Ok(chosen) => chosen,
        Err(code) => return code,
    };
    print(&warnings);
    let initial = match Loader::open_source(source, Options { lenient: arguments.lenient }) {
        Ok((_, initial)) => initial,
        Err(diagnostics) => {
            print(&diagnostics);
            return ExitCode::FAILURE;
        }
    };
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    match answer(initial, arguments, now_s) {
        Ok((answer, is_served)) => {
            let text = if arguments.json { format!("{answer:#}") } else { in_words(&answer) };
            // Whoever closed standard output still gets the exit code.
            let _ = writeln!(std::io::stdout(), "{text}");
            if is_served { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::from(2)
        }
    }
}

/// The parts of a URL that matter here.
struct Asked {
    authority: String,
    port: u16,
    target: String,
}

impl Asked {
    fn new(url: &str) -> Option<Self> {
        let (rest, default_port) = match url.split_once("://")? {
            ("http" | "ws", rest) => (rest, 80),
            ("https" | "wss", rest) => (rest, 443),
            _ => return None,
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end)?;
        let target = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        // A colon within brackets is part of an IPv6 address.
        let port = match authority.rsplit_once(':') {
            Some((_, digits)) if !digits.ends_with(']') => digits.parse().ok()?,
            _ => default_port,
        };
        (!authority.is_empty() && !authority.contains('@')).then(|| Self {
            authority: authority.to_owned(),
            port,
            target,
        })
    }
}

/// The head that such a client sends.
fn head_of(asked: &Asked, arguments: &ExplainArguments) -> String {
    let mut text = format!("{} {} HTTP/1.1\r\n", arguments.method, asked.target);
    let has_host = arguments
        .header
        .iter()
        .any(|it| it.split_once(':').is_some_and(|(name, _)| name.eq_ignore_ascii_case("host")));
    if !has_host {
        text.push_str(&format!("Host: {}\r\n", asked.authority));
    }
    for field in &arguments.header {
        text.push_str(&format!("{field}\r\n"));
    }
    if !arguments.cookie.is_empty() {
        text.push_str(&format!("Cookie: {}\r\n", arguments.cookie.join("; ")));
    }
    text.push_str("\r\n");
    text
}

/// The entry points that the request may come in by.
fn entry_points<'a>(
    all: &'a [EntryPoint],
    name: Option<&str>,
    port: u16,
) -> Vec<(u16, &'a EntryPoint)> {
    let numbered = || (0_u16..).zip(all);
    if let Some(name) = name {
        return numbered().filter(|(_, it)| it.name == name).collect();
    }
    let of_port: Vec<_> = numbered().filter(|(_, it)| it.address.port == port).collect();
    if of_port.is_empty() { numbered().collect() } else { of_port }
}

/// What becomes of the request, and whether a server takes it.
fn answer(
    initial: Initial,
    arguments: &ExplainArguments,
    now_s: u64,
) -> Result<(Value, bool), String> {
    let Some(asked) = Asked::new(&arguments.url) else {
        return Err(format!("`{}` is not a URL such as http://app.example.com/", arguments.url));
    };
    let text = head_of(&asked, arguments);
    let limits =
        HeadLimits { bytes_max: usize::MAX, fields_max: usize::MAX, line_bytes_max: usize::MAX };
    let mut head = RequestHead::default();
    match parse_request(text.as_bytes(), &limits, &mut head) {
        // Whatever stands behind it would be a request of its own.
        Ok(Progress::Complete) if head.bytes == text.len() => {}
        _ => return Err("a request like that is refused with 400".to_owned()),
    }
    let Initial { statics, model, .. } = initial;
    let points = entry_points(&statics.entry_points, arguments.entry_point.as_deref(), asked.port);
    if points.is_empty() {
        return Err("there is no such entry point".to_owned());
    }
    let model = Arc::new(model);
    let build = Build {
        model: Arc::clone(&model),
        servers: &[],
        entry_points: statics.entry_points.len(),
        ping: statics.ping.as_ref().and_then(|it| it.entry_point),
        scheduler_offset: 0,
    };
    let tables = Tables::new(&build, None);
    let request = Request { head: &head, bytes: text.as_bytes(), from: arguments.from, now_s };
    let found = points.iter().find_map(|(index, point)| {
        let found = request.decide(&tables, &model, (*index, point))?;
        Some((point.name.as_str(), found))
    });
    let names = || points.iter().map(|(_, it)| it.name.as_str()).collect::<Vec<_>>().join(", ");
    Ok(match found {
        Some((point, (mut answer, is_served))) => {
            note(&mut answer, "entryPoint", json!(point));
            (answer, is_served)
        }
        None => (
            json!({
                "entryPoint": names(),
                "status": 404,
                "why": "no router of the entry point takes it",
            }),
            false,
        ),
    })
}

/// A request that nobody has sent.
struct Request<'a> {
    head: &'a RequestHead,
    bytes: &'a [u8],
    from: IpAddr,
    now_s: u64,
}

impl Request<'_> {
    /// `None` when no router of this entry point takes it.
    fn decide(
        &self,
        tables: &Tables,
        model: &Model,
        (index, point): (u16, &EntryPoint),
    ) -> Option<(Value, bool)> {
        let Self { head, bytes, .. } = *self;
        let policy = TargetPolicy {
            sanitize_path: point.sanitize_path,
            encode_query_semicolons: point.encode_query_semicolons,
        };
        let (mut rewritten, mut decoded) = (Vec::new(), Vec::new());
        let method = head.method.of(bytes);
        let target = target::parse(method, head.target.of(bytes), policy, &mut rewritten).ok()?;
        let host = head.fields.first(bytes, crate::http1::fields::FieldName::Host).unwrap_or(&[]);
        let view = RequestView {
            method,
            host,
            path: target::routing_path(target.path(), &mut decoded),
            query: target.path_and_query.get(target.path().len() + 1..).unwrap_or(&[]),
            fields: FieldLines { bytes, spans: head.fields.spans() },
            client: self.from,
            is_trusted: point.forwarded_headers.is_trusted(self.from),
        };
        let found = tables.routes(usize::from(EntryPointIndex(index).0))?.find(&view)?;
        let router = found.router.and_then(|it| model.routers.get(it as usize));
        let mut answer = json!({
            "router": router.map_or("ping@internal", |it| it.name.as_str()),
            "rule": router.map(|it| it.rule_text.as_str()),
            "priority": router.map(|it| it.priority),
        });
        let is_served = match found.target {
            RouterTarget::Service(root) => {
                let sources = PinSources {
                    bytes,
                    fields: &head.fields,
                    path_and_query: target.path_and_query,
                    asked_s: self.now_s,
                    method,
                };
                self.pick(tables, model, (root, sources), &mut answer)
            }
            RouterTarget::LeftOut => {
                note(&mut answer, "status", json!(404));
                note(&mut answer, "why", json!("its service is wrong and was left out"));
                false
            }
            RouterTarget::Noop => {
                note(&mut answer, "status", json!(418));
                note(&mut answer, "why", json!("it names noop@internal"));
                true
            }
            RouterTarget::Ping => {
                note(&mut answer, "status", json!(200));
                note(&mut answer, "why", json!("sundew answers it itself"));
                true
            }
        };
        Some((answer, is_served))
    }

    /// Adds service, server and why; false when nobody serves.
    fn pick(
        &self,
        tables: &Tables,
        model: &Model,
        (root, sources): (ServiceIndex, PinSources<'_>),
        answer: &mut Value,
    ) -> bool {
        let name = |it: ServiceIndex| model.service(it).map_or("", |it| it.name.as_str());
        note(answer, "service", json!(name(root)));
        let mut trail = Trail::default();
        trail.set_client(self.from);
        let Pick { service, server, outcome } = match tables.pick(root, sources, &mut trail) {
            Ok(pick) => pick,
            Err(error) => {
                let (status, why) = refusal(error);
                note(answer, "status", json!(status));
                note(answer, "why", json!(why));
                return false;
            }
        };
        let url = tables.server(service, server).map_or("", |it| &it.url);
        note(answer, "balancer", json!(name(service)));
        note(answer, "server", json!(url));
        note(answer, "stickyStatus", json!(outcome.as_str()));
        note(answer, "why", json!(reason(outcome)));
        let lines: Vec<u8> = trail.set_cookie_lines(tables).collect::<Vec<_>>().concat();
        let lines = String::from_utf8_lossy(&lines).into_owned();
        let cookies: Vec<&str> =
            lines.lines().filter_map(|line| line.strip_prefix("Set-Cookie: ")).collect();
        note(answer, "setCookie", json!(cookies));
        true
    }
}

/// Adds something to what is known.
fn note(answer: &mut Value, key: &str, value: Value) {
    if let Some(known) = answer.as_object_mut() {
        known.insert(key.to_owned(), value);
    }
}

fn refusal(error: PickError) -> (u16, &'static str) {
    match error {
        PickError::Refused(status) => (status, "its pin cannot be kept, and `strict` moves nobody"),
        PickError::FailoverDown => (503, "neither service of the failover has a server"),
        PickError::NoServer | PickError::Exhausted => (503, "no server takes new clients"),
        PickError::Full(_) => (503, "every server has as many requests as it may"),
    }
}

/// Why it is this server.
fn reason(outcome: StickyOutcome) -> &'static str {
    use StickyOutcome as O;
    match outcome {
        O::None => "nothing pins, so the strategy decides",
        O::New => "it has no pin, so the strategy decides, and it gets one",
        O::Pinned => "its cookie pins to this server",
        O::Rewritten => "its cookie pins to this server, and is sent again in today's form",
        O::Migrated => "its cookie of a previous name pins to this server, and is renamed",
        O::Unknown => "its cookie names no server, so the strategy decides, and it gets a new one",
        O::Gone => "its server left the configuration, so it gets a new pin",
        O::Expired => "its pin is past its time, so it gets a new one",
        O::Forged => "its cookie is not authentic, so it gets a new pin",
        O::Header => "a field of the request pins to this server",
        O::Query => "a query parameter pins to this server",
        O::Down => "its server is down, so it gets a new pin",
        O::Drained => "its server is drained, so it gets a new pin",
        O::Redispatched => "its server refuses, so it gets a new pin",
        O::Rebalanced => "its old pin moves to a new server",
        O::Refused => "it is refused",
    }
}

/// A line for each thing that is known.
fn in_words(answer: &Value) -> String {
    let mut lines = Vec::new();
    for (key, title) in [
        ("entryPoint", "entry point"),
        ("router", "router"),
        ("rule", "rule"),
        ("priority", "priority"),
        ("service", "service"),
        ("balancer", "balancer"),
        ("server", "server"),
        ("status", "status"),
        ("why", "why"),
        ("setCookie", "sets cookie"),
    ] {
        let values = match answer.get(key) {
            None | Some(Value::Null) => continue,
            Some(Value::Array(values)) => values.clone(),
            Some(value) => vec![value.clone()],
        };
        for value in values {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            lines.push(format!("{title}:{:width$}{text}", "", width = 13 - title.len()));
        }
    }
    lines.join("\n")
}
