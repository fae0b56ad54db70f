"""`hitsave install`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hitsave.cli.output import emit, emit_json, json_option, show_path
from hitsave.cli.session import Session, pass_session

if TYPE_CHECKING:
    from hitsave.snapshots.gitsetup import DriverSetUp, HookSetUp


@click.command("install")
@click.option("--hook", is_flag=True, help="The pre-push hook alone.")
@click.option("--merge-driver", "driver", is_flag=True, help="The merge driver alone.")
@click.option("--uninstall", is_flag=True, help="Take out what was set up.")
@json_option
@pass_session
def command(session: Session, hook: bool, driver: bool, uninstall: bool, as_json: bool) -> int:
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
    from hitsave.snapshots.gitsetup import GitSetUp, HookState

    git = GitSetUp(Path.cwd())
    hook, driver = hook or not driver, driver or not hook
    if uninstall:
        driver_done = git.remove_driver() if driver else None
        hook_done = git.remove_hook() if hook else None
        if hook and driver:
            git.forget_python()
    else:
        driver_done = git.install_driver(sys.executable) if driver else None
        hook_done = git.install_hook(sys.executable) if hook else None
    if as_json:
        emit_json({"merge_driver": _driver_as_json(driver_done), "hook": _hook_as_json(hook_done)})
    elif uninstall:
        _tell_removed(session, driver_done, hook_done)
    else:
        _tell_installed(session, driver_done, hook_done)
    return 1 if hook_done is not None and hook_done.state is HookState.FOREIGN and not uninstall else 0


def _driver_as_json(done: DriverSetUp | None) -> dict[str, Any] | None:
    if done is None:
        return None
    changed = {"settings_changed": done.settings_changed, "attributes_changed": done.attributes_changed}
    return {"attributes": str(done.attributes), **changed}


def _hook_as_json(done: HookSetUp | None) -> dict[str, Any] | None:
    return None if done is None else {"path": str(done.path), "state": done.state.name.lower()}


def _tell_installed(session: Session, driver: DriverSetUp | None, hook: HookSetUp | None) -> None:
    if driver is not None:
        _tell_driver(session, driver)
    if hook is not None:
        _tell_hook(session, hook)


def _tell_hook(session: Session, done: HookSetUp) -> None:
    from hitsave.snapshots.gitsetup import LINES_FOR_HOOK, HookState

    if done.state is HookState.FOREIGN:
        session.say(f"hitsave: {show_path(done.path)} is a hook of your own; put these lines at its beginning:")
        emit(LINES_FOR_HOOK.removesuffix("\n"))
    else:
        session.say(f"pre-push hook: {show_path(done.path)} {done.state.value}")


def _tell_driver(session: Session, done: DriverSetUp) -> None:
    if done.attributes_changed:
        session.say(f"merge driver: set; commit {show_path(done.attributes)}, which has a new line for it")
    else:
        session.say(f"merge driver: {'set' if done.settings_changed else 'is set already'}")


def _tell_removed(session: Session, driver: DriverSetUp | None, hook: HookSetUp | None) -> None:
    from hitsave.snapshots.gitsetup import HookState

    if driver is not None:
        where = f"; {show_path(driver.attributes)} has a line less" if driver.attributes_changed else ""
        session.say(f"merge driver: {'removed' if driver.settings_changed else 'none was set'}{where}")
    if hook is not None:
        states = {HookState.REMOVED: "removed", HookState.NONE: "was not there"}
        said = states.get(hook.state, "is your own, and stays")
        session.say(f"pre-push hook: {show_path(hook.path)} {said}")
