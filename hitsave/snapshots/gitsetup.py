"""Sets up a git repository to work with hitsave: a `pre-push` hook, and a merge driver for pointer files.

Where hooks lie, and what settings hold, git itself tells: `core.hooksPath`, work trees and `.git` files have rules of
their own. Nobody else's hook is touched. The hook is the same text everywhere, so that a folder of hooks may be shared;
which Python to use where no `hitsave` is found is a setting of this clone alone.
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

_MARK = "# Written by 'hitsave install'"
_PYTHON = "hitsave.python"
HOOK = f"""#!/bin/sh
{_MARK}: pushes the data that commits name, then git pushes the commits.
# 'git push --no-verify' goes past it, 'hitsave install --uninstall' removes it.
if command -v hitsave >/dev/null 2>&1; then
    exec hitsave pre-push "$@"
fi
python=$(git config {_PYTHON})
if [ -n "$python" ] && [ -x "$python" ]; then
    exec "$python" -m hitsave pre-push "$@"
fi
if [ -n "$(git ls-files -- '*.hitsave')" ]; then
    echo "hitsave: is not on the PATH, so the data of these commits cannot be pushed before them;" >&2
    echo "hitsave: install it, or push without the data: git push --no-verify" >&2
    exit 1
fi
"""
#: What somebody's own hook needs at its beginning; what git says on stdin is kept for the rest of it.
LINES_FOR_HOOK = """refs=$(cat)
printf '%s\\n' "$refs" | hitsave pre-push "$@" || exit 1
exec <<END
$refs
END
"""
_DRIVER = (
    f'command -v hitsave >/dev/null 2>&1 || hitsave() {{ "$(git config {_PYTHON})" -m hitsave "$@"; }}; '
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
    """The hook's file, and what was done."""

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

    def install_hook(self, python: str) -> HookSetUp:
        """Write the hook; `python` runs hitsave where no command of its name is found."""
        path, state = self._hook()
        if state in (HookState.NONE, HookState.WRITTEN):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".hitsave-{secrets.token_hex(6)}")
            temporary.write_bytes(HOOK.encode())
            temporary.chmod(0o755)
            os.replace(temporary, path)
            state = HookState.WRITTEN
        if state is not HookState.FOREIGN:
            self._set(_PYTHON, python)
        return HookSetUp(path, state)

    def remove_hook(self) -> HookSetUp:
        """Remove the hook, if it is ours."""
        path, state = self._hook()
        if state in (HookState.WRITTEN, HookState.THERE):
            path.unlink()
            state = HookState.REMOVED
        return HookSetUp(path, state)

    def _hook(self) -> HookSetUp:
        """The hook as it is: WRITTEN stands for one of an older version, or that cannot be run."""
        path = Path(os.path.abspath(self._folder / self._git("rev-parse", "--git-path", "hooks"))) / "pre-push"
        try:
            content = path.read_bytes().decode("utf-8", errors="replace")
        except FileNotFoundError:
            return HookSetUp(path, HookState.FOREIGN if path.is_symlink() else HookState.NONE)
        if _MARK in content:
            current = content == HOOK and os.access(path, os.X_OK)
            return HookSetUp(path, HookState.THERE if current else HookState.WRITTEN)
        return HookSetUp(path, HookState.CALLS if "hitsave pre-push" in content else HookState.FOREIGN)

    def install_driver(self, python: str) -> DriverSetUp:
        """Have git merge pointer files with hitsave; `python` as for the hook."""
        changed = [self._set(name, value) for name, value in {**_SETTINGS, _PYTHON: python}.items()]
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
        """Take out what both hook and driver use."""
        self._git("config", "--local", "--unset-all", _PYTHON, missing=5)

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
