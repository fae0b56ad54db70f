"""A recorded file is opened by what names it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

import hitsave
from hitsave.errors import HitsaveError, ObjectNotFound
from hitsave.objects.digest import blob_digest
from hitsave.repository import Repository
from tests.api.content import FILES, LARGE, blobs, write


@pytest.fixture
def data(ann: Repository) -> Path:
    folder = write(ann.workspace.root / "data")
    ann.add(folder)
    ann.push(None)
    return folder


@pytest.fixture
def digest(data: Path) -> str:
    return (data.parent / "data.hitsave").read_text().split()[3]


def test_by_digest_pointer_and_place(ann: Repository, data: Path, digest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(data.parent)
    write(data, {"train/0.png": b"changed since"})
    own = str(blob_digest(FILES["train/0.png"]))
    for name in (
        f"{digest}/train/0.png",
        f"{digest[:8]}/train/0.png",
        f"{digest}:train/0.png",
        own,
        "data.hitsave/train/0.png",
        data.parent / "data.hitsave/train/0.png",
        "data/train/0.png",
    ):
        with hitsave.open(name, repository=ann) as file:
            assert file.read() == FILES["train/0.png"], name


def test_text(ann: Repository, digest: str) -> None:
    with hitsave.open(f"{digest}/readme.md", "r", repository=ann) as file:
        assert file.read() == "about\n"
    folder = write(ann.workspace.root / "texts", {"a": "é\r\n".encode(), "b": "é\n".encode("latin-1")})
    texts = str(ann.keep(folder).digest)
    with hitsave.open(f"{texts}/a", "rt", repository=ann) as file:
        assert file.read() == "é\n"
    with hitsave.open(f"{texts}/a", "r", newline="", repository=ann) as file:
        assert file.read() == "é\r\n"
    with hitsave.open(f"{texts}/b", "r", encoding="latin-1", repository=ann) as file:
        assert file.read() == "é\n"
    with hitsave.open(f"{texts}/b", "r", errors="replace", repository=ann) as file:
        assert file.read() == "�\n"


def test_a_file_is_fetched_and_stays(ben: Repository, digest: str) -> None:
    with hitsave.open(f"{digest}/test/deep/large.bin", repository=ben) as file:
        assert file.read() == LARGE
    assert blobs(ben) == {"test/deep/large.bin"}


def test_without_fetching_nothing_stays(ben: Repository, digest: str) -> None:
    for name, content in FILES.items():
        with hitsave.open(f"{digest}/{name}", fetch=False, repository=ben) as file:
            assert file.read() == content
    with hitsave.open(f"{digest}/readme.md", "r", fetch=False, repository=ben) as text:
        assert list(text) == ["about\n"]
    assert blobs(ben) == set()


def test_what_cannot_be_opened(ann: Repository, data: Path, digest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(data.parent)
    for name in (f"{digest}/nothing", f"{digest}/readme.md/inner", "data.hitsave/nothing"):
        with pytest.raises(FileNotFoundError, match=r"nothing|inner"):
            hitsave.open(name, repository=ann)
    for name in (digest, f"{digest}/train", "data.hitsave", "data"):
        with pytest.raises(IsADirectoryError):
            hitsave.open(name, repository=ann)
    for name in ("absent", "data/absent", "absent.hitsave"):
        with pytest.raises(HitsaveError, match="absent"):
            hitsave.open(name, repository=ann)
    with pytest.raises(ObjectNotFound):
        hitsave.open("0123456789", repository=ann)
    for mode in ("w", "a", "r+", "x", "rb+"):
        with pytest.raises(io.UnsupportedOperation, match="can only be read"):
            hitsave.open(f"{digest}/readme.md", mode, repository=ann)  # type: ignore[call-overload]
