//! Servers named by host: every address in turn, and a name that leads nowhere is a server that
//! refuses.

use crate::support::{Client, Driver, Origin, Setup, app, app_with, on_both_drivers, pin_of};

on_both_drivers!(
    a_name_is_served_by_whichever_of_its_addresses_listens,
    a_name_that_does_not_resolve_is_502,
    a_name_that_does_not_resolve_is_left_for_another_server,
    a_name_that_does_not_resolve_takes_no_new_clients,
);

/// Reserved to lead nowhere (RFC 6761 §6.4).
const NOWHERE: &str = "http://nowhere.invalid:80";

fn a_name_is_served_by_whichever_of_its_addresses_listens(driver: Driver) {
    // Where `localhost` is ::1 as well, nothing listens there.
    let origin = Origin::named("a");
    let url = format!("http://localhost:{}", origin.address().port());
    let proxy = Setup::new(driver, app(&[&url])).start();
    for _ in 0..3 {
        let response = Client::fetch(proxy.address(), "/");
        assert_eq!((response.status, response.text().as_str()), (200, "a"));
        assert_eq!(response.cookie("sid"), Some(pin_of(&url).as_str()), "the pin is the URL's");
    }
    let records = proxy.access_records(3);
    assert!(records.iter().all(|record| record.text("ServiceURL") == url), "{records:?}");
}

fn a_name_that_does_not_resolve_is_502(driver: Driver) {
    let proxy = Setup::new(driver, app_with("", &[NOWHERE])).start();
    let mut client = Client::connect(proxy.address());
    for _ in 0..2 {
        let response = client.get("/", "");
        assert_eq!((response.status, response.text().as_str()), (502, "Bad Gateway"));
    }
    let records = proxy.access_records(2);
    assert!(records.iter().all(|record| record.text("ServiceURL") == NOWHERE), "{records:?}");
    proxy.wait_for_log("nowhere.invalid");
}

fn a_name_that_does_not_resolve_is_left_for_another_server(driver: Driver) {
    let b = Origin::named("b");
    let proxy = Setup::new(driver, app(&[NOWHERE, &b.url()])).start();
    let cookie = format!("sid={}", pin_of(NOWHERE));
    let response = Client::fetch_with_cookie(proxy.address(), &cookie);
    assert_eq!((response.status, response.text().as_str()), (200, "b"));
    assert_eq!(response.cookie("sid"), Some(pin_of(&b.url()).as_str()));
    assert_eq!(proxy.only_record().sticky(), "redispatched");
}

fn a_name_that_does_not_resolve_takes_no_new_clients(driver: Driver) {
    let b = Origin::named("b");
    let proxy = Setup::new(driver, app(&[NOWHERE, &b.url()])).start();
    for _ in 0..6 {
        let response = Client::fetch(proxy.address(), "/");
        assert_eq!((response.status, response.text().as_str()), (200, "b"));
        assert_eq!(response.cookie("sid"), Some(pin_of(&b.url()).as_str()));
    }
    assert_eq!(b.requests().len(), 6);
}
