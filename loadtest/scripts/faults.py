#!/usr/bin/env python3
"""Fault tests: sundew on both drivers, and its peers beside it, while something goes wrong.

Each scenario starts its own servers and one proxy after another, and holds sundew to bars that the
peers are only shown against. The figures of the scenarios that ran replace those of earlier runs
of the same day, so a long list may run in pieces. Exit status 1 when sundew misses a bar.

Latency figures want a quiet machine. Standard library only; needs wrk, slowhttptest and the peers;
what is missing is skipped, visibly.
"""

import argparse
import os
import shutil
import sys

import clients_faults
import line_faults
import servers_faults
from bed import ALL_PEERS, DRIVERS, raise_limit
from processes import ROOT, program
from verdicts import Verdicts

SCENARIOS = {
    "kill": servers_faults.kill,
    "reload": servers_faults.reload,
    "misbehave": servers_faults.misbehave,
    "slow-headers": clients_faults.slow_headers,
    "slow-body": clients_faults.slow_body,
    "slow-read": clients_faults.slow_read,
    "descriptors": clients_faults.descriptors,
    "line": line_faults.line,
}


def main():
    options = arguments()
    raise_limit()
    verdicts = Verdicts(options)
    for name in options.scenarios:
        for peer in options.peers:
            if not installed(options, peer):
                print(f"{name}: {peer} is skipped: not installed", flush=True)
                continue
            verdicts.add(name, peer, SCENARIOS[name](options, peer))
    verdicts.keep()
    sys.exit(1 if verdicts.missed() else 0)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenarios", nargs="*", metavar="scenario", help=", ".join(SCENARIOS))
    parser.add_argument("--peers", default=",".join(ALL_PEERS))
    parser.add_argument("--sundew", default=str(ROOT / "target/release/sundew"))
    parser.add_argument("--loadtest", default=str(ROOT / "target/release/sundew-loadtest"))
    parser.add_argument("--traefik", default=shutil.which("traefik") or "traefik")
    parser.add_argument("--seconds", type=int, default=10, help="how long a fault goes on")
    parser.add_argument("--slow-seconds", type=int, default=20, help="length of a slow attack")
    parser.add_argument("--slow-connections", type=int, default=2000)
    parser.add_argument("--keep-scratch", action="store_true", help="leave logs behind")
    parser.add_argument("--dry", action="store_true", help="write no results")
    options = parser.parse_args()
    options.peers = options.peers.split(",")
    options.scenarios = options.scenarios or list(SCENARIOS)
    problems = [f"unknown scenario {it}" for it in options.scenarios if it not in SCENARIOS]
    problems += [f"unknown peer {it}" for it in options.peers if it not in ALL_PEERS]
    for path in (options.sundew, options.loadtest):
        if not os.access(path, os.X_OK):
            problems.append(f"{path} is missing: cargo build --release --workspace")
    if problems:
        parser.error("; ".join(problems))
    return options


def installed(options, peer):
    return peer in DRIVERS or program(options.traefik if peer == "traefik" else peer)


if __name__ == "__main__":
    main()
