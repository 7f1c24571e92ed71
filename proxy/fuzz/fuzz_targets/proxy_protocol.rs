//! PROXY protocol: wherever a header is cut it says the same, a verdict once given holds however
//! much follows, and the client that it names is the one that a plain reader of the specification
//! finds. The first byte says what the input begins with, so that version 2 need not be guessed.
#![no_main]

use std::net::{IpAddr, SocketAddr};

use libfuzzer_sys::fuzz_target;
use sundew::http1::proxy_protocol::{ProxyHeader, ProxyHeaderError, parse};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Longest header: version 2 with the most extensions that are taken.
const BYTES_MAX: usize = 16 + 4096;

fuzz_target!(|input: &[u8]| {
    let Some((choice, rest)) = input.split_first() else { return };
    let bytes = match choice & 3 {
        0 => [b"PROXY TCP4 ", rest].concat(),
        1 => [SIGNATURE, rest].concat(),
        2 => [b"PROXY ", rest].concat(),
        _ => rest.to_vec(),
    };
    let whole = parse(&bytes);
    check_prefixes(&bytes, whole);
    match whole {
        Ok(ProxyHeader::Complete { bytes: length, source }) => {
            assert!((1..=bytes.len().min(BYTES_MAX)).contains(&length));
            assert_eq!(source, plain_source(&bytes[..length]), "{}", bytes.escape_ascii());
        }
        Ok(ProxyHeader::Partial) => assert!(bytes.len() < BYTES_MAX),
        Ok(ProxyHeader::Absent) => {
            assert!(!bytes.starts_with(b"PROXY ") && !bytes.starts_with(SIGNATURE));
        }
        Err(ProxyHeaderError) => {}
    }
});

/// As the connection reads it: after every byte, until there is a verdict.
fn check_prefixes(bytes: &[u8], whole: Result<ProxyHeader, ProxyHeaderError>) {
    let verdicts = (1..=bytes.len()).map(|length| parse(&bytes[..length]));
    let first = verdicts.into_iter().find(|it| *it != Ok(ProxyHeader::Partial));
    if !bytes.is_empty() {
        assert_eq!(first.unwrap_or(Ok(ProxyHeader::Partial)), whole, "{}", bytes.escape_ascii());
    }
    for more in [&b"\r\n"[..], b"GET / HTTP/1.1\r\n\r\n", b"\0"] {
        let longer = parse(&[bytes, more].concat());
        if !bytes.is_empty() && whole != Ok(ProxyHeader::Partial) {
            assert_eq!(longer, whole, "{}", bytes.escape_ascii());
        }
    }
}

/// Who a whole, accepted header names.
fn plain_source(header: &[u8]) -> Option<SocketAddr> {
    if let Some(rest) = header.strip_prefix(SIGNATURE) {
        return plain_source_v2(rest);
    }
    let line = header.strip_suffix(b"\r\n").expect("CRLF ends version 1");
    assert!(header.len() <= 107);
    let line = String::from_utf8_lossy(line);
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["PROXY", "UNKNOWN", ..] => None,
        ["PROXY", family, source, destination, port, other_port] => {
            let source: IpAddr = source.parse().expect("an address");
            let destination: IpAddr = destination.parse().expect("an address");
            assert_eq!(
                (source.is_ipv4(), destination.is_ipv4()),
                (family == "TCP4", family == "TCP4")
            );
            other_port.parse::<u16>().expect("a port");
            Some(SocketAddr::new(source, port.parse().expect("a port")))
        }
        _ => panic!("accepted: {line:?}"),
    }
}

fn plain_source_v2(rest: &[u8]) -> Option<SocketAddr> {
    assert_eq!(rest[0] >> 4, 2, "version 2");
    assert_eq!(usize::from(u16::from_be_bytes([rest[2], rest[3]])), rest.len() - 4);
    let port = |at: usize| u16::from_be_bytes([rest[at], rest[at + 1]]);
    match (rest[0] & 15, rest[1]) {
        (1, 0x11) => {
            let octets: [u8; 4] = rest[4..8].try_into().expect("four");
            Some(SocketAddr::new(octets.into(), port(12)))
        }
        (1, 0x21) => {
            let octets: [u8; 16] = rest[4..20].try_into().expect("sixteen");
            Some(SocketAddr::new(octets.into(), port(36)))
        }
        (0 | 1, _) => None,
        other => panic!("accepted: {other:?}"),
    }
}
