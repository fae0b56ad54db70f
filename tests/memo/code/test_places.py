"""Paths of the project count as seen from its folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from hitsave.memoisation.code.places import InProject, Places
from hitsave.memoisation.values.digest import digest_value


def digest(folder: str, value: object) -> bytes:
    return digest_value(Places(folder).relocate(value), lambda referred: str(referred))


@pytest.mark.parametrize(
    "make",
    [
        lambda root: f"{root}/data",
        lambda root: Path(root) / "data",
        lambda root: {"data": Path(root, "data"), "rate": 0.1},
        lambda root: [("a", f"{root}/a.csv"), 3],
        lambda root: root,
    ],
)
def test_another_checkout_has_the_same_paths(make: object) -> None:
    assert callable(make)
    assert digest("/home/ann/project", make("/home/ann/project")) == digest("/tmp/copy", make("/tmp/copy"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/p/data", "/p/other"),
        ("/p/data", Path("/p/data")),
        ("/p/data", "/elsewhere/data"),
        ("/p/data", "data"),
        ("/p/data", "/data"),
        ("/p", "/p2"),
        (["/p/a", "/p/b"], ["/p/b", "/p/a"]),
        ("/p/data", InProject("str", "data")),
    ],
)
def test_other_paths_differ(one: object, other: object) -> None:
    assert digest("/p", one) != digest("/p", other)


def test_what_has_no_path_in_it_stays_as_it_is() -> None:
    places = Places("/p")
    for value in ["text", 3, {"a": [1, (2, "/other")]}, PurePosixPath("/pp/x"), object()]:
        assert places.relocate(value) is value


def test_the_root_folder_is_no_project() -> None:
    assert Places("/").relocate("/etc/hosts") == "/etc/hosts"
