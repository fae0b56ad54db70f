"""Whose code a module is: the project's own, an installed package's, or Python's.

Own is what is neither in Python's library nor in a distribution that was installed. A distribution that is installed
for editing lies outside of the folders for packages, and so counts as own. Several distributions, and the project, may
have parts in one package without an `__init__`: there, each module or package beneath is somebody's.
"""

from __future__ import annotations

import functools
import os
import re
import sys
import sysconfig
from collections.abc import Iterator
from enum import Enum
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import NamedTuple

_PACKAGE_FOLDERS = frozenset(("site-packages", "dist-packages"))
_DIST_INFO = re.compile(
    r"(?P<name>.+)-(?P<version>[^-]+)\.dist-info|(?P<egg>[^-]+)-(?P<egg_version>[^-]+)(?:-[^-]+)*\.egg-info"
)
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
    """Tells modules apart. `_own_packages` count as own wherever they lie."""

    def __init__(self) -> None:
        self._known: dict[str, Origin] = {}
        self._own_packages: set[str] = set()

    def own(self, module_name: str) -> bool:
        """Count a whole top-level package as own: one of its functions is memoised. Whether that is news."""
        unit = unit_of(module_name)
        if unit in self._own_packages or _top(unit) in sys.stdlib_module_names:
            return False
        self._own_packages.add(unit)
        self._known.clear()
        return True

    def of_module(self, name: str) -> Origin:
        """Whose the module of this name is, loaded or not; nothing is imported."""
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = self._look(unit_of(name))
        return known

    def _look(self, unit: str) -> Origin:
        if unit in ("__main__", "__mp_main__"):
            return Origin.OWN
        if _top(unit) == "hitsave":
            return Origin.PYTHON  # What keeps results has no part in them.
        places = _places(unit)
        if unit in sys.builtin_module_names or (not places and _top(unit) in sys.stdlib_module_names):
            return Origin.PYTHON
        if unit in self._own_packages or not places:
            return Origin.OWN
        return origin_of_path(places[0], unit)


def _top(name: str) -> str:
    return name.partition(".")[0]


def unit_of(module: str) -> str:
    """The beginning of a module's name that is one distribution's: mostly its top-level package."""
    parts = module.split(".")
    units = (".".join(parts[:at]) for at in range(1, len(parts)))
    return next((unit for unit in units if not is_namespace(unit)), module)


def is_namespace(name: str) -> bool:
    """Whether a package is nobody's: a folder without an `__init__`, in which several may have their own."""
    module = sys.modules.get(name)
    if module is None:
        spec = _spec_of_absent(name)
        return spec is not None and not spec.has_location and bool(spec.submodule_search_locations)
    return getattr(module, "__file__", None) is None and hasattr(module, "__path__")


def _places(name: str) -> list[str]:
    module = sys.modules.get(name)
    return _places_of(module) if module is not None else _places_of_absent(name)


def _places_of(module: ModuleType) -> list[str]:
    file = getattr(module, "__file__", None)
    if isinstance(file, str):
        return [file]
    try:
        return [os.fspath(place) for place in getattr(module, "__path__", ())]
    except TypeError:
        return []


def _places_of_absent(name: str) -> list[str]:
    spec = _spec_of_absent(name)
    if spec is None:
        return []
    if spec.origin and spec.has_location:
        return [spec.origin]
    return list(spec.submodule_search_locations or ())


def _spec_of_absent(name: str) -> ModuleSpec | None:
    """What an import would find. What `name` lies in, if anything, is a package without code."""
    import importlib.util

    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None


def origin_of_path(path: str, unit: str) -> Origin:
    """Whose a file is, that of the module `unit`."""
    path = os.path.abspath(path)
    folders = path.split(os.sep)
    if not _PACKAGE_FOLDERS.isdisjoint(folders):
        return Origin.EXTERNAL
    if any(path.startswith(root) for root in _library_folders()):
        return Origin.PYTHON
    return Origin.EXTERNAL if _installed_beside(path, unit) else Origin.OWN


@functools.cache
def _library_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return tuple(os.path.join(os.path.abspath(paths[name]), "") for name in ("stdlib", "platstdlib"))


def _installed_beside(path: str, unit: str) -> bool:
    folder = _folder_above(path, unit)
    return folder is not None and package_in(folder, unit) is not None


def _folder_above(path: str, unit: str) -> str | None:
    """The folder in which a module lies, or what is around it; its name is that of a file or of a folder."""
    above, _, name = unit.rpartition(".")
    while os.path.basename(path) not in ("", name):
        if os.path.basename(path).partition(".")[0] == name and not os.path.isdir(path):
            break
        path, before = os.path.dirname(path), path
        if path == before:
            return None
    for _ in above.split(".") if above else ():
        path = os.path.dirname(path)
    return os.path.dirname(path) or None


# -- distributions


def package_of(module: str) -> Package:
    """The distribution that a loaded or installed module comes from."""
    unit = unit_of(module)
    for place in _places(unit):
        folder = _folder_above(os.path.abspath(place), unit)
        if folder is not None and (found := package_in(folder, unit)) is not None:
            return found
    version = getattr(sys.modules.get(unit), "__version__", "")
    return Package(unit, version if isinstance(version, str) else "")


@functools.lru_cache(maxsize=4096)
def package_in(folder: str, unit: str) -> Package | None:
    """The distribution in a folder that brought a module."""
    wanted = _plain(unit)
    others = []
    for info, package in _distributions(folder):
        if _plain(package.name) == wanted:
            return package
        others.append((info, package))
    for name in dict.fromkeys((unit, _top(unit))):
        for info, package in others:
            if _brings(info, name):
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
            version = _version_in(info) or match["version"] or match["egg_version"]
            yield info, Package(match["name"] or match["egg"], version)


def _version_in(info: str) -> str:
    """The version that a distribution's own notes tell; empty where they are not there."""
    for file in ("METADATA", "PKG-INFO", ""):  # Very old ones are that file themselves.
        try:
            with open(os.path.join(info, file) if file else info, encoding="utf-8", errors="replace") as opened:
                head = opened.read().partition("\n\n")[0]
        except OSError:
            continue
        return next((line[8:].strip() for line in head.splitlines() if line.startswith("Version:")), "")
    return ""


def _brings(info: str, unit: str) -> bool:
    path = unit.replace(".", "/")
    for file, wanted in (("top_level.txt", f"{unit}\n"), ("RECORD", f"{path}/"), ("RECORD", f"{path}.")):
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
