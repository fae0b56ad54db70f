"""Where captured contents go: into the cache, or nowhere when only their names are wanted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from hitsave.cache.hashing import hash_descriptor
from hitsave.cache.intake import Intake
from hitsave.objects.digest import Digest, ObjectKind, blob_digest, tree_digest
from hitsave.objects.encoding import decode_tree
from hitsave.objects.model import EntryKind


class Keep(Protocol):
    """Where contents go: into an intake, or nowhere when only the digest is wanted."""

    def content(self, kind: ObjectKind, content: bytes) -> Digest:
        """The digest of a content, which is kept or not."""

    def file(self, fd: int, size: int) -> Digest:
        """The digest of a large file, open at its beginning."""

    def trusts(self, digest: bytes) -> bool:
        """Whether a digest that the stat cache knows need not be read again."""

    def trusts_tree(self, encoded: bytes) -> bool:
        """Whether none of a directory's files need be read again; called where no file has changed."""


class NameOnly:
    """Keeps nothing but the trees, in memory: `capture` then tells the digest, and `trees` what is in it."""

    def __init__(self) -> None:
        self.trees: dict[Digest, bytes] = {}

    def content(self, kind: ObjectKind, content: bytes) -> Digest:
        """The digest alone."""
        if kind is ObjectKind.BLOB:
            return blob_digest(content)
        digest = tree_digest(content)
        self.trees[digest] = content
        return digest

    def file(self, fd: int, size: int) -> Digest:
        """The digest alone."""
        return hash_descriptor(fd)

    def trusts(self, digest: bytes) -> bool:
        """Always."""
        return True

    def trusts_tree(self, encoded: bytes) -> bool:
        """Always."""
        return True


class IntoIntake:
    """Keeps contents in an intake. Notes what it did not read, so that the caller can make sure that it is here."""

    def __init__(self, intake: Intake, distrusted: frozenset[bytes] = frozenset()) -> None:
        self._intake = intake
        self._distrusted = distrusted
        self._trees: list[bytes] = []
        self._blobs: list[bytes] = []

    def content(self, kind: ObjectKind, content: bytes) -> Digest:
        """Kept."""
        return self._intake.add(kind, content)

    def file(self, fd: int, size: int) -> Digest:
        """Kept."""
        return self._intake.add_file(fd, size)

    def trusts(self, digest: bytes) -> bool:
        """Unless the caller found that the object is not here."""
        if digest in self._distrusted:
            return False
        self._blobs.append(digest)
        return True

    def trusts_tree(self, encoded: bytes) -> bool:
        """Unless one of its files is distrusted."""
        if self._distrusted and any(entry.digest in self._distrusted for entry in decode_tree(encoded).entries):
            return False
        self._trees.append(encoded)
        return True

    def unread(self) -> Iterable[Digest]:
        """The blobs whose digests came from the stat cache."""
        yield from map(Digest, self._blobs)
        for encoded in self._trees:
            for entry in decode_tree(encoded).entries:
                if entry.kind is not EntryKind.TREE:
                    yield entry.digest
