"""One cache folder, two processes' views of it, any order of operations: what is owned is there, what is not goes."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from hitsave.cache.intake import WHOLE_FROM, Intake
from hitsave.cache.store import Cache
from hitsave.errors import ObjectNotFound, RefError, ReliedOnLost
from hitsave.maintenance.collect import collect, forget, undo
from hitsave.maintenance.verify import verify
from hitsave.objects.digest import Digest, ObjectKind, blob_digest, tree_digest
from hitsave.objects.encoding import encode_tree, tree_from
from hitsave.objects.evaluation import TakenSnapshot
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.objects.refs import Namespace, Ref, RefName, evaluation_prefix, snapshot_ref
from tests.cache.calls import MANIFEST, a_call, add_call
from tests.cache.content import add_tree, all_files_of
from tests.inmemory import new_folder

NOW = 1000
CONTENTS = [b"", *(b"%d," % number * 100 for number in range(10)), *(bytes([n]) * (WHOLE_FROM + n) for n in range(4))]
WHICH = st.sampled_from([0, 1])
NAMES = [b"%d" % number for number in range(6)]
#: Contents by their number: large ones are dear to show.
NUMBERS = st.integers(0, len(CONTENTS) - 1)
TOKENS = st.sampled_from(["one", "two"])
FILES = st.dictionaries(st.sampled_from(NAMES), NUMBERS, max_size=6)

Files = dict[bytes, bytes]


class Dropped(NamedTuple):
    """An operation that may be undone, and the refs that it dropped."""

    kind: str
    refs: dict[RefName, Files]
    calls: dict[RefName, set[Digest]] = {}  # noqa: RUF012


class Pending(NamedTuple):
    """An intake under way."""

    intake: Intake
    ref: Ref
    files: Files


def tree_of(files: Files) -> Digest:
    """The digest of a tree, without a cache."""
    entries = [TreeEntry(name, EntryKind.FILE, blob_digest(content), len(content)) for name, content in files.items()]
    return tree_digest(encode_tree(tree_from(entries)))


def digests_of(files: Files) -> set[Digest]:
    """The tree and its blobs."""
    return {tree_of(files), *map(blob_digest, files.values())}


class CacheMachine(RuleBasedStateMachine):
    """The model: refs with their files, evaluations, what calls hold, and the operations that can be taken back."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = new_folder()
        self.caches: list[Cache] = []
        self.refs: dict[RefName, Files] = {}
        self.log: list[Dropped] = []
        self.pending: list[Pending] = []
        self.known: set[Digest] = set()
        self.calls: dict[RefName, set[Digest]] = {}
        self.held: dict[str, dict[Digest, Files]] = {}
        self.number = 0

    @initialize()
    def open(self) -> None:
        self.caches = [Cache.open(self.folder / "cache") for _ in range(2)]

    def teardown(self) -> None:
        try:
            if self.caches:
                assert verify(self.caches[0]).faults == ()
        finally:
            for pending in self.pending:
                pending.intake.close()
            for cache in self.caches:
                cache.close()
            shutil.rmtree(self.folder)

    def new_ref(self, digest: Digest) -> Ref:
        self.number += 1
        return Ref(RefName(Namespace.DATASETS, f"project/{self.number}@{digest}"), digest, ObjectKind.TREE)

    def own(self, ref: Ref, files: Files) -> None:
        self.refs[ref.name] = files
        self.known |= digests_of(files)

    # -- what is done

    @rule(which=WHICH, files=FILES, inbox=st.booleans())
    def add(self, which: int, files: dict[bytes, int], inbox: bool) -> None:
        self._add(which, {name: CONTENTS[number] for name, number in files.items()}, inbox)

    def _add(self, which: int, files: Files, inbox: bool) -> None:
        with self.caches[which].intake(inbox=inbox) as intake:
            ref = self.new_ref(add_tree(intake, files))
            assert intake.new_objects <= len(files) + 1
            intake.publish([ref])
        self.own(ref, files)

    @precondition(lambda self: self.refs)
    @rule(which=WHICH, data=st.data())
    def own_once_more(self, which: int, data: st.DataObject) -> None:
        files = self.refs[data.draw(st.sampled_from(sorted(self.refs)))]
        ref = self.new_ref(tree_of(files))
        with self.caches[which].intake() as intake:
            assert intake.rely_on(ref.digest)
            intake.publish([ref], digests_of(files))
        self.own(ref, files)

    @precondition(lambda self: len(self.pending) < 3)
    @rule(which=WHICH, files=FILES, inbox=st.booleans())
    def begin_intake(self, which: int, files: dict[bytes, int], inbox: bool) -> None:
        intake = self.caches[which].intake(inbox=inbox)
        contents = {name: CONTENTS[number] for name, number in files.items()}
        self.pending.append(Pending(intake, self.new_ref(add_tree(intake, contents)), contents))

    @precondition(lambda self: self.pending)
    @rule(data=st.data())
    def end_intake(self, data: st.DataObject) -> None:
        pending = self.pending.pop(data.draw(st.integers(0, len(self.pending) - 1)))
        with pending.intake as intake:
            try:
                intake.publish([pending.ref])
            except ReliedOnLost:
                return
        self.own(pending.ref, pending.files)

    @precondition(lambda self: self.pending)
    @rule(data=st.data())
    def abandon_intake(self, data: st.DataObject) -> None:
        self.pending.pop(data.draw(st.integers(0, len(self.pending) - 1))).intake.close()

    @rule(which=WHICH)
    def pack_inbox(self, which: int) -> None:
        self.caches[which].pack_inbox()
        assert self.caches[1 - which].inbox.empty

    @rule(which=WHICH, files=FILES, token=TOKENS, inbox=st.booleans())
    def hold(self, which: int, files: dict[bytes, int], token: str, inbox: bool) -> None:
        contents = {name: CONTENTS[number] for name, number in files.items()}
        with self.caches[which].intake(inbox=inbox) as intake:
            digest = add_tree(intake, contents)
            intake.publish([Ref(snapshot_ref(digest), digest, ObjectKind.TREE)], hold=token)
        self.held.setdefault(token, {})[digest] = contents
        self.known |= digests_of(contents)

    @rule(which=WHICH, token=TOKENS)
    def release(self, which: int, token: str) -> None:
        self.caches[which].release(token)
        self.held.pop(token, None)

    @rule(which=WHICH, number=st.integers(0, 3), token=TOKENS, inbox=st.booleans(), twice=st.booleans())
    def call(self, which: int, number: int, token: str, inbox: bool, twice: bool) -> None:
        """A memoised call is published, and owns from then on what it held; the first one of its key wins."""
        held = self.held.pop(token, {})
        evaluation, result = a_call(
            number, result=b"%d" % self.number, snapshots=[TakenSnapshot(digest, ObjectKind.TREE, 1) for digest in held]
        )
        prefix = None if twice else evaluation_prefix(evaluation.function, evaluation.key)
        first = [name for name in sorted(self.calls) if prefix and name.name.startswith(prefix)]
        with self.caches[which].intake(inbox=inbox) as intake:
            ref = add_call(intake, evaluation, result)
            published = intake.publish([ref], list(held), unless=prefix, release=token)
        self.number += 1
        assert published in (first or [None])
        self.known |= {ref.digest, *map(blob_digest, (MANIFEST, result))}
        if not first:
            owned = {ref.digest, *map(blob_digest, (MANIFEST, result))}
            self.calls[ref.name] = owned.union(*map(digests_of, held.values()))

    @precondition(lambda self: self.calls)
    @rule(which=WHICH, data=st.data())
    def forget_a_call(self, which: int, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.calls)))
        forget(self.caches[which], [name], NOW)
        self.log.append(Dropped("forget", {}, {name: self.calls.pop(name)}))

    @precondition(lambda self: self.refs)
    @rule(which=WHICH, data=st.data())
    def forget(self, which: int, data: st.DataObject) -> None:
        names = data.draw(st.lists(st.sampled_from(sorted(self.refs)), min_size=1, max_size=3, unique=True))
        forget(self.caches[which], names, NOW)
        self.log.append(Dropped("forget", {name: self.refs.pop(name) for name in names}))

    @rule(which=WHICH, purge=st.booleans())
    def collect(self, which: int, purge: bool) -> None:
        collected = collect(self.caches[which], NOW, keep_seconds=0 if purge else 1)
        live = self.live()
        assert {item.digest for item in collected.objects}.isdisjoint(live)
        for cache in self.caches:
            assert {digest for digest in self.known if cache.has(digest)} == live
        if collected.operation is not None:
            self.log.append(Dropped("gc", {}))
        if purge:
            self.log.clear()
            assert list((self.folder / "cache" / "trash").iterdir()) == []

    @rule(which=WHICH)
    def undo(self, which: int) -> None:
        if not self.log:
            with pytest.raises(RefError, match="nothing to undo"):
                undo(self.caches[which])
            return
        taken_back = [self.log.pop()]
        if taken_back[0].kind == "gc":
            while self.log and self.log[-1].kind == "forget":
                taken_back.append(self.log.pop())
        assert undo(self.caches[which]).operation == taken_back[0].kind
        for dropped in taken_back:
            self.refs |= dropped.refs
            self.calls |= dropped.calls

    @precondition(lambda self: any(self.refs.values()))
    @rule(which=WHICH, data=st.data())
    def path_of(self, which: int, data: st.DataObject) -> None:
        contents = sorted({content for files in self.refs.values() for content in files.values()})
        content = contents[data.draw(st.integers(0, len(contents) - 1))]
        path = self.caches[which].path_of(blob_digest(content))
        assert path.read_bytes() == content
        assert path.stat().st_mode & 0o222 == 0

    @rule(which=WHICH, number=NUMBERS)
    def path_of_what_may_be_gone(self, which: int, number: int) -> None:
        content = CONTENTS[number]
        digest = blob_digest(content)
        if self.caches[which].has(digest):
            assert self.caches[which].path_of(digest).read_bytes() == content
        else:
            with pytest.raises(ObjectNotFound):
                self.caches[which].path_of(digest)

    @rule(which=WHICH)
    def reopen(self, which: int) -> None:
        self.caches[which].close()
        if not any(pending.intake._database is self.caches[which].database for pending in self.pending):
            self.caches[which] = Cache.open(self.folder / "cache")

    @rule(which=WHICH)
    def verify(self, which: int) -> None:
        report = verify(self.caches[which])
        assert report.faults == ()
        assert report.refs == len(self.refs) + len(self.calls)

    # -- what always holds

    def live(self) -> set[Digest]:
        held = [files for snapshots in self.held.values() for files in snapshots.values()]
        live = {digest for files in [*self.refs.values(), *held] for digest in digests_of(files)}
        return live.union(*self.calls.values())

    @invariant()
    def what_is_owned_is_there(self) -> None:
        for cache in self.caches:
            refs = cache.refs(Namespace.DATASETS)
            assert {ref.name for ref in refs} == set(self.refs)
            assert {ref.name for ref in cache.refs(Namespace.EVALUATIONS)} == set(self.calls)
            assert {row.name for row in cache.evaluations.of("pkg.f")} == set(self.calls)
            assert {digest for digest, _ in cache.held()} == {digest for held in self.held.values() for digest in held}
            assert cache.missing(self.live()) == set()
            for ref in _one_for_each_digest(refs):
                assert all_files_of(cache, ref.digest, ref.kind) == self.refs[ref.name]
                assert cache.owns_whole(ref.digest)


def _one_for_each_digest(refs: Iterable[Ref]) -> Iterable[Ref]:
    return {ref.digest: ref for ref in refs}.values()


_CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def test_any_order_of_operations() -> None:
    run_state_machine_as_test(
        CacheMachine,
        settings=settings(max_examples=120, stateful_step_count=30, deadline=None, suppress_health_check=_CHECKS),
    )


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_any_order_of_many_operations() -> None:
    run_state_machine_as_test(
        CacheMachine,
        settings=settings(max_examples=1000, stateful_step_count=80, deadline=None, suppress_health_check=_CHECKS),
    )
