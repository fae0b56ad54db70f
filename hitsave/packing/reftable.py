"""Finds refs in the records of a segment by how their names begin, and decodes no others.

The records are lines in ascending order of their names (objects_spec.md, section 8.3), so that a binary search over the
bytes finds them: nothing is made of a segment beforehand, however many refs it has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from mmap import mmap

from hitsave.errors import MalformedObject
from hitsave.objects.refs import Ref, RefName
from hitsave.packing.refsegment import decode_record, decode_records

#: No text holds a quote that is not escaped, so where this stands the member does.
_MEMBER = b'"name":"'
_TEXT = re.compile(rb'([^"\\]*(?:\\.[^"\\]*)*)"')


class RefTable:
    """The records of one segment, in memory or in a mapped file."""

    def __init__(self, lines: bytes | mmap) -> None:
        self._lines = lines

    def records(self) -> Iterator[tuple[RefName, Ref | None]]:
        """Every record, in ascending order; none is held. Raises MalformedObject."""
        return decode_records(self._lines)

    def find(self, prefix: str) -> Iterator[tuple[RefName, Ref | None]]:
        """What the records say whose names begin so, in ascending order. Raises MalformedObject."""
        wanted = prefix.encode()
        begin = self._first_from(wanted)
        while begin < len(self._lines):
            end = self._end_of(begin)
            if not self._name(begin, end).startswith(wanted):
                return
            yield decode_record(self._lines[begin:end])
            begin = end

    def _first_from(self, wanted: bytes) -> int:
        """Where the first record begins whose name is not before `wanted`."""
        low, high = 0, len(self._lines)
        while low < high:
            begin = self._lines.rfind(b"\n", low, (low + high) // 2) + 1 or low
            end = self._end_of(begin)
            if self._name(begin, end) < wanted:
                low = end
            else:
                high = begin
        return low

    def _end_of(self, begin: int) -> int:
        end = self._lines.find(b"\n", begin) + 1
        if end == 0:
            raise MalformedObject("ref segment", "its last record has no end")
        return end

    def _name(self, begin: int, end: int) -> bytes:
        at = self._lines.find(_MEMBER, begin, end)
        found = _TEXT.match(self._lines, at + len(_MEMBER), end) if at >= 0 else None
        if found is None:
            raise MalformedObject("ref segment", "a record has no name")
        name = found[1]
        return str(json.loads(b'"%b"' % name)).encode() if b"\\" in name else name
