"""Keeps the catalogue up with what it is about.

Refs are compared with those that it knows: what came is read once, what went is dropped. First come evaluations, which
most pages list; the insides of datasets are read when somebody asks what takes the space.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as WaitedLongEnough
from contextlib import suppress
from itertools import islice
from queue import SimpleQueue
from typing import TypeVar

from hitsave.errors import MalformedObject
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.encoding import decode_tree
from hitsave.objects.evaluation import Acceptance, Evaluation, decode_evaluation
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.objects.refs import Namespace, Ref
from hitsave.objects.shapes import LARGEST
from hitsave.server.pages.catalogue.shown import Value, values_of
from hitsave.server.pages.catalogue.tables import Tables
from hitsave.server.pages.holdings import LARGEST_RECORD, LARGEST_TREE, Holdings
from hitsave.server.paths import captured_path

#: Objects that are in memory together; with displays, which have up to 256 KiB, some 60 MB. What is read of larger ones
#: is added as soon as it is so many bytes.
_READ_AT_ONCE = 250
_ADDED_AT_ONCE = 16 << 20
#: The largest objects that are looked into. What is larger, nobody has made to be read.
_LARGEST = {ObjectKind.EVALUATION: LARGEST_RECORD, ObjectKind.TREE: LARGEST_TREE}
#: In characters: what ran, by whom and with what stands in each row of a table, and a record may say 16 MiB of that.
_LONGEST_NAME, _LONGEST_WORD = 1000, 300
_NOTHING = object()

_Item = TypeVar("_Item")


class Filling:
    """Fills one catalogue, in a thread of its own."""

    def __init__(self, tables: Tables, holdings: Holdings) -> None:
        self._tables = tables
        self._holdings = holdings
        self._asked: SimpleQueue[tuple[bool, Future[None]]] = SimpleQueue()
        self._lock = threading.Lock()
        self._under_way: dict[bool, Future[None]] = {}
        self._seen: Hashable = _NOTHING
        #: Of what is being read, how much is done; (0, 0) where nothing is.
        self.progress = (0, 0)
        with tables.writing() as connection:  # What could not be read may have been fetched, or repaired.
            connection.execute("UPDATE objects SET known = 0 WHERE known = 2")
        # Nobody waits for it at the end: what it has not finished is done again.
        threading.Thread(target=self._work, name="hitsave-catalogue", daemon=True).start()

    def catch_up(self, whole: bool, patience: float, now: bool = False) -> bool:
        """Have what came since be known, with `whole` also what is inside of datasets.

        With `now`, nobody's look counts that began before. False where that takes longer than `patience` seconds: it
        goes on meanwhile. Raises RemoteError, CacheError.
        """
        with self._lock:
            running = self._under_way.get(whole)
            if now or running is None or running.done():
                running = self._under_way[whole] = Future()
                self._asked.put((whole, running))
        try:
            running.result(patience)
        except WaitedLongEnough:
            return running.done()
        return True

    def _work(self) -> None:
        while True:
            whole, running = self._asked.get()
            try:
                self._run(whole)
            except BaseException as error:
                running.set_exception(error)
            else:
                running.set_result(None)

    def _run(self, whole: bool) -> None:
        try:
            self._update_refs()
            self._read(ObjectKind.EVALUATION, self._add_evaluations)
            if whole:
                while self._read(ObjectKind.TREE, self._add_trees):
                    pass
                self._find_sizes()
        finally:
            self.progress = (0, 0)

    # -- refs

    def _update_refs(self) -> None:
        state = self._holdings.state()
        if state == self._seen:
            return
        refs = {(ref.name.namespace.value, ref.name.name): ref for ref in self._holdings.refs()}
        with self._tables.writing() as connection:
            known = {
                (namespace, name): (number, bytes(digest))
                for number, namespace, name, digest in connection.execute(
                    "SELECT refs.id, namespace, name, digest FROM refs JOIN objects ON objects.id = object"
                )
            }
            gone = [at for name, (at, digest) in known.items() if name not in refs or refs[name].digest != digest]
            connection.executemany("DELETE FROM refs WHERE id = ?", [(at,) for at in gone])
            new = (ref for name, ref in refs.items() if name not in known or known[name][1] != ref.digest)
            for ref in new:
                _add_ref(connection, ref)
            if gone:
                _drop_unowned(connection)
        self._seen = state

    # -- objects

    def _read(
        self, kind: ObjectKind, add: Callable[[sqlite3.Connection, Mapping[int, tuple[Digest, bytes]]], None]
    ) -> bool:
        """Read the objects of a kind of which nothing is known yet; whether there were any that can be read."""
        with self._tables.reading() as connection:
            query = "SELECT id, digest FROM objects WHERE kind = ? AND known = 0"
            unknown = {Digest(digest): number for number, digest in connection.execute(query, (int(kind),))}
        done = 0
        for some in _batches(unknown, _READ_AT_ONCE):
            self.progress = (done, len(unknown))
            lost = set(some)
            for read in _by_size(self._holdings.read_many(some, _LARGEST[kind])):
                lost -= {digest for digest, _ in read}
                found = {unknown[digest]: (digest, content) for digest, content in read}
                with self._tables.writing() as connection:
                    add(connection, found)
                    connection.executemany("UPDATE objects SET known = 1 WHERE id = ?", [(number,) for number in found])
            with self._tables.writing() as connection:
                # What cannot be read now is not asked for again until another process looks.
                rest = [(unknown[digest],) for digest in lost]
                connection.executemany("UPDATE objects SET known = 2 WHERE id = ?", rest)
            done += len(some)
        return bool(unknown)

    def _add_evaluations(self, connection: sqlite3.Connection, found: Mapping[int, tuple[Digest, bytes]]) -> None:
        decoded: dict[int, Evaluation] = {}
        for number, (_, content) in found.items():
            try:
                value = decode_evaluation(content)
            except MalformedObject:
                continue
            _add_edges(connection, number, zip(_names_in(value), value.links, strict=True))
            if isinstance(value, Evaluation):
                decoded[number] = value
        displays = {value.display.digest for value in decoded.values() if value.display is not None}
        shown = dict(self._holdings.read_many(displays, LARGEST))
        adding = _Adding(connection)
        for number, value in decoded.items():
            display = shown.get(value.display.digest) if value.display is not None else None
            adding.add(number, value, values_of(value, display))

    def _add_trees(self, connection: sqlite3.Connection, found: Mapping[int, tuple[Digest, bytes]]) -> None:
        for number, (_, content) in found.items():
            with suppress(MalformedObject):
                tree = decode_tree(content)
                entries = [(entry.name, (entry.digest, _kind_of(entry), entry.size)) for entry in tree.entries]
                _add_edges(connection, number, entries)
                connection.execute("UPDATE objects SET size = ? WHERE id = ?", (_bounded(tree.size), number))

    def _find_sizes(self) -> None:
        """Ask for the sizes that nothing has told: of files that are datasets or snapshots themselves."""
        with self._tables.reading() as connection:
            query = "SELECT id, digest FROM objects WHERE kind = ? AND size IS NULL AND known = 0"
            unknown = connection.execute(query, (int(ObjectKind.BLOB),)).fetchall()
        for number, digest in unknown:
            size = None
            with suppress(*self._holdings.faults):
                size = self._holdings.contents.size(Digest(digest))
            with self._tables.writing() as connection:
                connection.execute("UPDATE objects SET size = ?, known = 1 WHERE id = ?", (size, number))


def _by_size(items: Iterable[tuple[Digest, bytes]]) -> Iterator[list[tuple[Digest, bytes]]]:
    some: list[tuple[Digest, bytes]] = []
    for digest, content in items:
        some.append((digest, content))
        if sum(len(each) for _, each in some) >= _ADDED_AT_ONCE:
            yield some
            some = []
    if some:
        yield some


def _batches(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


# -- inside write transactions


def owner_of(ref: Ref) -> str:
    """What people know a ref's owner by: a dataset's project and path, a function, or the path of a snapshot."""
    name = ref.name.name
    if ref.name.namespace is Namespace.DATASETS:
        quoted = name.rpartition("@")[0]
    elif ref.name.namespace is Namespace.EVALUATIONS:
        quoted = name.partition("/")[0]
    else:
        quoted = ref.path
    return captured_path(quoted).decode("utf-8", "replace")


def _add_ref(connection: sqlite3.Connection, ref: Ref) -> None:
    number = _object(connection, ref.digest, ref.kind, None)
    connection.execute(
        "INSERT INTO refs(namespace, name, owner, object, created, by, path, git) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            ref.name.namespace.value,
            ref.name.name,
            owner_of(ref),
            number,
            ref.created,
            ref.by,
            ref.path,
            ref.git_commit,
        ),
    )


def _object(connection: sqlite3.Connection, digest: Digest, kind: ObjectKind, size: int | None) -> int:
    found = connection.execute("SELECT id, size FROM objects WHERE digest = ?", (bytes(digest),)).fetchone()
    if found is None:
        row = (bytes(digest), int(kind), size)
        return connection.execute("INSERT INTO objects(digest, kind, size) VALUES (?, ?, ?)", row).lastrowid or 0
    if found[1] is None and size is not None:
        connection.execute("UPDATE objects SET size = ? WHERE id = ?", (size, found[0]))
    return int(found[0])


def _kind_of(entry: TreeEntry) -> ObjectKind:
    return ObjectKind.TREE if entry.kind is EntryKind.TREE else ObjectKind.BLOB


def _bounded(size: int) -> int:
    """What a database can hold of a size that somebody has made up."""
    return min(size, (1 << 63) - 1)


def _add_edges(
    connection: sqlite3.Connection, parent: int, needs: Iterable[tuple[bytes, tuple[Digest, ObjectKind, int]]]
) -> None:
    """Note what an object needs, by its names for that."""
    rows = [(parent, name, _object(connection, digest, kind, _bounded(size))) for name, (digest, kind, size) in needs]
    connection.executemany("INSERT OR IGNORE INTO edges VALUES (?, ?, ?)", rows)


def _names_in(value: Evaluation | Acceptance) -> list[bytes]:
    """What an evaluation's links are for, in their order."""
    if isinstance(value, Acceptance):
        return [b"code"]
    named = {"display": value.display, "code": value.manifest, "reason": value.reason, "result": value.result}
    words = [f"result, part {number}" for number, _ in enumerate(value.buffers, 1)]
    words += [word for word, link in named.items() if link is not None]
    words += [f"snapshot {number} {taken.path}".rstrip() for number, taken in enumerate(value.snapshots, 1)]
    return [word.encode() for word in words]


class _Adding:
    """Adds evaluations, and remembers the numbers of versions and fields meanwhile."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._versions: dict[tuple[str, bytes], int] = {}
        self._fields: dict[tuple[int, str], int] = {}

    def add(self, number: int, value: Evaluation, shown: Mapping[str, Value]) -> None:
        version = self._version(value.function[:_LONGEST_NAME], bytes(value.code))
        row = (number, version, value.started, value.elapsed, _bounded(value.size), int(value.experiment))
        self._connection.execute(
            "INSERT OR IGNORE INTO evaluations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*row, *(text[:_LONGEST_WORD] for text in (value.by, value.git, value.python))),
        )
        rows = [(number, self._field(version, path), found.number, found.text) for path, found in shown.items()]
        self._connection.executemany("INSERT OR IGNORE INTO field_values VALUES (?, ?, ?, ?)", rows)

    def _version(self, function: str, code: bytes) -> int:
        if (function, code) not in self._versions:
            insert = "INSERT OR IGNORE INTO versions(function, code) VALUES (?, ?)"
            self._connection.execute(insert, (function, code))
            query = "SELECT id FROM versions WHERE function = ? AND code = ?"
            self._versions[function, code] = self._connection.execute(query, (function, code)).fetchone()[0]
        return self._versions[function, code]

    def _field(self, version: int, path: str) -> int:
        if (version, path) not in self._fields:
            insert = "INSERT OR IGNORE INTO fields(version, path) VALUES (?, ?)"
            self._connection.execute(insert, (version, path))
            query = "SELECT id FROM fields WHERE version = ? AND path = ?"
            self._fields[version, path] = self._connection.execute(query, (version, path)).fetchone()[0]
        return self._fields[version, path]


def _drop_unowned(connection: sqlite3.Connection) -> None:
    """Drop what no ref leads to any more."""
    connection.execute("CREATE TEMP TABLE live(id INTEGER PRIMARY KEY)")
    connection.execute(
        "INSERT INTO live WITH RECURSIVE found(id) AS (SELECT object FROM refs UNION "
        "SELECT child FROM edges JOIN found ON edges.parent = found.id) SELECT id FROM found"
    )
    for table, column in (
        ("field_values", "evaluation"),
        ("evaluations", "id"),
        ("edges", "parent"),
        ("objects", "id"),
    ):
        connection.execute(f"DELETE FROM {table} WHERE {column} NOT IN (SELECT id FROM live)")
    connection.execute("DELETE FROM versions WHERE id NOT IN (SELECT version FROM evaluations)")
    connection.execute("DELETE FROM fields WHERE version NOT IN (SELECT id FROM versions)")
    connection.execute("DROP TABLE live")
