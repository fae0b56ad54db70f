"""What a shell may put where the cursor stands.

Commands say of each word which kind of thing it names; here is nothing else, so that saying it costs nothing. What
there is of a kind is looked up when a shell asks (`candidates`), and given in the form that it reads (`shells`).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem


class Kind(Enum):
    """What a word of a command line names."""

    #: A dataset, or a folder with some beneath.
    DATASET = auto()
    #: What stands for an object: a dataset, a path in one, a digest, a ref, DIGEST:PATH, REV:PATH.
    OBJECT = auto()
    #: A ref by its name, or by the digest that it holds.
    REF = auto()
    #: A memoised function of which something is kept.
    FUNCTION = auto()
    #: A remote of the settings.
    REMOTE = auto()
    #: A setting.
    SETTING = auto()
    #: What the setting that was named before may be.
    VALUE = auto()
    #: Any file.
    FILE = auto()
    #: The words of `snapshot`: a file, or with `--restore` an object and then a file.
    SNAPSHOT = auto()


#: What click asks for the words that can stand where a parameter is written.
Complete = Callable[["click.Context", "click.Parameter", str], "list[CompletionItem]"]


def completes(*kinds: Kind) -> Complete:
    """For `shell_complete=` of a click parameter that takes things of these kinds."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from hitsave.cli.completing.candidates import candidates

        return candidates(kinds, context, incomplete)

    return complete
