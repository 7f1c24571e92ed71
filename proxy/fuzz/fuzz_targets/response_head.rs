//! A response head: as for requests.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sundew::http1::head::{Progress, ResponseHead, parse_response};
use sundew_fuzz::{LIMITS, check_lines};

fuzz_target!(|bytes: &[u8]| {
    let mut head = ResponseHead::default();
    if parse_response(bytes, &LIMITS, &mut head) != Ok(Progress::Complete) {
        return;
    }
    let length = head.bytes;
    let whole = &bytes[..length];
    assert!(length <= LIMITS.bytes_max && head.fields.len() <= LIMITS.fields_max);
    assert!((100..1000).contains(&head.status));
    let start = format!("HTTP/1.{} {}", head.minor, head.status);
    assert!(whole.starts_with(start.as_bytes()), "{start}");
    assert!(matches!(whole[start.len()], b' ' | b'\r'), "three digits");
    check_lines(whole, 0, &head.fields);

    let spans = head.fields.spans().to_vec();
    assert_eq!(parse_response(whole, &LIMITS, &mut head), Ok(Progress::Complete));
    assert_eq!((head.bytes, head.fields.spans()), (length, spans.as_slice()));
    for end in [length - 1, length - 2, length / 2] {
        let progress = parse_response(&whole[..end], &LIMITS, &mut head);
        assert_eq!(progress, Ok(Progress::Partial), "the first {end} of {length} bytes");
    }
});
