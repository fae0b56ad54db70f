"""A PostgreSQL of its own for tests, from the system's package. Skips, with the reason, where there is none."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
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


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """The URL of a database that is empty."""
    initdb, server, isready = map(_program, ("initdb", "postgres", "pg_isready"))
    if initdb is None or server is None or isready is None:
        pytest.skip("there is no PostgreSQL (Debian: apt-get install postgresql)")
    as_user: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="hitsave-postgres-") as folder:
        if os.geteuid() == 0:  # It refuses to run as root.
            try:
                shutil.chown(folder, _USER)
            except LookupError:
                pytest.skip(f"PostgreSQL does not run as root, and there is no user {_USER}")
            as_user = {"user": _USER, "extra_groups": [], "cwd": folder}
        data, port = f"{folder}/data", str(free_port())
        initialise = [initdb, "-D", data, "-U", "hitsave", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(initialise, check=True, capture_output=True, **as_user)
        command = [server, "-D", data, "-h", "127.0.0.1", "-p", port, "-k", folder, "-F"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **as_user) as process:
            try:
                until = time.monotonic() + _PATIENCE
                while subprocess.run([isready, "-q", "-h", "127.0.0.1", "-p", port], check=False).returncode:
                    assert process.poll() is None, "PostgreSQL has ended"
                    assert time.monotonic() < until, "PostgreSQL does not start"
                    time.sleep(0.1)
                yield f"postgresql://hitsave@127.0.0.1:{port}/postgres"
            finally:
                process.terminate()
                process.wait(_PATIENCE)
