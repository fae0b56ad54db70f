"""The canonical stream that stands for a value, format 1. The digest of a value is BLAKE3-256 over the version byte and
the value's encoding; two values have one digest only if they have one encoding.

An *encoding* is a *body*, or, where the body is longer than 1024 bytes, `F` and the BLAKE3 of the body. Whether it is
folded depends on the content alone, so that a thing shared by two places can be digested once and still counts as two
equal ones would. Every encoding says where it ends: no encoding is the beginning of another one. Numbers that count
are eight bytes, all numbers little-endian, text is UTF-8 (lone surrogates as three bytes) after its length in bytes.

| body | value |
|---|---|
| `n` `t` `f` `e` `x` | None, True, False, Ellipsis, NotImplemented |
| `i` 8 bytes | an int within 64 bits |
| `I` length, two's complement | any other int, in the fewest bytes |
| `d` 8 bytes, `z` 16 bytes | float, complex: their bits, so -0.0 is not 0.0, and every NaN is its own payload |
| `s` text, `b` length, bytes | str, bytes |
| `L` `T` `D` count, encodings | list, tuple, dict (key, value, key, value ... in its order) |
| `P` container, kind, count, payload | a list or tuple of 64 or more ints within 64 bits, floats or strings, packed |
| `S` `Z` count, encodings | set, frozenset: the encodings of the elements, sorted |
| `N` name, count, encodings | other types of the standard library, each under its name (see `plain`) |
| `R` label | what `refer` answers for: a function, a class, a module, an object that pickles as a global name |
| `O` label, count, names, encodings | a plain instance: its class, its attributes sorted by name |
| `J` label, flags, encodings | an instance as its `__reduce_ex__` takes it apart |
| `U` label, encoding | an instance of a class with a registered digest |
| `V` class, digest | a snapshot |
| `A` kind, description, ... | arrays, tables and tensors of other libraries, each described in its module |
| `C` digest | a member of a cycle (see `cycles`) |
| `F` digest | BLAKE3 of a body longer than 1024 bytes |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from blake3 import blake3

from hitsave.cache.hashing import new_hasher

if TYPE_CHECKING:
    from hitsave.memoisation.values.digest import ValueDigester

VERSION = b"\x01"
#: The longest body, in bytes, that stands for itself.
LIMIT = 1024
#: Buffers from this size on, in bytes, are hashed by all processors.
THREADED = 1 << 20

Bytes = bytes | bytearray | memoryview
#: The step to the child at an index, as it is shown in the path of an error.
Step = Callable[[Sequence[object], int], str]

_COUNT = Struct("<cQ").pack


class Refused(Exception):
    """A value that cannot be digested, and why; turned into `Undigestable`, which says where it was met."""

    def __init__(self, value: object, reason: str = "") -> None:
        super().__init__(reason)
        self.value = value
        self.reason = reason


class Parts(NamedTuple):
    """A value taken apart: the beginning of its body, and the values whose encodings follow.

    The head tells how many there are. The encodings of an unordered one are sorted.
    """

    head: bytes
    children: Sequence[object]
    step: Step
    unordered: bool = False


class Leaf(NamedTuple):
    """A value whose body is a head and raw bytes; the head tells how many, and `size` is that number.

    A piece is used before the next one is asked for, so that its memory may be given back then.
    """

    head: bytes
    pieces: Iterable[Bytes]
    size: int


#: Takes a value of the type that it is meant for apart.
Form = Callable[["ValueDigester", object], Parts | Leaf]


def counted(tag: bytes, count: int) -> bytes:
    """A tag of one byte and a number of eight."""
    return _COUNT(tag, count)


def text(value: str) -> bytes:
    """The encoding of a str, however long."""
    encoded = value.encode("utf-8", "surrogatepass")
    return _COUNT(b"s", len(encoded)) + encoded


def named(name: str, count: int = 0) -> bytes:
    """The head of a type of the standard library."""
    return b"N" + text(name) + count.to_bytes(8, "little")


def array_head(kind: str, description: bytes) -> bytes:
    """The head of an array, table or tensor. The description must say where it ends."""
    return b"A" + text(kind) + description


def item_step(children: Sequence[object], index: int) -> str:
    """`[3]`"""
    return f"[{index}]"


def pair_step(children: Sequence[object], index: int) -> str:
    """`['key']`, where keys and values take turns."""
    if index % 2 == 0:
        return ".keys()"
    key = children[index - 1]
    return f"[{key!r}]" if isinstance(key, str | int | float | bytes | None) else f"[{type(key).__name__}]"


def element_step(children: Sequence[object], index: int) -> str:
    """An element of a set has no name."""
    return "{...}"


def named_steps(names: Sequence[str]) -> Step:
    """`.name`; names that are no identifiers are shown as they are."""

    def step(children: Sequence[object], index: int) -> str:
        name = names[index]
        return f".{name}" if name.isidentifier() else name

    return step


def fold(body: Bytes) -> bytes:
    """The encoding that stands for a long body."""
    return b"F" + blake3(body).digest()


def leaf_encoding(leaf: Leaf) -> bytes:
    """The encoding of raw bytes, which are neither copied nor held together."""
    if len(leaf.head) + leaf.size <= LIMIT:
        body = bytearray(leaf.head)
        for piece in leaf.pieces:
            body += piece
        return bytes(body)
    large = leaf.size >= THREADED
    hasher = new_hasher() if large else blake3()
    hasher.update(leaf.head)
    for piece in leaf.pieces:
        hasher.update(piece)
    return b"F" + hasher.digest()
