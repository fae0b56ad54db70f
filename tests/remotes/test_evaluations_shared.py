"""One machine finds, fetches and sends single evaluations, in few requests; the other ones stay where they are."""

from __future__ import annotations

import functools
import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from hitsave.errors import ConfigError, ObjectNotFound, RemoteCorrupt, RemoteError, RemoteUnavailable, RemoteUnsuitable
from hitsave.objects.digest import ObjectKind
from hitsave.objects.evaluation import encode_evaluation
from hitsave.objects.refs import Ref, acceptance_prefix, evaluation_prefix, parse_evaluation_name
from hitsave.remotes.collection.collect import collect
from hitsave.remotes.collection.dropping import drop_refs
from hitsave.remotes.verification.verify import verify
from hitsave.repository import Repository
from tests.cache.calls import MANIFEST, a_call, keep_call, result_of
from tests.remotes import buckets
from tests.remotes.content import ANN, read_folder
from tests.remotes.evaluations import BUFFERS, REASON, TAKEN, evaluation_of, keep_acceptance, keep_full_call
from tests.remotes.servers import stores
from tests.remotes.servers.tiny import Answer, Bucket, tiny_bucket

Open = Callable[..., Repository]


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with tiny_bucket() as running:
        yield running


@pytest.fixture
def machine(tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens a repository on a machine with a number; again, as another process would."""
    for name, value in stores.keys().items():
        monkeypatch.setenv(name, value)
    opened: list[Repository] = []

    def make(number: int, url: str | None = None, **more: str) -> Repository:
        folder = tmp_path / f"{number}"
        (folder / "project").mkdir(parents=True, exist_ok=True)
        environ = {
            "HITSAVE_CONFIG_DIR": os.fspath(folder / "config"),
            "HITSAVE_LOCAL_CACHE_DIR": os.fspath(folder / "cache"),
            "HITSAVE_REMOTE": url or f"s3://b/p?endpoint={bucket.endpoint}",
            **more,
        }
        opened.append(Repository.open(folder / "project", environ))
        return opened[-1]

    yield make
    for repository in opened:
        repository.cache.close()


def prefix_of(ref: Ref) -> str:
    name = parse_evaluation_name(ref.name)
    return evaluation_prefix(name.function, name.key)


def count(bucket: Bucket, action: Callable[[], object]) -> int:
    """How many requests something takes."""
    before = len(bucket.requests)
    action()
    return len(bucket.requests) - before


def test_a_result_is_found_in_one_request_and_fetched_in_two(machine: Open, bucket: Bucket) -> None:
    ann, bob = machine(1), machine(2)
    first, second = keep_call(ann.cache, 1), keep_call(ann.cache, 2)
    ann.exchange.push([first])
    ann.exchange.push([second])
    assert bob.exchange.find_evaluations([prefix_of(first)]) == [first]
    assert count(bucket, lambda: bob.exchange.find_evaluations([prefix_of(second), "pkg.f/none"])) == 1

    # Two indexes, one for each push, come with the first. Then it is the block with the record, and that with the rest.
    assert count(bucket, lambda: bob.exchange.fetch_evaluation(first)) == 4
    assert result_of(bob.cache, first.digest) == b"result of 1"
    assert count(bucket, lambda: bob.exchange.fetch_evaluation(second)) == 2
    assert result_of(bob.cache, second.digest) == b"result of 2"
    assert bob.cache.ref(second.name) == second
    assert bob.cache.packs() == []
    assert [row.digest for row in bob.cache.evaluations.of("pkg.f")] == [second.digest, first.digest]
    assert count(bucket, lambda: bob.exchange.fetch_evaluation(second)) == 0


@pytest.mark.parametrize("where", ["folder", "moto", "seaweed"])
def test_real_stores(machine: Open, tmp_path: Path, where: str) -> None:
    servers = {"moto": stores.moto, "seaweed": stores.seaweed}
    url = buckets.fresh_url("s3", servers[where]()) if where in servers else os.fspath(tmp_path / "remote")
    ann, bob = machine(1, url), machine(2, url)
    refs = [keep_full_call(ann.cache, 0), *(keep_call(ann.cache, number) for number in range(1, 4))]
    assert bob.exchange.find_evaluations([prefix_of(refs[0])]) == []
    for ref in refs:
        ann.exchange.push([ref])
    for number, ref in enumerate(refs):
        assert bob.exchange.find_evaluations([prefix_of(ref)]) == [ref]
        bob.exchange.fetch_evaluation(ref)
        assert result_of(bob.cache, ref.digest) == b"result of %d" % number
    cat = machine(3, url)
    assert cat.exchange.pull_evaluations(lambda ref: ref != refs[1]).new == 3
    assert set(cat.cache.refs()) == {refs[0], *refs[2:]}
    cat.exchange.fetch_result(refs[0])
    assert result_of(cat.cache, refs[0].digest) == b"result of 0"


def test_what_somebody_pushed_meanwhile_is_found(machine: Open) -> None:
    ann, bob = machine(1), machine(2)
    ref, word = keep_call(ann.cache, 1), keep_acceptance(ann.cache)
    accepted = acceptance_prefix("pkg.f", parse_evaluation_name(word.name).key)
    assert bob.exchange.find_evaluations([prefix_of(ref)]) == []
    ann.exchange.push([ref])
    assert bob.exchange.find_evaluations([accepted, prefix_of(ref)]) == [ref]
    ann.exchange.push([word])
    assert bob.exchange.find_evaluations([accepted, prefix_of(ref)]) == [ref, word]
    bob.exchange.fetch_evaluation(word)
    assert bob.cache.read(word.digest) == ann.cache.read(word.digest)
    assert not bob.cache.is_partial(word.name)


def test_snapshots_are_not_fetched_with_a_result_and_come_when_they_are_asked_for(machine: Open) -> None:
    ann, bob = machine(1), machine(2)
    ref = keep_full_call(ann.cache)
    ann.exchange.push([ref])
    bob.exchange.fetch_evaluation(ref)
    evaluation = evaluation_of(bob.cache, ref.digest)
    assert result_of(bob.cache, ref.digest) == b"result of 1"
    assert [bob.cache.read(buffer.digest) for buffer in evaluation.buffers] == [*BUFFERS]
    assert evaluation.reason is not None
    assert bob.cache.read(evaluation.reason.digest) == REASON
    assert bob.cache.missing(taken.digest for taken in evaluation.snapshots) == {
        taken.digest for taken in evaluation.snapshots
    }
    assert bob.cache.is_partial(ref.name)
    assert bob.verify().faults == ()
    bob.collect(0)
    assert result_of(bob.cache, ref.digest) == b"result of 1"

    bob.ensure(evaluation.snapshots[0].digest, ObjectKind.TREE)
    assert read_folder(bob.cache, evaluation.snapshots[0].digest) == TAKEN


def test_nothing_is_found_where_nothing_was_pushed_or_no_remote_is_set(machine: Open, tmp_path: Path) -> None:
    assert machine(1).exchange.find_evaluations(["pkg.f/"]) == []
    assert machine(1, HITSAVE_NO_CLOUD="1").exchange.find_evaluations(["pkg.f/"]) == []
    assert machine(1, os.fspath(tmp_path / "none")).exchange.find_evaluations(["pkg.f/"]) == []
    with pytest.raises(ConfigError):
        machine(1).exchange.find_evaluations(["pkg.f/"], "nope")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_bytes(b"")
    with pytest.raises(RemoteUnsuitable):
        machine(1, os.fspath(tmp_path / "other")).exchange.find_evaluations(["pkg.f/"])


def test_a_ref_that_holds_the_evaluation_of_another_call_is_refused(machine: Open) -> None:
    ann, bob = machine(1), machine(2)
    ref, other = keep_call(ann.cache, 1), keep_call(ann.cache, 2)
    name = replace(ref.name, name=ref.name.name.replace(str(ref.digest), str(other.digest)))
    forged = replace(ref, name=name, digest=other.digest)
    ann.exchange.push([forged])
    assert bob.exchange.find_evaluations([prefix_of(ref)]) == [forged]
    with pytest.raises(RemoteCorrupt, match="something else"):
        bob.exchange.fetch_evaluation(forged)
    assert bob.cache.refs() == []
    assert bob.cache.missing([other.digest])


def test_a_result_that_was_damaged_in_the_remote_is_not_taken(machine: Open, bucket: Bucket) -> None:
    ann, bob = machine(1), machine(2)
    ref = keep_call(ann.cache, 1)
    ann.exchange.push([ref])
    (key,) = (key for key in bucket.values if "/packs/" in key)
    bucket.values[key] = bucket.values[key].replace(b"result of 1", b"result of 2")
    assert bob.exchange.find_evaluations([prefix_of(ref)]) == [ref]
    with pytest.raises(RemoteCorrupt):
        bob.exchange.fetch_evaluation(ref)
    assert bob.cache.refs() == []


def test_what_was_collected_there_is_an_error_and_found_no_more(machine: Open) -> None:
    ann, bob = machine(1), machine(2)
    ref, other = keep_call(ann.cache, 1), keep_call(ann.cache, 2)
    ann.exchange.push([ref, other])
    assert bob.exchange.find_evaluations([prefix_of(ref)]) == [ref]
    drop_refs(ann.exchange.remote(), ANN, [ref.name])
    collect(ann.exchange.remote(), ANN, keep=0)
    with pytest.raises(ObjectNotFound):
        bob.exchange.fetch_evaluation(ref)
    assert bob.exchange.find_evaluations([prefix_of(ref)]) == []
    # What was rewritten meanwhile is found at its new place.
    bob.exchange.fetch_evaluation(other)
    assert result_of(bob.cache, other.digest) == b"result of 2"


def test_the_result_of_an_evaluation_that_is_here_comes_from_whichever_remote_has_it(
    machine: Open, tmp_path: Path
) -> None:
    ann, bob = machine(1), machine(2)
    ref = keep_call(ann.cache, 1)
    ann.exchange.push([ref])
    evaluation, result = a_call(1)
    with bob.cache.intake() as intake:
        intake.add(ObjectKind.BLOB, MANIFEST)
        intake.add(ObjectKind.EVALUATION, encode_evaluation(evaluation))
        intake.publish([ref], partial=True)
    assert bob.cache.missing([evaluation.result.digest])
    bob.exchange.fetch_result(ref)
    assert result_of(bob.cache, ref.digest) == result
    assert bob.cache.refs() == [ref]
    assert not bob.cache.is_partial(ref.name)
    with pytest.raises((ObjectNotFound, RemoteError)):
        machine(3, os.fspath(tmp_path / "none")).exchange.fetch_result(ref)


def test_an_evaluation_is_sent_in_few_requests_and_nothing_new_in_two(machine: Open, bucket: Bucket) -> None:
    ann = machine(1)
    ann.exchange.push([keep_call(ann.cache, 1)])
    for number in range(2, 5):
        ref = keep_call(ann.cache, number)
        send = functools.partial(ann.exchange.push, [ref])
        assert count(bucket, send) == 7
        assert count(bucket, send) == 2


def test_several_who_send_evaluations_at_once_all_get_in(machine: Open) -> None:
    users = [machine(number) for number in range(1, 5)]
    users[0].exchange.push([keep_call(users[0].cache, 1000)])
    refs = {
        number: [keep_call(user.cache, 100 * number + each) for each in range(4)] for number, user in enumerate(users)
    }

    def send(number: int) -> None:
        for ref in refs[number]:
            users[number].exchange.push([ref])
        users[number].cache.close()

    with ThreadPoolExecutor(len(users)) as threads:
        for _ in threads.map(send, range(len(users))):
            pass
    bob = machine(5)
    found = bob.exchange.find_evaluations([""])
    assert len(found) == 17
    for ref in found:
        bob.exchange.fetch_evaluation(ref)
    assert {ref for some in refs.values() for ref in some} <= set(bob.cache.refs())
    assert verify(bob.exchange.remote()).faults == ()


def test_a_remote_that_does_not_answer_is_asked_twice_and_then_left_alone(machine: Open, bucket: Bucket) -> None:
    ann, bob = machine(1), machine(2)
    ref = keep_call(ann.cache, 1)
    ann.exchange.push([ref])
    bucket.answer("GET", Answer(503, "SlowDown"))
    assert bob.exchange.find_evaluations([prefix_of(ref)]) == [ref]

    bucket.answer("GET", Answer(503, "SlowDown"), times=1000)

    def tries(ask: Callable[[], object]) -> int:
        before = len(bucket.requests)
        with pytest.raises(RemoteUnavailable):
            ask()
        return len(bucket.requests) - before

    for number in range(4):
        cat = machine(3 + number)
        mine = keep_call(cat.cache, 2)
        asks: list[Callable[[], object]] = [
            functools.partial(cat.exchange.find_evaluations, [prefix_of(ref)]),
            functools.partial(cat.exchange.fetch_evaluation, mine),
            functools.partial(cat.exchange.fetch_result, mine),
            functools.partial(cat.exchange.send_evaluations, [mine]),
        ]
        # Whichever comes first.
        assert tries(asks.pop(number)) == 2
        assert [tries(ask) for ask in asks] == [0, 0, 0]


def test_what_was_just_made_is_sent_where_nothing_was_before(machine: Open, bucket: Bucket) -> None:
    ann, bob = machine(1), machine(2)
    for number in range(3):
        ref = keep_call(ann.cache, number)
        assert ann.exchange.find_evaluations([prefix_of(ref)]) == []
        ann.exchange.send_evaluations([ref])
    assert len(bob.exchange.find_evaluations([""])) == 3
    ref = keep_call(ann.cache, 4)
    # The same as a push, although it was asked for before.
    assert ann.exchange.find_evaluations([prefix_of(ref)]) == []
    assert count(bucket, lambda: ann.exchange.send_evaluations([ref])) == 7


def test_a_host_that_refuses_connections_is_an_error_at_once(machine: Open) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    ann = machine(1, f"s3://b/p?endpoint=http://127.0.0.1:{port}")
    with pytest.raises(RemoteUnavailable, match="refused"):
        ann.exchange.find_evaluations(["pkg.f/"])
