//! Chunked coding: cut anywhere it decodes to the same, and as a plain reader of RFC 9112 §7.1
//! that splits at CRLF would decode it. The first byte says where it is cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sundew::http1::chunked::{ChunkDecoder, ChunkError};

/// How a body ended: its data, and what was read of the input.
type Decoded = Result<(Vec<u8>, usize, bool), ChunkError>;

fn decode(pieces: &[&[u8]], decoder: &mut ChunkDecoder) -> Decoded {
    let mut body = Vec::new();
    let mut read = 0;
    for piece in pieces {
        let mut at = 0;
        while let Some(range) = decoder.next_data(piece, &mut at)? {
            body.extend_from_slice(&piece[range]);
        }
        read += at;
    }
    Ok((body, read, decoder.is_done()))
}

/// Trusting: `None` when it makes no sense of the bytes.
fn decode_by_lines(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
        let line = bytes[..end].split(|byte| *byte == b';').next()?;
        let size = usize::from_str_radix(std::str::from_utf8(line).ok()?, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        bytes = &bytes[end + 2..];
        body.extend_from_slice(bytes.get(..size)?);
        bytes = bytes.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((cut, bytes)) = input.split_first() else { return };
    let whole = decode(&[bytes], &mut ChunkDecoder::new());
    let at = usize::from(*cut).min(bytes.len());
    assert_eq!(whole, decode(&[&bytes[..at], &bytes[at..]], &mut ChunkDecoder::new()));
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    let mut decoder = ChunkDecoder::new();
    assert_eq!(whole, decode(&single, &mut decoder));
    let Ok((body, read, true)) = whole else { return };
    assert!(bytes[..read].ends_with(b"\r\n"));
    assert_eq!(Some(&body), decode_by_lines(&bytes[..read]).as_ref());
    // What travels on of the trailers is lines.
    let mut trailers = Vec::new();
    decoder.write_trailers(&mut trailers);
    assert!(trailers.is_empty() || trailers.ends_with(b"\r\n"));
    let text = String::from_utf8_lossy(&trailers).to_ascii_lowercase();
    for line in text.split_terminator("\r\n") {
        assert!(!line.contains(['\r', '\n', '\0']) && line.find(':').is_some_and(|at| at > 0));
        for name in ["content-", "transfer-encoding:", "set-cookie:", "host:", "x-forwarded-"] {
            assert!(!line.starts_with(name), "{line}");
        }
    }
});
