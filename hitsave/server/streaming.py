"""Answers that are sent piece by piece, of what users have stored: it may turn out not to be what it says it is.

Then the answer ends early, so that nobody takes it for whole, and the log has one line. What is only asked for by its
head (HEAD) is not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from starlette.concurrency import iterate_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from hitsave.errors import HitsaveError


class Torn(HitsaveError):
    """Something that is sent cannot be sent to its end."""


def stream(
    request: Request, pieces: Iterator[bytes], status: int, headers: Mapping[str, str], media_type: str
) -> Response:
    """The answer of these pieces, with Content-Length checked where the headers have it."""
    if request.method == "HEAD":
        return Response(status_code=status, headers={**headers}, media_type=media_type)
    length = headers.get("Content-Length")
    if length is not None:
        pieces = _exactly(pieces, int(length))
    return StreamingResponse(iterate_in_threadpool(pieces), status, headers, media_type)


def _exactly(pieces: Iterator[bytes], length: int) -> Iterator[bytes]:
    """So many bytes. Raises Torn where there are more or fewer."""
    rest = length
    for piece in pieces:
        if len(piece) > rest:
            raise Torn("there is more than was said")
        rest -= len(piece)
        yield piece
    if rest:
        raise Torn(f"{rest} bytes are missing of what was said")
