#!/usr/bin/env python3
"""A soak: everything at once for minutes, then a look at what is left behind.

Both drivers run side by side over the same servers. Clients keep connections, make new ones,
upload, fetch 64 KiB, tunnel, leave in the middle and dawdle; servers are killed (kill -9) and the
configuration changes every five seconds. Each second descriptors, memory and threads are noted.
When the clients have left, descriptors must be back exactly where they began, and memory within
ten percent or 4 MiB of where it was after a warm-up with the same load.

Runs at a modest rate, so that other work may go on beside it. Standard library only.
"""

import argparse
import asyncio
import csv
import os
import sys
import time

import soak_clients
from bed import DRIVERS, Bed, raise_limit
from processes import ROOT
from verdicts import Verdicts

EVERY_SECONDS = 5
DEAD_SECONDS = 0.5
WARM_UP_SECONDS = 20
# Longer than every timer that gives something back (see `short_lived`).
SETTLE_SECONDS_MAX = 45
QUIET_SAMPLES = 5
RSS_SHARE_MAX, RSS_SLACK_KIB = 0.10, 4096


def main():
    options = arguments()
    raise_limit()
    verdicts = Verdicts(options)
    for peer, result, samples in asyncio.run(soak(options)):
        verdicts.add("soak", peer, result)
        if not options.dry:
            write_samples(verdicts.folder / f"{peer}-soak.csv", samples)
    verdicts.keep()
    sys.exit(1 if verdicts.missed() else 0)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("minutes", nargs="?", type=float, default=10)
    parser.add_argument("--rate", type=float, default=500, help="requests per second, both drivers")
    parser.add_argument("--sundew", default=str(ROOT / "target/release/sundew"))
    parser.add_argument("--loadtest", default=str(ROOT / "target/release/sundew-loadtest"))
    parser.add_argument("--keep-scratch", action="store_true", help="leave logs behind")
    parser.add_argument("--dry", action="store_true", help="write no results")
    options = parser.parse_args()
    # The table of versions names it.
    options.traefik = "traefik"
    for path in (options.sundew, options.loadtest):
        if not os.access(path, os.X_OK):
            parser.error(f"{path} is missing: cargo build --release --workspace")
    return options


async def soak(options):
    with Bed(options) as bed:
        runs = [Run(bed, peer, options.rate / len(DRIVERS)) for peer in DRIVERS]
        troubles = Troubles(bed, [run.proxy for run in runs])
        for run in runs:
            run.troubles = troubles
        await together(run.settle() for run in runs)
        for run in runs:
            run.began = run.look()
        await load_for(WARM_UP_SECONDS, runs, troubles)
        await together(run.settle() for run in runs)
        for run in runs:
            run.warm = run.look()
            run.watch_from_here()
        print(f"soak: warmed up, {options.minutes:g} minutes begin", flush=True)
        await load_for(options.minutes * 60, runs, troubles)
        await together(run.settle() for run in runs)
        return [(run.proxy.peer, run.result(options.minutes), run.samples) for run in runs]


async def together(parts):
    await asyncio.gather(*parts)


async def load_for(seconds, runs, troubles):
    """Clients, troubles and samples for a while; then every client has left."""
    limit = time.monotonic() + seconds
    await together([troubles.go_on(limit), *(run.clients.go_on(limit, troubles) for run in runs),
                    *(run.sample(limit) for run in runs)])


class Troubles:
    """Kills a server and changes the configuration again and again."""

    def __init__(self, bed, proxies):
        self.bed, self.proxies, self.turn = bed, proxies, 0
        self.killed_at = 0.0

    def excuses(self, began):
        """Whether a server has died since a request began, or so shortly before that the proxy may
        not have known."""
        return began - self.killed_at < DEAD_SECONDS

    async def go_on(self, limit):
        while time.monotonic() + EVERY_SECONDS < limit:
            self.turn += 1
            port = self.bed.origin_ports[self.turn % len(self.bed.origin_ports)]
            self.killed_at = time.monotonic()
            self.bed.kill_origin(port)
            await asyncio.sleep(DEAD_SECONDS)
            self.bed.start_origin(port)
            await asyncio.sleep(EVERY_SECONDS / 2)
            for proxy in self.proxies:
                proxy.write_dynamic(self.turn)
            await asyncio.sleep(EVERY_SECONDS / 2 - DEAD_SECONDS)


class Run:
    """One sundew, its clients, and what was seen of it."""

    def __init__(self, bed, peer, rate):
        self.proxy = bed.start_proxy(peer, edit=short_lived)
        self.clients = soak_clients.Clients(self.proxy.port, rate)
        self.samples, self.began, self.warm = [], None, None

    def look(self):
        return {"descriptors": self.proxy.descriptors(), "rss_kib": self.proxy.rss_kib(),
                "threads": self.proxy.threads()}

    async def settle(self):
        """Until descriptors stay the same for a while, and are those of the start."""
        limit, seen = time.monotonic() + SETTLE_SECONDS_MAX, []
        while time.monotonic() < limit:
            seen.append(self.proxy.descriptors())
            last = seen[-QUIET_SAMPLES:]
            wanted = self.began["descriptors"] if self.began else seen[-1]
            if len(last) == QUIET_SAMPLES and set(last) == {wanted}:
                return
            await asyncio.sleep(1)

    def watch_from_here(self):
        self.samples.clear()
        self.clients.forget()

    async def sample(self, limit):
        begin = time.monotonic()
        while time.monotonic() < limit:
            self.samples.append({"seconds": round(time.monotonic() - begin), **self.look()})
            await asyncio.sleep(1)

    def result(self, minutes):
        after, counts = self.look(), self.clients.counts
        slack = max(RSS_SLACK_KIB, self.warm["rss_kib"] * RSS_SHARE_MAX)
        grown = after["rss_kib"] - self.warm["rss_kib"]
        return {
            "minutes": minutes, "requests": counts["sent"], "errors": counts["errors"],
            "wrong": counts["wrong"], "excused": counts["excused"],
            "error_kinds": dict(self.clients.kinds), "by_client": dict(self.clients.by_client),
            "descriptors_before": self.began["descriptors"],
            "descriptors_after": after["descriptors"],
            "descriptors_max": max(it["descriptors"] for it in self.samples),
            "rss_start_kib": self.began["rss_kib"], "rss_before_kib": self.warm["rss_kib"],
            "rss_after_kib": after["rss_kib"],
            "rss_max_kib": max(it["rss_kib"] for it in self.samples),
            "threads": f"{self.began['threads']} → {after['threads']}",
            "bars": [
                ("0 errors but of what was with a killed server", counts["errors"] == 0),
                ("0 wrong answers", counts["wrong"] == 0),
                ("descriptors are back where they began",
                 after["descriptors"] == self.began["descriptors"]),
                ("memory is within 10 % or 4 MiB of the warm-up's", grown <= slack),
                ("no more threads than at the start", after["threads"] <= self.began["threads"]),
            ],
        }


def short_lived(text):
    """Idle connections to servers are closed soon, so that what is left is a leak."""
    last = "  maxIdleConnsPerHost: 1024\n"
    return text.replace(last, last + "  forwardingTimeouts: {idleConnTimeout: 3s}\n")


def write_samples(path, samples):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, ["seconds", "descriptors", "rss_kib", "threads"])
        writer.writeheader()
        writer.writerows(samples)


if __name__ == "__main__":
    main()
