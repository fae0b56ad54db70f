"""Directories for tests of the interface in Python."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hitsave.cache.intake import WHOLE_FROM
from hitsave.objects.digest import blob_digest, parse_digest
from hitsave.repository import Repository

LARGE = bytes(range(251)) * (WHOLE_FROM // 250)
FILES = {
    "readme.md": b"about\n",
    "train/0.png": b"zero" * 10,
    "train/1.png": b"one" * 10,
    "test/0.png": b"other" * 10,
    "test/deep/large.bin": LARGE,
    "empty": b"",
}


def write(folder: Path, files: Mapping[str, bytes] = FILES) -> Path:
    """Write files beneath a folder; the folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def read(folder: Path) -> dict[str, bytes]:
    """The files beneath a folder, as `write` takes them."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def blobs(repository: Repository, files: Mapping[str, bytes] = FILES) -> set[str]:
    """The names of those files whose contents are in the cache."""
    return {name for name, content in files.items() if repository.cache.has(blob_digest(content))}


def lose(repository: Repository, digest: str) -> None:
    """Damage the whole file of a blob in the cache."""
    found = repository.cache.path_of(parse_digest(digest))
    found.chmod(0o644)
    found.write_bytes(b"damaged")
