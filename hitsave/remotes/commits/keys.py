"""Under which keys a remote keeps what (objects_spec.md, section 9.2)."""

from __future__ import annotations

import re

from hitsave.objects.digest import Digest
from hitsave.packing.commit import StoredFile
from hitsave.remotes.commits.sessions import Session

FORMAT_KEY = "format"
COMMITS = "commits/"
PROBES = "probe/"
PACKS = "packs/"
INDEXES = "indexes/"
REFS = "refs/"
CLAIMS = "claims/"
_COMMIT_KEY = re.compile(f"{COMMITS}[0-9]{{20}}")
_CLAIM_KEY = re.compile(f"{CLAIMS}[0-9a-f]{{64}}-([0-9]{{20}})")
_FILE_KEY = re.compile(r"(?:indexes|refs)/[0-9a-f]{64}-([0-9a-f]{32})\.(?:index|refs)")


def pack_key(digest: Digest) -> str:
    """Where a pack lies."""
    return f"{PACKS}{digest.hex()[:2]}/{digest}.pack"


def index_key(file: StoredFile) -> str:
    """Where an index lies. Its session makes the name one that is never used again."""
    return f"{INDEXES}{file.digest}-{file.session}.index"


def refs_key(file: StoredFile) -> str:
    """Where a ref segment lies."""
    return f"{REFS}{file.digest}-{file.session}.refs"


def session_of(key: str) -> Session | None:
    """Whose an index or ref segment is, by its key; None for any other key, and what is none."""
    found = _FILE_KEY.fullmatch(key)
    return Session.from_token(bytes.fromhex(found[1])) if found else None


def commit_key(number: int) -> str:
    """Where a commit lies."""
    return f"{COMMITS}{number:020}"


def is_commit_key(key: str) -> bool:
    """Whether a key is one of a commit; others may have put files beside them."""
    return _COMMIT_KEY.fullmatch(key) is not None


def claims_of(key: Digest) -> str:
    """What the keys of all claims of a call begin with."""
    return f"{CLAIMS}{key}-"


def claim_key(key: Digest, number: int) -> str:
    """Where a claim of a call lies."""
    return f"{claims_of(key)}{number:020}"


def claim_number(key: str) -> int:
    """The number of a claim, by its key; 0 for what is none."""
    found = _CLAIM_KEY.fullmatch(key)
    return int(found[1]) if found else 0
