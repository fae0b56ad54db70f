"""Starting and ending a server."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.remotes.buckets import fresh_url
from tests.remotes.servers import stores
from tests.server.inprocess import Running
from tests.server.serving import Served, environment, serving
from tests.server.wire import logged, raw

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


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
    for url, reason in {
        "https://h.example.org/data": "cannot be put below a path",
        "https://h.example.org/?a": "cannot be put below a path",
        "foo": "is no URL of a server",
        "ftp://host": "is no URL of a server",
        "http://host:port": "is no URL of a server",
    }.items():
        assert reason in refused("--data", str(tmp_path / "data"), "--url", url)
    for proxies in ("foo", "10.0.0.5/8", "10.0.0.5,", "10.0.0.5 10.0.0.6", "*,10.0.0.5"):
        assert "is no address or network" in refused("--data", str(tmp_path / "data"), "--proxies", proxies)
    assert "postgresql" in refused("--data", str(tmp_path / "data"), "--database", "nothing")


def test_a_bucket_without_a_region_is_told_where_to_name_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    said = refused("--data", str(tmp_path / "data"), "--store", "s3://nobucket/x")
    assert "name it in AWS_REGION, or in the URL (?region=NAME)" in said  # Options that `serve` does not have are none.


def test_a_store_that_cannot_be_used_is_said_at_once(tmp_path: Path) -> None:
    store = fresh_url("s3", stores.moto(), "no-such-bucket")
    with serving(tmp_path / "data", "--store", store, environ=stores.keys()) as server:
        assert server.request("GET", "/health", key=None).status == 200
        log = (tmp_path / "data.log").read_text()
        assert "WARNING the store cannot be used as it is" in log
        assert "no-such-bucket" in log.partition("the store cannot be used")[2].splitlines()[0]
    with serving(tmp_path / "other") as server:
        assert server.request("GET", "/health", key=None).status == 200
        assert "cannot be used" not in (tmp_path / "other.log").read_text()


def test_in_a_folder_that_was_there_files_are_for_their_owner_too(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    (data / "server.sqlite").touch(mode=0o644)
    with serving(data) as server:
        assert server.request("GET", "/store/v1/whoami").status == 200
        private = [data / "admin.key", *data.glob("server.sqlite*")]
        assert len(private) > 2
        assert [path.name for path in private if stat.S_IMODE(path.stat().st_mode) != 0o600] == []


def test_who_comes_with_a_wrong_key_or_no_http_stands_in_the_log(server: Running) -> None:
    secret = "x" * 43
    with logged() as records:
        server.request("GET", "/store/v1/whoami", key=f"hsk_Abcd1234_{secret}")
        server.request("POST", "/login", key=None, body=b"key=nonsense", headers=FORM)
        raw(server, b"\x16\x03\x01\x02\x00 what speaks TLS says\r\n\r\n")
        until = time.monotonic() + 20
        while len(records) < 3 and time.monotonic() < until:
            time.sleep(0.01)
    said = sorted(record.getMessage() for record in records)
    assert said == [
        "127.0.0.1 has tried a key that opens nothing here: Abcd1234",
        "127.0.0.1 has tried a key that opens nothing here: none by its form",
        "127.0.0.1: Invalid HTTP request received.",
    ]


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
