"""What of a piece of source counts."""

from __future__ import annotations

import ast
import string
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitsave.memoisation.code.normal import Attention, Definition, definition_digest, definitions, statements_digest


def digest(text: str, attention: Attention | None = None) -> str:
    """The digest of the first definition in a text."""
    node = ast.parse(textwrap.dedent(text)).body[0]
    assert isinstance(node, Definition)
    return definition_digest(node, attention or Attention()).hex()


_SAME = [
    ("def f(): return 1", "def f():\n\n    # comment\n    return (1)"),
    ("def f(): return 1", "def f():\n    'doc'\n    return 1"),
    ("def f(): return 1", "def f():\n    return 1\n    pass"),
    ("def f(x): return x", "def f(x: int) -> int: return x"),
    ("def f(): return 'a'", 'def f(): return "a"'),
    ("def f(): return 'ab'", 'def f(): return "a" "b"'),
    ("def f(): return 16", "def f(): return 0x10"),
    ("def f(): return 1000", "def f(): return 1_000"),
    ("def f(x=1): return x", "def f(x=2): return x"),  # Defaults are taken as values.
    ("def f():\n    x = 1\n    return x", "def f():\n    x: int = 1\n    return x"),
    ("def f(): return 1", "def f():\n    if TYPE_CHECKING:\n        import x\n    return 1"),
    ("def f(): return [1, 2]", "def f(): return [1, 2,]"),
    ("@property\ndef f(x): return x", "@property\ndef f(x: int): return x"),
    ("def f(): return u'a'", "def f(): return 'a'"),
    ("def f(): return a if (b) else c", "def f(): return (a if b else c)"),
    ("def f(): a()", "def f():\n    a()\n    return"),
    ("def f(): a()", "def f():\n    a()\n    return None\n    pass"),
    ("def f(): pass", "def f():\n    'doc'\n    return"),
    ("def f():\n    if a: b()", "def f():\n    if a:\n        b()\n        return\n    else:\n        return None"),
    ("def f():\n    if a: return\n    b()", "def f():\n    if a: return None\n    b()"),
    ("def f():\n    def g(): a()\n    return g", "def f():\n    def g():\n        a()\n        return\n    return g"),
    ("def f(): return a not in b", "def f(): return not a in b"),
    ("def f(): return a is not b", "def f(): return not a is b"),
    ("def f():\n    import a\n    import b.c", "def f():\n    import b.c, a"),
    ("def f():\n    from a import b, c as d\n    import e", "def f():\n    import e\n    from a import c as d, b"),
    ("class A:\n    x = 1", "class A:\n    'doc'\n    x = 1  # comment"),
    ("class A:\n    x = 1", "class A:\n    x = 1\n    def method(self): return 1"),
]
_OTHER = [
    ("def f(): return 1", "def f(): return 2"),
    ("def f(): return 1", "def f(): return 1.0"),
    ("def f(): return 1", "def f(): return True"),
    ("def f(): return 0.0", "def f(): return -0.0"),
    ("def f(): return 'a'", "def f(): return b'a'"),
    ("def f(): return 'a'", "def f(): return f'a'"),
    ("def f(): return a.b", "def f(): return a.c"),
    ("def f(): return a", "async def f(): return a"),
    ("def f(): return a", "def f(): yield a"),
    ("def f(x): return 1", "def f(y): return 1"),
    ("def f(x): return 1", "def f(*x): return 1"),
    ("def f(x, y): return 1", "def f(x, *, y): return 1"),
    ("def f(x, y): return 1", "def f(x, /, y): return 1"),
    ("def f(): return [a, b]", "def f(): return [b, a]"),
    ("def f(): return (a, b)", "def f(): return [a, b]"),
    ("def f(): return a < b", "def f(): return a <= b"),
    ("def f():\n    a()\n    b()", "def f():\n    b()\n    a()"),
    ("def f():\n    for i in x:\n        a()\n    b()", "def f():\n    for i in x:\n        a()\n        b()"),
    ("def f():\n    if a:\n        b()\n    else:\n        c()", "def f():\n    if a:\n        b()\n    c()"),
    ("def f(): return 1", "@deco\ndef f(): return 1"),
    ("@a\n@b\ndef f(): return 1", "@b\n@a\ndef f(): return 1"),
    ("@deco\ndef f(x): return x", "@deco\ndef f(x: int): return x"),
    ("def f():\n    def g(x=1): return x\n    return g", "def f():\n    def g(x=2): return x\n    return g"),
    ("def f():\n    return lambda x=1: x", "def f():\n    return lambda x=2: x"),
    ("def f():\n    g = h = 1", "def f():\n    g = 1\n    h = 1"),
    ("def f(): return f'{a!r}'", "def f(): return f'{a!s}'"),
    ("def f(): return f'{a:>3}'", "def f(): return f'{a:>4}'"),
    ("def f():\n    if a: return\n    b()", "def f():\n    if a: pass\n    b()"),
    ("def f():\n    for a in b:\n        c()\n        return", "def f():\n    for a in b:\n        c()"),
    (
        "def f():\n    try:\n        return\n    finally: a()\n    b()",
        "def f():\n    try: pass\n    finally: a()\n    b()",
    ),
    ("def f():\n    yield\n    return", "def f():\n    return"),
    ("def f(): return a in b", "def f(): return not a in b"),
    ("def f(): return not (a in b in c)", "def f(): return a not in b in c"),
    ("def f(): return not a == b", "def f(): return a != b"),  # It may be anything.
    ("def f():\n    import a.b\n    import a", "def f():\n    import a\n    import a.b"),
    ("def f():\n    from a import x\n    from b import x", "def f():\n    from b import x\n    from a import x"),
    ("def f():\n    import a\n    a()\n    import b", "def f():\n    import b\n    a()\n    import a"),
    ("class A:\n    x = 1", "class A:\n    x = 2"),
    ("class A: pass", "class A(metaclass=M): pass"),
    ("class A:\n    x = 1\n    y = 2", "class A:\n    y = 2\n    x = 1"),
    ("def f():\n    global x\n    x = 1", "def f():\n    x = 1"),
    ("def f():\n    assert x", "def f():\n    assert x, y"),
    ("def f(): return 10 ** 5000", "def f(): return 10 ** 5001"),
]


@pytest.mark.parametrize(("one", "other"), _SAME)
def test_what_does_not_count(one: str, other: str) -> None:
    assert digest(one) == digest(other)


@pytest.mark.parametrize(("one", "other"), _OTHER)
def test_what_counts(one: str, other: str) -> None:
    assert digest(one) != digest(other)


def test_the_name_of_a_definition_does_not_count_and_those_inside_of_it_do() -> None:
    assert digest("def f(): return 1") == digest("def g(): return 1")
    assert digest("def f():\n    def g(): pass") != digest("def f():\n    def h(): pass")


def test_docstrings_and_annotations_count_where_they_are_read() -> None:
    one, other = "def f(x: int):\n    'one'\n    return x", "def f(x: str):\n    'two'\n    return x"
    assert digest(one) == digest(other)
    assert digest(one, Attention(docstrings=True)) != digest(other, Attention(docstrings=True))
    assert digest(one, Attention(annotations=True)) != digest(other, Attention(annotations=True))
    assert digest("class A:\n    x: int") == digest("class A:\n    x: str")
    annotated = Attention(annotations=True)
    assert digest("class A:\n    x: int", annotated) != digest("class A:\n    x: str", annotated)


def test_decorators_of_ours_do_not_count() -> None:
    node = ast.parse("@memo(keep=1)\n@other\ndef f(): pass").body[0]
    without = ast.parse("@other\ndef f(): pass").body[0]
    assert isinstance(node, ast.FunctionDef)
    assert isinstance(without, ast.FunctionDef)
    assert definition_digest(node, Attention(), lambda each: isinstance(each, ast.Call)) == definition_digest(
        without, Attention()
    )


def test_methods_count_in_statements_of_a_module() -> None:
    def whole(text: str) -> bytes:
        return statements_digest(ast.parse(textwrap.dedent(text)).body)

    assert whole("class A:\n    def m(self): return 1") != whole("class A:\n    def m(self): return 2")
    assert whole("def f(): return 1") != whole("def g(): return 1")
    assert whole("'doc'\nx = 1") == whole("x = 1  # comment")
    assert whole("def f(x=1): pass") != whole("def f(x=2): pass")


def test_a_definition_of_any_depth() -> None:
    text = "def f(): return " + "-" * 80 + "1"
    assert digest(text) != digest(text.replace("--1", "1"))
    deep: ast.expr = ast.Constant(1)
    for _ in range(20_000):
        deep = ast.UnaryOp(ast.USub(), deep)
    assert len(statements_digest([ast.Expr(deep)])) == 32


def test_qualified_names_of_definitions() -> None:
    text = "class A:\n    def m(self):\n        def g(): return lambda: 1\n        class B: pass\ndef f(): pass"
    assert {name for name, _ in definitions(ast.parse(text))} == {
        "A",
        "A.m",
        "A.m.<locals>.g",
        "A.m.<locals>.g.<locals>.<lambda>",
        "A.m.<locals>.B",
        "f",
    }


# -- any source at all

_NAME = st.sampled_from(list("abcdexyz"))
_CONSTANT = st.one_of(
    st.integers(-5, 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(string.printable, max_size=5),
    st.binary(max_size=4),
    st.booleans(),
    st.none(),
)


def _expressions(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda each: f"({each[0]} {each[1]} {each[2]})"),
        st.lists(inner, max_size=3).map(lambda each: f"[{', '.join(each)}]"),
        st.lists(inner, min_size=1, max_size=3).map(lambda each: f"({', '.join(each)},)"),
        st.tuples(_NAME, st.lists(inner, max_size=3)).map(lambda each: f"{each[0]}({', '.join(each[1])})"),
        st.tuples(_NAME, inner).map(lambda each: f"(lambda {each[0]}: {each[1]})"),
        st.tuples(inner, inner, inner).map(lambda each: f"({each[0]} if {each[1]} else {each[2]})"),
    )


_EXPRESSION = st.recursive(st.one_of(_NAME, _CONSTANT.map(repr)), _expressions, max_leaves=12)


@given(_EXPRESSION)
def test_what_is_printed_anew_is_the_same(expression: str) -> None:
    text = f"def f():\n    return {expression}"
    assert digest(text) == digest(ast.unparse(ast.parse(text)))


@given(_EXPRESSION, _EXPRESSION)
def test_digests_are_the_same_just_when_trees_are(one: str, other: str) -> None:
    trees = [ast.dump(ast.parse(text, mode="eval")) for text in (one, other)]
    digests = [digest(f"def f():\n    return {text}") for text in (one, other)]
    assert (trees[0] == trees[1]) == (digests[0] == digests[1])
