"""Shells in a terminal of their own, into which a test types."""

from __future__ import annotations

import os
import re
import select
import time
from collections.abc import Mapping
from pathlib import Path

_PATIENCE = 60.0
#: Show the line that is being edited, by a key of its own, whatever the shell has made of it.
_START = {
    "bash": (
        ["bash", "--norc", "--noprofile", "-i"],
        "PS1=; set +o history; bind 'set enable-bracketed-paste off'; bind 'set completion-query-items 0'; "
        "bind 'set page-completions off'; eval \"$(hitsave completion bash)\"; "
        'bind -x \'"\\C-o": printf "\\n<%s>\\n" "$READLINE_LINE"\'; echo rea""dy\n',
    ),
    "zsh": (
        ["zsh", "-f", "-i"],
        "PS1=; unsetopt ZLE_BRACKETED_PASTE zle_bracketed_paste 2>/dev/null; autoload -U compinit; compinit -u -D; "
        'eval "$(hitsave completion zsh)"; LISTMAX=10000; '
        'show() { printf "\\n<%s>\\n" "$BUFFER" }; zle -N show; bindkey "^O" show; echo rea""dy\n',
    ),
}


class Shell:
    """An interactive shell. As a context manager, ends it."""

    def __init__(self, name: str, folder: Path, environment: Mapping[str, str]) -> None:
        import pty

        command, setup = _START[name]
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            os.chdir(folder)
            os.execvpe(command[0], command, {**environment, "TERM": "xterm", "COLUMNS": "500", "LINES": "60"})
        self._write(setup)
        self._read_until(r"ready\r?\n")

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, *_: object) -> None:
        import signal

        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._fd)

    def completed(self, typed: str) -> str:
        """The line that is there when this was typed and TAB was pressed."""
        self._write(f"{typed}\t")
        self._write("\x0f")
        found = self._read_until(r"<([^<>]*)>\r?\n")
        self._write("\x15")  # Take the line away.
        return found

    def _write(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def _read_until(self, pattern: str) -> str:
        seen, deadline = "", time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            if select.select([self._fd], [], [], 0.1)[0]:
                seen += os.read(self._fd, 1 << 16).decode(errors="replace")
            if found := re.search(pattern, seen):
                return found[1] if found.groups() else ""
        raise AssertionError(f"{pattern!r} was not seen in {seen!r}")
