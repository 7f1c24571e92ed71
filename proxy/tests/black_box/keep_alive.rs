//! Connections on both sides: how long they live, and what travels on them in which order.

use std::time::Duration;

use crate::support::{Client, Driver, Next, Origin, Setup, app, app_with, on_both_drivers};

on_both_drivers!(
    one_connection_on_either_side_serves_many_requests,
    clients_share_upstream_connections,
    a_hundred_pipelined_requests_are_answered_in_order,
    pipelined_posts_keep_their_bodies_apart,
    connection_close_ends_the_connection_and_the_pipelined_rest,
    an_http_1_0_client_is_closed_unless_it_asks_to_stay,
    an_http_1_0_client_never_gets_chunks,
    a_connection_is_closed_after_its_number_of_requests,
    an_idle_connection_is_closed_after_the_idle_timeout,
    a_server_that_closes_is_not_kept,
    one_empty_line_before_a_request_is_skipped,
    a_date_is_added_unless_the_server_sent_one,
);

fn one_connection_on_either_side_serves_many_requests(driver: Driver) {
    let origin = Origin::named("a");
    let proxy = Setup::new(driver, app(&[&origin.url()])).start();
    let mut client = Client::connect(proxy.address());
    for _ in 0..50 {
        let response = client.get("/", "");
        assert_eq!((response.status, response.text().as_str()), (200, "a"));
        assert_eq!(response.field("Connection"), None);
    }
    assert_eq!((origin.requests().len(), origin.connections()), (50, 1));
    assert_eq!(proxy.access_records(50).len(), 50);
}

fn clients_share_upstream_connections(driver: Driver) {
    let origin = Origin::named("a");
    let proxy = Setup::new(driver, app(&[&origin.url()])).start();
    for _ in 0..10 {
        assert_eq!(Client::fetch(proxy.address(), "/").text(), "a");
    }
    assert_eq!((origin.requests().len(), origin.connections()), (10, 1));
}

fn a_hundred_pipelined_requests_are_answered_in_order(driver: Driver) {
    let origin = Origin::scripted(|exchange| {
        let target = exchange.request.line().split(' ').nth(1).unwrap_or("").to_owned();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", target.len());
        exchange.send(head + &target);
        Next::KeepAlive
    });
    let proxy = Setup::new(driver, app(&[&origin.url()])).start();
    let mut client = Client::connect(proxy.address());
    let ask = |number| format!("GET /{number} HTTP/1.1\r\nHost: example.test\r\n\r\n");
    client.send((0..100).map(ask).collect::<String>());
    for number in 0..100 {
        assert_eq!(client.response().text(), format!("/{number}"));
    }
    assert_eq!(origin.requests().len(), 100);
}

fn pipelined_posts_keep_their_bodies_apart(driver: Driver) {
    let origin = Origin::scripted(|exchange| {
        let body = exchange.read_body();
        exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
        exchange.send(&body);
        Next::KeepAlive
    });
    let proxy = Setup::new(driver, app(&[&origin.url()])).start();
    let mut client = Client::connect(proxy.address());
    let mut bytes = String::new();
    for number in 0..20 {
        let body = format!("GET /smuggled HTTP/1.1 {number}");
        bytes += "POST / HTTP/1.1\r\nHost: example.test\r\n";
        if number % 2 == 0 {
            bytes += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
        } else {
            let size = body.len();
            bytes += &format!("Transfer-Encoding: chunked\r\n\r\n{size:x}\r\n{body}\r\n0\r\n\r\n");
        }
    }
    client.send(bytes);
    for number in 0..20 {
        assert_eq!(client.response().text(), format!("GET /smuggled HTTP/1.1 {number}"));
    }
    assert!(origin.requests().iter().all(|request| request.line() == "POST / HTTP/1.1"));
}

fn connection_close_ends_the_connection_and_the_pipelined_rest(driver: Driver) {
    let origin = Origin::named("a");
    let proxy = Setup::new(driver, app(&[&origin.url()])).start();
    let mut client = Client::connect(proxy.address());
    client.send(
        "GET /first HTTP/1.1\r\nHost: example.test\r\nConnection: close\r\n\r\n\
         GET /second HTTP/1.1\r\nHost: example.test\r\n\r\n",
    );
    let response = client.response();
    assert_eq!(response.field("Connection"), Some("close"));
    client.expect_end();
    assert_eq!(origin.only_request().line(), "GET /first HTTP/1.1");
    assert_eq!(origin.only_request().field("Connection"), None);
}

fn an_http_1_0_client_is_closed_unless_it_asks_to_stay(driver: Driver) {
    let origin = Origin::named("a");
    let proxy = Setup::new(driver, app(&[&origin.url()])).start();
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.0\r\nHost: example.test\r\n\r\n");
    assert_eq!(client.response().text(), "a");
    client.expect_end();

    let mut client = Client::connect(proxy.address());
    for _ in 0..3 {
        client.send("GET / HTTP/1.0\r\nHost: example.test\r\nConnection: keep-alive\r\n\r\n");
        let response = client.response();
        assert_eq!(
            (response.text().as_str(), response.field("Connection")),
            ("a", Some("keep-alive"))
        );
    }
    assert!(origin.requests().iter().all(|request| request.line() == "GET / HTTP/1.1"));
}

fn an_http_1_0_client_never_gets_chunks(driver: Driver) {
    let origin = Origin::fixed(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        Next::KeepAlive,
    );
    let proxy = Setup::new(driver, app(&[&origin.url()])).start();
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.0\r\nHost: example.test\r\nConnection: keep-alive\r\n\r\n");
    let response = client.response();
    assert_eq!((response.text().as_str(), response.field("Transfer-Encoding")), ("abcde", None));
    assert_ne!(response.field("Connection"), Some("keep-alive"));
}

fn a_connection_is_closed_after_its_number_of_requests(driver: Driver) {
    let origin = Origin::named("a");
    let setup = Setup::new(driver, app(&[&origin.url()]));
    let proxy = setup.entry_point("transport: {keepAliveMaxRequests: 3}").start();
    let mut client = Client::connect(proxy.address());
    for want in [None, None, Some("close")] {
        assert_eq!(client.get("/", "").field("Connection"), want);
    }
    client.expect_end();
}

fn an_idle_connection_is_closed_after_the_idle_timeout(driver: Driver) {
    let origin = Origin::named("a");
    let timeouts = "transport: {respondingTimeouts: {idleTimeout: 300ms}}";
    let proxy = Setup::new(driver, app(&[&origin.url()])).entry_point(timeouts).start();
    let mut client = Client::connect(proxy.address());
    assert_eq!(client.get("/", "").status, 200);
    client.expect_silence(Duration::from_millis(150));
    client.expect_end();
}

fn a_server_that_closes_is_not_kept(driver: Driver) {
    let origin = Origin::fixed(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        Next::Close,
    );
    let proxy = Setup::new(driver, app(&[&origin.url()])).start();
    let mut client = Client::connect(proxy.address());
    for _ in 0..5 {
        let response = client.get("/", "");
        assert_eq!((response.text().as_str(), response.field("Connection")), ("ok", None));
    }
    assert_eq!(origin.connections(), 5);
}

fn one_empty_line_before_a_request_is_skipped(driver: Driver) {
    // Old clients send one after the body of a POST (http1 C13).
    let origin = Origin::named("a");
    let proxy = Setup::new(driver, app(&[&origin.url()])).start();
    let mut client = Client::connect(proxy.address());
    client.send("\r\nGET / HTTP/1.1\r\nHost: example.test\r\n\r\n");
    assert_eq!(client.response().status, 200);
    client.send("\r\nGET / HTTP/1.1\r\nHost: example.test\r\n\r\n");
    assert_eq!(client.response().status, 200);
}

fn a_date_is_added_unless_the_server_sent_one(driver: Driver) {
    let origin = Origin::scripted(|exchange| {
        let date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
        let date = if exchange.request.line().contains("own") { date } else { "" };
        exchange.send(format!("HTTP/1.1 200 OK\r\n{date}Content-Length: 0\r\n\r\n"));
        Next::KeepAlive
    });
    let proxy = Setup::new(driver, app_with("", &[&origin.url()])).start();
    let mut client = Client::connect(proxy.address());
    assert_eq!(client.get("/own", "").all("Date"), ["Sun, 06 Nov 1994 08:49:37 GMT"]);
    let response = client.get("/", "");
    let date = response.field("Date").expect("a Date");
    assert!(date.ends_with(" GMT") && date.len() == 29, "{date:?}");
    assert_eq!(response.field("Server"), None);
}
