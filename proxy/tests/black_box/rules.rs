//! Which router takes a request: every matcher over the wire, among many routers, and over a
//! reload.

use std::fmt::Write as _;

use crate::support::{Client, Driver, Origin, Setup, on_both_drivers};

on_both_drivers!(
    every_matcher_decides_over_the_wire,
    one_router_of_a_thousand_takes_a_request,
    a_rule_sees_who_the_client_is_from_a_trusted_peer_only,
);

/// Routers by name and rule, each with a service whose sticky cookie has the router's name.
fn dynamic(rules: &[(&str, &str)], url: &str) -> String {
    let mut text = "http:\n  routers:\n".to_owned();
    for (name, rule) in rules {
        writeln!(text, "    {name}: {{rule: '{rule}', service: {name}}}").unwrap();
    }
    text.push_str("  services:\n");
    for (name, _) in rules {
        let balancer =
            format!("{{sticky: {{cookie: {{name: {name}}}}}, servers: [{{url: \"{url}\"}}]}}");
        writeln!(text, "    {name}: {{loadBalancer: {balancer}}}").unwrap();
    }
    text
}

/// The router that took the request; `None`: 404.
fn taken(client: &mut Client, request: &str) -> Option<String> {
    let (line, fields) = request.split_once(" | ").unwrap_or((request, ""));
    let (method, rest) = line.split_once(' ').expect("a method");
    let (host, target) = rest.split_once(' ').expect("a host and a target");
    let fields = if fields.is_empty() { String::new() } else { format!("{fields}\r\n") };
    client.send(format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n"));
    let response = client.response();
    if response.status == 404 {
        return None;
    }
    assert_eq!(response.status, 200, "{request}");
    let cookie = response.field("set-cookie").expect("a pin");
    Some(cookie.split('=').next().expect("a name").to_owned())
}

const MATCHERS: &[(&str, &str)] = &[
    ("host", "Host(`a.test`)"),
    ("label", "Host(`*.wild.test`)"),
    ("hosts", "HostRegexp(`^h[0-9]+\\.test$`)"),
    ("path", "Host(`b`) && Path(`/a b`)"),
    ("prefix", "Host(`b`) && PathPrefix(`/pre`)"),
    ("paths", "Host(`b`) && PathRegexp(`\\.(png|gif)$`)"),
    ("method", "Host(`b`) && Method(`PUT`)"),
    ("header", "Host(`b`) && Header(`X-A`, `one`)"),
    ("headers", "Host(`b`) && HeaderRegexp(`X-A`, `^t`)"),
    ("query", "Host(`b`) && Query(`k`, `v w`)"),
    ("queries", "Host(`b`) && QueryRegexp(`k`, `^[0-9]+$`)"),
    ("client", "Host(`c`) && ClientIP(`127.0.0.0/8`)"),
    ("nobody", "Host(`d`) && ClientIP(`10.0.0.0/8`)"),
    ("neither", "!Host(`b`) && !(Host(`d`) || PathPrefix(`/none`)) && Path(`/free`)"),
];

fn every_matcher_decides_over_the_wire(driver: Driver) {
    let origin = Origin::named("a");
    let proxy = Setup::new(driver, dynamic(MATCHERS, &origin.url())).start();
    let mut client = Client::connect(proxy.address());
    for (request, want) in [
        ("GET A.Test:80 /", Some("host")),
        ("GET x.wild.test /", Some("label")),
        ("GET x.y.wild.test /", None),
        ("GET H12.test /", Some("hosts")),
        ("GET h12.tests /", None),
        ("GET b /a%20b", Some("path")),
        ("GET b /prefix", Some("prefix")),
        ("GET b /x/./pre", None),
        ("GET b //pre", Some("prefix")),
        ("GET b /x.png?y", Some("paths")),
        ("PUT b /", Some("method")),
        ("GET b / | X-A: one", Some("header")),
        ("GET b / | X-A: two", Some("headers")),
        ("GET b / | X-A: One", None),
        ("GET b /?k=v+w", Some("query")),
        ("GET b /?k=x&k=12", Some("queries")),
        ("GET b /?k=12x", None),
        ("GET c / | X-Forwarded-For: 10.0.0.1", Some("client")),
        ("GET d / | X-Forwarded-For: 10.0.0.1", None),
        ("GET z /free", Some("neither")),
        ("GET d /free", None),
    ] {
        assert_eq!(taken(&mut client, request).as_deref(), want, "{request}");
    }
    assert!(
        origin.requests().iter().all(|it| !it.line().contains("12x")),
        "a 404 reaches no server"
    );
}

fn one_router_of_a_thousand_takes_a_request(driver: Driver) {
    let origin = Origin::named("a");
    let rules: Vec<(String, String)> = (0..1000)
        .map(|at| {
            let rule = match at % 4 {
                0 => format!("Host(`h{at}.test`)"),
                1 => format!("Host(`one.test`) && PathPrefix(`/p{at}/`)"),
                2 => format!("Path(`/e{at}`)"),
                _ => format!("Host(`*.w{at}.test`) || Path(`/w{at}`)"),
            };
            (format!("r{at}"), rule)
        })
        .collect();
    let rules: Vec<_> = rules.iter().map(|it| (it.0.as_str(), it.1.as_str())).collect();
    let proxy = Setup::new(driver, dynamic(&rules, &origin.url())).start();
    let mut client = Client::connect(proxy.address());
    for (request, want) in [
        ("GET h500.test /", Some("r500")),
        ("GET one.test /p501/x", Some("r501")),
        ("GET one.test /p50/x", None),
        ("GET any.test /e502", Some("r502")),
        ("GET x.w503.test /", Some("r503")),
        ("GET any.test /w999", Some("r999")),
        ("GET any.test /", None),
        // Longer rules have the higher priority.
        ("GET x.w503.test /e502", Some("r503")),
        ("GET h500.test /e502", Some("r500")),
    ] {
        assert_eq!(taken(&mut client, request).as_deref(), want, "{request}");
    }
}

fn a_rule_sees_who_the_client_is_from_a_trusted_peer_only(driver: Driver) {
    let origin = Origin::named("a");
    let rules = [("tls", "Header(`X-Forwarded-Proto`, `https`)")];
    let request = "GET a / | X-Forwarded-Proto: https";
    for (lines, want) in [("", None), ("forwardedHeaders: {insecure: true}", Some("tls"))] {
        let setup = Setup::new(driver, dynamic(&rules, &origin.url()));
        let proxy = setup.entry_point(lines).start();
        let mut client = Client::connect(proxy.address());
        assert_eq!(taken(&mut client, request).as_deref(), want, "{lines}");
    }
}
