"""The templates of all pages. Whatever comes from users is escaped: nothing in a template is marked as safe."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import jinja2

from hitsave._version import __version__
from hitsave.amounts import count, show_duration, show_size
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
        base64=lambda data: b64encode(data).decode(),
    )
    environment.globals.update(version=__version__, Role=Role)
    return environment


templates = _environment()
