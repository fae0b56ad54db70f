"""What is meant as a remote and is none is refused, and no folder is made of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.world import User, World


@pytest.fixture
def ann(tmp_path: Path) -> User:
    ann = World(tmp_path).user(remote=True)
    ann.write({"a": b"a"})
    ann.add()
    return ann


@pytest.fixture
def world_of_two(tmp_path: Path) -> tuple[World, User]:
    """Somebody without a remote."""
    world = World(tmp_path)
    ann = world.user()
    ann.write({"a": b"a"})
    ann.add()
    return world, ann


MISTYPED = [
    ("s3:/bucket/x", "did you mean s3://bucket/x?"),
    ("gs//b", "did you mean gs://b?"),
    ("ann@host:/data", "did you mean ssh://ann@host/data?"),
    ("host:data", "did you mean ssh://host/~/data?"),
    ("file:/data", "did you mean file:///data?"),
    ("S3:bucket/x", "did you mean s3://bucket/x?"),
    ("ssh:host", "did you mean ssh://host/PATH?"),
    ("ssh:host/data", "did you mean ssh://host/data?"),
    ("ssh:ann@host:data", "did you mean ssh://ann@host/~/data?"),
    ("ssh:", "did you mean ssh://HOST/PATH?"),
    ("s4://x", "there are remotes at https://, s3://"),
    ("", "this is empty"),
]


@pytest.mark.parametrize(("url", "hint"), MISTYPED, ids=[url or "empty" for url, _ in MISTYPED])
def test_what_is_nearly_a_url(ann: User, url: str, hint: str) -> None:
    before = sorted(os.listdir(ann.workspace))
    assert hint in ann.refused("remote", "add", "other", url)
    if url:
        assert hint in ann.refused("config", "set", "remotes.other", url)
        assert hint in ann.refused("push", environ={"HITSAVE_REMOTE": url})
    assert sorted(os.listdir(ann.workspace)) == before
    assert len(ann.do("remote", "list").lines) == 1


def test_a_name_of_no_remote(ann: User) -> None:
    refused = ann.refused("push", environ={"HITSAVE_REMOTE": "orgin"})
    assert "there is no remote 'orgin' (a folder of this name is ./orgin); did you mean 'origin'?" in refused
    assert "; there are origin" in ann.refused("push", environ={"HITSAVE_REMOTE": "zebra"})
    assert not (ann.workspace / "orgin").exists()
    ann.do("push", environ={"HITSAVE_REMOTE": "./orgin"})
    assert "everything is there" in ann.do("push", environ={"HITSAVE_REMOTE": "orgin"}).said


def test_a_folder_with_a_colon_is_one(ann: User) -> None:
    ann.do("remote", "add", "odd", "./host:data")
    (ann.workspace / "host:more").mkdir()
    ann.do("remote", "add", "more", "host:more")
    ann.do("push", "--remote", "odd")


def test_a_remote_has_no_place_in_a_dataset(ann: User) -> None:
    for place in ("data", "data/remote"):
        assert "lies in the dataset" in ann.refused("remote", "add", "inside", place)
        assert "lies in the dataset" in ann.refused("config", "set", "remotes.inside", place)
    assert os.listdir(ann.data) == ["a"]


def test_a_scheme_in_capitals_is_one(world_of_two: tuple[World, User]) -> None:
    world, ann = world_of_two
    url = f"FILE://{world.root / 'Shared'}"
    ann.do("remote", "add", "origin", url)
    assert ann.do("remote", "list").text == f"origin\tfile://{world.root / 'Shared'}\n"
    ann.do("push")
    assert "everything is there already" in ann.do("push", environ={"HITSAVE_REMOTE": url}).said
    (ann.workspace / "hitsave.toml").write_text(f'[remotes]\norigin = "{url}"\n')
    assert "everything is there already" in ann.do("push").said
    ann.do("config", "set", "remotes.other", url)
    assert "everything is there already" in ann.do("push", "--remote", "other").said
    asked = ann.refused("remote", "add", "cloud", "S3://bucket?anonymous=1&endpoint=HTTP://127.0.0.1:9")
    assert asked.startswith("hitsave: s3://bucket: cannot read format: ")
