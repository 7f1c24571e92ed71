//! What operators read: the API, the metrics, and who may see them.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use crate::support::{
    Client, Driver, Origin, Setup, Sundew, app, eventually, on_both_drivers, pin_of,
};

on_both_drivers!(
    the_api_says_what_is_configured_in_traefiks_words,
    metrics_count_what_every_worker_served,
    counts_survive_a_reload,
    the_socket_is_for_its_owner_and_needs_no_entry_point,
    without_a_word_nothing_is_served,
    metrics_of_an_entry_point_of_their_own_are_all_that_is_there,
    wrong_methods_and_unknown_things_are_told,
);

const ADMIN: &str =
    "api: {insecure: true}\nping: {}\nmetrics: {prometheus: {addRoutersLabels: true}}";

pub(crate) fn read_json(address: SocketAddr, path: &str) -> Value {
    let answer = Client::fetch(address, path);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    assert_eq!(answer.field("Content-Type"), Some("application/json"), "{path}");
    serde_json::from_str(&answer.text()).expect("JSON")
}

pub(crate) fn with_admin(driver: Driver, dynamic: String) -> Sundew {
    Setup::new(driver, dynamic).beside("traefik").statics(ADMIN).workers(2).start()
}

/// The value of a sample; its labels are in the order of their names.
fn sample(address: SocketAddr, name: &str) -> Option<f64> {
    let page = Client::fetch(address, "/metrics");
    assert_eq!(page.status, 200, "{}", page.text());
    let text = page.text();
    let line =
        text.lines().find(|line| line.strip_prefix(name).is_some_and(|it| it.starts_with(' ')));
    line.and_then(|line| line.rsplit_once(' ')?.1.parse().ok())
}

fn the_api_says_what_is_configured_in_traefiks_words(driver: Driver) {
    let origin = Origin::named("a");
    let proxy = with_admin(driver, app(&[&origin.url()]));
    let admin = proxy.address_of("traefik");
    let router = json!({
        "entryPoints": ["web"], "service": "app", "rule": "PathPrefix(`/`)", "priority": 15,
        "observability": {
            "accessLogs": true, "metrics": true, "tracing": true, "traceVerbosity": "minimal",
        },
        "status": "enabled", "using": ["web"], "name": "app@file", "provider": "file",
        "priorityStr": "15",
    });
    assert_eq!(read_json(admin, "/api/http/routers/app@file"), router);
    let service = json!({
        "loadBalancer": {
            "sticky": {"cookie": {"name": "sid", "path": "/"}},
            "servers": [{"url": origin.url()}], "strategy": "wrr", "passHostHeader": true,
            "responseForwarding": {"flushInterval": "100ms"},
        },
        "status": "enabled", "usedBy": ["app@file"], "name": "app@file", "provider": "file",
        "type": "loadbalancer", "serverStatus": {origin.url(): "UP"},
    });
    assert_eq!(read_json(admin, "/api/http/services/app@file"), service);
    let list = Client::fetch(admin, "/api/http/services?search=app&per_page=1");
    assert_eq!(list.field("X-Next-Page"), Some("1"));
    assert_eq!(serde_json::from_str::<Value>(&list.text()).expect("JSON"), json!([service]));
    let raw = read_json(admin, "/api/rawdata");
    assert_eq!(raw["routers"]["app@file"]["status"], "enabled");
    assert_eq!(raw["services"]["app@file"]["serverStatus"][origin.url()], "UP");
    let overview = read_json(admin, "/api/overview");
    // Its own three beside the file's one.
    let counts = json!({"total": 4, "warnings": 0, "errors": 0});
    assert_eq!(overview["http"]["routers"], counts);
    assert_eq!(overview["features"]["metrics"], "Prometheus");
    assert_eq!(overview["providers"], json!(["File"]));
    assert_eq!(read_json(admin, "/api/http/middlewares"), json!([]));
    let points = read_json(admin, "/api/entrypoints");
    assert_eq!(points[1]["name"], "web");
    assert_eq!(points[1]["transport"]["respondingTimeouts"]["idleTimeout"], "3m0s");
    assert_eq!(read_json(admin, "/api/entrypoints/web"), points[1]);
    assert!(read_json(admin, "/api/version")["Version"].is_string());
    assert_eq!(Client::fetch(admin, "/ping").text(), "OK");
}

fn metrics_count_what_every_worker_served(driver: Driver) {
    let origin = Origin::named("abc");
    let proxy = with_admin(driver, app(&[&origin.url()]));
    let pin = format!("sid={}", pin_of(&origin.url()));
    for _ in 0..6 {
        assert_eq!(Client::fetch_with_cookie(proxy.address(), &pin).status, 200);
    }
    Client::fetch(proxy.address(), "/");
    let admin = proxy.address_of("traefik");
    let labels = "code=\"200\",method=\"GET\",protocol=\"http\"";
    let server = format!("server=\"{}\",service=\"app@file\"", origin.url());
    let url = origin.url();
    for (name, want) in [
        ("traefik_entrypoint_requests_total{code=\"200\",entrypoint=\"web\",method=\"GET\",protocol=\"http\"}".to_owned(), 7.0),
        (format!("traefik_service_requests_total{{{labels},service=\"app@file\"}}"), 7.0),
        (format!("traefik_service_responses_bytes_total{{{labels},service=\"app@file\"}}"), 21.0),
        (format!("traefik_router_requests_total{{{labels},router=\"app@file\",service=\"app@file\"}}"), 7.0),
        (format!("traefik_service_request_duration_seconds_count{{{labels},service=\"app@file\"}}"), 7.0),
        ("sundew_sticky_requests_total{outcome=\"pinned\",service=\"app@file\"}".to_owned(), 6.0),
        ("sundew_sticky_requests_total{outcome=\"new\",service=\"app@file\"}".to_owned(), 1.0),
        (format!("sundew_server_requests_total{{{server}}}"), 7.0),
        (format!("sundew_server_in_flight{{{server}}}"), 0.0),
        (format!("sundew_server_pins_seen{{server=\"{url}\",service=\"app@file\",window=\"5m\"}}"), 1.0),
        ("sundew_access_log_dropped_total".to_owned(), 0.0),
    ] {
        // An exchange is counted after its response has gone out.
        eventually(&format!("{name} is {want}"), || {
            (sample(admin, &name) == Some(want)).then_some(())
        });
    }
    let absent = "traefik_entrypoint_requests_total{code=\"200\",entrypoint=\"traefik\"";
    assert!(!Client::fetch(admin, "/metrics").text().contains(absent), "internals do not count");
}

fn counts_survive_a_reload(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let proxy = with_admin(driver, app(&[&a.url()]));
    let admin = proxy.address_of("traefik");
    for _ in 0..3 {
        Client::fetch(proxy.address(), "/");
    }
    let name = "traefik_service_requests_total{code=\"200\",method=\"GET\",protocol=\"http\",service=\"app@file\"}";
    eventually("three requests are counted", || (sample(admin, name) == Some(3.0)).then_some(()));
    proxy.replace_dynamic(&app(&[&a.url(), &b.url()]));
    eventually("the reload is counted", || {
        (sample(admin, "traefik_config_reloads_total") == Some(2.0)).then_some(())
    });
    assert_eq!(sample(admin, name), Some(3.0));
    let server =
        format!("sundew_server_requests_total{{server=\"{}\",service=\"app@file\"}}", a.url());
    assert_eq!(sample(admin, &server), Some(3.0));
}

/// One request over the socket; status line and body.
pub(crate) fn over_socket(path: &std::path::Path, request: &str) -> (String, String) {
    let mut stream = UnixStream::connect(path).expect("the socket");
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.lines().next().expect("a line").to_owned(), body.to_owned())
}

fn the_socket_is_for_its_owner_and_needs_no_entry_point(driver: Driver) {
    let origin = Origin::named("a");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("api.sock");
    let socket = format!("api: {{socket: \"{}\"}}", path.display());
    let mut proxy = Setup::new(driver, app(&[&origin.url()])).settings(&socket).start();
    let mode = std::fs::metadata(&path).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let get = |what: &str| {
        over_socket(&path, &format!("GET {what} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
    };
    let (line, body) = get("/api/http/services/app@file");
    assert_eq!(line, "HTTP/1.1 200 OK");
    assert!(body.contains("\"type\":\"loadbalancer\""), "{body}");
    assert_eq!(get("/metrics").0, "HTTP/1.1 404 Not Found", "nobody asked for metrics");
    assert_eq!(Client::fetch(proxy.address(), "/api/overview").text(), "a", "a client's business");
    assert_eq!(proxy.terminate(), 0);
    assert!(!path.exists());
}

fn metrics_of_an_entry_point_of_their_own_are_all_that_is_there(driver: Driver) {
    let origin = Origin::named("a");
    let lines = "metrics: {prometheus: {entryPoint: numbers}}\napi: {insecure: true}";
    let setup = Setup::new(driver, app(&[&origin.url()])).beside("numbers").beside("traefik");
    let proxy = setup.statics(lines).start();
    let (numbers, api) = (proxy.address_of("numbers"), proxy.address_of("traefik"));
    assert_eq!(sample(numbers, "traefik_config_reloads_total"), Some(1.0));
    for (address, path, status) in [
        (numbers, "/", 404),
        (numbers, "/api/overview", 404),
        (api, "/metrics", 404),
        (api, "/api/overview", 200),
    ] {
        assert_eq!(Client::fetch(address, path).status, status, "{path}");
    }
}

fn without_a_word_nothing_is_served(driver: Driver) {
    let origin = Origin::named("a");
    let proxy = Setup::new(driver, app(&[&origin.url()])).start();
    for path in ["/api/overview", "/metrics", "/ping"] {
        assert_eq!(Client::fetch(proxy.address(), path).text(), "a", "{path}");
    }
    assert!(!proxy.log().contains("entry point traefik"), "{}", proxy.log());
}

fn wrong_methods_and_unknown_things_are_told(driver: Driver) {
    let origin = Origin::named("a");
    let proxy = with_admin(driver, app(&[&origin.url()]));
    let admin = proxy.address_of("traefik");
    for (path, status, body) in [
        ("/api/http/services/x@file", 404, "{\"message\":\"service not found: x@file\"}\n"),
        ("/api/http/routers/x@file", 404, "{\"message\":\"router not found: x@file\"}\n"),
        ("/api/http/middlewares/x", 404, "{\"message\":\"middleware not found: x\"}\n"),
        ("/api/nope", 404, "404 page not found\n"),
        ("/api", 404, "404 page not found\n"),
        ("/", 404, "404 page not found\n"),
        (
            "/api/http/routers?page=9",
            400,
            "{\"message\":\"invalid request: page: 9, per_page: 100\"}\n",
        ),
    ] {
        let answer = Client::fetch(admin, path);
        assert_eq!((answer.status, answer.text().as_str()), (status, body), "{path}");
        let kind = answer.field("Content-Type");
        assert_eq!(kind, Some("text/plain; charset=utf-8"), "{path}");
    }
    let answer = Client::connect(admin).ask("DELETE", "/api/overview", "");
    assert_eq!((answer.status, answer.field("Allow")), (405, Some("GET")));
    assert_eq!(Client::connect(admin).ask("HEAD", "/ping", "").status, 200);
}
