"""Libraries read through the file system, out of a remote and with an empty cache, and only what they need."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import fsspec
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.filesystem.conftest import Reader, become, publish
from tests.filesystem.tables import COLUMNS, ROW_GROUPS, ROWS, column, image, large_parquet

#: Beside the column: for each row group, the blocks at both ends that are not needed whole; and the table's footer.
MOST_BESIDE = ROW_GROUPS * 2 * (384 << 10) + (1 << 20)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, int]:
    """The folder of a remote, the digest of a directory in it, and the bytes of its large table."""
    folder = tmp_path_factory.mktemp("published")
    table = large_parquet()
    assert len(table) >= 64_000_000
    small = {f"part-{number}.csv": f"x,y\n{number},1\n".encode() for number in range(3)}
    return folder, publish(folder, {"large.parquet": table, "image.png": image(), **small}), len(table)


@pytest.fixture
def reader(published: tuple[Path, str, int], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Reader:
    return become(published[0], request.node.name.replace("[", "-").replace("]", ""), monkeypatch)


def by_pandas(url: str) -> float:
    return float(pd.read_parquet(url, columns=["c3"])["c3"].sum())


def by_polars(url: str) -> float:
    return float(pl.read_parquet(url, columns=["c3"], use_pyarrow=True)["c3"].sum())


def lazily_by_polars(url: str) -> float:
    table = ds.dataset(f"fsspec+{url}", format="parquet")
    return float(pl.scan_pyarrow_dataset(table).select(pl.col("c3").sum()).collect().item())


def by_pyarrow(url: str) -> float:
    return float(pq.read_table(f"fsspec+{url}", columns=["c3"])["c3"].to_numpy().sum())


def by_pyarrow_dataset(url: str) -> float:
    path = url.removeprefix("hitsave://")
    table = ds.dataset(path, filesystem=fsspec.filesystem("hitsave"), format="parquet")
    return float(table.to_table(columns=["c3"])["c3"].to_numpy().sum())


def by_duckdb(url: str) -> float:
    with duckdb.connect() as connection:
        connection.register_filesystem(fsspec.filesystem("hitsave"))
        found = connection.sql(f"SELECT sum(c3) FROM read_parquet('{url}')").fetchall()
    return float(found[0][0])


@pytest.mark.parametrize(
    "read",
    [by_pandas, by_polars, lazily_by_polars, by_pyarrow, by_pyarrow_dataset, by_duckdb],
    ids=lambda f: f.__name__,
)
def test_one_column_of_a_large_table(
    published: tuple[Path, str, int], reader: Reader, read: Callable[[str], float]
) -> None:
    _, digest, size = published
    total = read(f"hitsave://{digest[:12]}/large.parquet")
    assert total == pytest.approx(column(3).sum(), rel=1e-9)
    assert size // COLUMNS < reader.received < 8 * ROWS + MOST_BESIDE < size / 3
    assert reader.keeps_nothing()


def test_pandas_reads_one_row_group(published: tuple[Path, str, int], reader: Reader) -> None:
    _, digest, _ = published
    with fsspec.open(f"hitsave://{digest}/large.parquet") as file:
        group = pq.ParquetFile(file).read_row_group(5, columns=["c0"])
    start = 5 * (ROWS // ROW_GROUPS)
    assert group["c0"].to_numpy().tolist() == column(0)[start : start + group.num_rows].tolist()
    assert reader.received < 8 * group.num_rows + 2 * (384 << 10) + (1 << 20)


def test_tables_of_text(published: tuple[Path, str, int], reader: Reader) -> None:
    _, digest, _ = published
    assert pd.read_csv(f"hitsave://{digest}/part-1.csv").to_dict("list") == {"x": [1], "y": [1]}
    with duckdb.connect() as connection:
        connection.register_filesystem(fsspec.filesystem("hitsave"))
        found = connection.sql(f"SELECT sum(x) FROM read_csv('hitsave://{digest}/part-*.csv')").fetchall()
    assert found == [(3,)]
    files = fsspec.open_files(f"hitsave://{digest}/*.csv", "rt")
    assert len(files) == 3
    with files as opened:
        assert [file.read() for file in opened] == [f"x,y\n{number},1\n" for number in range(3)]


def test_an_image(published: tuple[Path, str, int], reader: Reader) -> None:
    with fsspec.open(f"hitsave://{published[1]}/image.png") as file, Image.open(file) as opened:
        assert opened.size == (50, 40)
        assert opened.getpixel((1, 1)) == (1, 2, 3)
    assert reader.received < 1 << 20


def test_what_is_in_the_cache_asks_no_remote(published: tuple[Path, str, int], reader: Reader) -> None:
    _, digest, _ = published
    reader.repository.read_only_tree(reader.repository.resolve(digest).digest, fetch=True)
    reader.reset()
    assert by_pandas(f"hitsave://{digest}/large.parquet") == pytest.approx(column(3).sum(), rel=1e-9)
    assert pd.read_csv(f"hitsave://{digest}/part-2.csv")["x"].tolist() == [2]
    assert reader.requests == 0
