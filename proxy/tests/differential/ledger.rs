//! What clients said, what origins saw, and whether the two are the same: the checker. It knows
//! nothing of sockets and nothing of the proxy; `run` fills it and its tests plant findings.

use std::collections::HashMap;

use super::model::Request;

/// A request as an origin reports it, once when its head was read and once when its body was.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) witness: Witness,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) markers: Markers,
    /// Length and digest, from the witness of a whole body.
    pub(crate) body: (u64, String),
    pub(crate) trailers: usize,
}

/// The markers of a request, as far as a witness knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Markers {
    All(Vec<String>),
    /// Of the first line; empty without one.
    First(String),
    /// Reading stopped before them.
    Unknown,
}

impl Default for Markers {
    fn default() -> Self {
        Self::All(Vec::new())
    }
}

impl Markers {
    fn agree(&self, sent: &[String]) -> bool {
        match self {
            Self::All(all) => all == sent,
            Self::First(first) => sent.first().map_or("", String::as_str) == first,
            Self::Unknown => true,
        }
    }
}

/// Which part of an origin reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Witness {
    /// The head was read.
    #[default]
    Head,
    /// The body was read to its end.
    Body,
    /// Bytes that are no request to this origin. It may know method and target in them.
    Refused,
}

/// What a client got for a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    /// An origin wrote the answer, not the proxy.
    pub(crate) is_from_origin: bool,
}

/// A request that a client said, by the model.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) connection: u64,
    method: String,
    target: String,
    markers: Vec<String>,
    body: (u64, String),
    is_whole: bool,
    answer: Option<Answered>,
    heads: u32,
    bodies: u32,
    refusals: u32,
}

impl Sent {
    pub(crate) fn new(connection: u64, request: &Request, answer: Option<Answered>) -> Self {
        Self {
            connection,
            method: request.method.clone(),
            target: request.target.clone(),
            markers: request.markers.clone(),
            body: request.fingerprint(),
            is_whole: request.is_whole,
            answer,
            heads: 0,
            bodies: 0,
            refusals: 0,
        }
    }

    /// An origin said that it would not have it, or never had all of it.
    fn may_be_refused(&self) -> bool {
        !self.is_whole || self.answer.is_some_and(|it| it.is_from_origin && it.status >= 400)
    }

    /// How far a report is from what was sent.
    fn strangeness(&self, seen: &Seen) -> (bool, bool, bool) {
        let is_refused = seen.markers == Markers::Unknown;
        let is_whole_body = seen.witness == Witness::Body;
        (
            self.method != seen.method,
            is_refused && !self.may_be_refused(),
            is_whole_body && !self.is_accepted(),
        )
    }

    fn is_accepted(&self) -> bool {
        self.answer.is_some_and(|it| it.is_from_origin && matches!(it.status, 200..=299))
    }
}

/// Something that must not be.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    /// The client's connection, as far as it is known.
    pub(crate) connection: Option<u64>,
    pub(crate) what: String,
}

/// Everything that was sent to one origin, and what became of it.
#[derive(Default)]
pub(crate) struct Ledger {
    sent: Vec<Sent>,
    by_target: HashMap<String, Vec<usize>>,
    unnamed_refusals: usize,
}

impl Ledger {
    /// Notes a request before anything is asked about it.
    pub(crate) fn note(&mut self, sent: Sent) {
        self.by_target.entry(sent.target.clone()).or_default().push(self.sent.len());
        self.sent.push(sent);
    }

    /// Compares what an origin saw with what was sent.
    pub(crate) fn see(&mut self, seen: &Seen) -> Option<Finding> {
        if seen.witness == Witness::Refused && seen.target.is_empty() {
            self.unnamed_refusals += 1;
            return None;
        }
        let same_target = self.by_target.get(&seen.target).map_or(&[][..], Vec::as_slice);
        let matching: Vec<usize> = same_target
            .iter()
            .copied()
            .filter(|&at| seen.markers.agree(&self.sent[at].markers))
            .collect();
        let Some(&first) = matching.first() else {
            return Some(Finding {
                connection: connection_of(seen),
                what: format!("a request that no client sent: {seen:?}"),
            });
        };
        // Of several that may be meant, the one that explains most.
        let free = matching.into_iter().filter(|&at| self.sent[at].count(seen.witness) == 0);
        let Some(at) = free.min_by_key(|&at| self.sent[at].strangeness(seen)) else {
            return Some(self.finding(first, "seen twice", seen));
        };
        let sent = &mut self.sent[at];
        match seen.witness {
            Witness::Head => sent.heads += 1,
            Witness::Body => sent.bodies += 1,
            Witness::Refused => sent.refusals += 1,
        }
        let why = difference(sent, seen)?;
        Some(self.finding(at, why, seen))
    }

    fn finding(&self, at: usize, why: &str, seen: &Seen) -> Finding {
        let sent = &self.sent[at];
        let what = format!("{why}: sent {sent:?}, seen {seen:?}");
        Finding { connection: Some(sent.connection), what }
    }

    /// Requests of `since` on that were answered well and that an origin has not reported whole
    /// yet: a report may come behind its answer.
    pub(crate) fn unreported(&self, since: usize) -> impl Iterator<Item = &Sent> {
        let is_missing = |sent: &&Sent| sent.is_accepted() && (sent.heads == 0 || sent.bodies == 0);
        self.sent[since..].iter().filter(is_missing)
    }

    /// What was sent on a connection, and how often each part of it was seen.
    pub(crate) fn of(&self, connection: u64) -> impl Iterator<Item = &Sent> {
        self.sent.iter().filter(move |sent| sent.connection == connection)
    }

    /// How many requests have been noted.
    pub(crate) fn len(&self) -> usize {
        self.sent.len()
    }

    /// Once every report has come: an origin that refused bytes and could not say which was asked
    /// by a client that heard of it, or that never sent a whole request.
    pub(crate) fn close(&self) -> Option<Finding> {
        let is_silent = |sent: &&Sent| sent.heads == 0 && sent.refusals == 0;
        let explained =
            self.sent.iter().filter(is_silent).filter(|sent| sent.may_be_refused()).count();
        let refusals = self.unnamed_refusals;
        (refusals > explained).then(|| Finding {
            connection: None,
            what: format!("{refusals} refusals of the origin, {explained} of them explained"),
        })
    }
}

impl Sent {
    fn count(&self, witness: Witness) -> u32 {
        match witness {
            Witness::Head => self.heads,
            Witness::Body => self.bodies,
            Witness::Refused => self.refusals,
        }
    }
}

fn difference(sent: &Sent, seen: &Seen) -> Option<&'static str> {
    let is_body = seen.witness == Witness::Body;
    if sent.method != seen.method {
        return Some("another method");
    }
    if is_body && !sent.is_whole {
        return Some("a body that never became whole was taken for whole");
    }
    if is_body && sent.body != seen.body {
        return Some("another body");
    }
    (is_body && seen.trailers > 0).then_some("trailers")
}

/// The connection whose number stands in a target or a marker: `c` and digits.
fn connection_of(seen: &Seen) -> Option<u64> {
    let markers = match &seen.markers {
        Markers::All(all) => all.as_slice(),
        Markers::First(first) => std::slice::from_ref(first),
        Markers::Unknown => &[],
    };
    std::iter::once(&seen.target).chain(markers).find_map(|text| {
        let (_, rest) = text.split_once('c')?;
        let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse().ok()
    })
}

#[cfg(test)]
mod tests;
