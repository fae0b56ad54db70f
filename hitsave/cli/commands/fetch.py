"""`hitsave fetch`."""

from __future__ import annotations

from pathlib import Path

import click

from hitsave.amounts import count, show_size
from hitsave.cli.output import emit_json, json_option, named_remote_option, part_options, paths_argument
from hitsave.cli.parts import find_unmatched, tell_left_alone
from hitsave.cli.session import Session, pass_session
from hitsave.cli.shortfalls import describe_failures, failures_as_json


@click.command("fetch")
@paths_argument
@part_options
@named_remote_option
@json_option
@pass_session
def command(
    session: Session,
    paths: tuple[Path, ...],
    globs: tuple[str, ...],
    excluded: tuple[str, ...],
    remote: str | None,
    as_json: bool,
) -> int:
    """Fetch what pointer files name into the cache; working files stay as they are.

    A PATH inside of a dataset is that part of it. Patterns are about a single file by its name.

    Without PATH, evaluations of this project's functions come as well; a result comes when it is first asked for.

    \b
    Examples:
      hitsave fetch
      hitsave fetch data/images --exclude '*.tif'
    """
    from hitsave.exchange import PulledEvaluations
    from hitsave.looking.parts import choose, fetch

    repository = session.repository
    chosen = choose(repository, paths, globs, excluded)
    got = fetch(repository, chosen.wanted, remote)
    done, failed = got.fetched, describe_failures(got.failed)
    evaluations = PulledEvaluations() if paths else repository.pull_evaluations(remote)
    session.end_progress()
    here = {path for each in chosen.wanted if each.named for path in each.paths} - got.failed.keys()
    absent = {path: text for path, (text, _) in find_unmatched(repository, chosen, here).items()}
    failed += absent.values()
    if as_json:
        told = failures_as_json(got.failed)["failed"] | {str(path): text for path, text in absent.items()}
        emit_json({**done._asdict(), "evaluations": evaluations._asdict(), "failed": told})
        return session.fail(failed)
    tell_left_alone(session, chosen)
    if done.received:
        session.say(f"{count(done.objects, 'object')}, {show_size(done.size)}: {show_size(done.received)} received")
    if evaluations.new:
        session.say(f"{count(evaluations.new, 'evaluation')}: {show_size(evaluations.received)} received")
    if not (done.received or evaluations.new or failed):
        session.say("everything is in the cache already")
    return session.fail(failed)
