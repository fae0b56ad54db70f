"""Publishing evaluations, and finding them again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hitsave.cache.database import SCHEMA_VERSION
from hitsave.cache.evaluations import Chosen, EvaluationRow, FunctionTotals, Order
from hitsave.cache.projects import rename_project
from hitsave.cache.store import Cache
from hitsave.maintenance.collect import collect, forget, undo
from hitsave.objects.digest import ObjectKind, blob_digest
from hitsave.objects.evaluation import Acceptance, BlobLink, TakenSnapshot, encode_evaluation
from hitsave.objects.refs import Ref, acceptance_ref, evaluation_prefix, snapshot_ref
from tests.cache.calls import MANIFEST, a_call, add_call, keep_call, ref_of_call, result_of
from tests.cache.content import store

NOW = 1000


def test_an_evaluation_is_found_by_its_key(cache: Cache) -> None:
    ref = keep_call(cache, 1)
    for number in (2, 3):
        keep_call(cache, number)
    evaluation, result = a_call(1)
    assert cache.evaluations.find("pkg.f", evaluation.key, "one") == [(ref.name, ref.digest, False)]
    assert result_of(cache, ref.digest) == result
    assert cache.evaluations.find("pkg.g", evaluation.key, "one") == []
    assert cache.evaluations.find("pkg.f", a_call(4)[0].key, "one") == []


def test_several_of_one_key_come_newest_first(cache: Cache) -> None:
    refs = []
    for started in (2_000_001, 1_000_000, 3_000_000, 2_000_000):
        evaluation, result = a_call(1)
        with cache.intake() as intake:
            refs.append(add_call(intake, replace(evaluation, started=started), result))
            intake.publish(refs[-1:])
    found = cache.evaluations.find("pkg.f", a_call(1)[0].key, "one")
    assert found == [(refs[at].name, refs[at].digest, False) for at in (2, 0, 3, 1)]
    assert [row.started for row in cache.evaluations.of("pkg.f")] == [3_000_000, 2_000_001, 2_000_000, 1_000_000]


def test_those_of_the_project_come_first(cache: Cache) -> None:
    refs = []
    evaluation, result = a_call(1)
    for at, path in enumerate(("one/f.py", "two/f.py", "", "one/f.py", "two/f.py")):
        with cache.intake() as intake:
            ref = replace(add_call(intake, replace(evaluation, started=at), result), path=path)
            intake.publish([ref])
        refs.append(ref)

    def held(project: str) -> list[tuple[int, bool]]:
        found = cache.evaluations.find("pkg.f", evaluation.key, project)
        return [([ref.name for ref in refs].index(each.name), each.foreign) for each in found]

    assert held("one") == [(3, False), (2, False), (0, False), (4, True), (1, True)]
    assert held("two") == [(4, False), (2, False), (1, False), (3, True), (0, True)]
    assert held("on") == [(2, False), (4, True), (3, True), (1, True), (0, True)]


def test_who_has_forgotten_one_is_known(cache: Cache) -> None:
    evaluation, result = a_call(1)
    with cache.intake() as intake:
        ref = replace(add_call(intake, evaluation, result), path="one/f.py")
        intake.publish([ref])

    def who() -> list[str]:
        return [each for each in ("one", "on", "two") if cache.evaluations.was_forgotten("pkg.f", evaluation.key, each)]

    assert who() == []
    forget(cache, [ref.name], NOW)
    assert who() == ["one"]
    assert not cache.evaluations.was_forgotten("pkg.f", a_call(2)[0].key, "one")
    undo(cache)
    assert who() == []


def test_a_row_says_what_the_object_says(cache: Cache) -> None:
    ref = keep_call(cache, 7)
    evaluation, result = a_call(7)
    [row] = cache.evaluations.of("pkg.f")
    assert (row.name, row.digest) == (ref.name, ref.digest)
    assert (row.function, row.key) == ("pkg.f", evaluation.key)
    assert (row.code, row.arguments) == (evaluation.code, evaluation.arguments)
    assert (row.started, row.elapsed, row.size, row.experiment) == (1_000_007, 7, len(result), False)


def test_lookups_by_what_is_the_same(cache: Cache) -> None:
    for number in range(5):
        for code in range(2):
            keep_call(cache, number, code=code)
        keep_call(cache, number, "pkg.g")
    index = cache.evaluations
    arguments, code = a_call(3)[0].arguments, a_call(0, code=1)[0].code
    assert [(row.elapsed, row.function) for row in index.same_arguments("pkg.f", arguments, 9)] == [(3, "pkg.f")] * 2
    assert [row.elapsed for row in index.same_code("pkg.f", code, 3)] == [4, 3, 2]
    assert index.same_code("pkg.g", code, 3) == []
    assert [row.elapsed for row in index.newest("pkg.g", 2)] == [4, 3]
    assert index.functions() == [("pkg.f", 10), ("pkg.g", 5)]
    assert sorted(row.digest for row in index.all()) == sorted(ref.digest for ref in cache.refs())


def test_what_there_is_of_all_functions(cache: Cache) -> None:
    index = cache.evaluations
    assert (index.names(), index.totals(), index.codes("pkg.f")) == ([], [], [])
    for number, (function, code) in enumerate([("pkg.f", 1), ("pkg.g", 0), ("pkg.f", 0), ("pkg.f", 1), ("a.h", 0)]):
        keep_call(cache, number, function, code)
    assert index.names() == ["a.h", "pkg.f", "pkg.g"]
    assert [row.elapsed for row in index.codes("pkg.f")] == [3, 2]
    assert [index.count("pkg.f", row.code) for row in index.codes("pkg.f")] == [2, 1]
    size = len(b"result of 0")
    assert index.totals() == [
        FunctionTotals("a.h", 1, 0, 4, size, 1_000_004, ""),
        FunctionTotals("pkg.f", 3, 0, 5, 3 * size, 1_000_003, ""),
        FunctionTotals("pkg.g", 1, 0, 1, size, 1_000_001, ""),
    ]


def test_lists_are_chosen_and_ordered(cache: Cache) -> None:
    for number, (function, result) in enumerate(
        [("pkg.f", b"long"), ("pkg.g", b""), ("pkg.f", b"longer"), ("a.h", b"l")]
    ):
        evaluation, content = a_call(number, function, number % 2, result)
        with cache.intake() as intake:
            evaluation = replace(evaluation, experiment=number == 1, elapsed=number % 3)
            intake.publish([add_call(intake, evaluation, content)])

    def listed(order: Order = Order.TIME, limit: int | None = None, **chosen: Any) -> list[int]:
        return [row.started - 1_000_000 for row in cache.evaluations.listed(Chosen(**chosen), order, limit)]

    assert listed() == [3, 2, 1, 0]
    assert listed(limit=2) == [3, 2]
    assert listed(Order.SIZE) == [2, 0, 3, 1]
    assert listed(Order.ELAPSED) == [2, 1, 3, 0]
    assert listed(Order.FUNCTION, limit=3) == [3, 2, 0]
    assert listed(function="pkg.f") == [2, 0]
    assert listed(code=a_call(0, code=1)[0].code) == [3, 1]
    assert listed(since=1_000_002) == [3, 2]
    assert listed(since=1_000_001, before=1_000_003) == [2, 1]
    assert listed(experiments=True) == [1]
    assert listed(function="pkg.g", experiments=True, since=1_000_002) == []


def test_acceptances_are_listed_by_themselves(cache: Cache) -> None:
    kept = [keep_acceptance(cache, number, created) for number, created in [(1, 50), (2, 70), (3, 60)]]
    keep_call(cache, 1, "a.f")
    keep_call(cache, 1, "a.f2")
    assert cache.evaluations.acceptances("a.f", "one") == [
        (ref.name, ref.digest) for ref in (kept[1], kept[2], kept[0])
    ]
    assert cache.evaluations.acceptances("a.f2", "one") == []


def test_acceptances_are_of_one_project(cache: Cache) -> None:
    kept = [keep_acceptance(cache, at, 50 - at, path) for at, path in enumerate(("one/a.py", "two/a.py", ""))]
    for project, own in {"one": (0, 2), "two": (1, 2), "on": (2,)}.items():
        assert cache.evaluations.acceptances("a.f", project) == [(kept[at].name, kept[at].digest) for at in own]


def keep_acceptance(cache: Cache, number: int, created: int, path: str = "") -> Ref:
    code, manifest = blob_digest(b"%d" % number), BlobLink(blob_digest(MANIFEST), len(MANIFEST))
    value = Acceptance(function="a.f", accepts=blob_digest(b"0"), code=code, manifest=manifest)
    with cache.intake() as intake:
        intake.add(ObjectKind.BLOB, MANIFEST)
        digest = intake.add(ObjectKind.EVALUATION, encode_evaluation(value))
        ref = Ref(acceptance_ref("a.f", code, digest), digest, ObjectKind.EVALUATION, created, path=path)
        intake.publish([ref])
    return ref


def test_names_of_functions_may_hold_any_characters(cache: Cache) -> None:
    names = ["pkg.f.<locals>.g", "a/b.f", "a", "données.f", "100%.f@b"]
    for name in names:
        keep_call(cache, 1, name)
    for name in names:
        assert len(cache.evaluations.find(name, a_call(1, name)[0].key, "one")) == 1
        assert [row.function for row in cache.evaluations.of(name)] == [name]
    assert cache.evaluations.functions() == sorted((name, 1) for name in names)


def test_another_process_sees_it_at_once(cache: Cache) -> None:
    with Cache.open(cache.path) as other:
        before = other.database.version
        assert other.evaluations.find("pkg.f", a_call(1)[0].key, "one") == []
        assert other.database.version == before
        ref = keep_call(cache, 1)
        assert other.database.version != before
        assert other.evaluations.find("pkg.f", a_call(1)[0].key, "one") == [(ref.name, ref.digest, False)]


def test_an_acceptance_is_kept_and_is_no_evaluation(cache: Cache) -> None:
    accepted = Acceptance(
        function="pkg.f",
        accepts=blob_digest(b"code 0"),
        code=blob_digest(b"code 1"),
        manifest=BlobLink(blob_digest(MANIFEST), len(MANIFEST)),
    )
    with cache.intake() as intake:
        intake.add(ObjectKind.BLOB, MANIFEST)
        digest = intake.add(ObjectKind.EVALUATION, encode_evaluation(accepted))
        intake.publish([Ref(acceptance_ref("pkg.f", accepted.code, digest), digest, ObjectKind.EVALUATION)])
    keep_call(cache, 1)
    assert len(cache.evaluations.of("pkg.f")) == 1
    assert cache.evaluations.functions() == [("pkg.f", 1)]
    assert collect(cache, NOW).objects == ()


# -- rows that come otherwise


def pulled(cache: Cache, number: int) -> Ref:
    """An evaluation that comes as in a pull: the ref is published after its objects."""
    evaluation, result = a_call(number)
    with cache.intake() as intake:
        ref = add_call(intake, evaluation, result)
        intake.publish([])
    with cache.intake() as intake:
        intake.publish([ref], [ref.digest])
    return ref


def test_what_was_pulled_is_indexed_when_somebody_asks(cache: Cache) -> None:
    refs = [pulled(cache, number) for number in range(3)]
    assert cache.database.rows("SELECT COUNT(*) FROM evaluations") == [(0,)]
    assert {held.name for held in cache.evaluations.find("pkg.f", a_call(1)[0].key, "one")} == {refs[1].name}
    assert [row.elapsed for row in cache.evaluations.of("pkg.f")] == [2, 1, 0]
    assert cache.database.rows("SELECT COUNT(*) FROM unindexed") == [(0,)]


def test_a_forgotten_evaluation_is_not_found_and_undo_brings_it_back(cache: Cache) -> None:
    gone, stays = keep_call(cache, 1), keep_call(cache, 2)
    forget(cache, [gone.name], NOW)
    assert cache.evaluations.find("pkg.f", a_call(1)[0].key, "one") == []
    assert [row.name for row in cache.evaluations.of("pkg.f")] == [stays.name]
    assert len(collect(cache, NOW).objects) == 2  # The manifest is shared.
    undo(cache)
    assert [row.name for row in cache.evaluations.of("pkg.f")] == [stays.name, gone.name]
    assert result_of(cache, gone.digest) == b"result of 1"


def test_what_cannot_be_read_is_left_out_until_it_can(cache: Cache) -> None:
    with cache.intake() as intake:
        evaluation, _ = a_call(1)
        digest = intake.add(ObjectKind.EVALUATION, encode_evaluation(evaluation))
    ref = ref_of_call(evaluation, digest)
    with cache.database.writing() as connection:
        connection.execute("INSERT INTO unindexed VALUES (?)", (bytes(digest),))
    assert cache.evaluations.of("pkg.f") == []
    keep_call(cache, 1)
    assert [row.name for row in cache.evaluations.of("pkg.f")] == [ref.name]


# -- the first one wins


def test_the_first_evaluation_of_a_key_wins(cache: Cache) -> None:
    first, result = a_call(1)
    prefix = evaluation_prefix("pkg.f", first.key)
    with cache.intake() as intake, Cache.open(cache.path) as other, other.intake() as late:
        ref = add_call(intake, first, result)
        second = add_call(late, replace(first, by="other@host"), b"another result")
        assert intake.publish([ref], unless=prefix) is None
        assert late.publish([second], unless=prefix) == ref.name
    assert [found.name for found in cache.refs()] == [ref.name]
    assert not cache.has(second.digest)
    assert not cache.has(blob_digest(b"another result"))


def test_those_that_are_known_not_to_fit_do_not_stand_in_the_way(cache: Cache) -> None:
    ref = keep_call(cache, 1)
    evaluation, result = a_call(1)
    other = replace(evaluation, by="other@host")
    prefix = evaluation_prefix("pkg.f", evaluation.key)
    with cache.intake() as intake:
        second = add_call(intake, other, result)
        assert intake.publish([second], unless=prefix, besides=[ref.name]) is None
    with cache.intake() as intake:
        third = add_call(intake, replace(evaluation, by="third@host"), result)
        assert intake.publish([third], unless=prefix, besides=[ref.name]) == second.name
    assert len(cache.evaluations.find("pkg.f", evaluation.key, "one")) == 2


def test_another_key_does_not_stand_in_the_way(cache: Cache) -> None:
    keep_call(cache, 1)
    evaluation, result = a_call(2)
    with cache.intake() as intake:
        ref = add_call(intake, evaluation, result)
        assert intake.publish([ref], unless=evaluation_prefix("pkg.f", evaluation.key)) is None


# -- a cache of the first version

_LATER_TABLES = ("inbox", "damaged", "holds", "evaluations", "unindexed", "places")


def test_a_cache_of_the_first_version_opens(tmp_path: Path) -> None:
    with Cache.open(tmp_path) as cache:
        ref = pulled(cache, 1)
        for table in _LATER_TABLES:
            cache.database.connection.execute(f"DROP TABLE {table}")
        cache.database.connection.execute("PRAGMA user_version=1")
    with Cache.open(tmp_path) as cache:
        assert cache.database.rows("PRAGMA user_version") == [(SCHEMA_VERSION,)]
        assert [row.name for row in cache.evaluations.of("pkg.f")] == [ref.name]
        keep_call(cache, 2)
        assert len(cache.evaluations.of("pkg.f")) == 2


def test_a_dry_run_names_the_evaluation_that_owned_what_goes(cache: Cache) -> None:
    keep_call(cache, 1)
    digest = store(cache, {b"a": b"kept", b"b": b"made by the call"})
    evaluation, result = a_call(2, snapshots=[TakenSnapshot(digest, ObjectKind.TREE, 20)])
    with cache.intake() as intake:
        ref = add_call(intake, evaluation, result)
        intake.publish([ref], [digest])
    forget(cache, [ref.name, snapshot_ref(digest)], NOW)
    collected = collect(cache, NOW, dry_run=True)
    paths = {item.digest: item.former_path for item in collected.objects if item.former_owner == str(ref.name)}
    assert paths.keys() >= {ref.digest, blob_digest(result)}
    assert blob_digest(MANIFEST) not in {item.digest for item in collected.objects}
    assert all(item.former_owner for item in collected.objects)
    assert {item.former_path for item in collected.objects} == {b"", b"a", b"b"}


# -- functions of the same name in several projects


def keep_in(cache: Cache, path: str, number: int, code: int = 0) -> Ref:
    """Publish an evaluation of `pkg.f` by a project."""
    evaluation, result = a_call(number, code=code)
    with cache.intake(inbox=True) as intake:
        ref = replace(add_call(intake, evaluation, result), path=path)
        intake.publish([ref])
    return ref


def numbers_of(rows: Iterable[EvaluationRow]) -> list[int]:
    return [row.elapsed for row in rows]


def test_a_project_sees_its_own_and_what_is_nobodys(cache: Cache) -> None:
    for number, path in enumerate(["one/pkg.py", "two/pkg.py", "", "one/pkg.py"]):
        keep_in(cache, path, number, code=number % 2)
    index, code = cache.evaluations, a_call(0, code=1)[0].code
    expected = {None: [3, 2, 1, 0], "one": [3, 2, 0], "two": [2, 1], "three": [2]}
    for project, numbers in expected.items():
        assert numbers_of(index.of("pkg.f", project)) == numbers
        assert numbers_of(index.newest("pkg.f", 1, project)) == numbers[:1]
        assert numbers_of(index.same_code("pkg.f", code, 9, project)) == [each for each in numbers if each % 2]
        assert numbers_of(index.codes("pkg.f", project)) == numbers_of(index.of("pkg.f", project))[:2][: len(numbers)]
        assert numbers_of(index.listed(Chosen(project=project), Order.TIME, None)) == numbers
        assert index.sums("pkg.f", project)[0] == len(numbers)
        assert sum(each.evaluations for each in index.totals(project)) == len(numbers)
    assert numbers_of(index.same_arguments("pkg.f", a_call(1)[0].arguments, 9, "two")) == [1]
    assert index.same_arguments("pkg.f", a_call(1)[0].arguments, 9, "one") == []
    assert [(each.project, each.evaluations) for each in index.totals()] == [("one", 2), ("", 1), ("two", 1)]


def test_names_are_those_of_a_project(cache: Cache) -> None:
    keep_in(cache, "one/pkg.py", 1)
    assert cache.evaluations.names("one") == cache.evaluations.names() == ["pkg.f"]
    assert cache.evaluations.names("two") == []


def test_a_lookup_in_a_project_walks_an_index_alone(cache: Cache) -> None:
    plans: list[str] = []
    connection = cache.database.connection
    asked: list[str] = []
    connection.set_trace_callback(asked.append)
    cache.evaluations.newest("pkg.f", 1, "one")
    cache.evaluations.same_code("pkg.f", bytes(32), 1, "one")
    connection.set_trace_callback(None)
    for query in asked:
        if "CROSS JOIN" in query:
            plans += [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")]
    assert plans[0].startswith("SEARCH evaluations USING INDEX evaluations_by_time (function=?)")
    assert not [plan for plan in plans if plan.startswith("SCAN")]


def test_a_project_stays_known_when_its_ref_comes_back_or_is_renamed(cache: Cache) -> None:
    ref = keep_in(cache, "one/pkg.py", 1)
    forget(cache, [ref.name], NOW)
    assert cache.evaluations.of("pkg.f", "one") == []
    undo(cache)
    assert [row.project for row in cache.evaluations.of("pkg.f", "one")] == ["one"]
    with cache.database.writing() as connection:
        rename_project(connection, "one/", "uno/")
    assert cache.evaluations.of("pkg.f", "one") == []
    assert [row.name for row in cache.evaluations.of("pkg.f", "uno")] == [ref.name]


def test_a_cache_of_the_third_version_learns_the_projects(tmp_path: Path) -> None:
    with Cache.open(tmp_path) as cache:
        for number, path in enumerate(["one/pkg.py", "two/sub/pkg.py", ""]):
            keep_in(cache, path, number)
        connection = cache.database.connection
        for name in ("evaluations_by_time", "evaluations_by_code"):
            connection.execute(f"DROP INDEX {name}")
        connection.execute("ALTER TABLE evaluations DROP COLUMN project")
        connection.execute("CREATE INDEX evaluations_by_time ON evaluations(function, started)")
        connection.execute("PRAGMA user_version=3")
    with Cache.open(tmp_path) as cache:
        assert [row.project for row in cache.evaluations.of("pkg.f")] == ["", "two", "one"]
        assert cache.database.rows("SELECT * FROM unindexed") == []
        indexed = cache.database.rows("SELECT name FROM pragma_index_info('evaluations_by_time')")
        assert [name for (name,) in indexed] == ["function", "started", "project"]
