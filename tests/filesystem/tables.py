"""Files for tests: a few small ones and a large one, tables, and an image."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tests.remotes.content import noise

LARGE = noise(3 << 20)
FILES = {
    "readme.md": b"about\n",
    "train/0.csv": b"x,y\n1,2\n",
    "train/1.csv": b"x,y\n3,4\n",
    "train/deep/large.bin": LARGE,
    "odd [name]/a#b %20.txt": b"odd",
    "empty": b"",
}

COLUMNS = 8
ROWS = 1_100_000
ROW_GROUPS = 8


def column(number: int) -> Any:
    """The values of a column of the large table, which do not compress."""
    return np.random.default_rng(number).random(ROWS)


def large_parquet() -> bytes:
    """A table of 70 MB in several row groups."""
    file = io.BytesIO()
    table = pa.table({f"c{number}": column(number) for number in range(COLUMNS)})
    pq.write_table(table, file, row_group_size=ROWS // ROW_GROUPS, compression="none", use_dictionary=False)
    return file.getvalue()


def image() -> bytes:
    """A small PNG."""
    file = io.BytesIO()
    Image.new("RGB", (50, 40), (1, 2, 3)).save(file, "PNG")
    return file.getvalue()
