use std::time::Duration;

use sundew_config::model::{Sealing, SealingKey};

use super::*;

const A: &str = "http://10.0.1.10:8080";
const B: &str = "http://10.0.1.11:8080";

fn cookie() -> StickyCookie {
    StickyCookie::named("srv_id")
}

fn table(members: &[&str], level: Level) -> StickyTable {
    StickyTable::new(&cookie(), members.iter().copied(), level)
}

fn found(member: u16, is_current_format: bool) -> Option<Found> {
    Some(Found { member, is_current_format })
}

#[test]
fn the_current_value_of_every_member_is_found() {
    let table = table(&[A, B], Level::Server);
    assert_eq!(table.cookie_name(), b"srv_id");
    assert_eq!(table.find(b"7ada663d74f94374"), found(0, true));
    assert_eq!(table.find(b"07b59cda945c6a18"), found(1, true));
}

#[test]
fn every_older_value_of_a_server_is_found_and_is_not_current() {
    let table = table(&[B, A], Level::Server);
    for value in [A, "372300e971988868", "5d18f8e0b959b629", "1389b137344077b6", "d363c059199d9e4e"]
    {
        assert_eq!(table.find(value.as_bytes()), found(1, false), "{value}");
    }
}

#[test]
fn a_weighted_service_knows_three_older_values() {
    let table = table(&["first", "second"], Level::Service);
    assert_eq!(table.find(b"16367aacb67a4a01"), found(1, true));
    for value in ["first", "c0de9a9b8ec0e479", "76819daa37fef449"] {
        assert_eq!(table.find(value.as_bytes()), found(0, false), "{value}");
    }
    // FNV-1a was only ever written for servers.
    let fnv1a_of_first = StickyTable::new(&cookie(), ["first"].into_iter(), Level::Server);
    let mut only_server_level = fnv1a_of_first.older.into_keys().collect::<Vec<_>>();
    only_server_level.retain(|value| !table.older.contains_key(value));
    assert_eq!(only_server_level.len(), 2);
}

#[test]
fn anything_else_names_no_member() {
    let table = table(&[A], Level::Server);
    for value in [
        "",
        "7ADA663D74F94374",
        "7ada663d74f9437",
        "ffffffffffffffff",
        "http://10.0.1.10:8080/",
        "HTTP://10.0.1.10:8080",
        "10.0.1.10:8080",
    ] {
        assert_eq!(table.find(value.as_bytes()), None, "{value}");
    }
}

#[test]
fn of_equal_urls_the_last_one_wins() {
    let table = table(&[A, B, A], Level::Server);
    assert_eq!(table.find(b"7ada663d74f94374"), found(2, true));
    assert_eq!(table.find(A.as_bytes()), found(2, false));
    assert_eq!(table.set_cookie_line(0), table.set_cookie_line(2));
}

#[test]
fn attributes_are_rendered_in_the_order_of_go() {
    let with = |change: fn(&mut StickyCookie)| {
        let mut cookie = cookie();
        change(&mut cookie);
        let table = StickyTable::new(&cookie, [A].into_iter(), Level::Server);
        let line = String::from_utf8(table.set_cookie_line(0).to_vec()).unwrap();
        let line = line.strip_suffix("\r\n").expect("a whole line").to_owned();
        line.strip_prefix("Set-Cookie: srv_id=7ada663d74f94374").expect("the pair").to_owned()
    };
    assert_eq!(with(|_| ()), "; Path=/");
    assert_eq!(with(|it| it.path = None), "");
    assert_eq!(with(|it| it.max_age = Some(0)), "; Path=/; Max-Age=0");
    assert_eq!(with(|it| it.domain = Some(".a.test".to_owned())), "; Path=/; Domain=a.test");
    assert_eq!(with(|it| it.same_site = Some(SameSite::None)), "; Path=/; SameSite=None");
    assert_eq!(with(|it| it.same_site = Some(SameSite::Strict)), "; Path=/; SameSite=Strict");
    let all = with(|it| {
        it.path = Some("/a b".to_owned());
        it.domain = Some("a.test".to_owned());
        it.max_age = Some(60);
        it.http_only = true;
        it.secure = true;
        it.same_site = Some(SameSite::Lax);
    });
    assert_eq!(all, "; Path=/a b; Domain=a.test; Max-Age=60; HttpOnly; Secure; SameSite=Lax");
    let partitioned = with(|it| {
        (it.secure, it.partitioned) = (true, true);
        it.same_site = Some(SameSite::None);
    });
    assert_eq!(partitioned, "; Path=/; Secure; SameSite=None; Partitioned");
}

#[test]
fn a_deletion_has_the_attributes_by_which_clients_find_the_cookie() {
    let mut cookie = StickyCookie { max_age: Some(60), ..cookie() };
    cookie.domain = Some("a.test".to_owned());
    (cookie.secure, cookie.partitioned) = (true, true);
    let line = String::from_utf8(render_deletion(&cookie, "old").to_vec()).unwrap();
    let attributes = "Path=/; Domain=a.test; Max-Age=0; Secure; Partitioned";
    assert_eq!(line, format!("Set-Cookie: old=; {attributes}\r\n"));
}

#[test]
fn a_server_with_an_id_is_pinned_by_it_and_found_by_its_url() {
    let member = Member { name: "app-1", former_name: Some(A) };
    let table = StickyTable::new(&cookie(), [member, B.into()].into_iter(), Level::Server);
    let value = current_value("app-1");
    assert_eq!(table.find(&value), found(0, true));
    assert!(table.set_cookie_line(0).starts_with(&[b"Set-Cookie: srv_id=", &value[..]].concat()));
    for value in ["7ada663d74f94374", A, "1389b137344077b6"] {
        assert_eq!(table.find(value.as_bytes()), found(0, false), "{value}");
    }
    assert_eq!(table.find(b"app-1"), None, "no release wrote that");
    assert_eq!(table.find(b"07b59cda945c6a18"), found(1, true));
}

#[test]
fn a_member_that_does_not_exist_has_no_line() {
    assert_eq!(table(&[A], Level::Server).set_cookie_line(1), b"");
}

const NOW_S: u64 = 1_800_000_000;

fn key(number: u8) -> SealingKey {
    SealingKey::new([number; 32])
}

/// A table whose values live for twelve hours, and half an hour without use.
fn sealed_table(members: &[&str], keys: &[u8], accept_hash_until_s: Option<u64>) -> StickyTable {
    let sealing = Sealing {
        keys: keys.iter().copied().map(key).collect(),
        lifetime: Some(Duration::from_secs(43_200)),
        idle_timeout: Some(Duration::from_secs(1800)),
        accept_hash_until_s,
    };
    let cookie = StickyCookie { sealing: Some(sealing), http_only: true, ..cookie() };
    let table = StickyTable::new(&cookie, members.iter().copied(), Level::Server);
    table.with_seal(&cookie, "app@file")
}

fn pinned(
    member: u16,
    is_current_format: bool,
    is_aging: bool,
    issued_s: Option<u64>,
) -> Result<Reading, StickyOutcome> {
    let renewal =
        issued_s.map(|it| Renewal { issued_s: u32::try_from(it).unwrap(), nonce: [7; 12] });
    Ok(Reading { found: Found { member, is_current_format }, is_aging, renewal })
}

#[test]
fn a_sealed_value_is_found_renewed_and_ended() {
    use StickyOutcome::{Expired, Forged, Gone};
    let table = sealed_table(&[A, B], &[1], None);
    let value = table.seal(1, None, NOW_S, [7; 12]).unwrap();
    for (name, members, keys, later_s, want) in [
        ("new", &[A, B][..], &[1][..], 0, pinned(1, true, false, Some(NOW_S))),
        ("aging", &[A, B], &[1], 450, pinned(1, true, true, Some(NOW_S))),
        ("expired", &[A, B], &[1], 1800, Err(Expired)),
        ("rotated", &[A, B], &[2, 1], 0, pinned(1, false, false, Some(NOW_S))),
        ("moved", &[B, A], &[1], 0, pinned(0, true, false, Some(NOW_S))),
        ("gone", &[A], &[1], 0, Err(Gone)),
        ("gone and expired", &[A], &[1], 1800, Err(Expired)),
        ("forged", &[A, B], &[2], 0, Err(Forged)),
    ] {
        let found = sealed_table(members, keys, None).read(&value, NOW_S + later_s);
        assert_eq!(found, want, "{name}");
    }
    let early = table.read(&value, NOW_S - 61);
    assert_eq!(early, Err(Expired), "from the future");
}

#[test]
fn a_renewed_value_keeps_the_time_of_its_first_and_ends_by_it() {
    let table = sealed_table(&[A], &[1], None);
    let mut value = table.seal(0, None, NOW_S, [0; 12]).unwrap();
    let mut renewals = 0;
    for now_s in (NOW_S..NOW_S + 43_200).step_by(100) {
        let reading = table.read(&value, now_s).unwrap();
        assert_eq!(reading.found, Found { member: 0, is_current_format: true }, "{now_s}");
        if reading.is_aging {
            renewals += 1;
            let Renewal { issued_s, nonce } = reading.renewal.unwrap();
            assert_eq!(nonce, [0; 12], "that of the first value");
            value = table.seal(0, Some(issued_s), now_s, nonce).unwrap();
        }
    }
    assert_eq!(renewals, 86, "every 500 s: the first time past a quarter of the idle timeout");
    assert_eq!(table.read(&value, NOW_S + 43_200), Err(StickyOutcome::Expired));
}

#[test]
fn a_hash_pins_where_values_are_sealed_until_its_date() {
    use StickyOutcome::Unknown;
    let table = sealed_table(&[A, B], &[1], Some(NOW_S));
    for value in ["07b59cda945c6a18", B] {
        let found = table.read(value.as_bytes(), NOW_S - 1);
        assert_eq!(found, pinned(1, false, false, None), "{value}");
        let late = table.read(value.as_bytes(), NOW_S);
        assert_eq!(late, Err(Unknown), "{value}");
    }
    let unknown = table.read(b"0123456789abcdef", NOW_S - 1);
    assert_eq!(unknown, Err(Unknown));
}

#[test]
fn the_line_of_a_sealed_pin_has_its_attributes_and_is_never_a_hash() {
    let table = sealed_table(&[A], &[1], None);
    let value = table.seal(0, None, NOW_S, [7; 12]).unwrap();
    let line = table.set_cookie_pieces(0, Some(&value)).concat();
    let want = [b"Set-Cookie: srv_id=", &value[..], b"; Path=/; HttpOnly\r\n"].concat();
    assert_eq!(line, want);
    assert_eq!(table.set_cookie_pieces(0, None).concat(), b"");
    assert_eq!(table.seal(1, None, NOW_S, [7; 12]), None, "no such member");
    let plain = self::table(&[A], Level::Server);
    assert_eq!(plain.set_cookie_pieces(0, None).concat(), plain.set_cookie_line(0));
    assert_eq!(plain.seal(0, None, NOW_S, [7; 12]), None);
    assert!(!plain.is_sealed() && table.is_sealed());
}

#[test]
fn only_an_authentic_value_can_name_a_member_that_left() {
    use StickyOutcome::{Expired, Forged, Gone, Unknown};
    let (plain, sealed) = (table(&[A], Level::Server), sealed_table(&[A], &[1], None));
    for (value, reason, by_hash, by_seal) in [
        (&b"0123456789abcdef"[..], Unknown, true, false),
        (b"0123456789abcdeF", Unknown, false, false),
        (b"", Unknown, false, false),
        (&[b'A'; 60], Forged, false, false),
        (&[b'A'; 60], Expired, false, false),
        (&[b'A'; 60], Gone, false, true),
    ] {
        assert_eq!(plain.names_lost_member(value, reason), by_hash, "{reason:?}");
        assert_eq!(sealed.names_lost_member(value, reason), by_seal, "{reason:?}");
    }
}

#[test]
fn the_oldest_hash_may_be_as_long_as_a_sealed_value() {
    let url = format!("http://{}.test:8080", "a".repeat(43));
    assert_eq!(url.len(), VALUE_CHARS);
    let table = sealed_table(&[A, &url], &[1], Some(NOW_S));
    assert_eq!(table.read(url.as_bytes(), NOW_S - 1), pinned(1, false, false, None));
    assert_eq!(table.read(url.as_bytes(), NOW_S), Err(StickyOutcome::Forged));
}
