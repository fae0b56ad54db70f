"""Very many refs: no segment becomes larger than a server would take, and none is written over and over."""

from __future__ import annotations

import pytest

from hitsave.remotes.collection import collect as collecting
from hitsave.remotes.collection.collect import collect
from hitsave.remotes.commits import committed
from hitsave.remotes.commits.committed import MOST_FILES
from tests.remotes.content import ANN, Machine, keep
from tests.remotes.test_log import push_many
from tests.remotes.transports import MemoryTransport

FULL = 10


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (committed, collecting):
        monkeypatch.setattr(module, "FULL_REFS", FULL)


def test_no_segment_is_larger_than_two_full_ones(ann: Machine, memory: MemoryTransport) -> None:
    refs = push_many(ann, memory, 3 * MOST_FILES)
    view = ann.remote(memory).latest()
    assert view.refs() == {ref.name: ref for ref in refs}
    assert max(file.entries for file in view.ref_files) < 2 * FULL
    assert len(view.ref_files) <= 2 * MOST_FILES
    full = [file for file in view.ref_files if file.entries >= FULL]
    assert full
    push_many(ann, memory, MOST_FILES, 3 * MOST_FILES)
    assert set(full) <= set(ann.remote(memory).latest().ref_files)


def test_many_at_once_come_in_several_segments(ann: Machine, memory: MemoryTransport) -> None:
    refs = keep(ann.cache, *({b"name": b"%d" % number} for number in range(3 * FULL + 1)))
    ann.push(memory, *refs)
    remote = ann.remote(memory)
    assert [file.entries for file in remote.latest().ref_files] == [FULL, FULL, FULL, 1]
    held = remote.latest().refs()
    assert held == {ref.name: ref for ref in refs}
    before = remote.latest().ref_files
    collect(remote, ANN, 0)
    assert remote.latest().ref_files == before
    collect(remote, ANN, 0, drop=[refs[0].name])
    assert [file.entries for file in remote.latest().ref_files] == [FULL, FULL, FULL]
    assert remote.latest().refs() == {ref.name: ref for ref in refs[1:]}
    collect(remote, ANN, 0, drop=[ref.name for ref in refs[1:]])
    assert remote.latest().ref_files == ()
