"""Blocks: what they decode to is what was said, and nothing larger is ever made."""

from __future__ import annotations

import os
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from hitsave.errors import MalformedObject
from hitsave.objects.digest import blob_digest
from hitsave.packing.blocks import (
    BLOCK_TARGET,
    LARGEST_BLOCK,
    BlockBuilder,
    BlockEntry,
    Codec,
    decode_block,
    encode_block,
    entry_content,
)
from tests.objects.values import modest, mutations

TEXT = b"a line that comes again and again\n" * 200


def compressed(content: bytes, write_content_size: bool = True) -> bytes:
    """One frame."""
    return zstandard.ZstdCompressor(write_content_size=write_content_size).compress(content)


@modest
@given(
    st.one_of(
        st.binary(max_size=300),
        st.builds(lambda piece, times: piece * times, st.binary(min_size=1, max_size=50), st.integers(1, 1000)),
    )
)
def test_a_block_comes_back(content: bytes) -> None:
    for form in (content, bytearray(content), memoryview(content)):
        codec, stored = encode_block(form)
        assert len(stored) <= len(content)
        assert bytes(decode_block(codec, bytes(stored), len(content))) == content
        assert bytes(decode_block(codec, memoryview(stored), len(content))) == content


def test_text_is_compressed_and_noise_is_not() -> None:
    assert encode_block(TEXT)[0] is Codec.ZSTD
    assert encode_block(os.urandom(100_000))[0] is Codec.RAW
    assert encode_block(b"short")[0] is Codec.RAW
    assert encode_block(b"")[0] is Codec.RAW


def test_threads_encode_side_by_side() -> None:
    """Each has a compressor of its own: what they encode at the same time decodes to what each of them gave."""
    contents = [bytes([number]) * 50_000 + TEXT * number for number in range(1, 101)]
    with ThreadPoolExecutor(4) as threads:
        encoded = list(threads.map(encode_block, contents))
    assert [decode_block(codec, stored, len(one)) for one, (codec, stored) in zip(contents, encoded, strict=True)] == (
        contents
    )
    assert {codec for codec, _ in encoded} == {Codec.ZSTD}


@pytest.mark.parametrize("length", [0, len(TEXT) - 1, len(TEXT) + 1, LARGEST_BLOCK])
@pytest.mark.parametrize("codec", Codec)
def test_another_length_is_refused(codec: Codec, length: int) -> None:
    stored = TEXT if codec is Codec.RAW else compressed(TEXT)
    with pytest.raises(MalformedObject, match="malformed block"):
        decode_block(codec, stored, length)


@pytest.mark.parametrize("codec", [2, 255, -1])
def test_an_unknown_codec_is_refused(codec: int) -> None:
    with pytest.raises(MalformedObject, match="unknown codec"):
        decode_block(codec, b"abc", 3)


@pytest.mark.parametrize("codec", Codec)
def test_more_than_the_largest_block_is_refused_before_decoding(codec: Codec) -> None:
    with pytest.raises(MalformedObject, match=f"claims {LARGEST_BLOCK + 1} bytes"):
        decode_block(codec, b"", LARGEST_BLOCK + 1)


@pytest.mark.parametrize("claimed", [0, 10, 1000, (1 << 27) - 1, (1 << 27) + 1])
def test_a_frame_that_claims_another_length_is_never_decompressed(claimed: int) -> None:
    bomb = compressed(bytes(1 << 27))
    assert len(bomb) < 1 << 15
    tracemalloc.start()
    try:
        with pytest.raises(MalformedObject, match="claims another length"):
            decode_block(Codec.ZSTD, bomb, claimed)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_frame_without_a_length_is_refused() -> None:
    with pytest.raises(MalformedObject, match="claims another length"):
        decode_block(Codec.ZSTD, compressed(TEXT, write_content_size=False), len(TEXT))


def test_a_frame_that_lies_about_its_length_is_refused() -> None:
    frame = bytearray(compressed(TEXT[:200]))
    assert frame[5] == 200  # One byte of content size, after magic and descriptor.
    for lie in (1, 100, 199, 201, 255):
        frame[5] = lie
        with pytest.raises(MalformedObject):
            decode_block(Codec.ZSTD, bytes(frame), lie)


@pytest.mark.parametrize("stored", [b"", b"\x28", b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18\x03\0\0\0abc", TEXT[:18]])
def test_what_is_no_frame_is_refused(stored: bytes) -> None:
    for length in (0, 3, len(stored)):
        with pytest.raises(MalformedObject):
            decode_block(Codec.ZSTD, stored, length)


def test_every_truncation_of_a_block_is_refused() -> None:
    frame = compressed(TEXT)
    for codec, stored in ((Codec.ZSTD, frame), (Codec.RAW, TEXT[:100])):
        length = len(TEXT) if codec is Codec.ZSTD else 100
        for end in range(len(stored)):
            with pytest.raises(MalformedObject):
                decode_block(codec, stored[:end], length)


@modest
@given(st.data())
def test_a_changed_frame_gives_the_length_that_was_said_or_is_refused(data: st.DataObject) -> None:
    content = data.draw(st.sampled_from([TEXT, TEXT[:70], bytes(range(256)) * 3]))
    stored = data.draw(mutations(compressed(content)))
    try:
        found = decode_block(Codec.ZSTD, stored, len(content))
    except MalformedObject:
        return
    assert len(found) == len(content)


def test_entries_are_ranges_of_the_block() -> None:
    digest = blob_digest(b"any")
    block = b"0123456789"
    assert bytes(entry_content(block, digest, 0, 10)) == block
    assert bytes(entry_content(memoryview(block), digest, 3, 4)) == b"3456"
    assert bytes(entry_content(block, digest, 10, 0)) == b""
    for offset, length in ((0, 11), (10, 1), (11, 0), (1 << 32, 1), (5, 1 << 32)):
        with pytest.raises(MalformedObject, match=digest.short):
            entry_content(block, digest, offset, length)


@modest
@given(st.lists(st.binary(max_size=30), max_size=8))
def test_a_builder_lays_contents_one_after_the_other(contents: list[bytes]) -> None:
    builder = BlockBuilder()
    for content in contents:
        builder.add(blob_digest(content), 1, content)
    block = bytes(builder.content())
    assert block == b"".join(contents)
    assert builder.size == len(block)
    assert [entry.digest for entry in builder.entries] == [blob_digest(content) for content in contents]
    for entry, content in zip(builder.entries, contents, strict=True):
        assert bytes(entry_content(block, entry.digest, entry.offset, entry.length)) == content


def test_a_builder_says_when_there_is_enough() -> None:
    builder = BlockBuilder()
    assert not builder.full
    builder.add(bytes(32), 1, bytes(BLOCK_TARGET - 1))
    assert not builder.full
    builder.add(bytes(32), 1, b"x")
    assert builder.full
    assert builder.entries[1] == BlockEntry(bytes(32), 1, BLOCK_TARGET - 1, 1)
