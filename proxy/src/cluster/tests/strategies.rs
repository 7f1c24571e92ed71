//! Tests of the strategies as services use them: shares, loads, and what a reload keeps.

use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::balance::Random;
use crate::cluster::InFlight;

fn with_strategy(strategy: Strategy, cookie_name: &str, urls: &[(&str, u32)]) -> Service {
    let mut service = balancer("app", cookie_name, urls);
    if let ServiceKind::LoadBalancer(balancer) = &mut service.kind {
        balancer.strategy = strategy;
    }
    service
}

fn server_of(tables: &Tables, cookies: &str) -> u16 {
    pick(tables, cookies).unwrap().0.1
}

fn picks(tables: &Tables, count: usize) -> Vec<u16> {
    (0..count).map(|_| server_of(tables, "")).collect()
}

fn pick_for(tables: &Tables, client: IpAddr, trail: &mut Trail) -> u16 {
    trail.set_client(client);
    pick_again(tables, "", trail).unwrap().0.1
}

#[test]
fn weights_hold_within_one_percent_over_two_workers() {
    const PICKS: u32 = 100_000;
    let weights = [(A, 7), (B, 2), (C, 1)];
    for strategy in [Strategy::Wrr, Strategy::LeastTime] {
        let workers = [0, 1].map(|scheduler_offset| {
            let services = vec![with_strategy(strategy, "", &weights)];
            let model = Arc::new(Model { routers: Vec::new(), services, transports: Vec::new() });
            let build =
                Build { model, servers: &[], entry_points: 0, ping: None, scheduler_offset };
            Tables::new(&build, None)
        });
        // The kernel spreads connections over workers as it likes.
        let mut random = Random::new(5);
        let mut counts = [0_u32; 3];
        for _ in 0..PICKS {
            counts[usize::from(server_of(&workers[random.below(3) / 2], ""))] += 1;
        }
        for (count, (url, weight)) in counts.iter().zip(weights) {
            let want = PICKS / 10 * weight;
            assert!(count.abs_diff(want) <= PICKS / 100, "{url}: {count} of {want}");
        }
    }
}

#[test]
fn every_strategy_leaves_those_that_are_down_or_of_weight_zero() {
    for strategy in [Strategy::Wrr, Strategy::P2c, Strategy::Hrw, Strategy::LeastTime] {
        let service = with_strategy(strategy, "", &[(A, 1), (B, 0), (C, 1)]);
        let tables = tables(vec![service]);
        assert!(picks(&tables, 40).iter().all(|server| *server != 1), "{strategy:?}");
        runtime(&tables, 0).set_up(false);
        assert_eq!(picks(&tables, 4), [2; 4], "{strategy:?}");
        runtime(&tables, 2).set_up(false);
        assert_eq!(pick(&tables, ""), Err(PickError::NoServer), "{strategy:?}");
    }
}

#[test]
fn every_strategy_turns_to_another_when_one_refuses() {
    for strategy in [Strategy::Wrr, Strategy::P2c, Strategy::Hrw, Strategy::LeastTime] {
        let tables = tables(vec![with_strategy(strategy, "", &[(A, 1), (B, 1), (C, 1)])]);
        let mut trail = Trail::default();
        let mut seen = Vec::new();
        for _ in 0..3 {
            let server = pick_again(&tables, "", &mut trail).unwrap().0.1;
            trail.note_tried(ServiceIndex(0), ServerIndex(server));
            seen.push(server);
        }
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2], "{strategy:?}");
        assert_eq!(pick_again(&tables, "", &mut trail), Err(PickError::Exhausted), "{strategy:?}");
    }
}

#[test]
fn pinned_requests_count_as_in_flight() {
    let service = with_strategy(Strategy::P2c, "sid", &[(A, 1), (B, 1)]);
    let tables = tables(vec![service]);
    let cookie = pin("sid", A);
    let running: Vec<InFlight> = (0..3)
        .map(|_| {
            assert_eq!(server_of(&tables, &cookie), 0);
            runtime(&tables, 0).begin().unwrap()
        })
        .collect();
    assert_eq!((runtime(&tables, 0).in_flight(), runtime(&tables, 1).in_flight()), (3, 0));
    assert_eq!(picks(&tables, 20), [1; 20], "new clients go where less is in flight");
    assert_eq!(server_of(&tables, &cookie), 0, "the pin holds");
    drop(running);
    assert_eq!(runtime(&tables, 0).in_flight(), 0);
    assert!(picks(&tables, 60).contains(&0));
}

#[test]
fn leasttime_prefers_the_server_that_answers_sooner_and_keeps_that_over_a_reload() {
    let service = || with_strategy(Strategy::LeastTime, "sid", &[(A, 1), (B, 1)]);
    let before = tables(vec![service()]);
    let slow = runtime(&before, 0);
    let awaited = slow.await_answer().expect("measured");
    let began = std::time::Instant::now();
    while began.elapsed() < std::time::Duration::from_millis(3) {
        std::hint::spin_loop();
    }
    awaited.note_begun();
    assert!(slow.average_ms() >= 2.0);
    assert_eq!(picks(&before, 5), [1; 5]);
    let after = build(vec![service()], &[], Some(&before));
    assert_eq!(picks(&after, 5), [1; 5], "its times are kept");
    let in_turn = build(vec![balancer("app", "sid", &[(A, 1), (B, 1)])], &[], Some(&after));
    assert!(runtime(&in_turn, 0).await_answer().is_none(), "nobody wants to know any more");
}

#[test]
fn hrw_keeps_a_client_by_its_address_alone() {
    let urls: Vec<String> = (1..=4).map(|it| format!("http://127.0.0.{it}:28081")).collect();
    let weights = [1, 2, 1, 3];
    let servers: Vec<_> = urls.iter().map(String::as_str).zip(weights).collect();
    let tables = tables(vec![with_strategy(Strategy::Hrw, "", &servers)]);
    // As Traefik chose, see `balance::hrw`.
    for (host, want) in (1..).zip([1, 3, 3, 0, 3, 3, 1, 1]) {
        let address = Ipv4Addr::new(127, 0, 0, host);
        for client in [IpAddr::V4(address), IpAddr::V6(address.to_ipv6_mapped())] {
            let mut trail = Trail::default();
            assert_eq!(pick_for(&tables, client, &mut trail), want, "{client}");
        }
    }
}

#[test]
fn turns_of_leasttime_go_on_after_a_reload() {
    let service = || with_strategy(Strategy::LeastTime, "", &[(A, 1), (B, 1), (C, 1)]);
    let before = tables(vec![service()]);
    assert_eq!(picks(&before, 4), [0, 1, 2, 0]);
    let after = build(vec![service()], &[], Some(&before));
    assert_eq!(picks(&after, 3), [1, 2, 0]);
    let changed =
        build(vec![with_strategy(Strategy::Wrr, "", &[(A, 1), (B, 1), (C, 1)])], &[], Some(&after));
    assert_eq!(
        picks(&changed, 3),
        picks(&tables(vec![balancer("app", "", &[(A, 1), (B, 1), (C, 1)])]), 3)
    );
}
