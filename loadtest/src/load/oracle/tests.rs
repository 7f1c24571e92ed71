use super::*;

const REQUEST: u32 = 7;

fn own_id() -> [u8; ID_BYTES] {
    id(1, 2, REQUEST)
}

fn answer(server: &str) -> Answer {
    Answer {
        status: 200,
        server: Some(server.to_owned()),
        id: Some(own_id().to_vec()),
        has_cookie: true,
        ..Answer::default()
    }
}

fn whole() -> BodyCheck {
    let mut body = vec![0; 100];
    fill(&mut body, &own_id());
    let mut check = BodyCheck::new(own_id());
    body.chunks(7).for_each(|it| check.feed(it));
    check
}

fn pinned_to(server: &str, allow_repin: bool) -> Oracle {
    let mut oracle = Oracle::new(allow_repin);
    let first = Answer { is_new_cookie: true, ..answer(server) };
    assert_eq!(oracle.judge(&first, &whole()), Ok(Right::Held));
    assert_eq!(oracle.pin(), Some(server));
    oracle
}

#[test]
fn an_id_names_run_client_and_request() {
    assert_eq!(&id(0xabcd, 2, 0x12345), b"abcd000200012345");
    assert_ne!(id(1, 2, 3), id(1, 3, 2));
}

#[test]
fn a_pin_that_holds_is_right() {
    let mut oracle = pinned_to("a", false);
    assert_eq!(oracle.judge(&answer("a"), &whole()), Ok(Right::Held));
    let rewritten = Answer { is_new_cookie: true, ..answer("a") };
    assert_eq!(oracle.judge(&rewritten, &whole()), Ok(Right::Held));
}

#[test]
fn another_server_without_a_cookie_is_mispinned_even_where_moves_are_allowed() {
    for allow_repin in [false, true] {
        let mut oracle = pinned_to("a", allow_repin);
        let wrong = oracle.judge(&answer("b"), &whole());
        assert!(matches!(wrong, Err(Wrong::Mispinned(_))), "{wrong:?}");
        assert_eq!(oracle.pin(), Some("a"));
    }
}

#[test]
fn a_move_by_a_new_cookie_is_right_only_where_it_is_allowed() {
    let moved = Answer { is_new_cookie: true, ..answer("b") };
    let mut strict = pinned_to("a", false);
    assert!(matches!(strict.judge(&moved, &whole()), Err(Wrong::Mispinned(_))));
    let mut lax = pinned_to("a", true);
    assert_eq!(lax.judge(&moved, &whole()), Ok(Right::Repinned));
    assert_eq!(lax.pin(), Some("b"));
    assert!(lax.judge(&answer("a"), &whole()).is_err(), "the old server, from now on, is wrong");
}

#[test]
fn an_answer_to_another_request_is_crossed() {
    for wrong in [
        Answer { id: Some(id(1, 3, REQUEST).to_vec()), ..answer("a") },
        Answer { id: Some(own_id()[..15].to_vec()), ..answer("a") },
        Answer { id: None, ..answer("a") },
        Answer { server: None, ..answer("a") },
        Answer { is_foreign_body: true, ..answer("a") },
        Answer { status: 502, id: None, ..answer("a") },
    ] {
        let mut oracle = pinned_to("a", true);
        let got = oracle.judge(&wrong, &whole());
        assert!(matches!(got, Err(Wrong::Crossed(_))), "{wrong:?}: {got:?}");
    }
}

#[test]
fn one_foreign_byte_anywhere_in_the_body_is_crossed() {
    let mut body = vec![0; 100];
    fill(&mut body, &own_id());
    for at in 0..body.len() {
        let mut changed = body.clone();
        changed[at] ^= 1;
        let mut check = BodyCheck::new(own_id());
        check.feed(&changed);
        let got = Oracle::new(false).judge(&answer("a"), &check);
        assert!(matches!(got, Err(Wrong::Crossed(_))), "byte {at}");
    }
}

#[test]
fn an_error_of_the_proxy_is_its_own_and_a_success_without_id_is_not() {
    let nameless = Answer { server: None, id: None, ..answer("a") };
    let mut oracle = pinned_to("a", false);
    let unavailable = Answer { status: 503, ..nameless.clone() };
    assert_eq!(oracle.judge(&unavailable, &whole()), Ok(Right::Proxy));
    assert!(matches!(oracle.judge(&nameless, &whole()), Err(Wrong::Crossed(_))));
}

#[test]
fn without_a_cookie_there_is_no_pin() {
    let mut oracle = Oracle::new(false);
    let free = Answer { has_cookie: false, ..answer("a") };
    assert_eq!(oracle.judge(&free, &whole()), Ok(Right::Held));
    assert_eq!(oracle.pin(), None);
}
