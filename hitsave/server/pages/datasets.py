"""Pages about datasets: which there are, their versions, and what differs between two of them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hitsave.contents import Contents
from hitsave.errors import ObjectError
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.objects.refs import Namespace
from hitsave.server.access import Role, requires
from hitsave.server.answers import Refusal
from hitsave.server.pages.catalogue.evaluations import MOST_COUNTED
from hitsave.server.pages.catalogue.owners import RefRow
from hitsave.server.pages.dashboard import PAGE, Dashboard, in_thread, not_found, page_number
from hitsave.server.pages.experiments import digest_of
from hitsave.server.pages.rendering import render
from hitsave.snapshots.diff import Change, ChangeKind, bring_differing, diff_trees

_MOST_VERSIONS = 500
_MOST_CHANGES = 1000


@requires(Role.READ)
async def list_datasets(request: Request) -> Response:
    """Datasets by their names."""

    def look(dashboard: Dashboard) -> dict[str, Any]:
        reading = dashboard.catch_up()
        wanted = request.query_params.get("name", "")
        total = dashboard.owners.count_datasets(wanted)
        page = page_number(request, total)
        return {
            "datasets": [
                (row, _extent(dashboard, row.newest))
                for row in dashboard.owners.datasets((page - 1) * PAGE, PAGE, wanted)
            ],
            "total": total,
            "snapshots": dashboard.owners.count(Namespace.SNAPSHOTS),
            "page": page,
            "wanted": wanted,
            "reading": reading,
        }

    return render(request, "datasets.html", **await in_thread(request, look), PAGE=PAGE)


def _extent(dashboard: Dashboard, ref: RefRow) -> tuple[int | None, int | None]:
    """Bytes and number of files; None where the object cannot be read."""
    try:
        if ref.kind is ObjectKind.TREE:
            return dashboard.extent(ref.digest)
        return (ref.size if ref.size is not None else dashboard.holdings.contents.size(ref.digest)), 1
    except dashboard.holdings.faults:
        return None, None


@requires(Role.READ)
async def show_versions(request: Request) -> Response:
    """The versions of one dataset."""
    owner = request.query_params.get("name", "")

    def look(dashboard: Dashboard) -> dict[str, Any]:
        dashboard.catch_up()
        refs = dashboard.owners.of_owner(Namespace.DATASETS, owner, _MOST_VERSIONS)
        if not refs:
            raise not_found("dataset, or it was forgotten")
        before = [*refs[1:], None]
        rows = [(ref, _extent(dashboard, ref), old) for ref, old in zip(refs, before, strict=True)]
        return {"owner": owner, "rows": rows, "cut": len(refs) == _MOST_VERSIONS}

    return render(request, "versions.html", **await in_thread(request, look))


@requires(Role.READ)
async def list_snapshots(request: Request) -> Response:
    """Files and directories that are kept by their digests alone."""

    def look(dashboard: Dashboard) -> dict[str, Any]:
        reading = dashboard.catch_up()
        total = dashboard.owners.count(Namespace.SNAPSHOTS)
        page = page_number(request, total)
        return {
            "refs": dashboard.owners.refs(Namespace.SNAPSHOTS, (page - 1) * PAGE, PAGE),
            "total": total,
            "page": page,
            "reading": reading,
        }

    return render(request, "snapshots.html", **await in_thread(request, look), PAGE=PAGE)


@requires(Role.READ)
async def show_changes(request: Request) -> Response:
    """Which files differ between two directories."""
    query = request.query_params

    def look(dashboard: Dashboard) -> dict[str, Any]:
        old, new = digest_of(query.get("old", "")), digest_of(query.get("new", ""))
        contents = dashboard.holdings.contents
        try:
            for root in (old, new):
                dashboard.extent(root)
            bring_differing(old, new, contents.load, contents.bring)
            changes, counts = differences(contents, old, new)
        except ObjectError:
            raise Refusal(404, "not found", "one of the two is no directory, is not here, or has no end") from None
        return {
            "old": old,
            "new": new,
            "name": query.get("name", ""),
            "changes": [(change, _sizes(change)) for change in changes],
            "total": counts.total(),
            "counted_all": counts.total() < MOST_COUNTED,
            "counts": [(kind, counts[kind]) for kind in ChangeKind],
        }

    return render(request, "differences.html", **await in_thread(request, look))


def differences(contents: Contents, old: Digest, new: Digest) -> tuple[list[Change], Counter[ChangeKind]]:
    """The first changes, and how many of each kind there are, as far as they are counted. Raises ObjectError."""
    found: list[Change] = []
    counts: Counter[ChangeKind] = Counter()
    for change in diff_trees(old, new, contents.load, contents.load):
        # An empty directory that was filled, or one that was emptied, is there before and after.
        if _is_directory(change.old or change.new):
            other = contents.entry_at(new if change.new is None else old, change.path)
            if _is_directory(other):
                continue
        counts[change.kind] += 1
        if len(found) < _MOST_CHANGES:
            found.append(change)
        if counts.total() >= MOST_COUNTED:
            break
    return found, counts


def _is_directory(entry: TreeEntry | None) -> bool:
    return entry is not None and entry.kind is EntryKind.TREE


def _sizes(change: Change) -> tuple[int | None, int | None, Digest | None]:
    old, new = change.old, change.new
    shown = new or old
    return (old.size if old else None, new.size if new else None, shown.digest if shown else None)


routes: list[BaseRoute] = [
    Route("/datasets", list_datasets, methods=["GET"]),
    Route("/datasets/versions", show_versions, methods=["GET"]),
    Route("/datasets/changes", show_changes, methods=["GET"]),
    Route("/snapshots", list_snapshots, methods=["GET"]),
]
