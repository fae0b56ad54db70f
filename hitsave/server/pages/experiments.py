"""Pages about functions: which there are, what ran of each version of their code, and what differs between versions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hitsave.errors import MalformedObject, ObjectError
from hitsave.objects.digest import Digest, parse_digest
from hitsave.objects.evaluation import Evaluation, decode_evaluation
from hitsave.server.access import Role, requires
from hitsave.server.answers import Refusal
from hitsave.server.pages import plotting, tabulation
from hitsave.server.pages.catalogue.evaluations import MOST_COUNTED, Chosen, EvaluationTables, Sorting, VersionRow
from hitsave.server.pages.catalogue.shown import ARGUMENTS
from hitsave.server.pages.catalogue.where import BadFilter, parse_filter
from hitsave.server.pages.coding import Dependency, compare_code, decode_manifest
from hitsave.server.pages.dashboard import PAGE, Dashboard, in_thread, not_found, page_number
from hitsave.server.pages.rendering import render, see

#: What is the same everywhere is listed so far.
_CONSTANTS = 12


async def home(request: Request) -> Response:
    """Where people begin."""
    return see("/experiments")


@requires(Role.READ)
async def list_functions(request: Request) -> Response:
    """Every function of which something is kept."""

    def look(dashboard: Dashboard) -> dict[str, Any]:
        reading = dashboard.catch_up()
        functions = dashboard.evaluations.functions()
        wanted = request.query_params.get("name", "").lower()
        found = [row for row in functions if wanted in row.function.lower()]
        page = page_number(request, len(found))
        return {
            "functions": found[(page - 1) * PAGE : page * PAGE],
            "total": len(found),
            "page": page,
            "wanted": wanted,
            "any": bool(functions),
            "reading": reading,
        }

    return render(request, "functions.html", **await in_thread(request, look), PAGE=PAGE)


@requires(Role.READ)
async def show_function(request: Request) -> Response:
    """What ran of one function: a table, a chart, and the versions of its code."""
    return render(request, "function.html", **await in_thread(request, lambda dashboard: _function(request, dashboard)))


def _function(request: Request, dashboard: Dashboard) -> dict[str, Any]:
    reading = dashboard.catch_up()
    query = request.query_params
    function = query.get("name", "")
    tables = dashboard.evaluations
    versions = tables.versions(function)
    if not versions:
        raise not_found("function, or nothing of it is kept any more")
    chosen_versions = _chosen_versions(versions, query.get("code", ""))
    ids = tuple(version.id for version in chosen_versions)
    paths = tables.paths(ids)
    sample = _sample(dashboard, ids)
    asked = tabulation.parse_asked(query, paths, sample)
    chosen = Chosen(ids, asked.conditions)
    in_all = sum(version.evaluations for version in chosen_versions)
    count, without = _counts(tables, chosen, asked.sorting, in_all)
    page = page_number(request, _total(count))
    rows = tables.page(chosen, asked.sorting, (page - 1) * PAGE, PAGE)
    numeric = tables.numeric(ids)
    offered = plotting.choices(numeric, paths, sample, len(ids))
    axes = plotting.parse_axes(query, numeric, offered, sample)
    table = tabulation.tabulate(rows, tables.values([row.id for row in rows]), asked.columns)
    return {
        "function": function,
        "versions": versions,
        "newest_of": list(zip(versions[:PAGE], tables.newest_of(versions[:PAGE]), strict=True)),
        "chosen": chosen_versions,
        "code": query.get("code", ""),
        "asked": asked,
        "constants": [(column, text) for column, text in _constants(sample, paths) if column not in asked.columns],
        "sampled_all": in_all <= tabulation.SAMPLED,
        "SAMPLED": tabulation.SAMPLED,
        "paths": [tabulation.column_of(path) for path in paths],
        "rows": table,
        "classes": tabulation.column_classes(table, len(asked.columns)),
        "count": count,
        "counted_all": count < MOST_COUNTED,
        "without": without,
        "page": page,
        "PAGE": PAGE,
        "where": query.get("where", ""),
        "axes": axes,
        "choices": offered,
        "plotted": None
        if axes is None
        else plotting.plot(tables, chosen, axes, versions, lambda digest: f"/evaluations/{digest}"),
        "most_points": plotting.MOST_POINTS,
        "finite": any(not path.startswith(ARGUMENTS) for path in numeric),
        "reading": reading,
    }


def _counts(tables: EvaluationTables, chosen: Chosen, sorting: Sorting, in_all: int) -> tuple[int, int]:
    """How many are listed, and how many are not since they lack what they are sorted by; of `in_all`, at most 100,000.

    Counting looks at each of them, and is done only where it must be.
    """
    fitting = tables.count(chosen, Sorting()) if chosen.conditions else min(in_all, MOST_COUNTED)
    count = fitting if sorting.on_column else tables.count(chosen, sorting)
    return count, fitting - count


def _total(count: int) -> int | None:
    """How many evaluations are listed; None where they were not counted to the end."""
    return count if count < MOST_COUNTED else None


def _constants(sample: tabulation.Sample, paths: Sequence[str]) -> list[tuple[tabulation.Column, str]]:
    """What need not be a column."""
    return [(tabulation.column_of(path), text) for path, text in sample.constants(paths)][:_CONSTANTS]


def _sample(dashboard: Dashboard, versions: tuple[int, ...]) -> tabulation.Sample:
    """What the newest evaluations are like; the same for every page, order and filter."""
    newest = dashboard.evaluations.listed(Chosen(versions), Sorting(), 0, tabulation.SAMPLED)
    return tabulation.Sample(dashboard.evaluations.values(newest).values())


def _chosen_versions(versions: Sequence[VersionRow], code: str) -> list[VersionRow]:
    """The newest version, the one that is named, or all."""
    if code == "all":
        return list(versions)
    named = [version for version in versions if code and str(version.code).startswith(code)]
    return named[:1] or list(versions[:1])


# -- all evaluations


@requires(Role.READ)
async def list_evaluations(request: Request) -> Response:
    """Every evaluation, the newest first."""

    def look(dashboard: Dashboard) -> dict[str, Any]:
        reading = dashboard.catch_up()
        query = request.query_params
        problem, conditions = "", []
        try:
            conditions = parse_filter(query.get("where", "")[:1000], [])
        except BadFilter as error:
            problem = str(error)
        chosen = Chosen(None, tuple(conditions), "experiments" in query)
        name = query.get("sort", "started")
        sorting = Sorting(name if name in ("started", "elapsed", "size") else "started", query.get("way") != "up")
        count = dashboard.evaluations.count(chosen, sorting)
        page = page_number(request, _total(count))
        rows = dashboard.evaluations.page(chosen, sorting, (page - 1) * PAGE, PAGE)
        values = dashboard.evaluations.values([row.id for row in rows])
        return {
            "rows": [(row, _call(values[row.id])) for row in rows],
            "count": count,
            "counted_all": count < MOST_COUNTED,
            "sorting": sorting,
            "page": page,
            "PAGE": PAGE,
            "where": query.get("where", ""),
            "experiments": "experiments" in query,
            "problem": problem,
            "reading": reading,
        }

    return render(request, "evaluations.html", **await in_thread(request, look))


def _call(values: dict[str, Any]) -> str:
    """The arguments as in a call."""
    plain = [path for path in values if path.startswith("arguments.") and path.count(".") == 1]
    text = ", ".join(f"{path.removeprefix('arguments.')}={values[path].text}" for path in plain)
    return text if len(text) <= 160 else text[:157] + "..."


# -- code


def load_evaluation(dashboard: Dashboard, text: str) -> tuple[Digest, Evaluation]:
    """The evaluation that a part of an address names. Raises Refusal."""
    digest = digest_of(text)
    try:
        value = decode_evaluation(dashboard.load(digest))
    except (ObjectError, MalformedObject):
        raise not_found("evaluation") from None
    if not isinstance(value, Evaluation):
        raise not_found("evaluation")
    return digest, value


def digest_of(text: str) -> Digest:
    """The digest in an address. Raises Refusal."""
    try:
        return parse_digest(text)
    except ValueError:
        raise not_found("object") from None


def load_code(dashboard: Dashboard, evaluation: Evaluation) -> list[Dependency]:
    """The code of an evaluation. Raises Refusal."""
    try:
        return decode_manifest(dashboard.load(evaluation.manifest.digest))
    except (ObjectError, MalformedObject):
        raise Refusal(404, "not found", "what is kept of this code cannot be read") from None


@requires(Role.READ)
async def show_code(request: Request) -> Response:
    """The code of an evaluation: everything that it depends on."""

    def look(dashboard: Dashboard) -> dict[str, Any]:
        digest, evaluation = load_evaluation(dashboard, request.path_params["digest"])
        found = load_code(dashboard, evaluation)
        found.sort(key=lambda each: (each.kind, each.name) != ("function", evaluation.function))
        return {"digest": digest, "evaluation": evaluation, "dependencies": found}

    return render(request, "code.html", **await in_thread(request, look))


@requires(Role.READ)
async def compare_versions(request: Request) -> Response:
    """What differs in the code of two evaluations."""
    query = request.query_params

    def look(dashboard: Dashboard) -> dict[str, Any]:
        old_digest, old = load_evaluation(dashboard, query.get("old", ""))
        new_digest, new = load_evaluation(dashboard, query.get("new", ""))
        changes = compare_code(load_code(dashboard, old), load_code(dashboard, new))
        return {"old": old, "new": new, "old_digest": old_digest, "new_digest": new_digest, "changes": changes}

    return render(request, "changes.html", **await in_thread(request, look))


routes: list[BaseRoute] = [
    Route("/", home, methods=["GET"]),
    Route("/experiments", list_functions, methods=["GET"]),
    Route("/function", show_function, methods=["GET"]),
    Route("/evaluations", list_evaluations, methods=["GET"]),
    Route("/evaluations/{digest}/code", show_code, methods=["GET"]),
    Route("/code", compare_versions, methods=["GET"]),
]
