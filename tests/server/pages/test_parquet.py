"""Parquet files that lie about their sizes: they are read where they can take neither memory nor time from others."""

from __future__ import annotations

import io

import pytest

from hitsave.server.pages.previews import TablePreview, preview

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def written(rows: int = 1000, **how: object) -> bytes:
    """A file of three columns."""
    table = pyarrow.table(
        {"n": range(rows), "text": [f"<b>{n}" for n in range(rows)], "list": [[n] for n in range(rows)]}
    )
    file = io.BytesIO()
    parquet.write_table(table, file, **how)
    return file.getvalue()


def test_a_file_is_a_table() -> None:
    content = written()
    shown = preview(io.BytesIO(content), b"a.parquet", len(content)).shown
    assert isinstance(shown, TablePreview)
    assert (shown.names[:2], len(shown.rows), shown.rows[3][:2], shown.cut) == (("n", "text"), 100, ("3", "<b>3"), True)


def test_a_file_without_rows_is_a_table() -> None:
    content = written(0)
    shown = preview(io.BytesIO(content), b"a.parquet", len(content)).shown
    assert isinstance(shown, TablePreview)
    assert shown.rows == ()


def test_what_is_broken_anywhere_is_no_fault() -> None:
    content = written(100, compression="zstd")
    for at in (0, 4, 10, len(content) // 2, len(content) - 40, len(content) - 9):
        broken = content[:at] + b"\xff" * 8 + content[at + 8 :]
        assert preview(io.BytesIO(broken), b"a.parquet", len(broken)).kind in ("table", "dump")
    for cut in (b"PAR1", content[:20], b"PAR1" + b"\0" * 8 + b"PAR1", content[:-8] + b"\xff\xff\xff\x7fPAR1"):
        assert preview(io.BytesIO(cut), b"a.parquet", len(cut)).kind == "dump"


def varint(number: int, length: int = 0) -> bytes:
    """A number as footers have it, in so many bytes at least."""
    number <<= 1
    found = bytearray()
    while number >= 128 or len(found) + 1 < length:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


@pytest.mark.soak
def test_a_footer_that_lies_takes_no_memory() -> None:
    size = 1_200_000_000
    file = io.BytesIO()
    table = pyarrow.table({"x": pyarrow.array([bytes(size)], pyarrow.large_binary())})
    parquet.write_table(table, file, compression="zstd", use_dictionary=False, write_statistics=False)
    content = file.getvalue()
    group = parquet.ParquetFile(file).metadata.row_group(0).total_byte_size
    honest = varint(group)
    begin = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    assert honest in content[begin:]
    lying = content[:begin] + content[begin:].replace(honest, varint(1000, len(honest)))
    assert preview(io.BytesIO(content), b"a.parquet", len(content)).note.startswith("Its rows lie in groups")
    assert preview(io.BytesIO(lying), b"a.parquet", len(lying)).note == "It cannot be read as a Parquet file."
