"""Files added to a dataset whose data is elsewhere: nothing of it is fetched, and nothing of it is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.test_diff import cloned, commit
from tests.cli.test_looking import asked_for
from tests.cli.world import User, World, assert_same
from tests.remotes.servers import stores
from tests.remotes.servers.tiny import Bucket, tiny_bucket


@pytest.fixture
def pushed(world: World) -> User:
    ann = world.user(remote=True)
    ann.write({f"train/{number}.png": b"%d" % number * 999 for number in range(20)})
    ann.write({f"deep/{number}/label": b"%d" % number for number in range(20)})
    ann.write({"labels.csv": b"old\n", "large.bin": bytes(range(251)) * 2000})
    ann.add()
    ann.do("push")
    commit(ann, "first")
    return ann


def test_files_are_added_without_the_data_and_pushed(world: World, pushed: User) -> None:
    ben = cloned(world, pushed)
    ben.write({"cat.png": b"cat", "dog.png": b"dog", "labels.csv": b"new\n", "more/a/x": b"x", "more/b": b"b"}, "in")
    first = ben.do("add", "--to", "data.hitsave:train", "in/cat.png", "in/dog.png")
    assert "2 files added, 0 files replaced: 6 B new" in first.said
    assert first.text == f"{ben.do('rev-parse', 'data').text.strip()}  data\n"
    told = ben.do("add", "--json", "--to", "data.hitsave", "in/labels.csv").json[0]
    assert (told["added"], told["replaced"], told["files"]) == (0, 1, 44)
    ben.do("add", "--to", "data.hitsave:deep/7/", "in/more")
    ben.do("add", "--to", "data:deep/8/label", "in/cat.png")
    assert not ben.data.exists()
    assert ben.state()["state"] == "missing"
    assert ben.do("ls", "data/deep/7/more").lines == ["a/", "b"]

    ben.do("gc", "--keep", "0")
    ben.do("fsck")
    pushed_by_ben = ben.do("push", "--json").json
    assert pushed_by_ben["refs"] == 4
    assert pushed_by_ben["size"] < 20_000
    ben.do("fsck", "--remote", "origin")

    (pushed.workspace / "data.hitsave").write_bytes((ben.workspace / "data.hitsave").read_bytes())
    pushed.write({"train/cat.png": b"cat", "train/dog.png": b"dog", "labels.csv": b"new\n"})
    pushed.write({"deep/7/more/a/x": b"x", "deep/7/more/b": b"b", "deep/8/label": b"cat"})
    assert pushed.state()["state"] == "clean"
    ben.do("pull")
    assert_same(pushed.data, ben.data)
    assert ben.state()["state"] == "clean"


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with tiny_bucket() as running:
        yield running


def test_only_directories_on_the_way_are_asked_for(world: World, bucket: Bucket) -> None:
    settings = {**stores.keys(), "HITSAVE_REMOTE": f"s3://b/p?endpoint={bucket.endpoint}"}
    ann = world.user()
    ann.variables.update(settings)
    ann.write({f"{number:04}/file": b"%d" % number * 5000 for number in range(300)})
    ann.add()
    ann.do("push")
    commit(ann, "first")
    ben = cloned(world, ann)
    ben.variables.update(settings)
    ben.write({"new": b"new"}, "")
    bucket.requests.clear()
    ben.do("add", "--to", "data.hitsave:0123/", "new")
    assert asked_for(bucket, "packs/") < 150_000
    assert len(bucket.requests) < 12
    assert ben.do("show-ref").text.count("datasets/") == 1
    bucket.requests.clear()
    assert ben.do("push", "--json").json["objects"] == 3  # The file, the directory, the one above it.
    assert asked_for(bucket, "packs/") == 0


def test_working_files_that_are_here_follow(world: World, pushed: User) -> None:
    ben = cloned(world, pushed)
    ben.do("pull", "--include", "train/1*")
    ben.write({"1.png": b"replaced", "note": b"note"}, "in")
    ben.do("add", "--to", "data.hitsave:train", "in/1.png", "in/note")
    assert (ben.data / "train/1.png").read_bytes() == b"replaced"
    assert (ben.data / "train/note").read_bytes() == b"note"
    assert not (ben.data / "deep").exists()
    state = ben.state()
    assert (state["state"], state["changes"]) == ("partial", [])

    ben.write({"train/1.png": b"not added"})
    before = (ben.workspace / "data.hitsave").read_bytes()
    assert "changes that were not added" in ben.refused("add", "--to", "data.hitsave", "in/note")
    assert (ben.workspace / "data.hitsave").read_bytes() == before

    pushed.write({"x": b"x"}, "in")
    digest = pushed.do("add", "--to", "data.hitsave", "in/x").text.split()[0]
    assert (pushed.data / "x").read_bytes() == b"x"
    assert pushed.state()["state"] == "clean"
    assert pushed.add() == digest  # All of it is here, and known to be.


def test_what_cannot_be_added(world: World, pushed: User) -> None:
    ben = cloned(world, pushed)
    ben.write({"a": b"a", "deep/x": b"x", "train": b"a file"}, "in")
    before = (ben.workspace / "data.hitsave").read_bytes()
    for target, path, why in (
        ("data.hitsave", "in/train", "train: is a directory in the dataset"),
        ("data.hitsave:labels.csv/", "in/a", "labels.csv: is a file in the dataset"),
        ("data.hitsave:labels.csv", "in/deep", "labels.csv: is a file in the dataset"),
        ("data.hitsave:../up", "in/a", "'..' is not allowed"),
        ("data.hitsave", "in/none", "does not exist"),
        ("none.hitsave", "in/a", "is no pointer file"),
    ):
        assert why in ben.refused("add", "--to", target, path), target
    assert "another one with its name" in ben.refused("add", "--to", "data.hitsave", "in/a", "in/deep/../a")
    assert (ben.workspace / "data.hitsave").read_bytes() == before
    assert ben.do("show-ref").out == b""
    pushed.write({"model": b"1"}, "")
    pushed.add("model")
    assert "is a single file" in pushed.refused("add", "--to", "model.hitsave", "data/labels.csv")


def test_a_remote_without_the_rest_is_not_sent_a_part(world: World, pushed: User) -> None:
    ben = cloned(world, pushed)
    ben.write({"a": b"a"}, "in")
    ben.do("add", "--to", "data.hitsave", "in/a")
    ben.do("remote", "add", "other", world.root / "other")
    assert "only a part of it is here" in ben.refused("push", "--remote", "other")
    assert ben.do("show-ref", "--remote", "other").out == b""
