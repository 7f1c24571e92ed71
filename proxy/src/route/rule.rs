//! A router's rule in the shape that is cheap to evaluate, and what each matcher means for a
//! request. Knows no routers and no priorities; `table` owns both.

use sundew_config::rule::{Matcher, Rule};

use crate::observe::access_log::FieldLines;

/// What rules look at, prepared once per request.
pub(super) struct Subject<'a> {
    pub(super) method: &'a [u8],
    /// Without port and trailing dot, any case.
    pub(super) host: &'a [u8],
    pub(super) path: &'a [u8],
    pub(super) fields: FieldLines<'a>,
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
    Path(Box<[u8]>),
    PathPrefix(Box<[u8]>),
    Method(Box<[u8]>),
    Header {
        name: Box<[u8]>,
        value: Box<[u8]>,
    },
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
            Matcher::Path(path) => Self::Path(boxed(path)),
            Matcher::PathPrefix(prefix) => Self::PathPrefix(boxed(prefix)),
            Matcher::Method(method) => Self::Method(boxed(method)),
            Matcher::Header { name, value } => {
                Self::Header { name: boxed(name), value: boxed(value) }
            }
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
            Self::Path(path) => subject.path == &**path,
            Self::PathPrefix(prefix) => subject.path.starts_with(prefix),
            Self::Method(method) => subject.method == &**method,
            Self::Header { name, value } => subject
                .fields
                .iter()
                .any(|(field, line)| line == &**value && field.eq_ignore_ascii_case(name)),
        }
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

/// A Host field's value without its port, the brackets of an IPv6 literal, and one trailing dot.
/// Traefik keeps the brackets when no port follows, so that no rule matches both forms; ours does.
pub(super) fn bare_host(host: &[u8]) -> &[u8] {
    if let [b'[', rest @ ..] = host {
        return rest.split(|&byte| byte == b']').next().unwrap_or(rest);
    }
    let name = match host.iter().rposition(|&byte| byte == b':') {
        // More than one colon is an address without brackets: it has no port.
        Some(at) => match host.split_at_checked(at) {
            Some((name, _)) if !name.contains(&b':') => name,
            _ => host,
        },
        None => host,
    };
    name.strip_suffix(b".").unwrap_or(name)
}
