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


def _build(folder: Path) -> Path:
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


def _reached(site: Path) -> set[Path]:
    """The pages to which links lead, from the first one on. Fails at a link to a page that is not there."""
    seen: set[Path] = set()
    waiting = [site / "index.html"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".html":
            continue
        seen.add(page)
        paths = (urlsplit(link).path for link in _Links(page).targets if not urlsplit(link).scheme)
        waiting += [(page.parent / path).resolve() for path in paths if path]
    return seen


@pytest.mark.skipif(
    any(find_spec(name) is None for name in ("sphinx", "myst_parser", "furo")),
    reason="building the site needs pip install 'hitsave[docs]'",
)
def test_the_site(tmp_path: Path) -> None:
    site = _build(tmp_path.resolve())
    pages = set(site.rglob("*.html"))
    reached = _reached(site)
    assert {page.name for page in pages - reached} <= _MADE_BY_SPHINX
    assert len(reached) > 60
    # A browser loads nothing from elsewhere.
    assert not [link for page in pages for link in _Links(page).loaded if urlsplit(link).netloc]
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert not re.findall(r"@import|url\([\"']?(?:https?:)?//", styles)
    # Every public name is in the reference.
    reference = "".join(path.read_text(encoding="utf-8") for path in (site / "reference").glob("*.html"))
    assert [name for name in hitsave.__all__ if f'id="hitsave.{name}"' not in reference] == ["__version__"]


def test_the_reference_has_every_setting() -> None:
    text = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "hitsave").rglob("*.py"))
    variables = {name for source in sources for name in re.findall(r"\"(HITSAVE_[A-Z_]+)\"", source)}
    assert len(variables) >= 4
    for name in [*variables, *config.KEYS]:
        assert f"`{name}`" in text or name.startswith("HITSAVE_SERVER_"), name
