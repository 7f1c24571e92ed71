//! Upgrades: the tunnel, what comes before it, and what must not become one.

use crate::support::{
    Client, Driver, Exchange, Next, Origin, Setup, Sundew, app, on_both_drivers, pin_of,
};

on_both_drivers!(
    bytes_pass_both_ways_after_the_101,
    the_101_carries_the_pin_before_the_cookies_of_the_server,
    an_end_of_one_direction_leaves_the_other_open,
    bytes_around_the_101_are_not_lost,
    a_refused_upgrade_is_an_ordinary_response,
    a_connection_whose_upgrade_was_declined_is_not_used_again,
    a_101_that_was_not_asked_for_is_a_bad_gateway,
    a_101_to_another_protocol_is_a_bad_gateway,
    h2c_is_never_forwarded,
    a_large_stream_passes_through_the_tunnel,
);

const ASK: &str = "GET /socket HTTP/1.1\r\nHost: example.test\r\nConnection: Upgrade\r\n\
                   Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                      Upgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

/// Sends back what it gets until the end, then says `end` and closes.
fn echo_until_end(exchange: &mut Exchange<'_>) -> Next {
    loop {
        let block = exchange.read_some();
        if block.is_empty() {
            exchange.send("end");
            return Next::Close;
        }
        exchange.send(block);
    }
}

fn echo() -> Origin {
    Origin::scripted(|exchange| {
        exchange.send(format!("{SWITCH}Set-Cookie: own=1\r\n\r\n"));
        echo_until_end(exchange)
    })
}

fn start(driver: Driver, origin: &Origin) -> Sundew {
    Setup::new(driver, app(&[&origin.url()])).start()
}

fn bytes_pass_both_ways_after_the_101(driver: Driver) {
    let origin = echo();
    let proxy = start(driver, &origin);
    let mut client = Client::connect(proxy.address());
    client.send(ASK);
    let response = client.response();
    assert_eq!(response.status, 101);
    assert_eq!(response.field("Upgrade"), Some("websocket"));
    assert_eq!(response.field("Connection").map(str::to_lowercase).as_deref(), Some("upgrade"));
    for text in ["ping", "\u{0}\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"] {
        client.send(text);
        assert_eq!(client.read_exact(text.len()), text.as_bytes());
    }
    let request = origin.only_request();
    assert_eq!(request.field("Upgrade"), Some("websocket"));
    assert_eq!(request.field("Connection").map(str::to_lowercase).as_deref(), Some("upgrade"));
    assert_eq!(request.field("Sec-WebSocket-Key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
    assert_eq!(request.field("X-Forwarded-Proto"), Some("ws"));

    drop(client);
    let record = proxy.only_record();
    let logged = (record.number("DownstreamStatus"), record.number("DownstreamContentSize"));
    assert_eq!(logged, (0, 0), "an upgraded connection is logged at its end");
}

fn the_101_carries_the_pin_before_the_cookies_of_the_server(driver: Driver) {
    let origin = echo();
    let proxy = start(driver, &origin);
    let mut client = Client::connect(proxy.address());
    client.send(ASK);
    let pin = pin_of(&origin.url());
    assert_eq!(client.response().all("Set-Cookie"), [&format!("sid={pin}; Path=/"), "own=1"]);

    let mut client = Client::connect(proxy.address());
    client.send(ASK.replace("Upgrade: w", &format!("Cookie: sid={pin}\r\nUpgrade: w")));
    assert_eq!(client.response().all("Set-Cookie"), ["own=1"]);
}

fn an_end_of_one_direction_leaves_the_other_open(driver: Driver) {
    let origin = echo();
    let proxy = start(driver, &origin);
    let mut client = Client::connect(proxy.address());
    client.send(ASK);
    assert_eq!(client.response().status, 101);
    client.send("last words");
    client.finish();
    assert_eq!(client.read_to_end().expect("a clean end"), b"last wordsend");

    let origin = Origin::scripted(|exchange| {
        exchange.send(format!("{SWITCH}\r\nbye"));
        exchange.finish();
        let mut got = Vec::new();
        loop {
            let block = exchange.read_some();
            if block.is_empty() {
                break;
            }
            got.extend(block);
        }
        exchange.request.body = got;
        exchange.record();
        Next::Close
    });
    let proxy = start(driver, &origin);
    let mut client = Client::connect(proxy.address());
    client.send(ASK);
    assert_eq!(client.response().status, 101);
    assert_eq!(client.read_to_end().expect("the server's end"), b"bye");
    client.send("still here");
    client.finish();
    crate::support::eventually("the server gets what was sent after its end", || {
        (origin.only_request().body == b"still here").then_some(())
    });
}

fn bytes_around_the_101_are_not_lost(driver: Driver) {
    let origin = Origin::scripted(|exchange| {
        exchange.send(format!("{SWITCH}\r\nearly from the server;"));
        echo_until_end(exchange)
    });
    let proxy = start(driver, &origin);
    let mut client = Client::connect(proxy.address());
    client.send(format!("{ASK}early from the client"));
    assert_eq!(client.response().status, 101);
    let want = b"early from the server;early from the client";
    assert_eq!(client.read_exact(want.len()), want);
}

fn a_refused_upgrade_is_an_ordinary_response(driver: Driver) {
    let origin = Origin::named("a");
    let proxy = start(driver, &origin);
    let mut client = Client::connect(proxy.address());
    for _ in 0..3 {
        client.send(ASK);
        let response = client.response();
        assert_eq!((response.status, response.text().as_str()), (200, "a"));
    }
    assert_eq!(proxy.access_records(3)[2].number("DownstreamStatus"), 200);
}

/// Node's parser, after an upgrade that it declined, swallows the next malformed request and all
/// that follows: another client would wait for ever.
fn a_connection_whose_upgrade_was_declined_is_not_used_again(driver: Driver) {
    let origin = Origin::named("a");
    let proxy = start(driver, &origin);
    let mut client = Client::connect(proxy.address());
    for connections in [1, 2] {
        client.send(ASK);
        assert_eq!(client.response().status, 200);
        client.send("GET / HTTP/1.1\r\nHost: example.test\r\n\r\n");
        assert_eq!(client.response().status, 200);
        assert_eq!(origin.connections(), connections + 1);
        proxy.access_records(2 * connections);
    }
}

fn a_101_that_was_not_asked_for_is_a_bad_gateway(driver: Driver) {
    let origin = echo();
    let proxy = start(driver, &origin);
    let response = Client::fetch(proxy.address(), "/");
    assert_eq!((response.status, response.text().as_str()), (502, "Bad Gateway"));
    // Nothing of the stream that follows is taken for a response.
    assert_eq!(Client::fetch(proxy.address(), "/").status, 502);
    assert_eq!(origin.connections(), 2);
}

fn a_101_to_another_protocol_is_a_bad_gateway(driver: Driver) {
    let origin = echo();
    let proxy = start(driver, &origin);
    let mut client = Client::connect(proxy.address());
    client.send(ASK.replace("Upgrade: websocket", "Upgrade: other"));
    assert_eq!(client.response().status, 502);
}

fn h2c_is_never_forwarded(driver: Driver) {
    let origin = Origin::named("a");
    let proxy = start(driver, &origin);
    let mut client = Client::connect(proxy.address());
    client.send(
        "GET / HTTP/1.1\r\nHost: example.test\r\nConnection: Upgrade, HTTP2-Settings\r\n\
         Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
    );
    assert_eq!(client.response().text(), "a");
    let request = origin.only_request();
    for name in ["Upgrade", "Connection", "HTTP2-Settings"] {
        assert_eq!(request.field(name), None, "{name}");
    }
}

fn a_large_stream_passes_through_the_tunnel(driver: Driver) {
    let origin = echo();
    let proxy = start(driver, &origin);
    let mut client = Client::connect(proxy.address());
    client.send(ASK);
    assert_eq!(client.response().status, 101);
    let block: Vec<u8> = (0..60_000_u32).flat_map(u32::to_le_bytes).collect();
    for _ in 0..20 {
        client.send(&block);
        assert!(client.read_exact(block.len()) == block);
    }
}
