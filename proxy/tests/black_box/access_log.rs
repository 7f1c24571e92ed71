//! The access log: Traefik's lines, and what happens to the file.

use std::fs;

use crate::support::{Client, Driver, Origin, Setup, app, app_with, eventually, on_both_drivers};

on_both_drivers!(
    a_common_line_has_the_fields_of_traefik,
    a_json_record_has_the_keys_of_traefik,
    missing_parts_are_dashes,
    a_quote_cannot_forge_a_line,
    header_fields_are_logged_when_kept,
    filters_keep_what_matches_any_of_them,
    sigusr1_opens_the_file_anew,
    a_buffered_log_is_written_at_the_end,
    every_request_of_every_worker_is_logged,
);

/// Splits a common line at blanks outside quotes and brackets.
fn columns(line: &str) -> Vec<String> {
    let mut columns = vec![String::new()];
    let mut close = None;
    for letter in line.chars() {
        match close {
            None if letter == ' ' => columns.push(String::new()),
            None => {
                close = match letter {
                    '"' => Some('"'),
                    '[' => Some(']'),
                    _ => None,
                };
                columns.last_mut().expect("a column").push(letter);
            }
            Some(end) => {
                columns.last_mut().expect("a column").push(letter);
                close = (letter != end).then_some(end);
            }
        }
    }
    columns
}

fn a_common_line_has_the_fields_of_traefik(driver: Driver) {
    let a = Origin::named("a");
    let setup = Setup::new(driver, app(&[&a.url()])).access_log("format: common");
    let proxy = setup.start();
    let mut client = Client::connect(proxy.address());
    client.get("/x?y=1", "User-Agent: test\r\nReferer: http://example.test/\r\n");
    client.get("/second", "");
    let lines = proxy.access_lines(2);
    let line = columns(&lines[0]);
    assert_eq!(line.len(), 13, "{line:?}");
    assert_eq!(line[..3], ["127.0.0.1", "-", "-"]);
    let time = regex_like(&line[3]);
    assert_eq!(time, "[00/Aaa/0000:00:00:00 +0000]");
    let want = ["\"GET /x?y=1 HTTP/1.1\"", "200", "1", "\"-\"", "\"-\"", "1"];
    assert_eq!(line[4..10], want, "headers are dropped unless kept");
    assert_eq!(line[10..12], ["\"app@file\"".to_owned(), format!("\"{}\"", a.url())]);
    let duration = lines[0].rsplit(' ').next().expect("a duration");
    assert!(duration.strip_suffix("ms").is_some_and(|it| it.parse::<u64>().is_ok()), "{duration}");
    assert_eq!(columns(&lines[1])[9], "2", "requests are counted");
}

/// Digits as `0`, letters as `A` and `a`, the sign of the time zone as `+`.
fn regex_like(text: &str) -> String {
    let shape = |letter: char| match letter {
        '0'..='9' => '0',
        'A'..='Z' => 'A',
        'a'..='z' => 'a',
        '-' => '+',
        other => other,
    };
    text.chars().map(shape).collect()
}

fn a_json_record_has_the_keys_of_traefik(driver: Driver) {
    let a = Origin::named("abc");
    let proxy = Setup::new(driver, app(&[&a.url()])).start();
    let mut client = Client::connect(proxy.address());
    client.send("POST /x?y=1 HTTP/1.1\r\nHost: example.test:81\r\nContent-Length: 5\r\n\r\n12345");
    assert_eq!(client.response().status, 200);
    let record = proxy.only_record();
    let port = client.local_address().port().to_string();
    let client_address = format!("127.0.0.1:{port}");
    let own_address = a.address().to_string();
    let own_url = a.url();
    let texts = [
        ("level", "info"),
        ("msg", ""),
        ("RouterName", "app@file"),
        ("ServiceName", "app@file"),
        ("ServiceURL", &own_url),
        ("ServiceAddr", &own_address),
        ("ClientAddr", &client_address),
        ("ClientHost", "127.0.0.1"),
        ("ClientPort", &port),
        ("ClientUsername", "-"),
        ("RequestAddr", "example.test:81"),
        ("RequestHost", "example.test"),
        ("RequestPort", "81"),
        ("RequestMethod", "POST"),
        ("RequestPath", "/x?y=1"),
        ("RequestProtocol", "HTTP/1.1"),
        ("RequestScheme", "http"),
        ("entryPointName", "web"),
        ("StickyStatus", "new"),
    ];
    for (key, want) in texts {
        assert_eq!(record.text(key), want, "{key}");
    }
    let numbers = [
        ("RequestContentSize", 5),
        ("OriginContentSize", 3),
        ("OriginStatus", 200),
        ("DownstreamStatus", 200),
        ("DownstreamContentSize", 3),
        ("RequestCount", 1),
        ("RetryAttempts", 0),
    ];
    for (key, want) in numbers {
        assert_eq!(record.number(key), want, "{key}");
    }
    let (whole, origin) = (record.number("Duration"), record.number("OriginDuration"));
    assert!(whole >= origin && whole > 0 && whole < 60_000_000_000, "{record:?}");
    assert_eq!(record.number("Overhead"), whole - origin);
    for key in ["StartUTC", "StartLocal", "time"] {
        assert!(regex_like(record.text(key)).starts_with("0000+00+00A00:00:00"), "{key}");
    }
}

fn missing_parts_are_dashes(driver: Driver) {
    let text = app(&[]).replace("PathPrefix(`/`)", "Path(`/503`)");
    let proxy = Setup::new(driver, text).access_log("format: common").start();
    let mut client = Client::connect(proxy.address());
    client.get("/404", "");
    client.get("/503", "");
    let lines = proxy.access_lines(2);
    assert_eq!(columns(&lines[0])[5..12], ["404", "19", "\"-\"", "\"-\"", "1", "\"-\"", "\"-\""]);
    let want = ["503", "20", "\"-\"", "\"-\"", "2", "\"app@file\"", "\"-\""];
    assert_eq!(columns(&lines[1])[5..12], want);
}

fn a_quote_cannot_forge_a_line(driver: Driver) {
    let a = Origin::named("a");
    let log = "format: common\nfields: {headers: {names: {User-Agent: keep, Referer: keep}}}";
    let proxy = Setup::new(driver, app(&[&a.url()])).access_log(log).start();
    let mut client = Client::connect(proxy.address());
    let fields = "User-Agent: x\" 200 1 \"y\r\nReferer: \u{7f}\tz\r\n".replace('\u{7f}', "");
    client.get("/?q=\"\"HTTP/1.1\"", &fields);
    let lines = proxy.access_lines(1);
    assert_eq!(lines.len(), 1);
    assert!(!lines[0].contains("x\" 200"), "an unescaped quote: {}", lines[0]);
    assert!(lines[0].contains("x\\\" 200 1 \\\"y"), "{}", lines[0]);
    assert!(!lines[0].contains("?q=\"\""), "an unescaped quote: {}", lines[0]);
    assert!(!lines[0].contains('\t'), "a control byte: {}", lines[0]);
}

fn header_fields_are_logged_when_kept(driver: Driver) {
    let a = Origin::named("a");
    let log = "format: json\nfields:\n  names: {ClientPort: drop}\n  \
               headers: {defaultMode: drop, names: {User-Agent: keep, Authorization: redact, \
               X-Served-By: keep}}";
    let proxy = Setup::new(driver, app(&[&a.url()])).access_log(log).start();
    Client::connect(proxy.address()).get("/", "user-agent: test\r\nAuthorization: secret\r\n");
    let record = proxy.only_record();
    assert_eq!(record.text("request_User-Agent"), "test");
    assert_eq!(record.text("request_Authorization"), "REDACTED");
    assert_eq!(record.text("origin_X-Served-By"), "a");
    assert!(!record.has("ClientPort"));
}

fn filters_keep_what_matches_any_of_them(driver: Driver) {
    let a = Origin::named("a");
    let text = app(&[&a.url()]).replace("PathPrefix(`/`)", "Path(`/ok`)");
    let log = "format: json\nfilters: {statusCodes: [\"400-499\"]}";
    let proxy = Setup::new(driver, text).access_log(log).start();
    let mut client = Client::connect(proxy.address());
    for target in ["/ok", "/missing", "/ok", "/missing", "/ok"] {
        client.get(target, "");
    }
    let records = proxy.access_records(2);
    assert!(records.iter().all(|record| record.number("DownstreamStatus") == 404), "{records:?}");
    assert_eq!(records.len(), 2);
}

fn sigusr1_opens_the_file_anew(driver: Driver) {
    let a = Origin::named("a");
    let proxy = Setup::new(driver, app(&[&a.url()])).start();
    Client::fetch(proxy.address(), "/first");
    assert_eq!(proxy.access_records(1)[0].text("RequestPath"), "/first");
    let rotated = proxy.folder().join("access.log.1");
    fs::rename(proxy.access_log_path(), &rotated).expect("a rename");
    proxy.signal("USR1");
    eventually("a new file", || proxy.access_log_path().exists().then_some(()));
    Client::fetch(proxy.address(), "/second");
    assert_eq!(proxy.access_records(1)[0].text("RequestPath"), "/second");
    let old = fs::read_to_string(rotated).expect("the old file");
    assert_eq!(old.lines().count(), 1);
}

fn a_buffered_log_is_written_at_the_end(driver: Driver) {
    let a = Origin::named("a");
    let log = "format: json\nbufferingSize: 1000";
    let mut proxy = Setup::new(driver, app(&[&a.url()])).access_log(log).start();
    for _ in 0..5 {
        Client::fetch(proxy.address(), "/");
    }
    assert_eq!(proxy.terminate(), 0);
    assert_eq!(proxy.access_records(5).len(), 5);
}

fn every_request_of_every_worker_is_logged(driver: Driver) {
    let a = Origin::named("a");
    let proxy = Setup::new(driver, app_with("", &[&a.url()])).workers(2).start();
    let address = proxy.address();
    let clients: Vec<_> = (0..8)
        .map(|client| {
            std::thread::spawn(move || {
                let mut connection = Client::connect(address);
                for number in 0..50 {
                    assert_eq!(connection.get(&format!("/{client}/{number}"), "").status, 200);
                }
            })
        })
        .collect();
    for client in clients {
        client.join().expect("a client");
    }
    let records = proxy.access_records(400);
    let mut paths: Vec<_> = records.iter().map(|record| record.text("RequestPath")).collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), 400);
}
