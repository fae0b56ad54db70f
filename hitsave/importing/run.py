"""An import: versions that are not owned yet are taken and published, some at a time, each under its own ref.

A ref carries the commit that brought the version in, and that commit's time and author, so that a later run knows what
is done without reading anything. Refs are published when everything that they need is in the cache; a run that is
interrupted keeps what it published, and goes on there. Pointer files come last. Nothing of the other tool's is written
to.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Container, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from hitsave.cache.intake import Intake
from hitsave.cache.store import Cache
from hitsave.errors import HitsaveError, ReliedOnLost, WorkspaceError
from hitsave.importing.model import Imported, ListMissing, Origin, Outcome, Skipped, Source, State, Version
from hitsave.importing.taking import Blob, Lacking, Taking, missing_parts, refuse_clashes
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.encoding import decode_tree
from hitsave.objects.model import EntryKind
from hitsave.objects.refs import Namespace, Ref
from hitsave.ownership import Project
from hitsave.progress import Progress
from hitsave.snapshots.gitignore import add_to_gitignore
from hitsave.snapshots.names import walk
from hitsave.snapshots.pointer import Pointer, check_pointer_name, load_pointer, pointer_path, save_pointer

#: So much is published at once: what an interruption can lose.
_BATCH_BYTES = 256 << 20
_BATCH_VERSIONS = 256
_TRIES = 20


class Import:
    """One run, of the versions at or beneath one path of a repository's working folder."""

    def __init__(
        self,
        source: Source,
        root: Path,
        cache: Cache,
        project: Project,
        progress: Progress,
        batch_bytes: int = _BATCH_BYTES,
        link: bool = False,
    ) -> None:
        """`root` is the working folder that the source's paths begin at; for `link` see `Taking`."""
        self._source = source
        workspace = project.workspace.root
        inside = os.path.relpath(os.path.realpath(root), os.path.realpath(workspace))
        self._root = Path(os.path.normpath(workspace / inside))
        self._cache = cache
        self._project = project
        self._progress = progress
        self._taking = Taking(progress, link)
        self._learned_from: dict[bytes, Outcome] = {}
        self._batch_bytes = batch_bytes
        self._new_size = 0
        self._done = {
            (ref.path, Origin(ref.git_commit, ref.created, ref.by)): ref for ref in cache.refs(Namespace.DATASETS)
        }

    def run(self, beneath: Path, dry_run: bool = False) -> Imported:
        """Import what is new. With `dry_run`, only tell what is here and what is missing.

        Raises WorkspaceError where nothing lies beneath the path, FileChanged.
        """
        self._progress.start("reading the history")
        beneath = Path(os.path.abspath(beneath))
        every = [version for version in self._source.versions() if self._place(version).is_relative_to(beneath)]
        workspace = self._project.workspace.root
        outside = {version.path for version in every if not self._place(version).is_relative_to(workspace)}
        versions = [version for version in every if version.path not in outside]
        if not every and not any(self._concerns(skipped, beneath) for skipped in self._source.skipped):
            raise WorkspaceError(f"{beneath}: no commit has a dataset there")
        done = Imported()
        self._progress.start("importing")
        if dry_run:
            done.outcomes = [self._look(version) for version in versions]
        else:
            done.outcomes = list(self._take_all(versions))
            done.new_size = self._new_size
            done.linked, done.copied = self._taking.linked, self._taking.copied
            done.pointers = list(self._write_pointers(done.outcomes))
        done.skipped = [skipped for skipped in self._source.skipped if self._concerns(skipped, beneath)]
        done.skipped += [Skipped(path, f"lies outside of the workspace {workspace}") for path in sorted(outside)]
        return done

    def _concerns(self, skipped: Skipped, beneath: Path) -> bool:
        # What is no path of the repository belongs to all of it.
        return beneath == self._root or (self._root / os.fsdecode(skipped.path)).is_relative_to(beneath)

    def _place(self, version: Version) -> Path:
        return self._root / os.fsdecode(version.path)

    # -- what is there already

    def _known(self, version: Version) -> Outcome | None:
        ref = self._done.get((self._project.path_in(self._place(version)), version.origin))
        if ref is None or not self._cache.owns_whole(ref.digest):
            return None
        outcome = Outcome(version, State.KNOWN, ref.digest, ref.kind)
        if ref.kind is ObjectKind.TREE:
            tree = decode_tree(self._cache.read(ref.digest))
            return replace(outcome, size=tree.size, files=tree.files)
        info = self._cache.info(ref.digest)
        executable = self._source.contents(version).parts[b""].kind is EntryKind.EXECUTABLE
        return replace(outcome, size=info.size if info else 0, files=1, executable=executable)

    def _learn(self, version: Version) -> None:
        """Which contents the last known version of a dataset has: a new one shares most of them, and need not read."""
        outcome = self._learned_from.pop(version.path, None)
        if outcome is None or outcome.digest is None:
            return
        try:
            parts = self._source.contents(outcome.version).parts
        except ListMissing:
            return
        if outcome.kind is ObjectKind.BLOB:
            self._taking.known[parts[b""].key] = Blob(outcome.digest, outcome.size)
            return
        for path, entry in walk(outcome.digest, self._cache.read):
            if entry.kind is not EntryKind.TREE and path in parts:
                self._taking.known[parts[path].key] = Blob(entry.digest, entry.size)

    def _look(self, version: Version) -> Outcome:
        if known := self._known(version):
            return known
        try:
            contents = self._source.contents(version)
            refuse_clashes(contents)
        except ListMissing as error:
            return Outcome(version, State.INCOMPLETE, reason=str(error))
        missing = missing_parts(contents, {})
        state = State.INCOMPLETE if missing else State.READY
        return Outcome(version, state, files=len(contents.parts), missing=missing)

    # -- taking

    def _take_all(self, versions: list[Version]) -> Iterator[Outcome]:
        position = 0
        while position < len(versions):
            batch = self._take_batch(versions[position:])
            yield from batch
            position += len(batch)

    def _take_batch(self, versions: list[Version]) -> list[Outcome]:
        for _ in range(_TRIES):
            with self._cache.intake() as intake:
                outcomes: list[Outcome] = []
                for version in versions[:_BATCH_VERSIONS]:
                    outcomes.append(self._known(version) or self._take(intake, version))
                    if outcomes[-1].state is State.KNOWN:
                        self._learned_from[version.path] = outcomes[-1]
                    if intake.new_bytes >= self._batch_bytes:
                        break
                try:
                    intake.publish(self._refs(outcomes))
                except ReliedOnLost:
                    self._taking.known.clear()
                    continue
                self._new_size += intake.new_bytes
                return outcomes
        raise WorkspaceError("what it shares with older datasets is being collected again and again; try later")

    def _take(self, intake: Intake, version: Version) -> Outcome:
        self._learn(version)
        try:
            taken = self._taking.take(intake, self._source.contents(version))
        except ListMissing as error:
            return Outcome(version, State.INCOMPLETE, reason=str(error))
        if isinstance(taken, Lacking):
            return Outcome(version, State.INCOMPLETE, **taken._asdict())
        name = self._project.workspace.dataset_ref(self._place(version), taken.digest)
        is_kept = self._cache.ref(name) is not None and self._cache.owns_whole(taken.digest)
        return Outcome(version, State.KNOWN if is_kept else State.IMPORTED, **taken._asdict())

    def _refs(self, outcomes: Iterable[Outcome]) -> Iterator[Ref]:
        for outcome in outcomes:
            if outcome.state is State.IMPORTED and outcome.digest is not None and outcome.kind is not None:
                place, origin = self._place(outcome.version), outcome.version.origin
                yield Ref(
                    name=self._project.workspace.dataset_ref(place, outcome.digest),
                    digest=outcome.digest,
                    kind=outcome.kind,
                    created=origin.time,
                    by=origin.author,
                    path=self._project.path_in(place),
                    git_commit=origin.commit,
                )

    # -- pointer files

    def _write_pointers(self, outcomes: Iterable[Outcome]) -> Iterator[bytes]:
        """Beside each dataset that the commit has which is checked out; not over one that says something else."""
        outcomes = list(outcomes)
        versions: dict[bytes, set[Digest | None]] = {}
        for outcome in outcomes:
            versions.setdefault(outcome.version.path, set()).add(outcome.digest)
        for outcome in outcomes:
            if outcome.version.current and outcome.digest is not None and outcome.kind is not None:
                place = self._place(outcome.version)
                pointer = Pointer(outcome.digest, outcome.kind, outcome.size, outcome.files, outcome.executable)
                try:
                    self._refuse_pointer(place, versions[outcome.version.path])
                except HitsaveError as error:
                    self._progress.note(f"no pointer file is written: {error}")
                    continue
                if self._write_pointer(place, pointer):
                    yield outcome.version.path

    def _refuse_pointer(self, place: Path, versions: Container[Digest | None]) -> None:
        check_pointer_name(place)
        if above := self._project.workspace.dataset_above(place):
            raise WorkspaceError(f"{place}: lies in the dataset {above}")
        with contextlib.suppress(FileNotFoundError):
            if load_pointer(pointer_path(place)).digest not in versions:
                raise WorkspaceError(f"{pointer_path(place)}: names a version that was not imported, and stays")

    def _write_pointer(self, place: Path, pointer: Pointer) -> bool:
        place.parent.mkdir(parents=True, exist_ok=True)
        written = save_pointer(pointer_path(place), pointer)
        if self._source.leaves_git_alone:
            with contextlib.suppress(ValueError):  # A name that no line can say: DVC could not write it either.
                add_to_gitignore(place)
        return written
