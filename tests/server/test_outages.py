"""What is behind a server fails: each time that is one clear line, for clients and in the log, and then it goes on."""

from __future__ import annotations

import contextlib
import errno
import socket
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sql

from hitsave.errors import CacheError
from hitsave.server.access import Role
from hitsave.server.pages.catalogue.tables import Tables
from hitsave.server.pages.dashboard import FRESH
from hitsave.server.pages.holdings import SharedHoldings
from hitsave.server.settings import ServerLimits
from tests.remotes.content import format_record
from tests.remotes.servers.tiny import Answer, Bucket, tiny_bucket
from tests.server.inprocess import Running, connect, running
from tests.server.pages.exhibits import Visitor
from tests.server.postgres import Postgres, postgres_server
from tests.server.serving import serving


@pytest.fixture(autouse=True)
def no_traces(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The log has lines, and no stack traces."""
    yield
    records = caplog.get_records("call")
    assert not any(record.exc_info for record in records)
    assert not any("\n" in record.getMessage() for record in records)


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    """A PostgreSQL that may fail, other than the one that all tests share."""
    with postgres_server() as server:
        yield server


def check_down(server: Running, visitor: Visitor, key: str, word: str) -> None:
    """All who ask are told so: programs, people, and who watches. What needs nothing is answered."""
    answer = server.request("GET", "/store/v1/keys", key=key)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
    assert word in answer.json()["error"]
    page = visitor.get("/datasets")
    assert page.status == 503
    assert word in page.text
    assert "Traceback" not in page.text
    ready = server.request("GET", "/health/ready", key=None)
    assert (ready.status, ready.data) == (503, f"the {word} does not answer\n".encode())
    assert server.request("GET", "/health", key=None).data == b"ok\n"


def test_a_database_that_is_started_again(own_postgres: Postgres, tmp_path: Path) -> None:
    with running(tmp_path / "data", database=own_postgres.empty_database()) as server:
        visitor, key = Visitor.with_role(server, Role.ADMIN), server.key(Role.WRITE)
        assert visitor.get("/datasets").status == 200
        own_postgres.stop()
        check_down(server, visitor, key, "database")
        own_postgres.start()
        for _ in range(3):
            assert server.request("GET", "/store/v1/keys", key=key).status == 200
            assert visitor.get("/datasets").status == 200


def test_a_database_that_is_locked(postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.empty_database()
    engine = sql.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with running(tmp_path / "data", ServerLimits(database_time=0.5), database=url) as server:
        visitor, key = Visitor.with_role(server, Role.ADMIN), server.key(Role.WRITE)
        with engine.connect() as other:
            other.execute(sql.text("LOCK TABLE hitsave_keys"))
            answer = server.request("GET", "/store/v1/keys", key=key)
            assert (answer.status, answer.json()["kind"]) == (503, "unavailable")
            assert visitor.get("/datasets").status == 503
        assert server.request("GET", "/store/v1/keys", key=key).status == 200
    engine.dispose()


def test_a_database_that_cannot_be_written_still_lets_people_read(postgres: Postgres, tmp_path: Path) -> None:
    """As one that is full, or a replica."""
    url = postgres.empty_database()
    engine = sql.create_engine(url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    with running(tmp_path / "data", database=url) as server:
        visitor, key = Visitor.with_role(server, Role.ADMIN), server.key(Role.ADMIN)
        with engine.connect() as other:
            name = url.rpartition("/")[2]
            other.execute(sql.text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
        server.site.database.engine.dispose()
        assert server.request("GET", "/store/v1/whoami", key=key).json()["role"] == "admin"
        assert visitor.get("/datasets").status == 200
        made = server.request(
            "POST", "/store/v1/api-keys", key=key, json={"role": "read", "label": "x", "lifetime": None}
        )
        assert (made.status, made.json()["kind"]) == (503, "unavailable")
    engine.dispose()


def test_what_no_database_can_be_asked_is_not_there(postgres: Postgres, tmp_path: Path) -> None:
    with running(tmp_path / "data", database=postgres.empty_database()) as server:
        visitor = Visitor.with_role(server, Role.ADMIN)
        for name in ("%00", "abc%00", "%ff%fe", "x" * 1000, "%F0%9F%90%98"):
            assert server.request("DELETE", f"/store/v1/api-keys/{name}", key=server.key()).status == 404
            assert visitor.get(f"/keys/{name}/revoke").status == 404


# -- the store


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    monkeypatch.setenv("GOOGLE_BEARER_TOKEN", "token")
    with tiny_bucket() as found:
        yield found


def test_a_bucket_that_is_down(bucket: Bucket, tmp_path: Path) -> None:
    with running(tmp_path / "data", store=f"gs://bucket/prefix?endpoint={bucket.endpoint}") as server:
        visitor, key = Visitor.with_role(server, Role.ADMIN), server.key(Role.WRITE)
        assert server.put("format", format_record(), key)[0] == 201
        assert visitor.get("/datasets").status == 200
        assert server.request("GET", "/health/ready", key=None).data == b"ready\n"
        bucket.answer("", Answer(403, "AccessDenied"), 10)
        answer = server.request("GET", "/store/v1/keys", key=key)
        assert (answer.status, answer.json()["kind"]) == (502, "store")
        assert bucket.endpoint not in answer.json()["error"]
        assert server.put("probe/a", b"x", key)[0] == 502
        time.sleep(FRESH)
        page = visitor.get("/datasets")
        assert page.status == 502
        assert "its log says why" in page.text


def test_a_bucket_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_BEARER_TOKEN", "token")
    with contextlib.ExitStack() as opened:
        bucket = tiny_bucket()
        store = f"gs://bucket/prefix?endpoint={bucket.__enter__().endpoint}"
        server = opened.enter_context(running(tmp_path / "data", store=store))
        visitor, key = Visitor.with_role(server, Role.ADMIN), server.key(Role.WRITE)
        bucket.__exit__(None, None, None)
        with ThreadPoolExecutor(3) as pool:  # Each is tried for some seconds.
            answer = pool.submit(server.request, "GET", "/store/v1/keys", key=key, timeout=60)
            page = pool.submit(visitor.get, "/datasets")
            ready = pool.submit(server.request, "GET", "/health/ready", key=None, timeout=60)
        assert (answer.result().status, answer.result().json()["kind"]) == (503, "unavailable")
        assert page.result().status in (200, 503)  # Either that it is being looked at, or that there is no answer.
        assert "Traceback" not in page.result().text
        assert ready.result().status == 503


def test_a_store_that_is_silent_keeps_no_server_from_ending(tmp_path: Path) -> None:
    with socket.socket() as silent, contextlib.ExitStack() as opened:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        store = f"gs://bucket/prefix?endpoint=http://127.0.0.1:{silent.getsockname()[1]}"
        environ = {"GOOGLE_BEARER_TOKEN": "token", "HITSAVE_SERVER_LIMITS": "grace=0.4"}
        server = opened.enter_context(serving(tmp_path / "data", "--store", store, environ=environ))
        with socket.create_connection(server.address) as client:
            head = f"GET /store/v1/keys HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n\r\n"
            client.sendall(head.encode())
            asked, _ = silent.accept()
            with asked:
                assert server.stop() == 1
            assert client.recv(100) == b""
    log = (tmp_path / "data.log").read_text()
    assert "not waited for" in log
    assert "Traceback" not in log


def test_a_value_that_breaks_off_ends_the_connection(
    bucket: Bucket, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name = "packs/00/" + "0" * 64 + ".pack"
    bucket.values[f"prefix/{name}"] = bytes(24 << 20)
    with (
        running(tmp_path / "data", store=f"gs://bucket/prefix?endpoint={bucket.endpoint}") as server,
        connect(server, f"GET /store/v1/keys/{name}", server.key()) as connection,
    ):
        count = len(connection.recv(1))
        bucket.answer("GET", Answer(403, "AccessDenied"), 10)
        while piece := connection.recv(1 << 20):
            count += len(piece)
        assert count < 24 << 20
        assert any("was cut short: gs://bucket/prefix: cannot read" in line for line in caplog.messages)


# -- the server's own folder


def test_a_folder_that_is_full_is_said_so(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    visitor = Visitor.with_role(server, Role.ADMIN)
    with monkeypatch.context() as patch:
        patch.setattr(SharedHoldings, "state", full)
        page = visitor.get("/datasets")
        assert page.status == 503
        assert "its log says why" in page.text
    assert visitor.get("/datasets").status == 200


def test_a_catalogue_that_cannot_be_used_is_said_so(server: Running) -> None:
    visitor = Visitor.with_role(server, Role.ADMIN)
    assert visitor.get("/datasets").status == 200
    (catalogue,) = server.site.settings.data.rglob("catalogue.sqlite")
    with sqlite3.connect(catalogue) as connection:
        connection.execute("DROP TABLE refs")
    connection.close()
    page = visitor.get("/datasets")
    assert page.status == 503
    assert "its log says why" in page.text
    with pytest.raises(CacheError, match="cannot be written"), Tables(catalogue).writing() as connection:
        connection.execute("DELETE FROM refs")
