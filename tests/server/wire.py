"""Requests byte by byte, as no library would send them, and what a server writes into its log meanwhile."""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from collections.abc import Iterator

from tests.server.inprocess import Running

PATIENT = 20
_LOGS = ("uvicorn.error", "hitsave.server", "asyncio")


def connect(server: Running, timeout: float = PATIENT) -> socket.socket:
    """A connection to a server."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout)


def raw(server: Running, request: bytes, pause: float = 0.0, step: int = 0) -> bytes:
    """What is answered to these bytes, sent at once, or a few at a time with pauses."""
    answer = b""
    with connect(server) as connection:
        try:
            for at in range(0, len(request), step or max(len(request), 1)):
                connection.sendall(request[at : at + (step or len(request))])
                time.sleep(pause)
            while piece := connection.recv(1 << 16):
                answer += piece
        except (ConnectionResetError, BrokenPipeError):
            pass
    return answer


def head(method: str, target: str, key: str = "", *lines: bytes) -> bytes:
    """The head of a request after which the connection ends."""
    allowed = [f"Authorization: Bearer {key}".encode()] if key else []
    first = [f"{method} {target} HTTP/1.1".encode(), b"Host: x", b"Connection: close"]
    return b"\r\n".join([*first, *allowed, *lines, b"", b""])


def status(answer: bytes) -> int:
    """The status of an answer; 0 for none."""
    return int(answer.split(b" ", 2)[1]) if answer else 0


@contextlib.contextmanager
def logged() -> Iterator[list[logging.LogRecord]]:
    """What servers of this process log."""
    records: list[logging.LogRecord] = []

    class Taking(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    handler = Taking()
    for name in _LOGS:
        logging.getLogger(name).addHandler(handler)
    try:
        yield records
    finally:
        for name in _LOGS:
            logging.getLogger(name).removeHandler(handler)


def faults(records: list[logging.LogRecord]) -> list[str]:
    """Those records that have a traceback, or speak of a fault in the server."""
    found = (record for record in records if record.exc_info or record.name == "asyncio")
    return [f"{record.getMessage()} {record.exc_info}" for record in found]
