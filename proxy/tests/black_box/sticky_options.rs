//! What a sticky cookie can do beyond Traefik: names, visibility, caches, keys instead of cookies.

use std::collections::HashMap;

use crate::support::{
    Client, ClosedPort, Driver, Next, Origin, Setup, app_with, on_both_drivers, pin_of,
};

on_both_drivers!(
    a_partitioned_cookie_says_so_last,
    a_cookie_of_a_previous_name_is_replaced,
    a_hidden_cookie_does_not_reach_the_server,
    responses_that_set_the_cookie_are_kept_from_shared_caches,
    a_key_in_a_field_pins_without_a_cookie,
    a_key_in_the_query_pins_like_one_in_a_field,
    the_keys_of_a_dead_server_move_and_no_other,
    a_cookie_counts_more_than_a_key,
);

fn cookie(options: &str) -> String {
    format!("sticky: {{cookie: {{name: sid, {options}}}}}")
}

fn a_partitioned_cookie_says_so_last(driver: Driver) {
    let a = Origin::named("a");
    let balancer = cookie("partitioned: true, secure: true, sameSite: none");
    let proxy = Setup::new(driver, app_with(&balancer, &[&a.url()])).start();
    let line = format!("sid={}; Path=/; Secure; SameSite=None; Partitioned", pin_of(&a.url()));
    assert_eq!(Client::fetch(proxy.address(), "/").all("Set-Cookie"), [line]);
}

fn a_cookie_of_a_previous_name_is_replaced(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let balancer = cookie("previousNames: [older, old], httpOnly: true");
    let proxy = Setup::new(driver, app_with(&balancer, &[&a.url(), &b.url()])).start();
    for (origin, name) in [(&a, "a"), (&b, "b"), (&a, "a")] {
        let pin = pin_of(&origin.url());
        let response = Client::fetch_with_cookie(proxy.address(), &format!("x=y; old={pin}"));
        assert_eq!(response.text(), name);
        let lines = [
            format!("sid={pin}; Path=/; HttpOnly"),
            "old=; Path=/; Max-Age=0; HttpOnly".to_owned(),
        ];
        assert_eq!(response.all("Set-Cookie"), lines);
    }
    assert!(proxy.access_records(3).iter().all(|record| record.sticky() == "migrated"));
    let pin = pin_of(&b.url());
    let both = format!("old={}; sid={pin}", pin_of(&a.url()));
    let response = Client::fetch_with_cookie(proxy.address(), &both);
    assert_eq!((response.text().as_str(), response.field("Set-Cookie")), ("b", None));
}

fn a_hidden_cookie_does_not_reach_the_server(driver: Driver) {
    let a = Origin::named("a");
    let balancer = cookie("hide: true, previousNames: [old]");
    let proxy = Setup::new(driver, app_with(&balancer, &[&a.url()])).start();
    let pin = pin_of(&a.url());
    let mut client = Client::connect(proxy.address());
    for fields in [
        format!("Cookie: sid={pin}\r\nX-Last: 1\r\n"),
        format!("Cookie: x=1; sid={pin}; y=2\r\nCookie: z=3\r\nX-Last: 1\r\n"),
        format!("Cookie: old=1;sid={pin}\r\nX-Last: 1\r\n"),
        "Cookie: x=1;y=2\r\nX-Last: 1\r\n".to_owned(),
    ] {
        assert_eq!(client.get("/", &fields).status, 200);
    }
    let seen: Vec<Vec<String>> = a
        .requests()
        .iter()
        .map(|request| request.all("Cookie").into_iter().map(str::to_owned).collect())
        .collect();
    let want: [&[&str]; 4] = [&[], &["z=3", "x=1; y=2"], &[], &["x=1;y=2"]];
    assert_eq!(seen, want);
    assert!(a.requests().iter().all(|request| request.field("X-Last") == Some("1")));
    let records = proxy.access_records(4);
    assert!(records[..3].iter().all(|record| record.sticky() == "pinned"));
}

fn responses_that_set_the_cookie_are_kept_from_shared_caches(driver: Driver) {
    let a = Origin::fixed(
        "HTTP/1.1 200 OK\r\nCache-Control: public, max-age=60\r\nContent-Length: 0\r\n\r\n",
        Next::KeepAlive,
    );
    let dead = ClosedPort::new();
    for (policy, added) in
        [("off", None), ("private", Some("private")), ("no-store", Some("no-store"))]
    {
        let balancer = cookie(&format!("cache: {policy}"));
        let proxy = Setup::new(driver, app_with(&balancer, &[&a.url()])).start();
        let of_server = || std::iter::once("public, max-age=60");
        let new = Client::fetch(proxy.address(), "/");
        let want: Vec<&str> = added.into_iter().chain(of_server()).collect();
        assert_eq!(new.all("Cache-Control"), want, "{policy}");
        let pinned = format!("sid={}", pin_of(&a.url()));
        let pinned = Client::fetch_with_cookie(proxy.address(), &pinned);
        assert_eq!(pinned.all("Cache-Control"), of_server().collect::<Vec<_>>(), "{policy}");

        let proxy = Setup::new(driver, app_with(&balancer, &[&dead.url()])).start();
        let own = Client::fetch(proxy.address(), "/");
        assert_eq!((own.status, own.field("Cache-Control")), (502, added), "{policy}");
    }
}

const KEYS: &str = "sticky: {header: X-Client, query: client}";

fn ask(proxy: &crate::support::Sundew, target: &str, fields: &str) -> String {
    let response = Client::connect(proxy.address()).get(target, fields);
    assert_eq!((response.status, response.field("Set-Cookie")), (200, None));
    response.text()
}

fn a_key_in_a_field_pins_without_a_cookie(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let proxy = Setup::new(driver, app_with(KEYS, &[&a.url(), &b.url()])).workers(2).start();
    let of = |key: u32| ask(&proxy, "/", &format!("x-client: {key}\r\n"));
    let servers: Vec<String> = (0..24).map(of).collect();
    assert!(["a", "b"].iter().all(|name| servers.iter().any(|it| it == name)), "{servers:?}");
    assert_eq!((0..24).map(of).collect::<Vec<_>>(), servers, "whichever worker is asked");
    assert!(proxy.access_records(48).iter().all(|record| record.sticky() == "header"));
}

fn a_key_in_the_query_pins_like_one_in_a_field(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let proxy = Setup::new(driver, app_with(KEYS, &[&a.url(), &b.url()])).start();
    for key in 0..12 {
        let server = ask(&proxy, "/", &format!("X-Client: user {key}\r\n"));
        for spelled in [format!("user%20{key}"), format!("user+{key}"), format!("%75ser%20{key}")] {
            assert_eq!(ask(&proxy, &format!("/?a=b&client={spelled}"), ""), server);
        }
    }
    let words: Vec<_> = proxy.access_records(48).iter().map(|it| it.sticky().to_owned()).collect();
    assert_eq!(words[..4], ["header", "query", "query", "query"]);
    assert_eq!(ask(&proxy, "/", "").len(), 1, "without a key: in turn, and no cookie");
}

fn the_keys_of_a_dead_server_move_and_no_other(driver: Driver) {
    let (mut a, b, c) = (Origin::named("a"), Origin::named("b"), Origin::named("c"));
    let proxy = Setup::new(driver, app_with(KEYS, &[&a.url(), &b.url(), &c.url()])).start();
    let all = || {
        let of = |key: u32| (key, ask(&proxy, "/", &format!("X-Client: {key}\r\n")));
        (0..30).map(of).collect::<HashMap<u32, String>>()
    };
    let before = all();
    a.stop();
    for (key, server) in all() {
        assert!(server != "a" && (before[&key] == server || before[&key] == "a"), "{key}");
    }
    a.start();
    assert_eq!(all(), before, "and they return");
}

fn a_cookie_counts_more_than_a_key(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let balancer = "sticky: {header: X-Client, cookie: {name: sid}}";
    let proxy = Setup::new(driver, app_with(balancer, &[&a.url(), &b.url()])).start();
    for key in 0..6 {
        let fields = format!("Cookie: sid={}\r\nX-Client: {key}\r\n", pin_of(&b.url()));
        assert_eq!(ask(&proxy, "/", &fields), "b");
    }
    let neither = Client::fetch(proxy.address(), "/");
    assert!(neither.cookie("sid").is_some(), "a client with neither is given a cookie");
}
