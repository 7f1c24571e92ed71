use proptest::prelude::*;

use super::*;

/// Data and trailers of a whole body, and how many bytes it was; `None` while it is not whole.
type Decoded = Result<Option<(Vec<u8>, Vec<u8>, usize)>, ChunkError>;

/// Decodes `input` when it arrives in pieces that end at `cuts`.
fn decode_split(input: &[u8], cuts: &[usize]) -> Decoded {
    let mut decoder = ChunkDecoder::new();
    let mut data = Vec::new();
    let (mut start, mut consumed) = (0, 0);
    for end in cuts.iter().copied().chain([input.len()]) {
        let piece = &input[start..end];
        let mut at = 0;
        while let Some(range) = decoder.next_data(piece, &mut at)? {
            assert!(!range.is_empty());
            data.extend_from_slice(&piece[range]);
        }
        consumed += at;
        if decoder.is_done() {
            let mut trailers = Vec::new();
            decoder.write_trailers(&mut trailers);
            return Ok(Some((data, trailers, consumed)));
        }
        assert_eq!(at, piece.len(), "everything is read while the body is not whole");
        start = end;
    }
    Ok(None)
}

fn decode(input: &[u8]) -> Decoded {
    decode_split(input, &[])
}

#[test]
fn bodies_that_are_taken() {
    for (name, input, data, rest) in [
        ("nothing", &b"0\r\n\r\n"[..], &b""[..], 0),
        ("one chunk", b"5\r\nhello\r\n0\r\n\r\n", b"hello", 0),
        ("two chunks", b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", b"hello", 0),
        ("upper-case size", b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789", 0),
        ("lower-case size", b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789", 0),
        ("leading zeros", b"0000000000000005\r\nhello\r\n0\r\n\r\n", b"hello", 0),
        ("many zeros at the end", b"0000\r\n\r\n", b"", 0),
        ("data that looks like framing", b"7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", b"\r\n0\r\n\r\n", 0),
        ("A11 what follows is not read", b"1\r\na\r\n0\r\n\r\nGET /", b"a", 5),
        ("extension", b"1;n\r\na\r\n0\r\n\r\n", b"a", 0),
        ("extension with a value", b"1;n=v\r\na\r\n0\r\n\r\n", b"a", 0),
        ("two extensions", b"1;n=v;m\r\na\r\n0\r\n\r\n", b"a", 0),
        ("extension of the last chunk", b"0;n=v\r\n\r\n", b"", 0),
        ("B6 quoted value", b"1;n=\"a;b =\t\xff\"\r\na\r\n0\r\n\r\n", b"a", 0),
        ("B6 quoted pair", b"1;n=\"\\\"\\\\\"\r\na\r\n0\r\n\r\n", b"a", 0),
        ("B6 empty quoted value", b"1;n=\"\";m=\"x\"\r\na\r\n0\r\n\r\n", b"a", 0),
    ] {
        let want = (data.to_vec(), Vec::new(), input.len() - rest);
        assert_eq!(decode(input), Ok(Some(want)), "{name}");
    }
}

#[test]
fn malformed_bodies_are_refused_at_their_first_wrong_byte() {
    // Everything before the last byte may still become a body.
    for (name, input) in [
        ("B1 empty size", &b"\r"[..]),
        ("B1 no size", b"x"),
        ("B1 hexadecimal prefix", b"0x"),
        ("B1 plus", b"+"),
        ("B1 minus", b"-"),
        ("B1 blank before", b" "),
        ("B1 tab before", b"\t"),
        ("B1 blank behind", b"5 "),
        ("B1 tab behind", b"5\t"),
        ("B1 underscore", b"5_"),
        ("B1 letter", b"5g"),
        ("B1 quote", b"\""),
        ("B1 NUL", b"5\0"),
        ("B1 non-ASCII", b"\xb2"),
        ("B2 seventeen digits", b"00000000000000001"),
        ("B2 2^63", b"8000000000000000"),
        ("B2 2^64 - 1", b"ffffffffffffffff"),
        ("B3 bare LF behind the size", b"5\n"),
        ("B3 bare CR behind the size", b"5\rh"),
        ("B3 CR CR", b"5\r\r"),
        ("B3 bare LF behind data", b"1\r\na\n"),
        ("B3 bare CR behind data", b"1\r\na\r1"),
        ("B3 bare LF behind the last chunk", b"0\n"),
        ("B3 bare LF as the end", b"0\r\n\n"),
        ("B3 bare CR as the end", b"0\r\n\rG"),
        ("B3 bare LF in a trailer", b"0\r\nA: b\n"),
        ("B3 bare CR in a trailer", b"0\r\nA: b\rc"),
        ("B4 bare LF in an extension", b"1;n\n"),
        ("B4 bare CR in an extension", b"1;n\rx"),
        ("B4 NUL in an extension", b"1;n\0"),
        ("B4 control byte in an extension", b"1;n=v\x01"),
        ("B4 DEL in a quoted value", b"1;n=\"\x7f"),
        ("B4 NUL in a quoted value", b"1;n=\"\0"),
        ("B4 bare LF in a quoted value", b"1;n=\"\n"),
        ("B5 no name", b"5;\r"),
        ("B5 no name, a value", b"5;="),
        ("B5 two semicolons", b"5;;"),
        ("B5 no value", b"5;n=\r"),
        ("B5 two equals signs", b"5;n=="),
        ("B5 blank in a name", b"5;n "),
        ("B5 blank before a name", b"5; "),
        ("B5 bracket in a name", b"5;n["),
        ("B5 non-ASCII name", b"5;\xc3"),
        ("B5 value behind a quoted one", b"5;n=\"a\"b"),
        ("B6 CRLF in a quoted value", b"1;n=\"a\r"),
        ("B6 CRLF in a quoted pair", b"1;n=\"\\\r"),
        ("B8 data longer than the size", b"1\r\nab"),
        ("B8 a chunk without its CRLF", b"1\r\na5"),
        ("B8 blank behind data", b"1\r\na "),
        ("B10 trailer without colon", b"0\r\nAbc\r\n\r\n"),
        ("B10 blank before the colon", b"0\r\nA : b\r\n\r\n"),
        ("B10 empty name", b"0\r\n: b\r\n\r\n"),
        ("B10 obs-fold", b"0\r\nA: b\r\n c\r\n\r\n"),
        ("B10 blank first", b"0\r\n A: b\r\n\r\n"),
        ("B10 NUL in a value", b"0\r\nA: \0\r\n\r\n"),
        ("B10 alias of a framing field", b"0\r\nTransfer_Encoding: chunked\r\n\r\n"),
    ] {
        assert_eq!(decode(input), Err(ChunkError), "{name}");
        let before = &input[..input.len() - 1];
        assert_eq!(decode(before), Ok(None), "{name}: not before its last byte");
    }
}

#[test]
fn a_body_is_whole_with_its_very_last_byte() {
    for body in [&b"0\r\n\r\n"[..], b"2;n=\"x\"\r\nab\r\n0\r\nA: b\r\n\r\n"] {
        for end in 0..body.len() {
            assert_eq!(decode(&body[..end]), Ok(None), "B12: {end}");
        }
        assert!(matches!(decode(body), Ok(Some(_))));
    }
}

#[test]
fn the_largest_size_is_below_two_to_the_sixty_third() {
    let mut decoder = ChunkDecoder::new();
    let mut at = 0;
    let input = b"7fffffffffffffff\r\nabc";
    assert_eq!(decoder.next_data(input, &mut at), Ok(Some(18..21)));
    assert_eq!(decoder.next_data(input, &mut at), Ok(None));
}

#[test]
fn extensions_are_bounded_for_a_chunk_and_for_a_message() {
    let chunk = |bytes: usize| format!("1;{}\r\na\r\n", "n".repeat(bytes - 1));
    let most = EXTENSION_BYTES_MAX as usize;
    let whole = |chunks: &str| decode(format!("{chunks}0\r\n\r\n").as_bytes());
    assert!(whole(&chunk(most)).is_ok());
    assert_eq!(whole(&chunk(most + 1)), Err(ChunkError), "B7: of one chunk");
    let chunks = EXTENSIONS_BYTES_MAX as usize / most;
    assert!(whole(&chunk(most).repeat(chunks)).is_ok());
    assert_eq!(whole(&(chunk(most).repeat(chunks) + &chunk(2))), Err(ChunkError), "B7: of all");
}

#[test]
fn trailers_are_bounded() {
    let body = |bytes: usize| format!("0\r\nA:{}\r\n\r\n", "b".repeat(bytes - 4));
    assert!(matches!(decode(body(TRAILER_BYTES_MAX).as_bytes()), Ok(Some(_))));
    assert_eq!(decode(body(TRAILER_BYTES_MAX + 1).as_bytes()), Err(ChunkError), "B10");
    let lines = |count| format!("0\r\n{}\r\n", "A: b\r\n".repeat(count));
    assert!(matches!(decode(lines(64).as_bytes()), Ok(Some(_))));
    assert_eq!(decode(lines(65).as_bytes()), Err(ChunkError), "B10");
}

#[test]
fn trailers_travel_on_unless_they_belong_to_a_head() {
    let kept = "X-Checksum: 1\r\nServer-Timing:  a;b \r\nEmpty:\r\n";
    for line in [
        "Content-Length: 5",
        "Content-Type: text/html",
        "content-encoding: gzip",
        "Transfer-Encoding: chunked",
        "Host: evil",
        "Authorization: Basic x",
        "Cookie: a=b",
        "Set-Cookie: a=b",
        "Connection: close",
        "Te: trailers",
        "Trailer: x",
        "Upgrade: h2c",
        "X-Forwarded-For: 1.1.1.1",
        "X-Forwarded-Scheme: https",
        "X-Real-Ip: 1.1.1.1",
        "X_Forwarded_For: 1.1.1.1",
        "Forwarded: for=x",
        "Date: now",
    ] {
        let body =
            format!("0\r\nX-Checksum: 1\r\n{line}\r\nServer-Timing:  a;b \r\nEmpty:\r\n\r\n");
        let (_, trailers, _) = decode(body.as_bytes()).unwrap().unwrap();
        assert_eq!(String::from_utf8(trailers).unwrap(), kept, "B10: {line}");
    }
}

#[test]
fn a_decoder_forgets_one_body_before_the_next() {
    let mut decoder = ChunkDecoder::new();
    let mut at = 0;
    while decoder.next_data(b"1;n\r\na\r\n0\r\nA: b\r\n\r\n", &mut at).unwrap().is_some() {}
    assert!(decoder.is_done());
    decoder.reset();
    assert!(!decoder.is_done());
    at = 0;
    assert_eq!(decoder.next_data(b"0\r\n\r\n", &mut at), Ok(None));
    let mut trailers = Vec::new();
    decoder.write_trailers(&mut trailers);
    assert!(decoder.is_done() && trailers.is_empty());
}

#[test]
fn sizes_are_written_without_leading_zeros() {
    for (size, want) in
        [(0, "0\r\n"), (1, "1\r\n"), (15, "f\r\n"), (16, "10\r\n"), (0xabcd, "abcd\r\n")]
    {
        let mut out = Vec::new();
        write_size_line(size, &mut out);
        assert_eq!(out, want.as_bytes());
    }
    let mut digits = [0; 4];
    fill_size(0xab, &mut digits);
    assert_eq!(&digits, b"00ab");
}

/// A well-formed body with what was put into it.
fn bodies() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let extension = prop_oneof![Just(""), Just(";n"), Just(";n=v;m=\"q\\\"\"")];
    let chunk = (prop::collection::vec(any::<u8>(), 1..40), extension);
    let trailers = prop_oneof![Just(""), Just("A: b\r\n"), Just("A:\r\nHost: h\r\n")];
    (prop::collection::vec(chunk, 0..5), trailers).prop_map(|(chunks, trailers)| {
        let (mut body, mut data) = (Vec::new(), Vec::new());
        for (bytes, extension) in chunks {
            body.extend_from_slice(format!("{:X}{extension}\r\n", bytes.len()).as_bytes());
            body.extend_from_slice(&bytes);
            body.extend_from_slice(b"\r\n");
            data.extend_from_slice(&bytes);
        }
        body.extend_from_slice(format!("0\r\n{trailers}\r\n").as_bytes());
        (body, data)
    })
}

fn cuts_of(places: &[prop::sample::Index], length: usize) -> Vec<usize> {
    let mut cuts: Vec<_> = places.iter().map(|place| place.index(length + 1)).collect();
    cuts.sort_unstable();
    cuts
}

proptest! {
    #[test]
    fn any_split_of_a_body_gives_the_same_data(
        (body, data) in bodies(),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let whole = decode(&body);
        prop_assert_eq!(&whole.clone().unwrap().unwrap().0, &data);
        prop_assert_eq!(decode_split(&body, &cuts_of(&places, body.len())), whole.clone());
        let every_byte: Vec<_> = (1..body.len()).collect();
        prop_assert_eq!(decode_split(&body, &every_byte), whole);
    }

    #[test]
    fn any_split_of_a_mutated_body_gives_the_same_verdict(
        (mut body, _) in bodies(),
        place: prop::sample::Index,
        byte in prop::sample::select(&b"\r\n\0 ;=\"\\0f:"[..]),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let at = place.index(body.len());
        body[at] = byte;
        prop_assert_eq!(decode_split(&body, &cuts_of(&places, body.len())), decode(&body));
    }

    #[test]
    fn no_bytes_can_break_it(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = decode(&bytes);
        let _ = decode(&[b"0\r\n", &*bytes].concat());
        let _ = decode(&[b"1;", &*bytes].concat());
    }
}
