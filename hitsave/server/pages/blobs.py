"""Pages about what takes the space: the largest blobs, who owns them, and what is lost when they are deleted.

An object is never deleted by itself: the refs that own it are dropped, and then what nobody owns is collected. Who
confirms has seen the very refs that are dropped, or is asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from blake3 import blake3
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hitsave.maintenance.collect import DEFAULT_KEEP_SECONDS
from hitsave.objects.digest import Digest
from hitsave.objects.refs import Namespace, RefName, parse_ref_name
from hitsave.server.access import Role, requires
from hitsave.server.answers import Refusal
from hitsave.server.pages.catalogue.owners import MOST_OWNERS, RefRow
from hitsave.server.pages.dashboard import PAGE, Dashboard, dashboard_of, in_thread, not_found, page_number
from hitsave.server.pages.experiments import digest_of
from hitsave.server.pages.rendering import render, see
from hitsave.server.receiving import read_form
from hitsave.server.site import Site

_OWNERS_SHOWN = 3
_OWNERS_COUNTED = 1000
_REFS_SHOWN = 200
_NOTED = 100
#: Seconds that a page waits for the end of a collection.
_PATIENCE = 4.0


@requires(Role.READ)
async def list_blobs(request: Request) -> Response:
    """Blobs, the largest first, with their owners."""

    def look(dashboard: Dashboard) -> dict[str, Any]:
        reading = dashboard.catch_up(whole=True)
        totals = dashboard.owners.totals()
        page = page_number(request, totals.blobs)
        blobs = dashboard.owners.largest((page - 1) * PAGE, PAGE)
        rows = []
        for blob in blobs:
            owners = dashboard.owners.owners(blob.digest, _OWNERS_COUNTED, everywhere=False)
            path = dashboard.owners.path_in(blob.digest, owners[0]) if owners else None
            public = any(owner.name.namespace is Namespace.PUBLIC for owner in owners)
            groups = _grouped(owners)
            cut = len(owners) == _OWNERS_COUNTED
            rows.append((blob, groups[:_OWNERS_SHOWN], len(groups), cut, path, public))
        return {
            "rows": rows,
            "away": dashboard.holdings.missing(blob.digest for blob in blobs),
            "totals": totals,
            "total": totals.blobs,
            "page": page,
            "reading": reading,
        }

    return render(request, "blobs.html", **await in_thread(request, look), PAGE=PAGE)


class OwnerGroup(NamedTuple):
    """One owner as people know it, with how many of its refs are meant, the newest first."""

    namespace: Namespace
    owner: str
    refs: tuple[RefRow, ...]


def _grouped(refs: Sequence[RefRow]) -> list[OwnerGroup]:
    """Refs by their owners."""
    found: dict[tuple[Namespace, str], list[RefRow]] = {}
    for ref in refs:
        found.setdefault((ref.name.namespace, ref.owner or ref.digest.short), []).append(ref)
    return [OwnerGroup(namespace, owner, tuple(some)) for (namespace, owner), some in found.items()]


# -- deleting


class Target(NamedTuple):
    """What somebody is about to delete: refs, what people call it, and where to go back to."""

    title: str
    refs: tuple[RefRow, ...]
    back: str
    blob: Digest | None = None

    @property
    def seal(self) -> str:
        """What is another one where the refs are others."""
        return blake3("\n".join(sorted(ref.at for ref in self.refs)).encode()).hexdigest()


#: Finds out what an address is about. Raises Refusal.
Find = Callable[[Dashboard, Request], Target]


def _blob_target(dashboard: Dashboard, request: Request) -> Target:
    digest = digest_of(request.path_params["digest"])
    owners = dashboard.owners.owners(digest, MOST_OWNERS)
    if not owners:
        raise not_found("blob that anybody owns; what nobody owns goes with the next collection")
    return Target(f"blob {digest.short}", tuple(owners), "/blobs", digest)


def _ref_target(dashboard: Dashboard, request: Request) -> Target:
    try:
        names = [parse_ref_name(text) for text in request.query_params.getlist("ref")[:_REFS_SHOWN]]
    except ValueError:
        raise not_found("ref") from None
    refs = [ref for name in names if (ref := dashboard.owners.ref(name)) is not None]
    if not refs:
        raise not_found("ref, or it was forgotten")
    title = _describe(refs[0]) if len(refs) == 1 else f"{len(refs)} refs"
    return Target(title, tuple(refs), _page_of(refs[0], len(refs) == 1))


def _page_of(ref: RefRow, alone: bool) -> str:
    """Where people came from who want to delete a ref, or several."""
    namespace = ref.name.namespace
    if alone and namespace is Namespace.EVALUATIONS:
        return f"/evaluations/{ref.digest}"
    if alone and namespace is Namespace.DATASETS:
        return f"/datasets/versions?{urlencode({'name': ref.owner})}"
    pages = {Namespace.EVALUATIONS: "/evaluations", Namespace.DATASETS: "/datasets", Namespace.PUBLIC: "/links"}
    return pages.get(namespace, "/snapshots")


def _describe(ref: RefRow) -> str:
    namespace = ref.name.namespace
    if namespace is Namespace.DATASETS:
        return f"version {ref.digest.short} of {ref.owner}"
    if namespace is Namespace.EVALUATIONS:
        return f"an evaluation of {ref.owner}"
    kind = "public link" if namespace is Namespace.PUBLIC else "snapshot"
    return f"the {kind} {ref.owner or ref.digest.short}"


async def _confirm(request: Request, find: Find, changed: bool = False) -> Response:
    def look(dashboard: Dashboard) -> dict[str, Any]:
        reading = dashboard.catch_up(whole=True, now=True)
        target = find(dashboard, request)
        loss = dashboard.owners.loss([ref.name for ref in target.refs])
        return {
            "target": target,
            "groups": _grouped(target.refs[:_REFS_SHOWN]),
            "cut": len(target.refs) > _REFS_SHOWN,
            "too_many": len(target.refs) >= MOST_OWNERS,
            "loss": loss,
            "reading": reading,
        }

    days = DEFAULT_KEEP_SECONDS // 86400
    return render(request, "delete.html", changed=changed, days=days, **await in_thread(request, look))


async def _delete(request: Request, find: Find) -> Response:
    form = await read_form(request)
    seal, at_once = form.get("seal"), form.get("at_once") == "yes"
    by = author_of(request)

    def drop(dashboard: Dashboard) -> bool:
        if not dashboard.catch_up(whole=True, now=True).ready:
            return False
        target = find(dashboard, request)
        if target.seal != seal or len(target.refs) >= MOST_OWNERS:
            return False
        names = [ref.name for ref in target.refs]
        lost = dashboard.owners.loss(names)
        dropped = [ref.name for ref in dashboard.holdings.forget(names, by)]
        if dropped:
            note(request, "delete", _noted(target.title, dropped, at_once))
        dashboard.collect(by, at_once, _PATIENCE, lost)
        dashboard.catch_up(now=True)
        return True

    if not await in_thread(request, drop):
        return await _confirm(request, find, changed=True)
    return see("/collection")


def _noted(title: str, names: Sequence[RefName], at_once: bool) -> dict[str, Any]:
    known = [str(name) for name in names[:_NOTED]]
    return {"what": title, "count": len(names), "refs": known, "at_once": at_once}


def author_of(request: Request) -> str:
    """Who does something, as commits have it."""
    principal = request.state.principal
    site: Site = request.app.state.site
    return "dashboard" if site.local else f"{principal.label} ({principal.key_id})"


def note(request: Request, action: str, detail: dict[str, Any]) -> None:
    """Write a deed of whoever asks into the audit log."""
    site: Site = request.app.state.site
    principal = request.state.principal
    site.audit.note(principal.key_id, principal.label, request.state.address, action, detail)


@requires(Role.ADMIN)
async def confirm_blob(request: Request) -> Response:
    """What deleting a blob would break."""
    return await _confirm(request, _blob_target)


@requires(Role.ADMIN)
async def delete_blob(request: Request) -> Response:
    """Drop every ref that owns a blob, and collect."""
    return await _delete(request, _blob_target)


@requires(Role.ADMIN)
async def confirm_refs(request: Request) -> Response:
    """What deleting refs would break."""
    return await _confirm(request, _ref_target)


@requires(Role.ADMIN)
async def delete_refs(request: Request) -> Response:
    """Drop refs, and collect."""
    return await _delete(request, _ref_target)


# -- collecting


@requires(Role.ADMIN)
async def show_collection(request: Request) -> Response:
    """How the last collection of this server went, or goes."""
    collecting = (await run_in_threadpool(dashboard_of, request)).collecting
    headers = {"Refresh": "2"} if collecting and collecting.running else {}
    days = DEFAULT_KEEP_SECONDS // 86400
    return render(request, "collection.html", headers=headers, collecting=collecting, days=days)


@requires(Role.ADMIN)
async def collect(request: Request) -> Response:
    """Collect what nobody owns, and what could still be brought back."""
    form = await read_form(request)
    at_once = form.get("at_once") == "yes"
    by = author_of(request)

    def run(dashboard: Dashboard) -> None:
        note(request, "collect", {"at_once": at_once})
        dashboard.collect(by, at_once, _PATIENCE)

    await in_thread(request, run)
    return see("/collection")


def refuse_local(site: Site, what: str) -> None:
    """Refuse what only a server that is shared has. Raises Refusal."""
    if site.local:
        raise Refusal(404, "not found", f"{what} are for servers that others use: hitsave serve")


routes: list[BaseRoute] = [
    Route("/blobs", list_blobs, methods=["GET"]),
    Route("/blobs/{digest}/delete", confirm_blob, methods=["GET"]),
    Route("/blobs/{digest}/delete", delete_blob, methods=["POST"]),
    Route("/delete", confirm_refs, methods=["GET"]),
    Route("/delete", delete_refs, methods=["POST"]),
    Route("/collection", show_collection, methods=["GET"]),
    Route("/collection", collect, methods=["POST"]),
]
