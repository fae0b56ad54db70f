"""The works: seeded data sets, the same bytes on every machine for one scale.

`python -m benchmarks.generate WORK FOLDER [--scale 1.0]` writes one. The harness runs it as a process
of its own: a child's peak memory counts its parent's, so the harness itself must stay small.
"""

import argparse
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SEED = 20_260_107
KIB = 1 << 10
MIB = 1 << 20
WORDS = [
    "train",
    "valid",
    "test",
    "epoch",
    "batch",
    "loss",
    "accuracy",
    "layer",
    "weight",
    "gradient",
    "sample",
    "label",
    "image",
    "caption",
    "speaker",
    "sensor",
    "station",
    "river",
    "harbour",
    "temperature",
    "pressure",
    "humidity",
    "measured",
    "estimated",
]


@dataclass(frozen=True, slots=True)
class Work:
    """One data set: what it stands for, how many files, and the function that writes it."""

    name: str
    claim: str
    write: Callable[[Path, float], None]
    many_files: bool


def write_tiny(folder: Path, scale: float) -> None:
    """50,000 text files of about 2.2 KB (110 MB) in folders of 125, two levels deep."""
    stream = random.Random(f"{SEED} tiny")
    lines = _lines(stream, 20_000)
    for number in range(max(1, round(50_000 * scale))):
        inner = folder / f"site-{number // 2500:02d}" / f"day-{number // 125:04d}"
        if number % 125 == 0:
            inner.mkdir(parents=True)
        text = "".join(stream.choices(lines, k=stream.randint(29, 43)))
        _write(inner / f"record-{number:06d}.txt", f"record {number}\n{text}".encode())


def write_medium(folder: Path, scale: float) -> None:
    """10,000 files of 20 to 80 KB (500 MB), in folders of 100: half tables of text, half like images."""
    stream = random.Random(f"{SEED} medium")
    lines = _lines(stream, 50_000)
    average = sum(map(len, lines)) / len(lines)
    for number in range(max(1, round(10_000 * scale))):
        inner = folder / f"part-{number // 100:03d}"
        if number % 100 == 0:
            inner.mkdir(parents=True)
        size = stream.randint(20_000, 80_000)
        if number % 2:
            _write(inner / f"image-{number:05d}.jpg", stream.randbytes(size))
        else:
            text = "".join(stream.choices(lines, k=round(size / average)))
            _write(inner / f"table-{number:05d}.csv", f"table {number}\n{text}".encode())


def write_large(folder: Path, scale: float) -> None:
    """One file of 3 GiB that nothing compresses."""
    stream = random.Random(f"{SEED} large")
    left = max(1, round(3 * (1 << 30) * scale))
    with (folder / "volume.bin").open("xb") as file:
        while left:
            left -= file.write(stream.randbytes(min(left, 4 * MIB)))


def write_table(folder: Path, scale: float) -> None:
    """A table in text of 1 GiB: every row has a number of its own."""
    _write_rows(folder / "table.csv", round((1 << 30) * scale), b"")


def write_edited(folder: Path, scale: float) -> None:
    """The table of `write_table` with 1 MiB of rows inserted in the middle, and a hundred numbers overwritten."""
    stream = random.Random(f"{SEED} edits")
    path = folder / "table.csv"
    _write_rows(path, round((1 << 30) * scale), "".join(_lines(stream, 20_000)).encode()[:MIB])
    with path.open("r+b") as file:
        for _ in range(max(1, round(100 * scale))):
            file.seek(stream.randrange(path.stat().st_size - 8))
            file.write(f"{stream.randrange(10**8):08d}".encode())


WORKS = {
    work.name: work
    for work in (
        Work("tiny", "50,000 text files of 2.2 KB", write_tiny, many_files=True),
        Work("medium", "10,000 files of 20 to 80 KB", write_medium, many_files=True),
        Work("large", "one file of 3 GiB", write_large, many_files=False),
    )
}

TABLES = {
    work.name: work
    for work in (
        Work("table", "a table of 1 GiB", write_table, many_files=False),
        Work("edited", "the same with 1 MiB inserted and a hundred numbers changed", write_edited, many_files=False),
    )
}


def _write_rows(path: Path, size: int, inserted: bytes) -> None:
    """`size` bytes of numbered rows, and in their middle what is inserted."""
    stream = random.Random(f"{SEED} table")
    lines = _lines(stream, 100_000)
    written = row = 0
    with path.open("xb") as file:
        while written < size:
            rows = stream.choices(lines, k=10_000)
            text = "".join([f"{number:09d},{line}" for number, line in enumerate(rows, row)]).encode()
            is_middle = written < size // 2 <= written + len(text)
            written += file.write(text[: size - written])
            row += len(rows)
            if is_middle:
                file.write(inserted)


def _lines(stream: random.Random, count: int) -> list[str]:
    """Lines as in a log or a table: words that repeat, numbers that don't; about 61 bytes each."""
    lines = []
    for _ in range(count):
        first, second, third = stream.choices(WORDS, k=3)
        numbers = f"{stream.random():.5f},{stream.gauss(20, 5):.2f},{stream.randrange(100_000)}"
        lines.append(f"{stream.randrange(10**9):09d},{first} {second},{third},{numbers},{stream.random():.6f}\n")
    return lines


def _write(path: Path, content: bytes) -> None:
    with open(path, "xb", buffering=0) as file:
        file.write(content)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generate", description=__doc__)
    parser.add_argument("work", choices=sorted(WORKS | TABLES))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scale", type=float, default=1.0)
    options = parser.parse_args()
    options.folder.mkdir(parents=True)
    (WORKS | TABLES)[options.work].write(options.folder, options.scale)


if __name__ == "__main__":
    main()
