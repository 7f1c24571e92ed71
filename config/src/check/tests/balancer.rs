//! Tests of `check`: balancer; named by their sentences.

use super::*;
use crate::model::{
    CookieCache, Endpoint, HealthMode, LoadBalancer, SameSite, ServiceKind, StickyCookie,
};

/// A dynamic file with one router `r` on `app`, whose `loadBalancer` has these lines.
fn balancer_file(body: &str) -> String {
    let body = body.replace('\n', "\n        ");
    format!(
        "http:\n  routers:\n    r: {{rule: 'PathPrefix(`/`)', service: app}}\n  services:\n    \
         app:\n      loadBalancer:\n        {body}\n"
    )
}

fn balancer(body: &str, options: Options) -> LoadBalancer {
    let model = loaded(&balancer_file(body), options).model;
    match model.services[0].kind.clone() {
        ServiceKind::LoadBalancer(balancer) => balancer,
        _ => panic!("not a load balancer"),
    }
}

const SERVER: &str = "servers: [{url: 'http://a'}]\n";

fn cookie(options: &str) -> StickyCookie {
    balancer(&format!("{SERVER}sticky: {{cookie: {options}}}"), LENIENT).sticky.unwrap()
}

#[test]
fn strategies_are_those_of_traefik() {
    use crate::model::Strategy::{Hrw, LeastTime, P2c, Wrr};
    for (written, want) in
        [("''", Wrr), ("wrr", Wrr), ("p2c", P2c), ("hrw", Hrw), ("leasttime", LeastTime)]
    {
        let body = format!("{SERVER}sticky: {{cookie: {{}}}}\nstrategy: {written}");
        let got = balancer(&body, STRICT);
        assert_eq!((got.strategy, got.sticky.is_some()), (want, want != Hrw), "{written}");
    }
    assert_eq!(balancer(SERVER, STRICT).strategy, Wrr);
}

#[test]
fn a_passive_check_has_the_defaults_of_traefik() {
    let passive = |text: &str| {
        let got = balancer(&format!("{SERVER}passiveHealthCheck: {text}"), LENIENT);
        let got = got.passive_health_check.unwrap();
        (got.failure_window.as_millis(), got.failed_attempts_max)
    };
    assert_eq!(passive("{}"), (10_000, 1));
    assert_eq!(passive("{failureWindow: 5, maxFailedAttempts: 3}"), (5_000, 3));
    assert_eq!(passive("{failureWindow: 0s}"), (10_000, 1));
    assert_eq!(balancer(SERVER, STRICT).passive_health_check, None);
    let file = balancer_file(&format!("{SERVER}passiveHealthCheck: {{maxFailedAttempts: 0}}"));
    let lines = said(&file, STRICT);
    assert!(lines.len() == 1 && lines[0].contains(".maxFailedAttempts: "), "{lines:?}");
}

#[test]
fn cookie_names_are_those_of_traefik() {
    use crate::check::cookie::{generated_name, sanitised};
    let generated = [
        ("backend", "_76eb3"),
        ("/my/BACKEND-v1.0~rc1", "_5f7bc"),
        ("app-backend@file", "_72e12"),
        ("app@docker", "_a9f6e"),
        ("wrr@file", "_96d1d"),
        ("test", "_6f743"),
    ];
    for (service, want) in generated {
        assert_eq!(generated_name(service), want, "{service}");
    }
    let names = [
        ("app_pin", "app_pin"),
        ("a/b(c)=;d e", "a_b_c___d_e"),
        ("!#$%&'*+-.^`|~", "!#$%&'*+-.^`|~"),
        ("é\u{1f36a}", "__"),
        ("a\r\nSet-Cookie: x", "a__Set-Cookie__x"),
    ];
    for (name, want) in names {
        assert_eq!(sanitised(name), want, "{name}");
    }
    assert_eq!(cookie("{}").name, super::super::cookie::generated_name("app@file"));
}

#[test]
fn cookie_attributes_have_the_defaults_of_traefik() {
    let bare = cookie("{name: c}");
    let default = StickyCookie {
        name: "c".to_owned(),
        secure: false,
        http_only: false,
        same_site: None,
        max_age: None,
        path: Some("/".to_owned()),
        domain: None,
        sealing: None,
        partitioned: false,
        previous_names: Vec::new(),
        hide: false,
        cache: CookieCache::Off,
    };
    assert_eq!(bare, default);
    assert_eq!(cookie("{name: c, maxAge: 0}").max_age, None);
    assert_eq!(cookie("{name: c, maxAge: 5}").max_age, Some(5));
    assert_eq!(cookie("{name: c, maxAge: -5}").max_age, Some(0));
    assert_eq!(cookie("{name: c, path: ''}").path, None);
    assert_eq!(cookie("{name: c, path: '/a b'}").path.as_deref(), Some("/a b"));
    assert_eq!(cookie("{name: c, path: \"/a;\\r\\nb\"}").path.as_deref(), Some("/ab"));
    assert_eq!(cookie("{domain: .example.com}").domain.as_deref(), Some("example.com"));
    assert_eq!(cookie("{domain: 127.0.0.1}").domain.as_deref(), Some("127.0.0.1"));
    for bad in ["a_b.com", "'*.a.com'", "'a.com:80'", "a..com", "-a.com", "'a b'", "\"a\\nb\""] {
        assert_eq!(cookie(&format!("{{domain: {bad}}}")).domain, None, "{bad}");
    }
    for (written, want) in
        [("Lax", SameSite::Lax), ("STRICT", SameSite::Strict), ("none", SameSite::None)]
    {
        assert_eq!(cookie(&format!("{{sameSite: {written}}}")).same_site, Some(want));
    }
    assert_eq!(cookie("{sameSite: lux}").same_site, None);
}

#[test]
fn the_forms_that_turn_stickiness_on_and_off_are_those_of_traefik() {
    let silent = "f.yml:8:9: warning: http.services.app.loadBalancer.sticky: \
                  no stickiness without a cookie; write `sticky: {cookie: {}}`";
    let table = [
        ("sticky: {cookie: {}}", true, None),
        ("sticky: {cookie: true}", true, None),
        ("STICKY: {COOKIE: {NAME: x}}", true, None),
        ("sticky: false", false, None),
        ("sticky: {cookie: false}", false, None),
        ("sticky: {}", false, Some(silent)),
        ("sticky: {cookie: }", false, Some(silent)),
        ("sticky:", false, Some(silent)),
        ("sticky: true", false, Some("")),
        ("sticky: 'x'", false, Some("")),
    ];
    for (form, is_on, warning) in table {
        let body = format!("{SERVER}{form}");
        assert_eq!(balancer(&body, STRICT).sticky.is_some(), is_on, "{form}");
        let lines = said(&balancer_file(&body), STRICT);
        assert_eq!(lines.len(), usize::from(warning.is_some()), "{form}: {lines:?}");
        if let Some(line) = warning.filter(|it| !it.is_empty()) {
            assert_eq!(lines, [line], "{form}");
        }
    }
}

#[test]
fn cookie_mistakes_are_named() {
    let at = "http.services.app.loadBalancer.sticky.cookie";
    let cases = [
        ("{htpOnly: true}", "7:42", "", "unknown key `htpOnly`; did you mean `httpOnly`?"),
        ("{secure: yes!}", "7:42", ".secure", "expected true or false, found `yes!`"),
        ("{maxAge: 1.5}", "7:42", ".maxAge", "expected a whole number, found `1.5`"),
        ("{sameSite: lux}", "7:42", ".sameSite", "unknown value `lux`; did you mean `lax`?"),
        (
            "{path: '/;'}",
            "7:42",
            ".path",
            "`/;` holds characters that a cookie's path cannot; \
             leave out `;`, control characters and what is not ASCII",
        ),
        (
            "{domain: 'a:1'}",
            "7:42",
            ".domain",
            "`a:1` is not a cookie domain; write a host name without a port, such as example.com",
        ),
        (
            "{sameSite: none}",
            "",
            ".sameSite",
            "browsers refuse SameSite=None without Secure; write `secure: true`",
        ),
        ("{name: 'a b'}", "", ".name", "`a b` is sent as `a_b`; write `a_b`"),
    ];
    for (options, place, key, want) in cases {
        let file = balancer_file(&format!("{SERVER}sticky: {{cookie: {options}}}"));
        let lines = said(&file, STRICT);
        let warning = if place.is_empty() { "warning: " } else { "" };
        assert_eq!(lines.len(), 1, "{options}: {lines:?}");
        let (_, line) = lines[0].split_once(": ").unwrap();
        assert_eq!(line, format!("{warning}{at}{key}: {want}"), "{options}");
    }
}

#[test]
fn server_urls_are_taken_apart() {
    let table = [
        ("http://10.0.1.10:8080", "10.0.1.10", 8080, "10.0.1.10:8080", "", None),
        ("HTTP://App.example", "App.example", 80, "App.example", "", None),
        ("http://[::1]:81/x", "::1", 81, "[::1]:81", "/x", None),
        ("http://[2001:db8::1]", "2001:db8::1", 80, "[2001:db8::1]", "", None),
        ("http://a_b-c:1/base%2Fx/?q=1&r#f", "a_b-c", 1, "a_b-c:1", "/base%2Fx/", Some("q=1&r")),
        ("http://a?q", "a", 80, "a", "", Some("q")),
        ("http://a/", "a", 80, "a", "/", None),
    ];
    for (url, host, port, authority, path, query) in table {
        let servers = balancer(&format!("servers: [{{url: '{url}'}}]"), STRICT).servers;
        let server = &servers[0];
        assert_eq!(server.url, url);
        assert_eq!(server.endpoint, Endpoint::Tcp { host: host.to_owned(), port }, "{url}");
        let got = (server.authority.as_str(), server.path.as_str(), server.query.as_deref());
        assert_eq!(got, (authority, path, query), "{url}");
        assert_eq!((server.weight, server.preserve_path), (1, false), "{url}");
    }
}

#[test]
fn unix_sockets_are_servers_too() {
    let longest = format!("/{}", "x".repeat(106));
    for (url, path) in [
        ("unix:/run/app.sock", "/run/app.sock"),
        ("UNIX:///run/app.sock", "/run/app.sock"),
        (&format!("unix:{longest}"), &longest),
    ] {
        let servers = balancer(&format!("servers: [{{url: '{url}'}}]"), STRICT).servers;
        assert_eq!(servers[0].url, url, "the pin is a hash of what is written");
        assert_eq!(servers[0].endpoint, Endpoint::Unix { path: path.to_owned() });
        assert_eq!((&*servers[0].authority, &*servers[0].path), ("localhost", ""));
    }
}

#[test]
fn the_port_of_a_check_means_nothing_to_a_unix_socket() {
    let file = balancer_file("servers: [{url: 'unix:/a'}]\nhealthCheck: {path: /, port: 81}");
    let lines = said(&file, STRICT);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("healthCheck.port: `unix:/a` has no port"), "{lines:?}");
}

#[test]
fn bad_servers_are_named_with_the_fix() {
    const FIX: &str = "write http://host:port";
    const SOCKET: &str = "write unix:/path/to/socket";
    let table = [
        ("unix:run/a", format!("`unix:run/a` has no absolute path; {SOCKET}")),
        ("unix://run/a", format!("`unix://run/a` has no absolute path; {SOCKET}")),
        ("'unix:/a?b'", format!("`unix:/a?b` is not the path of a socket; {SOCKET}")),
        ("unix:/a/", format!("`unix:/a/` is not the path of a socket; {SOCKET}")),
        ("''", format!("no URL; {FIX}")),
        ("127.0.0.1:80", format!("`127.0.0.1:80` has no scheme; {FIX}")),
        ("/foo", format!("`/foo` has no scheme; {FIX}")),
        ("ftp://a", format!("`ftp://a` has the unknown scheme `ftp`; {FIX}")),
        ("http://", format!("`http://` has no host; {FIX}")),
        ("http://:80", format!("`http://:80` has no host; {FIX}")),
        ("http://a:0", format!("`http://a:0` has the bad port `0`; {FIX}")),
        ("'http://a:'", format!("`http://a:` has the bad port ``; {FIX}")),
        ("http://a:+80", format!("`http://a:+80` has the bad port `+80`; {FIX}")),
        ("http://a:65536", format!("`http://a:65536` has the bad port `65536`; {FIX}")),
        ("http://::1", format!("`http://::1` has no host; {FIX}")),
        ("http://1.2.3:80", format!("`http://1.2.3:80` has the bad host `1.2.3`; {FIX}")),
        ("'http://[::x]'", format!("`http://[::x]` has `::x` as its IPv6 address; {FIX}")),
        ("'http://[::1]x'", format!("`http://[::1]x` has `x` behind its address; {FIX}")),
        ("http://a$b", format!("`http://a$b` has the bad host `a$b`; {FIX}")),
        (
            "http://u:p@a",
            "`http://u:p@a` holds a user name; remove everything up to the `@`".into(),
        ),
        (
            "http://a/%zz",
            "`http://a/%zz` has a `%` without two hexadecimal digits; \
             write %25 for a percent sign"
                .into(),
        ),
        (
            "'http://a b'",
            "`http://a b` holds blanks or characters beyond ASCII; \
             percent-encode them (a host name: its xn-- form)"
                .into(),
        ),
        (
            "https://a",
            "not supported by sundew yet: `https://` servers; remove it, or start with --lenient"
                .into(),
        ),
        (
            "h2c://a",
            "not supported by sundew yet: `h2c://` servers; remove it, or start with --lenient"
                .into(),
        ),
    ];
    for (url, want) in table {
        let lines = said(&balancer_file(&format!("servers:\n- url: {url}")), STRICT);
        let line = format!("f.yml:8:16: http.services.app.loadBalancer.servers[0].url: {want}");
        assert_eq!(lines, [line], "{url}");
    }
}

#[test]
fn weights_and_doubles_are_checked() {
    let body = "servers:\n- {url: 'http://a', weight: -1}\n- {url: 'http://b', weight: 0}\n\
                - {url: 'http://b', weight: '2'}";
    let at = "http.services.app.loadBalancer.servers";
    assert_eq!(
        said(&balancer_file(body), STRICT),
        [
            format!(
                "f.yml:8:37: {at}[0].weight: -1 is not a weight; \
                 write 0 (takes part in no rotation) or more"
            ),
            format!(
                "f.yml:10:17: warning: {at}[2].url: `http://b` is written more than once; \
                 write it once, with a higher weight"
            ),
        ]
    );
    let body = "servers: [{url: 'http://a', weight: 1.0}, {url: 'http://b', weight: '0'}]";
    let weights: Vec<u32> = balancer(body, STRICT).servers.iter().map(|it| it.weight).collect();
    assert_eq!(weights, [1, 0]);
    assert_eq!(balancer("servers: [{url: 'http://a', weight: -1}]", LENIENT).servers[0].weight, 0);
    for bad in ["010", "1_000", "'1.0'", "''"] {
        let body = format!("servers: [{{url: 'http://a', weight: {bad}}}]");
        assert_eq!(said(&balancer_file(&body), STRICT).len(), 1, "{bad}");
    }
    assert_eq!(
        said(&balancer_file("passHostHeader: true"), STRICT),
        ["f.yml:6:7: warning: http.services.app.loadBalancer: \
          a service without servers answers 503; add one under `servers`"]
    );
}

#[test]
fn a_health_check_has_the_defaults_of_traefik() {
    let check =
        |it: &str| balancer(&format!("{SERVER}healthCheck: {it}"), LENIENT).health_check.unwrap();
    let bare = check("{path: /health}");
    assert_eq!((bare.path.as_str(), bare.method.as_str()), ("/health", "GET"));
    assert_eq!((bare.status, bare.port, bare.hostname.as_deref()), (None, None, None));
    assert_eq!(bare.interval.as_secs(), 30);
    assert_eq!(bare.unhealthy_interval.as_secs(), 30);
    assert_eq!(bare.timeout.as_secs(), 5);
    assert!(bare.follow_redirects);
    let full = check(
        "{path: 'hc?x=1', interval: '10', timeout: 500ms, method: HEAD, status: 204, port: 81, \
         hostname: h.example, followRedirects: false, headers: {X-A: 1}, mode: http, scheme: http}",
    );
    assert_eq!(full.unhealthy_interval, full.interval);
    assert_eq!(full.interval.as_secs(), 10);
    assert_eq!(full.timeout.as_millis(), 500);
    assert_eq!((full.status, full.port), (Some(204), Some(81)));
    assert_eq!(full.headers, [("X-A".to_owned(), "1".to_owned())]);
    assert!(!full.follow_redirects);
    let mode = |text: &str| check(&format!("{{interval: 1s, {text}}}")).mode;
    assert_eq!((full.mode, mode("mode: ''")), (HealthMode::Http, HealthMode::Http));
    assert_eq!(mode("mode: grpc, scheme: h2c"), HealthMode::Grpc);
    // What Traefik runs with its defaults.
    assert_eq!(check("{path: /, interval: 0}").interval.as_secs(), 30);
    assert_eq!(check("{path: /, timeout: -5s}").timeout.as_secs(), 5);
}

#[test]
fn health_check_mistakes_are_named() {
    let table = [
        ("{}", "", "nothing is written in it; write at least `path: /`"),
        (
            "{path: 'http://a/x'}",
            ".path",
            "`http://a/x` is a whole URL; \
             write the path alone; `scheme`, `hostname` and `port` are keys of their own",
        ),
        (
            "{path: \"/a\\nb\"}",
            ".path",
            "`/a\\nb` is not a path; percent-encode blanks and special characters",
        ),
        ("{path: /, interval: 0}", ".interval", "`0` is not longer than zero; write 10ms or more"),
        ("{path: /, interval: 1ns}", ".interval", "`1ns` is too short; write 10ms or more"),
        (
            "{path: /, timeout: 5x}",
            ".timeout",
            "`5x` is not a duration; write seconds, or 500ms, 1m30s",
        ),
        ("{path: /, status: 99}", ".status", "99 is out of range; write 100 to 599"),
        ("{path: /, port: 70000}", ".port", "70000 is out of range; write 1 to 65535"),
        ("{path: /, method: 'G T'}", ".method", "`G T` is not a method; write GET or HEAD"),
        (
            "{path: /, headers: {X: \"a\\r\\nb\"}}",
            ".headers.X",
            "a field that would break the request's head; \
             leave out control characters, and blanks in the name",
        ),
        ("{path: /, mode: grcp}", ".mode", "unknown mode `grcp`; write `http` or `grpc`"),
        (
            "{path: /, scheme: https}",
            ".scheme",
            "not supported by sundew yet: `https`; remove it, or start with --lenient",
        ),
    ];
    for (options, key, want) in table {
        let lines = said(&balancer_file(&format!("{SERVER}healthCheck: {options}")), STRICT);
        assert_eq!(lines.len(), 1, "{options}: {lines:?}");
        let (_, line) = lines[0].split_once(": ").unwrap();
        let at = "http.services.app.loadBalancer.healthCheck";
        assert_eq!(line, format!("{at}{key}: {want}"), "{options}");
    }
}

#[test]
fn texts_that_no_head_has_room_for_are_refused() {
    let (long, longer) = ("x".repeat(1025), "x".repeat(2049));
    let table = [
        format!("{SERVER}sticky: {{cookie: {{name: {long}}}}}"),
        format!("{SERVER}sticky: {{cookie: {{path: /{long}}}}}"),
        format!("servers: [{{url: 'http://a/{longer}'}}]"),
        format!("{SERVER}healthCheck: {{path: /{longer}}}"),
    ];
    for body in table {
        let lines = said(&balancer_file(&body), STRICT);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains(" bytes long; write at most "), "{lines:?}");
    }
}
