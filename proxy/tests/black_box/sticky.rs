//! When a client is pinned, to which server, and when the cookie is sent (Traefik's rules).

use crate::support::{
    Client, ClosedPort, Driver, Exchange, Next, Origin, Setup, app, app_with, on_both_drivers,
    pin_of,
};

on_both_drivers!(
    a_client_without_a_cookie_is_pinned_and_comes_back_to_the_same_server,
    a_valid_cookie_is_honoured_and_not_sent_again,
    a_cookie_with_an_unknown_value_gets_a_new_pin,
    every_older_format_is_honoured_and_rewritten,
    an_unpadded_or_upper_case_hash_is_unknown,
    every_method_and_status_carries_the_new_pin,
    the_final_response_carries_the_pin_after_interim_ones,
    the_pin_stands_before_the_cookies_of_the_server,
    no_cookie_is_sent_with_the_503_of_a_service_without_servers,
    a_dead_only_server_answers_502_with_a_pin,
    a_pin_to_a_removed_server_is_replaced,
    the_cookie_reaches_the_server,
    a_service_without_sticky_ignores_the_cookie_and_sets_none,
    one_connection_may_carry_many_clients_pins,
);

fn a_client_without_a_cookie_is_pinned_and_comes_back_to_the_same_server(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let proxy = Setup::new(driver, app(&[&a.url(), &b.url()])).start();

    let first = Client::fetch(proxy.address(), "/");
    let served_by = if first.text() == "a" { &a } else { &b };
    let pin = pin_of(&served_by.url());
    assert_eq!(first.all("Set-Cookie"), [format!("sid={pin}; Path=/")]);

    for _ in 0..8 {
        let again = Client::fetch_with_cookie(proxy.address(), &format!("sid={pin}"));
        assert_eq!((again.text(), again.field("Set-Cookie")), (first.text(), None));
    }
    assert_eq!(served_by.requests().len(), 9);
    let records = proxy.access_records(9);
    assert_eq!(records[0].sticky(), "new");
    assert!(records[1..].iter().all(|record| record.sticky() == "pinned"), "{records:?}");
    assert!(records.iter().all(|record| record.text("ServiceURL") == served_by.url()));
}

fn a_valid_cookie_is_honoured_and_not_sent_again(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let proxy = Setup::new(driver, app(&[&a.url(), &b.url()])).start();
    for (origin, name) in [(&a, "a"), (&b, "b"), (&a, "a")] {
        let cookie = format!("sid={}", pin_of(&origin.url()));
        let response = Client::fetch_with_cookie(proxy.address(), &cookie);
        assert_eq!((response.text().as_str(), response.field("Set-Cookie")), (name, None));
    }
    assert_eq!((a.requests().len(), b.requests().len()), (2, 1));
}

fn a_cookie_with_an_unknown_value_gets_a_new_pin(driver: Driver) {
    let a = Origin::named("a");
    let proxy = Setup::new(driver, app(&[&a.url()])).start();
    let values = ["0123456789abcdef", "", "x", "http://192.0.2.1:80", "%00", "ffffffffffffffffff"];
    for value in values {
        let response = Client::fetch_with_cookie(proxy.address(), &format!("sid={value}"));
        assert_eq!(response.status, 200, "{value:?}");
        assert_eq!(response.cookie("sid"), Some(pin_of(&a.url()).as_str()), "{value:?}");
    }
    let records = proxy.access_records(values.len());
    assert_eq!(records[0].sticky(), "unknown");
    assert_eq!(records[5].sticky(), "unknown");
}

fn fnv1(text: &str) -> String {
    let step = |hash: u64, byte| hash.wrapping_mul(0x100_0000_01b3) ^ u64::from(byte);
    format!("{:x}", text.bytes().fold(0xcbf2_9ce4_8422_2325, step))
}

fn fnv1a(text: &str) -> String {
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    format!("{:x}", text.bytes().fold(0xcbf2_9ce4_8422_2325, step))
}

/// The cookie value that a release of Traefik made of a URL.
type ValueOf = fn(&str) -> String;

fn every_older_format_is_honoured_and_rewritten(driver: Driver) {
    assert_eq!(fnv1("http://10.0.1.10:8080"), "372300e971988868");
    assert_eq!(fnv1a("http://10.0.1.10:8080"), "1389b137344077b6");
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let proxy = Setup::new(driver, app(&[&a.url(), &b.url()])).start();
    let formats: [(&str, ValueOf); 5] = [
        ("Traefik up to 2.4, the URL itself", str::to_owned),
        ("FNV-1", fnv1),
        ("FNV-1 twice", |url| fnv1(&fnv1(url))),
        ("Traefik 2.5 to 2.11, FNV-1a", fnv1a),
        ("Traefik 3.0.0 to 3.3.3, FNV-1 of FNV-1a", |url| fnv1(&format!("{:0>16}", fnv1a(url)))),
    ];
    for (format, value_of) in formats {
        for (origin, name) in [(&a, "a"), (&b, "b")] {
            let cookie = format!("sid={}", value_of(&origin.url()));
            let response = Client::fetch_with_cookie(proxy.address(), &cookie);
            assert_eq!(response.text(), name, "{format}");
            let pin = pin_of(&origin.url());
            assert_eq!(response.all("Set-Cookie"), [format!("sid={pin}; Path=/")], "{format}");
        }
    }
    let records = proxy.access_records(10);
    assert!(records.iter().all(|record| record.sticky() == "rewritten"), "{records:?}");
}

fn an_unpadded_or_upper_case_hash_is_unknown(driver: Driver) {
    let a = Origin::named("a");
    let proxy = Setup::new(driver, app(&[&a.url()])).start();
    let pin = pin_of(&a.url());
    // A hash without a letter has no upper case; such a port is rare, and the test is then void.
    for value in [pin.to_uppercase(), pin[..15].to_owned(), format!("0{pin}"), format!("{pin}0")] {
        let response = Client::fetch_with_cookie(proxy.address(), &format!("sid={value}"));
        let want = (value != pin).then_some(pin.as_str());
        assert_eq!(response.cookie("sid"), want, "{value:?}");
    }
}

fn every_method_and_status_carries_the_new_pin(driver: Driver) {
    let origin = Origin::scripted(|exchange| {
        exchange.read_body();
        let status = exchange.request.line().split(['/', ' ']).nth(2).unwrap_or("200").to_owned();
        let has_no_body =
            exchange.request.method() == "HEAD" || matches!(status.as_str(), "204" | "304");
        let length = if has_no_body { "" } else { "Content-Length: 2\r\n" };
        let body = if has_no_body { "" } else { "ok" };
        exchange.send(format!("HTTP/1.1 {status} Some Reason\r\n{length}\r\n{body}"));
        Next::KeepAlive
    });
    let proxy = Setup::new(driver, app(&[&origin.url()])).start();
    let line = format!("sid={}; Path=/", pin_of(&origin.url()));
    let mut client = Client::connect(proxy.address());
    for method in ["GET", "HEAD", "OPTIONS", "DELETE", "PATCH", "TRACE", "BREW"] {
        let response = client.ask(method, "/200", "");
        assert_eq!((response.status, response.all("Set-Cookie")), (200, vec![line.as_str()]));
    }
    for status in [200, 201, 204, 206, 301, 304, 400, 404, 429, 500, 502, 503, 599] {
        let response = client.get(&format!("/{status}"), "");
        assert_eq!((response.status, response.all("Set-Cookie")), (status, vec![line.as_str()]));
    }
}

fn the_final_response_carries_the_pin_after_interim_ones(driver: Driver) {
    let origin = Origin::scripted(|exchange| {
        exchange.send("HTTP/1.1 103 Early Hints\r\nLink: </s.css>; rel=preload\r\n\r\n");
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        Next::KeepAlive
    });
    let proxy = Setup::new(driver, app(&[&origin.url()])).start();
    let response = Client::fetch(proxy.address(), "/");
    assert_eq!((response.status, response.text().as_str()), (200, "ok"));
    assert_eq!(response.cookie("sid"), Some(pin_of(&origin.url()).as_str()));
    assert_eq!(response.interim.len(), 1, "{response:?}");
    assert_eq!(response.interim[0].field("Link"), Some("</s.css>; rel=preload"));
}

fn the_pin_stands_before_the_cookies_of_the_server(driver: Driver) {
    let origin = Origin::fixed(
        "HTTP/1.1 200 OK\r\nSet-Cookie: one=1\r\nContent-Length: 0\r\nSet-Cookie: two=2\r\n\r\n",
        Next::KeepAlive,
    );
    let proxy = Setup::new(driver, app(&[&origin.url()])).start();
    let response = Client::fetch(proxy.address(), "/");
    let pin = format!("sid={}; Path=/", pin_of(&origin.url()));
    assert_eq!(response.all("Set-Cookie"), [pin.as_str(), "one=1", "two=2"]);
}

fn no_cookie_is_sent_with_the_503_of_a_service_without_servers(driver: Driver) {
    let proxy = Setup::new(driver, app(&[])).start();
    let response = Client::fetch_with_cookie(proxy.address(), "sid=7ada663d74f94374");
    assert_eq!((response.status, response.field("Set-Cookie")), (503, None));
    assert_eq!(response.text(), "no available server\n");
}

fn a_dead_only_server_answers_502_with_a_pin(driver: Driver) {
    let dead = ClosedPort::new();
    let proxy = Setup::new(driver, app(&[&dead.url()])).start();
    let response = Client::fetch(proxy.address(), "/");
    assert_eq!((response.status, response.text().as_str()), (502, "Bad Gateway"));
    assert_eq!(response.cookie("sid"), Some(pin_of(&dead.url()).as_str()));

    let cookie = format!("sid={}", pin_of(&dead.url()));
    let pinned = Client::fetch_with_cookie(proxy.address(), &cookie);
    assert_eq!((pinned.status, pinned.field("Set-Cookie")), (502, None));
}

fn a_pin_to_a_removed_server_is_replaced(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let proxy = Setup::new(driver, app(&[&a.url(), &b.url()])).start();
    let cookie = format!("sid={}", pin_of(&a.url()));
    assert_eq!(Client::fetch_with_cookie(proxy.address(), &cookie).text(), "a");
    proxy.replace_dynamic(&app(&[&b.url()]));
    let moved = crate::support::eventually("the client moves to b", || {
        let response = Client::fetch_with_cookie(proxy.address(), &cookie);
        (response.text() == "b").then_some(response)
    });
    assert_eq!(moved.cookie("sid"), Some(pin_of(&b.url()).as_str()));
}

fn the_cookie_reaches_the_server(driver: Driver) {
    let a = Origin::named("a");
    let proxy = Setup::new(driver, app(&[&a.url()])).start();
    let cookie = format!("first=1; sid={}; last=\"2\"", pin_of(&a.url()));
    Client::fetch_with_cookie(proxy.address(), &cookie);
    assert_eq!(a.only_request().all("Cookie"), [cookie]);
}

fn a_service_without_sticky_ignores_the_cookie_and_sets_none(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let proxy = Setup::new(driver, app_with("", &[&a.url(), &b.url()])).start();
    let cookie = format!("sid={}", pin_of(&a.url()));
    for _ in 0..4 {
        let response = Client::fetch_with_cookie(proxy.address(), &cookie);
        assert_eq!(response.field("Set-Cookie"), None);
    }
    assert_eq!((a.requests().len(), b.requests().len()), (2, 2));
    assert!(proxy.access_records(4).iter().all(|record| record.sticky() == "none"));
}

fn one_connection_may_carry_many_clients_pins(driver: Driver) {
    let answer = |name: &'static str| {
        Origin::scripted(move |exchange: &mut Exchange<'_>| {
            exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{name}"));
            Next::KeepAlive
        })
    };
    let (a, b) = (answer("a"), answer("b"));
    let proxy = Setup::new(driver, app(&[&a.url(), &b.url()])).start();
    let mut client = Client::connect(proxy.address());
    for turn in 0..20 {
        let (origin, name) = if turn % 3 == 0 { (&a, "a") } else { (&b, "b") };
        let fields = format!("Cookie: sid={}\r\n", pin_of(&origin.url()));
        let response = client.get("/", &fields);
        assert_eq!((response.text().as_str(), response.field("Set-Cookie")), (name, None));
    }
    assert_eq!((a.connections(), b.connections()), (1, 1));
}
