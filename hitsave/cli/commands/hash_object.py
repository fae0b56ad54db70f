"""`hitsave hash-object`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from hitsave.cli.output import emit, emit_json, json_option
from hitsave.cli.paths import GivenPath
from hitsave.cli.session import Session, pass_session


@click.command("hash-object")
@click.argument("paths", nargs=-1, type=GivenPath(), metavar="PATH...")
@click.option("--stdin", is_flag=True, help="Read a blob from stdin.")
@json_option
@pass_session
def command(session: Session, paths: tuple[Path, ...], stdin: bool, as_json: bool) -> None:
    """Print the digest of files (as b3sum does) and directories. Nothing is stored.

    \b
    Examples:
      hitsave hash-object train.parquet
      hitsave hash-object --stdin
    """
    if not paths and not stdin:
        raise click.UsageError("name a path, or use --stdin")
    found = []
    for path, digest in _digests(session, paths, stdin):
        if as_json:
            found.append({"path": path, "digest": digest})
        else:
            emit(digest)
    if as_json:
        emit_json(found)


def _digests(session: Session, paths: tuple[Path, ...], stdin: bool) -> Iterator[tuple[str | None, str]]:
    if stdin:
        from blake3 import blake3

        hasher = blake3()
        while content := sys.stdin.buffer.read(1 << 20):
            hasher.update(content)
        yield None, hasher.hexdigest()
    for path in paths:
        yield str(path), str(session.repository.identify(path).digest)
