"""`hitsave fsck`."""

from __future__ import annotations

import click

from hitsave.cli.output import count, emit, emit_json, json_option, remote_option, show_size
from hitsave.cli.session import Session, pass_session


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
@json_option
@pass_session
def command(session: Session, remote: str | None, sample: float | None, as_json: bool) -> int:
    """Verify every byte and every ref; say what is lost and who owned it.

    Exit code 1 where anything is wrong. Nothing is changed.
    """
    if sample is not None and remote is None:
        raise click.UsageError("--sample is for --remote; the cache is always verified as a whole")
    repository = session.repository
    report = repository.verify() if remote is None else repository.upkeep(remote).verify(sample)
    session.end_progress()
    if as_json:
        emit_json(
            {
                "objects": report.objects,
                "size": report.size,
                "refs": report.refs,
                "faults": [
                    {
                        "digest": str(fault.digest) if fault.digest else None,
                        "where": fault.where,
                        "reason": fault.reason,
                        "owners": list(fault.owners),
                    }
                    for fault in report.faults
                ],
            }
        )
    else:
        for fault in report.faults:
            subject = f"{fault.digest}: " if fault.digest else ""
            owners = f" (owned by {', '.join(fault.owners)})" if fault.owners else ""
            emit(f"{subject}{fault.where}: {fault.reason}{owners}")
        looked = f"{count(report.objects, 'object')}, {show_size(report.size)}, {count(report.refs, 'ref')} verified"
        session.say(f"{looked}: {count(len(report.faults), 'fault') if report.faults else 'no faults'}")
    return 1 if report.faults else 0
