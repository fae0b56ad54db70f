"""Every file of a cache in turn is damaged while nobody uses it: a call gives the right value all the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.memo.projects.harness import Outcome, Project

# What is packed lies in packs with indexes; what runs after that lies in the database.
PACK = """\
import main
from hitsave.memoisation.place import place_for
from pathlib import Path
place_for(Path.cwd()).cache.pack_inbox()
print(main.small(2))
"""
SCRIPT = """\
import asyncio
from hitsave import experiment, memo

@memo
def small(x):
    RAN small
    return {"x": x}

@memo
def large(x):
    RAN large
    return bytes(range(256)) * 2000

@memo(keep={"count": 1})
def outer(x):
    RAN outer
    return small(x + 1)["x"] + 1

@experiment
async def later(x):
    RAN later
    return outer(x)

print(small(1), len(large(1)), outer(2), asyncio.run(later(3)), small.fresh(4))
"""
EXPECTED = "{'x': 1} 512000 4 5 {'x': 4}"


def empty(path: Path) -> None:
    path.write_bytes(b"")


def halve(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def delete(path: Path) -> None:
    path.unlink()


def flip_first(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 0x10]) + content[1:] if content else b"\0")


def flip_middle(path: Path) -> None:
    content, place = path.read_bytes(), path.stat().st_size // 2
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :] if content else b"\0")


DAMAGES = [empty, halve, delete, flip_first, flip_middle]


def _kept(project: Project) -> Path:
    """A copy of a cache with everything in it: packs, indexes, an inbox, whole files."""
    project.write({"main.py": SCRIPT, "pack.py": PACK})
    assert project.run().output == EXPECTED
    assert project.run("pack.py").code == 0
    kept = project.root / "kept"
    shutil.copytree(project.cache, kept)
    return kept


def _run_damaged(project: Project, kept: Path, name: Path, damage: Callable[[Path], None]) -> Outcome:
    shutil.rmtree(project.cache)
    shutil.copytree(kept, project.cache)
    path = project.cache / name
    path.chmod(0o644)
    damage(path)
    return project.run()


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_every_file_in_turn(project: Project, damage: Callable[[Path], None]) -> None:
    kept = _kept(project)
    names = sorted(path.relative_to(kept) for path in kept.rglob("*") if path.is_file())
    assert {"cache.db", "indexes", "packs", "objects"} <= {name.parts[0] for name in names}
    wrong = []
    for name in names:
        outcome = _run_damaged(project, kept, name, damage)
        if (outcome.code, outcome.output) != (0, EXPECTED):
            wrong.append(f"{damage.__name__} {name}: {outcome}")
    assert not wrong, "\n".join(wrong)
