//! One row of the request tables: what a client sends, and what must come of it on both sides.

use std::borrow::Cow;

/// What becomes of the client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It takes another request.
    Open,
    /// The proxy says so, where there is a response, and closes it cleanly.
    Closed,
}

/// What the server received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Not a byte.
    Nothing,
    /// Nothing, or the beginning of one request whose connection was then closed.
    Unfinished,
    /// Exactly these, each as (head, body). Lines of the head are joined by `\n`, without the
    /// proxy's own (see [`super::origin`]).
    Requests(Vec<(Cow<'static, str>, Cow<'static, [u8]>)>),
}

/// One row.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) send: Cow<'static, [u8]>,
    /// Statuses of the responses, in order; those of one entry are all right.
    pub(crate) statuses: Vec<u16>,
    pub(crate) end: End,
    pub(crate) seen: Seen,
}

/// A whole request that is refused before anything of it reaches a server.
pub(crate) fn refused(
    name: impl Into<String>,
    status: u16,
    send: impl Into<Cow<'static, [u8]>>,
) -> Case {
    Case {
        name: name.into(),
        send: send.into(),
        statuses: vec![status],
        end: End::Closed,
        seen: Seen::Nothing,
    }
}

/// A POST with these field lines (each ended by CRLF) and body bytes, refused like [`refused`].
pub(crate) fn refused_post(name: &str, status: u16, fields: &str, body: &str) -> Case {
    refused(name, status, post(fields, body.as_bytes()))
}

/// A chunked body that is malformed: 400, and no server takes the request for a whole one.
pub(crate) fn cut(name: impl Into<String>, body: &[u8]) -> Case {
    let send = post("Transfer-Encoding: chunked\r\n", body);
    Case { seen: Seen::Unfinished, ..refused(name, 400, send) }
}

/// One request that reaches the server as `head` and `body`; the connection stays open.
pub(crate) fn passed(
    name: impl Into<String>,
    send: impl Into<Cow<'static, [u8]>>,
    head: impl Into<Cow<'static, str>>,
    body: impl Into<Cow<'static, [u8]>>,
) -> Case {
    Case {
        name: name.into(),
        send: send.into(),
        statuses: vec![200],
        end: End::Open,
        seen: Seen::Requests(vec![(head.into(), body.into())]),
    }
}

/// Like [`passed`], and the connection is closed after the response.
pub(crate) fn passed_and_closed(
    name: &str,
    send: impl Into<Cow<'static, [u8]>>,
    head: &'static str,
    body: &'static [u8],
) -> Case {
    Case { end: End::Closed, ..passed(name, send, head, body) }
}

/// The bytes of a POST to `/` of host `a`.
pub(crate) fn post(fields: &str, body: &[u8]) -> Vec<u8> {
    let mut send = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").into_bytes();
    send.extend_from_slice(body);
    send
}

/// The bytes of a GET of `target` from host `a`.
pub(crate) fn get(target: &str, fields: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n").into_bytes()
}
