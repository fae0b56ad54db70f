"""An object that was found damaged is unknown from then on, so that the same content can come in again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hitsave.cache.intake import WHOLE_FROM
from hitsave.cache.store import Cache
from hitsave.errors import CorruptObject, ObjectNotFound, ReliedOnLost
from hitsave.maintenance.collect import collect
from hitsave.maintenance.repair import repair
from hitsave.maintenance.verify import verify
from hitsave.objects.digest import ObjectKind, blob_digest
from tests.cache.content import files_of, ref_to, store
from tests.faults.forks import ROOT
from tests.faults.operations import noise

NOW = 1000
#: In a block of their own each: contents that do not compress, as large as a block.
FILES = {b"%d" % number: noise(number, WHOLE_FROM - 1) for number in range(8)}
CONTENT = FILES[b"3"]
BLOB = blob_digest(CONTENT)
READ = """
import sys
from pathlib import Path
from hitsave.cache.store import Cache
from hitsave.objects.digest import parse_digest
sys.stdout.buffer.write(Cache.open(Path(sys.argv[1])).read(parse_digest(sys.argv[2])))
"""


def damage(cache: Cache, content: bytes = CONTENT) -> None:
    """Flip a bit of some content, in the packs, and have nothing remembered of them."""
    for path in (cache.path / "packs").glob("*.pack"):
        raw = bytearray(path.read_bytes())
        at = raw.find(content[:64])
        if at >= 0:
            raw[at + 9] ^= 1
            path.write_bytes(raw)
    cache.packset.forget_files()


def read_elsewhere(cache: Cache, blob: str = str(BLOB)) -> bytes:
    """What another process reads."""
    command = [sys.executable, "-c", READ, cache.path, blob]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout


@pytest.mark.parametrize("inbox", [False, True])
def test_what_was_set_aside_comes_in_again(cache: Cache, inbox: bool) -> None:
    digest = store(cache, FILES)
    damage(cache)
    with Cache.open(cache.path) as other:
        with pytest.raises(CorruptObject):
            other.read(BLOB)
        assert other.has(BLOB), "which would keep it from coming in again"
        assert other.set_aside(BLOB)
        assert not other.set_aside(BLOB)
        for opened in (cache, other):
            assert not opened.has(BLOB)
            assert opened.missing([BLOB, digest]) == {BLOB}
            assert not opened.owns_whole(digest)
            with pytest.raises(ObjectNotFound):
                opened.read(BLOB)
        with cache.intake(inbox=inbox) as intake:
            assert intake.add(ObjectKind.BLOB, CONTENT) == BLOB
            assert intake.new_objects == 1
            intake.publish([ref_to(BLOB, ObjectKind.BLOB)])
        assert files_of(other, digest) == FILES
    assert files_of(cache, digest) == FILES
    assert read_elsewhere(cache) == CONTENT
    cache.pack_inbox()
    assert read_elsewhere(cache) == CONTENT


def test_what_is_right_is_not_set_aside(cache: Cache) -> None:
    digest = store(cache, {**FILES, b"large": noise(9, WHOLE_FROM)})
    with cache.intake(inbox=True) as intake:
        boxed = intake.add(ObjectKind.BLOB, b"boxed")
        intake.publish([ref_to(boxed, ObjectKind.BLOB)])
    for one in (digest, BLOB, blob_digest(noise(9, WHOLE_FROM)), boxed, blob_digest(b"nowhere")):
        assert not cache.set_aside(one)
    assert cache.owns_whole(digest)


def test_damage_that_was_not_there_at_the_first_reading_is_seen(cache: Cache) -> None:
    store(cache, FILES)
    assert cache.read(BLOB) == CONTENT
    damage(cache)
    assert cache.set_aside(BLOB)


def test_a_row_and_a_whole_file_are_set_aside(cache: Cache) -> None:
    large = noise(9, WHOLE_FROM)
    with cache.intake(inbox=True) as intake:
        blobs = [intake.add(ObjectKind.BLOB, content) for content in (b"boxed", large)]
        intake.publish([ref_to(blob, ObjectKind.BLOB) for blob in blobs])
    cache.database.connection.execute("UPDATE inbox SET content = x'00'")
    path = cache.path_of(blobs[1])
    path.chmod(0o644)
    path.write_bytes(bytes(WHOLE_FROM))
    assert [cache.set_aside(blob) for blob in blobs] == [True, True]
    assert cache.missing(blobs) == set(blobs)
    with cache.intake() as intake:
        assert [intake.add(ObjectKind.BLOB, content) for content in (b"boxed", large)] == blobs
        intake.publish([])
    assert [cache.read(blob) for blob in blobs] == [b"boxed", large]


def test_an_intake_that_relied_on_it_is_told(cache: Cache) -> None:
    store(cache, FILES)
    with cache.intake() as intake:
        intake.add(ObjectKind.BLOB, CONTENT)
        damage(cache)
        assert cache.set_aside(BLOB)
        with pytest.raises(ReliedOnLost):
            intake.publish([ref_to(BLOB, ObjectKind.BLOB)])


def test_a_pack_that_is_gone(cache: Cache) -> None:
    digest = store(cache, FILES)
    for path in (cache.path / "packs").glob("*.pack"):
        path.unlink()
    cache.packset.forget_files()
    assert cache.set_aside(BLOB)
    assert cache.set_aside(digest)
    assert store(cache, {b"3": CONTENT})
    assert cache.read(BLOB) == CONTENT


def test_a_repair_mends_the_rest_and_forgets_what_was_set_aside(cache: Cache, tmp_path: Path) -> None:
    digest = store(cache, FILES)
    damage(cache)
    cache.set_aside(BLOB)
    with cache.intake() as intake:
        intake.add(ObjectKind.BLOB, CONTENT)
        intake.publish([])
    report = verify(cache)
    assert [fault.digest for fault in report.faults] == [None], "the pack is damaged, and nothing is lost"
    repaired = repair(cache, lambda wanted: pytest.fail(f"{wanted} is not lost"))
    assert repaired.after.faults == ()
    assert cache.database.rows("SELECT * FROM damaged") == []
    assert files_of(cache, digest) == FILES
    collect(cache, NOW)
    assert files_of(cache, digest) == FILES


def test_a_good_copy_is_found_beside_a_damaged_one_in_the_same_index(cache: Cache) -> None:
    digest = store(cache, FILES)
    damage(cache)
    cache.set_aside(BLOB)
    with cache.intake() as intake:
        intake.add(ObjectKind.BLOB, CONTENT)
        intake.publish([])
    packs = [pack for index in cache.packset.indexes().values() for pack in index.tables()]
    assert len(packs) == 2
    with cache.database.writing() as connection:
        connection.execute("DELETE FROM indexes")
        cache.sweeper.add_index(connection, packs)
    cache.packset.touch()
    for opened in (cache, Cache.open(cache.path)):
        assert len(opened.packset.indexes()) == 1
        assert opened.has(BLOB)
        assert files_of(opened, digest) == FILES


def test_an_error_names_the_object_where_its_block_cannot_be_decoded(cache: Cache) -> None:
    """Whoever sets aside what an error names could not go on otherwise."""
    contents = [b"%d" % number * 9000 for number in range(3)]
    store(cache, {b"%d" % number: content for number, content in enumerate(contents)})
    for path in (cache.path / "packs").glob("*.pack"):
        raw = path.read_bytes()
        path.write_bytes(raw[:40] + bytes(byte ^ 255 for byte in raw[40:60]) + raw[60:])
    cache.packset.forget_files()
    for content in contents:
        with pytest.raises(CorruptObject) as caught:
            cache.read(blob_digest(content))
        assert caught.value.digest == str(blob_digest(content))
        assert cache.set_aside(blob_digest(content))
        assert not cache.has(blob_digest(content))
