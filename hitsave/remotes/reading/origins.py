"""Who made a ref, and when: a ref that is made here for what somebody else has pushed says what theirs says.

Otherwise a clone would take the order in which versions were fetched for the order in which they were made, and so
would every policy that asks which are the newest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hitsave.errors import RemoteCorrupt
from hitsave.objects.refs import Ref
from hitsave.remotes.commits.view import View

#: So many bytes of refs are fetched to learn it. More is what a hundred thousand refs and their like take.
_MOST_FETCHED = 16 << 20


def as_made(view: View, refs: Sequence[Ref]) -> list[Ref]:
    """These refs, with time, author and git commit of those that the remote holds by the same names."""
    try:
        held = view.held_at_hand({ref.name for ref in refs}, _MOST_FETCHED)
    except RemoteCorrupt:  # What is fetched is whole all the same.
        held = {}
    return [_as_made(ref, held.get(ref.name)) for ref in refs]


def _as_made(ref: Ref, held: Ref | None) -> Ref:
    if held is None or held.digest != ref.digest:
        return ref
    return replace(ref, created=held.created, by=held.by, git_commit=held.git_commit)
