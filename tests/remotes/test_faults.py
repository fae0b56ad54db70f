"""The main job over a remote that has every fault of networks and stores.

It succeeds, or ends in one HitsaveError; then the remote and every cache are whole, and without faults the same step
comes to its end. The main job: two versions are pushed and fetched, two machines push at once, a new one fetches all.
"""

from __future__ import annotations

import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hitsave.cache.intake import WHOLE_FROM
from hitsave.errors import HitsaveError, RemoteUnavailable
from hitsave.maintenance.verify import verify as verify_cache
from hitsave.objects.refs import Ref
from hitsave.remotes.commits.log import Remote
from hitsave.remotes.transports.protocol import Transport
from hitsave.remotes.transports.retrying import BackOff, Retrying
from hitsave.remotes.verification.verify import verify
from tests.remotes.content import SMALL_CHUNKS, Folder, Machine, keep, memory_remote, noise, read_folder
from tests.remotes.faulty import OPERATIONS, Fault, InjectedFaults, Plan, Rule, by_chance, scripted
from tests.remotes.transports import MemoryStore, MemoryTransport

OLD: Folder = {b"a": b"old", b"small": {b"%d" % n: noise(500, n) for n in range(30)}, b"large": noise(WHOLE_FROM, 50)}
NEW: Folder = {**OLD, b"a": b"new", b"larger": noise(WHOLE_FROM + 2 * SMALL_CHUNKS, 51), b"more": noise(90_000, 52)}
ANNS: Folder = {**NEW, b"ann": noise(60_000, 60)}
BENS: Folder = {**NEW, b"ben": noise(60_000, 61), b"ann": b"another"}

KEYS = ("packs/", "indexes/", "refs/", "commits/")
#: What Retrying alone gets over. A whole value that came torn it cannot know; nor what a listing does not show.
TRANSIENT = (Fault.BEFORE, Fault.AFTER, Fault.LATE, Fault.TWICE, Fault.SLOW)


#: What the steps of the main job come to where nothing fails.
SUCCESS = Counter(success=7)


def make_packs_small(patched: pytest.MonkeyPatch) -> None:
    patched.setattr("hitsave.remotes.writing.packstream.PACK_TARGET", 100_000)
    patched.setattr("hitsave.cache.packwriter.PACK_TARGET", 100_000)


@pytest.fixture(autouse=True)
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    make_packs_small(monkeypatch)


@dataclass
class MainJob:
    """Three machines and a remote in memory. `outcomes` counts steps that succeeded and errors that others met."""

    folder: Path
    plan: Plan
    retried: bool
    store: MemoryStore = field(default_factory=memory_remote)
    transports: list[InjectedFaults] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.ann, self.ben, self.carl = (Machine(self.folder / name) for name in ("ann", "ben", "carl"))

    def clean(self) -> Transport:
        """A way to the remote without faults."""
        return MemoryTransport(self.store)

    def faulty(self) -> Transport:
        """A way to the remote with the faults of the plan."""
        self.transports.append(InjectedFaults(MemoryTransport(self.store), self.plan))
        return Retrying(self.transports[-1], BackOff(), lambda _: None) if self.retried else self.transports[-1]

    @property
    def injected(self) -> Counter[tuple[str, Fault]]:
        """The faults that were met."""
        met: Counter[tuple[str, Fault]] = Counter()
        for transport in self.transports:
            met += transport.injected
        return met

    def run(self) -> None:
        """All of it."""
        old, new, anns = keep(self.ann.cache, OLD) + keep(self.ann.cache, NEW) + keep(self.ann.cache, ANNS)
        (bens,) = keep(self.ben.cache, BENS)
        self.step(lambda transport: self.ann.push(transport, old))
        self.step(lambda transport: self.ben.fetch(transport, old))
        self.step(lambda transport: self.ann.push(transport, new))
        self.step(lambda transport: self.ben.fetch(transport, new))
        self.step(lambda transport: self.ann.push(transport, anns), lambda transport: self.ben.push(transport, bens))
        self.step(lambda transport: self.carl.fetch(transport, old, new, anns, bens))
        for transport in self.transports:
            transport.settle()
        self.check(old, new, anns, bens)
        for ref, folder in ((old, OLD), (new, NEW), (anns, ANNS), (bens, BENS)):
            assert read_folder(self.carl.cache, ref.digest) == folder

    def step(self, *actions: Callable[[Transport], object]) -> None:
        """Carry out actions side by side, with faults; those that fail once more, without."""
        with ThreadPoolExecutor(len(actions)) as pool:
            failed = [action for action, done in zip(actions, pool.map(self._try, actions), strict=True) if not done]
        if failed:
            self.check_whole()
        for action in failed:
            action(self.clean())

    def _try(self, action: Callable[[Transport], object]) -> bool:
        outcome = "success"
        try:
            action(self.faulty())
        except HitsaveError as error:
            outcome = type(error).__name__ if "\n" not in str(error) else "an error in several lines"
        with self.lock:
            self.outcomes[outcome] += 1
        return outcome == "success"

    def check(self, *refs: Ref) -> None:
        """All is whole, and the remote holds these refs and no others."""
        held = self.observed().latest().refs()
        assert {name: ref.digest for name, ref in held.items()} == {ref.name: ref.digest for ref in refs}
        self.check_whole()

    def observed(self) -> Remote:
        """The remote, as nobody sees it who has met a fault."""
        return Remote.open(self.clean(), self.folder / "observer")

    def check_whole(self) -> None:
        """Nothing is half-made, wrong or lost, in the remote or in a cache."""
        assert verify(self.observed()).faults == ()
        for machine in (self.ann, self.ben, self.carl):
            assert verify_cache(machine.cache).faults == ()
            assert list((machine.cache.path / "tmp").iterdir()) == []


def run_main_job(plan: Plan, retried: bool, folder: Path | None = None) -> MainJob:
    with tempfile.TemporaryDirectory(dir=folder) as inner:
        job = MainJob(Path(inner), plan, retried)
        try:
            job.run()
        finally:
            for machine in (job.ann, job.ben, job.carl):
                machine.cache.close()
    return job


def rules() -> list[Rule]:
    """Each fault at each kind of operation that the main job has."""
    kinds = [("put", key) for key in KEYS] + [("get", key) for key in KEYS] + [("list", "commits/"), ("sync", "")]
    kinds += [("download", "packs/")]
    faults = [fault for fault in Fault if fault is not Fault.SLOW]  # Slow answers only change the order.
    return [Rule(fault, *kind) for fault in faults for kind in kinds if kind[0] in OPERATIONS[fault]]


def name_of(rule: Rule) -> str:
    return f"{rule.fault.name} {rule.operation} {rule.prefix}".strip().lower()


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Mapping[Rule, int]:
    """How often the main job has the operation of a rule."""
    seen: Counter[Rule] = Counter()

    def note(operation: str, key: str) -> None:
        seen.update(rule for rule in rules() if rule.fits(operation, key))

    with pytest.MonkeyPatch.context() as patched:
        make_packs_small(patched)
        assert run_main_job(note, retried=False, folder=tmp_path_factory.mktemp("usual")).outcomes == SUCCESS
    return seen


def test_every_fault_has_its_place(usual: Mapping[Rule, int]) -> None:
    assert set(usual) == set(rules())


@pytest.mark.parametrize("rule", rules(), ids=name_of)
def test_one_fault_alone(rule: Rule, usual: Mapping[Rule, int], tmp_path: Path) -> None:
    """The one in the middle, where nothing tries again."""
    job = run_main_job(scripted(replace(rule, nth=usual[rule] // 2)), retried=False, folder=tmp_path)
    assert job.injected == {(rule.operation, rule.fault): 1}
    assert job.outcomes.total() == SUCCESS.total()
    if rule.fault is Fault.BEFORE:
        assert job.outcomes == {"success": SUCCESS.total() - 1, "RemoteUnavailable": 1}


@pytest.mark.parametrize("rule", [rule for rule in rules() if rule.fault in TRANSIENT], ids=name_of)
def test_what_may_pass_is_tried_again(rule: Rule, usual: Mapping[Rule, int], tmp_path: Path) -> None:
    """Nobody notices anything, though the fault comes twice in a row, at the beginning and later."""
    plan = scripted(replace(rule, times=2), replace(rule, nth=usual[rule] // 2 + 2, times=2))
    job = run_main_job(plan, retried=True, folder=tmp_path)
    assert job.injected[rule.operation, rule.fault] >= 2
    assert job.outcomes == SUCCESS


def test_a_commit_whose_answer_was_lost_counts_once(tmp_path: Path) -> None:
    """Neither the one who wrote it nor the remote takes it for somebody else's."""
    for fault in (Fault.AFTER, Fault.TWICE):
        job = run_main_job(scripted(Rule(fault, "put", "commits/", times=3)), retried=True, folder=tmp_path)
        assert job.injected["put", fault] == 3
        assert job.outcomes == SUCCESS
        commits = [key for key in job.store.values if key.startswith("commits/")]
        assert len(commits) == 4, "one for each push"


EVERYTHING = dict.fromkeys((Fault.TORN, Fault.STALE, Fault.BEFORE, Fault.AFTER, Fault.LATE, Fault.TWICE), 0.02)


@pytest.mark.parametrize("retried", [True, False], ids=["retried", "not retried"])
def test_faults_by_chance(retried: bool, tmp_path: Path) -> None:
    outcomes: Counter[str] = Counter()
    injected: Counter[Fault] = Counter()
    for seed in range(60):  # Which operation meets which fault depends on threads.
        if seed >= 12 and set(injected) == set(Fault):
            break
        plan = by_chance(seed, {Fault.SLOW: 0.05, **EVERYTHING})
        job = run_main_job(plan, retried, tmp_path)
        assert job.outcomes.total() == SUCCESS.total()
        outcomes += job.outcomes
        injected.update({fault: count for (_, fault), count in job.injected.items()})
    assert set(injected) == set(Fault)
    assert outcomes["success"] > outcomes.total() * (0.7 if retried else 0.2)
    assert retried or outcomes["RemoteUnavailable"] > 3


def test_a_bad_connection_that_is_tried_often_enough(tmp_path: Path) -> None:
    """One request in five fails, this way or that; the main job does not notice."""
    rates = dict.fromkeys((Fault.BEFORE, Fault.AFTER, Fault.LATE, Fault.TWICE), 0.05)
    for seed in range(6):
        job = run_main_job(by_chance(seed, rates), retried=True, folder=tmp_path)
        assert job.outcomes == SUCCESS
        assert job.injected.total() > 5


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.builds(replace, st.sampled_from(rules()), nth=st.integers(0, 8), times=st.integers(1, 4)),
        min_size=1,
        max_size=5,
    ),
    st.booleans(),
)
def test_any_plan(chosen: list[Rule], retried: bool) -> None:
    with pytest.MonkeyPatch.context() as patched:
        make_packs_small(patched)
        job = run_main_job(scripted(*chosen), retried)
    assert job.outcomes.total() == SUCCESS.total()


def rules_of_the_format() -> list[Rule]:
    return [
        Rule(fault, operation, "format")
        for fault in TRANSIENT
        for operation in ("get", "put")
        if operation in OPERATIONS[fault]
    ]


@pytest.mark.parametrize("rule", rules_of_the_format(), ids=name_of)
@pytest.mark.parametrize("retried", [True, False], ids=["retried", "not retried"])
def test_making_a_remote(rule: Rule, retried: bool, tmp_path: Path) -> None:
    """Who makes one, and who comes after, find the same."""
    inner = MemoryTransport()
    faulty = InjectedFaults(inner, scripted(rule))
    transport = Retrying(faulty, sleep=lambda _: None) if retried else faulty
    try:
        Remote.open(transport, tmp_path / "ann", create=True)
    except RemoteUnavailable:
        assert not retried
    faulty.settle()
    again = Remote.open(inner, tmp_path / "ann", create=True)
    assert Remote.open(inner, tmp_path / "ben").format == again.format
    assert faulty.injected.total() == 1
