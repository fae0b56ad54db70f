"""What differs, in which order, and how it looks."""

from __future__ import annotations

import pytest
from blake3 import blake3

from hitsave.memoisation.code.dependency import Dependency, DependencyKind
from hitsave.memoisation.explaining.differences import Difference, compare_arguments, compare_code, focused

Manifest = dict[tuple[str, str], Dependency]


def manifest(*rows: tuple[str, str, str]) -> Manifest:
    """Dependencies by kind, name and text."""
    return {
        (kind, name): Dependency(DependencyKind(kind), name, blake3(text.encode()).digest(), text)
        for kind, name, text in rows
    }


OLD = manifest(
    ("function", "pkg.f", "def f(x):\n    return g(x)"),
    ("function", "pkg.g", "def g(x):\n    return x"),
    ("class", "pkg.C", "class C:\n    a = 1"),
    ("value", "pkg.N", "1"),
    ("package", "numpy", "2.1"),
    ("python", "python", "cpython 3.11"),
    ("file", "data.csv", ""),
    ("name", "pkg.np", "numpy"),
)


def changed(**texts: str) -> Manifest:
    """The manifest with other texts, by the last part of names."""
    return {
        key: each._replace(text=texts[each.name.rpartition(".")[2]], digest=b"new")
        if each.name.rpartition(".")[2] in texts
        else each
        for key, each in OLD.items()
    }


def test_nothing_differs() -> None:
    assert compare_code(OLD, OLD, "pkg.f") == []


def test_the_most_telling_comes_first_and_names_last() -> None:
    new = changed(
        f="def f(x): ...",
        g="def g(x): ...",
        C="class C: ...",
        N="2",
        numpy="2.2",
        python="cpython 3.12",
        csv="",
        np="cupy",
    )
    told = [each.name for each in compare_code(OLD, new, "pkg.f")]
    assert told == ["pkg.f", "pkg.g", "pkg.C", "pkg.N", "numpy", "python", "data.csv", "pkg.np"]
    assert [each.name for each in compare_code(OLD, new, "pkg.g")][:2] == ["pkg.g", "pkg.f"]


def test_what_is_new_or_gone() -> None:
    new = OLD | manifest(("function", "pkg.h", "def h(): ..."))
    assert compare_code(OLD, new) == [Difference("function", "pkg.h", None, "def h(): ...")]
    assert compare_code(new, OLD) == [Difference("function", "pkg.h", "def h(): ...", None)]
    assert str(compare_code(OLD, new)[0]) == "function pkg.h: new\n    +def h(): ..."
    assert str(compare_code(new, OLD)[0]) == "function pkg.h: no longer used"


def without(*names: str) -> Manifest:
    return {key: each for key, each in OLD.items() if each.name not in names}


@pytest.mark.parametrize("name", ["pkg.renamed", "lib.g", "lib.renamed"])
def test_a_helper_that_was_renamed_or_moved_is_one_difference(name: str) -> None:
    text = f"def {name.rpartition('.')[2]}(x):\n    return x"
    [found] = compare_code(OLD, without("pkg.g") | manifest(("function", name, text)), "pkg.f")
    assert (found.name, found.was, found.only_renamed) == (name, "pkg.g", True)
    assert str(found) == f"function {name} (was pkg.g)"
    assert found.phrase("pkg.f") == f"function pkg.g is now {name}"


def test_a_helper_that_was_moved_and_changed_shows_its_change() -> None:
    new = without("pkg.g") | manifest(("function", "lib.g", "def g(x):\n    return x + 1"))
    [found] = compare_code(OLD, new, "pkg.f")
    assert (found.name, found.was, found.only_renamed) == ("lib.g", "pkg.g", False)
    assert found.lines()[0] == "function lib.g (was pkg.g):"
    assert found.lines()[-2:] == ["    -    return x", "    +    return x + 1"]


def test_functions_that_differ_are_not_taken_for_each_other() -> None:
    new = without("pkg.g") | manifest(("function", "pkg.h", "def h(x):\n    return -x"))
    found = compare_code(OLD, new)
    assert [(each.name, each.old is None, each.new is None, each.was) for each in found] == [
        ("pkg.g", False, True, ""),
        ("pkg.h", True, False, ""),
    ]


def test_a_value_that_was_moved() -> None:
    [found] = compare_code(OLD, without("pkg.N") | manifest(("value", "settings.N", "1")))
    assert (found.name, found.was, found.only_renamed) == ("settings.N", "pkg.N", True)


@pytest.mark.parametrize(
    ("difference", "text", "phrase"),
    [
        (Difference("value", "pkg.N", "1", "2"), "value pkg.N: 1 -> 2", "value pkg.N is 2, was 1"),
        (Difference("package", "numpy", "2.1", "2.2"), "package numpy: 2.1 -> 2.2", "package numpy is 2.2, was 2.1"),
        (
            Difference("python", "python", "cpython 3.11", "cpython 3.12"),
            None,
            "Python is cpython 3.12, was cpython 3.11",
        ),
        (Difference("file", "data.csv", "", ""), "file data.csv: its content differs", "file data.csv changed"),
        (Difference("name", "pkg.np", "numpy", "cupy"), None, "pkg.np stands for cupy, not numpy"),
        (Difference("function", "pkg.f", "a\nb", "a\nc"), None, "its own code changed"),
        (Difference("function", "pkg.f.<locals>.h", "a", "b"), None, "its own code changed"),
        (Difference("function", "pkg.g", None, "a"), None, "it now uses function pkg.g"),
        (Difference("class", "pkg.C", "a", None), "class pkg.C: no longer used", "it no longer uses class pkg.C"),
        (
            Difference("class", "pkg.C", "same", "same"),
            "class pkg.C: its text is the same; what it is made of is not",
            None,
        ),
        (
            Difference("argument", "x", "ndarray", "ndarray"),
            "argument x: it looks the same (ndarray), and its content differs",
            None,
        ),
    ],
)
def test_how_it_looks(difference: Difference, text: str | None, phrase: str | None) -> None:
    assert text is None or str(difference) == text
    assert phrase is None or difference.phrase("pkg.f") == phrase


def test_source_is_shown_as_a_diff() -> None:
    found = Difference("function", "pkg.g", "def g(x):\n    return x", "def g(x):\n    return -x")
    assert found.lines() == [
        "function pkg.g:",
        "    --- old",
        "    +++ new",
        "    @@ -1,2 +1,2 @@",
        "     def g(x):",
        "    -    return x",
        "    +    return -x",
    ]


def test_of_long_lines_only_the_surroundings_of_what_differs() -> None:
    before, after = "a" * 500 + "1" + "b" * 500, "a" * 500 + "2" + "b" * 500
    old, new = focused(before, after)
    assert old == "..." + "a" * 40 + "1" + "b" * 40 + "..."
    assert new == old.replace("1", "2")
    title, gone, came = Difference("value", "pkg.N", before, after).lines()
    assert (title, gone, came) == ("value pkg.N:", f"    - {old}", f"    + {new}")
    assert len(focused("", "x" * 10_000)[1]) < 500


def test_of_long_new_functions_only_the_beginning() -> None:
    lines = Difference("function", "pkg.g", None, "\n".join(f"line {at}" for at in range(100))).lines()
    assert len(lines) == 21
    assert lines[-1] == "    + ... (81 more lines)"


def test_arguments() -> None:
    old = [("x", b"1", "1"), ("y", b"2", "2"), ("gone", b"3", "3")]
    new = [("x", b"1", "1"), ("y", b"4", "4"), ("new", b"5", "5")]
    assert compare_arguments(old, new) == [
        Difference("argument", "y", "2", "4"),
        Difference("argument", "gone", "3", None),
        Difference("argument", "new", None, "5"),
    ]
