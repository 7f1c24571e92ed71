//! PROXY protocol on an entry point: who is behind the balancer in front of us (http1 E6).

use crate::support::{Client, Driver, Origin, Setup, app, on_both_drivers};

on_both_drivers!(
    e6_a_trusted_peer_names_the_client,
    e6_a_stranger_s_header_is_a_bad_request,
    e6_a_malformed_header_is_closed_without_an_answer,
);

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: example.test\r\n\r\n";
const TRUSTING: &str = "proxyProtocol: {trustedIPs: [\"127.0.0.1/32\"]}";

/// Version 2, TCP over IPv4, from 192.0.2.8:7.
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x08\xc0\0\x02\x01\0\x07\0\x50";

fn e6_a_trusted_peer_names_the_client(driver: Driver) {
    let origin = Origin::named("a");
    let proxy = Setup::new(driver, app(&[&origin.url()])).entry_point(TRUSTING).start();
    let v1: &[u8] = b"PROXY TCP4 192.0.2.7 192.0.2.1 56324 80\r\n";
    for (header, client_host) in [(v1, "192.0.2.7"), (V2, "192.0.2.8"), (b"", "127.0.0.1")] {
        let mut client = Client::connect(proxy.address());
        client.send(header);
        client.send(REQUEST);
        assert_eq!(client.response().status, 200);
        // The header counts once, for the whole connection.
        assert_eq!(client.get("/", "").status, 200);
        let request = origin.requests().pop().expect("a request");
        assert_eq!(request.all("X-Forwarded-For"), [client_host]);
        assert_eq!(request.all("X-Real-Ip"), [client_host]);
    }
    let records = proxy.access_records(6);
    assert_eq!(records[0].text("ClientAddr"), "192.0.2.7:56324");
    assert_eq!(records[2].text("ClientAddr"), "192.0.2.8:7");
}

fn e6_a_stranger_s_header_is_a_bad_request(driver: Driver) {
    let origin = Origin::named("a");
    let proxy = Setup::new(driver, app(&[&origin.url()])).start();
    let mut client = Client::connect(proxy.address());
    client.send("PROXY TCP4 192.0.2.7 192.0.2.1 56324 80\r\n");
    client.send(REQUEST);
    assert_eq!(client.response().status, 400);
    client.expect_end();
    assert!(origin.requests().is_empty());
}

fn e6_a_malformed_header_is_closed_without_an_answer(driver: Driver) {
    let origin = Origin::named("a");
    let proxy = Setup::new(driver, app(&[&origin.url()])).entry_point(TRUSTING).start();
    let mut client = Client::connect(proxy.address());
    client.send("PROXY TCP4 ::1 ::1 1 2\r\n");
    client.expect_end();
    assert!(origin.requests().is_empty());
}
