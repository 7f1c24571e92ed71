"""An origin that reports what Python's http.server reads, one JSON object a line, before it
answers. Bodies are read as the many small servers on top of it do: leniently."""

import hashlib
import http.client
import json
import os
import socketserver
import sys
from http.server import BaseHTTPRequestHandler

# The proxy's own fields come on top of the hundred that a client may send.
http.client._MAXHEADERS = 1000


def report(**what):
    os.write(1, json.dumps(what).encode() + b"\n")


def printable(text):
    return "".join(letter for letter in text if "!" <= letter <= "~")


class Exchange(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 64 * 1024

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def log_message(self, *_):
        pass

    def handle_expect_100(self):
        self.send_response_only(100)
        self.end_headers()
        self.wfile.flush()
        return True

    def send_error(self, code, message=None, explain=None):
        line = self.raw_requestline.decode("latin-1").split(" ")
        report(witness="refused", method=line[0], target=line[1])
        super().send_error(code, message, explain)

    def read_exactly(self, length):
        content = self.rfile.read(length)
        if len(content) < length:
            raise EOFError
        return content

    def read_chunks(self):
        pieces = []
        while True:
            size = int(self.rfile.readline().split(b";")[0].strip(), 16)
            if size == 0:
                break
            pieces.append(self.read_exactly(size))
            self.rfile.readline()
        trailers = 0
        while True:
            line = self.rfile.readline()
            if not line:
                raise EOFError
            if not line.strip():
                return b"".join(pieces), trailers
            trailers += 1

    def answer(self):
        target = self.requestline.split()[1]
        markers = [printable(value) for value in self.headers.get_all("X-Marker", [])]
        head = {"method": self.command, "target": target, "markers": markers}
        report(witness="head", **head)
        try:
            trailers = 0
            if self.headers.get("Transfer-Encoding"):
                body, trailers = self.read_chunks()
            else:
                body = self.read_exactly(int(self.headers.get("Content-Length") or 0))
        except (EOFError, ValueError, OSError, OverflowError, MemoryError):
            self.close_connection = True
            return
        digest = hashlib.sha256(body).hexdigest()[:16]
        report(witness="body", length=len(body), digest=digest, trailers=trailers, **head)
        self.send_response(200)
        self.send_header("X-Target", target)
        self.send_header("Content-Length", str(len(target)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(target.encode("latin-1"))


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, request, client_address):
        # The proxy may close while an answer is written.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


Server(sys.argv[1], Exchange).serve_forever()
