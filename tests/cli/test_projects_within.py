"""Projects that lie within another one have datasets of their own, which no command of the outer one takes for its."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.world import User, World, git

SECRET = b"nobody else's business " * 9000


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def ann(world: World) -> User:
    """Whose project has a dataset `data`, which was pushed."""
    ann = world.user(remote=True)
    ann.write({"a": b"a"})
    ann.add()
    ann.do("push")
    return ann


def by_settings(inner: Path) -> None:
    (inner / "hitsave.toml").write_text('project = "inner"\n')


def by_table(inner: Path) -> None:
    (inner / "pyproject.toml").write_text('[tool.hitsave]\nproject = "inner"\n')


def by_repository(inner: Path) -> None:
    git(inner, "init", "--quiet")


def by_file(inner: Path) -> None:
    """As submodules and linked work trees have it."""
    git(inner, "init", "--quiet", f"--separate-git-dir={inner.parent / '.git/modules-inner'}")


def has(user: User, folder: str = "inner") -> Path:
    """Put a secret dataset into a folder, and let who works there add it."""
    inner = user.workspace / folder
    (inner / "secret").mkdir(parents=True, exist_ok=True)
    (inner / "secret/file").write_bytes(SECRET)
    user.do("add", "secret", folder=inner)
    return inner


def listed(user: User, *arguments: str) -> list[str]:
    """The datasets that refs own, by their names."""
    lines = user.do("show-ref", *arguments).lines
    return sorted({line.split()[-1].partition("@")[0] for line in lines})


@pytest.mark.parametrize("kind", [by_settings, by_table, by_repository, by_file])
def test_they_are_their_own(world: World, ann: User, kind: Callable[[Path], None]) -> None:
    inner = ann.workspace / "inner"
    inner.mkdir()
    kind(inner)
    has(ann)
    assert listed(ann) == ["datasets/inner/secret", "datasets/project/data"]
    assert ann.do("push").said == f"everything is there already; nothing was sent to origin ({world.remote})\n"
    assert listed(ann) == ["datasets/inner/secret", "datasets/project/data"]
    assert listed(ann, "--remote") == ["datasets/project/data"]
    assert [Path(each["path"]).name for each in ann.do("status", "--json").json] == ["data"]
    (inner / "secret/file").unlink()
    assert [Path(each["path"]).name for each in ann.do("pull", "--json").json["checked_out"]] == ["data"]
    assert not (inner / "secret/file").exists()
    for words in ("push inner", "pull inner/secret", "fetch inner", "checkout inner/secret", "status inner/secret"):
        assert "is a project of its own" in ann.refused(*words.split()), words
    for words in ("add inner/secret", "log inner/secret", "du inner", "add --to inner/secret.hitsave data/a"):
        assert "is a project of its own" in ann.refused(*words.split()), words
    assert listed(ann) == ["datasets/inner/secret", "datasets/project/data"]


def test_a_policy_keeps_what_their_pointer_files_name(ann: User) -> None:
    inner = ann.workspace / "inner"
    inner.mkdir()
    by_settings(inner)
    digest = ann.do("add", has(ann) / "secret", folder=inner).text.split()[0]
    for content in (SECRET, b"another"):
        (inner / "secret/file").write_bytes(content)
        ann.do("snapshot", "inner/secret")
    ann.do("forget", "--snapshots", "--keep-last", "1")
    assert f"snapshots/{digest}" in ann.do("show-ref").text


def test_a_submodule(ann: User, tmp_path: Path) -> None:
    source = tmp_path / "library"
    source.mkdir()
    git(source, "init", "--quiet")
    (source / "readme").write_text("library\n")
    git(source, "add", "-A")
    git(source, "commit", "-qm", "first")
    git(ann.workspace, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(source), "inner")
    inner = has(ann)
    git(inner, "add", "-A")
    git(inner, "commit", "-qm", "secret")
    git(ann.workspace, "add", "-A")
    git(ann.workspace, "commit", "-qm", "all")
    ann.do("push")
    assert listed(ann, "--remote") == ["datasets/project/data"]
    assert [Path(each["new"]).name for each in ann.do("diff", "HEAD", "--json").json] == ["data"]
    ann.do("checkout", "HEAD")
    assert listed(ann) == ["datasets/library/secret", "datasets/project/data"]


def test_a_linked_work_tree_within_is_another_checkout(ann: User) -> None:
    git(ann.workspace, "add", "-A")
    git(ann.workspace, "commit", "-qm", "data")
    git(ann.workspace, "worktree", "add", "-q", "inner")
    inner = ann.workspace / "inner"
    (inner / "data").mkdir()
    (inner / "data/a").write_bytes(b"other")
    ann.do("add", "data", folder=inner)
    assert listed(ann) == ["datasets/project/data"]
    assert "1 ref made" in ann.do("push").said  # One project: its versions go from either.
    assert listed(ann, "--remote") == ["datasets/project/data"]
    assert [Path(each["path"]).name for each in ann.do("status", "--json").json] == ["data"]


def test_at_a_commit_as_well(ann: User) -> None:
    """Settings within the same repository."""
    inner = ann.workspace / "inner"
    inner.mkdir()
    by_settings(inner)
    has(ann)
    git(ann.workspace, "add", "-A")
    git(ann.workspace, "commit", "-qm", "all")
    assert [Path(each["new"]).name for each in ann.do("diff", "HEAD", "--json").json] == ["data"]
    assert "data: " in ann.do("checkout", "HEAD").said
    assert "secret" not in ann.do("checkout", "HEAD").said
    assert "is a project of its own" in ann.refused("checkout", "HEAD", "inner/secret")
    assert listed(ann) == ["datasets/inner/secret", "datasets/project/data"]


def test_a_package_is_a_part_of_the_project_and_what_was_added_in_it_is_not_sent_unasked(ann: User) -> None:
    package = ann.workspace / "package"
    package.mkdir()
    (package / "pyproject.toml").write_text('[project]\nname = "package"\n')
    has(ann, "package")
    said = ann.do("push").said
    assert "package/secret: lies in package, which has a name of its own" in said
    assert listed(ann, "--remote") == ["datasets/project/data"]
    assert sorted(Path(each["path"]).name for each in ann.do("status", "--json").json) == ["data", "secret"]
    ann.do("push", "package/secret")
    assert listed(ann, "--remote") == ["datasets/project/data", "datasets/project/package/secret"]
    assert "package/secret" not in ann.do("push").said


def test_a_dataset_may_be_a_repository(world: World, ann: User) -> None:
    ann.write({"file": b"file"}, "cloned")
    git(ann.workspace / "cloned", "init", "--quiet")
    ann.do("add", "cloned")
    ann.do("push", "cloned")
    assert [Path(each["path"]).name for each in ann.do("pull", "--json").json["checked_out"]] == ["cloned", "data"]
    assert ann.do("status", "cloned").code == 0


def test_a_folder_above_that_is_no_repository_has_nothing_of_the_repositories_in_it(world: World) -> None:
    ann = world.user(git=False, remote=True)
    subprocess.run(["git", "init", "--quiet", ann.workspace / "inner"], check=True)
    has(ann)
    assert "nothing was sent" in ann.do("push").said
    assert not list(world.remote.glob("packs/*"))


def test_what_an_older_version_took_for_its_own_is_sent_nowhere_else(world: World, ann: User) -> None:
    inner = ann.workspace / "inner"
    ann.write({"secret/file": SECRET}, "inner")
    ann.do("add", "inner/secret")
    by_settings(inner)
    ann.do("remote", "add", "other", world.root / "other")
    ann.do("add", "secret", folder=inner)
    assert listed(ann) == ["datasets/inner/secret", "datasets/project/data", "datasets/project/inner/secret"]
    ann.do("push", "--remote", "other")
    assert listed(ann, "--remote", "other") == ["datasets/project/data"]
    ann.do("forget", "--all-versions", "secret", folder=inner)
    ann.do("push", "--remote", "other")
    assert listed(ann, "--remote", "other") == ["datasets/project/data", "datasets/project/inner/secret"]
