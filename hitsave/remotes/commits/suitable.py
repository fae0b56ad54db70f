"""Refuses stores in which a commit log would not be safe, and those that hold something else."""

from __future__ import annotations

from hitsave.errors import MalformedObject, RemoteConflict, RemoteNotFound, RemoteUnsuitable
from hitsave.packing.commit import decode_format
from hitsave.remotes.commits.keys import FORMAT_KEY
from hitsave.remotes.transports.protocol import Transport


def refuse_strangers(transport: Transport) -> None:
    """Refuse a store that holds anything but a remote of a version that is known here. Raises RemoteUnsuitable."""
    try:
        record = transport.get(FORMAT_KEY)
    except RemoteNotFound:
        found = transport.list("")
        if FORMAT_KEY not in found:
            if others := [key for key in found if not key.startswith("probe/")][:3]:
                raise RemoteUnsuitable(
                    f"{transport.url}: holds other files ({', '.join(others)}) and no hitsave remote; "
                    "name an empty folder"
                ) from None
            return
        record = transport.get(FORMAT_KEY)  # Somebody has made it just now.
    try:
        decode_format(record)
    except MalformedObject as error:
        raise RemoteUnsuitable(f"{transport.url}: its file 'format' is not of a remote known here: {error}") from None


def refuse_overwriting(transport: Transport, taken: str, content: bytes) -> None:
    """Try to create a key that is taken. Raises RemoteUnsuitable where the store lets that happen, RemoteRefused."""
    try:
        transport.put(taken, content)
    except RemoteConflict:
        return
    raise RemoteUnsuitable(
        f"{transport.url}: this store overwrites a key that must be created only once; "
        "two people who push at once would lose data"
    )
