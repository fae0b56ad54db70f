"""Starts over where others came between (objects_spec.md, sections 9.5 and 9.6).

What a view names may be removed while it is read, and a session may be fenced: neither says that a remote is damaged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hitsave.errors import ObjectNotFound, ReliedOnLost, RemoteCorrupt, RemoteNotFound
from hitsave.remotes.commits.log import Remote
from hitsave.remotes.commits.view import View

_TRIES = 5

Answer = TypeVar("Answer")


def with_newest(remote: Remote, action: Callable[[View], Answer]) -> Answer:
    """What `action` gives for the newest view; it is done again where it fails and the newest one is another by then.

    Raises what `action` raises.
    """
    view = remote.latest()
    for _ in range(_TRIES):
        try:
            return action(view)
        except ReliedOnLost:
            view = remote.latest()
        except (ObjectNotFound, RemoteCorrupt, RemoteNotFound):
            newest = remote.latest()
            if newest.digest == view.digest:
                raise
            view = newest
    return action(view)
