"""Whether a key still holds: it may be revoked while the rest of a request comes, after it was looked at."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from starlette.requests import Request

from hitsave.server.answers import Refusal

if TYPE_CHECKING:
    from hitsave.server.site import Site

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="hitsave"'}


def check_still_holds(request: Request) -> None:
    """Refuse what took long to come, where the key was taken back meanwhile. Raises Refusal."""
    site: Site = request.app.state.site
    if site.local or request.state.principal is None:
        return
    record = site.keys.get(request.state.principal.key_id)
    if record is None or not record.holds_at(int(time.time())):
        raise unknown_key()


def unknown_key() -> Refusal:
    """What is answered to a key that opens nothing."""
    return Refusal(
        401,
        "unauthenticated",
        "this key is not known here, was revoked or has expired; run 'hitsave login URL' with another",
        CHALLENGE,
    )
