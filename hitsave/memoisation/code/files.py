"""Digests of files that code depends on, each read again only when its size or its times have changed."""

from __future__ import annotations

from blake3 import blake3

from hitsave.memoisation.code.loading import Signature, signature_of

_known: dict[str, tuple[Signature, bytes]] = {}
_ABSENT = blake3(b"no such file").digest()


def digest_file(path: str) -> bytes:
    """The digest of a file's content; one of its own where there is none."""
    signature = signature_of(path)
    if signature is None:
        return _ABSENT
    known = _known.get(path)
    if known is not None and known[0] == signature:
        return known[1]
    try:
        digest = blake3().update_mmap(path).digest()
    except (OSError, ValueError):
        return _ABSENT
    _known[path] = (signature, digest)
    return digest
