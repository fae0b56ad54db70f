"""`hitsave completion`."""

from __future__ import annotations

import click

_SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(_SHELLS))
def command(shell: str) -> None:
    """Print the script by which a shell completes commands, options, datasets, digests, refs and remotes.

    Write it to the file that the examples name, and open a new shell. For bash, that takes the package
    bash-completion; without it, put the last example into ~/.bashrc. bash must be 4.4 or newer, which that of macOS
    is not: its shell is zsh. There, the folder must be in $fpath, before compinit runs in ~/.zshrc.

    \b
    Examples:
      hitsave completion bash > ~/.local/share/bash-completion/completions/hitsave
      hitsave completion zsh > ~/.zfunc/_hitsave
      hitsave completion fish > ~/.config/fish/completions/hitsave.fish
      eval "$(hitsave completion bash)"
    """
    from hitsave.cli.completing.shells import SCRIPTS
    from hitsave.cli.output import emit

    emit(SCRIPTS[shell].removesuffix("\n"))
