"""A directory as it was at one moment."""

from __future__ import annotations

import os
import pickle
import re
import warnings
from pathlib import Path

import pytest

from hitsave import DirectorySnapshot, FileSnapshot
from hitsave.errors import ObjectNotFound, WorkspaceError
from hitsave.repository import Repository
from tests.api.content import FILES, LARGE, blobs, lose, read, write


@pytest.fixture
def data(ann: Repository) -> Path:
    return write(ann.workspace.root / "sub/data")


@pytest.fixture
def snap(ann: Repository, data: Path) -> DirectorySnapshot:
    return DirectorySnapshot.snap(data, repository=ann)


@pytest.fixture
def there(ben: Repository, snap: DirectorySnapshot) -> DirectorySnapshot:
    """The same, uploaded, as somebody sees it who has nothing of it yet."""
    snap.upload()
    return DirectorySnapshot.from_digest(snap.digest[:11], repository=ben)


def test_what_it_tells(snap: DirectorySnapshot) -> None:
    assert snap.content_length == sum(map(len, FILES.values()))
    assert snap.name == "data"
    assert snap.relpath == Path("sub/data")
    assert snap.has_local_cache
    assert len(snap) == len(FILES)
    assert sorted(snap) == sorted(FILES)


def test_files(snap: DirectorySnapshot) -> None:
    assert {str(file.relpath): file.content_length for file in snap.files} == {
        name: len(content) for name, content in FILES.items()
    }
    for file in snap.files:
        with file.open() as source:
            assert source.read() == FILES[str(file.relpath)]


def test_indexing(snap: DirectorySnapshot) -> None:
    file = snap["train/0.png"]
    assert isinstance(file, FileSnapshot)
    assert (file.name, file.suffix, file.relpath) == ("0.png", ".png", Path("train/0.png"))
    inner = snap["test"]
    assert isinstance(inner, DirectorySnapshot)
    assert sorted(inner) == ["0.png", "deep/large.bin"]
    assert inner.content_length == 50 + len(LARGE)
    large = inner["deep/large.bin"]
    assert isinstance(large, FileSnapshot)
    assert large.restore_safe().read_bytes() == LARGE
    assert "train/0.png" in snap
    assert "train" in snap
    assert "train/9.png" not in snap
    assert 3 not in snap
    for path in ("train/9.png", "readme.md/x", "../data"):
        with pytest.raises(KeyError):
            snap[path]


def test_what_was_taken_out_goes_back_to_its_place(ann: Repository, snap: DirectorySnapshot, data: Path) -> None:
    (data / "train/0.png").write_bytes(b"changed")
    with pytest.warns(UserWarning, match="was replaced"):
        assert snap["train/0.png"].restore() == data / "train/0.png"
    assert (data / "train/0.png").read_bytes() == FILES["train/0.png"]
    (data / "test/0.png").unlink()
    inner = snap["test"]
    assert isinstance(inner, DirectorySnapshot)
    assert inner["0.png"].restore() == data / "test/0.png"


def test_a_file_that_was_put_back_as_a_link_still_belongs_to_its_directory(
    ann: Repository, snap: DirectorySnapshot, data: Path
) -> None:
    for name in ("train/0.png", "test/deep/large.bin"):
        (data / name).unlink()
        snap[name].restore()
        assert (data / name).is_symlink()
    assert DirectorySnapshot.snap(data, repository=ann) == snap


def test_restoring_as_a_link_to_a_read_only_directory(snap: DirectorySnapshot, data: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert snap.restore() == data
        assert snap.restore() == data
    assert data.is_symlink()
    assert read(data) == FILES
    assert snap.restore_safe() == snap.local_cache_path == data.resolve()
    for path in (data.resolve(), *data.resolve().rglob("*")):
        assert path.stat().st_mode & 0o222 == 0


def test_what_is_replaced_is_kept(ann: Repository, snap: DirectorySnapshot, data: Path) -> None:
    write(data, {"train/0.png": b"changed", "more": b"new"})
    with pytest.raises(WorkspaceError):
        snap.restore(overwrite=False)
    with pytest.warns(UserWarning, match="was replaced") as caught:
        snap.restore()
    assert read(data) == FILES
    found = re.search(r"[0-9a-f]{64}", str(caught[0].message))
    assert found is not None
    kept = DirectorySnapshot.from_digest(found[0], repository=ann)
    assert read(kept.restore_safe()) == {**FILES, "train/0.png": b"changed", "more": b"new"}


def test_up_and_down(ann: Repository, ben: Repository, there: DirectorySnapshot) -> None:
    assert there.is_uploaded
    assert not there.has_local_cache
    assert there.content_length == sum(map(len, FILES.values()))
    with pytest.raises(ObjectNotFound):
        _ = there.local_cache_path
    assert blobs(ben) == set()
    there.download()
    assert there.has_local_cache
    assert blobs(ben) == set(FILES)
    assert read(there.local_cache_path) == FILES


def test_looking_around_downloads_no_content(ben: Repository, there: DirectorySnapshot) -> None:
    assert sorted(there) == sorted(FILES)
    assert [file.content_length for file in there.files if file.name == "large.bin"] == [len(LARGE)]
    assert "train/0.png" in there
    assert blobs(ben) == set()
    with there["train/0.png"].open() as file:  # type: ignore[union-attr]
        assert file.read() == FILES["train/0.png"]
    assert blobs(ben) == {"train/0.png"}


@pytest.mark.parametrize(
    ("include", "wanted"),
    [
        ("*.png", {"train/0.png", "train/1.png", "test/0.png"}),
        ("train/", {"train/0.png", "train/1.png"}),
        (["/readme.md", "test/*.png"], {"readme.md", "test/0.png"}),
        (lambda path: path.endswith("0.png"), {"train/0.png", "test/0.png"}),
        ("nothing", set()),
    ],
)
def test_a_part_comes_without_the_rest(
    ben: Repository, there: DirectorySnapshot, tmp_path: Path, include: object, wanted: set[str]
) -> None:
    out = there.restore_at(tmp_path / "part", include=include)  # type: ignore[arg-type]
    assert set(read(out)) == wanted
    assert blobs(ben) == wanted
    assert not there.has_local_cache
    assert there.restore_safe(include) == out.resolve()  # type: ignore[arg-type]
    assert read(there.restore_safe()) == FILES
    assert blobs(ben) == set(FILES)


def test_a_part_replaces_as_a_whole_does(ben: Repository, there: DirectorySnapshot, tmp_path: Path) -> None:
    write(tmp_path / "part", {"mine": b"precious"})
    with pytest.raises(WorkspaceError):
        there.restore_at(tmp_path / "part", overwrite=False, include="*.png")
    with pytest.warns(UserWarning, match="was replaced"):
        there.restore_at(tmp_path / "part", include="*.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        there.restore_at(tmp_path / "part", include="*.png")  # It stands there already.
    assert len(read(tmp_path / "part")) == 3


def test_an_edited_read_only_directory_is_set_aside_and_made_anew(ann: Repository, snap: DirectorySnapshot) -> None:
    path = snap.restore_safe()
    inner = path / "train"
    inner.chmod(0o755)
    (inner / "0.png").chmod(0o644)
    (inner / "0.png").write_bytes(b"edited")
    again = snap.restore_safe()
    assert again == path
    assert read(again) == FILES
    aside = [item for item in (ann.cache.path / "quarantine").iterdir() if item.is_dir()]
    assert len(aside) == 1
    assert (aside[0] / "train/0.png").read_bytes() == b"edited"
    (again / "train").chmod(0o755)
    (again / "train/more").write_bytes(b"added")
    assert read(snap.restore_safe()) == FILES
    part = snap.restore_safe("*.png")
    (part / "test").chmod(0o755)
    (part / "test/0.png").unlink()
    assert len(read(snap.restore_safe("*.png"))) == 3


def test_a_large_file_edited_in_a_read_only_directory_does_no_harm(
    ann: Repository, snap: DirectorySnapshot, tmp_path: Path
) -> None:
    """It may be a hard link to the file of the cache."""
    snap.upload()
    path = snap.restore_safe() / "test/deep/large.bin"
    path.chmod(0o644)
    path.write_bytes(b"edited")
    assert read(snap.restore_safe()) == FILES
    assert snap["test/deep/large.bin"].restore_safe().read_bytes() == LARGE
    assert ann.verify().faults == ()


def test_a_damaged_file_is_fetched_again(ann: Repository, snap: DirectorySnapshot, tmp_path: Path) -> None:
    snap.upload()
    lose(ann, snap["test/deep/large.bin"].digest)
    assert read(snap.restore_safe()) == FILES
    assert ann.verify().faults == ()


def test_empty_directories_executables_and_links(ann: Repository, ben: Repository, data: Path) -> None:
    (data / "nothing/inside").mkdir(parents=True)
    (data / "readme.md").chmod(0o755)
    snap = DirectorySnapshot.snap(data, repository=ann)
    snap.upload()
    out = DirectorySnapshot.from_digest(snap.digest, repository=ben).restore_safe()
    assert (out / "nothing/inside").is_dir()
    assert os.access(out / "readme.md", os.X_OK)
    assert not (out / "empty").stat().st_mode & 0o111
    assert DirectorySnapshot.snap(out, repository=ben).digest == snap.digest


def test_names_that_are_not_text(ann: Repository, ben: Repository, data: Path) -> None:
    name = os.fsdecode(b"\xff\xfe\n")
    try:
        (data / name).write_bytes(b"odd")
    except OSError:
        pytest.skip("this file system cannot hold such a name")
    snap = DirectorySnapshot.snap(data, repository=ann)
    assert name in snap
    assert name in list(snap)
    snap.upload()
    there = DirectorySnapshot.from_digest(snap.digest, repository=ben)
    with there[name].open() as file:  # type: ignore[union-attr]
        assert file.read() == b"odd"
    assert read(there.restore_safe(lambda path: path == name)) == {name: b"odd"}


def test_pickles(snap: DirectorySnapshot) -> None:
    again = pickle.loads(pickle.dumps(snap))
    assert again == snap
    assert again.repository is None


def test_an_empty_directory(ann: Repository, tmp_path: Path) -> None:
    (tmp_path / "void").mkdir()
    snap = DirectorySnapshot.snap(tmp_path / "void", repository=ann)
    assert (len(snap), snap.content_length, snap.files) == (0, 0, ())
    assert bool(list(snap.restore_safe().iterdir())) is False


def test_read_only_directories_of_what_was_collected_go_too(ann: Repository, snap: DirectorySnapshot) -> None:
    whole, part = snap.restore_safe(), snap.restore_safe("*.png")
    ann.collect(keep_seconds=0)
    assert whole.is_dir()
    assert part.is_dir()
    ann.forget([ref.name for ref in ann.cache.refs()])
    ann.collect(keep_seconds=0)
    assert not whole.exists()
    assert not part.exists()


def test_what_cannot_be_read_of_a_pack_comes_from_the_remote(ann: Repository, data: Path) -> None:
    snap = DirectorySnapshot.snap(data, repository=ann)
    snap.upload()
    for path in (ann.cache.path / "packs").iterdir():
        path.unlink()
    ann.cache.packset.forget_files()
    assert read(snap.restore_safe()) == FILES
    assert snap["train/0.png"].restore_safe().read_bytes() == FILES["train/0.png"]
