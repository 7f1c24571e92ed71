//! Stickiness beyond Traefik, at the level of picks.

use std::collections::HashMap;

use proptest::prelude::*;
use sundew_config::model::{CookieCache, Strict};

use super::*;
use crate::observe::outcome::StickyOutcome::{Header, Migrated, Query};

const URLS: [&str; 3] = [A, B, C];

/// A service of A, B and C, pinned by the cookie `c`, after a change.
fn changed(change: impl FnOnce(&mut LoadBalancer)) -> Tables {
    let mut service = balancer("app", "c", &[(A, 1), (B, 1), (C, 1)]);
    let ServiceKind::LoadBalancer(it) = &mut service.kind else { unreachable!() };
    change(it);
    tables(vec![service])
}

fn strict(forgets: bool) -> Option<Strict> {
    Some(Strict { status: 409, forgets })
}

#[test]
fn a_drained_server_keeps_its_pins_and_gets_no_new_ones() {
    let tables = changed(|it| it.servers[0].drain = true);
    for _ in 0..6 {
        assert_ne!(pick(&tables, "").unwrap().0, (0, 0));
        assert_eq!(pick(&tables, &pin("c", A)), Ok(((0, 0), Pinned, vec![])));
    }
    set_up(&tables, 0, 1, false);
    set_up(&tables, 0, 2, false);
    assert_eq!(pick(&tables, ""), Err(PickError::NoServer), "new clients wait");
    assert_eq!(pick(&tables, &pin("c", B)), Err(PickError::NoServer), "so do those that must move");
    assert_eq!(pick(&tables, &pin("c", A)), Ok(((0, 0), Pinned, vec![])));
}

#[test]
fn a_refused_request_does_not_end_at_a_drained_server() {
    let tables = changed(|it| it.servers[0].drain = true);
    let mut trail = Trail::default();
    pick_again(&tables, &pin("c", B), &mut trail).unwrap();
    note_tried(&mut trail, (0, 1));
    assert_eq!(pick_again(&tables, &pin("c", B), &mut trail).unwrap().0, (0, 2));
    note_tried(&mut trail, (0, 2));
    assert_eq!(pick_again(&tables, &pin("c", B), &mut trail), Err(PickError::Exhausted));
}

#[test]
fn a_child_that_is_drained_gets_no_new_clients() {
    for propagate_health in [true, false] {
        let mut services = vec![
            balancer("one", "in", &[(A, 1)]),
            balancer("two", "in", &[(B, 0), (C, 0)]),
            weighted("out", propagate_health, &[("one", 0), ("two", 1)]),
        ];
        let both = format!("{}; {}", pin("out", "two"), pin("in", C));
        let drained = tables(services.clone());
        for _ in 0..4 {
            assert_eq!(pick(&drained, "").unwrap().0, (0, 0));
            assert_eq!(pick(&drained, &both), Ok(((1, 1), Pinned, vec![])));
        }
        services[1] = balancer("two", "in", &[]);
        let empty = tables(services);
        let taken = (0..4).filter(|_| pick(&empty, "").is_ok()).count();
        assert_eq!(taken, if propagate_health { 4 } else { 2 }, "one without servers as before");
    }
}

#[test]
fn draining_begins_and_ends_with_a_reload() {
    let service = |drain| {
        let mut service = balancer("app", "c", &[(A, 1), (B, 1)]);
        let ServiceKind::LoadBalancer(it) = &mut service.kind else { unreachable!() };
        it.servers[0].drain = drain;
        vec![service]
    };
    let before = build(service(false), &[], None);
    let drained = build(service(true), &[], Some(&before));
    assert!((0..4).all(|_| pick(&drained, "").unwrap().0 == (0, 1)));
    let after = build(service(false), &[], Some(&drained));
    assert!((0..4).any(|_| pick(&after, "").unwrap().0 == (0, 0)));
}

#[test]
fn the_pin_of_a_server_with_an_id_outlives_its_url() {
    let with = |url: &str| {
        changed(|it| {
            it.servers[1].url = url.to_owned();
            it.servers[1].id = Some("app-1".to_owned());
        })
    };
    let id = pin("c", "app-1");
    for tables in [with(B), with("http://127.0.0.1:9")] {
        assert_eq!(pick(&tables, &id), Ok(((0, 1), Pinned, vec![])));
        let url = tables.server(ServiceIndex(0), ServerIndex(1)).unwrap().url.clone();
        assert_eq!(pick(&tables, &pin("c", &url)), Ok(((0, 1), Rewritten, vec![id.clone()])));
    }
}

#[test]
fn strict_refuses_a_client_whose_server_is_lost() {
    for forgets in [false, true] {
        let tables = changed(|it| it.sticky_rules.strict = strict(forgets));
        let deletion = || if forgets { vec!["c=".to_owned()] } else { vec![] };
        let refused = |cookies: &str| {
            let mut trail = Trail::default();
            assert_eq!(pick_again(&tables, cookies, &mut trail), Err(PickError::Refused(409)));
            assert!(trail.is_refused());
            assert_eq!(pins(&tables, &trail), deletion(), "{cookies}");
        };
        assert_eq!(pick(&tables, "").unwrap().1, New);
        assert_eq!(pick(&tables, &pin("c", A)), Ok(((0, 0), Pinned, vec![])));
        assert_eq!(pick(&tables, &format!("c={A}")).unwrap().1, Rewritten);
        refused("c=0123456789abcdef");
        for no_pin in ["c=", "c=x", "c=0123456789ABCDEF", "c=http://gone", "c=0123456789abcde"] {
            assert!(matches!(pick(&tables, no_pin).unwrap().1, New | Unknown), "{no_pin}");
        }
        set_up(&tables, 0, 0, false);
        refused(&pin("c", A));
        refused(&format!("c={A}"));
        set_up(&tables, 0, 0, true);

        let mut trail = Trail::default();
        pick_again(&tables, &pin("c", A), &mut trail).unwrap();
        note_tried(&mut trail, (0, 0));
        let again = pick_again(&tables, &pin("c", A), &mut trail);
        assert_eq!(again, Err(PickError::Refused(409)), "it refused the connection");
        trail.clear();
        assert!(!trail.is_refused());
        let (first, ..) = pick_again(&tables, "", &mut trail).unwrap();
        note_tried(&mut trail, first);
        let next = pick_again(&tables, "", &mut trail).unwrap();
        assert_ne!(next.0, first, "a new client was not pinned yet");
    }
}

#[test]
fn a_strict_child_refuses_without_the_pins_of_its_parent() {
    let mut services =
        vec![balancer("one", "in", &[(A, 1), (B, 1)]), weighted("out", true, &[("one", 0)])];
    let ServiceKind::LoadBalancer(it) = &mut services[0].kind else { unreachable!() };
    it.sticky_rules.strict = strict(true);
    let tables = tables(services);
    set_up(&tables, 0, 0, false);
    let mut trail = Trail::default();
    let refused = pick_again(&tables, &pin("in", A), &mut trail);
    assert_eq!(refused, Err(PickError::Refused(409)));
    assert_eq!(pins(&tables, &trail), ["in="]);
}

#[test]
fn without_redispatch_a_pinned_client_waits_for_its_server() {
    let tables = changed(|it| it.sticky_rules.redispatch = false);
    let mut trail = Trail::default();
    let (at, outcome, _) = pick_again(&tables, &pin("c", B), &mut trail).unwrap();
    let first = Pick { service: ServiceIndex(0), server: ServerIndex(at.1), outcome };
    assert!(!tables.has_alternative(ServiceIndex(0), first, &trail), "so it may dial for long");
    note_tried(&mut trail, at);
    assert_eq!(pick_again(&tables, &pin("c", B), &mut trail), Err(PickError::Exhausted));
    trail.restore_pins();
    assert_eq!(pins(&tables, &trail), Vec::<String>::new());

    set_up(&tables, 0, 1, false);
    assert_eq!(
        pick(&tables, &pin("c", B)).unwrap().1,
        Down,
        "one that is known to be down is left"
    );
    trail.clear();
    let (at, ..) = pick_again(&tables, "", &mut trail).unwrap();
    note_tried(&mut trail, at);
    assert_eq!(pick_again(&tables, "", &mut trail).unwrap().1, New, "as is that of a new client");
}

#[test]
fn a_cookie_of_a_previous_name_pins_and_is_replaced() {
    let previous = |it: &mut LoadBalancer| {
        it.sticky.as_mut().unwrap().previous_names = vec!["b".to_owned(), "a".to_owned()];
    };
    let tables = changed(previous);
    let moved = |number: &str| vec![pin("c", C), format!("{number}=")];
    assert_eq!(pick(&tables, &pin("a", C)), Ok(((0, 2), Migrated, moved("a"))));
    assert_eq!(pick(&tables, &pin("b", C)), Ok(((0, 2), Migrated, moved("b"))));
    assert_eq!(pick(&tables, &format!("a={C}")), Ok(((0, 2), Migrated, moved("a"))));
    let both = format!("{}; {}", pin("b", A), pin("c", C));
    assert_eq!(pick(&tables, &both), Ok(((0, 2), Pinned, vec![])), "today's name counts more");
    let stale = format!("c=x; {}", pin("b", C));
    assert_eq!(pick(&tables, &stale), Ok(((0, 2), Migrated, moved("b"))));
    let (_, outcome, lines) = pick(&tables, "a=somebody-else-s").unwrap();
    assert_eq!((outcome, lines.len()), (New, 1), "not ours, so it is left alone");
    set_up(&tables, 0, 2, false);
    let (_, outcome, lines) = pick(&tables, &pin("b", C)).unwrap();
    assert_eq!((outcome, lines.len(), &*lines[1]), (Down, 2, "b="));

    let strict = changed(|it| {
        previous(it);
        it.sticky_rules.strict = strict(true);
    });
    set_up(&strict, 0, 2, false);
    let mut trail = Trail::default();
    let refused = pick_again(&strict, &pin("a", C), &mut trail);
    assert_eq!((refused, pins(&strict, &trail)), (Err(PickError::Refused(409)), vec!["a=".into()]));
}

#[test]
fn only_responses_that_set_a_pin_are_kept_from_caches() {
    let tables = changed(|it| it.sticky.as_mut().unwrap().cache = CookieCache::NoStore);
    let mut trail = Trail::default();
    pick_again(&tables, "", &mut trail).unwrap();
    assert_eq!(trail.cache(&tables), CookieCache::NoStore);
    pick_again(&tables, &pin("c", A), &mut trail).unwrap();
    assert_eq!(trail.cache(&tables), CookieCache::Off);
}

#[test]
fn cookies_are_hidden_from_whoever_stands_below() {
    let mut services = vec![
        balancer("one", "in", &[(A, 1)]),
        balancer("two", "other", &[(B, 1)]),
        weighted("out", true, &[("one", 0), ("two", 1)]),
    ];
    let ServiceKind::LoadBalancer(one) = &mut services[0].kind else { unreachable!() };
    let cookie = one.sticky.as_mut().unwrap();
    (cookie.hide, cookie.previous_names) = (true, vec!["old".to_owned()]);
    let ServiceKind::Weighted(top) = &mut services[2].kind else { unreachable!() };
    top.sticky.as_mut().unwrap().hide = true;
    let tables = tables(services);
    let hidden = |service| {
        let names = tables.hidden_cookies(ServiceIndex(service)).iter();
        names.map(|it| String::from_utf8(it.to_vec()).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(hidden(0), ["in", "old"]);
    assert_eq!(hidden(1), Vec::<String>::new());
    assert_eq!(hidden(2), ["in", "old", "out"]);
}

/// A service that is pinned by `X-Key` and `key`, with a cookie or without.
fn keyed(weights: [u32; 3], cookie_name: &str, redispatch: bool) -> Tables {
    changed(|it| {
        it.sticky = cookie(cookie_name);
        it.sticky_rules.header = Some("X-Key".to_owned());
        it.sticky_rules.query = Some("key".to_owned());
        it.sticky_rules.redispatch = redispatch;
        for (server, weight) in it.servers.iter_mut().zip(weights) {
            server.weight = weight;
        }
    })
}

/// The server of a key, in a field.
fn server_of(tables: &Tables, key: &str) -> u16 {
    let fields = format!("X-Key: {key}\r\n");
    let (at, outcome, lines) = ask(tables, "/", &fields, &mut Trail::default()).unwrap();
    assert_eq!((outcome, lines), (Header, vec![]), "no cookie is set");
    at.1
}

#[test]
fn a_key_pins_by_the_score_of_traefik_s_hrw() {
    let tables = keyed([1, 1, 1], "c", true);
    let members = (0_u16..).zip(URLS).map(|(member, url)| (member, 1, url));
    let hrw = crate::balance::Hrw::new(members);
    for key in ["a", "b", "c", "some key", "7ada663d74f94374"] {
        let want = hrw.choose(key.as_bytes(), |_| true);
        assert_eq!(Some(server_of(&tables, key)), want, "{key}");
        let target = format!("/x?y=1&key={}", key.replace(' ', "%20"));
        let (at, outcome, lines) = ask(&tables, &target, "", &mut Trail::default()).unwrap();
        assert_eq!((Some(at.1), outcome, lines), (want, Query, vec![]), "wherever it stands");
    }
}

#[test]
fn a_cookie_counts_more_than_a_key_and_a_field_more_than_the_query() {
    let tables = keyed([1, 1, 1], "c", true);
    let key = (0..99).map(|it| it.to_string()).find(|it| server_of(&tables, it) == 0).unwrap();
    let other = (0..99).map(|it| it.to_string()).find(|it| server_of(&tables, it) == 1).unwrap();
    let (field, target) = (format!("X-Key: {key}\r\n"), format!("/?key={other}"));
    let pick = |cookies: &str| {
        let fields = format!("Cookie: {cookies}\r\n{field}");
        ask(&tables, &target, &fields, &mut Trail::default()).unwrap()
    };
    assert_eq!(pick(&pin("c", C)), ((0, 2), Pinned, vec![]));
    assert_eq!(pick("c=0123456789abcdef"), ((0, 0), Header, vec![]));
    assert_eq!(pick("x=y"), ((0, 0), Header, vec![]));
    let empty = ask(&tables, &target, "X-Key:\r\n", &mut Trail::default()).unwrap();
    assert_eq!((empty.0, empty.1), ((0, 1), Query));
    let neither = ask(&tables, "/?key=", "", &mut Trail::default()).unwrap();
    assert_eq!((neither.1, neither.2.len()), (New, 1));
    let without_cookie = keyed([1, 1, 1], "", true);
    let neither = ask(&without_cookie, "/", "", &mut Trail::default()).unwrap();
    assert_eq!((neither.1, neither.2.len()), (Unsticky, 0));
}

#[test]
fn a_key_leaves_a_server_that_refuses_unless_that_is_off() {
    for redispatch in [true, false] {
        let tables = keyed([1, 1, 1], "c", redispatch);
        let mut trail = Trail::default();
        let ask = |trail: &mut Trail| ask(&tables, "/", "X-Key: k\r\n", trail);
        let (first, outcome, _) = ask(&mut trail).unwrap();
        let pick = Pick { service: ServiceIndex(0), server: ServerIndex(first.1), outcome };
        assert_eq!(tables.has_alternative(ServiceIndex(0), pick, &trail), redispatch);
        note_tried(&mut trail, first);
        match ask(&mut trail) {
            Ok((next, Header, _)) => assert!(redispatch && next != first),
            refused => assert!(!redispatch && refused == Err(PickError::Exhausted)),
        }
    }
}

#[test]
fn keys_of_a_weighted_service_choose_a_child() {
    let mut services = vec![
        balancer("one", "", &[(A, 1)]),
        balancer("two", "", &[(B, 1)]),
        weighted("", true, &[("one", 0), ("two", 1)]),
    ];
    let ServiceKind::Weighted(top) = &mut services[2].kind else { unreachable!() };
    top.sticky_rules.header = Some("x-key".to_owned());
    let tables = tables(services);
    let child = |key: u32| {
        let fields = format!("X-Key: {key}\r\n");
        let (at, outcome, _) = ask(&tables, "/", &fields, &mut Trail::default()).unwrap();
        assert_eq!(outcome, Header);
        at.0
    };
    let children: Vec<u32> = (0..32).map(child).collect();
    assert!(children.contains(&0) && children.contains(&1));
    assert_eq!(children, (0..32).map(child).collect::<Vec<_>>());
    set_up(&tables, 0, 0, false);
    assert!((0..32).all(|key| child(key) == 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A pin never moves while its server is up, whatever else happens.
    #[test]
    fn a_pin_stays_while_its_server_is_up(
        weights in prop::array::uniform3(0_u32..3),
        drained in prop::array::uniform3(any::<bool>()),
        is_strict in any::<bool>(),
        redispatch in any::<bool>(),
        downs in prop::collection::vec((0_u16..3, any::<bool>()), 0..12),
    ) {
        let tables = changed(|it| {
            for ((server, weight), drain) in it.servers.iter_mut().zip(weights).zip(drained) {
                (server.weight, server.drain) = (weight, drain);
            }
            it.sticky_rules.redispatch = redispatch;
            it.sticky_rules.strict = strict(false).filter(|_| is_strict);
        });
        let mut is_up = [true; 3];
        for (server, up) in downs {
            set_up(&tables, 0, server, up);
            is_up[usize::from(server)] = up;
            let _ = pick(&tables, "");
            for (member, url) in (0_u16..).zip(URLS) {
                let picked = pick(&tables, &pin("c", url));
                if is_up[usize::from(member)] {
                    prop_assert_eq!(picked, Ok(((0, member), Pinned, vec![])));
                } else if is_strict {
                    prop_assert_eq!(picked, Err(PickError::Refused(409)));
                } else if let Ok((at, ..)) = picked {
                    let at = usize::from(at.1);
                    prop_assert!(is_up[at] && !drained[at] && weights[at] > 0);
                }
            }
        }
    }

    /// The keys of a server that goes down move, no other, and they return.
    #[test]
    fn keys_move_as_little_as_can_be(
        keys in prop::collection::vec("[ -~]{1,12}", 1..40),
        weights in prop::array::uniform3(1_u32..5),
        leaver in 0_u16..3,
    ) {
        let tables = keyed(weights, "c", true);
        let keys: Vec<String> = keys.iter().map(|it| format!("k{}", it.trim())).collect();
        let all = || keys.iter().map(|it| (it.clone(), server_of(&tables, it)));
        let before: HashMap<String, u16> = all().collect();
        set_up(&tables, 0, leaver, false);
        for (key, server) in all() {
            prop_assert_ne!(server, leaver);
            prop_assert!(before[&key] == server || before[&key] == leaver);
        }
        set_up(&tables, 0, leaver, true);
        prop_assert_eq!(all().collect::<HashMap<_, _>>(), before);
    }
}
