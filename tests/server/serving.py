"""Real servers: each a process of `hitsave serve` at a free port, ended with the tests that use it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import urllib3

_PATIENCE = 60


@dataclass
class Served:
    """A server that runs: where, the key with all rights, and its data folder (with the store in `store`)."""

    url: str
    key: str
    data: Path
    process: subprocess.Popen[bytes]

    @property
    def store(self) -> Path:
        """The folder behind it, where it was started without --store."""
        return self.data / "store"

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        return host, int(port)

    def request(
        self, method: str, path: str, *, key: str | None = "", **how: object
    ) -> urllib3.response.BaseHTTPResponse:
        """One request, by default with the admin key; with none where it is None."""
        headers = dict(how.pop("headers", None) or {})  # type: ignore[call-overload]
        if key is not None:
            headers["Authorization"] = f"Bearer {key or self.key}"
        return urllib3.request(method, self.url + path, headers=headers, retries=False, redirect=False, **how)  # type: ignore[arg-type]

    def make_key(self, role: str, label: str = "made for a test", lifetime: int | None = None) -> str:
        """A new key with a role."""
        made = self.request("POST", "/store/v1/api-keys", json={"role": role, "label": label, "lifetime": lifetime})
        assert made.status == 201, made.data
        return str(made.json()["key"])

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it; its exit code."""
        self.process.send_signal(how)
        return self.process.wait(_PATIENCE)


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a server is started with: nothing of the machine's own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HITSAVE_")}
    return {**kept, **(more or {})}


@contextlib.contextmanager
def serving(data: Path, *options: str, environ: Mapping[str, str] | None = None) -> Iterator[Served]:
    """A server with this data folder. Its key is read from the file that it wrote."""
    port = free_port()
    command = [sys.executable, "-m", "hitsave", "serve", "--port", str(port), "--data", os.fspath(data), *options]
    log = (data.parent / f"{data.name}.log").open("wb")
    with log, subprocess.Popen(command, env=environment(environ), stdout=log, stderr=log) as process:
        try:
            _wait(port, process, Path(log.name))
            key_file = data / "admin.key"
            key = key_file.read_text().strip() if key_file.exists() else ""
            yield Served(f"http://127.0.0.1:{port}", key, data, process)
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            # It listens before it has made its first key, and answers after that.
            urllib3.request("GET", f"http://127.0.0.1:{port}/", retries=False, timeout=_PATIENCE)
            return
        time.sleep(0.05)
    raise AssertionError(f"the server did not start: {log.read_text()}")
