"""One SSH connection with an SFTP session, for callers in any thread, and what can be wrong with it in one line.

asyncssh does the work, in an event loop with a thread of its own. Settings, keys and known hosts are those of the `ssh`
command: ~/.ssh/config, the agent, the default keys, known_hosts. Nothing is ever asked for: no password, no passphrase.
A connection that was lost is RemoteUnavailable, and the next call makes a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
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

_Result = TypeVar("_Result")
#: Seconds to connect in, where the settings say nothing else; and between signs of life, of which three may be missed.
_CONNECT_TIMEOUT = 30
_KEEPALIVE = 15
_KNOWN_HOSTS = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2", "/etc/ssh/ssh_known_hosts")
_DEFAULT_KEYS = tuple(f"~/.ssh/id_{kind}" for kind in ("ed25519", "ecdsa", "rsa"))
#: Seconds that a connection may take to end.
_ENDING = 4
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

    def __init__(self, address: Address, config: Path | None = None) -> None:
        self._address = address
        self._config = config
        self._lock = threading.Lock()
        self._running: set[Future[Any]] = set()
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
        connection, self._connection, self._client = self._connection, None, None
        if connection is not None:
            connection.abort()
        # With its connection, everything fails by itself; what is only about to connect has to be told.
        if others := asyncio.all_tasks() - {asyncio.current_task()}:
            _, late = await asyncio.wait(others, timeout=_ENDING / 4)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=_ENDING / 4)

    async def _perform(self, action: Callable[[SFTPClient], Coroutine[Any, Any, _Result]]) -> _Result:
        client = await self._connected()
        try:
            return await action(client)
        except (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection, asyncssh.SFTPBadMessage) as error:
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
                known_hosts=_known_hosts(options),
                connect_timeout=options.connect_timeout or _CONNECT_TIMEOUT,
                keepalive_interval=options.keepalive_interval or _KEEPALIVE,
            )
        except asyncssh.HostKeyNotVerifiable as error:
            raise RemoteRefused(f"{self._address.url}: {_host_key_reason(options, str(error))}") from None
        except asyncssh.PermissionDenied:
            raise RemoteRefused(f"{self._address.url}: {await _permission_reason(options)}") from None
        except (asyncssh.Error, OSError, ValueError) as error:
            raise self._unreachable(error) from None
        try:
            return await self._connection.start_sftp_client()
        except (asyncssh.ChannelOpenError, asyncssh.SFTPError) as error:
            raise RemoteUnsuitable(f"{self._address.url}: this machine offers no SFTP ({error})") from None
        except (asyncssh.Error, OSError) as error:
            raise self._unreachable(error) from None

    def _options(self) -> SSHClientConnectionOptions:
        """The settings that `ssh` has for this host, and what the URL says."""
        config = os.path.expanduser("~/.ssh/config" if self._config is None else self._config)
        said: dict[str, Any] = {"host": self._address.host, "config": [config] if os.access(config, os.R_OK) else []}
        if self._address.port is not None:
            said["port"] = self._address.port
        if self._address.user is not None:
            said["username"] = self._address.user
        try:
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


def _words(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


# -- host keys


def _known_hosts(options: SSHClientConnectionOptions) -> Any:
    """The files of known hosts that are there. Without any no host is known: keys are checked always."""
    named: Iterable[str] = options.known_hosts or _KNOWN_HOSTS  # type: ignore[assignment]
    found = [path for path in map(os.path.expanduser, map(os.fspath, named)) if os.access(path, os.R_OK)]
    return found or b""


def _host_key_reason(options: SSHClientConnectionOptions, reason: str) -> str:
    host = options.host_key_alias or options.host
    port = None if options.port == asyncssh.DEFAULT_PORT else options.port
    changed = False
    with contextlib.suppress(OSError, ValueError):
        changed = any(asyncssh.match_known_hosts(_known_hosts(options), host, "", port)[:2])
    if changed:
        return (
            f"the key of this host is not the one that is known ({reason}); somebody may be listening in. If it was "
            f"changed on purpose, run 'ssh-keygen -R {host if port is None else f'[{host}]:{port}'}' and 'ssh' once"
        )
    command = f"ssh {host}" if port is None else f"ssh -p {port} {host}"
    return f"the key of this host is not known yet; run '{command}' once to check and accept it"


# -- keys


async def _permission_reason(options: SSHClientConnectionOptions) -> str:
    """Which keys were tried, and what could be done."""
    paths = _key_files(options)
    locked = [path for path in paths if _is_locked(path)]
    tried = [_short(path) for path in paths if path not in locked and os.path.exists(path)]
    agent = await _agent_keys(options)
    if agent:
        tried.append(f"{agent} {'key' if agent == 1 else 'keys'} of the agent")
    reason = f"permission denied for user {options.username}"
    reason += f" (tried {', '.join(tried)})" if tried else " (there is no key that could be tried)"
    if locked:
        return f"{reason}; {_short(locked[0])} has a passphrase: run 'ssh-add {_short(locked[0])}' first"
    return f"{reason}; see to it that 'ssh {options.host}' works without a password"


def _short(path: str) -> str:
    return re.sub(f"^{re.escape(os.path.expanduser('~'))}/", "~/", path)


async def _agent_keys(options: SSHClientConnectionOptions) -> int:
    if not options.agent_path:
        return 0
    try:
        async with asyncssh.connect_agent(options.agent_path) as agent:
            return len(await agent.get_keys(options.agent_identities))
    except (OSError, ValueError, asyncssh.Error):
        return 0


def _key_files(options: SSHClientConnectionOptions) -> list[str]:
    named: Any = options.config.get("IdentityFile") or _DEFAULT_KEYS
    return [os.path.expanduser(path) for path in named]


def _is_locked(path: str) -> bool:
    try:
        asyncssh.read_private_key(path)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        return "assphrase" in str(error)
    except (OSError, ValueError):
        return False
    return False
