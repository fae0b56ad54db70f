"""Memory does not grow with a file's size."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

SIZE = 300 << 20
LIMIT = 200 << 20

# The peak of the resident set counts every page of a mapped file that was touched, as if it were memory of the process,
# though the system may take it back at any time. The limit holds with them, so that mapping a whole file fails here.
SCRIPT = """
    import os, re, resource, sys
    from pathlib import Path
    from hitsave.cache.store import Cache

    def peak():
        status = Path("/proc/self/status")
        if status.exists():  # What getrusage tells, a child has inherited from its parent there.
            return int(re.search("VmHWM:(.*) kB", status.read_text())[1]) * 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

    with Cache.open(Path(sys.argv[1])) as cache, cache.intake() as intake:
        fd = os.open(sys.argv[2], os.O_RDONLY)
        before = peak()
        digest = intake.add_file(fd, os.fstat(fd).st_size)
        intake.publish([])
        with cache.open_blob(digest) as file:
            file.read(1)
        print(before, peak())
"""


def peak_of_adding(cache: Path, path: Path) -> int:
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT), str(cache), str(path)]
    before, peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert 1 << 20 < int(before) < LIMIT, "the unit is not what it is taken for"
    return int(peak)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no getrusage")
@pytest.mark.parametrize("known", [False, True])
def test_a_large_file_takes_little_memory(tmp_path: Path, known: bool) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        for number in range(0, SIZE, 64 << 20):
            file.seek(number)
            file.write(b"%d" % number * 100_000)
        file.truncate(SIZE)
    assert peak_of_adding(tmp_path / "cache", path) < LIMIT
    if known:  # It is hashed, and not copied.
        assert peak_of_adding(tmp_path / "cache", path) < LIMIT
