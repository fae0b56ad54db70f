"""One cache for a group of users: what one makes, the others can read and write, as the folder's rights say."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hitsave.cache.store import Cache
from hitsave.maintenance.collect import collect
from hitsave.memoisation.leases.table import LeaseTable
from hitsave.objects.digest import ObjectKind
from hitsave.objects.refs import Ref, snapshot_ref

GROUP, ANN, BEN = 12_000, 12_001, 12_002
#: Two sizes: packed, and a file of its own.
SIZES = (100, 300_000)

pytestmark = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be several users"
)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that belongs to a group, as `chmod 2775` makes it, where every user may go."""
    keep(tmp_path, b"x")  # What is imported on the way is root's alone.
    use(tmp_path)
    lease(tmp_path)
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        path = Path(made, "cache")
        path.mkdir()
        os.chown(path, ANN, GROUP)
        path.chmod(0o2775)
        yield path


def as_user(user: int, action: Callable[[], object]) -> None:
    """Do something as a member of the group, in a process of its own; it must not fail."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([GROUP])
            os.setgid(GROUP)
            os.setuid(user)
            os.umask(0o002)
            action()
            code = 0
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def keep(folder: Path, word: bytes) -> None:
    """Keep a small and a large object."""
    with Cache.open(folder) as cache, cache.intake() as intake:
        refs = []
        for size in SIZES:
            digest = intake.add(ObjectKind.BLOB, word * size)
            refs.append(Ref(snapshot_ref(digest), digest, ObjectKind.BLOB, 1, "somebody", "", ""))
        intake.publish(refs)


def use(folder: Path) -> None:
    """Read all, forget all, and collect."""
    with Cache.open(folder) as cache:
        for ref in cache.refs():
            with cache.open_blob(ref.digest) as file:
                assert file.read()
            assert cache.path_of(ref.digest).exists()
        with cache.database.writing() as connection:
            connection.execute("DELETE FROM refs")
        collect(cache, 10, keep_seconds=0)
        assert list(cache.packs()) == []


def lease(folder: Path) -> None:
    """Use the table of leases."""
    LeaseTable(folder / "leases.db").delete(b"key", b"token")


def test_one_cache_of_two_users(folder: Path) -> None:
    as_user(ANN, lambda: keep(folder, b"a"))
    as_user(BEN, lambda: keep(folder, b"b"))
    as_user(ANN, lambda: keep(folder, b"c"))
    as_user(BEN, lambda: use(folder))
    as_user(ANN, lambda: keep(folder, b"d"))
    assert {path.stat().st_uid for path in folder.rglob("*.pack")} == {ANN}


def test_two_users_lease_from_one_table(folder: Path) -> None:
    as_user(ANN, lambda: lease(folder))
    as_user(BEN, lambda: lease(folder))
    assert (folder / "leases.db").stat().st_mode & 0o777 == 0o664
