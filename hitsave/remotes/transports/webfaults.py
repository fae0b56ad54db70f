"""What a server's answer means, or that there is none, as errors of remotes: one line that says what to do."""

from __future__ import annotations

import contextlib
import json
import re

from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError, SSLError
from urllib3.response import BaseHTTPResponse

from hitsave.errors import RemoteError, RemoteNotFound, RemoteRefused, RemoteUnavailable, RemoteUnsuitable

#: Of what is not a value, no more is read. A page of ten thousand keys has a megabyte.
LONGEST_ANSWER = 16 << 20
_LONGEST_REASON = 500
_ERRNO = re.compile(r"^\[Errno -?\d+\] ")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
#: What this server never does, whoever asks: an older one is asked for what it does not know.
_NEVER_DONE = frozenset((400, 404, 405))
#: What may pass: too slow, too many, a proxy whose server is not there.
_PASSING = frozenset((408, 425, 429, 502, 503, 504))
_MOVED = range(300, 400)


def explain(url: str, subject: str, answer: BaseHTTPResponse) -> RemoteError:
    """The error for an answer that is not what was asked for."""
    status, (reason, kind) = answer.status, _read(answer)
    place = f"{url}: {subject}" if subject else url
    if status in _MOVED:
        there = _CONTROL.sub("?", answer.headers.get("Location", "another place"))
        return RemoteUnsuitable(f"{url}: is at {there} now; keys follow no redirect, name that URL")
    if status == 404 and kind == "no key":
        return RemoteNotFound(url, subject)
    if not kind and status not in _PASSING:
        return RemoteUnsuitable(f"{url}: what answers there is no hitsave server (HTTP {status})")
    if status == 401:
        return RemoteRefused(f"{url}: {reason.replace('hitsave login URL', f'hitsave login {url}')}")
    if status == 403 or status in _NEVER_DONE:
        return RemoteRefused(f"{place}: {reason}")
    if status in _PASSING and kind != "store":
        return RemoteUnavailable(f"{place}: {reason or f'HTTP {status}'}", _wait(answer))
    return RemoteError(f"{place}: {reason}")


def no_answer(url: str, subject: str, error: HTTPError | str) -> RemoteUnavailable:
    """The error where the connection failed."""
    place = f"{url}: {subject}" if subject else url
    if isinstance(error, MaxRetryError) and error.reason is not None:
        error = error.reason if isinstance(error.reason, HTTPError) else str(error.reason)
    reason = str(error)
    if isinstance(error, NewConnectionError):
        reason = f"cannot be reached ({_ERRNO.sub('', reason.rpartition(': ')[2])})"
    return RemoteUnavailable(f"{place}: {_CONTROL.sub('?', reason)[:_LONGEST_REASON]}")


def not_trusted(url: str, error: SSLError) -> RemoteUnsuitable:
    """The error where TLS did not come about."""
    reason = str(error)
    if "WRONG_VERSION_NUMBER" in reason or "RECORD_LAYER_FAILURE" in reason:
        plain = f"http://{url.removeprefix('https://')}"
        return RemoteUnsuitable(f"{url}: what answers there does not speak TLS; is it {plain}?")
    return RemoteUnsuitable(f"{url}: the connection cannot be trusted ({_CONTROL.sub('?', reason)[:_LONGEST_REASON]})")


def _read(answer: BaseHTTPResponse) -> tuple[str, str]:
    """What went wrong, in a line, and a word for it; empty where it is no hitsave server that answers."""
    with contextlib.suppress(HTTPError, ValueError, RecursionError):
        said = json.loads(answer.read(LONGEST_ANSWER))
        if isinstance(said, dict) and isinstance(said.get("error"), str) and isinstance(said.get("kind"), str):
            return _CONTROL.sub("?", said["error"])[:_LONGEST_REASON], said["kind"]
    return "", ""


def _wait(answer: BaseHTTPResponse) -> float:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0.0
