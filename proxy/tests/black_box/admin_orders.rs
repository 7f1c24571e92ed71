//! What operators order: drain, down, ready; who may, and what outlives what.

use std::net::SocketAddr;
use std::process::Command;
use std::thread;

use serde_json::{Value, json};

use super::admin::{over_socket, read_json, with_admin};
use crate::support::{
    Client, Driver, Origin, Response, Setup, Sundew, app, eventually, on_both_drivers, pin_of,
};

on_both_drivers!(
    a_drained_server_keeps_its_clients_and_gets_no_new_ones,
    a_drain_ends_at_its_deadline,
    an_order_survives_a_reload_and_a_restart,
    a_server_that_is_down_by_order_is_left_at_once,
    bad_orders_are_refused_and_change_nothing,
    two_operators_cannot_empty_a_service_together,
    the_command_line_drains_and_lists,
);

fn encoded(url: &str) -> String {
    url.replace(':', "%3A").replace('/', "%2F")
}

fn state_path(url: &str) -> String {
    format!("/api/http/services/app%40file/servers/{}/state", encoded(url))
}

/// A PUT with this Host.
fn put_as(admin: SocketAddr, host: &str, path: &str, body: &str) -> Response {
    let mut client = Client::connect(admin);
    let length = body.len();
    client.send(format!(
        "PUT {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{body}"
    ));
    client.response()
}

fn put(admin: SocketAddr, url: &str, body: &str) -> Response {
    put_as(admin, "127.0.0.1", &state_path(url), body)
}

#[track_caller]
fn ordered(admin: SocketAddr, url: &str, body: &str) -> Value {
    let answer = put(admin, url, body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_str(&answer.text()).expect("JSON")
}

fn served_with(proxy: &Sundew, pin: &str) -> String {
    Client::fetch_with_cookie(proxy.address(), &format!("sid={pin}")).text()
}

fn wait_for_new_clients(proxy: &Sundew, want: &[&str]) {
    eventually(&format!("new clients are served by {want:?}"), || {
        let answers = (0..16).map(|_| Client::fetch(proxy.address(), "/"));
        let mut names: Vec<_> = answers.map(|it| format!("{}{}", it.status, it.text())).collect();
        names.sort();
        names.dedup();
        (names == want).then_some(())
    });
}

fn a_drained_server_keeps_its_clients_and_gets_no_new_ones(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let proxy = with_admin(driver, app(&[&a.url(), &b.url()]));
    let admin = proxy.address_of("traefik");
    wait_for_new_clients(&proxy, &["200a", "200b"]);
    let shown = ordered(admin, &a.url(), r#"{"state":"drain"}"#);
    assert_eq!((&shown["state"], &shown["health"]), (&json!("drain"), &json!("UP")));
    assert!(shown["since"].is_string() && shown["deadline"].is_null(), "{shown}");
    wait_for_new_clients(&proxy, &["200b"]);
    assert_eq!(served_with(&proxy, &pin_of(&a.url())), "a", "a pinned client stays");
    // Every worker has its own clients, and all of them are counted.
    let path = format!("/api/http/services/app@file/servers/{}", encoded(&a.url()));
    eventually("the client that stays is seen", || {
        let shown = read_json(admin, &format!("{path}?window=1m"));
        (shown["pins"]["clients"] == 1 && shown["pins"]["window"] == "1m0s").then_some(())
    });
    assert!(read_json(admin, &path)["pins"]["lastSeen"].is_string());
    ordered(admin, &a.url(), r#"{"state":"ready"}"#);
    wait_for_new_clients(&proxy, &["200a", "200b"]);
}

fn a_drain_ends_at_its_deadline(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let proxy = with_admin(driver, app(&[&a.url(), &b.url()]));
    let admin = proxy.address_of("traefik");
    let shown = ordered(admin, &a.url(), r#"{"state":"drain","deadline":"1s"}"#);
    assert!(shown["deadline"].is_string(), "{shown}");
    eventually("the pinned client has left", || {
        (served_with(&proxy, &pin_of(&a.url())) == "b").then_some(())
    });
    let path = format!("/api/http/services/app@file/servers/{}", encoded(&a.url()));
    assert_eq!(read_json(admin, &path)["state"], "down");
    proxy.wait_for_log("its drain has ended");
}

fn an_order_survives_a_reload_and_a_restart(driver: Driver) {
    let (a, b, c) = (Origin::named("a"), Origin::named("b"), Origin::named("c"));
    let folder = tempfile::tempdir().expect("a folder");
    let state = format!("stateFile: \"{}/state.json\"", folder.path().display());
    let start = || {
        let setup = Setup::new(driver, app(&[&a.url(), &b.url()])).settings(&state);
        setup.beside("traefik").statics("api: {insecure: true}").start()
    };
    let mut proxy = start();
    ordered(proxy.address_of("traefik"), &a.url(), r#"{"state":"drain"}"#);
    wait_for_new_clients(&proxy, &["200b"]);
    proxy.replace_dynamic(&app(&[&a.url(), &b.url(), &c.url()]));
    wait_for_new_clients(&proxy, &["200b", "200c"]);
    assert_eq!(proxy.terminate(), 0);

    let proxy = start();
    for _ in 0..8 {
        assert_eq!(Client::fetch(proxy.address(), "/").text(), "b", "from the first request on");
    }
    assert_eq!(served_with(&proxy, &pin_of(&a.url())), "a");
}

fn a_server_that_is_down_by_order_is_left_at_once(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let proxy = with_admin(driver, app(&[&a.url(), &b.url()]));
    let admin = proxy.address_of("traefik");
    ordered(admin, &a.url(), r#"{"state":"down"}"#);
    eventually("the pinned client is moved", || {
        (served_with(&proxy, &pin_of(&a.url())) == "b").then_some(())
    });
    let service = read_json(admin, "/api/http/services/app@file");
    assert_eq!(service["serverStatus"][a.url()], "DOWN");
    ordered(admin, &a.url(), r#"{"state":"ready"}"#);
    wait_for_new_clients(&proxy, &["200a", "200b"]);
}

fn bad_orders_are_refused_and_change_nothing(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let proxy = with_admin(driver, app(&[&a.url(), &b.url()]));
    let admin = proxy.address_of("traefik");
    let good = state_path(&a.url());
    let drain = r#"{"state":"drain"}"#;
    let unknown = "/api/http/services/app@file/servers/nobody/state";
    let elsewhere = good.replace("app%40file", "other%40file");
    let long = format!("{{\"state\":\"{}\"}}", "x".repeat(100_000));
    for (host, path, body, status, said) in [
        ("127.0.0.1", &*good, "", 400, "not a state"),
        ("127.0.0.1", &good, "{\"state\":\"off\"}", 400, "there is no state"),
        ("127.0.0.1", &good, "{\"state\":\"down\",\"deadline\":\"1h\"}", 400, "a deadline is for"),
        ("127.0.0.1", &good, &long, 413, "a state is smaller"),
        ("127.0.0.1", unknown, drain, 404, "has no server nobody"),
        ("127.0.0.1", &elsewhere, drain, 404, "service not found"),
        ("localhost", &good, drain, 403, "writes are accepted"),
        ("evil.example", &good, drain, 403, "writes are accepted"),
    ] {
        let answer = put_as(admin, host, path, body);
        assert_eq!(answer.status, status, "{host} {path} {}", answer.text());
        assert_eq!(answer.field("Content-Type"), Some("application/json"));
        let message: Value = serde_json::from_str(&answer.text()).expect("JSON");
        let message = message["message"].as_str().expect("a message");
        assert!(message.contains(said), "{message}");
    }
    for method in ["GET", "POST", "DELETE"] {
        let answer = Client::connect(admin).ask(method, &good, "");
        assert_eq!((answer.status, answer.field("Allow")), (405, Some("PUT")), "{method}");
    }
    wait_for_new_clients(&proxy, &["200a", "200b"]);
}

fn two_operators_cannot_empty_a_service_together(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let proxy = with_admin(driver, app(&[&a.url(), &b.url()]));
    let admin = proxy.address_of("traefik");
    let operators = [a.url(), b.url()]
        .map(|url| thread::spawn(move || put(admin, &url, r#"{"state":"drain"}"#).status));
    let mut statuses = operators.map(|it| it.join().expect("an operator"));
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    let both = [a.url(), b.url()].map(|url| put(admin, &url, r#"{"state":"drain","force":true}"#));
    assert!(both.iter().all(|it| it.status == 200));
    wait_for_new_clients(&proxy, &["503no available server\n"]);
    assert_eq!(served_with(&proxy, &pin_of(&a.url())), "a");
}

fn the_command_line_drains_and_lists(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("api.sock");
    let socket = format!("api: {{socket: \"{}\"}}", path.display());
    let proxy = Setup::new(driver, app(&[&a.url(), &b.url()])).settings(&socket).start();
    let sundew = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sundew"));
        let output = command.arg("servers").args(words).output().expect("the binary");
        let text = String::from_utf8(output.stdout).expect("text");
        (output.status.code(), text + &String::from_utf8_lossy(&output.stderr))
    };
    let file = path.to_str().expect("a path");
    let url = a.url();
    let (code, text) =
        sundew(&["drain", "app@file", &url, "--deadline", "1h", "--json", "--socket", file]);
    assert_eq!(code, Some(0), "{text}");
    let shown: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&shown["id"], &shown["state"]), (&json!(url), &json!("drain")));
    wait_for_new_clients(&proxy, &["200b"]);
    // The other way to find it: by the file that it runs with.
    let config = proxy.folder().join("sundew.yml");
    let (code, text) = sundew(&["list", "--config", config.to_str().expect("a path")]);
    assert_eq!(code, Some(0), "{text}");
    let line = text.lines().find(|line| line.contains(&url)).expect("a line");
    assert!(line.starts_with("app@file") && line.contains("drain"), "{text}");
    let (code, text) = sundew(&["down", "app@file", "http://nobody", "--socket", file]);
    assert_eq!(code, Some(1));
    assert!(text.contains("refused (404)"), "{text}");
    let (code, text) = sundew(&["list", "--socket", "/nowhere/api.sock"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("nobody answers at /nowhere/api.sock"), "{text}");
    let (line, _) =
        over_socket(&path, "GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!(line, "HTTP/1.1 200 OK");
}
