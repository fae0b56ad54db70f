"""What differs: between versions, and between what is recorded and the working files."""

from __future__ import annotations

import shutil

import pytest

from tests.cli.world import User, World, git

TEXT = "".join(f"line {number}\n" for number in range(40)).encode()


def commit(user: User, message: str) -> str:
    """Commit the pointer files; the commit's hex name."""
    git(user.workspace, "add", "--all")
    git(user.workspace, "commit", "--quiet", "--message", message)
    return git(user.workspace, "rev-parse", "HEAD").strip()


def cloned(world: World, user: User, name: str = "ben") -> User:
    """Another user, with the history of the first one in git."""
    other = world.user(name, remote=True)
    git(other.workspace, "add", "--all")
    git(other.workspace, "pull", "--quiet", "--tags", user.workspace, "HEAD")
    return other


@pytest.fixture
def changed(world: World) -> User:
    """A dataset of two versions, both committed, of which the second is checked out."""
    ann = world.user()
    ann.write({"same": b"same\n", "goes": b"goes\n", "moves/a": b"moves\n" * 9, "text": TEXT, "tool": b"#!\n"})
    ann.add()
    commit(ann, "first")
    (ann.data / "goes").unlink()
    (ann.data / "moves").rename(ann.data / "moved")
    (ann.data / "tool").chmod(0o755)
    (ann.data / "text").rename(ann.data / "prose")
    ann.write({"prose": TEXT.replace(b"line 7\n", b"line seven\n"), "comes/new": b"new\n", "same": b"same\nbut more\n"})
    ann.add()
    commit(ann, "second")
    return ann


LINES = [
    "added    comes/new",
    "removed  goes",
    "renamed  moves/a -> moved/a",
    "renamed  text -> prose (96% alike)",
    "changed  same",
    "mode     tool",
]


def test_two_versions_named_in_every_way(changed: User) -> None:
    new = changed.state()["digest"]
    old = changed.do("rev-parse", "HEAD~1:data").text.strip()
    befores = (old, old[:9], "HEAD~1:data", "HEAD~1:data.hitsave", old)
    for before, after in zip(befores, (new, new[:9], "data.hitsave", "data", "HEAD:data"), strict=True):
        assert sorted(changed.do("diff", before, after).lines) == sorted(LINES), (before, after)
    assert changed.do("diff", "data", "data.hitsave").out == b""
    assert changed.do("diff").out == b""
    backwards = changed.do("diff", "data", "HEAD~1:data").lines
    assert "added    goes" in backwards
    assert "renamed  moved/a -> moves/a" in backwards


def test_one_side_is_compared_with_the_working_files(changed: User) -> None:
    old = changed.do("rev-parse", "HEAD~1:data").text.strip()
    told = [line.replace(" data/", " ") for line in changed.do("diff", "HEAD~1:data").lines]
    assert sorted(told) == sorted(LINES)
    assert changed.do("diff", old).lines == changed.do("diff", "HEAD~1:data").lines
    assert changed.do("diff", f"{old}:same").lines == ["changed  data/same"]
    changed.write({"same": b"mine\n"})
    for words in ([], ["data"], ["data.hitsave"], ["."], ["HEAD:data"], ["HEAD:data/same"], ["data/same"]):
        assert changed.do("diff", *words).lines == ["changed  data/same"], words
    changed.write({"comes/other": b"other\n"})
    assert changed.do("diff", "data/comes").lines == ["added    data/comes/other"]
    assert changed.do("diff", "HEAD:data/comes").lines == ["added    data/comes/other"]
    assert sorted(changed.do("diff", folder=changed.data).lines) == ["added    comes/other", "changed  same"]


def test_parts_of_versions(changed: User) -> None:
    assert changed.do("diff", "HEAD~1:data/moves", "HEAD:data/moved").out == b""
    assert changed.do("diff", "HEAD~1:data/same", "data/same").lines == ["changed  same"]
    said = changed.refused("diff", "HEAD~1:data/none", "data")
    assert "none" in said


def test_sizes_and_totals(changed: User) -> None:
    lines = changed.do("diff", "--stat", "HEAD~1:data", "data").lines
    assert "added    comes/new  +4 B" in lines
    assert "removed  goes  -5 B" in lines
    assert "changed  same  +9 B" in lines
    assert lines[-1] == "1 added, 1 changed, 1 mode, 1 removed, 2 renamed; +12 B"


def test_lines_of_text_files(changed: User) -> None:
    changed.write({"same": b"same\nand less", "bytes": b"\0\1\2", "vast": b"a line\n" * 50_000})
    text = changed.do("diff", "--content", "HEAD~1:data", "data").text
    assert "--- a/text\n+++ b/prose\n" in text
    assert "\n-line 7\n+line seven\n" in text
    assert "\n+and less\n\\ No newline at end of file\n" in text
    assert "--- a/goes\n+++ /dev/null\n@@ -1 +0,0 @@\n-goes\n" in text
    assert "added    bytes\n    is no text\n" in text
    assert "added    vast\n    too large to be shown\n" in text
    assert "moves\n" not in text.replace("moves/a -> moved/a", "")
    assert "give one of them" in changed.refused("diff", "--content", "--json", code=2)


def test_json(changed: User) -> None:
    (told,) = changed.do("diff", "--json", "HEAD~1:data", "data").json
    by_path = {change["path"]: change for change in told["changes"]}
    assert (told["old"], told["new"], told["not_fetched"]) == ("HEAD~1:data", "data", 0)
    assert by_path["prose"]["kind"] == "renamed"
    assert by_path["prose"]["old_path"] == "text"
    assert by_path["prose"]["alike"] == 96
    assert by_path["moved/a"]["alike"] == 100
    assert by_path["goes"]["new"] is None
    assert by_path["comes/new"]["new"]["size"] == 4
    assert by_path["tool"]["old"]["kind"] == "file"
    assert by_path["tool"]["new"]["kind"] == "executable"


def test_renames_keep_names_where_several_files_are_the_same(world: World) -> None:
    ann = world.user()
    ann.write({f"old/{name}": b"same content" for name in "abc"} | {"empty": b""})
    old = ann.add()
    (ann.data / "old").rename(ann.data / "new")
    (ann.data / "new/a").rename(ann.data / "new/z")
    (ann.data / "empty").rename(ann.data / "hollow")
    assert ann.do("diff", old, "data").lines == [
        "removed  empty",
        "added    hollow",
        "renamed  old/b -> new/b",
        "renamed  old/c -> new/c",
        "renamed  old/a -> new/z",
    ]


def test_single_files_and_what_becomes_of_them(world: World) -> None:
    ann = world.user()
    ann.write({"model": b"weights\n"}, "")
    old = ann.add("model")
    ann.write({"model": b"heavier weights\n"}, "")
    for words in ([], ["model"], ["model.hitsave"]):
        assert ann.do("diff", *words).lines == ["changed  model"]
    assert ann.do("diff", old, "model").lines == ["changed  model"]
    (ann.workspace / "model").chmod(0o755)
    ann.write({"model": b"weights\n"}, "")
    assert ann.do("diff").lines == ["mode     model"]
    (ann.workspace / "model").unlink()
    ann.write({"part": b"1"}, "model")
    assert sorted(ann.do("diff").lines) == ["added    model/part", "removed  model"]


def test_versions_that_are_elsewhere_are_compared_without_their_files(world: World, changed: User) -> None:
    changed.write({"large": bytes(range(251)) * 4000})
    changed.add()
    commit(changed, "third")
    changed.do("remote", "add", "origin", world.remote)
    changed.do("push")
    ben = cloned(world, changed)
    # What is alike cannot be told without the contents.
    expected = [line for line in LINES if "alike" not in line] + ["added    prose", "removed  text"]
    assert sorted(ben.do("diff", "HEAD~2:data", "HEAD~1:data").lines) == sorted(expected)
    told = ben.do("diff", "HEAD~1:data", "HEAD:data").lines
    assert told == ["added    large"]
    assert not [path for path in (ben.cache / "objects").rglob("*") if path.is_file()]
    assert ben.do("gc", "--dry-run", "--json").json["objects"] == []
    assert "--- a/" in ben.do("diff", "--content", "HEAD~2:data", "HEAD~1:data").text
    assert not [path for path in (ben.cache / "objects").rglob("*") if path.is_file()]
    shutil.rmtree(world.remote)
    assert ben.run("diff", "HEAD~1:data", "HEAD:data").code == 1


def test_what_was_not_fetched_is_no_difference(world: World, changed: User) -> None:
    changed.do("remote", "add", "origin", world.remote)
    changed.do("push")
    ben = cloned(world, changed)
    assert "is not checked out" in ben.do("diff").said
    ben.do("pull", "--include", "/comes/")
    done = ben.do("diff")
    assert done.out == b""
    assert "4 files not pulled" in done.said
    ben.write({"comes/new": b"mine\n"})
    assert ben.do("diff").lines == ["changed  data/comes/new"]


def test_mistakes(changed: User) -> None:
    assert "two at most" in changed.refused("diff", "a", "b", "c", code=2)
    assert "is no digest" in changed.refused("diff", "nothing")
    assert "no revision that git knows" in changed.refused("diff", "nowhere:data", "data")
    assert "has no file" in changed.refused("diff", "HEAD:nothing", "data")
    outside = changed.do("snapshot", "data/same").text.strip()
    assert changed.do("diff", outside).out == b""
    shutil.rmtree(changed.data)
    assert "is not checked out" in changed.refused("diff", "HEAD~1:data", "data")
    assert "does not exist" in changed.refused("diff", "HEAD~1:data")


def test_hostile_names_stay_on_their_line(world: World) -> None:
    ann = world.user()
    ann.write({"x": b"1"})
    old = ann.add()
    ann.write({"line\nbreak\x1b[31m": b"2"})
    assert ann.do("diff", old, "data").lines == ['added    "line\\nbreak\\033[31m"']
    text = ann.do("diff", "--content", old, "data").text
    assert '+++ "b/line\\nbreak\\033[31m"\n' in text
    (told,) = ann.do("diff", "--json", old, "data").json
    assert told["changes"][0]["path"] == "line\nbreak\x1b[31m"
