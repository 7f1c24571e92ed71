use sundew_config::model::{Router, ServiceIndex};
use sundew_config::rule::{Matcher, Rule};

use super::*;
use crate::observe::access_log::FieldSpan;

const WEB: EntryPointIndex = EntryPointIndex(0);
const OTHER: EntryPointIndex = EntryPointIndex(1);

fn router(rule: Rule, priority: i64, entry_points: &[EntryPointIndex]) -> Router {
    Router {
        name: "r@file".to_owned(),
        entry_points: entry_points.to_vec(),
        rule,
        priority,
        rule_text: String::new(),
        service_text: String::new(),
        target: RouterTarget::Service(ServiceIndex(0)),
    }
}

fn table(routers: Vec<Router>) -> RouteTable {
    let model = Model { routers, services: Vec::new(), transports: Vec::new() };
    RouteTable::new(&model, WEB, false)
}

fn is(matcher: Matcher) -> Rule {
    Rule::Is(matcher)
}

fn host(host: &str) -> Rule {
    is(Matcher::Host(host.to_owned()))
}

fn prefix(prefix: &str) -> Rule {
    is(Matcher::PathPrefix(prefix.to_owned()))
}

fn method(method: &str) -> Rule {
    is(Matcher::Method(method.to_owned()))
}

fn header(name: &str, value: &str) -> Rule {
    is(Matcher::Header { name: name.to_owned(), value: value.to_owned() })
}

fn request<'a>(host: &'a str, path: &'a str) -> RequestView<'a> {
    RequestView {
        method: b"GET",
        host: host.as_bytes(),
        path: path.as_bytes(),
        query: b"",
        fields: FieldLines::default(),
        client: IpAddr::from([10, 1, 2, 3]),
        is_trusted: false,
    }
}

/// Asks `rule` alone.
fn takes(rule: Rule, request: &RequestView<'_>) -> bool {
    table(vec![router(rule, 1, &[WEB])]).find(request).is_some()
}

fn winner(table: &RouteTable, request: &RequestView<'_>) -> Option<u32> {
    table.find(request)?.router
}

#[test]
fn hosts_match_as_under_traefik() {
    for (rule, received, want) in [
        ("a.test", "a.test", true),
        ("a.test", "A.Test", true),
        ("a.test", "a.test:8080", true),
        ("a.test", "a.test:", true),
        ("a.test", "a.test.", true),
        ("a.test", "A.TEST.:80", true),
        ("a.test.", "a.test", true),
        ("a.test", "b.a.test", false),
        ("a.test", "a.testing", false),
        ("a.test", "", false),
        ("*", "", true),
        ("*", "anything:1", true),
        ("*.x.y", "a.x.y", true),
        ("*.x.y", "A.X.Y:8", true),
        ("*.x.y", "a.x.y.", true),
        ("*.x.y", ".x.y", true),
        ("*.x.y", "x.y", false),
        ("*.x.y", "a.b.x.y", false),
        ("*.x.y", "ax.y", false),
        ("::1", "[::1]", true),
        ("::1", "[::1]:80", true),
        ("[::1]", "[::1]:80", true),
        ("[::1]", "[::1]", true),
        ("::1", "[::2]:80", false),
        ("10.0.0.1", "10.0.0.1:80", true),
    ] {
        assert_eq!(takes(host(rule), &request(received, "/")), want, "{rule} for {received}");
    }
}

#[test]
fn paths_match_exactly_or_by_plain_prefix() {
    let path = |path: &str| is(Matcher::Path(path.to_owned()));
    for (rule, received, want) in [
        (path("/foo"), "/foo", true),
        (path("/foo"), "/foo/", false),
        (path("/foo"), "/FOO", false),
        (path("/a b"), "/a b", true),
        (prefix("/foo"), "/foo", true),
        (prefix("/foo"), "/foobar", true),
        (prefix("/foo"), "/fo", false),
        (prefix("/"), "*", false),
    ] {
        assert_eq!(takes(rule.clone(), &request("h", received)), want, "{rule:?} for {received}");
    }
}

#[test]
fn a_header_matches_when_any_line_of_that_name_equals() {
    let head = b"X-Mode: a\r\nx-mode: b, c\r\nOther: d\r\n";
    let span = |name_start, name_end, value_start, value_end| FieldSpan {
        name_start,
        name_end,
        value_start,
        value_end,
    };
    let spans = [span(0, 6, 8, 9), span(11, 17, 19, 23), span(25, 30, 32, 33)];
    let view =
        RequestView { fields: FieldLines { bytes: head, spans: &spans }, ..request("h", "/") };
    for (name, value, want) in [
        ("x-mode", "a", true),
        ("x-mode", "b, c", true),
        ("other", "d", true),
        ("x-mode", "b", false),
        ("x-mode", "A", false),
        ("x-mode", "d", false),
        ("x-mod", "a", false),
        ("missing", "", false),
    ] {
        assert_eq!(takes(header(name, value), &view), want, "{name}: {value}");
    }
}

#[test]
fn every_other_matcher_means_what_it_means_under_traefik() {
    let rule = |text: &str| sundew_config::rule::parse(text).unwrap();
    let get = |host, path, query: &'static str| RequestView {
        query: query.as_bytes(),
        ..request(host, path)
    };
    for (text, view, want) in [
        ("HostRegexp(`^a\\.`)", get("A.test:80", "/", ""), true),
        ("HostRegexp(`^A`)", get("A.test", "/", ""), false),
        ("HostRegexp(`test$`)", get("a.test.", "/", ""), false),
        ("HostRegexp(`.`)", get("", "/", ""), false),
        ("PathRegexp(`b+/c$`)", get("a", "/abb/c", ""), true),
        ("PathRegexp(`^b`)", get("a", "/abb/c", ""), false),
        ("Query(`k`, `v w`)", get("a", "/", "x=1&k=v+w"), true),
        ("Query(`k`)", get("a", "/", "k"), true),
        ("Query(`k`)", get("a", "/", "k=v"), false),
        ("QueryRegexp(`k`, `^v.w$`)", get("a", "/", "k=0&k=v%20w"), true),
        ("QueryRegexp(`k`, `^v$`)", get("a", "/", "k=vv"), false),
        ("ClientIP(`10.1.0.0/16`)", get("a", "/", ""), true),
        ("ClientIP(`10.1.2.3`)", get("a", "/", ""), true),
        ("ClientIP(`10.1.2.4`)", get("a", "/", ""), false),
        ("ClientIP(`::/0`)", get("a", "/", ""), false),
        ("Header(`Host`, `a`)", get("a", "/", ""), false),
        ("!Header(`Host`, `a`)", get("a", "/", ""), true),
    ] {
        assert_eq!(takes(rule(text), &view), want, "{text} for {view:?}");
    }
    let mapped = "::ffff:10.1.2.3".parse().unwrap();
    let view = RequestView { client: mapped, ..request("a", "/") };
    assert!(takes(rule("ClientIP(`10.1.2.3`)"), &view));
}

#[test]
fn what_only_a_trusted_peer_may_say_is_seen_from_one_alone() {
    let head = b"X-Forwarded-Proto: https\r\n";
    let spans = [FieldSpan { name_start: 0, name_end: 17, value_start: 19, value_end: 24 }];
    let view =
        RequestView { fields: FieldLines { bytes: head, spans: &spans }, ..request("h", "/") };
    // Whatever else is taken from a peer that is not trusted before its request goes on.
    let others: [(&[u8], &str); 2] =
        [(b"Forwarded: for=1", "forwarded"), (b"X_Real_Ip: for=1", "x_real_ip")];
    for (head, name) in others {
        let end = u32::try_from(name.len()).unwrap();
        let spans =
            [FieldSpan { name_start: 0, name_end: end, value_start: end + 2, value_end: end + 7 }];
        let view =
            RequestView { fields: FieldLines { bytes: head, spans: &spans }, ..request("h", "/") };
        assert!(!takes(header(name, "for=1"), &view), "{name}");
        assert!(takes(header(name, "for=1"), &RequestView { is_trusted: true, ..view }), "{name}");
    }
    let expression = "HeaderRegexp(`X-Forwarded-Proto`, `s$`)";
    let pattern = sundew_config::rule::parse(expression).unwrap();
    for rule in [header("x-forwarded-proto", "https"), pattern] {
        assert!(!takes(rule.clone(), &view));
        assert!(takes(rule, &RequestView { is_trusted: true, ..view }));
    }
}

#[test]
fn rules_combine() {
    let get_a = || Rule::All(vec![host("a"), method("GET")]);
    assert!(takes(get_a(), &request("a", "/")));
    assert!(!takes(get_a(), &RequestView { method: b"PUT", ..request("a", "/") }));
    assert!(!takes(get_a(), &RequestView { method: b"get", ..request("a", "/") }));
    assert!(!takes(get_a(), &request("b", "/")));
    let either = || Rule::Any(vec![host("a"), prefix("/x")]);
    assert!(takes(either(), &request("b", "/x")));
    assert!(takes(either(), &request("a", "/")));
    assert!(!takes(either(), &request("b", "/")));
    let not = Rule::Not(Box::new(either()));
    assert!(takes(not.clone(), &request("b", "/")));
    assert!(!takes(not, &request("a", "/")));
}

#[test]
fn the_highest_priority_wins_and_ties_keep_their_order() {
    let routers = vec![
        router(prefix("/"), 1, &[WEB]),
        router(prefix("/a"), 5, &[WEB]),
        router(prefix("/a"), 5, &[WEB]),
        router(prefix("/a"), -3, &[WEB]),
        router(prefix("/a/b"), 7, &[WEB]),
    ];
    let table = table(routers);
    assert_eq!(winner(&table, &request("h", "/a")), Some(1));
    assert_eq!(winner(&table, &request("h", "/a/b")), Some(4));
    assert_eq!(winner(&table, &request("h", "/z")), Some(0));
}

#[test]
fn a_router_is_found_on_its_entry_points_only() {
    let routers = vec![router(prefix("/"), 9, &[OTHER]), router(prefix("/"), 1, &[WEB, OTHER])];
    let model = Model { routers, services: Vec::new(), transports: Vec::new() };
    let find =
        |entry_point| winner(&RouteTable::new(&model, entry_point, false), &request("h", "/"));
    assert_eq!(find(WEB), Some(1));
    assert_eq!(find(OTHER), Some(0));
    assert_eq!(find(EntryPointIndex(2)), None);
}

#[test]
fn the_router_s_target_is_returned() {
    let mut left_out = router(prefix("/"), 1, &[WEB]);
    left_out.target = RouterTarget::LeftOut;
    let found = table(vec![left_out]).find(&request("h", "/"));
    assert_eq!(found, Some(RouteMatch { router: Some(0), target: RouterTarget::LeftOut }));
}

#[test]
fn built_in_ping_stands_above_every_router_where_it_is_on() {
    let routers = vec![router(prefix("/"), i64::MAX, &[WEB])];
    let model = Model { routers, services: Vec::new(), transports: Vec::new() };
    let with_ping = RouteTable::new(&model, WEB, true);
    let ping = Some(RouteMatch { router: None, target: RouterTarget::Ping });
    assert_eq!(with_ping.find(&request("h", "/ping")), ping);
    assert_eq!(with_ping.find(&request("h", "/pingpong")), ping, "a prefix, as Traefik's");
    assert_eq!(winner(&with_ping, &request("h", "/pin")), Some(0));
    let without = RouteTable::new(&model, WEB, false);
    assert_eq!(winner(&without, &request("h", "/ping")), Some(0));
}
