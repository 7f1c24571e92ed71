//! Sealed values: what was not sealed by a key of the service pins to nobody, whatever it is made
//! of, and what counts is inside its times. The first byte says what becomes of a genuine value.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use sundew::sticky::{AHEAD_S_MAX, NONCE_BYTES, Opened, Seal, SealedPin, Standing, VALUE_CHARS};
use sundew_config::model::{Sealing, SealingKey};

const LIFETIME_S: u64 = 43_200;
const IDLE_S: u64 = 1800;

fn seal(key: u8, service: &str) -> Seal {
    let keys = [key, 200].map(|it| SealingKey::new([it; 32])).to_vec();
    let sealing = Sealing {
        keys,
        lifetime: Some(Duration::from_secs(LIFETIME_S)),
        idle_timeout: Some(Duration::from_secs(IDLE_S)),
        accept_hash_until_s: None,
    };
    Seal::new(&sealing, service)
}

/// By the book.
fn is_canonical(value: &[u8]) -> bool {
    let is_digit = |it: &u8| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_');
    value.len() == 60 && value.iter().all(is_digit)
}

/// The next bytes of the input as a number; 0 where it has ended.
fn number(input: &mut &[u8], bytes: usize) -> u64 {
    let (taken, rest) = input.split_at(bytes.min(input.len()));
    *input = rest;
    taken.iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

fuzz_target!(|input: &[u8]| {
    let ours = seal(1, "app@file");
    // Nobody seals what the fuzzer makes by chance.
    assert_eq!(ours.open(input), None);
    let mut rest = input;
    let (change, at) = (number(&mut rest, 1), number(&mut rest, 1) as usize % VALUE_CHARS);
    let issued_s = number(&mut rest, 4) as u32;
    // Around the issue more often than anywhere.
    let used_s = issued_s.wrapping_add(number(&mut rest, 2) as u32);
    let now_s = u64::from(issued_s).wrapping_add(number(&mut rest, 3)).wrapping_sub(120);
    let pin = SealedPin { server: number(&mut rest, 8), issued_s, used_s };
    let mut nonce = [0; NONCE_BYTES];
    nonce.fill_with(|| number(&mut rest, 1) as u8);

    let genuine = ours.seal(pin, nonce).expect("a key");
    assert!(is_canonical(&genuine));
    let mut value = genuine.to_vec();
    match change % 6 {
        0 => value = seal(2, "app@file").seal(pin, nonce).expect("a key").to_vec(),
        1 => value = seal(1, "bpp@file").seal(pin, nonce).expect("a key").to_vec(),
        2 => value.truncate(at),
        3 => value.extend_from_slice(rest),
        4 => _ = value.splice(at.., rest.iter().copied()),
        _ => value[at] ^= number(&mut rest, 1) as u8,
    }
    let opened = ours.open(&value);
    assert_eq!(opened, (value == genuine).then_some(Opened { pin, key: 0, nonce }));

    let (issued_s, used_s) = (u64::from(issued_s), u64::from(used_s));
    let counts = matches!(ours.standing(pin, now_s), Standing::Fresh | Standing::Aging);
    let is_inside = now_s.saturating_sub(issued_s) < LIFETIME_S
        && now_s.saturating_sub(used_s) < IDLE_S
        && issued_s.max(used_s) <= now_s.saturating_add(AHEAD_S_MAX);
    assert_eq!(counts, is_inside);
});
