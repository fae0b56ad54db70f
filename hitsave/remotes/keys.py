"""Under which keys a remote keeps what (objects_spec.md, section 9.2)."""

from __future__ import annotations

import re

from hitsave.objects.digest import Digest

FORMAT_KEY = "format"
COMMITS = "commits/"
_COMMIT_KEY = re.compile(f"{COMMITS}[0-9]{{20}}")


def pack_key(digest: Digest) -> str:
    """Where a pack lies."""
    return f"packs/{digest.hex()[:2]}/{digest}.pack"


def index_key(digest: Digest) -> str:
    """Where an index lies."""
    return f"indexes/{digest}.index"


def refs_key(digest: Digest) -> str:
    """Where a ref segment lies."""
    return f"refs/{digest}.refs"


def commit_key(number: int) -> str:
    """Where a commit lies."""
    return f"{COMMITS}{number:020}"


def is_commit_key(key: str) -> bool:
    """Whether a key is one of a commit; others may have put files beside them."""
    return _COMMIT_KEY.fullmatch(key) is not None
