//! Active health checks: the probe, what follows from it, and how far the news travels.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::support::{
    Client, Driver, Next, Origin, Setup, Sundew, app_with, eventually, on_both_drivers, pin_of,
};

on_both_drivers!(
    a_failing_server_is_left_out_until_it_recovers,
    a_pinned_client_is_moved_when_its_server_goes_down,
    a_dead_server_is_down_before_the_interval_has_passed,
    no_healthy_server_is_503_without_a_cookie,
    every_worker_hears_of_a_change,
    one_bad_probe_of_many_moves_nobody_where_a_threshold_says_so,
    the_probe_is_what_the_configuration_says,
    the_state_of_a_server_survives_a_reload,
);

const CHECK: &str = "sticky: {cookie: {name: sid}}\n\
                     healthCheck: {path: /health, interval: 100ms, timeout: 2s}";

/// A server that answers `/health` by a switch and everything else with its name.
struct Switched {
    origin: Origin,
    is_healthy: Arc<AtomicBool>,
}

impl Switched {
    fn named(name: &'static str) -> Self {
        let is_healthy = Arc::new(AtomicBool::new(true));
        let switch = Arc::clone(&is_healthy);
        let origin = Origin::scripted(move |exchange| {
            let is_probe = exchange.request.line().contains("/health");
            let status = if is_probe && !switch.load(Ordering::SeqCst) { 503 } else { 200 };
            let length = name.len();
            exchange.send(format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{name}"));
            Next::KeepAlive
        });
        Self { origin, is_healthy }
    }

    fn set_healthy(&self, is_healthy: bool) {
        self.is_healthy.store(is_healthy, Ordering::SeqCst);
    }

    fn url(&self) -> String {
        self.origin.url()
    }
}

/// Who serves eight new clients, sorted and without repetition.
fn servers_of_new_clients(proxy: &Sundew) -> Vec<String> {
    let mut names: Vec<_> = (0..8).map(|_| Client::fetch(proxy.address(), "/").text()).collect();
    names.sort();
    names.dedup();
    names
}

fn wait_for_servers(proxy: &Sundew, want: &[&str]) {
    eventually(&format!("new clients are served by {want:?}"), || {
        (servers_of_new_clients(proxy) == want).then_some(())
    });
}

fn a_failing_server_is_left_out_until_it_recovers(driver: Driver) {
    let (a, b) = (Switched::named("a"), Switched::named("b"));
    let proxy = Setup::new(driver, app_with(CHECK, &[&a.url(), &b.url()])).start();
    wait_for_servers(&proxy, &["a", "b"]);
    a.set_healthy(false);
    wait_for_servers(&proxy, &["b"]);
    a.set_healthy(true);
    wait_for_servers(&proxy, &["a", "b"]);
}

fn a_pinned_client_is_moved_when_its_server_goes_down(driver: Driver) {
    let (a, b) = (Switched::named("a"), Switched::named("b"));
    let proxy = Setup::new(driver, app_with(CHECK, &[&a.url(), &b.url()])).start();
    let to_a = format!("sid={}", pin_of(&a.url()));
    assert_eq!(Client::fetch_with_cookie(proxy.address(), &to_a).text(), "a");
    a.set_healthy(false);
    let moved = eventually("the client is moved", || {
        let response = Client::fetch_with_cookie(proxy.address(), &to_a);
        (response.text() == "b").then_some(response)
    });
    assert_eq!(moved.all("Set-Cookie"), [format!("sid={}; Path=/", pin_of(&b.url()))]);
    a.set_healthy(true);
    wait_for_servers(&proxy, &["a", "b"]);
    let to_b = format!("sid={}", pin_of(&b.url()));
    assert_eq!(Client::fetch_with_cookie(proxy.address(), &to_b).text(), "b");
    eventually("a record of the move", || {
        proxy.access_records(1).iter().any(|record| record.sticky() == "down").then_some(())
    });
}

fn a_dead_server_is_down_before_the_interval_has_passed(driver: Driver) {
    // The first probe goes out at once; Traefik waits for one interval.
    let (a, b) = (Switched::named("a"), Switched::named("b"));
    a.set_healthy(false);
    let check = "healthCheck: {path: /health, interval: 1h}";
    let proxy = Setup::new(driver, app_with(check, &[&a.url(), &b.url()])).start();
    wait_for_servers(&proxy, &["b"]);
}

fn no_healthy_server_is_503_without_a_cookie(driver: Driver) {
    let a = Switched::named("a");
    a.set_healthy(false);
    let proxy = Setup::new(driver, app_with(CHECK, &[&a.url()])).start();
    let response = eventually("503", || {
        let cookie = format!("sid={}", pin_of(&a.url()));
        let response = Client::fetch_with_cookie(proxy.address(), &cookie);
        (response.status == 503).then_some(response)
    });
    assert_eq!(response.text(), "no available server\n");
    assert_eq!(response.field("Set-Cookie"), None);
    a.set_healthy(true);
    wait_for_servers(&proxy, &["a"]);
}

fn every_worker_hears_of_a_change(driver: Driver) {
    let (a, b) = (Switched::named("a"), Switched::named("b"));
    let proxy = Setup::new(driver, app_with(CHECK, &[&a.url(), &b.url()])).workers(3).start();
    // Connections that stay open keep their worker: together they stand for all of them.
    let mut clients: Vec<_> = (0..24).map(|_| Client::connect(proxy.address())).collect();
    let mut seen_by_all = |want: &str| {
        eventually(&format!("all connections are served by {want} only"), || {
            let mut texts = clients.iter_mut().flat_map(|it| [it.get("/", ""), it.get("/", "")]);
            texts.all(|response| response.text() == want).then_some(())
        });
    };
    a.set_healthy(false);
    seen_by_all("b");
    a.set_healthy(true);
    wait_for_servers(&proxy, &["a", "b"]);
    b.set_healthy(false);
    seen_by_all("a");
}

fn one_bad_probe_of_many_moves_nobody_where_a_threshold_says_so(driver: Driver) {
    let probes = Arc::new(AtomicUsize::new(0));
    let is_dead = Arc::new(AtomicBool::new(false));
    let (count, switch) = (Arc::clone(&probes), Arc::clone(&is_dead));
    let flapping = Origin::scripted(move |exchange| {
        let is_probe = exchange.request.line().contains("/health");
        let is_bad = is_probe
            && (count.fetch_add(1, Ordering::SeqCst) % 2 == 0 || switch.load(Ordering::SeqCst));
        let status = if is_bad { 503 } else { 200 };
        exchange.send(format!("HTTP/1.1 {status} X\r\nContent-Length: 1\r\n\r\na"));
        Next::KeepAlive
    });
    let b = Origin::named("b");
    let check = "sticky: {cookie: {name: sid}}\n\
                 healthCheck: {path: /health, interval: 20ms, unhealthyThreshold: 2}";
    let proxy = Setup::new(driver, app_with(check, &[&flapping.url(), &b.url()])).start();
    let pinned = format!("sid={}", pin_of(&flapping.url()));
    eventually("twenty probes, every second one bad", || {
        assert_eq!(Client::fetch_with_cookie(proxy.address(), &pinned).text(), "a");
        (probes.load(Ordering::SeqCst) >= 20).then_some(())
    });
    is_dead.store(true, Ordering::SeqCst);
    wait_for_servers(&proxy, &["b"]);
}

fn the_probe_is_what_the_configuration_says(driver: Driver) {
    let origin = Origin::named("a");
    let check = "healthCheck:\n  path: /ready?deep=1\n  method: HEAD\n  hostname: probe.test\n  \
                 interval: 200ms\n  headers: {X-Probe: \"yes\"}";
    let proxy = Setup::new(driver, app_with(check, &[&origin.url()])).start();
    let probe = eventually("a probe", || origin.requests().pop());
    assert_eq!(probe.line(), "HEAD /ready?deep=1 HTTP/1.1");
    assert_eq!(probe.all("Host"), ["probe.test"]);
    assert_eq!(probe.all("X-Probe"), ["yes"]);
    eventually("a second probe", || (origin.requests().len() > 1).then_some(()));
    assert_eq!(Client::fetch(proxy.address(), "/").status, 200);
    assert_eq!(proxy.access_records(1).len(), 1, "probes are not in the access log");
}

fn the_state_of_a_server_survives_a_reload(driver: Driver) {
    let (a, b) = (Switched::named("a"), Switched::named("b"));
    a.set_healthy(false);
    let check = "healthCheck: {path: /health, interval: 1h}";
    let text = app_with(check, &[&a.url(), &b.url()]);
    let proxy = Setup::new(driver, &*text).start();
    wait_for_servers(&proxy, &["b"]);
    // From now on a probe would find it healthy, but none is due.
    let with_marker = text.replace("PathPrefix(`/`)", "PathPrefix(`/`) && !Path(`/gone`)");
    proxy.replace_dynamic(&with_marker);
    eventually("the new configuration is in force", || {
        (Client::fetch(proxy.address(), "/gone").status == 404).then_some(())
    });
    assert_eq!(servers_of_new_clients(&proxy), ["b"]);
}
