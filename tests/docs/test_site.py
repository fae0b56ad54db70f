"""The site is built without a warning, asks nobody for anything, and leads to each of its pages."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import hitsave
from hitsave import config
from tests.docs.pages import ROOT

pytestmark = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("sphinx", "myst_parser", "furo")),
    reason="building the site needs pip install 'hitsave[docs]'",
)
_MADE_BY_SPHINX = {"genindex.html", "py-modindex.html", "search.html"}


class _Links(HTMLParser):
    """What a page leads to, and what a browser loads with it."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.loaded: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                (self.targets if tag == "a" else self.loaded).append(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does."""
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-d",
        folder / "trees",
        "docs",
        folder / "site",
    ]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert built.returncode == 0, built.stderr
    return folder / "site"


def test_every_page_can_be_reached_from_the_first_one(site: Path) -> None:
    seen: set[Path] = set()
    waiting = [site / "index.html"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".html":
            continue
        seen.add(page)
        paths = (urlsplit(link).path for link in _Links(page).targets if not urlsplit(link).scheme)
        waiting += [(page.parent / path).resolve() for path in paths if path]
    assert all(page.exists() for page in seen)
    assert {page.name for page in site.rglob("*.html") if page not in seen} <= _MADE_BY_SPHINX
    assert len(seen) > 60


def test_a_browser_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    loaded = {link for page in pages for link in _Links(page).loaded}
    assert not [link for link in loaded if urlsplit(link).netloc]
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert not re.findall(r"@import|url\([\"']?(?:https?:)?//", styles)


def test_the_reference_has_every_public_name(site: Path) -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (site / "reference").glob("*.html"))
    for name in set(hitsave.__all__) - {"__version__"}:
        assert f'id="hitsave.{name}"' in text, name


def test_the_reference_has_every_setting() -> None:
    text = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "hitsave").rglob("*.py"))
    variables = {name for source in sources for name in re.findall(r"\"(HITSAVE_[A-Z_]+)\"", source)}
    assert len(variables) >= 4
    for name in [*variables, *config.KEYS]:
        assert f"`{name}`" in text or name.startswith("HITSAVE_SERVER_"), name
