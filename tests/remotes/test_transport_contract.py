"""What every transport has to do, one suite for all of them; and what a folder has to do besides."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitsave.errors import RemoteConflict, RemoteError, RemoteNotFound, RemoteUnsuitable
from hitsave.remotes.commits.log import Remote
from hitsave.remotes.opening import check_remote, open_transport, probe
from hitsave.remotes.transports.folder import FolderTransport
from hitsave.remotes.transports.protocol import Buffer, Transport
from tests.remotes import buckets
from tests.remotes.content import format_record, noise
from tests.remotes.faulty import InjectedFaults, on_a_bad_connection
from tests.remotes.servers.openssh import remote_behind
from tests.remotes.transports import CountingTransport, MemoryTransport, Misuse, WrappedTransport
from tests.server.inprocess import behind_server

#: Gives an empty remote; the folder is the test's own. Servers are started when they are first used.
IMPLEMENTATIONS: dict[str, Callable[[Path], Transport]] = {
    "memory": lambda folder: MemoryTransport(),
    "folder": lambda folder: FolderTransport(folder / "remote"),
    "counted": lambda folder: CountingTransport(FolderTransport(folder / "remote")),
    "faultless": lambda folder: InjectedFaults(FolderTransport(folder / "remote")),
    "retried": lambda folder: on_a_bad_connection(FolderTransport(folder / "remote")),
    "openssh": remote_behind,
    "bucket-in-memory": lambda folder: buckets.in_memory(),
    "moto": lambda folder: buckets.at_moto(),
    "seaweed": lambda folder: buckets.at_seaweed(),
    "google-like": lambda folder: buckets.at_google_like(),
    "azurite": lambda folder: buckets.at_azurite(),
    "server": lambda folder: behind_server(folder / "remote"),
}
as_root = pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="permissions do not bind root")


@pytest.fixture(params=IMPLEMENTATIONS)
def transport(request: pytest.FixtureRequest, tmp_path: Path) -> Transport:
    return IMPLEMENTATIONS[request.param](tmp_path)


def put_file(transport: Transport, key: str, content: bytes, folder: Path) -> None:
    path = folder / "to-be-put"
    path.write_bytes(content)
    transport.put_file(key, path)


# -- values


@pytest.mark.parametrize("content", [b"", b"x", b"0123456789" * 1000, noise(3 << 20)], ids=len)
def test_what_was_put_is_given(transport: Transport, tmp_path: Path, content: bytes) -> None:
    transport.put("probe/a", content)
    transport.put("probe/b", [content[:5], bytearray(content[5:9]), memoryview(content)[9:]])
    put_file(transport, "probe/c", content, tmp_path)
    for key in ("probe/a", "probe/b", "probe/c"):
        assert transport.get(key) == content
        transport.download(key, tmp_path / "downloaded")
        assert (tmp_path / "downloaded").read_bytes() == content
        (tmp_path / "downloaded").unlink()


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [
        (0, 3, b"012"),
        (2, 3, b"234"),
        (0, 10, b"0123456789"),
        (7, None, b"789"),
        (8, 5, b"89"),
        (10, 1, b""),
        (10, None, b""),
        (25, None, b""),
        (25, 4, b""),
        (3, 0, b""),
    ],
)
def test_ranges_end_where_the_value_does(transport: Transport, start: int, length: int | None, expected: bytes) -> None:
    transport.put("probe/a", b"0123456789")
    assert transport.get("probe/a", start, length) == expected


def test_a_key_that_is_missing_is_named(transport: Transport, tmp_path: Path) -> None:
    for read in (
        lambda: transport.get("probe/missing"),
        lambda: transport.get("probe/missing", 1, 2),
        lambda: transport.download("probe/missing", tmp_path / "downloaded"),
    ):
        with pytest.raises(RemoteNotFound) as caught:
            read()
        assert caught.value.key == "probe/missing"
        assert transport.url in str(caught.value)
    assert not (tmp_path / "downloaded").exists()


def test_a_download_overwrites_nothing(transport: Transport, tmp_path: Path) -> None:
    transport.put("probe/a", b"new")
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        transport.download("probe/a", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"old"


def test_keys_and_sizes_are_scanned(transport: Transport) -> None:
    transport.put("probe/a", b"four")
    transport.put("probe/ab", b"")
    transport.put("format", format_record())
    found = {listed.key: listed for listed in transport.scan("probe/")}
    assert {key: listed.size for key, listed in found.items()} == {"probe/a": 4, "probe/ab": 0}
    assert [listed.key for listed in transport.scan("probe/ab")] == ["probe/ab"]
    assert {listed.key for listed in transport.scan("")} == {"format", *found}
    assert [*transport.scan("commits/")] == []


# -- creating only


def test_no_key_is_ever_overwritten(transport: Transport, tmp_path: Path) -> None:
    transport.put("probe/a", b"first")
    for create in (
        lambda: transport.put("probe/a", b"second"),
        lambda: transport.put("probe/a", b"first"),
        lambda: transport.put("probe/a", [b"sec", b"ond"]),
        lambda: put_file(transport, "probe/a", b"second", tmp_path),
    ):
        with pytest.raises(RemoteConflict) as caught:
            create()
        assert caught.value.key == "probe/a"
    assert transport.get("probe/a") == b"first"
    assert transport.list("probe/") == ["probe/a"]


def test_of_two_that_create_one_key_exactly_one_wins(transport: Transport) -> None:
    for number in range(40):
        # Some look into what they are given.
        careful = isinstance(transport, MemoryTransport) or transport.url.startswith("http://")
        key = f"probe/{number}" if careful else f"commits/{number:020}"
        start = threading.Barrier(2)
        won: list[bytes] = []

        def create(content: bytes, key: str = key, start: threading.Barrier = start, won: list[bytes] = won) -> None:
            start.wait()
            try:
                transport.put(key, content)
            except RemoteConflict:
                return
            won.append(content)

        threads = [threading.Thread(target=create, args=(name * 1000,)) for name in (b"a", b"b")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert won == [transport.get(key)]


# -- listing and removing


def test_a_list_is_sorted_and_goes_on_after_a_key(transport: Transport) -> None:
    names = ["probe/b", "probe/a", "probe/10", "probe/9", "probe/ab"]
    for name in names:
        transport.put(name, b"")
    transport.put("format", format_record())
    transport.sync()
    assert transport.list("probe/") == sorted(names)
    assert transport.list("") == ["format", *sorted(names)]
    assert transport.list("probe/a") == ["probe/a", "probe/ab"]
    assert transport.list("probe/", "probe/9") == ["probe/a", "probe/ab", "probe/b"]
    assert transport.list("probe/", "probe/99") == ["probe/a", "probe/ab", "probe/b"]
    assert transport.list("probe/", "probe/b") == []
    assert transport.list("commits/") == []


KEYS = st.sets(st.text("0az", min_size=1, max_size=3).map(lambda name: f"probe/{name}"), max_size=8)


@given(
    keys=KEYS, prefix=st.sampled_from(["", "p", "probe", "probe/", "probe/0", "probe/az", "x"]), after=st.text("0az/")
)
def test_a_folder_lists_what_memory_lists(
    tmp_path_factory: pytest.TempPathFactory, keys: set[str], prefix: str, after: str
) -> None:
    folder = FolderTransport(tmp_path_factory.mktemp("listed") / "remote")
    memory = MemoryTransport()
    for key in keys:
        folder.put(key, b"")
        memory.put(key, b"")
    assert folder.list(prefix, f"probe/{after}") == memory.list(prefix, f"probe/{after}")


def test_removing_twice_is_no_error(transport: Transport) -> None:
    transport.put("probe/a", b"")
    transport.put("probe/b", b"")
    transport.delete(["probe/a", "probe/missing"])
    transport.delete(["probe/a"])
    transport.delete([])
    assert transport.list("probe/") == ["probe/b"]
    transport.put("probe/a", b"again")
    assert transport.get("probe/a") == b"again"


def test_a_probe_finds_nothing_wrong_and_leaves_nothing(transport: Transport) -> None:
    check_remote(transport)
    assert transport.list("") == []


# -- what a probe finds out


class Overwriting(WrappedTransport):
    def put(self, key: str, content: bytes) -> None:
        self.inner.delete([key])
        self.inner.put(key, content)


class WithoutRanges(WrappedTransport):
    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        return self.inner.get(key)


class Forgetful(WrappedTransport):
    def list(self, prefix: str, after: str = "") -> list[str]:
        return []


class Undeleting(WrappedTransport):
    def delete(self, keys: object) -> None:
        pass


class Careless(WrappedTransport):
    """Looks whether a key is free before it writes, and lets another one come between."""

    def __init__(self, inner: Transport) -> None:
        super().__init__(inner)
        self._meetings: dict[str, threading.Barrier] = defaultdict(lambda: threading.Barrier(2))

    def put(self, key: str, content: Buffer | Sequence[Buffer]) -> None:
        if self.inner.list(key):
            raise RemoteConflict(self.url, key)
        with contextlib.suppress(threading.BrokenBarrierError):
            self._meetings[key].wait(timeout=0.5)
        with contextlib.suppress(RemoteConflict):
            self.inner.put(key, content)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (Overwriting, "overwrites a key"),
        (WithoutRanges, "parts of a value"),
        (Forgetful, "does not list"),
        (Undeleting, "does not delete"),
        (Careless, "two at once"),
    ],
)
def test_a_store_that_would_lose_data_is_refused(broken: type[WrappedTransport], reason: str) -> None:
    with pytest.raises(RemoteUnsuitable, match=reason):
        probe(broken(MemoryTransport()))


# -- folders


def one_line(error: BaseException, *parts: str) -> bool:
    return "\n" not in str(error) and all(part in str(error) for part in parts)


def test_a_folder_is_made_by_the_first_push_and_not_by_reading(tmp_path: Path) -> None:
    place = tmp_path / "not" / "there"
    with pytest.raises(RemoteUnsuitable, match="no hitsave remote"):
        Remote.open(FolderTransport(place), tmp_path / "cached")
    assert not place.exists()
    Remote.open(FolderTransport(place), tmp_path / "cached", create=True)
    assert Remote.open(FolderTransport(place), tmp_path / "cached").latest().number == 0


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    for create in (False, True):
        with pytest.raises(RemoteError) as caught:
            Remote.open(FolderTransport(tmp_path / "file"), tmp_path / "cached", create)
        assert one_line(caught.value, str(tmp_path / "file"))
    with pytest.raises(RemoteError):
        check_remote(FolderTransport(tmp_path / "file"))
    assert (tmp_path / "file").read_bytes() == b"content"


@as_root
@pytest.mark.parametrize("mode", [0o000, 0o500])
def test_a_folder_without_permission_is_refused(tmp_path: Path, mode: int) -> None:
    place = tmp_path / "closed"
    place.mkdir()
    place.chmod(mode)
    try:
        with pytest.raises(RemoteError) as caught:
            Remote.open(FolderTransport(place), tmp_path / "cached", create=True)
        assert one_line(caught.value, str(place), "Permission denied")
    finally:
        place.chmod(0o700)


def failing(message: int) -> Callable[..., object]:
    def fail(*_: object, **__: object) -> object:
        raise OSError(message, os.strerror(message))

    return fail


def test_what_cannot_be_listed_is_no_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    transport = FolderTransport(tmp_path / "remote")
    transport.put("probe/a", b"")
    monkeypatch.setattr(os, "scandir", failing(errno.EIO))
    with pytest.raises(RemoteError) as caught:
        transport.list("probe/")
    assert one_line(caught.value, transport.url, os.strerror(errno.EIO))


@pytest.mark.parametrize("call", ["write", "link", "fsync"])
def test_what_the_system_refuses_is_a_remote_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    transport = FolderTransport(tmp_path / "remote")
    monkeypatch.setattr(os, call, failing(errno.ENOSPC))
    with pytest.raises(RemoteError) as caught:
        transport.put("probe/a", b"content")
    assert one_line(caught.value, transport.url, os.strerror(errno.ENOSPC))
    monkeypatch.undo()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_cannot_be_removed_is_a_remote_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    transport = FolderTransport(tmp_path / "remote")
    transport.put("probe/a", b"content")
    monkeypatch.setattr(os, "unlink", failing(errno.EACCES))
    with pytest.raises(RemoteError) as caught:
        transport.delete(["probe/a"])
    assert one_line(caught.value, transport.url, "probe/a", os.strerror(errno.EACCES))


def test_a_file_system_without_links_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", failing(errno.EPERM))
    with pytest.raises(RemoteUnsuitable, match="hard links") as caught:
        check_remote(FolderTransport(tmp_path / "remote"))
    assert one_line(caught.value, str(tmp_path / "remote"))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_value_is_durable_before_it_has_its_key_and_its_folder_after_a_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that a loss of power left with half a value could never be created again."""
    synced: list[int] = []
    linked: list[tuple[int, bool]] = []
    really_sync, really_link = os.fsync, os.link

    def sync(fd: int) -> None:
        synced.append(os.fstat(fd).st_ino)
        really_sync(fd)

    def link(source: str, target: str) -> None:
        inode = os.stat(source).st_ino
        linked.append((inode, inode in synced))
        really_link(source, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "link", link)
    transport = FolderTransport(tmp_path / "remote")
    transport.put("commits/00000000000000000001", b"content")
    transport.put("probe/b", [b"content"])
    put_file(transport, "probe/c", b"content", tmp_path)
    assert len(dict(linked)) == 3
    assert all(durable for _, durable in linked)
    transport.sync()
    for folder in ("remote", "remote/commits", "remote/probe"):
        assert (tmp_path / folder).stat().st_ino in synced


def test_a_key_that_was_taken_is_durable_after_a_sync_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who created it may have died before it came to its own sync."""
    FolderTransport(tmp_path / "remote").put("probe/a", b"content")
    again = FolderTransport(tmp_path / "remote")
    with pytest.raises(RemoteConflict):
        again.put("probe/a", b"content")
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_ino))
    again.sync()
    assert (tmp_path / "remote" / "probe").stat().st_ino in synced


def test_a_value_that_is_there_is_not_copied_again(tmp_path: Path) -> None:
    transport = FolderTransport(tmp_path / "remote")
    put_file(transport, "probe/a", b"content", tmp_path)
    (tmp_path / "remote" / "tmp").rmdir()
    with pytest.raises(RemoteConflict):
        put_file(transport, "probe/a", b"content", tmp_path)
    assert not (tmp_path / "remote" / "tmp").exists()


@pytest.mark.parametrize(
    "url", ["ftp://bucket/path", "https://host/path?query", "https://ann@host/", "file://elsewhere/data"]
)
def test_urls_that_are_not_known_are_refused(url: str) -> None:
    with pytest.raises(RemoteUnsuitable) as caught:
        open_transport(url)
    assert one_line(caught.value, url)


def test_paths_and_file_urls_name_folders(tmp_path: Path) -> None:
    (tmp_path / "with space").mkdir()
    open_transport(str(tmp_path / "with space")).put("probe/a", b"content")
    for url in (f"file://{tmp_path}/with%20space", f"file://localhost{tmp_path}/with%20space"):
        assert open_transport(url).get("probe/a") == b"content"


# -- the store in memory is stricter


@pytest.mark.parametrize(
    "key", ["", "a", "commits/1", "/format", "packs/00/x.pack", f"packs/00/{'1' * 64}.pack", "tmp/a"]
)
def test_memory_refuses_keys_that_are_not_known(key: str) -> None:
    with pytest.raises(Misuse):
        MemoryTransport().put(key, b"")
    with pytest.raises(Misuse):
        MemoryTransport().get(key)


def test_memory_refuses_values_of_another_digest_and_removals() -> None:
    with pytest.raises(Misuse, match="another digest"):
        MemoryTransport().put(f"packs/11/{'1' * 64}.pack", b"content")
    with pytest.raises(Misuse, match="and is needed"):
        MemoryTransport().delete(["format"])
