"""Few refs are found among many without decoding the others, and without asking the remote twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hitsave.errors import MalformedObject, RemoteCorrupt
from hitsave.objects.digest import ObjectKind, blob_digest
from hitsave.objects.refs import Namespace, Ref, RefName, dataset_ref, evaluation_prefix, evaluation_ref, snapshot_ref
from hitsave.packing.refsegment import RefChanges, encode_refs, record_lines
from hitsave.packing.reftable import RefTable
from hitsave.remotes.commits.sessions import Session
from tests.remotes.content import ANN, Machine
from tests.remotes.transports import CountingTransport, MemoryTransport


def a_ref(number: int, function: str = "pkg.f", again: int = 0) -> Ref:
    digest = blob_digest(b"evaluation %d %d" % (number, again))
    name = evaluation_ref(function, blob_digest(b"key %d" % number), digest)
    return Ref(name, digest, ObjectKind.EVALUATION, number, "ann@lab", "p/pkg.py")


def prefix_of(number: int, function: str = "pkg.f") -> str:
    return f"evaluations/{evaluation_prefix(function, blob_digest(b'key %d' % number))}"


def changes(*refs: Ref) -> RefChanges:
    return {ref.name: ref for ref in refs}


def name_of(ref: Ref) -> RefName:
    return ref.name


ODD = Ref(
    RefName(Namespace.EVALUATIONS, f'f"\\"{{}}/{"0" * 64}@{"1" * 64}'), blob_digest(b"odd"), ObjectKind.EVALUATION
)
OTHERS = [
    Ref(dataset_ref("p", b"data", blob_digest(b"d")), blob_digest(b"d"), ObjectKind.TREE, 1, '"name":"x', "p/data"),
    Ref(snapshot_ref(blob_digest(b"s")), blob_digest(b"s"), ObjectKind.BLOB),
]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 100])
def test_a_table_finds_what_the_whole_segment_says(count: int) -> None:
    refs = [a_ref(number, function) for number in range(count) for function in ("pkg.f", "pkg.f2", "a.é")]
    dropped = [a_ref(number, again=1).name for number in range(0, count, 3)]
    segment: RefChanges = {**changes(*refs, ODD, *OTHERS), **dict.fromkeys(dropped)}
    table = RefTable(record_lines(encode_refs(segment)))
    prefixes = [
        "evaluations/",
        "datasets/",
        "snapshots/",
        "public/",
        "",
        "zzz",
        'evaluations/f"\\"',
        "evaluations/pkg.f/",
    ]
    prefixes += [prefix_of(number) for number in range(count + 2)] + [str(name) for name in segment]
    for prefix in prefixes:
        expected = {name: ref for name, ref in sorted(segment.items()) if str(name).startswith(prefix)}
        assert list(table.find(prefix)) == list(expected.items())


@pytest.mark.parametrize("lines", [b"x", b"\n", b"{}\n", b'{"name":"evaluations/x"}\n', b'{"name":"evaluations/a'])
def test_records_that_are_none_are_noticed(lines: bytes) -> None:
    with pytest.raises(MalformedObject):
        list(RefTable(lines).find("evaluations/"))


def commit_refs(machine: Machine, transport: MemoryTransport | CountingTransport, refs: RefChanges) -> None:
    remote = machine.remote(transport)
    view = remote.latest()
    remote.append(view, Session.begin(view.number), ANN, "push", (), refs)


def test_the_newest_segment_overrules(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    first, second, third = a_ref(1), a_ref(1, again=1), a_ref(2)
    commit_refs(ann, memory, changes(first, second, third, *OTHERS))
    commit_refs(ann, memory, {first.name: None})
    commit_refs(ann, memory, {second.name: None})
    commit_refs(ann, memory, changes(second))
    view = bob.remote(memory).latest()
    assert view.refs_beginning(prefix_of(1)) == [second]
    assert view.refs_beginning(prefix_of(1), prefix_of(2), prefix_of(3)) == sorted(
        [second, third], key=lambda r: r.name
    )
    assert view.refs_beginning() == []


def test_a_few_refs_are_asked_for_by_their_names(ann: Machine, memory: MemoryTransport) -> None:
    longer = replace(a_ref(1), name=dataset_ref("p", b"data-2", blob_digest(b"d")))
    shorter = replace(longer, name=RefName(Namespace.DATASETS, longer.name.name[:-1]))
    commit_refs(ann, memory, changes(*map(a_ref, range(1200)), longer, *OTHERS))
    some, many = [a_ref(1), longer, *OTHERS], [*map(a_ref, range(1100)), *OTHERS]
    for asked in (some, many):
        for decoded in (False, True):
            view = ann.remote(memory).latest()
            if decoded:
                view.refs()
            names = {ref.name for ref in (*asked, shorter, a_ref(2000))}
            assert view.held_of(names) == changes(*asked)


def test_one_request_tells_that_nothing_is_new(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    counting = CountingTransport(memory)
    remote = bob.remote(counting)
    assert remote.latest(trusting=True).refs_beginning(prefix_of(1)) == []
    commit_refs(ann, memory, changes(*map(a_ref, range(50))))

    counting.reset()
    assert remote.latest(trusting=True).refs_beginning(prefix_of(1)) == [a_ref(1)]
    # The commit is read between two listings, and one segment.
    assert counting.requests == {"list": 2, "get": 2}
    for number in range(60):
        counting.reset()
        found = remote.latest(trusting=True).refs_beginning(prefix_of(number))
        assert found == ([a_ref(number)] if number < 50 else [])
        assert counting.requests == {"list": 1}

    commit_refs(ann, memory, changes(a_ref(1, again=1)))
    counting.reset()
    assert len(remote.latest(trusting=True).refs_beginning(prefix_of(1))) == 2
    assert counting.requests == {"list": 2, "get": 2}

    # Another process reads the commit, and no segment again.
    counting.reset()
    later = bob.remote(counting)
    assert len(later.latest(trusting=True).refs_beginning(prefix_of(1))) == 2
    assert [key.partition("/")[0] for key in counting.got("")] == ["format", "commits"]


def test_a_copy_that_is_damaged_is_replaced(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    commit_refs(ann, memory, changes(*map(a_ref, range(50))))
    assert bob.remote(memory).latest().refs_beginning(prefix_of(7)) == [a_ref(7)]
    (copy,) = (bob.folder / "remotes").rglob("*.lines")
    whole = copy.read_bytes()
    for damaged in (b"", whole[:20], whole[:-1], whole.replace(b"ann@lab", b"eve@lab")):
        copy.write_bytes(damaged)
        assert bob.remote(memory).latest().refs_beginning(prefix_of(7)) == [a_ref(7)]
        assert copy.read_bytes() == whole


def test_copies_of_segments_that_no_commit_names_go(ann: Machine, memory: MemoryTransport) -> None:
    remote = ann.remote(memory)
    for number in range(200):
        view = remote.latest()
        remote.append(view, Session.begin(view.number), ANN, "push", (), changes(a_ref(number)))
        assert remote.latest().refs_beginning(prefix_of(number)) == [a_ref(number)]
    assert len([*(ann.folder / "remotes").rglob("*.lines")]) < 100


def test_a_damaged_segment_is_named(ann: Machine, bob: Machine, memory: MemoryTransport) -> None:
    commit_refs(ann, memory, changes(a_ref(1)))
    (key,) = (key for key in memory.store.values if key.startswith("refs/"))
    memory.store.values[key] = memory.store.values[key][:-1] + b"x"
    with pytest.raises(RemoteCorrupt, match=key):
        bob.remote(memory).latest().refs_beginning(prefix_of(1))
