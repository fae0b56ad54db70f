"""Every mistake of a user's is one line on stderr, the right exit code, and never a traceback."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.world import User, World, git


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["ad"], "did you mean 'add'?"),
        (["stauts"], "did you mean 'status'?"),
        (["xyzzy"], "'hitsave --help' lists them"),
        (["add"], "Missing argument"),
        (["add", "--jsno", "data"], "--json"),
        (["--colour"], "No such option"),
        (["-C", "nowhere", "status"], "-C nowhere: No such file or directory"),
        (["remote", "ad"], "No such command"),
        (["remote", "add", "origin"], "Missing argument 'URL'"),
        (["gc", "--keep", "soon"], "'soon' is no time"),
        (["gc", "extra"], "unexpected extra argument"),
        (["fsck", "--sample", "5%"], "--sample is for --remote"),
        (["fsck", "--remote", "origin", "--sample", "much"], "is no share"),
        (["fsck", "--remote", "origin", "--sample", "0"], "is no share"),
        (["fsck", "--remote", "origin", "--sample", "101%"], "is no share"),
        (["fsck", "--remote", "origin", "--sample", "nan"], "is no share"),
        (["snapshot"], "Missing argument"),
        (["snapshot", "one", "two"], "one path, please"),
        (["snapshot", "--restore", "1234567"], "takes a digest and the path"),
        (["hash-object"], "name a path, or use --stdin"),
        (["rev-parse"], "Missing argument"),
        (["forget"], "Missing argument"),
    ],
)
def test_wrong_usage(world: World, arguments: list[str], says: str) -> None:
    assert says in world.user().refused(*arguments, code=2)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["add", "nothing"], "nothing: does not exist"),
        (["add", "."], "holds the workspace itself"),
        (["add", ".."], "holds the workspace itself"),
        (["add", "../elsewhere"], "lies outside of the workspace"),
        (["add", ".git"], "is git's own folder"),
        (["add", "data.hitsave"], "is a pointer file; add what it points to"),
        (["add", "data/sub"], "lies in the dataset"),
        (["status", "nothing"], "there is no such dataset (nothing.hitsave is missing)"),
        (["status", "bare"], "'hitsave add bare' makes it one"),
        (["status", "/"], "outside of the workspace"),
        (["checkout", "nothing"], "there is no such dataset"),
        (["push"], "no remote is set; name one with 'hitsave remote add NAME URL'"),
        (["push", "--remote", "home"], "no remote is set"),
        (["fsck", "--remote", "home"], "no remote is set"),
        (["remote", "add", "bad.name", "../remote"], "there is no setting"),
        (["remote", "add", "origin", "ftp://bucket"], "there are remotes at"),
        (["remote", "add", "origin", "bare"], "holds other files"),
        (["remote", "remove", "origin"], "there is no remote 'origin' in any settings file"),
        (["config", "get", "linsk"], "did you mean 'links'?"),
        (["config", "get", "remotes.origin"], "is not set"),
        (["config", "set", "links", "teleport"], "must be a list of reflink, hardlink, symlink, copy"),
        (["config", "set", "symlinks", "maybe"], "must be one of ignore, store, follow"),
        (["config", "unset", "links"], "is not set in the workspace"),
        (["rev-parse", "1234567"], "no object 1234567"),
        (["rev-parse", ""], "is no digest"),
        (["rev-parse", "."], ".: is no digest"),
        (["rev-parse", "/"], "/: is no digest"),
        (["rev-parse", "HEAD:"], "is no revision"),
        (["status", ".."], "outside of the workspace"),
        (["pull", "../elsewhere"], "outside of the workspace"),
        (["rev-parse", "word"], "is no digest (7 hex digits or more), ref, pointer file or dataset"),
        (["rev-parse", "datasets/project/data@" + "0" * 64], "there is no ref"),
        (["rev-parse", "HEAD:data"], "is no revision that git knows"),
        (["cat-file", "abcdef0"], "no object abcdef0"),
        (["ls-tree", "data/a.txt"], "is a blob, not a tree"),
        (["cat-file", "data:missing"], "has no missing"),
        (["rev-parse", "data/missing"], "has no missing"),
        (["forget", "data@1234567"], "there is no ref data@1234567"),
        (["undo"], "there is nothing to undo"),
        (["snapshot", "nothing"], "nothing"),
        (["snapshot", "--restore", "1234567", "out"], "no object 1234567"),
        (["snapshot", "--restore", "data", "bare"], "bare: exists; use --force"),
        (["hash-object", "nothing"], "nothing"),
    ],
)
def test_what_cannot_be_done(world: World, ann: User, arguments: list[str], says: str) -> None:
    ann.write({"file": b"x"}, "bare")
    (world.root / "ann" / "elsewhere").mkdir()
    ann.add()
    before = sorted(path for path in ann.workspace.rglob("*") if ".git" not in path.parts)
    assert says in ann.refused(*arguments)
    assert sorted(path for path in ann.workspace.rglob("*") if ".git" not in path.parts) == before


def test_an_ambiguous_abbreviation_lists_what_it_could_be(ann: User) -> None:
    # Of 40,000 digests, some begin with the same seven digits; found once, by trying numbers.
    from blake3 import blake3

    seen: dict[str, bytes] = {}
    pair: tuple[bytes, bytes] | None = None
    for number in range(200_000):
        content = b"%d" % number
        other = seen.setdefault(blake3(content).hexdigest()[:7], content)
        if other != content:
            pair = (other, content)
            break
    assert pair is not None
    ann.write({"one": pair[0], "two": pair[1]})
    ann.add()
    digests = [blake3(content).hexdigest() for content in pair]
    said = ann.refused("rev-parse", digests[0][:7])
    assert "is ambiguous" in said
    assert all(digest in said for digest in digests)
    assert ann.do("cat-file", digests[1]).out == pair[1]


def test_pointer_files_that_make_no_sense(ann: User) -> None:
    digest = ann.add()
    pointer = ann.workspace / "data.hitsave"
    good = pointer.read_text()
    ours = good.replace(digest, "0" * 64)
    conflict = f"<<<<<<< HEAD\n{good}=======\n{ours}>>>>>>> other\n"
    for text, says in [
        ("", "line 1: is not a pointer file"),
        ("garbage\n", "line 1: is not a pointer file"),
        (good.replace("hitsave 1", "hitsave 2"), "line 1: is not a pointer file of this version"),
        (good.replace(digest, digest[:12]), "is not a digest"),
        (good.replace("tree", "heap"), "is missing or not known"),
        (good.replace("files 3", "files many"), "is not a number"),
        (good + "colour red\n", "line 6: cannot be understood"),
        (conflict, "merge conflict"),
        ("x" * 10_000, "too large"),
    ]:
        pointer.write_text(text)
        for command in ("checkout", "pull"):
            assert says in ann.refused(command), (text, command)
        assert says in ann.run("status").said, text
    assert (ann.data / "a.txt").read_bytes() == b"first\n"


def test_a_pointer_file_of_an_object_that_nobody_has(world: World, ann: User) -> None:
    digest = ann.add()
    pointer = ann.workspace / "data.hitsave"
    wrong = digest[:-1] + ("0" if digest[-1] != "0" else "1")
    pointer.write_text(pointer.read_text().replace(digest, wrong))
    assert wrong in ann.refused("checkout")
    assert "no remote is set" in ann.refused("pull")
    ann.do("remote", "add", "origin", world.remote)
    assert "there is no hitsave remote there; 'hitsave push' makes one" in ann.refused("pull")
    ann.refused("push", "data")
    assert "run 'hitsave push' where it was added" in ann.run("push").said
    assert wrong in ann.refused("pull")
    assert wrong in ann.refused("fetch")
    assert (ann.data / "a.txt").read_bytes() == b"first\n"


def test_settings_that_cannot_be_read_are_named(ann: User) -> None:
    settings = ann.workspace / "hitsave.toml"
    for text, says in [
        ("symlinks = ", "is not valid TOML"),
        ("simlinks = 'store'\n", "did you mean 'symlinks'?"),
        ("symlinks = 'maybe'\n", "must be one of"),
        ("cache_dir = '/data'\n", "is of one machine"),
        ("remotes = 'x'\n", "must be a table"),
    ]:
        settings.write_text(text)
        said = ann.refused("status")
        assert str(settings) in said
        assert says in said


def test_a_remote_that_is_not_there_any_more(world: World, ann: User) -> None:
    ann.add()
    ann.do("remote", "add", "origin", world.remote)
    ann.do("push")
    world.remote.rename(world.root / "moved")
    world.remote.write_text("a file stands there now")
    assert str(world.remote) in ann.refused("-q", "push")
    ben = world.clone(ann)
    assert str(world.remote) in ben.refused("-q", "pull")
    done = ann.do("status", "--json")
    assert done.json[0]["pushed"] is None
    assert done.said.count("\n") == 1
    assert str(world.remote) in done.said


def test_a_remote_of_a_name_that_is_taken(world: World, ann: User) -> None:
    ann.do("remote", "add", "origin", world.remote)
    assert "there is a remote 'origin' already" in ann.refused("remote", "add", "origin", world.root / "other")
    assert "(there are: origin)" in ann.refused("push", "--remote", "home")
    assert ann.do("remote", "list").lines == [f"origin\t{world.remote}"]
    ann.do("remote", "remove", "origin")
    assert ann.do("remote", "list").lines == []
    assert world.remote.exists()


@pytest.mark.parametrize("command", ["pull", "fetch"])
def test_a_remote_that_nobody_set_where_nothing_is_missing(world: World, ann: User, command: str) -> None:
    ann.add()
    assert "no remote is set" in ann.refused(command, "--remote", "home")
    ann.do("remote", "add", "origin", world.remote)
    assert "there is no remote 'home' (there are: origin)" in ann.refused(command, "--remote", "home")
    assert "there is no remote 'home'" in ann.refused(command, "--remote", "home", environ={"HITSAVE_NO_CLOUD": "1"})
    ann.do(command, "--remote", "origin")
    ann.do(command)


def test_two_refs_that_a_name_could_mean(ann: User) -> None:
    digest = ann.add()
    ann.do("snapshot", "data")
    said = ann.refused("forget", digest[:12])
    assert f"datasets/project/data@{digest}" in said
    assert f"snapshots/{digest}" in said
    assert ann.do("forget", f"snapshots/{digest}").lines == [f"snapshots/{digest}"]
    assert ann.do("forget", digest[:12]).lines == [f"datasets/project/data@{digest}"]


def test_of_several_paths_a_wrong_one_stops_what_comes_after_it(ann: User) -> None:
    ann.write({"x": b"1"}, "other")
    done = ann.run("add", "data", "nothing", "other")
    assert done.code == 1
    assert [line.split("  ")[1] for line in done.lines] == ["data"]
    assert "nothing: does not exist" in done.said
    assert not (ann.workspace / "other.hitsave").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(ann: User) -> None:
    (ann.data / "a.txt").chmod(0)
    assert "a.txt: Permission denied" in ann.refused("add", "data")


def test_git_and_its_revisions(ann: User) -> None:
    first = ann.add()
    git(ann.workspace, "add", ".")
    git(ann.workspace, "commit", "--quiet", "-m", "first")
    ann.write({"a.txt": b"changed\n"})
    second = ann.add()
    assert ann.do("rev-parse", "HEAD:data").text.strip() == first
    assert ann.do("rev-parse", "HEAD:data.hitsave", "data").lines == [first, second]
    assert ann.do("rev-parse", "HEAD:./data", folder=ann.workspace).lines == [first]
    (ann.workspace / "sub").mkdir()
    assert ann.do("rev-parse", "HEAD:../data", folder=ann.workspace / "sub").lines == [first]
    assert "has no file" in ann.refused("rev-parse", "HEAD:nothing")
    assert "is no revision that git knows" in ann.refused("rev-parse", "v1:data")


def test_commands_in_a_folder_that_is_no_workspace(tmp_path: Path) -> None:
    user = User(tmp_path / "bare", tmp_path / "cache", tmp_path / "config")
    user.workspace.mkdir()
    user.write({"a": b"1"})
    assert user.add() == user.do("hash-object", "data").text.strip()
    assert user.do("status").lines[0].startswith("clean")
    assert not (user.workspace / ".gitignore").exists()
    assert "is not in a git repository" in user.refused("rev-parse", "HEAD:data")
