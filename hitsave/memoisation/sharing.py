"""Results that others computed, and that others may use: a remote is asked before a function runs.

A remote that cannot be reached costs one warning, and the function runs here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from hitsave.config import ENVIRONMENT_REMOTE
from hitsave.errors import HitsaveError
from hitsave.maintenance.collect import forgotten
from hitsave.memoisation.leases.claims import Claim
from hitsave.memoisation.place import Place
from hitsave.memoisation.telling import warn_once
from hitsave.objects.digest import Digest
from hitsave.objects.refs import Ref, RefName, acceptance_prefix, evaluation_prefix


def find_away(place: Place, function: str, codes: Sequence[Digest], keys: Sequence[Digest]) -> bool:
    """Bring the evaluations of these keys, and what was accepted for these codes; whether there was anything new."""
    prefixes = [evaluation_prefix(function, key) for key in keys]
    prefixes += [acceptance_prefix(function, code) for code in codes]
    _warn_of_no_such_remote(place)
    try:
        exchange = place.repository.exchange
        found = exchange.find_evaluations(prefixes)
        new = [ref for ref in found if place.cache.ref(ref.name) is None]
        if new:  # Who forgets a result wants it computed again.
            dropped = forgotten(place.cache)
            new = [ref for ref in new if ref.name not in dropped]
        for ref in new:
            exchange.fetch_evaluation(ref)
    except HitsaveError as error:
        warn_once(f"no result can be taken from the remote ({error})")
        return False
    return bool(new)


def _warn_of_no_such_remote(place: Place) -> None:
    """A folder that is not there is a remote to which nothing was pushed yet, or a slip of the pen."""
    first, *others = place.config.remotes
    if first.name == ENVIRONMENT_REMOTE and "://" not in first.url and not os.path.isdir(os.path.expanduser(first.url)):
        known = ", ".join(remote.name for remote in others) or "none"
        warn_once(
            f"HITSAVE_REMOTE is {first.url!r}, which is no URL, no folder that is there, "
            f"and no name of a remote in the settings (there: {known})"
        )


def fetch_result(place: Place, name: RefName) -> bool:
    """Bring the result of an evaluation that came without it; whether that could be done."""
    ref = place.cache.ref(name)
    if ref is None or place.config.offline or not place.config.remotes:
        return False
    try:
        place.repository.exchange.fetch_result(ref)
    except HitsaveError as error:
        warn_once(f"kept results cannot be fetched ({error})")
        return False
    return True


def claim_for(place: Place, key: Digest) -> Claim | None:
    """The wish to compute a key before other machines do; None where the remote cannot be asked."""
    try:
        return Claim(place.repository.exchange.claims_store(), key)
    except HitsaveError as error:
        warn_once(f"other machines may compute the same, since the remote cannot be asked ({error})")
        return None


def send(place: Place, ref: Ref) -> None:
    """Send an evaluation that was just made."""
    if place.config.offline or not place.config.remotes:
        return
    try:
        place.repository.exchange.send_evaluations([ref])
    except HitsaveError as error:
        warn_once(f"results are not sent to the remote; 'hitsave push' sends them later ({error})")
