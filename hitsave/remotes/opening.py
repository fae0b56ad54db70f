"""From a URL to a transport, and the question whether a store can do what hitsave needs."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from hitsave.config import plain_url
from hitsave.errors import RemoteConflict, RemoteError, RemoteNotFound, RemoteRefused, RemoteUnsuitable
from hitsave.remotes.commits.keys import COMMITS, FORMAT_KEY
from hitsave.remotes.commits.suitable import refuse_overwriting, refuse_strangers
from hitsave.remotes.public.places import is_server
from hitsave.remotes.transports.bucketurls import BUCKET_SCHEMES, is_bucket, open_bucket
from hitsave.remotes.transports.folder import FolderTransport
from hitsave.remotes.transports.protocol import Transport
from hitsave.remotes.transports.retrying import BackOff, Retrying
from hitsave.remotes.transports.traffic import counted

if TYPE_CHECKING:
    from hitsave.remotes.transports.web import WebTransport

#: So many try to create one key at once when a store is tried.
_CONTENDERS = 4
_HASTY = BackOff(tries=2)


def open_transport(url: str, patient: bool = True, hasty: bool = False) -> Transport:
    """The transport for a URL. Raises RemoteUnsuitable where there is none.

    A patient one tries again what may pass. A hasty one does so once, and gives up within seconds where nobody answers:
    for who would rather do without than wait.
    """
    url = plain_url(url)
    parts = urlsplit(url)
    if "://" in url and parts.password is not None:
        raise RemoteUnsuitable(f"{parts.scheme}://{parts.hostname}: a URL holds no password; see docs/remotes.md")
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise RemoteUnsuitable(f"{url}: a file URL names a folder of this machine, as in file:///data/remote")
        return counted(FolderTransport(Path(unquote(parts.path))))
    if parts.scheme in _BY_SCHEME or is_bucket(url):
        opened = _BY_SCHEME[parts.scheme](url, hasty) if parts.scheme in _BY_SCHEME else open_bucket(url, hasty=hasty)
        transport = counted(opened)
        return Retrying(transport, _HASTY if hasty else None) if patient else transport
    if "://" in url:
        raise _unknown_scheme(url)
    return counted(FolderTransport(Path(os.path.abspath(os.path.expanduser(url)))))


def check_url(url: str) -> None:
    """Refuse what is meant as a URL and is none, which would pass for a folder. Raises RemoteUnsuitable."""
    if not url.strip():
        raise RemoteUnsuitable("a remote is a URL or a folder, and this is empty")
    scheme, _, rest = plain_url(url).partition("://")
    if rest or url.endswith("://"):
        if scheme not in (*_BY_SCHEME, *BUCKET_SCHEMES, "file"):
            raise _unknown_scheme(url)
    elif not os.path.isdir(os.path.expanduser(url)) and (meant := _meant_url(url)):
        raise RemoteUnsuitable(f"{url}: is no URL; did you mean {meant}? A folder of this name is ./{url}")


def _unknown_scheme(url: str) -> RemoteUnsuitable:
    return RemoteUnsuitable(
        f"{url}: there are remotes at https://, s3://, gs://, az://, ssh:// and file:// URLs, "
        "and in folders, named by a path"
    )


def _meant_url(text: str) -> str:
    """The URL that a text was meant to be: `s3:/bucket`, `gs//bucket`, or `user@host:path` as of scp; else nothing."""
    scheme, rest = re.fullmatch(r"(\w*)(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
    scheme, place = scheme.lower(), rest.lstrip(":/")
    if scheme in (*_BY_SCHEME, *BUCKET_SCHEMES, "file") and rest.startswith((":", "//")):
        if scheme == "ssh" and ":" in place:
            return _meant_machine(place)
        if scheme == "ssh" and "/" not in place:
            return f"ssh://{place or 'HOST'}/PATH"
        return f"{scheme}://{'/' if scheme == 'file' else ''}{place}"
    return _meant_machine(text)


def _meant_machine(text: str) -> str:
    """The URL of a machine that is named as for scp; else nothing."""
    remote = re.fullmatch(r"((?:[^@:/\\]+@)?[^@:/\\]{2,}):(.*)", text)
    if remote is None:
        return ""
    host, path = remote.groups()
    return f"ssh://{host}{'' if path.startswith('/') else '/~/'}{path.removeprefix('~/')}"


def _open_sftp(url: str, hasty: bool) -> Transport:
    try:
        from hitsave.remotes.transports.sftp import SftpTransport
    except ModuleNotFoundError as error:
        raise RemoteUnsuitable(f"{url}: for SSH, run: pip install 'hitsave[ssh]' ({error.name} is missing)") from None
    return SftpTransport(url, hasty=hasty)


def _open_web(url: str, hasty: bool) -> Transport:
    return open_server(url, hasty=hasty)


def open_server(url: str, key: str | None = None, hasty: bool = False) -> WebTransport:
    """The way to a server, with the key of this user without another. Raises ConfigError, RemoteUnsuitable."""
    from hitsave.config import config_folder
    from hitsave.remotes.transports.credentials import key_for
    from hitsave.remotes.transports.web import WebTransport

    return WebTransport(url, key or key_for(url, os.environ, config_folder(os.environ)), hasty=hasty)


def require_role(url: str, role: str, what: str) -> None:
    """Refuse what a server will not let this user do; other remotes have no roles. Raises RemoteRefused."""
    if not is_server(url):
        return
    with closing(open_server(url)) as server:
        own = server.whoami().get("role")
    if own != role:
        raise RemoteRefused(f"{url}: {what} needs a key with the role {role}; yours has {own}")


_BY_SCHEME: dict[str, Callable[[str, bool], Transport]] = {"ssh": _open_sftp, "http": _open_web, "https": _open_web}


def check_remote(transport: Transport) -> bool:
    """Whether a store that can be used as a remote can be written to, too. Raises RemoteUnsuitable, RemoteError."""
    refuse_strangers(transport)
    transport.list(COMMITS)  # Who may not list can neither push nor pull.
    try:
        probe(transport)
    except RemoteRefused:
        if not _holds_remote(transport):
            raise
        return False
    return True


def _holds_remote(transport: Transport) -> bool:
    try:
        transport.get(FORMAT_KEY)
    except RemoteNotFound:
        return False
    return True


def probe(transport: Transport) -> None:
    """Try what hitsave relies on, with keys that are removed again. Raises RemoteUnsuitable, RemoteError."""
    key, contested = (f"probe/{secrets.token_hex(12)}" for _ in range(2))
    transport.put(key, b"0123456789")
    try:
        _probe_creating(transport, key, contested)
        if transport.get(key, 2, 3) != b"234" or transport.get(key, 8, 5) != b"89":
            raise RemoteUnsuitable(f"{transport.url}: this store does not give parts of a value")
        if key not in transport.list("probe/"):
            raise RemoteUnsuitable(f"{transport.url}: this store does not list what was just written")
    finally:
        removed = _remove(transport, key, contested)
    if removed:
        try:
            transport.get(key)
        except RemoteNotFound:
            return
        raise RemoteUnsuitable(f"{transport.url}: this store does not delete")


def _remove(transport: Transport, *keys: str) -> bool:
    """Whether this user may remove keys. To push, nobody has to; a collection removes what a probe left."""
    try:
        transport.delete(keys)
    except RemoteRefused:
        return False
    except RemoteError:  # What was found out before matters more.
        return True
    return True


def _probe_creating(transport: Transport, taken: str, contested: str) -> None:
    """Whether a key that is taken stays as it is, and of several who create one at once exactly one does."""
    refuse_overwriting(transport, taken, b"overwritten")
    from concurrent.futures import ThreadPoolExecutor

    contents = [f"writer {number}".encode() for number in range(_CONTENDERS)]
    with ThreadPoolExecutor(_CONTENDERS) as threads:
        created = [*threads.map(lambda content: _creates(transport, contested, content), contents)]
    winners = [content for content, won in zip(contents, created, strict=True) if won]
    found = transport.get(contested)
    # No winner is known where the answer to its request was lost.
    if found not in contents or winners not in ([], [found]):
        raise RemoteUnsuitable(
            f"{transport.url}: this store lets two at once create the same key; "
            "two people who push at once would lose data"
        )


def _creates(transport: Transport, key: str, content: bytes) -> bool:
    try:
        transport.put(key, content)
    except RemoteConflict:
        return False
    return True
