"""Whatever part was pulled: a checkout gives the same part of another version, and nothing that looks like a change."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from hitsave.looking.parts import choose, pull
from hitsave.looking.returning import go_back
from hitsave.repository import Repository
from hitsave.snapshots.pointer import Pointer, load_pointer, pointer_path

_FILES = ("a", "b", "c/a", "c/b", "c/d/e", "f", "f/x", "g/h", "c", "k")
_EMPTY = ("e", "c/e", "q/r")
_PATTERNS = ("/a", "c/", "/c/d", "f", "*a", "g/**", "/k", "b", "e")

#: What is in a folder: contents by path, None for a directory.
Content = dict[str, str | None]


def opened(folder: Path, remote: Path) -> Repository:
    workspace = folder / "project"
    workspace.mkdir(parents=True)
    (workspace / "hitsave.toml").write_text(f'project = "project"\n[remotes]\norigin = "{remote}"\n')
    environ = {"HITSAVE_LOCAL_CACHE_DIR": str(folder / "cache"), "HITSAVE_CONFIG_DIR": str(folder / "config")}
    return Repository.open(workspace, environ)


def write_any(chance: random.Random, folder: Path) -> None:
    """Some files and empty directories, and nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in chance.sample(_FILES, 6) + chance.sample(_EMPTY, 1):
        place = folder / name
        if any(above.is_file() for above in place.parents) or place.exists():
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if name in _EMPTY:
            place.mkdir()
        else:
            place.write_text(chance.choice("xyz"))


def content_of(folder: Path) -> Content:
    return {
        path.relative_to(folder).as_posix(): path.read_text() if path.is_file() else None for path in folder.rglob("*")
    }


def add(repository: Repository, folder: Path) -> Pointer:
    repository.add(folder)
    return load_pointer(pointer_path(folder))


def pull_some(chance: random.Random, repository: Repository, folder: Path) -> None:
    included, excluded = (
        chance.sample(_PATTERNS, chance.randint(1, 2)),
        chance.sample(("b", "c/d"), chance.randint(0, 1)),
    )
    pull(repository, choose(repository, [folder], included, excluded).wanted, None, force=False)


def walk_about(chance: random.Random, ben: Repository, folder: Path, versions: list[tuple[Pointer, Content]]) -> None:
    for _ in range(4):
        pointer, whole = chance.choice(versions)
        if not folder.is_dir():
            return
        before = content_of(folder)
        go_back(ben, folder, pointer)
        after = content_of(folder)
        assert after.items() <= whole.items()
        assert {name for name in before if before[name] is not None and whole.get(name) is not None} <= after.keys()
        assert not ben.status([folder])[0].changes
        assert add(ben, folder) == pointer
        if chance.random() < 0.4:
            name = chance.choice(("new", "c2/n"))
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text("own")
            above: Content = {"c2": None} if name == "c2/n" else {}
            versions.append((add(ben, folder), {**whole, **above, name: "own"}))
        if chance.random() < 0.3:
            pull_some(chance, ben, folder)


@pytest.mark.parametrize(
    "seeds", [range(20), pytest.param(range(20, 300), marks=pytest.mark.soak)], ids=["some", "many"]
)
def test_any_part_of_any_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seeds: range) -> None:
    for seed in seeds:
        chance, root = random.Random(seed), tmp_path / str(seed)
        with opened(root / "ann", root / "remote") as ann, opened(root / "ben", root / "remote") as ben:
            theirs, own = ann.workspace.root / "data", ben.workspace.root / "data"
            versions = []
            for _ in range(3):
                write_any(chance, theirs)
                versions.append((add(ann, theirs), content_of(theirs)))
            ann.push(None)
            pointer_path(own).write_bytes(pointer_path(theirs).read_bytes())
            monkeypatch.chdir(ben.workspace.root)
            pull_some(chance, ben, own)
            walk_about(chance, ben, own, versions)
