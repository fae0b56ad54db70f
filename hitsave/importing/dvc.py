"""DVC: the outputs in `.dvc` files and `dvc.lock` of every commit, and the objects in its cache."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from hitsave.errors import WorkspaceError
from hitsave.importing.dvcfiles import (
    ListedFile,
    Output,
    object_paths,
    read_dvc_file,
    read_list,
    read_lock,
    read_settings,
)
from hitsave.importing.history import Found, History
from hitsave.importing.model import Checksum, Contents, ListMissing, Part, Skipped, Version
from hitsave.objects.model import EntryKind

_LOCK, _PIPELINE = b"dvc.lock", "dvc.yaml"
_OWN_FOLDER = ".dvc"


class DvcSource:
    """A repository that DVC is used in."""

    leaves_git_alone = True

    def __init__(self, history: History) -> None:
        """Raises WorkspaceError where nothing in the history is DVC's."""
        self._history = history
        self._outputs: dict[Version, tuple[Output, str]] = {}
        self.skipped: list[Skipped] = []

    def versions(self) -> list[Version]:
        """The outputs, each with the commit that brought it in."""
        current = {(output.path, output.md5) for output, _ in self._read(self._history.head_files(_is_dvc))}
        self.skipped.clear()  # The walk comes across them again.
        seen: set[tuple[str, str]] = set()
        for output, found in self._read(self._history.files(_is_dvc)):
            key = output.path, output.md5
            if key not in seen:
                seen.add(key)
                version = Version(_bytes(output.path), output.md5, found.origin, key in current)
                self._outputs[version] = output, os.fsdecode(os.path.dirname(found.path))
        if not self._outputs and not self.skipped:
            raise WorkspaceError(f"{self._history.root}: no commit has a .dvc file or a dvc.lock with outputs")
        return list(self._outputs)

    def _read(self, files: Iterator[Found]) -> Iterator[tuple[Output, Found]]:
        told: set[Skipped] = set()
        for found in files:
            try:
                outputs = list(self._outputs_in(found))
            except ValueError as error:
                outputs = [Output(os.fsdecode(found.path), problem=str(error))]
            for output in outputs:
                if not output.problem:
                    yield output, found
                    continue
                skipped = Skipped(_bytes(output.path), output.problem)
                if skipped not in told:
                    told.add(skipped)
                    self.skipped.append(skipped)

    def _outputs_in(self, found: Found) -> Iterator[Output]:
        content = self._history.read(found.blob)
        folder, _, name = found.path.rpartition(b"/")
        if name != _LOCK:
            return read_dvc_file(content, os.fsdecode(folder))
        has_pipeline = _PIPELINE in found.tree
        pipeline = self._history.read(str(found.tree[_PIPELINE].id)) if has_pipeline else b""
        return read_lock(content, pipeline, os.fsdecode(folder))

    def contents(self, version: Version) -> Contents:
        """The file, or the files that the directory's list names."""
        output, folder = self._outputs[version]
        if not output.is_directory:
            kind = EntryKind.EXECUTABLE if output.executable else EntryKind.FILE
            return Contents({b"": self._part(version, output, folder, b"", kind)}, is_directory=False)
        parts: dict[bytes, Part] = {}
        for listed in self._list(output, folder):
            kind = EntryKind.EXECUTABLE if listed.executable else EntryKind.FILE
            one = output._replace(md5=listed.md5)
            parts[listed.path] = self._part(version, one, folder, listed.path, kind)
        return Contents(parts, is_directory=True)

    def _list(self, output: Output, folder: str) -> list[ListedFile]:
        for base in self._bases(folder):
            for inside in object_paths(output.md5, output.old_text):
                try:
                    content = Path(base, inside).read_bytes()
                except FileNotFoundError:
                    continue
                if hashlib.md5(content, usedforsecurity=False).hexdigest() != output.md5.removesuffix(".dir"):
                    raise ListMissing(f"the list of its files is damaged ({Path(base, inside)})")
                try:
                    return read_list(content)
                except ValueError as error:
                    raise ListMissing(f"the list of its files {error}") from None
        raise ListMissing("the list of its files is not in DVC's cache")

    def _part(self, version: Version, output: Output, folder: str, inside: bytes, kind: EntryKind) -> Part:
        paths = object_paths(output.md5, output.old_text)
        places = [os.path.join(base, path) for base in self._bases(folder) for path in paths]
        if version.current:
            places.append(os.path.join(self._history.root, os.fsdecode(version.path), os.fsdecode(inside)).rstrip("/"))
        # Texts that differ in their line ends alone had one name, so that which of them was met first would decide.
        key = f"{output.md5} old" if output.old_text else output.md5
        return Part(key, kind, Checksum("md5", output.md5, output.old_text), places=tuple(places))

    @functools.cache  # noqa: B019  as long-lived as its object
    def _bases(self, folder: str) -> tuple[str, ...]:
        """Where objects may lie that a `.dvc` file in `folder` names: the cache, and remotes on this disk."""
        root = self._history.root
        above = [place for place in (root / folder, *(root / folder).parents) if place.is_relative_to(root)]
        own = next((place for place in above if (place / _OWN_FOLDER).is_dir()), root) / _OWN_FOLDER
        cache = "cache"
        remotes: list[str] = []
        for name in ("config", "config.local"):
            try:
                settings = read_settings((own / name).read_text(encoding="utf-8"))
            except FileNotFoundError:
                continue
            except ValueError as error:
                raise WorkspaceError(f"{own / name}: cannot be understood: {error}") from None
            cache = settings.cache or cache
            remotes += [url for url in settings.remotes if "://" not in url]
        return tuple(os.path.normpath(own / os.path.expanduser(place)) for place in (cache, *remotes))


def _is_dvc(name: bytes) -> bool:
    return name == _LOCK or (name.endswith(b".dvc") and name != b".dvc")


def _bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")
