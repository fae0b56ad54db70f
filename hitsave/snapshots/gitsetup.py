"""Sets up a git repository to work with hitsave: hooks, and a merge driver for pointer files.

Where hooks lie, and what settings hold, git itself tells: `core.hooksPath`, work trees and `.git` files have rules of
their own. Nobody else's hook is touched.
"""

from __future__ import annotations

import os
import secrets
import subprocess
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from hitsave.errors import WorkspaceError
from hitsave.snapshots.gitattributes import add_merge_attribute, drop_merge_attribute
from hitsave.snapshots.githooks import MARK, PYTHON, Hook

_DRIVER = (
    f'command -v hitsave >/dev/null 2>&1 || hitsave() {{ "$(git config {PYTHON})" -m hitsave "$@"; }}; '
    "hitsave merge-driver %O %A %B %P"
)
_SETTINGS = {
    "merge.hitsave.name": "merge of hitsave's pointer files",
    "merge.hitsave.driver": _DRIVER,
    # Of several common ancestors git merges pairs first; a conflict between these would be no pointer file.
    "merge.hitsave.recursive": "binary",
}


class HookState(Enum):
    """What was done about the hook, or was found."""

    WRITTEN = "written"
    THERE = "is there already"
    REMOVED = "removed"
    NONE = "none"
    #: Somebody's own, which calls hitsave.
    CALLS = "calls hitsave already"
    #: Somebody's own, which does not.
    FOREIGN = "not hitsave's"


class HookSetUp(NamedTuple):
    """A hook, its file, and what was done."""

    hook: Hook
    path: Path
    state: HookState


class DriverSetUp(NamedTuple):
    """The file of attributes, and whether it or the settings changed."""

    attributes: Path
    attributes_changed: bool
    settings_changed: bool


class GitSetUp:
    """One git repository with working files. Raises WorkspaceError where a folder is in none, or git is missing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.top = Path(self._git("rev-parse", "--show-toplevel"))

    def install_hook(self, hook: Hook, python: str) -> HookSetUp:
        """Write a hook; `python` runs hitsave where no command of its name is found."""
        _, path, state = self._hook(hook)
        if state in (HookState.NONE, HookState.WRITTEN):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".hitsave-{secrets.token_hex(6)}")
            temporary.write_bytes(hook.text.encode())
            temporary.chmod(0o755)
            os.replace(temporary, path)
            state = HookState.WRITTEN
        if state is not HookState.FOREIGN:
            self._set(PYTHON, python)
        return HookSetUp(hook, path, state)

    def remove_hook(self, hook: Hook) -> HookSetUp:
        """Remove a hook, if it is ours."""
        _, path, state = self._hook(hook)
        if state in (HookState.WRITTEN, HookState.THERE):
            path.unlink()
            state = HookState.REMOVED
        return HookSetUp(hook, path, state)

    def _hook(self, hook: Hook) -> HookSetUp:
        """A hook as it is: WRITTEN stands for one of an older version, or that cannot be run."""
        path = Path(os.path.abspath(self._folder / self._git("rev-parse", "--git-path", "hooks"))) / hook.name
        try:
            content = path.read_bytes().decode("utf-8", errors="replace")
        except FileNotFoundError:
            return HookSetUp(hook, path, HookState.FOREIGN if path.is_symlink() else HookState.NONE)
        if MARK in content:
            current = content == hook.text and os.access(path, os.X_OK)
            return HookSetUp(hook, path, HookState.THERE if current else HookState.WRITTEN)
        return HookSetUp(hook, path, HookState.CALLS if hook.call in content else HookState.FOREIGN)

    def install_driver(self, python: str) -> DriverSetUp:
        """Have git merge pointer files with hitsave; `python` as for the hook."""
        changed = [self._set(name, value) for name, value in {**_SETTINGS, PYTHON: python}.items()]
        attributes = self.top / ".gitattributes"
        return DriverSetUp(attributes, add_merge_attribute(attributes), any(changed))

    def remove_driver(self) -> DriverSetUp:
        """Have git merge pointer files as any text."""
        changed = self._git("config", "--local", "--get", "merge.hitsave.driver", missing=1) != ""
        if changed:
            self._git("config", "--local", "--remove-section", "merge.hitsave")
        attributes = self.top / ".gitattributes"
        return DriverSetUp(attributes, drop_merge_attribute(attributes), changed)

    def forget_python(self) -> None:
        """Take out what both hooks and driver use."""
        self._git("config", "--local", "--unset-all", PYTHON, missing=5)

    def _set(self, name: str, value: str) -> bool:
        if self._git("config", "--local", "--get", name, missing=1) == value:
            return False
        self._git("config", "--local", "--replace-all", name, value)
        return True

    def _git(self, *arguments: str, missing: int = 0) -> str:
        """What git prints; nothing where it ends with the code `missing`."""
        try:
            done = subprocess.run(["git", "-C", self._folder, *arguments], capture_output=True, check=False)
        except FileNotFoundError:
            raise WorkspaceError("git was not found; install it, or put it on the PATH") from None
        if done.returncode not in (0, missing):
            said = os.fsdecode(done.stderr).strip().removeprefix("fatal: ").replace("\n", "; ")
            raise WorkspaceError(f"{self._folder}: git {' '.join(arguments[:2])}: {said}")
        return os.fsdecode(done.stdout).removesuffix("\n").removesuffix("\r")
