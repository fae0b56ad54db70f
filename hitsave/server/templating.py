"""The templates of all pages. Whatever comes from users is escaped: nothing in a template is marked as safe.

Signs that would turn the text around them are shown, wherever a text comes from: `rtl\\u202egpj.exe` is not to look
like `rtlexe.jpg`. What a form sends back is `exact`.
"""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from hitsave._version import __version__
from hitsave.amounts import count, show_duration, show_size, show_turning
from hitsave.remotes.public.layout import quote_path
from hitsave.server import words
from hitsave.server.access import Role

#: Where the templates and the static files lie.
FOLDER = Path(__file__).parent


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_show,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        size=lambda size: "?" if size is None else show_size(size),
        duration=show_duration,
        moment=lambda seconds: f"{words.show_moment(seconds)} UTC",
        iso=words.iso_moment,
        number=words.show_number,
        name=words.show_name,
        path=quote_path,
        text=words.show_text,
        count=count,
        column_classes=words.column_classes,
        exact=escape,
        base64=lambda data: b64encode(data).decode(),
    )
    environment.globals.update(version=__version__, Role=Role)
    return environment


def _show(value: object) -> object:
    """What a template writes, before it is escaped; what is escaped already stays."""
    return show_turning(value) if isinstance(value, str) and not isinstance(value, Markup) else value


templates = _environment()
