"""What comes into the cache, and what does not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from hitsave.cache.intake import WHOLE_FROM
from hitsave.cache.store import Cache
from hitsave.errors import CacheError, CorruptObject, ObjectNotFound
from hitsave.objects.digest import Digest, ObjectKind, blob_digest
from hitsave.packing.blocks import BlockEntry, Codec, EntryKindInPack
from hitsave.packing.pack import PackBuilder
from hitsave.packing.recipe import Chunk, Recipe, encode_recipe
from tests.cache.content import add_tree, files_of, ref_to, store


def test_what_was_stored_comes_back(cache: Cache) -> None:
    files = {b"empty": b"", b"small": b"x" * 100, b"large": os.urandom(WHOLE_FROM), b"larger": b"y" * (WHOLE_FROM + 1)}
    digest = store(cache, files)
    assert files_of(cache, digest) == files
    assert cache.has(digest)
    assert cache.ref(ref_to(digest).name) == ref_to(digest)


@pytest.mark.skipif(shutil.which("b3sum") is None, reason="b3sum is not installed")
@pytest.mark.parametrize("size", [0, 1, 1024, WHOLE_FROM - 1, WHOLE_FROM, 20_000_001])
def test_a_file_has_the_name_that_b3sum_gives(cache: Cache, tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(size))
    expected = subprocess.run(["b3sum", "--no-names", path], capture_output=True, text=True, check=True).stdout.strip()
    with cache.intake() as intake, path.open("rb") as file:
        assert str(intake.add_file(file.fileno(), size)) == expected
        intake.publish([])
    assert cache.path_of(Digest(bytes.fromhex(expected))).read_bytes() == path.read_bytes()


def test_large_blobs_are_read_only_files_named_by_their_digest(cache: Cache) -> None:
    content = os.urandom(WHOLE_FROM)
    with cache.intake() as intake:
        digest = intake.add(ObjectKind.BLOB, content)
        intake.publish([ref_to(digest, ObjectKind.BLOB)])
    path = cache.path_of(digest)
    assert path == cache.path / "objects" / str(digest)[:2] / str(digest)
    assert path.stat().st_mode & 0o222 == 0


def test_a_small_blob_becomes_a_file_when_its_path_is_asked_for(cache: Cache) -> None:
    digest = store(cache, {b"a": b"content"})
    blob = blob_digest(b"content")
    assert digest
    assert not list((cache.path / "objects").rglob("*/*"))
    path = cache.path_of(blob)
    assert path.name == str(blob)
    assert path.read_bytes() == b"content"
    assert path.stat().st_mode & 0o222 == 0
    assert cache.path_of(blob) == path


def test_thousands_of_small_files_make_a_handful_of_files(cache: Cache) -> None:
    store(cache, {b"%d" % number: b"%d" % number * 50 for number in range(5000)})
    assert sum(path.is_file() for path in cache.path.rglob("*")) < 10


def test_nothing_is_stored_without_publish(cache: Cache) -> None:
    with cache.intake() as intake:
        digest = add_tree(intake, {b"a": b"1", b"b": os.urandom(WHOLE_FROM)})
    assert not cache.has(digest)
    assert not list((cache.path / "tmp").iterdir())
    assert not list((cache.path / "objects").iterdir())


def test_the_same_content_is_stored_once(cache: Cache) -> None:
    large = os.urandom(WHOLE_FROM)
    store(cache, {b"a": b"same", b"b": large})
    with cache.intake() as intake:
        add_tree(intake, {b"a": b"same", b"c": large, b"d": b"new"})
        assert intake.new_objects == 2  # The new file and the new tree.


def test_content_with_another_digest_is_refused(cache: Cache) -> None:
    wrong = blob_digest(b"something else")
    with cache.intake() as intake:
        with pytest.raises(CorruptObject, match=str(wrong)):
            intake.add(ObjectKind.BLOB, b"content", wrong)
        with pytest.raises(CorruptObject), intake.blob_writer(wrong, 7) as writer:
            writer.write(b"content")
        with pytest.raises(CorruptObject, match="instead of"), intake.blob_writer(blob_digest(b"abc"), 3) as writer:
            writer.write(b"ab")
        intake.publish([])
    assert not cache.has(wrong)


def test_an_adopted_pack_is_verified_from_end_to_end(cache: Cache, tmp_path: Path) -> None:
    digest = store(cache, {b"%d" % number: b"%d" % number * 50 for number in range(100)})
    pack = cache.packs()[0]
    source = cache.pack_path(pack.digest).read_bytes()
    with Cache.open(tmp_path / "other") as other:
        for position in (10, 100, len(source) // 2, len(source) - 60, len(source) - 1):
            damaged = bytearray(source)
            damaged[position] ^= 4
            with other.intake() as intake:
                (intake.folder / "received").write_bytes(damaged)
                with pytest.raises(CorruptObject):
                    intake.adopt_pack(intake.folder / "received", pack.digest)
        with other.intake() as intake:
            (intake.folder / "received").write_bytes(source)
            intake.adopt_pack(intake.folder / "received", pack.digest)
            intake.publish([ref_to(digest)])
        assert files_of(other, digest) == files_of(cache, digest)


def test_a_pack_with_a_recipe_is_refused_since_it_would_pass_for_the_blob(cache: Cache) -> None:
    blob = blob_digest(b"12")
    chunks = (Chunk(blob_digest(b"1"), 1), Chunk(blob_digest(b"2"), 1))
    content = encode_recipe(Recipe(blob, 2, chunks))
    builder = PackBuilder(bytes(16))
    entry = BlockEntry(blob, EntryKindInPack.RECIPE, 0, len(content))
    pack = builder.header() + bytes(builder.block(Codec.RAW, content, len(content), [entry])) + builder.finish()
    with cache.intake() as intake:
        (intake.folder / "received").write_bytes(pack)
        with pytest.raises(CorruptObject, match="recipe"):
            intake.adopt_pack(intake.folder / "received", builder.digest)
        intake.publish([])
    assert not cache.has(blob)


def test_a_flipped_bit_in_a_pack_is_an_error_and_not_a_miss(cache: Cache) -> None:
    digest = store(cache, {b"a": os.urandom(1000)})
    path = cache.pack_path(cache.packs()[0].digest)
    content = bytearray(path.read_bytes())
    content[500] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    with pytest.raises(CorruptObject):
        files_of(cache, digest)


def test_a_file_that_was_edited_through_a_link_is_noticed_and_set_aside(cache: Cache) -> None:
    content = os.urandom(WHOLE_FROM)
    digest = store(cache, {b"a": content})
    blob = blob_digest(content)
    path = cache.path_of(blob)
    path.chmod(0o644)
    path.write_bytes(b"edited")
    with pytest.raises(CorruptObject, match="quarantine"):
        cache.path_of(blob)
    assert [item.read_bytes() for item in (cache.path / "quarantine").iterdir()] == [b"edited"]
    assert not cache.has(blob)
    assert not cache.owns_whole(digest)
    with pytest.raises(ObjectNotFound):
        cache.read(blob)
    assert store(cache, {b"a": content}) == digest
    assert cache.path_of(blob).read_bytes() == content
    assert cache.owns_whole(digest)


def test_an_edited_file_of_a_packed_blob_is_made_again(cache: Cache) -> None:
    store(cache, {b"a": b"content"})
    blob = blob_digest(b"content")
    path = cache.path_of(blob)
    path.chmod(0o644)
    path.write_bytes(b"edited!")
    os.utime(path, ns=(1, 1))
    assert cache.path_of(blob).read_bytes() == b"content"


def test_a_file_that_was_only_touched_stays(cache: Cache) -> None:
    content = os.urandom(WHOLE_FROM)
    store(cache, {b"a": content})
    path = cache.path_of(blob_digest(content))
    os.utime(path, ns=(1, 1))
    assert cache.path_of(blob_digest(content)) == path


def test_abbreviations(cache: Cache) -> None:
    digest = store(cache, {b"a": b"content", b"b": os.urandom(WHOLE_FROM)})
    assert cache.complete(str(digest)[:7]) == [digest]
    assert len(cache.complete("")) == 3


def test_an_unusable_folder_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CacheError, match="HITSAVE_LOCAL_CACHE_DIR"):
        Cache.open(tmp_path / "file" / "cache")


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    script = """
        import os, resource, signal, sys
        from pathlib import Path
        from hitsave.cache.store import Cache
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        cache = Cache.open(Path(sys.argv[1]))
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        try:
            with cache.intake() as intake:
                from hitsave.objects.digest import ObjectKind
                for number in range(100):
                    intake.add(ObjectKind.BLOB, os.urandom(100_000))
                intake.publish([])
        except OSError as error:
            print("refused", error.errno)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "cache")]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert output.startswith("refused")
    with Cache.open(tmp_path / "cache") as cache:
        assert cache.packs() == []
        assert not list((cache.path / "tmp").iterdir())


def test_an_empty_file_does_not_hide_the_block_behind_it(cache: Cache) -> None:
    digest = store(cache, {b"empty": b""})
    assert cache.read(blob_digest(b"")) == b""
    assert files_of(cache, digest) == {b"empty": b""}
    both = {digest, blob_digest(b"")}
    assert {found for found, _ in cache.read_many(cache.locate_many(both).values())} == both
