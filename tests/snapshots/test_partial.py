"""What `--include` wants: files by their paths, and directories in which there may be some."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitsave.errors import WorkspaceError
from hitsave.snapshots.layout import may_hold
from hitsave.snapshots.partial import include_globs

names = st.text("ab.", min_size=1, max_size=2).filter(lambda name: name not in (".", ".."))
paths = st.lists(names, min_size=1, max_size=4).map("/".join)
parts = st.lists(st.sampled_from(["a", "b", "*", "a*", "?", "**", "[ab]", "ab", r"\a", ""]), min_size=1, max_size=4)
patterns = st.builds(
    lambda parts, before, after: before + "/".join(parts) + after,
    parts,
    st.sampled_from(["", "/", "!", " "]),
    st.sampled_from(["", "/", "/**", " "]),
).filter(lambda pattern: pattern.strip() != "!")  # Which is no pattern, and refused.


@given(lines=st.lists(patterns, min_size=1, max_size=3), path=paths)
def test_directories_above_a_wanted_file_may_hold_it(lines: list[str], path: str) -> None:
    include = include_globs(lines)
    assert include is not None
    if include(path.encode()):
        above = path.split("/")[:-1]
        assert all(may_hold(include, "/".join(above[:count]).encode()) for count in range(1, len(above) + 1))


def test_what_is_no_pattern_is_refused() -> None:
    with pytest.raises(WorkspaceError, match="--include"):
        include_globs(["!"])


@pytest.mark.parametrize(
    ("pattern", "held", "not_held"),
    [
        ("/train/1.png", ["train"], ["test", "train/deep", "x/train"]),
        ("train/*.png", ["train"], ["test"]),
        ("train/**", ["train", "train/deep/deeper"], ["test"]),
        ("train/cats", ["train", "train/cats", "train/cats/deep"], ["train/dogs", "cats"]),
        ("*.png", ["anything", "any/thing"], []),
        ("train/", ["train", "any/where"], []),
        ("t*/cats/", ["train", "test", "train/cats/deep"], ["x", "train/dogs"]),
    ],
)
def test_which_directories_are_looked_into(pattern: str, held: list[str], not_held: list[str]) -> None:
    include = include_globs([pattern])
    assert [path for path in held + not_held if may_hold(include, path.encode())] == held
    assert may_hold(None, b"anything")
    assert may_hold(lambda path: False, b"anything")
