"""`hitsave du`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hitsave.amounts import show_size
from hitsave.cli.output import emit, emit_json, json_option, paths_argument, show_path
from hitsave.cli.session import Session, pass_session

if TYPE_CHECKING:
    from hitsave.maintenance.usage import GroupUsage, Usage

_HEAD = ("apparent", "stored", "shared", "freed")


@click.command("du")
@paths_argument
@click.option("--versions", is_flag=True, help="Also each version.")
@click.option(
    "--all", "everything", is_flag=True, help="Whatever the cache owns: all projects, evaluations, snapshots."
)
@json_option
@pass_session
def command(session: Session, paths: tuple[Path, ...], versions: bool, everything: bool, as_json: bool) -> None:
    """Show what datasets take in the cache, with all of their versions.

    Apparent: what copies of all versions would take. Stored: what they do take. Shared: what of it others own too.
    Freed: what the next 'hitsave gc' would free if they were forgotten, and nothing else was. The largest come first.

    \b
    Examples:
      hitsave du
      hitsave du --versions data/images
      hitsave du --all --json
    """
    from hitsave.looking.owners import all_owners, own_datasets
    from hitsave.maintenance.usage import usage

    if everything and paths:
        raise click.UsageError("--all shows everything; name no paths")
    repository = session.repository
    groups = all_owners(repository) if everything else own_datasets(repository, paths)
    found = usage(repository.cache, groups, versions)
    session.end_progress()
    rows = sorted(found.items(), key=lambda row: (-row[1].whole.stored, row[0]))
    if as_json:
        emit_json([_as_json(name, item, len(groups[name]), versions) for name, item in rows])
        return
    if rows:
        session.say("".join(f"{title:>10}" for title in _HEAD) + "  versions")
    else:
        elsewhere = "" if everything else "; '--all' shows what else the cache keeps"
        session.say(f"no dataset is kept here; 'hitsave add PATH' keeps one{elsewhere}")
    for name, item in rows:
        shown = show_path(name if everything else repository.absolute(Path(name)))
        emit(f"{_columns(item.whole)}  {len(groups[name]):>8,}  {shown}")
        for ref, one in item.refs:
            emit(f"{_columns(one)}  {'':>8}  {shown}@{ref.digest.short}")


def _columns(shown: Usage) -> str:
    return "".join(f"{show_size(size):>10}" for size in (shown.apparent, shown.stored, shown.shared, shown.freed))


def _as_json(name: str, item: GroupUsage, count: int, versions: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"path": name, **_usage_as_json(item.whole), "count": count}
    if versions:
        found["versions"] = [
            {"digest": str(ref.digest), "created": ref.created, **_usage_as_json(one)} for ref, one in item.refs
        ]
    return found


def _usage_as_json(shown: Usage) -> dict[str, int]:
    return {
        "apparent": shown.apparent,
        "stored": shown.stored,
        "shared": shown.shared,
        "freed": shown.freed,
        "files": shown.files,
    }
