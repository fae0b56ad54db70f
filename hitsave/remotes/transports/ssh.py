"""One SSH connection with an SFTP session, for callers in any thread, and what can be wrong with it in one line.

asyncssh does the work, in an event loop with a thread of its own. Settings, keys and known hosts are those of the `ssh`
command: ~/.ssh/config, the agent, the default keys, known_hosts. Nothing is ever asked for: no password, no passphrase.
A connection that was lost is RemoteUnavailable, and the next call makes a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import unquote, urlsplit

import asyncssh
from asyncssh import SFTPClient, SSHClientConnection, SSHClientConnectionOptions

from hitsave.errors import RemoteError, RemoteRefused, RemoteUnavailable, RemoteUnsuitable
from hitsave.remotes.transports.sshkeys import host_key_reason, known_hosts, named_keys, permission_reason

_Result = TypeVar("_Result")
#: What the steps of a session raise where the connection is no longer there, or makes no sense any more.
LOST = (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection, asyncssh.SFTPBadMessage)
#: Seconds to connect in, where the settings say nothing else; and between signs of life, of which three may be missed.
_CONNECT_TIMEOUT = 30
_KEEPALIVE = 15
#: Of who would rather do without than wait: at most so many, for either.
_HASTY = 3
#: Seconds that a connection may take to end.
_ENDING = 8
#: Preferred to others where the settings don't choose: what processors have instructions for is twice as fast.
_CIPHERS = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"


class Address(NamedTuple):
    """Where an ssh:// URL leads; what it leaves out is found in the settings of ssh."""

    url: str
    host: str
    port: int | None
    user: str | None
    folder: str


def parse_url(url: str) -> Address:
    """The address in `ssh://[user@]host[:port]/absolute` or `ssh://host/~/below/home`. Raises RemoteUnsuitable."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        raise RemoteUnsuitable(f"{url}: the port is no number from 0 to 65535") from None
    folder = unquote(parts.path).rstrip("/")
    if folder == "/~" or folder.startswith("/~/"):
        folder = folder[3:] or "."
    if not parts.hostname or not folder or folder.startswith("/~"):
        raise RemoteUnsuitable(f"{url}: give a host and a folder there, as in ssh://host/data/remote or ssh://host/~/x")
    if parts.password is not None:
        raise RemoteUnsuitable(f"ssh://{parts.hostname}{parts.path}: a URL must not hold a password; use a key")
    return Address(url, parts.hostname, port, unquote(parts.username) if parts.username else None, folder)


class LocalFault(Exception):
    """An error of this machine's files, which is none of the connection."""

    def __init__(self, error: OSError) -> None:
        self.error = error


@contextlib.contextmanager
def local_files() -> Iterator[None]:
    """What the system refuses meanwhile is no fault of the connection."""
    try:
        yield
    except OSError as error:
        raise LocalFault(error) from None


class Link:
    """The way to one machine. Holds a thread and a connection from the first call on, until `close`."""

    def __init__(self, address: Address, config: Path | None = None, hasty: bool = False) -> None:
        self._address = address
        self._config = config
        self._hasty = hasty
        self._lock = threading.Lock()
        self._running: set[Future[Any]] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._connecting: asyncio.Lock | None = None
        self._connection: SSHClientConnection | None = None
        self._client: SFTPClient | None = None

    def run(self, action: Callable[[SFTPClient], Coroutine[Any, Any, _Result]]) -> _Result:
        """What `action` gives for the SFTP session. Raises RemoteError, and what SFTP servers answer."""
        running = self._submit(action)
        try:
            return running.result()
        except LocalFault as fault:
            raise fault.error from None
        except CancelledError:
            raise RemoteUnavailable(f"{self._address.url}: the connection was closed") from None
        except BaseException:
            running.cancel()  # Ctrl-C: nobody waits for it any more.
            raise
        finally:
            with self._lock:
                self._running.discard(running)

    def server_version(self) -> str:
        """What the server of the present connection calls itself."""
        connection = self._connection
        return str(connection.get_extra_info("server_version", "")) if connection else ""

    def close(self) -> None:
        """End the connection and the thread, and what is under way. A later call begins anew."""
        with self._lock:
            loop, thread, running = self._loop, self._thread, self._running
            self._loop, self._thread, self._running = None, None, set()
            if loop is not None:
                loop.call_soon_threadsafe(loop.stop)
        if thread is not None:
            thread.join(_ENDING)
        for one in running:
            one.cancel()  # For those who would wait for an answer that never comes.

    # -- the thread

    def _submit(self, action: Callable[[SFTPClient], Coroutine[Any, Any, _Result]]) -> Future[_Result]:
        # Under the lock, so that the loop has not been told to stop before it is told to do this.
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                # Requests that nobody waits for any more fail with the connection; that is no news.
                self._loop.set_exception_handler(lambda loop, context: None)
                self._connecting = asyncio.Lock()
                self._thread = threading.Thread(target=self._serve, args=(self._loop,), name="ssh", daemon=True)
                self._thread.start()
            running = asyncio.run_coroutine_threadsafe(self._perform(action), self._loop)
            self._running.add(running)
            return running

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            loop.run_until_complete(self._end())
            loop.close()

    async def _end(self) -> None:
        # What is under way may remove its temporary files; then the connection goes, and all that is left with it.
        await _cancel(self._tasks)
        connection, self._connection, self._client = self._connection, None, None
        if connection is not None:
            connection.abort()
        await _cancel(asyncio.all_tasks() - {asyncio.current_task()})

    async def _perform(self, action: Callable[[SFTPClient], Coroutine[Any, Any, _Result]]) -> _Result:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        client = await self._connected()
        try:
            return await action(client)
        except LOST as error:
            reason = str(error)
        except (asyncssh.DisconnectError, asyncssh.ChannelOpenError, OSError, EOFError) as error:
            reason = str(error) or type(error).__name__
        self._drop(client)
        raise RemoteUnavailable(f"{self._address.url}: the connection was lost ({reason})")

    def _drop(self, client: SFTPClient) -> None:
        if self._client is client and self._connection is not None:
            self._connection.abort()
            self._client = self._connection = None

    # -- connecting

    async def _connected(self) -> SFTPClient:
        assert self._connecting is not None
        async with self._connecting:
            if self._client is None or self._connection is None or self._connection.is_closed():
                self._client = await self._connect()
            return self._client

    async def _connect(self) -> SFTPClient:
        options = self._options()
        try:
            self._connection = await asyncssh.connect(
                self._address.host,
                options=options,
                known_hosts=known_hosts(options),
                connect_timeout=self._seconds(options.connect_timeout or _CONNECT_TIMEOUT),
                keepalive_interval=self._seconds(options.keepalive_interval or _KEEPALIVE),
            )
        except asyncssh.HostKeyNotVerifiable as error:
            raise RemoteRefused(f"{self._address.url}: {host_key_reason(options, str(error))}") from None
        except asyncssh.PermissionDenied:
            raise RemoteRefused(f"{self._address.url}: {await permission_reason(options)}") from None
        except (asyncssh.Error, OSError, ValueError) as error:
            raise self._unreachable(error) from None
        try:
            return await self._connection.start_sftp_client()
        except (asyncssh.ChannelOpenError, asyncssh.SFTPError) as error:
            raise RemoteUnsuitable(f"{self._address.url}: this machine offers no SFTP ({error})") from None
        except (asyncssh.Error, OSError) as error:
            raise self._unreachable(error) from None

    def _seconds(self, chosen: float) -> float:
        return min(chosen, _HASTY) if self._hasty else chosen

    def _options(self) -> SSHClientConnectionOptions:
        """The settings that `ssh` has for this host, and what the URL says."""
        config = os.path.expanduser("~/.ssh/config" if self._config is None else self._config)
        said: dict[str, Any] = {"host": self._address.host, "config": [config] if os.access(config, os.R_OK) else []}
        if self._address.port is not None:
            said["port"] = self._address.port
        if self._address.user is not None:
            said["username"] = self._address.user
        try:
            settings = asyncssh.SSHClientConnectionOptions(client_keys=None, **said).config
            # As `ssh` does, pass over keys that are named and are not there, or have a passphrase.
            if keys := [path for path in named_keys(settings) if os.path.exists(path)]:
                said |= {"client_keys": keys, "ignore_encrypted": True}
            options = asyncssh.SSHClientConnectionOptions(**said)
            if options.config.get("Ciphers") is None:
                options.update(encryption_algs=_CIPHERS)
            return options
        except OSError as error:
            reason = f"{error.filename or 'a file'}: {error.strerror or error}"
        except (ValueError, asyncssh.Error) as error:
            reason = str(error)
        raise RemoteError(f"{self._address.url}: the settings of ssh for this host cannot be used: {reason}")

    def _unreachable(self, error: Exception) -> RemoteError:
        url = self._address.url
        if isinstance(error, socket.gaierror):
            if error.errno == socket.EAI_AGAIN:
                return RemoteUnavailable(f"{url}: the name of the host cannot be looked up just now")
            return RemoteError(f"{url}: there is no host of this name; check the URL, or ~/.ssh/config")
        if isinstance(error, ConnectionRefusedError):
            return RemoteUnavailable(f"{url}: the connection was refused; is an SSH server running at this port?")
        if isinstance(error, TimeoutError):
            return RemoteUnavailable(f"{url}: the host does not answer")
        if isinstance(error, (OSError, asyncssh.ConnectionLost)):
            return RemoteUnavailable(f"{url}: cannot connect: {error.args and _words(error)}")
        return RemoteError(f"{url}: cannot connect: {error}")


async def _cancel(tasks: Iterable[asyncio.Task[Any] | None]) -> None:
    chosen = {task for task in tasks if task is not None}
    for task in chosen:
        task.cancel()
    if chosen:
        await asyncio.wait(chosen, timeout=_ENDING / 4)


def _words(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
