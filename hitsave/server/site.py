"""What a server works with, opened once and passed along as `request.app.state.site`."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy.exc import SQLAlchemyError

from hitsave.cache.store import Cache
from hitsave.config import Config, RemoteConfig
from hitsave.errors import ConfigError
from hitsave.progress import Silent
from hitsave.remotes.opening import open_transport
from hitsave.remotes.transports.protocol import Transport
from hitsave.repository import Repository
from hitsave.server.audit import Audit
from hitsave.server.database import Database, first_line
from hitsave.server.keys import Keys
from hitsave.server.rates import Rate
from hitsave.server.receiving import upload_folder
from hitsave.server.sessions import Sessions
from hitsave.server.settings import Settings

#: Where, under the data folder, the first key is written.
ADMIN_KEY_FILE = "admin.key"
#: The name of the store among the repository's remotes.
STORE = "store"


@dataclass(frozen=True)
class Site:
    """One server.

    `transport` is the store, `repository` has it as its only remote and a cache of its own. `failures` counts keys that
    an address got wrong. In the folder `temporary` uploads lie until they are checked. A `local` site is one person's
    own repository: no keys, and only for this machine.
    """

    settings: Settings
    database: Database
    keys: Keys
    sessions: Sessions
    audit: Audit
    failures: Rate
    transport: Transport
    repository: Repository
    temporary: Path
    local: bool = False


@contextmanager
def open_site(settings: Settings) -> Iterator[Site]:
    """The site of a server that shares a store. Raises ConfigError, RemoteError, CacheError."""
    if settings.store_url.startswith(("http://", "https://")):
        raise ConfigError(f"--store: {settings.store_url} is a server itself; name a folder, a bucket or an ssh:// URL")
    _check_own_url(settings.url)
    _check_proxies(settings.proxies)
    _make_folders(settings.data)
    with ExitStack() as opened:
        transport = open_transport(settings.store_url)
        opened.callback(transport.close)
        database = opened.enter_context(closing(_open_database(settings)))
        repository = opened.enter_context(_open_repository(settings))
        temporary = opened.enter_context(upload_folder(settings.data / "tmp"))
        yield _put_together(settings, database, transport, repository, temporary)


@contextmanager
def open_local_site(settings: Settings, repository: Repository, transport: Transport) -> Iterator[Site]:
    """The site of one person's own repository, which stays open. Raises ConfigError."""
    _make_folders(settings.data)
    with (
        closing(_open_database(settings)) as database,
        upload_folder(settings.data / "tmp") as temporary,
    ):
        yield _put_together(settings, database, transport, repository, temporary, local=True)


def _check_own_url(url: str) -> None:
    """Refuse what pages cannot be reached at: they lead to addresses right below the name of a host."""
    if not url:
        return
    try:
        parts = urlsplit(url)
        named = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
    except ValueError:
        named = None
    if not named or parts.username is not None:
        raise ConfigError(f"--url: {url} is no URL of a server; write https://HOST or https://HOST:PORT")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        alone = f"{parts.scheme}://{parts.netloc}"
        raise ConfigError(f"--url: a server needs a name of its own, {alone}, and cannot be put below a path of it")


def _check_proxies(proxies: str) -> None:
    """Refuse what no request can come from: it would be taken for a word that is believed, and nobody would notice."""
    if proxies in ("", "*"):
        return
    for text in proxies.split(","):
        try:
            ip_network(text.strip())
        except ValueError:
            shown = text.strip() or "what is behind a comma"
            raise ConfigError(
                f"--proxies: {shown} is no address or network; write them as in 10.0.0.5,192.168.0.0/16"
            ) from None


def _put_together(
    settings: Settings,
    database: Database,
    transport: Transport,
    repository: Repository,
    temporary: Path,
    local: bool = False,
) -> Site:
    keys = Keys(database)
    return Site(
        settings,
        database,
        keys,
        Sessions(database, keys),
        Audit(database),
        Rate(settings.limits.failures, time.monotonic),
        transport,
        repository,
        temporary,
        local,
    )


def _make_folders(data: Path) -> None:
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        (data / "tmp").mkdir(exist_ok=True)
        trial = data / "tmp" / f"trial-{secrets.token_hex(6)}"
        trial.touch(exist_ok=False)
        trial.unlink()
    except OSError as error:
        raise ConfigError(f"{data}: cannot be written ({error.strerror}); name another folder with --data") from None


def _open_database(settings: Settings) -> Database:
    if not settings.database:
        _make_private(settings.own_database)
    return Database.open(settings.database_url, settings.limits.database_time)


def _make_private(path: Path) -> None:
    """A file that its owner alone can read, made where it is missing; SQLite gives its other files the same mode."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        with contextlib.suppress(PermissionError):  # Somebody else's file stays as that one wants it.
            path.chmod(0o600)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from None


def _open_repository(settings: Settings) -> Repository:
    data = Path(os.path.abspath(settings.data))
    url = settings.store_url
    remote = RemoteConfig(STORE, url if "://" in url else os.path.abspath(os.path.expanduser(url)))
    config = Config(data, "server", data / "cache", data, remotes=(remote,))
    return Repository(config, Cache.open(config.cache_dir), Silent())


def make_first_key(site: Site) -> Path | None:
    """Make an admin key where none was ever made; the file that it was written to, for its owner alone.

    Raises ConfigError.
    """
    path = site.settings.data / ADMIN_KEY_FILE
    try:
        made = site.keys.make_first("the first key", lambda key: _write_key(path, key))
    except SQLAlchemyError as error:
        raise ConfigError(f"{site.database.name}: the first key cannot be kept ({first_line(error)})") from None
    return path if made else None


def _write_key(path: Path, key: str) -> None:
    """A file with a key. Raises ConfigError where there is one already, or none can be written."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        reason = "is there already, and this database has no keys" if error.errno == errno.EEXIST else error.strerror
        raise ConfigError(f"{path}: {reason}; the first key is to be written there, move it away") from None
    try:
        with open(fd, "w", encoding="ascii") as file:
            file.write(f"{key}\n")
            file.flush()
            os.fsync(fd)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from None
