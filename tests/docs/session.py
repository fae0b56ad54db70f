"""A Python session for the blocks of a page: takes statements on stdin, and gives what they print on stdout.

Each message is a line of JSON. It is a process of its own, as a reader's is.
"""

from __future__ import annotations

import contextlib
import io
import json
import linecache
import os
import sys
import traceback


def main() -> None:
    """Answer until stdin ends."""
    answers, names = sys.stdout, {"__name__": "__main__"}
    sys.path[0] = ""  # The current folder, as in a session that somebody has opened.
    for number, line in enumerate(sys.stdin, 1):
        message = json.loads(line)
        os.chdir(message["folder"])
        answer = {"printed": _run(message["text"], f"<python-input-{number}>", names)}
        print(json.dumps(answer), file=answers, flush=True)


def _run(text: str, name: str, names: dict[str, str]) -> str:
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            exec(compile(text, name, "exec"), names)
        except Exception as error:
            # What a reader looks at is the last line.
            printed.writelines(traceback.format_exception_only(error))
    return printed.getvalue()


if __name__ == "__main__":
    main()
