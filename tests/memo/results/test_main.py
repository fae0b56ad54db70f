"""What `__main__` defines can be read by the same program, by others that import it, and is never mistaken."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.memo.results.programs import TRAIN, run

KEEP = "import train; train.keep('kept')"
SPAWN = """
if __name__ == "__main__":
    import multiprocessing
    process = multiprocessing.get_context("spawn").Process(target=keep, args=("kept",))
    process.start()
    process.join()
"""
SHOW = "import train; train.show('kept')"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(TRAIN)
    return tmp_path


@pytest.mark.parametrize("kept_by", [("train.py", "keep", "kept"), ("-m", "train", "keep", "kept"), ("-c", KEEP)])
@pytest.mark.parametrize("shown_by", [("train.py", "show", "kept"), ("-m", "train", "show", "kept"), ("-c", SHOW)])
def test_read_whichever_way_the_program_runs(folder: Path, kept_by: tuple[str, ...], shown_by: tuple[str, ...]) -> None:
    run(folder, *kept_by)
    lines = run(folder, *shown_by)
    assert lines[-1] == "True True True 7"
    assert len(lines) == 2, "its module ran once"


def test_another_main_with_a_class_of_that_name_is_not_taken_for_it(folder: Path) -> None:
    run(folder, "train.py", "keep", "kept")
    (folder / "other.py").write_text(TRAIN.replace("value: int", "value: str"))
    assert run(folder, "other.py", "show", "kept")[-1] == "False False False 7"


def test_a_main_that_is_gone(folder: Path) -> None:
    run(folder, "train.py", "keep", "kept")
    (folder / "train.py").rename(folder / "other.py")
    assert run(folder, "other.py", "show", "kept")[-1].startswith("unreadable: ")


def test_without_a_name(folder: Path) -> None:
    run(folder, "-c", TRAIN.replace("sys.argv[1]", "'keep'").replace("sys.argv[2]", "'kept'"))
    assert run(folder, "-c", TRAIN.replace("sys.argv[1]", "'show'").replace("sys.argv[2]", "'kept'"))[-1] == (
        "True True True 7"
    )
    assert "notebook" in run(folder, "train.py", "show", "kept")[-1]


def test_in_a_process_that_multiprocessing_spawned(folder: Path) -> None:
    definitions, _, _ = TRAIN.partition("if __name__")
    (folder / "spawning.py").write_text(definitions + SPAWN)
    run(folder, "spawning.py")
    (folder / "spawning.py").write_text(TRAIN)
    assert run(folder, "spawning.py", "show", "kept")[-1] == "True True True 7"
