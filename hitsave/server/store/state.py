"""What the routes of a store share."""

from __future__ import annotations

import asyncio
import threading

from starlette.requests import Request

from hitsave.server.answers import Refusal
from hitsave.server.receiving import Room
from hitsave.server.site import Site
from hitsave.server.store.admission import StoreKey, parse_key
from hitsave.server.store.commits import Commits

PREFIX = "/store/v1"
KEYS = f"{PREFIX}/keys"


class Store:
    """What the routes share: the store of one site, and who is at work in it."""

    def __init__(self, site: Site) -> None:
        self.transport = site.transport
        self.room = Room(site.settings.limits)
        self.commits = Commits(site.transport, site.repository.cache.path / "remotes")
        #: One commit is judged at a time; a removal beside it could take away what it names.
        self.judging = asyncio.Lock()
        #: The number of the newest commit that is known here: neither it nor one before it is ever free again.
        self.newest = 0
        self._syncing = threading.Lock()

    def sync(self) -> None:
        """Make everything that was put so far durable, also what another thread is about to."""
        with self._syncing:
            self.transport.sync()


def store_of(request: Request) -> Store:
    """The store of the application that was asked."""
    store: Store = request.app.state.store
    return store


def key_of(request: Request) -> StoreKey:
    """The key in the path, spelled as it is: what needs an escape, or is taken away by a proxy, is no key."""
    text: str = request.path_params["key"]
    key = parse_key(text)
    if key is None or request.scope.get("raw_path", b"").partition(b"?")[0] != f"{KEYS}/{text}".encode():
        raise Refusal(404, "no such key", "there are no keys of this form")
    return key
