"""How the site is built from these pages: `make docs`. Nothing is fetched, and a warning is an error."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from pygments.lexers.special import TextLexer

from hitsave import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parent
#: Pages that lie outside of this folder, and which page of the site includes each.
INCLUDED = {
    "objects_spec.md": "project/specification.md",
    "SHORTCOMINGS.md": "project/shortcomings.md",
    "CHANGELOG.md": "project/changelog.md",
    "benchmarks/README.md": "project/benchmarks.md",
    "benchmarks": "project/benchmarks.md",
}
_LINK = re.compile(r"\[([^\]]+)\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")

project = "hitsave"
author = "hitsave developers"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
# Of what is referred to, everything of our own must be there; what is not ours is not looked up.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!hitsave\b).*")]

myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100
# What stands between single backticks in a docstring is code.
default_role = "literal"
smartquotes = False

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_title = f"hitsave {release}"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False


def relinked(text: str, folder: Path) -> str:
    """Markdown of a file in `folder`, its links leading to pages of the site, or gone where the site has none."""

    def to_page(link: re.Match[str]) -> str:
        words, target, anchor = link[1], (folder / link[2]).resolve(), link[3] or ""
        outside = target.relative_to(DOCS.parent).as_posix()
        if outside in INCLUDED:
            return f"[{words}](/{INCLUDED[outside]}{anchor})"
        if target.is_dir() and (target / "README.md").exists():
            target /= "README.md"
        return f"[{words}](/{target.relative_to(DOCS).as_posix()}{anchor})" if target.is_relative_to(DOCS) else words

    return _LINK.sub(to_page, text)


def _read_page(app: Sphinx, name: str, source: list[str]) -> None:
    source[0] = relinked(source[0], (DOCS / name).parent)
    if name == "decisions/README":  # Read on its own, too, where a list of contents would only be in the way.
        source[0] += "\n```{toctree}\n:hidden:\n:glob:\n\n[0-9]*\n```\n"


def _read_included(app: Sphinx, path: Path, parent: str, source: list[str]) -> None:
    source[0] = relinked(source[0], (DOCS / path).resolve().parent)


def setup(app: Sphinx) -> None:
    """What Sphinx calls."""
    app.connect("source-read", _read_page)
    app.connect("include-read", _read_included)
    app.add_lexer("vector", TextLexer)
