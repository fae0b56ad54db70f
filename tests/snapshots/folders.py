"""Directories as values, on disk and in the cache, and the digests that the specification gives them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

from blake3 import blake3
from hypothesis import strategies as st

from hitsave.cache.store import Cache
from hitsave.objects.digest import Digest
from hitsave.snapshots.capture import CaptureOptions, capture
from hitsave.snapshots.keeping import IntoIntake
from tests.cache.content import ref_to


class File(NamedTuple):
    """A file."""

    content: bytes = b""
    executable: bool = False


class Link(NamedTuple):
    """A symbolic link."""

    target: bytes


Folder: TypeAlias = "Mapping[bytes, File | Link | Folder]"


def number(value: int) -> bytes:
    """Section 4.1: base 128, the least significant digit first."""
    digits = [value & 127]
    while value := value >> 7:
        digits[-1] |= 128
        digits.append(value & 127)
    return bytes(digits)


def expected(folder: Folder) -> tuple[str, int, int]:
    """Digest, size and number of files of a directory, by sections 2 to 4 of the specification alone."""
    entries, size, files = [], 0, 0
    for name in sorted(folder):
        item = folder[name]
        if isinstance(item, File):
            kind = 2 if item.executable else 1
            entry = blake3(item.content).digest() + number(len(item.content))
            size, files = size + len(item.content), files + 1
        elif isinstance(item, Link):
            kind = 4
            entry = blake3(item.target).digest() + number(len(item.target))
            size, files = size + len(item.target), files + 1
        else:
            kind = 3
            digest, inner_size, inner_files = expected(item)
            entry = bytes.fromhex(digest) + number(inner_size) + number(inner_files)
            size, files = size + inner_size, files + inner_files
        entries.append(bytes([kind]) + number(len(name)) + name + entry)
    encoded = b"hst\x01" + number(len(entries)) + b"".join(entries)
    return blake3(encoded, derive_key_context="hitsave 2026-11 tree v1").hexdigest(), size, files


def write(folder: Folder, path: Path | bytes) -> None:
    """Make it on disk."""
    root = os.fsencode(path)
    os.mkdir(root)
    for name, item in folder.items():
        inner = os.path.join(root, name)
        if isinstance(item, File):
            with open(inner, "wb") as file:
                file.write(item.content)
            os.chmod(inner, 0o755 if item.executable else 0o644)
        elif isinstance(item, Link):
            os.symlink(item.target, inner)
        else:
            write(item, inner)


def read(path: Path | bytes) -> Folder:
    """What is on disk."""
    root = os.fsencode(path)
    found: dict[bytes, File | Link | Folder] = {}
    for item in os.scandir(root):
        if item.is_symlink():
            found[item.name] = Link(os.readlink(item.path))
        elif item.is_dir():
            found[item.name] = read(item.path)
        else:
            with open(item.path, "rb") as file:
                found[item.name] = File(file.read(), bool(item.stat().st_mode & 0o100))
    return found


@contextlib.contextmanager
def deep_directory(path: Path, levels: int) -> Iterator[None]:
    """A directory with a file `leaf` so many levels down; what walks by recursion could not even remove it."""
    deep = path / "/".join("d" * levels)
    try:
        os.makedirs(path)
        for level in range(1, levels + 1):
            os.mkdir(path / "/".join("d" * level))
        (deep / "leaf").write_bytes(b"1")
        yield
    finally:
        remove_deep(path, levels)


def remove_deep(path: Path, levels: int) -> None:
    """Remove such a directory."""
    deep = path / "/".join("d" * levels)
    (deep / "leaf").unlink(missing_ok=True)
    for _ in range(levels + 1):
        with contextlib.suppress(FileNotFoundError):
            deep.chmod(0o755)
            deep.rmdir()
        deep = deep.parent


def store(cache: Cache, path: Path, symlinks: str = "store") -> Digest:
    """Keep what is on disk, owned by a snapshot ref."""
    with cache.intake() as intake:
        captured = capture(path, IntoIntake(intake), cache.stats, CaptureOptions(symlinks, everything=True))
        intake.publish([ref_to(captured.digest)])
    return captured.digest


_names = st.sampled_from([b"a", b"b", b"c", b"a.b", b"A", b"\xff", b"\n", b"-", b"x" * 100])
_CONTENTS = (b"", b"1", b"22", b"z" * 200_000)
_files = st.builds(File, st.sampled_from(range(len(_CONTENTS))).map(_CONTENTS.__getitem__), st.booleans())
_links = st.builds(Link, st.sampled_from([b"a", b"b/c", b"nowhere"]))
#: Small directories in which names and contents meet often.
folders: st.SearchStrategy[Folder] = st.dictionaries(
    _names,
    st.recursive(_files | _links, lambda inner: st.dictionaries(_names, inner, max_size=4), max_leaves=8),
    max_size=5,
)
