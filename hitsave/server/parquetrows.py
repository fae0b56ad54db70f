"""A program that reads the first rows of a Parquet file, for whoever started it and has the file.

pyarrow believes what a file says of its sizes, and takes the memory. So it does that in here, where it cannot have much
of it, and where a crash harms nobody. On its output it asks for bytes of the file (`R`, start, length), which come on
its input with their length before them, and at last it tells what it found (`E`, 0, length, then JSON).
"""

from __future__ import annotations

import io
import json
import os
import struct
import sys
from typing import Any, BinaryIO

ASK = struct.Struct("<cQQ")
LENGTH = struct.Struct("<Q")
MOST_ROWS = 100
MOST_COLUMNS = 100
LONGEST_CELL = 200
#: Bytes of memory, besides what programs and libraries take.
_MEMORY = 1 << 30
_LARGEST_GROUP = 64 << 20


class AskedFile(io.RawIOBase):
    """A file that another process has."""

    def __init__(self, size: int, questions: BinaryIO, answers: BinaryIO) -> None:
        self._size = size
        self._at = 0
        self._questions = questions
        self._answers = answers

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as there is something."""
        view = memoryview(buffer).cast("B")
        self._questions.write(ASK.pack(b"R", self._at, len(view)))
        self._questions.flush()
        (length,) = LENGTH.unpack(self._answers.read(LENGTH.size))
        view[:length] = self._answers.read(length)
        self._at += length
        return int(length)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def first_rows(file: BinaryIO) -> dict[str, Any]:
    """What a file says of itself, and its first rows. Raises whatever pyarrow raises."""
    import pyarrow.parquet as parquet

    table = parquet.ParquetFile(file, pre_buffer=False)
    metadata, schema = table.metadata, table.schema_arrow
    groups = metadata.num_row_groups
    names = [str(name) for name in schema.names[:MOST_COLUMNS]]
    sizes = (metadata.num_columns, metadata.num_rows, groups)
    found = {
        "about": ", ".join(map(_count, sizes, ("column", "row", "row group"))),
        "names": [name[:LONGEST_CELL] for name in names],
        "types": [str(field.type)[:LONGEST_CELL] for field in schema][:MOST_COLUMNS],
    }
    if groups and metadata.row_group(0).total_byte_size > _LARGEST_GROUP:
        return {**found, "rows": [], "cut": True, "large": True}
    rows: list[list[str]] = []
    batches = table.iter_batches(MOST_ROWS, columns=names, row_groups=[0] if groups else [], use_threads=False)
    for batch in batches:
        columns = [batch.column(number) for number in range(batch.num_columns)]
        rows = [[str(column[at].as_py())[:LONGEST_CELL] for column in columns] for at in range(batch.num_rows)]
        break
    return {**found, "rows": rows, "cut": metadata.num_rows > len(rows), "large": False}


def main(size: int) -> None:
    """Read the file of so many bytes that the other process has."""
    _limit_memory()
    with os.fdopen(os.dup(1), "wb") as questions, open(0, "rb", closefd=False) as answers:
        os.dup2(2, 1)  # Whatever a library prints is no answer.
        found = first_rows(io.BufferedReader(AskedFile(size, questions, answers)))
        content = json.dumps(found).encode()
        questions.write(ASK.pack(b"E", 0, len(content)) + content)


def _limit_memory() -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main(int(sys.argv[1]))
