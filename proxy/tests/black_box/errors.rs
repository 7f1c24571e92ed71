//! What the proxy itself answers: status, text and fields are Traefik's, byte for byte.

use crate::support::{
    Client, ClosedPort, Driver, Next, Origin, Response, Setup, app, app_with, eventually,
    on_both_drivers,
};

on_both_drivers!(
    no_router_is_404,
    no_server_is_503,
    a_server_that_refuses_is_502,
    a_server_that_closes_without_a_byte_is_502,
    a_server_that_resets_is_502,
    a_malformed_answer_of_a_server_is_502,
    lax_but_clear_answers_of_a_server_are_repaired,
    g8_a_silent_server_is_504,
    a_client_that_leaves_is_499_in_the_log,
    an_error_keeps_the_connection,
);

#[track_caller]
fn expect_plain(response: &Response, status: u16, body: &str) {
    assert_eq!((response.status, response.text().as_str()), (status, body));
    assert_eq!(response.field("Content-Type"), Some("text/plain; charset=utf-8"));
    assert_eq!(response.field("X-Content-Type-Options"), Some("nosniff"));
}

#[track_caller]
fn expect_bare(response: &Response, status: u16, body: &str) {
    assert_eq!((response.status, response.text().as_str()), (status, body));
    assert_eq!(response.field("Content-Type"), None);
    assert_eq!(response.field("Content-Length"), Some(body.len().to_string().as_str()));
}

fn no_router_is_404(driver: Driver) {
    let origin = Origin::named("a");
    let text = app(&[&origin.url()]).replace("PathPrefix(`/`)", "Host(`other.test`)");
    let proxy = Setup::new(driver, text).start();
    let response = Client::fetch(proxy.address(), "/");
    expect_plain(&response, 404, "404 page not found\n");
    assert_eq!(response.head.line, "HTTP/1.1 404 Not Found");
    let record = proxy.only_record();
    assert_eq!(record.number("DownstreamStatus"), 404);
    assert!(!record.has("RouterName") && !record.has("ServiceName"), "{record:?}");
    assert_eq!(origin.requests().len(), 0);
}

fn no_server_is_503(driver: Driver) {
    let proxy = Setup::new(driver, app(&[])).start();
    let response = Client::fetch(proxy.address(), "/");
    expect_plain(&response, 503, "no available server\n");
    let record = proxy.only_record();
    assert_eq!((record.number("DownstreamStatus"), record.text("RouterName")), (503, "app@file"));
}

fn a_server_that_refuses_is_502(driver: Driver) {
    let dead = ClosedPort::new();
    let proxy = Setup::new(driver, app_with("", &[&dead.url()])).start();
    expect_bare(&Client::fetch(proxy.address(), "/"), 502, "Bad Gateway");
    let record = proxy.only_record();
    assert_eq!(record.number("DownstreamStatus"), 502);
    assert_eq!(record.text("ServiceURL"), dead.url());
    assert_eq!(record.text("ServiceAddr"), dead.address().to_string());
}

fn a_server_that_closes_without_a_byte_is_502(driver: Driver) {
    let origin = Origin::scripted(|_| Next::Close);
    let proxy = Setup::new(driver, app_with("", &[&origin.url()])).start();
    expect_bare(&Client::fetch(proxy.address(), "/"), 502, "Bad Gateway");
    // A first use that fails is never repeated: the request may have had its effect.
    assert_eq!(origin.requests().len(), 1);
}

fn a_server_that_resets_is_502(driver: Driver) {
    let origin = Origin::scripted(|exchange| {
        exchange.reset_on_close();
        Next::Close
    });
    let proxy = Setup::new(driver, app_with("", &[&origin.url()])).start();
    expect_bare(&Client::fetch(proxy.address(), "/"), 502, "Bad Gateway");
}

fn a_malformed_answer_of_a_server_is_502(driver: Driver) {
    let table: [(&str, &str); 16] = [
        ("no HTTP at all", "hello\r\n\r\n"),
        ("an unknown version", "HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("a short status", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"),
        ("a long status", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"),
        ("a status of letters", "HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n"),
        ("a line without a colon", "HTTP/1.1 200 OK\r\nbroken\r\nContent-Length: 0\r\n\r\n"),
        ("an end inside the head", "HTTP/1.1 200 OK\r\nContent-Le"),
        ("NUL in a value", "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n"),
        ("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        ("a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
        ("a length with a sign", "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na"),
        ("an empty length", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n"),
        ("an unknown coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n"),
        (
            "gzip beside chunked",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        ),
        ("a bare CR", "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n"),
        ("an empty name", "HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 0\r\n\r\n"),
    ];
    for (name, bytes) in table {
        let origin = Origin::fixed(bytes, Next::Close);
        let proxy = Setup::new(driver, app_with("", &[&origin.url()])).start();
        let response = Client::fetch(proxy.address(), "/");
        assert_eq!((response.status, response.text().as_str()), (502, "Bad Gateway"), "{name}");
    }
}

fn lax_but_clear_answers_of_a_server_are_repaired(driver: Driver) {
    let table = [
        ("no reason", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok"),
        ("an empty reason", "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok"),
        ("equal lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"),
        ("HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    ];
    for (name, bytes) in table {
        let origin = Origin::fixed(bytes, Next::Close);
        let proxy = Setup::new(driver, app_with("", &[&origin.url()])).start();
        let response = Client::fetch(proxy.address(), "/");
        assert_eq!((response.status, response.text().as_str()), (200, "ok"), "{name}");
        assert_eq!(response.all("Content-Length"), ["2"], "{name}");
    }
}

fn g8_a_silent_server_is_504(driver: Driver) {
    let origin = Origin::scripted(|exchange| {
        // Until the proxy gives up.
        exchange.read_some();
        Next::Close
    });
    let text = app_with("serversTransport: quick", &[&origin.url()])
        + "  serversTransports:\n    quick: {forwardingTimeouts: {responseHeaderTimeout: 300ms}}\n";
    let proxy = Setup::new(driver, text).start();
    expect_bare(&Client::fetch(proxy.address(), "/"), 504, "Gateway Timeout");
    assert_eq!(proxy.only_record().number("DownstreamStatus"), 504);
    assert_eq!(origin.requests().len(), 1);
}

fn a_client_that_leaves_is_499_in_the_log(driver: Driver) {
    let origin = Origin::scripted(|exchange| {
        // Ends when the proxy drops the connection for want of a client.
        exchange.read_some();
        exchange.request.is_whole = true;
        exchange.record();
        Next::Close
    });
    let proxy = Setup::new(driver, app_with("", &[&origin.url()])).start();
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: example.test\r\n\r\n");
    eventually("the request arrives", || origin.requests().pop());
    drop(client);
    assert_eq!(proxy.only_record().number("DownstreamStatus"), 499);
    eventually("the upstream connection ends too", || origin.only_request().is_whole.then_some(()));
}

fn an_error_keeps_the_connection(driver: Driver) {
    let dead = ClosedPort::new();
    let proxy = Setup::new(driver, app_with("", &[&dead.url()])).start();
    let mut client = Client::connect(proxy.address());
    for _ in 0..3 {
        assert_eq!(client.get("/", "").status, 502);
    }
    assert_eq!(client.ask("HEAD", "/", "").status, 502);
    assert_eq!(client.get("/", "").text(), "Bad Gateway");
}
