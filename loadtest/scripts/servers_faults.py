"""Scenarios in which servers or the configuration change under load. Called by `faults`."""

import collections
import http.client
import signal
import socket
import threading
import time

from bed import Bed, eventually, status_of

DEAD_SECONDS = 0.5
# What a client may see of each fault; the first line is what sundew shows.
EXPECTED = {
    "close": {"502"}, "delay": {"200"}, "garbage": {"502"}, "half-head": {"502"},
    "reset": {"502"}, "reset-body": {"cut"}, "slow": {"200"}, "stall": {"left"},
    "surplus": {"200"}, "truncate": {"cut"}, "two-lengths": {"502"},
}


def kill(options, peer):
    """kill -9 of one of four servers each second, under load."""
    with Bed(options) as bed:
        proxy = bed.start_proxy(peer)
        length = options.seconds + 2
        judge = bed.steady(proxy.port, rate=500, connections=32, seconds=length)
        load = bed.wrk(proxy, length)
        begin = time.monotonic() + 1
        for turn in range(options.seconds):
            port = bed.origin_ports[turn % len(bed.origin_ports)]
            wait_until(begin + turn)
            bed.kill_origin(port)
            wait_until(begin + turn + DEAD_SECONDS)
            bed.start_origin(port)
        return under_load(bed, judge, load)


def reload(options, peer):
    """A new configuration each second, under load: each says by a route that it is in force."""
    with Bed(options) as bed:
        proxy = bed.start_proxy(peer)
        length = options.seconds + 2
        judge = bed.steady(proxy.port, rate=500, connections=32, seconds=length)
        load = bed.wrk(proxy, length)
        begin, waits = time.monotonic() + 1, []
        for turn in range(1, options.seconds + 1):
            wait_until(begin + turn - 1)
            since = time.monotonic()
            if peer == "nginx":
                proxy.process.send_signal(signal.SIGHUP)
            elif peer == "haproxy":
                proxy.process.send_signal(signal.SIGUSR2)
            else:
                proxy.write_dynamic(turn)
                eventually(f"configuration {turn} is in force",
                           lambda: status_of(proxy.port, f"g{turn}.test") == 200, 10)
                waits.append(time.monotonic() - since)
        found = under_load(bed, judge, load)
        found["reloads"] = options.seconds
        if waits:
            found["in_force_ms_max"] = round(max(waits) * 1000)
        return found


def under_load(bed, judge, load):
    found = {**bed.finish(judge), **bed.finish_wrk(load)}
    lost = found["errors"] + found["load_errors"]
    share = lost / max(1, found["sent"] + found["load_requests"])
    found["error_share"] = f"{share:.2%}"
    found["bars"] = [("0 errors of the judging client", found["errors"] == 0),
                     ("0 errors of the load", found["load_errors"] == 0),
                     ("0 wrong answers", found["wrong"] == 0),
                     ("0 unexplained moves", found["unexplained_moves"] == 0)]
    return found


def wait_until(moment):
    time.sleep(max(0.0, moment - time.monotonic()))


def misbehave(options, peer):
    """Servers that break the protocol for some requests and serve others well."""
    with Bed(options) as bed:
        proxy = bed.start_proxy(peer)
        judge = bed.steady(proxy.port, rate=500, connections=32, seconds=options.seconds)
        seen = {kind: collections.Counter() for kind in EXPECTED}
        limit = time.monotonic() + options.seconds - 0.5
        threads = [threading.Thread(target=ask_for, args=(proxy.port, kind, seen[kind], limit))
                   for kind in EXPECTED]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = bed.finish(judge)
    strange = {kind: dict(outcomes) for kind, outcomes in seen.items()
               if set(outcomes) != EXPECTED[kind]}
    found["bad_requests"] = sum(sum(outcomes.values()) for outcomes in seen.values())
    found["bad_as_expected"] = not strange
    found["notes"] = strange if strange else ""
    found["bars"] = [("0 errors of good requests", found["errors"] == 0),
                     ("0 wrong answers", found["wrong"] == 0),
                     ("0 unexplained moves", found["unexplained_moves"] == 0),
                     ("a bad answer is 502 or visibly cut", not strange)]
    return found


def ask_for(port, kind, outcomes, limit):
    """Asks for one fault again and again, each on a connection of its own."""
    while time.monotonic() < limit:
        outcomes[outcome_of(port, kind)] += 1
        time.sleep(0.02)


def outcome_of(port, kind):
    connection = http.client.HTTPConnection("127.0.0.1", port,
                                            timeout=0.5 if kind == "stall" else 10)
    try:
        connection.request("GET", f"/fault/{kind}", headers={"Host": "example.test"})
        response = connection.getresponse()
        response.read()
        return str(response.status)
    except (socket.timeout, TimeoutError):
        return "left"
    except http.client.IncompleteRead:
        return "cut"
    except ConnectionResetError:
        return "cut"
    except (OSError, http.client.HTTPException) as why:
        return type(why).__name__
    finally:
        connection.close()
