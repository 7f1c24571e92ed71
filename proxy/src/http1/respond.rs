//! Responses that sundew makes itself, with the texts of Traefik (and of Go's standard library,
//! where those come from there). They never reflect a byte of the request (http1 D18).

use super::rewrite::put_connection;

/// A response without a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnResponse {
    /// Status code.
    pub status: u16,
    /// Body.
    pub body: &'static str,
    /// What the body is.
    pub kind: BodyKind,
    /// Seconds after which it may be asked again (RFC 9110 §10.2.3).
    pub retry_after_s: Option<u32>,
}

/// How the body of an [`OwnResponse`] is labelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// No `Content-Type`: Traefik's proxy errors.
    Bare,
    /// `text/plain; charset=utf-8`.
    Plain,
    /// The same with `X-Content-Type-Options: nosniff` (Go's `http.Error`).
    PlainNoSniff,
}

/// The reason phrase of every status that sundew sends by itself.
#[must_use]
pub fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        413 => "Request Entity Too Large",
        414 => "Request URI Too Long",
        417 => "Expectation Failed",
        418 => "I'm a teapot",
        421 => "Misdirected Request",
        423 => "Locked",
        425 => "Too Early",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        // Go knows no name for it, and writes this.
        499 => "status code 499",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

/// What the client gets besides the response itself.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// Minor version of the client.
    pub client_minor: u8,
    /// The client's connection stays open.
    pub keep_alive: bool,
    /// The request was refused as a whole: that is said to HTTP/1.0 clients too.
    pub is_refusal: bool,
    /// A HEAD request gets no body.
    pub is_head_request: bool,
    /// The value of `Date`.
    pub date: &'a [u8],
}

/// Appends the whole response; `own_lines` are whole field lines (sticky cookies).
pub fn write<'l>(
    out: &mut Vec<u8>,
    response: OwnResponse,
    delivery: &Delivery<'_>,
    own_lines: impl Iterator<Item = &'l [u8]>,
) {
    let version: &[u8] = if delivery.client_minor == 1 { b"HTTP/1.1 " } else { b"HTTP/1.0 " };
    out.extend_from_slice(version);
    let mut digits = itoa::Buffer::new();
    out.extend_from_slice(digits.format(response.status).as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason(response.status).as_bytes());
    out.extend_from_slice(b"\r\n");
    for line in own_lines {
        out.extend_from_slice(line);
    }
    if response.kind != BodyKind::Bare {
        out.extend_from_slice(b"Content-Type: text/plain; charset=utf-8\r\n");
    }
    if response.kind == BodyKind::PlainNoSniff {
        out.extend_from_slice(b"X-Content-Type-Options: nosniff\r\n");
    }
    if let Some(seconds) = response.retry_after_s {
        out.extend_from_slice(b"Retry-After: ");
        out.extend_from_slice(digits.format(seconds).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"Date: ");
    out.extend_from_slice(delivery.date);
    out.extend_from_slice(b"\r\nContent-Length: ");
    out.extend_from_slice(digits.format(response.body.len()).as_bytes());
    out.extend_from_slice(b"\r\n");
    let minor = if delivery.is_refusal { 1 } else { delivery.client_minor };
    put_connection(out, minor, delivery.keep_alive);
    out.extend_from_slice(b"\r\n");
    if !delivery.is_head_request {
        out.extend_from_slice(response.body.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_without_a_server_answers_as_go_s_http_error() {
        let response = OwnResponse {
            status: 503,
            body: "no available server\n",
            kind: BodyKind::PlainNoSniff,
            retry_after_s: None,
        };
        let delivery = Delivery {
            client_minor: 1,
            keep_alive: true,
            is_refusal: false,
            is_head_request: false,
            date: b"D",
        };
        let mut out = Vec::new();
        write(&mut out, response, &delivery, std::iter::empty());
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n\
             X-Content-Type-Options: nosniff\r\nDate: D\r\nContent-Length: 20\r\n\r\n\
             no available server\n"
        );
    }

    #[test]
    fn a_head_request_gets_the_length_and_no_body() {
        let response = OwnResponse {
            status: 502,
            body: "Bad Gateway",
            kind: BodyKind::Bare,
            retry_after_s: None,
        };
        let delivery = Delivery {
            client_minor: 0,
            keep_alive: true,
            is_refusal: false,
            is_head_request: true,
            date: b"D",
        };
        let mut out = Vec::new();
        write(&mut out, response, &delivery, [&b"Set-Cookie: a=b\r\n"[..]].into_iter());
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "HTTP/1.0 502 Bad Gateway\r\nSet-Cookie: a=b\r\nDate: D\r\nContent-Length: 11\r\n\
             Connection: keep-alive\r\n\r\n"
        );
    }
}
