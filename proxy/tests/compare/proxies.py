"""Starts the two proxies with the same files."""

import os
import pathlib
import re
import socket
import subprocess
import tempfile
import time


class Proxy:
    """One running proxy; `is_up` is false where it refused its configuration."""

    def __init__(self, kind, binary, static, dynamic, suffix="yml"):
        self.kind = kind
        self.folder = tempfile.TemporaryDirectory()
        folder = pathlib.Path(self.folder.name)
        (folder / f"dynamic.{suffix}").write_text(dynamic)
        self.port = free_port()
        text = (
            f'entryPoints:\n  web:\n    address: "127.0.0.1:{self.port}"\n{static}'
            f"providers:\n  file:\n    filename: {folder}/dynamic.{suffix}\n"
        )
        if kind == "sundew":
            text += "sundew: {workers: 1}\n"
            command = [binary, "run", "--config"]
        else:
            text += "log: {level: DEBUG}\nglobal: {checkNewVersion: false}\n"
            command = [binary, "--configFile"]
        path = folder / "static.yml"
        path.write_text(text)
        self.log = open(folder / "log", "w+")
        environment = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
        self.process = subprocess.Popen(
            [*command, str(path)], stdout=self.log, stderr=self.log, env=environment, cwd=folder
        )
        self.is_up = self._wait()

    def _wait(self):
        """Until it listens and has read its dynamic file, or has ended."""
        end = time.monotonic() + 15
        ready = "listening on" if self.kind == "sundew" else "Configuration received"
        while time.monotonic() < end:
            if self.process.poll() is not None:
                return False
            log = self.text()
            if re.search(ready, log) and self._connects():
                if self.kind == "traefik":
                    # The routers are swapped in just after the line that was waited for.
                    time.sleep(0.25)
                return True
            if self.kind == "traefik" and "Cannot start the provider" in log:
                return True
            if self.kind == "traefik" and "Error occurred during watcher callback" in log:
                return True
            time.sleep(0.02)
        return self.process.poll() is None

    def _connects(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def text(self):
        return pathlib.Path(self.log.name).read_text(errors="replace")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        self.folder.cleanup()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
