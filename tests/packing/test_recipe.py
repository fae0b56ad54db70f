"""Recipes: bound to their blob, and no byte of them can change."""

from __future__ import annotations

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from hitsave.errors import MalformedObject
from hitsave.objects.digest import Digest, blob_digest
from hitsave.packing.chunking import FixedChunking
from hitsave.packing.recipe import (
    MOST_CHUNKS,
    RECIPE_CONTEXT,
    Chunk,
    Recipe,
    decode_recipe,
    encode_recipe,
    join_parts,
    split_recipe,
)
from tests.objects.values import digests, modest, mutations

BLOB = blob_digest(b"the whole")
A, B = blob_digest(b"a"), blob_digest(b"b")
SOUND = Recipe(BLOB, 300, (Chunk(A, 100), Chunk(B, 50), Chunk(A, 100), Chunk(B, 50)))

recipes = st.builds(
    lambda blob, chunks: Recipe(blob, sum(chunk.length for chunk in chunks), tuple(chunks)),
    digests,
    st.lists(st.builds(Chunk, digests, st.integers(1, (1 << 32) - 1)), max_size=10),
)


@modest
@given(recipes)
def test_a_recipe_comes_back(recipe: Recipe) -> None:
    encoded = encode_recipe(recipe)
    assert len(encoded) == 84 + 36 * len(recipe.chunks)
    assert decode_recipe(encoded, recipe.blob) == recipe


def test_every_flipped_bit_is_refused() -> None:
    encoded = encode_recipe(SOUND)
    for at in range(len(encoded)):
        for bit in range(8):
            changed = bytearray(encoded)
            changed[at] ^= 1 << bit
            with pytest.raises(MalformedObject):
                decode_recipe(bytes(changed), BLOB)


def test_every_truncation_is_refused() -> None:
    encoded = encode_recipe(SOUND)
    for length in range(len(encoded)):
        with pytest.raises(MalformedObject):
            decode_recipe(encoded[:length], BLOB)
    with pytest.raises(MalformedObject):
        decode_recipe(encoded + b"\0", BLOB)


@modest
@given(recipes, st.data(), st.booleans())
def test_a_changed_recipe_is_refused_or_the_same(recipe: Recipe, data: st.DataObject, resealed: bool) -> None:
    encoded = encode_recipe(recipe)
    if resealed:
        body = data.draw(mutations(encoded[:-32]))
        changed = body + blake3(body, derive_key_context=RECIPE_CONTEXT).digest()
    else:
        changed = data.draw(mutations(encoded))
    try:
        decoded = decode_recipe(changed, recipe.blob)
    except MalformedObject:
        return
    assert encode_recipe(decoded) == changed
    assert decoded.blob == recipe.blob
    assert decoded.size == sum(chunk.length for chunk in decoded.chunks)


def test_a_recipe_of_another_blob_is_refused() -> None:
    with pytest.raises(MalformedObject, match=f"is for {BLOB.short}, not for {A.short}"):
        decode_recipe(encode_recipe(SOUND), A)


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(BLOB, 299, SOUND.chunks),
        Recipe(BLOB, 301, SOUND.chunks),
        Recipe(BLOB, 0, SOUND.chunks),
        Recipe(BLOB, 1, ()),
        Recipe(BLOB, 0, (Chunk(A, 0),)),
        Recipe(BLOB, 300, (*SOUND.chunks, Chunk(A, 0))),
    ],
)
def test_chunks_that_do_not_add_up_are_refused(recipe: Recipe) -> None:
    with pytest.raises(MalformedObject, match="do not add up"):
        decode_recipe(encode_recipe(recipe), BLOB)


def test_another_version_is_refused() -> None:
    body = b"HSRC\x02" + encode_recipe(SOUND)[5:-32]
    with pytest.raises(MalformedObject, match="magic bytes of version 1"):
        decode_recipe(body + blake3(body, derive_key_context=RECIPE_CONTEXT).digest(), BLOB)


def test_a_plain_digest_is_no_check() -> None:
    body = encode_recipe(SOUND)[:-32]
    with pytest.raises(MalformedObject, match="check"):
        decode_recipe(body + blake3(body).digest(), BLOB)


@modest
@given(st.binary(min_size=1, max_size=20_000), st.integers(1, 4096))
def test_what_was_cut_is_put_together_by_its_recipe(content: bytes, size: int) -> None:
    cuts = list(FixedChunking(size).cuts(memoryview(content)))
    kept: dict[Digest, bytes] = {}
    chunks = []
    for offset, length in cuts:
        piece = content[offset : offset + length]
        kept[blob_digest(piece)] = piece
        chunks.append(Chunk(blob_digest(piece), length))
    blob = blob_digest(content)
    recipe = decode_recipe(encode_recipe(Recipe(blob, len(content), tuple(chunks))), blob)
    assert blob_digest(b"".join(kept[chunk.digest] for chunk in recipe.chunks)) == blob


# -- parts


def chunks_of(seed: int, count: int) -> list[Chunk]:
    return [Chunk(blob_digest(b"%d %d" % (seed, number)), 1000 + number % 7) for number in range(count)]


def recipe_of(chunks: list[Chunk]) -> Recipe:
    return Recipe(BLOB, sum(chunk.length for chunk in chunks), tuple(chunks))


@pytest.mark.parametrize("count", [0, 1, MOST_CHUNKS, MOST_CHUNKS + 1, 20_000])
def test_a_long_recipe_is_cut_into_parts_and_put_together(count: int) -> None:
    flat = recipe_of(chunks_of(1, count))
    kept, parts = split_recipe(flat)
    assert kept.of_parts == bool(parts) == (count > MOST_CHUNKS)
    assert join_parts(decode_recipe(encode_recipe(kept), BLOB), parts) == flat
    if parts:
        assert count / 400 < len(parts) < count / 100
        assert {blob_digest(content) for content in parts.values()} == set(parts)


def test_a_change_of_a_long_list_makes_few_new_parts() -> None:
    chunks = chunks_of(1, 20_000)
    _, before = split_recipe(recipe_of(chunks))
    changed = [*chunks[:7000], *chunks_of(2, 9), *chunks[7003:12_000], *chunks_of(3, 1), *chunks[12_001:]]
    _, after = split_recipe(recipe_of(changed))
    new = after.keys() - before.keys()
    assert 1 <= len(new) <= 4


def test_equal_chunks_fill_parts() -> None:
    kept, parts = split_recipe(recipe_of([Chunk(A, 5)] * 5000))
    assert len(parts) == 2
    assert [part.length for part in kept.chunks] == [5 * MOST_CHUNKS] * 4 + [5 * (5000 - 4 * MOST_CHUNKS)]
    assert join_parts(kept, parts) == recipe_of([Chunk(A, 5)] * 5000)


def test_no_part_covers_more_than_a_number_can_tell() -> None:
    flat = recipe_of([Chunk(A, (1 << 32) - 1)] * 1100)
    kept, parts = split_recipe(flat)
    assert len(kept.chunks) == 1100
    assert join_parts(decode_recipe(encode_recipe(kept), BLOB), parts) == flat
