//! Servers that get no new clients, and servers that are known by a name.

use crate::support::{
    Client, ClosedPort, Driver, Origin, Setup, eventually, on_both_drivers, pin_of,
};

on_both_drivers!(
    a_drained_server_serves_its_pinned_clients_and_no_new_ones,
    draining_begins_and_ends_with_a_reload,
    a_client_of_a_dead_server_is_not_moved_to_a_drained_one,
    a_server_with_an_id_keeps_its_clients_when_its_url_changes,
    pins_of_the_url_go_on_to_count_where_an_id_is_given,
);

/// A sticky service of servers in flow style.
fn with_servers(servers: &[String]) -> String {
    let servers = servers.join(", ");
    format!(
        "http:\n  routers:\n    app: {{rule: \"PathPrefix(`/`)\", service: app}}\n  services:\n    \
         app: {{loadBalancer: {{sticky: {{cookie: {{name: sid}}}}, servers: [{servers}]}}}}\n"
    )
}

fn server(url: &str, options: &str) -> String {
    format!("{{url: \"{url}\"{options}}}")
}

fn a_drained_server_serves_its_pinned_clients_and_no_new_ones(driver: Driver) {
    for options in [", drain: true", ", weight: 0"] {
        let (a, b) = (Origin::named("a"), Origin::named("b"));
        let servers = [server(&a.url(), options), server(&b.url(), "")];
        let proxy = Setup::new(driver, with_servers(&servers)).start();
        let to_a = format!("sid={}", pin_of(&a.url()));
        for _ in 0..4 {
            assert_eq!(Client::fetch(proxy.address(), "/").text(), "b");
            let pinned = Client::fetch_with_cookie(proxy.address(), &to_a);
            assert_eq!((pinned.text().as_str(), pinned.field("Set-Cookie")), ("a", None));
        }
        let records = proxy.access_records(8);
        assert_eq!((records[0].sticky(), records[1].sticky()), ("new", "pinned"));
        assert_eq!((a.requests().len(), b.requests().len()), (4, 4), "{options}");
    }
}

fn draining_begins_and_ends_with_a_reload(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let with = |options| with_servers(&[server(&a.url(), options), server(&b.url(), "")]);
    let proxy = Setup::new(driver, with("")).start();
    let has_new_clients_of_a = || (0..4).any(|_| Client::fetch(proxy.address(), "/").text() == "a");
    assert!(has_new_clients_of_a());
    proxy.replace_dynamic(&with(", drain: true"));
    eventually("a is drained", || (!has_new_clients_of_a()).then_some(()));
    let to_a = format!("sid={}", pin_of(&a.url()));
    assert_eq!(Client::fetch_with_cookie(proxy.address(), &to_a).text(), "a");
    proxy.replace_dynamic(&with(", drain: false"));
    eventually("a has new clients", || has_new_clients_of_a().then_some(()));
}

fn a_client_of_a_dead_server_is_not_moved_to_a_drained_one(driver: Driver) {
    let (dead, drained, b) = (ClosedPort::new(), Origin::named("drained"), Origin::named("b"));
    let servers =
        [server(&dead.url(), ""), server(&drained.url(), ", drain: true"), server(&b.url(), "")];
    let proxy = Setup::new(driver, with_servers(&servers)).start();
    for _ in 0..3 {
        let cookie = format!("sid={}", pin_of(&dead.url()));
        let moved = Client::fetch_with_cookie(proxy.address(), &cookie);
        assert_eq!((moved.text().as_str(), moved.cookie("sid")), ("b", Some(&*pin_of(&b.url()))));
    }
    assert!(drained.requests().is_empty());
}

fn a_server_with_an_id_keeps_its_clients_when_its_url_changes(driver: Driver) {
    let (first, second, b) = (Origin::named("first"), Origin::named("second"), Origin::named("b"));
    let with = |url: &str| with_servers(&[server(url, ", id: app-1"), server(&b.url(), "")]);
    let proxy = Setup::new(driver, with(&first.url())).start();
    let cookie = format!("sid={}", pin_of("app-1"));
    let fetch = || Client::fetch_with_cookie(proxy.address(), &cookie);
    let response = fetch();
    assert_eq!((response.text().as_str(), response.field("Set-Cookie")), ("first", None));
    proxy.replace_dynamic(&with(&second.url()));
    let moved = eventually("the server has moved", || {
        let response = fetch();
        (response.text() != "first").then_some(response)
    });
    assert_eq!((moved.text().as_str(), moved.field("Set-Cookie")), ("second", None));
}

fn pins_of_the_url_go_on_to_count_where_an_id_is_given(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let servers = [server(&a.url(), ", id: app-1"), server(&b.url(), "")];
    let proxy = Setup::new(driver, with_servers(&servers)).start();
    for value in [pin_of(&a.url()), a.url()] {
        let response = Client::fetch_with_cookie(proxy.address(), &format!("sid={value}"));
        let got = (response.text(), response.cookie("sid"));
        assert_eq!(got, ("a".to_owned(), Some(&*pin_of("app-1"))), "{value}");
    }
    assert!(proxy.access_records(2).iter().all(|record| record.sticky() == "rewritten"));
}
