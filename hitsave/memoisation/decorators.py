"""`@memo` and `@experiment`: a function whose results are kept, and computed again only when that is needed.

Decorating costs next to nothing: what works is loaded at the first call. So next to nothing is imported here.
"""

from __future__ import annotations

from hitsave.cache.forking import UNDIVIDED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Generic, ParamSpec, TypeVar, overload

    from hitsave.cache.evaluations import EvaluationRow
    from hitsave.limits import Limits
    from hitsave.memoisation.calling import Caller
    from hitsave.memoisation.explaining.explanation import Explanation

    P = ParamSpec("P")
    R = TypeVar("R")

    class _Typed(Generic[P, R]):
        """What a type checker is told."""

else:

    class _Typed:
        """What there is of it at run time."""

        def __class_getitem__(cls, item: object) -> type:
            return cls

    P = R = None


_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200
REMOTE_MODES = ("readonly", "readwrite", "off")
_COPIED = ("__module__", "__name__", "__qualname__", "__doc__", "__type_params__")


class Settings:
    """How results of one function are kept: the arguments of `memo`."""

    __slots__ = ("depends_on", "experiment", "ignore", "keep", "remote", "version_sensitivity")

    def __init__(
        self,
        experiment: bool,
        remote: str | None,
        version_sensitivity: str,
        depends_on: Iterable[object],
        ignore: Iterable[object],
        keep: Mapping[str, str | int] | None,
    ) -> None:
        if remote not in (None, *REMOTE_MODES):
            raise ValueError(f"remote must be one of {', '.join(REMOTE_MODES)}, not {remote!r}")
        if version_sensitivity not in ("none", "major", "minor", "patch"):
            raise ValueError(f"version_sensitivity must be none, major, minor or patch, not {version_sensitivity!r}")
        self.experiment = experiment
        self.remote = remote
        self.version_sensitivity = version_sensitivity
        self.depends_on = tuple(depends_on)
        self.ignore = tuple(ignore)
        self.keep = _limits(keep) if keep else None


def _limits(keep: Mapping[str, str | int]) -> Limits:
    from hitsave.limits import parse_limits

    try:
        return parse_limits(keep)
    except ValueError as error:
        raise ValueError(f"keep: {error}") from None


class MemoFunction(_Typed[P, R]):
    """A function whose results are kept. It is called as the function is, and pickled by its name."""

    _keeps_results = True
    __name__: str
    __qualname__: str

    def __init__(self, function: Callable[P, R], settings: Settings) -> None:
        self.__dict__.update(getattr(function, "__dict__", {}))
        self.__wrapped__ = function
        for name in _COPIED:
            value = getattr(function, name, None)
            if value is not None or name == "__doc__":
                setattr(self, name, value)
        self._settings = settings
        self._caller: Caller | None = None

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        result: R = (self._caller or self._begin()).call(args, kwargs)
        return result

    def _begin(self) -> Caller:
        with UNDIVIDED:
            from hitsave.memoisation.calling import Caller

            self._caller = self._caller or Caller(self.__wrapped__, self._settings)
        return self._caller

    # -- beside the call

    def is_cached(self, /, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Whether a call would find its result; no remote is asked, and nothing is computed."""
        return self._begin().is_cached(args, kwargs)

    def explain(self, /, *args: P.args, **kwargs: P.kwargs) -> Explanation:
        """Whether a call would find its result, and if not, what differs from the nearest earlier one."""
        return self._begin().explain(args, kwargs)

    def fresh(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Compute again, and keep that result from now on."""
        result: R = self._begin().fresh(args, kwargs)
        return result

    def forget(self, /, *args: P.args, **kwargs: P.kwargs) -> int:
        """Forget what is kept for a call, so that it is computed again; how many evaluations that were."""
        return self._begin().forget(args, kwargs)

    def accept(self, note: str = "") -> int:
        """Say that the code does the same as before: results of its newest other version count for this one again.

        How many kept evaluations that concerns. `note` is for people.
        """
        return self._begin().accept(note)

    def evaluations(self) -> list[EvaluationRow]:
        """What is kept of this function, the newest first."""
        return self._begin().evaluations()

    # -- as a method, in pickles, and for those who look

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        function = self.__wrapped__
        if isinstance(function, classmethod):
            return BoundMemo(self._inner(), owner if owner is not None else type(instance))
        if isinstance(function, staticmethod):
            return self._inner()
        return self if instance is None else BoundMemo(self, instance)

    def _inner(self) -> MemoFunction[..., Any]:
        """The plain function under `@memo @classmethod`, kept for all calls."""
        found: MemoFunction[..., Any] | None = self.__dict__.get("_plain")
        if found is None:
            found = self.__dict__["_plain"] = _wrap(_plain(self.__wrapped__), self._settings)
        return found

    def __reduce__(self) -> str | tuple[Any, ...]:
        """By name; but what a script or a notebook defines is sent as it is by picklers that can do that."""
        if self.__module__ == "__main__" and _pickler_takes_functions():
            from hitsave.memoisation.mainmodule import canonical_module

            return _unpickle, (self.__wrapped__, self._settings, canonical_module("__main__"))
        return str(self.__qualname__)

    def __repr__(self) -> str:
        return f"<memoised function {self.__module__}.{self.__qualname__}>"


class AsyncMemoFunction(MemoFunction[P, R]):
    """An `async def` function whose results are kept."""

    async def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Any:  # type: ignore[override]
        return await (self._caller or self._begin()).call_async(args, kwargs)

    async def fresh(self, /, *args: P.args, **kwargs: P.kwargs) -> Any:  # type: ignore[override]
        """Compute again, and keep that result from now on."""
        return await self._begin().fresh_async(args, kwargs)

    # What `inspect.iscoroutinefunction` looks at, and that of asyncio.

    @property
    def __code__(self) -> object:
        return getattr(_plain(self.__wrapped__), "__code__", None)

    @property
    def __defaults__(self) -> object:
        return getattr(_plain(self.__wrapped__), "__defaults__", None)

    @property
    def __kwdefaults__(self) -> object:
        return getattr(_plain(self.__wrapped__), "__kwdefaults__", None)

    @property
    def __annotations__(self) -> Any:  # type: ignore[override]
        return getattr(_plain(self.__wrapped__), "__annotations__", None)

    @property
    def _is_coroutine_mark(self) -> object:
        import inspect

        return getattr(inspect, "_is_coroutine_mark", None)

    @property
    def _is_coroutine(self) -> object:
        import asyncio.coroutines

        return getattr(asyncio.coroutines, "_is_coroutine", None)


class BoundMemo:
    """A memoised method with its instance, or class, as first argument."""

    _names = ("is_cached", "explain", "fresh", "forget")

    def __init__(self, memo: MemoFunction[..., Any], instance: object) -> None:
        self.__func__ = memo
        self.__self__ = instance

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        memo = self.__func__  # Python 3.12 lets calls of objects go only so deep; that of a function counts for less.
        return type(memo).__call__(memo, self.__self__, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.__func__, name)
        if name in self._names:
            instance = self.__self__
            return lambda *args, **kwargs: found(instance, *args, **kwargs)
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self.__self__, self.__func__.__name__)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BoundMemo) and (self.__func__, self.__self__) == (other.__func__, other.__self__)

    def __hash__(self) -> int:
        return hash((id(self.__func__), id(self.__self__)))

    def __repr__(self) -> str:
        return f"<memoised method {self.__func__.__qualname__} of {self.__self__!r}>"


def _pickler_takes_functions() -> bool:
    """Whether who pickles sends functions by value: cloudpickle, as Dask, Ray and joblib do, or dill."""
    import sys

    pickler = str(sys._getframe(2).f_globals.get("__name__", ""))
    return "cloudpickle" in pickler or pickler.startswith("dill")


def _unpickle(function: Any, settings: Settings, main: str) -> MemoFunction[..., Any]:
    from hitsave.memoisation.mainmodule import stand_for

    stand_for(main)
    return _wrap(function, settings)


def _plain(function: Any) -> Any:
    """The function in a `classmethod` or `staticmethod`."""
    return getattr(function, "__func__", function)


def _wrap(function: Any, settings: Settings) -> MemoFunction[..., Any]:
    plain = _plain(function)
    code = getattr(plain, "__code__", None)
    flags = code.co_flags if code is not None else 0
    if flags & (_GENERATOR | _ASYNC_GENERATOR):
        from hitsave.errors import MemoError

        raise MemoError(
            f"{plain.__module__}.{plain.__qualname__} is a generator, whose result cannot be kept; return a list"
        )
    return (AsyncMemoFunction if flags & _COROUTINE else MemoFunction)(function, settings)


if TYPE_CHECKING:

    @overload
    def memo(function: Callable[P, R], /) -> MemoFunction[P, R]: ...
    @overload
    def memo(
        function: None = None,
        /,
        *,
        local_only: bool = ...,
        remote: str | None = ...,
        version_sensitivity: str = ...,
        depends_on: Iterable[object] = ...,
        ignore: Iterable[object] = ...,
        keep: Mapping[str, str | int] | None = ...,
    ) -> Callable[[Callable[P, R]], MemoFunction[P, R]]: ...


def memo(
    function: Any = None,
    /,
    *,
    local_only: bool = False,
    remote: str | None = None,
    version_sensitivity: str = "minor",
    depends_on: Iterable[object] = (),
    ignore: Iterable[object] = (),
    keep: Mapping[str, str | int] | None = None,
) -> Any:
    """Keep the results of a function. It runs again only when its code, what that depends on, or arguments change.

    - `local_only`: no remote is asked.
    - `remote`: `"readonly"` (the default) looks for results there, `"readwrite"` sends new ones there too, and `"off"`
      is the same as `local_only`.
    - `version_sensitivity`: how much of the versions of external packages counts: `"none"`, `"major"`, `"minor"` or
      `"patch"`.
    - `depends_on`: more to depend on: functions, classes, modules (or their names), values, and files as `Path`.
    - `ignore`: what not to look at: names of arguments, globals, functions or modules, or such things themselves.
    - `keep`: what is kept at most, as in `{"age": "30d", "count": 100, "size": "10GB"}`; the least valuable goes first.

    Raises MemoError for generator functions, ValueError for arguments that make no sense.
    """
    settings = Settings(False, "off" if local_only else remote, version_sensitivity, depends_on, ignore, keep)
    return _wrap(function, settings) if function is not None else lambda function: _wrap(function, settings)


if TYPE_CHECKING:

    @overload
    def experiment(function: Callable[P, R], /) -> MemoFunction[P, R]: ...
    @overload
    def experiment(
        function: None = None,
        /,
        *,
        local_only: bool = ...,
        remote: str | None = ...,
        version_sensitivity: str = ...,
        depends_on: Iterable[object] = ...,
        ignore: Iterable[object] = ...,
    ) -> Callable[[Callable[P, R]], MemoFunction[P, R]]: ...


def experiment(
    function: Any = None,
    /,
    *,
    local_only: bool = False,
    remote: str | None = None,
    version_sensitivity: str = "minor",
    depends_on: Iterable[object] = (),
    ignore: Iterable[object] = (),
) -> Any:
    """As `memo`, for results that are wanted for good: no policy ever forgets them, only `hitsave forget` by name."""
    settings = Settings(True, "off" if local_only else remote, version_sensitivity, depends_on, ignore, None)
    return _wrap(function, settings) if function is not None else lambda function: _wrap(function, settings)
