//! A request head: what is accepted consists of clean lines and nothing else, is not accepted one
//! byte earlier, and is the same whatever follows it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sundew::http1::head::{Progress, RequestHead, has_end, parse_request};
use sundew_fuzz::{LIMITS, check_lines};

fuzz_target!(|bytes: &[u8]| {
    let mut head = RequestHead::default();
    if parse_request(bytes, &LIMITS, &mut head) != Ok(Progress::Complete) {
        return;
    }
    let length = head.bytes;
    let whole = &bytes[..length];
    let skipped = head.method.start as usize;
    assert!(length <= LIMITS.bytes_max && head.fields.len() <= LIMITS.fields_max);
    assert!(skipped == 0 || skipped == 2 && whole.starts_with(b"\r\n"));
    check_lines(whole, skipped, &head.fields);
    assert!(has_end(whole, 1), "the last byte shows the end");
    let line = [head.method.of(bytes), b" ", head.target.of(bytes), b" HTTP/1."].concat();
    assert!(whole[skipped..].starts_with(&line), "the start line has single spaces");

    let spans = head.fields.spans().to_vec();
    assert_eq!(parse_request(whole, &LIMITS, &mut head), Ok(Progress::Complete));
    assert_eq!((head.bytes, head.fields.spans()), (length, spans.as_slice()));
    for end in [length - 1, length - 2, length / 2] {
        let progress = parse_request(&whole[..end], &LIMITS, &mut head);
        assert_eq!(progress, Ok(Progress::Partial), "the first {end} of {length} bytes");
    }
});
