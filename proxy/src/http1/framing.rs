//! How long a message is, and what the connection does after it: everything that smuggling plays
//! with. Refuse, never repair (RFC 9112 §6.3, §11.2).

use super::fields::{FieldName, Fields, list_members};
use super::head::{RequestHead, ResponseHead};

/// How a body is delimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// No body.
    #[default]
    Empty,
    /// Exactly so many bytes (`Content-Length`).
    Length(u64),
    /// Chunked coding.
    Chunked,
    /// Until the server closes; responses only.
    UntilClose,
}

/// Why a request's framing is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FramingError {
    /// Contradictory or malformed: 400.
    Malformed,
    /// A well-formed transfer coding that is not spoken here: 501.
    Coding,
    /// An expectation that is not `100-continue`: 417.
    Expectation,
}

/// What a request's fields say about its connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestControl {
    /// Of the body.
    pub framing: Framing,
    /// The client wants the connection kept.
    pub keep_alive: bool,
    /// `Expect: 100-continue`, to be answered before the body is read.
    pub expects_continue: bool,
    /// `Connection: upgrade` with an `Upgrade` that is not `h2c`.
    pub wants_upgrade: bool,
    /// `Connection` names fields that must be removed.
    pub names_fields: bool,
    /// `TE: trailers`.
    pub takes_trailers: bool,
}

/// Judges a request's framing and connection fields (http1 A1–A12, C14, C15, D1, D2, D5, D8,
/// D13, D14).
///
/// # Errors
/// [`FramingError`]; nothing may be forwarded then.
pub fn request_control(bytes: &[u8], head: &RequestHead) -> Result<RequestControl, FramingError> {
    let is_http11 = head.minor == 1;
    let mut control = RequestControl::default();
    let mut length = None;
    let mut is_chunked = false;
    let mut hosts = 0_u32;
    let mut options = ConnectionOptions::default();
    let mut protocols = Protocols::default();
    for (name, span) in head.fields.iter() {
        let value = span.value(bytes);
        match name {
            FieldName::Other => {}
            FieldName::Host => {
                hosts += 1;
                if hosts > 1 || !is_host(value) {
                    return Err(FramingError::Malformed);
                }
            }
            FieldName::ContentLength => {
                if length.is_some() {
                    return Err(FramingError::Malformed);
                }
                length = Some(parse_length(value).ok_or(FramingError::Malformed)?);
            }
            FieldName::TransferEncoding => {
                if is_chunked || !is_http11 {
                    return Err(FramingError::Malformed);
                }
                check_coding(value)?;
                is_chunked = true;
            }
            FieldName::FramingAlias => return Err(FramingError::Malformed),
            // An empty one expects nothing.
            FieldName::Expect if value.is_empty() => {}
            FieldName::Expect => {
                if !value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(FramingError::Expectation);
                }
                control.expects_continue = is_http11;
            }
            FieldName::Connection => options.note(value),
            FieldName::Upgrade => protocols.note(value),
            FieldName::Te => {
                control.takes_trailers |= list_members(value).any(is_trailers);
            }
            _ => {}
        }
    }
    if hosts == 0 && is_http11 {
        return Err(FramingError::Malformed);
    }
    control.framing = match (length, is_chunked) {
        (Some(_), true) => return Err(FramingError::Malformed),
        (None, true) => Framing::Chunked,
        (Some(0) | None, false) => Framing::Empty,
        (Some(length), false) => Framing::Length(length),
    };
    control.expects_continue &= control.framing != Framing::Empty;
    control.keep_alive = options.keeps_alive(is_http11);
    control.names_fields = options.names_fields;
    // An upgrade with a body would have to be framed first: it is a plain request (http1 D12).
    control.wants_upgrade = options.upgrade
        && is_http11
        && control.framing == Framing::Empty
        && protocols.may_be_tunnelled(head.method.of(bytes));
    Ok(control)
}

/// What all `Connection` lines of a head say.
#[derive(Clone, Copy, Debug, Default)]
struct ConnectionOptions {
    close: bool,
    keep_alive: bool,
    upgrade: bool,
    names_fields: bool,
}

impl ConnectionOptions {
    fn note(&mut self, value: &[u8]) {
        for member in list_members(value) {
            if member.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if member.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if member.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade = true;
            } else {
                self.names_fields = true;
            }
        }
    }

    /// RFC 9112 §9.3: `close` wins, whatever else is said beside it in whichever order.
    fn keeps_alive(self, is_http11: bool) -> bool {
        !self.close && (is_http11 || self.keep_alive)
    }
}

fn is_trailers(member: &[u8]) -> bool {
    member.eq_ignore_ascii_case(b"trailers")
}

/// What all `Upgrade` lines of a request offer.
#[derive(Clone, Copy, Debug, Default)]
struct Protocols {
    some: bool,
    h2c: bool,
    websocket: bool,
}

impl Protocols {
    fn note(&mut self, value: &[u8]) {
        for member in list_members(value) {
            self.some = true;
            self.h2c |= member.eq_ignore_ascii_case(b"h2c");
            self.websocket |= member.eq_ignore_ascii_case(b"websocket");
        }
    }

    /// Any protocol but `h2c`, which would smuggle requests past the proxy (http1 D13); a
    /// WebSocket by GET only (D14).
    fn may_be_tunnelled(self, method: &[u8]) -> bool {
        self.some && !self.h2c && (!self.websocket || method == b"GET")
    }
}

/// Exactly `chunked`, or a reason to refuse (http1 A6–A8).
fn check_coding(value: &[u8]) -> Result<(), FramingError> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    let mut members = value.split(|byte| *byte == b',').map(super::fields::trim_blanks);
    let is_well_formed = members.clone().all(super::fields::is_token)
        && members.next_back().is_some_and(|last| last.eq_ignore_ascii_case(b"chunked"))
        && members.all(|coding| {
            !coding.eq_ignore_ascii_case(b"chunked") && !coding.eq_ignore_ascii_case(b"identity")
        });
    Err(if is_well_formed { FramingError::Coding } else { FramingError::Malformed })
}

/// Digits only; leading zeros are fine, the value is written anew then (http1 A4, A5).
#[must_use]
pub fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0_u64, |length, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        length.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// `host[:port]` with bytes of a reg-name or an IP literal; empty is allowed (http1 C14).
#[must_use]
pub fn is_host(value: &[u8]) -> bool {
    let (host, port) = split_port(value);
    let is_host_valid = match host {
        [b'[', inner @ .., b']'] => {
            !inner.is_empty()
                && inner.iter().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(byte))
        }
        [] => port.is_none(),
        host => host
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=%".contains(byte)),
    };
    is_host_valid && port.is_none_or(is_port)
}

fn is_port(port: &[u8]) -> bool {
    port.len() <= 5
        && port.iter().all(u8::is_ascii_digit)
        && parse_length(port).is_none_or(|number| number <= 65535)
}

/// `host`, and what follows the colon behind it.
#[must_use]
pub fn split_port(authority: &[u8]) -> (&[u8], Option<&[u8]>) {
    let from = authority.iter().rposition(|byte| *byte == b']').map_or(0, |at| at + 1);
    let tail = authority.get(from..).unwrap_or(&[]);
    match memchr::memchr(b':', tail) {
        None => (authority, None),
        Some(at) => (authority.get(..from + at).unwrap_or(&[]), authority.get(from + at + 1..)),
    }
}

/// A response whose framing contradicts itself or is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseFramingError;

/// What a response's fields say about its body and connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseControl {
    /// Of the body.
    pub framing: Framing,
    /// The server's connection can take another request after this one.
    pub is_reusable: bool,
    /// `Connection` names fields that must be removed.
    pub names_fields: bool,
    /// `Connection: upgrade`.
    pub upgrades: bool,
    /// `Content-Length` is there, once and as digits without leading zeros.
    pub has_plain_length: bool,
}

/// Judges a response's framing (RFC 9112 §6.3; http1 A13–A17, D16).
///
/// # Errors
/// Contradictory or malformed: the answer is 502.
pub fn response_control(
    bytes: &[u8],
    head: &ResponseHead,
    is_head_request: bool,
) -> Result<ResponseControl, ResponseFramingError> {
    let is_http11 = head.minor == 1;
    let mut control = ResponseControl {
        framing: Framing::UntilClose,
        is_reusable: false,
        names_fields: false,
        upgrades: false,
        has_plain_length: false,
    };
    let mut length = None;
    let mut is_chunked = false;
    let mut options = ConnectionOptions::default();
    for (name, span) in head.fields.iter() {
        let value = span.value(bytes);
        match name {
            FieldName::ContentLength => {
                let parsed = Some(parse_length(value).ok_or(ResponseFramingError)?);
                control.has_plain_length =
                    length.is_none() && (value.len() == 1 || !value.starts_with(b"0"));
                if length.is_some() && length != parsed {
                    return Err(ResponseFramingError);
                }
                length = parsed;
            }
            FieldName::TransferEncoding => {
                if is_chunked || !is_http11 || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(ResponseFramingError);
                }
                is_chunked = true;
            }
            FieldName::FramingAlias => return Err(ResponseFramingError),
            FieldName::Connection => options.note(value),
            _ => {}
        }
    }
    control.names_fields = options.names_fields;
    control.upgrades = options.upgrade;
    control.is_reusable = options.keeps_alive(is_http11);
    if length.is_some() && is_chunked {
        // The length is dropped; what sends both is not trusted with another request.
        control.is_reusable = false;
        control.has_plain_length = false;
    }
    control.framing = match (length, is_chunked) {
        _ if has_no_body(head.status, is_head_request) => Framing::Empty,
        (_, true) => Framing::Chunked,
        (Some(length), false) => Framing::Length(length),
        (None, false) => Framing::UntilClose,
    };
    control.is_reusable &= control.framing != Framing::UntilClose;
    Ok(control)
}

/// Responses that have no body whatever their fields say (RFC 9110 §6.4.1).
#[must_use]
pub fn has_no_body(status: u16, is_head_request: bool) -> bool {
    is_head_request || matches!(status, 100..=199 | 204 | 304)
}

/// Whether `fields` has a `Connection` that names `field`.
#[must_use]
pub fn is_named_by_connection(bytes: &[u8], fields: &Fields, field: &[u8]) -> bool {
    fields
        .values(bytes, FieldName::Connection)
        .flat_map(list_members)
        .any(|member| member.eq_ignore_ascii_case(field))
}

#[cfg(test)]
mod tests;
