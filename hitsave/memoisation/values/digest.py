"""The digest of a value: one buffer that is filled by short recursive calls, and hashed once.

Values that are nested too deeply for that, that hold themselves, or that turn out to have no digest are taken up again
by `deep`, which gives the same encodings and needs no recursion.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from blake3 import blake3

from hitsave.memoisation.values.deep import NestedTooDeeply, encode_deep
from hitsave.memoisation.values.forms import form_of
from hitsave.memoisation.values.plain import FORMS, SCALARS
from hitsave.memoisation.values.stream import LIMIT, VERSION, Leaf, Parts, Refused, fold, leaf_encoding, text

#: The label of a function, class or module (or of another object that pickles as a global name). What it refers to
#: becomes a dependency of whoever asked for the digest.
Refer = Callable[[object], str]

#: How deep the quick way goes before `deep` takes over.
_DEPTH = 64


def digest_value(value: object, refer: Refer, *, name: str = "value") -> bytes:
    """The digest of a value, 32 bytes. `name` is what the path in an error begins with.

    Raises Undigestable; what `refer` raises goes through.
    """
    return ValueDigester(refer).digest(value, name)


class ValueDigester:
    """Digests values, and remembers, as long as it lives, the large things that it met.

    Nothing may change its content meanwhile. Forms use `label`; `deep` uses the rest.
    """

    __slots__ = ("_folded", "_kept", "_labels", "_refer", "memo", "out")

    def __init__(self, refer: Refer) -> None:
        self._refer = refer
        self._labels: dict[int, bytes] = {}
        #: What is remembered by its id must stay alive.
        self._kept: list[object] = []
        self.memo: dict[int, bytes] = {}
        self.out = bytearray()
        #: How many long bodies were hashed so far: what took such work is remembered, however short its encoding.
        self._folded = 0

    def digest(self, value: object, name: str = "value") -> bytes:
        """The digest of a value, 32 bytes. Raises Undigestable."""
        self.out = bytearray(VERSION)
        try:
            self._write(value, 0)
        except (Refused, NestedTooDeeply, RecursionError):
            self.out = bytearray()
            encoding = encode_deep(self, value, name)
            self.out = bytearray(VERSION)
            self.out += encoding
        return blake3(self.out).digest()

    def label(self, referred: object) -> bytes:
        """What `refer` says about an object, encoded. It is asked once for each."""
        known = self._labels.get(id(referred))
        if known is None:
            known = self._labels[id(referred)] = text(self._refer(referred))
            self._kept.append(referred)
        return known

    def remember(self, value: object, encoding: bytes) -> None:
        """Keep the encoding of a value that may be met again."""
        self.memo[id(value)] = encoding
        self._kept.append(value)

    def take_apart(self, value: object) -> Parts | Leaf:
        """Head and children, or head and bytes, of a value. Raises Refused."""
        form = FORMS.get(type(value)) or form_of(type(value))
        return form(self, value)

    def simple_encoding(self, value: object) -> bytes | None:
        """The encoding of a scalar, or of what is remembered."""
        scalar = SCALARS.get(type(value))
        if scalar is None:
            return self.memo.get(id(value))
        start = len(self.out)
        scalar(self, value)
        encoding = bytes(self.out[start:])
        del self.out[start:]
        return encoding

    def write_leaf(self, value: object, leaf: Leaf) -> bytes:
        """Write raw bytes, and remember large ones."""
        encoding = leaf_encoding(leaf)
        self.out += encoding
        if len(leaf.head) + leaf.size > LIMIT:
            self._folded += 1
            if value is not leaf:
                self.remember(value, encoding)
        return encoding

    def _write(self, value: object, depth: int) -> None:
        scalar = SCALARS.get(type(value))
        if scalar is not None:
            scalar(self, value)
            return
        if self.memo and (known := self.memo.get(id(value))) is not None:
            self.out += known
            return
        if depth > _DEPTH:
            raise NestedTooDeeply
        parts = self.take_apart(value)
        if type(parts) is Leaf:
            self.write_leaf(value, parts)
        else:
            self._write_parts(value, parts, depth)  # type: ignore[arg-type]

    def _write_parts(self, value: object, parts: Parts, depth: int) -> None:
        out = self.out
        start = len(out)
        folded = self._folded
        head, children, _step, unordered = parts
        out += head
        if unordered:
            self._write_sorted(children, depth)
        else:
            scalars = SCALARS
            for child in children:
                scalar = scalars.get(type(child))
                if scalar is not None:
                    scalar(self, child)
                else:
                    self._write(child, depth + 1)
        if len(out) - start > LIMIT:
            encoding = fold(out[start:])
            del out[start:]
            out += encoding
            self._folded += 1
        if self._folded != folded and value is not parts:
            self.remember(value, bytes(out[start:]))

    def _write_sorted(self, children: Sequence[object], depth: int) -> None:
        out = self.out
        encodings = []
        for child in children:
            start = len(out)
            self._write(child, depth + 1)
            encodings.append(bytes(out[start:]))
            del out[start:]
        out += b"".join(sorted(encodings))
