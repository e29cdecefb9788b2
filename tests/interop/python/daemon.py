"""Starts the daemon under test: a free port, a data directory of its own, an environment without keys."""

import json
import os
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

STARTUP_SECONDS = 20


class Daemon:
    """One running nuncio. Use as a context manager; leaving it stops the process and checks that it had lived."""

    def __init__(self, folder: Path, config: dict, env: dict | None = None):
        self.folder = folder
        self.data_dir = folder / "data"
        self.log = folder / "nuncio.log"
        self._config = config
        self._env = env or {}
        self._process = None

    def __enter__(self) -> "Daemon":
        # JSON is YAML: no second library to write the configuration with.
        config = self.folder / "config.yaml"
        config.write_text(json.dumps(self._config, indent=2))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.root_url = f"http://127.0.0.1:{port}"
        self.base_url = f"{self.root_url}/v1"
        command = [os.environ["NUNCIO_BIN"], "serve", "--host", "127.0.0.1", "--port", str(port)]
        command += ["--data-dir", str(self.data_dir), "--config", str(config)]
        # Nothing of the caller's environment but PATH: a key there would choose another upstream.
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "NUNCIO_LOG": "info", **self._env}
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=self.folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            wait_for(self._healthy, STARTUP_SECONDS, "GET /health answers")
        except BaseException:
            self._process.kill()
            print(self.log.read_text(errors="replace"))
            raise
        return self

    def __exit__(self, *_):
        died = self._process.poll()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        log = self.log.read_text(errors="replace")
        print(log)  # pytest shows it with a failed test only
        assert died is None, f"the daemon had died with {died}"
        assert "panicked at" not in log

    def _healthy(self) -> bool:
        assert self._process.poll() is None, f"nuncio did not start: {self.log.read_text(errors='replace')}"
        try:
            with urllib.request.urlopen(f"{self.root_url}/health", timeout=2) as answer:
                return json.load(answer)["status"] == "ok"
        except OSError:
            return False

    def runs_in_flight(self) -> int:
        with urllib.request.urlopen(f"{self.root_url}/health/detailed", timeout=2) as answer:
            return json.load(answer)["runs_in_flight"]

    def workspace_files(self, name: str) -> list[Path]:
        """The files of this name in the sessions' workspaces."""
        return sorted(self.data_dir.glob(f"workspaces/*/{name}"))


def processes(mark: str) -> list[str]:
    """Those with this in their command line. By its own number none is found: that is one of its namespace."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark.encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            pass  # It has just ended.
    return found


def wait_for(condition, seconds: float, what: str):
    """Polls until `condition()` is truthy and returns it; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)
