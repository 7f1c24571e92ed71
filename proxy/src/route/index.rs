//! Which rules of a table can match a request at all, so that a request costs the same with ten
//! routers and with ten thousand. Built by `table`; decides nothing itself: each candidate's whole
//! rule is asked, in the table's order.
//!
//! Every rule is taken apart into keys such that it cannot match unless one of them does: a host
//! and a path that it demands, one key for each alternative of a `||`. A rule that demands neither
//! (a regular expression, a negation, a header alone) has the key that every request has, and is
//! tried by every request.

use std::collections::{BTreeMap, HashMap};

use ahash::RandomState;
use memchr::memchr;

use super::rule::{Compiled, Subject};

/// Longest host that is looked up: the longest name that DNS has. A rule with a longer one is tried
/// by every request.
const HOST_BYTES_MAX: usize = 255;

/// Keys that the alternatives inside an `&&` may multiply to; beyond, some are left out, which
/// makes the rule a candidate more often and never less.
const KEYS_MAX: usize = 1024;

/// Positions of rules in the order in which they are tried, ascending.
type Ranks = Box<[u32]>;

/// Hosts come from clients, so that hashes are keyed: nobody can make them collide.
type Keyed<V> = HashMap<Box<[u8]>, V, RandomState>;

/// Rules by the hosts and paths that they demand.
#[derive(Debug)]
pub(super) struct Index {
    hosts: Keyed<Group>,
    /// By what follows the first label, with its dot.
    hosts_below: Keyed<Group>,
    anywhere: Group,
}

/// Rules that demand the same host, or none.
#[derive(Debug, Default)]
struct Group {
    without_path: Ranks,
    /// Boxed: of ten thousand hosts most have no rule for a path.
    paths: Option<Box<Paths>>,
}

#[derive(Debug)]
struct Paths {
    exact: Keyed<Ranks>,
    /// In order of their text.
    prefixes: Box<[Prefix]>,
}

#[derive(Debug)]
struct Prefix {
    text: Box<[u8]>,
    /// The longest other one that `text` starts with.
    parent: Option<usize>,
    ranks: Ranks,
}

impl Index {
    /// `rules` in the order in which they are tried.
    pub(super) fn new<'r>(rules: impl Iterator<Item = &'r Compiled>) -> Self {
        let mut hosts = BTreeMap::<&[u8], Draft<'_>>::new();
        let mut hosts_below = BTreeMap::<&[u8], Draft<'_>>::new();
        let mut anywhere = Draft::default();
        for (rank, rule) in (0u32..).zip(rules) {
            for key in keys(rule, false) {
                let draft = match key.host {
                    HostKey::Any => &mut anywhere,
                    HostKey::Exact(host) => hosts.entry(host).or_default(),
                    HostKey::Below(below) => hosts_below.entry(below).or_default(),
                };
                let ranks = match key.path {
                    PathKey::Any => &mut draft.without_path,
                    PathKey::Exact(path) => draft.exact.entry(path).or_default(),
                    PathKey::Prefix(prefix) => draft.prefixes.entry(prefix).or_default(),
                };
                if ranks.last() != Some(&rank) {
                    ranks.push(rank);
                }
            }
        }
        let close = |drafts: BTreeMap<&[u8], Draft<'_>>| {
            drafts.into_iter().map(|(host, draft)| (host.into(), draft.close())).collect()
        };
        Self { hosts: close(hosts), hosts_below: close(hosts_below), anywhere: anywhere.close() }
    }

    /// The first rank for which `matches` holds. Never allocates.
    pub(super) fn find(&self, subject: &Subject<'_>, matches: impl Fn(u32) -> bool) -> Option<u32> {
        let mut search = Search { path: subject.path, matches, first: None };
        let mut lowered = [0; HOST_BYTES_MAX];
        if let Some(host) = lower(subject.host, &mut lowered)
            && let Some(group) = self.hosts.get(host)
        {
            search.look_in(group);
        }
        if !self.hosts_below.is_empty()
            && let Some(dot) = memchr(b'.', subject.host)
            && let Some(below) = subject.host.get(dot..)
            && let Some(below) = lower(below, &mut lowered)
            && let Some(group) = self.hosts_below.get(below)
        {
            search.look_in(group);
        }
        search.look_in(&self.anywhere);
        search.first
    }
}

/// Looks through groups for the first rule that matches.
struct Search<'a, F> {
    path: &'a [u8],
    matches: F,
    first: Option<u32>,
}

impl<F: Fn(u32) -> bool> Search<'_, F> {
    fn look_in(&mut self, group: &Group) {
        self.try_in_order(&group.without_path);
        let Some(paths) = &group.paths else { return };
        if !paths.exact.is_empty()
            && let Some(ranks) = paths.exact.get(self.path)
        {
            self.try_in_order(ranks);
        }
        // Whatever stands between a prefix of the path and the path starts with that prefix too, so
        // that all prefixes of the path are the last text not behind it, and its parents.
        let behind = paths.prefixes.partition_point(|it| *it.text <= *self.path);
        let mut next = behind.checked_sub(1);
        let mut is_prefix = false;
        while let Some(prefix) = next.and_then(|at| paths.prefixes.get(at)) {
            is_prefix = is_prefix || self.path.starts_with(&prefix.text);
            if is_prefix {
                self.try_in_order(&prefix.ranks);
            }
            next = prefix.parent;
        }
    }

    fn try_in_order(&mut self, ranks: &[u32]) {
        let first = self.first;
        let better = ranks.iter().copied().take_while(|&it| first.is_none_or(|first| it < first));
        for rank in better {
            if (self.matches)(rank) {
                self.first = Some(rank);
                return;
            }
        }
    }
}

/// `None` when it does not fit.
fn lower<'b>(host: &[u8], out: &'b mut [u8; HOST_BYTES_MAX]) -> Option<&'b [u8]> {
    let out = out.get_mut(..host.len())?;
    for (to, from) in out.iter_mut().zip(host) {
        *to = from.to_ascii_lowercase();
    }
    Some(out)
}

/// A group that still grows.
#[derive(Default)]
struct Draft<'r> {
    without_path: Vec<u32>,
    exact: BTreeMap<&'r [u8], Vec<u32>>,
    prefixes: BTreeMap<&'r [u8], Vec<u32>>,
}

impl Draft<'_> {
    fn close(self) -> Group {
        let without_path = self.without_path.into();
        if self.exact.is_empty() && self.prefixes.is_empty() {
            return Group { without_path, paths: None };
        }
        let exact = self.exact.into_iter().map(|(path, ranks)| (path.into(), ranks.into()));
        let mut prefixes = Vec::<Prefix>::with_capacity(self.prefixes.len());
        for (text, ranks) in self.prefixes {
            let mut parent = prefixes.len().checked_sub(1);
            while let Some(candidate) = parent.and_then(|at| prefixes.get(at))
                && !text.starts_with(&candidate.text)
            {
                parent = candidate.parent;
            }
            prefixes.push(Prefix { text: text.into(), parent, ranks: ranks.into() });
        }
        let paths = Paths { exact: exact.collect(), prefixes: prefixes.into() };
        Group { without_path, paths: Some(Box::new(paths)) }
    }
}

/// What a request must have for a rule to match.
#[derive(Clone, Copy)]
struct Key<'r> {
    host: HostKey<'r>,
    path: PathKey<'r>,
}

#[derive(Clone, Copy)]
enum HostKey<'r> {
    Any,
    Exact(&'r [u8]),
    Below(&'r [u8]),
}

#[derive(Clone, Copy)]
enum PathKey<'r> {
    Any,
    Exact(&'r [u8]),
    Prefix(&'r [u8]),
}

impl<'r> Key<'r> {
    const ANY: Self = Self { host: HostKey::Any, path: PathKey::Any };

    fn is_any(self) -> bool {
        matches!(self, Self { host: HostKey::Any, path: PathKey::Any })
    }

    /// One of two demands that both hold: the rarer.
    fn and(self, other: Self) -> Self {
        let host = match (self.host, other.host) {
            (HostKey::Any, it) | (it, HostKey::Any) => it,
            (HostKey::Below(_), it) => it,
            (it, _) => it,
        };
        let path = match (self.path, other.path) {
            (PathKey::Any, it) | (it, PathKey::Any) => it,
            (PathKey::Prefix(_), it @ PathKey::Exact(_)) => it,
            (PathKey::Prefix(one), PathKey::Prefix(two)) if two.len() > one.len() => other.path,
            (it, _) => it,
        };
        Self { host, path }
    }
}

/// Keys of which at least one holds whenever `rule` (negated: does not) match.
fn keys(rule: &Compiled, is_negated: bool) -> Vec<Key<'_>> {
    match rule {
        Compiled::Not(part) => keys(part, !is_negated),
        Compiled::All(parts) if !is_negated => keys_of_all(parts, is_negated),
        Compiled::Any(parts) if is_negated => keys_of_all(parts, is_negated),
        Compiled::All(parts) | Compiled::Any(parts) => {
            parts.iter().flat_map(|part| keys(part, is_negated)).collect()
        }
        Compiled::Host(host) if !is_negated && host.len() <= HOST_BYTES_MAX => {
            vec![Key { host: HostKey::Exact(host), ..Key::ANY }]
        }
        Compiled::HostBelow(below) if !is_negated && below.len() <= HOST_BYTES_MAX => {
            vec![Key { host: HostKey::Below(below), ..Key::ANY }]
        }
        Compiled::Path(path) if !is_negated => {
            vec![Key { path: PathKey::Exact(path), ..Key::ANY }]
        }
        Compiled::PathPrefix(prefix) if !is_negated => {
            vec![Key { path: PathKey::Prefix(prefix), ..Key::ANY }]
        }
        _ => vec![Key::ANY],
    }
}

fn keys_of_all(parts: &[Compiled], is_negated: bool) -> Vec<Key<'_>> {
    let mut all = vec![Key::ANY];
    for part in parts {
        let more = keys(part, is_negated);
        if all.len().saturating_mul(more.len()) <= KEYS_MAX {
            all = all.iter().flat_map(|one| more.iter().map(|two| one.and(*two))).collect();
        } else if more.len() < all.len() || matches!(all.as_slice(), [only] if only.is_any()) {
            all = more;
        }
    }
    all
}

#[cfg(test)]
mod tests;
