"""`hitsave import` as a user runs it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.cli.world import User, World, git
from tests.importing.projects import AnnexProject, DvcProject, LfsProject


@pytest.fixture
def user(world: World) -> User:
    """Somebody whose repository has two versions of a directory that DVC keeps, the older one in part."""
    made = world.user(git=False)
    (made.workspace / "hitsave.toml").unlink()
    made.workspace.rmdir()
    project = DvcProject(made.workspace, made.cache)
    project.begin()
    project.track("data", {"a": b"a", "lost": b"lost"})
    project.commit()
    project.object_path(project.put(b"lost")).unlink()
    project.track("data", {"a": b"a", "b": b"b"})
    project.commit()
    return made


def test_a_dry_run_then_an_import_then_a_checkout(user: User) -> None:
    looked = user.do("import", "dvc", "--dry-run")
    assert [line.split()[0] for line in looked.lines] == ["incomplete", "ready"]
    assert looked.lines[0].endswith("data: 1 file missing")
    done = user.do("import", "dvc")
    assert [line.split()[0] for line in done.lines] == ["incomplete", "imported"]
    assert "written: data.hitsave" in done.said
    user.do("checkout")
    assert sorted(path.name for path in user.data.iterdir()) == ["a", "b"]
    assert git(user.workspace, "status", "--porcelain") == "?? data.hitsave\n"


def test_json(user: User) -> None:
    told = user.do("import", "dvc", "--json").json
    older, newer = told["versions"]
    assert (older["state"], older["missing"], older["digest"], older["current"]) == (
        "incomplete",
        ["lost"],
        None,
        False,
    )
    assert (newer["state"], newer["kind"], newer["files"], newer["author"]) == ("imported", "tree", 2, "ann@lab")
    assert newer["digest"] == user.do("rev-parse", "data.hitsave").text.strip()
    assert newer["commit"] == git(user.workspace, "rev-parse", "HEAD").strip()
    assert (told["pointers"], told["left_out"], told["dry_run"]) == (["data.hitsave"], [], False)


def test_another_folder_is_imported_where_it_is(user: User, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    user.do("import", "dvc", user.workspace, folder=elsewhere)
    assert (user.workspace / "data.hitsave").is_file()
    link = tmp_path / "link"
    link.symlink_to(user.workspace)
    assert user.do("import", "dvc", link, folder=elsewhere).lines[1].startswith("known")
    for name in ("link/data.dvc", "link/data"):
        assert user.do("import", "dvc", name, folder=tmp_path).lines[1].startswith("known")


def test_what_is_no_repository_is_refused(user: User, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "is in no git repository" in user.refused("import", "dvc", empty)
    bare = tmp_path / "bare.git"
    subprocess.run(["git", "init", "--quiet", "--bare", bare], check=True)
    assert "is a bare git repository" in user.refused("import", "dvc", bare)
    git(empty, "init", "--quiet")
    assert "no commit has a .dvc file" in user.refused("import", "dvc", empty)
    assert "missing: no commit has a dataset there" in user.refused("import", "dvc", "missing")
    user.refused("import", "svn", code=2)


def test_going_over_from_git_lfs(world: World) -> None:
    user = world.user()
    project = LfsProject(user.workspace, user.cache)
    project.write(".gitattributes", "data/** filter=lfs\n")
    project.track("data/a.bin", b"content")
    project.track("single.bin", b"single")
    project.track("more/b.bin", b"more")
    project.commit()
    done = user.do("import", "git-lfs", "--dataset", "more")
    assert sorted(line.split()[-1] for line in done.lines) == ["data", "more", "single.bin"]
    # As git-lfs would have checked it out, and as the command says how to go on.
    project.write("data/a.bin", b"content")
    git(user.workspace, "rm", "-r", "--cached", "--quiet", "data")
    user.do("add", "data")
    assert user.state()["state"] == "clean"
    assert git(user.workspace, "check-ignore", "data").strip() == "data"


def test_going_over_from_git_annex(world: World) -> None:
    user = world.user()
    project = AnnexProject(user.workspace, user.cache)
    project.lock("data/a.bin", project.put(b"content"))
    project.commit()
    user.do("import", "git-annex", "--dataset", "data")
    git(user.workspace, "rm", "-r", "--quiet", "data")
    user.do("checkout", "data")
    user.do("add", "data")
    assert (user.data / "a.bin").read_bytes() == b"content"
    assert not (user.data / "a.bin").is_symlink()
    assert "no commit has a folder there" in user.refused("import", "git-annex", "--dataset", "src")
    assert "is no folder within" in user.refused("import", "git-annex", "--dataset", "..", code=2)
