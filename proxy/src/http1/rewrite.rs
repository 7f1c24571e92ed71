//! Writing heads for the other side: lines are copied as they came, in runs; what belongs to one
//! connection is left out first, what is the proxy's own comes after (http1 D1–D4).

use super::cookies;
use super::fields::{FieldName, Fields, is_protected, put};
use super::forwarded::{self, Identity};
use super::framing::{Framing, RequestControl, ResponseControl, is_named_by_connection};
use super::head::{RequestHead, ResponseHead};
use crate::observe::access_log::FieldSpan;

/// What a request's head becomes.
#[derive(Clone, Copy, Debug)]
pub struct RequestRewrite<'a> {
    /// The head's bytes.
    pub bytes: &'a [u8],
    /// Where everything is in them.
    pub head: &'a RequestHead,
    /// Framing and connection.
    pub control: &'a RequestControl,
    /// Target to send; `None` when the received one stands.
    pub target: Option<&'a [u8]>,
    /// Host to send; `None` when the received line stands.
    pub host: Option<&'a [u8]>,
    /// Cookies that the server does not see.
    pub hidden_cookies: &'a [Box<[u8]>],
    /// Who the client is.
    pub identity: &'a Identity<'a>,
}

/// Appends the head for the server, the empty line included.
pub fn write_request(out: &mut Vec<u8>, request: &RequestRewrite<'_>) {
    let RequestRewrite { bytes, head, control, identity, .. } = *request;
    let from = match request.target {
        None if head.minor == 1 => head.method.start as usize,
        target => {
            out.extend_from_slice(head.method.of(bytes));
            out.push(b' ');
            out.extend_from_slice(target.unwrap_or_else(|| head.target.of(bytes)));
            out.extend_from_slice(b" HTTP/1.1\r\n");
            head.target.end as usize + " HTTP/1.x\r\n".len()
        }
    };
    let rewrites_length = match control.framing {
        Framing::Length(_) => has_loose_length(bytes, &head.fields),
        // A copy for a mirror may leave out a body that the client has announced.
        Framing::Empty => has_length_but_zero(bytes, &head.fields),
        Framing::Chunked | Framing::UntilClose => true,
    };
    head.fields.copy_lines(bytes, from, out, |name, span| {
        keeps_request_line(name, span, request, rewrites_length)
    });
    if let Some(host) = request.host {
        put(out, b"Host: ", host);
    }
    match control.framing {
        Framing::Length(length) if rewrites_length => put_length(out, length),
        Framing::Empty if rewrites_length => put_length(out, 0),
        Framing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        _ => {}
    }
    if !request.hidden_cookies.is_empty() {
        put_visible_cookies(out, request);
    }
    if control.takes_trailers {
        out.extend_from_slice(b"Te: trailers\r\n");
    }
    if control.wants_upgrade {
        out.extend_from_slice(b"Connection: Upgrade\r\n");
        for value in head.fields.values(bytes, FieldName::Upgrade) {
            put(out, b"Upgrade: ", value);
        }
    }
    forwarded::write(out, bytes, head, identity);
    out.extend_from_slice(b"\r\n");
}

/// The rest of the Cookie lines that were left out.
fn put_visible_cookies(out: &mut Vec<u8>, request: &RequestRewrite<'_>) {
    let lines = request.head.fields.values(request.bytes, FieldName::Cookie);
    for line in lines.filter(|line| cookies::names_any(line, request.hidden_cookies)) {
        cookies::put_without(out, line, request.hidden_cookies);
    }
}

fn keeps_request_line(
    name: FieldName,
    span: &FieldSpan,
    request: &RequestRewrite<'_>,
    rewrites_length: bool,
) -> bool {
    use FieldName as F;
    let kept = match name {
        F::Other | F::Authorization | F::Expect | F::Date | F::SetCookie => true,
        F::Cookie => {
            request.hidden_cookies.is_empty()
                || !cookies::names_any(span.value(request.bytes), request.hidden_cookies)
        }
        F::Host => request.host.is_none(),
        F::ContentLength => !rewrites_length,
        F::Connection
        | F::KeepAlive
        | F::ProxyConnection
        | F::ProxyAuthenticate
        | F::ProxyAuthorization
        | F::Te
        | F::Trailer
        | F::TransferEncoding
        | F::Upgrade
        | F::Http2Settings
        | F::FramingAlias => false,
        forwarded => forwarded::is_kept(forwarded, span.value(request.bytes), request.identity),
    };
    kept && !(request.control.names_fields
        && !is_protected(name)
        && is_named_by_connection(request.bytes, &request.head.fields, span.name(request.bytes)))
}

/// `Content-Length` with leading zeros is never passed on as it is (http1 A5).
fn has_loose_length(bytes: &[u8], fields: &Fields) -> bool {
    fields
        .first(bytes, FieldName::ContentLength)
        .is_some_and(|value| value.len() > 1 && value.starts_with(b"0"))
}

fn has_length_but_zero(bytes: &[u8], fields: &Fields) -> bool {
    fields.first(bytes, FieldName::ContentLength).is_some_and(|value| value != b"0")
}

/// What a response's head becomes.
#[derive(Clone, Copy, Debug)]
pub struct ResponseRewrite<'a> {
    /// The head's bytes.
    pub bytes: &'a [u8],
    /// Where everything is in them.
    pub head: &'a ResponseHead,
    /// Framing and connection.
    pub control: &'a ResponseControl,
    /// How the body goes to the client.
    pub framing: Framing,
    /// Minor version of the client.
    pub client_minor: u8,
    /// The client's connection stays open.
    pub keep_alive: bool,
    /// `Upgrade` and `Connection: Upgrade` travel on (101).
    pub upgrades: bool,
    /// The value of `Date`, should the server have sent none.
    pub date: &'a [u8],
}

/// Appends the head for the client, the empty line included; `own_lines` are whole lines (sticky
/// cookies) and come first, before the server's own `Set-Cookie`.
pub fn write_response<'l>(
    out: &mut Vec<u8>,
    response: &ResponseRewrite<'_>,
    own_lines: impl Iterator<Item = &'l [u8]>,
) {
    let ResponseRewrite { bytes, head, control, .. } = *response;
    out.extend_from_slice(if response.client_minor == 1 { b"HTTP/1.1" } else { b"HTTP/1.0" });
    match bytes.get(8..head.line_bytes).unwrap_or(&[]) {
        // The blank behind the status is not optional (RFC 9112 §4).
        [status @ .., b'\r', b'\n'] if status.len() == " 200".len() => {
            out.extend_from_slice(status);
            out.extend_from_slice(b" \r\n");
        }
        rest => out.extend_from_slice(rest),
    }
    for line in own_lines {
        out.extend_from_slice(line);
    }
    // RFC 9110 §8.6: never in 1xx and 204.
    let keeps_length = control.has_plain_length && head.status >= 200 && head.status != 204;
    head.fields.copy_lines(bytes, head.line_bytes, out, |name, span| {
        keeps_response_line(name, span, response, keeps_length)
    });
    match response.framing {
        Framing::Length(length) if !keeps_length => put_length(out, length),
        Framing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        _ => {}
    }
    if !head.fields.has(FieldName::Date) && head.status >= 200 {
        put(out, b"Date: ", response.date);
    }
    if response.upgrades {
        out.extend_from_slice(b"Connection: Upgrade\r\n");
    } else if head.status >= 200 {
        put_connection(out, response.client_minor, response.keep_alive);
    }
    out.extend_from_slice(b"\r\n");
}

fn keeps_response_line(
    name: FieldName,
    span: &FieldSpan,
    response: &ResponseRewrite<'_>,
    keeps_length: bool,
) -> bool {
    use FieldName as F;
    let kept = match name {
        F::ContentLength => keeps_length,
        F::Upgrade => response.upgrades,
        F::Trailer => response.framing == Framing::Chunked,
        F::Connection
        | F::KeepAlive
        | F::ProxyConnection
        | F::ProxyAuthenticate
        | F::ProxyAuthorization
        | F::Te
        | F::TransferEncoding
        | F::Http2Settings
        | F::FramingAlias => false,
        _ => true,
    };
    kept && !(response.control.names_fields
        && !is_protected(name)
        && is_named_by_connection(response.bytes, &response.head.fields, span.name(response.bytes)))
}

/// Appends what the client must be told about its connection.
pub fn put_connection(out: &mut Vec<u8>, client_minor: u8, keep_alive: bool) {
    match (client_minor, keep_alive) {
        // What an HTTP/1.0 client expects anyway is not said, as Go's server does not.
        (1.., true) | (0, false) => {}
        (1.., false) => out.extend_from_slice(b"Connection: close\r\n"),
        (0, true) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
    }
}

fn put_length(out: &mut Vec<u8>, length: u64) {
    put(out, b"Content-Length: ", itoa::Buffer::new().format(length).as_bytes());
}

#[cfg(test)]
mod tests;
