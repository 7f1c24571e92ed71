#!/usr/bin/env python3
"""A first look at speed: sundew beside its peers, in turn, on one core.

The proxy has CPU 0 to itself (one worker); load generator (wrk) and origins share CPU 1. Peers run
in turn, round after round, and only figures of one run are compared: the machine's mood changes.
The steady figure is the proxy's CPU time per request, over all its processes, measured between the
end of a warm-up and the end of the run. Beside it stands the whole CPU 0, because kernel threads
that work for the proxy are the proxy's too.

Never run it while anything else runs on the machine. Standard library only; needs wrk and the peers.
"""

import argparse
import csv
import datetime
import hashlib
import http.client
import os
import pathlib
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEERS = ROOT / "loadtest" / "peers"
ORIGIN_PORTS = [9001, 9002, 9003, 9004]
URLS = [f"http://127.0.0.1:{port}" for port in ORIGIN_PORTS]
PORTS = {"sundew": 8100, "sundew-epoll": 8100, "nginx": 8101, "haproxy": 8102, "traefik": 8103}
PROXY_CPU, LOAD_CPU = 0, 1
TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")
WORKS = {
    "a": "GET 100 B, keep-alive, sticky",
    "b": "GET 64 KiB, keep-alive, sticky",
    "c": "GET 100 B, a new connection per request, sticky",
    "d": "POST 4 KiB, keep-alive, sticky",
}
COLUMNS = [
    "work", "round", "peer", "requests", "seconds", "requests_per_s", "cpu_us_per_request",
    "user_us_per_request", "system_us_per_request", "core_us_per_request", "core_busy",
    "p50_us", "p99_us", "errors", "rss_kib",
]


def main():
    options = arguments()
    problems = missing(options)
    if problems:
        sys.exit("bench_quick: " + "; ".join(problems))
    with tempfile.TemporaryDirectory() as scratch:
        rows = measure(options, pathlib.Path(scratch))
    if options.smoke:
        print("smoke run: nothing is kept")
    else:
        keep(options, rows)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sundew", default=str(ROOT / "target/release/sundew"))
    parser.add_argument("--loadtest", default=str(ROOT / "target/release/sundew-loadtest"))
    parser.add_argument("--peers", default="sundew,nginx,haproxy", help=f"of {','.join(PORTS)}")
    parser.add_argument("--works", default="a", help="of a,b,c,d")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--warm-up", type=float, default=1)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--traefik", default=shutil.which("traefik") or "traefik")
    parser.add_argument("--host-alias", default="local", help="names the machine in the results")
    parser.add_argument("--smoke", action="store_true", help="one short round, results not kept")
    options = parser.parse_args()
    if options.smoke:
        options.rounds, options.seconds, options.warm_up = 1, 1, 0.3
    options.peers, options.works = options.peers.split(","), options.works.split(",")
    return options


def missing(options):
    wanted = {"wrk", *(p for p in options.peers if p in ("nginx", "haproxy"))}
    if "traefik" in options.peers:
        wanted.add(options.traefik)
    problems = [f"{name} is not installed" for name in sorted(wanted) if not program(name)]
    for path in (options.sundew, options.loadtest):
        if not os.access(path, os.X_OK):
            problems.append(f"{path} is missing: cargo build --release --workspace")
    problems += [f"unknown peer {p}" for p in options.peers if p not in PORTS]
    problems += [f"unknown work {w}" for w in options.works if w not in WORKS]
    if not {PROXY_CPU, LOAD_CPU} <= os.sched_getaffinity(0):
        problems.append(f"CPUs {PROXY_CPU} and {LOAD_CPU} are needed")
    return problems


def program(name):
    """Debian keeps servers in a folder that is not in everyone's PATH."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def measure(options, scratch):
    origin = start(
        [options.loadtest, "origin", "--ports", ",".join(map(str, ORIGIN_PORTS))], LOAD_CPU
    )
    rows = []
    try:
        for port in ORIGIN_PORTS:
            wait_for(port, origin)
        for work in options.works:
            for number in range(options.rounds):
                for peer in options.peers:
                    row = one_run(options, scratch, work, peer)
                    row.update(work=work, round=number, peer=peer)
                    rows.append(row)
                    print("{work} round {round} {peer:12} {cpu_us_per_request:6.1f} µs/request "
                          "{requests_per_s:9.0f}/s  errors {errors}".format(**row), flush=True)
    finally:
        stop(origin)
    return rows


def one_run(options, scratch, work, peer):
    proxy = start(command_of(options, scratch, peer), PROXY_CPU, limit_files=True)
    try:
        wait_for(PORTS[peer], proxy)
        check_stickiness(peer)
        script = wrk_script(scratch, work, peer)
        load(options, peer, script, options.warm_up)
        before, core_before = cpu_of(proxy.pid), core()
        begin = time.monotonic()
        result = load(options, peer, script, options.seconds)
        seconds = time.monotonic() - begin
        after, core_after = cpu_of(proxy.pid), core()
        rss = sum(rss_kib(pid) for pid in family(proxy.pid))
    finally:
        stop(proxy)
    requests = result["requests"]
    if requests == 0:
        sys.exit(f"bench_quick: {peer} answered nothing")
    user, system = (TICK_US * (b - a) / requests for a, b in zip(before, after))
    busy, total = (b - a for a, b in zip(core_before, core_after))
    return {
        **result, "seconds": round(seconds, 3), "rss_kib": rss,
        "requests_per_s": round(requests / seconds, 1),
        "user_us_per_request": round(user, 2), "system_us_per_request": round(system, 2),
        "cpu_us_per_request": round(user + system, 2),
        "core_us_per_request": round(TICK_US * busy / requests, 2),
        "core_busy": round(busy / max(total, 1), 3),
    }


def command_of(options, scratch, peer):
    fill = {"@N@": "1", "@RUN@": str(scratch), "@DRIVER@": "auto"}
    if peer == "nginx":
        return [program("nginx"), "-c", write(scratch, "nginx.conf", fill), "-p", str(scratch)]
    if peer == "haproxy":
        return [program("haproxy"), "-db", "-f", write(scratch, "haproxy.cfg", fill)]
    if peer == "traefik":
        text = (PEERS / "sundew.yml").read_text()
        dynamic = text[text.index("\nhttp:") + 1:text.index("\nsundew:") + 1]
        (scratch / "traefik-dynamic.yml").write_text(dynamic)
        return [options.traefik, "--configFile=" + write(scratch, "traefik.yml", fill)]
    fill["@DRIVER@"] = "epoll" if peer == "sundew-epoll" else "uring"
    return [options.sundew, "run", "--config", write(scratch, "sundew.yml", fill)]


def write(scratch, name, fill):
    text = (PEERS / name).read_text()
    for mark, value in fill.items():
        text = text.replace(mark, value)
    path = scratch / name
    path.write_text(text)
    return str(path)


def cookies(peer):
    if peer in ("nginx", "haproxy"):
        return ["s1", "s2", "s3", "s4"]
    return [hashlib.sha256(url.encode()).hexdigest()[:16] for url in URLS]


def check_stickiness(peer):
    """A proxy that does not pin would do less work than the others."""
    fresh = get(peer, {})
    if "sid=" not in (fresh.getheader("Set-Cookie") or ""):
        sys.exit(f"bench_quick: {peer} set no cookie")
    for port, value in zip(ORIGIN_PORTS, cookies(peer)):
        served = {get(peer, {"Cookie": f"sid={value}"}).getheader("X-Server") for _ in range(3)}
        if served != {str(port)}:
            sys.exit(f"bench_quick: {peer} sent sid={value} to {served}, not to {port}")


def get(peer, headers):
    connection = http.client.HTTPConnection("127.0.0.1", PORTS[peer], timeout=5)
    connection.request("GET", "/", headers=headers)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


def wrk_script(scratch, work, peer):
    """Each client sends a valid cookie; the four servers get equal shares."""
    method = "POST" if work == "d" else "GET"
    path = "/b/65536" if work == "b" else "/"
    extra = 'headers["Connection"] = "close"' if work == "c" else ""
    values = ", ".join(f'"{value}"' for value in cookies(peer))
    text = f"""
local requests, turn = {{}}, 0
function init(args)
  for i, value in ipairs({{{values}}}) do
    local headers = {{["Cookie"] = "sid=" .. value}}
    {extra}
    requests[i] = wrk.format("{method}", "{path}", headers, {'string.rep("x", 4096)' if work == "d" else "nil"})
  end
end
function request()
  turn = turn % #requests + 1
  return requests[turn]
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d\\n", summary.requests, latency:percentile(50),
    latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
"""
    path = scratch / f"{work}.lua"
    path.write_text(text)
    return str(path)


def load(options, peer, script, seconds):
    # wrk takes whole seconds only.
    length = max(1, round(seconds))
    command = ["wrk", "-t1", f"-c{options.connections}", f"-d{length}s", "-s", script,
               f"http://127.0.0.1:{PORTS[peer]}/"]
    output = subprocess.run(command, preexec_fn=lambda: pin(LOAD_CPU), capture_output=True,
                            text=True, check=True, timeout=length + 30).stdout
    found = re.search(r"^RESULT (\d+) (\d+) (\d+) (\d+)$", output, re.M)
    if not found:
        sys.exit(f"bench_quick: no result from wrk:\n{output}")
    requests, p50, p99, errors = map(int, found.groups())
    return {"requests": requests, "p50_us": p50, "p99_us": p99, "errors": errors}


def start(command, cpu, limit_files=False):
    def prepare():
        pin(cpu)
        if limit_files:
            import resource
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return subprocess.Popen(command, preexec_fn=prepare, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)


def pin(cpu):
    os.sched_setaffinity(0, {cpu})


def stop(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for(port, process):
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if process.poll() is not None:
            sys.exit(f"bench_quick: {process.args[0]} ended with {process.returncode}")
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.05)
    sys.exit(f"bench_quick: nothing answers 200 on port {port}")


def family(pid):
    """A process and all that descend from it."""
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = stat_fields(entry.name)
            if fields:
                parents[int(entry.name)] = int(fields[1])
    found = [pid]
    for member in found:
        found += [child for child, parent in parents.items() if parent == member]
    return found


def stat_fields(pid):
    """/proc/PID/stat after the command's name, which may hold blanks."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def cpu_of(pid):
    times = [stat_fields(member) for member in family(pid)]
    return [sum(int(fields[at]) for fields in times if fields) for at in (11, 12)]


def rss_kib(pid):
    fields = stat_fields(pid)
    return int(fields[21]) * os.sysconf("SC_PAGE_SIZE") // 1024 if fields else 0


def core():
    """Busy and total ticks of the proxy's CPU."""
    for line in pathlib.Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name == f"cpu{PROXY_CPU}":
            ticks = list(map(int, ticks))[:8]
            return sum(ticks) - ticks[3] - ticks[4], sum(ticks)
    sys.exit("bench_quick: no such CPU in /proc/stat")


def keep(options, rows):
    revision = output_of(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]) or "unknown"
    if output_of(["git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no"]):
        revision += "-dirty"
    today = datetime.date.today().isoformat()
    folder = ROOT / "bench-results" / f"{today}-{options.host_alias}-{revision}"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "raw.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    summary = summarise(options, rows)
    (folder / "summary.md").write_text(summary)
    (folder / "README.md").write_text(describe(options, revision))
    print(summary)
    print(f"written to {folder.relative_to(ROOT)}")


def summarise(options, rows):
    text = "# Summary\n\nMedians with the least and the greatest of all rounds. A ratio is that of " \
           "CPU per request to the better of nginx and HAProxy of the same rounds.\n"
    for work in options.works:
        text += f"\n## {work}: {WORKS[work]}, {options.connections} connections\n\n"
        text += "| peer | CPU µs per request | user + system | CPU 0 µs per request | " \
                "requests/s | p50 · p99 µs | ratio | errors |\n|---|---|---|---|---|---|---|---|\n"
        of = {peer: [r for r in rows if (r["work"], r["peer"]) == (work, peer)]
              for peer in options.peers}
        cost = {peer: middle(runs, "cpu_us_per_request") for peer, runs in of.items()}
        rivals = [cost[peer] for peer in ("nginx", "haproxy") if peer in cost]
        for peer, runs in of.items():
            ratio = f"{cost[peer] / min(rivals):.2f}" if rivals else "–"
            text += (
                f"| {peer} | {spread(runs, 'cpu_us_per_request')} "
                f"| {middle(runs, 'user_us_per_request'):.1f} + "
                f"{middle(runs, 'system_us_per_request'):.1f} "
                f"| {spread(runs, 'core_us_per_request')} "
                f"| {spread(runs, 'requests_per_s', 0)} "
                f"| {middle(runs, 'p50_us'):.0f} · {middle(runs, 'p99_us'):.0f} "
                f"| {ratio} | {sum(r['errors'] for r in runs)} |\n"
            )
        busy = min(r["core_busy"] for r in rows if r["work"] == work)
        if busy < 0.95:
            text += f"\nCPU 0 was busy for {busy:.0%} in the idlest run: there the load generator " \
                    "was the limit, so quote CPU per request, not requests/s.\n"
    return text


def middle(runs, column):
    return statistics.median(run[column] for run in runs)


def spread(runs, column, digits=1):
    values = [run[column] for run in runs]
    return (f"{statistics.median(values):.{digits}f} "
            f"({min(values):.{digits}f}–{max(values):.{digits}f})")


def describe(options, revision):
    command = " ".join(["loadtest/scripts/bench_quick.py", *sys.argv[1:]])
    versions = {
        "sundew": output_of([options.sundew, "--version"]),
        "nginx": output_of([program("nginx") or "nginx", "-v"]),
        "HAProxy": output_of([program("haproxy") or "haproxy", "-v"]),
        "wrk": output_of(["wrk", "-v"]),
    }
    lines = "".join(f"- {name}: {text.splitlines()[0]}\n" for name, text in versions.items() if text)
    model = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return (
        f"# Quick comparison, revision {revision}\n\n"
        f"Command: `{command}`\n\n{lines}"
        f"- kernel: {platform.release()}\n- processor: {model.group(1) if model else 'unknown'}, "
        f"{os.cpu_count()} CPUs\n- rounds: {options.rounds} of {options.seconds} s, after "
        f"{options.warm_up} s of warm-up\n\n"
        "One worker on CPU 0; wrk (one thread) and the origins on CPU 1. Peers in turn, round after "
        "round. CPU time is user and system of all processes of the proxy; the column for CPU 0 "
        "adds what kernel threads did there. Configurations: `loadtest/peers/`.\n\n"
        "Noise between two starts of the same proxy is 15 to 25 % on a shared machine: a difference "
        "below 15 % with fewer than 8 rounds is no result.\n"
    )


def output_of(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except OSError:
        return ""
    return (done.stdout + done.stderr).strip()


if __name__ == "__main__":
    main()
