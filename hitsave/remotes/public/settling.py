"""Makes the files of a snapshot what the newest commit says of it: all there, or none (objects_spec.md, section 9.8).

Their keys are links that people have, so they are used again, and no store removes a key only as long as nobody has
made the snapshot public once more. So whoever has put or removed anything looks again, first at the newest commit and
then at what is there, and goes on until there is nothing left to do: the last one who changes anything sees that it is
right. No clock is asked, and who sleeps for a month in the middle mends on waking what it broke.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hitsave.errors import RemoteError, RemoteUnsuitable
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.refs import Ref
from hitsave.progress import Progress
from hitsave.remotes.public.layout import file_key, list_key
from hitsave.remotes.public.places import is_server
from hitsave.remotes.public.publish import Source, keys_there, lay_out
from hitsave.remotes.transports.protocol import Transport

_TRIES = 20
#: Names may be long, and a server takes short requests only.
_DELETED_AT_ONCE = 200

#: The ref that makes a snapshot public, as the newest commit has it; None where there is none.
Newest = Callable[[], Ref | None]


class PublicSnapshot(NamedTuple):
    """A snapshot that is or was public; `kind` is None where that is not known."""

    digest: Digest
    kind: ObjectKind | None


def settle(
    transport: Transport,
    what: PublicSnapshot,
    newest: Newest,
    source: Source,
    progress: Progress,
    missing: bool = False,
) -> bool:
    """Remove the files of a snapshot that is not public; with `missing`, put those of one that is. Whether it is.

    What this call has removed, and should not have, it puts again. A server of a remote gives files itself: there,
    none are put. Raises RemoteError, ObjectError, SnapshotError.
    """
    putting = missing
    for turn in range(_TRIES):
        ref = newest()
        if ref is None:
            changed = _remove(transport, what, newest)
            putting = putting or changed
        elif not putting or is_server(transport.url):
            return True
        else:
            changed = lay_out(transport, ref.digest, ref.kind, source, progress, trusting=turn > 0)
        if not changed:
            return ref is not None
    raise RemoteUnsuitable(f"{transport.url}: what was put or removed under {file_key(what.digest)} is not listed so")


def _remove(transport: Transport, what: PublicSnapshot, newest: Newest) -> bool:
    """Remove files for as long as the snapshot is not public; whether there were any. Raises RemoteError."""
    keys = keys_there(transport, *what)
    first = keys & {list_key(what.digest)}  # Without the list, nobody takes the rest for whole.
    rest = sorted(keys - first)
    batches = [rest[at : at + _DELETED_AT_ONCE] for at in range(0, len(rest), _DELETED_AT_ONCE)]
    for batch in filter(None, [[*first], *batches]):
        if newest() is not None:
            break
        try:
            transport.delete(batch)
        except RemoteError:
            if newest() is None:
                raise
            break  # A server refuses to remove what is public by now.
    return bool(keys)
