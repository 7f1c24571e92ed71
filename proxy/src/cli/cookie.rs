//! `sundew cookie`: what the value of a sticky cookie means, and values to test with; both from the
//! configuration's files, without a running sundew.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use rustix::rand::{GetRandomFlags, getrandom};
use serde_json::{Value, json};
use sundew_config::load::{self, Options};
use sundew_config::model::{Model, Service, ServiceKind, StickyCookie};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::print;
use crate::observe::outcome::StickyOutcome;
use crate::sticky::{
    Level, Member, NONCE_BYTES, Opened, Seal, SealedPin, StickyTable, current_value,
};

const AFTER_HELP: &str = "\
Examples:
  sundew cookie explain 7ada663d74f94374 --config traefik.yml
  sundew cookie make app http://10.0.1.10:8080 --config traefik.yml
  curl -b \"$(sundew cookie make app http://10.0.1.10:8080 --config traefik.yml)\" http://localhost/

Exit code of `explain`: 0 when some service takes the value, 1 when none does.";

/// Say what the value of a sticky cookie means, or make one.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct CookieArguments {
    #[command(subcommand)]
    verb: CookieVerb,
}

#[derive(Debug, Subcommand)]
enum CookieVerb {
    /// Which service and server a value means, in which format, and how old it is
    Explain {
        /// The value, without its name
        #[arg(value_name = "VALUE", allow_hyphen_values = true)]
        value: String,
        #[command(flatten)]
        source: SourceArguments,
    },
    /// Print a cookie, as `name=value`, that pins to a server
    Make {
        /// The service, such as `app`
        #[arg(value_name = "SERVICE")]
        service: String,
        /// URL of the server as written in the file, or its `id`; of a weighted service, the name of
        /// a child
        #[arg(value_name = "SERVER")]
        server: String,
        #[command(flatten)]
        source: SourceArguments,
    },
}

#[derive(Debug, Args)]
struct SourceArguments {
    /// A static file with all that it refers to, or a dynamic file alone
    #[arg(long, value_name = "FILE")]
    config: PathBuf,

    /// Judge as `sundew run --lenient` does
    #[arg(long)]
    lenient: bool,

    /// For programs
    #[arg(long)]
    json: bool,
}

/// Answers the question.
pub(super) fn cookie(arguments: &CookieArguments) -> ExitCode {
    let (CookieVerb::Explain { source, .. } | CookieVerb::Make { source, .. }) = &arguments.verb;
    let model = match load::model(&source.config, Options { lenient: source.lenient }) {
        Ok(model) => model,
        Err(diagnostics) => {
            print(&diagnostics);
            return ExitCode::FAILURE;
        }
    };
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (text, is_fine) = match &arguments.verb {
        CookieVerb::Explain { value, .. } => {
            let found = explain(&model, value.as_bytes(), now_s);
            let is_fine = found.iter().any(|it| it.is_taken);
            (if source.json { in_json(&found) } else { in_words(&found, now_s) }, is_fine)
        }
        CookieVerb::Make { service, server, .. } => match make(&model, service, server, now_s) {
            Ok(made) if source.json => (made.to_string(), true),
            Ok(made) => {
                let part = |key| made.get(key).and_then(Value::as_str).unwrap_or_default();
                (format!("{}={}", part("name"), part("value")), true)
            }
            Err(problem) => {
                eprintln!("{problem}");
                return ExitCode::FAILURE;
            }
        },
    };
    // Whoever closed standard output still gets the exit code.
    let _ = writeln!(std::io::stdout(), "{text}");
    if is_fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What a value means to one service.
#[derive(Debug)]
struct Explanation<'m> {
    service: &'m str,
    cookie: &'m str,
    format: &'static str,
    /// `None`: it left the configuration.
    server: Option<&'m str>,
    /// The service honours it now.
    is_taken: bool,
    /// The word in the access log, while the server is up.
    status: &'static str,
    /// What the value says, and which of how many keys opened it.
    sealed: Option<(SealedPin, usize, usize)>,
}

/// The stickiness of a service.
struct Sticky<'m> {
    cookie: &'m StickyCookie,
    /// As pins name them, and as the file does.
    members: Vec<(Member<'m>, &'m str)>,
    table: StickyTable,
}

impl<'m> Sticky<'m> {
    fn new(service: &'m Service) -> Option<Self> {
        let (cookie, members, level): (_, Vec<_>, _) = match &service.kind {
            ServiceKind::LoadBalancer(it) => {
                let servers = it.servers.iter().map(|server| {
                    let former_name = server.id.as_ref().map(|_| server.url.as_str());
                    (Member { name: server.pin_name(), former_name }, server.url.as_str())
                });
                (it.sticky.as_ref()?, servers.collect(), Level::Server)
            }
            ServiceKind::Weighted(it) => {
                let children = it.children.iter().map(|child| child.name.as_str());
                let children = children.map(|name| (Member::from(name), name));
                (it.sticky.as_ref()?, children.collect(), Level::Service)
            }
            ServiceKind::HighestRandomWeight(_)
            | ServiceKind::Mirroring(_)
            | ServiceKind::Failover(_) => return None,
        };
        let named = members.iter().map(|(member, _)| *member);
        let table = StickyTable::new(cookie, named, level).with_seal(cookie, &service.name);
        Some(Self { cookie, members, table })
    }
}

/// One for each service to which `value` means something.
fn explain<'m>(model: &'m Model, value: &[u8], now_s: u64) -> Vec<Explanation<'m>> {
    model.services.iter().filter_map(|service| explain_in(service, value, now_s)).collect()
}

fn explain_in<'m>(service: &'m Service, value: &[u8], now_s: u64) -> Option<Explanation<'m>> {
    let Sticky { cookie, members, table } = Sticky::new(service)?;
    let opened = cookie.sealing.as_ref().and_then(|sealing| {
        let Opened { pin, key } = Seal::new(sealing, &service.name).open(value)?;
        Some((pin, key + 1, sealing.keys.len()))
    });
    let hashed = table.find(value);
    let format = match (opened, hashed) {
        (Some(_), _) => "sealed",
        (None, Some(found)) if found.is_current_format => "hash",
        (None, Some(_)) => "older hash",
        (None, None) => return None,
    };
    let reading = table.read(value, now_s);
    let status = match reading {
        Ok(reading) if reading.found.is_current_format => StickyOutcome::Pinned,
        Ok(_) => StickyOutcome::Rewritten,
        Err(reason) => reason,
    };
    // A value that has expired names its server all the same.
    let named = match opened {
        Some((pin, ..)) => members.iter().rposition(|(it, _)| spells(it.name, pin.server)),
        None => hashed.map(|it| usize::from(it.member)),
    };
    Some(Explanation {
        service: &service.name,
        cookie: &cookie.name,
        format,
        server: named.and_then(|it| members.get(it)).map(|(_, written)| *written),
        is_taken: reading.is_ok(),
        status: status.as_str(),
        sealed: opened,
    })
}

/// The server or child that a cookie of this name and value pins to, and why it is taken; `None`
/// when it pins to nothing that is there.
pub(super) fn pin(
    service: &Service,
    name: &str,
    value: &[u8],
    now_s: u64,
) -> Option<(String, String)> {
    let found = explain_in(service, value, now_s)?;
    let cookie = Sticky::new(service)?.cookie;
    let is_named = cookie.name == name || cookie.previous_names.iter().any(|it| it == name);
    let server = found.server.filter(|_| is_named && found.is_taken)?;
    let why = format!("{} by the cookie `{name}` ({})", found.status, found.format);
    Some((server.to_owned(), why))
}

/// Whether the hash value of a member spells this number.
fn spells(member: &str, number: u64) -> bool {
    format!("{number:016x}").as_bytes() == current_value(member)
}

fn in_words(found: &[Explanation<'_>], now_s: u64) -> String {
    if found.is_empty() {
        return "no sticky service of this configuration knows the value".to_owned();
    }
    let lines = found.iter().map(|it| {
        let server = it.server.unwrap_or("a server that is not there any more");
        let mut line = format!("{}: {server}; {}, {}", it.service, it.status, it.format);
        if let Some((pin, key, keys)) = it.sealed {
            let (issued, used) = (moment(pin.issued_s), moment(pin.used_s));
            let (since, last) = (age(pin.issued_s, now_s), age(pin.used_s, now_s));
            line.push_str(&format!(
                " with key {key} of {keys}; issued {issued} ({since}), used {used} ({last})"
            ));
        }
        line.push_str(&format!("; cookie {}", it.cookie));
        line
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn in_json(found: &[Explanation<'_>]) -> String {
    let all = found.iter().map(|it| {
        let sealed = it.sealed.map(|(pin, key, keys)| {
            let (issued, used) = (moment(pin.issued_s), moment(pin.used_s));
            json!({"key": key, "keys": keys, "issued": issued, "used": used})
        });
        json!({
            "service": it.service,
            "cookie": it.cookie,
            "server": it.server,
            "format": it.format,
            "status": it.status,
            "taken": it.is_taken,
            "sealed": sealed,
        })
    });
    Value::Array(all.collect()).to_string()
}

fn moment(second: u32) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(i64::from(second)).ok();
    // Four bytes of seconds end in 2106, which both can write.
    moment.and_then(|it| it.format(&Rfc3339).ok()).unwrap_or_default()
}

/// The two largest units of the time since `then_s`.
fn age(then_s: u32, now_s: u64) -> String {
    let Some(age_s) = now_s.checked_sub(u64::from(then_s)) else {
        return "in the future".to_owned();
    };
    let (days, hours) = (age_s / 86_400, age_s / 3600 % 24);
    let (minutes, seconds) = (age_s / 60 % 60, age_s % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s ago"),
        (0, 0, _) => format!("{minutes} min {seconds} s ago"),
        (0, ..) => format!("{hours} h {minutes} min ago"),
        _ => format!("{days} d {hours} h ago"),
    }
}

/// A cookie that pins to `server` from now on.
fn make(model: &Model, service: &str, server: &str, now_s: u64) -> Result<Value, String> {
    let is_named = |it: &&Service| it.name == service || it.name == format!("{service}@file");
    let Some(service) = model.services.iter().find(is_named) else {
        let names: Vec<&str> = model.services.iter().map(|it| it.name.as_str()).collect();
        return Err(format!("there is no service `{service}`; there are: {}", names.join(", ")));
    };
    let Some(Sticky { cookie, members, table }) = Sticky::new(service) else {
        return Err(format!("`{}` is not sticky", service.name));
    };
    let is_asked = |(it, written): &(Member<'_>, &str)| it.name == server || *written == server;
    let asked = (0_u16..).zip(&members).filter(|(_, it)| is_asked(it)).last();
    let Some((position, (member, _))) = asked else {
        let names: Vec<&str> = members.iter().map(|(_, written)| *written).collect();
        let names = names.join(", ");
        return Err(format!("`{}` has no server `{server}`; it has: {names}", service.name));
    };
    let value = if table.is_sealed() {
        let mut nonce = [0; NONCE_BYTES];
        let is_random = getrandom(&mut nonce, GetRandomFlags::empty()) == Ok(NONCE_BYTES);
        let value = is_random.then(|| table.seal(position, None, now_s, nonce)).flatten();
        value.ok_or("the kernel gave no random bytes")?.to_vec()
    } else {
        current_value(member.name).to_vec()
    };
    Ok(json!({
        "service": service.name,
        "server": server,
        "name": cookie.name,
        "value": String::from_utf8_lossy(&value),
        "format": if table.is_sealed() { "sealed" } else { "hash" },
    }))
}

#[cfg(test)]
mod tests;
