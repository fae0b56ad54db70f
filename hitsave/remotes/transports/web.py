"""A remote behind `hitsave serve`, over HTTP.

Connections are kept and used again, by one process: a forked child opens its own. Values go both ways in pieces. The
server answers a put when the value is durable, so that `sync` has nothing to do. The key goes to the server's own
origin and nowhere else: no redirect is ever followed.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import urllib3
from urllib3.exceptions import HTTPError, SSLError
from urllib3.response import BaseHTTPResponse

from hitsave.cache.files import write_all
from hitsave.errors import RemoteConflict, RemoteRefused, RemoteUnsuitable
from hitsave.remotes.transports.protocol import Buffer, Listed
from hitsave.remotes.transports.webfaults import LONGEST_ANSWER, explain, no_answer, not_trusted
from hitsave.remotes.transports.webpool import open_pool

_API = "/store/v1"
_PIECE = 1 << 20
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_DELETED_AT_ONCE = 1000
#: Before more than this is sent, it is asked whether this key may write.
_WORTH_ASKING = 64 << 10
_WRITING = ("write", "admin")


class WebTransport:
    """A server as a store."""

    #: The way there is long.
    parallel = 8

    def __init__(self, url: str, key: str | None, hasty: bool = False, environ: Mapping[str, str] = os.environ) -> None:
        """`key` is for this URL's origin. A hasty one gives up within seconds. Raises RemoteUnsuitable."""
        parts = urlsplit(url)
        if parts.username or parts.query or parts.fragment or not parts.hostname:
            raise RemoteUnsuitable(f"{url}: write https://HOST or https://HOST/PATH; 'hitsave login' takes the key")
        self.url = url.rstrip("/")
        self._headers = {"Accept-Encoding": "identity", "User-Agent": "hitsave"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key}"
        self._environ = environ
        self._timeout = urllib3.Timeout(connect=2 if hasty else 10, read=5 if hasty else 120)
        #: The answer to a put comes when all of it was checked.
        self._patient = urllib3.Timeout(connect=2 if hasty else 10, read=600)
        self._lock = threading.Lock()
        self._pool: tuple[int, urllib3.PoolManager] | None = None
        self._may_write: bool | None = None

    def _manager(self) -> urllib3.PoolManager:
        with self._lock:
            if self._pool is None or self._pool[0] != os.getpid():
                self._pool = (os.getpid(), open_pool(self.url, self.parallel, self._environ))
            return self._pool[1]

    @contextlib.contextmanager
    def _ask(
        self, method: str, path: str, subject: str, accepted: Sequence[int] = (200,), **how: Any
    ) -> Iterator[BaseHTTPResponse]:
        """One request; the answer is read while the block runs. Raises RemoteError, which names the `subject`."""
        headers = {**self._headers, **how.pop("headers", {})}
        how.setdefault("timeout", self._timeout)
        answer: BaseHTTPResponse | None = None
        try:
            answer = self._manager().request(
                method,
                f"{self.url}{_API}{path}",
                headers=headers,
                redirect=False,
                preload_content=False,
                decode_content=False,
                **how,
            )
            if answer.status not in accepted:
                raise explain(self.url, subject, answer)
            yield answer
            answer.drain_conn()
        except SSLError as error:
            raise not_trusted(self.url, error) from None
        except HTTPError as error:
            raise no_answer(self.url, subject, error) from None
        except BaseException:
            if answer is not None:
                answer.close()  # What was not read must not be taken for the next answer.
            raise
        finally:
            if answer is not None:
                answer.release_conn()

    def _ask_json(self, method: str, path: str, accepted: Sequence[int] = (200, 201), **how: Any) -> dict[str, Any]:
        """One request whose answer is a JSON object."""
        with self._ask(method, path, "", accepted, **how) as answer:
            content = answer.read(LONGEST_ANSWER)
        try:
            value = json.loads(content)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise RemoteUnsuitable(f"{self.url}: what answers there is no hitsave server")
        return value

    # -- the transport

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """A value, or a part of it."""
        last = "" if length is None else str(start + max(length, 1) - 1)
        headers = {} if (start, length) == (0, None) else {"Range": f"bytes={start}-{last}"}
        with self._ask("GET", _path(key), key, (200, 206, 416), headers=headers) as answer:
            if answer.status == 416:
                return b""
            if answer.status == 200 and headers:
                raise RemoteUnsuitable(f"{self.url}: this server does not give parts of a value")
            content = answer.read()
        return content if length is None else content[:length]

    def put(self, key: str, content: Buffer | Sequence[Buffer]) -> None:
        """Create a key with a value."""
        pieces = (content,) if isinstance(content, (bytes, bytearray, memoryview)) else content
        views = [memoryview(piece).cast("B") for piece in pieces if len(piece)]
        body = (view[at : at + _PIECE] for view in views for at in range(0, len(view), _PIECE))
        self._put(key, body, sum(map(len, views)))

    def put_file(self, key: str, path: Path) -> None:
        """Create a key with the content of a file."""
        with path.open("rb") as file:
            self._put(key, iter(lambda: file.read(_PIECE), b""), os.fstat(file.fileno()).st_size)

    def _put(self, key: str, body: Iterator[Buffer], length: int) -> None:
        if length > _WORTH_ASKING:
            self._refuse_reader(key)
        headers = {
            "If-None-Match": "*",
            "Content-Length": str(length),
            "Content-Type": "application/octet-stream",
        }
        with self._ask(
            "PUT", _path(key), key, (201, 412), headers=headers, body=body if length else b"", timeout=self._patient
        ) as answer:
            if answer.status == 412:
                raise RemoteConflict(self.url, key)

    def _refuse_reader(self, key: str) -> None:
        """Find out before much is sent that it will not be taken. Raises RemoteRefused."""
        if self._may_write is None:
            self._may_write = self.whoami().get("role") in _WRITING
        if not self._may_write:
            raise RemoteRefused(f"{self.url}: {key}: to send needs a key with the role write; yours may only read")

    def download(self, key: str, path: Path) -> None:
        """Write a value into a new file, which is there at the end only with all of it."""
        with self._ask("GET", _path(key), key) as answer:
            target = os.open(path, _CREATE, 0o644)
            try:
                try:
                    for piece in answer.stream(_PIECE, decode_content=False):
                        write_all(target, piece)
                finally:
                    os.close(target)
            except BaseException:
                path.unlink()
                raise

    def list(self, prefix: str, after: str = "") -> list[str]:
        """The keys that begin with `prefix` and sort after `after`."""
        found: list[str] = []
        more = True
        while more:
            page = self._ask_json("GET", f"/keys?{urlencode({'prefix': prefix, 'after': after})}")
            keys = page.get("keys")
            if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
                raise RemoteUnsuitable(f"{self.url}: what answers there is no hitsave server")
            found += keys
            more = bool(page.get("more")) and bool(keys)
            after = keys[-1] if keys else after
        return found

    def scan(self, prefix: str) -> Iterator[Listed]:
        """The keys that begin with `prefix`, with sizes and ages."""
        with self._ask("GET", f"/scan?{urlencode({'prefix': prefix})}", prefix) as answer:
            for line in _lines(answer):
                if line == b"null":
                    return
                key, size, modified = json.loads(line)
                yield Listed(str(key), int(size), int(modified))
        raise no_answer(self.url, prefix, "the list was cut off")

    def delete(self, keys: Iterable[str]) -> None:
        """Remove keys, many in a request."""
        remaining = iter(keys)
        while batch := list(islice(remaining, _DELETED_AT_ONCE)):
            with self._ask("POST", "/delete", batch[0], (204,), json={"keys": batch}):
                pass

    def sync(self) -> None:
        """There is nothing to do: what the server has answered is durable."""

    def close(self) -> None:
        """End connections."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None and pool[0] == os.getpid():
            pool[1].clear()

    # -- keys

    def whoami(self) -> dict[str, Any]:
        """What the server knows of this key: label, role, and when it expires, in seconds since 1970."""
        return self._ask_json("GET", "/whoami")

    def make_key(self, role: str, label: str, lifetime: int | None) -> dict[str, Any]:
        """Make a key that holds for so many seconds; with it, what the server keeps of it."""
        return self._ask_json("POST", "/api-keys", json={"role": role, "label": label, "lifetime": lifetime})

    def keys(self) -> Sequence[dict[str, Any]]:
        """What the server keeps of all keys."""
        found = self._ask_json("GET", "/api-keys").get("keys")
        return [key for key in found if isinstance(key, dict)] if isinstance(found, list) else []

    def revoke_key(self, key_id: str) -> dict[str, Any]:
        """Take a key out of use. Raises RemoteError where there is none."""
        return self._ask_json("DELETE", f"/api-keys/{quote(key_id, safe='')}")


def _path(key: str) -> str:
    return f"/keys/{quote(key)}"


def _lines(answer: BaseHTTPResponse) -> Iterator[bytes]:
    rest = b""
    for piece in answer.stream(_PIECE, decode_content=False):
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
