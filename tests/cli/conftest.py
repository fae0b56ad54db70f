from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.world import User, World
from tests.inmemory import tmp_path as tmp_path


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def ann(world: World) -> User:
    """A user with a small dataset in `data`, which is not added yet."""
    user = world.user()
    user.write({"a.txt": b"first\n", "sub/b.txt": b"second\n", "sub/c.bin": bytes(range(256)) * 4})
    return user
