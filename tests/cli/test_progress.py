"""What the bar says of transfers: how much there is, and files only when some are done."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hitsave.cli.progress import Terminal
from hitsave.repository import Repository
from tests.faults.operations import noise


class Watching:
    """Notes what is begun, with its size."""

    def __init__(self) -> None:
        self.begun: dict[str, int | None] = {}

    def start(self, what: str, size: int | None = None) -> None:
        """Noted."""
        self.begun[what] = size

    def advance(self, size: int, files: int = 0) -> None:
        """Ignored."""

    def note(self, text: str) -> None:
        """Ignored."""


def open_repository(folder: Path, name: str, progress: Watching) -> Repository:
    (folder / "hitsave.toml").write_text(f"[remotes]\norigin = '{folder / 'remote'}'\n")
    environ = {"HITSAVE_LOCAL_CACHE_DIR": str(folder / name), "HITSAVE_CONFIG_DIR": str(folder / "config")}
    return Repository.open(folder, environ, progress)


def test_a_single_file_has_a_total_when_it_is_fetched(tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(noise(1, 300_000))
    with open_repository(tmp_path, "first", Watching()) as repository:
        repository.add(large)
        repository.push(None)
    watching = Watching()
    with open_repository(tmp_path, "second", watching) as repository:
        repository.fetch([large])
    assert watching.begun["fetching"] == 300_000


def test_no_files_are_counted_before_one_is_done(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    bar = Terminal(quiet=False)
    bar.start("pushing", 10 << 20)
    assert bar._bar is not None
    bar._bar.delay = 0
    bar.advance(2 << 20)
    bar._bar.refresh()
    assert "files" not in capsys.readouterr().err
    bar.advance(2 << 20, 1)
    bar._bar.refresh()
    assert re.search(r"4\.19M/10\.5M.*, 1 file]", capsys.readouterr().err)
    bar.close()
