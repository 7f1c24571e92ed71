//! Tests of `check`: services in front of services; named by their sentences.

use super::*;
use crate::model::{
    Failover, FailoverErrors, HELD_BODY_BYTES_MAX, Mirror, Mirroring, ServiceIndex, ServiceKind,
};

/// A file with the services `a` and `b`, which probe their servers, `c`, which does not, and `x`.
fn file(x: &str) -> String {
    let probed = "{loadBalancer: {healthCheck: {path: /}, servers: [{url: 'http://a'}]}}";
    format!(
        "http:\n  services:\n    a: {probed}\n    b: {probed}\n    \
         c: {{loadBalancer: {{servers: [{{url: 'http://c'}}]}}}}\n    x: {x}\n"
    )
}

fn kind(x: &str) -> ServiceKind {
    loaded(&file(x), STRICT).model.services[3].kind.clone()
}

const FIRST: ServiceIndex = ServiceIndex(0);
const SECOND: ServiceIndex = ServiceIndex(1);
const THIRD: ServiceIndex = ServiceIndex(2);

#[test]
fn highest_random_weight_has_children_with_weights() {
    let ServiceKind::HighestRandomWeight(it) = kind(
        "{highestRandomWeight: {healthCheck: {}, services: [{name: a, weight: 3}, {name: b@file}]}}",
    ) else {
        panic!()
    };
    let children: Vec<_> =
        it.children.iter().map(|it| (&*it.name, it.service, it.weight)).collect();
    assert_eq!(children, [("a", FIRST, 3), ("b@file", SECOND, 1)]);
    assert!(it.propagate_health);
}

#[test]
fn mirroring_has_the_defaults_of_traefik() {
    let mirror = |service, percent| Mirror { service, percent };
    let default = Mirroring {
        service: THIRD,
        mirrors: vec![mirror(FIRST, 0), mirror(SECOND, 100)],
        mirror_body: true,
        body_bytes_max: HELD_BODY_BYTES_MAX,
        propagate_health: false,
    };
    let mirrors = "mirrors: [{name: a}, {name: b, percent: 100}]";
    let written = format!("{{mirroring: {{service: c, {mirrors}}}}}");
    assert_eq!(kind(&written), ServiceKind::Mirroring(default.clone()));
    let written = format!(
        "{{mirroring: {{service: a, healthCheck: {{}}, mirrorBody: false, maxBodySize: 7, {mirrors}}}}}"
    );
    let changed = Mirroring {
        service: FIRST,
        mirror_body: false,
        body_bytes_max: 7,
        propagate_health: true,
        ..default
    };
    assert_eq!(kind(&written), ServiceKind::Mirroring(changed));
}

#[test]
fn failover_follows_health_or_errors() {
    let by_health =
        Failover { service: FIRST, fallback: THIRD, propagate_health: false, errors: None };
    let written = "{failover: {service: a, fallback: c}}";
    assert_eq!(kind(written), ServiceKind::Failover(by_health.clone()));
    let errors = FailoverErrors { status: vec![(500, 599), (404, 404)], body_bytes_max: 9 };
    let written = "{failover: {service: c, fallback: a, \
                   errors: {status: ['500-599', 404], maxRequestBodyBytes: 9}}}";
    let by_errors =
        Failover { service: THIRD, fallback: FIRST, errors: Some(errors.clone()), ..by_health };
    assert_eq!(kind(written), ServiceKind::Failover(by_errors));
    assert!(errors.contains(500) && errors.contains(599) && errors.contains(404));
    assert!(!errors.contains(499) && !errors.contains(403) && !errors.contains(600));
}

#[test]
fn mirroring_has_the_health_of_its_main_service() {
    let top = |main: &str| {
        format!(
            "{{mirroring: {{service: {main}, healthCheck: {{}}, mirrors: [{{name: c}}]}}}}\n    \
                 y: {{weighted: {{healthCheck: {{}}, services: [{{name: x}}]}}}}"
        )
    };
    assert_eq!(said(&file(&top("a")), STRICT), [""; 0]);
    let lines = said(&file(&top("c")), STRICT);
    assert!(
        lines.len() == 1
            && lines[0]
                .contains("services[0].name: `healthCheck` is written above, but `x` has none"),
        "{lines:?}"
    );
}

#[test]
fn mistakes_are_named() {
    let cases: [(&str, &[&str]); 9] = [
        (
            "{failover: {service: c, fallback: a}}",
            &["failover.service: a failover follows the health of `service`, but `c` has none; \
               give `c` a `healthCheck`, or write `errors`"],
        ),
        (
            "{failover: {service: a, fallback: c, healthCheck: {}}}",
            &["failover.fallback: `healthCheck` is written above, but `c` has none; \
               give `c` a `healthCheck`, or remove the one above"],
        ),
        (
            "{failover: {service: a}}",
            &["failover.fallback: no service is named; write the name of one"],
        ),
        (
            "{failover: {service: a, fallback: c, errors: {}}}",
            &["failover.errors: no status is named; write `status: [\"500-599\"]`"],
        ),
        (
            "{failover: {service: a, fallback: c, errors: {status: [99, 5xx, 600-500]}}}",
            &[
                "failover.errors.status[0]: `99` is no status and no range; write 503, or 500-599",
                "failover.errors.status[1]: `5xx` is no status and no range; write 503, or 500-599",
                "failover.errors.status[2]: `600-500` is no status and no range; \
                 write 503, or 500-599",
            ],
        ),
        (
            "{mirroring: {service: c, mirrors: [{name: a, percent: 101}]}}",
            &["mirroring.mirrors[0].percent: 101 is not a share in percent; write 0 to 100"],
        ),
        (
            "{mirroring: {service: c}}",
            &["warning: x.mirroring: nothing is mirrored; add a service under `mirrors`"],
        ),
        (
            "{mirroring: {service: ping@internal, mirrors: [{name: x}]}}",
            &[
                "mirroring.service: `ping@internal` cannot stand in another service; \
                 name a service of the file",
                "mirroring.mirrors[0].name: services refer to each other: x → x",
            ],
        ),
        (
            "{highestRandomWeight: {services: [{name: a, weight: -1}, {name: d}]}}",
            &[
                "highestRandomWeight.services[0].weight: -1 is not a weight; \
                 write 0 (takes part in no rotation) or more",
                "highestRandomWeight.services[1].name: there is no service `d`; did you mean `a`?",
            ],
        ),
    ];
    for (x, want) in cases {
        let lines = said(&file(x), STRICT);
        assert_eq!(lines.len(), want.len(), "{x}: {lines:#?}");
        for (line, want) in lines.iter().zip(want) {
            let is_said = line.replace("http.services.", "").ends_with(want);
            assert!(is_said, "{x}: {want}\nin {lines:#?}");
        }
    }
}
