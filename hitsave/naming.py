"""What a word stands for: a digest or its beginning, a ref, a pointer file, a path of the workspace, what is in one of
these (DIGEST:PATH, DATASET:PATH), a version of a dataset (DATASET@DIGEST), or what was at a revision of git (REV:PATH).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from hitsave.cache.store import Cache
from hitsave.errors import AmbiguousDigest, ObjectNotFound, RefError, WorkspaceError
from hitsave.objects.digest import Digest, ObjectKind, is_abbreviation
from hitsave.objects.model import EntryKind
from hitsave.objects.refs import Ref, RefName, parse_ref_name
from hitsave.remotes.public.layout import parse_public_url
from hitsave.snapshots.git import file_at, files_at, is_revision, path_at, seen_otherwise
from hitsave.snapshots.names import entry_at
from hitsave.snapshots.pointer import (
    SUFFIX,
    Pointer,
    is_pointer,
    load_pointer,
    parse_pointer,
    pointer_path,
    target_path,
)
from hitsave.snapshots.workspace import Workspace
from hitsave.versions import Elsewhere, Versions, owner_at

#: Datasets of a folder, in an error.
_MOST_NAMED = 5


class Named(NamedTuple):
    """An object that a word stands for. `executable` is known of what has a pointer file or stands in a tree."""

    digest: Digest
    kind: ObjectKind
    executable: bool = False


@dataclass(frozen=True, slots=True)
class Names:
    """Resolves words. `elsewhere` gives the remote, if there is one, and is called when the cache is no help."""

    cache: Cache
    workspace: Workspace
    elsewhere: Callable[[], Elsewhere | None]
    load: Callable[[Digest], bytes]

    def resolve(self, text: str) -> Named:
        """The object that `text` stands for. Raises ObjectNotFound, AmbiguousDigest, RefError, WorkspaceError."""
        if is_abbreviation(text):
            found = self._by_digest(text)
            if found is not None:
                return found
        if text and not self._is_foreign(text) and (found := self._by_path(Path(os.path.abspath(text)))) is not None:
            return found
        if "/" in text and (ref := self._by_ref(text)) is not None:
            return ref
        if "://" in text:
            raise _unreadable_url(text)
        if (version := self.version_of(text)) is not None:
            return version[1]
        if ":" in text:
            return self._by_parts(text)
        if is_abbreviation(text):
            raise ObjectNotFound(text, "the cache, nor in the remote")
        known = text and is_revision(self.workspace.root, text)
        hint = f"; {text}:PATH is what stood at PATH then" if known else ""
        hint = hint or (_datasets_in(Path(text)) if text else "")
        raise WorkspaceError(f"{text}: is no digest (7 hex digits or more), ref, pointer file or dataset{hint}")

    def part_of_dataset(self, text: str) -> Path | None:
        """The path that DATASET:PATH means; None where the word before the colon names none, or is a revision of git.

        What has the name of a pointer file is no revision.
        """
        before, colon, after = text.partition(":")
        path = Path(os.path.abspath(before))
        if not colon or not before:
            return None
        if is_pointer(path) and path.is_file():
            return target_path(path) / after
        if pointer_path(path).is_file() and not is_revision(self.workspace.root, before):
            return path / after
        return None

    def ref_named(self, text: str, refs: Iterable[Ref]) -> RefName:
        """The one of these refs that a name stands for. Raises RefError, which lists them where there are several.

        A full name, whose digest may be abbreviated; PATH@DIGEST of this workspace; or a digest that one ref holds.
        """
        found = [ref.name for ref in refs if self._means(text, ref)]
        if len(found) == 1:
            return found[0]
        if not found:
            raise RefError(f"there is no ref {text}; 'hitsave show-ref' lists them")
        raise RefError(f"{text} could be {', '.join(map(str, found[:10]))}; name one of them")

    def _means(self, text: str, ref: Ref) -> bool:
        if text == str(ref.name) or (is_abbreviation(text) and str(ref.digest).startswith(text)):
            return True
        before, _, digest = text.rpartition("@")
        if not is_abbreviation(digest):
            before, digest = text, ""  # An `@` of the path's own.
        if not str(ref.digest).startswith(digest):
            return False
        owner = str(ref.name).rpartition("@")[0]
        return owner != "" and owner in (before, owner_at(self.workspace, Path(before)))

    def _by_digest(self, text: str) -> Named | None:
        if len(text) == 64:
            digest = Digest(bytes.fromhex(text))
            if info := self.cache.info(digest):
                return Named(digest, info.kind)
        elif (found := self._one_of(text, self.cache.complete(text))) is not None:
            info = self.cache.info(found)
            if info is not None:
                return Named(found, info.kind)
        there = self.elsewhere()
        if there is None:
            return None
        found = self._one_of(text, there.complete(text))
        return None if found is None else Named(found, there.kind_of(found))

    @staticmethod
    def _one_of(text: str, candidates: list[Digest]) -> Digest | None:
        if len(candidates) > 1:
            raise AmbiguousDigest(text, [str(digest) for digest in candidates])
        return candidates[0] if candidates else None

    def version_of(self, text: str) -> tuple[Path, Named] | None:
        """The dataset and the version of it that PATH@DIGEST means; None where there never was such a dataset.

        Raises WorkspaceError where it has no such version, or PATH lies in a dataset; AmbiguousDigest, RemoteError.
        """
        before, _, digest = text.rpartition("@")
        if not before or not is_abbreviation(digest):
            return None
        path = target_path(Path(before)) if is_pointer(Path(before)) else Path(before)
        if not pointer_path(path).is_file() and self.workspace.dataset_above(path) is not None:
            self._by_path(Path(os.path.abspath(text)))
            return None  # A file of the dataset is called like that.
        version = Versions(self.cache, self.workspace, self.elsewhere).find(path, digest)
        return None if version is None else (path, Named(*version))

    def _refuse_version_inside(self, path: Path, above: Path) -> None:
        """Raises WorkspaceError where a path that is not in a dataset is one that is, with a digest behind it."""
        before, _, digest = os.fspath(path).rpartition("@")
        if not is_abbreviation(digest) or self._by_path(Path(before)) is None:
            return
        inner, dataset = Path(before).relative_to(above).as_posix(), f"{os.path.relpath(above)}@{digest}"
        raise WorkspaceError(
            f"{os.path.relpath(path)}: versions are of whole datasets; {dataset}:{inner} names that part of one, and "
            f"'hitsave checkout --include /{inner} {dataset}' brings it"
        )

    def _by_ref(self, text: str) -> Named | None:
        try:
            name = parse_ref_name(text)
        except ValueError:
            return None
        ref = self.cache.ref(name)
        if ref is None:
            raise RefError(f"there is no ref {name}; 'hitsave show-ref' lists them")
        return Named(ref.digest, ref.kind)

    def _by_path(self, path: Path) -> Named | None:
        """The object of a pointer file, of the dataset at a path, or of a path inside of one."""
        try:
            if is_pointer(path) and path.is_file():
                return _named(load_pointer(path))
            if pointer_path(path).is_file():
                return _named(load_pointer(pointer_path(path)))
        except OSError:
            return None
        if above := self.workspace.dataset_above(path):
            pointer = load_pointer(pointer_path(above))
            inner = Path(os.path.abspath(path)).relative_to(above)
            try:
                return self._inside(Named(pointer.digest, pointer.kind), inner, os.path.relpath(above))
            except WorkspaceError:
                self._refuse_version_inside(path, above)
                raise
        return None

    def _is_foreign(self, text: str) -> bool:
        """Whether a word looks like a path in the dataset that we are in, and is DIGEST:PATH, DATASET:PATH or REV:PATH.

        A path that is there, or has a pointer file, is a path.
        """
        before, colon, _ = text.partition(":")
        path = Path(os.path.abspath(text))
        if not colon or os.path.lexists(path) or pointer_path(path).is_file():
            return False
        if self.workspace.dataset_above(path) is None:
            return False
        if is_abbreviation(before) or self.part_of_dataset(text) is not None:
            return True
        root = self.workspace.root
        return before != "" and (pointer_path(root / before).is_file() or is_revision(root, before))

    def _by_parts(self, text: str) -> Named:
        """`DIGEST:PATH` inside a tree, `DATASET:PATH`, `DATASET@DIGEST:PATH`, or `REV:PATH` in git."""
        before, _, after = text.partition(":")
        if (version := self.version_of(before)) is not None:
            return self._inside(version[1], after)
        if is_abbreviation(before) and (found := self._by_digest(before)) is not None:
            return self._inside(found, after)
        if (place := self.part_of_dataset(text)) is not None and (named := self._by_path(place)) is not None:
            return named
        if not after and is_revision(self.workspace.root, before):
            raise WorkspaceError(f"{text} names no path; {before}:PATH is what stood at PATH then")
        path = path_at(self.workspace.root, after)
        try:
            return self._at_revision(before, path)
        except WorkspaceError as error:
            if hint := self._hint(before, path, after):
                raise WorkspaceError(f"{error}; {hint}") from None
            raise

    def _hint(self, before: str, path: Path, after: str) -> str:
        """What may have been meant by `before:after`, which stands for nothing; empty where that cannot be told."""
        root = self.workspace.root
        if not is_revision(root, before):
            place = root / before
            meant = before and after and pointer_path(place).is_file()
            return f"did you mean '{os.path.relpath(place)}:{after}'?" if meant else ""
        for other, written in seen_otherwise(root, path):
            with contextlib.suppress(WorkspaceError):
                self._at_revision(before, other)
                return f"did you mean '{before}:{written}'?"
        places = files_at(root, before, path, SUFFIX)
        return _listed([f"{before}:{os.path.join(after, target_path(place).relative_to(path))}" for place in places])

    def _at_revision(self, revision: str, path: Path) -> Named:
        """A dataset as a commit of git had it, or what lay in one."""
        root = self.workspace.root
        missing: WorkspaceError | None = None
        for above in (path, *(folder for folder in path.parents if root in folder.parents)):
            pointer = path if above == path and is_pointer(path) else pointer_path(above)
            try:
                content = file_at(root, revision, pointer)
            except WorkspaceError as error:
                missing = missing or error
                continue
            where = f"{revision}:{os.path.relpath(pointer)}"
            named = _named(parse_pointer(content.decode("utf-8", errors="replace"), where))
            return named if above == path else self._inside(named, path.relative_to(above))
        assert missing is not None
        raise missing

    def _inside(self, root: Named, path: Path | str, called: str = "") -> Named:
        """What is at a path in a tree; errors call the tree by this name."""
        called = called or root.digest.short
        if root.kind is not ObjectKind.TREE:
            raise WorkspaceError(f"{called} is a file, so there is no {path} in it")
        entry = entry_at(root.digest, os.fsencode(path), self.load)
        if entry is None:
            raise WorkspaceError(f"{called} has no {path}")
        kind = ObjectKind.TREE if entry.kind is EntryKind.TREE else ObjectKind.BLOB
        return Named(entry.digest, kind, entry.kind is EntryKind.EXECUTABLE)


def _unreadable_url(text: str) -> WorkspaceError:
    if parse_public_url(text) is not None:
        return WorkspaceError(f"{text}: a link is read by 'hitsave snapshot --restore URL OUT' alone")
    form = "https://HOST/public/DIGEST or https://HOST/public/DIGEST/PATH, with all 64 digits"
    return WorkspaceError(f"{text}: is no link to a public snapshot; these are {form}")


def _datasets_in(folder: Path) -> str:
    """The end of a line about a folder that is no dataset: those that it holds; only its own pointer files are seen."""
    try:
        names = sorted(item.name for item in os.scandir(folder) if is_pointer(Path(item.name)))
    except (OSError, ValueError):  # No word that is a path: it holds a NUL, say.
        return ""
    listed = _listed([os.path.normpath(target_path(folder / name)) for name in names])
    return f"; {listed}" if listed else ""


def _listed(datasets: list[str]) -> str:
    """The datasets of a folder, the first few by name; empty without any."""
    more = ", ..." if len(datasets) > _MOST_NAMED else ""
    return f"datasets in it are {', '.join(datasets[:_MOST_NAMED])}{more}" if datasets else ""


def _named(pointer: Pointer) -> Named:
    return Named(pointer.digest, pointer.kind, pointer.executable)
