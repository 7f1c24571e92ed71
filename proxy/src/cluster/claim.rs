//! What a request claims at one sticky level, and whether the claim holds: by its cookie, as
//! Traefik; with rules beyond that, by older names of the cookie and by keys of its own, or not at
//! all. Called by `pick` at each level.

use std::cell::RefCell;

use sundew_config::model::{StickyCookie, StickyRules, Strict};

use crate::balance::Hrw;
use crate::http1::fields::{FieldName, Fields};
use crate::observe::outcome::StickyOutcome;
use crate::sticky::{Found, KeyKind, Reading, Renewal, Rules, StickyTable, cookie_value};

/// Where the pins of a request may be.
#[derive(Clone, Copy, Debug)]
pub struct PinSources<'a> {
    /// The head's bytes.
    pub bytes: &'a [u8],
    /// Where its fields are in them.
    pub fields: &'a Fields,
    /// Path and query, as they are forwarded.
    pub path_and_query: &'a [u8],
    /// When it came, by the wall clock, in seconds since 1970: sealed pins age by it.
    pub asked_s: u64,
    /// Only a safe one may be sent to another server to spread load (RFC 9110 §9.2.1).
    pub method: &'a [u8],
}

impl<'a> PinSources<'a> {
    fn cookie(&self, name: &[u8]) -> Option<&'a [u8]> {
        cookie_value(self.fields.values(self.bytes, FieldName::Cookie), name)
    }
}

/// The state of a level's members, for one request.
pub(super) trait Members {
    /// Would take a request that it has not refused.
    fn serves(&self, member: u16) -> bool;
    /// Takes this request, if the client is pinned to it.
    fn can_serve(&self, member: u16) -> bool;
    /// Takes this request as that of a new client.
    fn takes_new(&self, member: u16) -> bool;
}

/// What a request claims at one level.
#[derive(Debug)]
pub(super) struct Claim {
    /// The claim holds.
    pub(super) member: Option<u16>,
    pub(super) outcome: StickyOutcome,
    /// The response pins to whoever serves.
    pub(super) issues_cookie: bool,
    /// The cookie of this previous name has been replaced.
    pub(super) deletes: Option<u8>,
    /// What a sealed value that holds says of its pin.
    pub(super) renewal: Option<Renewal>,
}

/// Why a claim that does not hold ends the request.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The client is refused rather than moved; the number is that of its cookie's name.
    Strict(Strict, u8),
    /// The server that refused it is not left.
    Stays,
}

/// What a level does beyond Traefik.
#[derive(Debug)]
pub(super) struct Beyond {
    pub(super) rules: Rules,
    /// Only with keys.
    hrw: Option<Hrw>,
    /// A key without its escapes.
    scratch: RefCell<Vec<u8>>,
}

impl Beyond {
    /// `None` for a level that does as Traefik. `members` is (weight, name).
    pub(super) fn new<'a>(
        cookie: Option<&StickyCookie>,
        rules: &StickyRules,
        members: impl Iterator<Item = (u32, &'a str)>,
    ) -> Option<Box<Self>> {
        let rules = Rules::new(cookie, rules)?;
        let members = (0_u16..).zip(members).map(|(member, (weight, name))| (member, weight, name));
        let hrw = rules.has_keys().then(|| Hrw::new(members));
        Some(Box::new(Self { rules, hrw, scratch: RefCell::default() }))
    }
}

impl Claim {
    /// The scheduler decides.
    fn balanced(outcome: StickyOutcome, issues_cookie: bool) -> Self {
        Self { member: None, outcome, issues_cookie, deletes: None, renewal: None }
    }

    /// A pin that holds.
    fn pinned(found: Found) -> Self {
        let (outcome, issues_cookie) = match found.is_current_format {
            true => (StickyOutcome::Pinned, false),
            false => (StickyOutcome::Rewritten, true),
        };
        let member = Some(found.member);
        Self { member, outcome, issues_cookie, deletes: None, renewal: None }
    }

    /// A pin to a member that does not serve this request.
    fn lost(has_refused: bool) -> Self {
        let outcome = if has_refused { StickyOutcome::Redispatched } else { StickyOutcome::Down };
        Self::balanced(outcome, true)
    }
}

/// What the request claims at one level.
///
/// # Errors
/// Only with rules beyond Traefik.
pub(super) fn read_claim(
    (sticky, beyond): (Option<&StickyTable>, Option<&Beyond>),
    sources: PinSources<'_>,
    members: &impl Members,
) -> Result<Claim, Refusal> {
    if let Some(beyond) = beyond {
        return claim_beyond(sticky, beyond, sources, members);
    }
    let Some(sticky) = sticky else { return Ok(Claim::balanced(StickyOutcome::None, false)) };
    let value = sources.cookie(sticky.cookie_name()).unwrap_or(&[]);
    Ok(match sticky.find(value) {
        None if value.is_empty() => Claim::balanced(StickyOutcome::New, true),
        None => Claim::balanced(StickyOutcome::Unknown, true),
        Some(found) if members.can_serve(found.member) => Claim::pinned(found),
        Some(found) => Claim::lost(members.serves(found.member)),
    })
}

#[inline(never)]
fn claim_beyond(
    sticky: Option<&StickyTable>,
    beyond: &Beyond,
    sources: PinSources<'_>,
    members: &impl Members,
) -> Result<Claim, Refusal> {
    let rules = &beyond.rules;
    let value = sticky.and_then(|it| sources.cookie(it.cookie_name())).unwrap_or(&[]);
    let mut reason = StickyOutcome::Unknown;
    if let Some(sticky) = sticky {
        let read = |it| sticky.read(it, sources.asked_s);
        let current = read(value);
        reason = current.err().unwrap_or(reason);
        let mut previous = rules.previous_values(sources.bytes, sources.fields);
        let named = current
            .ok()
            .map(|reading| (0, reading))
            .or_else(|| previous.find_map(|(number, it)| Some((number, read(it).ok()?))));
        if let Some((number, reading)) = named {
            return claim_of_cookie(reading, number, rules, members);
        }
        if let Some(strict) = rules.strict.filter(|_| sticky.names_lost_member(value, reason)) {
            return Err(Refusal::Strict(strict, 0));
        }
    }
    if let Some(claim) = claim_of_key(beyond, sources, members)? {
        return Ok(claim);
    }
    Ok(match sticky {
        None => Claim::balanced(StickyOutcome::None, false),
        Some(_) if value.is_empty() => Claim::balanced(StickyOutcome::New, true),
        Some(_) => Claim::balanced(reason, true),
    })
}

/// A cookie that names a member; `number` is that of its name, 0 for today's.
fn claim_of_cookie(
    reading: Reading,
    number: u8,
    rules: &Rules,
    members: &impl Members,
) -> Result<Claim, Refusal> {
    let Reading { found, is_aging, renewal } = reading;
    let deletes = (number > 0).then_some(number);
    if members.can_serve(found.member) {
        let mut claim = Claim { renewal, ..Claim::pinned(found) };
        claim.issues_cookie |= is_aging;
        return Ok(match deletes {
            None => claim,
            Some(_) => {
                Claim { outcome: StickyOutcome::Migrated, issues_cookie: true, deletes, ..claim }
            }
        });
    }
    let has_refused = members.serves(found.member);
    match rules.strict {
        Some(strict) => Err(Refusal::Strict(strict, number)),
        None if has_refused && !rules.redispatches => Err(Refusal::Stays),
        None => Ok(Claim { deletes, ..Claim::lost(has_refused) }),
    }
}

/// A key has no cookie to move: it goes to its next member while the first is away, and returns.
fn claim_of_key(
    beyond: &Beyond,
    sources: PinSources<'_>,
    members: &impl Members,
) -> Result<Option<Claim>, Refusal> {
    let Some(hrw) = &beyond.hrw else { return Ok(None) };
    let Some(key) = beyond.rules.key(sources.bytes, sources.fields, sources.path_and_query) else {
        return Ok(None);
    };
    let mut scratch = beyond.scratch.borrow_mut();
    let bytes = key.decoded(&mut scratch);
    let member = hrw.choose(bytes, |it| members.takes_new(it));
    if !beyond.rules.redispatches {
        // Whoever would have been chosen had nobody refused.
        let first = hrw.choose(bytes, |it| members.takes_new(it) || has_refused(members, it));
        if first != member {
            return Err(Refusal::Stays);
        }
    }
    let outcome = match key.kind {
        KeyKind::Header => StickyOutcome::Header,
        KeyKind::Query => StickyOutcome::Query,
    };
    Ok(Some(Claim { member, ..Claim::balanced(outcome, false) }))
}

/// Has refused this very request.
fn has_refused(members: &impl Members, member: u16) -> bool {
    members.serves(member) && !members.can_serve(member)
}
