"""What a browser is told that a file is. Content of users is never told to be what a browser would run."""

from __future__ import annotations

import mimetypes
import os
from urllib.parse import quote

from hitsave.server.paths import spell

BINARY = "application/octet-stream"
_TEXT = "text/plain; charset=utf-8"
#: What browsers show, and run nothing of.
_SHOWN = frozenset(
    (
        *("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp", "image/tiff"),
        *("audio/mpeg", "audio/ogg", "audio/wav", "audio/x-wav", "audio/flac", "audio/webm"),
        *("video/mp4", "video/webm", "video/ogg", "application/pdf"),
    )
)
_AS_TEXT = frozenset(("application/json", "application/toml", "application/yaml", "application/x-yaml"))
#: Of texts, what could be run, or holds what could.
_RUN = frozenset(
    ("text/html", "text/javascript", "text/xml", "text/css", "text/xsl", "text/vtt", "text/cache-manifest")
)

#: For content of users: nothing in it is run, and nothing that it names is fetched.
INERT = {
    "Content-Security-Policy": "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; style-src 'none'",
    "X-Content-Type-Options": "nosniff",
}
#: For what browsers show with styles of their own. No page is given so that could have any.
_VIEWED = {
    **INERT,
    "Content-Security-Policy": INERT["Content-Security-Policy"].replace(
        "style-src 'none'", "style-src 'unsafe-inline'"
    ),
}


def inert(kind: str) -> dict[str, str]:
    """The headers that keep a file of this type inert."""
    return _VIEWED if kind.partition("/")[0] in ("image", "audio", "video") else INERT


def media_type(name: str) -> str:
    """The type by which a file of this name is given."""
    guessed = mimetypes.guess_type(name, strict=True)
    if guessed[1] is not None:  # Compressed.
        return BINARY
    kind = guessed[0] or BINARY
    if kind in _SHOWN:
        return kind
    if kind in _AS_TEXT or (kind.startswith("text/") and kind not in _RUN):
        return _TEXT
    return BINARY


def disposition(name: str, shown: bool) -> str:
    """The header that says how a file is called, and whether it is shown or kept."""
    plain = "".join(letter if (letter.isascii() and letter.isalnum()) or letter in "._-" else "_" for letter in name)
    how = "inline" if shown else "attachment"
    exact = quote(spell(os.fsencode(name)), safe="")
    return f"{how}; filename=\"{plain or 'file'}\"; filename*=UTF-8''{exact}"
