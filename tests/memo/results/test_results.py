"""Results as bytes and back: which buffers lie beside the pickle, what is refused and how it is named."""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hitsave.api import DirectorySnapshot, FileSnapshot
from hitsave.cache.intake import WHOLE_FROM
from hitsave.cache.store import Cache
from hitsave.errors import CorruptObject, ObjectNotFound
from hitsave.memoisation.results import (
    GeneratorResult,
    Pickled,
    ResultUnreadable,
    Unpicklable,
    open_result,
    pickle_result,
    unpickle_result,
)
from hitsave.objects.digest import Digest, ObjectKind, blob_digest

LARGE = np.arange(WHOLE_FROM // 4, dtype=np.float64)


@dataclass
class Holder:
    parts: dict[str, object] = field(default_factory=dict)


def numbers() -> Iterator[int]:
    yield 1


async def later() -> None: ...


async def later_numbers() -> Any:
    yield 1


def again(value: object) -> Any:
    """The value after it was bytes, in memory of its own."""
    pickled = pickle_result(value)
    return unpickle_result(pickled.pickle, [bytearray(buffer) for buffer in pickled.buffers])


@pytest.mark.parametrize("value", [None, 1, "text", [1, {"a": (2.0, b"c")}], {1, 2}, Holder({"a": 1}), int, numbers])
def test_plain_values(value: object) -> None:
    assert again(value) == value
    assert pickle_result(value).buffers == ()


def test_an_endless_count_is_no_iterator_that_is_used_up() -> None:
    if sys.version_info < (3, 14):  # Which cannot pickle it.
        assert next(again([itertools.count(3)])[0]) == 3


def test_large_buffers_lie_beside_the_pickle_in_their_own_memory() -> None:
    array = LARGE.copy()
    pickled = pickle_result({"a": array, "small": np.arange(3)})
    assert [buffer.nbytes for buffer in pickled.buffers] == [array.nbytes]
    assert len(pickled.pickle) < 1000
    array[0] = 7
    assert np.frombuffer(pickled.buffers[0])[0] == 7


@pytest.mark.parametrize(
    ("array", "beside"),
    [
        (LARGE, 1),
        (np.asfortranarray(LARGE.reshape(64, -1)), 1),
        (LARGE[::2], 1),
        (LARGE.reshape(64, -1)[:, ::-1], 1),
        (np.broadcast_to(np.arange(8.0), (WHOLE_FROM, 8)), 1),
        (LARGE.astype([("a", "i4"), ("b", "f4", 2)]), 1),
        (LARGE.astype("datetime64[s]"), 1),
        (LARGE.astype("timedelta64[ms]").reshape(64, -1)[:, ::-1], 1),
        (LARGE[: WHOLE_FROM // 8 - 1], 0),
        (LARGE.astype(object), 0),
        (np.ma.masked_less(LARGE, 5), 0),
        (np.array(3.0), 0),
        (np.empty((0, 9)), 0),
    ],
)
def test_arrays(array: Any, beside: int) -> None:
    pickled = pickle_result(array)
    assert len(pickled.buffers) == beside
    got = again(array)
    assert type(got) is type(array)
    assert got.dtype == array.dtype
    np.testing.assert_array_equal(got, array)


def test_one_array_twice_is_one_array_again() -> None:
    first, second = again([LARGE, LARGE])
    assert first is second


@pytest.mark.parametrize("layout", [LARGE.copy(), np.repeat(LARGE, 2)[::2]])
def test_what_was_read_only_is_so_again(layout: Any) -> None:
    assert again(layout).flags.writeable
    layout.flags.writeable = False
    assert not again(layout).flags.writeable


def test_tables() -> None:
    table = pd.DataFrame(
        {
            "a": LARGE,
            "b": LARGE * 2,
            "t": LARGE.astype("datetime64[s]"),
            "c": np.arange(len(LARGE)),
            "d": ["x"] * len(LARGE),
        }
    )
    pickled = pickle_result(table)
    assert sum(buffer.nbytes for buffer in pickled.buffers) >= 4 * LARGE.nbytes
    assert len(pickled.pickle) < WHOLE_FROM
    pd.testing.assert_frame_equal(again(table), table)


def test_arrow_tables() -> None:
    arrow = pytest.importorskip("pyarrow")
    table = arrow.table({"a": LARGE, "b": [str(number) for number in LARGE]})
    assert len(pickle_result(table).buffers) >= 2
    assert again(table).equals(table)


@pytest.mark.parametrize(
    ("make", "path", "type_name"),
    [
        (lambda: threading.Lock(), "result", "_thread.lock"),
        (
            lambda: [1, {"model": Holder({"lock": threading.Lock()})}],
            "result[1]['model'].parts['lock']",
            "_thread.lock",
        ),
        (lambda: (1, lambda: 2), "result[1]", "function"),
        (lambda: {1: {}.keys()}, "result[1]", "dict_keys"),
    ],
)
def test_what_cannot_be_pickled(make: Callable[[], object], path: str, type_name: str) -> None:
    with pytest.raises(Unpicklable) as caught:
        pickle_result(make())
    assert (caught.value.path, caught.value.type_name) == (path, type_name)
    assert not isinstance(caught.value, GeneratorResult)


class Raising:
    def __reduce__(self) -> Any:
        raise ValueError("not\nme")


def test_an_object_whose_own_code_refuses() -> None:
    with pytest.raises(Unpicklable, match=r"result\[0\] .*Raising\) cannot be kept: not me"):
        pickle_result([Raising()])


def test_a_list_within_itself_a_hundred_thousand_times() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(Unpicklable, match="nested too deeply"):
        pickle_result(deep)


@pytest.mark.parametrize(
    "make",
    [
        numbers,
        later_numbers,
        lambda: iter([1]),
        lambda: map(str, [1]),
        lambda: zip([1], [2], strict=True),
        lambda: enumerate([1]),
        lambda: reversed([1]),
        lambda: itertools.chain([1], [2]),
        lambda: itertools.islice([1], 1),
    ],
)
def test_iterators_are_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(GeneratorResult, match=r"^result .*return a list instead$"):
        pickle_result(make())
    with pytest.raises(Unpicklable, match=r"^result\['a'\]\[0\] .*return a list instead$") as caught:
        pickle_result({"a": [make()]})
    assert not isinstance(caught.value, GeneratorResult)


def test_coroutines_are_refused() -> None:
    coroutine = later()
    with pytest.raises(GeneratorResult):
        pickle_result(coroutine)
    coroutine.close()


def test_snapshots_in_a_result_are_named_once_each() -> None:
    file = FileSnapshot("ab" * 32, 3)
    folder = DirectorySnapshot("cd" * 32, 4)
    assert pickle_result([file, {"a": folder}, file]).snapshots == (file, folder)
    assert again([file, folder]) == [file, folder]


def test_what_cannot_be_read_is_a_distinct_error() -> None:
    with pytest.raises(ResultUnreadable, match="ModuleNotFoundError"):
        unpickle_result(b"\x80\x05\x8c\x0bno_such_mod\x8c\x01x\x93.", [])
    with pytest.raises(ResultUnreadable):
        unpickle_result(b"", [])
    with pytest.raises(ResultUnreadable):
        unpickle_result(pickle_result(LARGE).pickle, [])


# -- from a cache


def keep(cache: Cache, pickled: Pickled) -> tuple[Digest, list[Digest]]:
    with cache.intake() as intake:
        first = intake.add(ObjectKind.BLOB, pickled.pickle)
        buffers = [intake.add(ObjectKind.BLOB, buffer) for buffer in pickled.buffers]
        intake.publish([])
    return first, buffers


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    with Cache.open(tmp_path / "cache") as opened:
        yield opened


def test_changing_an_array_leaves_the_kept_file_alone(cache: Cache) -> None:
    kept = keep(cache, pickle_result(LARGE))
    got: Any = open_result(cache, *kept)
    got[:] = 0
    np.testing.assert_array_equal(open_result(cache, *kept), LARGE)
    assert blob_digest(cache.path_of(kept[1][0]).read_bytes()) == kept[1][0]


def test_a_large_array_is_mapped_not_read(cache: Cache) -> None:
    kept = keep(cache, pickle_result(LARGE))
    got: Any = open_result(cache, *kept)
    if sys.platform == "linux":
        assert str(cache.whole_file(kept[1][0])) in Path("/proc/self/maps").read_text()
    np.testing.assert_array_equal(got, LARGE)


def test_a_large_pickle_that_is_a_file(cache: Cache) -> None:
    value = [str(number) for number in range(WHOLE_FROM)]
    kept = keep(cache, pickle_result(value))
    assert cache.whole_file(kept[0]) is not None
    assert open_result(cache, *kept) == value


def damage(path: Path) -> None:
    """Change a byte so that neither size nor time tell."""
    found = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.write(b"\xff")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


@pytest.mark.parametrize("which", ["pickle", "buffer"])
def test_a_damaged_file_is_noticed_at_its_first_use(cache: Cache, which: str) -> None:
    value = LARGE if which == "buffer" else [str(number) for number in range(WHOLE_FROM)]
    first, buffers = keep(cache, pickle_result(value))
    path = cache.whole_file(buffers[0] if buffers else first)
    assert path is not None
    damage(path)
    with pytest.raises(CorruptObject):
        open_result(cache, first, buffers)


def test_a_file_is_hashed_once_in_a_process(cache: Cache) -> None:
    kept = keep(cache, pickle_result(LARGE))
    open_result(cache, *kept)
    path = cache.whole_file(kept[1][0])
    assert path is not None
    damage(path)
    got: Any = open_result(cache, *kept)
    assert got[0] != LARGE[0], "it was not hashed again"


def test_what_is_not_here(cache: Cache) -> None:
    first, _ = keep(cache, pickle_result(1))
    with pytest.raises(ObjectNotFound):
        open_result(cache, Digest(bytes(32)), [])
    with pytest.raises(ObjectNotFound):
        open_result(cache, first, [Digest(bytes(32))])
