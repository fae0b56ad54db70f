"""Names that code uses, read from its bytecode."""

from __future__ import annotations

import textwrap
from types import CodeType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitsave.memoisation.code.names import Import, Uses, uses


def function(text: str) -> Uses:
    """What the function that a text defines uses."""
    module = compile(textwrap.dedent(text), "<test>", "exec", dont_inherit=True)
    return uses(next(each for each in module.co_consts if isinstance(each, CodeType)))


@pytest.mark.parametrize(
    ("body", "chains"),
    [
        ("return x", [("x",)]),
        ("return a.b.c", [("a", "b", "c")]),
        ("return a.b(1).c", [("a", "b")]),
        ("return a[0].b", [("a",)]),
        ("x = 1; return x", []),
        ("return [y for z in w]", [("w",), ("y",)]),
        ("return lambda: deep.er", [("deep", "er")]),
        ("global g; g = 1", []),
        ("global g; g += 1", [("g",)]),
        ("return f'{a.b!r:{width}}'", [("a", "b"), ("width",)]),
        ("with lock: pass", [("lock",)]),
        ("try: pass\n    except errors.Mine: pass", [("errors", "Mine")]),
        ("a.b = 1", [("a",)]),
        ("a.b.c = 1", [("a", "b")]),
        ("del a.b.c", [("a", "b")]),
        ("def inner(x=default): return x\n    return inner", [("default",)]),
        ("class Inner(Base): y = value\n    return Inner", [("Base",), ("__name__",), ("value",)]),
        ("return super", [("super",)]),
        ("a.method(b.c)", [("a", "method"), ("b", "c")]),
        ("return (yield from a.b)", [("a", "b")]),
        ("match a.b:\n        case C.D: pass", [("C", "D"), ("a", "b")]),
        ("for a.b in c: pass", [("a",), ("c",)]),
    ],
)
def test_chains_of_globals(body: str, chains: list[tuple[str, ...]]) -> None:
    assert list(function(f"def f(p):\n    {body}").globals) == chains


@pytest.mark.parametrize(
    ("body", "imports"),
    [
        ("import a; return a.b", [Import(0, "a", True, ("b",))]),
        ("import a.b; return a.b.c", [Import(0, "a.b", True, ("b", "c"))]),
        ("import a.b as c; return c.d", [Import(0, "a.b", True, ("b", "d"))]),
        ("from a import b; return b.c", [Import(0, "a", False, ("b", "c"))]),
        ("from a import b as c, d; return c(d)", [Import(0, "a", False, ("b",)), Import(0, "a", False, ("d",))]),
        ("from . import a; return a.b", [Import(1, "", False, ("a", "b"))]),
        ("from ..x import a; return a", [Import(2, "x", False, ("a",))]),
        ("import a", [Import(0, "a", True)]),
        ("import a; return lambda: a.b", [Import(0, "a", True, ("b",))]),
        ("global a; import a; return a.b", [Import(0, "a", True, ("b",))]),
        ("import importlib; return importlib.import_module('a.b')", [Import(0, "a.b", False)]),
    ],
)
def test_imports(body: str, imports: list[Import]) -> None:
    found = list(function(f"def f(p):\n    {body}").imports)
    assert [each for each in found if each.module != "importlib"] == imports


@pytest.mark.parametrize(
    ("body", "reflective"),
    [
        ("return globals()[p]", True),
        ("return eval(p)", True),
        ("exec(p)", True),
        ("return vars()", True),
        ("import sys; return sys.path", False),
        ("return sys.modules[p]", True),
        ("return getattr(p, 'x')", False),
        ("return dir(p)", False),
    ],
)
def test_what_can_reach_every_name(body: str, reflective: bool) -> None:
    assert function(f"def f(p):\n    {body}").reflective is reflective


def test_free_names_belong_to_the_closure() -> None:
    namespace: dict[str, object] = {}
    text = "def f(a):\n    b = a\n    def g():\n        return (lambda: b.c.d)() + e\n    return g"
    exec(text, namespace)
    found = uses(namespace["f"](1).__code__)  # type: ignore[operator]
    assert found.free == (("b", "c", "d"),)
    assert found.globals == (("e",),)


def test_names_that_are_mentioned() -> None:
    assert {"a", "__doc__", "inner"} <= function("def f():\n    return a.__doc__, (lambda: inner)").mentions


_NAMES = st.from_regex(r"[a-z]{1,4}_[a-z]{1,3}", fullmatch=True)


@given(st.lists(st.lists(_NAMES, min_size=1, max_size=5).map(tuple), min_size=1, max_size=40))
def test_every_chain_is_found(chains: list[tuple[str, ...]]) -> None:
    found = function("def f():\n    return [" + ", ".join(".".join(chain) for chain in chains) + "]")
    assert set(found.globals) == set(chains)
    assert {name for chain in chains for name in chain} <= found.mentions


@given(st.integers(0, 400))
def test_long_functions(count: int) -> None:
    """Arguments above 255 take more than one instruction."""
    text = "def f():\n" + "".join(f"    name{i}.attribute{i}\n" for i in range(count)) + "    return last.one"
    assert len(function(text).globals) == count + 1
    assert ("last", "one") in function(text).globals
