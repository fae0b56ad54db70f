"""The first values of a file of numpy (`.npy`), read without numpy: a header that is checked to the letter, and bytes.

Nothing is ever unpickled. An array of Python objects is a pickle after its header: it is told, and not read.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Sequence
from typing import BinaryIO, NamedTuple

from hitsave.server.words import show_number

MAGIC = b"\x93NUMPY"
_MOST_ROWS, _MOST_COLUMNS = 20, 20
_LONGEST_LIST = 100
_LONGEST_HEADER = 64 << 10
#: Bytes of one element; longer texts are not shown.
_LARGEST_ELEMENT = 4096
_HEADER = re.compile(
    r"\{'descr': (?P<descr>'[^'\\]{1,40}'|\[.*\]), 'fortran_order': (?P<fortran>True|False), "
    r"'shape': \((?P<shape>(?:\d{1,19}, ?)*(?:\d{1,19})?)\),? ?\}\s*",
    re.ASCII | re.DOTALL,
)
_TYPE = re.compile(r"'([<>|=]?)([?bBiufcSU])(\d{1,9})'", re.ASCII)
_FLOATS = {2: "e", 4: "f", 8: "d"}


class Unreadable(Exception):
    """A file that is no such file, or of which nothing can be shown; the message says why."""


class NumpyFile(NamedTuple):
    """What a header says: the type of elements, and the sides; then the first values.

    `part` says which part of an array of many dimensions these are of: empty where it has no more than two.
    """

    dtype: str
    shape: tuple[int, ...]
    rows: tuple[tuple[str, ...], ...]
    part: str

    @property
    def about(self) -> str:
        """It in a few words."""
        return f"numpy array, {self.dtype}, " + (" \N{MULTIPLICATION SIGN} ".join(map(str, self.shape)) or "one value")


def read_numpy(file: BinaryIO, length: int) -> NumpyFile:
    """What is in such a file of `length` bytes. Raises Unreadable, and what reading it raises."""
    header, start = _read_header(file)
    found = _HEADER.fullmatch(header)
    if found is None:
        raise Unreadable("Its header cannot be read.")
    shape = tuple(int(side) for side in re.findall(r"\d+", found["shape"]))
    kind = _TYPE.fullmatch(found["descr"])
    if kind is None:
        what = "Python objects, which only unpickling could read" if "O" in found["descr"] else "records"
        sides = " \N{MULTIPLICATION SIGN} ".join(map(str, shape))
        raise Unreadable(f"A numpy array of {what}: {found['descr'][:200]}, {sides or 'one'}.")
    size = int(kind[3]) * (4 if kind[2] == "U" else 1)
    show = _shower(kind[1], kind[2], int(kind[3]))
    if show is None or not 0 < size <= _LARGEST_ELEMENT:
        raise Unreadable(f"A numpy array of {kind[0]}, which is not shown here.")
    if start + size * math.prod(shape) > length:
        raise Unreadable("It is shorter than its header says.")
    rows, part = _read_rows(file, start, size, shape, found["fortran"] == "True", show)
    return NumpyFile(_name(kind[1], kind[2], int(kind[3])), shape, rows, part)


def _read_header(file: BinaryIO) -> tuple[str, int]:
    file.seek(0)
    head = file.read(12)
    width = 2 if head[6:7] == b"\1" else 4
    length = int.from_bytes(head[8 : 8 + width], "little")
    if not head.startswith(MAGIC) or head[6:8] not in (b"\1\0", b"\2\0", b"\3\0") or length > _LONGEST_HEADER:
        raise Unreadable("Its header cannot be read.")
    file.seek(8 + width)
    return file.read(length).decode("utf-8", "replace"), 8 + width + length


def _read_rows(
    file: BinaryIO, start: int, size: int, shape: Sequence[int], fortran: bool, show: Callable[[bytes], str]
) -> tuple[tuple[tuple[str, ...], ...], str]:
    """The first rows of the first matrix of an array, and the index of that matrix in it."""
    strides = _strides(shape, fortran, size)
    if len(shape) < 2:
        sides, steps, part = (min(*(shape or (1,)), _LONGEST_LIST), 1), (strides[0] if shape else size, size), ""
    else:
        sides = (min(shape[-2], _MOST_ROWS), min(shape[-1], _MOST_COLUMNS))
        steps = (strides[-2], strides[-1])
        part = "" if len(shape) == 2 else f"[{'0, ' * (len(shape) - 2)}:, :]"
    if 0 in shape:
        return (), part
    rows = []
    for row in range(sides[0]):
        # What lies together is read together.
        at = start + row * steps[0]
        together = steps[1] == size
        piece = _gather(file, at, *((size, 1, sides[1] * size) if together else (steps[1], sides[1], size)))
        rows.append(tuple(show(piece[place * size :][:size]) for place in range(sides[1])))
    return tuple(rows), part


def _gather(file: BinaryIO, start: int, step: int, count: int, size: int) -> bytes:
    found = []
    for at in range(count):
        file.seek(start + at * step)
        found.append(file.read(size))
    return b"".join(found)


def _name(order: str, kind: str, size: int) -> str:
    """A type of elements as people call it."""
    if kind in "SU":
        return f"{'bytes' if kind == 'S' else 'texts'} of up to {size}"
    named = {"f": "float", "i": "int", "u": "uint", "c": "complex"}.get(kind)
    return (f"{named}{8 * size}" if named else "bool") + (", big-endian" if order == ">" and size > 1 else "")


def _strides(shape: Sequence[int], fortran: bool, size: int) -> list[int]:
    """Bytes from one element to the next, for each dimension."""
    strides = []
    step = size
    for side in shape if fortran else reversed(shape):
        strides.append(step)
        step *= side
    return strides if fortran else strides[::-1]


def _shower(order: str, kind: str, size: int) -> Callable[[bytes], str] | None:
    """What makes a text of the bytes of one element; None for what is not known."""
    byteorder = "big" if order == ">" else "little"
    if kind in "bBiu?" and size in (1, 2, 4, 8):
        if kind in "b?" and size == 1:
            return lambda data: str(data != b"\0")
        return lambda data: str(int.from_bytes(data, byteorder, signed=kind == "i"))  # type: ignore[arg-type]
    if kind == "f" and size in _FLOATS:
        return lambda data: _float(data, order, size)
    if kind == "c" and size // 2 in (4, 8):
        half = size // 2
        return lambda data: f"{_float(data[:half], order, half)}, {_float(data[half:], order, half)}i"
    if kind == "S":
        return lambda data: data.rstrip(b"\0").decode("latin-1")
    if kind == "U":
        encoding = "utf-32-be" if order == ">" else "utf-32-le"
        return lambda data: data.decode(encoding, "replace").rstrip("\0")
    return None


def _float(data: bytes, order: str, size: int) -> str:
    return show_number(struct.unpack((">" if order == ">" else "<") + _FLOATS[size], data)[0])
