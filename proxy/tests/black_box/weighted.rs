//! Shares: weights of servers, weighted services, and cookies of two levels.

use crate::support::{Client, Driver, Origin, Setup, Sundew, on_both_drivers, pin_of};

on_both_drivers!(
    servers_are_chosen_in_the_order_of_traefik,
    a_server_of_weight_zero_gets_no_new_client,
    services_are_chosen_in_the_order_of_traefik,
    both_levels_pin_and_the_outer_cookie_comes_first,
    a_child_is_pinned_by_older_formats_too,
    the_outer_cookie_is_sent_with_a_childs_503,
    two_levels_of_one_name_send_two_lines,
    nested_weighted_services_reach_their_servers,
    a_child_that_is_down_is_left_when_health_is_propagated,
);

/// The earliest-deadline-first order of Traefik's balancer: a binary heap as Go's, ties as there.
fn golden(weights: &[f64], count: usize) -> Vec<usize> {
    let mut heap: Vec<(f64, usize)> = Vec::new();
    for (index, weight) in weights.iter().enumerate() {
        push(&mut heap, (1.0 / weight, index));
    }
    let mut picks = Vec::new();
    for _ in 0..count {
        let (deadline, index) = pop(&mut heap);
        picks.push(index);
        push(&mut heap, (deadline + 1.0 / weights[index], index));
    }
    picks
}

fn push(heap: &mut Vec<(f64, usize)>, entry: (f64, usize)) {
    heap.push(entry);
    let mut at = heap.len() - 1;
    while at > 0 && heap[at].0 < heap[(at - 1) / 2].0 {
        heap.swap(at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

fn pop(heap: &mut Vec<(f64, usize)>) -> (f64, usize) {
    let last = heap.len() - 1;
    heap.swap(0, last);
    let popped = heap.pop().expect("a heap that is never empty");
    let mut at = 0;
    loop {
        let mut child = 2 * at + 1;
        if child >= heap.len() {
            return popped;
        }
        if child + 1 < heap.len() && heap[child + 1].0 < heap[child].0 {
            child += 1;
        }
        if heap[child].0 >= heap[at].0 {
            return popped;
        }
        heap.swap(at, child);
        at = child;
    }
}

fn letters(picks: &[usize]) -> String {
    picks.iter().map(|index| ["A", "B", "C", "D"][*index]).collect()
}

#[test]
fn the_golden_order_is_that_of_traefik() {
    let table: [(&[f64], &str); 4] = [
        (&[11.0, 3.0], "AAABAAAABAAABA"),
        (&[3.0, 1.0], "AABAAAABAABA"),
        (&[5.0, 3.0, 2.0], "ABACABABACABACABABAC"),
        (&[1.0, 1.0, 1.0, 1.0], "ADBCBCADADBCBCAD"),
    ];
    for (weights, want) in table {
        assert_eq!(letters(&golden(weights, want.len())), want);
    }
}

/// Every order of `0..count`.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for shorter in orders(count - 1) {
        for at in 0..count {
            let mut order = shorter.clone();
            order.insert(at, count - 1);
            all.push(order);
        }
    }
    all
}

/// Asserts that `got` is a stretch of the golden sequence. A worker starts at an offset of its own,
/// and servers are added in an order of its own, so any stretch of any order will do.
#[track_caller]
fn expect_stretch(got: &str, weights: &[f64]) {
    let is_found = orders(weights.len()).into_iter().any(|order| {
        let shuffled: Vec<_> = order.iter().map(|index| weights[*index]).collect();
        let picks = golden(&shuffled, 400).into_iter().map(|at| order[at]).collect::<Vec<_>>();
        letters(&picks).contains(got)
    });
    assert!(is_found, "{got} is no stretch of the sequence for {weights:?}");
}

const NAMES: [&str; 4] = ["A", "B", "C", "D"];

fn picks(proxy: &Sundew, count: usize) -> String {
    let mut client = Client::connect(proxy.address());
    (0..count).map(|_| client.get("/", "").text()).collect()
}

fn servers(origins: &[Origin], weights: &[f64]) -> String {
    let lines = origins.iter().zip(weights);
    lines.map(|(it, weight)| format!("{{url: \"{}\", weight: {weight}}}, ", it.url())).collect()
}

fn servers_are_chosen_in_the_order_of_traefik(driver: Driver) {
    let table: [&[f64]; 5] =
        [&[11.0, 3.0], &[3.0, 1.0], &[5.0, 3.0, 2.0], &[1.0, 1.0, 1.0], &[1.0, 1.0, 1.0, 1.0]];
    for weights in table {
        let origins: Vec<_> = NAMES[..weights.len()].iter().map(|it| Origin::named(it)).collect();
        let servers = servers(&origins, weights);
        let text = format!(
            "http:\n  routers: {{app: {{rule: \"PathPrefix(`/`)\", service: app}}}}\n  \
             services: {{app: {{loadBalancer: {{servers: [{servers}]}}}}}}\n"
        );
        let proxy = Setup::new(driver, text).start();
        expect_stretch(&picks(&proxy, 40), weights);
    }
}

fn a_server_of_weight_zero_gets_no_new_client(driver: Driver) {
    let origins = [Origin::named("A"), Origin::named("B")];
    let servers = servers(&origins, &[1.0, 0.0]);
    let text = format!(
        "http:\n  routers: {{app: {{rule: \"PathPrefix(`/`)\", service: app}}}}\n  \
         services: {{app: {{loadBalancer: {{sticky: {{cookie: {{name: sid}}}}, \
         servers: [{servers}]}}}}}}\n"
    );
    let proxy = Setup::new(driver, text).start();
    assert_eq!(picks(&proxy, 10), "AAAAAAAAAA");
    // A listed difference: the pins of a server that is being emptied are kept.
    let cookie = format!("sid={}", pin_of(&origins[1].url()));
    let response = Client::fetch_with_cookie(proxy.address(), &cookie);
    assert_eq!((response.text().as_str(), response.field("Set-Cookie")), ("B", None));
}

/// A weighted service `app` of `one` and `two`, with lines for each level.
fn split(outer: &str, inner: &str, one: &[&str], two: &[&str], weights: [u32; 2]) -> String {
    let list = |urls: &[&str]| -> String {
        urls.iter().map(|url| format!("{{url: \"{url}\"}}, ")).collect()
    };
    let [first, second] = weights;
    format!(
        "http:\n  routers: {{app: {{rule: \"PathPrefix(`/`)\", service: app}}}}\n  services:\n    \
         app: {{weighted: {{{outer} services: [{{name: one, weight: {first}}}, \
         {{name: two, weight: {second}}}]}}}}\n    \
         one: {{loadBalancer: {{{inner} servers: [{}]}}}}\n    \
         two: {{loadBalancer: {{{inner} servers: [{}]}}}}\n",
        list(one),
        list(two)
    )
}

const OUTER: &str = "sticky: {cookie: {name: outer}},";
const INNER: &str = "sticky: {cookie: {name: inner}},";

fn services_are_chosen_in_the_order_of_traefik(driver: Driver) {
    let (a, b) = (Origin::named("A"), Origin::named("B"));
    let text = split("", "", &[&a.url()], &[&b.url()], [3, 1]);
    let proxy = Setup::new(driver, text).start();
    expect_stretch(&picks(&proxy, 40), &[3.0, 1.0]);
}

fn both_levels_pin_and_the_outer_cookie_comes_first(driver: Driver) {
    let origins = NAMES.map(Origin::named);
    let urls = origins.each_ref().map(Origin::url);
    let text = split(OUTER, INNER, &[&urls[0], &urls[1]], &[&urls[2], &urls[3]], [1, 1]);
    let proxy = Setup::new(driver, text).start();
    let first = Client::fetch(proxy.address(), "/");
    let at = NAMES.iter().position(|name| *name == first.text()).expect("a name");
    let child = if at < 2 { "one" } else { "two" };
    let lines = [
        format!("outer={}; Path=/", pin_of(child)),
        format!("inner={}; Path=/", pin_of(&urls[at])),
    ];
    assert_eq!(first.all("Set-Cookie"), lines);

    for (at, url) in urls.iter().enumerate() {
        let child = if at < 2 { "one" } else { "two" };
        let cookie = format!("inner={}; outer={}", pin_of(url), pin_of(child));
        for _ in 0..3 {
            let response = Client::fetch_with_cookie(proxy.address(), &cookie);
            assert_eq!((response.text().as_str(), response.field("Set-Cookie")), (NAMES[at], None));
        }
    }
    // The outer pin holds, the inner one means nothing to that child.
    let cookie = format!("inner={}; outer={}", pin_of(&urls[0]), pin_of("two"));
    let response = Client::fetch_with_cookie(proxy.address(), &cookie);
    assert!(["C", "D"].contains(&response.text().as_str()), "{response:?}");
    assert_eq!((response.cookie("outer"), response.cookie("inner").is_some()), (None, true));
}

fn a_child_is_pinned_by_older_formats_too(driver: Driver) {
    let (a, b) = (Origin::named("A"), Origin::named("B"));
    let text = split(OUTER, "", &[&a.url()], &[&b.url()], [1, 1])
        .replace("one", "first")
        .replace("two", "second");
    let proxy = Setup::new(driver, text).start();
    let values = [
        ("a7937b64b8caa58f", "A", false),
        ("first", "A", true),
        ("second", "B", true),
        ("c0de9a9b8ec0e479", "A", true),
        ("972075613189785d", "B", true),
        ("76819daa37fef449", "A", true),
        ("749ae7de1d6d5a4b", "B", true),
    ];
    for (value, name, is_rewritten) in values {
        for _ in 0..2 {
            let cookie = format!("outer={value}");
            let response = Client::fetch_with_cookie(proxy.address(), &cookie);
            assert_eq!(response.text(), name, "{value}");
            let pin = pin_of(if name == "A" { "first" } else { "second" });
            let want = is_rewritten.then_some(pin.as_str());
            assert_eq!(response.cookie("outer"), want, "{value}");
        }
    }
}

fn the_outer_cookie_is_sent_with_a_childs_503(driver: Driver) {
    let text = split(OUTER, INNER, &[], &[], [1, 1]);
    let proxy = Setup::new(driver, text).start();
    let response = Client::fetch(proxy.address(), "/");
    assert_eq!((response.status, response.text().as_str()), (503, "no available server\n"));
    assert!(response.cookie("outer").is_some());
    assert_eq!(response.cookie("inner"), None);
}

fn two_levels_of_one_name_send_two_lines(driver: Driver) {
    let a = Origin::named("A");
    let same = "sticky: {cookie: {name: sid}},";
    let text = split(same, same, &[&a.url()], &[], [1, 0]);
    let proxy = Setup::new(driver, text).start();
    let response = Client::fetch(proxy.address(), "/");
    let lines =
        [format!("sid={}; Path=/", pin_of("one")), format!("sid={}; Path=/", pin_of(&a.url()))];
    assert_eq!(response.all("Set-Cookie"), lines);
}

fn nested_weighted_services_reach_their_servers(driver: Driver) {
    let origins = NAMES.map(Origin::named);
    let urls = origins.each_ref().map(Origin::url);
    let leaf = |url: &str| format!("{{loadBalancer: {{servers: [{{url: \"{url}\"}}]}}}}");
    let text = format!(
        "http:\n  routers: {{app: {{rule: \"PathPrefix(`/`)\", service: app}}}}\n  services:\n    \
         app: {{weighted: {{services: [{{name: left}}, {{name: right}}]}}}}\n    \
         left: {{weighted: {{services: [{{name: a}}, {{name: b}}]}}}}\n    \
         right: {{weighted: {{services: [{{name: c}}, {{name: d}}]}}}}\n    \
         a: {}\n    b: {}\n    c: {}\n    d: {}\n",
        leaf(&urls[0]),
        leaf(&urls[1]),
        leaf(&urls[2]),
        leaf(&urls[3])
    );
    let proxy = Setup::new(driver, text).start();
    assert_eq!(picks(&proxy, 40).len(), 40);
    assert!(origins.iter().all(|origin| origin.requests().len() == 10));
}

fn a_child_that_is_down_is_left_when_health_is_propagated(driver: Driver) {
    let (a, b) = (Origin::named("A"), Origin::named("B"));
    let dead = crate::support::ClosedPort::new();
    let check = "healthCheck: {path: /, interval: 100ms, timeout: 1s},";
    let propagated = split("healthCheck: {},", check, &[&dead.url()], &[&b.url()], [1, 1]);
    let proxy = Setup::new(driver, propagated).start();
    crate::support::eventually("the dead child is left out", || {
        (picks(&proxy, 6) == "BBBBBB").then_some(())
    });
    drop(a);
}
