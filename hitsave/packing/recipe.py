"""Recipes (objects_spec.md, section 7): which chunks, one after the other, make a large blob.

    "HSRC" version(1) zero(3)  blob digest(32)  size(8)  chunk count(4)  (digest(32) length(4))...  check(32)

The check is BLAKE3 under a context string of its own over everything before it. It binds the recipe to its blob,
so that a part of the blob can be read and trusted without reading the whole.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

from blake3 import blake3

from hitsave.errors import MalformedObject
from hitsave.objects.digest import DIGEST_SIZE, Digest

RECIPE_CONTEXT = "hitsave 2026-11 recipe v1"

_HEADER = struct.Struct("<8s32sQI")
_CHUNK = struct.Struct("<32sI")
_MAGIC = b"HSRC\x01\0\0\0"


class Chunk(NamedTuple):
    """A piece of a large blob, named by the BLAKE3 of its bytes; `length` is in bytes."""

    digest: Digest
    length: int


@dataclass(frozen=True, slots=True)
class Recipe:
    """A blob and its chunks, in order. The lengths add up to `size`."""

    blob: Digest
    size: int
    chunks: tuple[Chunk, ...]


def _check(data: bytes) -> bytes:
    return blake3(data, derive_key_context=RECIPE_CONTEXT).digest()


def encode_recipe(recipe: Recipe) -> bytes:
    """The one encoding of a recipe."""
    head = _HEADER.pack(_MAGIC, recipe.blob, recipe.size, len(recipe.chunks))
    body = head + b"".join([_CHUNK.pack(*chunk) for chunk in recipe.chunks])
    return body + _check(body)


def decode_recipe(data: bytes, blob: Digest) -> Recipe:
    """The recipe of `blob`. Raises MalformedObject for anything else."""
    if len(data) < _HEADER.size + DIGEST_SIZE:
        raise MalformedObject("recipe", "is too short")
    body, check = data[:-DIGEST_SIZE], data[-DIGEST_SIZE:]
    if _check(body) != check:
        raise MalformedObject("recipe", "does not have the check that it ends with")
    magic, named, size, count = _HEADER.unpack_from(body)
    if magic != _MAGIC:
        raise MalformedObject("recipe", "does not begin with the magic bytes of version 1", 0)
    if named != blob:
        raise MalformedObject("recipe", f"is for {Digest(named).short}, not for {blob.short}")
    if len(body) != _HEADER.size + count * _CHUNK.size:
        raise MalformedObject("recipe", "has another length than its count says")
    chunks = tuple(Chunk(Digest(digest), length) for digest, length in _CHUNK.iter_unpack(body[_HEADER.size :]))
    if sum(chunk.length for chunk in chunks) != size or any(chunk.length == 0 for chunk in chunks):
        raise MalformedObject("recipe", "its chunks do not add up to its size")
    return Recipe(blob, size, chunks)
