"""Which results are forgotten, as a decision on rows."""

from __future__ import annotations

from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from hitsave.cache.evaluations import EvaluationRow
from hitsave.limits import Limits
from hitsave.memoisation.eviction import choose
from hitsave.objects.digest import Digest
from hitsave.objects.refs import evaluation_ref

NOW = 1_000_000_000_000


def a_row(
    number: int, age: int = 0, elapsed: int = 0, size: int = 0, experiment: bool = False, key: int = -1
) -> EvaluationRow:
    """An evaluation that began `age` seconds ago; times in seconds."""
    digest = Digest(blake3(b"row %d" % number).digest())
    arguments = Digest(blake3(b"key %d" % (number if key < 0 else key)).digest())
    return EvaluationRow(
        evaluation_ref("pkg.f", arguments, digest),
        digest,
        "pkg.f",
        arguments,
        Digest(bytes(32)),
        arguments,
        NOW - age * 1_000_000,
        elapsed * 1_000_000,
        size,
        experiment,
        "project",
    )


def forgotten(rows: list[EvaluationRow], limits: Limits, *spared: EvaluationRow) -> list[int]:
    """The places in `rows` of what is chosen."""
    return [rows.index(each.row) for each in choose(rows, limits, NOW, {row.digest for row in spared})]


rows_of_any_kind = st.lists(
    st.tuples(st.integers(0, 100), st.integers(0, 50), st.integers(0, 10_000), st.booleans(), st.integers(0, 15)),
    max_size=25,
).map(
    lambda found: [
        a_row(at, age, elapsed, size, experiment, key) for at, (age, elapsed, size, experiment, key) in enumerate(found)
    ]
)
any_limits = st.builds(
    Limits, st.none() | st.integers(0, 110), st.none() | st.integers(1, 30), st.none() | st.integers(0, 50_000)
)


@given(rows_of_any_kind, any_limits)
def test_what_stays_is_within_the_limits(rows: list[EvaluationRow], limits: Limits) -> None:
    chosen = choose(rows, limits, NOW)
    gone = {each.row.digest for each in chosen}
    assert len(gone) == len(chosen)
    stays = [row for row in rows if row.digest not in gone and not row.experiment]
    assert limits.count is None or len(stays) <= limits.count
    assert limits.size is None or sum(row.size for row in stays) <= limits.size
    assert limits.age is None or all(NOW - row.started <= limits.age * 1_000_000 for row in stays)


@given(rows_of_any_kind, any_limits)
def test_an_experiment_is_never_forgotten_nor_counted(rows: list[EvaluationRow], limits: Limits) -> None:
    chosen = choose(rows, limits, NOW)
    assert not any(each.row.experiment for each in chosen)
    assert choose([row for row in rows if not row.experiment], limits, NOW) == chosen


@given(rows_of_any_kind, any_limits)
def test_nothing_goes_without_need(rows: list[EvaluationRow], limits: Limits) -> None:
    """The last one that was chosen for the count was one too many; all that are too old were chosen."""
    chosen = choose(rows, limits, NOW)
    if not limits:
        assert chosen == []
    crowded = [each for each in chosen if each.why.startswith("more than")]
    if crowded:
        gone = {each.row.digest for each in chosen[:-1]}
        left = [row for row in rows if row.digest not in gone and not row.experiment]
        assert (limits.count is not None and len(left) > limits.count) or (
            limits.size is not None and sum(row.size for row in left) > limits.size
        )


@given(rows_of_any_kind, any_limits, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(rows: list[EvaluationRow], limits: Limits, chance: object) -> None:
    shuffled = list(rows)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert {each.row.digest for each in choose(shuffled, limits, NOW)} == {
        each.row.digest for each in choose(rows, limits, NOW)
    }


@given(rows_of_any_kind, any_limits, st.integers(0, 24))
def test_what_is_spared_stays_and_counts(rows: list[EvaluationRow], limits: Limits, at: int) -> None:
    if at < len(rows):
        gone = forgotten(rows, limits, rows[at])
        assert at not in gone
        stays = [row for number, row in enumerate(rows) if number not in gone and not row.experiment]
        assert limits.count is None or len(stays) <= limits.count


def test_least_seconds_for_each_byte_go_first() -> None:
    rows = [a_row(0, elapsed=100, size=1_000_000), a_row(1, elapsed=50, size=1000), a_row(2, elapsed=1, size=1000)]
    assert forgotten(rows, Limits(count=2)) == [0]
    assert forgotten(rows, Limits(count=1)) == [0, 2]
    assert forgotten(rows, Limits(size=1500)) == [0, 2]


def test_of_equals_the_oldest_goes_first() -> None:
    rows = [a_row(0, age=3, elapsed=1), a_row(1, age=9, elapsed=1), a_row(2, age=6, elapsed=1)]
    assert forgotten(rows, Limits(count=1)) == [1, 2]


def test_an_older_evaluation_of_the_same_call_goes_before_all_others() -> None:
    rows = [a_row(0, age=1, elapsed=1, key=7), a_row(1, age=2, elapsed=99, key=7), a_row(2, age=3, elapsed=0)]
    assert forgotten(rows, Limits(count=2)) == [1]


def test_what_is_empty_does_not_go_for_its_size() -> None:
    rows = [a_row(0, elapsed=0), a_row(1, elapsed=50, size=1000)]
    assert forgotten(rows, Limits(size=10)) == [1]


def test_reasons_are_told() -> None:
    rows = [a_row(0, age=90), a_row(1, size=5000), a_row(2, elapsed=1)]
    limits = Limits(age=60, count=1)
    assert [each.why for each in choose(rows, limits, NOW)] == ["older than 1m", "more than 1"]
    assert [each.why for each in choose(rows[1:], Limits(size=4000), NOW)] == ["more than 4,000 bytes"]


def test_a_later_evaluation_of_another_project_stands_before_none() -> None:
    own, others = a_row(0, age=9, elapsed=50, key=1), a_row(1, elapsed=50, key=1)._replace(project="another")
    cheap = a_row(2, elapsed=10, key=2)
    assert forgotten([own, others, cheap], Limits(None, 2, None)) == [2]
    assert forgotten([own, others._replace(project=own.project), cheap], Limits(None, 2, None)) == [0]
