from __future__ import annotations

from collections.abc import Iterator

import pytest

from hitsave.cache.store import Cache
from hitsave.server.access import Role
from tests.remotes.buckets import fresh_url
from tests.remotes.servers import stores
from tests.server.inprocess import Running, running
from tests.server.pages.exhibits import Visitor, fill
from tests.server.pages.places import Place
from tests.server.postgres import Postgres


@pytest.fixture(scope="module", params=["embedded", "shared"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Where a server keeps things: each test that asks for it runs once for either."""
    folder = tmp_path_factory.mktemp("place")
    if request.param == "embedded":
        yield Place.in_folder(folder)
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stores.keys().items():
            patch.setenv(name, value)
        yield Place(folder, fresh_url("s3", stores.moto()), postgres.empty_database())


@pytest.fixture(scope="module")
def server(place: Place) -> Iterator[Running]:
    """A server, with something to see."""
    with Cache.open(place.folder / "cache") as cache:
        fill(cache)
        place.take(cache)
    with running(place.folder / "data", store=place.store, database=place.database) as found:
        yield found


@pytest.fixture(scope="module")
def admin(server: Running) -> Visitor:
    """Somebody who may do everything."""
    return Visitor.with_role(server, Role.ADMIN)


@pytest.fixture(scope="module")
def reader(server: Running) -> Visitor:
    """Somebody who may only look."""
    return Visitor.with_role(server, Role.READ)
