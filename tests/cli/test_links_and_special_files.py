"""Symbolic links, sockets and FIFOs, and files that stay out."""

from __future__ import annotations

import os
import socket

import pytest

from tests.cli.world import User, World, assert_same


def test_links_are_left_out_with_one_note(world: World, ann: User) -> None:
    before = ann.do("hash-object", "data").text
    (ann.data / "link").symlink_to("a.txt")
    (ann.data / "sub/out").symlink_to("/etc")
    done = ann.do("add", "data")
    assert "2 symbolic links were left out (link, sub/out); 'hitsave config set symlinks store'" in done.said
    assert done.text.split()[0] == before.strip()
    ann.do("remote", "add", "origin", world.remote)
    ann.do("push")
    ben = world.clone(ann)
    ben.do("pull")
    assert not os.path.lexists(ben.data / "link")


def test_links_are_stored(world: World, ann: User) -> None:
    ann.do("config", "set", "symlinks", "store")
    (ann.data / "link").symlink_to("a.txt")
    (ann.data / "sub/up").symlink_to("../sub/b.txt")
    (ann.data / "dangling").symlink_to("nowhere")
    (ann.data / "folder").symlink_to("sub", target_is_directory=True)
    digest = ann.add()
    ann.do("remote", "add", "origin", world.remote)
    ann.do("push")
    ben = world.clone(ann)
    ben.do("pull")
    assert_same(ann.data, ben.data)
    assert os.readlink(ben.data / "sub/up") == "../sub/b.txt"
    assert ben.add() == digest
    (ann.data / "link").unlink()
    (ann.data / "link").symlink_to("sub/b.txt")
    assert ann.state()["changes"] == [{"kind": "changed", "path": "link"}]
    ann.add()
    (ben.workspace / "data.hitsave").write_bytes((ann.workspace / "data.hitsave").read_bytes())
    ann.do("push")
    ben.do("pull")
    assert_same(ann.data, ben.data)


@pytest.mark.parametrize("target", ["/etc/hostname", "../outside", "sub/../../outside", ".."])
def test_links_that_lead_out_are_left_out_with_a_warning(ann: User, target: str) -> None:
    ann.do("config", "set", "symlinks", "store")
    digest = ann.add()
    (ann.data / "link").symlink_to(target)
    said = ann.do("add", "data").said
    assert "1 symbolic link was left out (link); outside of the directory they" in said
    assert ann.add() == digest


def test_links_are_followed(world: World, ann: User) -> None:
    ann.write({"x": b"outside\n"}, "elsewhere")
    (ann.data / "link").symlink_to("a.txt")
    (ann.data / "folder").symlink_to("../elsewhere", target_is_directory=True)
    ann.do("config", "set", "symlinks", "follow")
    digest = ann.add()
    ann.do("snapshot", "--restore", digest, "out")
    assert (ann.workspace / "out/link").read_bytes() == b"first\n"
    assert (ann.workspace / "out/folder/x").read_bytes() == b"outside\n"
    assert not (ann.workspace / "out/folder").is_symlink()
    ann.write({"x": b"changed\n"}, "elsewhere")
    assert [change["path"] for change in ann.state()["changes"]] == ["folder/x"]


def test_links_that_lead_back_or_nowhere_are_named(ann: User) -> None:
    ann.do("config", "set", "symlinks", "follow")
    (ann.data / "sub/loop").symlink_to("..", target_is_directory=True)
    assert "data/sub/loop: a symbolic link that leads back" in ann.refused("add", "data")
    (ann.data / "sub/loop").unlink()
    (ann.data / "sub/nothing").symlink_to("nowhere")
    assert "data/sub/nothing: a symbolic link to nothing" in ann.refused("add", "data")
    (ann.data / "sub/nothing").unlink()
    (ann.data / "sub/itself").symlink_to("itself")
    assert "data/sub/itself: " in ann.refused("add", "data")


@pytest.mark.parametrize("symlinks", ["ignore", "store", "follow"])
def test_fifos_and_sockets_are_refused_by_name(ann: User, symlinks: str) -> None:
    ann.do("config", "set", "symlinks", symlinks)
    os.mkfifo(ann.data / "sub/pipe")
    assert "data/sub/pipe: a FIFO cannot be kept" in ann.refused("add", "data")
    assert "data/sub/pipe: a FIFO cannot be kept" in ann.refused("add", "data/sub/pipe")
    (ann.data / "sub/pipe").unlink()
    folder = os.getcwd()
    os.chdir(ann.data)  # The name of a socket must be short.
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("plug")
            assert "data/plug: a socket cannot be kept" in ann.refused("hash-object", "data")
    finally:
        os.chdir(folder)
    (ann.data / ".hitsaveignore").write_text("plug\n")
    ann.add()


def test_ignored_files_stay_out(world: World) -> None:
    ann = world.user(remote=True)
    ann.write({"keep/x.txt": b"1", "keep/x.log": b"2", "skip/y": b"3", "keep/important.log": b"4"})
    (ann.workspace / ".hitsaveignore").write_text("*.log\n")
    (ann.data / ".hitsaveignore").write_text("skip/\n!important.log\n")
    ann.add()
    listed = ann.do("ls-tree", "-r", "--json", "data").json
    assert [item["path"] for item in listed] == [".hitsaveignore", "keep/important.log", "keep/x.txt"]
    assert ann.state()["state"] == "clean"
    (ann.data / ".hitsaveignore").write_text("skip/\n")
    assert [(change["kind"], change["path"]) for change in ann.state()["changes"]] == [
        ("changed", ".hitsaveignore"),
        ("removed", "keep/important.log"),
    ]


def test_a_dataset_that_is_a_link(world: World, ann: User) -> None:
    """People keep data on another disk, and link to it."""
    away = world.root / "disk"
    ann.data.rename(away)
    ann.data.symlink_to(away, target_is_directory=True)
    digest = ann.add()
    assert digest == ann.do("hash-object", away).text.strip()
    assert ann.data.is_symlink()
    assert ann.state()["state"] == "clean"
    (away / "a.txt").write_bytes(b"changed")
    assert [change["path"] for change in ann.state()["changes"]] == ["a.txt"]
