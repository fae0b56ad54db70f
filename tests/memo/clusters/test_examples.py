"""The examples of clusters, with an S3 server as remote: workers that are asked at once compute each key once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.remotes import buckets
from tests.remotes.servers import stores

EXAMPLES = Path(__file__).parents[3] / "examples"
PATIENCE = 200.0


def run_example(name: str, home: Path) -> list[str]:
    """What an example prints, run by somebody whose home is this folder."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("HITSAVE_")}
    environ |= stores.keys() | {
        "HITSAVE_CONFIG_DIR": os.fspath(home / "config"),
        "HITSAVE_REMOTE": buckets.fresh_url("s3", stores.moto()),
        "HOME": os.fspath(home),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    done = subprocess.run(
        [sys.executable, os.fspath(EXAMPLES / name)],
        cwd=home,
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("library", ["dask", "ray"])
def test_each_key_is_computed_once(library: str, tmp_path: Path) -> None:
    pytest.importorskip("distributed" if library == "dask" else library, reason=f"{library} is not installed")
    assert run_example(f"{library}_cluster.py", tmp_path) == [
        "caches of their own: 40 calls, 8 keys, 8 runs",
        "asked once more: 40 calls, 8 keys, 0 runs",
        "one cache: 40 calls, 8 keys, 8 runs",
    ]
