"""Cutting large objects by content: how large should chunks be, and what does cutting cost?

Small chunks send little for an edit and cost index: 48 bytes of it and 36 of the recipe for each chunk. Three kinds of
content are cut, edited, and cut again: noise, a table in text, and floating-point numbers. New are the bytes of chunks
that the content did not have before. A random byte lies in a large chunk more often than in a small one, so an edit
costs more than the mean chunk; how much more, normalization decides. But the more alike chunks are, the longer it takes
until the cuts behind a large insertion are again where they were: that is measured at many places.
"""

from __future__ import annotations

import random
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from pathlib import Path

from blake3 import blake3

from benchmarks.variants.timing import Variant, in_threads, measure, table
from hitsave.packing.blocks import encode_block
from hitsave.packing.chunking import ContentChunking

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
_INDEX_ENTRY, _RECIPE_ENTRY = 48, 36
#: Scattered edits in a gibibyte.
_EDITS = 100
_EDIT = 20
#: How often a mebibyte is inserted, and how many bytes behind it are cut again.
_PLACES = 300
_BEHIND = 24 * MIB
_CANDIDATES = (
    ContentChunking(8 * KIB, 48 * KIB, 128 * KIB, 2),
    ContentChunking(16 * KIB, 96 * KIB, 256 * KIB, 1),
    ContentChunking(16 * KIB, 96 * KIB, 256 * KIB, 2),
    ContentChunking(16 * KIB, 96 * KIB, 256 * KIB, 3),
    ContentChunking(32 * KIB, 96 * KIB, 256 * KIB, 2),
    ContentChunking(32 * KIB, 192 * KIB, 512 * KIB, 1),
    ContentChunking(32 * KIB, 192 * KIB, 512 * KIB, 2),
    ContentChunking(32 * KIB, 192 * KIB, 512 * KIB, 3),
    ContentChunking(64 * KIB, 384 * KIB, 1024 * KIB, 2),
    ContentChunking(128 * KIB, 768 * KIB, 2048 * KIB, 2),
)


def run(_folder: Path, mebibytes: int = 256, rounds: int = 3) -> str:
    """Measure over `mebibytes` of each kind of content, and return the tables."""
    size = mebibytes * MIB
    lines = []
    for name, make in (("noise", _noise), ("a table in text", _text), ("numbers", _numbers)):
        content = make(size)
        lines += [f"### New bytes after edits of {mebibytes} MiB of {name}", "", *_new_bytes(content), ""]
        lines += [f"### New bytes beyond an inserted MiB, in {_PLACES} places of {name}", "", *_insertions(content), ""]
    noise = memoryview(_noise(size))
    return "\n".join([*lines, _cutting(noise, mebibytes, rounds), _encoding(noise, mebibytes, rounds)])


# -- new bytes


def _new_bytes(content: memoryview) -> list[str]:
    edits = max(1, _EDITS * len(content) // GIB)
    rows = [
        "| minimum/average/maximum KiB, normalization | chunks/GiB | mean KiB | index and recipe, KiB/GiB "
        "| overwritten, KiB an edit | inserted, KiB an edit | x mean | 1 MiB appended, KiB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    known = [_Known(chunking, content) for chunking in _CANDIDATES]
    new = [_new(edited, known) for edited in _edited(content, edits)]
    for number, chunking in enumerate(_CANDIDATES):
        mean = len(content) / known[number].count
        chunks = GIB / mean
        overwritten, inserted, tail = (found[number] / KIB for found in new)
        cells = [_name(chunking), f"{chunks:.0f}", f"{mean / KIB:.1f}"]
        cells.append(f"{chunks * (_INDEX_ENTRY + _RECIPE_ENTRY) / KIB:.0f}")
        cells += [f"{overwritten / edits:.1f}", f"{inserted / edits:.1f}"]
        cells += [f"{(overwritten + inserted) / 2 / edits * KIB / mean:.2f}", f"{tail:.0f}"]
        rows.append("| " + " | ".join(cells) + " |")
    return rows


class _Known:
    """The chunks of some content under one way of cutting."""

    def __init__(self, chunking: ContentChunking, content: memoryview) -> None:
        self.chunking = chunking
        self.count = 0
        self.lengths: dict[bytes, int] = {}
        for offset, length in chunking.cuts(content):
            self.count += 1
            self.lengths[blake3(content[offset : offset + length]).digest()] = length


def _new(edited: memoryview, known: Iterable[_Known]) -> list[int]:
    found = []
    for before in known:
        after = _Known(before.chunking, edited).lengths
        found.append(sum(length for digest, length in after.items() if digest not in before.lengths))
    return found


def _edited(content: memoryview, edits: int) -> Iterable[memoryview]:
    """Bytes overwritten here and there, bytes inserted here and there, a mebibyte at the end."""
    rng = random.Random(7)
    for removed in (_EDIT, 0):
        places = sorted(rng.randrange(len(content) - _EDIT) for _ in range(edits))
        yield _spliced(content, [(place, removed, rng.randbytes(_EDIT)) for place in places])
    yield _spliced(content, [(len(content), 0, rng.randbytes(MIB))])


def _spliced(content: memoryview, splices: Sequence[tuple[int, int, bytes]]) -> memoryview:
    spliced = bytearray()
    end = 0
    for place, removed, added in splices:
        spliced += content[end:place]
        spliced += added
        end = max(end, place + removed)
    spliced += content[end:]
    return memoryview(spliced)


def _name(chunking: ContentChunking) -> str:
    sizes = "/".join(str(part // KIB) for part in (chunking.minimum, chunking.average, chunking.maximum))
    return f"{sizes}, {chunking.normalization}"


# -- a mebibyte, inserted


def _insertions(content: memoryview) -> list[str]:
    rows = ["| candidate | mean KiB | median | 90 % | 99 % | most |", "|---|---:|---:|---:|---:|---:|"]
    inserted = random.Random(11).randbytes(MIB)
    for chunking in _CANDIDATES:
        rng = random.Random(13)
        starts = [offset for offset, _ in chunking.cuts(content)]
        places = [rng.randrange(len(content) - _BEHIND) for _ in range(_PLACES)]
        beyond = sorted((_until_in_step(chunking, content, starts, place, inserted) - MIB) / KIB for place in places)
        shown = [sum(beyond) / len(beyond), *(beyond[int(len(beyond) * part)] for part in (0.5, 0.9, 0.99)), beyond[-1]]
        rows.append(f"| {_name(chunking)} | " + " | ".join(f"{value:.0f}" for value in shown) + " |")
    return rows


def _until_in_step(
    chunking: ContentChunking, content: memoryview, starts: Sequence[int], place: int, inserted: bytes
) -> int:
    """Bytes from the chunk in which `place` lies to the first cut behind it that was there before."""
    start = starts[bisect_right(starts, place) - 1]
    edited = b"".join((content[start:place], inserted, content[place : place + _BEHIND]))
    for offset, length in chunking.cuts(memoryview(edited)):
        before = start + offset + length - len(inserted)
        if before > place and starts[bisect_right(starts, before) - 1] == before:
            return offset + length
    return len(edited)


# -- content


def _noise(size: int) -> memoryview:
    rng = random.Random(1)
    return memoryview(b"".join(rng.randbytes(min(MIB, size - start)) for start in range(0, size, MIB)))


def _text(size: int) -> memoryview:
    """Rows with a number of their own, a time, measurements and a word."""
    rng = random.Random(2)
    words = ("red", "green", "blue", "yellow")
    tails = [f",{rng.gauss(20, 5):.4f},{rng.gauss(0, 1):.6f},{rng.choice(words)}\n".encode() for _ in range(1 << 16)]
    text = bytearray()
    row = 0
    while len(text) < size:
        picked = rng.choices(tails, k=1 << 14)
        text += b"".join(
            b"%d,%d%s" % (number, 1700000000 + 7 * number, tail) for number, tail in enumerate(picked, row)
        )
        row += len(picked)
    return memoryview(bytes(text[:size]))


def _numbers(size: int) -> memoryview:
    """A series of 64-bit numbers, each close to the one before it."""
    rng = random.Random(3)
    steps = [rng.gauss(0, 1) for _ in range(1 << 20)]
    series = array("d")
    last = 0.0
    while 8 * len(series) < size:
        start = rng.randrange(1 << 19)
        piece = array("d", accumulate(steps[start : start + (1 << 18)], initial=last))
        last = piece[-1]
        series.extend(piece[1:])
    return memoryview(series.tobytes()[:size])


# -- costs


def _cutting(content: memoryview, mebibytes: int, rounds: int) -> str:
    chosen = ContentChunking()
    halves = [content[: len(content) // 2], content[len(content) // 2 :]]
    pieces = [content[offset : offset + length] for offset, length in chosen.cuts(content)]
    jobs: list[tuple[str, Callable[[], object]]] = [
        ("cut, 1 thread", lambda: _cut(chosen, [content])),
        ("cut, 2 threads", lambda: in_threads(lambda part: _cut(chosen, part), [[half] for half in halves])),
        ("BLAKE3 of each chunk", lambda: [blake3(piece).digest() for piece in pieces]),
        ("cut and BLAKE3, 1 thread", lambda: _Known(chosen, content)),
    ]
    variants = [Variant(name, lambda _round, job=job: job()) for name, job in jobs]  # type: ignore[misc]
    measure(variants, rounds)
    return table(f"Cutting {mebibytes} MiB of noise", variants, mebibytes, "MiB", MIB)


def _cut(chunking: ContentChunking, parts: list[memoryview]) -> int:
    return sum(sum(1 for _ in chunking.cuts(part)) for part in parts)


def _encoding(content: memoryview, mebibytes: int, rounds: int) -> str:
    """What it costs to find out that noise does not compress, by the size of a block."""
    variants = []
    for size in (64 * KIB, 150 * KIB, 256 * KIB, 1024 * KIB):
        blocks = [content[start : start + size] for start in range(0, len(content), size)]
        variants.append(
            Variant(f"blocks of {size // KIB} KiB", lambda _round, blocks=blocks: _encode(blocks))  # type: ignore[misc]
        )
    measure(variants, rounds)
    return table(f"Finding that {mebibytes} MiB of noise are stored as they are", variants, mebibytes, "MiB", MIB)


def _encode(blocks: list[memoryview]) -> None:
    for block in blocks:
        encode_block(block)
