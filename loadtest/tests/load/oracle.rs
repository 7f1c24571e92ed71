//! The oracle against servers with planted wrong answers, and against our own origin.

use std::io::{BufRead as _, BufReader};

use crate::server::{Request, Said, Server, load, spawn};

/// A server that pins by cookie: client `n` (from its request's id) belongs to server `n % 2`.
fn pins(request: &Request, server: &str, cookie: Option<&str>) -> Option<Vec<u8>> {
    let id = request.field("x-load-id");
    let set = cookie.map(|it| format!("Set-Cookie: sid={it}; Path=/\r\n")).unwrap_or_default();
    let body = format!("{id}\n{id}");
    let answer = format!(
        "HTTP/1.1 200 OK\r\nX-Server: {server}\r\nX-Load-Id: {id}\r\n{set}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    Some(answer.into_bytes())
}

fn right(request: &Request) -> Option<Vec<u8>> {
    let is_odd = request.field("x-load-id").get(7..8) == Some("1");
    let server = if is_odd { "one" } else { "two" };
    match request.field("cookie") {
        "" => pins(request, server, Some(server)),
        cookie if cookie == format!("sid={server}") => pins(request, server, None),
        _ => None,
    }
}

fn run(server: &Server, more: &[&str]) -> Said {
    let url = server.url();
    load(&[&[url.as_str(), "--oracle", "-c", "2", "-r", "100", "-d", "300ms"], more].concat())
}

#[test]
fn pins_that_hold_pass() {
    for more in [&[][..], &["--epoll"], &["--new-connection-per-request"], &["--warm-up", "100ms"]]
    {
        let said = run(&Server::start(right), more);
        assert_eq!(said.code, Some(0), "{more:?}: {}", said.err);
        assert_eq!(said.number("/oracle/pinned"), 2.0);
        assert_eq!(said.number("/oracle/wrong"), 0.0);
        assert!(said.number("/oracle/checked") >= 30.0);
    }
}

#[test]
fn one_wrong_answer_fails_the_run_with_its_evidence() {
    fn moved_silently(request: &Request) -> Option<Vec<u8>> {
        if request.number == 20 { pins(request, "three", None) } else { right(request) }
    }
    fn moved_by_a_cookie_that_says_the_same(request: &Request) -> Option<Vec<u8>> {
        let same = request.field("cookie").strip_prefix("sid=");
        if request.number == 20 { pins(request, "three", same) } else { right(request) }
    }
    fn another_clients(request: &Request) -> Option<Vec<u8>> {
        let answer = String::from_utf8(right(request)?).expect("text");
        let own = request.field("x-load-id");
        let other = if own.starts_with('0') {
            own.replacen('0', "1", 1)
        } else {
            format!("0{}", &own[1..])
        };
        let is_wrong = request.number == 20;
        Some(if is_wrong { answer.replace(own, &other) } else { answer }.into_bytes())
    }
    fn anothers_body(request: &Request) -> Option<Vec<u8>> {
        let mut answer = right(request)?;
        if request.number == 20 {
            *answer.last_mut()? ^= 1;
        }
        Some(answer)
    }
    fn nameless(request: &Request) -> Option<Vec<u8>> {
        if request.number == 20 { crate::ok(request) } else { right(request) }
    }
    type Case = (fn(&Request) -> Option<Vec<u8>>, &'static str, &'static str);
    let cases: [Case; 5] = [
        (moved_silently, "mispinned", "answered by three"),
        (moved_by_a_cookie_that_says_the_same, "mispinned", "answered by three"),
        (another_clients, "crossed", "answer to request"),
        (anothers_body, "crossed", "from byte 32 on"),
        (nameless, "crossed", "no x-load-id"),
    ];
    for (script, kind, evidence) in cases {
        let said = run(&Server::start(script), &["--allow-repin"]);
        assert_eq!(said.code, Some(1), "{kind}: {}", said.err);
        assert_eq!(said.number(&format!("/errors/{kind}")), 1.0, "{}", said.json);
        assert_eq!(said.number("/oracle/wrong"), 1.0);
        for part in [kind, evidence, "--- request\nGET / HTTP/1.1\n", "--- response\nHTTP/1.1 200"]
        {
            assert!(said.err.contains(part), "{kind}: no {part:?} in {}", said.err);
        }
    }
}

#[test]
fn a_move_by_a_new_cookie_passes_only_where_it_is_allowed() {
    fn moves(request: &Request) -> Option<Vec<u8>> {
        match (request.number, request.field("cookie")) {
            (_, "sid=three") => pins(request, "three", None),
            (10.., _) => pins(request, "three", Some("three")),
            _ => right(request),
        }
    }
    let said = run(&Server::start(moves), &["--allow-repin"]);
    assert_eq!((said.code, said.number("/oracle/repins")), (Some(0), 2.0), "{}", said.err);
    let said = run(&Server::start(moves), &[]);
    assert_eq!((said.code, said.number("/errors/mispinned")), (Some(1), 2.0), "{}", said.err);
    assert!(said.err.contains("--allow-repin"), "{}", said.err);
}

#[test]
fn a_new_cookie_counts_though_its_answer_was_cut_or_the_proxys() {
    fn cut(request: &Request) -> Option<Vec<u8>> {
        match (request.number, request.field("cookie")) {
            (_, "sid=three") => pins(request, "three", None),
            (10, _) => pins(request, "three", Some("three")).map(|mut it| {
                it.pop();
                it
            }),
            _ => right(request),
        }
    }
    fn refused(request: &Request) -> Option<Vec<u8>> {
        let refusal = "HTTP/1.1 503 No\r\nSet-Cookie: sid=three\r\nContent-Length: 0\r\n\r\n";
        match (request.number, request.field("cookie")) {
            (_, "sid=three") => pins(request, "three", None),
            (10, _) => Some(refusal.as_bytes().to_vec()),
            _ => right(request),
        }
    }
    for script in [cut as fn(&Request) -> _, refused] {
        let said = run(&Server::start(script), &["--allow-repin", "--timeout", "100ms"]);
        assert_eq!((said.code, said.number("/oracle/repins")), (Some(0), 1.0), "{}", said.err);
    }
}

#[test]
fn an_oracle_that_has_nothing_to_check_fails() {
    fn unavailable(_: &Request) -> Option<Vec<u8>> {
        Some(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_vec())
    }
    fn without_a_cookie(request: &Request) -> Option<Vec<u8>> {
        pins(request, "one", None)
    }
    for (script, why) in [
        (unavailable as fn(&Request) -> _, "checked no answer"),
        (without_a_cookie, "no client was pinned"),
    ] {
        let said = run(&Server::start(script), &[]);
        assert_eq!(said.code, Some(1));
        assert!(said.err.contains(why), "{}", said.err);
    }
}

#[test]
fn our_origin_satisfies_the_oracle_on_a_port_and_on_a_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("origin.sock");
    let socket = socket.to_str().expect("a path in UTF-8");
    for driver in [&[][..], &["--epoll"]] {
        let origin = ["origin", "--ports", "0", "--unix", socket];
        let mut child = spawn(&[&origin[..], driver].concat());
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut address = || lines.next().expect("a line").expect("text");
        let port = address().rsplit(':').next().expect("a port").to_owned();
        assert!(address().ends_with(socket));
        for url in [format!("http://127.0.0.1:{port}/b/70000"), format!("unix:{socket}:/b/10")] {
            let options = ["--oracle", "--cookies", "none", "-c", "4", "-d", "200ms"];
            let post = ["-m", "POST", "--body", "30000"];
            let said = load(&[&[url.as_str()], &options[..], &post, driver].concat());
            assert_eq!(said.code, Some(0), "{url}: {}", said.err);
            assert_eq!(said.number("/oracle/checked"), said.number("/responses"));
        }
        child.kill().expect("an end");
        child.wait().expect("a status");
    }
}
