"""Compressing blocks of small text files with zstandard: how large a block, which level, how many threads?

The text is Python's own standard library, as it lies on the disk: real files of some kilobytes. Reading
one small object back means decompressing its block, so the table shows what that costs too.
"""

import sysconfig
from pathlib import Path

import zstandard

from benchmarks.variants.timing import Variant, in_threads, measure, split, table

KIB = 1 << 10


def run(folder: Path, mebibytes: int = 32, rounds: int = 5) -> str:
    """Measure over `mebibytes` of text, and return the table and the ratios below it."""
    text = _text(mebibytes << 20)
    variants = []
    notes = []
    for kibibytes in (64, 256, 1024):
        blocks = _blocks(text, kibibytes * KIB)
        for level in (1, 3):
            packed = _compress(blocks, level)
            ratio = len(text) / sum(map(len, packed))
            notes.append(f"| {kibibytes} KiB, level {level} | {ratio:.2f} | {_one_block_back(packed[0]):.0f} |")
            for threads in (1, 2):
                name = f"{kibibytes} KiB, level {level}, {threads} thread{'s' * (threads > 1)}"
                variants.append(_variant(name, split(blocks, threads), level))
    measure(variants, rounds)
    timings = table(f"Compressing {mebibytes} MiB of source text", variants, mebibytes, "MiB", 1 << 20)
    heading = "| block | ratio | µs to decompress one block |\n|---|---:|---:|"
    return "\n".join([timings, heading, *notes, ""])


def _variant(name: str, parts: list[list[bytes]], level: int) -> Variant:
    return Variant(name, lambda _round: in_threads(lambda part: _compress(part, level), parts))


def _compress(blocks: list[bytes], level: int) -> list[bytes]:
    compressor = zstandard.ZstdCompressor(level=level)  # one for each thread: they are not shared
    return [compressor.compress(block) for block in blocks]


def _one_block_back(packed: bytes) -> float:
    """Microseconds to decompress one block, the lowest of some tries."""
    decompressor = zstandard.ZstdDecompressor()
    again = Variant("", lambda _round: decompressor.decompress(packed))
    measure([again], 20)
    return 1e6 * min(again.seconds)


def _blocks(text: bytes, size: int) -> list[bytes]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def _text(size: int) -> bytes:
    pieces: list[bytes] = []
    total = 0
    library = Path(sysconfig.get_path("stdlib"))
    for path in sorted(library.rglob("*.py")):
        if total >= size:
            break
        if "site-packages" not in path.parts:
            pieces.append(path.read_bytes())
            total += len(pieces[-1])
    text = b"".join(pieces)
    return (text * (size // len(text) + 1))[:size]
