"""Scripted servers for the comparison: what a request's `X-Script` field names is what it gets."""

import socket
import threading


class Origin:
    """A server on a loopback port that records what reached it."""

    def __init__(self, name):
        self.name = name
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.requests = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            stream, _ = self.listener.accept()
            threading.Thread(target=self._serve, args=(stream,), daemon=True).start()

    def _serve(self, stream):
        try:
            reader = stream.makefile("rb")
            while True:
                head = read_head(reader)
                if head is None:
                    break
                request = {"line": head[0], "fields": head[1], "body": None}
                self.requests.append(request)
                if not self._answer(stream, reader, request):
                    break
        except OSError:
            pass
        finally:
            stream.close()

    def _answer(self, stream, reader, request):
        script = field(request["fields"], "x-script") or "ok"
        if script in EARLY:
            stream.sendall(EARLY[script])
        if script not in ("early-final", "upgrade", "switch"):
            request["body"] = read_body(reader, request["fields"])
        if script == "reset":
            return False
        if script.startswith("status-"):
            bodiless = script in ("status-204", "status-304")
            tail = b"\r\n" if bodiless else b"Content-Length: 2\r\n\r\nok"
            stream.sendall(b"HTTP/1.1 " + script[7:].encode() + b" Some Reason\r\n" + tail)
            return True
        if script in ANSWERS:
            stream.sendall(ANSWERS[script])
            return script not in CLOSING
        if script in ("upgrade", "switch"):
            return self._tunnel(stream, reader, script)
        body = b"" if request["line"].startswith("HEAD ") else self.name.encode()
        stream.sendall(
            f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Served-By: {self.name}\r\n"
            f"Content-Length: {len(self.name)}\r\n\r\n".encode() + body
        )
        return True

    def _tunnel(self, stream, reader, script):
        protocol = "websocket" if script == "upgrade" else "other"
        stream.sendall(
            f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n"
            "Set-Cookie: own=1\r\nX-Own: 1\r\n\r\n".encode()
        )
        while True:
            block = reader.read1(65536)
            if not block:
                return False
            stream.sendall(block)


OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n"

# Sent before the request's body is read.
EARLY = {
    "continue": b"HTTP/1.1 100 Continue\r\n\r\n",
    "early-final": b"HTTP/1.1 401 Unauthorized\r\nContent-Type: text/plain\r\n"
                   b"Connection: close\r\nContent-Length: 2\r\n\r\nno",
}
ANSWERS = {
    "continue": OK,
    "early-final": b"",
    "hints": HINTS + OK,
    "two-hints": HINTS + HINTS + OK,
    "processing": b"HTTP/1.1 102 Processing\r\n\r\n" + OK,
    "cookies": b"HTTP/1.1 200 OK\r\nSet-Cookie: one=1\r\nContent-Type: text/plain\r\n"
               b"Set-Cookie: two=2\r\nContent-Length: 2\r\n\r\nok",
    "chunked": CHUNKED + b"\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
    "trailers": CHUNKED + b"Trailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 42\r\n\r\n",
    "close": b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end",
    "hop": b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: X-Mine, keep-alive\r\n"
           b"X-Mine: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\nProxy-Authenticate: x\r\n"
           b"Upgrade: x\r\nContent-Length: 2\r\n\r\nok",
    "dated": b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: own\r\n"
             b"Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nok",
    "no-type": b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n<html>hi</html>",
    "http-1.0": b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok",
    "no-reason": b"HTTP/1.1 200\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok",
    "equal-lengths": b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n"
                     b"Content-Length: 2\r\n\r\nok",
    "length-and-chunked": CHUNKED + b"Content-Length: 3\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "obs-text": b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Raw: \xff\xfe\r\n"
                b"Content-Length: 2\r\n\r\nok",
    "not-http": b"hello\r\n\r\n",
    "bad-status": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "no-colon": b"HTTP/1.1 200 OK\r\nbroken\r\nContent-Length: 0\r\n\r\n",
    "two-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "head-cut": b"HTTP/1.1 200 OK\r\nContent-",
    "nul": b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
    "unknown-coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "unasked-101": b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                   b"Upgrade: websocket\r\n\r\n",
    "chunk-cut": CHUNKED + b"\r\n5\r\nhello\r\n",
}
CLOSING = {
    "early-final", "close", "not-http", "bad-status", "no-colon", "two-lengths", "head-cut", "nul",
    "unknown-coding", "unasked-101", "chunk-cut", "http-1.0",
}


def read_head(reader):
    """A start line and (name, value) pairs, or None at the end of the stream."""
    line = reader.readline()
    if not line:
        return None
    fields = []
    while True:
        raw = reader.readline()
        if raw in (b"\r\n", b"\n", b""):
            return line.decode("latin-1").rstrip("\r\n"), fields
        name, _, value = raw.decode("latin-1").rstrip("\r\n").partition(":")
        fields.append((name, value.strip(" \t")))


def field(fields, name):
    values = [value for key, value in fields if key.lower() == name]
    return values[0] if values else None


def read_body(reader, fields):
    if (field(fields, "transfer-encoding") or "").lower() == "chunked":
        return read_chunks(reader)[0]
    return reader.read(int(field(fields, "content-length") or 0))


def read_chunks(reader):
    """Body and trailer fields; the body ends with None where the stream was cut."""
    body = b""
    while True:
        size = reader.readline().split(b";")[0].strip()
        if not size:
            return body, None
        if int(size, 16) == 0:
            break
        body += reader.read(int(size, 16))
        reader.readline()
    trailers = []
    while True:
        raw = reader.readline()
        if raw == b"\r\n":
            return body, trailers
        if not raw:
            return body, None
        name, _, value = raw.decode("latin-1").rstrip("\r\n").partition(":")
        trailers.append((name, value.strip()))
