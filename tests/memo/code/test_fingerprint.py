"""Fingerprints of functions of small modules, before and after an edit."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from hitsave.memoisation.code.dependency import DependencyKind
from hitsave.memoisation.code.fingerprint import Fingerprint, Fingerprints
from hitsave.memoisation.code.ignoring import Ignored
from hitsave.memoisation.code.watch import Aliases

Load = Callable[..., ModuleType]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Imports `subject`, and `side` beside it, as if for the first time."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def forget() -> None:
        for name in ("subject", "side"):
            sys.modules.pop(name, None)

    def load(text: str, side: str = "") -> ModuleType:
        forget()
        importlib.invalidate_caches()
        (tmp_path / "subject.py").write_text(textwrap.dedent(text))
        (tmp_path / "side.py").write_text(textwrap.dedent(side))
        return importlib.import_module("subject")

    yield load
    forget()


def make(module: ModuleType, **settings: object) -> Fingerprint:
    return Fingerprints().make(module.f, memoised=True, **settings)  # type: ignore[arg-type]


_SIDE = (
    "DEPTH = 1\nUNUSED = 1\ndef helper(x): return x + DEPTH\nclass Base:\n    level = 1\n    def run(self): return 1\n"
)
#: Source, and what of it, or of `side`, is replaced by what.
_COUNTS = {
    "global": ("X = 1\ndef f(): return X", "X = 1", "X = 2"),
    "type of a global": ("X = 1\ndef f(): return X", "X = 1", "X = 1.0"),
    "helper": ("def g(): return 1\ndef f(): return g()", "return 1", "return 2"),
    "helper of helper": ("def h(): return 1\ndef g(): return h()\ndef f(): return g()", "return 1", "return 2"),
    "name of a helper": ("def g(): return 1\ndef h(): return 2\ndef f(): return g()", "return g()", "return h()"),
    "lambda": ("g = lambda: 1\ndef f(): return g()", "lambda: 1", "lambda: 2"),
    "default of a helper": ("def g(x=1): return x\ndef f(): return g()", "x=1", "x=2"),
    "keyword default": ("def g(*, x=1): return x\ndef f(): return g()", "x=1", "x=2"),
    "closure": ("def m(x):\n    def f(): return x\n    return f\nf = m(1)", "m(1)", "m(2)"),
    "closure's function": (
        "def m(g):\n    def f(): return g()\n    return f\ndef g(): return 1\nf = m(g)",
        "return 1",
        "return 2",
    ),
    "dictionary of functions": ("def g(): return 1\nT = {'a': g}\ndef f(x): return T[x]()", "return 1", "return 2"),
    "partial": ("import functools\ndef g(x): return x\np = functools.partial(g, 1)\ndef f(): return p()", ", 1", ", 2"),
    "method": ("class A:\n    def m(self): return 1\ndef f(): return A().m()", "return 1", "return 2"),
    "class attribute": ("class A:\n    x = 1\ndef f(): return A.x", "x = 1", "x = 2"),
    "base": ("import side\nclass A(side.Base): pass\ndef f(): return A().run()", "side:return 1", "return 2"),
    "property": ("class A:\n    @property\n    def m(self): return 1\ndef f(): return A().m", "return 1", "return 2"),
    "static method": (
        "class A:\n    @staticmethod\n    def m(): return 1\ndef f(): return A.m()",
        "return 1",
        "return 2",
    ),
    "metaclass": (
        "class M(type):\n    def m(cls): return 1\nclass A(metaclass=M): pass\ndef f(): return A.m()",
        "return 1",
        "return 2",
    ),
    "field of a data class": (
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int = 1\ndef f(): return A()",
        "= 1",
        "= 2",
    ),
    "annotation of a field": (
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int\ndef f(): return A(1)",
        "x: int",
        "x: 'ClassVar[int]'",
    ),
    "enum": ("import enum\nclass A(enum.Enum):\n    X = 1\ndef f(): return A.X", "X = 1", "X = 2"),
    "decorator": (
        "def d(g):\n    def w(): return g() + 1\n    return w\n@d\ndef g(): return 1\ndef f(): return g()",
        "+ 1",
        "+ 2",
    ),
    "cached helper": (
        "import functools\n@functools.cache\ndef g(): return 1\ndef f(): return g()",
        "return 1",
        "return 2",
    ),
    "dispatch": (
        "import functools\n@functools.singledispatch\ndef g(x): return 0\n@g.register\ndef _(x: int): return 1\n"
        "def f(x): return g(x)",
        "return 1",
        "return 2",
    ),
    "instance": (
        "class A:\n    def __init__(self): self.x = 1\na = A()\ndef f(): return a.x",
        "self.x = 1",
        "self.x = 2",
    ),
    "module": ("import side\ndef f(): return side.helper(1)", "side:DEPTH = 1", "DEPTH = 2"),
    "module under another name": ("import side as s\ndef f(): return s.DEPTH", "side:DEPTH = 1", "DEPTH = 2"),
    "name of a module": ("from side import helper as h\ndef f(): return h(1)", "side:DEPTH = 1", "DEPTH = 2"),
    "star": ("from side import *\ndef f(): return helper(1)", "side:x + DEPTH", "x - DEPTH"),
    "import in the function": ("def f():\n    import side\n    return side.DEPTH", "side:DEPTH = 1", "DEPTH = 2"),
    "from in the function": (
        "def f():\n    from side import helper\n    return helper(1)",
        "side:DEPTH = 1",
        "DEPTH = 2",
    ),
    "importlib": (
        "import importlib\ndef f(): return importlib.import_module('side').DEPTH",
        "side:DEPTH = 1",
        "DEPTH = 2",
    ),
    "nested function": ("def g(): return 1\ndef f():\n    def h(): return g()\n    return h()", "return 1", "return 2"),
    "comprehension": ("def g(x): return 1\ndef f(): return [g(x) for x in 'a']", "return 1", "return 2"),
    "attribute of a function": ("def g(): return g.x\ng.x = 1\ndef f(): return g()", "x = 1", "x = 2"),
    "globals": ("X = 1\ndef f(x): return globals()[x]", "X = 1", "X = 2"),
    "docstring that is read": ("def g():\n    'one'\ndef f(): return g.__doc__", "one", "two"),
    "raise": ("class E(Exception):\n    x = 1\ndef f(): raise E", "x = 1", "x = 2"),
    "with": (
        "class C:\n    def __enter__(self): return 1\n    def __exit__(self, *a): pass\nc = C()\n"
        "def f():\n    with c as x: return x",
        "return 1",
        "return 2",
    ),
    "slots and descriptors": (
        "class D:\n    def __get__(self, i, o): return 1\nclass A:\n    d = D()\ndef f(): return A().d",
        "return 1",
        "return 2",
    ),
}
_DOES_NOT = {
    "comment": ("def f(): return 1  # one", "# one", "# two"),
    "docstring": ("def f():\n    'one'\n    return 1", "one", "two"),
    "place": ("X = 1\ndef f(): return X", "X = 1", "\n\nX = 1"),
    "unrelated function": ("def g(): return 1\ndef f(): return 2", "return 1", "return 3"),
    "unrelated global": ("X = 1\ndef f(): return 2", "X = 1", "X = 3"),
    "unrelated in a module": ("import side\ndef f(): return side.helper(1)", "side:UNUSED = 1", "UNUSED = 2"),
    "own default": ("def f(x=1): return x", "x=1", "x=2"),
    "annotation": ("def g(x: int): return x\ndef f(): return g(1)", "x: int", "x: str"),
    "order of a set": ("X = {1, 2, 3}\ndef f(): return X", "{1, 2, 3}", "{3, 2, 1}"),
    "order of imports": ("import json\nimport side\ndef f(): return side.DEPTH, json",
                         "import json\nimport side", "import side\nimport json"),
    "local name of the same name": ("X = 1\ndef f():\n    X = 2\n    return X", "X = 1", "X = 3"),
    "docstring of a class": ("class A:\n    'one'\n    x = 1\ndef f(): return A.x", "one", "two"),
    "unrelated class": ("class A:\n    x = 1\ndef f(): return 2", "x = 1", "x = 3"),
}  # fmt: skip


def _edited(text: str, old: str, new: str) -> tuple[str, str]:
    where, found, rest = old.partition("side:")
    old = rest if found else where
    source = _SIDE if found else text
    assert source.count(old) == 1, (source, old)
    edited = source.replace(old, new)
    return (text, edited) if found else (edited, _SIDE)


#: What only newer versions of Python can say, by the version.
_NEWER = {
    "a type alias's value": ((3, 12), "type A = int\ndef f(): return A.__value__(1)", "= int", "= str"),
    "a generic type alias": ((3, 12), "type A[T] = dict[str, T]\ndef f(): return A[int]", "[str", "[int"),
    "a function with type parameters": (
        (3, 12),
        "def g[T](x: T) -> T: return x + 1\ndef f(): return g(1)",
        "+ 1",
        "+ 2",
    ),
    "a method of a class with type parameters": (
        (3, 12),
        "class B[T]:\n    def m(self): return X\nX = 1\ndef f(): return B[int]().m()",
        "X = 1",
        "X = 2",
    ),
    "the default of a class's type parameter": (
        (3, 13),
        "class C[T = int]: ...\ndef f(): return C.__type_params__[0].__default__",
        "= int",
        "= str",
    ),
    "a name in a template string": ((3, 14), "X = 1\ndef f(): return t'{X}'", "X = 1", "X = 2"),
    "an annotation beside one that names nothing": (
        (3, 14),
        "import annotationlib as a\nfrom typing import Annotated\nM = Annotated[int, 1]\n"
        "class C:\n    x: M\n    y: Missing\n"
        "def f(): return a.get_annotations(C, format=a.Format.FORWARDREF)['x']",
        ", 1",
        ", 2",
    ),
}


@pytest.mark.parametrize("case", _NEWER)
def test_what_counts_in_newer_versions(load: Load, case: str) -> None:
    version, text, old, new = _NEWER[case]
    if sys.version_info < version:
        pytest.skip(f"it came with {version[0]}.{version[1]}")
    before = make(load(text)).digest
    assert make(load(text)).digest == before
    assert make(load(text.replace(old, new, 1))).digest != before


@pytest.mark.parametrize("case", _COUNTS)
def test_what_counts(load: Load, case: str) -> None:
    text, old, new = _COUNTS[case]
    before = make(load(text, _SIDE)).digest
    assert make(load(text, _SIDE)).digest == before
    assert make(load(*_edited(text, old, new))).digest != before


@pytest.mark.parametrize("case", _DOES_NOT)
def test_what_does_not_count(load: Load, case: str) -> None:
    text, old, new = _DOES_NOT[case]
    before = make(load(text, _SIDE)).digest
    assert make(load(*_edited(text, old, new))).digest == before


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("X = 1\ndef f(): return X", "m.X = 2"),
        ("X = [1]\ndef f(): return X", "m.X.append(2)"),
        ("def g(): return 1\ndef f(): return g()", "m.g = lambda: 2"),
        ("def g(): return 1\ndef f(): return g()", "m.g.__code__ = (lambda: 2).__code__"),
        ("def g(x=1): return x\ndef f(): return g()", "m.g.__defaults__ = (2,)"),
        ("class A: pass\ndef f(): return A.x", "m.A.x = 2"),
        ("class A:\n    def m(self): return 1\ndef f(): return A().m()", "m.A.m = lambda self: 2"),
        ("class A:\n    x = [1]\ndef f(): return A.x", "m.A.x.append(2)"),
        ("def g(): return 1\nT = {}\ndef f(x): return T[x]()", "m.T['a'] = m.g"),
        ("import side\ndef f(): return side.DEPTH", "m.side.DEPTH = 2"),
        ("def f(x): return globals()[x]", "m.new = 2"),
    ],
)
def test_what_changes_while_the_process_runs(load: Load, text: str, change: str) -> None:
    module = load(text, _SIDE)
    before = make(module)
    assert before.holds(Aliases())
    exec(change, {"m": module})
    assert not before.holds(Aliases())
    assert make(module).digest != before.digest


def test_what_is_ignored(load: Load) -> None:
    text = "X = 1\ndef g(): return 1\ndef f(): return X, g()"
    ignored = Ignored(["X", "subject.g"])
    before = make(load(text), ignored=ignored).digest
    assert make(load(text.replace("X = 1", "X = 2").replace("return 1", "return 2")), ignored=ignored).digest == before
    assert make(load(text.replace("X, g()", "g(), X")), ignored=ignored).digest != before


def test_what_it_depends_on_beside(load: Load, tmp_path: Path) -> None:
    text = "def g(): return 1\ndef f(): return 1"
    file = tmp_path / "data.txt"
    file.write_text("one")

    def digest(text: str, side: str = _SIDE) -> bytes:
        module = load(text, side)
        return make(module, depends_on=[module.g, "side", file, 5]).digest

    before = digest(text)
    assert digest(text) == before
    assert digest(text.replace("g(): return 1", "g(): return 2")) != before
    assert digest(text, _SIDE.replace("UNUSED = 1", "UNUSED = 2")) != before
    file.write_text("two")
    assert digest(text) != before


def test_packages_count_by_as_much_of_their_version_as_was_said(load: Load) -> None:
    module = load("import pytest\ndef f(): return pytest.raises")
    digests = {make(module, sensitivity=each).digest for each in ("none", "major", "minor", "patch")}
    assert len(digests) == 4
    packages = [each for each in make(module).dependencies if each.kind is DependencyKind.PACKAGE]
    assert [each.name for each in packages] == ["pytest"]


def test_recursion_and_cycles(load: Load) -> None:
    text = "def f(n): return g(n)\ndef g(n): return f(n - 1) if n else 0\nclass A:\n    def m(self): return B\n" \
        "class B:\n    def m(self): return A, f\ndef h(): return A\n"  # fmt: skip
    module = load(text)
    before = Fingerprints().make(module.h).digest
    assert Fingerprints().make(load(text).h).digest == before
    assert Fingerprints().make(load(text.replace("else 0", "else 1")).h).digest != before


def test_what_the_function_changes_itself(load: Load) -> None:
    module = load("seen = []\ndef f(x):\n    seen.append(x)\n    return x")
    aliases = Aliases()
    before = make(module, aliases=aliases)
    module.f(1)
    before.note_changes(aliases)
    assert before.holds(aliases)
    assert make(module, aliases=aliases).digest == before.digest
    module.seen.append("from outside")
    assert make(module, aliases=aliases).digest != before.digest
