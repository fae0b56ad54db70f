"""Help that cannot go stale: every command ends its help with examples, which the command itself understands."""

from __future__ import annotations

import contextvars
import inspect
import shlex
from collections.abc import Iterator

import click
import pytest

from hitsave.cli.main import COMMANDS, SECTIONS, hitsave
from hitsave.cli.session import Session


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command that people use, with the words that call it."""
    context = click.Context(hitsave)
    for name in COMMANDS:
        command = hitsave.get_command(context, name)
        assert command is not None
        if not command.hidden:
            yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {inner}", each) for inner, each in command.commands.items())


def examples(command: click.Command) -> list[str]:
    """The examples that help shows, in the block with which it ends."""
    _, found, block = inspect.cleandoc(command.help or "").rpartition("\b\nExamples:\n")
    assert found, f"{command.name}: its help does not end with examples"
    return block.splitlines()


def understand(line: str) -> None:
    """Parse a command line as the command would, without running it. Raises UsageError."""
    word, *words = shlex.split(line.partition(" > ")[0].removeprefix('eval "$(').removesuffix(')"'))
    assert word == "hitsave", line
    context = hitsave.make_context("hitsave", words)
    context.obj = Session(None, quiet=True)
    while isinstance(context.command, click.Group):
        name, command, words = context.command.resolve_command(context, [*context._protected_args, *context.args])
        assert command is not None
        context = command.make_context(name, words, parent=context)


@pytest.mark.parametrize(("name", "command"), [pytest.param(*each, id=each[0]) for each in commands()])
def test_every_command_ends_its_help_with_examples_that_it_understands(
    name: str, command: click.Command, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.getbasetemp())
    shown = examples(command)
    assert len(shown) >= 2
    for line in shown:
        assert line.startswith(f"  hitsave {name} ") or line == f"  hitsave {name}" or " " + name in line, line
        contextvars.copy_context().run(understand, line.strip())  # --verbose counts what is asked from then on.


def test_help_lists_each_command_once_by_what_it_is_for() -> None:
    listed = " ".join(SECTIONS.values()).split()
    assert len(listed) == len(set(listed))
    people = {name.partition(" ")[0] for name, _ in commands()}
    assert people <= set(listed), "a command that is not hidden belongs into a section"
    text = hitsave.get_help(click.Context(hitsave, info_name="hitsave"))
    assert all(f"\n  {name} " in text for name in people)
