"""Whose code a module is: the project's own, an installed package's, or Python's.

Own is what is neither in Python's library nor in a distribution that was installed. A distribution that is installed
for editing lies outside of the folders for packages, and so counts as own.
"""

from __future__ import annotations

import functools
import os
import re
import sys
import sysconfig
from collections.abc import Iterator
from enum import Enum
from types import ModuleType
from typing import NamedTuple

_PACKAGE_FOLDERS = frozenset(("site-packages", "dist-packages"))
_DIST_INFO = re.compile(r"(?P<name>.+)-(?P<version>[^-]+)\.dist-info")
SENSITIVITIES = ("none", "major", "minor", "patch")


class Origin(Enum):
    """Whose a module is."""

    OWN = "own"
    EXTERNAL = "external"
    PYTHON = "python"


class Package(NamedTuple):
    """An installed distribution; its version is empty where nothing tells it."""

    name: str
    version: str

    def at(self, sensitivity: str) -> str:
        """As much of the version as counts: nothing, or one, two or all of its numbers."""
        if sensitivity == "patch":
            return self.version
        return ".".join(self.version.split("+")[0].split(".")[: SENSITIVITIES.index(sensitivity)])


class Origins:
    """Tells modules apart. `own_packages` are the top-level names that count as own wherever they lie."""

    def __init__(self) -> None:
        self._known: dict[str, Origin] = {}
        self._own_packages: set[str] = set()

    def own(self, module_name: str) -> bool:
        """Count a whole top-level package as own: one of its functions is memoised. Whether that is news."""
        top = module_name.partition(".")[0]
        if top in self._own_packages or top in sys.stdlib_module_names:
            return False
        self._own_packages.add(top)
        self._known.clear()
        return True

    def of_module(self, name: str) -> Origin:
        """Whose the module of this name is, loaded or not; nothing is imported."""
        top = name.partition(".")[0]
        known = self._known.get(top)
        if known is None:
            known = self._look(top)
            self._known[top] = known
        return known

    def _look(self, top: str) -> Origin:
        if top in ("__main__", "__mp_main__"):
            return Origin.OWN
        if top == "hitsave":
            return Origin.PYTHON  # What keeps results has no part in them.
        module = sys.modules.get(top)
        places = _places_of(module) if module is not None else _places_of_absent(top)
        if top in sys.builtin_module_names or (not places and top in sys.stdlib_module_names):
            return Origin.PYTHON
        if top in self._own_packages or not places:
            return Origin.OWN
        return origin_of_path(places[0], top)


def _places_of(module: ModuleType) -> list[str]:
    file = getattr(module, "__file__", None)
    if isinstance(file, str):
        return [file]
    try:
        return [os.fspath(place) for place in getattr(module, "__path__", ())]
    except TypeError:
        return []


def _places_of_absent(top: str) -> list[str]:
    import importlib.util

    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError, AttributeError):
        return []
    if spec is None:
        return []
    if spec.origin and spec.has_location:
        return [spec.origin]
    return list(spec.submodule_search_locations or ())


def origin_of_path(path: str, top: str) -> Origin:
    """Whose a file is, that of the top-level module `top`."""
    path = os.path.abspath(path)
    folders = path.split(os.sep)
    if not _PACKAGE_FOLDERS.isdisjoint(folders):
        return Origin.EXTERNAL
    if any(path.startswith(root) for root in _library_folders()):
        return Origin.PYTHON
    return Origin.EXTERNAL if _installed_beside(path, top) else Origin.OWN


@functools.cache
def _library_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return tuple(os.path.join(os.path.abspath(paths[name]), "") for name in ("stdlib", "platstdlib"))


def _installed_beside(path: str, top: str) -> bool:
    folder = _folder_above(path, top)
    return folder is not None and package_in(folder, top) is not None


def _folder_above(path: str, top: str) -> str | None:
    """The folder in which the top-level module lies; its name is that of a file or of a folder."""
    while os.path.basename(path) not in ("", top):
        if os.path.basename(path).partition(".")[0] == top and not os.path.isdir(path):
            break
        path, before = os.path.dirname(path), path
        if path == before:
            return None
    return os.path.dirname(path) or None


# -- distributions


def package_of(module: str) -> Package:
    """The distribution that a loaded or installed top-level module comes from."""
    top = module.partition(".")[0]
    loaded = sys.modules.get(top)
    for place in _places_of(loaded) if loaded is not None else _places_of_absent(top):
        folder = _folder_above(os.path.abspath(place), top)
        if folder is not None and (found := package_in(folder, top)) is not None:
            return found
    version = getattr(loaded, "__version__", "")
    return Package(top, version if isinstance(version, str) else "")


@functools.lru_cache(maxsize=4096)
def package_in(folder: str, top: str) -> Package | None:
    """The distribution in a folder that brought a top-level module."""
    wanted = _plain(top)
    others = []
    for info, package in _distributions(folder):
        if _plain(package.name) == wanted:
            return package
        others.append((info, package))
    for info, package in others:
        if _brings(info, top):
            return package
    return None


@functools.lru_cache(maxsize=256)
def _distributions(folder: str) -> tuple[tuple[str, Package], ...]:
    return tuple(_list_distributions(folder))


def _list_distributions(folder: str) -> Iterator[tuple[str, Package]]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    for name in names:
        if match := _DIST_INFO.fullmatch(name):
            info = os.path.join(folder, name)
            yield info, Package(match["name"], _version_in(info) or match["version"])


def _version_in(info: str) -> str:
    """The version that a distribution's own notes tell; empty where they are not there."""
    try:
        with open(os.path.join(info, "METADATA"), encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("Version:"):
                    return line.removeprefix("Version:").strip()
                if not line.strip():
                    break
    except OSError:
        pass
    return ""


def _brings(info: str, top: str) -> bool:
    for file, wanted in (("top_level.txt", f"{top}\n"), ("RECORD", f"{top}/"), ("RECORD", f"{top}.")):
        try:
            with open(os.path.join(info, file), encoding="utf-8", errors="replace") as opened:
                text = opened.read() + "\n"
        except OSError:
            continue
        if text.startswith(wanted) or f"\n{wanted}" in text:
            return True
    return False


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
