"""The user's project folder: what is a dataset in it, under which name, and where its pointer files are."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from hitsave.errors import WorkspaceError, suggest
from hitsave.objects.digest import Digest, is_abbreviation
from hitsave.objects.refs import RefName, dataset_ref
from hitsave.snapshots.pointer import SUFFIX, is_pointer, pointer_path, target_path
from hitsave.snapshots.staging import STAGING
from hitsave.snapshots.within import begins_project_at, project_between

#: Folders of tools, and of our own, which hold no pointer files of the user's.
PASSED_OVER = frozenset(
    (b".git", b".hg", b".svn", b".venv", b"venv", b"node_modules", b"__pycache__", b".tox", os.fsencode(STAGING))
)
#: So many entries of a folder are looked at for a name that was meant.
_MOST_LISTED = 10_000


@dataclass(frozen=True, slots=True)
class Workspace:
    """A project folder and the project's name, under which its datasets are owned."""

    root: Path
    project: str

    @property
    def in_git(self) -> bool:
        """Whether the folder, or one above it, is a git repository."""
        return any((folder / ".git").exists() for folder in (self.root, *self.root.parents))

    def relative(self, path: Path) -> bytes:
        """A path within the workspace, with `/` between its parts. Raises WorkspaceError where it lies outside."""
        absolute = Path(os.path.abspath(path))
        try:
            inside = absolute.relative_to(self.root)
        except ValueError:
            try:
                inside = (absolute.parent.resolve() / absolute.name).relative_to(self.root.resolve())
            except ValueError:
                raise WorkspaceError(f"{path}: lies outside of the workspace {self.root}") from None
        return os.fsencode(inside.as_posix())

    def _refuse_outside(self, path: Path) -> None:
        if not path.resolve().is_relative_to(self.root.resolve()):
            self.relative(path)  # A link may lead out of the workspace, where it stands in it.

    def dataset_ref(self, path: Path, digest: Digest) -> RefName:
        """The ref of one version of the dataset at a path."""
        return dataset_ref(self.project, self.relative(path), digest)

    def dataset_above(self, path: Path) -> Path | None:
        """The dataset that a path lies in, where it lies in one."""
        absolute = Path(os.path.abspath(path))
        for above in absolute.parents:
            if above == self.root or self.root not in above.parents:
                return None
            if pointer_path(above).is_file():
                return above
        return None

    def refuse_inside_dataset(self, place: Path) -> None:
        """Raises WorkspaceError where a remote would be a part of what is to be sent to it."""
        for folder in (place, Path(os.path.realpath(place))):
            dataset = folder if pointer_path(folder).is_file() else self.dataset_above(folder)
            if dataset is not None:
                raise WorkspaceError(f"{place}: lies in the dataset {dataset}; a remote needs a place of its own")

    def refuse_other_project(self, path: Path) -> None:
        """Raises WorkspaceError for what belongs to a project within this one; a dataset may be a repository itself."""
        absolute = Path(os.path.abspath(path))
        is_dataset = is_pointer(absolute) or pointer_path(absolute).is_file()
        other = project_between(self.root, absolute.parent if is_dataset else absolute)
        if other is not None:
            where = "is" if other == absolute else f"lies in {other}, which is"
            place = shlex.quote(os.path.relpath(other))
            raise WorkspaceError(f"{path}: {where} a project of its own; 'hitsave -C {place} ...' works in it")

    def datasets(self, paths: Iterable[Path]) -> list[Path]:
        """The datasets that paths stand for: a dataset, its pointer file, or a folder with pointer files beneath.

        No paths stand for the whole workspace. What lies in a project within this one is that one's. Raises
        WorkspaceError where a path stands for nothing, or for what is another project's.
        """
        given = list(paths)
        found: dict[Path, None] = {}
        for path in given or [self.root]:
            absolute = Path(os.path.abspath(path))
            self._refuse_outside(absolute)
            self.refuse_other_project(absolute)
            if is_pointer(absolute) and absolute.is_file():
                found[target_path(absolute)] = None
            elif pointer_path(absolute).is_file():
                found[absolute] = None
            elif absolute.is_dir():
                beneath = sorted(find_own_pointers(absolute))
                if not beneath and given:
                    raise WorkspaceError(f"{path}: is no dataset and holds none; 'hitsave add {path}' makes it one")
                found.update(dict.fromkeys(target_path(pointer) for pointer in beneath))
            else:
                missing = f"{path}: there is no such dataset ({pointer_path(absolute).name} is missing)"
                raise WorkspaceError(missing + _meant(path))
        return list(found)


def _meant(path: Path) -> str:
    """What may have been meant by a path at which there is no dataset."""
    text = os.fspath(path)
    before, at, digest = text.rpartition("@")
    if at and is_abbreviation(digest) and pointer_path(Path(before)).is_file():
        return f"; 'hitsave checkout {text}' takes versions of a dataset"
    if is_abbreviation(text):
        return f"; 'hitsave snapshot --restore {text} PATH' writes what a digest names"
    if any(sign in text for sign in "*?"):
        return "; a shell finds what a pattern means, where it stands in no quotes"
    return suggest(text, _datasets_beside(path))


def _datasets_beside(path: Path) -> Iterator[str]:
    """The datasets in the folder of a path, named as that is."""
    with suppress(OSError), os.scandir(path.parent) as listing:
        names = (item.name for item in islice(listing, _MOST_LISTED) if is_pointer(Path(item.name)))
        yield from (os.fspath(target_path(path.with_name(name))) for name in names)


#: Told of folders that cannot be read.
Unreadable = Callable[[OSError], object]


def find_pointers(folder: Path, unreadable: Unreadable | None = None) -> Iterator[Path]:
    """Every pointer file beneath a folder; what lies inside of datasets is their content and is not looked at.

    Folders that cannot be read are told to `unreadable`; without it, raises OSError.
    """
    return _find_pointers(folder, unreadable, own=False)


def find_own_pointers(folder: Path, unreadable: Unreadable | None = None) -> Iterator[Path]:
    """As `find_pointers`, without those of projects that lie within the one of the folder."""
    return _find_pointers(folder, unreadable, own=True)


def _find_pointers(folder: Path, unreadable: Unreadable | None, own: bool) -> Iterator[Path]:
    top = os.fsencode(folder)
    pending = [top]
    suffix = SUFFIX.encode()
    while pending:
        directory = pending.pop()
        try:
            with os.scandir(directory) as listing:
                items = list(listing)
        except OSError as error:
            if unreadable is None:
                raise
            unreadable(error)
            continue
        if own and directory != top and begins_project_at(directory, {item.name for item in items}):
            continue
        datasets = {item.name.removesuffix(suffix) for item in items if item.name.endswith(suffix)}
        for item in items:
            if item.is_dir(follow_symlinks=False):
                if item.name not in PASSED_OVER and item.name not in datasets:
                    pending.append(item.path)
            elif item.name.endswith(suffix) and item.name != suffix:
                yield Path(os.fsdecode(item.path))
