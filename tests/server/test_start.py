"""Starting and ending a server."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
from pathlib import Path

from tests.server.serving import Served, environment, serving


def test_the_first_start_makes_a_key_for_its_owner_alone(served: Served) -> None:
    path = served.data / "admin.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(served.data.stat().st_mode) == 0o700
    log = (served.data.parent / "data.log").read_text()
    assert str(path) in log
    assert served.key not in log
    assert served.request("GET", "/store/v1/whoami").json()["role"] == "admin"


def test_a_key_is_made_once_and_a_stop_is_clean(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        key = server.key
        assert server.stop(signal.SIGTERM) == 0
    (tmp_path / "data" / "admin.key").rename(tmp_path / "kept")
    with serving(tmp_path / "data") as server:
        assert server.request("GET", "/store/v1/whoami", key=key).status == 200
        assert not (tmp_path / "data" / "admin.key").exists()
        assert server.stop(signal.SIGINT) == 0


def refused(*options: str) -> str:
    command = [sys.executable, "-m", "hitsave", "serve", *options]
    done = subprocess.run(command, env=environment(), capture_output=True, timeout=60, check=False)
    said = done.stderr.decode()
    assert done.returncode == 1, said
    assert said.startswith("hitsave: "), said
    assert said.count("\n") == 1, said
    return said


def test_what_cannot_be_served_is_one_line(served: Served, tmp_path: Path) -> None:
    assert "in use" in refused("--data", str(tmp_path / "data"), "--port", str(served.address[1]))
    (tmp_path / "file").touch()
    assert "cannot be written" in refused("--data", str(tmp_path / "file"))
    assert "a server itself" in refused("--data", str(tmp_path / "data"), "--store", served.url)
    assert "PostgreSQL" in refused("--data", str(tmp_path / "data"), "--database", "mysql://host/name")
    assert "postgresql" in refused("--data", str(tmp_path / "data"), "--database", "nothing")


def test_nobody_gets_in_without_a_key(served: Served) -> None:
    for key in (None, "hsk_12345678_" + "x" * 43, "nonsense", served.key[:-1] + "\N{LATIN SMALL LETTER E WITH ACUTE}"):
        answer = served.request("GET", "/store/v1/whoami", key=key)
        assert answer.status == 401, key
        assert "hitsave login" in answer.json()["error"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    script = "import sys; sys.modules['starlette'] = None; from hitsave.cli.main import run; sys.exit(run(['serve']))"
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(), cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 1
    assert b"pip install 'hitsave[server]'" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_what_is_no_key_is_not_kept(served: Served, tmp_path: Path) -> None:
    environ = environment({"HITSAVE_CONFIG_DIR": str(tmp_path)})

    def login(*options: str, stdin: bytes = b"") -> tuple[int, bytes]:
        command = [sys.executable, "-m", "hitsave", "login", served.url, *options]
        done = subprocess.run(command, env=environ, input=stdin, capture_output=True, check=False)
        return done.returncode, done.stderr

    assert login()[0] == 2
    assert b"is no key" in login("--key-file", "-", stdin=b"two words\n")[1]
    assert b"not known here" in login("--key", "hsk_12345678_" + "x" * 43)[1]
    assert not (tmp_path / "credentials.json").exists()
    assert login("--key-file", str(served.data / "admin.key"))[0] == 0
    assert (tmp_path / "credentials.json").exists()
