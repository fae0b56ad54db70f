"""A host of public snapshots, which anybody may read: a server, a public bucket, or a static web site. GET alone."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import urllib3
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from hitsave._version import __version__
from hitsave.errors import RemoteNotFound, RemoteRefused, RemoteUnavailable, RemoteUnsuitable
from hitsave.remotes.public.layout import LINK_TYPE
from hitsave.remotes.transports.retrying import BackOff
from hitsave.remotes.transports.webfaults import no_answer
from hitsave.remotes.transports.webpool import open_pool

_Answer = TypeVar("_Answer")
_PIECE = 1 << 20
_MOST_REDIRECTS = 5
_LINKS = f"{LINK_TYPE}, */*;q=0.5"
_PASSING = frozenset((408, 425, 429, 500, 502, 503, 504))


class PublicHost:
    """What answers at a URL. `parallel` says how many requests pay at once; several threads may ask."""

    parallel = 16

    def __init__(
        self,
        base: str,
        environ: Mapping[str, str] = os.environ,
        back_off: BackOff | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = base
        self._pool = open_pool(base, self.parallel, environ)
        self._back_off = back_off or BackOff()
        self._sleep = sleep

    def read(self, path: str, use: Callable[[Iterator[bytes], int | None], _Answer], link: bool = False) -> _Answer:
        """What `use` makes of a value, given in pieces, and its length in bytes where the host says it.

        With `link`, that of a symbolic link is where it leads, and not what is there. What fails on the way begins
        anew. Raises RemoteNotFound, RemoteRefused, RemoteUnavailable, RemoteUnsuitable.
        """
        waits = self._back_off.waits(lambda: 0.5)
        while True:
            try:
                return self._read(path, use, link)
            except RemoteUnavailable:
                wait = next(waits, None)
                if wait is None:
                    raise
                self._sleep(wait)

    def answers(self, path: str) -> bool:
        """Whether there is a value, and everybody may read it; nothing of it is read. Raises RemoteUnavailable."""
        try:
            self._read(path, lambda pieces, length: None, link=False)
        except (RemoteNotFound, RemoteRefused):
            return False
        return True

    def _read(self, path: str, use: Callable[[Iterator[bytes], int | None], _Answer], link: bool) -> _Answer:
        with self._faults(path):
            answer = self._pool.request(
                "GET",
                self.url + path,
                headers={
                    "Accept": _LINKS if link else "*/*",
                    "Accept-Encoding": "identity",
                    "User-Agent": f"hitsave/{__version__}",
                },
                preload_content=False,
                decode_content=False,
                retries=urllib3.Retry(total=None, connect=0, read=0, status=0, other=0, redirect=_MOST_REDIRECTS),
                timeout=urllib3.Timeout(connect=10, read=60),
            )
        try:
            self._check(path, answer)
            value = use(self._pieces(path, answer), answer.length_remaining)
        finally:
            if answer.length_remaining != 0:
                answer.close()  # What was not read must not be taken for the next answer.
            answer.release_conn()
        return value

    def _check(self, path: str, answer: BaseHTTPResponse) -> None:
        if answer.status in (404, 410):
            raise RemoteNotFound(self.url, path)
        if answer.status in (401, 403):  # What a bucket says of a key that is not there, to who may not list it.
            raise RemoteRefused(f"{self.url}{path}: is not there, or not public")
        if answer.status in _PASSING:
            raise RemoteUnavailable(f"{self.url}{path}: HTTP {answer.status}")
        if answer.status != 200:
            raise RemoteUnsuitable(f"{self.url}{path}: HTTP {answer.status} is no answer to a GET")
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise RemoteUnsuitable(f"{self.url}{path}: comes compressed, which was not asked for")

    def _pieces(self, path: str, answer: BaseHTTPResponse) -> Iterator[bytes]:
        with self._faults(path):
            yield from answer.stream(_PIECE, decode_content=False)

    @contextlib.contextmanager
    def _faults(self, path: str) -> Iterator[None]:
        try:
            yield
        except HTTPError as error:
            raise no_answer(self.url + path, "", error) from None

    def close(self) -> None:
        """End connections."""
        self._pool.clear()
