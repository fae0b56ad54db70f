"""Working files follow their pointer files, and what was not saved is never lost."""

from __future__ import annotations

import os
import re

from tests.cli.world import User, World, assert_same


def versions(user: User) -> tuple[str, str]:
    """Two versions of `data`, the second of which is checked out."""
    first = user.add()
    (user.workspace / "first.hitsave").write_bytes((user.workspace / "data.hitsave").read_bytes())
    (user.data / "sub/c.bin").unlink()
    user.write({"a.txt": b"changed\n", "new/d.txt": b"new\n"})
    return first, user.add()


def point_to_first(user: User) -> None:
    (user.workspace / "data.hitsave").write_bytes((user.workspace / "first.hitsave").read_bytes())


def test_back_and_forth(ann: User) -> None:
    first, second = versions(ann)
    later = (ann.workspace / "data.hitsave").read_bytes()
    point_to_first(ann)
    assert {change["path"] for change in ann.state()["changes"]} == {"a.txt", "new/d.txt", "sub/c.bin"}
    ann.do("checkout")
    assert ann.do("hash-object", "data").text.strip() == first
    assert not (ann.data / "new").exists()
    (ann.workspace / "data.hitsave").write_bytes(later)
    ann.do("checkout", "data.hitsave")
    assert ann.do("hash-object", "data").text.strip() == second
    assert "as it should be" in ann.do("checkout").said
    assert sorted(path.name for path in ann.workspace.iterdir() if path.name.startswith(".hitsave-")) == []


def test_unsaved_changes_are_refused_and_with_force_can_be_recovered(ann: User) -> None:
    first, _ = versions(ann)
    point_to_first(ann)
    ann.write({"a.txt": b"precious, never added\n", "mine.txt": b"also precious\n"})
    said = ann.refused("checkout")
    assert "unsaved changes would be lost" in said
    assert "a.txt" in said
    assert "mine.txt" in said
    assert "hitsave add" in said
    assert "--force" in said
    assert (ann.data / "a.txt").read_bytes() == b"precious, never added\n"

    done = ann.do("checkout", "--force")
    assert ann.do("hash-object", "data").text.strip() == first
    kept = re.search(r"what was discarded is kept as ([0-9a-f]+)", done.said)
    assert kept is not None
    ann.do("snapshot", "--restore", kept[1], "rescued")
    assert (ann.workspace / "rescued/a.txt").read_bytes() == b"precious, never added\n"
    assert (ann.workspace / "rescued/mine.txt").read_bytes() == b"also precious\n"
    assert (ann.workspace / "rescued/new/d.txt").read_bytes() == b"new\n"


def test_a_file_that_stands_in_the_way_is_not_replaced(world: World) -> None:
    ann = world.user()
    ann.write({"x": b"dataset"}, "data")
    ann.add()
    (ann.data / "x").unlink()
    ann.data.rmdir()
    ann.data.write_bytes(b"a file of mine")
    assert "unsaved changes" in ann.refused("checkout")
    assert ann.data.read_bytes() == b"a file of mine"
    ann.do("checkout", "--force")
    assert (ann.data / "x").read_bytes() == b"dataset"


def test_a_folder_that_stands_where_a_file_belongs(world: World) -> None:
    ann = world.user()
    ann.write({"model": b"weights"}, "")
    ann.add("model")
    (ann.workspace / "model").unlink()
    ann.write({"precious": b"1"}, "model")
    assert "unsaved changes" in ann.refused("checkout")
    done = ann.do("checkout", "--force")
    kept = re.search(r"kept as ([0-9a-f]+)", done.said)
    assert kept is not None
    assert (ann.workspace / "model").read_bytes() == b"weights"
    ann.do("snapshot", "--restore", kept[1], "rescued")
    assert (ann.workspace / "rescued/precious").read_bytes() == b"1"


def test_files_that_are_left_out_stay(ann: User) -> None:
    (ann.data / ".hitsaveignore").write_text("*.log\nscratch/\n")
    first, _ = versions(ann)
    ann.write({"run.log": b"keep me\n", "sub/deep.log": b"me too\n", "scratch/notes": b"and me\n"})
    assert ann.state()["state"] == "clean"
    point_to_first(ann)
    ann.do("checkout")
    assert ann.do("hash-object", "data").text.strip() == first
    assert (ann.data / "run.log").read_bytes() == b"keep me\n"
    assert (ann.data / "sub/deep.log").read_bytes() == b"me too\n"
    assert (ann.data / "scratch/notes").read_bytes() == b"and me\n"


def test_a_file_that_is_left_out_is_not_overwritten_by_one_of_its_name(ann: User) -> None:
    ann.write({"run.log": b"of the dataset\n"})
    first = ann.add()
    (ann.workspace / "first.hitsave").write_bytes((ann.workspace / "data.hitsave").read_bytes())
    (ann.data / "run.log").unlink()
    (ann.data / ".hitsaveignore").write_text("*.log\n")
    ann.add()
    ann.write({"run.log": b"of mine\n"})
    point_to_first(ann)
    assert "run.log" in ann.refused("checkout")
    assert (ann.data / "run.log").read_bytes() == b"of mine\n"
    assert (ann.data / "a.txt").read_bytes() == b"first\n"
    assert (ann.data / ".hitsaveignore").exists()
    ann.do("checkout", "--force")
    assert ann.do("hash-object", "data").text.strip() == first
    assert (ann.data / "run.log").read_bytes() == b"of the dataset\n"


def test_a_removed_file_and_a_removed_dataset_come_back(world: World, ann: User) -> None:
    ann.write({"keep/x": b"1"}, "copy")
    ann.add()
    ann.do("snapshot", "--restore", "data", world.root / "reference")
    (ann.data / "a.txt").unlink()
    assert ann.state()["changes"] == [{"kind": "removed", "path": "a.txt"}]
    ann.do("checkout")
    assert_same(world.root / "reference", ann.data)
    for path in sorted(ann.data.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    ann.data.rmdir()
    assert ann.state()["state"] == "missing"
    ann.do("checkout", "data")
    assert_same(world.root / "reference", ann.data)


def test_an_executable_bit_is_a_change_of_its_own(ann: User) -> None:
    ann.add()
    (ann.data / "a.txt").chmod(0o755)
    assert ann.state()["changes"] == [{"kind": "mode", "path": "a.txt"}]
    assert "unsaved changes" in ann.refused("checkout")
    ann.do("checkout", "--force")
    assert not os.access(ann.data / "a.txt", os.X_OK)
    assert ann.state()["state"] == "clean"


def test_working_files_can_be_edited_without_harm_to_the_cache(ann: User) -> None:
    ann.write({"large": bytes(range(256)) * 1000})
    digest = ann.add()
    for links in ("reflink,copy", "copy", "hardlink,copy", "symlink,copy"):
        ann.do("config", "set", "links", links)
        done = ann.do("snapshot", "--restore", digest, f"out-{links.split(',')[0]}")
        assert "4 files written" in done.said
    for kind in ("reflink", "copy"):
        with (ann.workspace / f"out-{kind}" / "large").open("r+b") as file:
            file.write(b"edited")
    ann.do("fsck")
    assert (ann.workspace / "out-hardlink/large").stat().st_nlink == 2
    assert (ann.workspace / "out-symlink/large").is_symlink()


def test_a_pull_never_overwrites_either(world: World) -> None:
    ann = world.user(remote=True)
    ann.write({"a": b"1", "b": b"2"})
    ann.add()
    ann.do("push")
    ben = world.clone(ann)
    ben.write({"a": b"ben's own"})
    assert "unsaved changes" in ben.refused("pull")
    assert (ben.data / "a").read_bytes() == b"ben's own"
    assert not (ben.data / "b").exists()
    done = ben.do("pull", "--force")
    assert "kept as" in done.said
    assert_same(ann.data, ben.data)


def test_restoring_over_something_keeps_it_first(ann: User) -> None:
    digest = ann.add()
    ann.write({"x": b"precious"}, "out")
    assert "--force" in ann.refused("snapshot", "--restore", digest, "out")
    done = ann.do("snapshot", "--restore", "--force", digest, "out")
    kept = re.search(r"kept as ([0-9a-f]+)", done.said)
    assert kept is not None
    assert_same(ann.data, ann.workspace / "out")
    ann.do("gc", "--keep", "0")
    ann.do("snapshot", "--restore", kept[1], "rescued")
    assert (ann.workspace / "rescued/x").read_bytes() == b"precious"


def test_nothing_of_what_is_replaced_is_left_out_of_what_is_kept(ann: User) -> None:
    digest = ann.add()
    ann.write({"x": b"1", ".hitsaveignore": b"*.log\n", "run.log": b"precious"}, "out")
    (ann.workspace / "out/link").symlink_to("x")
    done = ann.do("snapshot", "--restore", "--force", digest, "out")
    kept = re.search(r"kept as ([0-9a-f]+)", done.said)
    assert kept is not None
    ann.do("snapshot", "--restore", kept[1], "rescued")
    assert (ann.workspace / "rescued/run.log").read_bytes() == b"precious"
    assert os.readlink(ann.workspace / "rescued/link") == "x"


def test_what_cannot_be_kept_is_not_replaced(ann: User) -> None:
    digest = ann.add()
    ann.write({"x": b"1"}, "out")
    (ann.workspace / "out/link").symlink_to("/etc/hostname")
    assert "out of the directory" in ann.refused("snapshot", "--restore", "--force", digest, "out")
    assert (ann.workspace / "out/link").is_symlink()
    assert (ann.workspace / "out/x").read_bytes() == b"1"


def test_a_directory_that_becomes_a_file_keeps_what_was_left_out_of_it(ann: User) -> None:
    ann.write({".hitsaveignore": b"*.log\n"})
    ann.add()
    ann.write({"run.log": b"precious"})
    ann.write({"one": b"1"}, "")
    ann.add("one")
    (ann.workspace / "data.hitsave").write_bytes((ann.workspace / "one.hitsave").read_bytes())
    assert "run.log" in ann.refused("checkout", "data")
    assert (ann.data / "run.log").read_bytes() == b"precious"
    (ann.data / "run.log").unlink()
    ann.do("checkout", "data")
    assert ann.data.read_bytes() == b"1"


def test_files_that_are_links_into_the_cache_are_files(ann: User) -> None:
    ann.write({"large": bytes(range(256)) * 1000, "large-tool": bytes(range(255)) * 1000})
    (ann.data / "large-tool").chmod(0o755)
    digest = ann.add()
    ann.do("config", "set", "links", "symlink,copy")
    (ann.data / "large").unlink()
    (ann.data / "large-tool").unlink()
    ann.do("checkout")
    assert (ann.data / "large").is_symlink()
    assert os.access(ann.data / "large-tool", os.X_OK)
    assert ann.state()["state"] == "clean"
    assert ann.add() == digest
    (ann.data / "large").unlink()
    ann.write({"large": b"replaced"})
    assert ann.state()["changes"] == [{"kind": "changed", "path": "large"}]
    ann.do("fsck")


def test_damaged_files_of_the_cache_are_fetched_again(world: World) -> None:
    ann = world.user(remote=True)
    contents = {f"{number}.bin": bytes([number]) * 200_000 for number in range(4)}
    ann.write({**contents, "small": b"1"})
    digest = ann.add()
    ann.do("push")
    for path in ann.data.iterdir():
        path.unlink()
    damaged = [path for path in (ann.cache / "objects").rglob("*") if path.is_file()][:3]
    for path in damaged:
        path.chmod(0o644)
        path.write_bytes(b"damaged")
    assert "corrupt" in ann.refused("checkout")
    ann.do("pull")
    assert ann.do("hash-object", "data").text.strip() == digest
    ann.do("fsck")
