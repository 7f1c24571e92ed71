//! Which of many routers can take a request at all: by host and path, so that the cost of a
//! request does not grow with the number of routers. Decides nothing: `table` asks the rule of
//! every candidate, in order.

use std::collections::HashMap;

use ahash::RandomState;

use super::rule::Compiled;

/// Position of a route in the order in which routes are asked.
pub(super) type Rank = u32;

/// Ranks in ascending order.
type Ranks = Vec<Rank>;

/// Keys are the operator's and the hash is keyed: clients cannot make lookups slow.
type ByBytes<V> = HashMap<Box<[u8]>, V, RandomState>;

/// Hosts above this length are not looked up; those of the DNS have 253 bytes at most.
const HOST_BYTES_MAX: usize = 256;

/// Alternatives that a conjunction may be multiplied out to.
const KEYS_MAX: usize = 64;

/// Candidates by host, then by path.
#[derive(Debug, Default)]
pub(super) struct Index {
    hosts: ByBytes<PathIndex>,
    /// By what stands behind the first label, its dot included.
    below: ByBytes<PathIndex>,
    anywhere: PathIndex,
}

#[derive(Debug, Default)]
struct PathIndex {
    /// Whatever the path.
    any: Ranks,
    exact: ByBytes<Ranks>,
    prefixes: Prefixes,
}

/// Prefixes in ascending order. Those that a path starts with are the greatest one that is not
/// above the path, as far as the path starts with it, and its ancestors.
#[derive(Debug, Default)]
struct Prefixes(Vec<Prefix>);

#[derive(Debug)]
struct Prefix {
    text: Box<[u8]>,
    /// The longest other prefix that this one starts with.
    parent: Option<u32>,
    ranks: Ranks,
}

/// What a request must have for a rule to match; `None` where the rule does not care.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Key {
    host: Option<HostKey>,
    path: Option<PathKey>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum HostKey {
    Is(Box<[u8]>),
    Below(Box<[u8]>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum PathKey {
    Is(Box<[u8]>),
    StartsWith(Box<[u8]>),
}

impl Index {
    /// `rules` in the order in which they are asked.
    pub(super) fn new<'a>(rules: impl Iterator<Item = &'a Compiled>) -> Self {
        let mut index = Self::default();
        for (rank, rule) in (0..).zip(rules) {
            for key in keys_of(rule) {
                index.insert(key, rank);
            }
        }
        let Self { hosts, below, anywhere } = &mut index;
        for paths in hosts.values_mut().chain(below.values_mut()).chain([anywhere]) {
            paths.prefixes.link();
        }
        index
    }

    fn insert(&mut self, Key { host, path }: Key, rank: Rank) {
        let paths = match host {
            Some(HostKey::Is(host)) => self.hosts.entry(host).or_default(),
            Some(HostKey::Below(below)) => self.below.entry(below).or_default(),
            None => &mut self.anywhere,
        };
        let ranks = match path {
            Some(PathKey::Is(path)) => paths.exact.entry(path).or_default(),
            Some(PathKey::StartsWith(prefix)) => paths.prefixes.of(prefix),
            None => &mut paths.any,
        };
        if ranks.last() != Some(&rank) {
            ranks.push(rank);
        }
    }

    /// The least rank for which `matches` says yes. `host` in any case, bare; never allocates.
    pub(super) fn first(
        &self,
        host: &[u8],
        path: &[u8],
        mut matches: impl FnMut(Rank) -> bool,
    ) -> Option<Rank> {
        let mut found = None;
        let mut lower = [0; HOST_BYTES_MAX];
        if let Some(lower) = lower.get_mut(..host.len()) {
            lower.copy_from_slice(host);
            lower.make_ascii_lowercase();
            if let Some(paths) = self.hosts.get(&*lower) {
                paths.lower(path, &mut found, &mut matches);
            }
            let dot = lower.iter().position(|&byte| byte == b'.');
            let below = dot.and_then(|dot| self.below.get(lower.get(dot..)?));
            if let Some(paths) = below {
                paths.lower(path, &mut found, &mut matches);
            }
        }
        self.anywhere.lower(path, &mut found, &mut matches);
        found
    }
}

impl PathIndex {
    /// Lowers `found` to the least rank that matches.
    fn lower(&self, path: &[u8], found: &mut Option<Rank>, matches: &mut impl FnMut(Rank) -> bool) {
        lower(&self.any, found, matches);
        if let Some(ranks) = self.exact.get(path) {
            lower(ranks, found, matches);
        }
        self.prefixes.each(path, |ranks| lower(ranks, found, matches));
    }
}

fn lower(ranks: &[Rank], found: &mut Option<Rank>, matches: &mut impl FnMut(Rank) -> bool) {
    let is_better = |rank: &Rank| found.is_none_or(|found| *rank < found);
    let better = ranks.iter().copied().take_while(is_better).find(|rank| matches(*rank));
    *found = better.or(*found);
}

impl Prefixes {
    /// The ranks of `prefix`, new or known.
    fn of(&mut self, prefix: Box<[u8]>) -> &mut Ranks {
        let at = match self.0.binary_search_by(|it| it.text.cmp(&prefix)) {
            Ok(at) => at,
            Err(at) => {
                self.0.insert(at, Prefix { text: prefix, parent: None, ranks: Vec::new() });
                at
            }
        };
        // It was found or inserted there.
        #[expect(clippy::indexing_slicing, reason = "a position from the search above")]
        &mut self.0[at].ranks
    }

    /// Finds everybody's parent, once all are there.
    fn link(&mut self) {
        let mut ancestors: Vec<(u32, Box<[u8]>)> = Vec::new();
        for (at, prefix) in (0..).zip(&mut self.0) {
            while ancestors.pop_if(|(_, above)| !prefix.text.starts_with(above)).is_some() {}
            prefix.parent = ancestors.last().map(|(parent, _)| *parent);
            ancestors.push((at, prefix.text.clone()));
        }
    }

    /// Calls `visit` for every prefix that `path` starts with, the longest first.
    fn each(&self, path: &[u8], mut visit: impl FnMut(&[Rank])) {
        let behind = self.0.partition_point(|prefix| &*prefix.text <= path);
        let mut at = behind.checked_sub(1);
        while let Some(prefix) = at.and_then(|at| self.0.get(at)) {
            if path.starts_with(&prefix.text) {
                visit(&prefix.ranks);
            }
            at = prefix.parent.map(|parent| parent as usize);
        }
    }
}

/// Keys of which a matching request has at least one. A single empty key is no help, but true.
fn keys_of(rule: &Compiled) -> Vec<Key> {
    match rule {
        Compiled::All(parts) => parts.iter().fold(vec![Key::default()], |keys, part| {
            let more = keys_of(part);
            if keys.len().saturating_mul(more.len()) > KEYS_MAX {
                // Either is true by itself.
                return if is_of_use(&more) && !is_of_use(&keys) { more } else { keys };
            }
            keys.iter().flat_map(|key| more.iter().map(|other| key.with(other))).collect()
        }),
        Compiled::Any(parts) => parts.iter().flat_map(keys_of).collect(),
        Compiled::Host(host) if host.len() <= HOST_BYTES_MAX => {
            vec![Key { host: Some(HostKey::Is(host.clone())), path: None }]
        }
        Compiled::HostBelow(below) if below.len() <= HOST_BYTES_MAX => {
            let below = below.to_ascii_lowercase().into();
            vec![Key { host: Some(HostKey::Below(below)), path: None }]
        }
        Compiled::Path(path) => vec![Key { host: None, path: Some(PathKey::Is(path.clone())) }],
        // Every path starts with a slash.
        Compiled::PathPrefix(prefix) if prefix.len() > 1 => {
            vec![Key { host: None, path: Some(PathKey::StartsWith(prefix.clone())) }]
        }
        _ => vec![Key::default()],
    }
}

fn is_of_use(keys: &[Key]) -> bool {
    !keys.contains(&Key::default())
}

impl Key {
    /// Both hold; of two hosts or two paths the narrower one is kept.
    fn with(&self, other: &Self) -> Self {
        let host = match (&self.host, &other.host) {
            (Some(HostKey::Below(_)) | None, Some(host)) => Some(host.clone()),
            (host, _) => host.clone(),
        };
        let path = match (&self.path, &other.path) {
            (None, path) | (Some(PathKey::StartsWith(_)), path @ Some(PathKey::Is(_))) => {
                path.clone()
            }
            (Some(PathKey::StartsWith(short)), path @ Some(PathKey::StartsWith(long)))
                if long.len() > short.len() =>
            {
                path.clone()
            }
            (path, _) => path.clone(),
        };
        Self { host, path }
    }
}

#[cfg(test)]
mod tests;
