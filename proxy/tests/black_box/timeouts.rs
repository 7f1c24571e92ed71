//! Whoever is too slow, client or server, is let go within its limit, and nobody else is.

use std::io::ErrorKind;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{
    Client, Driver, Exchange, FullQueue, Next, Origin, Setup, app, app_with, eventually,
    on_both_drivers,
};

on_both_drivers!(
    a_server_that_takes_no_connection_is_504_after_the_dial_timeout,
    a_server_that_takes_no_connection_is_left_for_another,
    the_response_header_timeout_does_not_limit_a_body,
    the_response_header_timeout_begins_after_the_upload,
    an_upload_that_was_invited_and_never_comes_is_408,
    an_idle_connection_to_a_server_is_closed_after_its_timeout,
    an_idle_tunnel_is_closed_after_its_timeout,
    a_client_that_half_closes_counts_as_gone,
    a_connection_without_a_request_is_closed_after_the_idle_timeout,
    a_dripping_head_is_408_after_the_head_timeout,
    the_read_timeout_limits_a_head,
    the_read_timeout_limits_a_body_that_keeps_coming,
    a_stalled_body_is_408_after_its_window,
    a_slow_body_above_the_least_rate_is_served,
    a_dripping_response_is_cut_at_the_write_timeout,
    a_connection_is_closed_after_its_time,
    a_client_that_never_reads_is_cut_after_the_send_timeout,
    a_client_that_reads_slowly_is_served,
    a_client_that_leaves_frees_its_server_within_a_second,
);

/// Between two drops of what drips.
const DRIP: Duration = Duration::from_millis(50);

/// Sends `drop` again and again, until the other side has had enough or a test would be stuck.
fn drip(mut send: impl FnMut() -> bool) {
    let end = Instant::now() + crate::support::DEADLINE;
    while send() {
        assert!(Instant::now() < end, "still dripping");
        thread::sleep(DRIP);
    }
}

/// Reads the answer to a client that was too slow, which is the last on its connection.
#[track_caller]
fn expect_408(client: &mut Client) {
    let response = client.response();
    assert_eq!((response.status, response.text().as_str()), (408, "408 Request Timeout"));
    assert_eq!(response.field("Connection"), Some("close"));
    client.expect_end();
}

/// Asserts that the server saw the beginning of one request and then the end of the connection.
#[track_caller]
fn expect_cut(origin: &Origin) {
    eventually("the request arrives", || origin.requests().pop());
    eventually("the server's connection ends", || (!origin.has_open_connections()).then_some(()));
    assert!(!origin.only_request().is_whole);
}

/// The dynamic file of `app` with the lines of a transport's `forwardingTimeouts`.
fn app_within(timeouts: &str, urls: &[&str]) -> String {
    app_with("serversTransport: quick\nsticky: {cookie: {name: sid}}", urls)
        + &format!("  serversTransports: {{quick: {{forwardingTimeouts: {{{timeouts}}}}}}}\n")
}

fn a_server_that_takes_no_connection_is_504_after_the_dial_timeout(driver: Driver) {
    let full = FullQueue::new();
    let text = app_within("dialTimeout: 300ms", &[&full.url()]);
    let proxy = Setup::new(driver, text).start();
    let mut client = Client::connect(proxy.address());
    let began = Instant::now();
    let response = client.get("/", "");
    assert!(began.elapsed() >= Duration::from_millis(250), "{:?}", began.elapsed());
    assert_eq!((response.status, response.text().as_str()), (504, "Gateway Timeout"));
    let record = proxy.only_record();
    assert_eq!((record.number("DownstreamStatus"), record.text("ServiceURL")), (504, &*full.url()));
    assert_eq!(client.get("/", "").status, 504, "the connection stays");
}

fn a_server_that_takes_no_connection_is_left_for_another(driver: Driver) {
    let (full, b) = (FullQueue::new(), Origin::named("b"));
    let text = app_within("dialTimeout: 300ms", &[&full.url(), &b.url()]);
    let proxy = Setup::new(driver, text).start();
    let pin = crate::support::pin_of(&full.url());
    let response = Client::fetch_with_cookie(proxy.address(), &format!("sid={pin}"));
    assert_eq!((response.status, response.text().as_str()), (200, "b"));
    assert_eq!(response.cookie("sid"), Some(crate::support::pin_of(&b.url()).as_str()));
    assert_eq!(proxy.only_record().sticky(), "redispatched");
}

fn the_response_header_timeout_does_not_limit_a_body(driver: Driver) {
    let origin = Origin::scripted(|exchange| {
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n");
        for _ in 0..20 {
            thread::sleep(DRIP);
            exchange.send(".");
        }
        Next::KeepAlive
    });
    let text = app_within("responseHeaderTimeout: 800ms", &[&origin.url()]);
    let proxy = Setup::new(driver, text).start();
    let response = Client::fetch(proxy.address(), "/");
    assert_eq!((response.status, response.text().as_str()), (200, "...................."));
}

fn the_response_header_timeout_begins_after_the_upload(driver: Driver) {
    let origin = reads_bodies();
    let text = app_within("responseHeaderTimeout: 800ms", &[&origin.url()]);
    let proxy = Setup::new(driver, text).start();
    let mut client = Client::connect(proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: example.test\r\nContent-Length: 20\r\n\r\n");
    for _ in 0..20 {
        thread::sleep(DRIP);
        client.send(".");
    }
    assert_eq!(client.response().status, 200);
    assert!(origin.only_request().is_whole);
}

fn an_upload_that_was_invited_and_never_comes_is_408(driver: Driver) {
    let origin = Origin::scripted(|exchange| {
        exchange.send("HTTP/1.1 100 Continue\r\n\r\n");
        exchange.read_body();
        Next::Close
    });
    let setup = Setup::new(driver, app(&[&origin.url()]));
    let proxy = setup.settings("limits: {bodyRateMin: 1000, bodyRateWindow: 300ms}").start();
    let mut client = Client::connect(proxy.address());
    client.send(
        "POST / HTTP/1.1\r\nHost: example.test\r\nContent-Length: 10\r\n\
         Expect: 100-continue\r\n\r\n",
    );
    expect_408(&mut client);
    expect_cut(&origin);
    assert_eq!(proxy.only_record().number("DownstreamStatus"), 408);
}

fn an_idle_connection_to_a_server_is_closed_after_its_timeout(driver: Driver) {
    let origin = Origin::named("a");
    let text = app_within("idleConnTimeout: 500ms", &[&origin.url()]);
    let proxy = Setup::new(driver, text).start();
    let mut client = Client::connect(proxy.address());
    let began = Instant::now();
    assert_eq!(client.get("/", "").text(), "a");
    eventually("the connection ends", || (!origin.has_open_connections()).then_some(()));
    assert!(began.elapsed() >= Duration::from_millis(150), "{:?}", began.elapsed());
    assert_eq!(client.get("/", "").text(), "a");
    assert_eq!(origin.connections(), 2);
}

fn an_idle_tunnel_is_closed_after_its_timeout(driver: Driver) {
    let origin = Origin::scripted(|exchange| {
        exchange.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
        );
        loop {
            let bytes = exchange.read_some();
            if bytes.is_empty() || !exchange.send(&bytes) {
                return Next::Close;
            }
        }
    });
    let setup = Setup::new(driver, app(&[&origin.url()]));
    let proxy = setup.settings("limits: {tunnelIdleTimeout: 800ms}").start();
    let mut client = Client::connect(proxy.address());
    client.send(
        "GET / HTTP/1.1\r\nHost: example.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
    );
    assert_eq!(client.response().status, 101);
    // Longer than the timeout in all, and never silent for as long.
    for _ in 0..20 {
        thread::sleep(DRIP);
        client.send(".");
        assert_eq!(client.read_exact(1), b".");
    }
    client.expect_end();
    eventually("the server's side ends", || (!origin.has_open_connections()).then_some(()));
}

fn a_client_that_half_closes_counts_as_gone(driver: Driver) {
    // As with Traefik: Go's server takes the end of the stream for the end of the client.
    let origin = Origin::scripted(|exchange| {
        exchange.read_some();
        exchange.request.is_whole = true;
        exchange.record();
        Next::Close
    });
    let proxy = Setup::new(driver, app_with("", &[&origin.url()])).start();
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: example.test\r\n\r\n");
    eventually("the request arrives", || origin.requests().pop());
    client.finish();
    eventually("the server is let go", || origin.only_request().is_whole.then_some(()));
    assert_eq!(proxy.only_record().number("DownstreamStatus"), 499);
    assert_eq!(client.response().status, 499);
    client.expect_end();
}

fn a_connection_without_a_request_is_closed_after_the_idle_timeout(driver: Driver) {
    let origin = Origin::named("a");
    let timeouts = "transport: {respondingTimeouts: {idleTimeout: 500ms}}";
    let proxy = Setup::new(driver, app(&[&origin.url()])).entry_point(timeouts).start();
    let began = Instant::now();
    Client::connect(proxy.address()).expect_end();
    assert!(began.elapsed() >= Duration::from_millis(150), "{:?}", began.elapsed());
}

fn a_dripping_head_is_408_after_the_head_timeout(driver: Driver) {
    let origin = Origin::named("a");
    let setup = Setup::new(driver, app(&[&origin.url()]));
    let proxy = setup.settings("limits: {headTimeout: 300ms}").start();
    // A first request in time does not buy the second one any.
    let mut client = Client::connect(proxy.address());
    assert_eq!(client.get("/", "").status, 200);
    client.send("GET /slow HTTP/1.1\r\nHost: example.test\r\nX-Drip: ");
    let mut drops = 0;
    drip(|| {
        drops += 1;
        drops <= 12 && client.send_if_read(".")
    });
    expect_408(&mut client);
    assert_eq!(origin.only_request().line(), "GET / HTTP/1.1", "the slow one never arrives");
}

fn the_read_timeout_limits_a_head(driver: Driver) {
    let origin = Origin::named("a");
    let timeouts = "transport: {respondingTimeouts: {readTimeout: 300ms}}";
    let proxy = Setup::new(driver, app(&[&origin.url()])).entry_point(timeouts).start();
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHo");
    expect_408(&mut client);
    assert_eq!(origin.requests().len(), 0);
}

/// Answers once the body is whole, and records whether it was.
fn reads_bodies() -> Origin {
    Origin::scripted(|exchange| {
        exchange.read_body();
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        if exchange.request.is_whole { Next::KeepAlive } else { Next::Close }
    })
}

fn the_read_timeout_limits_a_body_that_keeps_coming(driver: Driver) {
    let origin = reads_bodies();
    let timeouts = "transport: {respondingTimeouts: {readTimeout: 500ms}}";
    let proxy = Setup::new(driver, app(&[&origin.url()])).entry_point(timeouts).start();
    let mut client = Client::connect(proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: example.test\r\nContent-Length: 1000000\r\n\r\n");
    let mut drops = 0;
    drip(|| {
        drops += 1;
        drops <= 20 && client.send_if_read([b'.'; 1000])
    });
    expect_408(&mut client);
    expect_cut(&origin);
    assert_eq!(proxy.only_record().number("DownstreamStatus"), 408);
}

fn a_stalled_body_is_408_after_its_window(driver: Driver) {
    for framing in ["Content-Length: 1000", "Transfer-Encoding: chunked"] {
        let origin = reads_bodies();
        let setup = Setup::new(driver, app(&[&origin.url()]));
        let limits = "limits: {bodyRateMin: 1000, bodyRateWindow: 300ms}";
        let proxy = setup.settings(limits).start();
        let mut client = Client::connect(proxy.address());
        client.send(format!("POST / HTTP/1.1\r\nHost: example.test\r\n{framing}\r\n\r\n"));
        client.send("3\r\nabc\r\n");
        expect_408(&mut client);
        expect_cut(&origin);
        assert_eq!(proxy.only_record().number("DownstreamStatus"), 408, "{framing}");
    }
}

fn a_slow_body_above_the_least_rate_is_served(driver: Driver) {
    let origin = reads_bodies();
    let setup = Setup::new(driver, app(&[&origin.url()]));
    let proxy = setup.settings("limits: {bodyRateMin: 20, bodyRateWindow: 1s}").start();
    let mut client = Client::connect(proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: example.test\r\nContent-Length: 2400\r\n\r\n");
    for _ in 0..24 {
        thread::sleep(DRIP);
        client.send([b'.'; 100]);
    }
    assert_eq!(client.response().status, 200);
    assert!(origin.only_request().is_whole);
}

/// Sends pieces of an endless body until the proxy hangs up, then marks its record.
fn endless(exchange: &mut Exchange<'_>, mut send: impl FnMut(&mut Exchange<'_>) -> bool) -> Next {
    exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n");
    drip(|| send(exchange));
    exchange.request.is_whole = true;
    exchange.record();
    Next::Close
}

fn a_dripping_response_is_cut_at_the_write_timeout(driver: Driver) {
    let origin = Origin::scripted(|exchange| endless(exchange, |exchange| exchange.send(".")));
    let timeouts = "transport: {respondingTimeouts: {writeTimeout: 600ms}}";
    let proxy = Setup::new(driver, app(&[&origin.url()])).entry_point(timeouts).start();
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: example.test\r\n\r\n");
    let began = Instant::now();
    assert!(client.head().line.starts_with("HTTP/1.1 200 "));
    let rest = client.read_to_end();
    assert!(began.elapsed() >= Duration::from_millis(250), "{:?}", began.elapsed());
    let is_cut = match &rest {
        Ok(body) => body.len() < 1000,
        Err(why) => why.kind() == ErrorKind::ConnectionReset,
    };
    assert!(is_cut, "{rest:?}");
    eventually("the server is let go", || origin.only_request().is_whole.then_some(()));
}

fn a_connection_is_closed_after_its_time(driver: Driver) {
    let origin = Origin::named("a");
    let setup = Setup::new(driver, app(&[&origin.url()]));
    let proxy = setup.entry_point("transport: {keepAliveMaxTime: 500ms}").start();
    let began = Instant::now();
    let mut client = Client::connect(proxy.address());
    eventually("a response that is the last", || {
        (client.get("/", "").field("Connection") == Some("close")).then_some(())
    });
    assert!(began.elapsed() >= Duration::from_millis(200), "{:?}", began.elapsed());
    client.expect_end();
    assert_eq!(origin.connections(), 1);
}

fn a_client_that_never_reads_is_cut_after_the_send_timeout(driver: Driver) {
    let origin = Origin::scripted(|exchange| {
        endless(exchange, |exchange| {
            // Eagerly: only a full pipe stops it.
            (0..200).all(|_| exchange.send([b'.'; 64 * 1024]))
        })
    });
    let setup = Setup::new(driver, app(&[&origin.url()]));
    let proxy = setup.settings("limits: {sendTimeout: 300ms}").start();
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: example.test\r\n\r\n");
    let began = Instant::now();
    eventually("the server is let go", || {
        origin.requests().first().is_some_and(|it| it.is_whole).then_some(())
    });
    // The origin gives up by itself at the deadline.
    assert!(began.elapsed() < crate::support::DEADLINE * 2 / 3, "{:?}", began.elapsed());
    assert_eq!(proxy.access_records(1).len(), 1);
    let rest = client.read_to_end().map(|rest| rest.len());
    assert!(rest.is_err() || rest.is_ok_and(|length| length < 1_000_000_000), "cut");
}

fn a_client_that_reads_slowly_is_served(driver: Driver) {
    const LENGTH: usize = 24 * 1024 * 1024;
    let origin = Origin::scripted(|exchange| {
        exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n"));
        exchange.send(vec![b'.'; LENGTH]);
        Next::KeepAlive
    });
    let setup = Setup::new(driver, app(&[&origin.url()]));
    let proxy = setup.settings("limits: {sendTimeout: 900ms}").start();
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: example.test\r\n\r\n");
    assert_eq!(client.head().length(), Some(LENGTH));
    let began = Instant::now();
    for _ in 0..24 {
        thread::sleep(DRIP);
        assert_eq!(client.read_exact(LENGTH / 24).len(), LENGTH / 24);
    }
    assert!(began.elapsed() >= Duration::from_millis(1000), "longer than the timeout");
    assert_eq!(client.get("/", "").status, 200);
}

fn a_client_that_leaves_frees_its_server_within_a_second(driver: Driver) {
    const TRIES: usize = 5;
    let origin = Origin::scripted(|exchange| {
        // Ends when the proxy drops the connection for want of a client.
        exchange.read_some();
        exchange.request.is_whole = true;
        exchange.record();
        Next::Close
    });
    let proxy = Setup::new(driver, app_with("", &[&origin.url()])).start();
    let mut best = Duration::MAX;
    // A busy machine may well miss once.
    for number in 0..TRIES {
        let mut client = Client::connect(proxy.address());
        client.send("GET / HTTP/1.1\r\nHost: example.test\r\n\r\n");
        eventually("the request arrives", || origin.requests().get(number).cloned());
        let began = Instant::now();
        drop(client);
        eventually("the server is let go", || {
            origin.requests().get(number).is_some_and(|it| it.is_whole).then_some(())
        });
        best = best.min(began.elapsed());
        if best < Duration::from_secs(1) {
            assert_eq!(proxy.access_records(number + 1)[number].number("DownstreamStatus"), 499);
            return;
        }
    }
    panic!("{best:?} at best");
}
