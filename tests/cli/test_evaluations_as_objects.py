"""Evaluations are objects like others: shown, owned by a project, pushed, verified and collected."""

from __future__ import annotations

from dataclasses import replace

from hitsave.cache.store import Cache
from hitsave.objects.evaluation import encode_evaluation
from hitsave.objects.refs import Ref
from tests.cache.calls import a_call, add_call
from tests.cli.world import User, World


def keep_call(user: User, number: int, path: str) -> Ref:
    """An evaluation in a user's cache, of a function in the file at `path`, with its project."""
    evaluation, result = a_call(number)
    with Cache.open(user.cache) as cache, cache.intake(inbox=True) as intake:
        ref = replace(add_call(intake, evaluation, result), path=path)
        intake.publish([ref])
    return ref


def test_plumbing_knows_evaluations(ann: User) -> None:
    ref = keep_call(ann, 1, "")
    encoded = encode_evaluation(a_call(1)[0])
    for name in (str(ref.digest), str(ref.digest)[:9], str(ref.name)):
        assert ann.do("cat-file", "-t", name).lines == ["evaluation"]
        assert ann.do("cat-file", "-s", name).lines == [str(len(encoded))]
        assert ann.do("cat-file", "-p", name).out == encoded
    assert str(ref.name) in ann.do("show-ref", "evaluations/").text
    assert ann.do("fsck").code == 0


def test_a_push_sends_the_evaluations_of_the_project_and_no_others(world: World, ann: User) -> None:
    ann.add()
    ann.do("remote", "add", "origin", world.remote)
    [dataset] = [line.split("datasets/")[1] for line in ann.do("show-ref").lines if "datasets/" in line]
    project = dataset.split("/")[0]
    own, other = keep_call(ann, 1, f"{project}/src/f.py"), keep_call(ann, 2, "another/src/f.py")
    ann.do("push")
    assert ann.do("fsck", "--remote", "origin").code == 0
    ann.do("forget", str(own.name), "--remote", "origin")
    ann.refused("forget", str(other.name), "--remote", "origin")


def test_a_dry_run_of_gc_names_the_evaluation(ann: User) -> None:
    ref = keep_call(ann, 1, "")
    ann.do("forget", str(ref.name))
    shown = ann.do("gc", "--dry-run")
    assert shown.text.count(str(ref.name).rpartition("@")[0]) == 3
    ann.do("gc")
    ann.refused("cat-file", "-t", str(ref.digest))
    ann.do("undo")
    assert ann.do("cat-file", "-t", str(ref.digest)).lines == ["evaluation"]
