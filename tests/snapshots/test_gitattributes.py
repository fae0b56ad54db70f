"""The line in `.gitattributes` is there once, and nothing else of the file changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from hitsave.snapshots.gitattributes import add_merge_attribute, drop_merge_attribute
from tests.cli.world import git

LINE = b"*.hitsave merge=hitsave\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", LINE),
        (b"*.png binary", b"*.png binary\n" + LINE),
        (b"*.png binary\r\n", b"*.png binary\r\n*.hitsave merge=hitsave\r\n"),
        (LINE, LINE),
        (b"*.hitsave text eol=lf merge=hitsave", b"*.hitsave text eol=lf merge=hitsave"),
        (b"*.hitsave merge=union\n", b"*.hitsave merge=union\n" + LINE),
        (LINE + b"*.hitsave -merge\n", LINE + b"*.hitsave -merge\n" + LINE),
        (LINE + b"*.hitsave text\n", LINE + b"*.hitsave text\n"),
        (b"# *.hitsave merge=hitsave\n", b"# *.hitsave merge=hitsave\n" + LINE),
    ],
)
def test_the_line_is_added_once(tmp_path: Path, before: bytes, after: bytes) -> None:
    file = tmp_path / ".gitattributes"
    if before:
        file.write_bytes(before)
    assert add_merge_attribute(file) is (before != after)
    assert not add_merge_attribute(file)
    assert file.read_bytes() == after
    git(tmp_path, "init", "--quiet")
    assert git(tmp_path, "check-attr", "merge", "a/b.hitsave") == "a/b.hitsave: merge: hitsave\n"


@pytest.mark.parametrize("before", [b"", b"*.png binary\r\n", b"*.hitsave text merge=hitsave\n"])
def test_what_was_added_is_taken_out(tmp_path: Path, before: bytes) -> None:
    file = tmp_path / ".gitattributes"
    if before:
        file.write_bytes(before)
    added = add_merge_attribute(file)
    assert drop_merge_attribute(file) is added
    assert not drop_merge_attribute(file)
    assert (file.read_bytes() if file.exists() else b"") == before
