"""Results of fault scenarios: figures, bars, and the files that keep them.

A result is a dictionary of figures; its `bars` are pairs of a sentence and whether it holds, its
`skipped` says why there are none. Only sundew's bars count. Used by `faults` and `soak`.
"""

import csv
import datetime
import json
import os
import pathlib
import platform
import re
import sys

from bed import DRIVERS
from processes import ROOT, output_of, program

# Of each scenario: what happens, and the figures of the table.
TABLES = {
    "kill": ("kill -9 of one of four servers each second, restarted half a second later",
             ["sent", "errors", "wrong", "unexplained_moves", "load_requests", "load_errors",
              "error_share"]),
    "reload": ("a new configuration each second",
               ["sent", "errors", "wrong", "unexplained_moves", "load_requests", "load_errors",
                "error_share", "reloads", "in_force_ms_max"]),
    "misbehave": ("servers that misbehave in eleven ways beside good requests to the same servers",
                  ["sent", "errors", "wrong", "unexplained_moves", "p99_ms", "bad_requests",
                   "bad_as_expected"]),
    "slow-headers": ("heads that never end (slowhttptest -H)",
                     ["sent", "errors", "p50_ms", "p99_ms", "direct_p99_ms", "held_max",
                      "rss_max_kib"]),
    "slow-body": ("bodies that never end (slowhttptest -B)",
                  ["sent", "errors", "p50_ms", "p99_ms", "direct_p99_ms", "held_max",
                   "rss_max_kib"]),
    "slow-read": ("clients that read slowly (slowhttptest -X, 1 MiB answers)",
                  ["sent", "errors", "p50_ms", "p99_ms", "direct_p99_ms", "held_max",
                   "rss_max_kib"]),
    "descriptors": ("more clients than descriptors",
                    ["limit", "clients", "served_in_crowd", "cpu_share", "early_errors",
                     "recovered_ms"]),
    "line": ("delay 50 ms ± 20, loss 2 %, reordering on every path",
             ["method", "sent", "errors", "wrong", "unexplained_moves", "p50_ms", "p99_ms"]),
    "soak": ("everything mixed",
             ["minutes", "requests", "errors", "wrong", "descriptors_before",
              "descriptors_after", "rss_before_kib", "rss_after_kib", "rss_max_kib", "threads"]),
}


class Verdicts:
    """What this run found, over what earlier runs of the day found."""

    def __init__(self, options):
        self.options = options
        self.folder = ROOT / "bench-results" / f"{datetime.date.today().isoformat()}-faults"
        self.found = {}

    def add(self, scenario, peer, result):
        self.found[f"{scenario}/{peer}"] = result = {
            "scenario": scenario, "peer": peer, "command": command(), "revision": revision(),
            **result,
        }
        print(one_line(result), flush=True)

    def missed(self):
        return [it for it in self.found.values() if it["peer"] in DRIVERS and not holds(it)]

    def keep(self):
        if self.options.dry or not self.found:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "results.json"
        kept = json.loads(path.read_text()) if path.exists() else {}
        kept.update(self.found)
        path.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
        self.write_csv(kept)
        (self.folder / "README.md").write_text(readme(self.options, kept))
        print(f"written to {self.folder.relative_to(ROOT)}")

    def write_csv(self, kept):
        with open(self.folder / "results.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["scenario", "peer", "figure", "value"])
            for result in kept.values():
                for name in TABLES[result["scenario"]][1]:
                    if name in result:
                        writer.writerow([result["scenario"], result["peer"], name, result[name]])


def holds(result):
    return all(ok for _, ok in result.get("bars", []))


def verdict_of(result):
    if result.get("skipped"):
        return f"skipped: {result['skipped']}"
    if result["peer"] not in DRIVERS:
        return "–"
    missed = [sentence for sentence, ok in result["bars"] if not ok]
    return "missed: " + "; ".join(missed) if missed else "holds"


def one_line(result):
    figures = ", ".join(f"{name} {result[name]}" for name in TABLES[result["scenario"]][1]
                        if name in result)
    kinds = f" {result['error_kinds']}" if result.get("error_kinds") else ""
    notes = f" {result['notes']}" if result.get("notes") else ""
    return (f"{result['scenario']} {result['peer']}: {figures}{kinds}{notes} · "
            f"{verdict_of(result)}")


def readme(options, kept):
    text = "# Faults\n\nWhat clients see while something goes wrong. Only sundew has bars; the " \
           "peers run with the configurations of `loadtest/peers/`, as they come.\n\n"
    text += machine(options)
    for scenario, (what, figures) in TABLES.items():
        rows = [it for it in kept.values() if it["scenario"] == scenario]
        if not rows:
            continue
        figures = [name for name in figures if any(name in it for it in rows)]
        text += f"\n## {scenario}: {what}\n\n"
        text += "".join(f"- `{it}`\n" for it in sorted({row["command"] for row in rows})) + "\n"
        text += f"| proxy | {' | '.join(figures)} | bars |\n" + "|---" * (len(figures) + 2) + "|\n"
        for row in sorted(rows, key=lambda it: order(it["peer"])):
            cells = " | ".join(str(row.get(name, "–")) for name in figures)
            text += f"| {row['peer']} | {cells} | {verdict_of(row)} |\n"
        bars = dict.fromkeys(sentence for row in rows for sentence, _ in row.get("bars", []))
        text += "\nBars: " + "; ".join(bars) + ".\n" if bars else ""
    return text + NOTES


NOTES = """
## Reading the figures
`sent`, `errors`, `wrong` and the latencies are those of the judging client (`steady.py`): a
constant rate, latency from the time at which a request was due, an answer compared with its
request. `load_*` are those of `wrk` beside it. `errors` are requests without a 200 and a whole
body, whatever the reason. `unexplained_moves` are answers of another server than the last one
without a new cookie; a proxy that sets none on a failover has them by design. `direct_p99_ms` is
the same client straight to a server at the same time: the noise of the machine and of the client.
"""


def order(peer):
    peers = [*DRIVERS, "nginx", "haproxy", "traefik"]
    return peers.index(peer)


def machine(options):
    versions = {
        "sundew": output_of([options.sundew, "--version"]),
        "nginx": output_of([program("nginx") or "nginx", "-v"]),
        "HAProxy": output_of([program("haproxy") or "haproxy", "-v"]),
        "Traefik": output_of([options.traefik, "version"]),
        "wrk": output_of(["wrk", "-v"]),
        "slowhttptest": output_of(["slowhttptest", "-h"]),
    }
    lines = "".join(f"- {name}: {first_line(text)}\n" for name, text in versions.items() if text)
    model = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return (f"- sundew's revision: {revision()}\n{lines}- kernel: {platform.release()}\n"
            f"- processor: {model.group(1) if model else 'unknown'}, {os.cpu_count()} CPUs\n"
            "- the proxy (one worker) on CPU 0, clients and servers on CPU 1\n")


def first_line(text):
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return " ".join(next((line for line in plain.splitlines() if line.strip()), "").split())


def revision():
    short = output_of(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]) or "unknown"
    dirty = output_of(["git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no",
                       "--", "proxy", "config", "loadtest"])
    return short + ("-dirty" if dirty else "")


def command():
    name = pathlib.Path(sys.argv[0]).name
    return " ".join([f"loadtest/scripts/{name}", *sys.argv[1:]]).replace(str(ROOT) + "/", "")
