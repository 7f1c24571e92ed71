"""Scenarios in which clients are slow or too many. Called by `faults`."""

import mmap
import pathlib
import re
import selectors
import socket
import subprocess
import time

from bed import Bed, spawn
from processes import LOAD_CPU, program

P99_MS_MAX = 20
OPEN_PER_SECOND = 500
TOUCHED_BYTES = 4 << 30
DESCRIPTORS = 256
CROWD = 1000
CPU_SHARE_MAX = 0.20
RECOVERY_SECONDS_MAX = 1.0
WATCHED_SECONDS = 3
REQUEST = b"GET / HTTP/1.1\r\nHost: example.test\r\n\r\n"


def slow_headers(options, peer):
    return slow(options, peer, ["-H", "-i", "5", "-x", "24"], "/")


def slow_body(options, peer):
    return slow(options, peer, ["-B", "-i", "5", "-s", "8192", "-x", "10"], "/")


def slow_read(options, peer):
    return slow(options, peer, ["-X", "-w", "512", "-y", "1024", "-n", "5", "-z", "32"],
                "/b/1048576")


def touch_memory():
    """Makes the host of a virtual machine back the memory that the sockets will fill: the first
    touch of a page takes long there, and would be charged to whichever proxy comes first."""
    lines = pathlib.Path("/proc/meminfo").read_text().splitlines()
    free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    size = min(TOUCHED_BYTES, free * 1024 // 2)
    mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE).close()


def slow(options, peer, words, path):
    """Thousands of slow clients, and a good one at a constant rate beside them."""
    if not program("slowhttptest"):
        return {"skipped": "slowhttptest is not installed"}
    touch_memory()
    with Bed(options) as bed:
        proxy = bed.start_proxy(peer)
        before = proxy.descriptors()
        attack = spawn(
            ["slowhttptest", *words, "-c", options.slow_connections, "-r", OPEN_PER_SECOND,
             "-l", options.slow_seconds, "-p", "10", "-u",
             f"http://127.0.0.1:{proxy.port}{path}"], LOAD_CPU, bed.scratch / "slow.log")
        bed.children.append(attack)
        length = {"rate": 200, "connections": 20, "seconds": options.slow_seconds}
        judge = bed.steady(proxy.port, **length)
        direct = bed.steady(bed.origin_ports[0], **length)
        held, rss = 0, 0
        while judge.poll() is None:
            held = max(held, proxy.descriptors() - before)
            rss = max(rss, proxy.rss_kib())
            try:
                judge.wait(0.25)
            except subprocess.TimeoutExpired:
                continue
        found, noise = bed.finish(judge), bed.finish(direct)
        text = (bed.scratch / "slow.log").read_text(errors="replace")
        reported = re.findall(r"connected:\D*(\d+)", text)
    found.update(direct_p99_ms=noise["p99_ms"], held_max=held, rss_max_kib=rss,
                 attack_connected_max=max(map(int, reported), default=0))
    fair = (found["p99_ms"] or 1e9) < P99_MS_MAX
    found["bars"] = [("0 errors of the good client", found["errors"] == 0),
                     ("0 wrong answers", found["wrong"] == 0),
                     (f"p99 of the good client < {P99_MS_MAX} ms", fair),
                     ("the slow clients were there", held >= options.slow_connections * 0.8)]
    return found


def descriptors(options, peer):
    """More clients than descriptors: no spinning, and service again when they leave."""
    with Bed(options) as bed:
        proxy = bed.start_proxy(peer, DESCRIPTORS, lambda text: fewer(peer, text))
        early = Patient(proxy.port)
        early_errors = 0 if early.ask(5) else 1
        crowd = Crowd(proxy.port)
        time.sleep(0.5)
        spent, since = proxy.cpu_seconds(), time.monotonic()
        while time.monotonic() - since < WATCHED_SECONDS:
            early_errors += 0 if early.ask(2) else 1
            time.sleep(0.2)
        cpu_share = (proxy.cpu_seconds() - spent) / (time.monotonic() - since)
        served = crowd.answered()
        crowd.leave()
        since = time.monotonic()
        recovered = None
        while recovered is None and time.monotonic() - since < 10:
            if Patient(proxy.port).ask(1):
                recovered = time.monotonic() - since
        early_errors += 0 if early.ask(2) else 1
    found = {"limit": DESCRIPTORS, "clients": CROWD, "served_in_crowd": served,
             "cpu_share": f"{cpu_share:.1%}", "early_errors": early_errors,
             "recovered_ms": None if recovered is None else round(recovered * 1000)}
    found["bars"] = [(f"CPU < {CPU_SHARE_MAX:.0%} of a core while exhausted",
                      cpu_share < CPU_SHARE_MAX),
                     # Its connection may be the one that has been idle for longest.
                     ("who was there first loses at most one idle connection", early_errors <= 1),
                     (f"new clients are served < {RECOVERY_SECONDS_MAX:g} s after the others left",
                      recovered is not None and recovered < RECOVERY_SECONDS_MAX)]
    return found


def fewer(peer, text):
    """The peers' own ways to live with few descriptors."""
    if peer == "nginx":
        text = text.replace("worker_rlimit_nofile 20000;\n", "")
        return text.replace("worker_connections 19000", "worker_connections 4096")
    if peer == "haproxy":
        # It refuses to start with a limit that its maximum of connections may break.
        return text.replace("maxconn 9000", f"maxconn {DESCRIPTORS // 2 - 20}")
    return text


class Patient:
    """A client that waits a bounded time for a 200."""

    def __init__(self, port):
        self.port, self.socket = port, None

    def ask(self, seconds):
        try:
            if self.socket is None:
                self.socket = socket.create_connection(("127.0.0.1", self.port), seconds)
            self.socket.settimeout(seconds)
            self.socket.sendall(REQUEST)
            answer = b""
            # The origin's small body is a hundred bytes of x.
            while not answer.endswith(b"x" * 100):
                block = self.socket.recv(65536)
                if not block:
                    raise ConnectionError("closed")
                answer += block
            return answer.startswith(b"HTTP/1.1 200 ")
        except OSError:
            self.socket = None if self.socket is None else self.socket.close()
            return False


class Crowd:
    """Clients that ask once and stay."""

    def __init__(self, port):
        self.sockets, self.selector = [], selectors.DefaultSelector()
        for _ in range(CROWD):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
            self.sockets.append(client)
            self.selector.register(client, selectors.EVENT_WRITE)
        limit = time.monotonic() + 3
        waiting = set(self.sockets)
        while waiting and time.monotonic() < limit:
            for key, _ in self.selector.select(0.1):
                self.selector.unregister(key.fileobj)
                waiting.discard(key.fileobj)
                try:
                    key.fileobj.send(REQUEST)
                except OSError:
                    continue

    def answered(self):
        count = 0
        for client in self.sockets:
            try:
                count += client.recv(65536).startswith(b"HTTP/1.1 200")
            except OSError:
                continue
        return count

    def leave(self):
        for client in self.sockets:
            client.close()
