"""A process that has imported what all runs of a kind import, and becomes each of these runs in a fork.

tests/processes/running.py starts it, and says what it is good for. It starts no thread and calls nothing of what it
imports, so that a fork has seen no more than a new process that imports the same.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import socket
import sys
import time
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import Any

_RECEIVED = 3  # stdin, stdout, stderr
#: Which of the fields of /proc/self/stat that follow the name say where the command line stands, from and to.
_ARGUMENTS = slice(45, 47)
_OF_EVERY_MAIN = "__name__ __doc__ __package__ __loader__ __spec__ __annotations__ __builtins__".split()
#: What the server's own folder and variables add to the module path is not for the runs.
_own = {sys.path[0], *os.environ.get("PYTHONPATH", "").split(os.pathsep)}
_PATH = [each for each in sys.path if each not in _own]


def serve(channel: socket.socket) -> dict[str, Any] | None:
    """What to run, in the fork that is to run it; None when nobody asks any more."""
    lines = channel.makefile("rb")
    while True:
        begin, descriptors, _, _ = socket.recv_fds(channel, 1, _RECEIVED)
        if not begin:
            return None
        order: dict[str, Any] = json.loads(lines.readline())
        pid = os.fork()
        if pid == 0:
            lines.close()
            channel.close()
            for target, descriptor in enumerate(descriptors):
                os.dup2(descriptor, target)
                os.close(descriptor)
            return order
        for descriptor in descriptors:
            os.close(descriptor)
        channel.sendall(b"%d\n" % pid)
        _, status = os.waitpid(pid, 0)
        channel.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def become(order: dict[str, Any]) -> None:
    """Make this process what a new one would be, all but for its `__main__`."""
    arguments: list[str] = order["arguments"]
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["environ"])
    time.tzset()
    with contextlib.suppress(OSError):
        _show_command_line([sys.executable, *arguments])
    sys.argv = arguments if arguments[0] != "-m" else arguments[1:]
    sys.orig_argv = [sys.executable, *arguments]
    first = os.getcwd() if arguments[0] == "-m" else os.path.dirname(os.path.realpath(arguments[0]))
    given = [os.path.abspath(each) for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
    sys.path[:] = [first, *dict.fromkeys([*given, *_PATH])]
    importlib.invalidate_caches()


def _show_command_line(words: list[str]) -> None:
    """On Linux: let the system show the run's command line. Who forks goes by that of the parent otherwise."""
    with open("/proc/self/stat", "rb") as file:
        start, end = map(int, file.read().rpartition(b")")[2].split()[_ARGUMENTS])
    line = b"".join(os.fsencode(word) + b"\0" for word in words)
    with open("/proc/self/mem", "r+b", buffering=0) as memory:
        memory.seek(start)
        memory.write(line[: end - start - 1].ljust(end - start, b"\0"))


def run(order: dict[str, Any]) -> None:
    """Run the program as `__main__`. What Python does at the end of a program follows when this returns."""
    main = _new_main()
    try:
        if sys.argv is not order["arguments"]:
            runpy._run_module_as_main(sys.argv[0])  # type: ignore[attr-defined]
        else:
            _run_script(sys.argv[0], main)
    except Exception as error:
        shown = error.__traceback__
        while shown is not None and shown.tb_frame.f_code.co_filename == __file__:
            shown = shown.tb_next
        sys.excepthook(type(error), error.with_traceback(shown), shown)
        sys.exit(1)


def _new_main() -> dict[str, Any]:
    """The namespace of a `__main__` that was not there before, so that its objects end when it does."""
    own = vars(sys.modules["__main__"])
    new = sys.modules["__main__"] = ModuleType("__main__")
    vars(new).update({name: own[name] for name in _OF_EVERY_MAIN if name in own})
    return vars(new)


def _run_script(script: str, main: dict[str, Any]) -> None:
    path = os.path.abspath(script)
    main.update(__file__=path, __cached__=None, __loader__=SourceFileLoader("__main__", path))
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec", dont_inherit=True)
    exec(code, main)


def begin() -> None:
    """`python -c "import server; server.begin()" CHANNEL MODULE...`, in this folder."""
    for name in sys.argv[2:]:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # A run's collections, and the one at its end, pass over what it shares with all others.
    order = serve(socket.socket(fileno=int(sys.argv[1])))
    if order is not None:
        become(order)
        del sys.modules[__name__]
        run(order)
