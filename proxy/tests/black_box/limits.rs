//! Limits on what one client may send: the size of a body (http1 B14) and the number of requests of
//! a connection (G4).

use crate::support::{Client, Driver, Origin, Setup, Sundew, app, eventually, on_both_drivers};

on_both_drivers!(
    b14_a_length_over_the_limit_is_413_before_anything_is_forwarded,
    b14_a_chunked_upload_is_413_at_the_moment_it_passes_the_limit,
    b14_a_small_chunked_body_over_the_limit_never_reaches_the_server,
    b14_a_body_as_large_as_the_limit_passes,
    b14_after_the_response_has_begun_the_connection_just_ends,
    g4_the_last_request_of_a_connection_is_answered_with_close,
);

const LIMIT: usize = 100_000;

fn start(driver: Driver, origin: &Origin) -> Sundew {
    let setup = Setup::new(driver, app(&[&origin.url()]));
    setup.settings(&format!("limits: {{requestBodyBytes: {LIMIT}}}")).start()
}

#[track_caller]
fn expect_413(client: &mut Client) {
    let response = client.response();
    let text = response.text();
    assert_eq!((response.status, text.as_str()), (413, "413 Request Entity Too Large"));
    assert_eq!(response.field("Connection"), Some("close"));
    client.expect_end();
}

fn b14_a_length_over_the_limit_is_413_before_anything_is_forwarded(driver: Driver) {
    let origin = Origin::named("a");
    let proxy = start(driver, &origin);
    for fields in ["", "Expect: 100-continue\r\n"] {
        let mut client = Client::connect(proxy.address());
        let length = LIMIT + 1;
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: example.test\r\nContent-Length: {length}\r\n{fields}\r\n"
        ));
        expect_413(&mut client);
    }
    assert_eq!((origin.requests().len(), origin.connections()), (0, 0));
    let records = proxy.access_records(2);
    assert!(records.iter().all(|it| it.number("DownstreamStatus") == 413), "{records:?}");
}

fn b14_a_chunked_upload_is_413_at_the_moment_it_passes_the_limit(driver: Driver) {
    let origin = Origin::scripted(|exchange| {
        exchange.read_body();
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        crate::support::Next::KeepAlive
    });
    let proxy = start(driver, &origin);
    let mut client = Client::connect(proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send(format!("{LIMIT:x}\r\n"));
    client.send(vec![b'x'; LIMIT]);
    eventually("the server has the beginning", || origin.requests().pop());
    client.expect_silence(std::time::Duration::from_millis(100));
    // One byte more, and the upload is far from its end.
    client.send("\r\n1\r\ny");
    expect_413(&mut client);
    eventually("the server's connection ends", || (!origin.has_open_connections()).then_some(()));
    assert!(!origin.only_request().is_whole, "the server can tell that it is not whole");
    assert_eq!(proxy.only_record().number("DownstreamStatus"), 413);
    // What was owed a body is not given to anybody else.
    assert_eq!(Client::fetch(proxy.address(), "/").text(), "ok");
    assert_eq!(origin.connections(), 2);
}

fn b14_a_small_chunked_body_over_the_limit_never_reaches_the_server(driver: Driver) {
    let origin = Origin::named("a");
    let setup = Setup::new(driver, app(&[&origin.url()]));
    let proxy = setup.settings("limits: {requestBodyBytes: 5}").start();
    let mut client = Client::connect(proxy.address());
    client.send(
        "POST / HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\n\r\n\
         3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n",
    );
    expect_413(&mut client);
    assert_eq!(origin.requests().len(), 0);
}

fn b14_a_body_as_large_as_the_limit_passes(driver: Driver) {
    let origin = Origin::named("a");
    let proxy = start(driver, &origin);
    let mut client = Client::connect(proxy.address());
    let body = vec![b'x'; LIMIT];
    let head = "POST / HTTP/1.1\r\nHost: example.test\r\n";
    client.send(format!("{head}Content-Length: {LIMIT}\r\n\r\n"));
    client.send(&body);
    assert_eq!(client.response().status, 200);
    client.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n"));
    // The framing does not count.
    for piece in body.chunks(10) {
        client.send([b"a\r\n", piece, b"\r\n"].concat());
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.response().status, 200);
    assert!(origin.requests().iter().all(|request| request.body == body));
}

fn b14_after_the_response_has_begun_the_connection_just_ends(driver: Driver) {
    // A second status would be bytes of the response.
    let (may_end, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let origin = Origin::scripted(move |exchange| {
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha");
        let _ = wait.lock().expect("the only reader").recv();
        exchange.send("lf");
        crate::support::Next::Close
    });
    let proxy = start(driver, &origin);
    let mut client = Client::connect(proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send("3\r\nabc\r\n");
    let head = client.head();
    assert_eq!(head.line, "HTTP/1.1 200 OK");
    let count = LIMIT + 1;
    client.send([format!("{count:x}\r\n").as_bytes(), &vec![b'x'; count]].concat());
    may_end.send(()).expect("the origin waits");
    assert_eq!(client.read_exact(4), b"half");
    client.expect_end();
}

fn g4_the_last_request_of_a_connection_is_answered_with_close(driver: Driver) {
    let origin = Origin::named("a");
    let limit = "limits: {requestsPerConnection: 2}";
    let setup = |entry_point| {
        Setup::new(driver, app(&[&origin.url()])).settings(limit).entry_point(entry_point).start()
    };
    for (entry_point, requests) in [("", 2), ("transport: {keepAliveMaxRequests: 3}", 3)] {
        let proxy = setup(entry_point);
        let mut client = Client::connect(proxy.address());
        for number in 1..=requests {
            let response = client.get("/", "");
            assert_eq!(response.status, 200);
            let is_last = response.field("Connection") == Some("close");
            assert_eq!(is_last, number == requests, "request {number} of {requests}");
        }
        client.expect_end();
        assert_eq!(Client::fetch(proxy.address(), "/").status, 200, "a new connection");
    }
}
