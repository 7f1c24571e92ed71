//! The PROXY protocol, versions 1 and 2 (haproxy.org, `proxy-protocol.txt`): who is behind a
//! balancer that stands in front of us. Read only from peers that the entry point trusts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Longest header of version 1, its CRLF included.
const V1_BYTES_MAX: usize = 107;

/// How every header of version 2 begins.
const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Fixed part of version 2.
const V2_FIXED_BYTES: usize = 16;

/// Most bytes of addresses and extensions (TLVs) that are taken.
const V2_REST_BYTES_MAX: usize = 4096;

/// What a connection begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyHeader {
    /// No such header: the connection is the peer's own.
    Absent,
    /// It may be one; more bytes are needed.
    Partial,
    /// A whole header.
    Complete {
        /// Its length.
        bytes: usize,
        /// The client; `None`: the peer itself (`UNKNOWN`, `LOCAL`, another family).
        source: Option<SocketAddr>,
    },
}

/// It begins like a header and is none: the connection is closed without an answer (http1 E6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyHeaderError;

/// Looks for a header at the start of `bytes`.
///
/// # Errors
/// [`ProxyHeaderError`].
pub fn parse(bytes: &[u8]) -> Result<ProxyHeader, ProxyHeaderError> {
    if begins(bytes, V2_SIGNATURE) {
        return parse_v2(bytes);
    }
    if begins(bytes, b"PROXY ") {
        return parse_v1(bytes);
    }
    Ok(ProxyHeader::Absent)
}

/// Whether `bytes` begins with `prefix`, as far as either goes; nothing begins with anything.
fn begins(bytes: &[u8], prefix: &[u8]) -> bool {
    let length = bytes.len().min(prefix.len());
    length > 0 && bytes.get(..length) == prefix.get(..length)
}

fn parse_v1(bytes: &[u8]) -> Result<ProxyHeader, ProxyHeaderError> {
    let window = bytes.get(..V1_BYTES_MAX).unwrap_or(bytes);
    let Some(end) = memchr::memchr(b'\n', window) else {
        return if window.len() == V1_BYTES_MAX {
            Err(ProxyHeaderError)
        } else {
            Ok(ProxyHeader::Partial)
        };
    };
    let line = window.get(..end).and_then(|line| line.strip_suffix(b"\r"));
    let line = line.and_then(|line| std::str::from_utf8(line).ok()).ok_or(ProxyHeaderError)?;
    let mut parts = line.split(' ').skip(1);
    let source = match parts.next() {
        Some("UNKNOWN") => None,
        Some(family @ ("TCP4" | "TCP6")) => Some(parse_v1_source(family, parts)?),
        _ => return Err(ProxyHeaderError),
    };
    Ok(ProxyHeader::Complete { bytes: end + 1, source })
}

/// `source destination source-port destination-port`, and nothing after.
fn parse_v1_source<'a>(
    family: &str,
    mut parts: impl Iterator<Item = &'a str>,
) -> Result<SocketAddr, ProxyHeaderError> {
    let mut next = || parts.next().ok_or(ProxyHeaderError);
    let (source, destination) = (next()?, next()?);
    let (source_port, destination_port) = (next()?, next()?);
    let address = |text: &str| -> Result<IpAddr, ProxyHeaderError> {
        let address: IpAddr = text.parse().map_err(|_invalid| ProxyHeaderError)?;
        if address.is_ipv4() == (family == "TCP4") { Ok(address) } else { Err(ProxyHeaderError) }
    };
    let port = |text: &str| -> Result<u16, ProxyHeaderError> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
        let has_zeros = text.len() > 1 && text.starts_with('0');
        if !is_plain || has_zeros {
            return Err(ProxyHeaderError);
        }
        text.parse().map_err(|_invalid| ProxyHeaderError)
    };
    let source = SocketAddr::new(address(source)?, port(source_port)?);
    address(destination)?;
    port(destination_port)?;
    if parts.next().is_some() { Err(ProxyHeaderError) } else { Ok(source) }
}

fn parse_v2(bytes: &[u8]) -> Result<ProxyHeader, ProxyHeaderError> {
    let Some([command, family, high, low]) = bytes.get(12..V2_FIXED_BYTES) else {
        return Ok(ProxyHeader::Partial);
    };
    let rest_bytes = usize::from(u16::from_be_bytes([*high, *low]));
    if rest_bytes > V2_REST_BYTES_MAX || command >> 4 != 2 {
        return Err(ProxyHeaderError);
    }
    let total = V2_FIXED_BYTES + rest_bytes;
    let Some(rest) = bytes.get(V2_FIXED_BYTES..total) else { return Ok(ProxyHeader::Partial) };
    let source = match (command & 0xf, family) {
        // LOCAL: the balancer's own check of our health.
        (0, _) => None,
        (1, 0x11) => Some(v2_source_v4(rest).ok_or(ProxyHeaderError)?),
        (1, 0x21) => Some(v2_source_v6(rest).ok_or(ProxyHeaderError)?),
        (1, _) => None,
        _ => return Err(ProxyHeaderError),
    };
    Ok(ProxyHeader::Complete { bytes: total, source })
}

fn v2_source_v4(rest: &[u8]) -> Option<SocketAddr> {
    let [a, b, c, d, _, _, _, _, high, low, _, _, ..] = rest else { return None };
    let address = Ipv4Addr::new(*a, *b, *c, *d);
    Some(SocketAddr::new(address.into(), u16::from_be_bytes([*high, *low])))
}

fn v2_source_v6(rest: &[u8]) -> Option<SocketAddr> {
    let octets: [u8; 16] = rest.get(..16)?.try_into().ok()?;
    let [high, low, _, _] = rest.get(32..36)? else { return None };
    let address = Ipv6Addr::from(octets);
    Some(SocketAddr::new(address.into(), u16::from_be_bytes([*high, *low])))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = V2_SIGNATURE.to_vec();
        bytes.extend([command, family]);
        bytes.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
        bytes.extend(rest);
        bytes
    }

    fn source_of(bytes: &[u8]) -> Option<SocketAddr> {
        match parse(bytes) {
            Ok(ProxyHeader::Complete { bytes: length, source }) if length == bytes.len() => source,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn e6_both_versions_name_the_client() {
        let v4: SocketAddr = "192.0.2.7:56324".parse().unwrap();
        let v6: SocketAddr = "[2001:db8::7]:1".parse().unwrap();
        assert_eq!(source_of(b"PROXY TCP4 192.0.2.7 192.0.2.1 56324 443\r\n"), Some(v4));
        assert_eq!(source_of(b"PROXY TCP6 2001:db8::7 ::1 1 65535\r\n"), Some(v6));
        assert_eq!(source_of(b"PROXY UNKNOWN whatever\r\n"), None);
        let rest = [192, 0, 2, 7, 192, 0, 2, 1, 0xdc, 0x04, 0x01, 0xbb, 3, 0, 0];
        assert_eq!(source_of(&v2(0x21, 0x11, &rest)), Some(v4));
        let mut rest = Ipv6Addr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 7]).octets().to_vec();
        rest.extend([0; 16]);
        rest.extend([0, 1, 0, 2]);
        assert_eq!(source_of(&v2(0x21, 0x21, &rest)), Some(v6));
        assert_eq!(source_of(&v2(0x20, 0, &[])), None, "LOCAL");
        assert_eq!(source_of(&v2(0x21, 0x31, &[0; 216])), None, "a Unix socket");
    }

    #[test]
    fn e6_a_malformed_header_is_refused() {
        let mut long = b"PROXY UNKNOWN ".to_vec();
        long.resize(V1_BYTES_MAX, b'x');
        for bytes in [
            b"PROXY TCP4 192.0.2.7 192.0.2.1 56324 443\n".as_slice(),
            b"PROXY TCP4 ::1 ::1 1 2\r\n",
            b"PROXY TCP4 192.0.2.7 192.0.2.1 56324 65536\r\n",
            b"PROXY TCP4 192.0.2.7 192.0.2.1 056324 443\r\n",
            b"PROXY TCP4 192.0.2.7 192.0.2.1 56324\r\n",
            b"PROXY TCP4 192.0.2.7 192.0.2.1 56324 443 x\r\n",
            b"PROXY UDP4 192.0.2.7 192.0.2.1 56324 443\r\n",
            b"PROXY  TCP4 192.0.2.7 192.0.2.1 56324 443\r\n",
            &long,
            &v2(0x11, 0x11, &[0; 12]),
            &v2(0x22, 0x11, &[0; 12]),
            &v2(0x21, 0x11, &[0; 11]),
            &v2(0x21, 0x21, &[0; 35]),
            &v2(0x21, 0x11, &[0; 4097]),
        ] {
            assert_eq!(parse(bytes), Err(ProxyHeaderError), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_request_without_one_is_left_alone() {
        for bytes in [b"GET / HTTP/1.1\r\n".as_slice(), b"PROXYING / HTTP/1.1\r\n", b"", b"\r\nG"] {
            assert_eq!(parse(bytes), Ok(ProxyHeader::Absent), "{}", bytes.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn every_prefix_of_a_header_needs_more(cut in 1_usize..41, v2_cut in 1_usize..28) {
            let v1 = b"PROXY TCP4 192.0.2.7 192.0.2.1 56324 443\r\n";
            prop_assert_eq!(parse(&v1[..cut]), Ok(ProxyHeader::Partial));
            let v2 = v2(0x21, 0x11, &[0; 12]);
            prop_assert_eq!(parse(&v2[..v2_cut]), Ok(ProxyHeader::Partial));
        }

        #[test]
        fn no_bytes_can_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
            let mut v1 = b"PROXY TCP4 ".to_vec();
            v1.extend(&bytes);
            let _ = parse(&v1);
            let _ = parse(&v2(0x21, 0x21, &bytes));
        }
    }
}
