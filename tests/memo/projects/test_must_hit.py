"""Changes that cost nothing: the kept result is taken, no body runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.memo.projects.harness import Project
from tests.memo.projects.notation import Case, follow, read_cases


@pytest.mark.parametrize("case", read_cases("must_hit"), ids=lambda case: case.id)
def test_takes_the_kept_result(case: Case, tmp_path: Path) -> None:
    follow(case, Project(tmp_path))
