"""Questions at a terminal, to which somebody says no."""

from __future__ import annotations

import os
import sys

from tests.cli.world import User, World

_PATIENCE = 60


def answer(user: User, text: bytes, *arguments: str) -> tuple[int, str]:
    """The exit code of the command, and all that it showed, where this was typed."""
    import pty

    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(user.workspace)
        os.execve(sys.executable, [sys.executable, "-m", "hitsave", *arguments], user.environment())
    shown = b""
    typed = False
    try:
        while piece := os.read(fd, 4096):
            shown += piece
            if not typed and b"[y/N]" in shown:
                os.write(fd, text)
                typed = True
    except OSError:  # So a terminal ends on Linux.
        pass
    _, status = os.waitpid(pid, 0)
    os.close(fd)
    return os.waitstatus_to_exitcode(status), shown.decode()


def test_no_is_no_interruption(world: World) -> None:
    ann = world.user(remote=True)
    ann.write({"a": b"a"})
    ann.add()
    ann.do("push")
    code, shown = answer(ann, b"n\n", "snapshot", "--public", "data")
    assert (code, shown.splitlines()[-1]) == (1, "hitsave: not made public")
    assert "snapshots/" not in ann.do("show-ref").text
    code, shown = answer(ann, b"n\n", "clear-local")
    assert (code, shown.splitlines()[-1]) == (1, "hitsave: nothing was removed")
    ann.do("fsck")


def test_an_undone_unpublishing_says_that_the_link_stays_taken_back(world: World) -> None:
    ann = world.user(remote=True)
    ann.write({"a": b"a"})
    digest = ann.do("snapshot", "--public", "--yes", "data").text.strip()
    link = world.remote / "public" / digest
    assert link.exists()
    ann.do("snapshot", "--unpublish", "data")
    assert "a link that was taken back stays so" in ann.do("undo").said
    ann.do("push")
    assert not link.exists()
    ann.do("snapshot", "--public", "--yes", "data")
    assert link.exists()
