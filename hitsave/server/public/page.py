"""A public directory as a page: no key, no script."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from jinja2 import Environment, PackageLoader
from starlette.responses import HTMLResponse, Response

from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.remotes.public.layout import quote_path
from hitsave.server.public.published import Found

_UNITS = ("kB", "MB", "GB", "TB", "PB")


class _Row(NamedTuple):
    name: str
    url: str
    folder: bool
    size: str
    files: int
    digest: str


def directory_page(found: Found, children: Mapping[bytes, TreeEntry], headers: Mapping[str, str]) -> Response:
    """The page of a directory."""
    rows = [
        _Row(
            name.decode("utf-8", "replace"),
            f"./{quote_path(name)}" + ("/" if entry.kind is EntryKind.TREE else ""),
            entry.kind is EntryKind.TREE,
            _show_size(entry.size),
            entry.files,
            entry.digest.hex(),
        )
        for name, entry in children.items()
    ]
    rows.sort(key=lambda row: (not row.folder, row.name))
    entry = found.entry
    page = (
        _templates()
        .get_template("public/directory.html")
        .render(
            name=found.name.encode("utf-8", "replace").decode(),
            digest=str(found.ref.digest),
            inside=bool(found.path),
            rows=rows,
            size=_show_size(sum(child.size for child in children.values())),
            own=str(entry.digest),
        )
    )
    return HTMLResponse(page, headers=dict(headers))


@lru_cache(maxsize=1)
def _templates() -> Environment:
    return Environment(loader=PackageLoader("hitsave.server"), autoescape=True, trim_blocks=True, lstrip_blocks=True)


def _show_size(size: int) -> str:
    if size < 1000:
        return f"{size} B"
    amount = size / 1000
    for unit in _UNITS[:-1]:
        if amount < 999.5:
            return f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} {_UNITS[-1]}"
