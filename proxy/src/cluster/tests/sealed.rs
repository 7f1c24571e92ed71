//! Sealed pins through whole tables: each level that is sealed sets a value that pins, whichever
//! way the server was found.

use std::time::Duration;

use sundew_config::model::{Sealing, SealingKey, Service, ServiceKind};

use super::composite::{failover, fall_back};
use super::*;

/// The service, with its values sealed under a key.
pub(super) fn sealed(mut service: Service) -> Service {
    let cookie = match &mut service.kind {
        ServiceKind::LoadBalancer(it) => &mut it.sticky,
        ServiceKind::Weighted(it) => &mut it.sticky,
        other => panic!("{other:?}"),
    };
    cookie.as_mut().unwrap().sealing = Some(Sealing {
        keys: vec![SealingKey::new([7; 32])],
        lifetime: Some(Duration::from_secs(3600)),
        idle_timeout: None,
        accept_hash_until_s: None,
    });
    service
}

#[track_caller]
fn assert_sealed(pins: &[String], names: &[&str]) {
    assert_eq!(pins.len(), names.len(), "{pins:?}");
    for (pin, name) in pins.iter().zip(names) {
        let value = pin.strip_prefix(name).and_then(|it| it.strip_prefix('='));
        assert_eq!(value.map(str::len), Some(60), "{pins:?}");
    }
}

#[test]
fn each_level_sets_a_value_that_pins() {
    let app = |name| sealed(balancer(name, "inner", &[(A, 1), (B, 1)]));
    let top = sealed(weighted("outer", false, &[("one", 0), ("two", 1)]));
    let tables = tables(vec![app("one"), app("two"), top]);
    for _ in 0..8 {
        let (place, outcome, pins) = pick(&tables, "").unwrap();
        assert_eq!(outcome, New);
        assert_sealed(&pins, &["outer", "inner"]);
        let again = pick(&tables, &pins.join("; ")).unwrap();
        assert_eq!(again, (place, Pinned, Vec::new()));
    }
}

#[test]
fn a_server_that_refuses_is_replaced_by_a_sealed_pin() {
    let tables = tables(vec![sealed(balancer("app", "c", &[(A, 1), (B, 1)]))]);
    let (first, _, pins) = pick(&tables, "").unwrap();
    let mut trail = Trail::default();
    pick_again(&tables, &pins[0], &mut trail).unwrap();
    note_tried(&mut trail, first);
    let (other, outcome, moved) = pick_again(&tables, &pins[0], &mut trail).unwrap();
    assert_ne!(other, first);
    assert_eq!(outcome, Redispatched);
    assert_sealed(&moved, &["c"]);
    assert_eq!(pick(&tables, &moved[0]).unwrap(), (other, Pinned, Vec::new()));
}

#[test]
fn a_fallback_sets_a_sealed_pin_too() {
    let fallback = sealed(balancer("fallback", "c", &[(B, 1)]));
    let top = failover(false, &[(500, 500)]);
    let tables = tables(vec![balancer("main", "", &[(A, 1)]), fallback, top]);
    let mut trail = Trail::default();
    pick_again(&tables, "", &mut trail).unwrap();
    let (place, outcome, pins) = fall_back(&tables, 500, &mut trail).unwrap();
    assert_eq!(outcome, New);
    assert_sealed(&pins, &["c"]);
    let mut trail = Trail::default();
    pick_again(&tables, &pins[0], &mut trail).unwrap();
    note_tried(&mut trail, (0, 0));
    assert_eq!(pick_again(&tables, &pins[0], &mut trail).unwrap(), (place, Pinned, Vec::new()));
}
