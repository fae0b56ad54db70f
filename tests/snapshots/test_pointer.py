"""Pointer files: what they say comes back, and what is wrong with one is said with its place."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitsave.errors import NameConflict, WorkspaceError
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.snapshots.pointer import (
    Pointer,
    check_pointer_name,
    format_pointer,
    is_pointer,
    load_pointer,
    parse_pointer,
    pointer_path,
    save_pointer,
    target_path,
)
from tests.objects.values import digests, modest, numbers

SOME = Digest(bytes(range(32)))
TREE = Pointer(SOME, ObjectKind.TREE, 113_498_156, 50_000)
BLOB = Pointer(SOME, ObjectKind.BLOB, 7, 1, executable=True)
LINES = ["hitsave 1", f"digest {SOME}", "kind tree", "size 113498156", "files 50000"]

pointers = st.one_of(
    st.builds(Pointer, digests, st.just(ObjectKind.TREE), numbers, numbers),
    st.builds(Pointer, digests, st.just(ObjectKind.BLOB), numbers, st.just(1), st.booleans()),
)


def text_of(*lines: str) -> str:
    """Lines, each with its end."""
    return "".join(f"{line}\n" for line in lines)


# -- format and parse


@modest
@given(pointers)
def test_a_pointer_comes_back_from_its_text(pointer: Pointer) -> None:
    text = format_pointer(pointer)
    assert parse_pointer(text, "data.hitsave") == pointer
    assert parse_pointer(text.replace("\n", "\r\n"), "data.hitsave") == pointer
    assert parse_pointer(text.removesuffix("\n"), "data.hitsave") == pointer


def test_a_pointer_is_written_as_documented() -> None:
    assert format_pointer(TREE) == text_of(*LINES)
    assert format_pointer(BLOB).splitlines()[2:] == ["kind blob", "size 7", "files 1", "executable yes"]


def test_lines_may_come_in_any_order_after_the_first() -> None:
    assert parse_pointer(text_of(LINES[0], *reversed(LINES[1:])), "w") == TREE
    assert parse_pointer(text_of(*LINES, "executable no"), "w") == TREE


@pytest.mark.parametrize(
    ("lines", "line", "reason"),
    [
        ([], 1, "is not a pointer file of this version"),
        ([""], 1, "is not a pointer file of this version"),
        (["hitsave 2", *LINES[1:]], 1, "'hitsave 1' expected"),
        (["version https://git-lfs.github.com/spec/v1"], 1, "'hitsave 1' expected"),
        (["", *LINES], 1, "'hitsave 1' expected"),
        ([*LINES, ""], 6, "cannot be understood"),
        ([*LINES, "owner me"], 6, "'owner me'"),
        ([*LINES, "size 5"], 6, "'size 5'"),
        ([*LINES[:3], "size", LINES[4]], 4, "'size'"),
        ([*LINES[:3], "size ", LINES[4]], 4, "'size '"),
        ([*LINES[:3], " size 5", LINES[4]], 4, "' size 5'"),
        ([*LINES[:3], "Size 5", LINES[4]], 4, "'Size 5'"),
        ([LINES[0], f"digest {str(SOME)[:-1]}", *LINES[2:]], 2, "is not a digest"),
        ([LINES[0], f"digest {str(SOME).upper()}", *LINES[2:]], 2, "is not a digest"),
        ([LINES[0], f"digest  {SOME}", *LINES[2:]], 2, "is not a digest"),
        ([*LINES[:2], "kind evaluation", *LINES[3:]], 3, "'evaluation' is missing or not known"),
        ([*LINES[:2], "kind Tree", *LINES[3:]], 3, "'Tree' is missing or not known"),
        ([*LINES[:3], "size -5", LINES[4]], 4, "is not a number"),
        ([*LINES[:3], "size 5.0", LINES[4]], 4, "is not a number"),
        ([*LINES[:3], "size 1_000", LINES[4]], 4, "is not a number"),
        ([*LINES[:3], "size ٣", LINES[4]], 4, "is not a number"),
        ([*LINES[:3], "size ²", LINES[4]], 4, "is not a number"),
        ([*LINES[:4], "files many"], 5, "is not a number"),
        ([*LINES, "executable maybe"], 6, "'maybe' is missing or not known"),
        ([*LINES, "executable YES"], 6, "'YES' is missing or not known"),
    ],
)
def test_a_refusal_names_the_file_the_line_and_the_reason(lines: list[str], line: int, reason: str) -> None:
    with pytest.raises(WorkspaceError) as raised:
        parse_pointer(text_of(*lines), "some/data.hitsave")
    message = str(raised.value)
    assert message.startswith("some/data.hitsave: ")
    assert reason in message
    assert "\n" not in message
    assert f"line {line}: " in message


@pytest.mark.parametrize("missing", ["digest", "kind", "size", "files"])
def test_a_missing_line_is_named(missing: str) -> None:
    with pytest.raises(WorkspaceError, match=f"^some/data.hitsave: '{missing}' is missing"):
        parse_pointer(text_of(*(line for line in LINES if not line.startswith(missing))), "some/data.hitsave")


@pytest.mark.parametrize(
    "text",
    [
        text_of(
            *(LINES[0], "<<<<<<< HEAD", *LINES[1:], "======="),
            *(f"digest {Digest(bytes(32))}", *LINES[2:], ">>>>>>> other"),
        ),
        text_of("<<<<<<< HEAD", *LINES, "||||||| base", *LINES, "=======", *LINES, ">>>>>>> other"),
        text_of(*LINES[:2], "<<<<<<< HEAD", LINES[3], "=======", "size 5", ">>>>>>> other", LINES[4]).replace(
            "\n", "\r\n"
        ),
    ],
)
def test_a_merge_conflict_is_called_one_with_the_way_out(text: str) -> None:
    with pytest.raises(WorkspaceError, match=r"^some/data\.hitsave: holds a merge conflict") as raised:
        parse_pointer(text, "some/data.hitsave")
    message = str(raised.value)
    assert "git checkout --ours" in message
    assert "--theirs" in message
    assert "hitsave checkout" in message
    assert "\n" not in message


@modest
@given(st.one_of(st.text(max_size=60), st.text(max_size=60).map(lambda tail: text_of(*LINES) + tail)))
def test_any_text_is_a_pointer_or_refused_with_its_name(text: str) -> None:
    try:
        parse_pointer(text, "data.hitsave")
    except WorkspaceError as error:
        assert str(error).startswith("data.hitsave: ")  # noqa: PT017


# -- files


def test_saving_twice_writes_once(tmp_path: Path) -> None:
    path = tmp_path / "data.hitsave"
    assert save_pointer(path, TREE)
    before = path.stat()
    assert not save_pointer(path, TREE)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert load_pointer(path) == TREE
    assert save_pointer(path, BLOB)
    assert load_pointer(path) == BLOB
    assert path.read_bytes() == format_pointer(BLOB).encode()
    assert [item.name for item in tmp_path.iterdir()] == ["data.hitsave"]


def test_a_pointer_in_another_spelling_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "data.hitsave"
    path.write_bytes(format_pointer(TREE).replace("\n", "\r\n").encode())
    assert load_pointer(path) == TREE
    assert save_pointer(path, TREE)
    assert path.read_bytes() == format_pointer(TREE).encode()


def test_a_conflict_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "data.hitsave"
    path.write_text("<<<<<<< HEAD\n" * 1000)
    assert save_pointer(path, TREE)
    assert load_pointer(path) == TREE


def test_another_name_of_the_old_file_keeps_what_it_said(tmp_path: Path) -> None:
    """A replaced file is never written into: a reader has the old text or the new one."""
    path = tmp_path / "data.hitsave"
    save_pointer(path, TREE)
    os.link(path, tmp_path / "link")
    with path.open("rb") as reading:
        save_pointer(path, BLOB)
        assert reading.read() == format_pointer(TREE).encode()
    assert load_pointer(tmp_path / "link") == TREE


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "data.hitsave"
    save_pointer(path, TREE)
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(PermissionError):
            save_pointer(path, BLOB)
    finally:
        tmp_path.chmod(stat.S_IRWXU)
    assert load_pointer(path) == TREE


def test_a_file_that_is_no_pointer_is_refused_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "data.hitsave"
    with pytest.raises(FileNotFoundError):
        load_pointer(path)
    for content, reason in (
        (b"", "line 1: is not a pointer file"),
        (b"\xff\xfe\0\1", "line 1: is not a pointer file"),
        (format_pointer(TREE).encode() + b"\xff\xfe\n", "line 6: cannot be understood"),
        (b"hitsave 1\n" + b"x" * 4096, "is too large to be a pointer file"),
        (b"hitsave 1\n" * 100_000, "is too large to be a pointer file"),
    ):
        path.write_bytes(content)
        with pytest.raises(WorkspaceError, match=reason) as raised:
            load_pointer(path)
        assert str(raised.value).startswith(f"{path}: ")


def test_a_file_of_the_largest_size_is_read(tmp_path: Path) -> None:
    path = tmp_path / "data.hitsave"
    text = format_pointer(TREE)
    digits = "0" * (4096 - len(text))
    path.write_text(text.replace("files ", f"files {digits}"))
    assert path.stat().st_size == 4096
    assert load_pointer(path) == TREE


# -- names


def test_a_pointer_lies_beside_what_it_is_about() -> None:
    for name in ("data", "data.csv", "a b", ".hidden", "x.hitsave", os.fsdecode(b"\xff")):
        path = Path("folder") / name
        assert pointer_path(path) == Path("folder") / f"{name}.hitsave"
        assert target_path(pointer_path(path)) == path
        assert is_pointer(pointer_path(path))
    for name in ("data", ".hitsave", "hitsave", "data.hitsave.txt", "data.HITSAVE"):
        assert not is_pointer(Path(name))


@pytest.mark.parametrize("name", ["n" * 247, "é" * 123])
def test_the_longest_name_has_a_pointer(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    check_pointer_name(path)
    assert save_pointer(pointer_path(path), TREE)
    assert load_pointer(pointer_path(path)) == TREE


@pytest.mark.parametrize("name", ["n" * 248, "é" * 124, "n" * 255])
def test_a_longer_name_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(NameConflict, match="too long"):
        check_pointer_name(path)
    with pytest.raises(NameConflict, match="too long"):
        save_pointer(pointer_path(path), TREE)
    assert not list(tmp_path.iterdir())
