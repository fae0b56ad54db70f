"""Which columns of evaluations stand in a table, what is plotted, and what its colours stand for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote

import pytest
from starlette.datastructures import QueryParams

from hitsave.server.pages.catalogue.shown import Value
from hitsave.server.pages.charts import Dot, curves, scatter
from hitsave.server.pages.plotting import CODE, NOTHING, choices, parse_axes
from hitsave.server.pages.tabulation import Sample, default_columns, parse_asked
from tests.server.pages.exhibits import FUNCTION, HOSTILE, Visitor

PAGE = f"/function?name={quote(FUNCTION)}&code=all"


def value(plain: object) -> Value:
    return Value(str(plain), float(plain) if isinstance(plain, int | float) else None)


def sample_of(**columns: Sequence[object]) -> Sample:
    """Evaluations that have these values; None where one has none."""
    rows = zip(*columns.values(), strict=True)
    names = [name.replace("_", ".", 1) for name in columns]
    return Sample({n: value(each) for n, each in zip(names, row, strict=True) if each is not None} for row in rows)


def test_columns_are_those_that_tell_evaluations_apart() -> None:
    sample = sample_of(
        arguments_lr=[1, 2, 3], arguments_same=["a"] * 3, result_few=[1, None, None], result_loss=[3, 2, 1]
    )
    paths = ["arguments.lr", "arguments.same", "result.few", *(f"result.m{n}" for n in range(3)), "result.loss"]
    assert default_columns(["arguments.lr", "arguments.same", "result.loss"], sample) == ["arguments.lr", "result.loss"]
    assert sample.constants(paths) == [("arguments.same", "a")]
    many = {f"result_m{n}": [1, 2, 3] for n in range(6)}
    sample = sample_of(result_few=[1, None, None], **many)
    assert default_columns(["result.few", *(f"result.m{n}" for n in range(6))], sample) == [
        f"result.m{n}" for n in range(6)
    ]


def test_columns_that_nobody_has_chosen_are_those_that_fit() -> None:
    paths = ["arguments.lr", "arguments.model", "result.loss"]
    few = sample_of(arguments_lr=[1, 2], arguments_model=["a", "a"], result_loss=[3, 2])
    asked = parse_asked(QueryParams(), paths, few)
    shown = [("column", column.path) for column in asked.columns]
    assert shown == [("column", "arguments.lr"), ("column", "result.loss")]
    # A form sends them along, to where other evaluations are.
    more = sample_of(arguments_lr=[1, 2], arguments_model=["a", "b"], result_loss=[3, 2])
    sent = parse_asked(QueryParams([*shown, ("untouched", asked.untouched)]), paths, more)
    assert [column.path for column in sent.columns] == paths
    chosen = parse_asked(QueryParams([*shown[:1], ("untouched", asked.untouched)]), paths, more)
    assert ([column.path for column in chosen.columns], chosen.untouched) == (["arguments.lr"], "")
    assert [column.path for column in parse_asked(QueryParams(shown), paths, more).columns] == [
        "arguments.lr",
        "result.loss",
    ]


def test_of_one_evaluation_everything_is_shown() -> None:
    sample = sample_of(arguments_lr=[1], result_loss=[2])
    assert default_columns(["arguments.lr", "result.loss"], sample) == ["arguments.lr", "result.loss"]
    assert sample.constants(["arguments.lr", "result.loss"]) == []


def test_what_is_plotted_where_nobody_has_said() -> None:
    sample = sample_of(arguments_seed=[7, 7], arguments_lr=[1, 2], arguments_kind=["sgd", "adam"])
    paths = ["arguments.seed", "arguments.lr", "arguments.kind"]
    numeric = ["arguments.seed", "arguments.lr", "result.loss"]
    found = choices(numeric, paths, sample, 1)
    assert [name for name, _ in found.x][:4] == [*numeric, "arguments.kind"]
    assert "arguments.kind" not in dict(found.y)
    axes = parse_axes(QueryParams(), numeric, found, sample)
    assert axes is not None
    assert (axes.x, axes.y, axes.colour) == ("arguments.lr", "result.loss", "arguments.kind")
    sample = sample_of(result_steps=[9, 9], result_loss=[2, 1])
    axes = parse_axes(QueryParams(), ["result.steps", "result.loss"], found, sample)
    assert axes is not None
    assert axes.y == "result.loss"
    axes = parse_axes(QueryParams("x=arguments.kind&colour=-"), numeric, found, sample)
    assert axes is not None
    assert (axes.categories, axes.colour) == (True, NOTHING)
    assert CODE in dict(choices(numeric, paths, sample, 2).colour)
    assert parse_axes(QueryParams(), [], choices([], paths, sample, 1), sample) is None


def legend(text: str) -> list[str]:
    return re.findall(r'<span class="of">(.*?)</span>', text)


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("&colour=arguments.model", 2),
        ("&colour=arguments.lr", 4),
        ("&colour=code", 2),
        ("&colour=-", 0),
        ("&colour=nothing", 2),
    ],
)
def test_points_are_coloured_by_what_is_chosen(reader: Visitor, query: str, keys: int) -> None:
    text = reader.get(PAGE + query).text
    assert len(legend(text)) == keys
    assert len(set(re.findall(r'circle class="dot (c\d)"', text))) == max(keys, 1)
    assert HOSTILE not in text


def test_a_text_can_be_on_an_axis(reader: Visitor) -> None:
    text = reader.get(f"{PAGE}&x=arguments.model&y=result.accuracy").text
    assert len(set(re.findall(r'<circle[^>]*cx="([^"]*)"', text))) == 2
    assert re.search(r"<text[^>]*>small</text>", text)
    assert "model small, accuracy" in text


def test_a_run_is_opened_from_the_first_column(reader: Visitor) -> None:
    text = reader.get(PAGE).text
    first = re.search(r"<tbody>\s*<tr>\s*<th[^>]*>(.*?)</th>", text, re.DOTALL)
    assert first is not None
    assert 'href="/evaluations/' in first[1]


@pytest.mark.parametrize("by", ["arguments.lr", "arguments.model", "result.accuracy", "elapsed", "started"])
def test_every_column_can_be_sorted_by(reader: Visitor, by: str) -> None:
    text = reader.get(f"{PAGE}&sort={by}").text
    assert re.search(rf'aria-sort="descending"><a id="sort-{re.escape(by)}"', text)


def test_whole_numbers_have_whole_numbers_beside_them() -> None:
    chart = curves([("a", [(0, 0.5), (1, 0.25), (2, 0.125)])], "t", ("index", "y"))
    assert [tick.text for tick in chart.x_ticks] == ["0", "1", "2"]


def test_one_moment_stands_among_minutes_and_not_among_years() -> None:
    chart = scatter([Dot(1_795_000_000e6, 1.0)], "t", ("when", "y"), moments=True)
    assert len({tick.text[:8] for tick in chart.x_ticks}) <= 2
    assert len(chart.marks) == 1
