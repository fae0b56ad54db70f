"""Small objects in the database: one sync each, no file each; they are packed, and never lost or doubted on the way."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hitsave.cache import inbox as inbox_module
from hitsave.cache.inbox import Inbox
from hitsave.cache.intake import WHOLE_FROM
from hitsave.cache.store import Cache, ObjectInfo
from hitsave.errors import CorruptObject, ObjectNotFound
from hitsave.maintenance.collect import collect, forget, undo
from hitsave.maintenance.repair import repair
from hitsave.maintenance.verify import verify
from hitsave.objects.digest import Digest, ObjectKind, blob_digest
from hitsave.objects.refs import Ref, snapshot_ref
from hitsave.snapshots.materialise import materialise_tree
from tests.cache.calls import a_call, add_call, result_of
from tests.cache.content import add_tree, files_of, ref_to, store

NOW = 1000
FILES = {b"a": b"first", b"b": b"second", b"empty": b""}


def box(cache: Cache, files: dict[bytes, bytes] = FILES) -> Digest:
    """Keep a tree by way of the inbox."""
    with cache.intake(inbox=True) as intake:
        digest = add_tree(intake, files)
        intake.publish([ref_to(digest)])
    return digest


def box_call(cache: Cache, number: int) -> Ref:
    """Publish an evaluation by way of the inbox."""
    evaluation, result = a_call(number)
    with cache.intake(inbox=True) as intake:
        ref = add_call(intake, evaluation, result)
        intake.publish([ref])
    return ref


def boxed(cache: Cache) -> int:
    return len(cache.inbox.rows())


def files_in(cache: Cache) -> int:
    return sum(
        path.is_file() for name in ("packs", "indexes", "objects", "tmp") for path in (cache.path / name).rglob("*")
    )


def test_what_was_boxed_is_there_in_every_way_and_no_file_was_made(cache: Cache) -> None:
    digest = box(cache)
    blob = blob_digest(b"first")
    assert files_in(cache) == 0
    for opened in (cache, Cache.open(cache.path)):
        assert files_of(opened, digest) == FILES
        assert opened.has(digest)
        assert opened.info(blob) == ObjectInfo(ObjectKind.BLOB, 5)
        assert opened.info(digest) == ObjectInfo(ObjectKind.TREE, len(opened.read(digest)))
        assert opened.missing([digest, blob, Digest(bytes(32))]) == {Digest(bytes(32))}
        assert opened.complete(str(blob)[:7]) == [blob]
        assert opened.open_blob(blob).read() == b"first"
        assert opened.whole_file(blob) is None
        assert verify(opened).faults == ()
    path = cache.path_of(blob)
    assert path.read_bytes() == b"first"
    assert path.stat().st_mode & 0o222 == 0
    assert verify(cache).objects == 5


def test_large_blobs_become_files_all_the_same(cache: Cache) -> None:
    large = os.urandom(WHOLE_FROM)
    digest = box(cache, {b"large": large, b"small": b"x"})
    assert boxed(cache) == 2
    assert files_of(cache, digest)[b"large"] == large
    assert cache.whole_file(blob_digest(large)) is not None


def test_what_is_known_is_not_boxed_and_what_is_boxed_is_known(cache: Cache) -> None:
    store(cache, FILES)
    box(cache)
    assert boxed(cache) == 0
    box(cache, {b"c": b"third"})
    with cache.intake() as intake:
        assert intake.rely_on(blob_digest(b"third"))
        add_tree(intake, {b"c": b"third"})
        assert intake.new_objects == 0


def test_packing_moves_everything_and_changes_nothing_else(cache: Cache) -> None:
    digest = box(cache)
    with Cache.open(cache.path) as other:
        assert files_of(other, digest) == FILES
        cache.pack_inbox()
        assert boxed(cache) == 0
        assert len(cache.packs()) == 1
        for opened in (cache, other):
            assert files_of(opened, digest) == FILES
            assert opened.missing([digest]) == set()
        cache.pack_inbox()
        assert len(cache.packs()) == 1
    assert verify(cache).faults == ()
    assert cache.database.rows("SELECT value FROM settings WHERE key = 'inbox'") == [("0",)]


def test_it_is_packed_when_it_has_grown(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "LARGEST", 30 * (inbox_module.ROW + 500))
    refs = [box_call(cache, number) for number in range(50)]
    assert 2 <= len(cache.packs()) <= 5
    assert boxed(cache) < 40
    assert [result_of(cache, ref.digest) for ref in refs] == [b"result of %d" % number for number in range(50)]
    assert verify(cache).faults == ()


def test_a_publication_holds_even_if_there_is_no_room_for_packs(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "LARGEST", 1)

    def full(self: Cache) -> None:
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patched:
        patched.setattr(Cache, "pack_inbox", full)
        ref = box_call(cache, 1)
    assert result_of(cache, ref.digest) == b"result of 1"
    box_call(cache, 2)
    assert boxed(cache) == 0
    assert result_of(cache, ref.digest) == b"result of 1"


def test_several_that_pack_at_once_do_no_harm(cache: Cache) -> None:
    refs = [box_call(cache, number) for number in range(20)]
    others = [Cache.open(cache.path) for _ in range(4)]
    barrier = threading.Barrier(4)

    def pack(other: Cache) -> None:
        barrier.wait()
        other.pack_inbox()
        other.close()

    threads = [threading.Thread(target=pack, args=(other,)) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert boxed(cache) == 0
    assert len(cache.packs()) == 1
    assert [result_of(cache, ref.digest) for ref in refs] == [b"result of %d" % number for number in range(20)]
    assert verify(cache).faults == ()


@pytest.mark.parametrize("name", ["read", "info", "has", "missing", "open_blob", "path_of"])
def test_a_reader_between_whose_looks_it_is_packed_finds_it(
    cache: Cache, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was not in the packs that the first look saw, and is not in the inbox any more at the second."""
    box(cache)
    wanted = blob_digest(b"first")
    packed: list[str] = []
    with Cache.open(cache.path) as other:

        def after_packing(look: Callable[..., Any]) -> Callable[..., Any]:
            def late(self: Inbox, *values: Any) -> Any:
                if self is cache.inbox and not other.inbox.empty:
                    packed.append(look.__name__)
                    other.pack_inbox()
                return look(self, *values)

            return late

        for look in (Inbox.read, Inbox.info, Inbox.among):
            monkeypatch.setattr(Inbox, look.__name__, after_packing(look))
        found = getattr(cache, name)([wanted] if name == "missing" else wanted)
    assert len(packed) == 1
    assert found == set() if name == "missing" else found


def test_a_collection_takes_what_nobody_owns_out_of_the_inbox(cache: Cache) -> None:
    gone, stays = box_call(cache, 1), box_call(cache, 2)
    forget(cache, [gone.name], NOW)
    dry = collect(cache, NOW, dry_run=True)
    assert {item.digest for item in dry.objects} == {gone.digest, blob_digest(b"result of 1")}
    assert {item.former_owner for item in dry.objects} == {str(gone.name)}
    assert boxed(cache) == 5
    assert {item.digest for item in collect(cache, NOW).objects} == {item.digest for item in dry.objects}
    assert not cache.has(gone.digest)
    assert result_of(cache, stays.digest) == b"result of 2"
    undo(cache)
    assert result_of(cache, gone.digest) == b"result of 1"
    assert verify(cache).faults == ()


def test_what_is_in_the_inbox_is_written_to_working_files(cache: Cache, tmp_path: Path) -> None:
    digest = box(cache)
    materialise_tree(cache, digest, tmp_path / "out")
    assert {path.name.encode(): path.read_bytes() for path in (tmp_path / "out").iterdir()} == FILES


def test_nothing_is_boxed_without_publish(cache: Cache) -> None:
    with cache.intake(inbox=True) as intake:
        digest = add_tree(intake, FILES)
    assert boxed(cache) == 0
    assert not cache.has(digest)


# -- damage


def spoil(cache: Cache, digest: Digest, content: object = b"wrong") -> None:
    cache.database.connection.execute("UPDATE inbox SET content = ? WHERE digest = ?", (content, bytes(digest)))


@pytest.mark.parametrize("content", [b"wrong", b"", "text", 5])
def test_a_damaged_row_is_never_given_out(cache: Cache, content: object) -> None:
    digest = box(cache)
    blob = blob_digest(b"first")
    spoil(cache, blob, content)
    for look in (cache.read, cache.open_blob, cache.path_of):
        with pytest.raises(CorruptObject, match=r"cache\.db"):
            look(blob)
    assert cache.read(digest)
    report = verify(cache)
    assert [(fault.digest, fault.owners) for fault in report.faults] == [(blob, (str(snapshot_ref(digest)),))]
    cache.pack_inbox()
    assert boxed(cache) == 1
    assert verify(cache).faults == report.faults
    with pytest.raises(CorruptObject):
        cache.read(blob)


def test_a_damaged_row_is_repaired_and_put_into_quarantine(cache: Cache, tmp_path: Path) -> None:
    digest = box(cache)
    spoil(cache, blob_digest(b"first"))
    with Cache.open(tmp_path / "elsewhere") as elsewhere:
        store(elsewhere, FILES)

        def fetch(wanted: object) -> None:
            with cache.intake() as intake:
                for one in wanted:  # type: ignore[attr-defined]
                    intake.add(ObjectKind.BLOB, elsewhere.read(one), one)
                intake.publish([])

        repaired = repair(cache, fetch)
    assert len(repaired.before.faults) == 1
    assert repaired.after.faults == ()
    assert files_of(cache, digest) == FILES
    assert [path.read_bytes() for path in (cache.path / "quarantine").iterdir()] == [b"wrong"]


def test_what_cannot_be_repaired_is_told(cache: Cache) -> None:
    digest = box(cache)
    spoil(cache, blob_digest(b"first"))
    repaired = repair(cache, lambda wanted: None)
    assert [fault.digest for fault in repaired.after.faults] == [blob_digest(b"first")]
    with pytest.raises(ObjectNotFound):
        cache.read(blob_digest(b"first"))
    assert not cache.owns_whole(digest)
    assert cache.read(blob_digest(b"second")) == b"second"
    assert box(cache) == digest
    assert verify(cache).faults == ()
