//! One sticky service's cookie: which value means which member, and the line that pins to it.
//! Built when tables change; on the request path only [`StickyTable::find`] and the borrow of a
//! rendered line. Never decides whether a member may serve.

use ahash::AHashMap;
use sundew_config::model::{SameSite, StickyCookie};

use super::value::{
    current_key, current_value, older_server_values, older_service_values, parse_key,
};

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

/// The pins of one sticky service.
#[derive(Debug)]
pub struct StickyTable {
    cookie_name: Box<[u8]>,
    current: AHashMap<u64, u16>,
    older: AHashMap<Box<[u8]>, u16>,
    lines: Box<[Box<[u8]>]>,
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
        for (member, names) in (0..=u16::MAX).zip(members) {
            let Member { name, former_name } = names.into();
            if let Some(former_name) = former_name {
                older.insert(current_value(former_name).into(), member);
            }
            let written = former_name.unwrap_or(name);
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
        }
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
