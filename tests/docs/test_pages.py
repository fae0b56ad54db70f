"""The code of README and guides runs, and prints what they show."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.docs.blocks import Statements, read_steps
from tests.docs.matching import Bindings
from tests.docs.pages import PAGES, ROOT, run_page

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the pages show commands of a POSIX shell")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_what_happens(page: str, tmp_path: Path) -> None:
    bindings = Bindings()
    steps = 0
    for printed in run_page(page, (ROOT / page).read_text(), tmp_path.resolve(), bindings):
        steps += 1
        place = f"{page}, line {printed.at + 1}: {printed.what}"
        assert (printed.code != 0) is printed.fails, (place, printed.code, printed.lines)
        assert bindings.matches(printed.shown, printed.lines), _difference(place, printed.shown, printed.lines)
    assert steps >= 5


def _difference(place: str, shown: tuple[str, ...], printed: tuple[str, ...]) -> str:
    return "\n".join([f"{place}", "the page shows:", *shown, "it prints:", *printed])


def test_what_a_page_shows_as_typed_is_run() -> None:
    pages = (path for path in (ROOT / "docs").rglob("*.md") if "\n```console\n" in path.read_text(encoding="utf-8"))
    assert {path.relative_to(ROOT).as_posix() for path in pages} <= PAGES.keys(), (
        "a page is missing in tests/docs/pages.py"
    )


def test_a_page_that_shows_something_else_is_noticed() -> None:
    met = Bindings()
    assert met.matches(["1234abc  data, 3 files, 1.0 kB"], ["9876fed  data, 3 files, 2.5 MB"])
    assert met.translate("hitsave ls 1234abc") == "hitsave ls 9876fed"
    assert not met.matches(["1234abc"], ["1234abc"])
    assert not met.matches(["3 files"], ["4 files"])
    assert not met.matches(["one"], ["one", "two"])
    assert met.matches(["one", "..."], ["one", "two", "three"])
    assert not met.matches(["one", "...", "four"], ["one", "two"])


def test_blocks_are_taken_apart() -> None:
    page = "<!-- $ hidden -->\n```console\n$ one\nprinted\nben$ two\n```\n```python\nx\n```\n\n```text\n1\n```\n"
    hidden, one, two, statements = read_steps(page)
    assert [step.at for step in (hidden, one, two)] == [0, 2, 4]
    assert (hidden.who, hidden.output) == ("ann", None)
    assert (one.who, one.line, one.output) == ("ann", "one", ("printed",))
    assert (two.who, two.line, two.output) == ("ben", "two", ())
    assert statements == Statements(7, "x\n", ("1",))
