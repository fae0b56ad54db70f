"""What pages are made of: filters, charts, previews, code; and what a page of many evaluations costs."""

from __future__ import annotations

import io
import math
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hitsave.amounts import show_duration, show_size
from hitsave.cache.store import Cache
from hitsave.config import Config
from hitsave.progress import Silent
from hitsave.repository import Repository
from hitsave.server.pages.catalogue.evaluations import Chosen, EvaluationTables, Sorting
from hitsave.server.pages.catalogue.filling import Filling
from hitsave.server.pages.catalogue.tables import Tables
from hitsave.server.pages.catalogue.where import BadFilter, parse_filter
from hitsave.server.pages.charts import Dot, curves, scatter
from hitsave.server.pages.coding import Dependency, compare_code
from hitsave.server.pages.holdings import LocalHoldings
from hitsave.server.pages.previews import DumpPreview, ImagePreview, TablePreview, TextPreview, preview
from hitsave.server.words import column_classes, show_number
from tests.server.pages.exhibits import FUNCTION, add_run, png

# -- filters

PATHS = ["arguments.lr", "arguments.model", "arguments.cfg.lr_decay", "result.loss.val", "result.loss.train"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        (" , ", []),
        ("lr<0.1", [("arguments.lr", "<", "0.1")]),
        ("lr >= 1e-3 and model = small", [("arguments.lr", ">=", "1e-3"), ("arguments.model", "=", "small")]),
        ('model != "a, b", val < 1', [("arguments.model", "!=", "a, b"), ("result.loss.val", "<", "1")]),
        ("loss.train > 2", [("result.loss.train", ">", "2")]),
        ("model ~ '; DROP TABLE refs --'", [("arguments.model", "~", "; DROP TABLE refs --")]),
        ("elapsed > 60", [("elapsed", ">", "60")]),
        ("by ~ sand", [("by", "~", "sand")]),
    ],
)
def test_a_filter_is_read(text: str, found: list[tuple[str, str, str]]) -> None:
    assert [(each.name, each.operator, each.text) for each in parse_filter(text, PATHS)] == found


@pytest.mark.parametrize(
    "text", ["lr", "nothing = 1", "lr << 1", "lr < small", "= 1", "elapsed = soon", "lr=1 model=2"]
)
def test_a_filter_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(BadFilter):
        parse_filter(text, PATHS)


@given(st.text(max_size=60))
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    with suppress(BadFilter):
        assert len(parse_filter(text, PATHS)) <= 20


# -- charts


@given(
    st.lists(st.tuples(st.floats(), st.floats()), max_size=20),
    st.booleans(),
    st.booleans(),
)
@example([(0.0, 1.0), (0.0, 9.999999999999346e299)], False, True)
def test_points_stand_within_their_chart(points: list[tuple[float, float]], log_x: bool, log_y: bool) -> None:
    chart = scatter([Dot(x, y) for x, y in points], "t", ("x", "y"), (log_x, log_y))
    assert len(chart.marks) + chart.left_out == len(points)
    for mark in chart.marks:
        assert chart.left <= mark.x <= chart.right
        assert chart.top <= mark.y <= chart.bottom
    for ticks, low, high in ((chart.x_ticks, chart.left, chart.right), (chart.y_ticks, chart.top, chart.bottom)):
        assert len(ticks) < 30
        assert all(low - 1 <= tick.at <= high + 1 for tick in ticks)


def test_ticks_are_round_numbers() -> None:
    chart = scatter([Dot(0, 0.1), Dot(10, 0.9)], "t", ("x", "y"))
    assert [tick.text for tick in chart.x_ticks] == ["0", "2", "4", "6", "8", "10"]
    assert [tick.text for tick in chart.y_ticks] == ["0.2", "0.4", "0.6", "0.8"]
    chart = scatter([Dot(0.001, 1), Dot(100, 2)], "t", ("x", "y"), (True, False))
    assert [tick.text for tick in chart.x_ticks] == ["0.001", "0.01", "0.1", "1", "10", "100"]


def test_a_line_leaves_out_what_is_no_number() -> None:
    chart = curves([("a", [(0, 1.0), (1, math.nan), (2, math.inf), (3, 2.0)])], "t", ("x", "y"))
    assert chart.lines[0].points.count(",") == 2


# -- previews


def shown(content: bytes, name: bytes = b"file") -> object:
    return preview(io.BytesIO(content), name, len(content)).shown


def test_a_preview_is_never_more_than_its_bytes_are() -> None:
    assert shown(png()) == ImagePreview("image/png")
    assert isinstance(shown(b"<svg onload=alert(1)>", b"x.svg"), TextPreview)
    assert isinstance(shown(b"<!doctype html>", b"x.png"), TextPreview)
    assert isinstance(shown(b"\0\1\2", b"x.txt"), DumpPreview)
    assert isinstance(shown(b""), TextPreview)
    assert isinstance(shown("naïve".encode("latin-1")), TextPreview)
    assert shown("für\n".encode("utf-16"), b"x") == TextPreview("UTF-16-LE", ("für",), False)
    long = ("ü" * 40_000).encode()
    text = shown(long)
    assert isinstance(text, TextPreview)
    assert text.cut
    assert text.encoding == "UTF-8"


def test_tables() -> None:
    table = shown(b"a,b\n1,2\n3\n", b"x.csv")
    assert table == TablePreview("2 columns, 2 rows", ("a", "b"), (), (("1", "2"), ("3", "")), False)
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"x": range(1000), "y": ["<b>"] * 1000}), file)
    table = shown(file.getvalue(), b"x.parquet")
    assert isinstance(table, TablePreview)
    assert table.names == ("x", "y")
    assert table.rows[0] == ("0", "<b>")
    assert table.cut
    assert "1,000 rows" in table.about


@pytest.mark.parametrize("content", [b"PAR1", b"PAR1" + b"\xff" * 100, b"PAR1" + b"\0" * 100 + b"\xff\xff\xff\x7fPAR1"])
def test_what_only_looks_like_parquet_is_bytes(content: bytes) -> None:
    assert isinstance(shown(content, b"x.parquet"), DumpPreview)


# -- code and words


def test_code_that_differs() -> None:
    def thing(name: str, text: str, digest: str = "") -> Dependency:
        return Dependency("function", name, digest or text, text)

    old = [thing("f", "a\nb\n"), thing("g", "x"), thing("same", "y"), thing("hidden", "z", "1")]
    new = [thing("f", "a\nc\n"), thing("h", "x"), thing("same", "y"), thing("hidden", "z", "2")]
    changes = {change.name: change for change in compare_code(old, new)}
    assert {name: change.how for name, change in changes.items()} == {
        "f": "changed",
        "g": "gone",
        "h": "new",
        "hidden": "changed",
    }
    assert [(line.mark, line.text) for line in changes["f"].lines[1:]] == [(" ", "a"), ("-", "b"), ("+", "c")]
    assert changes["hidden"].lines == ()


def test_code_that_is_made_to_take_long() -> None:
    """Each of these takes seconds to compare."""

    def things(mark: str) -> list[Dependency]:
        text = "\n".join(line for at in range(1000) for line in (f"s{at % 50}", f"{mark}{at}"))
        return [Dependency("function", f"f{number:02}", mark, text) for number in range(50)]

    changes = compare_code(things("u"), things("v"))
    compared = [change for change in changes if len(change.lines) > 1]
    assert len(changes) == 50
    assert len(compared) <= 2
    assert {change.lines[0].text for change in changes[2:]} == {"2000 lines before, 2000 now: too many to compare here"}


def test_words() -> None:
    assert [show_size(size) for size in (0, 999, 1000, 123_456_789)] == ["0 B", "999 B", "1.0 kB", "123.5 MB"]
    assert [show_number(value) for value in (0.0, -3.0, 1e20, 0.1 + 0.2, 123456789.0)] == [
        "0",
        "-3",
        "1e+20",
        "0.3",
        "1.23457e+08",
    ]
    assert show_duration(3_725_000_000) == "1 h 2 min"


def test_a_column_of_numbers_stands_as_one() -> None:
    rows = [("1", "a", "nan", "", "1"), ("-2.5e3", "2", "None", "", "x"), ("", "3", "inf", "", "2")]
    assert column_classes(rows, 5) == ["number", "text", "number", "text", "text"]
    assert column_classes([], 2) == ["text", "text"]
    assert column_classes([("1",), ("2", "x", "3")], 2) == ["number", "text", "number"]


# -- what a page costs


class Measured(Tables):
    """Counts the steps that the database takes, in hundreds."""

    steps = 0

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        def step() -> int:
            self.steps += 1
            return 0

        with super().reading() as connection:
            connection.set_progress_handler(step, 100)
            yield connection

    def cost(self, action: object) -> int:
        """The steps of an action."""
        before = self.steps
        action()  # type: ignore[operator]
        return self.steps - before


def test_a_page_costs_as_much_among_many_as_among_few(tmp_path: Path) -> None:
    costs: dict[int, list[int]] = {}
    with Cache.open(tmp_path / "cache") as cache:
        repository = Repository(Config(tmp_path, "p", tmp_path / "cache", tmp_path), cache, Silent())
        tables = Measured(tmp_path / "catalogue.sqlite")
        filling = Filling(tables, LocalHoldings(repository))
        index = EvaluationTables(tables)
        for first, last in ((0, 200), (200, 2000)):
            with cache.intake() as intake:
                intake.publish([add_run(intake, number) for number in range(first, last)])
            assert filling.catch_up(whole=True, patience=60)
            (version,) = index.versions(FUNCTION)
            assert version.evaluations == last
            chosen = Chosen((version.id,))
            costs[last] = [
                tables.cost(lambda chosen=chosen: index.page(chosen, Sorting(), 0, 50)),  # type: ignore[misc]
                tables.cost(lambda chosen=chosen: index.page(chosen, Sorting("elapsed"), 0, 50)),  # type: ignore[misc]
                tables.cost(lambda: index.page(Chosen(), Sorting(), 0, 50)),
                tables.cost(lambda chosen=chosen: index.page(chosen, Sorting("result.accuracy"), 0, 50)),  # type: ignore[misc]
            ]
    for few, many in zip(costs[200], costs[2000], strict=True):
        assert many <= 2 * few + 5, costs


def test_a_catalogue_of_another_version_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE refs(x)")
        connection.execute("PRAGMA user_version=999")
    connection.close()
    assert EvaluationTables(Tables(path)).functions() == []


def test_a_function_may_have_more_versions_than_a_statement_has_values(tmp_path: Path) -> None:
    tables = Tables(tmp_path / "catalogue.sqlite")
    index = EvaluationTables(tables)
    with Cache.open(tmp_path / "cache") as cache:
        repository = Repository(Config(tmp_path, "p", tmp_path / "cache", tmp_path), cache, Silent())
        with cache.intake() as intake:
            intake.publish([add_run(intake, number) for number in range(3)])
        assert Filling(tables, LocalHoldings(repository)).catch_up(whole=True, patience=60)
    (version,) = index.versions(FUNCTION)
    few, many = (version.id,), tuple(range(40_000))
    for chosen in (Chosen(few), Chosen(many)):
        assert index.count(chosen, Sorting()) == 3
        assert len(index.page(chosen, Sorting(), 0, 10)) == 3
    assert index.paths(many) == index.paths(few)
    assert index.numeric(many) == index.numeric(few)
    assert len(index.values(many)) == len(many)
