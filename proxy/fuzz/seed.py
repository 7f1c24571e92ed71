#!/usr/bin/env python3
"""Writes the first corpora: a few valid inputs a target, from which the fuzzer finds the rest."""

import pathlib

ROOT = pathlib.Path(__file__).parent / "corpus"

REQUESTS = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\r\nGET /a/../b?c;d HTTP/1.1\r\nHost: a:80\r\nConnection: X, close\r\nX: y\r\nTE: trailers\r\n\r\n",
    b"POST http://b/%2e/ HTTP/1.1\r\nHost: a\r\nContent-Length: 005\r\nExpect: 100-continue\r\n\r\nhello",
    b"PUT / HTTP/1.1\r\nHost: [::1]:8080\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n1\r\na\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nCookie: sid=1; a=\"b\"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n",
    b"GET / HTTP/1.0\r\nConnection: keep-alive\r\nX-Forwarded-For: 1\r\nX_Real_Ip: 2\r\nForwarded: for=3\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost:\r\nProxy-Connection: x\r\nKeep-Alive: 5\r\n\r\n",
]
RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200\r\nContent-Length: 05\r\nContent-Length: 5\r\nConnection: X, Set-Cookie\r\nX: y\r\nSet-Cookie: p=q\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\nContent-Length: 3\r\nDate: x\r\n\r\n",
    b"HTTP/1.0 404 Not Found\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nEtag: \"x\"\r\n\r\n",
    b"HTTP/1.1 204 \r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
]
CHUNKS = [
    b"0\r\n\r\n",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"A;x=\"y\\\"z\";w\r\n0123456789\r\n001\r\n!\r\n000\r\nX-T: v\r\nContent-Length: 3\r\nHost: b\r\n\r\n",
    b"7fffffffffffffff\r\n",
]
COOKIES = [
    b"sid=0123456789abcdef",
    b"a=b; sid=\"x\";c\nsid=y",
    b" ; sid = z ;=; sid",
    b"sid=a\"b; sid=\\; sid=ok",
]
TARGETS = [
    b"/",
    b"/a//b/./c/../%2e%2e/%2f?x;y=%zz",
    b"http://a.b:80/x?y",
    b"HTTPS://[::1]?q",
    b"*",
    b"a:443",
    b"/\"{}|^`<>[]%c0%ae",
]
PROXY_HEADERS = [
    b"\x00192.0.2.7 192.0.2.1 56324 443\r\nGET / HTTP/1.1\r\n",
    b"\x02TCP6 2001:db8::7 ::1 1 65535\r\n",
    b"\x02UNKNOWN whatever\r\n",
    b"\x01\x21\x11\x00\x0f\xc0\x00\x02\x07\xc0\x00\x02\x01\xdc\x04\x01\xbb\x03\x00\x00GET",
    b"\x01\x21\x21\x00\x24" + bytes(36),
    b"\x01\x20\x00\x00\x00",
    b"\x03GET / HTTP/1.1\r\n\r\n",
]


# What becomes of a genuine value, where, and the pin: see `fuzz_targets/sealed.rs`.
SEALED = [
    bytes([change, 17]) + bytes.fromhex("6b49d200 0384 000400 7ada663d74f94374") + bytes(range(12)) + rest
    for change, rest in ((0, b""), (1, b""), (2, b""), (3, b"="), (4, b"A"), (5, b"\x01"), (5, b""))
]

# Scripts of whole connections: what `proxy/fuzz/src/stage.rs` reads.
NEW, SEND, FIN, CLOSE, RESET, PAUSE = 1, 0, 2, 3, 4, 5
ANSWER, SFIN, SCLOSE, SRESET, FLOOD, SPAUSE = 6, 8, 9, 10, 11, 12
SWEEP, SERVER, RELOAD = 13, 14, 15


def act(what: int, payload: bytes = b"", place: int = 0, at_once: bool = False) -> bytes:
    return bytes([0x80 | (0x40 if at_once else 0) | place << 4 | what]) + payload


GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = b"HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
EXPECT = b"PUT /e HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
UPGRADE = b"GET /u HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
OLD = b"GET /o HTTP/1.0\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-M: \x7f\r\n\r\na\x7fb"
OK_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na\x7fb\r\n0\r\nX-T: \x7f\r\n\r\n"
OK_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nsome \x7f"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
EARLY = b"HTTP/1.1 413 No\r\nContent-Length: 1\r\n\r\n\x7f"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
SWITCH = b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x7f"
CONNECTIONS = [
    act(NEW, GET) + act(ANSWER, OK) + act(SEND, GET) + act(ANSWER, OK),
    act(NEW, GET) + act(ANSWER, OK) + act(NEW, GET) + act(ANSWER, OK) + act(SEND, POST, 1) + act(ANSWER, OK_CHUNKED),
    act(NEW, GET) + act(NEW, POST) + act(ANSWER, OK, 1) + act(ANSWER, OK),
    act(NEW, GET + GET + POST) + act(ANSWER, OK) + act(ANSWER, OK) + act(ANSWER, OK),
    act(NEW, CHUNKED) + act(SEND, b"1\r\nx\r\n0\r\n\r\n") + act(ANSWER, OK_CHUNKED) + act(SEND, GET) + act(ANSWER, OK),
    act(NEW, CHUNKED) + act(ANSWER, EARLY) + act(SEND, b"1\r\nx\r\n") + act(NEW, GET) + act(ANSWER, OK),
    act(NEW, EXPECT) + act(ANSWER, CONTINUE) + act(SEND, b"hello") + act(ANSWER, OK),
    act(NEW, UPGRADE) + act(ANSWER, SWITCH) + act(SEND, b"ping") + act(ANSWER, b"pong\x7f") + act(FIN) + act(ANSWER, b"bye") + act(SFIN),
    act(NEW, UPGRADE) + act(ANSWER, OK) + act(SEND, GET) + act(ANSWER, OK),
    act(NEW, OLD) + act(ANSWER, OK_CLOSE) + act(SFIN),
    act(NEW, GET) + act(ANSWER, OK_CLOSE) + act(SCLOSE) + act(SEND, GET) + act(ANSWER, OK_CLOSE) + act(SRESET),
    act(NEW, GET) + act(ANSWER, OK + OK) + act(NEW, GET) + act(ANSWER, OK),
    act(NEW, GET) + act(ANSWER, OK) + act(ANSWER, OK) + act(NEW, GET) + act(ANSWER, OK),
    act(NEW, GET) + act(ANSWER, OK) + act(SCLOSE) + act(NEW, GET) + act(ANSWER, OK),
    act(NEW, GET) + act(ANSWER, OK) + act(SEND, POST, at_once=True) + act(SRESET) + act(ANSWER, OK),
    act(NEW, GET) + act(SCLOSE) + act(ANSWER, OK) + act(SCLOSE),
    act(NEW, HEAD) + act(ANSWER, OK[:-3]) + act(SEND, GET) + act(ANSWER, NO_CONTENT),
    act(NEW, GET) + act(PAUSE) + act(ANSWER, b"HTTP/1.1 200 OK\r\n\r\n") + act(FLOOD, b"\x7f" * 64) + act(FLOOD, b"\x7f" * 64) + act(PAUSE),
    act(NEW, POST[:-3]) + act(SWEEP, place=3) + act(NEW, GET) + act(SWEEP, place=3) + act(ANSWER, OK),
    act(NEW, GET) + act(CLOSE) + act(SWEEP, place=1) + act(NEW, GET) + act(ANSWER, OK),
    act(NEW, GET) + act(RESET) + act(ANSWER, OK) + act(NEW, GET) + act(ANSWER, OK),
    act(SERVER, b"", 1) + act(NEW, GET) + act(SCLOSE) + act(ANSWER, OK) + act(NEW, GET) + act(ANSWER, OK),
    act(NEW, GET) + act(ANSWER, OK) + act(SERVER, b"", 1) + act(SEND, GET, at_once=True) + act(SCLOSE) + act(SCLOSE) + act(ANSWER, OK),
    act(SERVER, b"") + act(NEW, GET) + act(ANSWER, OK) + act(SERVER, b"", 1) + act(NEW, GET),
    act(SERVER, b"x") + act(SERVER, b"xx", 1) + act(NEW, GET) + act(ANSWER, OK),
    act(NEW, GET) + act(RELOAD) + act(ANSWER, OK) + act(SEND, GET) + act(ANSWER, OK) + act(RELOAD, place=3) + act(SEND, GET) + act(ANSWER, OK),
    act(NEW, b"GET / HTTP/1.1\r\nHost: a\r\nCookie: sid=0123456789abcdef\r\n") + act(SEND, b"X: y\r\n\r\n") + act(ANSWER, OK[:20]) + act(ANSWER, OK[20:]),
    act(RELOAD, b"x", 2) + act(NEW, POST) + act(NEW, GET) + act(RELOAD, b"xx", 2) + act(SEND, GET) + act(RELOAD, place=2) + act(SEND, GET) + act(ANSWER, OK),
    act(NEW, b"POST /s HTTP/1.1\r\nHost: a\r\nContent-Length: 28\r\n\r\n" + GET) + act(ANSWER, OK) + act(SEND, GET) + act(ANSWER, OK),
    act(NEW, POST) + act(ANSWER, OK) + act(SEND, GET) + act(ANSWER, OK),
    act(NEW, OLD) + act(ANSWER, OK_CLOSE) + act(SRESET),
    act(NEW, OLD) + act(ANSWER, OK_CHUNKED[:-9]) + act(SCLOSE),
    act(NEW, GET) + act(ANSWER, OK) + act(NEW, GET) + act(ANSWER, OK + OK) + act(SEND, GET) + act(ANSWER, OK) + act(ANSWER, OK) + act(SEND, GET, place=1) + act(ANSWER, OK),
    act(NEW, b"GET / HTTP/1.1\r\n") + act(SWEEP, place=3) + act(SEND, b"\r\n"),
    act(NEW, b"HEAD / HTTP/1.1\r\nHost a\r\n\r\n") + act(NEW, b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nIdempotency-Key: x\r\n\r\n.") + act(ANSWER, OK),
]


def write(target: str, seeds: list[bytes]) -> None:
    folder = ROOT / target
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (folder / f"seed-{number:02}").write_bytes(seed)


write("request_head", REQUESTS)
write("response_head", RESPONSES)
write("chunks", [bytes([cut]) + seed for seed in CHUNKS for cut in (0, 4)])
write("cookie", COOKIES)
write("target", [bytes([method, policy]) + seed for seed in TARGETS for method, policy in ((0, 0), (1, 1), (2, 2))])
write("exchange", [b"\x00" + seed for seed in REQUESTS] + [bytes([choice]) + seed for seed in RESPONSES for choice in (1, 3, 5)])
write("proxy_protocol", PROXY_HEADERS)
write("connection", CONNECTIONS)
write("sealed", SEALED)
