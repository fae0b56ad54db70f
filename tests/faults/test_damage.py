"""Damage of every kind is an error that says what is wrong, never a wrong byte and never a miss."""

from __future__ import annotations

import errno
import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hitsave.cache.intake import WHOLE_FROM
from hitsave.cache.store import Cache
from hitsave.errors import CacheError, CorruptObject, HitsaveError, ObjectNotFound
from hitsave.maintenance.collect import collect, forget, undo
from hitsave.maintenance.verify import verify
from hitsave.objects.digest import Digest, blob_digest
from hitsave.objects.refs import snapshot_ref
from tests.cache.content import files_of, ref_to, store
from tests.faults.operations import noise

NOW = 1000
SMALL = {b"%02d" % number: noise(number, 1000) for number in range(40)}
LARGE = noise(100, WHOLE_FROM)
FILES = {**SMALL, b"large": LARGE}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A cache with one dataset, closed."""
    with Cache.open(tmp_path / "cache") as cache:
        store(cache, FILES)
    return tmp_path / "cache"


def the_file(path: Path, pattern: str) -> Path:
    [found] = path.glob(pattern)
    found.chmod(0o644)
    return found


def flip(position: float) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[int(len(content) * position)] ^= 0x40
        path.write_bytes(content)

    return damage


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def delete(path: Path) -> None:
    path.unlink()


def same_size(path: Path) -> None:
    path.write_bytes(LARGE[::-1])
    os.utime(path, ns=(1, 1))


def read_or_say(cache: Cache, digest: Digest) -> bytes | None:
    """The content, or None where an error says that it is damaged; a miss is neither."""
    try:
        return cache.read(digest)
    except CorruptObject:
        return None


# -- whole files


@pytest.mark.parametrize("damage", [shorten, empty, same_size, flip(0.5)])
def test_a_whole_file_that_was_changed(path: Path, damage: Callable[[Path], None]) -> None:
    damaged = the_file(path, "objects/*/*")
    damage(damaged)
    content = damaged.read_bytes()
    os.utime(damaged, ns=(5, 5))
    with Cache.open(path) as cache:
        [ref] = cache.refs()
        [fault] = verify(cache).faults
        assert fault.digest == blob_digest(LARGE)
        assert fault.owners == (str(ref.name),)
        with pytest.raises(CorruptObject, match="quarantine"):
            cache.read(blob_digest(LARGE))
        assert [item.read_bytes() for item in (path / "quarantine").iterdir()] == [content]
        assert not cache.owns_whole(ref.digest)
        [fault] = verify(cache).faults
        assert fault.owners == (str(ref.name),)
        store(cache, FILES)
        assert files_of(cache, ref.digest) == FILES
        assert cache.owns_whole(ref.digest)
        assert verify(cache).faults == ()


def test_a_whole_file_that_was_deleted(path: Path) -> None:
    the_file(path, "objects/*/*").unlink()
    with Cache.open(path) as cache:
        [ref] = cache.refs()
        [fault] = verify(cache).faults
        assert (fault.digest, fault.owners) == (blob_digest(LARGE), (str(ref.name),))
        with pytest.raises(CorruptObject, match="missing"):
            cache.path_of(blob_digest(LARGE))
        assert not cache.owns_whole(ref.digest)
        with pytest.raises(ObjectNotFound):
            cache.path_of(blob_digest(LARGE))


@pytest.mark.parametrize("damage", [delete, same_size])
def test_adding_again_makes_good_what_nobody_had_noticed(path: Path, damage: Callable[[Path], None]) -> None:
    damage(the_file(path, "objects/*/*"))
    with Cache.open(path) as cache:
        digest = store(cache, {b"another name": LARGE})
        assert files_of(cache, digest) == {b"another name": LARGE}
        assert verify(cache).faults == ()


def test_damage_while_an_intake_relies_on_the_file(path: Path) -> None:
    with Cache.open(path) as cache, cache.intake() as intake:
        digest = blob_digest(LARGE)
        assert intake.rely_on(digest)
        same_size(the_file(path, "objects/*/*"))
        with pytest.raises(CorruptObject):
            cache.path_of(digest)
        with pytest.raises(CacheError, match="run it again"):
            intake.publish([ref_to(digest)])
        assert len(cache.refs()) == 1


def test_a_ref_that_comes_back_after_a_loss_is_not_taken_for_whole(path: Path) -> None:
    with Cache.open(path) as cache:
        [ref] = cache.refs()
        forget(cache, [ref.name], NOW)
        the_file(path, "objects/*/*").unlink()
        with pytest.raises(CorruptObject):
            cache.path_of(blob_digest(LARGE))
        undo(cache)
        assert cache.refs() == [ref]
        assert not cache.owns_whole(ref.digest)


# -- packs


@pytest.mark.parametrize("damage", [flip(0.01), flip(0.5), flip(0.99), shorten, halve, empty, zero, delete])
def test_a_damaged_pack(path: Path, damage: Callable[[Path], None]) -> None:
    damaged = the_file(path, "packs/*")
    damage(damaged)
    with Cache.open(path) as cache:
        [ref] = cache.refs()
        assert any(fault.where == os.fspath(damaged) for fault in verify(cache).faults)
        for name, content in SMALL.items():
            assert read_or_say(cache, blob_digest(content)) in (content, None), name
        assert cache.has(ref.digest)


@pytest.mark.parametrize("damage", [halve, zero, delete])
def test_a_collection_beside_a_damaged_pack_takes_nothing(path: Path, damage: Callable[[Path], None]) -> None:
    with Cache.open(path) as cache:
        other = store(cache, {b"z": b"of another pack", b"01": SMALL[b"01"]})
        forget(cache, [ref.name for ref in cache.refs() if ref.digest != other], NOW)
        large = cache.path_of(blob_digest(LARGE))
        [old] = [pack for pack in cache.packs() if len(cache.pack_table(pack.digest).table.records) > 10]
        damaged = cache.pack_path(old.digest)
        damaged.chmod(0o644)
    damage(damaged)
    before = sorted(item for item in path.rglob("*") if item.is_file() and "cache.db" not in item.name)
    with Cache.open(path) as cache:
        with pytest.raises(CorruptObject):
            collect(cache, NOW)
        assert large.exists()
        assert sorted(item for item in path.rglob("*") if item.is_file() and "cache.db" not in item.name) == before


# -- indexes


@pytest.mark.parametrize("damage", [*(flip(n / 20) for n in range(20)), shorten, halve, empty, zero, delete])
def test_a_damaged_index(path: Path, damage: Callable[[Path], None]) -> None:
    damaged = the_file(path, "indexes/*")
    damage(damaged)
    with Cache.open(path) as cache:
        [fault] = verify(cache).faults
        assert fault.where == os.fspath(damaged)
        for content in SMALL.values():
            assert read_or_say(cache, blob_digest(content)) in (content, None)
        with pytest.raises((CorruptObject, CacheError)):
            cache.has(blob_digest(b"never seen"))
        with pytest.raises((CorruptObject, CacheError)):
            collect(cache, NOW)
        with pytest.raises((CorruptObject, CacheError)):
            store(cache, {b"new": b"new"})
    assert len(list(path.glob("packs/*.pack"))) == 1
    assert len(list(path.glob("objects/*/*"))) == 1


# -- the database


@pytest.mark.parametrize("content", [b"garbage\n" * 1000, b"SQLite format 3\0" + bytes(5000)])
def test_a_database_of_garbage(path: Path, content: bytes) -> None:
    (path / "cache.db").write_bytes(content)
    with pytest.raises(CacheError) as caught:
        Cache.open(path)
    assert "\n" not in str(caught.value)
    assert "cache.db" in str(caught.value)
    assert (path / "cache.db").read_bytes() == content


@pytest.mark.parametrize("damage", [empty, delete])
def test_a_lost_database_is_not_begun_anew(path: Path, damage: Callable[[Path], None]) -> None:
    """An empty one would own nothing, and the next collection would delete every object for good."""
    damage(path / "cache.db")
    for _ in range(2):
        with pytest.raises(CacheError, match="though the cache holds objects") as caught:
            Cache.open(path)
        assert "\n" not in str(caught.value)
    assert list(path.glob("packs/*.pack"))


def test_a_database_with_a_torn_page_is_an_error(path: Path) -> None:
    database = path / "cache.db"
    content = bytearray(database.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    database.write_bytes(content)
    with pytest.raises(HitsaveError), Cache.open(path) as cache:
        collect(cache, NOW)
    assert list(path.glob("packs/*.pack"))


# -- the folder


@pytest.mark.parametrize("beneath", ["", "deeper", "much/deeper"])
def test_a_folder_that_is_a_file(tmp_path: Path, beneath: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CacheError, match="HITSAVE_LOCAL_CACHE_DIR") as caught:
        Cache.open(tmp_path / "file" / beneath)
    assert "\n" not in str(caught.value)


def test_a_missing_parent_is_made(tmp_path: Path) -> None:
    with Cache.open(tmp_path / "one" / "two" / "cache") as cache:
        assert files_of(cache, store(cache, FILES)) == FILES


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("inner", [".", "tmp"])
def test_a_folder_that_cannot_be_written(path: Path, inner: str) -> None:
    folder = path / inner
    folder.chmod(0o555)
    try:
        with pytest.raises(CacheError) as caught, Cache.open(path) as cache:
            store(cache, {b"new": b"new"})
        assert "\n" not in str(caught.value)
    finally:
        folder.chmod(0o755)


# -- a full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if sys.platform != "linux" or os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("only root can mount a small file system")
    try:
        yield folder
    finally:
        gc.collect()  # Mapped indexes keep it busy.
        subprocess.run(["umount", folder], check=True, capture_output=True)


def free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def fill(folder: Path, leave: int) -> Path:
    path = folder / "filler"
    path.write_bytes(bytes(max(free(folder) - leave, 0)))
    return path


def is_there_room_for(action: Callable[[], object]) -> bool:
    """Whether it can be done; where it cannot, the error has to say why."""
    try:
        action()
    except CacheError:
        return False
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False
    return True


@pytest.mark.parametrize("leave", [0, 4096, 20_000, 60_000, 100_000, 140_000, 180_000, 260_000])
def test_adding_to_a_full_disk(small_disk: Path, leave: int) -> None:
    new = {**SMALL, b"large": noise(101, WHOLE_FROM)}
    with Cache.open(small_disk / "cache") as cache:
        old = store(cache, {b"old": b"old", b"large": LARGE})
        filler = fill(small_disk, leave)
        if is_there_room_for(lambda: store(cache, new)):
            assert len(cache.refs()) == 2
        else:
            assert [ref.digest for ref in cache.refs()] == [old]
        assert files_of(cache, old) == {b"old": b"old", b"large": LARGE}
        assert list((cache.path / "tmp").iterdir()) == []
        filler.unlink()
        assert verify(cache).faults == ()
        assert files_of(cache, store(cache, new)) == new
        collect(cache, NOW)
        assert verify(cache).faults == ()


@pytest.mark.parametrize("leave", [0, 4096, 12_000, 20_000, 40_000, 60_000, 100_000])
def test_collecting_on_a_full_disk(small_disk: Path, leave: int) -> None:
    kept = {b"old": b"old", **SMALL}
    with Cache.open(small_disk / "cache") as cache:
        dropped = store(cache, {**SMALL, b"large": LARGE, **{b"dead %d" % n: noise(n + 200, 1000) for n in range(40)}})
        old = store(cache, kept)
        forget(cache, [snapshot_ref(dropped)], NOW)
        filler = fill(small_disk, leave)
        is_there_room_for(lambda: collect(cache, NOW))
        assert files_of(cache, old) == kept
        filler.unlink()
        assert verify(cache).faults == ()
        collect(cache, NOW)
        assert not cache.has(dropped)
        assert files_of(cache, old) == kept
        undo(cache)
        assert cache.read(blob_digest(LARGE)) == LARGE
        assert verify(cache).faults == ()
