"""What can stand where a word begins as it does: looked up in settings, in folders and in the cache.

No remote is asked, nothing is made, and what cannot be read gives nothing. Each question is bounded, whatever the size
of the cache or of a folder: a shell waits for the answer.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from hitsave.cli.completing import Kind
from hitsave.config import KEYS, LINKS, SYMLINKS, Config, load
from hitsave.errors import HitsaveError
from hitsave.snapshots.pointer import SUFFIX, load_pointer, pointer_path
from hitsave.snapshots.workspace import PASSED_OVER, Workspace

if TYPE_CHECKING:
    from hitsave.cache.glance import Glance
    from hitsave.objects.digest import Digest
    from hitsave.objects.model import Tree

#: So many of a kind are offered; of more, how they go on.
MOST = 100
#: So many of a folder's entries are looked at.
_MOST_LISTED = 20_000
_MOST_FUNCTIONS = 1000
#: From so many digits on, objects that no ref holds are offered as well.
_DIGITS_OF_OBJECTS = 7
_HEX = re.compile(r"[0-9a-f]{1,64}")
_REF = re.compile(r"(?:evaluations|datasets|snapshots|public)/")
_VALUES = {"symlinks": SYMLINKS, "links": LINKS}


def candidates(kinds: Iterable[Kind], context: click.Context, incomplete: str) -> list[CompletionItem]:
    """The words of these kinds that begin so.

    Their `type` is click's ("plain"; "file" and "dir" leave it to the shell), or "path", of a file; "folder", a path
    that goes on; "partial", another word that goes on.
    """
    folder = context.find_root().params.get("folder")
    if folder is not None:
        os.chdir(folder)
    here = _Here()
    found: dict[str, CompletionItem] = {}
    for kind in kinds:
        with contextlib.suppress(HitsaveError, OSError, ValueError):
            for item in _of_kind(here, kind, context, incomplete):
                found.setdefault(item.value, item)
    return list(found.values())


def _of_kind(here: _Here, kind: Kind, context: click.Context, incomplete: str) -> Iterator[CompletionItem]:
    match kind:
        case Kind.DATASET:
            yield from here.paths(incomplete, inside=False)
        case Kind.OBJECT:
            yield from here.objects(incomplete)
        case Kind.REF:
            yield from here.refs(incomplete)
            yield from here.digests(incomplete, owned=True)
        case Kind.FUNCTION:
            yield from here.functions(incomplete)
        case Kind.REMOTE:
            remotes = here.config.remotes
            yield from (CompletionItem(name, help=url) for name, url in remotes if name.startswith(incomplete))
        case Kind.SETTING:
            keys = [*KEYS, *(f"remotes.{remote.name}" for remote in here.config.remotes)]
            yield from (CompletionItem(key) for key in keys if key.startswith(incomplete))
        case Kind.VALUE:
            values = _VALUES.get(context.params.get("key") or "", ())
            yield from (CompletionItem(value) for value in values if value.startswith(incomplete))
        case Kind.SNAPSHOT if context.params.get("restore") and not context.params.get("words"):
            yield from here.objects(incomplete)
        case Kind.FILE | Kind.SNAPSHOT:
            yield CompletionItem(incomplete, type="file")


class _Here:
    """The current folder, and the cache that its settings name."""

    @cached_property
    def config(self) -> Config:
        """The settings. Raises ConfigError."""
        return load(Path.cwd(), os.environ)

    @cached_property
    def workspace(self) -> Workspace:
        """The workspace."""
        return Workspace(self.config.workspace, self.config.project)

    @cached_property
    def cache(self) -> Glance:
        """The cache, which must be there. Raises CacheError."""
        from hitsave.cache.glance import Glance

        return Glance(self.config.cache_dir)

    # -- refs and digests

    def refs(self, incomplete: str) -> Iterator[CompletionItem]:
        """Refs by their full names."""
        for begun in self.cache.refs(incomplete, MOST):
            yield CompletionItem(begun.text, type="plain" if begun.whole else "partial")

    def digests(self, incomplete: str, owned: bool) -> Iterator[CompletionItem]:
        """Digests as people write them; of all objects where not only those that refs hold are wanted."""
        if not _HEX.fullmatch(incomplete):
            return
        names = self.cache.owned(incomplete, MOST)
        rest: set[Digest] = set()
        if not owned and len(incomplete) >= _DIGITS_OF_OBJECTS:
            rest = self.cache.objects(incomplete, MOST)
        for digest in sorted({*names, *rest}):
            text = digest.short if digest.short.startswith(incomplete) else str(digest)
            yield CompletionItem(text, help=names.get(digest, "").rpartition("@")[0] or None)

    def functions(self, incomplete: str) -> Iterator[CompletionItem]:
        """Functions by their full names; where none begins so, by the ends of their names."""
        names = self.cache.functions(_MOST_FUNCTIONS)
        found = [name for name in names if name.startswith(incomplete)]
        if not found:
            found = [end for name in names for end in _ends(name) if end.startswith(incomplete)]
        yield from map(CompletionItem, found)

    # -- objects

    def objects(self, incomplete: str) -> Iterator[CompletionItem]:
        """Whatever stands for an object."""
        before, colon, path = incomplete.partition(":")
        if colon and _HEX.fullmatch(before):
            yield from self._in_digest(before, path)
        elif colon:  # REV:PATH; what there was at that commit is not looked up.
            for item in self.paths(path, inside=True):
                item.value = f"{before}:{item.value}"
                yield item
        else:
            with contextlib.suppress(OSError):
                yield from self.paths(incomplete, inside=True)
            with contextlib.suppress(HitsaveError):
                if _REF.match(incomplete):
                    yield from self.refs(incomplete)
                yield from self.digests(incomplete, owned=False)

    def _in_digest(self, before: str, path: str) -> Iterator[CompletionItem]:
        found = self.cache.objects(before, 1)
        if found and len(before) >= _DIGITS_OF_OBJECTS:
            yield from self._in_tree(found.pop(), path, f"{before}:")

    def _in_tree(self, root: Digest, path: str, head: str) -> Iterator[CompletionItem]:
        """What lies in a tree, as far as its directories are in the cache."""
        from hitsave.objects.model import EntryKind

        folder, slash, last = path.rpartition("/")
        tree = self._tree_at(root, folder)
        matching = (entry for entry in tree.entries if entry.name.startswith(os.fsencode(last))) if tree else ()
        for entry in islice(matching, MOST * 10):
            is_folder = entry.kind is EntryKind.TREE
            text = head + folder + slash + os.fsdecode(entry.name) + "/" * is_folder
            yield CompletionItem(text, type="folder" if is_folder else "path")

    def _tree_at(self, root: Digest, path: str) -> Tree | None:
        from hitsave.objects.encoding import decode_tree

        digest = root
        for name in [b"", *os.fsencode(path).split(b"/")]:
            if name in (b"", b"."):
                continue
            content = self.cache.tree(digest)
            entry = decode_tree(content).get(name) if content is not None else None
            if entry is None:
                return None
            digest = entry.digest
        content = self.cache.tree(digest)
        return None if content is None else decode_tree(content)

    # -- paths

    def paths(self, incomplete: str, inside: bool) -> Iterator[CompletionItem]:
        """Datasets, and the folders on the way to them; with `inside`, also what lies in one."""
        head, slash, last = incomplete.rpartition("/")
        folder = Path(os.path.abspath(os.path.expanduser(head + slash)))
        dataset = self.workspace.dataset_above(folder / "x")
        if dataset is not None:
            if inside:
                pointer = load_pointer(pointer_path(dataset))
                within = folder.relative_to(dataset).as_posix().removeprefix(".")
                yield from self._as_typed(pointer.digest, within, head + slash, last)
            return
        datasets, folders = _listed(folder)
        for name in sorted(datasets):
            if name.startswith(last):
                yield CompletionItem(head + slash + name, type="path")
            elif last.startswith(f"{name}.") and f"{name}{SUFFIX}".startswith(last):
                yield CompletionItem(f"{head}{slash}{name}{SUFFIX}", type="path")
        for name in sorted(folders - datasets):
            if name.startswith(last) and (last or not name.startswith(".")):
                yield CompletionItem(f"{head}{slash}{name}/", type="folder")

    def _as_typed(self, root: Digest, within: str, typed: str, last: str) -> Iterator[CompletionItem]:
        inner = f"{within}/{last}" if within else last
        for item in self._in_tree(root, inner, ""):
            item.value = typed + item.value.removeprefix(f"{within}/" if within else "")
            yield item


def _listed(folder: Path) -> tuple[set[str], set[str]]:
    """The names of datasets in a folder, and of its folders."""
    with os.scandir(folder) as listing:
        items = list(islice(listing, _MOST_LISTED))
    datasets = {item.name.removesuffix(SUFFIX) for item in items if item.name.endswith(SUFFIX) and item.name != SUFFIX}
    folders = {item.name for item in items if item.is_dir() and os.fsencode(item.name) not in PASSED_OVER}
    return datasets, folders


def _ends(name: str) -> Iterator[str]:
    while "." in name:
        name = name.partition(".")[2]
        yield name
