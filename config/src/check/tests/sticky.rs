//! Tests of `check`: stickiness beyond Traefik.

use super::*;
use crate::model::{CookieCache, LoadBalancer, ServiceKind, StickyRules, Strict};

/// A dynamic file with one router on `app`, whose `loadBalancer` is this flow mapping.
fn file(balancer: &str) -> String {
    format!(
        "http:\n  routers:\n    r: {{rule: 'PathPrefix(`/`)', service: app}}\n  services:\n    \
         app:\n      loadBalancer: {{{balancer}}}\n"
    )
}

fn balancer(text: &str) -> LoadBalancer {
    let kind = loaded(&file(text), STRICT).model.services[0].kind.clone();
    let ServiceKind::LoadBalancer(balancer) = kind else { panic!("not a load balancer") };
    balancer
}

fn with_sticky(sticky: &str) -> String {
    format!("servers: [{{url: 'http://a'}}], sticky: {{{sticky}}}")
}

/// What is said of a balancer: severity, key below it, message.
fn complaints(text: &str) -> Vec<String> {
    let lines = said(&file(text), STRICT);
    let cut = |line: &String| {
        let (_, rest) = line.split_once("http.services.app.loadBalancer.").unwrap_or(("", line));
        let warns = if line.contains(": warning: ") { "warning: " } else { "" };
        format!("{warns}{rest}")
    };
    lines.iter().map(cut).collect()
}

#[test]
fn servers_can_be_drained_and_named() {
    let text = "servers: [{url: 'http://a', id: app-1, drain: true}, {url: 'http://b'}]";
    let servers = balancer(text).servers;
    assert_eq!((servers[0].pin_name(), servers[0].drain), ("app-1", true));
    assert_eq!((servers[1].pin_name(), servers[1].drain), ("http://b", false));
    for (servers, want) in [
        ("{url: 'http://a', id: ''}", "servers[0].id: `` is not an id; write a name such as app-1"),
        (
            "{url: 'http://a', id: \"a\\n\"}",
            "servers[0].id: `a\\n` is not an id; write a name such as app-1",
        ),
        (
            "{url: 'http://a', id: x}, {url: 'http://b', id: x}",
            "servers[1].id: two servers have the id `x`; pins must name one server",
        ),
    ] {
        assert_eq!(complaints(&format!("servers: [{servers}]")), [want]);
    }
}

#[test]
fn rules_have_the_defaults_of_traefik() {
    assert_eq!(balancer(&with_sticky("cookie: {}")).sticky_rules, StickyRules::default());
    let rules = |text: &str| balancer(&with_sticky(text)).sticky_rules;
    let strict = |status, forgets| Some(Strict { status, forgets });
    assert_eq!(rules("cookie: {}, strict: true").strict, strict(502, false));
    let written = "cookie: {}, strict: true, strictStatus: 409, strictForget: true";
    assert_eq!(rules(written).strict, strict(409, true));
    assert!(!rules("cookie: {}, redispatch: false").redispatch);
    let keys = balancer(&with_sticky("header: X-Id, query: sid"));
    assert_eq!(keys.sticky, None, "keys need no cookie");
    assert_eq!(keys.sticky_rules.header.as_deref(), Some("X-Id"));
    assert_eq!(keys.sticky_rules.query.as_deref(), Some("sid"));
}

#[test]
fn probes_are_believed_at_once_unless_thresholds_are_written() {
    let check = |text: &str| {
        let check = balancer(&format!("servers: [], healthCheck: {{path: /{text}}}")).health_check;
        check.map(|it| (it.healthy_threshold, it.unhealthy_threshold))
    };
    assert_eq!(check(""), Some((1, 1)));
    assert_eq!(check(", healthyThreshold: 2, unhealthyThreshold: 5"), Some((2, 5)));
    assert_eq!(
        complaints("servers: [{url: 'http://a'}], healthCheck: {path: /, healthyThreshold: 0}"),
        ["healthCheck.healthyThreshold: 0 is out of range; write 1 to 1000"]
    );
}

#[test]
fn cookies_have_more_attributes() {
    let text = "cookie: {name: c, secure: true, partitioned: true, previousNames: [b, 'a b'], \
                hide: true, cache: private}";
    let cookie = balancer(&with_sticky(text)).sticky.unwrap();
    assert!(cookie.partitioned && cookie.hide);
    assert_eq!(
        (cookie.previous_names, cookie.cache),
        (vec!["b".into(), "a_b".into()], CookieCache::Private)
    );
    for (name, rest) in [("__Host-c", "path: /"), ("__Secure-c", "path: /x, domain: a.test")] {
        let text = with_sticky(&format!("cookie: {{name: {name}, secure: true, {rest}}}"));
        assert_eq!(balancer(&text).sticky.unwrap().name, name);
    }
    let allowed = with_sticky("cookie: {name: JSESSIONID, allowReservedName: true}");
    assert_eq!(balancer(&allowed).sticky.unwrap().name, "JSESSIONID");
    assert_eq!(
        balancer(&with_sticky("cookie: {name: jsessionid}")).sticky.unwrap().name,
        "jsessionid"
    );
}

#[test]
fn mistakes_are_named_with_the_fix() {
    let refuses = "browsers refuse `__Host-c`";
    for (sticky, want) in [
        (
            "cookie: {name: c, partitioned: true}",
            "sticky.cookie.partitioned: browsers refuse Partitioned without Secure; \
             write `secure: true`"
                .to_owned(),
        ),
        (
            "cookie: {name: PHPSESSID}",
            "sticky.cookie.name: `PHPSESSID` is a cookie of applications: each overwrites the \
             other's; choose another name, or write `allowReservedName: true`"
                .to_owned(),
        ),
        (
            "cookie: {name: __Host-c}",
            format!(
                "sticky.cookie.name: {refuses} without Secure; \
                 write `secure: true`, or leave the prefix out"
            ),
        ),
        (
            "cookie: {name: __host-c, secure: true, path: /x}",
            "sticky.cookie.path: browsers refuse `__host-c` with another path; write /".to_owned(),
        ),
        (
            "cookie: {name: __Host-c, secure: true, domain: a.test}",
            format!("sticky.cookie.domain: {refuses} with a domain; remove it"),
        ),
        (
            "cookie: {name: c, previousNames: [b, c]}",
            "sticky.cookie.previousNames[1]: `c` is written twice; remove it".to_owned(),
        ),
        (
            "cookie: {name: c, cache: public}",
            "sticky.cookie.cache: unknown value `public`; write off, private, no-store".to_owned(),
        ),
        (
            "cookie: {name: c}, strict: true, strictStatus: 200",
            "sticky.strictStatus: 200 is out of range; write 400 to 599".to_owned(),
        ),
        (
            "cookie: {name: c}, strictForget: true",
            "warning: sticky.strictForget: means nothing without `strict`; write `strict: true`"
                .to_owned(),
        ),
        (
            "header: X-Id, strict: true",
            "warning: sticky.strict: `strict` is about cookies, and there is none; \
             write `cookie: {}`"
                .to_owned(),
        ),
        (
            "header: 'X Id'",
            "sticky.header: `X Id` is not a field name; write X-Client-Id".to_owned(),
        ),
        (
            "header: cookie",
            "sticky.header: `cookie` does not tell clients apart; write X-Client-Id".to_owned(),
        ),
        (
            "query: 'a=b'",
            "sticky.query: `a=b` is not the name of a query parameter; \
             write it as it stands in the URL, without escapes"
                .to_owned(),
        ),
    ] {
        assert_eq!(complaints(&with_sticky(sticky)), [want], "{sticky}");
    }
}
