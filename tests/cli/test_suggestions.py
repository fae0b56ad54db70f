"""A slip is answered with what was meant."""

from __future__ import annotations

import pytest

from tests.cli.world import User, World


@pytest.fixture(scope="module")
def ann(tmp_path_factory: pytest.TempPathFactory) -> User:
    """A user with a dataset in a folder, and a remote. Nobody changes anything of hers."""
    user = World(tmp_path_factory.mktemp("slips")).user()
    user.write({"a": b"1"}, "more/images")
    user.add("more/images")
    user.do("remote", "add", "origin", user.workspace.parent / "remote")
    return user


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("psuh", "push"),
        ("remote remov origin", "remove"),
        ("config unst links", "unset"),
        ("config set simlinks store", "symlinks"),
        ("push --remtoe origin", "--remote"),
        ("push --remote orgin", "origin"),
        ("fsck --remote orign", "origin"),
        ("remote remove orgin", "origin"),
        ("push more/imags", "more/images"),
        ("checkout more/image.hitsave", "more/images"),
    ],
)
def test_a_slip_is_answered_with_what_was_meant(ann: User, line: str, meant: str) -> None:
    done = ann.run(*line.split())
    assert done.code in (1, 2)
    assert done.said.count("\n") == 1
    assert f"id you mean '{meant}'" in done.said


def test_what_is_like_nothing_is_answered_with_what_there_is(ann: User) -> None:
    assert ann.refused("push", "--remote", "home").endswith("there is no remote 'home' (there are: origin)")
    assert "did you mean" not in ann.refused("remote", "remove", "home")
    assert ann.refused("push", "nothing").endswith("(nothing.hitsave is missing)")
    assert ann.refused("push", "no/where").endswith("(where.hitsave is missing)")
