//! The access log: one record an exchange, formatted on the worker, written by a thread of its own.
//!
//! The line is Traefik's, byte for byte, but that `"` and control bytes in logged values are
//! escaped (http1 G10) and JSON has `StickyStatus`. A full disk or a slow reader costs lines, which
//! are counted, never a worker's time. `conn` makes the records, `control` starts, reopens and
//! stops the writer.

mod escape;
mod fields;
mod headers;
mod line;
mod stamp;
mod writer;

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use super::outcome::StickyOutcome;

pub use writer::{AccessLog, AccessLogWriter, start};

/// One exchange as it ended; borrowed from the connection, formatted at once.
#[derive(Clone, Copy, Debug)]
pub struct AccessRecord<'a> {
    /// Wall clock at the first byte of the request.
    pub started: SystemTime,
    /// From the first byte of the request to the last of the response.
    pub duration: Duration,
    /// From the request's last byte to the response's last byte of the server; `None` without one.
    pub origin_duration: Option<Duration>,
    /// Peer of the connection (after PROXY protocol).
    pub client: SocketAddr,
    /// `ClientHost`: the incoming `X-Forwarded-For` if the peer is trusted and sent one.
    pub client_host: Option<&'a [u8]>,
    /// Name of the entry point.
    pub entry_point: &'a str,
    /// As received; may hold any byte.
    pub method: &'a [u8],
    /// Path and query after normalisation; may hold any byte.
    pub target: &'a [u8],
    /// `HTTP/1.1` or `HTTP/1.0`.
    pub protocol: &'a str,
    /// The Host that the client asked for, with its port; may be empty.
    pub host: &'a [u8],
    /// `https` (TLS) or `http`.
    pub scheme: &'a str,
    /// Bytes of the request's body that were read.
    pub request_bytes: u64,
    /// Status sent to the client; 0 for an upgraded connection.
    pub status: u16,
    /// Body bytes sent to the client; 0 for an upgraded connection.
    pub response_bytes: u64,
    /// Status that the server sent; `None` without one.
    pub origin_status: Option<u16>,
    /// Body bytes that the server sent.
    pub origin_bytes: u64,
    /// Qualified name of the router; `None`: 404.
    pub router: Option<&'a str>,
    /// Qualified name of the service.
    pub service: Option<&'a str>,
    /// The chosen server's URL as configured.
    pub server_url: Option<&'a str>,
    /// `host:port` of the chosen server.
    pub server_address: Option<&'a str>,
    /// Exchanges that this worker has begun.
    pub request_count: u64,
    /// Times that the request was sent again.
    pub retries: u32,
    /// How the server was chosen.
    pub sticky: StickyOutcome,
    /// Fields of the request's head.
    pub request_fields: FieldLines<'a>,
    /// Fields of the server's response head.
    pub origin_fields: FieldLines<'a>,
}

/// Fields of a head, as `(name, value)` slices in the order received.
#[derive(Clone, Copy, Debug, Default)]
pub struct FieldLines<'a> {
    /// The bytes that the spans point into.
    pub bytes: &'a [u8],
    /// Name and value positions.
    pub spans: &'a [FieldSpan],
}

impl<'a> FieldLines<'a> {
    /// Every field as (name, value), in the order received; a span outside the bytes is left out.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let bytes = self.bytes;
        let part = move |start: u32, end: u32| bytes.get(start as usize..end as usize);
        self.spans.iter().filter_map(move |span| {
            Some((part(span.name_start, span.name_end)?, part(span.value_start, span.value_end)?))
        })
    }
}

/// Where a field is in the bytes of its head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldSpan {
    /// First byte of the name.
    pub name_start: u32,
    /// One past the last byte of the name.
    pub name_end: u32,
    /// First byte of the value, after blanks.
    pub value_start: u32,
    /// One past the last byte of the value, before blanks.
    pub value_end: u32,
}
