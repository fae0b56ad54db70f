"""Evaluations of a project's functions go with `push` and come with `pull`, without their results."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hitsave.cache.store import Cache
from hitsave.objects.digest import ObjectKind
from hitsave.objects.evaluation import TakenSnapshot
from hitsave.objects.refs import Ref
from tests.cache.calls import a_call, add_call, result_of
from tests.cli.world import User, World, settle
from tests.remotes.evaluations import evaluation_of


def run(user: User, *numbers: int, function: str = "pkg.f", path: str = "project/pkg.py") -> list[Ref]:
    """Keep evaluations as calls do, each on its own."""
    refs: list[Ref] = []
    with Cache.open(user.cache) as cache:
        for number in numbers:
            with cache.intake(inbox=True) as intake:
                taken = b"what call %d took" % number
                snapshot = TakenSnapshot(intake.add(ObjectKind.BLOB, taken), ObjectKind.BLOB, len(taken))
                evaluation, result = a_call(number, function, snapshots=[snapshot])
                refs.append(replace(add_call(intake, evaluation, result), path=path, by="ann@lab"))
                intake.publish(refs[-1:])
    return refs


def evaluations(user: User) -> list[str]:
    return [line.split()[-1] for line in user.do("show-ref").lines if " evaluations/" in line]


def names(*refs: Ref) -> list[str]:
    return sorted(str(ref.name) for ref in refs)


def test_evaluations_are_pushed_and_their_records_pulled(world: World) -> None:
    ann = world.user(remote=True)
    mine = run(ann, 1, 2, 3)
    other = run(ann, 4, path="other/pkg.py")
    # Each record has a result and a snapshot of its own, and all have one manifest.
    assert ann.do("push", "--json").json["objects"] == 10
    assert "nothing was sent" in ann.do("push").said

    ben = world.clone(ann)
    assert ben.do("pull").said.startswith("3 evaluations: ")
    assert evaluations(ben) == names(*mine)
    assert not set(names(*other)) & set(evaluations(ben))
    again = ben.do("pull", "--json").json
    assert again["evaluations"] == {"new": 0, "received": 0}
    assert "no faults" in ben.do("fsck").said
    ben.do("gc", "--keep", "0")
    with Cache.open(ben.cache) as cache:
        rows = cache.evaluations.of("pkg.f")
        assert {row.digest for row in rows} == {ref.digest for ref in mine}
        for row in rows:
            evaluation = evaluation_of(cache, row.digest)
            assert not cache.missing([evaluation.manifest.digest])
            assert cache.missing([evaluation.result.digest, evaluation.snapshots[0].digest])
    # What is there already needs no result to be here.
    assert "everything is there already; nothing was sent to" in ben.do("push").said


def test_the_result_of_a_pulled_evaluation_comes_when_it_is_asked_for(world: World) -> None:
    ann = world.user(remote=True)
    (ref,) = run(ann, 1)
    ann.do("push")
    ben = world.clone(ann)
    ben.do("pull")
    from hitsave.repository import Repository

    with Repository.open(ben.workspace, ben.environment()) as repository:
        repository.exchange.fetch_result(ref)
        assert result_of(repository.cache, ref.digest) == b"result of 1"


def test_pull_of_a_path_touches_no_evaluations(world: World) -> None:
    ann = world.user(remote=True)
    ann.write({"a": b"a" * 100})
    settle()
    ann.add()
    run(ann, 1, 2)
    ann.do("push")
    ben = world.clone(ann)
    ben.do("pull", "data")
    assert evaluations(ben) == []
    ben.do("fetch", "data")
    assert evaluations(ben) == []
    said = ben.do("fetch").said
    assert said.startswith("2 evaluations: ")
    assert ben.do("fetch").said == "everything is in the cache already\n"

    cat = world.clone(ann, "cat")
    told = cat.do("pull").said.splitlines()
    assert [line.split(": ")[0] for line in told] == ["data", "2 objects, 141 B", "2 evaluations"]


def test_what_was_forgotten_here_does_not_come_back(world: World) -> None:
    ann = world.user(remote=True)
    first, second = run(ann, 1, 2)
    ann.do("push")
    ben = world.clone(ann)
    ben.do("pull")
    ben.do("forget", str(first.name))
    ben.do("pull")
    assert evaluations(ben) == names(second)
    ben.do("gc")
    ben.do("pull")
    assert evaluations(ben) == names(second)
    ben.do("undo")
    assert evaluations(ben) == names(first, second)


@pytest.mark.parametrize("remote", [False, True])
def test_a_project_with_neither_datasets_nor_evaluations(world: World, remote: bool) -> None:
    ann = world.user(remote=remote)
    assert ann.do("pull").said == ""
    assert ann.do("fetch").said == "everything is in the cache already\n"
    ann.refused("pull", "--remote", "nope")


def test_a_part_cannot_be_sent_elsewhere(world: World) -> None:
    ann = world.user(remote=True)
    run(ann, 1, 2)
    ann.do("push")
    ben = world.clone(ann)
    ben.do("pull")
    ben.do("remote", "add", "second", world.root / "second")
    said = ben.do("push", "--remote", "second").said
    assert "evaluations of which only a part is here were not pushed: 2" in said
    assert said.count("not pushed") == 1


def test_what_ann_forgot_goes_from_the_remote(world: World) -> None:
    ann = world.user(remote=True)
    first, second = run(ann, 1, 2)
    ann.do("push")
    ann.do("forget", "--remote", "--", str(first.name))
    gone = ann.do("gc", "--remote", "--keep", "0", "--json").json
    assert gone["objects"] == 3
    assert "no faults" in ann.do("fsck", "--remote").said
    assert [line.split()[-1] for line in ann.do("show-ref", "--remote").lines] == names(second)
