"""A public directory as a page: no key, no script."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import HTMLResponse, Response

from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.server.public.published import Found
from hitsave.server.templating import templates


def directory_page(found: Found, children: Mapping[bytes, TreeEntry], headers: Mapping[str, str]) -> Response:
    """The page of a directory: folders first."""
    rows = [(entry.kind is EntryKind.TREE, name, entry) for name, entry in children.items()]
    rows.sort(key=lambda row: (not row[0], row[1]))
    page = templates.get_template("public/directory.html").render(
        name=found.name.encode("utf-8", "replace").decode(),
        digest=found.entry.digest,
        inside=bool(found.path),
        rows=rows,
        size=sum(child.size for child in children.values()),
    )
    return HTMLResponse(page, headers=dict(headers))
