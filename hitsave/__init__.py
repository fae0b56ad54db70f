"""A content-addressed store for large files and slow results.

The public names are loaded on first use, so that importing this costs nothing. Nothing inside of hitsave imports from
here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hitsave._version import __version__

if TYPE_CHECKING:
    from hitsave.api import DirectorySnapshot, FileSnapshot, restore

__all__ = ["DirectorySnapshot", "FileSnapshot", "__version__", "restore"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'hitsave' has no attribute {name!r}")
    from hitsave import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted(__all__)
