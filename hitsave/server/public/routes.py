"""Routes under /public. Everybody may read; nothing is changed here, and no key is asked for."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, BinaryIO
from urllib.parse import unquote_to_bytes

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from hitsave.errors import ObjectError
from hitsave.objects.digest import Digest, ObjectKind, parse_digest
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.packing.treelist import encode_tree_list
from hitsave.remotes.public.layout import LINK_TYPE, quote_path
from hitsave.server.answers import Refusal, wants_page
from hitsave.server.paths import any_path, asked_path, is_text
from hitsave.server.public.archives import ARCHIVES, MEDIA_TYPES, Content, archive_pieces
from hitsave.server.public.media import BINARY, INERT, disposition, inert, media_type
from hitsave.server.public.page import directory_page
from hitsave.server.public.published import Found, Published
from hitsave.server.public.spans import Span, parse_range
from hitsave.server.public.targets import targets
from hitsave.server.streaming import stream

_PIECE = 1 << 20
#: Entries of a directory that a page shows, and that are sent at once to programs.
_MOST_SHOWN = 20_000
_ROWS_AT_ONCE = 1000
#: Of where links lead, what is told; a path of a file system is no longer.
_LONGEST_TARGET = 4096
_TARGET = re.compile(rb"/public/([0-9a-f]{64})(\.trees|\.tar\.zst|\.zip)?(?:/(.*))?", re.DOTALL)
#: What everybody may read, any page may read; and what is taken back must not live on in caches.
_OPEN = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Accept-Ranges, Content-Range, ETag",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Cache-Control": "public, no-cache",
    "Vary": "Accept",
}


async def read_public(request: Request) -> Response:
    """A file, or a directory as a page, as JSON, as an archive, or as its tree list; a link, to who asks for links."""
    found = _TARGET.fullmatch(_raw_path(request))
    if found is None:
        raise _nothing()
    digest, ending, path = parse_digest(found[1].decode()), (found[2] or b"").decode(), found[3]
    if ending and path is not None:
        raise _nothing()
    try:
        return await run_in_threadpool(_answer, request, digest, ending, path)
    except ObjectError as error:
        raise Refusal(502, "store", f"{digest.short} cannot be read from the store behind this server") from error


def _raw_path(request: Request) -> bytes:
    """The path byte by byte: names need not be UTF-8."""
    prefix = request.scope.get("root_path", "").encode()
    raw: bytes = request.scope.get("raw_path") or request.url.path.encode()
    return unquote_to_bytes(raw.partition(b"?")[0].removeprefix(prefix))


def _nothing() -> Refusal:
    return Refusal(404, "not public", "there is nothing public here", _OPEN)  # There may be, later on.


def published(request: Request) -> Published:
    """The public snapshots of the server that is asked."""
    found: Published = request.app.state.published
    return found


def _answer(request: Request, digest: Digest, ending: str, path: bytes | None) -> Response:
    source = published(request)
    found = source.find(digest, path or b"", last=LINK_TYPE not in request.headers.get("accept", ""))
    if (
        found is None and path
    ):  # As DIGEST.zip is all of it, DIGEST/images.zip is a directory, where no file is so called.
        found, ending = _named_archive(source, digest, path)
    if found is None:
        raise _nothing()
    is_folder = found.entry.kind is EntryKind.TREE
    if ending == ".trees":
        return _tree_list(request, source, digest) if is_folder and found.ref.kind is ObjectKind.TREE else _refuse()
    archive = ending[1:] or request.query_params.get("archive", "")
    if archive:
        return _archive(request, source, found, archive) if is_folder and archive in ARCHIVES else _refuse()
    if not is_folder:
        return _file(request, source, found)
    if request.query_params.get("format") == "json" or not wants_page(request):
        children = source.contents.children(found.entry.digest)
        above = _above_entries(request)
        return stream(request, _listing(source, found, children, above), 200, _headers(found), "application/json")
    if not (asked := asked_path(request)).endswith("/"):
        return RedirectResponse(f"{asked}/", 307, _OPEN)  # So that links on the page lead beneath it.
    children = source.contents.children(found.entry.digest)
    if len(children) > _MOST_SHOWN:
        why = f"this directory has {len(children):,} entries, too many for a page; ask for ?format=json, or an archive"
        raise Refusal(413, "too many", why, _OPEN)
    return directory_page(source, found, children, request.app.state.site.settings.public_url, _OPEN)


def _named_archive(source: Published, digest: Digest, path: bytes) -> tuple[Found | None, str]:
    """The directory whose name is followed by the ending of an archive, and that ending."""
    for kind in ARCHIVES:
        if path.endswith(ending := f".{kind}".encode()):
            return source.find(digest, path.removesuffix(ending)), f".{kind}"
    return None, ""


def _refuse() -> Response:
    raise _nothing()


def _headers(found: Found) -> dict[str, str]:
    return {**_OPEN, "ETag": f'"{found.entry.digest}"'}


# -- directories


def _above_entries(request: Request) -> str:
    """What the addresses of entries begin with, seen from this one: without a slash at its end it is not above them."""
    path = _raw_path(request)
    return "./" if path.endswith(b"/") else f"./{quote_path(path.rpartition(b'/')[2])}/"


def _listing(source: Published, found: Found, children: Mapping[bytes, TreeEntry], above: str) -> Iterator[bytes]:
    """A directory for programs, some entries at a time. Names that are not UTF-8 are percent-encoded in `url` alone.

    A `url` is relative to the address that was asked for.
    """
    about = {"digest": str(found.entry.digest), "name": found.name.encode("utf-8", "replace").decode()}
    yield _encode(about)[:-1] + b',"entries":['
    rows, before = iter(children.items()), b""
    while some := [*islice(rows, _ROWS_AT_ONCE)]:
        leads = targets(source.contents, [entry for _, entry in some], _LONGEST_TARGET)
        yield before + b",".join(_encode(_row(above, *row, leads)) for row in some)
        before = b","
    yield b"]}"


def _encode(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _row(above: str, name: bytes, entry: TreeEntry, leads: Mapping[Digest, bytes]) -> dict[str, Any]:
    target = leads.get(entry.digest) if entry.kind is EntryKind.SYMLINK else None
    return {
        "name": name.decode("utf-8", "replace"),
        "url": above + quote_path(name) + ("/" if entry.kind is EntryKind.TREE else ""),
        "kind": "directory" if entry.kind is EntryKind.TREE else entry.kind.name.lower(),
        "digest": str(entry.digest),
        "size": entry.size,
        "files": entry.files,
        "target": None if target is None else target.decode("utf-8", "replace"),
    }


def _tree_list(request: Request, source: Published, digest: Digest) -> Response:
    pieces = encode_tree_list(digest, source.contents.load)
    return stream(request, iter(pieces), 200, {**_OPEN, **INERT}, BINARY)


def _archive(request: Request, source: Published, found: Found, kind: str) -> Response:
    if kind == "zip" and not (is_text(os.fsencode(found.name)) and source.has_text_names(found.entry.digest)):
        raise Refusal(409, "names", "a zip archive cannot hold names that are not UTF-8; ask for .tar.zst", _OPEN)
    content = Content(source.contents.open, source.contents.link_target, found.depth)
    pieces = archive_pieces(kind, source.walk(found.entry.digest), content, found.name, found.ref.created)
    headers = {**_OPEN, **INERT, "Content-Disposition": disposition(f"{found.name}.{kind}", shown=False)}
    return stream(request, pieces, 200, headers, MEDIA_TYPES[kind])


# -- files


def _file(request: Request, source: Published, found: Found) -> Response:
    kind = LINK_TYPE if found.entry.kind is EntryKind.SYMLINK else media_type(found.name)
    size = found.entry.size
    headers = {
        **_headers(found),
        **inert(kind),
        "Accept-Ranges": "bytes",
        "Content-Disposition": disposition(found.name, shown=kind not in (BINARY, LINK_TYPE)),
    }
    if _has_already(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    asked = request.headers.get("range", "") if request.method == "GET" else ""
    if request.headers.get("if-range", headers["ETag"]) != headers["ETag"]:
        asked = ""
    try:
        span = parse_range(asked, size)
    except ValueError:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    status = 200 if span is None else 206
    if span is not None:
        headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{size}"
    span = span or Span(0, size)
    headers["Content-Length"] = str(span.stop - span.start)
    return stream(request, _pieces(source.contents.open(found.entry.digest), span), status, headers, kind)


def _has_already(request: Request, tag: str) -> bool:
    """Whether a reader has a file (RFC 9110, section 13.1.2). A proxy that compresses makes tags weak."""
    tags = ",".join(request.headers.getlist("if-none-match")).split(",")
    return any(known.strip().removeprefix("W/") in (tag, "*") for known in tags)


def _pieces(file: BinaryIO, span: Span) -> Iterator[bytes]:
    """A part of a file, piece by piece, each checked before it is sent."""
    with file:
        file.seek(span.start, os.SEEK_SET)
        rest = span.stop - span.start
        while rest:
            piece = file.read(min(_PIECE, rest))
            if not piece:
                return
            rest -= len(piece)
            yield piece


routes: list[BaseRoute] = [any_path(Route("/public/{path:path}", read_public, methods=["GET"]))]
