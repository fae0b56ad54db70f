"""Paths in addresses, and what people call things by their paths: any bytes, as file systems have them."""

from __future__ import annotations

import re
from urllib.parse import quote

from starlette.requests import Request
from starlette.routing import Route

from hitsave.objects.refs import unquote_name

#: Bytes of a name in file systems.
_LONGEST_NAME = 255


def any_path(route: Route) -> Route:
    """A route whose `{path:path}` may hold line feeds, too, as names of files may."""
    route.path_regex = re.compile(route.path_regex.pattern, re.DOTALL)
    return route


def asked_path(request: Request) -> str:
    """The path as it was asked for: what is decoded, of bytes that are no text or of a `%`, leads elsewhere."""
    raw: bytes = request.scope.get("raw_path") or quote(request.scope["path"]).encode()
    return raw.partition(b"?")[0].decode("ascii", "replace")


def captured_path(quoted: str) -> bytes:
    """The path that a ref or its name says, which ought to be quoted, and may have been written by anybody."""
    return unquote_name(quoted) if quoted.isascii() else quoted.encode("utf-8", "replace")


def is_text(name: bytes) -> bool:
    """Whether a name is UTF-8, as the most part of programs want it."""
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def spell(name: bytes) -> str:
    """A name as a text: bytes that are not UTF-8 are written as `%E9`, so that names stay apart."""
    return re.sub(
        "[\udc80-\udcff]", lambda byte: f"%{ord(byte[0]) & 0xFF:02X}", name.decode("utf-8", "surrogateescape")
    )


def last_name(path: bytes) -> bytes:
    """What is at a path is called so; empty where that is no name of a file."""
    name = path.rstrip(b"/").rpartition(b"/")[2]
    return b"" if name in (b".", b"..") or b"\0" in name or len(name) > _LONGEST_NAME else name
