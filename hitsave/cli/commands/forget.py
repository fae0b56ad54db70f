"""`hitsave forget`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from hitsave.cli.output import DEFAULT_REMOTE, count, emit, remote_option
from hitsave.cli.session import Session, pass_session

if TYPE_CHECKING:
    from hitsave.objects.refs import RefName
    from hitsave.repository import Repository

#: What no remote's name has.
_REF_PART = re.compile(r"[/@]|^[0-9a-f]{7,64}$")


@click.command("forget")
@click.argument("names", nargs=-1, metavar="NAME...")
@click.option("--experiments", is_flag=True, help="With the name of a function: its experiments as well.")
@click.option("-n", "--dry-run", is_flag=True, help="Only list what would be forgotten.")
@remote_option("Drop them from a remote (the default one, without a name) instead of the cache.")
@pass_session
def command(session: Session, names: tuple[str, ...], experiments: bool, dry_run: bool, remote: str | None) -> None:
    """Drop refs by name, so that 'hitsave gc' may collect what nobody else owns.

    NAME is a ref as 'hitsave show-ref' prints it, whose digest may be abbreviated; or PATH@DIGEST, one version of a
    dataset; or a digest that one ref alone holds; or, where no ref is called so, the full name of a function, as in
    train.fit: then all that is kept of it, except experiments. 'hitsave undo' brings them back.
    """
    from hitsave.errors import RefError

    if remote is not None and _REF_PART.search(remote):  # `--remote NAME`: the name of a ref, of the default remote.
        names, remote = (remote, *names), DEFAULT_REMOTE
    if not names:
        raise click.UsageError("Missing argument 'NAME...'.")
    repository = session.repository
    upkeep = None if remote is None else repository.upkeep(remote)
    held = repository.cache.refs() if upkeep is None else upkeep.refs()
    wanted: dict[RefName, None] = {}
    for name in names:
        try:
            wanted[repository.names.ref_named(name, held)] = None
        except RefError:
            if upkeep is not None or name not in repository.cache.evaluations.names():
                raise
            wanted.update(dict.fromkeys(_of_function(repository, name, experiments)))
    if dry_run:
        for ref in wanted:
            emit(str(ref))
        session.say(f"{count(len(wanted), 'ref')} would be forgotten")
        return
    dropped = repository.forget(wanted) if upkeep is None else upkeep.forget(wanted)
    for dropped_ref in dropped:
        emit(str(dropped_ref.name))
    there = "" if upkeep is None else " --remote"
    done = f"{count(len(dropped), 'ref')} forgotten"
    session.say(f"{done}; 'hitsave undo{there}' brings back, 'hitsave gc{there}' collects")


def _of_function(repository: Repository, function: str, experiments: bool) -> list[RefName]:
    """The evaluations of a function. Raises RefError where there are only experiments, and those are not wanted."""
    from hitsave.errors import RefError

    rows = repository.cache.evaluations.of(function)
    found = [row.name for row in rows if experiments or not row.experiment]
    if not found:
        raise RefError(f"of {function} there are only experiments; --experiments forgets them")
    return found
