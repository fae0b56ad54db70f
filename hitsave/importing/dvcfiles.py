"""The files of DVC, as its documentation lays them out: `.dvc` files, `dvc.lock` with `dvc.yaml`, lists of
directories, and settings. Bytes in, values out.

An output is named by the MD5 of its content; that of a directory is the MD5 of its list, and ends in `.dir`. Before
DVC 3 (which says `hash: md5`), the MD5 of a text was taken with CRLF made LF.
"""

from __future__ import annotations

import configparser
import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import yaml

_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
_LIST_ENDS = ".dir"
#: Every scalar stays text: an MD5 may look like a number.
_Loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


class Output(NamedTuple):
    """One output at a path in the repository. `problem` says why it cannot be imported, where it cannot."""

    path: str
    md5: str = ""
    executable: bool = False
    old_text: bool = False
    problem: str = ""

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory, and its MD5 that of a list."""
        return self.md5.endswith(_LIST_ENDS)


class ListedFile(NamedTuple):
    """One file in a directory's list."""

    path: bytes
    md5: str
    executable: bool


def read_dvc_file(content: bytes, folder: str) -> Iterator[Output]:
    """The outputs in a `.dvc` file that stands in a folder of the repository. Raises ValueError."""
    document = _mapping(_load(content))
    inside = posixpath.join(folder, _text(document.get("wdir")) or ".")
    for out in map(_mapping, _sequence(document.get("outs"))):
        yield _output(out, inside, _is_false(out.get("cache")))


def read_lock(content: bytes, pipeline: bytes, folder: str) -> Iterator[Output]:
    """The outputs in a `dvc.lock`; the `dvc.yaml` beside it says where stages run and what is not in the cache.

    Raises ValueError.
    """
    lock = _mapping(_load(content))
    stages = _mapping(lock.get("stages", lock))
    described = _mapping(_mapping(_load(pipeline)).get("stages"))
    for name, stage in stages.items():
        about = _mapping(described.get(name) or described.get(name.partition("@")[0]))
        about = {**about, **_mapping(about.get("do"))}
        inside = posixpath.join(folder, _text(about.get("wdir")) or ".")
        elsewhere = set(_not_cached(about))
        for out in map(_mapping, _sequence(_mapping(stage).get("outs"))):
            yield _output(out, inside, out.get("path") in elsewhere)


def _not_cached(stage: Mapping[str, Any]) -> Iterator[str]:
    for key in ("outs", "metrics", "plots"):
        for item in _sequence(stage.get(key)):
            if isinstance(item, dict):
                yield from (path for path, about in item.items() if _is_false(_mapping(about).get("cache")))


def _output(out: Mapping[str, Any], folder: str, elsewhere: bool) -> Output:
    given = _text(out.get("path"))
    path = posixpath.normpath(posixpath.join(folder, given))
    md5 = _text(out.get("md5"))
    if "${" in path:
        return Output(path, problem="its place is a template that dvc.yaml fills in")
    if "://" in given or path.startswith(("/", "../")) or path in (".", ".."):
        return Output(given, problem="lies outside of the repository")
    if elsewhere:
        return Output(path, problem="is not in DVC's cache (cache: false)")
    if not _MD5.fullmatch(md5):
        return Output(path, problem="has no MD5 of its content")
    return Output(path, md5, _is_true(out.get("isexec")), out.get("hash") != "md5")


def read_list(content: bytes) -> list[ListedFile]:
    """The files of a directory. Raises ValueError where it is no list, or a path could lead out of the directory."""
    listed = json.loads(content)
    if not isinstance(listed, list):
        raise ValueError("is not a list")
    return [_listed(item) for item in listed]


def _listed(item: Any) -> ListedFile:
    path, md5 = (item.get("relpath"), item.get("md5")) if isinstance(item, dict) else (None, None)
    if not isinstance(path, str) or not isinstance(md5, str) or not _MD5.fullmatch(md5) or md5.endswith(_LIST_ENDS):
        raise ValueError("holds what is no file with an MD5")
    if "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise ValueError(f"holds the path {path!r}")
    return ListedFile(path.encode("utf-8", "surrogateescape"), md5, bool(item.get("isexec")))


def object_paths(md5: str, old_first: bool) -> tuple[str, str]:
    """Where an object lies in a cache: the place that DVC 3 gives it, and the one before; the likelier first."""
    inside = f"{md5[:2]}/{md5[2:]}"
    new = f"files/md5/{inside}"
    return (inside, new) if old_first else (new, inside)


class Settings(NamedTuple):
    """What a settings file says: the cache's folder, and addresses of remotes, as they are written there."""

    cache: str | None
    remotes: tuple[str, ...]


def read_settings(text: str) -> Settings:
    """The settings in `.dvc/config`. Raises ValueError."""
    parser = configparser.ConfigParser(interpolation=None, strict=False, allow_no_value=True)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise ValueError(str(error).partition("\n")[0]) from None
    remotes = [parser[name].get("url") for name in parser.sections() if name.strip("'").startswith("remote")]
    cache = parser.get("cache", "dir", fallback=None)
    return Settings(_unquoted(cache), tuple(_unquoted(url) or "" for url in remotes if url))


def _unquoted(text: str | None) -> str | None:
    return text[1:-1] if text and len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def _load(content: bytes) -> Any:
    try:
        return yaml.load(content, _Loader)
    except (yaml.YAMLError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(f"is no YAML ({str(error).splitlines()[0]})") from None


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _sequence(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _is_true(value: Any) -> bool:
    return _text(value).lower() in ("true", "yes", "on")


def _is_false(value: Any) -> bool:
    return _text(value).lower() in ("false", "no", "off")
