"""Recipes (objects_spec.md, section 7): which chunks, one after the other, make a large blob.

    "HSRC" version(1) form(1) zero(2)  blob digest(32)  size(8)  count(4)  (digest(32) length(4))...  check(32)

A long list of chunks is cut into parts, by its content as the blob is: each part is a blob of its own, and the recipe
lists the parts. So a change in a large file sends a part or two of its list, and not the whole list.

The check is BLAKE3 under a context string of its own over everything before it. It binds the recipe to its blob,
so that a part of the blob can be read and trusted without reading the whole.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from blake3 import blake3

from hitsave.errors import MalformedObject
from hitsave.objects.digest import DIGEST_SIZE, Digest, blob_digest

RECIPE_CONTEXT = "hitsave 2026-11 recipe v1"

_HEADER = struct.Struct("<5sB2s32sQI")
_CHUNK = struct.Struct("<32sI")
_MAGIC = b"HSRC\x01"
_FLAT, _OF_PARTS = 0, 1

#: A recipe of more chunks than this is cut into parts.
MOST_CHUNKS = 1024
#: A part ends behind a chunk whose digest begins with a byte of this value; so parts have some 256 chunks.
_LAST_OF_PART = 0
#: A part covers no more bytes of the blob.
_MOST_COVERED = (1 << 32) - 1


class Chunk(NamedTuple):
    """A piece of a large blob, named by the BLAKE3 of its bytes; `length` is in bytes.

    Where a recipe is one of parts: a part, named by the BLAKE3 of its list, and the bytes of the blob that it covers.
    """

    digest: Digest
    length: int


@dataclass(frozen=True, slots=True)
class Recipe:
    """A blob and its chunks, in order, or the parts of their list. The lengths add up to `size`."""

    blob: Digest
    size: int
    chunks: tuple[Chunk, ...]
    of_parts: bool = False


def _check(data: bytes) -> bytes:
    return blake3(data, derive_key_context=RECIPE_CONTEXT).digest()


def encode_recipe(recipe: Recipe) -> bytes:
    """The one encoding of a recipe."""
    form = _OF_PARTS if recipe.of_parts else _FLAT
    body = _HEADER.pack(_MAGIC, form, bytes(2), recipe.blob, recipe.size, len(recipe.chunks)) + _encode_list(
        recipe.chunks
    )
    return body + _check(body)


def _encode_list(chunks: Iterable[Chunk]) -> bytes:
    return b"".join([_CHUNK.pack(*chunk) for chunk in chunks])


def decode_recipe(data: bytes, blob: Digest) -> Recipe:
    """The recipe of `blob`. Raises MalformedObject for anything else."""
    if len(data) < _HEADER.size + DIGEST_SIZE:
        raise MalformedObject("recipe", "is too short")
    body, check = data[:-DIGEST_SIZE], data[-DIGEST_SIZE:]
    if _check(body) != check:
        raise MalformedObject("recipe", "does not have the check that it ends with")
    magic, form, gap, named, size, count = _HEADER.unpack_from(body)
    if magic != _MAGIC or any(gap) or form not in (_FLAT, _OF_PARTS):
        raise MalformedObject("recipe", "does not begin with the magic bytes of version 1", 0)
    if named != blob:
        raise MalformedObject("recipe", f"is for {Digest(named).short}, not for {blob.short}")
    if len(body) != _HEADER.size + count * _CHUNK.size:
        raise MalformedObject("recipe", "has another length than its count says")
    return Recipe(blob, size, _decode_list(body[_HEADER.size :], size), form == _OF_PARTS)


def _decode_list(data: bytes, size: int) -> tuple[Chunk, ...]:
    chunks = tuple(Chunk(Digest(digest), length) for digest, length in _CHUNK.iter_unpack(data))
    if sum(chunk.length for chunk in chunks) != size or any(chunk.length == 0 for chunk in chunks):
        raise MalformedObject("recipe", "its chunks do not add up to its size")
    return chunks


def split_recipe(recipe: Recipe) -> tuple[Recipe, dict[Digest, bytes]]:
    """A flat recipe as it is to be kept: as it is, or one of parts, with the contents of these."""
    if len(recipe.chunks) <= MOST_CHUNKS:
        return recipe, {}
    parts: list[Chunk] = []
    contents: dict[Digest, bytes] = {}
    for part in _cut(recipe.chunks):
        content = _encode_list(part)
        digest = blob_digest(content)
        contents[digest] = content
        parts.append(Chunk(digest, sum(chunk.length for chunk in part)))
    return Recipe(recipe.blob, recipe.size, tuple(parts), of_parts=True), contents


def _cut(chunks: Iterable[Chunk]) -> Iterator[list[Chunk]]:
    part: list[Chunk] = []
    covered = 0
    for chunk in chunks:
        if part and (
            part[-1].digest[0] == _LAST_OF_PART or len(part) == MOST_CHUNKS or covered + chunk.length > _MOST_COVERED
        ):
            yield part
            part, covered = [], 0
        part.append(chunk)
        covered += chunk.length
    if part:
        yield part


def join_parts(recipe: Recipe, contents: Mapping[Digest, bytes]) -> Recipe:
    """The flat recipe that a recipe stands for; of one of parts, `contents` has them. Raises MalformedObject."""
    if not recipe.of_parts:
        return recipe
    chunks = [chunk for part in recipe.chunks for chunk in decode_part(contents[part.digest], part.length)]
    return Recipe(recipe.blob, recipe.size, tuple(chunks))


def decode_part(content: bytes, length: int) -> tuple[Chunk, ...]:
    """The chunks that a part lists, which covers `length` bytes of the blob. Raises MalformedObject."""
    if len(content) % _CHUNK.size:
        raise MalformedObject("recipe", "a part of it is no list of chunks")
    return _decode_list(content, length)
