#!/usr/bin/env python3
"""A client at a constant rate that judges every answer; prints one JSON object.

Each request is due at a fixed time and its latency counts from then, so a stall is charged to all
that it delays. Each carries a token that `/echo/` of the origin gives back: an answer to another
request is seen as wrong. Each connection keeps the cookie that it was given, and a server that
changes without a new cookie counts as an unexplained move.

Started by the fault scenarios in a process of its own, against a proxy or, as the measure of its
own jitter, against an origin. Standard library only; it never opens more than its connections.
"""

import argparse
import collections
import json
import selectors
import socket
import sys
import time

ANSWER_SECONDS_MAX = 10.0
BLOCK_BYTES = 65536


def main():
    options = arguments()
    client = Steady(options)
    client.run()
    json.dump(client.result(), sys.stdout)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=float, default=200, help="requests per second")
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=10)
    return parser.parse_args()


class Connection:
    """One client: its socket while there is one, its cookie, and the request in flight."""

    def __init__(self, number):
        self.number = number
        self.socket = None
        self.cookie = None
        self.server = None
        self.due = None
        self.token = ""
        self.received = b""


class Steady:
    """A fixed set of connections that takes requests from a schedule."""

    def __init__(self, options):
        self.options = options
        self.selector = selectors.DefaultSelector()
        self.idle = collections.deque(Connection(i) for i in range(options.connections))
        self.busy = set()
        self.latencies = []
        self.errors = collections.Counter()
        self.wrong, self.moves, self.sent = 0, 0, 0
        self.wrong_sample = None

    def run(self):
        # Before the clock runs: connecting waits, and would be charged to every request.
        for connection in self.idle:
            try:
                self.connect(connection)
            except OSError as why:
                self.fail(connection, f"connect: {type(why).__name__}")
        begin = time.monotonic()
        total = int(self.options.rate * self.options.seconds)
        issued = 0
        while issued < total or self.busy:
            now = time.monotonic()
            while issued < total and self.idle and begin + issued / self.options.rate <= now:
                self.ask(self.idle.popleft(), begin + issued / self.options.rate, issued)
                issued += 1
            next_due = begin + issued / self.options.rate
            can_send = issued < total and self.idle
            pause = max(0.0, next_due - time.monotonic()) if can_send else 0.05
            for key, _ in self.selector.select(min(pause, 0.05)):
                self.read(key.data)
            self.expire()

    def ask(self, connection, due, number):
        connection.due, connection.received = due, b""
        connection.token = f"{self.options.port}-{connection.number}-{number}"
        cookie = f"Cookie: {connection.cookie}\r\n" if connection.cookie else ""
        request = (f"GET /echo/{connection.token} HTTP/1.1\r\nHost: example.test\r\n"
                   f"{cookie}\r\n").encode()
        self.sent += 1
        self.busy.add(connection)
        try:
            if connection.socket is None:
                self.connect(connection)
            connection.socket.sendall(request)
        except OSError as why:
            self.fail(connection, f"send: {type(why).__name__}")

    def connect(self, connection):
        address = (self.options.address, self.options.port)
        connection.socket = socket.create_connection(address, ANSWER_SECONDS_MAX)
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.selector.register(connection.socket, selectors.EVENT_READ, connection)

    def read(self, connection):
        try:
            block = connection.socket.recv(BLOCK_BYTES)
        except OSError as why:
            return self.end(connection, f"receive: {type(why).__name__}")
        if not block:
            return self.end(connection, "closed without a whole answer")
        if connection.due is None:
            return self.fail(connection, "bytes that nobody asked for")
        connection.received += block
        head, blank, body = connection.received.partition(b"\r\n\r\n")
        if blank:
            self.judge(connection, head.decode("latin-1"), body)

    def judge(self, connection, head, body):
        line, *lines = head.split("\r\n")
        fields = [(name.lower(), value.strip()) for name, _, value in
                  (line.partition(":") for line in lines)]
        status = line.split(" ")[1] if " " in line else line
        if status != "200":
            return self.fail(connection, f"status {status}")
        length = int(dict(fields).get("content-length", -1))
        if length < 0:
            return self.fail(connection, "no length")
        if len(body) < length:
            return None
        if body != (connection.token + "\n").encode():
            self.wrong += 1
            self.wrong_sample = f"{connection.token!r} was answered {body[:80]!r}"
        self.note_server(connection, fields)
        self.latencies.append(time.monotonic() - connection.due)
        connection.due = None
        self.busy.discard(connection)
        self.idle.append(connection)
        if dict(fields).get("connection", "").lower() == "close":
            self.drop(connection)
        return None

    def note_server(self, connection, fields):
        server = dict(fields).get("x-server")
        pins = [value.split(";")[0] for name, value in fields
                if name == "set-cookie" and value.startswith("sid=")]
        if pins:
            connection.cookie = pins[-1]
        elif connection.server not in (None, server) and connection.cookie:
            self.moves += 1
        connection.server = server

    def expire(self):
        now = time.monotonic()
        for connection in [it for it in self.busy if now - it.due > ANSWER_SECONDS_MAX]:
            self.fail(connection, f"no answer in {ANSWER_SECONDS_MAX:g} s")

    def end(self, connection, why):
        """An idle connection may be closed by anyone; one that waits for an answer may not."""
        if connection.due is None:
            self.drop(connection)
        else:
            self.fail(connection, why)

    def fail(self, connection, why):
        self.errors[why] += 1
        self.drop(connection)
        if connection in self.busy:
            self.busy.discard(connection)
            self.idle.append(connection)
        connection.due = None

    def drop(self, connection):
        if connection.socket is None:
            return
        try:
            self.selector.unregister(connection.socket)
        except KeyError:
            pass
        connection.socket.close()
        connection.socket = None

    def result(self):
        latencies = sorted(self.latencies)

        def at(share):
            if not latencies:
                return None
            index = min(len(latencies) - 1, int(share * len(latencies)))
            return round(latencies[index] * 1000, 2)
        return {
            "sent": self.sent, "good": len(latencies), "errors": sum(self.errors.values()),
            "error_kinds": dict(self.errors), "wrong": self.wrong, "unexplained_moves": self.moves,
            "wrong_sample": self.wrong_sample,
            "p50_ms": at(0.5), "p99_ms": at(0.99), "p999_ms": at(0.999), "max_ms": at(1),
        }


if __name__ == "__main__":
    main()
