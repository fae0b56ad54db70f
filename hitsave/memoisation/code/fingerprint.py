"""The fingerprint of a memoised function: everything that its result depends on beside its arguments.

It is made once, and looked at again before each call: as long as all that it read is as it was, it holds.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from types import CodeType

from hitsave.memoisation.code.definitions import Definitions
from hitsave.memoisation.code.dependency import Dependency, digest_of
from hitsave.memoisation.code.entered import reconsider
from hitsave.memoisation.code.graph import Walk
from hitsave.memoisation.code.ignoring import Ignored
from hitsave.memoisation.code.kinds import unwrapped
from hitsave.memoisation.code.normal import Attention
from hitsave.memoisation.code.origin import Origins
from hitsave.memoisation.code.places import Places
from hitsave.memoisation.code.readings import Readings
from hitsave.memoisation.code.source import Sources
from hitsave.memoisation.code.watch import Aliases

#: Names whose use means that the code looks at docstrings, or at annotations, of what it can reach.
_DOCSTRING_READERS = frozenset(("__doc__", "getdoc", "getsource", "getsourcelines"))
_ANNOTATION_READERS = frozenset(
    "__annotations__ __annotate__ get_type_hints get_annotations signature getfullargspec __signature__ "
    "getsource getsourcelines annotationlib".split()
)
#: ... or at names that things have ...
_NAME_READERS = frozenset(("__name__", "__qualname__"))
#: ... or at the text itself, with its comments ...
_TEXT_READERS = frozenset(("getsource", "getsourcelines", "findsource", "getcomments"))
#: ... or at the order in which names were put into classes and modules.
_ORDER_READERS = frozenset(("__dict__", "vars", "globals"))


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a function depends on, sorted by kind and name."""

    digest: bytes
    dependencies: tuple[Dependency, ...]
    walk: Walk

    @property
    def attention(self) -> Attention:
        """What the code in it looks at, and whoever it was made for."""
        return self.walk.attention

    def holds(self, aliases: Aliases) -> bool:
        """Whether everything that it was made of is as it was."""
        return self.walk.watch.holds(self._redigest, aliases)

    @property
    def label(self) -> str:
        """The name of the function that it is of."""
        return self.walk.labels[id(self.walk.root)]

    @property
    def codes(self) -> list[CodeType]:
        """The code of every function in it."""
        return self.walk.watch.codes

    def note_changes(self, aliases: Aliases) -> None:
        """After the function has run: what it changed itself counts as what it was."""
        self.walk.watch.note_changes(self._redigest, aliases)

    def _redigest(self, value: object) -> bytes:
        return self.walk.holding.digest(value, self._known_label)

    def _known_label(self, value: object) -> str:
        return self.walk.labels[id(unwrapped(value))]


class Fingerprints:
    """Makes fingerprints. One for a process: sources and packages are read once."""

    def __init__(self) -> None:
        self._sources = Sources()
        self.origins = Origins()
        self.definitions = Definitions(self.origins)
        self._lock = threading.RLock()

    def renew_locks(self) -> None:
        """In a forked child: other threads of its parent may hold them."""
        self._lock = threading.RLock()
        self._sources.renew_lock()

    def make(
        self,
        root: object,
        *,
        memoised: bool = False,
        own: str = "",
        folder: Path | None = None,
        project: str | None = None,
        depends_on: Iterable[object] = (),
        ignored: Ignored | None = None,
        sensitivity: str = "minor",
        aliases: Aliases | None = None,
        readings: Readings | None = None,
        attention: Attention | None = None,
    ) -> Fingerprint:
        """The fingerprint of a function or class, or of whatever else can be called.

        Defaults of one that is `memoised` are arguments, and do not count here.
        The package of the module `own` counts as the project's, wherever it lies. Relative paths of `depends_on` are
        looked for in `folder`; paths in globals count as seen from the folder `project`. `readings` spare it to read
        sources that an earlier process has read. `attention` is what others look at, whom the function is given to.
        """
        asked = attention = attention or Attention()
        places = Places(project)
        with self._lock:
            if own and self.origins.own(own):
                reconsider()
            self._sources.readings = readings
            try:
                while True:
                    walk = Walk(
                        self._sources,
                        self.definitions,
                        ignored or Ignored(),
                        aliases or Aliases(),
                        sensitivity,
                        attention,
                        places,
                    )
                    walk.begin(root, memoised)
                    for number, each in enumerate(depends_on):
                        _depend(walk, each, number, folder)
                    walk.finish()
                    needed = asked.joined(_attention_of(walk.mentions))
                    if needed == attention:
                        break
                    attention = needed
            finally:
                self._sources.readings = None
        if readings is not None:
            readings.save()
        dependencies = tuple(sorted(walk.dependencies.values(), key=lambda each: each[:2]))
        return Fingerprint(digest_of(dependencies), dependencies, walk)


def _attention_of(mentions: set[str]) -> Attention:
    """What code looks at that mentions these names."""
    return Attention(
        docstrings=not _DOCSTRING_READERS.isdisjoint(mentions),
        annotations=not _ANNOTATION_READERS.isdisjoint(mentions),
        subclasses="__subclasses__" in mentions,
        order=not _ORDER_READERS.isdisjoint(mentions),
        names=not _NAME_READERS.isdisjoint(mentions),
        text=not _TEXT_READERS.isdisjoint(mentions),
    )


def _depend(walk: Walk, entry: object, number: int, folder: Path | None) -> None:
    """One entry of `depends_on`: a path stands for what is in the file or folder; a text for itself, and what it names.

    A package that is named counts as code, and not as a folder.
    """
    if isinstance(entry, str):
        walk.value(f"depends_on[{number}]", entry)
        if all(part.isidentifier() for part in entry.split(".")):
            walk.depend_on_module(entry)
        path = _place(entry, folder)
        if os.path.isfile(path) or (os.path.isdir(path) and not os.path.isfile(os.path.join(path, "__init__.py"))):
            walk.file(path, f"depends_on {entry}")
    elif isinstance(entry, PurePath):
        walk.file(_place(entry, folder), f"depends_on {entry.name if entry.is_absolute() else entry.as_posix()}")
    else:
        walk.value(f"depends_on[{number}]", entry)


def _place(path: str | PurePath, folder: Path | None) -> str:
    """A path as seen from the function's folder, or else from the current one."""
    found = os.path.join(folder or "", path)
    return found if os.path.exists(found) else os.fspath(path)
