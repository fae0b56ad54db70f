from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.inprocess import Running, running
from tests.server.postgres import Postgres, postgres_server
from tests.server.serving import Served, serving


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for all tests of this process; what they leave in it is theirs to tell apart."""
    with serving(tmp_path_factory.mktemp("served") / "data") as server:
        yield server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    """A server for one test, in a thread, whose store is empty."""
    with running(tmp_path / "data") as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One PostgreSQL for all tests of this process; each takes a database of its own."""
    with postgres_server() as server:
        yield server
