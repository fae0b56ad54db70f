"""`hitsave show-ref`."""

from __future__ import annotations

import click

from hitsave.cli.completing import Kind, completes
from hitsave.cli.output import emit, emit_json, json_option, remote_option
from hitsave.cli.session import Session, pass_session


@click.command("show-ref")
@click.argument("prefixes", nargs=-1, metavar="[PREFIX]...", shell_complete=completes(Kind.REF))
@remote_option("List the refs of a remote (the default one, without a name) instead.")
@json_option
@pass_session
def command(session: Session, prefixes: tuple[str, ...], remote: str | None, as_json: bool) -> int:
    """List the refs of the cache, those of all projects: digest and name.

    With PREFIX, those whose name begins so, as in 'datasets/cats/'. Exit code 1 where there is none.

    \b
    Examples:
      hitsave show-ref
      hitsave show-ref datasets/
      hitsave show-ref --remote origin --json
    """
    repository = session.repository
    held = repository.cache.refs() if remote is None else repository.upkeep(remote).refs()
    refs = [ref for ref in held if str(ref.name).startswith(prefixes or ("",))]
    if as_json:
        emit_json(
            [
                {
                    "name": str(ref.name),
                    "digest": str(ref.digest),
                    "kind": ref.kind.name.lower(),
                    "created": ref.created,
                    "by": ref.by,
                    "path": ref.path,
                    "git_commit": ref.git_commit,
                }
                for ref in refs
            ]
        )
    for ref in () if as_json else refs:
        emit(f"{ref.digest} {ref.name}")
    return 0 if refs or not prefixes else 1
