use proptest::prelude::*;

use super::*;

/// Encodes `input` anew as it arrives in pieces that end at `cuts`, each followed by the next.
fn encode_split(input: &[u8], cuts: &[usize]) -> Option<(Vec<u8>, usize)> {
    let mut decoder = ChunkDecoder::new();
    let (mut out, mut data_bytes, mut start) = (Vec::new(), 0, 0);
    for end in cuts.iter().copied().chain([input.len()]) {
        let encoded = encode_chunked_body(&input[start..end], &mut decoder, &mut out).ok()?;
        data_bytes += encoded.data_bytes;
        if decoder.is_done() {
            return Some((out, data_bytes));
        }
        assert_eq!(encoded.input_bytes, end - start);
        start = end;
    }
    None
}

fn decode(input: &[u8]) -> Vec<u8> {
    let mut decoder = ChunkDecoder::new();
    let (mut data, mut at) = (Vec::new(), 0);
    while let Some(range) = decoder.next_data(input, &mut at).unwrap() {
        data.extend_from_slice(&input[range]);
    }
    assert!(decoder.is_done() && at == input.len(), "one whole body and nothing else");
    data
}

fn chunked(chunks: &[Vec<u8>], trailers: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for chunk in chunks {
        body.extend_from_slice(format!("{:x};ext=\"1\"\r\n", chunk.len()).as_bytes());
        body.extend_from_slice(chunk);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("0\r\n{trailers}\r\n").as_bytes());
    body
}

#[test]
fn chunks_are_framed_anew_without_extensions_and_trailers() {
    let input = b"2;a=b\r\nhe\r\n3\r\nllo\r\n0;c\r\nX: y\r\n\r\nGET /";
    let mut out = b"head".to_vec();
    let encoded = encode_chunked_body(input, &mut ChunkDecoder::new(), &mut out).unwrap();
    assert_eq!(out, b"head00000005\r\nhello\r\n0\r\n\r\n", "B9, B11");
    assert_eq!(encoded, Encoded { input_bytes: input.len() - 5, data_bytes: 5 });
}

#[test]
fn a_piece_without_data_adds_nothing() {
    let mut decoder = ChunkDecoder::new();
    let mut out = Vec::new();
    for (piece, want) in [
        ("", ""),
        ("5;ex", ""),
        ("t\r\n", ""),
        ("he", "00000002\r\nhe\r\n"),
        ("llo\r\n0\r\n", "00000003\r\nllo\r\n"),
        ("\r\n", "0\r\n\r\n"),
    ] {
        out.clear();
        encode_chunked_body(piece.as_bytes(), &mut decoder, &mut out).unwrap();
        assert_eq!(out, want.as_bytes(), "{piece:?}");
    }
}

proptest! {
    #[test]
    fn encoding_anew_keeps_every_byte_however_it_is_split(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..30), 0..5),
        has_trailers: bool,
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let body = chunked(&chunks, if has_trailers { "A: b\r\n" } else { "" });
        let mut cuts: Vec<_> = places.iter().map(|it| it.index(body.len() + 1)).collect();
        cuts.sort_unstable();
        let (out, data_bytes) = encode_split(&body, &cuts).expect("well-formed and whole");
        prop_assert_eq!(data_bytes, chunks.concat().len());
        prop_assert_eq!(decode(&out), chunks.concat());
    }
}

#[test]
fn a_body_must_bring_its_least_bytes_in_every_window_however_small_the_pieces() {
    let mut window = Window::new(10_000, 2_400);
    for second in 0..9 {
        assert_eq!(window.deadline_ms(50_000), 60_000 - second * 1_000, "G2: a byte a second");
        window.note(1_000, 1);
    }
    window.note(500, 2_390);
    assert_eq!(window.deadline_ms(50_000), 50_500, "one byte short");
    window.note(499, 1);
    assert_eq!(window.deadline_ms(50_000), 60_000, "enough: the next window");
    window.note(u64::MAX, 1);
    assert_eq!(window.deadline_ms(50_000), 50_000, "used up");
}

#[test]
fn time_in_which_nothing_is_received_does_not_count() {
    let mut window = Window::new(1_000, 100);
    window.note(300, 1);
    assert_eq!(window.deadline_ms(7_000), 7_700, "whenever the next receive begins");
}
