"""What is tried again, how often, and what is not."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from hitsave.errors import RemoteConflict, RemoteError, RemoteNotFound, RemoteRefused, RemoteUnavailable
from hitsave.remotes.transports.retrying import BackOff, Retrying
from tests.remotes.faulty import Fault, InjectedFaults, Rule, scripted
from tests.remotes.transports import CountingTransport, MemoryTransport, WrappedTransport

KEY = "probe/a"


def retrying(*rules: Rule, waited: list[float] | None = None) -> tuple[Retrying, CountingTransport]:
    """A store in memory with one key, the faults of rules, and what counts the requests that are made."""
    memory = MemoryTransport()
    memory.put(KEY, b"0123456789")
    counting = CountingTransport(InjectedFaults(memory, scripted(*rules)))
    return Retrying(counting, sleep=(waited if waited is not None else []).append), counting


def test_waits_double_and_come_to_an_end() -> None:
    assert [*BackOff().waits(lambda: 0)] == [0.2, 0.4, 0.8, 1.6, 3.2]
    assert [*BackOff().waits(lambda: 1)] == [0.1, 0.2, 0.4, 0.8, 1.6]
    assert [*BackOff(tries=100).waits(lambda: 0)] == [0.2 * 2**number for number in range(7)]
    assert sum(BackOff(tries=100).waits(lambda: 0)) <= BackOff().most
    assert [*BackOff(tries=1).waits(lambda: 0)] == []


def test_a_store_that_stays_away_is_left_alone_after_some_tries() -> None:
    waited: list[float] = []
    transport, counting = retrying(Rule(Fault.BEFORE, "get", times=100), waited=waited)
    with pytest.raises(RemoteUnavailable) as caught:
        transport.get(KEY)
    assert counting.requests["get"] == 6
    assert len(waited) == 5
    assert "connection was lost (tried 6 times)" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("operation", "use"),
    [
        ("get", lambda transport, path: transport.get(KEY)),
        ("put", lambda transport, path: transport.put("probe/b", b"content")),
        ("put_file", lambda transport, path: transport.put_file("probe/b", path)),
        ("download", lambda transport, path: transport.download(KEY, path.with_name("new"))),
        ("list", lambda transport, path: transport.list("probe/")),
        ("list", lambda transport, path: [*transport.scan("probe/")]),
        ("sync", lambda transport, path: transport.sync()),
    ],
)
def test_what_fails_five_times_succeeds(
    operation: str, use: Callable[[Retrying, Path], object], tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    waited: list[float] = []
    transport, _ = retrying(Rule(Fault.BEFORE, operation, times=5), waited=waited)
    use(transport, path)
    assert len(waited) == 5


@pytest.mark.parametrize("error", [RemoteError("no"), RemoteRefused("no"), RemoteNotFound("memory:", KEY), OSError(28)])
def test_what_stays_wrong_is_tried_once(error: Exception) -> None:
    class Failing(WrappedTransport):
        def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
            tried.append(key)
            raise error

    tried: list[str] = []
    with pytest.raises(type(error)) as caught:
        Retrying(Failing(MemoryTransport()), sleep=lambda _: pytest.fail("it waited")).get(KEY)
    assert caught.value is error
    assert tried == [KEY]


def test_a_put_that_was_carried_out_finds_its_key_taken() -> None:
    transport, counting = retrying(Rule(Fault.AFTER, "put"))
    with pytest.raises(RemoteConflict):
        transport.put("probe/b", b"content")
    assert counting.requests["put"] == 2
    assert transport.get("probe/b") == b"content"


def test_a_part_that_was_cut_off_is_asked_for_again() -> None:
    transport, counting = retrying(Rule(Fault.TORN, "get", nth=0), Rule(Fault.TORN, "get", nth=2))
    assert transport.get(KEY, 2, 6) == b"234567"
    assert counting.requests["get"] == 5  # Each time that something is missing, one byte behind what came is asked for.


def test_a_part_that_ends_with_its_value_is_looked_at_once_more() -> None:
    waited: list[float] = []
    transport, counting = retrying(waited=waited)
    assert transport.get(KEY, 8, 6) == b"89"
    assert counting.requests["get"] == 2
    assert transport.get(KEY, 8, 2) == b"89"
    assert transport.get(KEY) == b"0123456789"
    assert counting.requests["get"] == 4
    assert waited == []


def test_a_download_begins_anew(tmp_path: Path) -> None:
    transport, counting = retrying(Rule(Fault.TORN, "download", times=3))
    transport.download(KEY, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"0123456789"
    assert counting.requests["download"] == 4


def test_a_download_that_fails_leaves_nothing(tmp_path: Path) -> None:
    transport, _ = retrying(Rule(Fault.TORN, "download", times=100))
    with pytest.raises(RemoteUnavailable):
        transport.download(KEY, tmp_path / "file")
    assert [*tmp_path.iterdir()] == []


def test_a_file_that_is_there_is_not_removed_by_a_try_that_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    transport, counting = retrying(Rule(Fault.BEFORE, "download"))
    with pytest.raises(FileExistsError):
        transport.download(KEY, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert counting.requests["download"] == 0


def test_closing_ends_the_waits_of_other_threads() -> None:
    """They would wait for longer than any test may run."""
    met = threading.Event()

    class Away(WrappedTransport):
        def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
            met.set()
            raise RemoteUnavailable("away")

    def read() -> None:
        with pytest.raises(RemoteUnavailable, match="away"):
            transport.get(KEY)
        ended.append(True)

    transport = Retrying(Away(MemoryTransport()), BackOff(first=5000, most=1e6))
    ended: list[bool] = []
    thread = threading.Thread(target=read)
    thread.start()
    met.wait()
    while thread.is_alive():  # It may not have begun to wait yet.
        transport.close()
        thread.join(0.01)
    assert ended == [True]


WAITING = """
    from hitsave.errors import RemoteUnavailable
    from hitsave.remotes.transports.retrying import BackOff, Retrying
    class Away:
        url, parallel = "away:", 1
        def sync(self):
            print("tried", flush=True)
            raise RemoteUnavailable("away")
    Retrying(Away(), BackOff(first=5000, most=1e6)).sync()
"""


def test_an_interrupt_ends_a_wait_at_once() -> None:
    """It would take longer than any test may run."""
    command = [sys.executable, "-c", textwrap.dedent(WAITING)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "tried\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert said.rstrip().endswith("KeyboardInterrupt")
