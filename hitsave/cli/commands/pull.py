"""`hitsave pull`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hitsave.amounts import count, show_size
from hitsave.cli.output import emit_json, json_option, named_remote_option, part_options, paths_argument, show_path
from hitsave.cli.parts import find_completing, find_unmatched, tell_left_alone, unchanged_by
from hitsave.cli.session import Session, pass_session
from hitsave.cli.shortfalls import describe_failures, failures_as_json, raise_only_one

if TYPE_CHECKING:
    from hitsave.exchange import PulledEvaluations
    from hitsave.repository import Pulled
    from hitsave.snapshots.checkout import CheckedOut


@click.command("pull")
@paths_argument
@part_options
@named_remote_option
@click.option("-f", "--force", is_flag=True, help="Give up changes that were not added.")
@json_option
@pass_session
def command(
    session: Session,
    paths: tuple[Path, ...],
    globs: tuple[str, ...],
    excluded: tuple[str, ...],
    remote: str | None,
    force: bool,
    as_json: bool,
) -> int:
    """Fetch what pointer files name, or a part of it, and check it out.

    A PATH inside of a dataset is that part of it. Patterns are about a single file by its name.

    Without PATH, evaluations of this project's functions come as well; a result comes when it is first asked for. What
    cannot be had holds up nothing else; then the exit code is 1.

    \b
    Examples:
      hitsave pull
      hitsave pull data/images --include 'train/**'
      hitsave pull data/images/train
      hitsave pull --remote backup --force data/labels.csv
    """
    from hitsave.exchange import PulledEvaluations
    from hitsave.looking.parts import choose, pull

    repository = session.repository
    chosen = choose(repository, paths, globs, excluded)
    completing = find_completing(repository, chosen)
    done = pull(repository, chosen.wanted, remote, force)
    evaluations = PulledEvaluations() if paths else repository.pull_evaluations(remote)
    if not (done.checked_out or evaluations.new):
        raise_only_one(done.failed)
    session.end_progress()
    unmatched = find_unmatched(repository, chosen, unchanged_by(done.checked_out))
    absent = {path: text for path, (text, is_named) in unmatched.items() if is_named}
    failed = [*describe_failures(done.failed), *absent.values()]
    if as_json:
        emit_json(_as_json(done, evaluations, absent))
        return session.fail(failed)
    tell_left_alone(session, chosen)
    for item in done.checked_out:
        text, is_named = unmatched.get(item.path, (_describe(item, item.path in completing), False))
        if not is_named:
            session.say(text)
    fetched = done.fetched
    if fetched.received:
        session.say(
            f"{count(fetched.objects, 'object')}, {show_size(fetched.size)}: {show_size(fetched.received)} received"
        )
    if evaluations.new:
        session.say(f"{count(evaluations.new, 'evaluation')}: {show_size(evaluations.received)} received")
    return session.fail(failed)


def _as_json(done: Pulled, evaluations: PulledEvaluations, absent: dict[Path, str]) -> dict[str, Any]:
    """What was done; `absent` are parts that were named and are not there, by their datasets, with what to say."""
    checked_out = [
        {"path": str(item.path), "digest": str(item.digest), "written": item.written, "removed": item.removed}
        for item in done.checked_out
    ]
    return {
        "fetched": done.fetched._asdict(),
        "checked_out": checked_out,
        "evaluations": evaluations._asdict(),
        "failed": failures_as_json(done.failed)["failed"] | {str(path): text for path, text in absent.items()},
    }


def _describe(item: CheckedOut, is_completed: bool) -> str:
    """What was written and removed; `is_completed`: it was a part, and is no more."""
    if not (item.written or item.removed):
        return f"{show_path(item.path)}: as it should be"
    removed = f", {count(item.removed, 'file')} removed" if item.removed else ""
    more = "; all of it is here now, and '--include' keeps to a part" if is_completed else ""
    return f"{show_path(item.path)}: {count(item.written, 'file')} written, {show_size(item.size)}{removed}{more}"
