"""Under which keys, and at which URLs, public snapshots lie (objects_spec.md, section 9.8)."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes, urlsplit, urlunsplit

from hitsave.objects.digest import Digest, parse_digest

PUBLIC = "public/"
#: Who asks for it where there is a symbolic link wants where that leads; a server would give what it leads to. Hosts of
#: static files give the former to everybody.
LINK_TYPE = "inode/symlink"
_KEY = re.compile(rf"{PUBLIC}([0-9a-f]{{64}})(?:\.trees|/(.+))?", re.DOTALL)
_URL_PATH = re.compile(rf"(?P<base>.*/){PUBLIC}(?P<digest>[0-9a-f]{{64}})(?:/(?P<inside>.*))?")
#: Of names that trees can have, what stores and browsers turn into something else.
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\\]")
_NO_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class PublicUrl(NamedTuple):
    """A link to a public snapshot, or to what lies inside of it. `base` ends with `/`."""

    base: str
    digest: Digest
    inside: bytes = b""

    def __str__(self) -> str:
        return self.base + file_key(self.digest) + (f"/{quote_path(self.inside)}" if self.inside else "")


def file_key(digest: Digest) -> str:
    """Where a file lies; of a directory, what the keys of its files begin with."""
    return f"{PUBLIC}{digest}"


def list_key(digest: Digest) -> str:
    """Where the tree list of a directory lies."""
    return f"{PUBLIC}{digest}.trees"


def inner_key(digest: Digest, path: bytes) -> str:
    """Where a file inside of a directory lies. Raises ValueError for a path that no key can spell."""
    try:
        text = path.decode()
    except UnicodeDecodeError:
        raise ValueError("is no UTF-8") from None
    if found := _UNFIT.search(text):
        raise ValueError("holds a backslash" if found[0] == "\\" else "holds a control character")
    return f"{PUBLIC}{digest}/{text}"


def snapshot_of(key: str) -> Digest | None:
    """Whose a key is; None for any other key, and for a path that no tree can have."""
    found = _KEY.fullmatch(key)
    if found is None or not all(map(_is_name, (found[2] or "name").split("/"))):
        return None
    return parse_digest(found[1])


def _is_name(text: str) -> bool:
    return text not in ("", ".", "..") and not _NO_NAME.search(text)


def quote_path(path: bytes) -> str:
    """A path inside of a snapshot as a URL has it."""
    return quote_from_bytes(path, safe="/")


def parse_public_url(text: str) -> PublicUrl | None:
    """The link that a text is; None for a text that is none. A query and a fragment count for nothing."""
    parts = urlsplit(text)
    found = _URL_PATH.fullmatch(parts.path) if parts.scheme in ("http", "https") and parts.hostname else None
    if found is None:
        return None
    base = urlunsplit((parts.scheme, parts.netloc, found["base"], "", ""))
    return PublicUrl(base, parse_digest(found["digest"]), unquote_to_bytes(found["inside"] or "").strip(b"/"))
