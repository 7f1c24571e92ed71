//! `maxInFlightPerServer`: what happens to one request more, for each `overflow`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::{
    Client, Driver, Next, Origin, Setup, Sundew, app_with, eventually, on_both_drivers, pin_of,
};

on_both_drivers!(
    a_request_too_many_waits_until_there_is_room,
    a_request_too_many_is_refused_where_that_is_asked_for,
    a_pinned_client_of_a_full_server_is_moved_where_that_is_asked_for,
    a_client_that_leaves_while_it_waits_is_forgotten,
    no_server_has_more_than_the_cap_whatever_the_workers_do,
);

/// Answers `name` once the gate is open.
fn gated(name: &'static str, gate: &Arc<AtomicBool>) -> Origin {
    let gate = Arc::clone(gate);
    Origin::scripted(move |exchange| {
        exchange.read_body();
        eventually("the gate is open", || gate.load(Ordering::SeqCst).then_some(()));
        exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{name}"));
        Next::KeepAlive
    })
}

fn start(driver: Driver, overflow: &str, max: usize, urls: &[&str]) -> Sundew {
    let rules = format!(
        "sticky: {{cookie: {{name: sid}}}}\nmaxInFlightPerServer: {max}\noverflow: {overflow}"
    );
    Setup::new(driver, app_with(&rules, urls)).workers(2).start()
}

/// A connection whose request is with the origin.
fn occupy(proxy: &Sundew, origin: &Origin) -> Client {
    let before = origin.requests().len();
    let mut client = Client::connect(proxy.address());
    client.send(format!(
        "GET / HTTP/1.1\r\nHost: a\r\nCookie: sid={}\r\n\r\n",
        pin_of(&origin.url())
    ));
    eventually("the origin has it", || (origin.requests().len() > before).then_some(()));
    client
}

fn a_request_too_many_waits_until_there_is_room(driver: Driver) {
    let gate = Arc::new(AtomicBool::new(false));
    let a = gated("a", &gate);
    let proxy = start(driver, "wait", 1, &[&a.url()]);
    let mut first = occupy(&proxy, &a);
    let mut second = Client::connect(proxy.address());
    second.send("GET /second HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut third = Client::connect(proxy.address());
    third.send("POST /third HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    second.expect_silence(Duration::from_millis(300));
    assert_eq!(a.requests().len(), 1, "the server has one at a time");
    gate.store(true, Ordering::SeqCst);
    for client in [&mut first, &mut second, &mut third] {
        assert_eq!(client.response().text(), "a");
    }
    assert_eq!(a.requests().len(), 3);
}

fn a_request_too_many_is_refused_where_that_is_asked_for(driver: Driver) {
    let gate = Arc::new(AtomicBool::new(false));
    let a = gated("a", &gate);
    for overflow in ["reject", "redispatch"] {
        gate.store(false, Ordering::SeqCst);
        let proxy = start(driver, overflow, 1, &[&a.url()]);
        let mut first = occupy(&proxy, &a);
        let refused = Client::fetch(proxy.address(), "/");
        assert_eq!((refused.status, refused.field("Retry-After")), (503, Some("1")), "{overflow}");
        assert_eq!(refused.field("Set-Cookie"), None);
        gate.store(true, Ordering::SeqCst);
        assert_eq!(first.response().text(), "a");
        eventually("there is room", || {
            (Client::fetch(proxy.address(), "/").status == 200).then_some(())
        });
    }
}

fn a_pinned_client_of_a_full_server_is_moved_where_that_is_asked_for(driver: Driver) {
    let gate = Arc::new(AtomicBool::new(false));
    let (a, b) = (gated("a", &gate), Origin::named("b"));
    let proxy = start(driver, "redispatch", 1, &[&a.url(), &b.url()]);
    let first = occupy(&proxy, &a);
    let moved = Client::fetch_with_cookie(proxy.address(), &format!("sid={}", pin_of(&a.url())));
    assert_eq!(moved.text(), "b");
    assert_eq!(
        moved.field("Set-Cookie"),
        Some(format!("sid={}; Path=/", pin_of(&b.url())).as_str())
    );
    assert_eq!(proxy.access_records(1)[0].sticky(), "redispatched");
    gate.store(true, Ordering::SeqCst);
    drop(first);
}

fn a_client_that_leaves_while_it_waits_is_forgotten(driver: Driver) {
    let gate = Arc::new(AtomicBool::new(false));
    let a = gated("a", &gate);
    let proxy = start(driver, "wait", 1, &[&a.url()]);
    let mut first = occupy(&proxy, &a);
    let mut second = Client::connect(proxy.address());
    second.send("GET /second HTTP/1.1\r\nHost: a\r\n\r\n");
    drop(second);
    let records = proxy.access_records(1);
    assert_eq!(records[0].number("DownstreamStatus"), 499);
    gate.store(true, Ordering::SeqCst);
    assert_eq!(first.response().text(), "a");
    assert_eq!(a.requests().len(), 1, "what was left is not sent");
}

fn no_server_has_more_than_the_cap_whatever_the_workers_do(driver: Driver) {
    let (now, highest) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, peak) = (Arc::clone(&now), Arc::clone(&highest));
    let a = Origin::scripted(move |exchange| {
        exchange.read_body();
        peak.fetch_max(counted.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        thread::yield_now();
        counted.fetch_sub(1, Ordering::SeqCst);
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na");
        Next::KeepAlive
    });
    let proxy = start(driver, "wait", 3, &[&a.url()]);
    thread::scope(|threads| {
        for _ in 0..12 {
            threads.spawn(|| {
                let mut client = Client::connect(proxy.address());
                for _ in 0..20 {
                    assert_eq!(client.get("/", "").text(), "a");
                }
            });
        }
    });
    assert_eq!(a.requests().len(), 240);
    assert!((1..=3).contains(&highest.load(Ordering::SeqCst)), "{highest:?}");
}
