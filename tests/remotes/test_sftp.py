"""Remotes over SFTP: a real OpenSSH server, servers that lack something, and what goes wrong on the way there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import pytest

from hitsave.errors import RemoteConflict, RemoteError, RemoteNotFound, RemoteRefused, RemoteUnavailable
from hitsave.errors import RemoteUnsuitable as Unsuitable
from hitsave.remotes.opening import check_remote, open_transport, probe
from hitsave.remotes.transports.retrying import BackOff, Retrying
from tests.cli.world import World, assert_same
from tests.remotes.content import noise
from tests.remotes.servers.openssh import OpenSSHServer, make_key, running, server

asyncssh = pytest.importorskip("asyncssh", reason="there is no asyncssh (hitsave[ssh])")
from hitsave.remotes.transports.sftp import SftpTransport  # noqa: E402
from hitsave.remotes.transports.ssh import parse_url  # noqa: E402


@pytest.fixture
def transport(tmp_path: Path) -> Iterator[SftpTransport]:
    made = SftpTransport(server().url(tmp_path / "remote"), server().config)
    yield made
    made.close()


def fails(use: Callable[[], object], kind: type[RemoteError], *parts: str) -> str:
    """It raises an error of exactly this kind, in one line with these parts."""
    with pytest.raises(RemoteError) as caught:
        use()
    said = str(caught.value)
    assert type(caught.value) is kind, said
    assert "\n" not in said
    for part in parts:
        assert part in said
    return said


# -- URLs


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ssh://lab/data/remote", ("lab", None, None, "/data/remote")),
        ("ssh://ann@lab:2222/data/remote/", ("lab", 2222, "ann", "/data/remote")),
        ("ssh://lab/~/remote", ("lab", None, None, "remote")),
        ("ssh://lab/~", ("lab", None, None, ".")),
        ("ssh://[::1]:22/with%20space", ("::1", 22, None, "/with space")),
    ],
)
def test_urls(url: str, expected: tuple[object, ...]) -> None:
    assert parse_url(url) == (url, *expected)


@pytest.mark.parametrize("url", ["ssh://lab", "ssh://lab/", "ssh:///data", "ssh://lab:x/data", "ssh://lab/~ann/data"])
def test_urls_that_name_no_folder_are_refused(url: str) -> None:
    fails(lambda: open_transport(url), Unsuitable, url)


def test_a_password_in_a_url_is_refused_and_not_shown() -> None:
    said = fails(lambda: parse_url("ssh://ann:secret@lab/data"), Unsuitable, "lab", "password")
    assert "secret" not in said


def test_a_folder_below_home(tmp_path: Path) -> None:
    with running(tmp_path / "server", f"internal-sftp -d {tmp_path}") as home:
        transport = SftpTransport(f"ssh://127.0.0.1:{home.port}/~/deep/remote", home.config)
        check_remote(transport)
        transport.put("probe/a", b"content")
        transport.sync()
        assert transport.list("") == ["probe/a"]
        assert (tmp_path / "deep" / "remote" / "probe" / "a").read_bytes() == b"content"
        transport.close()


# -- values


def test_a_store_behind_openssh_suits(transport: SftpTransport, tmp_path: Path) -> None:
    check_remote(transport)
    assert transport.list("") == []
    assert [*(tmp_path / "remote" / "tmp").iterdir()] == []


def test_a_value_of_many_requests(transport: SftpTransport, tmp_path: Path) -> None:
    content = noise(9_000_001, 3)
    transport.put("packs/aa/1", [content[:7], b"", content[7:3_000_000], memoryview(content)[3_000_000:]])
    assert transport.get("packs/aa/1") == content
    assert transport.get("packs/aa/1", 1_000_001, 5_000_000) == content[1_000_001:6_000_001]
    transport.download("packs/aa/1", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == content
    transport.put_file("packs/ab/2", tmp_path / "file")
    assert (tmp_path / "remote/packs/ab/2").read_bytes() == content


def test_only_folders_that_can_match_are_looked_into(transport: SftpTransport, tmp_path: Path) -> None:
    for key in ("packs/aa/1", "packs/ab/2", "packs/b", "commits/1", "format"):
        transport.put(key, b"12345")
    (tmp_path / "remote" / "commits").rename(tmp_path / "commits")
    (tmp_path / "remote" / "commits").symlink_to("nowhere")  # Looking into it would fail.
    assert transport.list("packs/a") == ["packs/aa/1", "packs/ab/2"]
    assert transport.list("packs/", "packs/aa/1") == ["packs/ab/2", "packs/b"]
    assert transport.list("pa") == ["packs/aa/1", "packs/ab/2", "packs/b"]
    listed = {found.key: found for found in transport.scan("packs/")}
    assert {found.size for found in listed.values()} == {5}
    assert {found.modified for found in listed.values()} == {
        int((tmp_path / "remote" / key).stat().st_mtime) for key in listed
    }


def test_many_requests_at_once_go_over_one_connection(tmp_path: Path) -> None:
    with running(tmp_path / "server") as own:
        transport = SftpTransport(own.url(tmp_path / "remote"), own.config)

        def use(number: int) -> None:
            content = noise(number * 5000, number)
            transport.put(f"packs/{number % 7}/{number}", content)
            with pytest.raises(RemoteConflict):
                transport.put(f"packs/{number % 7}/{number}", b"other")
            assert transport.get(f"packs/{number % 7}/{number}") == content

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(use, range(60)))
        assert len(transport.list("packs/")) == 60
        assert own.log.count("Accepted publickey") == 1
        transport.close()


def test_closing_lets_go_of_the_connection_and_a_later_call_makes_another(tmp_path: Path) -> None:
    assert "ssh" not in {thread.name for thread in threading.enumerate()}
    with running(tmp_path / "server") as own:
        transport = SftpTransport(own.url(tmp_path / "remote"), own.config)
        for number in range(3):
            transport.put(f"probe/{number}", b"content")
            transport.close()
            transport.close()
            assert "ssh" not in {thread.name for thread in threading.enumerate()}
        assert own.log.count("Accepted publickey") == 3


def test_closing_ends_what_is_under_way(tmp_path: Path) -> None:
    """Whoever waits for it learns it, nothing tries again, and a later call begins anew."""
    content = noise(30 << 20, 1)
    transport = SftpTransport(server().url(tmp_path / "remote"), server().config)
    retrying = Retrying(transport)
    transport.put("probe/first", b"")
    for number in range(5):
        before = {*(tmp_path / "remote" / "tmp").iterdir()}
        with ThreadPoolExecutor(4) as pool:
            puts = [pool.submit(retrying.put, f"packs/{number}/{part}", content) for part in range(4)]
            until_something_came(tmp_path / "remote" / "tmp", before)
            retrying.close()
            ended = [put.exception() for put in puts]
        assert {type(error) for error in ended} <= {RemoteUnavailable, type(None)}
        assert any(ended)
    for key in transport.list("packs/"):
        assert transport.get(key) == content
    assert [*(tmp_path / "remote" / "tmp").iterdir()] == []
    transport.close()


# -- servers that lack something


def test_openssh_without_hard_links_is_refused(tmp_path: Path) -> None:
    """Its rename looks first whether the target is there, so two writers could overwrite each other."""
    with running(tmp_path / "server", "internal-sftp -P hardlink") as own:
        transport = SftpTransport(own.url(tmp_path / "remote"), own.config)
        fails(lambda: check_remote(transport), Unsuitable, transport.url, "hard links")
        assert [path for path in (tmp_path / "remote").rglob("*") if path.is_file()] == []
        transport.close()


def test_a_server_that_refuses_to_write(tmp_path: Path) -> None:
    with running(tmp_path / "server", "internal-sftp -R") as own:
        transport = SftpTransport(own.url(tmp_path / "remote"), own.config)
        fails(lambda: check_remote(transport), RemoteRefused, transport.url, "permission denied", "remote")
        transport.close()


def test_a_server_without_sftp_is_refused(tmp_path: Path) -> None:
    with running(tmp_path / "server", "") as own:
        transport = SftpTransport(own.url(tmp_path / "remote"), own.config)
        fails(lambda: transport.list(""), Unsuitable, transport.url, "SFTP")
        transport.close()


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    transport = SftpTransport(server().url(tmp_path / "file"), server().config)
    fails(lambda: check_remote(transport), RemoteRefused, "cannot be made")
    assert (tmp_path / "file").read_bytes() == b"content"
    transport.close()


class Recording(asyncssh.SFTPServer):
    """A server that notes what it is asked for."""

    seen: ClassVar[list[str]] = []

    def fsync(self, file_obj: object) -> None:
        self.seen.append("fsync")
        super().fsync(file_obj)

    def link(self, oldpath: bytes, newpath: bytes) -> None:
        self.seen.append("link")
        super().link(oldpath, newpath)

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        self.seen.append("rename")
        os.link(oldpath, newpath)
        os.unlink(oldpath)


class WithoutLinks(Recording):
    def link(self, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPOpUnsupported("no links")


class Overwriting(WithoutLinks):
    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        os.replace(oldpath, newpath)


@contextlib.contextmanager
def another_server(kind: type[asyncssh.SFTPServer], folder: Path) -> Iterator[SftpTransport]:
    """A server that is not OpenSSH, and the way to a folder through it."""
    shared = server()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[os.fspath(shared.folder / "host_key")],
            authorized_client_keys=os.fspath(shared.folder / "authorized_keys"),
            sftp_factory=kind,
        )

    async def shut() -> None:
        acceptor.close()
        await acceptor.wait_closed()

    acceptor = asyncio.run_coroutine_threadsafe(listen(), loop).result()
    port = acceptor.get_port()
    settings = (shared.home / ".ssh" / "config").read_text().replace("known_hosts", f"known_hosts_{port}")
    (shared.home / ".ssh" / f"known_hosts_{port}").write_text(
        f"[127.0.0.1]:{port} {(shared.folder / 'host_key.pub').read_text()}"
    )
    config = shared.home / ".ssh" / f"config_{port}"
    config.write_text(settings)
    transport = SftpTransport(f"ssh://127.0.0.1:{port}{folder}", config)
    try:
        yield transport
    finally:
        transport.close()
        asyncio.run_coroutine_threadsafe(shut(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_a_value_is_durable_before_it_has_its_key(tmp_path: Path) -> None:
    with another_server(Recording, tmp_path / "remote") as transport:
        probe(transport)
        Recording.seen.clear()
        transport.put("probe/a", b"content")
        assert Recording.seen == ["fsync", "link"]


def test_without_links_a_rename_that_does_not_overwrite_will_do(tmp_path: Path) -> None:
    with another_server(WithoutLinks, tmp_path / "remote") as transport:
        check_remote(transport)
        Recording.seen.clear()
        transport.put("packs/aa/1", b"first")
        assert Recording.seen.count("rename") >= 1
        with pytest.raises(RemoteConflict):
            transport.put("packs/aa/1", b"second")
        assert transport.get("packs/aa/1") == b"first"
        assert [*(tmp_path / "remote" / "tmp").iterdir()] == []


def test_a_rename_that_overwrites_is_refused(tmp_path: Path) -> None:
    with another_server(Overwriting, tmp_path / "remote") as transport:
        fails(lambda: check_remote(transport), Unsuitable, "overwrites")


# -- connections that are lost


def test_a_lost_connection_is_made_again(tmp_path: Path) -> None:
    with running(tmp_path / "server") as own:
        transport = SftpTransport(own.url(tmp_path / "remote"), own.config)
        retrying = Retrying(transport, sleep=lambda _: None)
        for number in range(5):
            retrying.put(f"probe/{number}", noise(300_000, number))
            assert own.drop_connections() > 0
            assert retrying.get(f"probe/{number}") == noise(300_000, number)
        assert own.log.count("Accepted publickey") == 6
        transport.close()


def test_a_connection_that_is_lost_in_the_middle(tmp_path: Path) -> None:
    """The put is tried again, on a new connection, and the value is whole."""
    content = noise(60 << 20, 1)
    with running(tmp_path / "server") as own:
        transport = SftpTransport(own.url(tmp_path / "remote"), own.config)
        transport.put("probe/first", b"")
        with ThreadPoolExecutor(1) as pool:
            put = pool.submit(Retrying(transport, sleep=lambda _: None).put, "packs/aa/1", content)
            until_something_came(tmp_path / "remote" / "tmp")
            own.drop_connections()
            put.result()
        assert own.log.count("Accepted publickey") == 2
        assert (tmp_path / "remote/packs/aa/1").read_bytes() == content
        assert [*(tmp_path / "remote" / "tmp").iterdir()] == []
        transport.close()


def until_something_came(folder: Path, before: Collection[Path] = ()) -> None:
    while not any(path.stat().st_size for path in {*folder.iterdir()}.difference(before) if path.exists()):
        pass


def test_a_server_that_is_away_for_a_while(tmp_path: Path) -> None:
    with running(tmp_path / "server") as own:
        transport = SftpTransport(own.url(tmp_path / "remote"), own.config)
        transport.put("probe/a", b"content")
        own.stop()
        fails(lambda: transport.get("probe/a"), RemoteUnavailable, transport.url)
        fails(lambda: transport.get("probe/a"), RemoteUnavailable, transport.url, "refused")
        own.start_again()
        assert transport.get("probe/a") == b"content"
        transport.close()


# -- ways that are closed


def test_a_host_that_is_not_known(tmp_path: Path) -> None:
    own = server()
    config = edited(own, tmp_path, known_hosts="")
    transport = SftpTransport(own.url(tmp_path), config)
    fails(lambda: transport.list(""), RemoteRefused, "not known yet", f"'ssh -p {own.port} 127.0.0.1'")
    transport.close()


def test_a_host_that_has_another_key_than_before(tmp_path: Path) -> None:
    own = server()
    make_key(tmp_path / "another")
    config = edited(own, tmp_path, known_hosts=f"[127.0.0.1]:{own.port} {(tmp_path / 'another.pub').read_text()}")
    transport = SftpTransport(own.url(tmp_path), config)
    fails(lambda: transport.list(""), RemoteRefused, "not the one that is known", "ssh-keygen -R")
    transport.close()


def test_a_file_of_known_hosts_that_is_not_there_makes_every_host_unknown(tmp_path: Path) -> None:
    own = server()
    config = edited(own, tmp_path, known_hosts="")
    (tmp_path / "known_hosts").unlink()
    transport = SftpTransport(own.url(tmp_path), config)
    fails(lambda: transport.list(""), RemoteRefused, "not known yet")
    transport.close()


def edited(own: OpenSSHServer, folder: Path, known_hosts: str | None = None, key: Path | None = None) -> Path:
    """An ssh configuration like that of the server's home, with other known hosts or another key."""
    text = own.config.read_text()
    if known_hosts is not None:
        (folder / "known_hosts").write_text(known_hosts)
        text = text.replace(str(own.home / ".ssh" / "known_hosts"), str(folder / "known_hosts"))
    if key is not None:
        text = text.replace(f"IdentityFile {own.home / '.ssh' / 'key'}", f"IdentityFile {key}")
    (folder / "ssh_config").write_text(text)
    return folder / "ssh_config"


def test_a_key_that_the_server_does_not_know(tmp_path: Path) -> None:
    make_key(tmp_path / "another")
    transport = SftpTransport(server().url(tmp_path), edited(server(), tmp_path, key=tmp_path / "another"))
    fails(lambda: transport.list(""), RemoteRefused, "permission denied", "tried ", "/another)")
    transport.close()


def test_a_key_with_a_passphrase_and_no_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is asked for it, so nothing can hang."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    make_key(tmp_path / "locked", "a passphrase")
    transport = SftpTransport(server().url(tmp_path), edited(server(), tmp_path, key=tmp_path / "locked"))
    fails(lambda: transport.list(""), RemoteRefused, "no key that could be tried", "'ssh-add ", "/locked' first")
    transport.close()


def test_a_key_that_is_named_and_not_there_is_passed_over(tmp_path: Path) -> None:
    config = edited(server(), tmp_path)
    config.write_text(config.read_text().replace("    IdentityFile", "    IdentityFile ~/none\n    IdentityFile"))
    make_key(tmp_path / "locked", "a passphrase")
    config.write_text(config.read_text() + f"    IdentityFile {tmp_path / 'locked'}\n")
    transport = SftpTransport(server().url(tmp_path / "remote"), config)
    check_remote(transport)
    transport.close()


def test_a_key_of_the_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("ssh-agent") is None or shutil.which("ssh-add") is None:
        pytest.skip("there is no ssh-agent (Debian: openssh-client)")
    own = server()
    config = edited(own, tmp_path, key=tmp_path / "nothing")
    config.write_text("".join(line for line in config.read_text().splitlines(True) if "Identit" not in line))
    monkeypatch.setenv("HOME", os.fspath(tmp_path))
    monkeypatch.setenv("SSH_AUTH_SOCK", os.fspath(tmp_path / "agent"))
    with subprocess.Popen(["ssh-agent", "-D", "-a", tmp_path / "agent"], stdout=subprocess.DEVNULL) as agent:
        try:
            while not (tmp_path / "agent").exists():
                assert agent.poll() is None
            transport = SftpTransport(own.url(tmp_path / "remote"), config)
            fails(lambda: transport.list(""), RemoteRefused, "no key that could be tried")
            subprocess.run(["ssh-add", "-q", own.home / ".ssh" / "key"], check=True)
            check_remote(transport)
            transport.close()
        finally:
            agent.terminate()


def test_a_host_without_a_server(tmp_path: Path) -> None:
    with running(tmp_path / "server") as own:
        own.stop()
        transport = open_transport(own.url(tmp_path))
        assert isinstance(transport, Retrying)
        tried = Retrying(SftpTransport(own.url(tmp_path), own.config), BackOff(tries=3), sleep=lambda _: None)
        fails(lambda: tried.list(""), RemoteUnavailable, "refused", "tried 3 times")


def test_a_host_that_does_not_exist() -> None:
    transport = SftpTransport("ssh://there-is-none.invalid/data")
    with pytest.raises(RemoteError, match="name") as caught:
        transport.list("")
    assert "there-is-none.invalid" in str(caught.value)
    transport.close()


def test_settings_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("Port many\n")
    transport = SftpTransport("ssh://127.0.0.1/data", tmp_path / "config")
    fails(lambda: transport.list(""), RemoteError, "settings of ssh")
    transport.close()


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("a small file system can be mounted by root alone, where that is allowed")
    try:
        transport = SftpTransport(server().url(disk / "remote"), server().config)
        transport.put("probe/a", b"content")
        fails(lambda: transport.put("packs/aa/1", noise(5 << 20)), RemoteError, "packs/aa/1", "disk there is full")
        assert transport.list("") == ["probe/a"]
        assert [*(disk / "remote" / "tmp").iterdir()] == []
        with pytest.raises(RemoteNotFound):
            transport.get("packs/aa/1")
        transport.close()
    finally:
        subprocess.run(["umount", disk], check=True)


# -- the extra


def test_without_the_extra_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("hitsave.remotes.transports.sftp", "hitsave.remotes.transports.ssh"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "asyncssh", None)
    fails(lambda: open_transport("ssh://lab/data"), Unsuitable, "pip install 'hitsave[ssh]'")


def test_only_an_ssh_url_loads_it() -> None:
    script = "import sys, hitsave.remotes.opening as o; o.open_transport('/data'); sys.exit('asyncssh' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


# -- the main job


def test_the_main_job(tmp_path: Path) -> None:
    """Two people share a dataset through a machine behind SSH, and nobody was asked for anything."""
    world = World(tmp_path)
    url = server().url(tmp_path / "shared" / "remote")
    ann = world.user("ann")
    shutil.copytree(server().home / ".ssh", ann.config / ".ssh")
    ann.write({"small/1": b"one", "small/2": b"two", "large": noise(3 << 20)})
    ann.do("remote", "add", "origin", url)
    ann.add()
    ann.do("push")
    ben = world.clone(ann)
    shutil.copytree(server().home / ".ssh", ben.config / ".ssh")
    ben.do("pull")
    assert_same(ann.data, ben.data)
    ann.write({"small/3": b"three"})
    ann.add()
    ann.do("push")
    shutil.copy(ann.workspace / "data.hitsave", ben.workspace / "data.hitsave")
    ben.do("pull")
    assert_same(ann.data, ben.data)
    ben.do("fsck", "--remote", "origin")
    (ben.config / ".ssh" / "config").write_text("Host *\n    UserKnownHostsFile /dev/null\n")
    said = ben.refused("fsck", "--remote", "origin")
    assert "not known yet" in said
