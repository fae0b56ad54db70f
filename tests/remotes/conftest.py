from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.remotes.content import Machine, memory_remote
from tests.remotes.transports import MemoryTransport

NewMachine = Callable[[], Machine]


@pytest.fixture
def new_machine(tmp_path: Path) -> Iterator[NewMachine]:
    """Makes machines that know nothing yet."""
    made: list[Machine] = []

    def make() -> Machine:
        made.append(Machine(tmp_path / f"machine-{len(made)}"))
        return made[-1]

    yield make
    for machine in made:
        machine.cache.close()


@pytest.fixture
def ann(new_machine: NewMachine) -> Machine:
    return new_machine()


@pytest.fixture
def bob(new_machine: NewMachine) -> Machine:
    return new_machine()


@pytest.fixture
def memory() -> MemoryTransport:
    """An empty remote in memory, with small chunks."""
    return MemoryTransport(memory_remote())
