"""What is shown of a result can be saved, and a page says what of it is cut."""

from __future__ import annotations

from urllib.parse import quote

import numpy as np
import pytest

from hitsave.memoisation.displaying.displays import make_display
from hitsave.objects.display import decode_display
from hitsave.objects.shapes import Array, Number, Plot, Series, Shape, Table, Text
from hitsave.server.pages.keeping import saved_as
from tests.server.pages.exhibits import FUNCTION, HOSTILE, Visitor


@pytest.mark.parametrize(
    ("shape", "saved"),
    [
        (Text("a\nb", 9), (".txt", "a\nb")),
        (Series("list", 9, ((0, 0.5), (8, -1))), (".csv", "index,value\r\n0,0.5\r\n8,-1\r\n")),
        (Table("t", 9, 2, ("x", "y"), ("", ""), (("-1", "a,b"),)), (".csv", 'x,y\r\n-1,"a,b"\r\n')),
        (Table("t", 9, 1, ("x",), ("",), (("=1+1",),), ("@r",)), (".csv", ",x\r\n'@r,'=1+1\r\n")),
        (Array("a", "f8", (1, 2), None, ((1, 2.5),)), (".csv", "1,2.5\r\n")),
        (Array("a", "f8", (1, 2)), None),
        (Plot("plotly.Figure", "", '{"data":[]}'), (".json", '{"data":[]}')),
        (Plot("plotly.Figure", "", ""), None),
        (Number("int", 3), None),
    ],
)
def test_what_is_saved(shape: Shape, saved: tuple[str, str] | None) -> None:
    assert saved_as(shape) == saved


def test_the_corner_of_an_array_is_kept() -> None:
    display = make_display((), np.arange(2 * 300 * 300).reshape(2, 300, 300))
    assert display is not None
    shape = decode_display(display).result
    assert isinstance(shape, Array)
    assert shape.corner[1][:2] == (300, 301)
    assert {len(shape.corner), *map(len, shape.corner)} == {12}


def test_a_link_saves_what_a_page_shows(reader: Visitor) -> None:
    address = reader.get(f"/function?name={quote(FUNCTION)}").links("/evaluations/")[0]
    links = reader.get(address).links(f"{address}/shown")
    saved = [reader.get(link) for link in links]
    assert {answer.status for answer in saved} == {200}
    assert any("index,value" in answer.text for answer in saved)
    assert any(HOSTILE in answer.text for answer in saved)
    for answer in saved:
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Content-Disposition"].startswith("attachment; ")
        assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    for path in ("", "result", "nothing", "../x"):
        assert reader.get(f"{address}/shown?path={quote(path)}").status == 404
    assert Visitor(reader.url).get(links[0]).status == 303
