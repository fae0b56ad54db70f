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
@click.option(
    "--notify", is_flag=True, help="Hooks alone that say which datasets git moved; without it, there are none."
)
@click.option("--uninstall", is_flag=True, help="Take out what was set up.")
@json_option
@pass_session
def command(session: Session, hook: bool, driver: bool, notify: bool, uninstall: bool, as_json: bool) -> int:
    """Set up this git repository: data is pushed before the commits that name it, and pointer files are merged.

    The pre-push hook is for this clone alone; nobody else's hook is touched, but the lines that it needs are shown.
    The merge driver is a setting of this clone, and a line in .gitattributes, which is to be committed: others who
    have not set it up get git's own merge. With --notify, git says after a checkout, merge, pull or rebase which
    datasets have other versions now, and what to run; it fetches nothing.

    \b
    Examples:
      hitsave install
      hitsave install --merge-driver
      hitsave install --notify
      hitsave install --uninstall
    """
    from hitsave.snapshots.githooks import PRE_PUSH, TELLING
    from hitsave.snapshots.gitsetup import GitSetUp, HookState

    git = GitSetUp(Path.cwd())
    everything = not (hook or driver or notify)
    hooks = [*([PRE_PUSH] if hook or everything else []), *(TELLING if notify or (uninstall and everything) else [])]
    if uninstall:
        driver_done = git.remove_driver() if driver or everything else None
        hooks_done = [git.remove_hook(each) for each in hooks]
        if everything or (hook and driver and notify):
            git.forget_python()
    else:
        driver_done = git.install_driver(sys.executable) if driver or everything else None
        hooks_done = [git.install_hook(each, sys.executable) for each in hooks]
    if as_json:
        emit_json(_as_json(driver_done, hooks_done))
    elif uninstall:
        _tell_removed(session, driver_done, [done for done in hooks_done if notify or not _never_asked_for(done)])
    else:
        _tell_installed(session, driver_done, hooks_done)
    return 1 if not uninstall and any(done.state is HookState.FOREIGN for done in hooks_done) else 0


def _never_asked_for(done: HookSetUp) -> bool:
    """Whether there is no word to say of a hook that is there only where somebody wanted it."""
    from hitsave.snapshots.githooks import TELLING
    from hitsave.snapshots.gitsetup import HookState

    return done.hook in TELLING and done.state is not HookState.REMOVED


def _as_json(driver: DriverSetUp | None, hooks: list[HookSetUp]) -> dict[str, Any]:
    told = {done.hook.name: {"path": str(done.path), "state": done.state.name.lower()} for done in hooks}
    pushing = told.pop("pre-push", None)
    return {"merge_driver": _driver_as_json(driver), "hook": pushing, "notify": told}


def _driver_as_json(done: DriverSetUp | None) -> dict[str, Any] | None:
    if done is None:
        return None
    changed = {"settings_changed": done.settings_changed, "attributes_changed": done.attributes_changed}
    return {"attributes": str(done.attributes), **changed}


def _tell_installed(session: Session, driver: DriverSetUp | None, hooks: list[HookSetUp]) -> None:
    if driver is not None:
        _tell_driver(session, driver)
    for hook in hooks:
        _tell_hook(session, hook)


def _tell_hook(session: Session, done: HookSetUp) -> None:
    from hitsave.snapshots.gitsetup import HookState

    if done.state is HookState.FOREIGN:
        session.say(f"hitsave: {show_path(done.path)} is a hook of your own; put these lines at its beginning:")
        emit(done.hook.lines.removesuffix("\n"))
    else:
        session.say(f"{done.hook.name} hook: {show_path(done.path)} {done.state.value}")


def _tell_driver(session: Session, done: DriverSetUp) -> None:
    if done.attributes_changed:
        session.say(f"merge driver: set; commit {show_path(done.attributes)}, which has a new line for it")
    else:
        session.say(f"merge driver: {'set' if done.settings_changed else 'is set already'}")


def _tell_removed(session: Session, driver: DriverSetUp | None, hooks: list[HookSetUp]) -> None:
    from hitsave.snapshots.gitsetup import HookState

    if driver is not None:
        where = f"; {show_path(driver.attributes)} has a line less" if driver.attributes_changed else ""
        session.say(f"merge driver: {'removed' if driver.settings_changed else 'none was set'}{where}")
    states = {HookState.REMOVED: "removed", HookState.NONE: "was not there"}
    for done in hooks:
        said = states.get(done.state, "is your own, and stays")
        session.say(f"{done.hook.name} hook: {show_path(done.path)} {said}")
