"""Which commits of a remote expire, and which sessions are taken for dead (objects_spec.md, section 9.6).

Pure: times come in. They decide how long things are kept, never what is safe: a wrong clock costs work, not data.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hitsave.packing.commit import Commit
from hitsave.remotes.commits.sessions import Session

#: Seconds after which a session that has not committed is fenced, however busy it may be.
SESSION_LIFE = 7 * 86400
#: Seconds that what a session sent and did not commit is left alone.
ORPHAN_LIFE = 86400


def oldest_retained(retained: Sequence[Commit], now: int, keep: int) -> int:
    """The oldest commit to retain, where `retained` are those that are there, ascending, and one follows them now.

    That is the one that held `keep` seconds ago, so that every state since can be brought back.
    """
    return _held_at([(commit.number, commit.created) for commit in retained] + [_next(retained, now)], now - keep)


def fenced_before(retained: Sequence[Commit], now: int) -> int:
    """The commit before which no session may have begun that still commits."""
    newest = retained[-1]
    held = _held_at([(commit.number, commit.created) for commit in retained], now - SESSION_LIFE)
    long_ago = retained[held - retained[0].number].created <= now - SESSION_LIFE
    return max(newest.fenced_before, held) if long_ago else newest.fenced_before


def _next(retained: Sequence[Commit], now: int) -> tuple[int, int]:
    return retained[-1].number + 1, now


def _held_at(commits: Iterable[tuple[int, int]], time: int) -> int:
    """The number of the last commit that was made by a time. One with a clock ahead keeps all that follow it."""
    held = 0
    for number, created in commits:
        if held and created > time:
            break
        held = number
    return held


def all_fenced(before: Commit, number: int, sessions: Iterable[Session]) -> tuple[str, ...]:
    """The `fenced` of the commit that fences these sessions, too, besides those that began before `number`."""
    tokens = {session.hex for session in sessions} | set(before.fenced)
    return tuple(sorted(token for token in tokens if Session.from_token(bytes.fromhex(token)).base >= number))
