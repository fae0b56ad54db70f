"""A file as it was at one moment."""

from __future__ import annotations

import os
import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from blake3 import blake3

from hitsave import DirectorySnapshot, FileSnapshot
from hitsave.errors import (
    AmbiguousDigest,
    ConfigError,
    CorruptObject,
    ObjectError,
    ObjectNotFound,
    RemoteError,
    SnapshotError,
    WorkspaceError,
)
from hitsave.objects.digest import parse_digest
from hitsave.repository import Repository
from tests.api.content import LARGE, lose, write

CONTENT = b"some weights\n"


@pytest.fixture
def model(ann: Repository) -> Path:
    return write(ann.workspace.root, {"models/best.model.pt": CONTENT}) / "models/best.model.pt"


@pytest.fixture
def snap(ann: Repository, model: Path) -> FileSnapshot:
    return FileSnapshot.snap(model, repository=ann)


def test_what_it_tells(snap: FileSnapshot) -> None:
    assert snap.digest == blake3(CONTENT).hexdigest()
    assert snap.content_length == len(CONTENT)
    assert snap.name == "best.model.pt"
    assert snap.suffix == ".pt"
    assert snap.relpath == Path("models/best.model.pt")
    assert datetime.now(UTC) - timedelta(minutes=5) < snap.time <= datetime.now(UTC)


def test_it_is_kept_at_once_as_a_file_named_by_its_digest(ann: Repository, snap: FileSnapshot, model: Path) -> None:
    assert (ann.cache.path / "objects" / snap.digest[:2] / snap.digest).read_bytes() == CONTENT
    model.unlink()
    assert snap.has_local_cache
    assert snap.local_cache_path.name == snap.digest
    assert snap.local_cache_path.read_bytes() == CONTENT
    assert snap.local_cache_path.stat().st_mode & 0o222 == 0
    with snap.open() as file:
        assert file.read() == CONTENT


def test_two_of_one_content_are_equal_and_hash_alike(ann: Repository, model: Path) -> None:
    one, two = FileSnapshot.snap(model, repository=ann), FileSnapshot.snap(model, repository=ann)
    assert one == two
    assert len({one, two}) == 1
    model.write_bytes(b"other")
    assert FileSnapshot.snap(model, repository=ann) != one


@pytest.mark.parametrize("content", [b"", b"x", LARGE])
def test_any_size(ann: Repository, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "outside.bin"
    path.write_bytes(content)
    snap = FileSnapshot.snap(os.fspath(path), repository=ann)
    path.unlink()
    with snap.open() as file:
        assert file.read() == content
    assert snap.relpath == path  # It lies outside of the workspace.
    assert snap.restore() == path
    assert path.read_bytes() == content


def test_by_a_digest_or_its_beginning(ann: Repository, snap: FileSnapshot) -> None:
    for text in (snap.digest, snap.digest[:7], snap.digest[:30]):
        found = FileSnapshot.from_digest(text, repository=ann)
        assert found.digest == snap.digest
        assert found.content_length == len(CONTENT)
        assert found.relpath == Path("models/best.model.pt")
        with found.open() as file:
            assert file.read() == CONTENT
    assert FileSnapshot.from_digest(snap.digest, "else/where.txt", repository=ann).suffix == ".txt"


def test_digests_that_stand_for_nothing(ann: Repository, snap: FileSnapshot) -> None:
    with pytest.raises(ObjectNotFound, match="0000000"):
        FileSnapshot.from_digest("0" * 64, repository=ann)
    with pytest.raises(ObjectNotFound):
        FileSnapshot.from_digest("0000000", repository=ann)
    for text in ("", "abc", "not a digest", "\0"):
        with pytest.raises(WorkspaceError, match="is no digest"):
            FileSnapshot.from_digest(text, repository=ann)


def test_an_ambiguous_beginning(ann: Repository) -> None:
    seen: dict[str, bytes] = {}
    for number in range(200_000):
        content = b"%d" % number
        prefix = blake3(content).hexdigest()[:7]
        if prefix in seen:
            break
        seen[prefix] = content
    write(ann.workspace.root, {"one": seen[prefix], "two": content})
    snaps = [FileSnapshot.snap(ann.workspace.root / name, repository=ann) for name in ("one", "two")]
    with pytest.raises(AmbiguousDigest) as raised:
        FileSnapshot.from_digest(prefix, repository=ann)
    assert sorted(raised.value.candidates) == sorted(snap.digest for snap in snaps)


def test_the_wrong_kind(ann: Repository, snap: FileSnapshot) -> None:
    folder = write(ann.workspace.root / "data")
    with pytest.raises(WorkspaceError, match="is not a file"):
        FileSnapshot.snap(folder, repository=ann)
    with pytest.raises(WorkspaceError, match="is not a directory"):
        DirectorySnapshot.snap(ann.workspace.root / "models/best.model.pt", repository=ann)
    with pytest.raises(WorkspaceError, match="does not exist"):
        FileSnapshot.snap(ann.workspace.root / "nothing", repository=ann)
    with pytest.raises(ObjectError, match="is a blob, not a tree"):
        DirectorySnapshot.from_digest(snap.digest, repository=ann)
    tree = DirectorySnapshot.snap(folder, repository=ann)
    with pytest.raises(ObjectError, match="is a tree, not a blob"):
        FileSnapshot.from_digest(tree.digest[:10], repository=ann)
    os.mkfifo(ann.workspace.root / "pipe")
    with pytest.raises(SnapshotError, match="a FIFO cannot be kept"):
        FileSnapshot.snap(ann.workspace.root / "pipe", repository=ann)


def test_up_and_down(ann: Repository, ben: Repository, snap: FileSnapshot) -> None:
    assert not snap.is_uploaded
    snap.upload()
    assert snap.is_uploaded
    snap.upload()
    there = FileSnapshot.from_digest(snap.digest[:9], repository=ben)
    assert there.is_uploaded
    assert not there.has_local_cache
    assert there.content_length == len(CONTENT)
    with pytest.raises(ObjectNotFound):
        _ = there.local_cache_path
    there.download()
    assert there.has_local_cache
    assert there.local_cache_path.read_bytes() == CONTENT
    ben.collect(keep_seconds=0)
    assert there.has_local_cache  # A download is owned.


def test_a_large_file_up_and_down(ann: Repository, ben: Repository, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(LARGE * 30)
    snap = FileSnapshot.snap(path, repository=ann)
    snap.upload()
    there = FileSnapshot.from_digest(snap.digest, repository=ben)
    assert there.content_length == len(LARGE) * 30
    with there.open() as file:
        assert file.read() == LARGE * 30


def test_without_a_remote(opener: object, tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    environ = {"HITSAVE_LOCAL_CACHE_DIR": str(tmp_path / "c"), "HITSAVE_CONFIG_DIR": str(tmp_path / "d")}
    with Repository.open(tmp_path / "alone", environ) as alone:
        write(tmp_path / "alone", {"x": b"1"})
        snap = FileSnapshot.snap(tmp_path / "alone/x", repository=alone)
        assert not snap.is_uploaded
        snap.download()
        with pytest.raises(ConfigError, match="no remote is set"):
            snap.upload()


def test_pickles_carry_the_value_alone(snap: FileSnapshot) -> None:
    content = pickle.dumps(snap)
    assert len(content) < 1000
    again = pickle.loads(content)
    assert again == snap
    assert (again.name, again.time, again.content_length) == (snap.name, snap.time, snap.content_length)
    assert again.repository is None


def test_without_a_repository_that_of_the_current_folder_holds(
    ann: Repository, snap: FileSnapshot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(ann.workspace.root)
    monkeypatch.setenv("HITSAVE_LOCAL_CACHE_DIR", str(ann.cache.path))
    monkeypatch.setenv("HITSAVE_CONFIG_DIR", str(tmp_path / "ann-config"))
    monkeypatch.setenv("HITSAVE_NO_CLOUD", "1")
    again: FileSnapshot = pickle.loads(pickle.dumps(snap))
    with again.open() as file:
        assert file.read() == CONTENT
    assert FileSnapshot.snap("models/best.model.pt").digest == snap.digest
    assert not again.is_uploaded
    monkeypatch.setenv("HITSAVE_LOCAL_CACHE_DIR", str(tmp_path / "other"))
    assert not again.has_local_cache


def test_a_damaged_copy_is_fetched_again(ann: Repository, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(LARGE)
    snap = FileSnapshot.snap(path, repository=ann)
    snap.upload()
    lose(ann, snap.digest)
    assert snap.restore_safe().read_bytes() == LARGE
    lose(ann, snap.digest)
    with snap.open() as file:
        assert file.read() == LARGE
    lose(ann, snap.digest)
    out = snap.restore_at(tmp_path / "out")
    assert out.read_bytes() == LARGE
    assert len(list((ann.cache.path / "quarantine").iterdir())) == 3


def test_a_damaged_copy_that_nobody_else_has_is_an_error(ann: Repository, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(LARGE)
    snap = FileSnapshot.snap(path, repository=ann)
    path.unlink()
    lose(ann, snap.digest)
    with pytest.raises((CorruptObject, ObjectNotFound, RemoteError)):
        snap.open()
    with pytest.raises((CorruptObject, ObjectNotFound, RemoteError)):
        snap.restore_at(tmp_path / "out")
    assert not os.path.lexists(tmp_path / "out")
    assert ann.cache.info(parse_digest(snap.digest)) is None
    path.write_bytes(LARGE)
    assert FileSnapshot.snap(path, repository=ann) == snap
    assert snap.local_cache_path.read_bytes() == LARGE


def test_a_snapshot_belongs_to_its_snapshot_ref(ann: Repository, snap: FileSnapshot) -> None:
    assert [str(ref.name) for ref in ann.cache.refs()] == [f"snapshots/{snap.digest}"]
    assert ann.cache.refs()[0].path == "shared/models/best.model.pt"
    ann.collect(keep_seconds=0)
    assert snap.has_local_cache
