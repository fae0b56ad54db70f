"""Names that break other tools come back as they were, in datasets and as datasets."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from tests.cli.world import User, World, assert_same, git

HOSTILE = [
    b"line\nbreak",
    b"carriage\rreturn",
    b"tab\there",
    b"-rf",
    b"--help",
    b" leading and trailing ",
    b'quote\'s "double"',
    b"back\\slash",
    b"dollar$HOME `id` ;&|",
    b"star*question?[abc]",
    b"n" * 255,
    b"not utf-8 \xff\xfe\x80",
    unicodedata.normalize("NFC", "café").encode(),
    unicodedata.normalize("NFD", "café").encode(),
    "漢字 😀".encode(),
    b"case",
    b"CASE",
    b"bell\a\x1b[31mred",
    b"C:",
    b"con",
    b"...",
    b".hidden",
    b"name.hitsave",
    b"@at@",
    b"%41",
    b"#hash",
    b"~",
]


def write_hostile(folder: Path) -> None:
    """Each name once as a file, and once as a directory with a file of that name."""
    root = os.fsencode(folder)
    for number, name in enumerate(HOSTILE):
        os.makedirs(os.path.join(root, b"folders", name))
        os.makedirs(os.path.join(root, b"files"), exist_ok=True)
        for path in (os.path.join(root, b"files", name), os.path.join(root, b"folders", name, name)):
            with open(path, "wb") as file:
                file.write(b"%d " % number + name)


def holds_hostile_names(folder: Path) -> bool:
    """Whether a file system can hold all of them."""
    try:
        write_hostile(folder)
    except OSError:
        return False
    return len(os.listdir(folder / "files")) == len(HOSTILE)


@pytest.fixture
def hostile(world: World) -> User:
    ann = world.user(remote=True)
    ann.data.mkdir()
    if not holds_hostile_names(ann.data):
        pytest.skip("this file system cannot hold these names")
    return ann


def test_names_inside_of_a_dataset(world: World, hostile: User) -> None:
    digest = hostile.add()
    hostile.do("push")
    ben = world.clone(hostile)
    ben.do("pull")
    assert_same(hostile.data, ben.data)
    assert ben.do("hash-object", "data").text.strip() == digest
    ben.do("fsck")
    ben.do("fsck", "--remote", "origin")

    raw = ben.do("ls-tree", "-r", "-z", "data").out
    names = [line.split(b"\t", 1)[1] for line in raw.split(b"\0") if line]
    assert sorted(names) == sorted(
        [b"files/" + name for name in HOSTILE] + [b"folders/" + name + b"/" + name for name in HOSTILE]
    )
    shown = ben.do("ls-tree", "-r", "data").lines
    assert len(shown) == 2 * len(HOSTILE)  # One line each, whatever is in a name.
    assert not any("\x1b" in line for line in shown)
    told = ben.do("ls-tree", "-r", "--json", "data").json
    assert sorted(os.fsencode(item["path"]) for item in told) == sorted(names)


def test_changes_of_hostile_names_are_one_line_each(world: World, hostile: User) -> None:
    hostile.add()
    for name in HOSTILE:
        with open(os.path.join(os.fsencode(hostile.data), b"files", name), "ab") as file:
            file.write(b"changed")
    done = hostile.do("status")
    assert len(done.lines) == 1 + len(HOSTILE)
    assert "\x1b" not in done.text
    changes = hostile.do("status", "--json").json[0]["changes"]
    assert sorted(os.fsencode(change["path"]) for change in changes) == sorted(b"files/" + name for name in HOSTILE)
    said = hostile.refused("checkout")
    assert "\x1b" not in said
    hostile.do("checkout", "--force")
    assert hostile.state()["state"] == "clean"


def test_names_of_datasets(world: World) -> None:
    ann = world.user(remote=True)
    root = os.fsencode(ann.workspace)
    usable = [name for name in HOSTILE if len(name) + len(b".hitsave") <= 255 and name != b"name.hitsave"]
    for name in usable:
        os.mkdir(os.path.join(root, name))
        with open(os.path.join(root, name, b"x"), "wb") as file:
            file.write(name)
    done = ann.do("add", "--", *usable)
    assert len(done.lines) == len(usable)
    assert "\x1b" not in done.text + done.said
    untracked = git(ann.workspace, "status", "--porcelain", "-z", "-uall").split("\0")
    # Git has no way to ignore a name with a line break, and says nothing of directories that it ignores.
    kept_out = {line[3:] for line in untracked if line.endswith("/x")}
    assert kept_out == {"line\nbreak/x", "carriage\rreturn/x"}
    ann.do("push")
    ben = world.clone(ann)
    ben.do("pull")
    for name in usable:
        with open(os.path.join(os.fsencode(ben.workspace), name, b"x"), "rb") as file:
            assert file.read() == name
    assert len(ben.do("status").lines) == len(usable)
    assert len(ben.do("show-ref").lines) == len(usable)
    digests, refs = zip(*(line.split(" ", 1) for line in ben.do("show-ref").lines), strict=True)
    assert ben.do("rev-parse", *refs).lines == list(digests)
    ben.do("forget", "--all-versions", *(os.path.join(b".", name) for name in usable))
    assert ben.do("show-ref").lines == []


@pytest.mark.parametrize("length", [247, 248, 255])
def test_a_name_too_long_for_a_pointer_file(world: World, length: int) -> None:
    ann = world.user()
    name = "n" * length
    ann.write({"x": b"1"}, name)
    if length <= 247:
        ann.add(name)
    else:
        assert "too long for a pointer file" in ann.refused("add", name)
        assert not ann.do("show-ref").lines


def test_a_dataset_with_a_pointer_files_name(world: World) -> None:
    ann = world.user()
    ann.write({"x": b"1"}, "data.hitsave")
    digest = ann.add("data.hitsave")
    assert (ann.workspace / "data.hitsave.hitsave").is_file()
    assert ann.state("data.hitsave")["digest"] == digest
    assert ann.do("checkout", "data.hitsave").code == 0
