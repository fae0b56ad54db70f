"""What an evaluation shows of itself: arguments as they were given, and results, of real libraries."""

from __future__ import annotations

import io
import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import PIL.Image
import polars as pl
import pyarrow as pa
import pytest

from hitsave.api import DirectorySnapshot, FileSnapshot
from hitsave.memoisation.displaying.displays import make_display, shape_arguments
from hitsave.memoisation.displaying.shapes import short_text
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.display import decode_display, png_size
from hitsave.objects.shapes import (
    LARGEST,
    Array,
    Group,
    Image,
    Nothing,
    Number,
    Other,
    Plot,
    Series,
    Shape,
    SnapshotShown,
    Table,
    Text,
)
from tests.cli.world import User, World
from tests.memo.projects.harness import Project, ran_as


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project."""
    made = Project(tmp_path)
    made.folder.mkdir()
    (made.folder / "hitsave.toml").touch()
    return made


CHANGES = """\
from hitsave import memo

@memo
def drain(items, limit=3):
    RAN
    found = []
    while items:
        found.append(items.pop())
    return found

print(drain([1, 2, 3]))
"""


def test_an_argument_that_the_body_changes_is_shown_as_it_was_given(project: Project) -> None:
    project.write({"main.py": CHANGES})
    ran_as(project.run(), ["-"], "[3, 2, 1]")
    shown = project.start("-m", "hitsave", "evals", "main.drain").finish()
    assert "items=[1, 2, 3], limit=3" in shown.output, shown


UNFRIENDLY = """\
from hitsave import memo

class Unfriendly:
    def __init__(self, value):
        self.value = value

    @property
    def shape(self):
        raise RuntimeError("not now")

    def __repr__(self):
        raise RuntimeError("not here")

    def __reduce__(self):
        return Unfriendly, (self.value,)

@memo
def same(given):
    RAN
    return given

print(same(Unfriendly(3)).value)
"""


def test_a_value_whose_own_code_fails_is_kept_all_the_same(project: Project) -> None:
    project.write({"main.py": UNFRIENDLY})
    ran_as(project.run(), ["-"], "3")
    ran_as(project.run(), [], "3")
    shown = project.start("-m", "hitsave", "evals", "main.same").finish()
    assert "given=Unfriendly(value=3)" in shown.output, shown


# -- values of all kinds


def png(width: int, height: int) -> Any:
    """A picture that does not compress well."""
    noise = np.random.default_rng(1).integers(0, 255, (height // 8, width // 8, 3), dtype=np.uint8)
    return PIL.Image.fromarray(noise).resize((width, height))


@dataclass(slots=True)
class Scores:
    accuracy: float
    curve: list[float]
    _secret: int = 7


class Point(NamedTuple):
    x: int
    y: float


class Loud:
    """Says so when it is asked for more than it simply holds."""

    def __init__(self) -> None:
        self.loss = 0.5

    @property
    def accuracy(self) -> float:
        raise AssertionError("code of the project must not run")

    def __repr__(self) -> str:
        raise AssertionError("code of the project must not run")

    def __iter__(self) -> Iterator[int]:
        raise AssertionError("code of the project must not run")


def shown(value: object) -> Shape:
    """What stands for a result, once it was read by somebody else."""
    encoded = make_display((), value)
    assert encoded is not None
    return decode_display(encoded).result


def metrics(value: object) -> dict[str, int | float]:
    """The numbers in a result."""
    encoded = make_display((), value)
    assert encoded is not None
    return {path.removeprefix("result"): number for path, number in decode_display(encoded).metrics.items()}


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        (None, Nothing()),
        (5, Number("int", 5)),
        (True, Number("bool", 1)),
        (-math.inf, Number("float", -math.inf)),
        (np.float32(0.5), Number("numpy.float32", 0.5)),
        (np.int64(-3), Number("numpy.int64", -3)),
        (np.bool_(True), Number("numpy.bool", 1)),
        (np.array(2.5), Number("numpy.float64", 2.5)),
        (10**50, Other("int", str(10**50))),
        (np.datetime64("2026-11-23"), Other("numpy.datetime64", "2026-11-23")),
        ("a\ud800b", Text("a?b", 3)),
        ("x" * 5000, Text("x" * 2000, 5000)),
        (b"ab", Other("bytes", "b'ab'")),
        (math, Other("module", "module math")),
        ({3, 4}, Other("set", "{3, 4}")),
        ([1, 2.5, True], Series("list", 3, ((0, 1), (1, 2.5), (2, 1)))),
        (np.array([1.5, 2]), Series("numpy.ndarray", 2, ((0, 1.5), (1, 2.0)))),
        (np.array([True, False]), Series("numpy.ndarray", 2, ((0, 1), (1, 0)))),
        (np.array([2**64 - 1], np.uint64), Series("numpy.ndarray", 1, ((0, 2**64 - 1),))),
        (np.arange(6).reshape(2, 3), Array("numpy.ndarray", "int64", (2, 3), (0, 5, 2.5), ((0, 1, 2), (3, 4, 5)))),
        (np.eye(2)[None] > 0, Array("numpy.ndarray", "bool", (1, 2, 2), (0, 1, 0.5), ((1, 0), (0, 1)))),
        (np.zeros((0, 3)), Array("numpy.ndarray", "float64", (0, 3))),
        (np.array([["a"]]), Array("numpy.ndarray", "<U1", (1, 1))),
        (np.ma.masked_less([1.0, 2.0], 1.5), Array("numpy.ma.MaskedArray", "float64", (2,))),
        (pd.Series([1, 2]), Series("pandas.Series", 2, ((0, 1), (1, 2)))),
        (pl.Series([1.5, 2]), Series("polars.series.series.Series", 2, ((0, 1.5), (1, 2.0)))),
        (pd.Timestamp("2026-11-23"), Other("pandas.Timestamp", "2026-11-23 00:00:00")),
    ],
)
def test_values_alone(value: object, shape: Shape) -> None:
    found = shown(value)
    if isinstance(shape, Array | Number) and "numpy" in shape.type:
        found = replace(found, type=shape.type)  # Names of types differ between versions.
    assert found == shape


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"loss": {"val": 0.1, "train": 0.2}, 3: 4, "name": "x"}, {".3": 4, ".loss.val": 0.1, ".loss.train": 0.2}),
        ((0.5, 0.9), {".0": 0.5, ".1": 0.9}),
        (Point(1, 2.5), {".x": 1, ".y": 2.5}),
        (Scores(0.5, [1.0, 2.0]), {".accuracy": 0.5}),
        (Loud(), {".loss": 0.5}),
        (SimpleNamespace(best=Point(1, 2), _hidden=3), {".best.x": 1, ".best.y": 2}),
        ([0.5, 0.75], {}),  # Another list may be longer.
        ({"pair": (0.5, 0.9), "mixed": [1, "a"]}, {}),
        ((0.5, [1, "a", {"b": 2}]), {".0": 0.5}),
        ([{"a": {"b": 1}}, [2]], {}),
        ({"a.b": 1, "a": {"b": 2}}, {".a.b": 1}),
        ({"n": float("nan")}, {}),
        ({"deep": {"a": {"b": {"c": 1, "d": {"e": 2}}}}}, {".deep.a.b.c": 1}),
    ],
)
def test_numbers_within_values(value: object, found: dict[str, float]) -> None:
    assert {path: number for path, number in metrics(value).items() if number == number} == found


def test_what_is_true_or_false_is_no_metric() -> None:
    found = shown(
        {"score": 1, "converged": True, "best": True, "deep": {"over": np.bool_(False)}, "flags": [True, "a"]}
    )
    assert isinstance(found, Group)
    assert found.metrics == (("score", 1),)
    assert found.truths == [("converged", True), ("best", True), ("deep.over", False)]


def test_images_in_a_list_are_told_by_their_sizes() -> None:
    images = [PIL.Image.new("RGB", (64, 32)), PIL.Image.new("L", (30, 30))]
    found = shown(images)
    assert isinstance(found, Group)
    assert found.text == "[Image of 64 x 32 pixels, Image of 30 x 30 pixels]"
    assert [path for path, part in found.parts if isinstance(part, Image)] == ["0", "1"]


def test_a_value_that_holds_itself() -> None:
    loop: dict[str, Any] = {"loss": 1}
    loop["self"] = [loop, loop]
    assert metrics(loop) == {".loss": 1}


def test_what_is_large_is_bounded() -> None:
    wide = {f"key {number} " + "é" * 80: number for number in range(10_000)}
    found = shown(wide)
    assert isinstance(found, Group)
    assert len(found.metrics) == 100
    assert len(make_display((), [wide] * 1000) or b"") < LARGEST
    texts = [(f"**{number}", "\U0001f600" * 5000, "x") for number in range(200)]
    arguments = shape_arguments([*texts, ("x" * 101, 1, "1")])
    assert 1 <= len(arguments) < 200
    encoded = make_display(arguments, pd.DataFrame({f"c{at}": ["\U0001f600" * 500] * 99 for at in range(99)}))
    assert encoded is not None
    table = decode_display(encoded).result
    assert isinstance(table, Table)
    assert (table.rows, table.columns, len(table.names), table.head) == (99, 99, 50, ())


@pytest.mark.parametrize("make", [list, np.array, pd.Series, pl.Series])
def test_long_series_keep_their_ends_and_their_peaks(make: Callable[[list[float]], object]) -> None:
    values = [0.0] * 9_000
    values[4321], values[77], values[-1] = 5.0, -5.0, 1.0
    found = shown(make(values))
    assert isinstance(found, Series)
    assert found.length == 9_000
    assert len(found.points) <= 500
    assert {(0, 0.0), (4321, 5.0), (77, -5.0), (8_999, 1.0)} <= set(found.points)


def test_a_very_long_list_is_looked_at_here_and_there() -> None:
    found = shown(list(range(1_000_000)))
    assert isinstance(found, Series)
    assert found.points[:2] == ((0, 0), (2000, 2000))


def test_statistics_of_arrays_are_left_out_where_they_take_long() -> None:
    corner = ((1.0,) * 12,) * 12
    assert shown(np.broadcast_to(1.0, (3000, 3000))) == Array("numpy.ndarray", "float64", (3000, 3000), corner=corner)


def test_tables() -> None:
    head = (("1", "x"), ("2", ""))
    frame = {"a": [1, 2], "b": ["x", None]}
    assert shown(pd.DataFrame(frame, dtype=object)) == Table(
        "pandas.DataFrame", 2, 2, ("a", "b"), ("object", "object"), head
    )
    assert shown(pl.DataFrame(frame)) == Table(
        "polars.dataframe.frame.DataFrame", 2, 2, ("a", "b"), ("Int64", "String"), head
    )
    assert shown(pa.table(frame)) == Table("pyarrow.lib.Table", 2, 2, ("a", "b"), ("int64", "string"), head)
    assert shown([{"a": 1, "b": "x"}, {"a": 2}]) == Table("list", 2, 2, ("a", "b"), ("int", "str"), head)
    named = shown(pd.DataFrame({"a": range(30)}, index=[f"row {at}" for at in range(30)]))
    assert isinstance(named, Table)
    assert named.labels == tuple(f"row {at}" for at in range(20))
    assert len(named.head) == 20
    assert shown(pd.DataFrame({"a": [Loud()]})) == Table(
        "pandas.DataFrame", 1, 1, ("a",), ("object",), (("Loud(loss=0.5)",),)
    )


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1", "CMYK"])
def test_images_become_smaller_pngs_and_stay_what_they_are(mode: str) -> None:
    image = png(1600, 1000).convert(mode)
    image.info = {"exif": b"where it was taken", "icc_profile": b"p" * 99}
    before, info = image.tobytes(), dict(image.info)
    found = shown(image)
    assert isinstance(found, Image)
    assert (found.width, found.height) == (1600, 1000)
    assert b"where it was taken" not in found.png
    with PIL.Image.open(io.BytesIO(found.png)) as small:
        small.load()
        assert max(small.size) <= 1024
        assert abs(small.width / small.height - 1.6) < 0.05
    assert (image.mode, image.size, image.tobytes(), image.info) == (mode, (1600, 1000), before, info)


@pytest.mark.parametrize("shape", [(32, 48, 3), (32, 48, 4), (32, 48, 1)])
def test_bytes_for_pixels_are_an_image(shape: tuple[int, ...]) -> None:
    array = np.zeros(shape, np.uint8)[::-1]
    found = shown({"masks": [array, array]})
    assert isinstance(found, Group)
    [(path, image)] = found.parts
    assert path == "masks.0"
    assert isinstance(image, Image)
    assert (image.width, image.height) == (48, 32)
    assert png_size(image.png) == (48, 32)


def test_an_image_among_arguments_is_small() -> None:
    [(_, found)] = shape_arguments([("image", png(800, 800), "")])
    assert isinstance(found, Image)
    assert max(png_size(found.png) or ()) <= 192


def test_images_of_other_kinds_are_told_of() -> None:
    assert shown(PIL.Image.new("F", (3, 2))) == Other("PIL.Image.Image", "3 x 2 pixels, F")


def test_snapshots() -> None:
    file = FileSnapshot("ab" * 32, 5, Path("data/a.txt"))
    folder = DirectorySnapshot("cd" * 32, 50)
    of_file = SnapshotShown(Digest(b"\xab" * 32), ObjectKind.BLOB, 5, "data/a.txt")
    of_folder = SnapshotShown(Digest(b"\xcd" * 32), ObjectKind.TREE, 50, "")
    assert shown(file) == of_file
    assert shown(folder) == of_folder
    several = shown({"files": [file] * 30, "folder": folder, "score": 1})
    assert isinstance(several, Group)
    assert several.parts == (("folder", of_folder), ("files.0", of_file))
    assert several.metrics == (("score", 1),)


def test_what_a_library_fails_at_is_told_of() -> None:
    class Broken(pd.DataFrame):
        @property
        def iloc(self) -> Any:
            raise RuntimeError("not now")

    found = shown({"table": Broken({"a": [1]}), "loss": 1})
    assert isinstance(found, Group)
    assert (found.metrics, found.parts) == ((("loss", 1),), ())
    assert isinstance(shown(Broken({"a": [1]})), Other)


# -- figures


@pytest.fixture
def figure() -> Iterator[Any]:
    """A figure of matplotlib, whose backend needs no screen."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    from matplotlib import pyplot

    made, axes = pyplot.subplots(figsize=(30, 3), dpi=150, layout="constrained")
    axes.plot([1, 3, 2])
    axes.set_title("Loss")
    yield made
    pyplot.close(made)


def test_figures_of_matplotlib_are_drawn_and_stay_what_they_are(figure: Any) -> None:
    canvas, before = figure.canvas, (figure.dpi, *figure.get_size_inches(), figure.get_facecolor(), len(figure.axes))
    found = shown({"figure": figure, "axes": figure.axes[0], "loss": 1})
    assert isinstance(found, Group)
    [(path, image)] = found.parts
    assert path == "figure"
    assert isinstance(image, Image)
    assert (image.width, image.height) == (4500, 450)
    assert max(png_size(image.png) or ()) <= 1024
    assert figure.canvas is canvas
    assert before == (figure.dpi, *figure.get_size_inches(), figure.get_facecolor(), len(figure.axes))
    assert isinstance(shown(figure.axes[0]), Image)
    [(_, argument)] = shape_arguments([("figure", figure, "a figure")])
    assert isinstance(argument, Other)


def test_a_figure_that_cannot_be_drawn_is_told_of(figure: Any) -> None:
    figure.axes[0].set_title(r"$\nonsense$")
    assert shown(figure) == Other("matplotlib.figure.Figure", short_text(figure))


def test_figures_of_plotly_are_kept_as_json() -> None:
    graph = pytest.importorskip("plotly.graph_objects")
    figure = graph.Figure(graph.Scatter(x=np.arange(3), y=[1.5, math.nan, 2]), layout={"title": "Loss"})
    found = shown(figure)
    assert isinstance(found, Plot)
    assert found.title == "Loss"
    [trace] = json.loads(found.figure)["data"]
    assert (trace["type"], trace["y"]) == ("scatter", [1.5, None, 2])
    large = shown(graph.Figure(graph.Scatter(y=list(range(100_000))), layout={"title": "Large"}))
    assert large == Plot(found.type, "Large", "")


def test_tensors() -> None:
    torch = pytest.importorskip("torch")
    assert shown(torch.tensor(0.5, requires_grad=True)) == Number("torch.Tensor", 0.5)
    assert shown(torch.ones(2, 3)) == Array("torch.Tensor", "torch.float32", (2, 3), (1.0, 1.0, 1.0), ((1.0,) * 3,) * 2)
    assert shown(torch.tensor([1.5, 2], dtype=torch.bfloat16)) == Series("torch.Tensor", 2, ((0, 1.5), (1, 2.0)))
    assert shown(torch.empty(2, 3, device="meta")) == Array("torch.Tensor", "torch.float32", (2, 3))


def test_no_library_is_imported_to_show_a_value_and_a_hit_shows_nothing(project: Project) -> None:
    script = """\
import sys
from hitsave import memo

@memo
def f(x):
    return {"x": [x] * 20, "rows": [{"a": 1}], "type": type(x)}

f(1)
libraries = {"numpy", "pandas", "PIL", "matplotlib", "plotly", "polars", "pyarrow", "torch"}
print(*libraries & set(sys.modules), "hitsave.memoisation.displaying.displays" in sys.modules)
"""
    project.write({"main.py": script})
    ran_as(project.start().finish(), [], "True")  # Not in a fork, which may have imported more.
    ran_as(project.start().finish(), [], "False")


# -- where it is kept


FIT = """\
from hitsave import memo

@memo
def fit(rate, config):
    return {"loss": rate * 2, "val": {"loss": float("nan")}, "curve": [rate] * 20}

fit(0.25, {"layers": 3})
fit(0.5, {"layers": 4})
"""


def test_what_is_true_is_told_as_that() -> None:
    assert repr(metrics({"score": 1, "converged": True, "deep": {"stopped": False}})) == (
        "{'.score': 1, '.converged': True, '.deep.stopped': False}"
    )


def linked(user: User, name: str) -> list[str]:
    """The digests that the evaluations of a user's function link to under a name."""
    rows = user.do("evals", "fit", "--json").json
    return [json.loads(user.do("cat-file", "-p", row["digest"]).out)[name]["digest"] for row in rows]


def here(user: User, digests: list[str]) -> list[bool]:
    """Which objects a user has, with no look at a remote."""
    return [user.run("cat-file", "-e", digest, environ={"HITSAVE_NO_CLOUD": "1"}).code == 0 for digest in digests]


def test_a_display_is_owned_travels_and_goes_with_its_evaluation(tmp_path: Path) -> None:
    world = World(tmp_path)
    ann = world.user(remote=True)
    (ann.workspace / "train.py").write_text(FIT)
    subprocess.run([sys.executable, "train.py"], cwd=ann.workspace, env=ann.environment(), check=True)
    ann.do("gc")
    displays, results = linked(ann, "display"), linked(ann, "result")
    assert here(ann, displays) == [True, True]
    ann.do("push")
    ben = world.clone(ann)
    ben.do("pull")
    assert (here(ben, displays), here(ben, results)) == ([True, True], [False, False])
    told = [row["metrics"] for row in ben.do("evals", "fit", "--json").json]
    assert told == [
        {
            "arguments.rate": rate,
            "arguments.config.layers": layers,
            "result.loss": rate * 2,
            "result.val.loss": "nan",
        }
        for rate, layers in ((0.5, 4), (0.25, 3))
    ]
    lines = ben.do("evals", "fit", "--metrics").lines
    assert [line.rpartition("  ")[2] for line in lines] == ["loss=1, val.loss=nan", "loss=0.5, val.loss=nan"]

    name = ann.do("evals", "fit", "--json").json[0]["name"]
    ann.do("forget", name)
    ann.do("gc")
    assert here(ann, displays) == [False, True]
    ann.do("undo")
    assert here(ann, displays) == [True, True]

    ann.do("forget", name, "--remote", "origin")
    ann.do("gc", "--remote", "origin", "--keep", "0s")
    assert ann.do("fsck", "--remote", "origin").code == 0
    eve = world.clone(ann, "eve")
    eve.do("pull")
    assert here(eve, displays) == [False, True]
