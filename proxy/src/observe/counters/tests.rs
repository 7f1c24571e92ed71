use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

const BOUNDS_NS: [u64; 2] = [1_000_000, 5_000_000];

fn sample(code: u16, method: &str, duration: Duration) -> Sample {
    let key = SeriesKey::new(code, method.as_bytes(), SpokenProtocol::Http);
    Sample { key, request_bytes: 3, response_bytes: 10, duration }
}

#[test]
fn exchanges_of_one_series_are_added_up_by_bucket() {
    let meter = Meter::default();
    for duration_us in [500, 1_000, 1_001, 5_000, 9_000] {
        meter.add(&sample(200, "GET", Duration::from_micros(duration_us)), &BOUNDS_NS);
    }
    meter.add(&sample(200, "BREW", Duration::ZERO), &BOUNDS_NS);
    let series = meter.read();
    assert_eq!(series.len(), 2);
    assert_eq!((series[0].requests, &*series[0].buckets), (5, &[2, 2][..]));
    assert_eq!((series[0].request_bytes, series[0].response_bytes), (15, 50));
    assert_eq!(series[0].duration_ns, 16_501_000);
    assert_eq!((series[0].key.method(), series[1].key.method()), ("GET", "EXTENSION_METHOD"));
}

#[test]
fn a_server_that_invents_statuses_does_not_fill_the_memory() {
    let meter = Meter::default();
    for code in 100..1000 {
        for method in ["GET", "PUT"] {
            meter.add(&sample(code, method, Duration::ZERO), &BOUNDS_NS);
        }
    }
    let series = meter.read();
    assert!(series.len() <= SERIES_MAX + 10, "{}", series.len());
    assert_eq!(series.iter().map(|it| it.requests).sum::<u64>(), 1800);
}

#[test]
fn workers_are_added_up_series_by_series() {
    let (one, other) = (Meter::default(), Meter::default());
    one.add(&sample(200, "GET", Duration::from_millis(1)), &BOUNDS_NS);
    other.add(&sample(200, "GET", Duration::from_millis(2)), &BOUNDS_NS);
    other.add(&sample(404, "GET", Duration::from_millis(2)), &BOUNDS_NS);
    let mut all = one.read();
    merge_series(&mut all, &other.read());
    let counts: Vec<_> = all.iter().map(|it| (it.key.code, it.requests)).collect();
    assert_eq!(counts, [(200, 2), (404, 1)]);
    assert_eq!(&*all[0].buckets, &[1, 1]);
}

#[test]
fn every_outcome_has_a_counter_of_its_own() {
    let outcomes = Outcomes::default();
    for (position, outcome) in StickyOutcome::ALL.into_iter().enumerate() {
        assert_eq!(outcome as usize, position);
        outcomes.add(outcome);
    }
    assert!(outcomes.read().iter().all(|count| *count == 1));
}

#[test]
fn a_few_clients_are_counted_exactly_and_old_ones_drop_out() {
    let seen = PinsSeen::default();
    let client = |last: u8| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
    seen.note(client(1), 1_000);
    seen.note(client(2), 100_000);
    seen.note(client(2), 100_500);
    seen.note(client(3), 110_000);
    let minute = Duration::from_secs(60);
    let ages = seen.read(111_000);
    assert_eq!((ages.clients_within(minute), ages.clients_within(2 * minute)), (2, 3));
    assert_eq!(ages.last_age_ms, Some(1_000));
    assert_eq!(seen.read(400_000).clients_within(minute), 0);
    assert_eq!(PinsSeen::default().read(5).clients_within(minute), 0);
}

#[test]
fn the_addresses_of_one_ipv6_network_are_one_client() {
    let seen = PinsSeen::default();
    for last in 1..50 {
        seen.note(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, last)), 1_000);
    }
    assert_eq!(seen.read(1_000).clients_within(Duration::from_secs(60)), 1);
}

proptest! {
    #[test]
    fn two_workers_see_together_what_one_would_have_seen(
        clients in prop::collection::vec((any::<u32>(), any::<bool>()), 0..600)
    ) {
        let (one, other, both) = (PinsSeen::default(), PinsSeen::default(), PinsSeen::default());
        for (client, is_ones) in &clients {
            let client = IpAddr::V4(Ipv4Addr::from_bits(*client));
            if *is_ones { &one } else { &other }.note(client, 5_000);
            both.note(client, 5_000);
        }
        let mut merged = one.read(6_000);
        merged.merge(&other.read(6_000));
        let window = Duration::from_secs(60);
        let count = merged.clients_within(window);
        prop_assert_eq!(count, both.read(6_000).clients_within(window));
        let distinct: std::collections::HashSet<_> = clients.iter().map(|it| it.0).collect();
        let (count, distinct) = (count as f64, distinct.len() as f64);
        prop_assert!((count - distinct).abs() <= 5.0 + distinct * 0.12, "{count} of {distinct}");
    }
}
