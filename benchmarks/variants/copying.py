"""Copying one large file, as `add` and `checkout` do without reflinks, with its BLAKE3 or without.

The source is in the page cache. Hashing stands either nowhere, in the same thread (after each piece, or
after the copy), or in a second thread at the same time.
"""

import mmap
import os
import queue
import random
import threading
from collections.abc import Callable
from pathlib import Path

from blake3 import blake3

from benchmarks.variants.timing import Variant, measure, table

MIB = 1 << 20
Copy = Callable[[int, int, int], None]


def by_copy_file_range(source: int, target: int, size: int) -> None:
    while size and (done := os.copy_file_range(source, target, size)):
        size -= done


def by_sendfile(source: int, target: int, size: int) -> None:
    offset = 0
    while offset < size:
        offset += os.sendfile(target, source, offset, size - offset)


def by_mmap(source: int, target: int, size: int) -> None:
    with mmap.mmap(source, size, prot=mmap.PROT_READ) as view, memoryview(view) as whole:
        for offset in range(0, size, 8 * MIB):
            os.write(target, whole[offset : offset + 8 * MIB])


def by_read_write(piece: int, update: Callable[[memoryview], object] | None = None) -> Copy:
    def copy(source: int, target: int, size: int) -> None:
        buffer = memoryview(bytearray(piece))
        while got := os.readv(source, [buffer]):
            if update is not None:
                update(buffer[:got])
            os.write(target, buffer[:got])

    return copy


def hash_mapped(source: int, size: int) -> None:
    with mmap.mmap(source, size, prot=mmap.PROT_READ) as view:
        blake3(view, max_threads=1).digest()


def inline(piece: int) -> Copy:
    """Read a piece, hash it, write it: one thread, and the piece is still in the CPU's cache."""

    def copy(source: int, target: int, size: int) -> None:
        hasher = blake3()
        by_read_write(piece, hasher.update)(source, target, size)
        hasher.digest()

    return copy


def then_hash(copy: Copy) -> Copy:
    def both(source: int, target: int, size: int) -> None:
        copy(source, target, size)
        hash_mapped(source, size)

    return both


def beside(copy: Copy) -> Copy:
    """The copy in this thread, and a second one that hashes the mapped source."""

    def both(source: int, target: int, size: int) -> None:
        hashing = threading.Thread(target=hash_mapped, args=(source, size))
        hashing.start()
        copy(source, target, size)
        hashing.join()

    return both


def handed_over(piece: int) -> Copy:
    """Read and write here, and hand each buffer to a hashing thread; four buffers go round."""

    def copy(source: int, target: int, size: int) -> None:
        full: queue.SimpleQueue[tuple[memoryview, int] | None] = queue.SimpleQueue()
        free: queue.SimpleQueue[memoryview] = queue.SimpleQueue()
        for _ in range(4):
            free.put(memoryview(bytearray(piece)))

        def hash_all() -> None:
            hasher = blake3()
            while (item := full.get()) is not None:
                buffer, length = item
                hasher.update(buffer[:length])
                free.put(buffer)
            hasher.digest()

        hashing = threading.Thread(target=hash_all)
        hashing.start()
        while True:
            buffer = free.get()
            got = os.readv(source, [buffer])
            if not got:
                break
            # Written before it is handed over: the other thread only reads it, but gives it back.
            os.write(target, buffer[:got])
            full.put((buffer, got))
        full.put(None)
        hashing.join()

    return copy


COPIES: dict[str, Copy] = {
    "copy_file_range": by_copy_file_range,
    "sendfile": by_sendfile,
    "read/write 256 KiB": by_read_write(MIB // 4),
    "read/write 1 MiB": by_read_write(MIB),
    "read/write 4 MiB": by_read_write(4 * MIB),
    "mmap, write 8 MiB": by_mmap,
    "BLAKE3 alone, mapped, 1 thread": lambda source, target, size: hash_mapped(source, size),
    "copy_file_range, then BLAKE3": then_hash(by_copy_file_range),
    "read, BLAKE3, write 256 KiB": inline(MIB // 4),
    "read, BLAKE3, write 1 MiB": inline(MIB),
    "read, BLAKE3, write 4 MiB": inline(4 * MIB),
    "copy_file_range, BLAKE3 in a 2nd thread": beside(by_copy_file_range),
    "sendfile, BLAKE3 in a 2nd thread": beside(by_sendfile),
    "read/write 1 MiB, buffers to a 2nd thread": handed_over(MIB),
    "read/write 4 MiB, buffers to a 2nd thread": handed_over(4 * MIB),
}


def run(folder: Path, size: int = 1 << 30, rounds: int = 3) -> str:
    """Measure in `folder` and return the table; `size` is in bytes."""
    source = folder / "source"
    stream = random.Random(5)
    with source.open("wb") as file:
        for _ in range(0, size, 16 * MIB):
            file.write(stream.randbytes(16 * MIB))
    size = source.stat().st_size
    variants = [_variant(name, copy, source, folder / "copy", size) for name, copy in COPIES.items()]
    measure(variants, rounds, sync=True)
    return table(f"Copying {size / MIB:.0f} MiB", variants, size // MIB, "MiB", MIB)


def _variant(name: str, copy: Copy, source: Path, target: Path, size: int) -> Variant:
    def job(_round: int) -> None:
        with source.open("rb", buffering=0) as reading, target.open("wb", buffering=0) as writing:
            copy(reading.fileno(), writing.fileno(), size)

    # One large file is cheap to delete, and its dirty pages must not be written during the next variant.
    return Variant(name, job, finish=lambda _round: target.unlink())
