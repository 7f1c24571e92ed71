//! `passiveHealthCheck`: servers judged by what becomes of the requests of clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::support::{
    Client, Driver, Next, Origin, Setup, Sundew, app_with, eventually, on_both_drivers, pin_of,
};

on_both_drivers!(
    a_server_that_fails_is_ejected_and_tried_again,
    a_pinned_client_is_moved_and_stays_where_it_is,
    a_server_that_refuses_is_ejected_for_every_worker,
    a_success_forgets_failures_and_4xx_are_none,
);

/// Answers everything with its name and a status that can be set.
struct Moody {
    origin: Origin,
    status: Arc<AtomicU16>,
}

impl Moody {
    fn named(name: &'static str) -> Self {
        let status = Arc::new(AtomicU16::new(200));
        let now = Arc::clone(&status);
        let origin = Origin::scripted(move |exchange| {
            let status = now.load(Ordering::SeqCst);
            let length = name.len();
            exchange.send(format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{name}"));
            Next::KeepAlive
        });
        Self { origin, status }
    }

    fn set(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }
}

fn setup(driver: Driver, check: &str, urls: &[&str]) -> Setup {
    let balancer = format!("sticky: {{cookie: {{name: sid}}}}\npassiveHealthCheck: {check}");
    Setup::new(driver, app_with(&balancer, urls))
}

fn names(proxy: &Sundew, count: usize) -> String {
    (0..count).map(|_| Client::fetch(proxy.address(), "/").text()).collect()
}

fn a_server_that_fails_is_ejected_and_tried_again(driver: Driver) {
    let (a, b) = (Moody::named("A"), Moody::named("B"));
    let urls = [a.origin.url(), b.origin.url()];
    let proxy = setup(driver, "{failureWindow: 700ms}", &[&urls[0], &urls[1]]).start();
    a.set(503);
    // The client gets the answer that is one too many.
    eventually("the first failure", || {
        (Client::fetch(proxy.address(), "/").status == 503).then_some(())
    });
    proxy.wait_for_log(&format!("server {} is ejected", urls[0]));
    assert_eq!(names(&proxy, 8), "BBBBBBBB");
    a.set(200);
    proxy.wait_for_log(&format!("server {} is tried again", urls[0]));
    eventually("both serve", || names(&proxy, 4).contains('A').then_some(()));
}

fn a_pinned_client_is_moved_and_stays_where_it_is(driver: Driver) {
    let (a, b) = (Moody::named("A"), Moody::named("B"));
    let urls = [a.origin.url(), b.origin.url()];
    let proxy = setup(driver, "{maxFailedAttempts: 3}", &[&urls[0], &urls[1]]).start();
    a.set(500);
    let pinned = format!("sid={}", pin_of(&urls[0]));
    for _ in 0..3 {
        let response = Client::fetch_with_cookie(proxy.address(), &pinned);
        assert_eq!((response.status, response.field("Set-Cookie")), (500, None));
    }
    proxy.wait_for_log("is ejected: it failed 3 in a row");
    let moved = eventually("the worker knows", || {
        let response = Client::fetch_with_cookie(proxy.address(), &pinned);
        (response.status == 200).then_some(response)
    });
    assert_eq!((moved.text().as_str(), moved.cookie("sid")), ("B", Some(&*pin_of(&urls[1]))));
    let records = proxy.access_records(4);
    assert_eq!(records[records.len() - 1].sticky(), "down");
}

fn a_server_that_refuses_is_ejected_for_every_worker(driver: Driver) {
    let (closed, b) = (crate::support::ClosedPort::new(), Origin::named("B"));
    let proxy = setup(driver, "{}", &[&closed.url(), &b.url()]).workers(2).start();
    eventually("the failure is noticed", || {
        names(&proxy, 1);
        proxy.log().contains("is ejected").then_some(())
    });
    // No worker tries it any more.
    eventually("no request is given to another server", || {
        let before = proxy.access_records(1).len();
        names(&proxy, 6);
        let records = proxy.access_records(before + 6);
        records[before..].iter().all(|it| it.number("RetryAttempts") == 0).then_some(())
    });
}

fn a_success_forgets_failures_and_4xx_are_none(driver: Driver) {
    let a = Moody::named("A");
    let url = a.origin.url();
    let proxy = setup(driver, "{maxFailedAttempts: 2}", &[&url]).start();
    for status in [500, 200, 500, 404, 500, 200, 502] {
        a.set(status);
        assert_eq!(Client::fetch(proxy.address(), "/").status, status);
    }
    assert!(!proxy.log().contains("ejected"), "{}", proxy.log());
    assert_eq!(Client::fetch(proxy.address(), "/").status, 502);
    proxy.wait_for_log("is ejected");
    eventually("nobody is left", || {
        (Client::fetch(proxy.address(), "/").text() == "no available server\n").then_some(())
    });
}
