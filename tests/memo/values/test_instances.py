"""Instances, classes, functions: by class and state, never by identity or the order of assignments."""

from __future__ import annotations

import copy
import dataclasses
import enum
import functools
import os
import pickle
import subprocess
import sys
import threading
import weakref
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest

from hitsave.errors import Undigestable
from hitsave.memoisation.values.digest import digest_value
from tests.memo.values.conftest import refer

Digest = Callable[[object], str]


class Plain:
    def __init__(self, **attributes: object) -> None:
        self.__dict__.update(attributes)


class Other(Plain):
    pass


class Slotted:
    __slots__ = ("__private", "a")

    def __init__(self, a: object, private: object = None) -> None:
        self.a = a
        self.__private = private


class SlottedAndMore(Slotted):
    pass


class Remembering:
    def __init__(self, a: object) -> None:
        self.a = a

    @functools.cached_property
    def doubled(self) -> list[object]:
        return [self.a, self.a]

    def __getstate__(self) -> object:
        return {"a": self.a}


class Ordered:
    """What it holds has an order, which its state says."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def __getstate__(self) -> object:
        return dict.fromkeys(self.names)

    def __setstate__(self, state: dict[str, None]) -> None:
        self.names = tuple(state)


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Shade(enum.Enum):
    RED = 1


class Flags(enum.IntFlag):
    A = 1
    B = 2


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    a: object


Pair = namedtuple("Pair", "a b")
OtherPair = namedtuple("OtherPair", "a b")

BUILTINS = {
    base: type(f"My{base.__name__}", (base,), {})
    for base in (int, float, str, bytes, list, tuple, dict, set, frozenset)
}


def test_each_different_instance_has_a_digest_of_its_own(digest: Digest) -> None:
    more = SlottedAndMore(1)
    more.b = 2  # type: ignore[attr-defined]
    annotated = BUILTINS[int](1)
    annotated.note = "x"
    noted = ValueError("a")
    noted.add_note("x")
    values: list[object] = [
        Plain(), Plain(a=1), Plain(a=2), Plain(b=1), Plain(a=1, b=2), Other(a=1), Slotted(1), Slotted(2), Slotted(1,
        2), SlottedAndMore(1),
        more, Remembering(1), Remembering(2), Ordered("a", "b"), Ordered("b", "a"), Colour.RED, Colour.BLUE,
        Shade.RED, Colour, 1, Flags.A,
        Flags.B, Flags.A | Flags.B, Flags(0), Record(1), Record(2), Pair(1, 2), OtherPair(1, 2), (1, 2), Plain,
        Other, ValueError("a"),
        noted, annotated, Plain(a=1).__init__, Plain(a=2).__init__, Plain.__init__, functools.partial(Plain, a=1),
        dataclasses.fields,
        *(cls() for cls in BUILTINS.values()), *(base() for base in BUILTINS), BUILTINS[list]([1]),
        BUILTINS[dict]({1: 2}),
        BUILTINS[set]({1}), BUILTINS[frozenset]({1}), BUILTINS[str]("a"), BUILTINS[tuple]((1,)), BUILTINS[int](1),
    ]  # fmt: skip
    found: dict[str, object] = {}
    for value in values:
        assert digest(value) not in found, f"{value!r} and {found[digest(value)]!r}"
        found[digest(value)] = value


def test_the_order_of_assignments_does_not_count(digest: Digest) -> None:
    assert digest(Plain(a=1, b=2)) == digest(Plain(b=2, a=1))
    looked_at = Remembering(1)
    assert looked_at.doubled == [1, 1]
    assert digest(looked_at) == digest(Remembering(1))


@pytest.mark.parametrize(
    "value",
    [Plain(a=[1, {2}], b=Slotted({3})), Record({"a": Colour.RED}), Pair([1], {2}), ValueError("a", [1]), Flags.A],
)
def test_copies_are_equal(digest: Digest, value: object) -> None:
    assert digest(copy.deepcopy(value)) == digest(value)
    assert digest(pickle.loads(pickle.dumps(value))) == digest(value)


def test_an_exception_that_somebody_looked_at_is_the_same(digest: Digest) -> None:
    looked_at = ValueError("a")
    assert vars(looked_at) == {}
    assert digest(looked_at) == digest(ValueError("a"))


def test_what_cannot_be_digested_is_named_with_its_place(digest: Digest) -> None:
    class Weak:
        pass

    with open(os.devnull) as file:
        bad: list[tuple[object, str]] = [
            (file, "value: a _io.TextIOWrapper"),
            ([1, file], r"value\[1\]: a _io"),
            ({"model": Plain(lock=threading.Lock())}, r"value\['model'\]\.lock: a _thread\.lock"),
            ({(1, 2): Plain(a=(Slotted([threading.RLock()]),))}, r"value\[tuple\]\.a\[0\]\.a\[0\]: a _thread"),
            (list("a").__iter__(), "value: a list_iterator.*pass a list"),
            ({"x": (number for number in "a")}, r"value\['x'\]: a generator"),
            (zip("a", "b", strict=True), "value: a zip"),
            (weakref.ref(Weak), "value: a weakref"),
            (threading.Thread(), r"value\._"),
            (sys._getframe(), "value: a frame"),
            (compile("1", "x", "eval"), "value: a code"),
        ]
        for value, message in bad:
            with pytest.raises(Undigestable, match=message) as caught:
                digest(value)
            assert "ignore=['value']" in str(caught.value)
    with pytest.raises(Undigestable, match=r"^x\[0\]: .*ignore=\['x'\]"):
        digest_value([threading.Lock()], refer, name="x")


def test_a_state_that_fails_is_named(digest: Digest) -> None:
    class Broken:
        def __getstate__(self) -> object:
            raise RuntimeError("not now")

    with pytest.raises(Undigestable, match=r"value\[0\].*RuntimeError: not now"):
        digest([Broken()])


def test_what_refer_raises_goes_through() -> None:
    def fails(thing: object) -> str:
        raise LookupError("no source")

    with pytest.raises(LookupError, match="no source"):
        digest_value([print], fails)


def test_digests_are_the_same_in_every_process(tmp_path: Path) -> None:
    script = Path(__file__).with_name("stability.py")
    outputs = set()
    for seed, folder in (("0", tmp_path), ("1", Path.cwd()), ("4242", tmp_path.parent)):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path.cwd())}
        outputs.add(subprocess.check_output([sys.executable, script], env=environment, cwd=folder, text=True))
    assert len(outputs) == 1
    lines = outputs.pop().split()
    assert len(set(lines)) == len(lines) > 10


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only where processes can be forked")
def test_a_forked_child_digests_large_arrays(digest: Digest) -> None:
    value = bytes(4 << 20)
    expected = digest(value)
    child = os.fork()
    if child == 0:
        os._exit(0 if digest(value) == expected else 1)
    assert os.waitpid(child, 0)[1] == 0
