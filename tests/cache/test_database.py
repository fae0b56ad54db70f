"""The database beside other threads, other processes, forks, and other versions of hitsave."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import threading
from pathlib import Path

import pytest

from hitsave.cache.database import SCHEMA_VERSION, Database
from hitsave.cache.intake import WHOLE_FROM
from hitsave.cache.store import Cache
from hitsave.errors import CacheError
from hitsave.objects.digest import ObjectKind, blob_digest
from tests.cache.content import add_tree, files_of, ref_to, store


def in_thread(action: object) -> threading.Thread:
    assert callable(action)
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    return thread


def test_a_writer_waits_for_another(tmp_path: Path) -> None:
    one, other = Database(tmp_path / "cache.db"), Database(tmp_path / "cache.db")
    begun, done = threading.Event(), threading.Event()

    def write() -> None:
        begun.set()
        other.set_setting("key", "second")
        done.set()

    with one.writing() as connection:
        thread = in_thread(write)
        assert begun.wait(60)
        assert not done.wait(0.3)
        connection.execute("INSERT INTO settings VALUES ('key', 'first')")
    thread.join(60)
    assert done.is_set()
    assert one.setting("key") == "second"


def test_a_reader_does_not_wait_and_sees_what_is_committed(tmp_path: Path) -> None:
    one, other = Database(tmp_path / "cache.db"), Database(tmp_path / "cache.db")
    one.set_setting("key", "old")
    with one.writing() as connection:
        connection.execute("UPDATE settings SET value = 'new' WHERE key = 'key'")
        assert other.setting("key") == "old"
    assert other.setting("key") == "new"


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    database = Database(tmp_path / "cache.db")

    def write(query: str) -> None:
        with database.writing() as connection:
            connection.execute("INSERT INTO settings VALUES ('key', 'value')")
            connection.execute(query)
            raise KeyError

    with pytest.raises(KeyError):
        write("SELECT 1")
    with pytest.raises(CacheError, match="cannot be written"):
        write("INSERT INTO nothing VALUES (1)")
    assert database.setting("key") is None
    database.set_setting("key", "value")
    assert database.setting("key") == "value"


def test_a_newer_schema_is_refused_in_one_line(tmp_path: Path) -> None:
    Cache.open(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "cache.db")
    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(CacheError, match="newer hitsave") as caught:
        Cache.open(tmp_path)
    assert "\n" not in str(caught.value)


def test_every_thread_sees_what_others_add(cache: Cache) -> None:
    """The number by which one connection tells that something has changed means nothing to another one."""
    seen: list[bool] = []
    assert not cache.has(blob_digest(b"new"))
    with Cache.open(cache.path) as other:
        store(other, {b"a": b"new"})
    in_thread(lambda: seen.append(cache.has(blob_digest(b"new")))).join(60)
    assert seen == [True]
    assert cache.has(blob_digest(b"new"))


def _in_child(action: object) -> int:
    assert callable(action)
    pid = os.fork()
    if pid == 0:
        try:
            action()
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return pid


def _status(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_what_a_forked_child_stores_outlives_the_parent_that_closes(tmp_path: Path) -> None:
    """SQLite's books on locks are copied by a fork, the locks are not: a parent that closes would drop the log."""
    files = {b"a": b"of the child"}
    go, gone = os.pipe(), os.pipe()
    cache = Cache.open(tmp_path)
    store(cache, {b"a": b"of the parent"})

    def child() -> None:
        store(cache, {b"a": b"first"})
        os.write(gone[1], b".")
        os.read(go[0], 1)
        store(cache, files)

    pid = _in_child(child)
    os.read(gone[0], 1)
    cache.close()
    os.write(go[1], b".")
    assert _status(pid) == 0
    with Cache.open(tmp_path) as opened:
        assert len(opened.refs()) == 3
        assert files in [files_of(opened, ref.digest) for ref in opened.refs()]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_parent_and_children_go_on_side_by_side(tmp_path: Path) -> None:
    with Cache.open(tmp_path) as cache:
        store(cache, {b"a": b"before"})

        def child(number: int) -> None:
            for turn in range(10):
                store(cache, {b"a": b"%d of %d" % (turn, number), b"b": b"before"})

        children = [_in_child(lambda number=number: child(number)) for number in range(3)]
        for turn in range(10):
            store(cache, {b"a": b"%d of the parent" % turn})
        assert [_status(pid) for pid in children] == [0, 0, 0]
        assert len(cache.refs()) == 41


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_fork_inside_an_intake_leaves_it_to_the_parent(tmp_path: Path) -> None:
    files = {b"a": b"small", b"b": b"l" * WHOLE_FROM}
    with Cache.open(tmp_path) as cache, cache.intake() as intake:
        digest = add_tree(intake, files)
        assert _status(_in_child(lambda: cache.has(blob_digest(b"small")))) == 0
        intake.publish([ref_to(digest)])
        assert files_of(cache, digest) == files


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_hashes_large_files_as_its_parent_did(tmp_path: Path) -> None:
    """The threads that hash side by side are not there in a child, which must not wait for them."""
    path = tmp_path / "large"
    path.write_bytes(b"x" * (32 << 20))

    def add(cache: Cache) -> None:
        with path.open("rb") as file, cache.intake() as intake:
            intake.publish([ref_to(intake.add_file(file.fileno(), 32 << 20), ObjectKind.BLOB)])

    def child() -> None:
        signal.alarm(30)
        with Cache.open(tmp_path / "of the child") as opened:
            add(opened)

    with Cache.open(tmp_path / "cache") as cache:
        add(cache)
    assert _status(_in_child(child)) == 0
