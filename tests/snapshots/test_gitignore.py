"""Lines in `.gitignore`: each is about one name alone, whatever the name."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hitsave.snapshots.gitignore import add_to_gitignore, ignore_line
from tests.objects.values import modest

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")} | {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
}


def make_repository(folder: Path) -> None:
    """An empty git repository."""
    subprocess.run(["git", "init", "-q", folder], env=ENVIRONMENT, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    make_repository(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def shared_repository() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        make_repository(Path(folder))
        yield Path(folder)


def ignored(repository: Path, paths: Iterable[bytes]) -> set[bytes]:
    """Those of the paths that git ignores."""
    wanted = b"".join(b"./" + path + b"\0" for path in paths)  # A leading colon would mean something to git.
    done = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin", "-z"],
        cwd=repository,
        env=ENVIRONMENT,
        input=wanted,
        capture_output=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    return {path.removeprefix(b"./") for path in done.stdout.split(b"\0") if path}


def possible(name: bytes) -> bool:
    """Whether a working file can have this name."""
    return name not in (b"", b".", b"..") and b"/" not in name and b"\0" not in name and name.lower() != b".git"


special = st.lists(
    st.sampled_from([b"#", b"!", b" ", b"\\", b"*", b"?", b"[", b"]", b"a", b"-", b"\t", b"\xff", b"{", b"}", b"~"]),
    min_size=1,
    max_size=7,
).map(b"".join)
names = st.one_of(special, st.binary(min_size=1, max_size=10)).filter(
    lambda name: possible(name) and b"\n" not in name and b"\r" not in name
)


def neighbours(name: bytes) -> set[bytes]:
    """Other names that a careless pattern would match, too."""
    found = {name + b"x", b"x" + name, name + b" ", name.rstrip(b" "), name.strip(), name.lstrip(b"#!"), name + name}
    for at in range(len(name)):
        found |= {name[:at] + b"x" + name[at + 1 :], name[:at] + name[at + 1 :], name[:at] + b"\\" + name[at:]}
    return {other for other in found if possible(other) and other != name}


@needs_git
@modest
@given(names)
@example(b"x")
@example(b"#data")
@example(b"!data")
@example(b"data ")
@example(b"data   ")
@example(b" ")
@example(b"data\\")
@example(b"data\\ ")
@example(b"\\ data")
@example(b"*")
@example(b"data?.csv")
@example(b"[ab]")
@example(b"[!a]")
@example(b"a**b")
@example(b"data\t")
@example(b"\xff\xfe")
@example("données".encode())
@example(b"-rf")
@example(b":(top)data")
def test_a_line_ignores_its_name_and_no_other(shared_repository: Path, name: bytes) -> None:
    line = ignore_line(name)
    assert line is not None
    (shared_repository / ".gitignore").write_bytes(line + b"\n")
    others = {*neighbours(name), b"another directory/" + name}
    assert ignored(shared_repository, [name, *others]) == {name}
    assert ignored(shared_repository, [name + b"/inner"]) == {name + b"/inner"}


@pytest.mark.parametrize("name", ["a\nb", "\n", "a\r", "a\rb", "a\n"])
def test_a_line_break_in_a_name_is_refused_and_nothing_written(tmp_path: Path, name: str) -> None:
    assert ignore_line(name.encode()) is None
    with pytest.raises(ValueError, match="line break"):
        add_to_gitignore(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (b"data", b"/data"),
        (b"#data", b"/#data"),
        (b"!data", b"/!data"),
        (b"a b", b"/a b"),
        (b"a  ", b"/a\\ \\ "),
        (b"a*b?c[d]\\", b"/a\\*b\\?c\\[d]\\\\"),
    ],
)
def test_lines_are_spelled_simply(name: bytes, line: bytes) -> None:
    assert ignore_line(name) == line


# -- the file


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, b"/data\n"),
        (b"", b"/data\n"),
        (b"*.pyc\n", b"*.pyc\n/data\n"),
        (b"*.pyc", b"*.pyc\n/data\n"),
        (b"*.pyc\r\n", b"*.pyc\r\n/data\r\n"),
        (b"a\r\nb", b"a\r\nb\r\n/data\r\n"),
        (b"\n\n", b"\n\n/data\n"),
        (b"\xff\xfe\n", b"\xff\xfe\n/data\n"),
        (b"data\n", b"data\n/data\n"),
        (b"#/data\n", b"#/data\n/data\n"),
        (b"/data.csv\n/dat\n", b"/data.csv\n/dat\n/data\n"),
    ],
)
def test_what_the_file_says_stays(tmp_path: Path, before: bytes | None, after: bytes) -> None:
    file = tmp_path / ".gitignore"
    if before is not None:
        file.write_bytes(before)
    assert add_to_gitignore(tmp_path / "data")
    assert file.read_bytes() == after
    assert not add_to_gitignore(tmp_path / "data")
    assert file.read_bytes() == after
    assert [item.name for item in tmp_path.iterdir()] == [".gitignore"]


@pytest.mark.parametrize("before", [b"/data\n", b"/data", b"/data\r\n", b"x\n/data\ny\n"])
def test_a_line_that_is_there_is_not_added(tmp_path: Path, before: bytes) -> None:
    file = tmp_path / ".gitignore"
    file.write_bytes(before)
    stamp = file.stat().st_mtime_ns
    assert not add_to_gitignore(tmp_path / "data")
    assert file.read_bytes() == before
    assert file.stat().st_mtime_ns == stamp


def test_a_line_for_directories_is_enough_for_a_directory(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / ".gitignore").write_bytes(b"/data/\n")
    assert not add_to_gitignore(tmp_path / "data")


@needs_git
def test_a_line_for_directories_is_not_enough_for_a_file(repository: Path) -> None:
    (repository / "data").write_bytes(b"content")
    (repository / ".gitignore").write_bytes(b"/data/\n")
    assert ignored(repository, [b"data"]) == set()
    assert add_to_gitignore(repository / "data")
    assert ignored(repository, [b"data"]) == {b"data"}


@needs_git
def test_a_line_that_is_taken_back_further_down_is_added_again(repository: Path) -> None:
    (repository / ".gitignore").write_bytes(b"/data\n!/data\n")
    assert add_to_gitignore(repository / "data")
    assert ignored(repository, [b"data"]) == {b"data"}


def test_the_file_keeps_its_permissions(tmp_path: Path) -> None:
    file = tmp_path / ".gitignore"
    file.write_bytes(b"a\n")
    file.chmod(0o640)
    add_to_gitignore(tmp_path / "data")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


@needs_git
@modest
@given(st.lists(names, min_size=1, max_size=5, unique=True), st.sampled_from([b"", b"*.pyc", b"*.pyc\r\n"]))
def test_many_names_are_all_ignored_and_each_line_is_added_once(
    shared_repository: Path, many: list[bytes], before: bytes
) -> None:
    file = shared_repository / ".gitignore"
    file.write_bytes(before)
    # A name may be there as a line of its own only once.
    assert [add_to_gitignore(shared_repository / os.fsdecode(name)) for name in many] == [True] * len(many)
    content = file.read_bytes()
    assert not any(add_to_gitignore(shared_repository / os.fsdecode(name)) for name in many)
    assert file.read_bytes() == content
    assert content.startswith(before)
    assert ignored(shared_repository, many) == set(many)


@needs_git
def test_a_dataset_in_a_folder_is_ignored_there_alone(repository: Path) -> None:
    inner = repository / "inner"
    inner.mkdir()
    add_to_gitignore(inner / "data")
    assert not (repository / ".gitignore").exists()
    assert ignored(
        repository, [b"data", b"inner/data", b"inner/data/x", b"inner/deep/data", b"inner/data.hitsave"]
    ) == {
        b"inner/data",
        b"inner/data/x",
    }
