"""`.hitsaveignore` says what `.gitignore` would say."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hitsave.errors import WorkspaceError
from hitsave.snapshots.ignore import IGNORE_NAME, Rules, load_rules, rules_above
from tests.objects.values import modest

GIT = shutil.which("git")
Files = Mapping[bytes, bytes]


def make_files(root: Path, files: Files) -> None:
    """Write files beneath a folder, by their paths."""
    for name, content in files.items():
        path = os.path.join(os.fsencode(root), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)


def kept(directory: bytes, above: Rules | None = None) -> Iterator[bytes]:
    """Every file that a capture takes, by its absolute path: what is ignored is not looked into."""
    rules = load_rules(directory, above)
    with os.scandir(directory) as listing:
        for item in listing:
            is_directory = item.is_dir(follow_symlinks=False)
            if rules is not None and rules.ignores(item.path, is_directory):
                continue
            if is_directory:
                yield from kept(item.path, rules)
            else:
                yield item.path


def kept_in(root: Path, files: Files, above: Rules | None = None) -> set[bytes]:
    """What a capture of these files takes, by paths within the folder, without the ignore files themselves."""
    make_files(root, files)
    base = os.fsencode(root)
    paths = {os.path.relpath(path, base) for path in kept(base, above)}
    return {path for path in paths if os.path.basename(path) != IGNORE_NAME}


def kept_by_git(root: Path) -> set[bytes]:
    """What git takes, with the same files."""
    with tempfile.TemporaryDirectory() as repository:
        git = ["git", f"--git-dir={repository}/r", f"--work-tree={root}"]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        subprocess.run([*git, "init", "-q"], cwd=root, env=environment, check=True, capture_output=True)
        listed = subprocess.run(
            [*git, "ls-files", "-z", "--others", f"--exclude-per-directory={IGNORE_NAME.decode()}"],
            cwd=root,
            env=environment,
            check=True,
            capture_output=True,
        ).stdout
    return {path for path in listed.split(b"\0") if path and os.path.basename(path) != IGNORE_NAME}


SOME: Files = dict.fromkeys(
    [
        *(b"a", b"b", b"a.txt", b"keep.txt", b"#a", b"!a", b"a b", b"a ", b"\xff.bin", "éé".encode(), b"build/a"),
        *(b"d/a", b"d/a.txt", b"d/keep.txt", b"d/e/a", b"d/e/a.txt", b"d/e/keep.txt", b"d/e/d/a", b"e/a"),
    ],
    b"",
)


@pytest.mark.parametrize(
    ("patterns", "ignored"),
    [
        (b"", ()),
        (b"# a comment\n\n   \n", ()),
        (b"a\n", (b"a", b"d/a", b"d/e/a", b"d/e/d/a", b"e/a", b"build/a")),
        (b"/a\n", (b"a",)),
        (b"/a", (b"a",)),
        (b"d/a\n", (b"d/a",)),
        (b"e/\n", (b"d/e/a", b"d/e/a.txt", b"d/e/keep.txt", b"d/e/d/a", b"e/a")),
        (b"/e/\n", (b"e/a",)),
        (b"/a/\n", ()),
        (b"*.txt\n", (b"a.txt", b"keep.txt", b"d/a.txt", b"d/keep.txt", b"d/e/a.txt", b"d/e/keep.txt")),
        (b"*.txt\n!keep.txt\n", (b"a.txt", b"d/a.txt", b"d/e/a.txt")),
        (b"!keep.txt\n*.txt\n", (b"a.txt", b"keep.txt", b"d/a.txt", b"d/keep.txt", b"d/e/a.txt", b"d/e/keep.txt")),
        (b"/*.txt\n", (b"a.txt", b"keep.txt")),
        (b"build\n!build/a\n", (b"build/a",)),  # What is beneath an ignored directory cannot be taken back.
        (b"build/*\n!build/a\n", ()),
        (
            b"*\n!*/\n!keep.txt\n",  # The usual way to list what is wanted.
            tuple(path for path in SOME if not path.endswith(b"keep.txt")),
        ),
        (b"!*\n/a\n/build/\n", (b"a", b"build/a")),
        (b"d\n!d/\n/d/a\n", (b"d/a",)),
        (b"d/*\n!d/e\n", (b"d/a", b"d/a.txt", b"d/keep.txt")),
        (b"**/e/a\n", (b"d/e/a", b"e/a")),
        (b"d/**/a\n", (b"d/a", b"d/e/a", b"d/e/d/a")),
        (b"e/**\n", (b"e/a",)),
        (b"/?\n!d\n!e\n", (b"a", b"b")),
        (b"/[ab]\n", (b"a", b"b")),
        (b"/[!ab]\n!/[de]\n", ()),
        (b"\\#a\n", (b"#a",)),
        (b"\\!a\n", (b"!a",)),
        (b"#a\n", ()),
        (b"/a \n", (b"a",)),
        (b"/a\\ \n", (b"a ",)),
        (b"a b\n", (b"a b",)),
        (b"/a\r\n/b\r\n", (b"a", b"b")),
        ("éé\n".encode(), ("éé".encode(),)),
        (b"\xff.bin\n", (b"\xff.bin",)),
        (b"*.bin\n", (b"\xff.bin",)),
        (b"\xef\xbb\xbf/a\n", (b"a",)),
    ],
)
def test_patterns_mean_what_they_mean_to_git(tmp_path: Path, patterns: bytes, ignored: tuple[bytes, ...]) -> None:
    assert SOME.keys() - kept_in(tmp_path, {**SOME, IGNORE_NAME: patterns}) == set(ignored)
    if GIT:
        assert SOME.keys() - kept_by_git(tmp_path) == set(ignored)


def test_a_deeper_file_overrules_a_higher_one(tmp_path: Path) -> None:
    files = {
        IGNORE_NAME: b"*.txt\n/b\n",
        b"d/" + IGNORE_NAME: b"!keep.txt\n/b\n",
        b"d/e/" + IGNORE_NAME: b"keep.txt\n!a.txt\n",
        b"d/b": b"",
        b"d/e/b": b"",
    }
    every = {**SOME, **files}
    found = kept_in(tmp_path, every)
    expected = {b"b", b"a.txt", b"keep.txt", b"d/b", b"d/a.txt", b"d/e/keep.txt"}
    assert {path for path in every if os.path.basename(path) != IGNORE_NAME} - found == expected
    if GIT:
        assert kept_by_git(tmp_path) == found


def test_everything_beneath_can_be_taken_back(tmp_path: Path) -> None:
    """`build/**` is about what lies in the directory, not about the directory."""
    files = {IGNORE_NAME: b"build/**\n!build/keep\n", b"build/a": b"", b"build/keep": b""}
    assert kept_in(tmp_path, files) == {b"build/keep"}
    if GIT:
        assert kept_by_git(tmp_path) == {b"build/keep"}


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (b"a\n", {b"a\n", b"x\ny/b.txt"}),
        (b"*.txt\n", {b"a", b"a\n", b"x\ny/a"}),
        (b"b.txt\n", {b"a", b"a\n", b"x\ny/a"}),
        (b"x*/\n", {b"a", b"a\n"}),
        (b"?\n", {b"a\n", b"x\ny/b.txt"}),
    ],
)
def test_line_feeds_in_names_are_like_other_bytes(tmp_path: Path, patterns: bytes, expected: set[bytes]) -> None:
    files = {IGNORE_NAME: patterns, b"a": b"", b"a\n": b"", b"x\ny/a": b"", b"x\ny/b.txt": b""}
    assert kept_in(tmp_path, files) == expected
    if GIT:
        assert kept_by_git(tmp_path) == expected


parts = st.sampled_from(["a", "b", "c.t", "d e", "éé", "#x"])
globs = st.sampled_from(["a", "b", "c.t", "d e", "éé", "*.t", "a*", "?", "[ab]", "[!a]", "*", "\\#x", "**"])
patterns = st.builds(
    lambda negated, anchored, inner, directory: negated + anchored + "/".join(inner) + directory,
    st.sampled_from(["", "", "!"]),
    st.sampled_from(["", "/"]),
    st.lists(globs, min_size=1, max_size=3).filter(lambda inner: inner[-1] != "**"),
    st.sampled_from(["", "", "/"]),
)
rule_files = st.lists(patterns | st.sampled_from(["", "# c", "a  "]), max_size=4).map("\n".join)
ends = st.sampled_from(["", "\n"])


@pytest.mark.skipif(GIT is None, reason="git is not installed")
@modest
@given(
    st.sets(st.lists(parts, min_size=1, max_size=3).map("/".join), min_size=1, max_size=10),
    st.dictionaries(st.sampled_from(["", "a/", "b/", "a/b/"]), st.builds(str.__add__, rule_files, ends), max_size=3),
)
@example({"a/b", "a/c.t"}, {"": "a/*\n!a/c.t"})
def test_any_rules_keep_what_git_keeps(paths: set[str], rules: dict[str, str]) -> None:
    files: dict[bytes, bytes] = {}
    for path in paths:
        if not any(other.startswith(path + "/") for other in paths | {f"{folder}x" for folder in rules}):
            files[path.encode()] = b""
    for folder, text in rules.items():
        files[folder.encode() + IGNORE_NAME] = text.encode()
    with tempfile.TemporaryDirectory() as folder:
        assert kept_in(Path(folder), files) == kept_by_git(Path(folder))


# -- where rules come from


def test_without_a_file_there_are_no_rules(tmp_path: Path) -> None:
    directory = os.fsencode(tmp_path)
    assert load_rules(directory, None) is None
    assert load_rules(os.path.join(directory, b"missing"), None) is None
    (tmp_path / os.fsdecode(IGNORE_NAME)).write_text("*.txt\n")
    rules = load_rules(directory, None)
    assert rules is not None
    assert load_rules(os.path.join(directory, b"inner"), rules) is rules


def test_a_pattern_that_means_nothing_is_refused_with_the_file(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(IGNORE_NAME)).write_text("a\n!\n")
    with pytest.raises(WorkspaceError) as raised:
        load_rules(os.fsencode(tmp_path), None)
    assert str(tmp_path / os.fsdecode(IGNORE_NAME)) in str(raised.value)


@pytest.mark.parametrize("folder", ["", "sub", "sub/inner"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_rules_of_every_folder_above_a_dataset_hold(tmp_path: Path, folder: str, slash: str) -> None:
    """A dataset lies in `folder`; its own file comes in addition, and overrules."""
    workspace = tmp_path / "workspace"
    files = {
        IGNORE_NAME: b"*.top\n",
        b"sub/" + IGNORE_NAME: b"*.sub\n",
        b"sub/inner/" + IGNORE_NAME: b"*.inner\n!x.top\n",
    }
    make_files(workspace, files)
    (tmp_path / os.fsdecode(IGNORE_NAME)).write_text("*\n")  # Outside of the workspace.
    parent = workspace / folder
    dataset = parent / "data"
    content = {b"a": b"", b"x.top": b"", b"x.sub": b"", b"x.inner": b"", b"own.top": b"", IGNORE_NAME: b"!own.top\n"}
    found = kept_in(dataset, content, rules_above(os.fsencode(parent), os.fsencode(workspace) + os.fsencode(slash)))
    assert (
        found
        == {
            "": {b"a", b"x.sub", b"x.inner", b"own.top"},
            "sub": {b"a", b"x.inner", b"own.top"},
            "sub/inner": {b"a", b"x.top", b"own.top"},
        }[folder]
    )


def test_outside_of_a_workspace_no_rules_hold(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(IGNORE_NAME)).write_text("*\n")
    inner = tmp_path / "workspace"
    inner.mkdir()
    assert rules_above(os.fsencode(tmp_path), None) is None
    assert rules_above(os.fsencode(tmp_path), os.fsencode(inner)) is None
    assert rules_above(os.fsencode(tmp_path / "workspace-2"), os.fsencode(inner)) is None
    assert rules_above(os.fsencode(inner), os.fsencode(inner)) is None
