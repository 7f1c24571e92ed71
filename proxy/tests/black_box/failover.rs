//! `failover`: by health, by the answers of its main service, and what its clients see.

use crate::support::{
    Client, ClosedPort, Driver, Next, Origin, Response, Setup, Sundew, eventually, on_both_drivers,
    pin_of,
};

on_both_drivers!(
    the_fallback_answers_while_the_main_service_is_down,
    an_empty_main_service_is_down,
    both_down_is_503_in_the_words_of_traefik,
    an_error_of_the_main_service_is_not_shown,
    a_main_service_that_refuses_is_left,
    an_answer_that_is_no_error_passes,
    bodies_reach_the_fallback_whole,
    a_body_beyond_the_limit_is_413,
    a_client_that_waits_for_100_is_told_to_go_on,
    a_failover_inside_a_weighted_service_keeps_the_outer_pin,
);

/// A failover `app` of `main` and `fallback`, each with a cookie of its own.
fn failover(lines: &str, main: &str, fallback: &str, check: &str) -> String {
    let service = |cookie: &str, url: &str| {
        let servers = if url.is_empty() { String::new() } else { format!("{{url: \"{url}\"}}") };
        format!(
            "{{loadBalancer: {{{check} sticky: {{cookie: {{name: {cookie}}}}}, \
             servers: [{servers}]}}}}"
        )
    };
    format!(
        "http:\n  routers: {{app: {{rule: \"PathPrefix(`/`)\", service: app}}}}\n  services:\n    \
         app: {{failover: {{service: main, fallback: fallback, {lines}}}}}\n    \
         main: {}\n    fallback: {}\n",
        service("m", main),
        service("f", fallback)
    )
}

const CHECK: &str = "healthCheck: {path: /, interval: 50ms, timeout: 1s},";
const ERRORS: &str = "errors: {status: ['500-502', 404]}";

fn start(driver: Driver, text: String) -> Sundew {
    Setup::new(driver, text).start()
}

/// Answers with the status that the target names: `/500`; 200 otherwise.
fn by_target(name: &'static str) -> Origin {
    Origin::scripted(move |exchange| {
        exchange.read_body();
        let target = exchange.request.line().split(' ').nth(1).unwrap_or("/").to_owned();
        let status = target[1..].parse::<u16>().unwrap_or(200);
        let length = name.len();
        exchange.send(format!(
            "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nSet-Cookie: own={name}\r\n\r\n{name}"
        ));
        Next::KeepAlive
    })
}

#[track_caller]
fn expect(response: &Response, status: u16, text: &str) {
    assert_eq!((response.status, response.text().as_str()), (status, text));
}

fn the_fallback_answers_while_the_main_service_is_down(driver: Driver) {
    let (mut main, fallback) = (Origin::named("main"), Origin::named("fallback"));
    let proxy = start(driver, failover("", &main.url(), &fallback.url(), CHECK));
    let first = Client::fetch(proxy.address(), "/");
    expect(&first, 200, "main");
    assert_eq!(first.all("Set-Cookie"), [format!("m={}; Path=/", pin_of(&main.url()))]);
    main.stop();
    // At once, because it refuses; and later, because its check has failed.
    for _ in 0..3 {
        let response = Client::fetch(proxy.address(), "/");
        expect(&response, 200, "fallback");
        assert_eq!(response.all("Set-Cookie"), [format!("f={}; Path=/", pin_of(&fallback.url()))]);
        proxy.wait_for_log("is down");
    }
    main.start();
    eventually("the main service is asked again", || {
        (Client::fetch(proxy.address(), "/").text() == "main").then_some(())
    });
}

fn an_empty_main_service_is_down(driver: Driver) {
    let fallback = Origin::named("fallback");
    let proxy = start(driver, failover("", "", &fallback.url(), CHECK));
    expect(&Client::fetch(proxy.address(), "/"), 200, "fallback");
}

fn both_down_is_503_in_the_words_of_traefik(driver: Driver) {
    for (lines, text) in
        [("healthCheck: {}", "Service Unavailable\n"), ("", "no available server\n")]
    {
        let proxy = start(driver, failover(lines, "", "", CHECK));
        let response = Client::fetch(proxy.address(), "/");
        expect(&response, 503, text);
        assert_eq!(response.field("Content-Type"), Some("text/plain; charset=utf-8"));
        assert_eq!(response.field("X-Content-Type-Options"), Some("nosniff"));
    }
}

fn an_error_of_the_main_service_is_not_shown(driver: Driver) {
    let (main, fallback) = (by_target("main"), Origin::named("fallback"));
    let proxy = start(driver, failover(ERRORS, &main.url(), &fallback.url(), ""));
    let mut client = Client::connect(proxy.address());
    for status in ["500", "502", "404"] {
        let response = client.get(&format!("/{status}"), "");
        expect(&response, 200, "fallback");
        // Nothing of the main service's answer is left, its pins included.
        let pins = [format!("f={}; Path=/", pin_of(&fallback.url()))];
        assert_eq!(response.all("Set-Cookie"), pins);
    }
    assert_eq!((main.requests().len(), fallback.requests().len()), (3, 3));
    drop(client);
    let records = proxy.access_records(3);
    assert_eq!(records[0].text("ServiceName"), "fallback@file");
    assert_eq!(
        (records[0].number("DownstreamStatus"), records[0].number("RetryAttempts")),
        (200, 1)
    );
}

fn a_main_service_that_refuses_is_left(driver: Driver) {
    let (closed, fallback) = (ClosedPort::new(), Origin::named("fallback"));
    let proxy = start(driver, failover(ERRORS, &closed.url(), &fallback.url(), ""));
    let mut client = Client::connect(proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    expect(&client.response(), 200, "fallback");
    assert_eq!(fallback.only_request().body, b"abc");

    // An answer that never comes whole is a 502, which is one of the errors.
    let silent = Origin::scripted(|_| Next::Close);
    let proxy = start(driver, failover(ERRORS, &silent.url(), &fallback.url(), ""));
    expect(&Client::fetch(proxy.address(), "/"), 200, "fallback");
}

fn an_answer_that_is_no_error_passes(driver: Driver) {
    let (main, fallback) = (by_target("main"), Origin::named("fallback"));
    let proxy = start(driver, failover(ERRORS, &main.url(), &fallback.url(), ""));
    for status in [200, 403, 503] {
        let response = Client::fetch(proxy.address(), &format!("/{status}"));
        expect(&response, status, "main");
        assert_eq!(
            response.field("Set-Cookie"),
            Some(&*format!("m={}; Path=/", pin_of(&main.url())))
        );
    }
    assert_eq!(fallback.requests().len(), 0);
}

fn bodies_reach_the_fallback_whole(driver: Driver) {
    let (main, fallback) = (by_target("main"), Origin::named("fallback"));
    let proxy = start(driver, failover(ERRORS, &main.url(), &fallback.url(), ""));
    let mut client = Client::connect(proxy.address());
    for length in [1, 30_000, 40_000, 1_000_000] {
        let body: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        client.send(format!("POST /500 HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"));
        client.send(&body);
        expect(&client.response(), 200, "fallback");
        client.send("POST /500 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        for piece in body.chunks(9_999) {
            client.send(format!("{:x}\r\n", piece.len()));
            client.send(piece);
            client.send("\r\n");
        }
        client.send("0\r\n\r\n");
        expect(&client.response(), 200, "fallback");
        for origin in [&main, &fallback] {
            let requests = origin.requests();
            assert!(requests.iter().rev().take(2).all(|it| it.body == body), "{length}");
        }
    }
}

fn a_body_beyond_the_limit_is_413(driver: Driver) {
    let (main, fallback) = (by_target("main"), Origin::named("fallback"));
    let lines = "errors: {status: [500], maxRequestBodyBytes: 4}";
    let proxy = start(driver, failover(lines, &main.url(), &fallback.url(), ""));
    for request in [
        "POST /500 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345",
        "POST /500 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n",
    ] {
        let mut client = Client::connect(proxy.address());
        client.send(request);
        let response = client.response();
        expect(&response, 413, "Request body too large\n");
        assert_eq!(response.field("Set-Cookie"), None, "nobody was asked");
        client.expect_end();
    }
    assert_eq!((main.requests().len(), fallback.requests().len()), (0, 0));
    let mut client = Client::connect(proxy.address());
    client.send("POST /500 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n1234");
    expect(&client.response(), 200, "fallback");
}

fn a_client_that_waits_for_100_is_told_to_go_on(driver: Driver) {
    let (main, fallback) = (by_target("main"), Origin::named("fallback"));
    let proxy = start(driver, failover(ERRORS, &main.url(), &fallback.url(), ""));
    let mut client = Client::connect(proxy.address());
    client
        .send("POST /500 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.head().line, "HTTP/1.1 100 Continue");
    client.send("abc");
    expect(&client.response(), 200, "fallback");
    assert_eq!(fallback.only_request().body, b"abc");
}

fn a_failover_inside_a_weighted_service_keeps_the_outer_pin(driver: Driver) {
    let (main, fallback) = (by_target("main"), Origin::named("fallback"));
    let text = failover(ERRORS, &main.url(), &fallback.url(), "")
        .replace("service: app}", "service: top}")
        + "    top: {weighted: {sticky: {cookie: {name: top}}, services: [{name: app}, {name: app2}]}}\n"
        + "    app2: {failover: {service: main, fallback: fallback, errors: {status: [500]}}}\n";
    let proxy = start(driver, text);
    let pinned = format!("top={}", pin_of("app2"));
    let mut client = Client::connect(proxy.address());
    let response = client.get("/500", &format!("Cookie: {pinned}\r\n"));
    expect(&response, 200, "fallback");
    assert_eq!(response.cookie("top"), None, "it holds");
    expect(&client.get("/404", &format!("Cookie: {pinned}\r\n")), 404, "main");
    let response = client.get("/500", "");
    let lines = response.all("Set-Cookie");
    assert!(
        lines.len() == 2 && lines[0].starts_with("top=") && lines[1].starts_with("f="),
        "{lines:?}"
    );
}
