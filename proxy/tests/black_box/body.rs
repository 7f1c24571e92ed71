//! Bodies: framed in every way, whole or cut, small or larger than memory ought to be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::{
    Client, Driver, Next, Origin, Request, Setup, Sundew, app_with, eventually, on_both_drivers,
};

on_both_drivers!(
    a_body_with_a_length_arrives_byte_for_byte,
    a_chunked_request_stays_chunked_without_extensions_and_trailers,
    a_chunked_response_reaches_the_client_with_its_trailers,
    a_close_delimited_response_is_chunked_for_http_1_1,
    a_close_delimited_response_is_closed_for_http_1_0,
    answers_without_a_body_have_none_whatever_they_say,
    a_get_may_have_a_body,
    a_cut_body_never_looks_complete,
    an_early_answer_reaches_a_client_that_is_still_sending,
    megabytes_pass_unchanged_both_ways,
    a_client_that_does_not_read_holds_the_server_back,
    a_server_that_does_not_read_holds_the_client_back,
);

fn start(driver: Driver, origin: &Origin) -> Sundew {
    Setup::new(driver, app_with("", &[&origin.url()])).start()
}

/// Sends back the request's body with a length.
fn echo() -> Origin {
    Origin::scripted(|exchange| {
        let body = exchange.read_body();
        exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
        exchange.send(&body);
        Next::KeepAlive
    })
}

/// Bytes in which a lost, repeated or swapped block shows.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(count + 8);
    while bytes.len() < count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(count);
    bytes
}

fn a_body_with_a_length_arrives_byte_for_byte(driver: Driver) {
    let origin = echo();
    let proxy = start(driver, &origin);
    let mut client = Client::connect(proxy.address());
    for count in [0, 1, 100, 4095, 4096, 4097, 32_768, 65_536, 70_000] {
        let body = noise(count);
        let head = "POST / HTTP/1.1\r\nHost: example.test\r\nContent-Length: ";
        client.send([format!("{head}{count}\r\n\r\n").as_bytes(), &body].concat());
        let response = client.response();
        assert!(response.body == body, "{count} bytes came back as {}", response.body.len());
        assert_eq!(response.field("Content-Length"), Some(count.to_string().as_str()));
        let request = origin.requests().pop().expect("a request");
        assert_eq!(request.field("Content-Length"), Some(count.to_string().as_str()));
        assert!(request.is_whole && request.body == body);
    }
    let records = proxy.access_records(9);
    assert_eq!(records[8].number("RequestContentSize"), 70_000);
    assert_eq!(records[8].number("DownstreamContentSize"), 70_000);
}

fn a_chunked_request_stays_chunked_without_extensions_and_trailers(driver: Driver) {
    let origin = echo();
    let proxy = start(driver, &origin);
    let mut client = Client::connect(proxy.address());
    client.send(
        "POST / HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\n\r\n\
         3;name=value\r\nabc\r\nA\r\n0123456789\r\n0\r\nX-Trailer: no\r\n\r\n",
    );
    assert_eq!(client.response().text(), "abc0123456789");
    let request = origin.only_request();
    assert_eq!(request.all("Transfer-Encoding"), ["chunked"]);
    assert_eq!(request.field("Content-Length"), None);
    // The connection is in step: the next request is understood.
    assert_eq!(client.get("/", "").status, 200);
}

fn a_chunked_response_reaches_the_client_with_its_trailers(driver: Driver) {
    let origin = Origin::fixed(
        "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n\
         5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 42\r\n\r\n",
        Next::KeepAlive,
    );
    let proxy = start(driver, &origin);
    let mut client = Client::connect(proxy.address());
    for _ in 0..3 {
        let response = client.get("/", "");
        assert_eq!(response.text(), "hello world");
        assert_eq!(response.all("Transfer-Encoding"), ["chunked"]);
        assert_eq!(response.trailers, [("X-Sum".to_owned(), "42".to_owned())]);
    }
    assert_eq!(origin.connections(), 1);
    assert_eq!(proxy.access_records(3)[0].number("DownstreamContentSize"), 11);
}

fn close_delimited() -> Origin {
    Origin::scripted(|exchange| {
        exchange.send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nsome ");
        exchange.send("bytes");
        Next::Close
    })
}

fn a_close_delimited_response_is_chunked_for_http_1_1(driver: Driver) {
    let origin = close_delimited();
    let proxy = start(driver, &origin);
    let mut client = Client::connect(proxy.address());
    for _ in 0..2 {
        let response = client.get("/", "");
        assert_eq!(response.text(), "some bytes");
        assert_eq!(response.all("Transfer-Encoding"), ["chunked"]);
    }
}

fn a_close_delimited_response_is_closed_for_http_1_0(driver: Driver) {
    let origin = close_delimited();
    let proxy = start(driver, &origin);
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.0\r\n\r\n");
    let response = client.response();
    assert_eq!(
        (response.text().as_str(), response.field("Transfer-Encoding")),
        ("some bytes", None)
    );
    client.expect_end();
}

fn answers_without_a_body_have_none_whatever_they_say(driver: Driver) {
    let origin = Origin::scripted(|exchange| {
        let target = exchange.request.line().split(' ').nth(1).unwrap_or("").to_owned();
        let framing = match target.rsplit('/').next() {
            Some("length") => "Content-Length: 1000\r\n",
            Some("chunked") => "Transfer-Encoding: chunked\r\n",
            _ => "",
        };
        let status = target.split('/').nth(1).unwrap_or("200").to_owned();
        exchange.send(format!("HTTP/1.1 {status} Reason\r\n{framing}\r\n"));
        Next::KeepAlive
    });
    let proxy = start(driver, &origin);
    let mut client = Client::connect(proxy.address());
    for framing in ["length", "chunked", "none"] {
        for status in [200, 204, 304] {
            let target = format!("/{status}/{framing}");
            let response = client.ask("HEAD", &target, "");
            assert_eq!(response.status, status, "HEAD {target}");
            if status == 200 && framing == "length" {
                assert_eq!(response.field("Content-Length"), Some("1000"));
            }
        }
        for status in [204, 304] {
            assert_eq!(client.get(&format!("/{status}/{framing}"), "").status, status);
        }
    }
    assert_eq!(origin.requests().len(), 15);
}

fn a_get_may_have_a_body(driver: Driver) {
    let origin = echo();
    let proxy = start(driver, &origin);
    let mut client = Client::connect(proxy.address());
    for method in ["GET", "DELETE", "OPTIONS", "HEAD"] {
        client.send(format!(
            "{method} / HTTP/1.1\r\nHost: example.test\r\nContent-Length: 4\r\n\r\nbody"
        ));
        if method == "HEAD" {
            // The echo's own body would be a protocol error on HEAD: the connection may end.
            assert_eq!(client.response_to(method).field("Content-Length"), Some("4"));
        } else {
            assert_eq!(client.response_to(method).text(), "body");
        }
    }
    assert!(origin.requests().iter().all(|request: &Request| request.body == b"body"));
}

fn a_cut_body_never_looks_complete(driver: Driver) {
    let cuts = [
        ("length", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"),
        ("chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"),
        ("inside a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf"),
        ("before the last CRLF", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"),
    ];
    for (name, bytes) in cuts {
        let origin = Origin::fixed(bytes, Next::Close);
        let proxy = start(driver, &origin);
        let mut client = Client::connect(proxy.address());
        client.send("GET / HTTP/1.1\r\nHost: example.test\r\n\r\n");
        let response = client.try_response_to("GET");
        assert!(!matches!(response, Ok(Some(_))), "{name}: {response:?}");
    }
}

fn an_early_answer_reaches_a_client_that_is_still_sending(driver: Driver) {
    let origin = Origin::scripted(|exchange| {
        exchange.send("HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nlarge");
        Next::Close
    });
    let proxy = start(driver, &origin);
    let mut client = Client::connect(proxy.address());
    let length = 64 * 1024 * 1024;
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: example.test\r\nContent-Length: {length}\r\n\r\nfirst bytes"
    ));
    let response = client.response();
    assert_eq!((response.status, response.text().as_str()), (413, "large"));
    assert_eq!(response.field("Connection"), Some("close"));
    // The upstream connection is owed a body: another client must not get it.
    assert_eq!(Client::fetch(proxy.address(), "/").status, 413);
    assert_eq!(origin.connections(), 2);
}

fn megabytes_pass_unchanged_both_ways(driver: Driver) {
    let origin = echo();
    let proxy = start(driver, &origin);
    let body = noise(8 * 1024 * 1024);
    let mut client = Client::connect(proxy.address());
    let head = "PUT / HTTP/1.1\r\nHost: example.test\r\nContent-Length: ";
    client.send([format!("{head}{}\r\n\r\n", body.len()).as_bytes(), &body].concat());
    assert!(client.response().body == body);
    client.send("PUT / HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    for block in body.chunks(100_000) {
        client.send(format!("{:x}\r\n", block.len()));
        client.send(block);
        client.send("\r\n");
    }
    client.send("0\r\n\r\n");
    assert!(client.response().body == body);
}

/// Far more than every socket buffer on the way together.
const FLOOD: usize = 96 * 1024 * 1024;
/// What the kernel's buffers on both sides and the proxy's own may take in.
const BUFFERED_MAX: usize = 48 * 1024 * 1024;
/// What the proxy's memory may grow by while a peer stalls.
const GROWTH_KIB_MAX: u64 = 8 * 1024;

/// Waits until a counter rests, and returns it.
fn settled(count: &AtomicUsize) -> usize {
    let mut last = (count.load(Ordering::SeqCst), Instant::now());
    eventually("the counter rests", || {
        let now = count.load(Ordering::SeqCst);
        if now != last.0 {
            last = (now, Instant::now());
        }
        (now > 0 && last.1.elapsed() > Duration::from_millis(500)).then_some(now)
    })
}

fn a_client_that_does_not_read_holds_the_server_back(driver: Driver) {
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let origin = Origin::scripted(move |exchange| {
        exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {FLOOD}\r\n\r\n"));
        let block = vec![b'x'; 64 * 1024];
        while counter.load(Ordering::SeqCst) < FLOOD && exchange.send(&block) {
            counter.fetch_add(block.len(), Ordering::SeqCst);
        }
        Next::KeepAlive
    });
    let proxy = start(driver, &origin);
    let before = proxy.resident_kib();
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: example.test\r\n\r\n");
    let taken = settled(&sent);
    assert!(taken < BUFFERED_MAX, "{taken} bytes were read from the server for nobody");
    let growth = proxy.resident_kib().saturating_sub(before);
    assert!(growth < GROWTH_KIB_MAX, "grew by {growth} KiB");
    assert_eq!(client.response().body.len(), FLOOD);
}

fn a_server_that_does_not_read_holds_the_client_back(driver: Driver) {
    let (may_read, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let origin = Origin::scripted(move |exchange| {
        let _ = wait.lock().expect("the only reader").recv();
        let count = exchange.read_body().len().to_string();
        exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", count.len()));
        exchange.send(count);
        Next::KeepAlive
    });
    let proxy = start(driver, &origin);
    let before = proxy.resident_kib();
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let address = proxy.address();
    let client = std::thread::spawn(move || {
        let mut client = Client::connect(address);
        let head = "POST / HTTP/1.1\r\nHost: example.test\r\nContent-Length: ";
        client.send(format!("{head}{FLOOD}\r\n\r\n"));
        let block = vec![b'x'; 64 * 1024];
        while counter.load(Ordering::SeqCst) < FLOOD {
            client.send(&block);
            counter.fetch_add(block.len(), Ordering::SeqCst);
        }
        client.response().text()
    });
    let taken = settled(&sent);
    assert!(taken < BUFFERED_MAX, "{taken} bytes were read from the client for nobody");
    let growth = proxy.resident_kib().saturating_sub(before);
    assert!(growth < GROWTH_KIB_MAX, "grew by {growth} KiB");
    may_read.send(()).expect("the origin waits");
    assert_eq!(client.join().expect("the client"), FLOOD.to_string());
}
