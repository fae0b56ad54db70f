"""Settings are changed in their files, and the rest of those files stays as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from hitsave.config import Source, change, load_settings, sources, writable_source
from hitsave.errors import ConfigError

COMMENTED = """\
# Ours.
symlinks = "store"  # Because of the models.

[remotes]
# The first one is the default.
origin = "/ours"
"""

PROJECT = """\
[project]
name = "cats"  # Meow.

[tool.ruff]
line-length = 120

[tool.hitsave]
symlinks = "store"  # Because of the models.

[tool.mypy]
strict = true
"""


@pytest.fixture
def shared(tmp_path: Path) -> Source:
    return sources(tmp_path, tmp_path / "own")[0]


@pytest.fixture
def project(tmp_path: Path) -> Source:
    return sources(tmp_path, tmp_path / "own")[1]


def test_comments_and_order_stay(shared: Source) -> None:
    shared.path.write_text(COMMENTED)
    assert change(shared, "symlinks", "follow")
    assert shared.path.read_text() == COMMENTED.replace('"store"', '"follow"')
    assert change(shared, "symlinks", "store")
    assert shared.path.read_text() == COMMENTED
    assert change(shared, "remotes.backup", "/b")
    assert shared.path.read_text() == COMMENTED + 'backup = "/b"\n'
    assert change(shared, "remotes.backup", None)
    assert shared.path.read_text() == COMMENTED


def test_what_was_not_there_cannot_be_taken_out(shared: Source) -> None:
    assert not change(shared, "symlinks", None)
    assert not change(shared, "remotes.origin", None)
    assert not shared.path.exists()
    shared.path.write_text(COMMENTED)
    assert not change(shared, "links", None)
    assert not change(shared, "remotes.other", None)
    assert shared.path.read_text() == COMMENTED


def test_a_file_that_is_missing_is_made(tmp_path: Path) -> None:
    own = sources(tmp_path, tmp_path / "deep/own")[2]
    assert change(own, "cache_dir", "/x")
    assert change(own, "links", ("hardlink", "copy"))
    assert change(own, "remotes.origin", "/r")
    settings = load_settings(own)
    assert settings.values == {"cache_dir": "/x", "links": ("hardlink", "copy")}
    assert [remote.url for remote in settings.remotes] == ["/r"]
    assert [path.name for path in own.path.parent.iterdir()] == ["config.toml"]


def test_settings_of_a_project(project: Source) -> None:
    project.path.write_text(PROJECT)
    assert change(project, "remotes.origin", "/ours")
    text = project.path.read_text()
    assert load_settings(project).remotes[0].url == "/ours"
    added = ("[tool.hitsave.remotes]", 'origin = "/ours"')
    assert [line for line in text.splitlines() if line and line not in added] == list(
        filter(None, PROJECT.splitlines())
    )
    assert change(project, "symlinks", None)
    assert "symlinks" not in project.path.read_text()


def test_a_project_without_settings_of_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'cats'\n")
    assert writable_source(tmp_path, tmp_path / "own", personal=False).path.name == "hitsave.toml"
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    assert writable_source(tmp_path, tmp_path / "own", personal=False).path.name == "pyproject.toml"
    (tmp_path / "hitsave.toml").touch()
    assert writable_source(tmp_path, tmp_path / "own", personal=False).path.name == "hitsave.toml"
    assert writable_source(tmp_path, tmp_path / "own", personal=True).path == tmp_path / "own/config.toml"


def test_windows_line_ends_stay(shared: Source) -> None:
    shared.path.write_bytes(COMMENTED.replace("\n", "\r\n").encode())
    assert change(shared, "symlinks", "follow")
    assert shared.path.read_bytes() == COMMENTED.replace("store", "follow").replace("\n", "\r\n").encode()


def test_text_that_is_not_ascii_stays(shared: Source) -> None:
    shared.path.write_text("# größe 漢字\nproject = 'größe'\n", encoding="utf-8")
    assert change(shared, "symlinks", "store")
    assert shared.path.read_text(encoding="utf-8").startswith("# größe 漢字\nproject = 'größe'\n")


@pytest.mark.parametrize("text", ["symlinks = ", "a = 1\na = 2\n", "\0"])
def test_a_file_that_is_no_toml_is_left_as_it_is(shared: Source, text: str) -> None:
    shared.path.write_text(text)
    with pytest.raises(ConfigError, match="is not valid TOML"):
        change(shared, "symlinks", "store")
    assert shared.path.read_text() == text


def test_a_table_that_is_none(shared: Source, project: Source) -> None:
    shared.path.write_text("remotes = 3\n")
    with pytest.raises(ConfigError, match="remotes"):
        change(shared, "remotes.origin", "/x")
    with pytest.raises(ConfigError, match="remotes"):
        change(shared, "remotes.origin", None)
    project.path.write_text("[tool]\nhitsave = 3\n")
    with pytest.raises(ConfigError, match="hitsave"):
        change(project, "symlinks", "store")


def test_keys_that_are_none(shared: Source) -> None:
    for key in ("colour", "remotes", "remotes.", "remotes.a.b", ""):
        with pytest.raises(ConfigError, match="there is no setting"):
            change(shared, key, "x")
    assert not shared.path.exists()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    own = sources(tmp_path, tmp_path / "file")[2]
    with pytest.raises(ConfigError, match="cannot be written"):
        change(own, "project", "x")


def test_who_may_read_a_file_stays(shared: Source) -> None:
    shared.path.write_text(COMMENTED)
    shared.path.chmod(0o600)
    assert change(shared, "symlinks", "follow")
    assert shared.path.stat().st_mode & 0o777 == 0o600


def test_a_link_to_a_settings_file_stays_a_link(shared: Source, tmp_path: Path) -> None:
    """People keep their settings in a repository of dotfiles, and link to them."""
    target = tmp_path / "dotfiles.toml"
    target.write_text(COMMENTED)
    shared.path.symlink_to(target)
    assert change(shared, "symlinks", "follow")
    assert shared.path.is_symlink()
    assert "follow" in target.read_text()
