"""Pages that look into directories and files, wherever these are; of a file little is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import quote, unquote_to_bytes

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hitsave.errors import MalformedObject, ObjectError
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.objects.refs import Namespace, public_ref
from hitsave.server.access import Role, requires
from hitsave.server.pages.catalogue.owners import RefRow
from hitsave.server.pages.dashboard import Dashboard, in_thread, not_found, page_number
from hitsave.server.pages.experiments import digest_of
from hitsave.server.pages.links import SHARED
from hitsave.server.pages.previews import LARGEST_IMAGE, Preview, image_type, preview
from hitsave.server.pages.rendering import INERT, render
from hitsave.server.paths import any_path, spell
from hitsave.server.public.targets import targets
from hitsave.server.streaming import stream

_ENTRIES = 200
#: Entries of a directory beyond which they stand in their own order.
_MOST_SORTED = 20_000
_PIECE = 1 << 20
#: Bytes of a link's target that a list shows.
_LONGEST_TARGET = 256
_OWNERS = 20
_MOST_OWNERS = 1000


class Crumb(NamedTuple):
    """One step on the way to what is shown."""

    name: bytes
    path: bytes


class Found(NamedTuple):
    """What an address leads to: the root, the path inside it, and the entry that stands there."""

    root: Digest
    path: bytes
    entry: TreeEntry

    @property
    def crumbs(self) -> list[Crumb]:
        """The way to it."""
        names = [name for name in self.path.split(b"/") if name]
        return [Crumb(name, b"/".join(names[: number + 1])) for number, name in enumerate(names)]


def find_entry(dashboard: Dashboard, request: Request, last: bool = True) -> Found:
    """What an address leads to; the path in it is bytes, of any encoding. Symbolic links are followed.

    Without `last`, a link at the end of the path is what it is. Raises Refusal, RemoteError.
    """
    root = digest_of(request.path_params["digest"])
    raw: bytes = request.scope["raw_path"].partition(b"?")[0]
    path = unquote_to_bytes(raw).partition(str(root).encode())[2].strip(b"/")
    contents = dashboard.holdings.contents
    try:
        if not path:
            return Found(root, path, _root_entry(dashboard, root))
        found = contents.follow(root, path, last)
    except (ObjectError, MalformedObject):
        raise not_found("file or directory here") from None
    if found is None:
        raise not_found("file or directory here")
    return Found(root, path, found.entry)


def _root_entry(dashboard: Dashboard, root: Digest) -> TreeEntry:
    """A root as an entry without a name. Raises ObjectError, MalformedObject, RemoteError."""
    known = dashboard.owners.find(root)
    kind = known[0] if known else dashboard.holdings.kind_of(root)
    contents = dashboard.holdings.contents
    if kind is ObjectKind.BLOB:
        return TreeEntry(b"", EntryKind.FILE, root, contents.size(root))
    return TreeEntry(b"", EntryKind.TREE, root, *dashboard.extent(root))


@requires(Role.READ)
async def show_object(request: Request) -> Response:
    """A directory's entries, or what can be shown of a file."""

    def look(dashboard: Dashboard) -> tuple[str, dict[str, Any]]:
        dashboard.catch_up()  # An address may be the first that anybody asks for.
        found = find_entry(dashboard, request, last=False)
        tables = dashboard.owners
        owners = tables.owners(found.entry.digest, _MOST_OWNERS, False) or tables.owners(
            found.root, _MOST_OWNERS, False
        )
        # Versions of one dataset, or evaluations of one function, are one owner to people.
        distinct = list({(owner.name.namespace, owner.owner or owner.at): owner for owner in owners}.values())
        title = found.crumbs[-1].name if found.crumbs else _name_of(owners, found.root)
        known = {
            "found": found,
            "title": title,
            "dataset": next((owner for owner in owners if _is_version(owner, found.root)), None),
            "owners": distinct[:_OWNERS],
            "more_owners": len(distinct) > _OWNERS,
            "public": dashboard.owners.ref(public_ref(found.entry.digest)) is not None,
            "publishable": dashboard.shared is not None
            and found.entry.kind is not EntryKind.SYMLINK
            and any(owner.name.namespace in SHARED for owner in owners),
        }
        if found.entry.kind is EntryKind.TREE:
            return "directory.html", {**known, **_directory(dashboard, found, request)}
        if found.entry.kind is EntryKind.SYMLINK:
            return "link.html", {**known, **_link(dashboard, found)}
        return "file.html", {**known, "preview": _preview(dashboard, found, title)}

    template, values = await in_thread(request, look)
    return render(request, template, **values)


def _is_version(owner: RefRow, root: Digest) -> bool:
    """Whether a root is a version of a dataset that this ref names."""
    return owner.name.namespace is Namespace.DATASETS and owner.digest == root


def _name_of(owners: list[RefRow], digest: Digest) -> bytes:
    """What people call an object that they came to by its digest."""
    named = [owner.owner.rpartition("/")[2] for owner in owners if owner.digest == digest and owner.owner]
    return (named[0] if named else digest.short).encode("utf-8", "replace")


def _directory(dashboard: Dashboard, found: Found, request: Request) -> dict[str, Any]:
    try:
        children = dashboard.holdings.contents.children(found.entry.digest)
    except ObjectError:
        raise not_found("directory here; perhaps only a part of it was fetched") from None
    page = page_number(request, len(children), _ENTRIES)
    first, last = (page - 1) * _ENTRIES, page * _ENTRIES
    entries: Iterable[TreeEntry] = children.values()
    if len(children) <= _MOST_SORTED:  # Directories come first, as everywhere.
        entries = sorted(entries, key=lambda entry: (entry.kind is not EntryKind.TREE, entry.name))
    shown = list(islice(entries, first, last))
    links = targets(dashboard.holdings.contents, shown, _LONGEST_TARGET)
    return {"entries": shown, "targets": links, "total": len(children), "page": page, "PAGE": _ENTRIES}


def _preview(dashboard: Dashboard, found: Found, name: bytes) -> Preview | None:
    """What can be shown; None where the file is not here."""
    try:
        with dashboard.holdings.contents.open(found.entry.digest) as file:
            return preview(file, name, found.entry.size)
    except dashboard.holdings.faults:
        return None


def _link(dashboard: Dashboard, found: Found) -> dict[str, bytes | None]:
    """Where a symbolic link says that it leads, and the path of what is there; None for what is not here."""
    contents = dashboard.holdings.contents
    try:
        target = contents.link_target(found.entry.digest)
    except dashboard.holdings.faults:
        return {"target": None, "leads": None}
    try:
        followed = contents.follow(found.root, found.path)
    except MalformedObject:
        followed = None
    except dashboard.holdings.faults:
        followed = None
    return {"target": target, "leads": followed.path if followed else None}


@requires(Role.READ)
async def send_content(request: Request) -> Response:
    """The bytes of a file: an image to be looked at, anything else to be saved."""

    def look(dashboard: Dashboard) -> tuple[Found, BinaryIO, bytes]:
        found = find_entry(dashboard, request)
        if found.entry.kind is EntryKind.TREE:
            raise not_found("file here")
        try:
            file = dashboard.holdings.contents.open(found.entry.digest)
        except ObjectError:
            raise not_found("file here; perhaps it was not fetched") from None
        return found, file, file.read(_PIECE)

    found, file, first = await in_thread(request, look)
    headers = {**INERT, "Content-Length": str(found.entry.size)}
    shown = image_type(first) if "save" not in request.query_params and found.entry.size <= LARGEST_IMAGE else None
    if shown is None:
        name = found.crumbs[-1].name if found.crumbs else found.root.short.encode()
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(spell(name), safe='')}"
    media_type = shown or "application/octet-stream"
    return stream(request, _pieces(file, first), 200, headers, media_type)


def _pieces(file: BinaryIO, first: bytes) -> Iterator[bytes]:
    with file:
        piece = first
        while piece:
            yield piece
            piece = file.read(_PIECE)


routes: list[BaseRoute] = [
    Route("/objects/{digest}", show_object, methods=["GET"]),
    any_path(Route("/objects/{digest}/{path:path}", show_object, methods=["GET"])),
    Route("/content/{digest}", send_content, methods=["GET"]),
    any_path(Route("/content/{digest}/{path:path}", send_content, methods=["GET"])),
]
