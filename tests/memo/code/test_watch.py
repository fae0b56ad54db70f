"""Whether what a fingerprint was made of is as it was."""

from __future__ import annotations

from typing import Any

import pytest
from blake3 import blake3

from hitsave.memoisation.code.watch import MISSING, Aliases, Watch, cell_contents


def redigest(value: object) -> bytes:
    return blake3(repr(value).encode()).digest()


def test_bindings() -> None:
    namespace: dict[str, object] = {"x": 1}
    watch = Watch()
    watch.binding(namespace, "x", 1)
    watch.binding(namespace, "y", MISSING)
    assert watch.holds(redigest, Aliases())
    namespace["x"] = 2
    assert not watch.holds(redigest, Aliases())
    namespace["x"] = 1
    assert watch.holds(redigest, Aliases())
    namespace["y"] = None
    assert not watch.holds(redigest, Aliases())


def _first(a: int = 1, *, b: int = 2) -> None: ...
def _second(a: int = 1, *, b: int = 2) -> int:
    return a + b


@pytest.mark.parametrize(
    ("name", "value"), [("__code__", _second.__code__), ("__defaults__", (3,)), ("__kwdefaults__", {"b": 3})]
)
def test_functions(name: str, value: object) -> None:
    watch = Watch()
    watch.function(_first)
    before = getattr(_first, name)
    assert watch.holds(redigest, Aliases())
    setattr(_first, name, value)
    assert not watch.holds(redigest, Aliases())
    setattr(_first, name, before)
    assert watch.holds(redigest, Aliases())


def _closure() -> Any:
    held = [1]

    def inner() -> list[int]:
        return held

    return inner


def test_cells_sizes_and_checks() -> None:
    cell = _closure().__closure__[0]
    namespace, answers = {"a": 1}, [1]
    watch = Watch()
    watch.cell(cell, cell_contents(cell), "cell")
    watch.size(namespace)
    watch.check(lambda: answers[0])
    assert watch.holds(redigest, Aliases())
    namespace["b"] = 1
    assert not watch.holds(redigest, Aliases())
    del namespace["b"]
    answers[0] = 2
    assert not watch.holds(redigest, Aliases())
    answers[0] = 1
    assert watch.holds(redigest, Aliases())
    del cell.cell_contents
    assert cell_contents(cell) is MISSING
    assert not watch.holds(redigest, Aliases())


def test_values_that_change_in_place() -> None:
    value = [1]
    watch = Watch()
    watch.value("x", value, redigest(value))
    value.append(2)
    assert not watch.holds(redigest, Aliases())
    value.pop()
    assert watch.holds(redigest, Aliases())


def test_a_value_that_cannot_be_digested_any_more() -> None:
    def refuses(value: object) -> bytes:
        raise KeyError(value)

    watch = Watch()
    watch.value("x", [1], redigest([1]))
    assert not watch.holds(refuses, Aliases())


def test_what_the_function_changes_itself_counts_as_it_was() -> None:
    aliases, value, namespace = Aliases(), [1], {"bound": [5]}
    watch = Watch()
    watch.value("x", value, redigest(value))
    watch.binding(namespace, "bound", namespace["bound"], "bound")
    watch.value("bound", namespace["bound"], redigest([5]))
    value.append(2)
    namespace["bound"] = [6]
    watch.note_changes(redigest, aliases)
    assert aliases.origin("x", redigest([1, 2])) == redigest([1])
    assert aliases.origin("bound", redigest([6])) == redigest([5])
    assert aliases.origin("y", redigest([1, 2])) == redigest([1, 2])


def test_changes_upon_changes_count_as_the_first() -> None:
    aliases, value = Aliases(), [1]
    for number in (2, 3, 4):
        watch = Watch()
        watch.value("x", value, redigest(value))
        value.append(number)
        watch.note_changes(redigest, aliases)
    assert aliases.origin("x", redigest([1, 2, 3, 4])) == redigest([1])
