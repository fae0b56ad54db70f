"""Putting snapshots back: nothing that was there is ever lost."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path

import pytest

from hitsave import DirectorySnapshot, FileSnapshot, restore
from hitsave.errors import SnapshotError, WorkspaceError
from hitsave.repository import Repository
from tests.api.content import FILES, read, write


@pytest.fixture
def snap(ann: Repository) -> FileSnapshot:
    write(ann.workspace.root, {"models/best.pt": b"first"})
    return FileSnapshot.snap(ann.workspace.root / "models/best.pt", repository=ann)


@pytest.fixture
def place(ann: Repository) -> Path:
    return ann.workspace.root / "models/best.pt"


def replaced(caught: pytest.WarningsRecorder) -> str:
    """The digest that a warning names."""
    assert len(caught) == 1
    found = re.search(r"was replaced; what was there is kept as ([0-9a-f]{64})$", str(caught[0].message))
    assert found is not None
    assert caught[0].filename == __file__
    return found[1]


def test_it_comes_back_as_a_link_to_the_read_only_file(snap: FileSnapshot, place: Path) -> None:
    place.unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert snap.restore() == place
        assert snap.restore() == place
        assert snap.restore(overwrite=False) == place  # It stands there already.
    assert place.is_symlink()
    assert place.read_bytes() == b"first"
    assert place.resolve() == snap.local_cache_path.resolve()


def test_the_same_content_is_replaced_without_a_word(snap: FileSnapshot, place: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        snap.restore()
    assert place.is_symlink()


def test_what_is_replaced_is_kept_and_named(ann: Repository, snap: FileSnapshot, place: Path) -> None:
    place.write_bytes(b"precious")
    with pytest.warns(UserWarning, match="was replaced") as caught:
        snap.restore()
    assert place.read_bytes() == b"first"
    ann.collect(keep_seconds=0)
    with FileSnapshot.from_digest(replaced(caught), repository=ann).open() as file:
        assert file.read() == b"precious"


def test_with_leave_it_is_kept_without_a_warning(ann: Repository, snap: FileSnapshot, place: Path) -> None:
    place.write_bytes(b"precious")
    before = {ref.digest for ref in ann.cache.refs()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        snap.restore(overwrite=True)
    assert place.read_bytes() == b"first"
    (kept,) = [ref.digest for ref in ann.cache.refs() if ref.digest not in before]
    assert ann.cache.read(kept) == b"precious"


def test_without_leave_it_stays(snap: FileSnapshot, place: Path) -> None:
    place.write_bytes(b"precious")
    with pytest.raises(WorkspaceError, match="overwrite=True"):
        snap.restore(overwrite=False)
    assert place.read_bytes() == b"precious"


def test_a_directory_in_the_way_is_kept_with_all_that_is_in_it(
    ann: Repository, snap: FileSnapshot, place: Path
) -> None:
    place.unlink()
    write(place, {**FILES, ".hitsaveignore": b"*.log\n", "run.log": b"precious"})
    (place / "link").symlink_to("readme.md")
    before = read(place)
    with pytest.warns(UserWarning, match="was replaced") as caught:
        snap.restore()
    assert place.read_bytes() == b"first"
    kept = DirectorySnapshot.from_digest(replaced(caught), repository=ann)
    out = kept.restore_at(ann.workspace.root / "rescued")
    assert read(out) == before
    assert os.readlink(out / "link") == "readme.md"


def test_what_cannot_be_kept_is_not_replaced(ann: Repository, snap: FileSnapshot, place: Path) -> None:
    place.unlink()
    place.mkdir()
    os.mkfifo(place / "pipe")
    for overwrite in (None, True):
        with pytest.raises(SnapshotError, match="pipe"):
            snap.restore(overwrite)
    assert (place / "pipe").is_fifo()


def test_a_link_in_the_way(ann: Repository, snap: FileSnapshot, place: Path, tmp_path: Path) -> None:
    place.unlink()
    place.symlink_to("nowhere")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        snap.restore()
    place.unlink()
    target = tmp_path / "mine"
    target.write_bytes(b"precious")
    place.symlink_to(target)
    with pytest.warns(UserWarning, match="was replaced"):
        snap.restore()
    assert place.read_bytes() == b"first"
    assert target.read_bytes() == b"precious"


def test_an_older_version_replaces_a_newer_link(ann: Repository, snap: FileSnapshot, place: Path) -> None:
    place.write_bytes(b"second")
    newer = FileSnapshot.snap(place, repository=ann)
    newer.restore()
    with pytest.warns(UserWarning, match=newer.digest):
        snap.restore()
    assert place.read_bytes() == b"first"
    assert newer.restore(overwrite=True).read_bytes() == b"second"


def test_at_another_place(ann: Repository, snap: FileSnapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = snap.restore_at(tmp_path / "new/folders/copy.pt")
    assert out == tmp_path / "new/folders/copy.pt"
    assert out.read_bytes() == b"first"
    monkeypatch.chdir(tmp_path)
    assert snap.restore_at("relative") == tmp_path / "relative"
    with pytest.raises(WorkspaceError, match="exists"):
        FileSnapshot.snap(write(tmp_path, {"other": b"other"}) / "other", repository=ann).restore_at(
            "relative", overwrite=False
        )
    assert snap.restore_at("relative").read_bytes() == b"first"


def test_without_a_place_it_says_so(ann: Repository, snap: FileSnapshot) -> None:
    ann.forget([ref.name for ref in ann.cache.refs()])
    unplaced = FileSnapshot.from_digest(snap.digest, repository=ann)
    assert unplaced.relpath is None
    assert unplaced.name == unplaced.suffix == ""
    with pytest.raises(WorkspaceError, match="restore_at"):
        unplaced.restore()


def test_restoring_safely_touches_nothing_of_the_workspace(snap: FileSnapshot, place: Path) -> None:
    place.write_bytes(b"precious")
    safe = snap.restore_safe()
    assert safe.read_bytes() == b"first"
    assert safe.stat().st_mode & 0o222 == 0
    assert safe == snap.restore_safe() == snap.local_cache_path
    assert place.read_bytes() == b"precious"


def test_an_edited_link_target_is_noticed(ann: Repository, snap: FileSnapshot, place: Path) -> None:
    snap.restore()
    place.chmod(0o644)
    place.write_bytes(b"edited through the link")
    assert snap.restore_safe().read_bytes() == b"first"
    again = ann.workspace.root / "again"
    assert snap.restore_at(again).read_bytes() == b"first"


def test_the_function(ann: Repository, snap: FileSnapshot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ann.workspace.root)
    monkeypatch.setenv("HITSAVE_LOCAL_CACHE_DIR", str(ann.cache.path))
    monkeypatch.setenv("HITSAVE_CONFIG_DIR", str(tmp_path / "ann-config"))
    tree = DirectorySnapshot.snap(write(ann.workspace.root / "data"))
    assert restore(snap, "one").read_bytes() == b"first"
    assert restore(snap.digest[:8], "two").read_bytes() == b"first"
    assert read(restore(tree.digest[:8], "three")) == FILES
    assert restore(tree) == ann.workspace.root / "data"
    assert (ann.workspace.root / "data").is_symlink()
    (ann.workspace.root / "four").write_bytes(b"mine")
    with pytest.raises(WorkspaceError):
        restore(snap, "four", overwrite=False)
