"""Changes that a result must not survive.

Where values are part of the key, the first run is repeated as well, and must then be a hit: they have to mean the same
in another process. For the others `test_must_hit` says enough, and each process takes its time.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.memo.projects.harness import Project
from tests.memo.projects.notation import Case, follow, read_cases

#: Themes about values.
_AGAIN = ("arguments", "globals", "odd_things")


@pytest.mark.parametrize("case", read_cases("must_run"), ids=lambda case: case.id)
def test_runs_again(case: Case, tmp_path: Path) -> None:
    follow(case, Project(tmp_path), again=case.theme in _AGAIN)
