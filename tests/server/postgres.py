"""A PostgreSQL of its own for tests, from the system's package. Skips, with the reason, where there is none."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.server.serving import free_port

_PATIENCE = 60
_USER = "postgres"


def _program(name: str) -> str | None:
    """Debian keeps them out of the way."""
    places = [str(path) for path in Path("/usr/lib/postgresql").glob("*/bin")]
    return shutil.which(name, path=os.pathsep.join([*sorted(places, reverse=True), os.environ.get("PATH", "")]))


class Postgres:
    """One server, in a folder. It can be ended and started again."""

    def __init__(self, folder: str, programs: Sequence[str], as_user: dict[str, Any]) -> None:
        self._folder = folder
        self._initdb, self._server, self._isready = programs
        self._as_user = as_user
        self._port = str(free_port())
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0

    def initialise(self) -> None:
        """Make what a server needs."""
        command = [self._initdb, "-D", f"{self._folder}/data", "-U", "hitsave", "-A", "trust", "-E", "UTF8"]
        subprocess.run([*command, "--locale=C", "--no-sync"], check=True, capture_output=True, **self._as_user)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        place = ["-h", "127.0.0.1", "-p", self._port]
        command = [self._server, "-D", f"{self._folder}/data", *place, "-k", self._folder, "-F"]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdout=quiet, stderr=quiet, **self._as_user)
        until = time.monotonic() + _PATIENCE
        while subprocess.run([self._isready, "-q", *place], check=False).returncode:
            assert self._process.poll() is None, "PostgreSQL has ended"
            assert time.monotonic() < until, "PostgreSQL does not start"
            time.sleep(0.05)

    def stop(self) -> None:
        """End it at once, with all its connections."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # "Fast": it waits for no client.
            self._process.wait(_PATIENCE)
            self._process = None

    @property
    def url(self) -> str:
        """The database that is there at first."""
        return f"postgresql://hitsave@127.0.0.1:{self._port}/postgres"

    def empty_database(self) -> str:
        """The URL of a new one."""
        import psycopg

        self._made += 1
        name = f"made_{self._made}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"{self.url.rpartition('/')[0]}/{name}"


@contextlib.contextmanager
def postgres_server() -> Iterator[Postgres]:
    """A server that runs, and is empty."""
    programs = [found for name in ("initdb", "postgres", "pg_isready") if (found := _program(name))]
    if len(programs) < 3:
        pytest.skip("there is no PostgreSQL (Debian: apt-get install postgresql)")
    as_user: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="hitsave-postgres-") as folder:
        if os.geteuid() == 0:  # It refuses to run as root.
            try:
                shutil.chown(folder, _USER)
            except LookupError:
                pytest.skip(f"PostgreSQL does not run as root, and there is no user {_USER}")
            as_user = {"user": _USER, "extra_groups": [], "cwd": folder}
        server = Postgres(folder, programs, as_user)
        server.initialise()
        try:
            server.start()
            yield server
        finally:
            server.stop()
