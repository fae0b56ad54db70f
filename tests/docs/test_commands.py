"""The pages of the commands say what the commands' help says."""

from __future__ import annotations

from scripts.commands import FOLDER, REMEDY, pages


def test_every_command_has_its_page_as_its_help_is() -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
    made = pages()
    stale = sorted(name for name in made.keys() | written if made.get(name) != written.get(name))
    assert not stale, f"{REMEDY} ({', '.join(stale)})"
