"""Buckets, beyond what every transport has to do: which requests are sent, what is refused, and the real command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hitsave.errors import RemoteConflict, RemoteError, RemoteUnavailable, RemoteUnsuitable
from hitsave.remotes.opening import check_remote, probe
from hitsave.remotes.transports import buckets as implementation
from hitsave.remotes.transports.buckets import BucketTransport
from hitsave.remotes.transports.bucketurls import open_bucket
from tests.cli.world import User
from tests.remotes import buckets
from tests.remotes.content import Machine, format_record, keep, noise, read_folder
from tests.remotes.content import check_remote as check_content
from tests.remotes.servers import stores
from tests.remotes.servers.tiny import PAGE, Answer, Bucket, tiny_bucket


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with tiny_bucket() as running:
        yield running


@pytest.fixture
def tiny(bucket: Bucket) -> BucketTransport:
    return buckets.at("s3", bucket.endpoint, stores.keys())


def names(count: int) -> list[str]:
    return [f"probe/{number:05}" for number in range(count)]


# -- requests


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_key_is_created_in_one_request_that_demands_that_it_is_free(bucket: Bucket, scheme: str) -> None:
    transport = buckets.at(scheme, bucket.endpoint, {**stores.keys(), "GOOGLE_BEARER_TOKEN": "token"})
    content = noise(20 << 20)
    transport.put("probe/a", [content[:1000], memoryview(content)[1000:]])
    (request,) = bucket.requests
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert request.method == "PUT"
    assert headers["if-none-match" if scheme == "s3" else "x-goog-if-generation-match"] in ("*", "0")
    assert list(bucket.values.values()) == [content]


def test_all_pages_are_listed_and_those_before_are_not_asked_for(bucket: Bucket, tiny: BucketTransport) -> None:
    for name in names(10):
        tiny.put(name, b"")
    bucket.requests.clear()
    assert tiny.list("probe/") == names(10)
    assert bucket.count("GET") == -(-10 // PAGE) > 1
    bucket.requests.clear()
    assert tiny.list("probe/", names(10)[-PAGE - 1]) == names(10)[-PAGE:]
    assert bucket.count("GET") == 1
    assert [listed.key for listed in tiny.scan("probe/0000")] == names(10)


def test_many_keys_are_removed_in_few_requests(bucket: Bucket, tiny: BucketTransport) -> None:
    tiny.put(names(1)[0], b"")
    bucket.requests.clear()
    tiny.delete(iter(names(2500)))
    assert bucket.count("POST") == len(bucket.requests) == 3
    assert bucket.values == {}


@pytest.mark.parametrize("make", [buckets.at_azurite, buckets.at_google_like], ids=["azure", "google"])
def test_where_missing_keys_are_errors_the_others_are_removed(make: Callable[[], BucketTransport]) -> None:
    transport = make()
    for name in names(5):
        transport.put(name, b"")
    transport.delete(["probe/missing", *names(3), "probe/absent"])
    assert transport.list("") == names(5)[3:]


def test_a_large_file_goes_in_parts(
    bucket: Bucket, tiny: BucketTransport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(implementation, "SINGLE_PUT", 1 << 20)
    content = noise(40 << 20)
    (tmp_path / "file").write_bytes(content)
    tiny.put_file("probe/a", tmp_path / "file")
    assert bucket.count("PUT") == 3  # Parts of 16 MiB.
    assert tiny.get("probe/a") == content
    bucket.requests.clear()
    with pytest.raises(RemoteConflict):
        tiny.put_file("probe/a", tmp_path / "file")
    assert [request.method for request in bucket.requests] == ["HEAD"]


@pytest.mark.parametrize("make", [buckets.at_moto, buckets.at_seaweed, buckets.at_azurite])
def test_real_servers_put_parts_together(
    make: Callable[[], BucketTransport], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(implementation, "SINGLE_PUT", 1 << 20)
    transport = make()
    content = noise((17 << 20) + 1)
    (tmp_path / "file").write_bytes(content)
    transport.put_file("probe/a", tmp_path / "file")
    transport.download("probe/a", tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == content
    with pytest.raises(RemoteConflict):
        transport.put_file("probe/a", tmp_path / "file")


def test_prefixes_of_all_sorts_keep_remotes_apart(bucket: Bucket) -> None:
    prefixes = ["", "a", "a b/ü", "a%25b", "aa"]
    for number, prefix in enumerate(prefixes):
        transport = open_bucket(f"s3://b/{prefix}?endpoint={bucket.endpoint}", stores.keys())
        if prefix:
            assert transport.list("") == []
        transport.put("probe/a", prefix.encode())
        assert transport.list("probe/") == ["probe/a"]
        assert transport.get("probe/a") == prefix.encode()
        assert len(bucket.values) == number + 1
    assert set(bucket.values) == {"probe/a", "a/probe/a", "a b/ü/probe/a", "a%b/probe/a", "aa/probe/a"}


# -- faults


@pytest.mark.parametrize("torn", [1, 100])
def test_what_was_torn_is_never_taken_for_the_whole(
    bucket: Bucket, tiny: BucketTransport, tmp_path: Path, torn: int
) -> None:
    tiny.put("probe/a", b"0123456789" * 100)
    for read in (
        lambda: tiny.get("probe/a"),
        lambda: tiny.get("probe/a", 5, 950),
        lambda: tiny.download("probe/a", tmp_path / "file"),
        lambda: tiny.list("probe/"),
    ):
        bucket.answer("GET", Answer(200, torn=torn), 3)
        with pytest.raises(RemoteUnavailable):
            read()
        assert not (tmp_path / "file").exists()
        bucket.answers.clear()
    tiny.download("probe/a", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"0123456789" * 100


def test_an_answer_that_was_lost_is_a_conflict(bucket: Bucket, tiny: BucketTransport) -> None:
    bucket.answer("PUT", Answer(500, "InternalError", late=True))
    with pytest.raises(RemoteConflict):
        tiny.put("probe/a", b"content")
    assert tiny.get("probe/a") == b"content"


def test_what_passes_soon_is_not_noticed(bucket: Bucket, tiny: BucketTransport) -> None:
    tiny.put("probe/a", b"content")
    bucket.answer("GET", Answer(503, "SlowDown"), 2)
    assert tiny.get("probe/a") == b"content"
    assert bucket.answers == []


def test_a_forked_process_is_told_instead_of_waiting_for_ever() -> None:
    script = """
import os, sys
from tests.remotes import buckets
from tests.remotes.servers.tiny import tiny_bucket
from hitsave.errors import RemoteError
with tiny_bucket() as bucket:
    transport = buckets.at("gs", bucket.endpoint, {"GOOGLE_BEARER_TOKEN": "token"})
    transport.put("probe/a", b"content")
    child = os.fork()
    if child == 0:
        try:
            transport.get("probe/a")
        except RemoteError as error:
            print(error, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert "spawn" in done.stdout


@pytest.mark.parametrize("request_", ["get('probe/a')", "put('probe/a', b'')", "list('')", "delete(['probe/a'])"])
def test_who_waits_for_a_store_that_is_silent_can_be_interrupted(request_: str) -> None:
    script = f"""
import os, signal, socket, threading
from tests.remotes import buckets
silent = socket.create_server(("127.0.0.1", 0))
endpoint = f"http://127.0.0.1:{{silent.getsockname()[1]}}"
transport = buckets.at("gs", endpoint, {{"GOOGLE_BEARER_TOKEN": "token"}})
def interrupt():
    connection, _ = silent.accept()
    connection.recv(1)
    os.kill(os.getpid(), signal.SIGINT)
    threading.Event().wait()
threading.Thread(target=interrupt, daemon=True).start()
try:
    transport.{request_}
except KeyboardInterrupt:
    print("interrupted")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "interrupted", "")


# -- stores that are refused


def test_a_store_that_ignores_conditions_is_refused() -> None:
    transport = open_bucket(buckets.fresh_url("s3", stores.s3rver()), stores.keys(stores.S3RVER_USER))
    with pytest.raises(RemoteUnsuitable, match="overwrites a key"):
        check_remote(transport)
    assert transport.list("") == []


def test_a_store_that_ignores_ranges_is_refused(bucket: Bucket, tiny: BucketTransport) -> None:
    bucket.ignores_ranges = True
    with pytest.raises(RemoteUnsuitable, match="parts of a value"):
        probe(tiny)
    assert bucket.values == {}


def test_who_may_only_read_may_read_a_remote_and_not_make_one() -> None:
    url = buckets.fresh_url("s3", stores.seaweed())
    owner, reader = (open_bucket(url, stores.keys(user)) for user in ("owner", "reader"))
    with pytest.raises(RemoteError, match="no right to write"):
        check_remote(reader)
    owner.put("format", format_record())
    assert check_remote(owner) is True
    assert check_remote(reader) is False


# -- the whole


@pytest.mark.parametrize("make", [buckets.at_moto, buckets.at_seaweed, buckets.at_azurite, buckets.at_google_like])
def test_a_push_is_fetched_elsewhere(make: Callable[[], BucketTransport], tmp_path: Path) -> None:
    ann, bob = Machine(tmp_path / "ann"), Machine(tmp_path / "bob")
    transport = make()
    folder = {b"small": b"small", b"large": noise(300_000), b"inner": {b"x": b"y"}}
    (ref,) = keep(ann.cache, folder)
    ann.remote(transport, create=True)
    ann.push(transport, ref)
    bob.fetch(transport, ref)
    assert read_folder(bob.cache, ref.digest) == folder
    check_content(bob, transport, ref)
    for machine in (ann, bob):
        machine.cache.close()


@pytest.mark.parametrize("server", [stores.moto, stores.seaweed])
def test_the_command_shares_through_a_bucket(server: Callable[[], str], tmp_path: Path) -> None:
    variables = stores.keys()
    prefix = buckets.fresh_url("s3", server()).partition("?")[0]
    ann, bob = (User(tmp_path / name, tmp_path / f"{name}-cache", tmp_path / f"{name}-c", variables) for name in "ab")
    for user in (ann, bob):
        for folder in (user.workspace, user.config):
            folder.mkdir()
        (user.workspace / "hitsave.toml").touch()
        added = user.do("remote", "add", "origin", prefix, "--endpoint", server(), "--region", "us-east-1")
        assert "write" not in added.said
        assert "secret" not in (user.workspace / "hitsave.toml").read_text()
    (ann.workspace / "data").mkdir()
    (ann.workspace / "data" / "small").write_bytes(b"small")
    (ann.workspace / "data" / "large").write_bytes(noise(2 << 20))
    ann.do("add", "data")
    ann.do("push")
    os.rename(ann.workspace / "data.hitsave", bob.workspace / "data.hitsave")
    bob.do("pull")
    assert (bob.workspace / "data" / "small").read_bytes() == b"small"
    assert (bob.workspace / "data" / "large").read_bytes() == noise(2 << 20)


def test_importing_the_openers_loads_no_library_of_buckets() -> None:
    script = (
        "import hitsave.remotes.opening, sys; print([name for name in ('obstore', 'boto3') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
