"""A content-addressed store for large files and slow results.

The public names are loaded on first use, so that importing this costs nothing. Nothing inside of hitsave imports from
here.
"""

from __future__ import annotations

from hitsave._version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hitsave.api import DirectorySnapshot, FileSnapshot, restore
    from hitsave.memoisation.decorators import experiment, memo
    from hitsave.memoisation.values.registered import register as register_digest
    from hitsave.reading import open

__all__ = [
    "DirectorySnapshot",
    "FileSnapshot",
    "__version__",
    "experiment",
    "memo",
    "open",
    "register_digest",
    "restore",
]


def __getattr__(name: str) -> object:
    if name in ("memo", "experiment"):
        from hitsave.memoisation import decorators

        found: object = getattr(decorators, name)
    elif name == "register_digest":
        from hitsave.memoisation.values import registered

        found = registered.register
    elif name == "open":
        from hitsave import reading

        found = reading.open
    elif name in __all__:
        from hitsave import api

        found = getattr(api, name)
    else:
        raise AttributeError(f"module 'hitsave' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
