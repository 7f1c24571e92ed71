//! However the bytes are cut into packets, the result is the same.

use std::time::Duration;

use crate::support::{Client, Driver, Next, Origin, Setup, app, on_both_drivers};

on_both_drivers!(
    a_request_cut_anywhere_is_the_same_request,
    a_chunked_request_cut_anywhere_is_the_same_request,
    a_response_cut_anywhere_is_the_same_response,
    a_request_byte_by_byte_is_the_same_request,
);

/// Between two writes, so that they are two reads where the machine allows it. The outcome must
/// be the same either way.
const PAUSE: Duration = Duration::from_millis(1);

fn echo() -> Origin {
    Origin::scripted(|exchange| {
        let body = exchange.read_body();
        exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
        exchange.send(&body);
        Next::KeepAlive
    })
}

fn send_in_two(client: &mut Client, bytes: &[u8], at: usize) {
    client.send(&bytes[..at]);
    std::thread::sleep(PAUSE);
    client.send(&bytes[at..]);
}

fn check_every_split(driver: Driver, bytes: &[u8], want: &str) {
    let origin = echo();
    let proxy = Setup::new(driver, app(&[&origin.url()])).start();
    let mut client = Client::connect(proxy.address());
    for at in 1..bytes.len() {
        send_in_two(&mut client, bytes, at);
        let response = client.response();
        assert_eq!((response.status, response.text().as_str()), (200, want), "split at {at}");
    }
    let requests = origin.requests();
    assert_eq!(requests.len(), bytes.len() - 1);
    let first = &requests[0].head;
    assert!(requests.iter().all(|request| request.head == *first && request.is_whole));
}

fn a_request_cut_anywhere_is_the_same_request(driver: Driver) {
    let bytes = b"POST /path?query HTTP/1.1\r\nHost: example.test\r\nCookie: a=b; sid=0\r\n\
                  X-Field: value\r\nContent-Length: 10\r\n\r\n0123456789";
    check_every_split(driver, bytes, "0123456789");
}

fn a_chunked_request_cut_anywhere_is_the_same_request(driver: Driver) {
    let bytes = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                  3;x=\"y\"\r\nabc\r\n00A\r\n0123456789\r\n1\r\n!\r\n0\r\nX-T: v\r\n\r\n";
    check_every_split(driver, bytes, "abc0123456789!");
}

fn a_response_cut_anywhere_is_the_same_response(driver: Driver) {
    let responses: [&[u8]; 2] = [
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
          HTTP/1.1 200 OK\r\nX-Field: value\r\nContent-Length: 10\r\n\r\n0123456789",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
          5\r\n01234\r\n5;x\r\n56789\r\n0\r\nX-T: v\r\n\r\n",
    ];
    for bytes in responses {
        let origin = Origin::scripted(move |exchange| {
            let target = exchange.request.line().split(' ').nth(1).unwrap_or("/0");
            let at: usize = target[1..].parse().unwrap_or(0);
            exchange.send(&bytes[..at]);
            std::thread::sleep(PAUSE);
            exchange.send(&bytes[at..]);
            Next::KeepAlive
        });
        let proxy = Setup::new(driver, app(&[&origin.url()])).start();
        let mut client = Client::connect(proxy.address());
        for at in 1..bytes.len() {
            let response = client.get(&format!("/{at}"), "");
            let got = (response.status, response.text());
            assert_eq!(got, (200, "0123456789".to_owned()), "split at {at}");
        }
        assert_eq!(origin.connections(), 1);
    }
}

fn a_request_byte_by_byte_is_the_same_request(driver: Driver) {
    let origin = echo();
    let proxy = Setup::new(driver, app(&[&origin.url()])).start();
    let mut client = Client::connect(proxy.address());
    for byte in b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" {
        client.send([*byte]);
        std::thread::sleep(PAUSE);
    }
    assert_eq!(client.response().text(), "abc");
}
