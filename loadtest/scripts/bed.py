"""What the fault scenarios stand on: origins, a proxy of any kind, clients, and looks into /proc.

Ports are free ones below the range from which the kernel takes those of outgoing connections, so
that a port stays ours while its server is dead. Everything is started and ended by process id.
Used by `faults` and `soak`; it judges nothing.
"""

import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import random
import re
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from processes import LOAD_CPU, PEERS, PROXY_CPU, ROOT, cpu_of, family, pin, program, rss_kib

SCRIPTS = pathlib.Path(__file__).resolve().parent
DRIVERS = {"sundew-uring": "uring", "sundew-epoll": "epoll"}
ALL_PEERS = (*DRIVERS, "nginx", "haproxy", "traefik")
ORIGINS = 4
FILES, CLIENTS = 20000, {"nginx": 19000, "haproxy": 9000}
START_SECONDS_MAX = 15.0


def raise_limit():
    """As many descriptors as the machine gives."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def free_ports(count):
    """Distinct ports on which nobody listens now."""
    floor = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found = set()
    while len(found) < count:
        port = random.randrange(10000, max(floor, 10001 + 10 * count))
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.add(port)
    return sorted(found)


def spawn(command, cpu=None, log=None, files_max=None, **more):
    """A child, pinned, with its output in a file."""
    def prepare():
        if cpu is not None and cpu in os.sched_getaffinity(0):
            pin(cpu)
        if files_max is None:
            raise_limit()
        else:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files_max, files_max))
    out = open(log, "ab") if log else subprocess.DEVNULL
    try:
        more = {"stdout": out, "stderr": out, **more}
        return subprocess.Popen(list(map(str, command)), preexec_fn=prepare, **more)
    finally:
        if log:
            out.close()


def end(process, seconds=15.0):
    """Asks a child to end, and makes it end."""
    if process is None or process.poll() is not None:
        return
    members = family(process.pid)
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        for member in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(member, 9)
        process.wait()


def eventually(what, probe, seconds=START_SECONDS_MAX):
    """Asks until the answer is true; ends the run at the deadline."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        found = probe()
        if found:
            return found
        time.sleep(0.02)
    raise TimeoutError(f"not within {seconds:g} s: {what}")


def status_of(port, host="example.test", address="127.0.0.1", seconds=2.0, path="/"):
    """The status of one GET, or None."""
    connection = http.client.HTTPConnection(address, port, timeout=seconds)
    try:
        connection.request("GET", path, headers={"Host": host})
        response = connection.getresponse()
        response.read()
        return response.status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


class Bed:
    """Four origins, each a process, and room for one proxy after another."""

    def __init__(self, options, address="127.0.0.1", listen="127.0.0.1", prefix=()):
        """`address` is where listeners on `listen` are reached; `prefix` runs a command there."""
        self.options, self.address, self.listen = options, address, listen
        self.prefix = list(prefix)
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="sundew-faults-"))
        # nginx gives up root for its workers.
        self.scratch.chmod(0o755)
        self.origin_ports = free_ports(ORIGINS)
        self.origins = {}
        self.proxies = []
        self.children = []

    def __enter__(self):
        try:
            for port in self.origin_ports:
                self.start_origin(port)
            for port in self.origin_ports:
                self.wait_for(port)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for child in [*self.children, *self.proxies, *self.origins.values()]:
            end(child)
        if not self.options.keep_scratch:
            shutil.rmtree(self.scratch, ignore_errors=True)

    def start_origin(self, port):
        command = [*self.prefix, self.options.loadtest, "origin", "--host", self.listen,
                   "--ports", port]
        self.origins[port] = spawn(command, LOAD_CPU, self.scratch / "origin.log")

    def kill_origin(self, port):
        """SIGKILL: no goodbye to anybody."""
        self.origins[port].kill()
        self.origins[port].wait()

    def wait_for(self, port):
        if not self.prefix:
            eventually(f"port {port} answers", lambda: status_of(port, address=self.address) == 200)

    def start_proxy(self, peer, files_max=None, edit=lambda text: text):
        """A proxy that serves; `edit` may change its configuration."""
        port = free_ports(1)[0]
        proxy = Proxy(self, peer, port, edit)
        proxy.process = spawn([*self.prefix, *proxy.command], PROXY_CPU, proxy.log,
                              files_max=files_max)
        self.proxies.append(proxy.process)
        if not self.prefix:
            eventually(f"{peer} answers 200 on port {port} (see {proxy.log})",
                       lambda: proxy.process.poll() is not None or status_of(port) == 200)
        if proxy.process.poll() is not None:
            sys.exit(f"faults: {peer} ended: {proxy.log.read_text()[-2000:]}")
        return proxy

    def steady(self, port, **options):
        """The judging client as a process; `finish` waits for its figures."""
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        child = spawn([*self.prefix, sys.executable, SCRIPTS / "steady.py", "--address",
                       self.address, "--port", port, *words], LOAD_CPU,
                      stdout=subprocess.PIPE, stderr=None, text=True)
        self.children.append(child)
        return child

    def finish(self, child, seconds=60):
        return json.loads(child.communicate(timeout=seconds)[0])

    def wrk(self, proxy, seconds, connections=64):
        """As much load as one core gives, sticky; `finish_wrk` waits for its figures."""
        values = ", ".join(f'"{value}"' for value in proxy.cookies())
        script = self.scratch / f"{proxy.peer}.lua"
        script.write_text(WRK_SCRIPT.replace("@COOKIES@", values))
        child = spawn(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script,
                       f"http://127.0.0.1:{proxy.port}/"], LOAD_CPU,
                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.children.append(child)
        return child

    def finish_wrk(self, child, seconds=60):
        output = child.communicate(timeout=seconds)[0]
        found = re.search(r"^RESULT (\d+) (\d+) (\d+)$", output, re.M)
        if not found:
            raise RuntimeError(f"no result from wrk:\n{output}")
        requests, lost, refused = map(int, found.groups())
        return {"load_requests": requests, "load_errors": lost + refused}


# Each connection sends a valid cookie; the four servers get equal shares.
WRK_SCRIPT = """
local requests, turn = {}, 0
function init(args)
  for i, value in ipairs({@COOKIES@}) do
    requests[i] = wrk.format("GET", "/", {["Cookie"] = "sid=" .. value, ["Host"] = "example.test"})
  end
end
function request()
  turn = turn % #requests + 1
  return requests[turn]
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d\\n", summary.requests,
    e.connect + e.read + e.write + e.timeout, e.status))
end
"""

# The dynamic part of sundew and of Traefik.
DYNAMIC = """\
http:
  routers:
    app: {rule: "Host(`example.test`) || Host(`127.0.0.1`)", service: app}
    mark: {rule: "Host(`g@GENERATION@.test`)", service: app}
  services:
    app:
      loadBalancer:
        sticky: {cookie: {name: sid}}
        healthCheck: {path: /, interval: 2s}
        servers:
@URLS@
"""


class Proxy:
    """One configured proxy: its files, its command, its process."""

    def __init__(self, bed, peer, port, edit):
        self.bed, self.peer, self.port = bed, peer, port
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{peer}-", dir=bed.scratch))
        self.folder.chmod(0o755)
        self.log = self.folder / "log"
        self.dynamic = self.folder / "dynamic.yml"
        self.process = None
        self.command = getattr(self, "_" + peer.partition("-")[0])(edit)

    def fill(self, text):
        """The configuration of a peer with this bed's ports."""
        marks = {"N": 1, "RUN": self.folder, "PORT": self.port, "FILES": FILES,
                 "CLIENTS": CLIENTS.get(self.peer, FILES)}
        for at, port in enumerate(self.bed.origin_ports, 1):
            marks[f"S{at}"] = marks[f"H{at}"] = f"{self.bed.address}:{port}"
        for mark, value in marks.items():
            text = text.replace(f"@{mark}@", str(value))
        return text.replace(f"127.0.0.1:{self.port}", f"{self.bed.listen}:{self.port}")

    def written(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def _nginx(self, edit):
        text = edit(self.fill((PEERS / "nginx.conf").read_text()))
        return [program("nginx"), "-c", self.written("nginx.conf", text), "-p", self.folder]

    def _haproxy(self, edit):
        text = edit(self.fill((PEERS / "haproxy.cfg").read_text()))
        return [program("haproxy"), "-W", "-db", "-f", self.written("haproxy.cfg", text)]

    def _traefik(self, edit):
        static = self.fill((PEERS / "traefik.yml").read_text())
        static = static.replace("traefik-dynamic.yml", "dynamic.yml")
        static = static.replace("providers:\n", "providers:\n  providersThrottleDuration: 100ms\n")
        self.write_dynamic(0, edit)
        return [self.bed.options.traefik, f"--configFile={self.written('traefik.yml', static)}"]

    def _sundew(self, edit):
        text = self.fill((PEERS / "sundew.yml").read_text())
        static = text[:text.index("\nhttp:") + 1]
        static += ("providers:\n  providersThrottleDuration: 100ms\n"
                   f"  file: {{filename: \"{self.dynamic}\"}}\n"
                   f"sundew: {{workers: 1, driver: {DRIVERS[self.peer]}}}\n")
        self.write_dynamic(0, edit)
        return [self.bed.options.sundew, "run", "--config", self.written("sundew.yml", edit(static))]

    def write_dynamic(self, generation, edit=lambda text: text):
        """The `http:` part, by rename; a router of its own shows which one is in force."""
        urls = "".join(f'          - url: "{url}"\n' for url in self.urls())
        text = DYNAMIC.replace("@GENERATION@", str(generation)).replace("@URLS@\n", urls)
        fresh = self.folder / "dynamic.new"
        fresh.write_text(edit(text))
        fresh.rename(self.dynamic)

    def urls(self):
        return [f"http://{self.bed.address}:{port}" for port in self.bed.origin_ports]

    def cookies(self):
        if self.peer in ("nginx", "haproxy"):
            return ["s1", "s2", "s3", "s4"]
        return [hashlib.sha256(url.encode()).hexdigest()[:16] for url in self.urls()]

    def members(self):
        return family(self.process.pid)

    def cpu_seconds(self):
        return sum(cpu_of(self.process.pid)) / os.sysconf("SC_CLK_TCK")

    def rss_kib(self):
        return sum(rss_kib(member) for member in self.members())

    def descriptors(self):
        return sum(count(f"/proc/{member}/fd") for member in self.members())

    def threads(self):
        return sum(count(f"/proc/{member}/task") for member in self.members())


def count(folder):
    try:
        return len(os.listdir(folder))
    except OSError:
        return 0
