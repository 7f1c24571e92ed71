//! The target: what is accepted is clean, in a form that the method allows, and does not change
//! when it is normalised again. The first two bytes choose the method and the policy.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sundew::http1::target::{TargetForm, TargetPolicy, parse, routing_path};

fuzz_target!(|input: &[u8]| {
    let [method, policy, raw @ ..] = input else { return };
    let method: &[u8] = match method % 3 {
        0 => b"GET",
        1 => b"OPTIONS",
        _ => b"CONNECT",
    };
    let policy =
        TargetPolicy { sanitize_path: policy & 1 == 0, encode_query_semicolons: policy & 2 == 0 };
    let mut scratch = Vec::new();
    let Ok(target) = parse(method, raw, policy, &mut scratch) else { return };
    assert_eq!(target.form == TargetForm::Authority, method == b"CONNECT");
    let authority = target.authority.unwrap_or(b"");
    let is_clean = |byte: &u8| matches!(byte, 0x21..=0x7e) && !matches!(byte, b'#' | b'\\');
    assert!(target.path_and_query.iter().chain(authority).all(is_clean));
    if matches!(target.form, TargetForm::Authority | TargetForm::Asterisk) {
        return;
    }
    let path = target.path();
    assert!(path.starts_with(b"/"));
    if policy.sanitize_path {
        for segment in path[1..].split(|byte| *byte == b'/') {
            assert!(!matches!(segment, b"." | b".."), "a dot segment in {path:?}");
        }
        assert!(!path.windows(2).any(|pair| pair == b"//"), "an empty segment in {path:?}");
    }
    assert!(!target.query().unwrap_or(b"").contains(&b';'));
    let mut second = Vec::new();
    let again = parse(b"GET", target.path_and_query, policy, &mut second);
    let again = again.expect("what is accepted is accepted again");
    assert_eq!((again.path_and_query, again.is_rewritten), (target.path_and_query, false));
    let mut decoded = Vec::new();
    assert!(routing_path(path, &mut decoded).len() <= path.len());
});
