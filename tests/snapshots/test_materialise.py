"""What was stored comes back as it was: all of it at once, or nothing."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from hitsave.cache.intake import WHOLE_FROM
from hitsave.cache.store import Cache
from hitsave.errors import CorruptObject, NameConflict, ObjectNotFound, SnapshotError
from hitsave.objects.digest import Digest, ObjectKind, blob_digest
from hitsave.objects.encoding import encode_tree, tree_from
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.progress import Silent
from hitsave.snapshots.layout import plan_layout, refuse_collisions
from hitsave.snapshots.links import KINDS
from hitsave.snapshots.materialise import materialise_blob, materialise_tree
from hitsave.snapshots.place import put_link, put_object
from tests.cache.content import ref_to
from tests.snapshots.folders import File, Folder, Link, folders, read, store, write

modest = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
LARGE = bytes(range(250)) * (WHOLE_FROM // 250 + 1)
FOLDER: Folder = {
    b"a": File(b"1"),
    b"run": File(b"#!", executable=True),
    b"large": File(LARGE),
    b"large-run": File(LARGE, executable=True),
    b"sub": {b"b": File(b"2"), b"link": Link(b"../a"), b"empty": {}},
}


def kept(cache: Cache, folder: Folder = FOLDER) -> Digest:
    """A directory that is in the cache and nowhere else."""
    with tempfile.TemporaryDirectory() as above:
        write(folder, Path(above, "data"))
        return store(cache, Path(above, "data"))


def lone_tree(cache: Cache, *entries: TreeEntry) -> Digest:
    """A tree alone, made by hand."""
    with cache.intake() as intake:
        digest = intake.add(ObjectKind.TREE, encode_tree(tree_from(entries)))
        intake.publish([ref_to(digest)], partial=True)
    return digest


@modest
@given(folders)
def test_there_and_back(cache: Cache, folder: Folder) -> None:
    with tempfile.TemporaryDirectory() as above:
        source, target = Path(above, "data"), Path(above, "deep", "er", "out")
        write({**folder}, source)
        try:
            digest = store(cache, source)
        except SnapshotError:
            return  # A link out of it.
        done = materialise_tree(cache, digest, target)
        assert read(target) == read(source)
        assert done.removed == 0
        assert [item.name for item in target.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_link(cache: Cache, tmp_path: Path, kind: str) -> None:
    digest = kept(cache)
    out = tmp_path / "out"
    materialise_tree(cache, digest, out, links=[kind, "copy"])
    assert (out / "large").read_bytes() == LARGE
    assert (out / "large-run").read_bytes() == LARGE
    assert os.access(out / "run", os.X_OK)
    source = cache.path_of(blob_digest(LARGE))
    assert (out / "large").is_symlink() is (kind == "symlink")
    assert (os.stat(out / "large").st_ino == source.stat().st_ino) is (kind in ("hardlink", "symlink"))
    if kind in ("reflink", "copy"):
        (out / "large").write_bytes(b"edited")
        assert os.access(out / "large-run", os.X_OK)
        assert not os.access(out / "large", os.X_OK)
    assert source.read_bytes() == LARGE
    assert source.stat().st_mode & 0o777 == 0o444


def test_no_kind_that_works_says_so(cache: Cache, tmp_path: Path) -> None:
    digest = kept(cache)
    materialise_tree(cache, digest, tmp_path / "probe", links=["copy"])
    try:
        materialise_tree(cache, digest, tmp_path / "out", links=["reflink"])
    except SnapshotError as error:
        said = str(error)
    else:
        pytest.skip("this file system shares blocks")
    assert "allow 'copy'" in said
    assert sorted(item.name for item in tmp_path.iterdir()) == ["cache", "probe"]


@pytest.mark.parametrize("read_only", [False, True])
def test_modes_follow_the_umask(cache: Cache, tmp_path: Path, read_only: bool) -> None:
    digest = kept(cache)
    before = os.umask(0o027)
    try:
        materialise_tree(cache, digest, tmp_path / "out", read_only=read_only)
    finally:
        os.umask(before)
    mode = (0o444 if read_only else 0o666) & ~0o027
    for name in ("a", "large"):
        assert (tmp_path / "out" / name).stat().st_mode & 0o777 == mode
    for name in ("run", "large-run"):
        assert (tmp_path / "out" / name).stat().st_mode & 0o111 == 0o110
    assert bool((tmp_path / "out/sub").stat().st_mode & 0o222) is not read_only


@pytest.mark.parametrize("lost", [b"1", b"2", LARGE])
def test_all_or_nothing(cache: Cache, tmp_path: Path, lost: bytes) -> None:
    """A tree whose blobs are here but for one."""
    blob = blob_digest(lost)
    whole = kept(cache)
    with Cache.open(tmp_path / "partial") as partial:
        with partial.intake() as intake:
            for digest, kind in cache.reachable([(whole, ObjectKind.TREE)]).items():
                if digest != blob:
                    intake.add(kind, cache.read(digest))
            intake.publish([ref_to(whole)], partial=True)
        with pytest.raises(ObjectNotFound, match=str(blob)):
            materialise_tree(partial, whole, tmp_path / "out")
        assert sorted(item.name for item in tmp_path.iterdir()) == ["cache", "partial"]
        with pytest.raises(ObjectNotFound, match=str(blob)):
            materialise_tree(partial, whole, tmp_path / "out", read_only=True)
        assert sorted(item.name for item in tmp_path.iterdir()) == ["cache", "partial"]


def test_a_damaged_file_reaches_nobody(cache: Cache, tmp_path: Path) -> None:
    digest = kept(cache)
    path = cache.path_of(blob_digest(LARGE))
    path.chmod(0o644)
    path.write_bytes(b"damaged")
    with pytest.raises(CorruptObject):
        materialise_tree(cache, digest, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_part(cache: Cache, tmp_path: Path) -> None:
    digest = kept(cache)
    done = materialise_tree(cache, digest, tmp_path / "out", include=lambda path: path in (b"sub/b", b"run"))
    assert read(tmp_path / "out") == {b"run": File(b"#!", executable=True), b"sub": {b"b": File(b"2")}}
    assert (done.files, done.size) == (2, 3)


def test_where_something_stands_nothing_is_written(cache: Cache, tmp_path: Path) -> None:
    digest = kept(cache)
    write({b"mine": File(b"1")}, tmp_path / "out")
    with pytest.raises(OSError, match="not empty"):
        materialise_tree(cache, digest, tmp_path / "out")
    assert read(tmp_path / "out") == {b"mine": File(b"1")}
    assert sorted(item.name for item in tmp_path.iterdir()) == ["cache", "out"]


# -- trees of strangers


@pytest.mark.parametrize("target", [b"/etc/passwd", b"../outside", b"sub/../../outside", b""])
def test_a_link_out_is_refused_before_anything_is_written(cache: Cache, tmp_path: Path, target: bytes) -> None:
    with cache.intake() as intake:
        blob = intake.add(ObjectKind.BLOB, target)
        tree = tree_from([TreeEntry(b"link", EntryKind.SYMLINK, blob, len(target))])
        digest = intake.add(ObjectKind.TREE, encode_tree(tree))
        intake.publish([ref_to(digest)])
    with pytest.raises(SnapshotError, match="nothing was written"):
        materialise_tree(cache, digest, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_link_in_a_part_that_nobody_wants_is_not_looked_at(cache: Cache, tmp_path: Path) -> None:
    digest = kept(cache, {b"a": File(b"1"), b"link": Link(b"a")})
    materialise_tree(cache, digest, tmp_path / "out", include=lambda path: path == b"a")
    assert read(tmp_path / "out") == {b"a": File(b"1")}


def test_a_name_that_no_file_system_holds(cache: Cache, tmp_path: Path) -> None:
    digest = lone_tree(cache, TreeEntry(b"n" * 256, EntryKind.FILE, blob_digest(b""), 0))
    with pytest.raises(NameConflict, match="longer than 255 bytes; nothing was written"):
        materialise_tree(cache, digest, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    kept(cache, {b"empty": File()})
    with pytest.raises(NameConflict, match="longer than 255 bytes"):
        materialise_blob(cache, blob_digest(b""), tmp_path / ("n" * 256))


@pytest.mark.parametrize(
    ("one", "two", "confused"),
    [
        (b"name", b"NAME", True),
        ("café".encode(), "cafe\u0301".encode(), True),
        ("straße".encode(), b"STRASSE", True),
        ("ﬁ".encode(), b"fi", True),
        (b"a", b"b", False),
        (b"\xff", b"\xfe", False),
        (b"a.b", b"a-b", False),
    ],
)
def test_names_that_some_file_systems_confuse_are_noticed(cache: Cache, one: bytes, two: bytes, confused: bool) -> None:
    digest = lone_tree(
        cache,
        TreeEntry(one, EntryKind.FILE, blob_digest(b"1"), 1),
        TreeEntry(two, EntryKind.FILE, blob_digest(b"2"), 1),
    )
    layout = plan_layout(digest, cache.read)
    assert {frozenset(pair) for pair in layout.collisions} == ({frozenset((one, two))} if confused else set())


def test_the_file_system_is_asked(cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = kept(cache, {b"name": File(b"1"), b"NAME": File(b"2")})
    layout = plan_layout(digest, cache.read)
    refuse_collisions(layout, os.fsencode(tmp_path))  # This one keeps them apart.
    materialise_tree(cache, digest, tmp_path / "out")
    assert read(tmp_path / "out") == {b"name": File(b"1"), b"NAME": File(b"2")}

    real = os.open

    def ignoring_case(path: str | bytes, flags: int, mode: int = 0o777) -> int:
        folder, name = os.path.split(os.fsencode(path))
        return real(os.path.join(folder, name.lower()), flags, mode)

    monkeypatch.setattr(os, "open", ignoring_case)
    monkeypatch.setattr(
        os, "unlink", lambda path, real=os.unlink: real(path if os.path.lexists(path) else path.lower())
    )
    with pytest.raises(NameConflict, match="for one name; nothing was written"):
        refuse_collisions(layout, os.fsencode(tmp_path))
    assert sorted(item.name for item in tmp_path.iterdir()) == ["cache", "out"]


def test_names_that_differ_in_other_folders_are_no_pair(cache: Cache) -> None:
    digest = kept(cache, {b"a": {b"x": File()}, b"b": {b"X": File()}})
    assert plan_layout(digest, cache.read).collisions == []


# -- single files, and what stands in their way


@pytest.mark.parametrize("content", [b"", b"1", LARGE])
@pytest.mark.parametrize("executable", [False, True])
def test_a_file_replaces_a_file(cache: Cache, tmp_path: Path, content: bytes, executable: bool) -> None:
    kept(cache, {b"x": File(content)})
    place = tmp_path / "new" / "file"
    for _ in range(2):
        materialise_blob(cache, blob_digest(content), place, executable=executable)
        assert place.read_bytes() == content
        assert os.access(place, os.X_OK) is executable
        assert [item.name for item in place.parent.iterdir()] == ["file"]


def test_a_file_that_is_not_here(cache: Cache, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(ObjectNotFound):
        materialise_blob(cache, blob_digest(b"nowhere"), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"mine"


@pytest.mark.parametrize("old", ["nothing", "file", "folder", "link", "dangling"])
@pytest.mark.parametrize("kind", list(ObjectKind)[:2])
def test_anything_can_be_put_in_place_of_anything(cache: Cache, tmp_path: Path, old: str, kind: ObjectKind) -> None:
    digest = kept(cache) if kind is ObjectKind.TREE else blob_digest(LARGE)
    kept(cache)
    target = tmp_path / "target"
    write({b"precious": File(b"1")}, target)
    place = tmp_path / "place"
    if old == "file":
        place.write_bytes(b"old")
    elif old == "folder":
        write(FOLDER, place)
    elif old != "nothing":
        place.symlink_to(target if old == "link" else "nowhere")
    put_object(cache, digest, kind, place, False, ("copy",), Silent())
    assert not place.is_symlink()
    assert (read(place) == FOLDER) if kind is ObjectKind.TREE else (place.read_bytes() == LARGE)
    assert read(target) == {b"precious": File(b"1")}
    put_link(target, place)
    assert place.is_symlink()
    assert sorted(item.name for item in tmp_path.iterdir()) == ["cache", "place", "target"]


def test_a_replacement_that_fails_brings_the_old_back(cache: Cache, tmp_path: Path) -> None:
    place = tmp_path / "place"
    write(FOLDER, place)
    for digest, kind in ((blob_digest(b"nowhere"), ObjectKind.BLOB), (Digest(bytes(32)), ObjectKind.TREE)):
        with pytest.raises(ObjectNotFound):
            put_object(cache, digest, kind, place, False, ("copy",), Silent())
        assert read(place) == FOLDER
        assert sorted(item.name for item in tmp_path.iterdir()) == ["cache", "place"]


def test_what_came_into_the_way_is_named(cache: Cache, tmp_path: Path) -> None:
    write({b"a": File(b"1")}, tmp_path / "data")
    digest = store(cache, tmp_path / "data")
    with pytest.raises(OSError, match=f"'{tmp_path / 'data'}'") as raised:
        materialise_tree(cache, digest, tmp_path / "data")
    assert raised.value.errno == errno.ENOTEMPTY
    assert sorted(os.listdir(tmp_path)) == ["cache", "data"]
