//! The named fields of a line and which of them are kept. What they mean for a record is here;
//! how they are written is in `line`.

use std::net::SocketAddr;

use sundew_config::model::{AccessLogFields, FieldMode};

use super::AccessRecord;

/// A field by Traefik's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Field {
    ClientAddr,
    ClientHost,
    ClientPort,
    ClientUsername,
    DownstreamContentSize,
    DownstreamStatus,
    Duration,
    GzipRatio,
    OriginContentSize,
    OriginDuration,
    OriginStatus,
    Overhead,
    RequestAddr,
    RequestContentSize,
    RequestCount,
    RequestHost,
    RequestMethod,
    RequestPath,
    RequestPort,
    RequestProtocol,
    RequestScheme,
    RetryAttempts,
    RouterName,
    ServiceAddr,
    ServiceName,
    ServiceUrl,
    StartLocal,
    StartUtc,
    StickyStatus,
    EntryPointName,
}

/// In the order of a JSON line: bytewise by name. `entryPointName` follows the
/// `downstream_…` fields and is written by itself.
pub(super) const FIELDS: [(Field, &str); 30] = [
    (Field::ClientAddr, "ClientAddr"),
    (Field::ClientHost, "ClientHost"),
    (Field::ClientPort, "ClientPort"),
    (Field::ClientUsername, "ClientUsername"),
    (Field::DownstreamContentSize, "DownstreamContentSize"),
    (Field::DownstreamStatus, "DownstreamStatus"),
    (Field::Duration, "Duration"),
    (Field::GzipRatio, "GzipRatio"),
    (Field::OriginContentSize, "OriginContentSize"),
    (Field::OriginDuration, "OriginDuration"),
    (Field::OriginStatus, "OriginStatus"),
    (Field::Overhead, "Overhead"),
    (Field::RequestAddr, "RequestAddr"),
    (Field::RequestContentSize, "RequestContentSize"),
    (Field::RequestCount, "RequestCount"),
    (Field::RequestHost, "RequestHost"),
    (Field::RequestMethod, "RequestMethod"),
    (Field::RequestPath, "RequestPath"),
    (Field::RequestPort, "RequestPort"),
    (Field::RequestProtocol, "RequestProtocol"),
    (Field::RequestScheme, "RequestScheme"),
    (Field::RetryAttempts, "RetryAttempts"),
    (Field::RouterName, "RouterName"),
    (Field::ServiceAddr, "ServiceAddr"),
    (Field::ServiceName, "ServiceName"),
    (Field::ServiceUrl, "ServiceURL"),
    (Field::StartLocal, "StartLocal"),
    (Field::StartUtc, "StartUTC"),
    (Field::StickyStatus, "StickyStatus"),
    (Field::EntryPointName, "entryPointName"),
];

/// Which fields are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    bits: u32,
    query: bool,
}

impl Kept {
    /// `redact` means the default for a named field, and `keep` as a default or for queries, as
    /// under Traefik, where it only ever hides header fields.
    pub(super) fn new(options: &AccessLogFields) -> Self {
        let by_default = options.default_mode != FieldMode::Drop;
        let is_kept = |name: &str| {
            let named = options.names.iter().find(|(it, _)| it == name).map(|&(_, mode)| mode);
            match named {
                Some(FieldMode::Keep) => true,
                Some(FieldMode::Drop) => false,
                Some(FieldMode::Redact) | None => by_default,
            }
        };
        let kept = FIELDS.iter().filter(|(_, name)| is_kept(name));
        Self {
            bits: kept.fold(0, |bits, &(field, _)| bits | 1 << field as u8),
            query: options.query_default_mode != FieldMode::Drop,
        }
    }

    /// The value of `field` in `record`, absent if it is not kept.
    pub(super) fn value<'a>(self, field: Field, record: &AccessRecord<'a>) -> Value<'a> {
        if self.bits & 1 << field as u8 == 0 {
            return Value::Absent;
        }
        match value_of(field, record) {
            Value::Text(target) if field == Field::RequestPath && !self.query => {
                Value::Text(target.split(|&byte| byte == b'?').next().unwrap_or(target))
            }
            value => value,
        }
    }
}

/// What a field of a record holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    /// Not known, or not kept.
    Absent,
    Text(&'a [u8]),
    Number(u64),
    Ratio(f64),
    /// Address and port.
    Peer(SocketAddr),
    /// The address alone.
    PeerAddress(SocketAddr),
    /// The port alone, as text.
    PeerPort(SocketAddr),
    /// When the request began.
    Started {
        local: bool,
    },
}

impl<'a> Value<'a> {
    fn text(text: Option<&'a str>) -> Self {
        text.map_or(Self::Absent, |text| Self::Text(text.as_bytes()))
    }

    fn nanoseconds(duration: std::time::Duration) -> Self {
        Self::Number(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }
}

fn value_of<'a>(field: Field, record: &AccessRecord<'a>) -> Value<'a> {
    let origin = record.origin_duration.unwrap_or_default();
    match field {
        Field::ClientAddr => Value::Peer(record.client),
        Field::ClientHost => match record.client_host {
            Some(host) => Value::Text(host),
            None => Value::PeerAddress(record.client),
        },
        Field::ClientPort => Value::PeerPort(record.client),
        // No middleware that knows a user exists.
        Field::ClientUsername => Value::Text(b"-"),
        Field::DownstreamContentSize => Value::Number(record.response_bytes),
        Field::DownstreamStatus => Value::Number(record.status.into()),
        Field::Duration => Value::nanoseconds(record.duration),
        Field::GzipRatio => match record.response_bytes {
            0 => Value::Absent,
            sent if sent == record.origin_bytes => Value::Absent,
            sent => Value::Ratio(record.origin_bytes as f64 / sent as f64),
        },
        Field::OriginContentSize => Value::Number(record.origin_bytes),
        Field::OriginDuration => Value::nanoseconds(origin),
        Field::OriginStatus => Value::Number(record.origin_status.unwrap_or(0).into()),
        Field::Overhead => Value::nanoseconds(record.duration.saturating_sub(origin)),
        Field::RequestAddr if record.host.is_empty() => Value::Absent,
        Field::RequestAddr => Value::Text(record.host),
        Field::RequestContentSize => Value::Number(record.request_bytes),
        Field::RequestCount => Value::Number(record.request_count),
        Field::RequestHost | Field::RequestPort if record.host.is_empty() => Value::Absent,
        Field::RequestHost => Value::Text(split_host_port(record.host).0),
        Field::RequestMethod => Value::Text(record.method),
        Field::RequestPath => Value::Text(record.target),
        Field::RequestPort => Value::Text(split_host_port(record.host).1),
        Field::RequestProtocol => Value::Text(record.protocol.as_bytes()),
        Field::RequestScheme => Value::Text(record.scheme.as_bytes()),
        Field::RetryAttempts => Value::Number(record.retries.into()),
        Field::RouterName => Value::text(record.router),
        Field::ServiceAddr => Value::text(record.server_address),
        Field::ServiceName => Value::text(record.service),
        Field::ServiceUrl => Value::text(record.server_url),
        Field::StartLocal => Value::Started { local: true },
        Field::StartUtc => Value::Started { local: false },
        Field::StickyStatus => Value::Text(record.sticky.as_str().as_bytes()),
        Field::EntryPointName => Value::Text(record.entry_point.as_bytes()),
    }
}

/// As Go's `net.SplitHostPort`: without exactly one port the whole is the host, the port `-`.
fn split_host_port(host: &[u8]) -> (&[u8], &[u8]) {
    let Some(colon) = host.iter().rposition(|&byte| byte == b':') else { return (host, b"-") };
    let Some((name, port)) = host.split_at_checked(colon) else { return (host, b"-") };
    let port = port.get(1..).unwrap_or(b"");
    match name {
        [b'[', inner @ .., b']'] => (inner, port),
        _ if name.contains(&b':') || name.contains(&b'[') => (host, b"-"),
        _ => (name, port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_fields_is_complete_and_sorted() {
        for (position, (field, _)) in FIELDS.iter().enumerate() {
            assert_eq!(*field as usize, position);
        }
        assert!(FIELDS.is_sorted_by_key(|(_, name)| *name));
    }

    #[test]
    fn hosts_are_split_as_go_does() {
        for (host, name, port) in [
            ("h", "h", "-"),
            ("h:80", "h", "80"),
            ("h:", "h", ""),
            ("[::1]:80", "::1", "80"),
            ("[::1]", "[::1]", "-"),
            ("::1", "::1", "-"),
        ] {
            assert_eq!(split_host_port(host.as_bytes()), (name.as_bytes(), port.as_bytes()));
        }
    }
}
