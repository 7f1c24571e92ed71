//! The cookie itself: its name, its attributes, and how a Cookie field is read (as Go reads it).

use crate::support::{Client, Driver, Origin, Setup, app, app_with, on_both_drivers, pin_of};

on_both_drivers!(
    attributes_are_rendered_in_the_order_of_traefik,
    a_name_is_sanitised_or_generated,
    forms_that_enable_stickiness,
    forms_that_leave_stickiness_off,
    cookies_are_read_as_go_reads_them,
    the_first_cookie_of_the_name_wins,
    cookie_lines_are_searched_in_order,
    more_than_3000_cookies_are_all_ignored,
);

/// Sets up one server behind `balancer` lines and returns the lines that set a cookie, with the
/// server's hash as `PIN`.
fn set_cookie_lines(driver: Driver, balancer: &str) -> Vec<String> {
    let origin = Origin::named("a");
    let proxy = Setup::new(driver, app_with(balancer, &[&origin.url()])).start();
    let response = Client::fetch(proxy.address(), "/");
    assert_eq!(response.status, 200, "{balancer}");
    let lines = response.all("Set-Cookie");
    lines.into_iter().map(|line| line.replace(&pin_of(&origin.url()), "PIN")).collect()
}

fn attributes_are_rendered_in_the_order_of_traefik(driver: Driver) {
    let table = [
        ("name: sid", "sid=PIN; Path=/"),
        ("name: sid, secure: true", "sid=PIN; Path=/; Secure"),
        ("name: sid, httpOnly: true", "sid=PIN; Path=/; HttpOnly"),
        ("name: sid, sameSite: none, secure: true", "sid=PIN; Path=/; Secure; SameSite=None"),
        ("name: sid, sameSite: Strict", "sid=PIN; Path=/; SameSite=Strict"),
        ("name: sid, maxAge: 3600", "sid=PIN; Path=/; Max-Age=3600"),
        ("name: sid, maxAge: -1", "sid=PIN; Path=/; Max-Age=0"),
        ("name: sid, maxAge: 0", "sid=PIN; Path=/"),
        ("name: sid, path: /app", "sid=PIN; Path=/app"),
        ("name: sid, path: ''", "sid=PIN"),
        ("name: sid, domain: example.test", "sid=PIN; Path=/; Domain=example.test"),
        ("name: sid, domain: .example.test", "sid=PIN; Path=/; Domain=example.test"),
        (
            "sameSite: lax, secure: true, path: /x, name: sid, httpOnly: true, maxAge: 60, \
             domain: example.test",
            "sid=PIN; Path=/x; Domain=example.test; Max-Age=60; HttpOnly; Secure; SameSite=Lax",
        ),
    ];
    for (options, want) in table {
        let lines = set_cookie_lines(driver, &format!("sticky: {{cookie: {{{options}}}}}"));
        assert_eq!(lines, [want], "{options}");
    }
}

fn a_name_is_sanitised_or_generated(driver: Driver) {
    let table = [
        // The first five hexadecimal digits of the SHA-1 of `_TRAEFIK_BACKEND_app@file`.
        ("cookie: {}", "_fb0b0"),
        ("cookie: {name: ''}", "_fb0b0"),
        ("cookie: {name: 'a_b'}", "a_b"),
        ("cookie: {name: 'a/b(c)=d;e f'}", "a_b_c__d_e_f"),
        ("cookie: {name: 'äö'}", "__"),
        ("cookie: {name: \"!#$%&'*+-.^`|~\"}", "!#$%&'*+-.^`|~"),
    ];
    for (cookie, name) in table {
        let lines = set_cookie_lines(driver, &format!("sticky: {{{cookie}}}"));
        assert_eq!(lines, [format!("{name}=PIN; Path=/")], "{cookie}");
    }
}

fn forms_that_enable_stickiness(driver: Driver) {
    for form in ["sticky: {cookie: {}}", "sticky: {cookie: true}", "STICKY: {Cookie: {NAME: sid}}"]
    {
        assert_eq!(set_cookie_lines(driver, form).len(), 1, "{form}");
    }
}

fn forms_that_leave_stickiness_off(driver: Driver) {
    for form in ["sticky: {}", "sticky: true", "sticky:", "sticky: {cookie: }"] {
        assert_eq!(set_cookie_lines(driver, form), [""; 0], "{form}");
    }
}

fn cookies_are_read_as_go_reads_them(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let proxy = Setup::new(driver, app(&[&a.url(), &b.url()])).start();
    let pin = pin_of(&a.url());
    let hits = [
        format!("sid={pin}"),
        format!("sid=\"{pin}\""),
        format!("  sid={pin}  "),
        format!("\tsid={pin}\t;x=y"),
        format!("a=b;sid={pin}"),
        format!("a=b; sid={pin};"),
        format!(";;; sid={pin}"),
        format!("sid={pin}; sid=other"),
        format!("bad name=1; sid={pin}"),
        format!("=x; sid={pin}"),
        format!("sid=a\\b; sid={pin}"),
        format!("sid=a\"b; sid={pin}"),
        format!("sid=\u{1}; sid={pin}").replace('\u{1}', "\u{e9}"),
        format!("other; sid={pin}"),
    ];
    let misses = [
        format!("SID={pin}"),
        format!("sid = {pin}"),
        format!("sid= {pin}"),
        format!("sid=\"{pin}"),
        format!("sid={pin}\""),
        format!("sid=\"\"{pin}\"\""),
        format!("xsid={pin}"),
        format!("sid{pin}"),
        format!("sid; sid={pin}"),
        format!("sid=; sid={pin}"),
        format!("a=b, sid={pin}"),
        format!("sid={pin}, a=b"),
        format!("sid==; sid={pin}"),
    ];
    for cookie in &hits {
        let response = Client::fetch_with_cookie(proxy.address(), cookie);
        let got = (response.text(), response.field("Set-Cookie"));
        assert_eq!(got, ("a".to_owned(), None), "a hit: {cookie:?}");
    }
    for cookie in &misses {
        let response = Client::fetch_with_cookie(proxy.address(), cookie);
        assert_eq!(response.status, 200, "{cookie:?}");
        assert!(response.cookie("sid").is_some(), "a miss: {cookie:?}");
    }
}

fn the_first_cookie_of_the_name_wins(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let proxy = Setup::new(driver, app(&[&a.url(), &b.url()])).start();
    let (to_a, to_b) = (pin_of(&a.url()), pin_of(&b.url()));
    let ab = Client::fetch_with_cookie(proxy.address(), &format!("sid={to_a}; sid={to_b}"));
    let ba = Client::fetch_with_cookie(proxy.address(), &format!("sid={to_b}; sid={to_a}"));
    assert_eq!((ab.text().as_str(), ba.text().as_str()), ("a", "b"));
}

fn cookie_lines_are_searched_in_order(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let proxy = Setup::new(driver, app(&[&a.url(), &b.url()])).start();
    let (to_a, to_b) = (pin_of(&a.url()), pin_of(&b.url()));
    let lines = format!("Cookie: x=1\r\ncookie: sid={to_b}\r\nCOOKIE: sid={to_a}\r\n");
    let response = Client::connect(proxy.address()).get("/", &lines);
    assert_eq!((response.text().as_str(), response.field("Set-Cookie")), ("b", None));
    assert_eq!(
        b.only_request().all("Cookie"),
        ["x=1".to_owned(), format!("sid={to_b}"), format!("sid={to_a}")]
    );
}

fn more_than_3000_cookies_are_all_ignored(driver: Driver) {
    let a = Origin::named("a");
    let proxy = Setup::new(driver, app(&[&a.url()])).start();
    let pin = pin_of(&a.url());
    for (count, is_ignored) in [(3000, false), (3001, true)] {
        let rest = "; a=1".repeat(count - 1);
        let response = Client::fetch_with_cookie(proxy.address(), &format!("sid={pin}{rest}"));
        assert_eq!(response.status, 200);
        assert_eq!(response.field("Set-Cookie").is_some(), is_ignored, "{count} cookies");
    }
}
