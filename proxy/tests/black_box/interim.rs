//! 1xx responses and `Expect: 100-continue`.

use std::time::{Duration, Instant};

use crate::support::{Client, Driver, Next, Origin, Setup, app, on_both_drivers, pin_of};

on_both_drivers!(
    every_interim_response_is_forwarded_in_order,
    an_http_1_0_client_gets_no_interim_response,
    a_100_of_the_server_reaches_the_client_before_it_sends,
    a_silent_server_does_not_keep_the_client_waiting,
    an_early_final_answer_comes_instead_of_100,
    an_unknown_expectation_is_refused,
    a_body_sent_without_waiting_is_forwarded,
);

const UPLOAD: &str = "POST /upload HTTP/1.1\r\nHost: example.test\r\nContent-Length: 4\r\n\
                      Expect: 100-continue\r\n\r\n";

fn every_interim_response_is_forwarded_in_order(driver: Driver) {
    let origin = Origin::fixed(
        "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
         HTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        Next::KeepAlive,
    );
    let proxy = Setup::new(driver, app(&[&origin.url()])).start();
    let mut client = Client::connect(proxy.address());
    for _ in 0..2 {
        let response = client.get("/", "");
        let lines: Vec<_> = response.interim.iter().map(|it| &it.line[..12]).collect();
        assert_eq!(lines, ["HTTP/1.1 102", "HTTP/1.1 103", "HTTP/1.1 103"]);
        assert_eq!(response.interim[2].field("Link"), Some("</b>"));
        assert_eq!(response.text(), "ok");
        assert_eq!(response.cookie("sid"), Some(pin_of(&origin.url()).as_str()));
    }
    assert_eq!(origin.connections(), 1);
    assert_eq!(proxy.access_records(2)[0].number("DownstreamStatus"), 200);
}

fn an_http_1_0_client_gets_no_interim_response(driver: Driver) {
    let origin = Origin::fixed(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        Next::KeepAlive,
    );
    let proxy = Setup::new(driver, app(&[&origin.url()])).start();
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.0\r\n\r\n");
    let response = client.response();
    assert_eq!((response.interim.len(), response.text().as_str()), (0, "ok"));
}

fn a_100_of_the_server_reaches_the_client_before_it_sends(driver: Driver) {
    let origin = Origin::scripted(|exchange| {
        exchange.send("HTTP/1.1 100 Continue\r\n\r\n");
        let body = exchange.read_body();
        exchange.send(format!("HTTP/1.1 201 Created\r\nContent-Length: {}\r\n\r\n", body.len()));
        exchange.send(&body);
        Next::KeepAlive
    });
    let proxy = Setup::new(driver, app(&[&origin.url()])).start();
    let mut client = Client::connect(proxy.address());
    client.send(UPLOAD);
    assert_eq!(client.head().line, "HTTP/1.1 100 Continue");
    client.send("data");
    let response = client.response();
    assert_eq!((response.status, response.text().as_str()), (201, "data"));
    assert_eq!(response.interim.len(), 0, "a second 100: {response:?}");
    assert_eq!(response.cookie("sid"), Some(pin_of(&origin.url()).as_str()));
    assert_eq!(origin.only_request().all("Expect"), ["100-continue"]);
    assert_eq!(client.get("/", "").interim.len(), 1);
}

fn a_silent_server_does_not_keep_the_client_waiting(driver: Driver) {
    let origin = Origin::named("a");
    let proxy = Setup::new(driver, app(&[&origin.url()])).start();
    let mut client = Client::connect(proxy.address());
    let begin = Instant::now();
    client.send(UPLOAD);
    assert_eq!(client.head().line, "HTTP/1.1 100 Continue");
    assert!(begin.elapsed() < Duration::from_secs(4), "100 took {:?}", begin.elapsed());
    client.send("data");
    let response = client.response();
    assert_eq!((response.status, response.interim.len()), (200, 0));
    assert_eq!(origin.only_request().body, b"data");
}

fn an_early_final_answer_comes_instead_of_100(driver: Driver) {
    let origin = Origin::scripted(|exchange| {
        exchange.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno");
        Next::Close
    });
    let proxy = Setup::new(driver, app(&[&origin.url()])).start();
    let mut client = Client::connect(proxy.address());
    client.send(UPLOAD);
    let response = client.response();
    assert_eq!((response.status, response.text().as_str()), (401, "no"));
    assert_eq!(response.interim.len(), 0, "{response:?}");
    assert_eq!(origin.only_request().body, b"");
}

fn an_unknown_expectation_is_refused(driver: Driver) {
    let origin = Origin::named("a");
    let proxy = Setup::new(driver, app(&[&origin.url()])).start();
    for expectation in ["200-ok", "100-continue, x"] {
        let mut client = Client::connect(proxy.address());
        let response = client.get("/", &format!("Expect: {expectation}\r\n"));
        assert_eq!(response.status, 417, "{expectation:?}");
        client.expect_end();
    }
    assert_eq!(origin.requests().len(), 0);
}

fn a_body_sent_without_waiting_is_forwarded(driver: Driver) {
    let origin = Origin::named("a");
    let proxy = Setup::new(driver, app(&[&origin.url()])).start();
    let mut client = Client::connect(proxy.address());
    client.send(format!("{UPLOAD}data"));
    let response = client.response();
    assert_eq!((response.status, response.text().as_str()), (200, "a"));
    assert_eq!(origin.only_request().body, b"data");
    assert_eq!(client.get("/", "").status, 200);
}
