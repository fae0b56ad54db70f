"""What names hold: values count by their digest, and are watched for changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hitsave.errors import Undigestable
from hitsave.memoisation.code.definitions import Definitions
from hitsave.memoisation.code.dependency import Dependency, DependencyKind, text_dependency
from hitsave.memoisation.code.describe import describe
from hitsave.memoisation.code.kinds import is_atom, is_code, unwrapped
from hitsave.memoisation.code.peeking import peek
from hitsave.memoisation.code.untracked import depend_on_untracked
from hitsave.memoisation.code.watch import MISSING, Aliases
from hitsave.memoisation.values.digest import digest_value
from hitsave.memoisation.values.lenient import LenientDigester

if TYPE_CHECKING:
    from hitsave.memoisation.code.graph import Walk


class Holding:
    """Takes in the values of one walk."""

    def __init__(self, walk: Walk, definitions: Definitions, aliases: Aliases) -> None:
        self._walk = walk
        self._definitions = definitions
        self._aliases = aliases
        self._lenient: set[int] = set()

    def value(self, dotted: str, value: object) -> None:
        """Depend on what a name holds."""
        if value is MISSING:
            self._walk.add(text_dependency(DependencyKind.NAME, dotted, "not defined"))
            return
        if self._walk.ignores_object(value):
            return
        code = unwrapped(value)
        if is_code(code) or code is not value:
            self._walk.following.name(dotted, self._walk.refer(code))
            return
        try:
            digest = self.digest(value, self._walk.refer, dotted)
        except Undigestable:
            depend_on_untracked(self._walk, dotted, value, self._definitions, self._walk.places.project)
        else:
            self._count(dotted, value, digest)

    def _count(self, dotted: str, value: object, digest: bytes) -> None:
        counted = self._aliases.origin(dotted, digest)
        self._walk.add(Dependency(DependencyKind.VALUE, dotted, counted, describe(value)))
        if not is_atom(value):
            self._walk.watch.value(dotted, value, digest)

    def digest(self, value: object, refer: Callable[[object], str], dotted: str = "value") -> bytes:
        """The digest of a value that a name holds. Raises Undigestable."""
        if id(value) in self._lenient:
            return self._digester(refer).digest(self._walk.places.relocate(value))
        return digest_value(self._walk.places.relocate(peek(value)), refer, name=dotted)

    def _digester(self, refer: Callable[[object], str]) -> LenientDigester:
        return LenientDigester(refer, peek, self._walk.whose.is_own_code)

    def parts(self, dotted: str, value: object) -> list[object]:
        """Depend on what is known of a value without a digest. Returns its parts that cannot be looked into."""
        self._lenient.add(id(value))
        digester = self._digester(self._walk.refer)
        digest = digester.digest(self._walk.places.relocate(value))
        self._count(dotted, value, digest)
        return digester.opaque
