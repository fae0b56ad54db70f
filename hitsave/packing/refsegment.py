"""Ref segments (objects_spec.md, section 8): many refs in one immutable file, so that a hundred thousand are one read.

    "HSRS" version(1) zero(3)  decoded length(8)  zstandard frame of canonical JSON lines, sorted by name

A record either sets a ref or drops it. A commit lists segments in order; a later record overrules an earlier one.
"""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from mmap import mmap
from typing import Any

import zstandard

from hitsave.errors import MalformedObject
from hitsave.objects.canonical import Fields, decode_json, encode_json
from hitsave.objects.digest import ObjectKind, parse_digest
from hitsave.objects.refs import Ref, RefName, parse_ref_name
from hitsave.packing.blocks import LARGEST_BLOCK, decompress_frame

_HEADER = struct.Struct("<8sQ")
_MAGIC = b"HSRS\x01\0\0\0"
_KINDS = {kind.name.lower(): kind for kind in ObjectKind}
_MEMBERS = frozenset(("name", "dropped", "digest", "kind", "created", "by", "path", "git"))

_TEXT = r"([ !#-\[\]-~]+)"
#: A record without escapes and with known members alone, in its one form: most are, and are decoded faster like this.
_PLAIN = re.compile(
    rf'{{(?:"by":"{_TEXT}",)?"created":(0|[1-9][0-9]{{0,17}}),"digest":"([0-9a-f]{{64}})",(?:"git":"{_TEXT}",)?'
    rf'"kind":"({"|".join(_KINDS)})","name":"{_TEXT}"(?:,"path":"{_TEXT}")?}}\n'.encode()
)

#: What each name holds now: a ref, or None where it was dropped.
RefChanges = Mapping[RefName, Ref | None]


def encode_refs(changes: RefChanges) -> bytes:
    """A segment with these records. Raises ValueError where they are longer than one may be."""
    lines = b"".join(encode_json(_encode_record(name, changes[name])) for name in sorted(changes))
    if len(lines) > LARGEST_BLOCK:
        raise ValueError(f"{len(changes)} refs are more than a segment holds, which has {LARGEST_BLOCK} bytes at most")
    return _HEADER.pack(_MAGIC, len(lines)) + zstandard.ZstdCompressor(level=3).compress(lines)


def _encode_record(name: RefName, ref: Ref | None) -> dict[str, Any]:
    if ref is None:
        return {"name": str(name), "dropped": 1}
    optional = {"by": ref.by, "path": ref.path, "git": ref.git_commit}
    return {
        "name": str(name),
        "digest": str(ref.digest),
        "kind": ref.kind.name.lower(),
        "created": ref.created,
        **{key: value for key, value in optional.items() if value},
    }


def decode_refs(data: bytes) -> dict[RefName, Ref | None]:
    """The records of a segment. Raises MalformedObject."""
    return dict(decode_records(record_lines(data)))


def decode_records(lines: bytes | mmap) -> Iterator[tuple[RefName, Ref | None]]:
    """The records that lines spell, one after the other. Raises MalformedObject."""
    begin, previous = 0, None
    while begin < len(lines):
        end = lines.find(b"\n", begin) + 1 or len(lines)
        name, ref = decode_record(lines[begin:end])
        if previous is not None and name <= previous:
            raise MalformedObject("ref segment", "its records are not in ascending order")
        yield name, ref
        begin, previous = end, name


def record_lines(data: bytes) -> bytes:
    """The records of a segment, undecoded, a line each. Raises MalformedObject."""
    if len(data) < _HEADER.size:
        raise MalformedObject("ref segment", "is too short")
    magic, length = _HEADER.unpack_from(data)
    if magic != _MAGIC or length > LARGEST_BLOCK:
        raise MalformedObject("ref segment", "does not begin with the magic bytes of version 1", 0)
    return decompress_frame(data[_HEADER.size :], length, "ref segment")


def decode_record(line: bytes) -> tuple[RefName, Ref | None]:
    """One record, with its line feed. Raises MalformedObject."""
    plain = _PLAIN.fullmatch(line)
    if plain is not None:
        with contextlib.suppress(ValueError):
            return _decode_plain([part.decode() for part in plain.groups(b"")])
    values = decode_json(line, "ref segment")
    fields = Fields(values, "ref segment")
    try:
        name = parse_ref_name(fields.text("name"))
        ref = None if fields.number("dropped", 0) else _decode_ref(name, fields)
    except (ValueError, KeyError) as error:
        raise MalformedObject("ref segment", f"a record is not valid: {error}") from None
    if _encode_record(name, ref) != {key: values[key] for key in values.keys() & _MEMBERS}:
        raise MalformedObject("ref segment", f"the record of {name} is not in its one form")
    return name, ref


def _decode_plain(parts: list[str]) -> tuple[RefName, Ref]:
    by, created, digest, git, kind, text, path = parts
    name = parse_ref_name(text)
    return name, Ref(name, parse_digest(digest), _KINDS[kind], int(created), by, path, git)


def _decode_ref(name: RefName, fields: Fields) -> Ref:
    return Ref(
        name=name,
        kind=_KINDS[fields.text("kind")],
        digest=fields.digest("digest"),
        created=fields.number("created"),
        by=fields.text("by", ""),
        path=fields.text("path", ""),
        git_commit=fields.text("git", ""),
    )


def apply_refs(segments: Iterable[RefChanges]) -> dict[RefName, Ref]:
    """The refs that hold after these segments, in order."""
    held: dict[RefName, Ref] = {}
    for segment in segments:
        for name, ref in segment.items():
            if ref is None:
                held.pop(name, None)
            else:
                held[name] = ref
    return held
