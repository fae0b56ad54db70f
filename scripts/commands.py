"""A page for each command, made of its help: `make commands` writes them into docs/commands/."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click

from hitsave.cli.main import COMMANDS, SECTIONS, hitsave

FOLDER = Path(__file__).resolve().parent.parent / "docs/commands"
REMEDY = "docs/commands/ is not what the commands' help says; run 'make commands' and commit what it writes"
#: Options that every command has; the list of commands tells of them once.
_COMMON = frozenset(("--quiet", "--verbose", "--help"))
_VERBATIM = "\b\n"
_EXAMPLES = "Examples:\n"
_TITLE = "hitsave"
#: What stands between single quotes or in brackets, options, and words with a sign that means something to Markdown.
_TYPED = re.compile(r"(?<!\w)'([^']+)'(?!\w)|\[[^\]]+\]|(?<!\S)(?:--?[a-z][\w-]*|\S*[*_<>|]\S*)")
#: Columns of a line of text in a page.
_WIDTH = 120


def pages() -> dict[str, str]:
    """The text of every page, by the name of its file."""
    context = click.Context(hitsave, info_name=_TITLE, **hitsave.context_settings)
    made = {}
    for name in COMMANDS:
        command = hitsave.get_command(context, name)
        assert command is not None
        if not command.hidden:
            made[f"{name}.md"] = _page(command, click.Context(command, context, name))
    return {"index.md": _index(context, [name.removesuffix(".md") for name in made]), **made}


def _index(context: click.Context, names: list[str]) -> str:
    sections = {title: [name for name in words.split() if name in names] for title, words in SECTIONS.items()}
    sections["Others"] = [name for name in names if not any(name in listed for listed in sections.values())]
    parts = [
        "# Commands",
        "The same as `hitsave COMMAND --help` prints. Every command has these options, too:",
        _options(hitsave, context, common=True),
        *(f"## {title}\n\n{_table(listed)}" for title, listed in sections.items() if listed),
        "\n".join(["```{toctree}", ":hidden:\n", *(name for listed in sections.values() for name in listed), "```"]),
    ]
    return "\n\n".join(parts) + "\n"


def _table(names: list[str]) -> str:
    rows = (f"| [`{_TITLE} {name}`]({name}.md) | {_prose(COMMANDS[name])} |" for name in names)
    return "\n".join(["| | |", "|---|---|", *rows])


def _page(command: click.Command, context: click.Context) -> str:
    text = f"# {_TITLE} {command.name}\n\n" + _description(command, context)
    if isinstance(command, click.Group):
        for name, inner in sorted(command.commands.items()):
            text += f"\n## {_TITLE} {command.name} {name}\n\n"
            text += _description(inner, click.Context(inner, context, name))
    return text


def _description(command: click.Command, context: click.Context) -> str:
    """Usage, what the help says, options, and examples."""
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    said, _, examples = inspect.cleandoc(command.help or "").partition(_VERBATIM + _EXAMPLES)
    parts = [f"```text\n{usage}\n```", *(_paragraph(each) for each in said.split("\n\n") if each.strip())]
    if options := _options(command, context):
        parts.append(options)
    if examples:
        parts.append("For example:\n\n```sh\n" + inspect.cleandoc(examples) + "\n```")
    return "\n\n".join(parts) + "\n"


def _paragraph(text: str) -> str:
    if text.startswith(_VERBATIM):
        return f"```text\n{text.removeprefix(_VERBATIM)}\n```"
    line = _prose(" ".join(text.split()))
    return textwrap.fill(line, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _options(command: click.Command, context: click.Context, common: bool = False) -> str:
    """A table of options: those that every command has, or the others."""
    rows = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
        if record is not None and _COMMON.isdisjoint(parameter.opts) is not common:
            rows.append("| `{}` | {} |".format(record[0].replace("|", "\\|"), _prose(" ".join(record[1].split()))))
    return "\n".join(["| option | |", "|---|---|", *rows]) if rows else ""


def _prose(text: str) -> str:
    """A line of help as Markdown: commands and what is to be typed as code, the rest as it is."""
    return "".join(_marked(text))


def _marked(text: str) -> Iterator[str]:
    end = 0
    for found in _TYPED.finditer(text):
        yield text[end : found.start()]
        end = found.end()
        code = found[1] or found[0]
        stop = "" if found[1] else code[len(code.rstrip(".,;:)")) :]
        code = code.removesuffix(stop) if stop else code
        yield "`{}`{}".format(code.replace("|", "\\|"), stop)
    yield text[end:]


def main() -> None:
    """Write all pages, and remove those of commands that are no more."""
    FOLDER.mkdir(exist_ok=True)
    made = pages()
    for path in FOLDER.glob("*.md"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
