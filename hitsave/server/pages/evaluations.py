"""Pages about single evaluations: one in full, several side by side, and the figures that they show."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from hitsave.errors import MalformedObject, ObjectError
from hitsave.objects.digest import Digest
from hitsave.objects.display import decode_display
from hitsave.objects.evaluation import Evaluation
from hitsave.objects.shapes import (
    Display,
    Group,
    Nothing,
    Number,
    Other,
    Plot,
    Series,
    Shape,
    SnapshotShown,
    Text,
)
from hitsave.server.access import Role, requires
from hitsave.server.pages.catalogue.shown import RESULT, Value, summary, values_of
from hitsave.server.pages.charts import Chart, curves
from hitsave.server.pages.dashboard import Dashboard, in_thread, not_found
from hitsave.server.pages.experiments import load_evaluation
from hitsave.server.pages.keeping import saved_as
from hitsave.server.pages.reasons import load_reason
from hitsave.server.pages.rendering import INERT, render
from hitsave.server.pages.tabulation import Cell, cell_of, column_of

_MOST_COMPARED = 12
#: A page with a figure in a frame; everything else is as on other pages.
_WITH_FRAMES = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
#: A figure of plotly is code's data, and plotly.js is large: it runs where it can reach nothing. Its origin is none, so
#: that its own scripts come from another origin's point of view.
_FIGURE_HEADERS = {
    "Content-Security-Policy": (
        "sandbox allow-scripts; default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Frame-Options": "SAMEORIGIN",
}


class ShownShape(NamedTuple):
    """A shape on a page, by its path; a chart of a series, or the number of a plot among those of the evaluation."""

    path: str
    shape: Shape
    chart: Chart | None = None
    plot: int | None = None

    @property
    def kind(self) -> str:
        """A word for it, as templates ask."""
        return type(self.shape).__name__

    @property
    def small(self) -> bool:
        """Whether it stands on a line or two."""
        short = isinstance(self.shape, Series) and self.shape.is_short
        return short or isinstance(self.shape, Nothing | Number | Text | SnapshotShown | Other)

    @property
    def of_result(self) -> bool:
        """Whether it is in the result, and no argument."""
        return not self.path.startswith("arguments.")

    @property
    def text(self) -> str:
        """It in a few words."""
        return summary(self.shape)


def load_display(dashboard: Dashboard, evaluation: Evaluation) -> Display | None:
    """What an evaluation shows of itself; None where it shows nothing, or that cannot be read."""
    if evaluation.display is None:
        return None
    try:
        return decode_display(dashboard.load(evaluation.display.digest))
    except (ObjectError, MalformedObject):
        return None


def shown_shapes(display: Display) -> list[ShownShape]:
    """Every shape of a display, those inside of groups after these."""
    plots = 0
    found = []
    for path, shape in _all_shapes(display):
        chart = None
        if isinstance(shape, Series) and not shape.is_short:
            chart = curves([(path, shape.points)], path, ("index", column_of(path).label))
        number = None
        if isinstance(shape, Plot):
            number, plots = plots, plots + 1
        found.append(ShownShape(path, shape, chart, number))
    return found


def _all_shapes(display: Display) -> Iterator[tuple[str, Shape]]:
    for path, shape in display.named:
        yield path, shape
        if isinstance(shape, Group):
            truths = dict(shape.truths)  # They are shown with its numbers.
            yield from ((f"{path}.{inner}", part) for inner, part in shape.parts if inner not in truths)


@requires(Role.READ)
async def show_evaluation(request: Request) -> Response:
    """One evaluation in full."""

    def look(dashboard: Dashboard) -> dict[str, Any]:
        dashboard.catch_up()
        digest, evaluation = load_evaluation(dashboard, request.path_params["digest"])
        display = load_display(dashboard, evaluation)
        shapes = shown_shapes(display) if display else []
        return {
            "digest": digest,
            "evaluation": evaluation,
            "display": display,
            "arguments": [shown for shown in shapes if shown.path.startswith("arguments.")],
            "results": [shown for shown in shapes if not shown.path.startswith("arguments.")],
            "reason": load_reason(dashboard, evaluation),
            "ref": dashboard.evaluations.ref_of(digest),
            "plotly": _plotly_file() is not None,
        }

    headers = {"Content-Security-Policy": _WITH_FRAMES}
    return render(request, "evaluation.html", headers=headers, **await in_thread(request, look))


# -- side by side


class ComparedRow(NamedTuple):
    """One field of all that are compared, and whether they differ in it."""

    label: str
    cells: tuple[Cell, ...]
    differs: bool


@requires(Role.READ)
async def compare(request: Request) -> Response:
    """Evaluations side by side."""
    names = list(dict.fromkeys(request.query_params.getlist("e")))

    def look(dashboard: Dashboard) -> dict[str, Any]:
        found = [load_evaluation(dashboard, name) for name in names[:_MOST_COMPARED]]
        displays = [load_display(dashboard, evaluation) for _, evaluation in found]
        return {
            "evaluations": found,
            "left_out": len(names) - len(found),
            "rows": _rows(dashboard, found),
            "charts": _charts(displays),
            "one_code": len({evaluation.code for _, evaluation in found}) == 1,
        }

    return render(request, "compare.html", 200 if names else 400, **await in_thread(request, look))


def _rows(dashboard: Dashboard, found: list[tuple[Digest, Evaluation]]) -> list[ComparedRow]:
    values: list[dict[str, Value]] = []
    for _, evaluation in found:
        display = None
        if evaluation.display is not None:
            try:
                display = dashboard.load(evaluation.display.digest)
            except ObjectError:
                display = None
        values.append(values_of(evaluation, display))
    paths = list(dict.fromkeys(path for each in values for path in each))
    if RESULT in paths and any(path.startswith(f"{RESULT}.") for path in paths):
        paths.remove(RESULT)  # It is a summary of what stands beside it.
    paths.sort(key=lambda path: not path.startswith("arguments."))
    rows = []
    for path in paths:
        cells = tuple(cell_of(each.get(path)) for each in values)
        label = column_of(path).label
        rows.append(ComparedRow(label, cells, len({cell.text for cell in cells}) > 1))
    return rows


def _charts(displays: list[Display | None]) -> list[Chart]:
    """The series that several have at one path, in one chart each."""
    lines: dict[str, list[tuple[str, tuple[tuple[float, float], ...]]]] = {}
    long: set[str] = set()
    for number, display in enumerate(displays, 1):
        for path, shape in _all_shapes(display) if display else ():
            if isinstance(shape, Series) and len(shape.points) > 1:
                lines.setdefault(path, []).append((f"{number}", shape.points))
                long |= {path} if not shape.is_short else set()
    return [curves(some, path, ("index", column_of(path).label)) for path, some in lines.items() if path in long]


# -- to be saved


@requires(Role.READ)
async def send_shown(request: Request) -> Response:
    """What is shown at a path, as a file."""
    path = request.query_params.get("path", "")

    def look(dashboard: Dashboard) -> tuple[str, str]:
        _, evaluation = load_evaluation(dashboard, request.path_params["digest"])
        display = load_display(dashboard, evaluation)
        shape = dict(_all_shapes(display)).get(path) if display else None
        found = saved_as(shape) if shape is not None else None
        if found is None:
            raise not_found("text or table here")
        return found

    ending, text = await in_thread(request, look)
    name = quote(f"{path}{ending}".encode("utf-8", "replace"), safe="")
    headers = {**INERT, "Content-Disposition": f"attachment; filename*=UTF-8''{name}"}
    return Response(text.encode("utf-8", "replace"), headers=headers, media_type="application/octet-stream")


# -- figures


@requires(Role.READ)
async def show_figure(request: Request) -> Response:
    """A figure of plotly in a page of its own, which can reach nothing."""

    def look(dashboard: Dashboard) -> Plot:
        _, evaluation = load_evaluation(dashboard, request.path_params["digest"])
        display = load_display(dashboard, evaluation)
        plots = [shown.shape for shown in (shown_shapes(display) if display else ()) if shown.plot is not None]
        text = request.path_params["number"]
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else len(plots)
        if number >= len(plots):
            raise not_found("figure")
        found = plots[number]
        assert isinstance(found, Plot)
        return found

    plot = await in_thread(request, look)
    figure = json.loads(plot.figure) if plot.figure else {}
    return render(request, "figure.html", headers=_FIGURE_HEADERS, title=plot.title, figure=figure)


async def plotly_script(request: Request) -> Response:
    """plotly.js out of the installed Python package; it is nobody's secret."""
    path = _plotly_file()
    if path is None:
        raise not_found("script; install plotly beside the server")
    headers = {"Cache-Control": "public, max-age=86400", "Cross-Origin-Resource-Policy": "cross-origin"}
    return FileResponse(path, media_type="text/javascript", headers=headers)


def _plotly_file() -> Path | None:
    found = importlib.util.find_spec("plotly")
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / "package_data" / "plotly.min.js"
    return path if path.is_file() else None


routes: list[BaseRoute] = [
    Route("/compare", compare, methods=["GET"]),
    Route("/evaluations/{digest}", show_evaluation, methods=["GET"]),
    Route("/evaluations/{digest}/shown", send_shown, methods=["GET"]),
    Route("/evaluations/{digest}/figures/{number}", show_figure, methods=["GET"]),
    Route("/figures/plotly.js", plotly_script, methods=["GET"]),
]
