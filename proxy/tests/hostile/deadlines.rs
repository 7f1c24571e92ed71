//! Requests that never end (B12, G1, G2): refused when the time is over, and never taken for whole.

use crate::client::{Client, Fin};
use crate::origin::{Recorder, Reply};
use crate::support::{Driver, Setup, app};

/// Beginnings of requests. A head that stays open and a body that stays open are both 408.
const UNFINISHED: &[(&str, &[u8])] = &[
    ("G1 a method alone", b"GET"),
    ("G1 no empty line", b"GET / HTTP/1.1\r\nHost: a\r\n"),
    ("G1 half of the empty line", b"GET / HTTP/1.1\r\nHost: a\r\n\r"),
    ("G1 a value without its LF", b"GET / HTTP/1.1\r\nHost: a\r"),
    ("G2 a byte too few", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabc"),
    (
        "G2 a length of 2^63",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n\r\nabc",
    ),
    (
        "G2 a length of 2^64 - 1",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\nabc",
    ),
    (
        "B2 a chunk of 2^63 - 1",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\nabc",
    ),
    (
        "B12 no final CRLF",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n",
    ),
    (
        "B12 no LF at the end",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r",
    ),
    (
        "B12 an open trailer",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n",
    ),
    ("B12 no chunk", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"),
];

fn check(driver: Driver) {
    let origin = Recorder::new(|_| Reply {
        bytes: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec(),
        ..Reply::default()
    });
    let proxy = Setup::new(driver, app(&[&origin.url()]))
        .entry_point("transport: {respondingTimeouts: {readTimeout: 400ms}}")
        .start();
    let mut clients: Vec<_> = UNFINISHED
        .iter()
        .map(|(name, send)| {
            let mut client = Client::connect(proxy.address());
            client.send(send, 0);
            (name, client)
        })
        .collect();
    for (name, client) in &mut clients {
        let answer = client.answer(false);
        let is_refused = answer.as_ref().is_ok_and(|answer| {
            answer.status == 408 && answer.head.contains("\r\nConnection: close")
        });
        assert!(is_refused, "{name} ({driver:?}): {answer:?}");
        let ended = client.end();
        assert_eq!((ended.how, ended.rest.as_slice()), (Fin::Clean, &b""[..]), "{name}");
    }
    let got = origin.take().unwrap_or_else(|got| panic!("the server still waits: {got:?}"));
    assert!(got.iter().all(|got| !got.is_whole), "{driver:?}: {got:?}");
}

#[test]
fn a_request_that_does_not_end_is_never_taken_for_a_whole_one() {
    check(Driver::Uring);
    check(Driver::Epoll);
}
