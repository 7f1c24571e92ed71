//! D6: what a client sends behind its last request must not cost it the answer.

use crate::client::{Client, Fin};
use crate::origin::{Recorder, Reply};
use crate::support::{Driver, Setup, app};

/// More than the proxy reads with a head, so that it lies unread when the connection is closed.
const BEHIND_BYTES: usize = 16 * 1024;

fn check(driver: Driver) {
    let origin = Recorder::new(|_| Reply {
        bytes: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec(),
        ..Reply::default()
    });
    let proxy = Setup::new(driver, app(&[&origin.url()])).start();
    let mut client = Client::connect(proxy.address());
    let mut send = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_vec();
    send.resize(send.len() + BEHIND_BYTES, b'x');
    client.send(&send, 0);
    let answer = client.answer(false).expect("the answer");
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"ok"[..]));
    // A reset would destroy what the client has not read of a longer answer (RFC 9112 §9.6).
    assert_eq!(client.end().how, Fin::Clean, "{driver:?}");
}

#[test]
fn what_is_sent_behind_close_does_not_destroy_the_answer() {
    check(Driver::Uring);
    check(Driver::Epoll);
}
