"""A cache is repaired: what can be read is saved, what a remote has is fetched, and nothing else is thrown away."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from hitsave.cache.intake import WHOLE_FROM
from hitsave.cache.store import Cache
from hitsave.maintenance.collect import collect
from hitsave.maintenance.repair import repair
from hitsave.maintenance.verify import verify
from hitsave.objects.digest import Digest, ObjectKind, blob_digest
from tests.cache.content import files_of, store
from tests.faults.operations import noise

SMALL = {b"%02d" % number: noise(number, 1000) for number in range(20)}
LARGE = noise(100, WHOLE_FROM)
FILES = {**SMALL, b"large": LARGE}

Damage = Callable[[Path], None]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x40
    path.write_bytes(content)


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def spoil_the_table(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-60] + bytes(60))


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def blank(content: bytes) -> Damage:
    """Zeros in place of some content, wherever it lies."""

    def damage(path: Path) -> None:
        assert content in path.read_bytes()
        path.write_bytes(path.read_bytes().replace(content, bytes(len(content))))

    return damage


DAMAGES = [flip, halve, spoil_the_table, zero, Path.unlink]


def damage_all(cache: Cache, pattern: str, damage: Damage) -> None:
    found = list(cache.path.glob(pattern))
    assert found
    for path in found:
        before = path.stat()
        path.chmod(0o644)
        damage(path)
        if path.exists():
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


class Elsewhere:
    """Another cache, which has what this one had."""

    def __init__(self, cache: Cache, target: Cache) -> None:
        self._cache = cache
        self._target = target
        self.asked: list[Mapping[Digest, ObjectKind]] = []

    def fetch(self, wanted: Mapping[Digest, ObjectKind]) -> None:
        """Bring what is there."""
        self.asked.append(dict(wanted))
        with self._target.intake() as intake:
            for digest, kind in wanted.items():
                if self._cache.has(digest):
                    assert intake.add(kind, self._cache.read(digest)) == digest
            intake.publish([])


@pytest.fixture
def elsewhere(cache: Cache, tmp_path: Path) -> Elsewhere:
    other = Cache.open(tmp_path / "elsewhere")
    store(other, FILES)
    return Elsewhere(other, cache)


def nobody(wanted: Mapping[Digest, ObjectKind]) -> None:
    """Has nothing."""


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("pattern", ["packs/*", "objects/*/*", "indexes/*", "*s/*"])
def test_whatever_is_damaged_is_mended(cache: Cache, elsewhere: Elsewhere, pattern: str, damage: Damage) -> None:
    tree = store(cache, FILES)
    damage_all(cache, "packs/*" if pattern == "*s/*" else pattern, damage)
    if pattern == "*s/*":
        damage_all(cache, "indexes/*", damage)
    assert verify(cache).faults
    done = repair(cache, elsewhere.fetch)
    assert done.before.faults
    assert done.after.faults == ()
    assert files_of(cache, tree) == FILES
    with Cache.open(cache.path) as again:
        assert verify(again).faults == ()
        assert files_of(again, tree) == FILES
        assert not list(again.path.glob("quarantine/*.pack")) or pattern == "*s/*"
        collect(again, now=1)
        assert files_of(again, tree) == FILES
    assert repair(cache, nobody).before.faults == ()


def test_what_can_be_read_is_not_asked_for(cache: Cache, elsewhere: Elsewhere) -> None:
    tree = store(cache, FILES)
    lost = SMALL[b"07"]
    damage_all(cache, "packs/*", blank(lost))
    assert repair(cache, elsewhere.fetch).after.faults == ()
    assert elsewhere.asked == [{blob_digest(lost): ObjectKind.BLOB}]
    assert files_of(cache, tree) == FILES


def test_without_repair_nothing_is_changed(cache: Cache) -> None:
    store(cache, FILES)
    damage_all(cache, "packs/*", flip)
    damage_all(cache, "objects/*/*", flip)
    before = {
        path: path.read_bytes() for path in cache.path.rglob("*") if path.is_file() and "cache.db" not in path.name
    }
    assert len(verify(cache).faults) >= 2
    assert {path: path.read_bytes() for path in before} == before


def test_what_nobody_has_is_listed_with_its_owner_and_kept(cache: Cache) -> None:
    tree = store(cache, FILES)
    [ref] = cache.refs()
    lost = SMALL[b"07"]
    [pack] = cache.path.glob("packs/*")
    damaged = pack.read_bytes().replace(lost, bytes(1000))
    damage_all(cache, "packs/*", blank(lost))
    damage_all(cache, "objects/*/*", zero)
    for _ in range(2):
        faults = repair(cache, nobody).after.faults
        assert {fault.digest for fault in faults} == {blob_digest(lost), blob_digest(LARGE)}
        assert {fault.owners for fault in faults} == {(str(ref.name),)}
    kept = [path.read_bytes() for path in (cache.path / "quarantine").iterdir()]
    assert sorted(kept, key=len) == sorted([damaged, bytes(WHOLE_FROM)], key=len)
    collect(cache, now=1)
    assert len(list((cache.path / "quarantine").iterdir())) == 2
    assert cache.read(blob_digest(SMALL[b"08"])) == SMALL[b"08"]
    assert not cache.owns_whole(tree)
    # Whoever adds the files again has it whole.
    assert store(cache, FILES) == tree
    assert verify(cache).faults == ()
    assert cache.owns_whole(tree)


def test_a_small_object_that_is_a_file_too_is_saved_from_there(cache: Cache) -> None:
    tree = store(cache, SMALL)
    cache.path_of(blob_digest(SMALL[b"03"]))
    lost = SMALL[b"03"]
    damage_all(cache, "packs/*", blank(lost))
    assert repair(cache, nobody).after.faults == ()
    assert files_of(cache, tree) == SMALL


@pytest.mark.parametrize("point", ["before the moves", "after the moves"])
def test_a_repair_that_dies_can_be_done_again(
    cache: Cache, elsewhere: Elsewhere, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Died(Exception):
        pass

    def die(*_: object) -> None:
        raise Died

    tree = store(cache, FILES)
    damage_all(cache, "packs/*", halve)
    with monkeypatch.context() as patch:
        name = (
            "hitsave.maintenance.repair.bump_generation"
            if point == "after the moves"
            else "hitsave.cache.moves.json.dump"
        )
        patch.setattr(name, die)
        with pytest.raises(Died):
            repair(cache, elsewhere.fetch)
    with Cache.open(cache.path) as again:
        assert verify(again).faults
        assert len(list(again.path.glob("packs/*"))) == 1
        assert not list(again.path.glob("quarantine/*"))
    assert repair(cache, elsewhere.fetch).after.faults == ()
    assert files_of(cache, tree) == FILES
