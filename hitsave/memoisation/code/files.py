"""Digests of files and folders that code depends on. A file is read again only when its size or its times change."""

from __future__ import annotations

import os

from blake3 import blake3

from hitsave.memoisation.code.loading import Signature, signature_of

_known: dict[str, tuple[Signature, bytes]] = {}
_ABSENT = blake3(b"no such file").digest()


#: What Python puts beside the code that it runs.
_SKIPPED = "__pycache__"


def digest_path(path: str) -> bytes:
    """The digest of a file's content, or of all that is in a folder, with the names; one of its own for neither."""
    return _digest_folder(path, ()) if os.path.isdir(path) else digest_file(path)


def _digest_folder(path: str, above: tuple[str, ...]) -> bytes:
    real = os.path.realpath(path)
    hasher = blake3(b"folder")
    try:
        names = sorted(os.listdir(path)) if real not in above else []  # A link may lead to a folder that it is in.
    except OSError:
        return _ABSENT
    for name in names:
        if name != _SKIPPED:
            inner = os.path.join(path, name)
            is_folder = os.path.isdir(inner)
            encoded = os.fsencode(name)
            hasher.update(b"%d %d:" % (is_folder, len(encoded)) + encoded)
            hasher.update(_digest_folder(inner, (*above, real)) if is_folder else digest_file(inner))
    return hasher.digest()


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
