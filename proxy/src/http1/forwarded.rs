//! Who the client is, told to the server: `X-Forwarded-*` and `X-Real-Ip` as Traefik does
//! (`pkg/middlewares/forwardedheaders`), http1 E1–E5.

use std::net::IpAddr;

use super::fields::{FieldName, put, trim_blanks};
use super::framing::split_port;
use super::head::RequestHead;

/// Text of an address, made once a connection.
#[derive(Clone, Copy, Debug)]
pub struct PeerText {
    bytes: [u8; PeerText::BYTES_MAX],
    length: u8,
}

impl PeerText {
    /// Longest text of an IPv6 address.
    const BYTES_MAX: usize = 45;

    /// Renders an address; an IPv4 address in IPv6 clothes as IPv4, without zone.
    #[must_use]
    pub fn new(address: IpAddr) -> Self {
        use std::io::Write;
        let mut bytes = [0_u8; Self::BYTES_MAX];
        let mut rest = bytes.as_mut_slice();
        // Cannot fail: no address is longer.
        let _ = write!(rest, "{}", address.to_canonical());
        let left = rest.len();
        Self { bytes, length: u8::try_from(Self::BYTES_MAX - left).unwrap_or(0) }
    }

    /// The text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&[])
    }
}

/// What goes into the fields.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// Address of the peer.
    pub peer: &'a [u8],
    /// The peer's own fields are believed.
    pub is_trusted: bool,
    /// `notAppendXForwardedFor`.
    pub not_append: bool,
    /// Name of this machine, for `X-Forwarded-Server`.
    pub hostname: &'a [u8],
    /// The authority that the client asked for; may be empty.
    pub host: &'a [u8],
    /// The connection is TLS.
    pub is_tls: bool,
    /// `Upgrade: websocket` was asked for.
    pub is_websocket: bool,
}

/// Whether a request's line travels on; those that do not are written by [`write()`].
#[must_use]
pub fn is_kept(name: FieldName, value: &[u8], identity: &Identity<'_>) -> bool {
    use FieldName as F;
    match name {
        F::XForwardedFor | F::XForwardedServer => false,
        F::XForwardedHost | F::XForwardedPort | F::XForwardedProto | F::XRealIp => {
            identity.is_trusted && !value.is_empty()
        }
        F::XForwardedOther | F::ForwardedAlias | F::Forwarded => identity.is_trusted,
        _ => true,
    }
}

/// Appends the lines that are the proxy's own.
pub fn write(out: &mut Vec<u8>, bytes: &[u8], head: &RequestHead, identity: &Identity<'_>) {
    write_forwarded_for(out, bytes, head, identity);
    let is_missing =
        |name| !identity.is_trusted || head.fields.values(bytes, name).all(<[u8]>::is_empty);
    if !identity.host.is_empty() && is_missing(FieldName::XForwardedHost) {
        put(out, b"X-Forwarded-Host: ", identity.host);
    }
    if is_missing(FieldName::XForwardedPort) {
        let default: &[u8] = if identity.is_tls { b"443" } else { b"80" };
        let port = split_port(identity.host).1.filter(|port| !port.is_empty());
        put(out, b"X-Forwarded-Port: ", port.unwrap_or(default));
    }
    if is_missing(FieldName::XForwardedProto) {
        put(out, b"X-Forwarded-Proto: ", scheme(identity));
    }
    put(out, b"X-Forwarded-Server: ", identity.hostname);
    if is_missing(FieldName::XRealIp) {
        put(out, b"X-Real-Ip: ", identity.peer);
    }
}

fn scheme(identity: &Identity<'_>) -> &'static [u8] {
    match (identity.is_websocket, identity.is_tls) {
        (false, false) => b"http",
        (false, true) => b"https",
        (true, false) => b"ws",
        (true, true) => b"wss",
    }
}

fn write_forwarded_for(
    out: &mut Vec<u8>,
    bytes: &[u8],
    head: &RequestHead,
    identity: &Identity<'_>,
) {
    let begin = out.len();
    out.extend_from_slice(b"X-Forwarded-For: ");
    let mut is_first = true;
    if identity.is_trusted {
        // Lines are folded into one; an empty one leaves its comma, as Traefik's does.
        for value in head.fields.values(bytes, FieldName::XForwardedFor) {
            if !is_first {
                out.extend_from_slice(b", ");
            }
            out.extend_from_slice(trim_blanks(value));
            is_first = false;
        }
    }
    if !identity.not_append {
        if !is_first {
            out.extend_from_slice(b", ");
        }
        out.extend_from_slice(identity.peer);
    } else if is_first {
        out.truncate(begin);
        return;
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::head::{HeadLimits, parse_request};

    fn written(fields: &str, identity: &Identity<'_>) -> String {
        let text = format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
        let limits = HeadLimits { bytes_max: 9999, fields_max: 100, line_bytes_max: 999 };
        let mut head = RequestHead::default();
        parse_request(text.as_bytes(), &limits, &mut head).unwrap();
        let mut out = Vec::new();
        head.fields.copy_lines(text.as_bytes(), 16, &mut out, |name, span| {
            name != FieldName::Host && is_kept(name, span.value(text.as_bytes()), identity)
        });
        write(&mut out, text.as_bytes(), &head, identity);
        String::from_utf8(out).unwrap()
    }

    const STRANGER: Identity<'_> = Identity {
        peer: b"9.9.9.9",
        is_trusted: false,
        not_append: false,
        hostname: b"edge",
        host: b"h:8080",
        is_tls: false,
        is_websocket: false,
    };

    #[test]
    fn a_stranger_s_claims_are_replaced() {
        let sent = "X-Forwarded-For: 1.1.1.1\r\nX_Forwarded_For: 2.2.2.2\r\nX-Real-Ip: 3\r\n\
                    X-Forwarded-Prefix: /p\r\nForwarded: for=x\r\nX-Forwarded-Scheme: s\r\n";
        assert_eq!(
            written(sent, &STRANGER),
            "X-Forwarded-Scheme: s\r\nX-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Host: h:8080\r\n\
             X-Forwarded-Port: 8080\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Server: edge\r\n\
             X-Real-Ip: 9.9.9.9\r\n"
        );
    }

    #[test]
    fn a_trusted_peer_s_claims_are_kept_and_its_address_appended() {
        let trusted = Identity { is_trusted: true, host: b"h", ..STRANGER };
        let sent = "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\nX-Real-Ip: 3.3.3.3\r\n\
                    X-Forwarded-Proto: https\r\nX-Forwarded-Server: liar\r\n";
        assert_eq!(
            written(sent, &trusted),
            "X-Real-Ip: 3.3.3.3\r\nX-Forwarded-Proto: https\r\n\
             X-Forwarded-For: 1.1.1.1, 2.2.2.2, 9.9.9.9\r\nX-Forwarded-Host: h\r\n\
             X-Forwarded-Port: 80\r\nX-Forwarded-Server: edge\r\n"
        );
    }

    #[test]
    fn without_appending_a_stranger_s_request_has_no_forwarded_for() {
        let identity = Identity { not_append: true, ..STRANGER };
        assert!(!written("X-Forwarded-For: 1.1.1.1\r\n", &identity).contains("Forwarded-For"));
    }

    #[test]
    fn an_empty_line_of_a_trusted_peer_leaves_its_comma() {
        let trusted = Identity { is_trusted: true, ..STRANGER };
        assert!(written("X-Forwarded-For:\r\n", &trusted).contains("For: , 9.9.9.9\r\n"));
    }

    #[test]
    fn addresses_are_written_without_ports_and_brackets() {
        for (address, text) in [
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "::1"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("2001:db8:1111:2222:3333:4444:5555:6666", "2001:db8:1111:2222:3333:4444:5555:6666"),
        ] {
            let peer = PeerText::new(address.parse().unwrap());
            assert_eq!(peer.as_bytes(), text.as_bytes());
        }
    }
}
