"""`hitsave gc`."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import click

from hitsave.cli.output import count, emit, emit_json, json_option, show_path, show_size
from hitsave.cli.session import Session, pass_session

if TYPE_CHECKING:
    from hitsave.maintenance.collect import Dead

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def _seconds(ctx: click.Context, parameter: click.Parameter, value: str) -> int:
    found = re.fullmatch(r"(\d+)([smhdw]?)", value)
    if found is None:
        raise click.BadParameter(f"{value!r} is no time; write 14d, 12h or 0")
    return int(found[1]) * _UNITS[found[2] or "d"]


@click.command("gc")
@click.option("-n", "--dry-run", is_flag=True, help="Only list what would go, and who owned it last.")
@click.option(
    "--keep",
    metavar="TIME",
    default="14d",
    show_default=True,
    callback=_seconds,
    help="How long 'hitsave undo' can bring back what is collected; older trash is deleted for good.",
)
@json_option
@pass_session
def command(session: Session, dry_run: bool, keep: int, as_json: bool) -> None:
    """Collect what no ref reaches.

    It moves to the trash, from where 'hitsave undo' brings it back while it is kept there. Other processes may go on
    working meanwhile.
    """
    done = session.repository.collect(keep, dry_run)
    if as_json:
        emit_json(
            {
                "dry_run": dry_run,
                "freed": done.freed_bytes,
                "purged": done.purged_bytes,
                "objects": [_as_json(dead) for dead in done.objects],
            }
        )
        return
    if dry_run:
        for dead in done.objects:
            emit(_line(dead))
    what = f"{count(len(done.objects), 'object')}, {show_size(done.freed_bytes)}"
    if dry_run:
        session.say(f"{what} would go")
    else:
        session.say(
            f"{what} in the trash ('hitsave undo' brings back); {show_size(done.purged_bytes)} deleted for good"
        )


def _line(dead: Dead) -> str:
    name = show_path(b"/" + dead.former_path).lstrip("/") if dead.former_path else "-"
    owner = re.sub(r"@([0-9a-f]{12})[0-9a-f]{52}$", r"@\1", dead.former_owner or "never owned")
    return f"{dead.digest.short}  {dead.kind.name.lower():<5} {show_size(dead.size):>9}  {owner}  {name}"


def _as_json(dead: Dead) -> dict[str, str | int | None]:
    return {
        "digest": str(dead.digest),
        "kind": dead.kind.name.lower(),
        "size": dead.size,
        "owner": dead.former_owner,
        "path": os.fsdecode(dead.former_path) if dead.former_path else None,
    }
