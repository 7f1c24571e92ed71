//! Mistakes in the dynamic file: all of them at once, or, with `--lenient`, around them.

use crate::support::{Client, Driver, Origin, Setup, Sundew, eventually, on_both_drivers};

on_both_drivers!(
    lenient_leaves_out_what_is_wrong_by_itself,
    strict_names_every_mistake_and_does_not_start,
    a_lenient_reload_leaves_out_as_well,
    lenient_does_not_forgive_an_unknown_key,
    a_strict_reload_names_every_mistake_and_keeps_the_last_configuration,
);

/// `good` is fine; `url`, `rule` and `gone` are wrong by themselves; `cookie` and `scheme` ask for
/// what does not exist.
fn mixed(url: &str) -> String {
    format!(
        "http:
  routers:
    good: {{rule: \"Path(`/good`)\", service: good}}
    url: {{rule: \"Path(`/url`)\", service: url}}
    cookie: {{rule: \"Path(`/cookie`)\", service: cookie}}
    scheme: {{rule: \"Path(`/scheme`)\", service: scheme}}
    rule: {{rule: \"Path(`/rule`\", service: good}}
    gone: {{rule: \"Path(`/gone`)\", service: gone}}
  services:
    good: {{loadBalancer: {{servers: [{{url: \"{url}\"}}]}}}}
    url: {{loadBalancer: {{servers: [{{url: \"no url\"}}]}}}}
    cookie:
      loadBalancer:
        sticky: {{cookie: {{name: sid, sameSite: often}}}}
        servers: [{{url: \"{url}\"}}]
    scheme:
      loadBalancer:
        healthCheck: {{path: /, scheme: https}}
        servers: [{{url: \"{url}\"}}]
"
    )
}

/// Place and path of each mistake in [`mixed`], and a word of what is wrong.
const MISTAKES: [(&str, &str, &str); 5] = [
    ("7:18", "http.routers.rule.rule", "expected `)`"),
    ("8:44", "http.routers.gone.service", "no service `gone`; did you mean `good`?"),
    ("11:42", "http.services.url.loadBalancer.servers[0].url", "`no url`"),
    ("14:48", "http.services.cookie.loadBalancer.sticky.cookie.sameSite", "`often`"),
    ("18:40", "http.services.scheme.loadBalancer.healthCheck.scheme", "`https`"),
];

/// `kind` is what stands between the place and the path.
#[track_caller]
fn expect_every_mistake(proxy: &Sundew, kind: &str) {
    for (place, path, words) in MISTAKES {
        let line = proxy.wait_for_log(&format!("dynamic.yml:{place}: {kind}{path}: "));
        assert!(line.contains(words), "{line}");
    }
}

/// What is left of [`mixed`] when the rest is left out.
#[track_caller]
fn expect_the_good_rest(proxy: &Sundew) {
    let table = [
        ("/good", 200, "a"),
        ("/cookie", 200, "a"),
        ("/scheme", 200, "a"),
        ("/url", 404, "404 page not found\n"),
        ("/rule", 404, "404 page not found\n"),
        ("/gone", 404, "404 page not found\n"),
    ];
    for (target, status, body) in table {
        let response = Client::fetch(proxy.address(), target);
        assert_eq!((response.status, response.text().as_str()), (status, body), "{target}");
    }
}

fn lenient_leaves_out_what_is_wrong_by_itself(driver: Driver) {
    let a = Origin::named("a");
    let proxy = Setup::new(driver, mixed(&a.url())).flag("--lenient").start();
    expect_the_good_rest(&proxy);
    expect_every_mistake(&proxy, "warning: ");
}

fn strict_names_every_mistake_and_does_not_start(driver: Driver) {
    let a = Origin::named("a");
    let mut proxy = Setup::new(driver, mixed(&a.url())).launch();
    assert_eq!(proxy.wait_for_end().code(), Some(1));
    expect_every_mistake(&proxy, "");
    assert!(!proxy.log().contains("listening on"), "{}", proxy.log());
}

fn lenient_does_not_forgive_an_unknown_key(driver: Driver) {
    // Neither does Traefik.
    let text = "http: {services: {a: {loadBalancer: {servrs: []}}}}\n";
    let mut proxy = Setup::new(driver, text).flag("--lenient").launch();
    assert_eq!(proxy.wait_for_end().code(), Some(1));
    let line = proxy.wait_for_log("dynamic.yml:1:38: http.services.a.loadBalancer: ");
    assert!(line.contains("unknown key `servrs`; did you mean `servers`?"), "{line}");
}

fn a_lenient_reload_leaves_out_as_well(driver: Driver) {
    let a = Origin::named("a");
    let proxy = Setup::new(driver, "http: {}\n").flag("--lenient").start();
    assert_eq!(Client::fetch(proxy.address(), "/good").status, 404);
    proxy.replace_dynamic(&mixed(&a.url()));
    eventually("the good service", || {
        (Client::fetch(proxy.address(), "/good").status == 200).then_some(())
    });
    expect_the_good_rest(&proxy);
    expect_every_mistake(&proxy, "warning: ");
}

fn a_strict_reload_names_every_mistake_and_keeps_the_last_configuration(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let proxy = Setup::new(driver, crate::support::app(&[&a.url()])).start();
    proxy.replace_dynamic(&mixed(&b.url()));
    expect_every_mistake(&proxy, "");
    for target in ["/good", "/url", "/anything"] {
        assert_eq!(Client::fetch(proxy.address(), target).text(), "a", "{target}");
    }
    assert_eq!(b.requests().len(), 0);
}
