"""A bad line between clients, proxy and servers. Called by `faults`.

By netem in a network namespace of its own; where the kernel has none, by a TUN device and
`bad_line`; where neither may be made, the scenario is skipped, visibly.
"""

import contextlib
import os
import subprocess
import sys

import bad_line
from bed import SCRIPTS, Bed, end, eventually, spawn
from processes import LOAD_CPU

NETEM = "delay 50ms 20ms loss 2% reorder 5%".split()
RATE, CONNECTIONS = 40, 40
START_SECONDS_MAX = 30


def line(options, peer):
    if os.geteuid() != 0:
        return {"skipped": "only root makes network namespaces"}
    name = f"sundew-line-{os.getpid()}"
    if run(["ip", "netns", "add", name]):
        return {"skipped": "no network namespaces here"}
    inside = ["ip", "netns", "exec", name]
    try:
        with bad(inside) as found:
            if found is None:
                return {"skipped": "neither netem nor a TUN device here"}
            method, listen, address = found
            return {"method": method, **cross(options, peer, inside, listen, address)}
    finally:
        run(["ip", "netns", "delete", name])


def run(command):
    """Exit status of a command that says nothing."""
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode


@contextlib.contextmanager
def bad(inside):
    """The line's method, where to listen and where to connect."""
    run([*inside, "ip", "link", "set", "lo", "up"])
    if not run([*inside, "tc", "qdisc", "add", "dev", "lo", "root", "netem", *NETEM]):
        yield "netem", "127.0.0.1", "127.0.0.1"
        return
    carrier = spawn([*inside, sys.executable, SCRIPTS / "bad_line.py"], LOAD_CPU,
                    stdout=subprocess.PIPE, stderr=None, text=True)
    try:
        is_up = carrier.stdout.readline().strip() == "up"
        yield ("TUN", "0.0.0.0", bad_line.FAR) if is_up else None
    finally:
        end(carrier)


def cross(options, peer, inside, listen, address):
    with Bed(options, address, listen, inside) as bed:
        proxy = bed.start_proxy(peer)
        eventually(f"{peer} answers across the line",
                   lambda: bed.finish(bed.steady(proxy.port, rate=4, connections=4, seconds=1))
                   ["good"] == 4, START_SECONDS_MAX)
        found = bed.finish(bed.steady(proxy.port, rate=RATE, connections=CONNECTIONS,
                                      seconds=options.seconds * 2))
    found["bars"] = [("0 errors", found["errors"] == 0),
                     ("0 wrong answers", found["wrong"] == 0),
                     ("0 unexplained moves", found["unexplained_moves"] == 0)]
    return found
