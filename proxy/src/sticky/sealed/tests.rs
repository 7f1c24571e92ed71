use std::time::Duration;

use proptest::prelude::*;

use super::*;

const SERVICE: &str = "app@file";
const NOW_S: u64 = 1_800_000_000;
const PIN: SealedPin =
    SealedPin { server: 0x7ada_663d_74f9_4374, issued_s: 1_800_000_000, used_s: 1_800_000_900 };

fn key(number: u8) -> SealingKey {
    SealingKey::new([number; 32])
}

fn sealing(keys: &[u8]) -> Sealing {
    Sealing {
        keys: keys.iter().copied().map(key).collect(),
        lifetime: None,
        idle_timeout: None,
        accept_hash_until_s: None,
    }
}

fn seal(keys: &[u8]) -> Seal {
    Seal::new(&sealing(keys), SERVICE)
}

fn opened(key: usize, nonce: [u8; NONCE_BYTES]) -> Option<Opened> {
    Some(Opened { pin: PIN, key, nonce })
}

#[test]
fn a_value_is_what_another_library_makes_of_it() {
    // Made with OpenSSL's AES-256-GCM-SIV and the base64url of Python.
    let key: [u8; 32] = std::array::from_fn(|at| at as u8);
    let nonce: [u8; 12] = std::array::from_fn(|at| at as u8 + 100);
    let keys = vec![SealingKey::new(key)];
    let seal = Seal::new(&Sealing { keys, ..sealing(&[]) }, SERVICE);
    let want = b"AWRlZmdoaWprbG1ubxlrfjON2gOYCP10c9AUN22J2FcxyT0DX0iEvm8voAQI";
    assert_eq!(seal.seal(PIN, nonce).as_ref(), Some(want));
    assert_eq!(seal.open(want), opened(0, nonce));
}

#[test]
fn every_key_opens_and_the_first_seals() {
    let value = seal(&[1, 2]).seal(PIN, [7; 12]).unwrap();
    for (keys, want) in [
        (&[1][..], opened(0, [7; 12])),
        (&[1, 2], opened(0, [7; 12])),
        (&[2, 1], opened(1, [7; 12])),
        (&[3, 4, 1], opened(2, [7; 12])),
        (&[2], None),
        (&[], None),
    ] {
        assert_eq!(seal(keys).open(&value), want, "{keys:?}");
    }
    assert_eq!(seal(&[]).seal(PIN, [7; 12]), None);
}

#[test]
fn a_value_of_another_service_is_not_authentic() {
    let value = seal(&[1]).seal(PIN, [7; 12]).unwrap();
    for service in ["", "app", "app@file ", "bpp@file", "app@docker"] {
        assert_eq!(Seal::new(&sealing(&[1]), service).open(&value), None, "{service:?}");
    }
    assert_eq!(Seal::new(&sealing(&[1]), SERVICE).open(&value), opened(0, [7; 12]));
}

#[test]
fn every_flipped_bit_is_noticed() {
    let seal = seal(&[1, 2]);
    let value = seal.seal(PIN, [0x5a; 12]).unwrap();
    let bytes = decode(&value).unwrap();
    assert_eq!(bytes.len() * 8, 360);
    for bit in 0..360 {
        let mut bytes = bytes;
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(seal.open(&encode(&bytes)), None, "bit {bit}");
    }
    // The same in the text, where a flip may also leave the alphabet.
    for bit in 0..VALUE_CHARS * 8 {
        let mut value = value;
        value[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(seal.open(&value), None, "bit {bit} of the text");
    }
    assert_eq!(seal.open(&value), opened(0, [0x5a; 12]));
}

#[test]
fn only_sixty_characters_of_the_url_alphabet_are_read() {
    let seal = seal(&[1]);
    // A nonce that spells both characters in which the two alphabets differ.
    let nonce = [0xfb, 0xff, 0xbe, 0xff, 0xff, 0xef, 0xbf, 0, 1, 2, 3, 4];
    let value = seal.seal(PIN, nonce).unwrap();
    let text = String::from_utf8(value.to_vec()).unwrap();
    assert!(text.contains('-') && text.contains('_'), "{text}");
    assert_eq!(seal.open(&value), opened(0, nonce));
    for at in 0..VALUE_CHARS {
        assert_eq!(seal.open(&value[..at]), None, "cut at {at}");
    }
    let spelled_otherwise = [
        format!("{text}="),
        format!("{text}A"),
        format!("{text}===="),
        format!(" {text}"),
        format!("{text}\n"),
        text.replace('-', "+"),
        text.replace('_', "/"),
        text.replace('-', "%"),
        text.to_uppercase(),
        text.to_lowercase(),
        format!("{}=", text.get(..59).unwrap()),
        "A".repeat(60),
        "=".repeat(60),
        "\u{e9}".repeat(30),
    ];
    for other in &spelled_otherwise {
        assert_eq!(seal.open(other.as_bytes()), None, "{other:?}");
    }
}

#[test]
fn a_value_shows_neither_its_server_nor_that_two_are_equal() {
    let seal = seal(&[1]);
    let values = [[1; 12], [2; 12]].map(|nonce| decode(&seal.seal(PIN, nonce).unwrap()).unwrap());
    let [first, second] = values.map(|it| it[1 + NONCE_BYTES..].to_vec());
    assert!(first.iter().zip(&second).filter(|(a, b)| a == b).count() < 8, "{first:?} {second:?}");
    let server = PIN.server.to_be_bytes();
    assert!(values.iter().all(|it| !it.windows(8).any(|bytes| bytes == server)));
}

#[test]
fn times_are_judged_by_the_wall_clock() {
    use Standing::{Aging, Ahead, Expired, Fresh};
    let (hour, minute) = (3600, 60);
    let none = (None, None);
    let both = (Some(12 * hour), Some(30 * minute));
    let idle = (None, Some(30 * minute));
    let life = (Some(12 * hour), None);
    // Lifetime and idle timeout; seconds since the pin was issued and since it was used; the rest.
    for (name, (lifetime, idle_timeout), issued_ago, used_ago, want) in [
        ("no limits", none, 0, 0, Fresh),
        ("no limits, a decade later", none, 87_600 * hour, 87_600 * hour, Fresh),
        ("new", both, 0, 0, Fresh),
        ("just before a quarter", both, 7 * minute, 449, Fresh),
        ("a quarter", both, 8 * minute, 450, Aging),
        ("just before the idle timeout", both, 40 * minute, 1799, Aging),
        ("the idle timeout", both, 40 * minute, 1800, Expired),
        ("long after", both, 48 * hour, 48 * hour, Expired),
        ("used to the last, just before the end", both, 12 * hour - 1, 0, Fresh),
        ("used to the last, at the end", both, 12 * hour, 0, Expired),
        ("idle alone: no end", idle, 87_600 * hour, 449, Fresh),
        ("idle alone: away", idle, 87_600 * hour, 1800, Expired),
        ("lifetime alone: never sealed again", life, 12 * hour - 1, 12 * hour - 1, Fresh),
        ("lifetime alone: the end", life, 12 * hour, 0, Expired),
        ("a replica's clock is ahead a little", both, -60, -60, Fresh),
        ("a replica's clock is ahead", both, -61, -61, Ahead),
        ("without limits too", none, -61, 0, Ahead),
        ("used in the future alone", none, hour, -61, Ahead),
        ("issued in the future alone", none, -61, hour, Ahead),
    ] {
        let at = |ago: i64| u32::try_from(NOW_S as i64 - ago).unwrap();
        let sealing = Sealing {
            lifetime: lifetime.map(|it| Duration::from_secs(it as u64)),
            idle_timeout: idle_timeout.map(|it| Duration::from_secs(it as u64)),
            ..sealing(&[1])
        };
        let pin = SealedPin { server: 1, issued_s: at(issued_ago), used_s: at(used_ago) };
        assert_eq!(Seal::new(&sealing, SERVICE).standing(pin, NOW_S), want, "{name}");
    }
}

#[test]
fn a_clock_that_jumps_makes_values_void_and_never_eternal() {
    let idle_timeout = Some(Duration::from_secs(1800));
    let lifetime = Some(Duration::from_secs(43_200));
    let seal = Seal::new(&Sealing { lifetime, idle_timeout, ..sealing(&[1]) }, SERVICE);
    let pin = SealedPin::new(1, None, NOW_S);
    for (name, now_s, want) in [
        ("not at all", NOW_S, Standing::Fresh),
        ("back a little", NOW_S - AHEAD_S_MAX, Standing::Fresh),
        ("back", NOW_S - AHEAD_S_MAX - 1, Standing::Ahead),
        ("back to the beginning", 0, Standing::Ahead),
        ("forward", NOW_S + 1800, Standing::Expired),
        ("past what four bytes hold", u64::MAX, Standing::Expired),
    ] {
        assert_eq!(seal.standing(pin, now_s), want, "{name}");
    }
    // Sealed again while the clock was behind: the pin does not grow older than it is.
    let again = SealedPin::new(1, Some(pin.issued_s), NOW_S - AHEAD_S_MAX);
    assert_eq!(again.issued_s, pin.issued_s);
    assert_eq!(seal.standing(again, NOW_S + 43_199), Standing::Expired, "idle");
    let kept = SealedPin { used_s: pin.issued_s + 43_199, ..again };
    assert_eq!(seal.standing(kept, NOW_S + 43_199), Standing::Fresh);
    assert_eq!(seal.standing(kept, NOW_S + 43_200), Standing::Expired, "lifetime");
}

#[test]
fn the_hash_is_accepted_until_its_date_and_not_without_one() {
    let accepts = |until, now_s| {
        let sealing = Sealing { accept_hash_until_s: until, ..sealing(&[1]) };
        Seal::new(&sealing, SERVICE).accepts_hash(now_s)
    };
    assert!(!accepts(None, NOW_S) && !accepts(None, 0));
    assert!(accepts(Some(NOW_S), NOW_S - 1));
    assert!(!accepts(Some(NOW_S), NOW_S));
}

#[test]
fn nothing_of_a_key_is_printed() {
    let secret = SealingKey::new([0xab; 32]);
    let sealing = Sealing { keys: vec![secret], ..sealing(&[]) };
    for text in [format!("{sealing:?}"), format!("{:?}", Seal::new(&sealing, SERVICE))] {
        assert!(!text.contains("171") && !text.contains("ab, ab"), "{text}");
    }
}

proptest! {
    #[test]
    fn what_was_sealed_is_opened(
        server: u64,
        issued_s: u32,
        used_s: u32,
        nonce: [u8; 12],
        keys in proptest::collection::vec(any::<[u8; 32]>(), 1..9),
        service in "[a-z]{1,20}@file",
    ) {
        let pin = SealedPin { server, issued_s, used_s };
        let keys = keys.into_iter().map(SealingKey::new).collect();
        let seal = Seal::new(&Sealing { keys, ..sealing(&[]) }, &service);
        let value = seal.seal(pin, nonce).unwrap();
        prop_assert!(value.iter().all(|it| ALPHABET.contains(it)));
        prop_assert_eq!(seal.open(&value), Some(Opened { pin, key: 0, nonce }));
        prop_assert_eq!(encode(&decode(&value).unwrap()), value);
    }

    #[test]
    fn what_was_not_sealed_is_not_opened(value in proptest::collection::vec(any::<u8>(), 0..90)) {
        prop_assert_eq!(seal(&[1, 2, 3]).open(&value), None);
    }

    #[test]
    fn what_is_spelled_in_the_alphabet_is_not_opened_either(value in "A[A-Za-z0-9_-]{59}") {
        prop_assert_eq!(seal(&[1, 2, 3]).open(value.as_bytes()), None);
    }

    /// Whatever the clock does, a pin that counts is inside both of its times.
    #[test]
    fn a_pin_that_counts_is_neither_too_old_nor_from_the_future(
        issued_s: u32,
        used_s: u32,
        now_s in 0..u64::from(u32::MAX) * 2,
        lifetime_s in 1..100_000_u64,
        idle_s in 1..100_000_u64,
    ) {
        let lifetime = Some(Duration::from_secs(lifetime_s));
        let idle_timeout = Some(Duration::from_secs(idle_s));
        let seal = Seal::new(&Sealing { lifetime, idle_timeout, ..sealing(&[1]) }, SERVICE);
        let standing = seal.standing(SealedPin { server: 1, issued_s, used_s }, now_s);
        if matches!(standing, Standing::Fresh | Standing::Aging) {
            prop_assert!(now_s < u64::from(issued_s) + lifetime_s);
            prop_assert!(now_s < u64::from(used_s) + idle_s);
            prop_assert!(now_s + AHEAD_S_MAX >= u64::from(issued_s.max(used_s)));
        }
    }
}
