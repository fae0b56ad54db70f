"""A public directory as a page, which strangers see: no key, no script, and the looks of the other pages."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping

from starlette.responses import HTMLResponse, Response

from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.remotes.public.layout import quote_path
from hitsave.server.public.published import Found, Published
from hitsave.server.public.targets import targets
from hitsave.server.templating import templates

#: Bytes of a link's target that a page shows.
_LONGEST_TARGET = 256


def directory_page(
    source: Published, found: Found, children: Mapping[bytes, TreeEntry], url: str, headers: Mapping[str, str]
) -> Response:
    """The page of a directory: folders first. `url` is how the server is called."""
    rows = [(entry.kind is EntryKind.TREE, name, entry) for name, entry in children.items()]
    rows.sort(key=lambda row: (not row[0], row[1]))
    name = found.name.encode("utf-8", "replace").decode()
    path = f"/{quote_path(found.path)}" if found.path else ""
    page = templates.get_template("public/directory.html").render(
        name=name,
        above=_above(found),
        digest=found.entry.digest,
        size=sum(entry.size for entry in children.values()),
        files=sum(entry.files for entry in children.values()),
        since=found.ref.created,
        rows=rows,
        targets=targets(source.contents, children.values(), _LONGEST_TARGET),
        link=f"{url}/public/{found.ref.digest}{path}",
        target=shlex.quote(name),
    )
    return HTMLResponse(page, headers=dict(headers))


def _above(found: Found) -> list[str]:
    """The names of the directories that it lies in, from what was made public on."""
    if not found.path:
        return []
    return [found._replace(path=b"").name, *map(os.fsdecode, found.path.split(b"/")[:-1])]
