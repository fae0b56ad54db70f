"""The canonical encoding of trees (objects_spec.md, sections 3 and 4).

One value has exactly one encoding. The decoder refuses every other byte string with `MalformedObject`, which
names the rule and the place, so that two implementations can never give one directory two names.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from hitsave.errors import MalformedObject
from hitsave.objects.digest import DIGEST_SIZE, Digest
from hitsave.objects.model import EntryKind, Tree, TreeEntry

TREE_MAGIC = b"hst\x01"
LARGEST_NUMBER = (1 << 63) - 1

_KINDS = {kind.value: kind for kind in EntryKind}
_FORBIDDEN_NAMES = (b"", b".", b"..")


def encode_number(value: int) -> bytes:
    """A number from 0 to 2^63 - 1 as little-endian base 128, seven bits a byte, in its shortest form.

    Raises ValueError for any other number.
    """
    if 0 <= value < 0x80:
        return value.to_bytes(1, "little")
    if not 0 <= value <= LARGEST_NUMBER:
        raise ValueError(f"{value} is not a number from 0 to 2^63 - 1")
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def decode_number(data: bytes, offset: int, what: str) -> tuple[int, int]:
    """The number at `offset`, and the offset after it. Raises MalformedObject."""
    value = shift = 0
    start = offset
    while True:
        if offset >= len(data):
            raise MalformedObject(what, "ends within a number", start)
        byte = data[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift > 56:
            raise MalformedObject(what, "a number is larger than 2^63 - 1", start)
    if byte == 0 and shift:
        raise MalformedObject(what, "a number is not in its shortest form", start)
    return value, offset


def name_fault(name: bytes) -> str | None:
    """Why these bytes cannot be a name in a tree; None where they can."""
    if name in _FORBIDDEN_NAMES:
        return f"the name {name.decode()!r} is not allowed"
    if b"/" in name or b"\0" in name:
        return "a name holds a separator or NUL"
    return None


def encode_entry(name: bytes, kind: int, digest: bytes, size: int, files: int = 1) -> bytes:
    """One entry of a tree. `files` is written for trees alone."""
    head = bytes((kind,)) + encode_number(len(name)) + name + digest + encode_number(size)
    return head + encode_number(files) if kind == EntryKind.TREE else head


def join_entries(encoded: list[bytes]) -> bytes:
    """A tree from the encodings of its entries, which the caller has sorted by name and checked."""
    return TREE_MAGIC + encode_number(len(encoded)) + b"".join(encoded)


def encode_tree(tree: Tree) -> bytes:
    """The canonical encoding. Raises ValueError where the value breaks a rule of section 3."""
    previous: bytes | None = None
    for entry in tree.entries:
        if fault := name_fault(entry.name) or _entry_fault(entry):
            raise ValueError(fault)
        if previous is not None and entry.name <= previous:
            raise ValueError("entries must be sorted by name, each name once")
        previous = entry.name
    return join_entries([encode_entry(*entry) for entry in tree.entries])


def _entry_fault(entry: TreeEntry) -> str | None:
    if entry.kind not in _KINDS:
        return f"unknown kind {entry.kind}"
    if len(entry.digest) != DIGEST_SIZE:
        return f"a digest has {DIGEST_SIZE} bytes, not {len(entry.digest)}"
    if entry.kind != EntryKind.TREE and entry.files != 1:
        return f"what is not a tree counts as one file, not {entry.files}"
    return None


def tree_from(entries: Iterable[TreeEntry]) -> Tree:
    """A tree of these entries, sorted."""
    return Tree(tuple(sorted(entries)))


def decode_tree(data: bytes) -> Tree:
    """The tree that `data` encodes. Raises MalformedObject for anything but its canonical encoding."""
    if data[:4] != TREE_MAGIC:
        raise MalformedObject("tree", "does not begin with the magic bytes", 0)
    count, offset = decode_number(data, 4, "tree")
    entries: list[TreeEntry] = []
    previous: bytes | None = None
    for _ in range(count):
        entry, offset = _decode_entry(data, offset, previous)
        previous = entry.name
        entries.append(entry)
    if offset != len(data):
        raise MalformedObject("tree", "bytes follow the last entry", offset)
    return Tree(tuple(entries))


def entry_offsets(data: bytes) -> array[int]:
    """Where each entry of an encoded tree begins. Checks as `decode_tree` does, and keeps no entry."""
    if data[:4] != TREE_MAGIC:
        raise MalformedObject("tree", "does not begin with the magic bytes", 0)
    count, offset = decode_number(data, 4, "tree")
    offsets: array[int] = array("Q")
    previous: bytes | None = None
    for _ in range(count):
        offsets.append(offset)
        entry, offset = _decode_entry(data, offset, previous)
        previous = entry.name
    if offset != len(data):
        raise MalformedObject("tree", "bytes follow the last entry", offset)
    return offsets


def decode_entry_at(data: bytes, offset: int) -> TreeEntry:
    """The entry that begins at an offset which `entry_offsets` has told."""
    return _decode_entry(data, offset, None)[0]


def entry_count(data: bytes) -> int:
    """How many entries an encoded tree has, without decoding them."""
    return decode_number(data, 4, "tree")[0]


def _decode_entry(data: bytes, start: int, previous: bytes | None) -> tuple[TreeEntry, int]:
    if start >= len(data):
        raise MalformedObject("tree", "ends before its last entry", start)
    kind = _KINDS.get(data[start])
    if kind is None:
        raise MalformedObject("tree", f"unknown kind {data[start]}", start)
    length, offset = decode_number(data, start + 1, "tree")
    name = data[offset : offset + length]
    offset += length
    raw = data[offset : offset + DIGEST_SIZE]
    offset += DIGEST_SIZE
    if len(raw) != DIGEST_SIZE:
        raise MalformedObject("tree", "ends within an entry", start)
    if fault := name_fault(name):
        raise MalformedObject("tree", fault, start)
    if previous is not None and name <= previous:
        raise MalformedObject("tree", "names are not in ascending order", start)
    size, offset = decode_number(data, offset, "tree")
    files = 1
    if kind is EntryKind.TREE:
        files, offset = decode_number(data, offset, "tree")
    return TreeEntry(name, kind, Digest(raw), size, files), offset
