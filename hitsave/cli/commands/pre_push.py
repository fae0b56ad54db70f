"""`hitsave pre-push`, which git runs by way of the hook that `hitsave install` writes."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hitsave.cli.commands.push import describe_pushed
from hitsave.cli.output import show_path
from hitsave.cli.session import Session, pass_session


@click.command("pre-push", hidden=True)
@click.argument("remote")
@click.argument("url", required=False)
@pass_session
def command(session: Session, remote: str, url: str | None) -> int:
    """Push the data that commits name which git is about to push to REMOTE; they are read from stdin as git tells them.

    Where that fails the exit code is 1, and git pushes nothing.

    \b
    Examples:
      hitsave pre-push origin https://example.com/project.git
    """
    from hitsave.cli.failures import explain
    from hitsave.errors import HitsaveError

    try:
        _push_ahead(session, remote)
    except HitsaveError as error:
        session.end_progress()
        code = explain(error)
        session.say("the commits were not pushed either; 'git push --no-verify' pushes them without their data")
        return code
    return 0


def _push_ahead(session: Session, remote: str) -> None:
    from hitsave.looking.outgoing import by_workspace, push_ahead
    from hitsave.repository import Repository
    from hitsave.snapshots.outgoing import Outgoing, Unreadable, find_outgoing, parse_pushed, work_tree

    pushed = parse_pushed(sys.stdin.read())
    found = list(find_outgoing(Path.cwd(), remote, pushed))
    for each in found:
        if isinstance(each, Unreadable):
            session.say(f"hitsave: {each.reason}")

    def open_workspace(folder: Path) -> Repository:
        return Repository.open(folder, progress=session.repository.progress)

    outgoing = [each for each in found if isinstance(each, Outgoing)]
    grouped = by_workspace(open_workspace, outgoing, work_tree(Path.cwd())) if outgoing else {}
    for sent in push_ahead(open_workspace, grouped):
        session.end_progress()
        if sent.pushed is None:
            session.say(
                f"hitsave: no remote is set in {show_path(sent.workspace)}, so no data was pushed; "
                "'hitsave remote add NAME URL' names one"
            )
        elif sent.pushed.refs:
            session.say(f"data: {describe_pushed(sent.pushed)}")
