"""What the catalogue tells of objects: the largest, who owns them, what is free without some refs; and of datasets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.refs import Namespace, RefName
from hitsave.server.pages.catalogue.tables import Tables

#: Owners of one object are followed no further than to so many refs.
MOST_OWNERS = 10_000
_DEEPEST = 256
_MOST_ABOVE = 2000


class RefRow(NamedTuple):
    """A ref, and what people know its owner by; `created` in seconds since 1970, `size` in bytes, where known."""

    name: RefName
    owner: str
    digest: Digest
    kind: ObjectKind
    size: int | None
    created: int
    by: str
    path: str
    git: str

    @property
    def at(self) -> str:
        """`NAMESPACE/NAME`."""
        return str(self.name)


class BlobRow(NamedTuple):
    """A blob; `size` in bytes."""

    id: int
    digest: Digest
    size: int


class Totals(NamedTuple):
    """How many objects there are, and bytes of content."""

    blobs: int
    size: int


class Loss(NamedTuple):
    """What is lost with some refs: objects that nobody else owns, their bytes, and the bytes that others own, too."""

    objects: int
    freed: int
    shared: int


class DatasetRow(NamedTuple):
    """One dataset: how many versions there are, and the newest of them."""

    owner: str
    versions: int
    newest: RefRow


_REF = "r.namespace, r.name, r.owner, o.digest, o.kind, o.size, r.created, r.by, r.path, r.git"
_UP = "WITH RECURSIVE up(id) AS (SELECT ? UNION SELECT parent FROM edges JOIN up ON child = up.id{limit}) "


class OwnerTables:
    """Lookups of objects and refs."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def totals(self) -> Totals:
        """All blobs."""
        query = "SELECT COUNT(*), TOTAL(size) FROM objects WHERE kind = ?"
        with self._tables.reading() as connection:
            count, size = connection.execute(query, (int(ObjectKind.BLOB),)).fetchone()
        return Totals(count, int(size))

    def largest(self, offset: int, limit: int) -> list[BlobRow]:
        """Blobs, the largest first."""
        query = (
            "SELECT id, digest, size FROM objects WHERE kind = ? AND size >= 0 "
            "ORDER BY size DESC, id DESC LIMIT ? OFFSET ?"
        )
        with self._tables.reading() as connection:
            rows = connection.execute(query, (int(ObjectKind.BLOB), limit, offset)).fetchall()
        return [BlobRow(number, Digest(digest), size) for number, digest, size in rows]

    def find(self, digest: Digest) -> tuple[ObjectKind, int | None] | None:
        """Kind and size of an object that some ref leads to."""
        with self._tables.reading() as connection:
            row = connection.execute("SELECT kind, size FROM objects WHERE digest = ?", (bytes(digest),)).fetchone()
        return (ObjectKind(row[0]), row[1]) if row else None

    def owners(self, digest: Digest, limit: int = MOST_OWNERS, everywhere: bool = True) -> list[RefRow]:
        """The refs that need an object, the newest first; without `everywhere`, some where these are very many."""
        limit_above = "" if everywhere else f" LIMIT {_MOST_ABOVE}"
        with self._tables.reading() as connection:
            found = connection.execute("SELECT id FROM objects WHERE digest = ?", (bytes(digest),)).fetchone()
            if found is None:
                return []
            query = (
                f"{_UP.format(limit=limit_above)} SELECT {_REF} FROM refs r JOIN objects o ON o.id = r.object "
                "WHERE r.object IN (SELECT id FROM up) ORDER BY r.created DESC, r.id DESC LIMIT ?"
            )
            return [_ref(row) for row in connection.execute(query, (found[0], limit))]

    def path_in(self, digest: Digest, owner: RefRow) -> bytes | None:
        """A path at which what a ref holds has an object; None where the ref holds the object itself."""
        path: list[bytes] = []
        with self._tables.reading() as connection:
            row = connection.execute("SELECT id FROM objects WHERE digest = ?", (bytes(digest),)).fetchone()
            root = connection.execute("SELECT id FROM objects WHERE digest = ?", (bytes(owner.digest),)).fetchone()
            if row is None or root is None:
                return None
            below = {number for (number,) in connection.execute(_DOWN_TREES, (root[0],))}
            at = row[0]
            while at != root[0] and len(path) < _DEEPEST:
                step = next(
                    (
                        (parent, name)
                        for parent, name in connection.execute("SELECT parent, name FROM edges WHERE child = ?", (at,))
                        if parent in below
                    ),
                    None,
                )
                if step is None:
                    break
                at = step[0]
                path.insert(0, step[1])
        return b"/".join(path) if path else None

    def loss(self, names: Sequence[RefName]) -> Loss:
        """What is lost with these refs."""
        with self._tables.writing() as connection:
            # Tables of this connection alone: what the refs lead to, and what of it others lead to, too.
            connection.execute("CREATE TEMP TABLE dropped(id INTEGER PRIMARY KEY)")
            query = "INSERT OR IGNORE INTO dropped SELECT id FROM refs WHERE namespace = ? AND name = ?"
            connection.executemany(query, [(name.namespace.value, name.name) for name in names])
            connection.execute("CREATE TEMP TABLE below(id INTEGER PRIMARY KEY)")
            connection.execute(
                "INSERT INTO below WITH RECURSIVE found(id) AS (SELECT object FROM refs WHERE id IN (SELECT id FROM "
                "dropped) UNION SELECT child FROM edges JOIN found ON parent = found.id) SELECT id FROM found"
            )
            connection.execute("CREATE TEMP TABLE others(id INTEGER PRIMARY KEY)")
            connection.execute(
                "INSERT INTO others WITH RECURSIVE found(id) AS (SELECT b.id FROM below b WHERE EXISTS (SELECT 1 FROM "
                "edges WHERE child = b.id AND parent NOT IN (SELECT id FROM below)) OR EXISTS (SELECT 1 FROM refs "
                "WHERE object = b.id AND refs.id NOT IN (SELECT id FROM dropped)) "
                "UNION SELECT child FROM edges JOIN found ON parent = found.id) SELECT id FROM found"
            )
            query = (
                "SELECT COUNT(*), TOTAL(size) FROM objects WHERE id IN (SELECT id FROM below) "
                "AND id {} (SELECT id FROM others) AND kind = ?"
            )
            blob = (int(ObjectKind.BLOB),)
            objects, freed = connection.execute(query.format("NOT IN"), blob).fetchone()
            shared = connection.execute(query.format("IN"), blob).fetchone()[1]
        return Loss(objects, int(freed), int(shared))

    # -- refs

    def ref(self, name: RefName) -> RefRow | None:
        """One ref."""
        query = f"SELECT {_REF} FROM refs r JOIN objects o ON o.id = r.object WHERE namespace = ? AND name = ?"
        with self._tables.reading() as connection:
            row = connection.execute(query, (name.namespace.value, name.name)).fetchone()
        return _ref(row) if row else None

    def refs(self, namespace: Namespace, offset: int, limit: int) -> list[RefRow]:
        """The refs of a namespace, the newest first."""
        query = (
            f"SELECT {_REF} FROM refs r JOIN objects o ON o.id = r.object WHERE namespace = ? "
            "ORDER BY r.created DESC, r.id DESC LIMIT ? OFFSET ?"
        )
        with self._tables.reading() as connection:
            return [_ref(row) for row in connection.execute(query, (namespace.value, limit, offset))]

    def count(self, namespace: Namespace) -> int:
        """How many refs a namespace has."""
        with self._tables.reading() as connection:
            found = connection.execute("SELECT COUNT(*) FROM refs WHERE namespace = ?", (namespace.value,)).fetchone()
        return int(found[0])

    def datasets(self, offset: int, limit: int, wanted: str = "") -> list[DatasetRow]:
        """Datasets by their names, those with `wanted` in it."""
        query = (
            f"SELECT {_REF}, n FROM (SELECT owner AS whose, COUNT(*) n, MAX(created) last FROM refs "
            "WHERE namespace = 'datasets' AND instr(lower(owner), lower(?)) > 0 GROUP BY owner ORDER BY owner "
            "LIMIT ? OFFSET ?) JOIN refs r ON r.id = (SELECT id FROM refs WHERE namespace = 'datasets' "
            "AND owner = whose AND created = last ORDER BY id DESC LIMIT 1) "
            "JOIN objects o ON o.id = r.object ORDER BY whose"
        )
        with self._tables.reading() as connection:
            rows = connection.execute(query, (wanted, limit, offset)).fetchall()
        found = [(_ref(row[:-1]), row[-1]) for row in rows]
        return [DatasetRow(ref.owner, count, ref) for ref, count in found]

    def count_datasets(self, wanted: str = "") -> int:
        """How many datasets there are."""
        query = (
            "SELECT COUNT(DISTINCT owner) FROM refs WHERE namespace = 'datasets' AND instr(lower(owner), lower(?)) > 0"
        )
        with self._tables.reading() as connection:
            return int(connection.execute(query, (wanted,)).fetchone()[0])

    def of_owner(self, namespace: Namespace, owner: str, limit: int) -> list[RefRow]:
        """The refs of one owner, the newest first."""
        query = (
            f"SELECT {_REF} FROM refs r JOIN objects o ON o.id = r.object WHERE namespace = ? AND owner = ? "
            "ORDER BY r.created DESC, r.id DESC LIMIT ?"
        )
        with self._tables.reading() as connection:
            return [_ref(row) for row in connection.execute(query, (namespace.value, owner, limit))]


#: What lies beneath an object and has something beneath it in turn.
_DOWN_TREES = (
    "WITH RECURSIVE down(id) AS (SELECT ? UNION SELECT child FROM edges JOIN down ON parent = down.id "
    "JOIN objects o ON o.id = child AND o.kind <> 1) SELECT id FROM down"
)


def _ref(row: Sequence[Any]) -> RefRow:
    namespace, name, owner, digest, kind, *rest = row
    return RefRow(RefName(Namespace(namespace), name), owner, Digest(digest), ObjectKind(kind), *rest)
