"""`hitsave fsck`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hitsave.amounts import count, show_size
from hitsave.cli.output import Tone, emit, emit_json, json_option, paint, remote_option, show_path
from hitsave.cli.session import Session, pass_session

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hitsave.maintenance.verify import Fault, Report
    from hitsave.remotes.verification.verify import RemoteFault, RemoteReport


_MOST_OWNERS = 3


def _share(ctx: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    try:
        share = float(value.removesuffix("%")) / 100
    except ValueError:
        share = -1
    if not 0 < share <= 1:
        raise click.BadParameter(f"{value!r} is no share; write 5%")
    return share


@click.command("fsck")
@remote_option("Verify a remote (the default one, without a name) instead of the cache.")
@click.option("--sample", metavar="SHARE", callback=_share, help="Of a remote, a random part of its packs, as in 5%.")
@click.option("--repair", is_flag=True, help="Repair what is damaged, and say what could not be.")
@json_option
@pass_session
def command(session: Session, remote: str | None, sample: float | None, repair: bool, as_json: bool) -> int:
    """Verify every byte and every ref; say what is lost and who owned it.

    Exit code 1 where anything is wrong. Nothing is changed without --repair.

    With it, the cache is repaired from the remotes; damaged files of it are set aside, never deleted. A remote is
    repaired from the cache and from the other remotes. Exit code 1 where anything is wrong that could not be repaired.

    \b
    Examples:
      hitsave fsck
      hitsave fsck --repair
      hitsave fsck --remote origin --sample 5%
    """
    if sample is not None and remote is None:
        raise click.UsageError("--sample is for --remote; the cache is always verified as a whole")
    if sample is not None and repair:
        raise click.UsageError("--repair has to see all of a remote; leave --sample out")
    if repair:
        before, after = _repair(session, remote)
    else:
        before = after = _verify(session, remote, sample)
    session.end_progress()
    mended = _difference(before.faults, after.faults) if repair else []
    if as_json:
        told: dict[str, Any] = {"objects": before.objects, "size": before.size, "refs": before.refs}
        told["repaired"] = [_as_json(fault) for fault in mended]
        emit_json({**told, "faults": [_as_json(fault) for fault in after.faults]})
    else:
        _show(session, before, after, mended)
        if after.faults and remote is None:
            session.say(_remedy(repair))
    return 1 if after.faults else 0


def _remedy(repaired: bool) -> str:
    added = "'hitsave add' of an intact working file brings its content back"
    return added if repaired else f"'hitsave fsck --repair' brings back what a remote has; after it, {added}"


def _verify(session: Session, remote: str | None, sample: float | None) -> Report | RemoteReport:
    repository = session.repository
    return repository.verify() if remote is None else repository.upkeep(remote).verify(sample)


def _repair(session: Session, remote: str | None) -> tuple[Report | RemoteReport, Report | RemoteReport]:
    if remote is None:
        cache = session.repository.repair()
        return cache.before, cache.after
    done = session.repository.upkeep(remote).repair()
    return done.before, done.after


def _difference(
    before: Iterable[Fault | RemoteFault], after: Iterable[Fault | RemoteFault]
) -> list[Fault | RemoteFault]:
    """The faults that are gone. What was lost with a file that is not named any more is lost all the same."""
    still = {(fault.digest, None if fault.digest else fault.where) for fault in after}
    return [fault for fault in before if (fault.digest, None if fault.digest else fault.where) not in still]


def _as_json(fault: Fault | RemoteFault) -> dict[str, Any]:
    return {
        "digest": str(fault.digest) if fault.digest else None,
        "where": fault.where,
        "reason": fault.reason,
        "owners": list(fault.owners),
        "path": _path_of(fault) or None,
    }


def _show(
    session: Session, before: Report | RemoteReport, after: Report | RemoteReport, mended: list[Fault | RemoteFault]
) -> None:
    for fault in after.faults:
        emit(paint(_line(fault), Tone.BAD))
    for fault in mended:
        session.say(f"repaired: {_line(fault)}")
    looked = f"{count(before.objects, 'object')}, {show_size(before.size)}, {count(before.refs, 'ref')} verified"
    found = count(len(after.faults), "fault") if after.faults else "no faults"
    if mended:
        found = (
            f"{count(len(mended), 'fault')} repaired, {found} left"
            if after.faults
            else f"{count(len(mended), 'fault')} repaired"
        )
    session.say(f"{looked}: {found}")


def _line(fault: Fault | RemoteFault) -> str:
    subject = f"{fault.digest}: " if fault.digest else ""
    path = f"{show_path(_path_of(fault))}: " if _path_of(fault) else ""
    more = f" and {len(fault.owners) - _MOST_OWNERS:,} more" if len(fault.owners) > _MOST_OWNERS else ""
    owners = f" (owned by {', '.join(fault.owners[:_MOST_OWNERS])}{more})" if fault.owners else ""
    return f"{subject}{path}{fault.where}: {fault.reason}{owners}"


def _path_of(fault: Fault | RemoteFault) -> str:
    """What a lost object is in its project, where that is known."""
    return getattr(fault, "path", "")
