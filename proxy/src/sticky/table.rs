//! One sticky service's cookie: which value means which member, and the line that pins to it.
//! Built when tables change; on the request path only [`StickyTable::find`] and the borrow of a
//! rendered line. Never decides whether a member may serve.

use ahash::AHashMap;
use sundew_config::model::{SameSite, StickyCookie};

use super::sealed::{
    NONCE_BYTES, Opened, Renewal, Seal, SealedPin, SealedValue, Standing, VALUE_CHARS,
};
use super::value::{
    current_key, current_value, older_server_values, older_service_values, parse_key,
};
use crate::observe::outcome::StickyOutcome;

/// What a sticky service's members are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Servers of a load balancer, named by their URL as configured.
    Server,
    /// Children of a weighted service, named as written there.
    Service,
}

/// One member, as pins name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// Today's pin is a hash of it.
    pub name: &'a str,
    /// The URL of a server that has an `id`: pins made of it are honoured and rewritten.
    pub former_name: Option<&'a str>,
}

impl<'a> From<&'a str> for Member<'a> {
    fn from(name: &'a str) -> Self {
        Self { name, former_name: None }
    }
}

/// What a cookie's value means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Position of the member in the service.
    pub member: u16,
    /// False for a value of an older release: it is honoured and the cookie is issued again.
    pub is_current_format: bool,
}

/// What a value means at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The member. Of a sealed value, its format is current when the first key opened it.
    pub found: Found,
    /// It is honoured and sealed again.
    pub is_aging: bool,
    /// Since when the client is pinned, where the value says it.
    pub renewal: Option<Renewal>,
}

/// What only a service whose values are sealed has.
#[derive(Debug)]
struct Sealed {
    seal: Seal,
    /// The line up to its value, and from there on.
    line: [Box<[u8]>; 2],
}

/// The pins of one sticky service.
#[derive(Debug)]
pub struct StickyTable {
    cookie_name: Box<[u8]>,
    current: AHashMap<u64, u16>,
    older: AHashMap<Box<[u8]>, u16>,
    lines: Box<[Box<[u8]>]>,
    /// The number of each member, by position.
    keys: Box<[u64]>,
    sealed: Option<Box<Sealed>>,
}

impl StickyTable {
    /// The table for `members` in the service's order. Of equal members the last one wins, as in
    /// Traefik; members past 65,535 cannot be pinned to.
    pub fn new<'a>(
        cookie: &StickyCookie,
        members: impl Iterator<Item: Into<Member<'a>>>,
        level: Level,
    ) -> Self {
        let mut current = AHashMap::new();
        let mut older = AHashMap::new();
        let mut lines = Vec::new();
        let mut keys = Vec::new();
        for (member, names) in (0..=u16::MAX).zip(members) {
            let Member { name, former_name } = names.into();
            if let Some(former_name) = former_name {
                older.insert(current_value(former_name).into(), member);
            }
            let written = former_name.unwrap_or(name);
            keys.push(current_key(name));
            current.insert(current_key(name), member);
            match level {
                Level::Server => {
                    older.extend(
                        older_server_values(written).map(|it| (it.into_boxed_slice(), member)),
                    );
                }
                Level::Service => {
                    older.extend(
                        older_service_values(written).map(|it| (it.into_boxed_slice(), member)),
                    );
                }
            }
            lines.push(render(cookie, &current_value(name)).into_boxed_slice());
        }
        Self {
            cookie_name: cookie.name.as_bytes().into(),
            current,
            older,
            lines: lines.into_boxed_slice(),
            keys: keys.into_boxed_slice(),
            sealed: None,
        }
    }

    /// Seals values, where `cookie` says so, for the service of this qualified name.
    #[must_use]
    pub fn with_seal(mut self, cookie: &StickyCookie, service: &str) -> Self {
        self.sealed = cookie.sealing.as_ref().map(|sealing| {
            let line = render(cookie, b"");
            let (head, tail) = split_at_value(&line);
            Box::new(Sealed { seal: Seal::new(sealing, service), line: [head.into(), tail.into()] })
        });
        self
    }

    /// Name of the cookie, as sent and as looked for.
    #[must_use]
    pub fn cookie_name(&self) -> &[u8] {
        &self.cookie_name
    }

    /// The member that `value` names, whatever its state; `None` for a value that names none.
    #[must_use]
    pub fn find(&self, value: &[u8]) -> Option<Found> {
        if let Some(&member) = parse_key(value).and_then(|key| self.current.get(&key)) {
            return Some(Found { member, is_current_format: true });
        }
        let &member = self.older.get(value)?;
        Some(Found { member, is_current_format: false })
    }

    /// What `value` means at `now_s`, seconds since 1970, whatever the member's state.
    ///
    /// # Errors
    /// Why it pins to nobody: `Unknown`, and where values are sealed also `Forged`, `Expired`, or
    /// `Gone` for an authentic value whose member left.
    pub fn read(&self, value: &[u8], now_s: u64) -> Result<Reading, StickyOutcome> {
        let hashed = || {
            let found = self.find(value).ok_or(StickyOutcome::Unknown)?;
            Ok(Reading { found, is_aging: false, renewal: None })
        };
        let Some(Sealed { seal, .. }) = self.sealed.as_deref() else { return hashed() };
        let Some(Opened { pin, key, nonce }) = seal.open(value) else {
            if seal.accepts_hash(now_s)
                && let Ok(mut reading) = hashed()
            {
                reading.found.is_current_format = false;
                return Ok(reading);
            }
            let is_sealed = value.len() == VALUE_CHARS;
            return Err(if is_sealed { StickyOutcome::Forged } else { StickyOutcome::Unknown });
        };
        let standing = seal.standing(pin, now_s);
        if matches!(standing, Standing::Expired | Standing::Ahead) {
            return Err(StickyOutcome::Expired);
        }
        let &member = self.current.get(&pin.server).ok_or(StickyOutcome::Gone)?;
        Ok(Reading {
            found: Found { member, is_current_format: key == 0 },
            is_aging: standing == Standing::Aging,
            renewal: Some(Renewal { issued_s: pin.issued_s, nonce }),
        })
    }

    /// Whether a value that pins to nobody, for this reason, did once pin to a member: with hashes
    /// one of today's format, which nobody can check.
    #[must_use]
    pub fn names_lost_member(&self, value: &[u8], reason: StickyOutcome) -> bool {
        match self.sealed {
            None => Self::is_well_formed(value),
            Some(_) => reason == StickyOutcome::Gone,
        }
    }

    /// Whether values are sealed.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.sealed.is_some()
    }

    /// The sealed value that pins to `member` from `now_s` on, or, with the time of an earlier
    /// value of the same pin, from `issued_s` on. `None` for a member that the service does not
    /// have, and where values are not sealed.
    #[must_use]
    pub fn seal(
        &self,
        member: u16,
        issued_s: Option<u32>,
        now_s: u64,
        nonce: [u8; NONCE_BYTES],
    ) -> Option<SealedValue> {
        let Sealed { seal, .. } = self.sealed.as_deref()?;
        let server = *self.keys.get(usize::from(member))?;
        seal.seal(SealedPin::new(server, issued_s, now_s), nonce)
    }

    /// The pieces that make up the line of [`StickyTable::set_cookie_line`], with a sealed value
    /// where values are sealed. Without one there is no line then: a hash would be no seal.
    #[must_use]
    pub fn set_cookie_pieces<'a>(
        &'a self,
        member: u16,
        value: Option<&'a SealedValue>,
    ) -> [&'a [u8]; 3] {
        match (self.sealed.as_deref(), value) {
            (None, _) => [self.set_cookie_line(member), &[], &[]],
            (Some(Sealed { line: [head, tail], .. }), Some(value)) => [head, value, tail],
            (Some(_), None) => [&[]; 3],
        }
    }

    /// Whether `value` is of today's format, whoever it names.
    #[must_use]
    pub fn is_well_formed(value: &[u8]) -> bool {
        parse_key(value).is_some()
    }

    /// The whole line `Set-Cookie: name=value; Path=/…\r\n` that pins to `member`; empty for a
    /// member that the service does not have.
    #[must_use]
    pub fn set_cookie_line(&self, member: u16) -> &[u8] {
        self.lines.get(usize::from(member)).map_or(&[], |line| line)
    }
}

/// Parts a line without a value behind the `=` of its pair: no name holds one.
fn split_at_value(line: &[u8]) -> (&[u8], &[u8]) {
    let at = line.iter().position(|&byte| byte == b'=').map_or(0, |at| at + 1);
    line.split_at_checked(at).unwrap_or((line, &[]))
}

/// The line that deletes a cookie `name` that was set with the attributes of `cookie`.
pub(super) fn render_deletion(cookie: &StickyCookie, name: &str) -> Box<[u8]> {
    // `Max-Age=0` deletes (RFC 6265 §5.2.2); clients match the rest to find it.
    let gone = StickyCookie { name: name.to_owned(), max_age: Some(0), ..cookie.clone() };
    render(&gone, b"").into_boxed_slice()
}

/// As Go's `http.Cookie.String`: attributes that are set, always in this order.
fn render(cookie: &StickyCookie, value: &[u8]) -> Vec<u8> {
    let mut line = b"Set-Cookie: ".to_vec();
    line.extend_from_slice(cookie.name.as_bytes());
    line.push(b'=');
    line.extend_from_slice(value);
    if let Some(path) = &cookie.path {
        line.extend_from_slice(b"; Path=");
        line.extend_from_slice(path.as_bytes());
    }
    if let Some(domain) = &cookie.domain {
        line.extend_from_slice(b"; Domain=");
        // Go drops the leading dot, which RFC 6265 §5.2.3 has clients ignore.
        line.extend_from_slice(domain.strip_prefix('.').unwrap_or(domain).as_bytes());
    }
    if let Some(seconds) = cookie.max_age {
        line.extend_from_slice(format!("; Max-Age={seconds}").as_bytes());
    }
    if cookie.http_only {
        line.extend_from_slice(b"; HttpOnly");
    }
    if cookie.secure {
        line.extend_from_slice(b"; Secure");
    }
    line.extend_from_slice(match cookie.same_site {
        Some(SameSite::None) => b"; SameSite=None",
        Some(SameSite::Lax) => b"; SameSite=Lax",
        Some(SameSite::Strict) => b"; SameSite=Strict",
        None => b"",
    });
    if cookie.partitioned {
        line.extend_from_slice(b"; Partitioned");
    }
    line.extend_from_slice(b"\r\n");
    line
}

#[cfg(test)]
mod tests;
