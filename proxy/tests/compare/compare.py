#!/usr/bin/env python3
"""Asks Traefik and sundew the same questions and fails on a difference that is not listed.

Differences are listed, each with its reason, in docs/differences-from-traefik.md: the last column
of its tables names `scenario:aspect` patterns. A pattern that matches nothing any more fails too,
so that the page stays true. Names of fields are compared whatever their case and order, which is
itself a listed difference. Standard library only.
"""

import argparse
import fnmatch
import hashlib
import pathlib
import re
import shutil
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from origin import Origin, read_chunks, read_head
from proxies import Proxy
import rules as rule_table
from scenarios import CONFIGURATIONS, DYNAMIC, EXCHANGES

ROOT = pathlib.Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "differences-from-traefik.md"
SECONDS = 5


def main():
    options = arguments()
    listed = listed_differences(PAGE.read_text())
    world = World()
    seen = exchanges(options, world) + rules(options, world) + configurations(options, world)
    unlisted = [it for it in seen if not covered(it, listed)]
    for scenario, aspect, traefik, sundew in unlisted if not options.all else seen:
        print(f"{scenario}: {aspect}\n    traefik: {traefik!r}\n    sundew:  {sundew!r}")
    stale = [] if options.only else [
        pattern for _, pattern in listed
        if not any(fnmatch.fnmatch(f"{it[0]}:{it[1]}", pattern) for it in seen)
    ]
    for pattern in stale:
        print(f"listed but not seen any more: {pattern}")
    pairs = sum(len(it[2]) for it in rule_table.RULES + rule_table.ROUTES)
    count = len(EXCHANGES) + len(CONFIGURATIONS) + 3 + pairs
    print(f"{count} scenarios, {len(seen)} differences, {len(unlisted)} not listed, "
          f"{len(stale)} listed for nothing")
    sys.exit(1 if unlisted or stale else 0)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sundew", default=str(ROOT / "target/debug/sundew"))
    parser.add_argument("--traefik", default=shutil.which("traefik") or "traefik")
    parser.add_argument("--only", help="a pattern of scenario names")
    parser.add_argument("--all", action="store_true", help="print listed differences too")
    return parser.parse_args()


def listed_differences(text):
    """(id, pattern) pairs of the page's tables."""
    pairs = []
    for line in text.splitlines():
        columns = [column.strip() for column in line.strip().strip("|").split("|")]
        identity = re.fullmatch(r"`([a-z0-9-]+)`", columns[0])
        if identity:
            pairs += [(identity[1], pattern) for pattern in re.findall(r"`([^`]+)`", columns[-1])
                      if ":" in pattern]
    if not pairs:
        sys.exit(f"compare: no patterns in {PAGE}")
    return pairs


def covered(difference, listed):
    name = f"{difference[0]}:{difference[1]}"
    return any(fnmatch.fnmatch(name, pattern) for _, pattern in listed)


class World:
    """The servers, and how their names are written into files and requests."""

    def __init__(self):
        self.a, self.b = Origin("A"), Origin("B")
        self.dead, self.silent = socket.socket(), socket.socket()
        self.dead.bind(("127.0.0.1", 0))
        self.silent.bind(("127.0.0.1", 0))
        self.silent.listen(64)
        self.urls = {"A": self.a.url, "B": self.b.url}
        for name, it in (("DEAD", self.dead), ("SILENT", self.silent)):
            self.urls[name] = f"http://127.0.0.1:{it.getsockname()[1]}"

    def fill(self, text):
        for name, url in self.urls.items():
            text = text.replace(f"@{name}@", url).replace(f"PIN({name})", pin(url))
            text = text.replace(f"FNV1({name})", fnv1(url))
            text = text.replace(f"FNV1X2({name})", fnv1(fnv1(url)))
        return re.sub(r"NAME\((\w+)\)", lambda found: pin(found[1]), text)

    def blur(self, text, port):
        """What differs from run to run gets a name."""
        for name, url in self.urls.items():
            text = text.replace(url, f"@{name}@").replace(pin(url), f"PIN({name})")
            text = text.replace(url.removeprefix("http://"), f"{name}:port")
        return text.replace(str(port), "PROXY")

    def clear(self):
        self.a.requests.clear()
        self.b.requests.clear()


def pin(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def fnv1(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value * 0x100000001B3) & (2**64 - 1) ^ byte
    return f"{value:x}"


def wanted(options, name):
    return not options.only or fnmatch.fnmatch(name, options.only)


def exchanges(options, world):
    answers = {}
    for kind, binary in (("traefik", options.traefik), ("sundew", options.sundew)):
        proxy = Proxy(kind, binary, "", world.fill(DYNAMIC))
        if not proxy.is_up:
            sys.exit(f"compare: {kind} did not start:\n{proxy.text()}")
        try:
            for scenario in EXCHANGES:
                if wanted(options, scenario["name"]):
                    world.clear()
                    key = (scenario["name"], kind)
                    answers[key] = observe(world, proxy, scenario)
            if wanted(options, "shares"):
                answers["shares", kind] = shares(world, proxy)
            for host in ("hrw", "by-address"):
                name = f"clients-{host}"
                if wanted(options, name):
                    answers[name, kind] = clients(world, proxy, host)
        finally:
            proxy.stop()
    return differences(answers)


def differences(answers):
    found = []
    for name in dict.fromkeys(name for name, _ in answers):
        traefik, sundew = answers[name, "traefik"], answers[name, "sundew"]
        for aspect in sorted({*traefik, *sundew}):
            left, right = traefik.get(aspect), sundew.get(aspect)
            if left != right:
                found.append((name, aspect, left, right))
    return found


def observe(world, proxy, scenario):
    """Everything about one exchange, by aspect."""
    raw = world.fill(scenario["raw"].decode("latin-1")).encode("latin-1")
    seen = {}
    with socket.create_connection(("127.0.0.1", proxy.port), SECONDS) as stream:
        stream.settimeout(SECONDS)
        stream.sendall(raw)
        reader = stream.makefile("rb")
        try:
            read_answer(stream, reader, scenario, seen)
        except (OSError, ValueError) as why:
            seen["client.broken"] = type(why).__name__
    requests = world.a.requests + world.b.requests
    seen["origin.count"] = len(requests)
    for request in requests[-1:]:
        seen["origin.line"] = request["line"]
        seen["origin.body"] = request["body"]
        group(seen, "origin", request["fields"])
    return {aspect: blurred(world, value, proxy.port) for aspect, value in seen.items()}


def blurred(world, value, port):
    if isinstance(value, list):
        return [blurred(world, it, port) for it in value]
    return world.blur(value, port) if isinstance(value, str) else value


def group(seen, side, fields):
    for name, value in fields:
        seen.setdefault(f"{side}.{name.lower()}", []).append(value)


def read_answer(stream, reader, scenario, seen):
    seen["client.interim"] = []
    while True:
        head = read_head(reader)
        if head is None:
            seen["client.end"] = "closed without an answer"
            return
        line, fields = head
        status = int(line.split(" ")[1])
        if status >= 200 or status == 101:
            break
        names = sorted(name.lower() for name, _ in fields)
        seen["client.interim"].append(f"{status} {' '.join(names)}".strip())
        if scenario["after"] and status == 100:
            stream.sendall(scenario["after"])
    seen["client.status"] = status
    seen["client.line"] = line
    group(seen, "client", [it for it in fields if it[0].lower() != "date"])
    dates = [value for name, value in fields if name.lower() == "date"]
    seen["client.date"] = [value if value.startswith("Sun, 06 Nov 1994") else "now"
                           for value in dates]
    if status == 101:
        stream.sendall(scenario["after"] or b"")
        seen["client.tunnel"] = reader.read(len(scenario["after"] or b""))
        return
    lower = {name.lower(): value for name, value in fields}
    if scenario["method"] == "HEAD" or status in (204, 304):
        body = b""
    elif lower.get("transfer-encoding", "").lower() == "chunked":
        body, trailers = read_chunks(reader)
        seen["client.trailers"] = "cut" if trailers is None else [f"{n}: {v}" for n, v in trailers]
    elif "content-length" in lower:
        body = reader.read(int(lower["content-length"]))
    else:
        body = reader.read()
    seen["client.body"] = body
    stream.settimeout(0.25)
    try:
        seen["client.end"] = "closed" if reader.read(1) == b"" else "more bytes"
    except ConnectionError:
        seen["client.end"] = "closed"
    except OSError:
        seen["client.end"] = "open"


def shares(world, proxy):
    """How often each server of weights 3 and 1 is chosen."""
    world.clear()
    for _ in range(40):
        with socket.create_connection(("127.0.0.1", proxy.port), SECONDS) as stream:
            stream.settimeout(SECONDS)
            stream.sendall(b"GET / HTTP/1.1\r\nHost: shares.test\r\nConnection: close\r\n\r\n")
            stream.makefile("rb").read()
    return {"origin.shares": [len(world.a.requests), len(world.b.requests)]}


def clients(world, proxy, host):
    """Which server clients at different addresses are given."""
    world.clear()
    for last in range(1, 41):
        with socket.create_connection(("127.0.0.1", proxy.port), SECONDS,
                                      (f"127.0.0.{last}", 0)) as stream:
            stream.settimeout(SECONDS)
            stream.sendall(f"GET /{last} HTTP/1.1\r\nHost: {host}.test\r\n"
                           "Connection: close\r\n\r\n".encode())
            stream.makefile("rb").read()
    return {"origin.A": sorted(request["line"] for request in world.a.requests),
            "origin.B": sorted(request["line"] for request in world.b.requests)}


def rules(options, world):
    """Which requests match which rules, and which of several routers takes one."""
    groups = [it for it in rule_table.RULES + rule_table.ROUTES
              if wanted(options, f"rule-{it[0]}-0")]
    answers = {}
    for kind, binary in (("traefik", options.traefik), ("sundew", options.sundew)):
        proxy = Proxy(kind, binary, "", world.fill(rule_table.dynamic()))
        if not proxy.is_up:
            sys.exit(f"compare: {kind} did not start:\n{proxy.text()}")
        try:
            for name, rule, requests in groups:
                for at, request in enumerate(requests):
                    answers[f"rule-{name}-{at}", kind] = {
                        "client.match": f"{match(proxy, name, request)} for {rule} of {request}"}
        finally:
            proxy.stop()
    return differences(answers)


def match(proxy, name, request):
    """The status, and the router's own cookie where several compete."""
    raw = rule_table.request(request, (f"X-Rule: {name}",))
    with socket.create_connection(("127.0.0.1", proxy.port), SECONDS) as stream:
        stream.settimeout(SECONDS)
        stream.sendall(raw)
        head = read_head(stream.makefile("rb"))
    if head is None:
        return "closed"
    cookies = [value.split("=")[0] for name, value in head[1] if name.lower() == "set-cookie"]
    return " ".join([head[0].split(" ")[1], *cookies])


def configurations(options, world):
    chosen = [it for it in CONFIGURATIONS if wanted(options, it[0])]
    answers = {}

    def try_one(job):
        (name, text, suffix), kind, binary = job
        proxy = Proxy(kind, binary, "", world.fill(text), suffix)
        try:
            answers[name, kind] = accepted(world, proxy)
        finally:
            proxy.stop()

    jobs = [(it, kind, binary) for it in chosen
            for kind, binary in (("traefik", options.traefik), ("sundew", options.sundew))]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(try_one, jobs))
    return differences({key: answers[key] for key in sorted(answers)})


def accepted(world, proxy):
    """Traefik starts with whatever it cannot use and answers 404; sundew refuses to start."""
    if not proxy.is_up:
        return {"served": "no"}
    end = time.monotonic() + 2
    while True:
        with socket.create_connection(("127.0.0.1", proxy.port), SECONDS) as stream:
            stream.settimeout(SECONDS)
            stream.sendall(b"GET / HTTP/1.1\r\nHost: any.test\r\nConnection: close\r\n\r\n")
            head = read_head(stream.makefile("rb"))
        status = int(head[0].split(" ")[1])
        if status != 404:
            break
        # Traefik's routers come some time after its listeners.
        if proxy.kind == "sundew" or time.monotonic() > end:
            return {"served": "no"}
        time.sleep(0.1)
    cookies = [value for name, value in head[1] if name.lower() == "set-cookie"]
    return {"served": status, "set-cookie": blurred(world, cookies, proxy.port)}


if __name__ == "__main__":
    main()
