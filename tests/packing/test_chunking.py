"""Chunks: where large objects are cut. The library is held to the text of the specification, row by row."""

from __future__ import annotations

import hashlib
import mmap
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hitsave.errors import ConfigError, MalformedObject
from hitsave.packing.chunking import ContentChunking, FixedChunking, decode_chunking
from tests.objects.values import modest
from tests.vectors.document import SPECIFICATION

KIB, MIB = 1 << 10, 1 << 20

# -- fixed sizes


@modest
@given(st.integers(0, 1 << 20), st.integers(1 << 12, 1 << 16))
def test_cuts_of_a_size_cover_the_object_exactly(length: int, size: int) -> None:
    cuts = list(FixedChunking(size).cuts(memoryview(bytes(length))))
    end = 0
    for offset, taken in cuts:
        assert offset == end
        assert 0 < taken <= size
        end += taken
    assert end == length
    assert all(taken == size for _, taken in cuts[:-1])


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (0, []),
        (1, [(0, 1)]),
        (4095, [(0, 4095)]),
        (4096, [(0, 4096)]),
        (4097, [(0, 4096), (4096, 1)]),
        (8192, [(0, 4096), (4096, 4096)]),
    ],
)
def test_cuts_of_a_size_at_the_edges(length: int, expected: list[tuple[int, int]]) -> None:
    assert list(FixedChunking(4096).cuts(memoryview(bytes(length)))) == expected


# -- by content: section 7.1, word by word

MASKS = {
    int(row): int(mask, 16)
    for row, mask in re.findall(r"^\| (\d+) \| `([0-9a-f]{16})` \|$", SPECIFICATION.read_text(), re.M)
}
GEAR = [int.from_bytes(hashlib.md5(bytes([value]) * 64).digest()[:8], "big") for value in range(256)]


def cuts_by_the_text(chunking: ContentChunking, blob: bytes) -> Iterator[tuple[int, int]]:
    """What the specification says, slowly."""
    offset = 0
    while offset < len(blob):
        length = first_chunk(chunking, blob[offset : offset + chunking.maximum + 1])
        yield offset, length
        offset += length


def first_chunk(chunking: ContentChunking, rest: bytes) -> int:
    """Steps 1 to 4; of a longer rest, no more than one byte above the maximum matters."""
    normal = chunking.average - chunking.average // 4
    row = next(k for k in range(40) if 2 ** (2 * k - 1) < normal**2 < 2 ** (2 * k + 1))
    early, late = MASKS[row + chunking.normalization], MASKS[row - chunking.normalization]
    if len(rest) <= chunking.minimum:
        return len(rest)
    end = min(len(rest), chunking.maximum)
    rolling = 0
    for place in range(chunking.minimum, end - end % 2):
        rolling = (2 * rolling + GEAR[rest[place]]) % 2**64
        if rolling & (early if place < normal else late) == 0:
            return place
    return end


def test_the_tables_of_the_specification_are_what_it_says() -> None:
    assert sorted(MASKS) == list(range(10, 25))
    assert all(mask.bit_count() == row for row, mask in MASKS.items())
    assert f"{GEAR[0]:016x} and G[255] is {GEAR[255]:016x}" in " ".join(SPECIFICATION.read_text().split())


@st.composite
def ways(draw: st.DrawFn) -> ContentChunking:
    """Small sizes, so that a few hundred kilobytes are many chunks; powers of two and others."""
    minimum = draw(st.integers(4, 8))
    average = draw(st.integers(2 * minimum, 28))
    maximum = draw(st.integers(2 * average, 4 * average))
    return ContentChunking(minimum * KIB, average * KIB, maximum * KIB, draw(st.integers(1, 3)))


@st.composite
def blobs(draw: st.DrawFn) -> bytes:
    """Noise, repetitions, text and zeros, one after the other; an end at any place."""
    pieces = []
    for _ in range(draw(st.integers(1, 4))):
        seed, length = draw(st.binary(max_size=4)), draw(st.integers(0, 60_000))
        alphabet = draw(st.sampled_from([256, 64, 2, 1]))
        noise = blake3(seed).digest(length=length)
        repeated = (seed or b"ab") * (length // 2)
        pieces.append(draw(st.sampled_from([noise, bytes(byte % alphabet for byte in noise), repeated[:length]])))
    return b"".join(pieces)


@settings(modest, max_examples=60)
@given(ways(), blobs())
@example(ContentChunking(4 * KIB, 8 * KIB, 16 * KIB, 1), b"")
@example(ContentChunking(4 * KIB, 8 * KIB, 16 * KIB, 1), bytes(4 * KIB))
@example(ContentChunking(4 * KIB, 8 * KIB, 16 * KIB, 1), bytes(4 * KIB + 1))
@example(ContentChunking(4 * KIB, 8 * KIB, 16 * KIB, 1), bytes(16 * KIB))
@example(ContentChunking(4 * KIB, 8 * KIB, 16 * KIB, 1), bytes(16 * KIB + 1))
def test_the_library_cuts_where_the_specification_says(chunking: ContentChunking, blob: bytes) -> None:
    cuts = list(chunking.cuts(memoryview(blob)))
    assert cuts == list(cuts_by_the_text(chunking, blob))
    assert sum(length for _, length in cuts) == len(blob)
    assert all(chunking.minimum <= length <= chunking.maximum for _, length in cuts[:-1])


@pytest.mark.parametrize("minimum", [64 * KIB, 512 * KIB, 1024 * KIB])
@pytest.mark.parametrize("normalization", [1, 2, 3])
def test_large_chunks_too_are_cut_where_the_specification_says(minimum: int, normalization: int) -> None:
    """Up to the largest that are allowed; with the small ones above, every row of the masks comes into use."""
    chunking = ContentChunking(minimum, 2 * minimum, 4 * minimum, normalization)
    assert decode_chunking(dict(chunking.members()), "vector") == chunking
    blob = blake3(b"large").digest(length=5 * MIB)
    cuts = list(chunking.cuts(memoryview(blob)))
    assert cuts[:4] == [cut for cut, _ in zip(cuts_by_the_text(chunking, blob), range(4), strict=False)]
    assert len(cuts) > 1


def test_a_remote_is_made_with_what_its_record_may_say() -> None:
    assert decode_chunking(dict(ContentChunking().members()), "vector") == ContentChunking()


@given(st.sampled_from(["minimum", "average", "maximum", "normalization"]), st.integers(0, 1 << 40))
def test_parameters_that_the_library_would_refuse_are_never_decoded(name: str, value: int) -> None:
    members = {**ContentChunking().members(), name: value}
    try:
        decoded = decode_chunking(members, "vector")
    except MalformedObject:
        return
    assert list(decoded.cuts(memoryview(b"x"))) == [(0, 1)]


# -- what it is for


def noise(length: int) -> bytes:
    """The same on every machine."""
    return blake3(b"noise").digest(length=length)


def lengths(content: bytes) -> dict[bytes, int]:
    """The chunks of a new remote, by digest."""
    view = memoryview(content)
    return {blake3(view[at : at + length]).digest(): length for at, length in ContentChunking().cuts(view)}


def new_bytes(before: dict[bytes, int], content: bytes) -> int:
    """How much has to be sent of a content, where another one is there."""
    return sum(length for digest, length in lengths(content).items() if digest not in before)


@pytest.fixture(scope="module")
def large() -> bytes:
    return noise(96 * MIB)


def test_a_mebibyte_inserted_makes_less_than_two_new(large: bytes) -> None:
    before = lengths(large)
    inserted = blake3(b"inserted").digest(length=MIB)
    rng = random.Random(1)
    for place in (0, len(large), *(rng.randrange(len(large)) for _ in range(6))):
        new = new_bytes(before, large[:place] + inserted + large[place:])
        assert MIB <= new <= 2 * MIB


def test_scattered_edits_make_an_average_chunk_new_each(large: bytes) -> None:
    before = lengths(large)
    rng = random.Random(2)
    edits = 100
    edited = bytearray(large)
    for place in sorted((rng.randrange(len(large)) for _ in range(edits)), reverse=True):
        edited[place : place + rng.choice((0, 12))] = b"another row,"
    assert len(edited) > len(large)
    assert new_bytes(before, bytes(edited)) <= edits * ContentChunking().average


def test_what_is_appended_leaves_all_but_the_last_chunk(large: bytes) -> None:
    assert new_bytes(lengths(large), large + b"one line\n") <= ContentChunking().maximum + len(b"one line\n")


# -- the library


def test_a_mapped_file_is_cut_and_let_go_of(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(noise(4 * MIB))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        with memoryview(mapped) as content:
            assert list(ContentChunking().cuts(content)) == list(ContentChunking().cuts(memoryview(noise(4 * MIB))))
            for _ in ContentChunking().cuts(content):
                break  # The rest is never asked for, and nothing holds the file.


def test_threads_cut_side_by_side() -> None:
    contents = [blake3(bytes([number])).digest(length=MIB) for number in range(16)]
    alone = [list(ContentChunking().cuts(memoryview(content))) for content in contents]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda content: list(ContentChunking().cuts(memoryview(content))), contents)) == alone
    assert len({tuple(cuts) for cuts in alone}) == len(contents)


_WITHOUT = """
import importlib.abc, sys
class NoCore(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {missing!r}:
            raise ImportError("no module named " + name)
sys.meta_path.insert(0, NoCore())
from hitsave.errors import ConfigError
from hitsave.packing.chunking import ContentChunking
try:
    list(ContentChunking().cuts(memoryview(bytes(100))))
except ConfigError as error:
    print(error)
"""


@pytest.mark.parametrize("missing", ["pyfastcdc.cy.fastcdc", "pyfastcdc"])
def test_without_the_compiled_core_nothing_is_cut(missing: str) -> None:
    """The package would go on in plain Python, with a warning; and it may not be there at all."""
    child = [sys.executable, "-c", _WITHOUT.format(missing=missing)]
    done = subprocess.run(child, capture_output=True, text=True, check=True)
    assert "pip install --force-reinstall pyfastcdc" in done.stdout
    assert len(done.stdout.splitlines()) == 1
    assert not done.stderr


def test_a_library_that_cuts_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from hitsave.packing import chunking

    monkeypatch.setattr(chunking, "_KNOWN_LENGTHS", [65536])
    chunking._load.cache_clear()
    with pytest.raises(ConfigError, match="cuts at other places than it should"):
        list(ContentChunking().cuts(memoryview(b"content")))
    monkeypatch.undo()
    assert list(ContentChunking().cuts(memoryview(b"content"))) == [(0, 7)]
