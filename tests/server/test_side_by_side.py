"""Two servers with one PostgreSQL and one store: whichever is asked, the answer is the same."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from hitsave.errors import ConfigError
from hitsave.objects.refs import Ref
from hitsave.remotes.transports.retrying import Retrying
from hitsave.remotes.transports.web import WebTransport
from hitsave.server.database import Database, versions
from tests.remotes.content import Machine, check_remote, keep
from tests.server.postgres import Postgres
from tests.server.serving import serving

PUSHES = 6


def test_two_servers_are_one(tmp_path: Path, postgres: Postgres) -> None:
    options = ("--store", str(tmp_path / "store"), "--database", postgres.empty_database())
    with serving(tmp_path / "one", *options) as one, serving(tmp_path / "two", *options) as other:
        assert not (tmp_path / "two" / "admin.key").exists()
        two = replace(other, key=one.key)
        made = one.make_key("write", "at one of them")
        assert two.request("GET", "/store/v1/whoami", key=made).json()["label"] == "at one of them"
        push_through_both(tmp_path, [one.url, two.url], made)
        key_id = made.split("_")[1]
        assert two.request("DELETE", f"/store/v1/api-keys/{key_id}").status == 200
        assert one.request("GET", "/store/v1/whoami", key=made).status == 401
        log = one.request("GET", "/store/v1/audit").json()["entries"]
        assert [entry["action"] for entry in log] == ["revoke key", "make key"]
        assert two.request("GET", "/store/v1/audit").json()["entries"] == log


def push_through_both(folder: Path, urls: list[str], key: str) -> None:
    """Each of four machines pushes several times, two through either server; nothing is lost."""
    refs: list[Ref] = []
    failed: list[BaseException] = []
    Retrying(WebTransport(urls[0], key)).close()
    machines = [Machine(folder / f"machine-{number}") for number in range(4)]
    machines[0].remote(WebTransport(urls[0], key), create=True)

    def push(number: int) -> None:
        machine, transport = machines[number], Retrying(WebTransport(urls[number % 2], key))
        try:
            for turn in range(PUSHES):
                [ref] = keep(machine.cache, {b"name": b"machine %d, turn %d" % (number, turn)})
                machine.push(transport, ref)
                refs.append(ref)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=push, args=(number,)) for number in range(len(machines))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(refs) == PUSHES * len(machines)
    reader = Machine(folder / "reader")
    for url in urls:
        transport = WebTransport(url, key)
        check_remote(reader, transport, *refs)
        newest = reader.remote(transport).latest().number
        assert newest == len(refs)
    for machine in (*machines, reader):
        machine.cache.close()


def test_a_database_of_another_version_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'server.sqlite'}"
    database = Database.open(url)
    with database.transaction() as connection:
        connection.execute(versions.update().values(version=99))
    database.close()
    with pytest.raises(ConfigError, match="version 99"):
        Database.open(url)
    with pytest.raises(ConfigError, match="cannot be opened"):
        Database.open("postgresql://nobody:secret@127.0.0.1:1/none")
