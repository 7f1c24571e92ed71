use super::*;
use crate::http1::framing::{request_control, response_control};
use crate::http1::head::{HeadLimits, parse_request, parse_response};

const LIMITS: HeadLimits = HeadLimits { bytes_max: 9999, fields_max: 100, line_bytes_max: 999 };

const STRANGER: Identity<'_> = Identity {
    peer: b"9.9.9.9",
    is_trusted: false,
    not_append: false,
    hostname: b"edge",
    host: b"h",
    is_tls: false,
    is_websocket: false,
};

/// What every request of [`STRANGER`] ends with.
const IDENTITY: &str = "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Host: h\r\nX-Forwarded-Port: 80\r\n\
                        X-Forwarded-Proto: http\r\nX-Forwarded-Server: edge\r\n\
                        X-Real-Ip: 9.9.9.9\r\n\r\n";

fn request_with(text: &str, target: Option<&str>, host: Option<&str>) -> String {
    let bytes = text.as_bytes();
    let mut head = RequestHead::default();
    parse_request(bytes, &LIMITS, &mut head).unwrap();
    let control = request_control(bytes, &head).unwrap();
    let mut out = Vec::new();
    let rewrite = RequestRewrite {
        bytes,
        head: &head,
        control: &control,
        target: target.map(str::as_bytes),
        host: host.map(str::as_bytes),
        hidden_cookies: &[],
        identity: &STRANGER,
    };
    write_request(&mut out, &rewrite);
    let out = String::from_utf8(out).unwrap();
    out.strip_suffix(IDENTITY).expect("our own fields come last").to_owned()
}

fn request(text: &str) -> String {
    request_with(text, None, None)
}

#[test]
fn a_request_s_lines_travel_as_they_came() {
    let lines = "GET /p?q HTTP/1.1\r\nHost: h\r\nx-ODD:  a \t\r\nCookie: a=b\r\nEmpty:\r\n\
                 Cookie: c=d\r\nAuthorization: Basic x\r\nExpect: 100-continue\r\nAccept: \u{e9}\r\n";
    assert_eq!(request(&format!("{lines}\r\nbody")), lines);
    assert_eq!(request(&format!("\r\n{lines}\r\n")), lines, "C13: the empty line does not");
}

#[test]
fn fields_of_one_connection_stay_there() {
    for (name, line) in [
        ("D1", "Connection: close"),
        ("D1", "Connection: keep-alive"),
        ("D1", "Keep-Alive: timeout=5"),
        ("D1", "Proxy-Connection: keep-alive"),
        ("D1", "Proxy-Authenticate: x"),
        ("D1", "Proxy-Authorization: x"),
        ("D1", "TE: gzip"),
        ("D1", "Trailer: X"),
        ("D1", "Upgrade: websocket"),
        ("D1", "HTTP2-Settings: AAMAAABkAAQAAP__"),
        ("D13", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c"),
        ("D2", "Connection: x-secret, other\r\nX-Secret: 1\r\nother: 2"),
        ("D2 in another line", "X-Secret: 1\r\nConnection: a\r\nConnection: x-secret"),
        ("E1", "X-Forwarded-For: 1.1.1.1\r\nX-Real-Ip: 1.1.1.1\r\nX-Forwarded-Proto: https"),
        ("E1", "X-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\nX-Forwarded-Server: evil"),
        ("E1", "Forwarded: for=evil"),
        ("E3", "X_Forwarded_For: 1.1.1.1"),
        ("E4", "X-Forwarded-Prefix: /p"),
        ("E7", "X-Forwarded-Tls-Client-Cert: x"),
    ] {
        let text = format!("GET / HTTP/1.1\r\nHost: h\r\n{line}\r\nLast: 1\r\n\r\n");
        assert_eq!(request(&text), "GET / HTTP/1.1\r\nHost: h\r\nLast: 1\r\n", "{name}: {line}");
    }
}

#[test]
fn connection_cannot_take_away_what_the_proxy_decides_about() {
    let kept = "Host: h\r\nCookie: pin=1\r\nAuthorization: Basic x\r\nContent-Length: 3\r\n";
    for named in
        ["Host", "Cookie", "authorization", "Content-Length", "X-Forwarded-For", "X-Real-Ip"]
    {
        let text = format!("POST / HTTP/1.1\r\n{kept}Connection: {named}\r\n\r\n");
        assert_eq!(request(&text), format!("POST / HTTP/1.1\r\n{kept}"), "D2, F13: {named}");
    }
}

#[test]
fn a_request_s_framing_is_our_own() {
    for (name, fields, want) in [
        ("length", "Content-Length: 5\r\n", "Content-Length: 5\r\n"),
        ("length of nothing", "Content-Length: 0\r\n", "Content-Length: 0\r\n"),
        ("A5 leading zeros", "Content-Length: 005\r\nA: b\r\n", "A: b\r\nContent-Length: 5\r\n"),
        ("A5 zeros", "Content-Length: 000\r\nA: b\r\n", "A: b\r\nContent-Length: 0\r\n"),
        (
            "chunked",
            "transfer-encoding: CHUNKED\r\nA: b\r\n",
            "A: b\r\nTransfer-Encoding: chunked\r\n",
        ),
        ("none", "A: b\r\n", "A: b\r\n"),
        ("D1 TE: trailers", "TE: gzip, trailers\r\nConnection: TE\r\n", "Te: trailers\r\n"),
        (
            "D12 upgrade",
            "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n",
            "Sec-WebSocket-Key: k\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
        ),
        (
            "D13 h2c beside another protocol",
            "Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n",
            "",
        ),
    ] {
        let text = format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
        assert_eq!(request(&text), format!("GET / HTTP/1.1\r\nHost: h\r\n{want}"), "{name}");
    }
}

#[test]
fn target_host_and_version_are_rewritten_where_they_must_be() {
    let text = "GET http://h/p HTTP/1.1\r\nA: b\r\nHost: other\r\nC: d\r\n\r\n";
    assert_eq!(
        request_with(text, Some("/p"), Some("h")),
        "GET /p HTTP/1.1\r\nA: b\r\nC: d\r\nHost: h\r\n",
        "C16: never both"
    );
    let text = "GET /p HTTP/1.0\r\nA: b\r\nConnection: keep-alive\r\n\r\n";
    assert_eq!(
        request_with(text, None, Some("server:80")),
        "GET /p HTTP/1.1\r\nA: b\r\nHost: server:80\r\n"
    );
    assert_eq!(request_with(text, Some("/b/p"), None), "GET /b/p HTTP/1.1\r\nA: b\r\n");
}

struct Client {
    minor: u8,
    keep_alive: bool,
    is_head: bool,
    framing: Option<Framing>,
    upgrades: bool,
}

const CLIENT: Client =
    Client { minor: 1, keep_alive: true, is_head: false, framing: None, upgrades: false };

fn response(text: &str, client: &Client) -> String {
    let bytes = text.as_bytes();
    let mut head = ResponseHead::default();
    parse_response(bytes, &LIMITS, &mut head).unwrap();
    let control = response_control(bytes, &head, client.is_head).unwrap();
    let mut out = Vec::new();
    let rewrite = ResponseRewrite {
        bytes,
        head: &head,
        control: &control,
        framing: client.framing.unwrap_or(control.framing),
        client_minor: client.minor,
        keep_alive: client.keep_alive,
        upgrades: client.upgrades,
        date: b"now",
    };
    let own: &[&[u8]] =
        if head.status >= 200 || client.upgrades { &[b"Set-Cookie: pin=1\r\n"] } else { &[] };
    write_response(&mut out, &rewrite, own.iter().copied());
    String::from_utf8(out).unwrap()
}

#[test]
fn a_response_s_lines_travel_as_they_came_behind_our_own() {
    let text = "HTTP/1.1 200 Fine\r\nServer: x\r\nset-cookie: a=b\r\nSet-Cookie: c=d\r\nDate: then\r\n\
                Content-Length: 5\r\nX:  y \r\n\r\n";
    let want = text.replacen("Server", "Set-Cookie: pin=1\r\nServer", 1);
    assert_eq!(response(text, &CLIENT), want, "F7");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn responses_are_rewritten_for_their_client() {
    let old = Client { minor: 0, ..CLIENT };
    let closes = Client { keep_alive: false, ..CLIENT };
    let old_closes =
        Client { minor: 0, keep_alive: false, framing: Some(Framing::UntilClose), ..CLIENT };
    let gets_chunks = Client { framing: Some(Framing::Chunked), ..CLIENT };
    let head = Client { is_head: true, ..CLIENT };
    let chunked = "Transfer-Encoding: chunked\r\n";
    // (name, client, status line and fields received, status line sent, fields sent)
    for (name, client, line, fields, sent_line, want) in [
        (
            "keeps a plain length",
            &CLIENT,
            "HTTP/1.1 200 OK",
            "Content-Length: 5\r\n",
            "HTTP/1.1 200 OK",
            "Content-Length: 5\r\n",
        ),
        (
            "A5",
            &CLIENT,
            "HTTP/1.1 200 OK",
            "Content-Length: 05\r\n",
            "HTTP/1.1 200 OK",
            "Content-Length: 5\r\n",
        ),
        (
            "A14 lengths are joined",
            &CLIENT,
            "HTTP/1.1 200 OK",
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "HTTP/1.1 200 OK",
            "Content-Length: 5\r\n",
        ),
        (
            "A14 the length is dropped",
            &CLIENT,
            "HTTP/1.1 200 OK",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "HTTP/1.1 200 OK",
            chunked,
        ),
        (
            "A14 also for HEAD",
            &head,
            "HTTP/1.1 200 OK",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "HTTP/1.1 200 OK",
            "",
        ),
        (
            "A17",
            &gets_chunks,
            "HTTP/1.0 200 OK",
            "A: b\r\n",
            "HTTP/1.1 200 OK",
            "A: b\r\nTransfer-Encoding: chunked\r\n",
        ),
        (
            "HEAD keeps its length",
            &head,
            "HTTP/1.1 200 OK",
            "Content-Length: 5\r\n",
            "HTTP/1.1 200 OK",
            "Content-Length: 5\r\n",
        ),
        (
            "204 has no length",
            &CLIENT,
            "HTTP/1.1 204 No Content",
            "Content-Length: 5\r\n",
            "HTTP/1.1 204 No Content",
            "",
        ),
        (
            "304 keeps its length",
            &CLIENT,
            "HTTP/1.1 304 x",
            "Content-Length: 5\r\n",
            "HTTP/1.1 304 x",
            "Content-Length: 5\r\n",
        ),
        (
            "D16 no reason",
            &CLIENT,
            "HTTP/1.1 200 ",
            "Content-Length: 0\r\n",
            "HTTP/1.1 200 ",
            "Content-Length: 0\r\n",
        ),
        (
            "D16 no blank",
            &CLIENT,
            "HTTP/1.1 200",
            "Content-Length: 0\r\n",
            "HTTP/1.1 200 ",
            "Content-Length: 0\r\n",
        ),
        (
            "D1",
            &CLIENT,
            "HTTP/1.1 304 x",
            "Connection: close\r\nKeep-Alive: x\r\nProxy-Connection: x\r\nTe: x\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\nTrailer: x\r\n",
            "HTTP/1.1 304 x",
            "",
        ),
        (
            "D1 Trailer of chunks",
            &CLIENT,
            "HTTP/1.1 200 OK",
            "Trailer: X\r\nTransfer-Encoding: chunked\r\n",
            "HTTP/1.1 200 OK",
            "Trailer: X\r\nTransfer-Encoding: chunked\r\n",
        ),
        (
            "D4",
            &CLIENT,
            "HTTP/1.1 304 x",
            "Connection: X-Secret, Set-Cookie\r\nX-Secret: 1\r\nSet-Cookie: a=b\r\n",
            "HTTP/1.1 304 x",
            "Set-Cookie: a=b\r\n",
        ),
        ("D6", &closes, "HTTP/1.1 304 x", "", "HTTP/1.1 304 x", "+Connection: close\r\n"),
        (
            "D5 kept",
            &old,
            "HTTP/1.1 200 OK",
            "Content-Length: 5\r\n",
            "HTTP/1.0 200 OK",
            "Content-Length: 5\r\n+Connection: keep-alive\r\n",
        ),
        (
            "D5 no chunks, and nothing said about what HTTP/1.0 expects",
            &old_closes,
            "HTTP/1.1 200 OK",
            "Transfer-Encoding: chunked\r\nTrailer: X\r\n",
            "HTTP/1.0 200 OK",
            "",
        ),
    ] {
        let text = format!("{line}\r\n{fields}\r\n");
        let (fields, connection) = want.split_once('+').unwrap_or((want, ""));
        let want =
            format!("{sent_line}\r\nSet-Cookie: pin=1\r\n{fields}Date: now\r\n{connection}\r\n");
        assert_eq!(response(&text, client), want, "{name}");
    }
}

#[test]
fn interim_responses_say_nothing_about_the_connection() {
    let text =
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 5\r\nConnection: x\r\n\r\n";
    assert_eq!(response(text, &CLIENT), "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "D9");
}

#[test]
fn a_switch_of_protocols_keeps_its_name_and_brings_the_pin() {
    let client = Client { upgrades: true, ..CLIENT };
    let text = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
                Sec-WebSocket-Accept: k\r\n\r\n";
    assert_eq!(
        response(text, &client),
        "HTTP/1.1 101 Switching Protocols\r\nSet-Cookie: pin=1\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: k\r\nConnection: Upgrade\r\n\r\n",
        "F12"
    );
}
