use std::io::Read;
use std::net::TcpStream;
use std::time::Instant;

use super::*;

/// The answer to a GET, or `None` when nobody listens.
fn get(url: &str, path: &str, fields: &str) -> Option<String> {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    (!answer.is_empty()).then_some(answer)
}

fn eventually(what: &str, is_true: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !is_true() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::yield_now();
    }
}

#[test]
fn each_server_answers_with_its_own_name_and_counts_its_own_hits() {
    let servers = Servers::start().unwrap();
    for (name, url) in servers.names().iter().zip(servers.urls()) {
        assert!(get(&url, servers::HEALTH_PATH, "").unwrap().ends_with("up\n"));
        let text = get(&url, "/", "Cookie: sundew_demo=1f\r\n").unwrap();
        assert!(text.contains("content-type: text/plain"), "{text}");
        assert!(text.ends_with(&format!(
            "server: {name}\nurl:    {url}\nhits:   1\ncookie: sundew_demo=1f\n"
        )));
        let page = get(&url, "/any/path", "Accept: text/html,*/*\r\n").unwrap();
        assert!(page.contains("content-type: text/html"), "{page}");
        assert!(page.contains("request 2 of this server"), "{page}");
    }
}

#[test]
fn a_server_stops_and_comes_back_at_its_address_while_the_others_go_on() {
    let servers = Servers::start().unwrap();
    let urls = servers.urls();
    servers.set_running(1, false);
    eventually("the stop", || get(&urls[1], "/", "").is_none());
    assert!(get(&urls[0], "/", "").is_some() && get(&urls[2], "/", "").is_some());
    servers.set_running(1, true);
    eventually("the start", || get(&urls[1], "/", "").is_some());
    assert!(get(&urls[1], "/", "").unwrap().contains("server: amber"));
}

#[test]
fn every_key_press_stops_or_starts_one_server_in_turn() {
    let servers = Servers::start().unwrap();
    let urls = servers.urls();
    let (press, presses) = channel();
    let (said, steps) = channel();
    let turns = std::thread::spawn(move || {
        take_turns(&servers, &presses, false, |step| said.send(step.to_owned()).unwrap());
    });
    let is_up = |position: usize| get(&urls[position], "/", "").is_some();
    press.send(()).unwrap();
    eventually("violet's stop", || !is_up(0));
    press.send(()).unwrap();
    eventually("violet's start", || is_up(0));
    press.send(()).unwrap();
    eventually("amber's stop", || !is_up(1));
    assert!(is_up(0) && is_up(2));
    drop(press);
    turns.join().unwrap();
    let steps: Vec<String> = steps.iter().collect();
    assert_eq!(steps.len(), 3);
    for (step, want) in
        steps.iter().zip(["- violet stopped", "+ violet started", "- amber stopped"])
    {
        assert!(step.starts_with(want), "{step}");
    }
}
