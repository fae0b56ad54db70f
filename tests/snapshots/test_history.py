"""Pointer files in all of git's history, in repositories that git itself made."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from hitsave.errors import WorkspaceError
from hitsave.objects.digest import Digest, ObjectKind, blob_digest
from hitsave.snapshots.history import named_in_files, named_in_git
from hitsave.snapshots.pointer import Pointer, format_pointer
from tests.cli.world import git


class Project:
    """A git repository whose versions are called by words."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, version: str, path: str = "data.hitsave") -> None:
        """A pointer file that names a version."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(format_pointer(Pointer(digest_of(version), ObjectKind.TREE, 1, 1)))

    def commit(self, version: str, path: str = "data.hitsave") -> str:
        """Commit a pointer file; the commit."""
        self.write(version, path)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", version)
        return self.git("rev-parse", "HEAD").strip()

    def git(self, *arguments: str) -> str:
        return git(self.root, *arguments)


def digest_of(version: str) -> Digest:
    return blob_digest(version.encode())


def found(place: Path, versions: Iterable[str]) -> set[str]:
    """Which of these versions git names, and no others that it does name."""
    words = {digest_of(version): version for version in versions}
    return {words.get(naming.digest, str(naming.digest)) for naming in named_in_git(place)}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "project")
    made.root.mkdir()
    made.git("init", "--quiet", "--initial-branch", "main")
    made.git("config", "gc.auto", "0")
    return made


def test_every_place_of_git_names_its_version(project: Project, tmp_path: Path) -> None:
    first = project.commit("first")
    project.commit("second")
    project.git("checkout", "--quiet", "-b", "side", first)
    project.commit("tagged")
    project.git("tag", "--annotate", "--message", "x", "v1")
    project.git("tag", "--annotate", "--message", "x", "v2", "v1")
    project.commit("sided")
    project.git("checkout", "--quiet", "--detach", first)
    theirs = project.commit("theirs")
    project.git("update-ref", "refs/remotes/origin/main", theirs)
    project.commit("treed")
    project.git("tag", "bare-tree", "HEAD^{tree}")
    project.git("checkout", "--quiet", "--detach", first)
    project.commit("detached")
    for version in ("stashed", "stashed later"):
        project.write(version)
        project.git("stash", "--quiet")
    project.write("unknown", "new.hitsave")
    project.git("stash", "--quiet", "--include-untracked")
    other = Project(tmp_path / "other")
    project.git("worktree", "add", "--quiet", "--detach", os.fspath(other.root), first)
    other.commit("in another work tree")
    other.write("staged there")
    other.git("add", "data.hitsave")
    other.write("written there")
    gone = Project(tmp_path / "gone")
    project.git("worktree", "add", "--quiet", "--detach", os.fspath(gone.root), first)
    gone.commit("in a work tree that is not mounted")
    shutil.rmtree(gone.root)
    project.write("staged")
    project.git("add", "data.hitsave")
    project.write("written")
    project.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/removed")

    versions = (
        "first, second, tagged, sided, theirs, treed, detached, stashed, stashed later, unknown, in another work tree, "
        "staged there, written there, in a work tree that is not mounted, staged, written"
    ).split(", ")
    assert found(project.root, versions) == set(versions)
    inside = project.root / "a" / "workspace"
    inside.mkdir(parents=True)
    assert found(inside, versions) == found(other.root, versions) == set(versions)
    project.git("pack-refs", "--all")
    project.git("repack", "-adq")
    assert found(project.root, versions) == set(versions)
    where = {naming.digest: naming.where for naming in reversed(list(named_in_git(project.root)))}
    assert where[digest_of("second")] == "main"
    assert where[digest_of("tagged")] == "tag v1"
    assert where[digest_of("theirs")] == "origin/main"
    assert where[digest_of("stashed later")] == "stash@{1}"
    assert where[digest_of("first")] == f"{first[:12]} in main"
    assert where[digest_of("in another work tree")] == "HEAD of work tree other"

    project.git("clone", "--quiet", "--bare", os.fspath(project.root), os.fspath(tmp_path / "bare"))
    assert found(tmp_path / "bare", versions) == {"first", "second", "tagged", "sided", "treed", "detached"}


def test_merges_their_conflicts_and_what_was_renamed(project: Project) -> None:
    first = project.commit("first")
    project.git("mv", "data.hitsave", "renamed.hitsave")
    project.commit("second", "folder/data.hitsave")
    project.git("checkout", "--quiet", "-b", "side", first)
    project.commit("here")
    project.git("checkout", "--quiet", "-b", "third", first)
    project.commit("there")
    there = project.git("rev-parse", "HEAD").strip()
    with pytest.raises(Exception, match="returned non-zero"):
        project.git("merge", "side")
    # Nothing but the merge that is under way, and what it has staged and written, names this side.
    project.git("checkout", "--quiet", "--force", "--detach", there)
    with pytest.raises(Exception, match="returned non-zero"):
        project.git("merge", "side")
    project.git("branch", "--quiet", "-D", "side")
    assert found(project.root, ["first", "second", "here", "there"]) == {"first", "second", "here", "there"}
    assert {naming.digest for naming in named_in_files(project.root)} == {digest_of("here"), digest_of("there")}
    paths = {naming.path for naming in named_in_git(project.root) if naming.digest == digest_of("first")}
    assert paths == {b"data.hitsave", b"renamed.hitsave"}


def test_only_pointer_files_count(project: Project) -> None:
    digest = str(digest_of("no version"))
    (project.root / "README").write_text(digest)
    (project.root / "huge.hitsave").write_text(digest + "\n" * 100_000)
    (project.root / "folder.hitsave").mkdir()
    (project.root / "folder.hitsave" / "file").write_text(digest)
    (project.root / "dangling.hitsave").symlink_to("nowhere")
    project.commit("first", os.fsdecode(b"\xff.hitsave"))
    project.git("rm", "--quiet", "--cached", "huge.hitsave")
    os.unlink(project.root / "huge.hitsave")
    project.commit("second", "later.hitsave")
    assert found(project.root, ["first", "second"]) == {"first", "second"}
    submodule = Project(project.root / "sub.hitsave")
    submodule.root.mkdir()
    submodule.git("init", "--quiet")
    submodule.commit("of a submodule")
    project.commit("third", "third.hitsave")
    (submodule.root / "data.hitsave").unlink()
    assert found(project.root, ["first", "second", "third"]) == {"first", "second", "third"}


def refused(place: Path) -> str:
    with pytest.raises(WorkspaceError) as caught:
        list(named_in_git(place))
    return str(caught.value)


def test_what_cannot_be_read_whole_is_refused(project: Project, tmp_path: Path) -> None:
    assert "in no git repository" in refused(tmp_path)
    assert found(project.root, []) == set()  # Nothing was committed yet.
    project.commit("first")
    project.commit("second")
    origin = f"file://{project.root}"
    git(tmp_path, "clone", "--quiet", "--depth", "1", origin, "shallow")
    git(tmp_path / "shallow", "worktree", "add", "--quiet", "../linked")
    assert "git fetch --unshallow" in refused(tmp_path / "shallow")
    assert "git fetch --unshallow" in refused(tmp_path / "linked")
    git(tmp_path / "shallow", "fetch", "--quiet", "--unshallow")
    assert found(tmp_path / "linked", ["first", "second"]) == {"first", "second"}

    project.git("config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "--quiet", "--filter=blob:none", origin, "partial")
    assert "missing or damaged" in refused(tmp_path / "partial")

    head = project.root / ".git" / "refs" / "heads"
    (head / "empty").touch()
    assert "git update-ref -d refs/heads/empty" in refused(project.root)
    (head / "empty").write_text("1" * 40 + "\n")
    assert "refs/heads/empty holds" in refused(project.root)
    (head / "empty").unlink()
    (project.root / ".git" / "HEAD").write_text("1" * 40 + "\n")
    assert "HEAD holds" in refused(project.root)
    (project.root / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (project.root / ".git" / "index").write_bytes(b"nonsense" * 10)
    assert "cannot be read" in refused(project.root)
