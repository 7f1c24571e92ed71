use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    arguments: ExplainArguments,
}

const FILE: &str = "
entryPoints:
  web: {address: ':8080', forwardedHeaders: {trustedIPs: [10.0.0.0/8]}}
  other: {address: ':8081'}
http:
  routers:
    app: {rule: 'Host(`a.test`) && PathPrefix(`/app`)', service: app}
    all: {rule: 'PathPrefix(`/`)', service: group, entryPoints: [web]}
    tls: {rule: 'Host(`b.test`) && Header(`X-Forwarded-Proto`, `https`)', service: one}
  services:
    app:
      loadBalancer:
        sticky: {header: X-User, query: user, cookie: {name: sid}}
        servers: [{url: 'http://127.0.0.1:1'}, {url: 'http://127.0.0.1:2'}]
    one: {loadBalancer: {servers: [{url: 'http://127.0.0.1:3'}]}}
    group:
      weighted:
        sticky: {cookie: {name: g}}
        services: [{name: app}, {name: one}]
";

fn found(line: &[&str]) -> Result<Value, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.yml");
    std::fs::write(&file, FILE).unwrap();
    let (_, initial) = Loader::open(&file, Options { lenient: false }).unwrap();
    let words = ["explain"].into_iter().chain(line.iter().copied());
    let words = words.chain(["--config", "t.yml"]);
    find(&initial, &Line::try_parse_from(words).unwrap().arguments)
}

#[test]
fn the_router_the_others_and_the_reason_are_named() {
    let a = "http://a.test:8080/app/x?k=1";
    let pin = format!("x=y; sid={}", pin_of("http://127.0.0.1:2"));
    let group = format!("g={}", pin_of("one"));
    let among = "no pin: wrr chooses among http://127.0.0.1:1, http://127.0.0.1:2";
    for (line, router, server, why) in [
        (&[a][..], "app@file", None, among),
        (
            &[a, "--cookie", &pin],
            "app@file",
            Some("http://127.0.0.1:2"),
            "pinned by the cookie `sid` (hash)",
        ),
        (&[a, "--cookie", "sid=0123456789abcdef"], "app@file", None, among),
        (&[a, "--header", "x-user: 7"], "app@file", None, "a hash of the field `X-User` chooses"),
        (
            &["http://a.test:8080/app?user=7"],
            "app@file",
            None,
            "a hash of the parameter `user` chooses",
        ),
        (&["http://a.test:8080"], "all@file", None, "`group@file`: its weights choose a service"),
        (
            &["http://a.test:8080", "--cookie", &group],
            "all@file",
            None,
            "http://127.0.0.1:3 is its only server",
        ),
        (
            &["http://b.test:8080/", "--header", "X-Forwarded-Proto: https", "--from", "10.1.1.1"],
            "tls@file",
            None,
            "http://127.0.0.1:3 is its only server",
        ),
        (
            &["http://b.test:8080/", "--header", "X-Forwarded-Proto: https", "--from", "11.1.1.1"],
            "all@file",
            None,
            "`group@file`: its weights choose a service",
        ),
    ] {
        let found = found(line).unwrap();
        assert_eq!(found["router"]["name"], router, "{line:?}: {found:#}");
        assert_eq!(found["server"].as_str(), server, "{line:?}: {found:#}");
        assert_eq!(found["why"], why, "{line:?}");
    }
    let others = found(&[a]).unwrap()["alsoMatching"].clone();
    assert_eq!(others[0]["name"], "all@file");
    assert_eq!(others[0]["priority"], 15);
}

#[test]
fn what_nobody_takes_is_said() {
    let nobody = found(&["http://c.test:8081/"]).unwrap();
    assert!(nobody["router"].is_null());
    assert!(in_words(&nobody).ends_with("none: 404"));
    for (url, want) in [
        (
            "http://a.test/",
            "no entry point listens on port 80; there are: other (:8081), web (:8080)",
        ),
        ("a.test", "`a.test` does not start with http:// or https://"),
        ("http://a.test:x/", "`x` is not a port"),
        ("http://a.test:8080/%zz", "such a request is answered 400: Escape"),
    ] {
        assert_eq!(found(&[url]), Err(want.to_owned()));
    }
}

#[test]
fn words_say_what_the_answer_holds() {
    let words = in_words(&found(&["http://a.test:8080/app"]).unwrap());
    for want in [
        "entry point  web",
        "router       app@file (priority 36): Host(`a.test`)",
        "  not        all@file (priority 15): PathPrefix(`/`)",
        "service      app@file",
        "why          no pin: wrr chooses",
    ] {
        assert!(words.contains(want), "{want}: {words}");
    }
}

/// The value that pins to a name.
fn pin_of(name: &str) -> String {
    String::from_utf8(crate::sticky::current_value(name).to_vec()).unwrap()
}
