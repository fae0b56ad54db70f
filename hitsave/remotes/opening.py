"""From a URL to a transport, and the question whether a store can do what hitsave needs."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from urllib.parse import unquote, urlsplit

from hitsave.errors import RemoteConflict, RemoteNotFound, RemoteUnsuitable
from hitsave.remotes.folder import FolderTransport
from hitsave.remotes.log import refuse_strangers
from hitsave.remotes.retrying import Retrying
from hitsave.remotes.transport import Transport


def open_transport(url: str) -> Transport:
    """The transport for a URL. Raises RemoteUnsuitable where there is none."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise RemoteUnsuitable(f"{url}: a file URL names a folder of this machine, as in file:///data/remote")
        return FolderTransport(Path(unquote(parts.path)))
    if parts.scheme == "ssh":
        return Retrying(_open_sftp(url))
    if "://" in url:
        raise RemoteUnsuitable(f"{url}: this version reaches local folders and ssh:// only; give a path or such a URL")
    return FolderTransport(Path(os.path.abspath(os.path.expanduser(url))))


def _open_sftp(url: str) -> Transport:
    try:
        from hitsave.remotes.sftp import SftpTransport
    except ModuleNotFoundError as error:
        raise RemoteUnsuitable(f"{url}: for SSH, run: pip install 'hitsave[ssh]' ({error.name} is missing)") from None
    return SftpTransport(url)


def check_remote(transport: Transport) -> None:
    """Whether a store can be used as a remote. Raises RemoteUnsuitable, with the reason, RemoteError."""
    refuse_strangers(transport)
    probe(transport)


def probe(transport: Transport) -> None:
    """Try what hitsave relies on, with a key that is removed again. Raises RemoteUnsuitable, RemoteError."""
    key = f"probe/{secrets.token_hex(12)}"
    transport.put(key, b"0123456789")
    try:
        try:
            transport.put(key, b"overwritten")
        except RemoteConflict:
            pass
        else:
            raise RemoteUnsuitable(
                f"{transport.url}: this store overwrites a key that must be created only once; "
                "two people who push at once would lose data"
            )
        if transport.get(key, 2, 3) != b"234":
            raise RemoteUnsuitable(f"{transport.url}: this store does not give parts of a value")
        if key not in transport.list("probe/"):
            raise RemoteUnsuitable(f"{transport.url}: this store does not list what was just written")
    finally:
        transport.delete([key])
    try:
        transport.get(key)
    except RemoteNotFound:
        return
    raise RemoteUnsuitable(f"{transport.url}: this store does not delete")
