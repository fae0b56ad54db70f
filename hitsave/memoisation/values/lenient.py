"""The digest of a value that has parts without one: of these, the type counts, and what is known to be inside.

A global may hold a lock beside a number, or a connection beside a table. As an argument, such a thing is an error.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from itertools import chain

from blake3 import blake3

from hitsave.errors import Undigestable
from hitsave.memoisation.values.deep import encode_deep
from hitsave.memoisation.values.digest import Refer, ValueDigester
from hitsave.memoisation.values.instances import attributes_of
from hitsave.memoisation.values.plain import FORMS
from hitsave.memoisation.values.standard import standard_form
from hitsave.memoisation.values.stream import VERSION, Leaf, Parts, Refused, item_step, named

_TRANSPARENT = (types.MethodType, functools.partial)


class LenientDigester(ValueDigester):
    """Refuses nothing. `opaque` are the parts that it could not look into.

    `look` says what stands for a value, mostly itself. `is_own` tells the classes and functions of the project: of an
    object of others that has no digest, their functions count, and nothing else of it.
    """

    __slots__ = ("_is_own", "_look", "opaque")

    def __init__(self, refer: Refer, look: Callable[[object], object], is_own: Callable[[object], bool]) -> None:
        super().__init__(refer)
        self._look = look
        self._is_own = is_own
        self.opaque: list[object] = []

    def digest(self, value: object, name: str = "value") -> bytes:
        """The digest of a value, 32 bytes."""
        return blake3(VERSION + encode_deep(self, value, name)).digest()

    def take_apart(self, value: object) -> Parts | Leaf:
        """As always; or type and attributes of what can't be."""
        seen = self._look(value)
        own = self._is_own(type(seen))
        try:
            if own or _is_transparent(type(seen)):
                return super().take_apart(seen)
            whole = ValueDigester(self._refer).digest(seen)
            return Leaf(named("whole", len(whole)), (whole,), len(whole))
        except (Refused, Undigestable):
            self.opaque.append(seen)
        kept = [(name, each) for name, each in sorted(attributes_of(seen).items()) if own or self._is_own(each)]
        children = list(chain.from_iterable(kept))
        return Parts(named("opaque", len(children)) + self.label(type(seen)), children, item_step)


def _is_transparent(cls: type) -> bool:
    """Whether a type that is not the project's holds nothing but what was put into it."""
    return cls in FORMS or cls in _TRANSPARENT or standard_form(cls) is not None
