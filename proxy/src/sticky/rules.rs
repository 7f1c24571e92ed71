//! What a sticky service asks for beyond Traefik, ready for the request path. A service that asks
//! for nothing has none, and its requests never come here. Called by `cluster`.

use sundew_config::model::{CookieCache, StickyCookie, StickyRules, Strict};

use super::key::{Key, KeySources};
use super::table::render_deletion;
use crate::http1::fields::{FieldName, Fields};
use crate::observe::outcome::StickyOutcome;
use crate::sticky::cookie_value;

/// The rules of one sticky service.
#[derive(Debug)]
pub struct Rules {
    /// Refuse rather than move.
    pub strict: Option<Strict>,
    /// Leave a pinned server that refuses the connection.
    pub redispatches: bool,
    /// For responses that set a cookie.
    pub cache: CookieCache,
    keys: KeySources,
    previous_names: Box<[Box<[u8]>]>,
    /// `Set-Cookie` lines: for the cookie itself, then for each previous name.
    deletions: Box<[Box<[u8]>]>,
}

impl Rules {
    /// `None` when the service does as Traefik.
    #[must_use]
    pub fn new(cookie: Option<&StickyCookie>, rules: &StickyRules) -> Option<Self> {
        let previous_names = cookie.map_or(&[][..], |it| &it.previous_names);
        let cache = cookie.map_or(CookieCache::Off, |it| it.cache);
        let is_plain = *rules == StickyRules::default()
            && previous_names.is_empty()
            && cache == CookieCache::Off
            && cookie.is_none_or(|it| it.sealing.is_none());
        if is_plain {
            return None;
        }
        let names = || cookie.iter().map(|it| &it.name).chain(previous_names);
        let deletion = |name: &String| cookie.map(|it| render_deletion(it, name));
        Some(Self {
            strict: rules.strict,
            redispatches: rules.redispatch,
            cache,
            keys: KeySources::new(rules.header.as_deref(), rules.query.as_deref()),
            previous_names: previous_names.iter().map(|it| it.as_bytes().into()).collect(),
            deletions: names().filter_map(deletion).collect(),
        })
    }

    /// Whether a request that was picked by `outcome` stays with its server when that refuses.
    #[must_use]
    pub fn stays(&self, outcome: StickyOutcome) -> bool {
        use StickyOutcome as O;
        match outcome {
            O::Pinned | O::Rewritten | O::Migrated => self.strict.is_some() || !self.redispatches,
            O::Header | O::Query => !self.redispatches,
            _ => false,
        }
    }

    /// Whether requests can be pinned by a value of their own.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The value that pins a request which no cookie pins.
    #[must_use]
    pub fn key<'a>(
        &'a self,
        bytes: &'a [u8],
        fields: &'a Fields,
        path_and_query: &'a [u8],
    ) -> Option<Key<'a>> {
        self.keys.find(bytes, fields, path_and_query)
    }

    /// The values of cookies with previous names, each with the number of its deletion.
    pub fn previous_values<'a>(
        &'a self,
        bytes: &'a [u8],
        fields: &'a Fields,
    ) -> impl Iterator<Item = (u8, &'a [u8])> {
        (1..).zip(&self.previous_names).filter_map(move |(number, name)| {
            Some((number, cookie_value(fields.values(bytes, FieldName::Cookie), name)?))
        })
    }

    /// The whole line that deletes the cookie (0) or the one of a previous name.
    #[must_use]
    pub fn deletion_line(&self, number: u8) -> &[u8] {
        self.deletions.get(usize::from(number)).map_or(&[], |line| line)
    }
}
