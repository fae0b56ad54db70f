"""Where settings come from, which of them hold, and what is said of those that make no sense."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from hitsave.config import Config, RemoteConfig, find_workspace, load, parse
from hitsave.errors import ConfigError
from hitsave.limits import Limits


class Places(NamedTuple):
    """A workspace and a folder of the user's own settings."""

    workspace: Path
    own: Path

    def load(self, start: Path | None = None, **environ: str) -> Config:
        """The settings that hold there."""
        return load(start or self.workspace, {"HITSAVE_CONFIG_DIR": str(self.own), **environ})

    def shared(self, text: str) -> Path:
        """Write `hitsave.toml`."""
        path = self.workspace / "hitsave.toml"
        path.write_text(text)
        return path

    def project(self, text: str) -> Path:
        """Write `pyproject.toml`."""
        path = self.workspace / "pyproject.toml"
        path.write_text(text)
        return path

    def personal(self, text: str) -> Path:
        """Write the user's own `config.toml`."""
        self.own.mkdir(exist_ok=True)
        path = self.own / "config.toml"
        path.write_text(text)
        return path


@pytest.fixture
def places(tmp_path: Path) -> Places:
    workspace = tmp_path / "cats"
    (workspace / ".git").mkdir(parents=True)
    return Places(workspace, tmp_path / "own")


def test_what_holds_without_any(places: Places) -> None:
    config = places.load()
    assert config.workspace == places.workspace
    assert config.project == "cats"
    assert config.symlinks == "ignore"
    assert config.links == ("reflink", "copy")
    assert config.remotes == ()
    assert config.offline is False
    assert config.cache_dir.name == "hitsave"


def test_the_workspace_comes_before_ones_own_and_the_environment_before_both(places: Places, tmp_path: Path) -> None:
    places.personal(f"symlinks = 'store'\nlinks = ['copy']\nproject = 'own'\ncache_dir = '{tmp_path / 'cache'}'\n")
    assert places.load().symlinks == "store"
    assert places.load().cache_dir == tmp_path / "cache"
    places.project("[tool.hitsave]\nsymlinks = 'follow'\nproject = 'tool'\n")
    assert places.load().symlinks == "follow"
    assert places.load().links == ("copy",)
    assert places.load().project == "tool"
    places.shared("symlinks = 'ignore'\n")
    assert places.load().symlinks == "ignore"
    assert places.load().project == "tool"
    assert places.load(HITSAVE_LOCAL_CACHE_DIR=str(tmp_path / "other")).cache_dir == tmp_path / "other"


def test_remotes_are_joined_and_the_first_one_is_the_default(places: Places) -> None:
    places.personal("[remotes]\nhome = '/home'\norigin = '/mine'\n")
    places.shared("[remotes]\norigin = '/ours'\nbackup = '/backup'\n")
    config = places.load()
    assert config.remotes == (
        RemoteConfig("origin", "/ours"),
        RemoteConfig("backup", "/backup"),
        RemoteConfig("home", "/home"),
    )
    assert config.remote() == RemoteConfig("origin", "/ours")
    assert config.remote("home").url == "/home"
    with pytest.raises(ConfigError, match="there are: origin, backup, home"):
        config.remote("away")
    first = places.load(HITSAVE_REMOTE="file:///x").remote()
    assert first == RemoteConfig("HITSAVE_REMOTE", "file:///x")


def test_the_environment_may_name_a_remote_of_the_settings(places: Places) -> None:
    places.shared("[remotes]\norigin = '/ours'\nbackup = '/backup'\n'a/b' = '/odd'\n")
    origin, backup, odd = places.load().remotes
    assert places.load(HITSAVE_REMOTE="backup").remotes == (backup, origin, odd)
    for value in ("other", "./backup", "a/b", "file:///backup"):
        assert places.load(HITSAVE_REMOTE=value).remotes == (
            RemoteConfig("HITSAVE_REMOTE", value),
            origin,
            backup,
            odd,
        )


@pytest.mark.parametrize(
    ("value", "offline"), [("1", True), ("yes", True), ("true", True), ("", False), ("0", False), ("false", False)]
)
def test_no_cloud(places: Places, value: str, offline: bool) -> None:
    assert places.load(HITSAVE_NO_CLOUD=value).offline is offline


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("simlinks = 'store'", "there is no setting 'simlinks'; did you mean 'symlinks'?"),
        ("colour = 'red'", "there are cache_dir, project, symlinks, links, public_url, evaluations.age, "),
        ("symlinks = 'sometimes'", "symlinks: must be one of ignore, store, follow, not 'sometimes'"),
        ("symlinks = 3", "must be one of"),
        ("links = []", "links: must be a list"),
        ("links = ['copy', 'teleport']", "links: must be a list"),
        ("links = 3", "links: must be a list"),
        ("links = [3]", "links: must be a list"),
        ("links = [['copy']]", "links: must be a list"),
        ("project = ''", "project: must be a text that is not empty"),
        ("project = 3", "project: must be a text"),
        ("remotes = 3", "remotes: must be a table of NAME = URL"),
        ("[remotes]\norigin = 3", "remotes.origin: must be a text"),
        ("[remotes]\n'a.b' = '/x'", "there is no setting 'remotes.a.b'"),
        ("[remotes]\n'' = '/x'", "there is no setting 'remotes.'"),
        ("[remotes.origin]\nurl = '/x'", "remotes.origin: must be a text"),
        ("cache_dir = '/x'", "cache_dir: is of one machine; 'hitsave config set' puts it into your own file"),
        ("symlinks = ", "is not valid TOML"),
        ("symlinks = 'store'\nsymlinks = 'store'", "is not valid TOML"),
    ],
)
def test_what_makes_no_sense_is_named_with_its_file(places: Places, text: str, says: str) -> None:
    path = places.shared(text + "\n")
    with pytest.raises(ConfigError) as raised:
        places.load()
    assert str(raised.value).startswith(f"{path}: ")
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_limits_of_what_is_kept_are_ones_own(places: Places) -> None:
    assert not places.load().evaluations
    places.personal("[evaluations]\nage = '180d'\ncount = 1000\nsize = '1.5GB'\n")
    assert places.load().evaluations == Limits(180 * 86400, 1000, 1_500_000_000)
    places.shared("evaluations.age = '1d'\n")
    with pytest.raises(ConfigError, match="is of one machine"):
        places.load()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("evaluations = 3", "evaluations: must be a table of age, count and size"),
        ("evaluations.age = 30", 'evaluations.age: must be a time such as "30d" or "12h", not 30'),
        ("evaluations.count = 0", "evaluations.count: must be a whole number of at least 1, not 0"),
        ("evaluations.size = '1 pound'", "evaluations.size: must be a size such as"),
        ("evaluations.counts = 1", "did you mean 'evaluations.count'?"),
    ],
)
def test_limits_that_make_no_sense(places: Places, text: str, says: str) -> None:
    places.personal(text)
    with pytest.raises(ConfigError) as caught:
        places.load()
    assert says in str(caught.value)


def test_files_that_are_no_text(places: Places) -> None:
    path = places.shared("")
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not valid TOML"):
        places.load()
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        places.load()


def test_a_table_of_a_project_is_named_as_such(places: Places) -> None:
    path = places.project("[tool.hitsave]\nlinsk = 'copy'\n")
    with pytest.raises(ConfigError) as raised:
        places.load()
    assert str(raised.value).startswith(f"{path} [tool.hitsave]: there is no setting 'linsk'")
    places.project("[tool]\nhitsave = 3\n")
    with pytest.raises(ConfigError, match="must be a table"):
        places.load()
    places.project("tool = 3\n")
    assert places.load().project == "cats"


def test_other_tools_settings_are_no_business_of_ours(places: Places) -> None:
    places.project("[project]\nname = 'kittens'\n[tool.other]\nlinsk = 1\n")
    assert places.load().project == "kittens"


def test_the_cache_may_lie_at_home(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    places.personal("cache_dir = '~/cache'\n")
    assert places.load().cache_dir == Path("/home/someone/cache")


def test_a_folder_said_in_a_file_means_one_place(places: Places) -> None:
    places.personal("cache_dir = 'beside'\n")
    assert places.load().cache_dir == places.own / "beside"


def test_parse_is_pure_and_tells_whose_it_is() -> None:
    assert parse({"cache_dir": "/x"}, "here", personal=True).values == {"cache_dir": "/x"}
    with pytest.raises(ConfigError, match="here: cache_dir"):
        parse({"cache_dir": "/x"}, "here", personal=False)


# -- the workspace, and what it is called


@pytest.mark.parametrize("marker", ["hitsave.toml", "pyproject.toml", ".git"])
def test_the_workspace_is_the_nearest_folder_with_a_marker(tmp_path: Path, marker: str) -> None:
    deep = tmp_path / "a/b/c"
    deep.mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    (tmp_path / "a" / marker).touch()
    assert find_workspace(deep) == tmp_path / "a"
    assert find_workspace(tmp_path / "a") == tmp_path / "a"
    assert find_workspace(tmp_path) == tmp_path


def test_a_worktree_of_git_is_a_workspace(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/.git").write_text("gitdir: /elsewhere\n")
    assert find_workspace(tmp_path / "a/b") == tmp_path / "a"


def test_settings_hold_in_folders_beneath(places: Places) -> None:
    places.shared("symlinks = 'store'\n")
    (places.workspace / "deep/er").mkdir(parents=True)
    config = places.load(places.workspace / "deep/er")
    assert (config.workspace, config.symlinks) == (places.workspace, "store")


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/people/kittens.git",
        "https://example.org/people/kittens/",
        "git@example.org:people/kittens.git",
        "git@example.org:kittens",
        "/srv/git/kittens.git",
        "C:\\\\git\\\\kittens",
    ],
)
def test_the_project_is_called_after_what_was_cloned(places: Places, url: str) -> None:
    (places.workspace / ".git/config").write_text(
        f'[core]\n\tbare = false\n[remote "upstream"]\n\turl = /no\n[remote "origin"]\n\tfetch = +refs\n\turl = {url}\n'
    )
    assert places.load().project == "kittens"
    places.project("[project]\nname = 'named'\n")
    assert places.load().project == "named"
    places.shared("project = 'said'\n")
    assert places.load().project == "said"


def test_without_any_name_the_folder_gives_it(places: Places) -> None:
    (places.workspace / ".git/config").write_text("[core]\n")
    assert places.load().project == "cats"
    places.project("[project]\nname = 3\n")
    assert places.load().project == "cats"
    places.project("project = 3\n")
    assert places.load().project == "cats"
