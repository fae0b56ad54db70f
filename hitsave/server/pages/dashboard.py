"""What the pages of one site share: what they look at, the catalogue, and the collection that may be under way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from hitsave.errors import HitsaveError, ObjectError
from hitsave.objects.digest import Digest
from hitsave.server.answers import Refusal
from hitsave.server.pages.catalogue.evaluations import EvaluationTables
from hitsave.server.pages.catalogue.filling import Filling
from hitsave.server.pages.catalogue.owners import Loss, OwnerTables
from hitsave.server.pages.catalogue.tables import Tables
from hitsave.server.pages.holdings import (
    LARGEST_RECORD,
    LARGEST_TREE,
    Collected,
    Holdings,
    LocalHoldings,
    SharedHoldings,
)
from hitsave.server.site import STORE, Site

#: Rows on a page.
PAGE = 50
_LAST_PAGE = 1_000_000
#: Seconds for which what was looked at last counts as new; and that a page waits for the catalogue.
FRESH = 1.0
_PATIENCE = 1.5
_FOLDER = "dashboard"

_Answer = TypeVar("_Answer")


class Reading(NamedTuple):
    """Whether all that came is known; else how much of it is, of how much."""

    ready: bool
    done: int = 0
    total: int = 0


class Collecting(NamedTuple):
    """A collection: under way, done, or failed; with what somebody deleted before it, if somebody did."""

    running: bool
    lost: Loss | None = None
    done: Collected | None = None
    failure: str = ""


class TooLarge(ObjectError):
    """An object that is not read, since it would take too much memory."""


class Dashboard:
    """One site's pages."""

    def __init__(self, site: Site) -> None:
        self.shared = None if site.local else SharedHoldings(site.repository, STORE)
        self.holdings: Holdings = self.shared or LocalHoldings(site.repository)
        tables = Tables(site.repository.cache.folder(_FOLDER) / "catalogue.sqlite")
        self.filling = Filling(tables, self.holdings)
        self.evaluations = EvaluationTables(tables)
        self.owners = OwnerTables(tables)
        self.collecting: Collecting | None = None
        self._looked: dict[bool, float] = {}
        self._lock = threading.Lock()

    def catch_up(self, whole: bool = False, now: bool = False) -> Reading:
        """Know what came, with `whole` also inside of datasets; without `now`, unless somebody has just looked.

        Raises HitsaveError.
        """
        if not now and time.monotonic() - self._looked.get(whole, -FRESH) < FRESH:
            return Reading(True)
        if self.filling.catch_up(whole, _PATIENCE, now):
            self._looked[whole] = time.monotonic()
            return Reading(True)
        return Reading(False, *self.filling.progress)

    def load(self, digest: Digest, most: int = LARGEST_RECORD) -> bytes:
        """An object that ought to be small; an address may name any. Raises ObjectError, RemoteError."""
        if self.holdings.length(digest) > most:
            raise TooLarge(f"{digest.short} is too large to be read here")
        return self.holdings.contents.load(digest)

    def extent(self, tree: Digest) -> tuple[int, int]:
        """Bytes and number of files beneath a directory. Raises ObjectError, RemoteError."""
        if self.holdings.length(tree) > LARGEST_TREE:
            raise TooLarge(f"{tree.short} is too large to be read here")
        entries = self.holdings.contents.children(tree).values()
        return sum(entry.size for entry in entries), sum(entry.files for entry in entries)

    def collect(self, by: str, at_once: bool, patience: float, lost: Loss | None = None) -> None:
        """Begin a collection, of what was `lost` and else, unless one is under way, and wait a little for its end."""
        with self._lock:
            if self.collecting is not None and self.collecting.running:
                return
            self.collecting = Collecting(True, lost)
        thread = threading.Thread(target=self._collect, args=(by, at_once, lost), name="hitsave-collect", daemon=True)
        thread.start()
        thread.join(patience)

    def _collect(self, by: str, at_once: bool, lost: Loss | None) -> None:
        try:
            self.collecting = Collecting(False, lost, self.holdings.collect(by, at_once))
        except HitsaveError as error:
            self.collecting = Collecting(False, failure=str(error))
        except BaseException:
            self.collecting = Collecting(False, failure="a fault of the server; its log says more")
            raise


_creating = threading.Lock()


def dashboard_of(request: Request) -> Dashboard:
    """The dashboard of the application that was asked, made when it is first asked for. Raises CacheError."""
    state = request.app.state
    with _creating:
        if not hasattr(state, "dashboard"):
            state.dashboard = Dashboard(state.site)
        found: Dashboard = state.dashboard
    return found


async def in_thread(request: Request, action: Callable[[Dashboard], _Answer]) -> _Answer:
    """What `action` gives, in a thread."""
    return await run_in_threadpool(lambda: action(dashboard_of(request)))


def page_number(request: Request, total: int | None = None, rows: int = PAGE) -> int:
    """The page that is asked for, from 1 on; where the `total` of rows is known, the last one that has some at most.

    A page has so many `rows`.
    """
    text = request.query_params.get("page", "1")
    last = _LAST_PAGE if total is None else max((total + rows - 1) // rows, 1)
    return min(max(int(text), 1), last) if text.isascii() and text.isdigit() and len(text) < 9 else 1


def not_found(what: str) -> Refusal:
    """What is answered where there is none."""
    return Refusal(404, "not found", f"there is no such {what}")
