"""What can be a dataset: directories, single files, several of them, wherever they lie in a workspace."""

from __future__ import annotations

import os

import pytest

from tests.cli.world import User, World, assert_same, git, settle


def test_two_datasets_in_one_directory(world: World) -> None:
    ann = world.user(remote=True)
    ann.write({"train.csv": b"1,2\n" * 100, "test.csv": b"3,4\n" * 100}, "sub")
    done = ann.do("add", "sub/train.csv", "sub/test.csv")
    assert [line.split("  ")[1] for line in done.lines] == ["sub/train.csv", "sub/test.csv"]
    ignored = (ann.workspace / "sub/.gitignore").read_text().splitlines()
    assert sorted(ignored) == ["/test.csv", "/train.csv"]
    assert git(ann.workspace, "status", "--porcelain", "-uall").splitlines() == [
        "?? hitsave.toml",
        "?? sub/.gitignore",
        "?? sub/test.csv.hitsave",
        "?? sub/train.csv.hitsave",
    ]
    ann.do("push")
    ben = world.clone(ann)
    ben.do("pull", "sub/test.csv")
    assert sorted(path.name for path in (ben.workspace / "sub").glob("*.csv")) == ["test.csv"]
    ben.do("pull", "sub")
    assert (ben.workspace / "sub/train.csv").read_bytes() == b"1,2\n" * 100
    assert [item["state"] for item in ben.do("status", "--json").json] == ["clean", "clean"]


@pytest.mark.parametrize("size", [0, 10, 500_000])
@pytest.mark.parametrize("executable", [False, True])
def test_a_single_file(world: World, size: int, executable: bool) -> None:
    ann = world.user(remote=True)
    content = bytes(range(250)) * (size // 250 + 1)
    tool = ann.workspace / "tool.bin"
    tool.write_bytes(content[:size])
    tool.chmod(0o755 if executable else 0o644)
    digest = ann.add("tool.bin")
    assert ("executable yes" in (ann.workspace / "tool.bin.hitsave").read_text()) is executable
    ann.do("push")
    ben = world.clone(ann)
    ben.do("pull")
    pulled = ben.workspace / "tool.bin"
    assert pulled.read_bytes() == content[:size]
    assert os.access(pulled, os.X_OK) is executable
    assert ben.state("tool.bin")["state"] == "clean"
    assert ben.do("hash-object", "tool.bin").text.strip() == digest

    pulled.chmod(0o644 if executable else 0o755)
    assert ben.state("tool.bin")["state"] == "modified"
    assert ben.add("tool.bin") == digest
    assert ben.state("tool.bin")["state"] == "clean"
    ann.do("checkout", "--force")
    assert ann.state("tool.bin")["state"] == "clean"


def test_a_nested_path(world: World) -> None:
    ann = world.user(remote=True)
    ann.write({"x/y": b"1"}, "sub/dir/data")
    digest = ann.add("sub/dir/data")
    assert (ann.workspace / "sub/dir/data.hitsave").is_file()
    assert (ann.workspace / "sub/dir/.gitignore").read_text() == "/data\n"
    assert ann.do("show-ref").lines == [f"{digest} datasets/project/sub/dir/data@{digest}"]
    ann.do("push")
    ben = world.clone(ann)
    ben.do("pull", folder=ben.workspace / "sub")
    assert_same(ann.workspace / "sub/dir/data", ben.workspace / "sub/dir/data")
    status = ben.do("status", "--json", "dir", folder=ben.workspace / "sub").json
    assert [item["state"] for item in status] == ["clean"]


def test_from_another_folder(ann: User) -> None:
    ann.do("-C", ann.data, "add", "sub", folder=ann.config)
    assert (ann.data / "sub.hitsave").is_file()
    assert (
        ann.do("-C", ann.data, "rev-parse", "sub", folder=ann.config).lines == ann.do("hash-object", "data/sub").lines
    )
    assert ann.do("-C", ann.data / "sub", "status", "..", folder=ann.config).lines[0].startswith("clean")


def test_empty_directories_and_an_empty_dataset(world: World) -> None:
    ann = world.user(remote=True)
    (ann.data / "empty/deeper/still").mkdir(parents=True)
    (ann.workspace / "nothing").mkdir()
    ann.write({"full/x": b""})
    ann.do("add", "data", "nothing")
    ann.do("push")
    ben = world.clone(ann)
    ben.do("pull")
    assert_same(ann.data, ben.data)
    assert (ben.data / "empty/deeper/still").is_dir()
    assert list((ben.workspace / "nothing").iterdir()) == []
    (ben.data / "empty/deeper/still").rmdir()
    assert ben.state()["changes"] == [{"kind": "removed", "path": "empty/deeper/still"}]


def test_a_file_becomes_a_directory_and_back(world: World) -> None:
    ann = world.user(remote=True)
    ann.write({"thing": b"a file", "other/x": b"1"})
    first = ann.add()
    ann.do("push")
    ben = world.clone(ann)
    ben.do("pull")
    (ann.data / "thing").unlink()
    ann.write({"thing/inner": b"a directory"})
    (ann.data / "other/x").unlink()
    (ann.data / "other").rmdir()
    ann.write({"other": b"a file now"})
    ann.add()
    ann.do("push")
    before = (ben.workspace / "data.hitsave").read_bytes()
    (ben.workspace / "data.hitsave").write_bytes((ann.workspace / "data.hitsave").read_bytes())
    ben.do("pull")
    assert_same(ann.data, ben.data)
    (ben.workspace / "data.hitsave").write_bytes(before)
    ben.do("checkout")
    assert ben.do("hash-object", "data").text.strip() == first


def test_quiet_says_nothing(world: World, ann: User) -> None:
    ann.add()
    ann.do("remote", "add", "origin", world.remote)
    for arguments in (["add", "data"], ["push"], ["pull"], ["status"], ["checkout"], ["gc"], ["fsck"]):
        assert ann.do("-q", *arguments).said == "", arguments
    assert ann.do("-q", "add", "data").text != ""


def test_the_end_of_every_command_says_what_was_done(world: World, ann: User) -> None:
    settle()
    assert "3 files, 1.0 kB: 3 files read, " in ann.do("add", "data").said
    assert ann.do("add", "data").said == "3 files, 1.0 kB: unchanged\n"
    ann.do("remote", "add", "origin", world.remote)
    assert "5 objects, " in ann.do("push").said
    assert "everything is there already; nothing was sent to" in ann.do("push").said
    ben = world.clone(ann)
    assert "data: 3 files written, 1.0 kB\n" in ben.do("pull").said
    assert "data: as it should be\n" in ben.do("pull").said
    assert ben.do("fetch").said == "everything is in the cache already\n"
    assert "5 objects, " in ben.do("fsck").said
    assert "no faults" in ben.do("fsck").said


def test_git_ignores_exactly_the_dataset(world: World) -> None:
    ann = world.user()
    for name in ("data", "data2", "[x]", "a*b", "sp ace ", "#hash", "!bang", "back\\slash"):
        ann.write({"x": b"1"}, name)
    for _ in range(2):
        ann.do("add", "data", "[x]", "a*b", "sp ace ", "#hash", "!bang", "back\\slash")
    untracked = git(ann.workspace, "-c", "core.quotePath=false", "status", "--porcelain", "-z", "-uall").split("\0")
    shown = {line[3:] for line in untracked if not line.endswith(".hitsave") and line}
    assert shown == {".gitignore", "data2/x"}
    assert len((ann.workspace / ".gitignore").read_text().splitlines()) == 7


def test_the_pointer_file_is_not_touched_where_nothing_changed(ann: User) -> None:
    ann.add()
    pointer = ann.workspace / "data.hitsave"
    before = (pointer.stat().st_ino, pointer.stat().st_mtime_ns)
    ann.add()
    assert (pointer.stat().st_ino, pointer.stat().st_mtime_ns) == before


def test_files_that_were_not_made_from_the_version_that_git_brought(ann: User) -> None:
    """The version that is left behind by that stays, and a note says so."""
    ann.write({"a.txt": b"a", "b.txt": b"b"})
    first = ann.add()
    pointer = ann.workspace / "data.hitsave"
    old = pointer.read_bytes()
    ann.write({"a.txt": b"changed"})
    second = ann.add()
    assert "was not made from" not in ann.do("add", "data").said
    pointer.write_bytes(old)  # As `git checkout` does.
    ann.write({"b.txt": b"mine"})
    said = ann.do("add", "data").said
    assert f"its pointer file named {first[:12]}, which these files were not made from" in said
    assert f"hitsave diff {first[:12]} data" in said
    assert ann.do("cat", f"{second}:a.txt").text == "changed"
    ann.do("checkout")
    assert "was not made from" not in ann.do("add", "data").said
