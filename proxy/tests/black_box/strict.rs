//! Clients that are refused rather than moved, and clients that wait for their server.

use crate::support::{
    Client, ClosedPort, Driver, Next, Origin, Setup, app_with, eventually, on_both_drivers, pin_of,
};

on_both_drivers!(
    a_client_of_a_server_that_is_gone_is_refused,
    the_status_is_what_is_written_and_the_cookie_is_deleted_if_asked,
    a_pinned_server_that_refuses_the_connection_refuses_the_client,
    a_server_that_dies_with_the_request_is_not_left_either,
    a_new_client_is_moved_on_under_strict_too,
    values_that_are_no_pin_do_not_refuse,
    without_redispatch_a_refused_connection_is_502_and_the_pin_stays,
    without_redispatch_an_idempotent_request_is_not_given_to_another_server,
);

/// The pin of a server that nobody has.
const GONE: &str = "sid=0123456789abcdef";

fn sticky(rules: &str) -> String {
    format!("sticky: {{cookie: {{name: sid, httpOnly: true}}, {rules}}}")
}

fn a_client_of_a_server_that_is_gone_is_refused(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let balancer = sticky("strict: true");
    let proxy = Setup::new(driver, app_with(&balancer, &[&a.url(), &b.url()])).start();
    let cookie = format!("sid={}", pin_of(&a.url()));
    assert_eq!(Client::fetch_with_cookie(proxy.address(), &cookie).text(), "a");

    proxy.replace_dynamic(&app_with(&balancer, &[&b.url()]));
    let refused = eventually("a has left", || {
        let response = Client::fetch_with_cookie(proxy.address(), &cookie);
        (response.status != 200).then_some(response)
    });
    assert_eq!((refused.status, refused.text().as_str()), (502, "Bad Gateway"));
    assert_eq!(refused.field("Set-Cookie"), None, "it may come back");
    assert!(b.requests().is_empty());
}

fn the_status_is_what_is_written_and_the_cookie_is_deleted_if_asked(driver: Driver) {
    let a = Origin::named("a");
    let deletion = "sid=; Path=/; Max-Age=0; HttpOnly";
    for (rules, status, deleted) in [
        ("strict: true", 502, None),
        ("strict: true, strictStatus: 409", 409, None),
        ("strict: true, strictStatus: 503, strictForget: true", 503, Some(deletion)),
        ("strict: true, strictStatus: 599", 599, None),
    ] {
        let proxy = Setup::new(driver, app_with(&sticky(rules), &[&a.url()])).start();
        let mut client = Client::connect(proxy.address());
        let refused = client.get("/", &format!("Cookie: {GONE}\r\n"));
        assert_eq!((refused.status, refused.field("Set-Cookie")), (status, deleted), "{rules}");
        assert_eq!(client.get("/", "").status, 200, "the connection goes on");
        let records = proxy.access_records(2);
        assert_eq!((records[0].sticky(), records[1].sticky()), ("refused", "new"));
        assert_eq!(records[0].number("DownstreamStatus"), u64::from(status));
    }
    assert_eq!(a.requests().len(), 4);
}

fn a_pinned_server_that_refuses_the_connection_refuses_the_client(driver: Driver) {
    let (dead, b) = (ClosedPort::new(), Origin::named("b"));
    let balancer = sticky("strict: true, strictStatus: 410, strictForget: true");
    let proxy = Setup::new(driver, app_with(&balancer, &[&dead.url(), &b.url()])).start();
    let cookie = format!("sid={}", pin_of(&dead.url()));
    let refused = Client::fetch_with_cookie(proxy.address(), &cookie);
    assert_eq!((refused.status, refused.cookie("sid")), (410, Some("")));
    assert_eq!(proxy.only_record().sticky(), "refused");
    assert!(b.requests().is_empty());
}

/// A server that takes a request and closes.
fn dying() -> Origin {
    Origin::scripted(|_| Next::Close)
}

fn a_server_that_dies_with_the_request_is_not_left_either(driver: Driver) {
    let (dying, b) = (dying(), Origin::named("b"));
    let balancer = sticky("strict: true");
    let proxy = Setup::new(driver, app_with(&balancer, &[&dying.url(), &b.url()])).start();
    let cookie = format!("sid={}", pin_of(&dying.url()));
    assert_eq!(Client::fetch_with_cookie(proxy.address(), &cookie).status, 502);
    assert!(b.requests().is_empty());
}

fn a_new_client_is_moved_on_under_strict_too(driver: Driver) {
    let (dead, b) = (ClosedPort::new(), Origin::named("b"));
    let balancer = sticky("strict: true");
    let proxy = Setup::new(driver, app_with(&balancer, &[&dead.url(), &b.url()])).start();
    for _ in 0..4 {
        let response = Client::fetch(proxy.address(), "/");
        assert_eq!(response.cookie("sid"), Some(&*pin_of(&b.url())), "it had no server to lose");
    }
}

fn values_that_are_no_pin_do_not_refuse(driver: Driver) {
    let a = Origin::named("a");
    let proxy = Setup::new(driver, app_with(&sticky("strict: true"), &[&a.url()])).start();
    for value in ["", "x", "0123456789ABCDEF", "0123456789abcde", "http://192.0.2.1:80"] {
        let response = Client::fetch_with_cookie(proxy.address(), &format!("sid={value}"));
        assert_eq!(response.cookie("sid"), Some(&*pin_of(&a.url())), "{value:?}");
    }
    assert_eq!(Client::fetch_with_cookie(proxy.address(), GONE).status, 502);
}

fn without_redispatch_a_refused_connection_is_502_and_the_pin_stays(driver: Driver) {
    let (dead, b) = (ClosedPort::new(), Origin::named("b"));
    let balancer = sticky("redispatch: false");
    let proxy = Setup::new(driver, app_with(&balancer, &[&dead.url(), &b.url()])).start();
    let cookie = format!("sid={}", pin_of(&dead.url()));
    for _ in 0..2 {
        let refused = Client::fetch_with_cookie(proxy.address(), &cookie);
        assert_eq!((refused.status, refused.field("Set-Cookie")), (502, None));
    }
    assert!(b.requests().is_empty());
    assert!(proxy.access_records(2).iter().all(|record| record.sticky() == "pinned"));
    let new = Client::fetch(proxy.address(), "/");
    assert_eq!(new.text(), "b", "a new client has no server to wait for");
}

fn without_redispatch_an_idempotent_request_is_not_given_to_another_server(driver: Driver) {
    let (dying, b) = (dying(), Origin::named("b"));
    let balancer = sticky("redispatch: false");
    let proxy = Setup::new(driver, app_with(&balancer, &[&dying.url(), &b.url()])).start();
    let cookie = format!("sid={}", pin_of(&dying.url()));
    let refused = Client::fetch_with_cookie(proxy.address(), &cookie);
    assert_eq!((refused.status, refused.field("Set-Cookie")), (502, None));
    assert!(b.requests().is_empty());
}
