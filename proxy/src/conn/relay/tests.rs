use proptest::prelude::*;

use super::*;

/// What the client gets when the server's bytes arrive in pieces that end at `cuts`; the body ends
/// with the connection at the end of them. `None` when it is not whole.
fn relay(
    framing: Framing,
    to_chunks: bool,
    input: &[u8],
    cuts: &[usize],
) -> Result<Option<(Vec<u8>, bool)>, ChunkError> {
    const HEAD: &[u8] = b"head";
    let mut relay = Relay::new(framing, to_chunks);
    let mut decoder = ChunkDecoder::new();
    let mut sent = Vec::new();
    let mut start = 0;
    for end in cuts.iter().copied().chain([input.len()]) {
        let mut buffer = Buf::default();
        buffer.reset_with_room(16);
        buffer.extend(HEAD);
        buffer.extend(&input[start..end]);
        start = end;
        let piece = relay.prepare(&mut buffer, HEAD.len(), &mut decoder)?;
        assert_eq!(piece.body_bytes, buffer.len() - HEAD.len());
        send(piece, &buffer.filled()[HEAD.len()..], &decoder, &mut sent);
        if relay.is_done() {
            return Ok(Some((sent, relay.has_surplus() || end < input.len())));
        }
    }
    if !relay.ends_with_connection() {
        return Ok(None);
    }
    send(relay.finish(), b"", &decoder, &mut sent);
    assert!(relay.is_done());
    Ok(Some((sent, relay.has_surplus())))
}

fn send(piece: Piece, body: &[u8], decoder: &ChunkDecoder, sent: &mut Vec<u8>) {
    piece.write_prefix(sent);
    let mut buffer = Buf::default();
    buffer.extend(body);
    piece.append_suffix(&mut buffer, decoder);
    sent.extend_from_slice(buffer.filled());
}

#[test]
fn bodies_are_passed_on_as_the_client_can_read_them() {
    use Framing::{Chunked, Empty, Length, UntilClose};
    let chunks = b"2;x\r\nhe\r\n3\r\nllo\r\n0\r\nX-Sum: 1\r\nHost: h\r\n\r\n";
    for (name, framing, to_chunks, input, want, has_surplus) in [
        ("length", Length(5), false, &b"hello"[..], &b"hello"[..], false),
        ("length of nothing", Length(0), false, b"", b"", false),
        ("A15 behind a length", Length(5), false, b"helloHTTP/1.1", b"hello", true),
        ("A15 behind nothing", Length(0), false, b"x", b"", true),
        ("A15 behind a response without body", Empty, false, b"x", b"", true),
        ("no body", Empty, false, b"", b"", false),
        ("A17 until close", UntilClose, true, b"hello", b"5\r\nhello\r\n0\r\n\r\n", false),
        ("A17 nothing until close", UntilClose, true, b"", b"0\r\n\r\n", false),
        ("D5 until close, HTTP/1.0", UntilClose, false, b"hello", b"hello", false),
        ("B9, B11", Chunked, true, chunks, b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", false),
        ("D5 chunks for HTTP/1.0", Chunked, false, chunks, b"hello", false),
        ("no chunk", Chunked, true, b"0\r\n\r\n", b"0\r\n\r\n", false),
        ("A15 behind chunks", Chunked, true, b"0\r\n\r\nx", b"0\r\n\r\n", true),
    ] {
        let got = relay(framing, to_chunks, input, &[]);
        assert_eq!(got, Ok(Some((want.to_vec(), has_surplus))), "{name}");
    }
    for (framing, input) in [
        (Length(5), &b"hell"[..]),
        (Length(5), b""),
        (Chunked, b"5\r\nhello\r\n0\r\n"),
        (Chunked, b""),
    ] {
        assert_eq!(relay(framing, true, input, &[]), Ok(None), "A16");
    }
    assert_eq!(relay(Chunked, true, b"5\r\nhelloX", &[]), Err(ChunkError), "B8");
}

proptest! {
    #[test]
    fn every_body_byte_arrives_however_it_is_framed_and_split(
        body in prop::collection::vec(any::<u8>(), 0..200),
        sizes in prop::collection::vec(1_usize..60, 1..6),
        kind in 0_u8..3,
        to_chunks: bool,
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let (framing, input) = match kind {
            0 => (Framing::Length(body.len() as u64), body.clone()),
            1 => (Framing::UntilClose, body.clone()),
            _ => {
                let (mut input, mut rest) = (Vec::new(), &body[..]);
                for size in sizes.iter().cycle() {
                    if rest.is_empty() { break }
                    let (chunk, after) = rest.split_at(rest.len().min(*size));
                    write_size_line(chunk.len(), &mut input);
                    input.extend_from_slice(chunk);
                    input.extend_from_slice(b"\r\n");
                    rest = after;
                }
                input.extend_from_slice(b"0\r\n\r\n");
                (Framing::Chunked, input)
            }
        };
        let mut cuts: Vec<_> = places.iter().map(|it| it.index(input.len() + 1)).collect();
        cuts.sort_unstable();
        let (sent, has_surplus) = relay(framing, to_chunks, &input, &cuts).unwrap().unwrap();
        prop_assert!(!has_surplus || cuts.contains(&input.len()));
        if !to_chunks {
            prop_assert_eq!(sent, body);
        } else {
            let mut decoder = ChunkDecoder::new();
            let (mut data, mut at) = (Vec::new(), 0);
            while let Some(range) = decoder.next_data(&sent, &mut at).unwrap() {
                data.extend_from_slice(&sent[range]);
            }
            prop_assert!(decoder.is_done() && at == sent.len());
            prop_assert_eq!(data, body);
        }
    }
}
