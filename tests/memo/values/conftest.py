"""What the tests of digests share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hitsave.memoisation.values.digest import digest_value


def refer(thing: object) -> str:
    """A label that tells functions and classes apart by their names."""
    return f"{getattr(thing, '__module__', None)}.{getattr(thing, '__qualname__', None) or repr(thing)}"


@pytest.fixture
def digest() -> Callable[[object], str]:
    """The digest of a value, in hex."""
    return lambda value: digest_value(value, refer).hex()
