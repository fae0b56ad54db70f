"""Which functions of the project a body enters, for what no reading of the code could tell.

A name that is computed, a registry that plugins fill, an object out of a file: who follows names does not find where
they lead. So while a body runs, the project's own code that begins to run is noted, once for each code object. How
that is seen depends on the version of Python: `monitoring` and `profiling`.

Which evaluation a call belongs to is told by the context variable `entered_here`: tasks have it by themselves, threads
where `hitsave.memoisation.recording.carry` was told of it. A thread of which nothing is known counts for all
evaluations that run, unless it is the main one. What an inner evaluation enters belongs to the outer ones as well.

Not followed: other processes, code without a file that is run in a namespace of its own, and names that are computed
and never called (`getattr(module, name)` of a constant). Where a profiler runs, or all tools have owners, nothing is
noted.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar, Token
from types import CodeType, FrameType, ModuleType
from typing import Any, NamedTuple, Protocol

from hitsave.memoisation.code.loading import loaded_at
from hitsave.memoisation.code.names import uses_of
from hitsave.memoisation.code.origin import Origin, Origins

#: Tells the project's own code, by the code and the globals that it runs with.
IsOwn = Callable[[CodeType, dict[str, Any]], bool]

entered_here: ContextVar[Entered | None] = ContextVar("hitsave_entered", default=None)

#: Code that some evaluations have noted and others not is looked at this often; then it counts for all of them.
_MOST_LOOKS = 100_000
IMPORT_MODULE = importlib.import_module.__code__


class Entry(NamedTuple):
    """Something that was entered: code with its globals, and its qualified name, which is empty for a whole module."""

    code: CodeType | None
    namespace: dict[str, Any]
    qualname: str


def own_code(origins: Origins) -> IsOwn:
    """Tells own code by whose its module is. Code without a file is own where its module is loaded and own."""

    def is_own(code: CodeType, namespace: dict[str, Any]) -> bool:
        name = namespace.get("__name__")
        if not isinstance(name, str) or origins.of_module(name) is not Origin.OWN:
            return False
        return not code.co_filename.startswith("<") or vars(sys.modules.get(name, sys)) is namespace

    return is_own


class Entered:
    """Notes what is entered while its block runs. Blocks may be nested, and run in several threads and tasks."""

    def __init__(self, is_own: IsOwn) -> None:
        self.is_own = is_own
        self.found: dict[int, Entry] = {}
        self.imported: set[str] = set()
        #: Extras of kept results that were used in place of a call, by name with their digests.
        self.adopted: dict[str, bytes] = {}
        self.parent: Entered | None = None
        self.thread = 0
        self.base = 0  # The id of the frame that the block stands in.
        self._token: Token[Entered | None] | None = None

    def __enter__(self) -> Entered:
        self.parent = entered_here.get()
        self.thread = threading.get_ident()
        self.base = id(sys._getframe(1))
        self._token = entered_here.set(self)
        _ledger.begin(self)
        return self

    def __exit__(self, *error: object) -> None:
        _ledger.end(self)
        if self._token is not None:
            entered_here.reset(self._token)

    @property
    def entries(self) -> list[Entry]:
        """What was entered so far, with own modules that were imported by a computed name."""
        modules = [sys.modules.get(name) for name in sorted(self.imported)]
        whole = [Entry(None, vars(module), "") for module in modules if isinstance(module, ModuleType)]
        return [*self.found.values(), *(entry for entry in whole if self.is_own(IMPORT_MODULE, entry.namespace))]


def adopt(extras: Mapping[str, bytes]) -> None:
    """A kept result was used: what it was found to depend on, the blocks that run here depend on as well."""
    here = entered_here.get()
    while here is not None:
        here.adopted.update(extras)
        here = here.parent


def unknown(entries: Iterable[Entry], known: Iterable[CodeType]) -> list[Entry]:
    """The entries whose code is neither in `known` nor was written inside of that."""
    ids: set[int] = set()
    pending = list(known)
    while pending:
        code = pending.pop()
        if id(code) not in ids:
            ids.add(id(code))
            pending += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return [entry for entry in entries if entry.code is None or id(entry.code) not in ids]


def reconsider() -> None:
    """Look again at code that was foreign: what counts as own has changed."""
    with _ledger.lock:
        _ledger.generation += 1
        _ledger.hook.reconsider()


class Hook(Protocol):
    """How code that begins to run is seen. All but `start` and `stop` are called under the ledger's lock."""

    def arm(self, settled: dict[int, CodeType]) -> None:
        """See own code again that was settled."""

    def start(self, entered: Entered) -> None:
        """A block begins, in this thread."""

    def stop(self, entered: Entered) -> None:
        """A block ends."""

    def reconsider(self) -> None:
        """See foreign code again."""


class Ledger:
    """The evaluations that run in this process, and which own code is settled: all of them have noted it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.active: list[Entered] = []
        self.generation = 0
        self.hook: Hook = _Unseen()
        self._is_own: IsOwn = lambda code, namespace: False
        self._settled: dict[int, CodeType] = {}
        self._looks: dict[int, int] = {}
        self._chosen = False

    def begin(self, entered: Entered) -> None:
        """A block begins: whatever is settled has to be seen again."""
        with self.lock:
            if not self._chosen:
                self._chosen = True
                self.hook = _choose(self)
            self._is_own = entered.is_own
            self.active.append(entered)
            self.generation += 1
            settled, self._settled, self._looks = self._settled, {}, {}
            self.hook.arm(settled)
        self.hook.start(entered)

    def end(self, entered: Entered) -> None:
        """A block ends."""
        with self.lock:
            if entered in self.active:  # It is not in a process that was forked inside of the block.
                self.active.remove(entered)
        self.hook.stop(entered)

    def note(self, code: CodeType, frame: FrameType, here: Entered | None) -> bool | None:
        """Note that code was entered. None: it is foreign. True: it need not be seen until a block begins."""
        try:
            if code is IMPORT_MODULE:
                return self._note_import(frame, here)
            return self._note_own(code, frame, here) if self._is_own(code, frame.f_globals) else None
        except Exception:  # It would come out of the user's function. Modules cannot be looked for at an exit, e.g.
            return None

    def _note_own(self, code: CodeType, frame: FrameType, here: Entered | None) -> bool:
        with self.lock:
            if code.co_name == "<module>":
                loaded_at[code.co_filename] = time.time_ns()
            missing = [each for each in self.active if id(code) not in each.found]
            if missing:
                entry = Entry(code, frame.f_globals, _qualname(code, frame))
                looks = self._looks[id(code)] = self._looks.get(id(code), 0) + 1
                for each in self.active if looks > _MOST_LOOKS else self._concerned(here):
                    each.found.setdefault(id(code), entry)
                if any(id(code) not in each.found for each in missing):
                    return False
            self._settled[id(code)] = code
            return True

    def _concerned(self, here: Entered | None) -> Iterator[Entered]:
        """The blocks that something belongs to."""
        if here is None and threading.get_ident() != threading.main_thread().ident:
            yield from self.active
        while here is not None:
            yield here
            here = here.parent

    def _note_import(self, frame: FrameType, here: Entered | None) -> bool:
        """`importlib.import_module` was called. A name that is written in the caller is followed there."""
        name, package, caller = frame.f_locals["name"], frame.f_locals["package"], frame.f_back
        plain = name.lstrip(".")
        if caller is not None and any(each.module == plain for each in uses_of(caller.f_code).imports):
            return False
        if plain != name:
            plain = importlib.util.resolve_name(name, package)
        with self.lock:
            for each in self._concerned(here):
                each.imported.add(plain)
        return False

    def before_fork(self) -> None:
        """Nobody else may hold the lock when a process forks: in the child, nobody would ever release it."""
        self.lock.acquire()

    def after_fork(self) -> None:
        """In the parent, all goes on."""
        self.lock.release()

    def forked(self) -> None:
        """In the child: the blocks belong to the parent."""
        self.active = []
        self.lock.release()


def _qualname(code: CodeType, frame: FrameType) -> str:
    """What code is called. Generated methods count for the class of what they are called with."""
    if code.co_filename.startswith("<") and "__create_fn__" in code.co_qualname and code.co_argcount:
        return type(frame.f_locals.get(code.co_varnames[0])).__qualname__
    return code.co_qualname


class _Unseen:
    """The hook where nothing can be seen."""

    def arm(self, settled: dict[int, CodeType]) -> None: ...
    def start(self, entered: Entered) -> None: ...
    def stop(self, entered: Entered) -> None: ...
    def reconsider(self) -> None: ...


def _choose(ledger: Ledger) -> Hook:
    if sys.version_info >= (3, 12):
        from hitsave.memoisation.code.monitoring import monitor

        return monitor(ledger) or _Unseen()
    try:
        from hitsave.memoisation.code.profiling import Profiling
    except ImportError:  # A Python without ctypes.
        return _Unseen()
    return Profiling(ledger)


_ledger = Ledger()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_ledger.before_fork, after_in_parent=_ledger.after_fork, after_in_child=_ledger.forked)
