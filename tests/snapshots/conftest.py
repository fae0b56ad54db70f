from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hitsave.cache.store import Cache


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    with Cache.open(tmp_path / "cache") as opened:
        yield opened
