from __future__ import annotations

from collections.abc import Iterator

import pytest

from hitsave.cache.store import Cache
from hitsave.server.access import Role
from tests.server.inprocess import Running, running
from tests.server.pages.exhibits import Visitor, fill, send


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server, with something to see."""
    folder = tmp_path_factory.mktemp("shown")
    with Cache.open(folder / "cache") as cache:
        fill(cache)
        send(cache, folder / "store")
    with running(folder / "data", store=str(folder / "store")) as found:
        yield found


@pytest.fixture(scope="module")
def admin(server: Running) -> Visitor:
    """Somebody who may do everything."""
    return Visitor.with_role(server, Role.ADMIN)


@pytest.fixture(scope="module")
def reader(server: Running) -> Visitor:
    """Somebody who may only look."""
    return Visitor.with_role(server, Role.READ)
