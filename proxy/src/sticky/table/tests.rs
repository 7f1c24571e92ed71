use super::*;

const A: &str = "http://10.0.1.10:8080";
const B: &str = "http://10.0.1.11:8080";

fn cookie() -> StickyCookie {
    StickyCookie {
        name: "srv_id".to_owned(),
        secure: false,
        http_only: false,
        same_site: None,
        max_age: None,
        path: Some("/".to_owned()),
        domain: None,
        sealing: None,
    }
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
}

#[test]
fn a_member_that_does_not_exist_has_no_line() {
    assert_eq!(table(&[A], Level::Server).set_cookie_line(1), b"");
}
