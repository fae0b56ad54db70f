"""Who sleeps at any operation past the expiry of everything goes on, and neither loses nor reports what is not so."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress

import pytest

from hitsave.errors import RefError
from hitsave.remotes.collection.dropping import bring_back, drop_refs
from hitsave.remotes.commits import committed
from hitsave.remotes.transports.protocol import Transport
from tests.remotes.conftest import NewMachine
from tests.remotes.content import SMALL_CHUNKS, Machine, check_remote, keep, memory_remote, noise
from tests.remotes.sleeping import Asleep
from tests.remotes.test_collection import at, forget, gc, push_at
from tests.remotes.transports import MemoryTransport

FILES = [b"small", noise(700, 1), noise(700, 2), noise(SMALL_CHUNKS * 3, 3), noise(SMALL_CHUNKS * 3, 3) + b"more"]


def test_a_pack_that_two_indexes_know_in_part_and_a_merge(
    ann: Machine, bob: Machine, memory: MemoryTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a pack is pruned; an undo brings its whole index back, of which a collection leaves the other half."""
    first, second = keep(ann.cache, {b"f": noise(3000, 1)}, {b"f": noise(3000, 2)})
    push_at(ann, memory, 0, first, second)
    assert len(memory.list("packs/")) == 1
    forget(ann, memory, 1, second)
    gc(ann, memory, 2)
    assert bring_back(ann.remote(memory), at(3)).refs == (second,)
    gc(ann, memory, 4)
    commit = ann.remote(memory).latest().commit
    assert commit is not None
    assert [file.entries for file in commit.indexes] == [2, 2]
    monkeypatch.setattr(committed, "MOST_FILES", 2)
    (more,) = keep(ann.cache, {b"g": b"g"})
    push_at(ann, memory, 5, more)
    check_remote(bob, memory, first, second, more)


@pytest.mark.parametrize("how", ["push", "collect", "undo", "forget", "fetch"])
def test_who_sleeps_at_any_operation_past_the_expiry_of_everything(how: str, new_machine: NewMachine) -> None:
    """Meanwhile a ref is dropped, all that was not committed is taken for dead, and a push that shares files ends."""
    ann, bob, reader, other = (new_machine() for _ in range(4))
    old, kept = keep(ann.cache, {b"old": FILES[3], b"same": FILES[1]}, {b"kept": FILES[2]})
    (new,) = keep(ann.cache, {b"new": FILES[4], b"same": FILES[1]})
    (late,) = keep(bob.cache, {b"late": FILES[4], b"deep": {b"old": FILES[3], b"same": FILES[1]}})
    acts: dict[str, Callable[[Transport], object]] = {
        "push": lambda transport: push_at(ann, transport, 2, new),
        "collect": lambda transport: gc(ann, transport, 2, 0),
        "undo": lambda transport: undo(ann, transport),
        "forget": lambda transport: drop_refs(ann.remote(transport), at(2), [kept.name]),
        "fetch": lambda transport: other.fetch(transport, kept),
    }
    slept = 0
    for stop in range(100):
        for machine in (ann, bob, reader):
            shutil.rmtree(machine.folder / "remotes", ignore_errors=True)
        memory = MemoryTransport(memory_remote())
        push_at(ann, memory, 0, old, kept)
        forget(ann, memory, 1, *([old] if how == "undo" else []))
        shutil.rmtree(ann.folder / "remotes")  # It has to read everything.
        asleep = Asleep(memory, stop, lambda transport: then_nothing(acts[how](transport)))
        if not asleep.slept:
            asleep.finish()
            break
        slept += 1
        forget(bob, memory, 40, *([] if how == "undo" else [old]))
        for day in (50, 60):
            gc(bob, memory, day, 0)
        push_at(bob, memory, 70, late)
        gc(bob, memory, 90, 0)
        asleep.finish()
        held = {"undo": {late, kept}, "forget": {late}, "push": {late, kept, new}}.get(how, {late, kept})
        names = reader.remote(memory).latest().refs()
        if how == "undo":  # It may have been quick enough.
            held |= {old} & set(names.values())
        check_remote(reader, memory, *(names.values() if how == "forget" else held))
        assert late.name in names
    assert slept > 3


def then_nothing(result: object) -> Callable[[], None]:
    return lambda: None


def undo(machine: Machine, transport: Transport) -> None:
    with suppress(RefError):
        bring_back(machine.remote(transport), at(2))
