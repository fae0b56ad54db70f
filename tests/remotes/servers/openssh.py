"""A real OpenSSH server on 127.0.0.1, run by whoever runs the tests, with keys made for the run.

`server()` is one for all tests of a process; `running` makes others, with settings of their own. They end with the
tests, on Linux also where these are killed.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hitsave.remotes.transports.protocol import Transport

_PATIENCE = 20
_TRIES = 5
_PR_SET_PDEATHSIG = 1
#: sshd changes into this folder before it asks for a key, where it runs as root.
_PRIVILEGE_SEPARATION = Path("/run/sshd")


def sshd() -> str | None:
    """The server's program, by its full path, as it wants to be called."""
    return shutil.which("sshd", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))


def why_not() -> str:
    """What is missing to run a server; empty where nothing is."""
    if sshd() is None:
        return "there is no sshd (Debian: openssh-server)"
    if shutil.which("ssh-keygen") is None:
        return "there is no ssh-keygen (Debian: openssh-client)"
    return ""


@dataclass
class OpenSSHServer:
    """A server, its own folder, and a home in it whose `.ssh` opens the server."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def home(self) -> Path:
        """The home of somebody who may use the server."""
        return self.folder / "home"

    @property
    def config(self) -> Path:
        """The ssh configuration of the home."""
        return self.home / ".ssh" / "config"

    @property
    def log(self) -> str:
        """What the server has logged."""
        return (self.folder / "log").read_text(errors="replace")

    def url(self, folder: Path | str) -> str:
        """The URL of a folder of this machine, seen through the server."""
        return f"ssh://127.0.0.1:{self.port}{folder}"

    def drop_connections(self) -> int:
        """End every connection from the server's side; how many processes there were for them."""
        children = _children(self.process.pid)
        _kill(children)
        return len(children)

    def stop(self) -> None:
        """End the server, and all connections."""
        children = _children(self.process.pid)  # They would outlive it.
        self.process.terminate()
        self.process.wait(_PATIENCE)
        _kill(children)

    def start_again(self) -> None:
        """After `stop`: the same server, at the same port."""
        self.process = _start(self.folder)
        assert _answers(self.process, self.port), self.log


def _children(pid: int) -> list[int]:
    done = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    direct = [int(line) for line in done.stdout.split()]
    return [inner for child in direct for inner in _children(child)] + direct


def _kill(processes: list[int]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


@functools.cache
def server() -> OpenSSHServer:
    """One server for all tests of this process. Skips where there can be none."""
    kept = contextlib.ExitStack()
    atexit.register(kept.close)
    return kept.enter_context(running(Path(kept.enter_context(tempfile.TemporaryDirectory()))))


def remote_behind(folder: Path) -> Transport:
    """An empty remote in a folder of this machine, through `server()`. Skips where there can be none."""
    pytest.importorskip("asyncssh", reason="there is no asyncssh (hitsave[ssh])")
    from hitsave.remotes.transports.sftp import SftpTransport

    return SftpTransport(server().url(folder / "remote"), server().config)


@contextlib.contextmanager
def running(folder: Path, sftp: str = "internal-sftp") -> Iterator[OpenSSHServer]:
    """A server as long as the block runs, with this program for SFTP, or none. Skips where there can be none."""
    if reason := why_not():
        pytest.skip(reason)
    _make_keys(folder / "home" / ".ssh", folder)
    for _ in range(_TRIES):
        port = _free_port()
        _configure(folder, port, sftp)
        started = OpenSSHServer(port, folder, _start(folder))
        if _answers(started.process, port):
            break
        started.stop()
    else:
        raise RuntimeError(f"sshd does not start: {started.log}")
    try:
        yield started
    finally:
        started.stop()


def _make_keys(settings: Path, folder: Path) -> None:
    settings.mkdir(parents=True, mode=0o700)
    for path in (settings / "key", folder / "host_key"):
        make_key(path)
    (folder / "authorized_keys").write_bytes((settings / "key.pub").read_bytes())


def make_key(path: Path, passphrase: str = "") -> None:
    """A pair of keys: `path`, and `path` with `.pub` behind it."""
    command: list[str | Path] = ["ssh-keygen", "-q", "-t", "ed25519", "-C", path.name, "-N", passphrase, "-f", path]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def _configure(folder: Path, port: int, sftp: str) -> None:
    lines = [
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        f"HostKey {folder / 'host_key'}",
        f"AuthorizedKeysFile {folder / 'authorized_keys'}",
        f"PidFile {folder / 'pid'}",
        "AuthenticationMethods publickey",
        "PermitRootLogin yes",
        "StrictModes no",
        "UsePAM no",
        "MaxStartups 100",
        "LogLevel VERBOSE",
        *([f"Subsystem sftp {sftp}"] if sftp else []),
    ]
    (folder / "sshd_config").write_text("\n".join(lines) + "\n")
    _write_settings(folder / "home" / ".ssh", folder, port)


def _start(folder: Path) -> subprocess.Popen[bytes]:
    if os.geteuid() == 0:
        _PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
    program = sshd()
    assert program is not None
    command: list[str | Path] = [program, "-D", "-e", "-f", folder / "sshd_config"]
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_end_with_us)


def _end_with_us() -> None:
    """Let the system end this process where the one that started it is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _write_settings(settings: Path, folder: Path, port: int) -> None:
    """What `ssh` and hitsave find in the home: the key to use, and the server's own key as a known one."""
    host_key = (folder / "host_key.pub").read_text()
    (settings / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}")
    lines = [
        "Host 127.0.0.1",
        f"    User {getpass.getuser()}",
        f"    IdentityFile {settings / 'key'}",
        "    IdentitiesOnly yes",
        f"    UserKnownHostsFile {settings / 'known_hosts'}",
    ]
    (settings / "config").write_text("\n".join(lines) + "\n")


def _free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    until = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as tried:
            return tried.recv(4) == b"SSH-"
        time.sleep(0.02)
    return False
