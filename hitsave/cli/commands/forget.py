"""`hitsave forget`."""

from __future__ import annotations

import re

import click

from hitsave.cli.output import DEFAULT_REMOTE, count, emit, remote_option
from hitsave.cli.session import Session, pass_session

#: What no remote's name has.
_REF_PART = re.compile(r"[/@]|^[0-9a-f]{7,64}$")


@click.command("forget")
@click.argument("names", nargs=-1, metavar="NAME...")
@remote_option("Drop them from a remote (the default one, without a name) instead of the cache.")
@pass_session
def command(session: Session, names: tuple[str, ...], remote: str | None) -> None:
    """Drop refs by name, so that 'hitsave gc' may collect what nobody else owns.

    NAME is a ref as 'hitsave show-ref' prints it, whose digest may be abbreviated; or PATH@DIGEST, one version of a
    dataset; or a digest that one ref alone holds. 'hitsave undo' brings them back.
    """
    if remote is not None and _REF_PART.search(remote):  # `--remote NAME`: the name of a ref, of the default remote.
        names, remote = (remote, *names), DEFAULT_REMOTE
    if not names:
        raise click.UsageError("Missing argument 'NAME...'.")
    repository = session.repository
    upkeep = None if remote is None else repository.upkeep(remote)
    held = repository.cache.refs() if upkeep is None else upkeep.refs()
    wanted = dict.fromkeys(repository.names.ref_named(name, held) for name in names)
    dropped = repository.forget(wanted) if upkeep is None else upkeep.forget(wanted)
    for ref in dropped:
        emit(str(ref.name))
    there = "" if upkeep is None else " --remote"
    done = f"{count(len(dropped), 'ref')} forgotten"
    session.say(f"{done}; 'hitsave undo{there}' brings back, 'hitsave gc{there}' collects")
