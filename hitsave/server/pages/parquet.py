"""The first rows of a Parquet file, read by a process of its own that can have only so much memory and time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import Any, BinaryIO

from hitsave.server import parquetrows
from hitsave.server.parquetrows import ASK, LENGTH

_SECONDS = 20.0
#: The most bytes of a file that are given to the process, of one answer of it, and of what is read at once.
_MOST_GIVEN = 256 << 20
_LONGEST_ANSWER = 8 << 20
_PIECE = 16 << 20
#: So many previews are made at once.
_processes = threading.BoundedSemaphore(2)


class Unreadable(Exception):
    """A file that is no Parquet file, or takes too much to be read."""


def first_rows(file: BinaryIO, size: int) -> dict[str, Any]:
    """What `parquetrows` tells of a file. Raises Unreadable, and what reading the file raises."""
    # By its path, and without its folder as a place for modules: what it does not need, it does not load.
    command = [sys.executable, "-P", parquetrows.__file__, str(size)]
    environment = {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    with (
        _processes,
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=environment) as process,
    ):
        timer = threading.Timer(_SECONDS, process.kill)
        timer.start()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            return _converse(file, process.stdout, process.stdin)
        except (BrokenPipeError, EOFError, ValueError) as error:
            raise Unreadable(str(error)) from None
        finally:
            timer.cancel()
            process.kill()


def _converse(file: BinaryIO, questions: Any, answers: Any) -> dict[str, Any]:
    """Give what is asked for until there is an answer. Raises EOFError, ValueError."""
    given = 0
    while True:
        kind, start, length = ASK.unpack(_exactly(questions, ASK.size))
        if kind == b"E" and length <= _LONGEST_ANSWER:
            found: dict[str, Any] = json.loads(_exactly(questions, length))
            return found
        file.seek(start)
        piece = file.read(min(length, _PIECE))
        given += len(piece)
        if kind != b"R" or given > _MOST_GIVEN:
            raise ValueError("too much is asked for")
        answers.write(LENGTH.pack(len(piece)) + piece)
        answers.flush()


def _exactly(source: Any, length: int) -> bytes:
    content: bytes = source.read(length)
    if len(content) < length:
        raise EOFError("the process has ended")
    return content
