"""Keys that are made at the server's own machine, and limits that are given when it starts."""

from __future__ import annotations

import shlex
import subprocess
import sys
from contextlib import closing
from dataclasses import fields
from pathlib import Path

import pytest

from hitsave.cli.commands.serve import command as serve
from hitsave.errors import ConfigError
from hitsave.server.access import Role
from hitsave.server.database import Database
from hitsave.server.keys import Keys
from hitsave.server.offline import OwnKeys
from hitsave.server.settings import ServerLimits, Settings, parse_server_limits
from tests.server.inprocess import Running, running
from tests.server.postgres import Postgres
from tests.server.serving import Served, environment, serving

ROOT = Path(__file__).parents[2]


def keygen(*options: str, database: str = "") -> tuple[int, str, str]:
    command = [sys.executable, "-m", "hitsave", "keygen", *options]
    environ = environment({"HITSAVE_SERVER_DATABASE": database})
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.strip(), done.stderr


def test_a_lost_admin_key_is_replaced_at_the_machine(served: Served) -> None:
    made, key, _ = keygen("--role", "admin", "--label", "instead", "--data", str(served.data))
    assert made == 0
    assert served.request("GET", "/store/v1/whoami", key=key).json()["label"] == "instead"
    entry = served.request("GET", "/store/v1/audit", key=key).json()["entries"][0]
    assert (entry["action"], entry["label"]) == ("make key", "at the machine of the database")
    assert entry["detail"]["label"] == "instead"
    key_id = key.split("_")[1]
    assert key_id in keygen("--list", "--data", str(served.data))[1]
    assert keygen("--revoke", key_id, "--data", str(served.data))[0] == 0
    assert served.request("GET", "/store/v1/whoami", key=key).status == 401
    assert "no key with the id" in keygen("--revoke", "nothing1", "--data", str(served.data))[2]


def test_who_revokes_the_last_admin_key_is_told_how_to_make_one(tmp_path: Path) -> None:
    data = tmp_path / "the data"
    data.mkdir()
    with closing(Database.open(Settings(data).database_url)) as database:
        key_id = Keys(database).make(Role.ADMIN, "x")[1].id
    revoked, _, said = keygen("--revoke", key_id, "--data", str(data))
    assert revoked == 0
    command = shlex.split(said.splitlines()[-1].partition("with: hitsave keygen ")[2])
    assert keygen(*command)[0] == 0


def test_it_is_made_in_postgresql_too(postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.empty_database()
    with running(tmp_path / "data", database=url) as server:
        label = ("--role", "read", "--label", "x", "--data", str(tmp_path / "data"))
        for made, key, said in (keygen(*label, "--database", url), keygen(*label, database=url)):
            assert made == 0, said
            assert server.request("GET", "/store/v1/whoami", key=key).json()["role"] == "read"


def test_a_folder_of_no_server_gets_no_database(tmp_path: Path) -> None:
    keys = OwnKeys(Settings(tmp_path))
    with pytest.raises(ConfigError, match="holds no database"):
        keys.make_key("admin", "x", None)
    assert list(tmp_path.iterdir()) == []
    assert keygen("--list", "--database", "sqlite:///x")[0] == 2
    assert keygen("--list", "--data", str(tmp_path), "--url", "http://host")[0] == 2


def test_a_label_is_checked(server: Running) -> None:
    with pytest.raises(ConfigError, match="printable"):
        OwnKeys(server.site.settings).make_key("read", "a\nb", None)


def test_limits_are_read() -> None:
    limits = parse_server_limits(["pack=1GiB", "body_time=0.5", "uploads=3"])
    assert limits == ServerLimits(pack=1 << 30, body_time=0.5, uploads=3)
    for wrong, reason in {
        "packs=1": "did you mean 'pack'",
        "pack": "size",
        "pack=0": "at least 1",
        "body_time=inf": "seconds",
        "body_time=-1": "seconds",
    }.items():
        with pytest.raises(ValueError, match=reason):
            parse_server_limits([wrong])


def test_the_guide_has_every_limit_and_variable() -> None:
    guide = (ROOT / "docs/server.md").read_text(encoding="utf-8")
    assert [one.name for one in fields(ServerLimits) if f"`{one.name}`" not in guide] == []
    settings = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")
    variables = [option.envvar for option in serve.params if isinstance(option.envvar, str)]
    assert len(variables) >= 8
    assert [name for name in variables if f"`{name}`" not in guide or f"`{name}`" not in settings] == []


def test_limits_are_given_to_a_server(tmp_path: Path) -> None:
    environ = {"HITSAVE_SERVER_LIMITS": "small=10 json=1kB"}
    with serving(tmp_path / "data", environ=environ) as server:
        put = {"headers": {"If-None-Match": "*"}, "body": b"eleven byte"}
        assert server.request("PUT", "/store/v1/keys/probe/x", **put).status == 413  # type: ignore[arg-type]
    command = [sys.executable, "-m", "hitsave", "serve", "--data", str(tmp_path / "none"), "--limit", "smal=1"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "did you mean 'small'" in done.stderr
