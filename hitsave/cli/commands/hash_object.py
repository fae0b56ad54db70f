"""`hitsave hash-object`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hitsave.cli.output import emit
from hitsave.cli.paths import GivenPath
from hitsave.cli.session import Session, pass_session


@click.command("hash-object")
@click.argument("paths", nargs=-1, type=GivenPath(), metavar="PATH...")
@click.option("--stdin", is_flag=True, help="Read a blob from stdin.")
@pass_session
def command(session: Session, paths: tuple[Path, ...], stdin: bool) -> None:
    """Print the digest of files (as b3sum does) and directories. Nothing is stored.

    \b
    Examples:
      hitsave hash-object train.parquet
      hitsave hash-object --stdin
    """
    if not paths and not stdin:
        raise click.UsageError("name a path, or use --stdin")
    if stdin:
        from blake3 import blake3

        hasher = blake3()
        while content := sys.stdin.buffer.read(1 << 20):
            hasher.update(content)
        emit(hasher.hexdigest())
    for path in paths:
        emit(str(session.repository.identify(path).digest))
