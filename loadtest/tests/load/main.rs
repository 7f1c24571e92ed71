//! `sundew-loadtest load` as a program, against scripted servers on loopback.

mod oracle;
mod server;

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use server::{Request, Server, finish, load, ok, spawn};

/// What a run may use of the kernel.
const DRIVERS: [&[&str]; 2] = [&[], &["--epoll"]];

/// Every answer waits for this; whoever holds it stalls them all.
static STALL: Mutex<()> = Mutex::new(());
const STALL_MS: u64 = 200;

fn stalls_once(request: &Request) -> Option<Vec<u8>> {
    let held = STALL.lock().expect("a lock");
    if request.number == 100 {
        thread::sleep(Duration::from_millis(STALL_MS));
    }
    drop(held);
    ok(request)
}

#[test]
fn a_stall_of_the_server_shows_in_full_in_an_open_loop() {
    for driver in DRIVERS {
        let server = Server::start(stalls_once);
        let url = server.url();
        let said = load(&[&[url.as_str(), "-c", "4", "-r", "500", "-d", "1s"], driver].concat());
        assert_eq!(said.code, Some(0), "{}", said.err);
        // A fifth of the requests were due while the server stood still, most of them while every
        // connection was busy. Counted from the sending, 4 of 500 would have seen it.
        assert_eq!(said.number("/requests"), 500.0);
        assert!(said.number("/responses") > 400.0, "{}", said.json);
        assert!(said.number("/latency_us/p99") > 150_000.0, "{}", said.json);
        assert!(said.number("/latency_us/p90") > 50_000.0, "{}", said.json);
        assert!(said.number("/latency_us/p50") < 50_000.0, "{}", said.json);
        assert_eq!(server.requests() as f64 + said.number("/unanswered"), 500.0);
        assert_eq!(server.connections(), 4);
    }
}

#[test]
fn a_rate_is_kept_by_all_threads_together() {
    let server = Server::start(ok);
    let url = server.url();
    let said = load(&[&url, "-c", "5", "-t", "3", "-r", "400", "-d", "500ms", "--ramp", "100ms"]);
    assert_eq!(said.number("/requests"), 200.0, "{}", said.err);
    assert_eq!(said.number("/rate_intended"), 400.0);
    assert_eq!(said.number("/rate"), said.number("/responses") * 2.0);
    assert_eq!(server.requests() as f64 + said.number("/unanswered"), 200.0);
}

#[test]
fn a_closed_loop_counts_what_the_server_counts() {
    for driver in DRIVERS {
        let server = Server::start(ok);
        let url = server.url();
        let said = load(&[&[url.as_str(), "-c", "3", "-d", "300ms"], driver].concat());
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert_eq!(said.number("/requests"), server.requests() as f64);
        assert_eq!(said.number("/statuses/200"), server.requests() as f64);
        assert_eq!(said.number("/bytes_in"), server.requests() as f64 * 43.0);
        assert_eq!(server.connections(), 3);
        assert!(said.json["rate_intended"].is_null());
    }
}

#[test]
fn what_is_asked_is_what_the_command_line_says() {
    fn check(request: &Request) -> Option<Vec<u8>> {
        let is_as_asked = request.head.starts_with("PUT / HTTP/1.1\r\n")
            && request.field("host") == "app.example"
            && request.field("x-a") == "b: c"
            && request.field("cookie") == "sid=1; t=2"
            && request.field("connection") == "close"
            && request.body == b"x".repeat(1000);
        let status = if is_as_asked { "204 No Content" } else { "400 Bad Request" };
        Some(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").into_bytes())
    }
    let server = Server::start(check);
    let url = server.url();
    let options = ["-c", "2", "-d", "200ms", "-m", "PUT", "--body", "1000", "-H", "X-A: b: c"];
    let more = ["--host", "app.example", "--cookies", "fixed:sid=1; t=2"];
    let said =
        load(&[&[url.as_str(), "--new-connection-per-request"], &options[..], &more].concat());
    assert_eq!(said.number("/statuses/204"), server.requests() as f64, "{}", said.json);
    assert_eq!(server.connections(), server.requests());
}

#[test]
fn each_error_is_counted_as_what_it_is() {
    fn misbehave(request: &Request) -> Option<Vec<u8>> {
        match (request.number, request.field("x-kind")) {
            (1..=3, _) => ok(request),
            (_, "reset") => None,
            (_, "protocol") => Some(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n".to_vec()),
            (_, "surplus") => Some([ok(request)?, b"!".to_vec()].concat()),
            (_, "cut") => Some(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc".to_vec()),
            _ => Some(Vec::new()),
        }
    }
    for (kind, error) in [
        ("reset", "reset"),
        ("protocol", "protocol"),
        ("surplus", "protocol"),
        ("cut", "timeout"),
        ("silent", "timeout"),
    ] {
        let server = Server::start(misbehave);
        let (url, field) = (server.url(), format!("X-Kind: {kind}"));
        let options = ["-c", "1", "-r", "20", "-d", "500ms", "--timeout", "100ms"];
        let said = load(&[&[url.as_str(), "-H", &field], &options[..]].concat());
        let (errors, responses) =
            (said.number(&format!("/errors/{error}")), said.number("/responses"));
        assert!(errors >= 2.0, "{kind}: {}", said.json);
        assert_eq!(responses, 3.0, "{kind}: {}", said.json);
        let all = errors + responses + said.number("/unanswered");
        assert_eq!(said.number("/requests"), all, "{kind}: {}", said.json);
        assert!(said.json["first_errors"][error].is_string(), "{kind}");
    }
}

#[test]
fn what_cannot_be_run_is_said_at_once_and_clearly() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let nobody = format!("http://{}/", free.local_addr().expect("an address"));
    drop(free);
    let server = Server::start(ok);
    let url = server.url();
    for (arguments, why) in [
        (vec![nobody.as_str()], "Connection refused"),
        (vec!["ftp://a"], "begin with http:// or unix:/"),
        (vec!["unix:/nowhere/at/all"], "No such file"),
        (vec![&url, "-c", "0"], "--connections is 0"),
        (vec![&url, "-r", "0"], "--rate is 0"),
        (vec![&url, "-H", "x"], "write NAME:VALUE"),
        (vec![&url, "-H", "Cookie: a"], "--cookies"),
        (vec![&url, "-m", "GE T"], "--method"),
        (vec![&url, "-d", "1 day"], "unknown unit"),
        (vec![&url, "--cookies", "some"], "write none, jar"),
        (vec![&url, "--allow-repin"], "--oracle"),
        (vec![], "<URL>"),
    ] {
        let said = load(&arguments);
        assert!(said.code.is_some_and(|it| it != 0), "{arguments:?}");
        assert!(said.err.contains(why), "{arguments:?}: {}", said.err);
        assert_eq!(said.out, "", "{arguments:?}");
    }
    assert_eq!(server.requests(), 0);
}

#[test]
fn an_interrupted_run_ends_with_its_report() {
    for driver in DRIVERS {
        for rate in [&["-r", "100"][..], &[]] {
            let server = Server::start(ok);
            let url = server.url();
            let options = ["load", &url, "-d", "60s", "--warm-up", "0s", "--json", "-"];
            let child = spawn(&[&options[..], driver, rate].concat());
            let begin = std::time::Instant::now();
            while server.requests() < 10 && begin.elapsed() < Duration::from_secs(10) {
                thread::sleep(Duration::from_millis(5));
            }
            let process = rustix::process::Pid::from_child(&child);
            rustix::process::kill_process(process, rustix::process::Signal::INT).expect("a signal");
            let output = finish(child);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
            assert!(json["duration_s"].as_f64().is_some_and(|it| it < 30.0), "{json}");
            assert!(json["responses"].as_u64().is_some_and(|it| it >= 10), "{json}");
        }
    }
}

#[test]
fn the_report_has_the_fields_that_comparisons_read() {
    let server = Server::start(ok);
    let url = server.url();
    let said = load(&[&url, "-c", "2", "-r", "100", "-d", "1200ms", "--progress"]);
    for field in [
        "/schema",
        "/duration_s",
        "/connections",
        "/rate_intended",
        "/requests",
        "/responses",
        "/rate",
        "/bytes_in",
        "/bytes_out",
        "/errors/connect",
        "/errors/reset",
        "/errors/timeout",
        "/errors/protocol",
        "/errors/mispinned",
        "/errors/crossed",
        "/statuses/200",
        "/latency_us/min",
        "/latency_us/mean",
        "/latency_us/p50",
        "/latency_us/p75",
        "/latency_us/p90",
        "/latency_us/p99",
        "/latency_us/p999",
        "/latency_us/p9999",
        "/latency_us/max",
        "/latency_histogram/0/0",
        "/latency_histogram/0/1",
        "/timeline/0/t_s",
        "/timeline/0/rate",
        "/timeline/0/p50_us",
        "/timeline/0/p99_us",
        "/timeline/0/errors",
    ] {
        said.number(field);
    }
    assert_eq!(said.json["url"], url.as_str());
    assert!(said.json["command"].is_array() && said.json["started"].is_string());
    assert!(said.err.contains("p99"), "progress: {}", said.err);
}
