"""The code in docs/python.md runs, and prints what it should."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hitsave.repository import Repository
from tests.api.content import write
from tests.filesystem.conftest import become
from tests.filesystem.tables import image

DOCUMENT = Path(__file__).parents[2] / "docs/python.md"
EXPECTED = """
weight,name
b'PAR1'
tables/cars.csv 24
3,a
['cars.csv']
7
499500
['data.hitsave/tables/cars.csv']
b'PAR1'
1000
999000
1000
[(499500,)]
(50, 40)
"""


def run(block: str) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block, str(DOCUMENT), "exec"), {})
    return printed.getvalue()


def test_the_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    become(tmp_path, "ann", monkeypatch)
    table = io.BytesIO()
    pq.write_table(pa.table({"a": range(1000), "b": range(0, 2000, 2)}), table)
    files = {
        "tables/cars.csv": b"weight,name\n3,a\n4,b\n\n\n\n\n",
        "large.parquet": table.getvalue(),
        "photo.png": image(),
    }
    write(tmp_path / "ann/data", files)
    Repository.default().add(Path("data"))
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert len(blocks) == 7
    assert "".join(map(run, blocks)) == EXPECTED.removeprefix("\n")
