"""Every interleaving of writers, collectors and readers on a small model keeps what section 9.6 of the document claims.

Each configuration begins with a remote of one commit (or two, where a ref was dropped) and lets some processes run, of
which each may die at any moment. Without any one of the rules of the protocol, the search finds what goes wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace

import pytest

from tests.remotes.explorer import Counterexample, explore
from tests.remotes.model import Commit, Index, Pack, Rules, Segment, Session, World, bits, digest, name
from tests.remotes.model_collector import Collector
from tests.remotes.model_processes import Process, Reader, Restorer, Writer

NOBODY = frozenset[str]()
FIRST = Session(0, "the first one", 1)
KEPT = Rules()

Configuration = Callable[[Rules], tuple[World, Sequence[Process]]]


def two_refs() -> World:
    """X, which reaches b, and K. What X needs lies in two packs, one of them together with K."""
    some, rest = name(Pack(FIRST, frozenset("xk"))), name(Pack(FIRST, frozenset("b")))
    index = name(Index(FIRST, frozenset({(some, frozenset("xk")), (rest, frozenset("b"))})))
    segment = name(Segment(FIRST, frozenset("XK")))
    first = digest(Commit(1, 0, FIRST, frozenset({index}), frozenset({segment})))
    return World((first,), bits({some, rest, index, segment}), frozenset({("X", 1), ("K", 1)}))


def one_dropped() -> World:
    """The same, and a commit that dropped X, and pruned the index."""
    before = two_refs()
    session = Session(1, "the second one", 1)
    index = name(Index(session, frozenset({(name(Pack(FIRST, frozenset("xk"))), frozenset("k"))})))
    segment = name(Segment(session, frozenset("K")))
    dropped = frozenset({("X", 2)})
    second = Commit(2, before.commits[0], session, frozenset({index}), frozenset({segment}), dropped=dropped)
    return World((*before.commits, digest(second)), before.files | bits({index, segment}), frozenset({("K", 1)}))


def hasty(rules: Rules, who: str = "c", runs: int = 1, **options: bool | frozenset[str]) -> Collector:
    """A collector that takes everybody for dead, and retains its own commit alone."""
    fixed = replace(Collector(who, rules, runs=runs, most_sessions=runs + 1, rewrites=False), **options)  # type: ignore[arg-type]
    return replace(fixed, dead=("found",), oldest=("own",))


def careful(rules: Rules, who: str = "c", runs: int = 1) -> Collector:
    """A collector that may be hasty, or take for dead only who has committed, and retain every commit."""
    choices = replace(hasty(rules, who, runs), dead=("committed", "found"))
    return replace(choices, oldest=("same", "own"))


def writer_and_collector(rules: Rules) -> tuple[World, Sequence[Process]]:
    return two_refs(), [Writer("w", rules), Collector("c", rules, piecewise=True)]


def sleeping_writer(rules: Rules) -> tuple[World, Sequence[Process]]:
    return two_refs(), [Writer("w", rules), careful(rules, runs=2)]


def two_writers_a_collector_and_a_reader(rules: Rules) -> tuple[World, Sequence[Process]]:
    other = Writer("v", rules, ref="Z", most_sessions=1, loses_answers=False)
    writers = [Writer("w", rules, loses_answers=False), other]
    return two_refs(), [*writers, hasty(rules, loses_answers=False), Reader("r", rules, again=False)]


def two_writers_of_the_same(rules: Rules) -> tuple[World, Sequence[Process]]:
    return two_refs(), [Writer("w", rules), Writer("v", rules), hasty(rules)]


def two_collectors_and_a_writer(rules: Rules) -> tuple[World, Sequence[Process]]:
    collectors = [hasty(rules, "c", drops=NOBODY, loses_answers=False), hasty(rules, "d", drops=NOBODY)]
    return two_refs(), [*collectors, Writer("w", rules, loses_answers=False)]


def two_careful_collectors(rules: Rules) -> tuple[World, Sequence[Process]]:
    return two_refs(), [careful(rules, "c"), careful(rules, "d")]


def resumed_writer(rules: Rules) -> tuple[World, Sequence[Process]]:
    return two_refs(), [Writer("w", rules, resumes=1), careful(rules, runs=2)]


def restorer_and_collector(rules: Rules) -> tuple[World, Sequence[Process]]:
    return one_dropped(), [Restorer("u", rules), Collector("c", rules, runs=2, most_sessions=3)]


def restorer_writer_and_collector(rules: Rules) -> tuple[World, Sequence[Process]]:
    return one_dropped(), [Restorer("u", rules), Writer("w", rules), careful(rules)]


def reader_by_single_requests(rules: Rules) -> tuple[World, Sequence[Process]]:
    collector = hasty(rules, runs=2, drops=NOBODY, piecewise=True)
    return two_refs(), [Writer("w", rules), Reader("r", rules, fine=True), collector]


def writers_by_single_requests(rules: Rules) -> tuple[World, Sequence[Process]]:
    writers = [Writer("w", rules, fine=True), Writer("v", rules, fine=True)]
    return two_refs(), [*writers, hasty(rules, runs=2, drops=NOBODY)]


def wide(rules: Rules) -> tuple[World, Sequence[Process]]:
    """All that a collector may choose, and two writers."""
    return two_refs(), [Writer("w", rules), Writer("v", rules, ref="Z"), Collector("c", rules)]


def wide_with_a_reader(rules: Rules) -> tuple[World, Sequence[Process]]:
    return two_refs(), [Writer("w", rules), Writer("v", rules, ref="Z"), careful(rules), Reader("r", rules)]


def long(rules: Rules) -> tuple[World, Sequence[Process]]:
    return two_refs(), [Writer("w", rules), Collector("c", rules, runs=2, most_sessions=3, piecewise=True)]


def two_collectors_that_drop(rules: Rules) -> tuple[World, Sequence[Process]]:
    collectors = [hasty(rules, "c", loses_answers=False), hasty(rules, "d", drops=NOBODY, loses_answers=False)]
    return two_refs(), [*collectors, Writer("w", rules)]


def resumed_twice(rules: Rules) -> tuple[World, Sequence[Process]]:
    return two_refs(), [Writer("w", rules, resumes=2), Writer("v", rules, ref="Z", most_sessions=1), hasty(rules)]


#: How many states each has at least, the number of the last commit, and what was reported as done.
EXPLORED: dict[Configuration, tuple[int, int, str]] = {
    writer_and_collector: (4_000, 3, "Y"),
    sleeping_writer: (17_000, 4, "Y"),
    two_writers_a_collector_and_a_reader: (100_000, 4, "YZ"),
    two_writers_of_the_same: (25_000, 3, "Y"),
    two_collectors_and_a_writer: (75_000, 5, "Y"),
    two_careful_collectors: (6_000, 4, ""),
    resumed_writer: (45_000, 4, "Y"),
    restorer_and_collector: (50_000, 6, "X"),
    restorer_writer_and_collector: (40_000, 5, "XY"),
    reader_by_single_requests: (60_000, 4, "Y"),
}
SOAK: dict[Configuration, tuple[int, int, str]] = {
    writers_by_single_requests: (450_000, 4, "Y"),
    wide: (380_000, 4, "YZ"),
    wide_with_a_reader: (900_000, 4, "YZ"),
    long: (100_000, 4, "Y"),
    two_collectors_that_drop: (300_000, 5, "Y"),
    resumed_twice: (260_000, 4, "YZ"),
}


def explore_all(configuration: Configuration, least: int, newest: int, done: str, alone: bool) -> None:
    world, processes = configuration(KEPT)
    explored = explore(world, processes, KEPT, alone=alone)
    assert explored.states >= least, explored
    assert explored.newest == newest, explored
    # Everybody can succeed, in one and the same run.
    assert any(frozenset(done) <= reported for reported in explored.reported), explored


@pytest.mark.parametrize("configuration", EXPLORED, ids=lambda configuration: configuration.__name__)
def test_every_interleaving(configuration: Configuration) -> None:
    explore_all(configuration, *EXPLORED[configuration], alone=False)


@pytest.mark.parametrize("configuration", [writer_and_collector, two_careful_collectors])
def test_whoever_is_alone_comes_to_an_end(configuration: Configuration) -> None:
    explore_all(configuration, *EXPLORED[configuration], alone=True)


@pytest.mark.soak
@pytest.mark.parametrize("configuration", [*EXPLORED, *SOAK], ids=lambda configuration: configuration.__name__)
def test_every_interleaving_of_more(configuration: Configuration) -> None:
    explore_all(configuration, *(EXPLORED | SOAK)[configuration], alone=True)


GONE = "the newest commit names what is not there"
HALF = "an index leads to half a closure"
STAYS = "something stays for ever"
LOST = "Y was reported as done by commit 2, and is lost"
#: Rules, where each is needed, and what goes wrong without it.
NEEDED: list[tuple[str, Configuration, str]] = [
    ("reads_surely", reader_by_single_requests, "a reader takes commit 2 for the newest, which never was"),
    ("checks_standing", sleeping_writer, LOST),
    ("checks_parent", sleeping_writer, LOST),
    ("fences", writer_and_collector, GONE),
    ("inherits_fences", sleeping_writer, GONE),
    ("obeys_fences", writer_and_collector, GONE),
    ("resumes_unfenced", resumed_writer, GONE),
    ("names_sessions", two_writers_of_the_same, GONE),
    ("commits_first", writer_and_collector, GONE),
    ("spares_retained", restorer_and_collector, GONE),
    ("spares_named", writer_and_collector, GONE),
    ("finds_orphans", writer_and_collector, STAYS),
    ("checks_relied_on", writer_and_collector, HALF),
    ("marks_again", writer_and_collector, LOST),
    ("prunes", writer_and_collector, HALF),
    ("keeps_oldest", sleeping_writer, "`oldest` goes back"),
    ("removes_expired_only", writer_and_collector, "are no chain"),
    ("restores_retained", restorer_and_collector, GONE),
]


def test_every_rule_is_tried() -> None:
    assert {rule for rule, _, _ in NEEDED} == {field.name for field in fields(Rules)}


@pytest.mark.parametrize(("rule", "configuration", "what"), NEEDED, ids=[rule for rule, _, _ in NEEDED])
def test_without_a_rule(rule: str, configuration: Configuration, what: str) -> None:
    without = replace(KEPT, **{rule: False})
    world, processes = configuration(without)
    with pytest.raises(Counterexample) as caught:
        explore(world, processes, without, garbage=what == STAYS)
    assert what in caught.value.what
    assert caught.value.trace


@pytest.mark.soak
def test_a_sleeper_whose_commit_is_taken_for_the_newest() -> None:
    """Two push the same ref: one reads the commit of the other, which does not stand, and reports the ref as done."""
    without = replace(KEPT, reads_surely=False)
    world, processes = writers_by_single_requests(without)
    with pytest.raises(Counterexample, match=LOST):
        explore(world, processes, without, garbage=False)
