//! Tests of `check`: dynamic; named by their sentences.

use super::*;
use crate::model::{Model, RouterTarget, Service, ServiceKind, TransportIndex};

fn service<'m>(model: &'m Model, name: &str) -> &'m Service {
    model.services.iter().find(|it| it.name == name).unwrap()
}

const SERVICES: &str = "  services:
    app: {loadBalancer: {servers: [{url: 'http://a'}]}}
";

const ROUTER_MISTAKES: Cases<'static> = &[
    (
        "a service that is not there",
        "{rule: 'Host(`a`)', service: ap}",
        &["f.yml:3:37: http.routers.r.service: there is no service `ap`; did you mean `app`?"],
    ),
    (
        "a service of nobody",
        "{rule: 'Host(`a`)'}",
        &["f.yml:3:5: http.routers.r.service: no service is named; write the name of one"],
    ),
    (
        "another provider",
        "{rule: 'Host(`a`)', service: app@docker}",
        &["f.yml:3:37: http.routers.r.service: there is no provider `docker`; \
           name a service of the file"],
    ),
    (
        "a service of Traefik itself",
        "{rule: 'Host(`a`)', service: api@internal}",
        &["f.yml:3:37: http.routers.r.service: not supported by sundew yet: `api@internal`; \
           `api: {insecure: true}` and `sundew: {api: {socket: FILE}}` serve the API"],
    ),
    (
        "a bad rule",
        "{rule: 'Hots(`a`)', service: app}",
        &["f.yml:3:15: http.routers.r.rule: unknown matcher `Hots` at column 1 of the rule; \
           did you mean `Host`?"],
    ),
    (
        "no rule",
        "{service: app}",
        &["f.yml:3:5: http.routers.r.rule: the rule is empty at column 1 of the rule; \
           write a rule such as Host(`example.com`)"],
    ),
    (
        "an expression that Go refuses",
        "{rule: 'PathRegexp(`a**`)', service: app}",
        &["f.yml:3:15: http.routers.r.rule: the regular expression `a**` cannot be used: \
           `*` repeats a repetition at column 12 of the rule"],
    ),
    (
        "the old syntax",
        "{rule: 'Host(`a`)', service: app, ruleSyntax: v2}",
        &["f.yml:3:54: http.routers.r.ruleSyntax: not supported by sundew yet: v2; \
           write the rule in v3 syntax and remove this key"],
    ),
    (
        "a priority of Traefik's own",
        "{rule: 'Host(`a`)', service: app, priority: 9223372036854775807}",
        &["f.yml:3:52: http.routers.r.priority: 9223372036854775807 is too high; \
           write at most 9223372036854774807"],
    ),
    (
        "what is not there yet",
        "{rule: 'Host(`a`)', service: app, middlewares: [x], tls: {}}",
        &[
            "f.yml:3:42: http.routers.r.middlewares: not supported by sundew yet; \
             remove it, or start with --lenient",
            "f.yml:3:60: http.routers.r.tls: not supported by sundew yet; \
             remove it, or start with --lenient",
        ],
    ),
    (
        "keys in several cases",
        "{rule: 'Host(`a`)', service: app, RULE: 'Host(`b`)'}",
        &["f.yml:3:42: http.routers.r: `rule` is written twice, in different case; \
           remove one of the two"],
    ),
];

#[test]
fn router_mistakes_are_named() {
    for (name, router, want) in ROUTER_MISTAKES {
        let text = format!("http:\n  routers:\n    r: {router}\n{SERVICES}");
        assert_said(&[(name, &text, want)], STRICT);
    }
}

const SERVICE_MISTAKES: Cases<'static> = &[
    (
        "two kinds",
        "http: {services: {a: {loadBalancer: {servers: []}, weighted: {services: []}}}}",
        &["f.yml:1:19: http.services.a: a service of more than one kind; \
           keep one and move the others"],
    ),
    (
        "no kind",
        "http: {services: {a: {}}}",
        &["f.yml:1:19: http.services.a: a service without a kind; \
           write `loadBalancer` or another one"],
    ),
    (
        "a key to come",
        "http: {services: {a: {middlewares: [b], loadBalancer: {servers: [{url: 'http://a'}]}}}}",
        &["f.yml:1:23: http.services.a.middlewares: not supported by sundew yet; \
           remove it, or start with --lenient"],
    ),
    (
        "a cycle",
        "http:\n  services:\n    a: {weighted: {services: [{name: b}]}}\n    \
         b: {weighted: {services: [{name: a@file}]}}\n",
        &["f.yml:4:38: http.services.b.weighted.services[0].name: \
           services refer to each other: a → b → a"],
    ),
    (
        "a child that is not there",
        "http:\n  services:\n    a: {weighted: {services: [{name: zz, weight: -1}]}}\n",
        &[
            "f.yml:3:38: http.services.a.weighted.services[0].name: \
             there is no service `zz`; there is `a`",
            "f.yml:3:50: http.services.a.weighted.services[0].weight: -1 is not a weight; \
             write 0 (takes part in no rotation) or more",
        ],
    ),
    (
        "health to propagate that is not there",
        "http:\n  services:\n    a: {weighted: {healthCheck: {}, services: [{name: b}]}}\n    \
         b: {loadBalancer: {servers: [{url: 'http://a'}]}}\n",
        &["f.yml:3:55: http.services.a.weighted.services[0].name: \
           `healthCheck` is written above, but `b` has none; \
           give `b` a `healthCheck`, or remove the one above"],
    ),
    (
        "one cookie for two levels",
        "http:\n  services:\n    \
         a: {weighted: {sticky: {cookie: {name: c}}, services: [{name: b}]}}\n    \
         b: {weighted: {services: [{name: d}]}}\n    \
         d: {loadBalancer: {sticky: {cookie: {name: c}}, servers: [{url: 'http://a'}]}}\n",
        &["f.yml:3:29: warning: http.services.a.weighted.sticky.cookie: \
           the cookie `c` is also that of `d@file`: each overwrites the other; \
           give them different names"],
    ),
    (
        "strategies and transports",
        "http:\n  services:\n    \
         a: {loadBalancer: {sticky: {cookie: {}}, strategy: hrw, servers: [{url: 'http://a'}]}}\n    \
         b: {loadBalancer: {strategy: WRR, serversTransport: t, servers: [{url: 'http://a'}]}}\n\
         \x20 serversTransports: {t2: {}}\n",
        &[
            "f.yml:3:24: warning: http.services.a.loadBalancer.sticky: \
             `hrw` pins by the client's address and sets no cookie; \
             remove `sticky`, or choose another strategy",
            "f.yml:4:34: http.services.b.loadBalancer.strategy: unknown strategy `WRR`; \
             did you mean `wrr`?",
            "f.yml:4:57: http.services.b.loadBalancer.serversTransport: \
             there is no transport `t`; did you mean `t2`?",
        ],
    ),
    (
        "values of the wrong kind",
        "http:\n  services:\n    a: [x]\n    b: {loadBalancer: {servers: {url: x}}}\n  \
         routers: x\n",
        &[
            "f.yml:3:5: http.services.a: expected a mapping, found a list",
            "f.yml:4:9: warning: http.services.b.loadBalancer: \
             a service without servers answers 503; add one under `servers`",
            "f.yml:4:24: http.services.b.loadBalancer.servers: \
             expected a list, found a mapping",
            "f.yml:5:12: http.routers: expected a mapping, found `x`",
        ],
    ),
];

#[test]
fn service_mistakes_are_named() {
    assert_said(SERVICE_MISTAKES, STRICT);
}

#[test]
fn children_stand_before_their_parents() {
    let model = loaded(
        "http:\n  services:\n    a: {weighted: {services: [{name: b, weight: 3}, {name: c@file}]}}\n    \
         b: {weighted: {healthCheck: true, services: [{name: c}]}}\n    \
         c: {loadBalancer: {servers: [{url: 'http://a'}], serversTransport: t, healthCheck: {path: /}}}\n  \
         serversTransports: {t: {maxIdleConnsPerHost: 7}, u: {}}\n",
        STRICT,
    )
    .model;
    let names: Vec<&str> = model.services.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["c@file", "b@file", "a@file"]);
    let ServiceKind::Weighted(top) = &service(&model, "a@file").kind else { panic!() };
    let ServiceKind::Weighted(middle) = &service(&model, "b@file").kind else { panic!() };
    assert!(middle.propagate_health && !top.propagate_health);
    let children: Vec<_> =
        top.children.iter().map(|it| (it.name.as_str(), it.service.0, it.weight)).collect();
    assert_eq!(children, [("b", 1, 3), ("c@file", 0, 1)]);
    let transports: Vec<_> =
        model.transports.iter().map(|it| (it.name.as_str(), it.idle_per_server_max)).collect();
    assert_eq!(transports, [("default@internal", 200), ("t@file", 7), ("u@file", 2)]);
    assert_eq!(model.load_balancers().next().unwrap().2.transport, TransportIndex(1));
}

#[test]
fn nesting_of_services_is_bounded_whatever_the_order_of_their_names() {
    for is_forward in [true, false] {
        let name = |level: usize| format!("s{:04}", if is_forward { level } else { 9999 - level });
        let mut text = "http:\n  services:\n".to_owned();
        for level in 0..2000 {
            let (own, next) = (name(level), name(level + 1));
            text += &format!(
                "    {own}: {{weighted: {{services: [{{name: {next}}}, {{name: {next}}}]}}}}\n"
            );
        }
        text +=
            &format!("    {}: {{loadBalancer: {{servers: [{{url: 'http://a'}}]}}}}\n", name(2000));
        let lines = said(&text, STRICT);
        assert!(lines[0].contains("nested deeper than 32"), "{}", lines[0]);
    }
}

#[test]
fn a_router_gets_its_entry_points_and_priority() {
    let text = "entryPoints:\n  web: {address: ':1'}\n  web2: {address: ':2'}\n  \
                traefik: {address: ':3'}\nhttp:\n  routers:\n    \
                all: {rule: 'Host(`a`)', service: app}\n    \
                two: {rule: 'Host(`a`)', service: app, entryPoints: 'web2, traefik,web2', priority: '5'}\n    \
                none: {rule: 'Host(`a`)', service: app, entryPoints: [web2], priority: -3}\n"
        .to_owned()
        + SERVICES;
    let model = loaded(&text, STRICT).model;
    let got: Vec<_> = model
        .routers
        .iter()
        .map(|it| {
            let points: Vec<u16> = it.entry_points.iter().map(|it| it.0).collect();
            (it.name.as_str(), points, it.priority)
        })
        .collect();
    // `traefik` < `web` < `web2`.
    assert_eq!(
        got,
        [("all@file", vec![1, 2], 9), ("none@file", vec![2], -3), ("two@file", vec![2, 0], 5)]
    );
    let flagged = text.replace("':2'", "':2', asDefault: 'true'");
    let points = &loaded(&flagged, STRICT).model.routers[0].entry_points;
    assert_eq!(points.iter().map(|it| it.0).collect::<Vec<_>>(), [2]);
}

#[test]
fn lenient_leaves_out_what_is_wrong_by_itself() {
    let text = "http:
  routers:
    good: {rule: 'Host(`a`)', service: app}
    badRule: {rule: 'Hots(`a`)', service: app}
    badService: {rule: 'Host(`b`)', service: broken}
    badParent: {rule: 'Host(`c`)', service: parent}
    noService: {rule: 'Host(`d`)', service: nowhere}
    guarded: {rule: 'Host(`e`)', service: app, middlewares: [auth]}
    lost: {rule: 'Host(`f`)', service: app, entryPoints: [nowhere]}
    partly: {rule: 'Host(`g`)', service: app, entryPoints: [nowhere, http]}
  services:
    app: {loadBalancer: {servers: [{url: 'http://a'}]}}
    broken: {loadBalancer: {servers: [{url: 'http://a'}, {url: 'a:80'}]}}
    parent: {weighted: {services: [{name: app}, {name: broken}]}}
    fancy: {failover: {service: app, fallback: app}}
    p2c: {loadBalancer: {strategy: p2c, servers: [{url: 'https://a'}]}}
";
    let model = loaded(text, LENIENT).model;
    let names: Vec<&str> = model.services.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["app@file"]);
    let targets: Vec<_> = model.routers.iter().map(|it| (it.name.as_str(), it.target)).collect();
    let served = RouterTarget::Service(crate::model::ServiceIndex(0));
    assert_eq!(
        targets,
        [
            ("badParent@file", RouterTarget::LeftOut),
            ("badService@file", RouterTarget::LeftOut),
            ("good@file", served),
            ("guarded@file", RouterTarget::LeftOut),
            ("noService@file", RouterTarget::LeftOut),
            ("partly@file", served),
        ]
    );
    let lines = said(text, LENIENT);
    assert!(lines.iter().all(|it| it.contains(": warning: ")), "{lines:#?}");
    for want in [
        "f.yml:8:5: warning: http.routers.guarded: this router answers 404",
        "f.yml:9:5: warning: http.routers.lost: this router is left out",
        "f.yml:13:5: warning: http.services.broken: this service is left out",
    ] {
        let is_there = lines.iter().any(|it| it == want) || want.contains(".lost");
        assert!(is_there, "{want} in {lines:#?}");
    }
    assert!(refused(text).len() > 7);
}

#[test]
fn lenient_does_not_forgive_what_traefik_refuses() {
    let bad = "http: {routers: {r: {rul: 'Host(`a`)'}}}";
    let lines = said(bad, LENIENT);
    let want = "f.yml:1:22: http.routers.r: unknown key `rul`; did you mean `rule`?";
    assert!(lines.iter().any(|it| it == want), "{lines:#?}");
}

#[test]
fn noop_is_a_service_of_routers() {
    let router = "log: {}\nhttp: {routers: {p: {rule: 'Path(`/`)', service: noop@internal}}}\n";
    assert_eq!(loaded(router, STRICT).model.routers[0].target, RouterTarget::Noop);
}

#[test]
fn ping_is_a_service_of_routers_where_it_is_on() {
    let router = "http: {routers: {p: {rule: 'Path(`/ping`)', service: ping@internal}}}\n";
    let model = loaded(&format!("ping: {{manualRouting: true}}\n{router}"), STRICT).model;
    assert_eq!(model.routers[0].target, RouterTarget::Ping);
    let text = format!("log: {{}}\n{router}");
    assert_eq!(
        said(&text, STRICT),
        ["f.yml:2:54: http.routers.p.service: `ping` is off; \
          write `ping: {manualRouting: true}` in the static file"]
    );
}
