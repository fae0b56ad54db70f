"""Remotes are opened once, and one that does not answer is left alone for a while."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hitsave.config import load
from hitsave.errors import ConfigError, RemoteUnavailable, RemoteUnsuitable
from hitsave.remotes.connections import Connections
from tests.remotes.servers import stores
from tests.remotes.servers.tiny import Answer, Bucket, tiny_bucket


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    for name, value in stores.keys().items():
        monkeypatch.setenv(name, value)
    with tiny_bucket() as running:
        yield running


class Clock:
    """Shows what it is set to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def connections(folder: Path, bucket: Bucket, clock: Clock, **more: str) -> Connections:
    environ = {
        "HITSAVE_CONFIG_DIR": os.fspath(folder),
        "HITSAVE_REMOTE": f"s3://b/p?endpoint={bucket.endpoint}",
        **more,
    }
    return Connections(load(folder, environ), folder / "remotes", clock)


def test_a_silent_remote_is_asked_again_after_a_minute(tmp_path: Path, bucket: Bucket) -> None:
    clock = Clock()
    opened = connections(tmp_path, bucket, clock)
    config = opened.config(None)
    opened.remote(create=True)
    bucket.answer("GET", Answer(503, "SlowDown"), times=2)

    def ask() -> int:
        before = len(bucket.requests)
        with opened.unless_silent(config):
            opened.awake(config)
        return len(bucket.requests) - before

    with pytest.raises(RemoteUnavailable):
        ask()
    clock.now += 59
    count = len(bucket.requests)
    with pytest.raises(RemoteUnavailable):
        ask()
    assert len(bucket.requests) == count
    clock.now += 2
    # The format record and a listing; then nothing for a minute, and one listing.
    assert ask() == 2
    clock.now += 59
    assert ask() == 0
    clock.now += 60
    assert ask() == 1


def test_what_lookups_have_opened_takes_no_request_to_open(tmp_path: Path, bucket: Bucket) -> None:
    connections(tmp_path / "other", bucket, Clock()).remote(create=True)
    opened = connections(tmp_path, bucket, Clock())
    hasty = opened.hasty(opened.config(None))
    count = len(bucket.requests)
    assert opened.remote().format == hasty.format
    assert opened.hasty(opened.config(None)) is hasty
    assert len(bucket.requests) == count
    # Before the first push from a machine it is tried whether the store overwrites anything, and never again.
    opened.remote(create=True)
    opened.remote(create=True)
    assert len(bucket.requests) == count + 1
    connections(tmp_path, bucket, Clock()).remote(create=True)
    assert len(bucket.requests) == count + 2


def test_nothing_is_opened_where_no_remote_is_to_be_touched(tmp_path: Path, bucket: Bucket) -> None:
    opened = connections(tmp_path, bucket, Clock(), HITSAVE_NO_CLOUD="1")
    with pytest.raises(ConfigError):
        opened.remote()
    with pytest.raises(RemoteUnsuitable):
        connections(tmp_path, bucket, Clock()).remote()
    assert not (tmp_path / "remotes").exists()
