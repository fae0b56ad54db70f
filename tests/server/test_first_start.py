"""Servers that are started at the same moment where nothing is yet: one of them makes the tables and the first key."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sql
import urllib3

from hitsave.errors import ConfigError
from hitsave.server.database import Database, versions
from hitsave.server.keys import Keys
from hitsave.server.settings import Settings
from hitsave.server.site import Site, make_first_key, open_site
from tests.server.postgres import Postgres
from tests.server.serving import environment, free_port

SERVERS = 3
PATIENT = 60


@contextlib.contextmanager
def started_together(
    folder: Path, options: Sequence[Sequence[str]], hold: Callable[[], None] = lambda: None
) -> Iterator[list[str]]:
    """Servers with these options, all started before `hold` is called; their URLs. They end by SIGTERM, well."""
    ports = [free_port() for _ in options]
    logs = [folder / f"{port}.log" for port in ports]
    with contextlib.ExitStack() as opened:
        servers = [
            subprocess.Popen(
                [sys.executable, "-m", "hitsave", "serve", "--port", str(port), *some],
                env=environment(),
                stderr=opened.enter_context(log.open("wb")),
            )
            for port, log, some in zip(ports, logs, options, strict=True)
        ]
        for server in servers:
            opened.callback(server.kill)
        hold()
        until = time.monotonic() + PATIENT
        while not all("\nserving" in "\n" + log.read_text() for log in logs):
            said = [log.read_text() for log in logs]
            assert all(server.poll() is None for server in servers), said
            assert time.monotonic() < until, said
            time.sleep(0.05)
        yield [f"http://127.0.0.1:{port}" for port in ports]
        for server in servers:
            server.terminate()
        assert [server.wait(PATIENT) for server in servers] == [0] * len(servers)
        assert not [log.read_text() for log in logs if "Traceback" in log.read_text()]


def check_one_key(url: str, servers: Sequence[str], key_files: Sequence[Path]) -> None:
    """One key and one version are in the database, and all servers know the key."""
    with closing(Database.open(url)) as database:
        assert [key.label for key in Keys(database).list()] == ["the first key"]
        with database.transaction() as connection:
            assert len(connection.execute(sql.select(versions)).all()) == 1
    (written,) = [path for path in key_files if path.exists()]
    bearer = {"Authorization": f"Bearer {written.read_text().strip()}"}
    for server in servers:
        answer = urllib3.request("GET", f"{server}/store/v1/whoami", headers=bearer, retries=False)
        assert answer.json()["role"] == "admin"


def test_of_servers_with_one_postgresql_one_makes_the_first_key(tmp_path: Path, postgres: Postgres) -> None:
    url = postgres.empty_database()
    folders = [tmp_path / f"data-{number}" for number in range(SERVERS)]
    options = [("--data", str(data), "--store", str(tmp_path / "store"), "--database", url) for data in folders]
    with let_go_together(url, SERVERS) as hold, started_together(tmp_path, options, hold) as servers:
        check_one_key(url, servers, [data / "admin.key" for data in folders])


@contextlib.contextmanager
def let_go_together(url: str, count: int) -> Iterator[Callable[[], None]]:
    """Keeps servers from making tables until so many of them want to."""
    engine = sql.create_engine(url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    with closing(engine.connect()) as connection:
        connection.execute(sql.text("SELECT pg_advisory_lock(8321)"))
        waiting = sql.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")

        def hold() -> None:
            until = time.monotonic() + PATIENT
            while connection.execute(waiting).scalar_one() < count:
                assert time.monotonic() < until
                time.sleep(0.02)
            connection.execute(sql.text("SELECT pg_advisory_unlock(8321)"))

        yield hold
    engine.dispose()


def test_of_sites_that_want_it_at_once_one_makes_the_first_key(tmp_path: Path, postgres: Postgres) -> None:
    with contextlib.ExitStack() as opened:
        url = postgres.empty_database()
        settings = [Settings(tmp_path / f"data-{number}", database=url) for number in range(SERVERS)]
        sites = [opened.enter_context(open_site(one)) for one in settings]
        start = threading.Barrier(SERVERS)

        def first_key(site: Site) -> Path | None:
            start.wait()
            return make_first_key(site)

        with ThreadPoolExecutor(SERVERS) as pool:
            written = [path for path in pool.map(first_key, sites) if path is not None]
        assert len(written) == 1
        assert len(sites[0].keys.list()) == 1


def test_servers_may_share_a_data_folder(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with started_together(tmp_path, [("--data", str(data))] * SERVERS) as servers:
        check_one_key(f"sqlite:///{data / 'server.sqlite'}", servers, [data / "admin.key"])


def test_where_the_first_key_cannot_be_written_there_is_none(tmp_path: Path) -> None:
    with open_site(Settings(tmp_path / "data")) as site:
        path = tmp_path / "data" / "admin.key"
        path.write_text("the key of another database\n")
        with pytest.raises(ConfigError, match="move it away"):
            make_first_key(site)
        assert site.keys.list() == []
        assert path.read_text() == "the key of another database\n"
        path.unlink()
        assert make_first_key(site) == path
        assert make_first_key(site) is None


def test_who_may_make_no_tables_is_told_in_one_line(postgres: Postgres) -> None:
    url = postgres.empty_database()
    engine = sql.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(sql.text("REVOKE CREATE ON SCHEMA public FROM public"))
        connection.execute(sql.text("CREATE ROLE stranger LOGIN"))
    engine.dispose()
    with pytest.raises(ConfigError, match=r"cannot be opened .*permission denied") as refused:
        Database.open(url.replace("hitsave@", "stranger@"))
    assert "\n" not in str(refused.value)
