"""How a large object is cut into chunks (objects_spec.md, section 7.1).

The way of cutting is recorded in a remote when it is made, and holds for its life: the same content must always
be cut at the same places, or nothing would be recognised. So the library that cuts is tried on content whose cuts are
known before it is believed, and its version in plain Python, a thousand times slower, is refused.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from blake3 import blake3

from hitsave.errors import ConfigError, MalformedObject
from hitsave.objects.canonical import Fields
from hitsave.packing.blocks import LARGEST_BLOCK

if TYPE_CHECKING:
    from pyfastcdc import FastCDC

FIXED: Final = "fixed"
FASTCDC: Final = "fastcdc-2020"
#: Chunks are not cut smaller than this, but for the last one of an object.
SMALLEST_CHUNK = 4096
#: The largest `maximum` of content-defined chunks.
LARGEST_MAXIMUM = 1 << 22

_KIB = 1 << 10
#: How BLAKE3's output for `hitsave`, 64 KiB of it, is cut into 4096 to 16384 bytes. Another version that cuts elsewhere
#: would make everything look new.
_KNOWN_LENGTHS = [9834, 11290, 16384, 4501, 7387, 7488, 4722, 3930]
_UNKNOWN = "cuts large objects in a way that is not known here"


@dataclass(frozen=True, slots=True)
class FixedChunking:
    """Every `size` bytes from the beginning; the last chunk is what remains."""

    size: int = 1 << 20

    def cuts(self, content: memoryview) -> Iterator[tuple[int, int]]:
        """(offset, length) in bytes of each chunk, in order."""
        for offset in range(0, len(content), self.size):
            yield offset, min(self.size, len(content) - offset)

    def members(self) -> dict[str, str | int]:
        """What a format record holds of it."""
        return {"algorithm": FIXED, "size": self.size}


@dataclass(frozen=True, slots=True)
class ContentChunking:
    """Where the content says so, by FastCDC of 2020: an insertion moves the cuts behind it along.

    Sizes in bytes. Chunks have `minimum` to `maximum` bytes; the chunk in which a random byte lies has about `average`
    in the mean, at most. The higher `normalization` (1 to 3), the closer they are to it, and the longer it takes until
    cuts are again where they were behind a large insertion.
    """

    minimum: int = 16 * _KIB
    average: int = 96 * _KIB
    maximum: int = 256 * _KIB
    normalization: int = 2

    @property
    def normal(self) -> int:
        """Behind so many bytes of a chunk, cuts become frequent. What FastCDC calls the average; chunks are larger."""
        return self.average - self.average // 4

    def cuts(self, content: memoryview) -> Iterator[tuple[int, int]]:
        """(offset, length) in bytes of each chunk, in order. Raises ConfigError where the library cannot be used.

        `content` may be a mapped file; it is not copied, and is held only as long as this iterator is. Cutting
        releases the GIL.
        """
        cut = _load()(self.normal, min_size=self.minimum, max_size=self.maximum, normalized_chunking=self.normalization)
        for chunk in cut.cut_buf(content):
            yield chunk.offset, chunk.length

    def members(self) -> dict[str, str | int]:
        """What a format record holds of it."""
        return {
            "algorithm": FASTCDC,
            "minimum": self.minimum,
            "average": self.average,
            "maximum": self.maximum,
            "normalization": self.normalization,
        }


Chunking: TypeAlias = FixedChunking | ContentChunking


def decode_chunking(members: dict[str, Any], what: str) -> Chunking:
    """The way of cutting that a format record holds. Raises MalformedObject for one that is not known here."""
    fields = Fields(members, what)
    algorithm = fields.text("algorithm")
    if algorithm == FIXED:
        fixed = FixedChunking(fields.number("size"))
        if SMALLEST_CHUNK <= fixed.size <= LARGEST_BLOCK:
            return fixed
    elif algorithm == FASTCDC:
        names = ("minimum", "average", "maximum", "normalization")
        by_content = ContentChunking(*(fields.number(name) for name in names))
        if _is_sound(by_content):
            return by_content
    raise MalformedObject(what, _UNKNOWN)


def _is_sound(chunking: ContentChunking) -> bool:
    sizes = (chunking.minimum, chunking.average, chunking.maximum)
    return (
        SMALLEST_CHUNK <= chunking.minimum <= chunking.average // 2
        and chunking.average <= chunking.maximum // 2 <= LARGEST_MAXIMUM // 2
        and all(size % _KIB == 0 for size in sizes)
        and 1 <= chunking.normalization <= 3
    )


@cache
def _load() -> Callable[..., FastCDC]:
    """The compiled core, tried. The package's own name may stand for the slow version instead."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Its warning says what the error says.
            from pyfastcdc.cy import FastCDC
    except ImportError as error:
        raise ConfigError(
            f"pyfastcdc has no compiled core here ({error}), and cutting large files without it would take hours; "
            "install a wheel, or a compiler, and run: pip install --force-reinstall pyfastcdc"
        ) from None
    known = FastCDC(6 * _KIB, min_size=4 * _KIB, max_size=16 * _KIB, normalized_chunking=1)
    content = memoryview(blake3(b"hitsave").digest(length=64 * _KIB))
    if [chunk.length for chunk in known.cut_buf(content)] != _KNOWN_LENGTHS:
        raise ConfigError("pyfastcdc cuts at other places than it should; run: pip install 'pyfastcdc>=0.3,<0.4'")
    cutter: Callable[..., FastCDC] = FastCDC
    return cutter
