//! One record → one line in Traefik's common format, its generic CLF, or JSON. Nothing is
//! allocated once the buffers have grown; where the line goes is `writer`'s.

use std::io::Write;
use std::net::SocketAddr;

use sundew_config::model::{AccessLogFilters, AccessLogFormat, AccessLogOptions};

use super::escape::{push_json, push_number, push_plain};
use super::fields::{FIELDS, Field, Kept, Value};
use super::headers::{HeaderModes, canonical};
use super::stamp::Stamp;
use super::{AccessRecord, FieldLines};

/// What a worker formats lines with.
#[derive(Debug)]
pub(super) struct LineFormat {
    format: AccessLogFormat,
    filters: AccessLogFilters,
    internals: bool,
    kept: Kept,
    headers: HeaderModes,
    started: Stamp,
    ended: Stamp,
    /// Positions of a head's kept fields while they are sorted.
    order: Vec<u16>,
}

impl LineFormat {
    pub(super) fn new(options: &AccessLogOptions) -> Self {
        Self {
            format: options.format,
            filters: options.filters.clone(),
            internals: options.internals,
            kept: Kept::new(&options.fields),
            headers: HeaderModes::new(&options.fields),
            started: Stamp::default(),
            ended: Stamp::default(),
            order: Vec::new(),
        }
    }

    /// Appends the line of `record`; false if no filter keeps it.
    pub(super) fn push(&mut self, record: &AccessRecord<'_>, out: &mut Vec<u8>) -> bool {
        if !self.is_kept(record) {
            return false;
        }
        self.started.set(record.started);
        match self.format {
            AccessLogFormat::Common => self.push_clf(record, true, out),
            AccessLogFormat::GenericClf => self.push_clf(record, false, out),
            AccessLogFormat::Json => self.push_json_line(record, out),
        }
        out.push(b'\n');
        true
    }

    fn is_kept(&self, record: &AccessRecord<'_>) -> bool {
        let is_internal = record.router.is_some_and(|name| name.ends_with("@internal"));
        if is_internal && !self.internals {
            return false;
        }
        let filters = &self.filters;
        !filters.is_any_set()
            || filters.status_codes.iter().any(|&(low, high)| (low..=high).contains(&record.status))
            || filters.retry_attempts && record.retries > 0
            || filters.duration_min.is_some_and(|least| record.duration >= least)
    }

    fn push_clf(&self, record: &AccessRecord<'_>, with_traefik_s: bool, out: &mut Vec<u8>) {
        self.push_bare(Field::ClientHost, record, out);
        out.extend_from_slice(b" - ");
        self.push_bare(Field::ClientUsername, record, out);
        out.extend_from_slice(b" [");
        // UTC, unless only the local time is kept.
        out.extend_from_slice(
            match (
                self.kept.value(Field::StartUtc, record),
                self.kept.value(Field::StartLocal, record),
            ) {
                (Value::Absent, Value::Absent) => b"-",
                (Value::Absent, _) => self.started.common(true),
                _ => self.started.common(false),
            },
        );
        out.extend_from_slice(b"] \"");
        self.push_bare(Field::RequestMethod, record, out);
        out.push(b' ');
        self.push_bare(Field::RequestPath, record, out);
        out.push(b' ');
        self.push_bare(Field::RequestProtocol, record, out);
        out.extend_from_slice(b"\" ");
        self.push_bare(Field::DownstreamStatus, record, out);
        out.push(b' ');
        self.push_bare(Field::DownstreamContentSize, record, out);
        for name in [&b"Referer"[..], b"User-Agent"] {
            out.extend_from_slice(b" \"");
            let write = |part: &[u8]| push_plain(part, out);
            if !self.headers.write_one(record.request_fields, name, write) {
                out.push(b'-');
            }
            out.push(b'"');
        }
        if with_traefik_s {
            self.push_traefik_s(record, out);
        }
    }

    /// What the common format has beyond CLF.
    fn push_traefik_s(&self, record: &AccessRecord<'_>, out: &mut Vec<u8>) {
        out.push(b' ');
        self.push_bare(Field::RequestCount, record, out);
        for field in [Field::RouterName, Field::ServiceUrl] {
            out.extend_from_slice(b" \"");
            self.push_bare(field, record, out);
            out.push(b'"');
        }
        out.push(b' ');
        let nanoseconds = match self.kept.value(Field::Duration, record) {
            Value::Number(nanoseconds) => nanoseconds,
            _ => 0,
        };
        push_number(nanoseconds / 1_000_000, out);
        out.extend_from_slice(b"ms");
    }

    /// A value of the common format; `-` for one that is absent.
    fn push_bare(&self, field: Field, record: &AccessRecord<'_>, out: &mut Vec<u8>) {
        match self.kept.value(field, record) {
            Value::Absent => out.push(b'-'),
            Value::Text(text) => push_plain(text, out),
            value => self.push_value(value, out),
        }
    }

    /// A value that holds nothing of a peer's choosing.
    fn push_value(&self, value: Value<'_>, out: &mut Vec<u8>) {
        // Writing to a vector cannot fail.
        let _ = match value {
            Value::Absent => Ok(()),
            Value::Text(text) => {
                push_json(text, out);
                Ok(())
            }
            Value::Number(number) => {
                push_number(number, out);
                Ok(())
            }
            Value::Ratio(ratio) => write!(out, "{ratio}"),
            Value::Peer(peer) => write!(out, "{}", canonical_peer(peer)),
            Value::PeerAddress(peer) => write!(out, "{}", canonical_peer(peer).ip()),
            Value::PeerPort(peer) => write!(out, "{}", peer.port()),
            Value::Started { local } => {
                self.started.push_nano(local, out);
                Ok(())
            }
        };
    }

    fn push_json_line(&mut self, record: &AccessRecord<'_>, out: &mut Vec<u8>) {
        self.ended.set(record.started.checked_add(record.duration).unwrap_or(record.started));
        out.push(b'{');
        let (last, named) = FIELDS.split_last().unwrap_or((&(Field::EntryPointName, ""), &[]));
        for &(field, name) in named {
            self.push_member(field, name, record, out);
        }
        // A header that the server sent is what the client got, sticky cookies apart.
        self.push_head("downstream_", record.origin_fields, out);
        self.push_member(last.0, last.1, record, out);
        out.extend_from_slice(b"\"level\":\"info\",\"msg\":\"\",");
        self.push_head("origin_", record.origin_fields, out);
        self.push_head("request_", record.request_fields, out);
        out.extend_from_slice(b"\"time\":\"");
        self.ended.push_second(out);
        out.extend_from_slice(b"\"}");
    }

    /// `"name":value,` unless it is absent.
    fn push_member(&self, field: Field, name: &str, record: &AccessRecord<'_>, out: &mut Vec<u8>) {
        let value = self.kept.value(field, record);
        if matches!(value, Value::Absent) {
            return;
        }
        out.push(b'"');
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        let is_number = matches!(value, Value::Number(_) | Value::Ratio(_));
        if !is_number {
            out.push(b'"');
        }
        self.push_value(value, out);
        if !is_number {
            out.push(b'"');
        }
        out.push(b',');
    }

    /// `"request_User-Agent":"…",` for each kept name of a head.
    fn push_head(&mut self, prefix: &str, lines: FieldLines<'_>, out: &mut Vec<u8>) {
        self.headers.sort(lines, &mut self.order);
        let mut order = &*self.order;
        while let Some((name, group, rest)) = HeaderModes::next_group(lines, order) {
            order = rest;
            out.push(b'"');
            out.extend_from_slice(prefix.as_bytes());
            for byte in canonical(name) {
                push_json(&[byte], out);
            }
            out.extend_from_slice(b"\":\"");
            self.headers.write_group(lines, name, group, |part| push_json(part, out));
            out.extend_from_slice(b"\",");
        }
    }
}

/// An IPv4 client of a dual-stack listener is shown as IPv4.
fn canonical_peer(peer: SocketAddr) -> SocketAddr {
    match peer.ip().to_canonical() {
        address if address == peer.ip() => peer,
        address => SocketAddr::new(address, peer.port()),
    }
}

#[cfg(test)]
mod tests;
