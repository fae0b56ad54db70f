"""Which pointer files are about to be pushed: those that commits bring in, and that the other side does not have."""

from __future__ import annotations

from pathlib import Path

import pytest

from hitsave.errors import WorkspaceError
from hitsave.objects.digest import ObjectKind, blob_digest
from hitsave.snapshots.outgoing import Outgoing, PushedRef, find_outgoing, parse_pushed
from hitsave.snapshots.pointer import Pointer, format_pointer
from tests.cli.world import git

NONE = "0" * 40


class History:
    """A git repository in which pointer files stand for numbers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        git(folder, "init", "--quiet", "--initial-branch=main")

    def pointer(self, number: int) -> Pointer:
        content = b"%d" % number
        return Pointer(blob_digest(content), ObjectKind.BLOB, len(content), 1)

    def commit(self, **numbers: int) -> str:
        """Commit pointer files, `a__b` being a/b; the commit's name."""
        for name, number in numbers.items():
            path = self.folder / f"{name.replace('__', '/')}.hitsave"
            path.parent.mkdir(exist_ok=True)
            path.write_text(format_pointer(self.pointer(number)))
        git(self.folder, "add", "--all")
        git(self.folder, "commit", "--quiet", "--allow-empty", "--message", "change")
        return self.head

    @property
    def head(self) -> str:
        return git(self.folder, "rev-parse", "HEAD").strip()

    def outgoing(self, *pushed: tuple[str, str], remote: str = "origin") -> set[tuple[str, int]]:
        """What goes out: paths with their numbers."""
        digests = {self.pointer(number).digest: number for number in range(10)}
        found = list(find_outgoing(self.folder, remote, [PushedRef(*each) for each in pushed]))
        outgoing = [each for each in found if isinstance(each, Outgoing)]
        names = {(str(each.path.relative_to(self.folder)), digests[each.pointer.digest]) for each in outgoing}
        assert len(names) == len(outgoing)
        return names


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "project")


def test_every_version_in_the_commits_and_none_of_the_working_tree(history: History) -> None:
    first = history.commit(a=1, sub__b=2)
    history.commit(a=3)
    last = history.commit(a=4)
    (history.folder / "a.hitsave").write_text(format_pointer(history.pointer(5)))
    assert history.outgoing((last, NONE)) == {("a", 1), ("a", 3), ("a", 4), ("sub/b", 2)}
    assert history.outgoing((last, first)) == {("a", 3), ("a", 4)}
    assert history.outgoing((last, last)) == set()
    assert history.outgoing((NONE, last)) == set()
    assert history.outgoing((last, "1" * 40)) == {("a", 1), ("a", 3), ("a", 4), ("sub/b", 2)}
    assert history.outgoing() == set()


def test_what_the_remote_had_when_it_was_last_asked_is_there(history: History) -> None:
    first = history.commit(a=1)
    git(history.folder, "remote", "add", "origin", "https://example.com/project")
    git(history.folder, "update-ref", "refs/remotes/origin/other", first)
    git(history.folder, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/other")
    last = history.commit(a=2)
    assert history.outgoing((last, NONE)) == {("a", 2)}
    assert history.outgoing((last, NONE), remote="https://example.com/project") == {("a", 2)}
    assert history.outgoing((last, NONE), remote="backup") == {("a", 1), ("a", 2)}


def test_branches_merges_and_tags(history: History) -> None:
    first = history.commit(a=1, b=1)
    git(history.folder, "checkout", "--quiet", "-b", "side")
    history.commit(b=2)
    git(history.folder, "tag", "--annotate", "--message", "tagged", "v1")
    tag = git(history.folder, "rev-parse", "v1").strip()
    git(history.folder, "checkout", "--quiet", "main")
    main = history.commit(a=3)
    git(history.folder, "merge", "--quiet", "--no-edit", "side")
    merge = history.head
    assert history.outgoing((merge, first)) == {("a", 3), ("b", 2)}
    assert history.outgoing((merge, main)) == {("b", 2)}
    assert history.outgoing((tag, first)) == {("b", 2)}
    assert history.outgoing((tag, first), (main, first)) == {("a", 3), ("b", 2)}
    tree = git(history.folder, "rev-parse", "HEAD^{tree}").strip()
    assert history.outgoing((tree, NONE)) == set()


def test_moved_and_removed_pointer_files(history: History) -> None:
    first = history.commit(a=1, sub__b=2)
    git(history.folder, "mv", "sub", "moved")
    git(history.folder, "rm", "--quiet", "a.hitsave")
    last = history.commit()
    assert history.outgoing((last, first)) == {("moved/b", 2)}


def test_what_only_looks_like_a_pointer_file(history: History) -> None:
    (history.folder / "link.hitsave").symlink_to("a.hitsave")
    (history.folder / ".hitsave").write_text("no dataset has this name")
    (history.folder / "folder.hitsave").mkdir()
    (history.folder / "folder.hitsave/x").write_text("x")
    (history.folder / "bad.hitsave").write_text("something else")
    (history.folder / "large.hitsave").write_text("x" * 5000)
    last = history.commit(a=1)
    assert history.outgoing((last, NONE)) == {("a", 1)}
    unreadable = [each for each in find_outgoing(history.folder, "origin", [PushedRef(last, NONE)]) if each[0] == last]
    assert sorted(each[1].split(":")[1] for each in unreadable) == ["bad.hitsave", "large.hitsave"]


def test_a_shallow_clone_and_a_work_tree(history: History, tmp_path: Path) -> None:
    history.commit(a=1, b=2)
    history.commit(a=3)
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{history.folder}", "shallow")
    shallow = History.__new__(History)
    shallow.folder = tmp_path / "shallow"
    assert shallow.outgoing((shallow.commit(a=4), NONE)) == {("a", 4)}
    git(history.folder, "worktree", "add", "--quiet", "-b", "other", str(tmp_path / "tree"))
    tree = History.__new__(History)
    tree.folder = tmp_path / "tree"
    assert tree.outgoing((tree.commit(b=5), history.head)) == {("b", 5)}


def test_no_repository_with_working_files(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="is in no git repository"):
        list(find_outgoing(tmp_path, "origin", []))
    git(tmp_path, "init", "--quiet", "--bare", "bare")
    with pytest.raises(WorkspaceError, match="is in no git repository with working files"):
        list(find_outgoing(tmp_path / "bare", "origin", []))


def test_what_git_says() -> None:
    line = f"refs/heads/main {'1' * 40} refs/heads/other {'2' * 40}"
    assert parse_pushed(f"{line}\n\n{line}\n") == [PushedRef("1" * 40, "2" * 40)] * 2
    with pytest.raises(WorkspaceError, match="nothing that git says"):
        parse_pushed("refs/heads/main\n")
