"""Results of memoised calls as bytes: a pickle, and beside it the large buffers of arrays and tables.

- A large buffer (from 128 KiB on) is no part of the pickle. The cache keeps it as a file of its own, and reading the
  result maps that file copy-on-write: nothing is read before it is touched, and whoever changes the array changes a
  copy of his own. What was read-only when it was pickled is read-only again.
- What `__main__` defines is pickled under the name that others import it by (`train` for `python train.py`), so that
  other programs find it. Where it has no such name (a notebook), only programs without one read it.
- An iterator is refused: whoever reads it uses it up, and the one that was kept would not be the one that was returned.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import pickle
import sys
import types
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, TypeGuard

from hitsave.cache.hashing import hash_descriptor, new_hasher
from hitsave.cache.intake import WHOLE_FROM
from hitsave.errors import CorruptObject, MemoError
from hitsave.memoisation.mainmodule import MAIN_NAMES, attribute_at, from_main, main_name
from hitsave.memoisation.torchstorages import Memory, reduce_storage
from hitsave.objects.digest import Digest

if TYPE_CHECKING:
    from hitsave.api import DirectorySnapshot, FileSnapshot

    Snapshot: TypeAlias = FileSnapshot | DirectorySnapshot

_PROTOCOL = 5
_MOST_LOOKED_AT = 10_000
_USED_UP = "it is used up by reading it"
_RETURN_A_LIST = "return a list instead"
_NOT_IN_ITSELF = frozenset(("count", "repeat", "cycle"))


class Unpicklable(MemoError):
    """A result that cannot be kept. `path` says where in it, as far as that was found; `type_name` what is there."""

    def __init__(self, path: str, type_name: str, reason: str, remedy: str = "return plain data instead") -> None:
        self.path = path
        self.type_name = type_name
        self.reason = reason
        self.remedy = remedy
        super().__init__(f"{path} ({type_name}) cannot be kept: {reason}; {remedy}")


class GeneratorResult(Unpicklable):
    """A result that is a generator, a coroutine or another iterator: reading it would use it up."""

    def __init__(self, type_name: str) -> None:
        super().__init__("result", type_name, _USED_UP, _RETURN_A_LIST)


class ResultUnreadable(MemoError):
    """A kept result that this program cannot use, say because a class of it is not there; compute it again."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the kept result cannot be read here ({reason}); it is computed again")


class Pickled(NamedTuple):
    """A result as bytes. `buffers` lie in the memory of the result itself; `snapshots` are those found in it."""

    pickle: bytes
    buffers: tuple[memoryview, ...]
    snapshots: tuple[Snapshot, ...]


# -- writing


def pickle_result(value: object) -> Pickled:
    """The bytes of a result. Raises GeneratorResult where it is an iterator of any kind, and Unpicklable."""
    file = io.BytesIO()
    buffers: list[memoryview] = []
    pickler = _ResultPickler(file, buffers)
    try:
        pickler.dump(value)
    except _LazyFound as found:
        if found.lazy is value:
            raise GeneratorResult(_type_name(value)) from None
        path = _path_to(value, found.lazy)
        raise Unpicklable(path, _type_name(found.lazy), _USED_UP, _RETURN_A_LIST) from None
    except RecursionError:
        raise Unpicklable("result", _type_name(value), "it is nested too deeply", "return flat data instead") from None
    except Exception as error:  # Whatever an object's own code raises: the result is there, and goes to the caller.
        culprit = pickler.last if pickler.last is not None else value
        raise Unpicklable(_path_to(value, culprit), _type_name(culprit), _one_line(error)) from error
    return Pickled(file.getvalue(), tuple(buffers), tuple(pickler.snapshots))


class _LazyFound(Exception):
    def __init__(self, lazy: object) -> None:
        self.lazy = lazy


class _ResultPickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, buffers: list[memoryview]) -> None:
        super().__init__(file, _PROTOCOL, buffer_callback=partial(_keep_in_band, buffers))
        self.snapshots: list[Snapshot] = []
        self.last: object = None
        self._memories: dict[int, Memory] = {}

    def reducer_override(self, obj: Any) -> Any:
        self.last = obj
        if isinstance(obj, type | types.FunctionType):
            return _reduce_global(obj)
        if _is_lazy(obj):
            raise _LazyFound(obj)
        if _is_snapshot(obj):
            self.snapshots.append(obj)
        reduced = _reduce_array(obj)
        return reduce_storage(obj, self._memories) if reduced is NotImplemented else reduced


def _keep_in_band(buffers: list[memoryview], buffer: pickle.PickleBuffer) -> bool:
    try:
        view = buffer.raw()
    except BufferError:  # Not in one piece.
        return True
    if view.nbytes < WHOLE_FROM:
        return True
    buffers.append(view)
    return False


def _is_snapshot(obj: object) -> TypeGuard[Snapshot]:
    api = sys.modules.get("hitsave.api")  # Where it was not loaded, there is none.
    return api is not None and isinstance(obj, api.FileSnapshot | api.DirectorySnapshot)


def _is_lazy(obj: object) -> bool:
    if isinstance(obj, types.GeneratorType | types.CoroutineType | types.AsyncGeneratorType):
        return True
    cls = type(obj)
    if cls.__module__ == "itertools":
        return cls.__name__ not in _NOT_IN_ITSELF  # These hold no more than they say; pickle knows them or does not.
    return cls.__module__ == "builtins" and hasattr(cls, "__next__")


def _reduce_global(obj: type | types.FunctionType) -> Any:
    if obj.__module__ not in MAIN_NAMES or "<" in obj.__qualname__:
        return NotImplemented
    with contextlib.suppress(AttributeError):
        if attribute_at(sys.modules["__main__"], obj.__qualname__) is obj:
            return from_main, (main_name(), obj.__qualname__)
    return NotImplemented


def _reduce_array(obj: Any) -> Any:
    """What numpy itself would copy into the pickle: arrays that are not in one piece, and dates."""
    numpy = sys.modules.get("numpy")
    if numpy is None or type(obj) is not getattr(numpy, "ndarray", None):
        return NotImplemented
    dates = obj.dtype.kind in "mM"
    if obj.nbytes < WHOLE_FROM or obj.dtype.hasobject or (obj.flags.forc and not dates):
        return NotImplemented
    whole = obj if obj.flags.forc else numpy.ascontiguousarray(obj)
    if whole is not obj:
        whole.flags.writeable = obj.flags.writeable
    return (numpy.ndarray.view, (whole.view("i8"), obj.dtype)) if dates else whole.__reduce_ex__(_PROTOCOL)


def _type_name(obj: object) -> str:
    cls: type = type(obj)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _path_to(value: object, wanted: object) -> str:
    """Where `wanted` lies within `value`, as far as containers and attributes lead there."""
    waiting: list[tuple[str, object]] = [("result", value)]
    seen: set[int] = set()
    for path, found in waiting:  # Grows while it is read: the nearest comes first.
        if found is wanted:
            return path
        if id(found) not in seen and len(waiting) < _MOST_LOOKED_AT:
            seen.add(id(found))
            waiting.extend(_parts(path, found))
    return "something in the result"


def _parts(path: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        yield from ((f"{path}[{key!r}]", part) for key, part in value.items())
    elif isinstance(value, list | tuple):
        yield from ((f"{path}[{at}]", part) for at, part in enumerate(value))
    elif isinstance(value, set | frozenset):
        yield from ((f"an element of {path}", part) for part in value)
    attributes = getattr(value, "__dict__", None)
    if isinstance(attributes, dict):
        yield from ((f"{path}.{name}", part) for name, part in attributes.items())


# -- reading


class _ResultUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> Any:
        # The program that runs as __main__ is not imported a second time under its other name.
        if module_name == "__mp_main__" or (module_name not in sys.modules and module_name == main_name()):
            module_name = "__main__"
        return super().find_class(module_name, global_name)


def unpickle_result(pickled: bytes, buffers: Sequence[Any]) -> object:
    """The result that these bytes stand for. Raises ResultUnreadable.

    Arrays use the memory of `buffers`, so these must be the result's own, and writable.
    """
    try:
        return _ResultUnpickler(io.BytesIO(pickled), buffers=buffers).load()
    except Exception as error:  # Whatever the code that it names raises, and the absence of such code.
        raise ResultUnreadable(f"{type(error).__name__}: {_one_line(error)}") from error


class Readable(Protocol):
    """What `open_result` needs of a cache."""

    def read(self, digest: Digest) -> bytes:
        """The content of an object."""

    def whole_file(self, digest: Digest) -> os.PathLike[str] | None:
        """The file of a blob that is kept as one."""


def open_result(cache: Readable, pickled: Digest, buffers: Sequence[Digest]) -> object:
    """A kept result. Raises ObjectNotFound, CorruptObject, ResultUnreadable.

    Files are hashed when this process uses them for the first time; packed objects whenever they are read.
    """
    return unpickle_result(_read_checked(cache, pickled), [_open_buffer(cache, digest) for digest in buffers])


#: Files that were hashed in this process: digest, device, inode, time of change.
_verified: set[tuple[bytes, int, int, int]] = set()


def _open_buffer(cache: Readable, digest: Digest) -> mmap.mmap | bytearray:
    path = cache.whole_file(digest)
    if path is None:
        return bytearray(cache.read(digest))
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:  # Collected meanwhile, or never more than a copy of what lies in a pack.
        return bytearray(_read_checked(cache, digest))
    try:
        _verify(fd, digest, os.fspath(path))
        return _map(fd)
    finally:
        os.close(fd)


def _verify(fd: int, digest: Digest, path: str) -> None:
    found = os.fstat(fd)
    key = (bytes(digest), found.st_dev, found.st_ino, found.st_mtime_ns)
    if key in _verified:
        return
    if hash_descriptor(fd) != digest:
        raise CorruptObject(str(digest), path)
    _verified.add(key)


def _map(fd: int) -> mmap.mmap | bytearray:
    try:
        if sys.platform == "win32":
            return mmap.mmap(fd, 0, access=mmap.ACCESS_COPY)
        # Without a reservation: a file larger than the memory can be mapped, too.
        flags = mmap.MAP_PRIVATE | getattr(mmap, "MAP_NORESERVE", 0)
        return mmap.mmap(fd, 0, flags=flags, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    except (OSError, ValueError):  # A file system that maps nothing, or an empty file.
        os.lseek(fd, 0, os.SEEK_SET)
        with open(fd, "rb", buffering=0, closefd=False) as file:
            return bytearray(file.readall())


def _read_checked(cache: Readable, digest: Digest) -> bytes:
    content = cache.read(digest)
    if len(content) >= WHOLE_FROM:  # It may lie in a file of its own, which `read` takes as it is.
        hasher = new_hasher()
        hasher.update(content)
        if hasher.digest() != digest:
            raise CorruptObject(str(digest), "the cache")
    return content
