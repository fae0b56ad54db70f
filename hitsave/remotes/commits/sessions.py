"""Sessions: one push, or one collection, from the state of the remote that it began on to its commit.

Every pack in a remote belongs to exactly one session, whose token is the pack's nonce. So two sessions never make the
same pack, a pack's name is never used again once it was removed, and whoever finds a pack that no commit names can
read in its first bytes which session it waits for. A commit may *fence* sessions that began long ago: they can no
longer commit, and their packs can be removed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from hitsave.packing.commit import Commit
from hitsave.packing.pack import NONCE_SIZE

#: The number of the commit that a session began on comes first.
_BASE_SIZE = 8


@dataclass(frozen=True, slots=True)
class Session:
    """A session by its token of 16 bytes: the number of the commit it began on, big-endian, and 8 random bytes."""

    token: bytes
    base: int

    @classmethod
    def begin(cls, base: int, random: Callable[[int], bytes] = os.urandom) -> Session:
        """A new session on the commit with this number; 0 before the first commit."""
        return cls(base.to_bytes(_BASE_SIZE, "big") + random(NONCE_SIZE - _BASE_SIZE), base)

    @classmethod
    def from_token(cls, token: bytes) -> Session:
        """The session with this token. Raises ValueError where it has another length."""
        if len(token) != NONCE_SIZE:
            raise ValueError(f"the token of a session has {NONCE_SIZE} bytes, not {len(token)}")
        return cls(bytes(token), int.from_bytes(token[:_BASE_SIZE], "big"))

    @property
    def hex(self) -> str:
        """The token as commits spell it: 32 lower-case hex digits."""
        return self.token.hex()

    def fenced_by(self, newest: Commit | None) -> bool:
        """Whether it can no longer commit, by what the newest commit says: what it sent may have been removed."""
        return newest is not None and (self.base < newest.fenced_before or self.hex in newest.fenced)
