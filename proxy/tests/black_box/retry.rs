//! A server that refuses, and a pooled connection that has gone stale.

use crate::support::{
    Client, ClosedPort, Driver, Next, Origin, Setup, app, app_with, eventually, on_both_drivers,
    pin_of,
};

on_both_drivers!(
    a_new_client_never_sees_a_dead_server_while_another_is_up,
    a_pin_to_a_dead_server_is_moved_within_the_request,
    a_request_with_a_body_is_moved_too,
    every_server_is_tried_once_before_502,
    a_client_stays_on_its_new_server_when_the_old_one_returns,
    a_stale_connection_is_replaced_for_an_idempotent_request,
    a_stale_connection_fails_a_request_that_may_have_had_its_effect,
    a_body_that_is_still_in_the_buffer_is_sent_again,
    a_closed_idle_connection_is_not_used_for_a_post,
    a_response_that_began_is_never_repeated,
);

fn a_new_client_never_sees_a_dead_server_while_another_is_up(driver: Driver) {
    let (a, dead, b) = (Origin::named("a"), ClosedPort::new(), Origin::named("b"));
    let proxy = Setup::new(driver, app(&[&a.url(), &dead.url(), &b.url()])).start();
    for _ in 0..12 {
        let response = Client::fetch(proxy.address(), "/");
        let served_by = if response.text() == "a" { &a } else { &b };
        assert_eq!(response.status, 200);
        let line = format!("sid={}; Path=/", pin_of(&served_by.url()));
        assert_eq!(response.all("Set-Cookie"), [line]);
    }
    assert_eq!(a.requests().len() + b.requests().len(), 12);
    assert!(!a.requests().is_empty() && !b.requests().is_empty());
}

fn a_pin_to_a_dead_server_is_moved_within_the_request(driver: Driver) {
    let (dead, b) = (ClosedPort::new(), Origin::named("b"));
    let proxy = Setup::new(driver, app(&[&dead.url(), &b.url()])).start();
    let cookie = format!("sid={}", pin_of(&dead.url()));
    let response = Client::fetch_with_cookie(proxy.address(), &cookie);
    assert_eq!((response.status, response.text().as_str()), (200, "b"));
    assert_eq!(response.all("Set-Cookie"), [format!("sid={}; Path=/", pin_of(&b.url()))]);
    let record = proxy.only_record();
    assert_eq!((record.sticky(), record.text("ServiceURL")), ("redispatched", b.url().as_str()));
    assert_eq!(record.number("RetryAttempts"), 1);
}

fn a_request_with_a_body_is_moved_too(driver: Driver) {
    // Nothing was sent to the server that refused, so even a POST may go elsewhere.
    let (dead, b) = (ClosedPort::new(), Origin::named("b"));
    let proxy = Setup::new(driver, app(&[&dead.url(), &b.url()])).start();
    let pin = pin_of(&dead.url());
    let mut client = Client::connect(proxy.address());
    let body = "x".repeat(200_000);
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: example.test\r\nCookie: sid={pin}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    ));
    client.send(&body);
    assert_eq!(client.response().text(), "b");
    assert_eq!(b.only_request().body.len(), body.len());
}

fn every_server_is_tried_once_before_502(driver: Driver) {
    let (one, two, three) = (ClosedPort::new(), ClosedPort::new(), ClosedPort::new());
    let urls = [one.url(), two.url(), three.url()];
    let proxy = Setup::new(driver, app(&[&urls[0], &urls[1], &urls[2]])).start();
    let cookie = format!("sid={}", pin_of(&urls[1]));
    let response = Client::fetch_with_cookie(proxy.address(), &cookie);
    assert_eq!((response.status, response.text().as_str()), (502, "Bad Gateway"));
    assert_eq!(proxy.only_record().number("RetryAttempts"), 2);
}

fn a_client_stays_on_its_new_server_when_the_old_one_returns(driver: Driver) {
    let (mut a, b) = (Origin::named("a"), Origin::named("b"));
    let proxy = Setup::new(driver, app(&[&a.url(), &b.url()])).start();
    let to_a = format!("sid={}", pin_of(&a.url()));
    assert_eq!(Client::fetch_with_cookie(proxy.address(), &to_a).text(), "a");
    a.stop();
    let moved = Client::fetch_with_cookie(proxy.address(), &to_a);
    assert_eq!((moved.status, moved.text().as_str()), (200, "b"));
    let to_b = format!("sid={}", moved.cookie("sid").expect("a new pin"));
    a.start();
    for _ in 0..4 {
        let response = Client::fetch_with_cookie(proxy.address(), &to_b);
        assert_eq!((response.text().as_str(), response.field("Set-Cookie")), ("b", None));
    }
    assert_eq!(Client::fetch_with_cookie(proxy.address(), &to_a).text(), "a");
}

/// Answers the first request of each connection; reads the second and closes without a byte, as a
/// server does whose idle timeout passes just then.
fn closes_on_the_second_request() -> Origin {
    let last = std::sync::Mutex::new(None);
    Origin::scripted(move |exchange| {
        let connection = exchange.request.connection;
        if last.lock().expect("the last connection").replace(connection) == Some(connection) {
            return Next::Close;
        }
        exchange.read_body();
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        Next::KeepAlive
    })
}

fn a_stale_connection_is_replaced_for_an_idempotent_request(driver: Driver) {
    for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"] {
        let origin = closes_on_the_second_request();
        let proxy = Setup::new(driver, app_with("", &[&origin.url()])).start();
        let mut client = Client::connect(proxy.address());
        assert_eq!(client.get("/", "").status, 200);
        assert_eq!(client.ask(method, "/", "").status, 200, "{method}");
        assert_eq!((origin.connections(), origin.requests().len()), (2, 3), "{method}");
    }
}

fn a_stale_connection_fails_a_request_that_may_have_had_its_effect(driver: Driver) {
    for method in ["POST", "PATCH", "BREW"] {
        let origin = closes_on_the_second_request();
        let proxy = Setup::new(driver, app_with("", &[&origin.url()])).start();
        let mut client = Client::connect(proxy.address());
        assert_eq!(client.get("/", "").status, 200);
        let response = client.ask(method, "/", "Content-Length: 0\r\n");
        assert_eq!((response.status, response.text().as_str()), (502, "Bad Gateway"), "{method}");
        assert_eq!((origin.connections(), origin.requests().len()), (1, 2), "{method}");
    }
}

fn a_body_that_is_still_in_the_buffer_is_sent_again(driver: Driver) {
    let origin = closes_on_the_second_request();
    let proxy = Setup::new(driver, app_with("", &[&origin.url()])).start();
    let mut client = Client::connect(proxy.address());
    assert_eq!(client.get("/", "").status, 200);
    client.send("PUT / HTTP/1.1\r\nHost: example.test\r\nContent-Length: 4\r\n\r\nbody");
    assert_eq!(client.response().status, 200);
    assert_eq!(origin.requests().pop().expect("the second try").body, b"body");
}

fn a_closed_idle_connection_is_not_used_for_a_post(driver: Driver) {
    let origin = Origin::named("a");
    let proxy = Setup::new(driver, app_with("", &[&origin.url()])).start();
    let mut client = Client::connect(proxy.address());
    for _ in 0..3 {
        assert_eq!(client.get("/", "").status, 200);
        origin.close_connections();
        eventually("the proxy closes its side of the idle connection", || {
            (!origin.has_open_connections()).then_some(())
        });
        assert_eq!(client.ask("POST", "/", "Content-Length: 0\r\n").status, 200);
    }
}

fn a_response_that_began_is_never_repeated(driver: Driver) {
    let last = std::sync::Mutex::new(None);
    let origin = Origin::scripted(move |exchange| {
        let connection = exchange.request.connection;
        if last.lock().expect("the last connection").replace(connection) == Some(connection) {
            exchange.send("HTTP/1.1 2");
            return Next::Close;
        }
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        Next::KeepAlive
    });
    let proxy = Setup::new(driver, app_with("", &[&origin.url()])).start();
    let mut client = Client::connect(proxy.address());
    assert_eq!(client.get("/", "").status, 200);
    assert_eq!(client.get("/", "").status, 502);
    assert_eq!(origin.requests().len(), 2);
}
