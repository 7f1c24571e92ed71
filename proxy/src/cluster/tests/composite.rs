//! Tests of services in front of services: who is asked, and which pins are left.

use std::net::{IpAddr, Ipv4Addr};

use sundew_config::model::{Failover, FailoverErrors, HighestRandomWeight, Mirror, Mirroring};

use super::*;

fn top(kind: ServiceKind) -> Service {
    Service { name: "top".into(), kind }
}

pub(super) fn failover(propagate_health: bool, status: &[(u16, u16)]) -> Service {
    let errors = FailoverErrors { status: status.to_vec(), body_bytes_max: 9 };
    top(ServiceKind::Failover(Failover {
        service: ServiceIndex(0),
        fallback: ServiceIndex(1),
        propagate_health,
        errors: (!status.is_empty()).then_some(errors),
    }))
}

fn main_and_fallback(top: Service) -> Tables {
    tables(vec![balancer("main", "m", &[(A, 1)]), balancer("fallback", "f", &[(B, 1)]), top])
}

fn set_up(tables: &Tables, service: u32, is_up: bool) {
    tables.server(ServiceIndex(service), ServerIndex(0)).unwrap().set_up(is_up);
}

/// Asks the fallback because of an answer with this status.
pub(super) fn fall_back(tables: &Tables, status: u16, trail: &mut Trail) -> Picked {
    let fields = &Default::default();
    let sources =
        PinSources { bytes: b"", fields, path_and_query: b"/", asked_s: 0, method: b"GET" };
    let pick = tables.pick_fallback(status, sources, trail)?;
    Ok(((pick.service.0, pick.server.0), pick.outcome, pins(tables, trail)))
}

#[test]
fn the_fallback_is_picked_while_the_main_service_is_down() {
    let tables = main_and_fallback(failover(false, &[]));
    assert_eq!(pick(&tables, ""), Ok(((0, 0), New, vec![pin("m", A)])));
    set_up(&tables, 0, false);
    assert_eq!(pick(&tables, ""), Ok(((1, 0), New, vec![pin("f", B)])));
    assert_eq!(pick(&tables, &pin("f", B)), Ok(((1, 0), Pinned, vec![])));
    set_up(&tables, 1, false);
    assert_eq!(pick(&tables, ""), Err(PickError::NoServer));
    set_up(&tables, 0, true);
    assert_eq!(pick(&tables, "").unwrap().0, (0, 0));
    let watching = main_and_fallback(failover(true, &[]));
    set_up(&watching, 0, false);
    set_up(&watching, 1, false);
    assert_eq!(pick(&watching, ""), Err(PickError::FailoverDown));
}

#[test]
fn a_main_service_that_refuses_is_left_in_the_same_request() {
    let tables = main_and_fallback(failover(false, &[]));
    let mut trail = Trail::default();
    pick_again(&tables, "", &mut trail).unwrap();
    trail.note_tried(ServiceIndex(0), ServerIndex(0));
    assert_eq!(pick_again(&tables, "", &mut trail).unwrap().0, (1, 0));
    trail.note_tried(ServiceIndex(1), ServerIndex(0));
    assert_eq!(pick_again(&tables, "", &mut trail), Err(PickError::Exhausted));
}

#[test]
fn an_error_leads_to_the_fallback_and_forgets_the_pins_of_the_main_service() {
    let tables = main_and_fallback(failover(false, &[(500, 599)]));
    let mut trail = Trail::default();
    pick_again(&tables, "", &mut trail).unwrap();
    assert!(trail.is_watched());
    assert_eq!(tables.kept_body_bytes_max(&trail), Some(9));
    for (status, want) in [(499, false), (500, true), (599, true), (600, false)] {
        assert_eq!(tables.fails_over(&trail, status), want, "{status}");
    }
    assert_eq!(fall_back(&tables, 500, &mut trail), Ok(((1, 0), New, vec![pin("f", B)])));
    assert!(
        !trail.is_watched() && !tables.fails_over(&trail, 500),
        "an error of the fallback passes"
    );
    // A fallback that refuses does not lead back.
    trail.note_tried(ServiceIndex(1), ServerIndex(0));
    assert_eq!(pick_again(&tables, "", &mut trail), Err(PickError::Exhausted));
    trail.clear();
    assert_eq!(pick_again(&tables, "", &mut trail).unwrap().0, (0, 0), "the next request");
}

#[test]
fn the_innermost_failover_that_knows_the_error_takes_it() {
    let inner = |errors: &[(u16, u16)]| {
        let mut inner = failover(false, errors);
        inner.name = "inner".into();
        inner
    };
    let outer = Failover {
        service: ServiceIndex(2),
        fallback: ServiceIndex(3),
        propagate_health: false,
        errors: Some(FailoverErrors { status: vec![(500, 599)], body_bytes_max: 5 }),
    };
    let tables = tables(vec![
        balancer("main", "", &[(A, 1)]),
        balancer("fallback", "", &[(B, 1)]),
        inner(&[(500, 500)]),
        balancer("last", "", &[(C, 1)]),
        top(ServiceKind::Failover(outer)),
    ]);
    let mut trail = Trail::default();
    pick_again(&tables, "", &mut trail).unwrap();
    assert_eq!(tables.kept_body_bytes_max(&trail), Some(5));
    assert_eq!(fall_back(&tables, 500, &mut trail).unwrap().0, (1, 0));
    assert_eq!(fall_back(&tables, 500, &mut trail).unwrap().0, (3, 0), "then the outer one");
    assert_eq!(fall_back(&tables, 500, &mut trail), Err(PickError::Exhausted));
    trail.clear();
    pick_again(&tables, "", &mut trail).unwrap();
    assert_eq!(
        fall_back(&tables, 503, &mut trail).unwrap().0,
        (3, 0),
        "the inner one does not mind"
    );
}

#[test]
fn health_reaches_a_weighted_service_through_failover_and_mirroring() {
    let mirroring = |service| {
        ServiceKind::Mirroring(Mirroring {
            service: ServiceIndex(service),
            mirrors: vec![Mirror { service: ServiceIndex(3), percent: 100 }],
            mirror_body: true,
            body_bytes_max: 9,
            propagate_health: true,
        })
    };
    let mut inner = failover(true, &[]);
    inner.name = "inner".into();
    let tables = tables(vec![
        balancer("main", "", &[(A, 1)]),
        balancer("fallback", "", &[(B, 1)]),
        inner,
        balancer("other", "", &[(C, 1)]),
        Service { name: "mirrored".into(), kind: mirroring(2) },
        weighted("", true, &[("mirrored", 4), ("other", 3)]),
    ]);
    let served = || {
        let mut served: Vec<u32> = (0..4).map(|_| pick(&tables, "").unwrap().0.0).collect();
        served.sort_unstable();
        served
    };
    assert_eq!(served(), [0, 0, 3, 3]);
    set_up(&tables, 0, false);
    assert_eq!(served(), [1, 1, 3, 3]);
    set_up(&tables, 1, false);
    assert_eq!(served(), [3; 4], "mirrors are nobody's health");
    set_up(&tables, 3, false);
    assert_eq!(pick(&tables, ""), Err(PickError::NoServer));
}

#[test]
fn a_pin_to_a_child_without_a_server_moves_on() {
    for empty in [true, false] {
        let urls: &[(&str, u32)] = if empty { &[] } else { &[(A, 1)] };
        let tables = tables(vec![
            balancer("one", "", urls),
            balancer("two", "", &[(B, 1)]),
            weighted("top", false, &[("one", 0), ("two", 1)]),
        ]);
        if !empty {
            assert_eq!(pick(&tables, &pin("top", "one")), Ok(((0, 0), Pinned, vec![])));
            set_up(&tables, 0, false);
        }
        for _ in 0..4 {
            let moved = pick(&tables, &pin("top", "one"));
            assert_eq!(moved, Ok(((1, 0), Down, vec![pin("top", "two")])), "empty: {empty}");
        }
    }
}

#[test]
fn services_are_chosen_by_address_as_by_traefik() {
    let names = ["alpha", "beta", "gamma"];
    let children = |weights: [u32; 3]| {
        let each = (0_u32..).zip(names).zip(weights);
        let children = each.map(|((service, name), weight)| WeightedChild {
            name: name.into(),
            service: ServiceIndex(service),
            weight,
        });
        top(ServiceKind::HighestRandomWeight(HighestRandomWeight {
            children: children.collect(),
            propagate_health: true,
        }))
    };
    let tables = tables(vec![
        balancer("alpha", "", &[(A, 1)]),
        balancer("beta", "", &[(B, 1)]),
        balancer("gamma", "", &[(C, 1)]),
        children([1, 2, 1]),
    ]);
    let of = |host: u8| {
        let mut trail = Trail::default();
        trail.set_client(IpAddr::V4(Ipv4Addr::new(127, 0, 0, host)));
        pick_again(&tables, "", &mut trail).unwrap().0.0
    };
    let hrw = crate::balance::Hrw::new([(0, 1, "alpha"), (1, 2, "beta"), (2, 1, "gamma")]);
    for host in 1..40 {
        let want = hrw.choose(format!("127.0.0.{host}").as_bytes(), |_| true).unwrap();
        assert_eq!(of(host), u32::from(want));
    }
    set_up(&tables, 1, false);
    for host in 1..40 {
        let want = hrw.choose(format!("127.0.0.{host}").as_bytes(), |it| it != 1).unwrap();
        assert_eq!(of(host), u32::from(want));
    }
}

#[test]
fn copies_are_counted_once_a_request_and_over_reloads() {
    let services = || {
        let kind = ServiceKind::Mirroring(Mirroring {
            service: ServiceIndex(0),
            mirrors: vec![
                Mirror { service: ServiceIndex(1), percent: 30 },
                Mirror { service: ServiceIndex(1), percent: 0 },
            ],
            mirror_body: true,
            body_bytes_max: 9,
            propagate_health: false,
        });
        vec![balancer("main", "", &[(A, 1), (B, 1)]), balancer("mirror", "", &[(C, 1)]), top(kind)]
    };
    let mut tables = tables(services());
    let mut got = String::new();
    for at in 0..20 {
        let mut trail = Trail::default();
        let (server, ..) = pick_again(&tables, "", &mut trail).unwrap();
        trail.note_tried(ServiceIndex(server.0), ServerIndex(server.1));
        pick_again(&tables, "", &mut trail).unwrap();
        got += &trail.copies().len().to_string();
        if at == 9 {
            tables = build(services(), &[], Some(&tables));
        }
    }
    assert_eq!(got, "10010010001001001000");
}

#[test]
fn a_strict_main_service_keeps_its_word_whatever_the_fallback_could_do() {
    use sundew_config::model::Strict;
    for errors in [&[][..], &[(500, 599)]] {
        let mut main = balancer("main", "m", &[(A, 1), (C, 1)]);
        let ServiceKind::LoadBalancer(it) = &mut main.kind else { panic!() };
        it.sticky_rules.strict = Some(Strict { status: 409, forgets: false });
        let tables =
            tables(vec![main, balancer("fallback", "f", &[(B, 1)]), failover(false, errors)]);
        set_up(&tables, 0, false);
        let pinned = pick(&tables, &pin("m", A));
        assert_eq!(pinned, Err(PickError::Refused(409)), "its server is down, another is up");
        assert_eq!(pick(&tables, "").unwrap().0, (0, 1), "a new client");
        tables.server(ServiceIndex(0), ServerIndex(1)).unwrap().set_up(false);
        assert_eq!(pick(&tables, "").unwrap().0, (1, 0), "with no server at all it is down");
    }
}
