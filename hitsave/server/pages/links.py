"""Pages about public links: what anybody may download without a key, making it so, and taking it back."""

from __future__ import annotations

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hitsave.errors import ObjectError, ReliedOnLost
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.refs import Namespace, Ref, public_ref
from hitsave.server.access import Role, requires
from hitsave.server.answers import Refusal
from hitsave.server.audit import MAKE_PUBLIC, TAKE_BACK
from hitsave.server.pages.blobs import author_of, note
from hitsave.server.pages.catalogue.owners import RefRow
from hitsave.server.pages.dashboard import PAGE, Dashboard, in_thread, not_found, page_number
from hitsave.server.pages.experiments import digest_of
from hitsave.server.pages.rendering import render, see
from hitsave.server.receiving import read_form
from hitsave.server.site import Site

#: What is kept of calls may hold pickles, which nobody should read from strangers: only what these own can be public.
SHARED = (Namespace.DATASETS, Namespace.SNAPSHOTS)


@requires(Role.READ)
async def list_links(request: Request) -> Response:
    """What is public, and whose key made it so: what a client says of its user is not shown for that."""
    site: Site = request.app.state.site

    def look(dashboard: Dashboard) -> dict[str, Any]:
        reading = dashboard.catch_up(now=True)  # What another server took back is not shown as public.
        total = dashboard.owners.count(Namespace.PUBLIC)
        page = page_number(request, total)
        refs = dashboard.owners.refs(Namespace.PUBLIC, (page - 1) * PAGE, PAGE)
        return {
            "refs": refs,
            "made": site.audit.latest(MAKE_PUBLIC, [str(ref.digest) for ref in refs]),
            "total": total,
            "page": page,
            "reading": reading,
        }

    url = site.settings.public_url
    return render(request, "links.html", **await in_thread(request, look), url=url, PAGE=PAGE)


def _owner(dashboard: Dashboard, digest: Digest) -> RefRow:
    """A ref of a dataset or snapshot that owns an object. Raises Refusal."""
    dashboard.catch_up(whole=True, now=True)
    for owner in dashboard.owners.owners(digest):
        if owner.name.namespace in SHARED:
            return owner
    raise Refusal(404, "not found", "only what a dataset or a snapshot holds can be made public")


def _check_shared(dashboard: Dashboard) -> None:
    if dashboard.shared is None:
        raise Refusal(404, "not found", "here, 'hitsave snapshot --public PATH' makes a public link")


@requires(Role.WRITE)
async def confirm(request: Request) -> Response:
    """Ask, before something becomes public, whether it may."""
    digest = digest_of(request.query_params.get("digest", ""))

    def look(dashboard: Dashboard) -> dict[str, Any]:
        _check_shared(dashboard)
        owner = _owner(dashboard, digest)
        return {"owner": owner, "digest": digest, "extent": _extent(dashboard, digest)}

    url = request.app.state.site.settings.public_url
    return render(request, "publish.html", **await in_thread(request, look), url=url, problem="")


def _extent(dashboard: Dashboard, digest: Digest) -> tuple[int, int] | None:
    """Bytes and number of files of what is to be public; None where that cannot be told."""
    try:
        if dashboard.holdings.kind_of(digest) is ObjectKind.TREE:
            return dashboard.extent(digest)
        return dashboard.holdings.contents.size(digest), 1
    except ObjectError:
        return None


@requires(Role.WRITE)
async def publish(request: Request) -> Response:
    """Make something public."""
    form = await read_form(request)
    digest = digest_of(form.get("digest", ""))
    if form.get("allowed") != "yes":
        raise Refusal(400, "not confirmed", "say that it may be given to anybody, or leave it")
    by = author_of(request)

    def make(dashboard: Dashboard) -> None:
        _check_shared(dashboard)
        assert dashboard.shared is not None
        owner = _owner(dashboard, digest)
        kind = dashboard.holdings.kind_of(digest)
        path = owner.path if owner.digest == digest else ""
        ref = Ref(public_ref(digest), digest, kind, int(time.time()), by, path, owner.git)
        held = Ref(owner.name, owner.digest, owner.kind)
        try:
            is_new = dashboard.shared.add_ref(ref, held, by)
        except ReliedOnLost:
            raise Refusal(409, "gone", "it was deleted meanwhile") from None
        if is_new:
            note(request, MAKE_PUBLIC, {"digest": str(digest), "path": path, "owner": owner.at})
        dashboard.catch_up(now=True)

    await in_thread(request, make)
    return see("/links")


@requires(Role.WRITE)
async def take_back(request: Request) -> Response:
    """Make something public no longer. It stays a snapshot."""
    form = await read_form(request)
    digest = digest_of(form.get("digest", ""))
    by = author_of(request)

    def drop(dashboard: Dashboard) -> bool:
        _check_shared(dashboard)
        assert dashboard.shared is not None
        dropped = dashboard.shared.take_back(digest, by, lambda ref: note(request, TAKE_BACK, {"digest": str(digest)}))
        dashboard.catch_up(now=True)
        return dropped is not None

    if not await in_thread(request, drop):
        raise not_found("public link")
    return see("/links")


routes: list[BaseRoute] = [
    Route("/links", list_links, methods=["GET"]),
    Route("/links/new", confirm, methods=["GET"]),
    Route("/links", publish, methods=["POST"]),
    Route("/links/take-back", take_back, methods=["POST"]),
]
