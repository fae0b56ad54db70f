"""`hitsave install`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hitsave.cli.output import emit, show_path
from hitsave.cli.session import Session, pass_session

if TYPE_CHECKING:
    from hitsave.snapshots.gitsetup import DriverSetUp, GitSetUp, HookSetUp


@click.command("install")
@click.option("--hook", is_flag=True, help="The pre-push hook alone.")
@click.option("--merge-driver", "driver", is_flag=True, help="The merge driver alone.")
@click.option("--uninstall", is_flag=True, help="Take out what was set up.")
@pass_session
def command(session: Session, hook: bool, driver: bool, uninstall: bool) -> int:
    """Set up this git repository: data is pushed before the commits that name it, and pointer files are merged.

    The pre-push hook is for this clone alone; nobody else's hook is touched, but the lines that it needs are shown.
    The merge driver is a setting of this clone, and a line in .gitattributes, which is to be committed: others who
    have not set it up get git's own merge.

    \b
    Examples:
      hitsave install
      hitsave install --merge-driver
      hitsave install --uninstall
    """
    from hitsave.snapshots.gitsetup import GitSetUp

    git = GitSetUp(Path.cwd())
    both = hook == driver
    if uninstall:
        _uninstall(session, git, hook or both, driver or both)
        return 0
    if driver or both:
        _tell_driver(session, git.install_driver(sys.executable))
    return _tell_hook(session, git.install_hook(sys.executable)) if hook or both else 0


def _tell_hook(session: Session, done: HookSetUp) -> int:
    from hitsave.snapshots.gitsetup import LINES_FOR_HOOK, HookState

    if done.state is HookState.FOREIGN:
        session.say(f"hitsave: {show_path(done.path)} is a hook of your own; put these lines at its beginning:")
        emit(LINES_FOR_HOOK.removesuffix("\n"))
        return 1
    session.say(f"pre-push hook: {show_path(done.path)} {done.state.value}")
    return 0


def _tell_driver(session: Session, done: DriverSetUp) -> None:
    if done.attributes_changed:
        session.say(f"merge driver: set; commit {show_path(done.attributes)}, which has a new line for it")
    else:
        session.say(f"merge driver: {'set' if done.settings_changed else 'is set already'}")


def _uninstall(session: Session, git: GitSetUp, hook: bool, driver: bool) -> None:
    from hitsave.snapshots.gitsetup import HookState

    if driver:
        done = git.remove_driver()
        where = f"; {show_path(done.attributes)} has a line less" if done.attributes_changed else ""
        session.say(f"merge driver: {'removed' if done.settings_changed else 'none was set'}{where}")
    if hook:
        found = git.remove_hook()
        states = {HookState.REMOVED: "removed", HookState.NONE: "was not there"}
        said = states.get(found.state, "is your own, and stays")
        session.say(f"pre-push hook: {show_path(found.path)} {said}")
    if hook and driver:
        git.forget_python()
