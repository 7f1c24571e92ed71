//! Rules about load through whole tables: caps, slow starts, and the moving of old pins.

use std::time::Duration;

use proptest::{prop_assert, prop_assert_ne, proptest, test_runner::Config as ProptestConfig};
use sundew_config::model::{InFlightLimit, LoadRules, Overflow, Rebalance};

use super::sealed::sealed;
use super::*;
use crate::observe::outcome::StickyOutcome::Rebalanced;

/// When the tests' servers are asked first, by the wall clock.
const NOW_S: u64 = 1_800_000_000;

fn ruled(mut service: Service, load: LoadRules) -> Service {
    let ServiceKind::LoadBalancer(balancer) = &mut service.kind else { panic!() };
    balancer.load = Box::new(load);
    service
}

fn capped(cookie_name: &str, per_server_max: u32, overflow: Overflow) -> Service {
    let in_flight = Some(InFlightLimit { per_server_max, overflow });
    ruled(
        balancer("app", cookie_name, &[(A, 1), (B, 1)]),
        LoadRules { in_flight, ..LoadRules::default() },
    )
}

fn facts(count: usize) -> Vec<Vec<ServerFacts>> {
    let server = |_| ServerFacts {
        is_up: true,
        is_draining: false,
        addresses: Arc::new([]),
        in_flight: SharedInFlight::default(),
    };
    vec![(0..count).map(server).collect()]
}

fn runtime(tables: &Tables, server: u16) -> &Rc<Server> {
    tables.server(ServiceIndex(0), ServerIndex(server)).unwrap()
}

fn tick(tables: &Tables, now_ms: u64) {
    tables.tick(Moment { now_ms, wall_s: NOW_S + now_ms / 1000 });
}

/// One request at `now_s`: server, outcome, the value of its new pin.
fn ask_at(
    tables: &Tables,
    method: &[u8],
    cookies: &str,
    now_s: u64,
) -> (u16, StickyOutcome, String) {
    let text = format!("GET / HTTP/1.0\r\nCookie: {cookies}\r\n\r\n");
    let limits = HeadLimits { bytes_max: 9999, fields_max: 9, line_bytes_max: 999 };
    let mut head = RequestHead::default();
    parse_request(text.as_bytes(), &limits, &mut head).unwrap();
    let (bytes, fields) = (text.as_bytes(), &head.fields);
    let sources = PinSources { bytes, fields, path_and_query: b"/", asked_s: now_s, method };
    let mut trail = Trail::default();
    let pick = tables.pick(ServiceIndex(0), sources, &mut trail).unwrap();
    let pin = pins(tables, &trail).pop().unwrap_or_default();
    (pick.server.0, pick.outcome, pin)
}

#[test]
fn a_new_client_goes_to_a_server_with_room() {
    for overflow in [Overflow::Wait, Overflow::Redispatch, Overflow::Reject] {
        let tables = build(vec![capped("", 2, overflow)], &facts(2), None);
        let held: Vec<_> = (0..2).map(|_| runtime(&tables, 0).begin().unwrap()).collect();
        assert!(runtime(&tables, 0).begin().is_none(), "no third one");
        for _ in 0..4 {
            assert_eq!(pick(&tables, "").unwrap().0, (0, 1));
        }
        let others: Vec<_> = (0..2).map(|_| runtime(&tables, 1).begin().unwrap()).collect();
        assert_eq!(pick(&tables, ""), Err(PickError::Full(overflow)));
        drop(others);
        assert_eq!(pick(&tables, "").unwrap().0, (0, 1));
        drop(held);
    }
}

#[test]
fn a_pinned_client_of_a_full_server_waits_moves_or_is_refused() {
    let cookie = pin("sid", A);
    for (overflow, want) in [
        (Overflow::Wait, Err(PickError::Full(Overflow::Wait))),
        (Overflow::Reject, Err(PickError::Full(Overflow::Reject))),
        (Overflow::Redispatch, Ok(((0, 1), Redispatched, vec![pin("sid", B)]))),
    ] {
        let tables = build(vec![capped("sid", 1, overflow)], &facts(2), None);
        let held = runtime(&tables, 0).begin().unwrap();
        assert_eq!(pick(&tables, &cookie), want);
        drop(held);
        assert_eq!(pick(&tables, &cookie).unwrap().0, (0, 0), "{overflow:?}");
    }
}

#[test]
fn strict_clients_are_not_moved_by_an_overflow_either() {
    let mut service = capped("sid", 1, Overflow::Redispatch);
    let ServiceKind::LoadBalancer(balancer) = &mut service.kind else { panic!() };
    balancer.sticky_rules.strict =
        Some(sundew_config::model::Strict { status: 409, forgets: false });
    let tables = build(vec![service], &facts(2), None);
    let _held = runtime(&tables, 0).begin().unwrap();
    assert_eq!(pick(&tables, &pin("sid", A)), Err(PickError::Refused(409)));
}

#[test]
fn two_workers_and_a_reload_share_one_cap() {
    let facts = facts(2);
    let one = build(vec![capped("", 2, Overflow::Reject)], &facts, None);
    let other = build(vec![capped("", 2, Overflow::Reject)], &facts, None);
    let held = (runtime(&one, 0).begin().unwrap(), runtime(&other, 0).begin().unwrap());
    assert!(runtime(&one, 0).is_full() && runtime(&other, 0).is_full());
    let reloaded = build(vec![capped("", 3, Overflow::Reject)], &facts, Some(&one));
    assert!(!runtime(&reloaded, 0).is_full(), "the cap is higher");
    let third = runtime(&reloaded, 0).begin().unwrap();
    assert!(runtime(&reloaded, 0).begin().is_none());
    drop((held, third));
    assert_eq!(runtime(&reloaded, 0).in_flight(), 0);
}

fn slow(weights: [u32; 2], strategy: Strategy) -> Service {
    let service = balancer("app", "", &[(A, weights[0]), (B, weights[1])]);
    let slow_start = Some(Duration::from_secs(100));
    let mut service = ruled(service, LoadRules { slow_start, ..LoadRules::default() });
    let ServiceKind::LoadBalancer(balancer) = &mut service.kind else { panic!() };
    balancer.strategy = strategy;
    service
}

/// How many of 10,000 new clients come to the second server.
fn of_second(tables: &Tables) -> usize {
    (0..10_000).filter(|_| pick(tables, "").unwrap().0.1 == 1).count()
}

#[test]
fn a_server_that_came_up_takes_to_its_share_slowly() {
    for strategy in [Strategy::Wrr, Strategy::LeastTime, Strategy::P2c] {
        let tables = build(vec![slow([1, 1], strategy)], &[], None);
        tick(&tables, 0);
        assert!(of_second(&tables).abs_diff(5_000) < 300, "{strategy:?}: warm from the start");
        set_up(&tables, 0, 1, false);
        tick(&tables, 100);
        set_up(&tables, 0, 1, true);
        assert_eq!(of_second(&tables), 0, "{strategy:?}: before anybody looked");
        tick(&tables, 1_000);
        let mut before = 0;
        for (elapsed_s, least, most) in [(10, 200, 1_300), (50, 1_900, 3_700), (100, 4_700, 5_300)]
        {
            tick(&tables, 1_000 + elapsed_s * 1_000);
            let got = of_second(&tables);
            assert!((least..=most).contains(&got), "{strategy:?} after {elapsed_s} s: {got}");
            assert!(got > before, "{strategy:?} after {elapsed_s} s: {got} after {before}");
            before = got;
        }
    }
}

#[test]
fn nobody_waits_for_a_server_to_warm_up_that_is_the_only_one() {
    let tables = build(vec![slow([1, 1], Strategy::Wrr)], &[], None);
    set_up(&tables, 0, 1, false);
    set_up(&tables, 0, 1, true);
    set_up(&tables, 0, 0, false);
    assert_eq!(of_second(&tables), 10_000);
}

#[test]
fn a_server_that_a_reload_adds_is_new_and_those_of_the_start_are_not() {
    let before = build(vec![ruled_like_slow(&[(A, 1)])], &[], None);
    let tables = build(vec![ruled_like_slow(&[(A, 1), (B, 1)])], &[], Some(&before));
    assert_eq!(of_second(&tables), 0);
    let same = build(vec![ruled_like_slow(&[(A, 1), (B, 1)])], &[], Some(&tables));
    assert_eq!(of_second(&same), 0, "a reload does not warm it");
    let fresh = build(vec![ruled_like_slow(&[(A, 1), (B, 1)])], &[], None);
    assert_eq!(of_second(&fresh), 5_000);
}

fn ruled_like_slow(urls: &[(&str, u32)]) -> Service {
    let slow_start = Some(Duration::from_secs(100));
    ruled(balancer("app", "", urls), LoadRules { slow_start, ..LoadRules::default() })
}

fn moving(urls: &[(&str, u32)], percent: u32) -> Service {
    let older_than = Duration::from_secs(60);
    let rebalance = Some(Rebalance { per_minute_ppm: percent * 10_000, older_than });
    let service = sealed(balancer("app", "sid", urls));
    ruled(service, LoadRules { rebalance, ..LoadRules::default() })
}

/// So many pins, made at the start by tables without the last server, which is there 100 s later.
fn with_newcomer(pins: usize, percent: u32) -> (Tables, Vec<String>) {
    let before = build(vec![moving(&[(A, 1), (B, 1)], percent)], &[], None);
    tick(&before, 0);
    let made = (0..pins).map(|_| ask_at(&before, b"GET", "", NOW_S).2).collect();
    let tables = build(vec![moving(&[(A, 1), (B, 1), (C, 1)], percent)], &[], Some(&before));
    tick(&tables, 100_000);
    (tables, made)
}

/// Those of `pins` that move at this moment, which they are replaced by then.
fn move_all(tables: &Tables, pins: &mut [String], now_ms: u64) -> usize {
    tick(tables, now_ms);
    let mut moved = 0;
    for pin in pins {
        let (server, outcome, fresh) = ask_at(tables, b"GET", pin, NOW_S + now_ms / 1000);
        if outcome == Rebalanced {
            assert_eq!(server, 2, "to the newcomer alone");
            moved += 1;
        } else {
            assert_eq!(outcome, Pinned);
        }
        if !fresh.is_empty() {
            *pin = fresh;
        }
    }
    moved
}

#[test]
fn old_pins_move_to_a_new_server_until_it_has_its_share() {
    let (tables, mut pins) = with_newcomer(3_000, 100);
    assert_eq!(move_all(&tables, &mut pins, 100_000), 0, "no time has passed");
    let moved = move_all(&tables, &mut pins, 200_000);
    let of_newcomer =
        pins.iter().filter(|pin| ask_at(&tables, b"POST", pin, NOW_S + 200).0 == 2).count();
    assert_eq!(of_newcomer, moved);
    // A third of 3,000, or a bit more: what it is short of is told by the last minute's requests.
    assert!((800..1_700).contains(&moved), "{moved}");
}

#[test]
fn a_pin_does_not_move_on_an_unsafe_method_when_it_is_young_or_on_a_drained_server() {
    let (tables, pins) = with_newcomer(200, 100);
    tick(&tables, 200_000);
    for method in [&b"POST"[..], b"PUT", b"DELETE", b"PATCH", b"get", b"PROPFIND"] {
        for pin in &pins {
            assert_eq!(ask_at(&tables, method, pin, NOW_S + 200).1, Pinned);
        }
    }
    for pin in &pins {
        assert_eq!(ask_at(&tables, b"GET", pin, NOW_S + 59).1, Pinned, "younger than a minute");
    }
    for server in [0, 1] {
        runtime(&tables, server).set_draining(true);
    }
    for pin in &pins {
        assert_eq!(ask_at(&tables, b"GET", pin, NOW_S + 200).1, Pinned, "drained");
    }
}

#[test]
fn a_pin_that_was_made_since_the_newcomer_is_there_never_moves() {
    let (tables, _) = with_newcomer(0, 100);
    let of_first: Vec<String> = (0..60)
        .map(|_| ask_at(&tables, b"GET", "", NOW_S + 100).2)
        .filter(|pin| ask_at(&tables, b"POST", pin, NOW_S + 100).0 == 0)
        .collect();
    for now_s in (200..3_000).step_by(100) {
        tick(&tables, now_s * 1_000);
        for pin in &of_first {
            assert_eq!(ask_at(&tables, b"GET", pin, NOW_S + now_s).1, Pinned, "{now_s}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whatever the budget, and however often every client comes, no more than the budget's share
    /// has moved by any minute: each pin is drawn once. The slack is 4.5 standard deviations.
    #[test]
    fn a_rebalance_never_exceeds_its_budget(percent in 1_u32..20, looks in 1_u64..9) {
        const PINS: usize = 2_000;
        let (tables, mut pins) = with_newcomer(PINS, percent);
        let mut moved = 0;
        for look in 1..=looks * 3 {
            let elapsed_ms = look * 60_000 / looks;
            moved += move_all(&tables, &mut pins, 100_000 + elapsed_ms);
            let share = (f64::from(percent) / 100.0 * elapsed_ms as f64 / 60_000.0).min(1.0);
            let slack = 4.5 * (PINS as f64 * share * (1.0 - share)).sqrt() + 1.0;
            prop_assert!(moved as f64 <= PINS as f64 * share + slack, "{moved} at {share}");
        }
        prop_assert!(moved > 0);
    }

    /// A wall clock that jumps moves nobody who was pinned since, and nobody twice.
    #[test]
    fn a_clock_that_jumps_moves_no_pin_twice(jump_s in -1_500_i64..1_500) {
        let (tables, mut pins) = with_newcomer(300, 100);
        move_all(&tables, &mut pins, 160_000);
        let wall_s = (NOW_S + 160).checked_add_signed(jump_s).unwrap();
        for later_s in (0..900).step_by(60) {
            let moment = Moment { now_ms: 160_000 + later_s * 1_000, wall_s: wall_s + later_s };
            tables.tick(moment);
            for pin in &mut pins {
                let (server, outcome, fresh) = ask_at(&tables, b"GET", pin, moment.wall_s);
                prop_assert!(outcome != Rebalanced || server == 2);
                if !fresh.is_empty() {
                    let again = ask_at(&tables, b"GET", &fresh, moment.wall_s + 120);
                    prop_assert_ne!(again.1, Rebalanced);
                    *pin = fresh;
                }
            }
        }
    }
}
