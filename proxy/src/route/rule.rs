//! A router's rule in the shape that is cheap to evaluate, and what each matcher means for a
//! request. Knows no routers and no priorities; `table` owns both.

use std::borrow::Cow;
use std::net::IpAddr;

use ipnet::IpNet;
use sundew_config::rule::{Matcher, Pattern, Rule};

use super::query;
use super::table::RequestView;
use crate::http1::fields::{FieldName, classify};
use crate::observe::access_log::FieldLines;

/// What rules look at, prepared once per request.
pub(super) struct Subject<'a> {
    pub(super) method: &'a [u8],
    /// Without port and trailing dot, any case.
    pub(super) host: &'a [u8],
    /// The same with its trailing dot, where it came with one.
    pub(super) host_dotted: &'a [u8],
    pub(super) path: &'a [u8],
    /// Behind the `?`, as received.
    pub(super) query: &'a [u8],
    pub(super) fields: FieldLines<'a>,
    /// Of the connection; IPv4 inside IPv6 is written as IPv4.
    pub(super) client: IpAddr,
    /// Whether the peer may say who its client is.
    pub(super) is_trusted: bool,
}

impl<'a> Subject<'a> {
    pub(super) fn new(request: &RequestView<'a>) -> Self {
        Self {
            method: request.method,
            host: bare_host(request.host),
            host_dotted: without_port(request.host),
            path: request.path,
            query: request.query,
            fields: request.fields,
            client: request.client.to_canonical(),
            is_trusted: request.is_trusted,
        }
    }
}

/// One rule.
#[derive(Debug)]
pub(super) enum Compiled {
    All(Box<[Compiled]>),
    Any(Box<[Compiled]>),
    Not(Box<Compiled>),
    /// ``Host(`*`)``: even a request without one.
    AnyHost,
    /// Lower-case.
    Host(Box<[u8]>),
    /// ``Host(`*.x.y`)``: `.x.y`, behind one label.
    HostBelow(Box<[u8]>),
    HostRegexp(Pattern),
    Path(Box<[u8]>),
    PathPrefix(Box<[u8]>),
    PathRegexp(Pattern),
    Method(Box<[u8]>),
    Header {
        name: HeaderName,
        value: Box<[u8]>,
    },
    HeaderRegexp {
        name: HeaderName,
        value: Pattern,
    },
    Query {
        key: Box<[u8]>,
        value: Box<[u8]>,
    },
    QueryRegexp {
        key: Box<[u8]>,
        value: Pattern,
    },
    ClientIp(IpNet),
}

/// A field's name, and whose word it is.
#[derive(Debug)]
pub(super) struct HeaderName {
    /// Lower-case.
    text: Box<[u8]>,
    /// Says who the client is: seen only from a trusted peer, as it is forwarded only from one.
    is_forwarded: bool,
}

impl Compiled {
    pub(super) fn new(rule: &Rule) -> Self {
        match rule {
            Rule::All(parts) => Self::All(parts.iter().map(Self::new).collect()),
            Rule::Any(parts) => Self::Any(parts.iter().map(Self::new).collect()),
            Rule::Not(part) => Self::Not(Box::new(Self::new(part))),
            Rule::Is(matcher) => Self::of(matcher),
        }
    }

    fn of(matcher: &Matcher) -> Self {
        match matcher {
            Matcher::Host(host) if host == "*" => Self::AnyHost,
            Matcher::Host(host) => match host.strip_prefix('*') {
                Some(below) if below.starts_with('.') => {
                    Self::HostBelow(boxed(below.strip_suffix('.').unwrap_or(below)))
                }
                _ => Self::Host(bare_host(host.as_bytes()).to_ascii_lowercase().into()),
            },
            Matcher::HostRegexp(pattern) => Self::HostRegexp(pattern.clone()),
            Matcher::Path(path) => Self::Path(boxed(path)),
            Matcher::PathPrefix(prefix) => Self::PathPrefix(boxed(prefix)),
            Matcher::PathRegexp(pattern) => Self::PathRegexp(pattern.clone()),
            Matcher::Method(method) => Self::Method(boxed(method)),
            Matcher::Header { name, .. } | Matcher::HeaderRegexp { name, .. }
                if is_taken_out(name) =>
            {
                Self::Any(Box::default())
            }
            Matcher::Header { name, value } => {
                Self::Header { name: HeaderName::new(name), value: boxed(value) }
            }
            Matcher::HeaderRegexp { name, value } => {
                Self::HeaderRegexp { name: HeaderName::new(name), value: value.clone() }
            }
            Matcher::Query { key, value } => Self::Query { key: boxed(key), value: boxed(value) },
            Matcher::QueryRegexp { key, value } => {
                Self::QueryRegexp { key: boxed(key), value: value.clone() }
            }
            Matcher::ClientIp(network) => Self::ClientIp(*network),
        }
    }

    pub(super) fn matches(&self, subject: &Subject<'_>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.matches(subject)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(subject)),
            Self::Not(part) => !part.matches(subject),
            Self::AnyHost => true,
            Self::Host(host) => subject.host.eq_ignore_ascii_case(host),
            Self::HostBelow(below) => is_one_label_below(subject.host, below),
            Self::HostRegexp(pattern) => pattern.is_match(&lowered(subject.host_dotted)),
            Self::Path(path) => subject.path == &**path,
            Self::PathPrefix(prefix) => subject.path.starts_with(prefix),
            Self::PathRegexp(pattern) => pattern.is_match(subject.path),
            Self::Method(method) => subject.method == &**method,
            Self::Header { name, value } => name.any(subject, |line| line == &**value),
            Self::HeaderRegexp { name, value } => name.any(subject, |line| value.is_match(line)),
            Self::Query { key, value } => {
                query::values(subject.query, key).any(|it| query::is(it, value))
            }
            Self::QueryRegexp { key, value } => {
                query::values(subject.query, key).any(|it| value.is_match(&query::decoded(it)))
            }
            Self::ClientIp(network) => network.contains(&subject.client),
        }
    }
}

impl HeaderName {
    fn new(text: &str) -> Self {
        let class = classify(text.as_bytes());
        let is_forwarded = class.is_forwarded()
            || matches!(class, FieldName::Forwarded | FieldName::ForwardedAlias);
        Self { text: boxed(text), is_forwarded }
    }

    /// Whether one of its lines is `wanted`.
    fn any(&self, subject: &Subject<'_>, wanted: impl Fn(&[u8]) -> bool) -> bool {
        if self.is_forwarded && !subject.is_trusted {
            return false;
        }
        let mut lines = subject.fields.iter();
        lines.any(|(field, line)| field.eq_ignore_ascii_case(&self.text) && wanted(line))
    }
}

/// Fields that Go's server takes out of a request before its routers see it.
fn is_taken_out(name: &str) -> bool {
    use FieldName as F;
    matches!(classify(name.as_bytes()), F::Host | F::TransferEncoding | F::Trailer)
}

/// Browsers send hosts in lower case: nothing to do, and no allocation.
fn lowered(host: &[u8]) -> Cow<'_, [u8]> {
    if host.iter().any(u8::is_ascii_uppercase) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

/// `below` starts with a dot. The label may be empty, as under Traefik.
fn is_one_label_below(host: &[u8], below: &[u8]) -> bool {
    let Some(label_bytes) = host.len().checked_sub(below.len()) else { return false };
    let Some((label, rest)) = host.split_at_checked(label_bytes) else { return false };
    rest.eq_ignore_ascii_case(below) && !label.contains(&b'.')
}

fn boxed(text: &str) -> Box<[u8]> {
    text.as_bytes().into()
}

/// A host without one trailing dot.
fn bare_host(host: &[u8]) -> &[u8] {
    let host = without_port(host);
    host.strip_suffix(b".").unwrap_or(host)
}

/// A Host field's value without its port and the brackets of an IPv6 literal.
/// Traefik keeps the brackets when no port follows, so that no rule matches both forms; ours does.
fn without_port(host: &[u8]) -> &[u8] {
    if let [b'[', rest @ ..] = host {
        return rest.split(|&byte| byte == b']').next().unwrap_or(rest);
    }
    match host.iter().rposition(|&byte| byte == b':') {
        // More than one colon is an address without brackets: it has no port.
        Some(at) => match host.split_at_checked(at) {
            Some((name, _)) if !name.contains(&b':') => name,
            _ => host,
        },
        None => host,
    }
}
