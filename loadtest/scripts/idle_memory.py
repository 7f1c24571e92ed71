#!/usr/bin/env python3
"""What an idle keep-alive connection costs: resident memory of sundew per connection.

One worker serves a number of clients one request each; then nobody says anything for longer than
every timer that gives memory back, and the growth since the warm-up is divided by the number of
clients. On io_uring and on epoll, round after round. Memory of the kernel for sockets is not
counted: it is the same for every proxy.

Never run it while anything else runs on the machine. Standard library only.
"""

import argparse
import os
import pathlib
import platform
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from bench_quick import LOAD_CPU, PROXY_CPU, ROOT, rss_kib, start, stop, wait_for

PORT, ORIGIN_PORT = 8100, 9001
DRIVERS = ("uring", "epoll")
REQUEST = b"GET / HTTP/1.1\r\nHost: example.test\r\n\r\n"
CONFIGURATION = """\
entryPoints: {{web: {{address: "127.0.0.1:{port}"}}}}
http:
  routers: {{app: {{rule: "PathPrefix(`/`)", service: app}}}}
  services:
    app:
      loadBalancer:
        sticky: {{cookie: {{name: sid}}}}
        servers: [{{url: "http://127.0.0.1:{origin_port}"}}]
sundew: {{workers: 1, driver: {driver}}}
"""


def main():
    options = arguments()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < options.connections + 100:
        sys.exit(f"idle_memory: {options.connections} connections need more open files than {hard}")
    for path in (options.sundew, options.loadtest):
        if not os.access(path, os.X_OK):
            sys.exit(f"idle_memory: {path} is missing: cargo build --release --workspace")
    version = subprocess.run([options.sundew, "--version"], capture_output=True, text=True)
    print(f"{version.stdout.strip()}, kernel {platform.release()}, one worker, "
          f"{options.connections} connections, {options.seconds:g} s idle", flush=True)
    origin = start([options.loadtest, "origin", "--ports", str(ORIGIN_PORT)], LOAD_CPU)
    try:
        wait_for(ORIGIN_PORT, origin)
        for driver, rounds in measure(options).items():
            print(f"{driver}: {statistics.median(rounds):.2f} KiB per connection (median of "
                  f"{len(rounds)}; {min(rounds):.2f} to {max(rounds):.2f})")
    finally:
        stop(origin)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sundew", default=str(ROOT / "target/release/sundew"))
    parser.add_argument("--loadtest", default=str(ROOT / "target/release/sundew-loadtest"))
    parser.add_argument("--connections", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=12, help="of silence before the look")
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def measure(options):
    figures = {driver: [] for driver in DRIVERS}
    for number in range(options.rounds):
        for driver in DRIVERS:
            with tempfile.TemporaryDirectory() as scratch:
                before, after = one_run(options, pathlib.Path(scratch), driver)
            figures[driver].append((after - before) / options.connections)
            print(f"round {number} {driver}: {before} KiB before, {after} KiB with the connections, "
                  f"{figures[driver][-1]:.2f} KiB each", flush=True)
    return figures


def one_run(options, scratch, driver):
    """Resident KiB before and with the idle connections."""
    path = scratch / "sundew.yml"
    path.write_text(CONFIGURATION.format(port=PORT, origin_port=ORIGIN_PORT, driver=driver))
    proxy = start([options.sundew, "run", "--config", str(path)], PROXY_CPU, limit_files=True)
    clients = []
    try:
        wait_for(PORT, proxy)
        with connect() as client:
            for _ in range(100):
                ask(client)
        before = rss_kib(proxy.pid)
        for _ in range(options.connections):
            clients.append(connect())
            ask(clients[-1])
        time.sleep(options.seconds)
        after = rss_kib(proxy.pid)
        # A connection that was closed meanwhile costs nothing, which would flatter.
        for client in clients:
            ask(client)
    finally:
        for client in clients:
            client.close()
        stop(proxy)
    return before, after


def connect():
    return socket.create_connection(("127.0.0.1", PORT), timeout=10)


def ask(client):
    client.sendall(REQUEST)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += received(client)
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        sys.exit(f"idle_memory: {head.decode(errors='replace')}")
    fields = (line.partition(b":") for line in head.lower().split(b"\r\n")[1:])
    length = next(int(value) for name, _, value in fields if name == b"content-length")
    while len(body) < length:
        body += received(client)


def received(client):
    block = client.recv(65536)
    if not block:
        sys.exit("idle_memory: the proxy closed a connection")
    return block


if __name__ == "__main__":
    main()
