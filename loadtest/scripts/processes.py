"""Processes as the kernel shows them: where they run, what they hold, what they have used.

Used by `bed` and `verdicts`; starts nothing.
"""

import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEERS = ROOT / "loadtest" / "peers"
# The proxy has one to itself.
PROXY_CPU, LOAD_CPU = 0, 1


def program(name):
    """Debian keeps servers in a folder that is not in everyone's PATH."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def pin(cpu):
    os.sched_setaffinity(0, {cpu})


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


def output_of(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except OSError:
        return ""
    return (done.stdout + done.stderr).strip()
