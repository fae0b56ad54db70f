"""Directory snapshots as mappings and as packages' resources are."""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Mapping
from functools import partial
from importlib.resources import as_file
from importlib.resources.abc import Traversable
from pathlib import Path

import pytest

from hitsave import DirectorySnapshot, FileSnapshot
from hitsave.repository import Repository
from tests.api.content import FILES, blobs, write


@pytest.fixture
def snap(ann: Repository) -> DirectorySnapshot:
    return DirectorySnapshot.snap(write(ann.workspace.root / "data"), repository=ann)


@pytest.fixture
def there(ben: Repository, snap: DirectorySnapshot) -> DirectorySnapshot:
    snap.upload()
    return DirectorySnapshot.from_digest(snap.digest, repository=ben)


def content_of(place: Traversable) -> dict[str, bytes] | bytes:
    """What is at a place, by nothing but the protocol."""
    if place.is_file():
        assert not place.is_dir()
        return place.read_bytes()
    assert place.is_dir()
    return {inner.name: content_of(inner) for inner in place.iterdir()}  # type: ignore[misc]


def nested(files: Mapping[str, bytes]) -> dict[str, object]:
    found: dict[str, object] = {}
    for path, content in files.items():
        folder = found
        *above, name = path.split("/")
        for part in above:
            folder = folder.setdefault(part, {})  # type: ignore[assignment]
        folder[name] = content
    return found


def test_it_is_a_mapping_of_files(snap: DirectorySnapshot) -> None:
    assert isinstance(snap, Mapping)
    assert sorted(snap.keys()) == sorted(FILES)
    assert {path: file.read_bytes() for path, file in snap.items()} == FILES
    assert sorted(file.read_bytes() for file in snap.values()) == sorted(FILES.values())
    found = snap.get("train/0.png")
    assert isinstance(found, FileSnapshot)
    assert found == snap["train/0.png"]
    assert snap.get("nothing") is None
    assert ("train" in snap, "nothing" in snap) == (True, False)
    assert snap[""] == snap["."] == snap
    assert dict(snap).keys() == FILES.keys()
    assert hash(snap) == hash(DirectorySnapshot.from_digest(snap.digest, "data", repository=snap.repository))


def test_it_can_be_walked_as_resources_are(there: DirectorySnapshot, ben: Repository) -> None:
    assert isinstance(there, Traversable)
    assert isinstance(there["readme.md"], Traversable)
    assert content_of(there) == nested(FILES)


def test_looking_around_fetches_no_content(there: DirectorySnapshot, ben: Repository) -> None:
    assert [place.name for place in there.iterdir()] == ["empty", "readme.md", "test", "train"]
    assert (there / "test" / "deep").is_dir()
    assert (there / "test/deep" / "large.bin").is_file()
    assert there.joinpath("test", "deep/large.bin").name == "large.bin"
    assert there.joinpath() is there
    assert blobs(ben) == set()
    assert (there / "readme.md").read_text() == "about\n"
    assert blobs(ben) == {"readme.md"}


def test_reading(snap: DirectorySnapshot) -> None:
    readme = snap / "readme.md"
    assert isinstance(readme, FileSnapshot)
    with readme.open() as binary:
        assert binary.read() == b"about\n"
    with readme.open("r") as text:
        assert text.readlines() == ["about\n"]
    with readme.open("r", "utf-16-le", "replace") as text:
        assert text.read() != "about\n"
    with pytest.raises(io.UnsupportedOperation):
        readme.open("w")  # type: ignore[call-overload]
    with as_file(readme) as path:
        assert path.read_bytes() == b"about\n"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="as_file takes directories from Python 3.12 on")
def test_a_directory_as_files(snap: DirectorySnapshot) -> None:
    with as_file(snap / "train") as path:
        assert {inner.name for inner in path.iterdir()} == {"0.png", "1.png"}


def test_what_is_not_there(snap: DirectorySnapshot) -> None:
    for path in ("nothing", "train/nothing", "readme.md/inner", "../data"):
        found = snap / path
        assert isinstance(found, Traversable)
        assert not found.is_file()
        assert not found.is_dir()
        assert not (found / "more").is_file()
        assert found.name == path.rpartition("/")[2]
        assert pickle.loads(pickle.dumps(found)) == found
        readings = (found.open, found.read_bytes, found.read_text, found.iterdir, (found / "x").open)
        for act in (*readings, partial(getattr, found, "digest")):
            with pytest.raises(FileNotFoundError, match=path):
                act()
        assert not hasattr(found, "shape")
    readme = snap / "readme.md"
    assert not (readme / "inner").is_file()
    for act in ((readme / "inner").open, readme.iterdir):
        with pytest.raises(NotADirectoryError, match=r"readme\.md"):
            act()
    assert readme.joinpath() is readme
    for act in ((snap / "train").open, (snap / "train").read_bytes, (snap / "train").read_text):
        with pytest.raises(IsADirectoryError, match="train"):
            act()


def test_links_lead_to_what_they_mean(ann: Repository) -> None:
    root = write(ann.workspace.root / "linked", {"real/file": b"content"})
    (root / "link").symlink_to("real")
    (root / "lost").symlink_to("nothing")
    (root / "file").symlink_to("real/file")
    (root / "out").symlink_to(Path("..") / "linked/real")
    (ann.workspace.root / "hitsave.toml").write_text("project = 'shared'\nsymlinks = 'store'\n")
    environ = {"HITSAVE_LOCAL_CACHE_DIR": str(ann.cache.path)}
    with Repository.open(ann.workspace.root, environ) as storing:
        snap = DirectorySnapshot.from_digest(str(storing.keep(root).digest), repository=storing)
        assert (snap / "link/file").read_bytes() == (snap / "file").read_bytes() == b"content"
        assert sorted(place.name for place in snap.iterdir()) == ["file", "link", "real"]
        assert list(snap) == ["real/file"]
