"""Opens and wires: settings, cache, workspace and remotes. It holds no rules; the modules below it do."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self, TypeVar

from hitsave import recording
from hitsave.amounts import count
from hitsave.cache.store import Cache
from hitsave.config import Config, is_workspace, load
from hitsave.contents import Contents
from hitsave.errors import CacheError, HitsaveError, ObjectError, ObjectNotFound, SnapshotError, WorkspaceError
from hitsave.exchange import Exchange, PulledEvaluations
from hitsave.maintenance import collect as collection
from hitsave.maintenance import repair as repairing_cache
from hitsave.maintenance import verify as verification
from hitsave.naming import Named, Names
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.encoding import decode_tree
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.objects.refs import Namespace, Ref, RefName, public_ref, snapshot_ref
from hitsave.ownership import Project
from hitsave.progress import Progress, Silent
from hitsave.publishing import Publishing
from hitsave.remotes.public.layout import PublicUrl, parse_public_url
from hitsave.remotes.reading.fetch import Fetched
from hitsave.remotes.writing import push as pushing
from hitsave.sending import Sent
from hitsave.snapshots import adding, datasets, history, names, readonly
from hitsave.snapshots.capture import GIT, Captured, CaptureOptions, capture
from hitsave.snapshots.checkout import CheckedOut, Checkout
from hitsave.snapshots.keeping import NameOnly
from hitsave.snapshots.layout import Include
from hitsave.snapshots.materialise import Materialised
from hitsave.snapshots.place import put_object
from hitsave.snapshots.pointer import Pointer, is_pointer, pointer_path
from hitsave.snapshots.status import DatasetStatus, status
from hitsave.snapshots.workspace import Workspace
from hitsave.transfers import Got, Transfers
from hitsave.upkeep import Upkeep

_Used = TypeVar("_Used")


class Pulled(NamedTuple):
    """What a pull did: what came from the remote, what was checked out, and what failed, with the reasons."""

    fetched: Fetched
    checked_out: list[CheckedOut]
    failed: dict[Path, HitsaveError]


class Repository:
    """One workspace with its cache and remotes. Several can be open in one process."""

    _opened: tuple[tuple[object, ...], Repository] | None = None

    def __init__(self, config: Config, cache: Cache, progress: Progress) -> None:
        self.config = config
        self.cache = cache
        self.progress = progress
        self.workspace = Workspace(config.workspace, config.project)
        self.project = Project(self.workspace)
        with suppress(CacheError):  # On a full disk, say. Who only looks needs no note.
            self._follow_name(is_workspace(config.workspace))
        self.exchange = Exchange(config, cache, progress)
        self.names = Names(cache, self.workspace, self.exchange.shelf_if_any, self.exchange.load)
        self.contents = Contents(cache, self.exchange, self.names)
        self.transfers = Transfers(cache, self.exchange, self.project, progress)
        self.publishing = Publishing(config, cache, self.exchange, self.project, progress)

    def _follow_name(self, noting: bool) -> None:
        followed = self.project.take_over(self.cache, noting)
        if followed.refs:
            refs, now = count(followed.refs, "ref"), self.workspace.project
            done = "copied, since another folder goes by the former name" if followed.kept else "renamed"
            self.progress.note(f"this project was called {followed.former} and is {now} now: {refs} {done}")

    @classmethod
    def open(
        cls, start: Path | None = None, environ: Mapping[str, str] | None = None, progress: Progress | None = None
    ) -> Self:
        """The repository of a folder (the current one). Raises ConfigError, CacheError."""
        config = load(start or Path.cwd(), os.environ if environ is None else environ)
        return cls(config, Cache.open(config.cache_dir), progress or Silent())

    @classmethod
    def default(cls) -> Repository:
        """The repository of the current folder and environment; kept open as long as these stay the same."""
        settings = sorted((key, value) for key, value in os.environ.items() if key.startswith("HITSAVE_"))
        key = (os.getpid(), os.getcwd(), *settings)
        if Repository._opened is None or Repository._opened[0] != key:
            Repository._opened = (key, Repository.open())
        return Repository._opened[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cache.close()

    # -- paths and objects

    def relative(self, path: Path) -> Path:
        """A path as seen from the workspace; absolute where it lies outside."""
        return self.project.relative(path)

    def absolute(self, path: Path) -> Path:
        """The place of a path that `relative` gave."""
        return self.workspace.root / path

    def resolve(self, text: str) -> Named:
        """The object that a digest, its beginning, a ref, a pointer file, a path or REV:PATH stands for."""
        return self.names.resolve(text)

    def load(self, digest: Digest) -> bytes:
        """A small object, from the cache or else the remote. Raises ObjectNotFound, CorruptObject."""
        return self.exchange.load(digest)

    def size_of(self, digest: Digest) -> int:
        """The bytes of a blob or an evaluation, or beneath a tree. Raises ObjectNotFound."""
        info = self.cache.info(digest)
        if info is not None:
            kind = info.kind
        else:
            shelf = self.exchange.shelf_if_any()
            if shelf is None:
                raise ObjectNotFound(str(digest))
            kind = shelf.kind_of(digest)
            if kind is ObjectKind.BLOB:
                return shelf.reader.size(digest)
        if kind is ObjectKind.TREE:
            return decode_tree(self.load(digest)).size
        return len(self.load(digest)) if info is None else info.size

    def known_place(self, digest: Digest) -> Path | None:
        """Where, in this workspace, an object was captured; None where no ref of this project tells."""
        return self.project.known_place(self.cache, digest)

    def entry_at(self, root: Digest, path: bytes) -> TreeEntry | None:
        """The file or directory at a path inside a tree, where links within it are followed."""
        return self.contents.entry_at(root, path)

    def walk(self, root: Digest) -> Iterator[tuple[bytes, TreeEntry]]:
        """Every entry beneath a tree, with its path."""
        return names.walk(root, self.contents.load)

    def has_all(self, digest: Digest, kind: ObjectKind) -> bool:
        """Whether an object and all beneath it is in the cache."""
        return datasets.is_complete(self.cache, digest, kind)

    # -- keeping

    def keep(self, path: Path) -> Captured:
        """Snapshot a file or directory; within a memoised call, its evaluation will own it.

        Git's own folders stay out. Raises SnapshotError.
        """
        if os.path.basename(os.path.abspath(path)) == os.fsdecode(GIT):
            raise SnapshotError(f"{path}: is git's own folder")
        options = self._options_of_snapshots(path)
        recorder = recording.current()
        if recorder is not None:
            held = self._keep(path, options, snapshot_ref, recorder.hold)
            if recorder.took(held.digest, held.kind, held.size, self.relative(path).as_posix()):
                return held
        return self._keep(path, options, snapshot_ref)

    def _options_of_snapshots(self, path: Path) -> CaptureOptions:
        place = Path(os.path.abspath(path))
        return replace(datasets.options_for(self.cache, self.workspace, place, self.config.symlinks), without_git=True)

    def keep_replaced(self, path: Path) -> Captured | None:
        """Snapshot what is about to be replaced, also what rules and settings leave out; None for a link to nothing.

        Raises SnapshotError where something in it cannot be kept.
        """
        if path.is_symlink() and not path.exists():
            return None
        options = CaptureOptions(symlinks="store", everything=True, cached=datasets.cached_files(self.cache))
        return self._keep(path, options, snapshot_ref)

    def _keep(
        self, path: Path, options: CaptureOptions, name_of: Callable[[Digest], RefName], hold: str | None = None
    ) -> Captured:
        def name_ref(captured: Captured) -> RefName:
            return name_of(captured.digest)

        owner = datasets.Owner(name_ref, self._ref_maker(path))
        return datasets.keep(self.cache, path, options, owner, self.progress, hold).captured

    def _ref_maker(self, path: Path) -> datasets.MakeRef:
        def make(name: RefName, captured: Captured) -> Ref:
            if name.namespace is Namespace.DATASETS:
                return self.project.make_version(self.cache, name, captured.digest, captured.kind, path)
            return self.project.make_ref(name, captured.digest, captured.kind, path)

        return make

    def identify(self, path: Path) -> Captured:
        """The digest of a snapshot of a file or directory, were one taken now; nothing is stored."""
        return capture(path, NameOnly(), self.cache.stats, self._options_of_snapshots(path), self.progress)

    # -- datasets

    def find_datasets(self, paths: Iterable[Path]) -> list[Path]:
        """The datasets that paths stand for; all of the workspace without any.

        Raises WorkspaceError where a path stands for none, or lies in one.
        """
        given = list(paths)
        for path in given:
            above = None if is_pointer(path) or pointer_path(path).is_file() else self.workspace.dataset_above(path)
            if above is not None:
                raise WorkspaceError(f"{path}: lies in the dataset {os.path.relpath(above)}; name that one")
        return self.workspace.datasets(given)

    def add(self, path: Path) -> adding.Added:
        """Store a dataset and write its pointer file."""
        self._follow_name(noting=True)
        return adding.add(
            self.cache,
            self.workspace,
            path,
            symlinks=self.config.symlinks,
            make_ref=self._ref_maker(path),
            load=self.contents.load,
            progress=self.progress,
        )

    def status(self, paths: Iterable[Path]) -> list[DatasetStatus]:
        """How datasets stand."""
        return status(self.cache, self.workspace, paths, self.config.symlinks, self.progress)

    def checkout(
        self, path: Path, force: bool = False, include: Include | None = None, pointer: Pointer | None = None
    ) -> CheckedOut:
        """Make the working files of a dataset match its pointer file, or `pointer`, which is to become it."""
        return Checkout(
            self.cache, self.workspace, self.config.symlinks, self.config.links, force, include, self.progress
        ).run(path, pointer)

    def pull(
        self, paths: Sequence[Path], remote: str | None = None, include: Include | None = None, force: bool = False
    ) -> Pulled:
        """Fetch what pointer files name, and check it out; what cannot be had holds up nothing else."""
        got = self.fetch(paths, remote, include)
        fetched, failed, done = [got.fetched], dict(got.failed), []

        def fetch_again(path: Path) -> None:
            fetched.append(self.exchange.fetch([self.transfers.named(path)], remote, include))

        def check_out(path: Path) -> CheckedOut:
            return self.exchange.repairing(lambda: self.checkout(path, force, include), lambda: fetch_again(path))

        for path in paths:
            if path not in failed:
                try:
                    done.append(check_out(path))
                except (WorkspaceError, SnapshotError, ObjectError) as error:
                    failed[path] = error
        return Pulled(Fetched(*map(sum, zip(*fetched, strict=True))), done, failed)

    def fetch(self, paths: Iterable[Path], remote: str | None = None, include: Include | None = None) -> Got:
        """Bring what pointer files name into the cache. No remote is asked where everything is here."""
        return self.transfers.fetch(paths, remote, include)

    def pull_evaluations(self, remote: str | None = None) -> PulledEvaluations:
        """Bring what others have run of this project's functions; a result comes when it is first asked for."""
        return self.exchange.pull_evaluations(self.project.has_path, remote)

    # -- snapshots

    def ensure(self, digest: Digest, kind: ObjectKind, include: Include | None = None) -> None:
        """Fetch what is not here, and own it as a snapshot."""
        if not self.exchange.repairing(lambda: self.has_all(digest, kind), lambda: None):
            self.exchange.fetch([self._snapshot_ref(digest, kind)], include=include)

    def _snapshot_ref(self, digest: Digest, kind: ObjectKind) -> Ref:
        known = self.cache.ref(snapshot_ref(digest))
        return known or self.project.make_ref(snapshot_ref(digest), digest, kind, None)

    def open_blob(self, digest: Digest) -> BinaryIO:
        """A blob for reading: from the cache, or else it is fetched."""
        return self._use(digest, ObjectKind.BLOB, lambda: self.cache.open_blob(digest))

    def path_of(self, digest: Digest) -> Path:
        """The read-only file of a blob in the cache; fetched where it is not here."""
        return self._use(digest, ObjectKind.BLOB, lambda: self.cache.path_of(digest))

    def _use(self, digest: Digest, kind: ObjectKind, use: Callable[[], _Used], include: Include | None = None) -> _Used:
        self.ensure(digest, kind, include)
        return self.exchange.repairing(use, lambda: self.ensure(digest, kind, include))

    def restore(self, text: str, place: Path, force: bool = False) -> Materialised:
        """Write what a name stands for at a path. What stands there is refused, or kept first and then replaced."""
        if os.path.lexists(place) and not force:
            raise WorkspaceError(f"{place}: exists; use --force to replace it (it is kept first)")
        link = parse_public_url(text)
        named = self._received(link) if link is not None else self.resolve(text)
        self.ensure(named.digest, named.kind)
        if os.path.lexists(place) and (kept := self.keep_replaced(place)):
            self.progress.note(f"{place}: what was there is kept as {kept.digest.short}")

        def put() -> Materialised:
            return put_object(
                self.cache, named.digest, named.kind, place, named.executable, self.config.links, self.progress
            )

        return self._use(named.digest, named.kind, put)

    def _received(self, link: PublicUrl) -> Named:
        """What a link to a public snapshot names, fetched. Raises RemoteError."""
        entry = self.publishing.receive(link)
        kind = ObjectKind.TREE if entry.kind is EntryKind.TREE else ObjectKind.BLOB
        return Named(entry.digest, kind, entry.kind is EntryKind.EXECUTABLE)

    def read_only_tree(self, digest: Digest, include: Include | None = None, fetch: bool = False) -> Path:
        """A read-only directory under the cache."""

        def make() -> Path:
            return readonly.read_only_tree(self.cache, digest, include, self.progress)

        return self._use(digest, ObjectKind.TREE, make, include) if fetch else make()

    def upload(self, digest: Digest, kind: ObjectKind) -> pushing.Pushed:
        """Send a snapshot to the remote, owned there too."""
        ref = self.cache.ref(public_ref(digest)) or self._snapshot_ref(digest, kind)
        if self.cache.ref(ref.name) is None:
            self.exchange.own(ref)
        return self.exchange.push([ref])

    def is_uploaded(self, digest: Digest) -> bool:
        """Whether the default remote has an object."""
        shelf = self.exchange.shelf_if_any()
        return shelf is not None and shelf.view.has(digest)

    def push(self, paths: Iterable[Path] | None, remote: str | None = None) -> Sent:
        """Send what this project owns; with `paths`, what their pointer files name."""
        self._follow_name(noting=True)
        return self.transfers.push(paths, remote)

    # -- maintenance

    def named_by_pointers(self) -> set[Digest]:
        """What the pointer files of this workspace name now."""
        return {naming.digest for naming in history.named_in_files(self.workspace.root)}

    def named_in_git(self) -> dict[Digest, str]:
        """What pointer files name, or named, in the git repository, and where, for each an example.

        Raises WorkspaceError where there is no repository, or where not all of it can be read.
        """
        found: dict[Digest, str] = {}
        for naming in history.named_in_git(self.workspace.root):
            found.setdefault(naming.digest, naming.where)
        return found

    def size_here(self, digest: Digest) -> int | None:
        """The bytes of a blob, or beneath a tree; None where the cache does not know."""
        info = self.cache.info(digest)
        if info is None or info.kind is not ObjectKind.TREE:
            return None if info is None else info.size
        try:
            return decode_tree(self.cache.read(digest)).size
        except ObjectError:
            return None

    def forget(self, wanted: Iterable[RefName]) -> list[Ref]:
        """Drop refs by name."""
        return collection.forget(self.cache, wanted, int(time.time()))

    def collect(self, keep_seconds: int, dry_run: bool = False) -> collection.Collected:
        """Collect what no ref reaches."""
        done = collection.collect(self.cache, int(time.time()), keep_seconds, dry_run)
        if not dry_run:
            readonly.drop_unowned(self.cache)
        return done

    def undo(self) -> collection.Undone:
        """Take back the last `forget` or `collect`."""
        return collection.undo(self.cache)

    def verify(self) -> verification.Report:
        """Verify the cache."""
        return verification.verify(self.cache, self.progress)

    def repair(self) -> repairing_cache.Repaired:
        """Verify the cache and repair it, from the remotes."""
        return repairing_cache.repair(self.cache, self.exchange.fetch_lost, self.progress)

    def upkeep(self, remote: str | None) -> Upkeep:
        """Looks after a remote, by its name; the default one without."""
        return Upkeep(self.exchange.remote(remote or None), self.cache, self.progress, self.exchange.remotes)
