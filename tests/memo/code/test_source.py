"""Source that is believed only when it is what runs."""

from __future__ import annotations

import linecache
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from hitsave.memoisation.code.normal import Attention
from hitsave.memoisation.code.source import Piece, Sources, code_digest, same_code

Load = Callable[[str], dict[str, Any]]
_PLAIN = Attention()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "module.py"


@pytest.fixture
def load(path: Path) -> Load:
    def load(text: str) -> dict[str, Any]:
        path.write_text(text)
        namespace: dict[str, Any] = {}
        exec(compile(text, str(path), "exec", dont_inherit=True), namespace)
        return namespace

    return load


def piece(function: Any, sources: Sources | None = None) -> Piece:
    return (sources or Sources()).function(function.__code__, _PLAIN, lambda decorator: False)


def test_the_text_of_a_function_is_what_stands_in_its_file(load: Load) -> None:
    namespace = load("import functools\n@functools.cache\ndef f(x):\n    # comment\n    return x\n")
    assert piece(namespace["f"].__wrapped__).text == "@functools.cache\ndef f(x):\n    # comment\n    return x"


def test_formatting_and_place_do_not_count(load: Load) -> None:
    one = piece(load("def f(x): return x")["f"])
    other = piece(load("# comment\n\ndef f(x):\n    '''doc'''\n    return (x)")["f"])
    assert one.digest == other.digest
    assert piece(load("def f(x): return -x")["f"]).digest != one.digest


def test_a_file_that_was_edited_since_is_not_believed(load: Load, path: Path) -> None:
    one = load("def f(x): return x + 1")["f"]
    path.write_text("def f(x): return x + 2")
    found = piece(one)
    assert found == Piece(code_digest(one.__code__, _PLAIN), "")
    assert found.digest != piece(load("def f(x): return x + 2")["f"]).digest


def test_a_file_that_was_edited_elsewhere_is_believed(load: Load, path: Path) -> None:
    one = load("def f(x): return x + 1\ndef g(): pass")["f"]
    path.write_text("def g(): return 1\n\n\ndef f(x):\n    return x + 1")
    assert piece(one).text == "def f(x):\n    return x + 1"


def test_a_file_is_read_again_when_it_changes(load: Load) -> None:
    sources = Sources()
    assert piece(load("def f(): return 1")["f"], sources).text == "def f(): return 1"
    assert piece(load("def f():  return 22")["f"], sources).text == "def f():  return 22"


def test_several_definitions_of_one_name(load: Load) -> None:
    namespace = load("def f(): return 1\none = f\ndef f(): return 2\n")
    assert piece(namespace["one"]).text == "def f(): return 1"
    assert piece(namespace["f"]).text == "def f(): return 2"


def test_lambdas_in_one_line(load: Load) -> None:
    namespace = load("a, b = lambda x: x + 1, lambda x: x + 2\nc = lambda: (lambda y: y)\nd = c()\n")
    assert piece(namespace["a"]).text == "lambda x: x + 1"
    assert piece(namespace["b"]).text == "lambda x: x + 2"
    assert piece(namespace["c"]).text == "lambda: (lambda y: y)"
    assert piece(namespace["d"]).text == "lambda y: y"


def test_what_is_not_in_a_file(load: Load) -> None:
    namespace: dict[str, Any] = {}
    exec("def f(x): return x\ndef g(x): return -x\ndef h(y): return y", namespace)
    digests = {piece(namespace[name]).digest for name in "fgh"}
    assert len(digests) == 3
    again: dict[str, Any] = {}
    exec("\n\ndef f(x):\n    'doc'\n    return x", again)
    assert piece(again["f"]).text == ""


def test_docstrings_in_bytecode() -> None:
    codes = []
    for doc in ("one", "two"):
        namespace: dict[str, Any] = {}
        exec(f"def f(x):\n    '{doc}'\n    return x", namespace)
        codes.append(namespace["f"].__code__)
    assert code_digest(codes[0], _PLAIN) == code_digest(codes[1], _PLAIN)
    read = Attention(docstrings=True)
    assert code_digest(codes[0], read) != code_digest(codes[1], read)


def test_a_cell_of_a_notebook() -> None:
    name, text = "<ipython-input-1>", "def f(x):\n    return x + 1\n"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    namespace: dict[str, Any] = {}
    exec(compile(text, name, "exec", dont_inherit=True), namespace)
    assert piece(namespace["f"]).text == "def f(x):\n    return x + 1"


def test_encodings_and_line_ends(load: Load, path: Path) -> None:
    one = piece(load("def f(x):\n    y = 'ä'\n    return x + y")["f"])
    data = "# coding: latin-1\r\ndef f(x):\r\n    y = 'ä'\r\n    return x + y\r\n".encode("latin-1")
    path.write_bytes(data)
    namespace: dict[str, Any] = {}
    exec(compile(data, str(path), "exec", dont_inherit=True), namespace)
    assert piece(namespace["f"]) == one


@pytest.mark.parametrize("text", ["def f(:", "", "\0"])
def test_a_file_that_is_no_python(load: Load, path: Path, text: str) -> None:
    function = load("def f(): return 1")["f"]
    path.write_text(text)
    assert piece(function).text == ""


def _code(expression: str) -> CodeType:
    return compile(expression, "<test>", "eval", dont_inherit=True)


@pytest.mark.parametrize(
    ("one", "other"),
    [("1", "1.0"), ("1", "True"), ("0.0", "-0.0"), ("(1, 2)", "(1, 2.0)"), ("x in {1, 2}", "x in {1, 3}"), ("a", "b")],
)
def test_code_that_does_something_else(one: str, other: str) -> None:
    assert same_code(_code(one), _code(f"\n\n{one}"))
    assert not same_code(_code(one), _code(other))
    assert code_digest(_code(one), _PLAIN) != code_digest(_code(other), _PLAIN)
