"""What can be shown of a file by its first bytes: text, a table, an image, or the bytes themselves.

Files come from strangers. No format that a browser could execute is ever shown as what it is: HTML and SVG are text.
"""

from __future__ import annotations

import csv
import importlib.util
import io
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from hitsave.server.pages import numpyfiles
from hitsave.server.pages.parquet import Unreadable, first_rows

#: Bytes that are looked at of a text, and rows of a table.
TEXT_BYTES = 64 << 10
_ROWS = 100
_COLUMNS = 100
_LONGEST_CELL = 200
_DUMP_BYTES = 512
#: An image is shown up to this size, and a table read out of a file with a footer no larger than this.
LARGEST_IMAGE = 20 << 20
_LARGEST_FOOTER = 8 << 20

_IMAGES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


class TextPreview(NamedTuple):
    """Lines of a text; `cut` where it goes on."""

    encoding: str
    lines: tuple[str, ...]
    cut: bool


class TablePreview(NamedTuple):
    """The first rows of a table. `about` says what it is in all; `types` are empty where there are none."""

    about: str
    names: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    cut: bool


class ImagePreview(NamedTuple):
    """An image that a browser can show."""

    media_type: str


class DumpPreview(NamedTuple):
    """The first bytes, in rows of an offset, hex and text."""

    rows: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """What is shown of a file, and a remark where something is not."""

    shown: TextPreview | TablePreview | ImagePreview | DumpPreview
    note: str = ""

    @property
    def kind(self) -> str:
        """A word for it: text, table, image or dump."""
        return type(self.shown).__name__.removesuffix("Preview").lower()


def image_type(head: bytes) -> str | None:
    """The media type of an image that a browser can show, by its first bytes; None for anything else."""
    for magic, media_type in _IMAGES:
        if head.startswith(magic):
            return media_type
    return "image/webp" if head[:4] == b"RIFF" and head[8:12] == b"WEBP" else None


def preview(file: BinaryIO, name: bytes, size: int) -> Preview:
    """What can be shown of a file, of which little is read. Raises what reading it raises."""
    head = file.read(TEXT_BYTES)
    lower = name.lower()
    if image_type(head) is not None:
        if size <= LARGEST_IMAGE:
            return Preview(ImagePreview(image_type(head) or ""))
        return Preview(_dump(head), "The image is too large to be shown here.")
    if head[:4] == b"PAR1" or lower.endswith(b".parquet"):
        return _parquet(file, head, size)
    if head.startswith(numpyfiles.MAGIC):
        return _numpy(file, head, size)
    text = _text(head, size > len(head))
    if text is None:
        return Preview(_dump(head))
    if lower.endswith((b".csv", b".tsv")):
        table = _csv("\n".join(text.lines), "\t" if lower.endswith(b".tsv") else ",", text.cut)
        if table is not None:
            return Preview(table)
    return Preview(text)


def _text(head: bytes, cut: bool) -> TextPreview | None:
    """The lines of a text; None where it is none."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if head.startswith(mark):
            text = head.decode(encoding, "replace").lstrip("\ufeff")
            return TextPreview(encoding.removesuffix("-sig").upper(), tuple(text.splitlines()), cut)
    if b"\0" in head:
        return None
    try:
        # A cut may go through a character, which has four bytes at most.
        text = head.decode() if not cut else _decode_cut(head)
        encoding = "UTF-8"
    except UnicodeDecodeError:
        strange = sum((byte < 32 and byte not in (9, 10, 12, 13, 27)) or 127 <= byte < 160 for byte in head)
        if strange > len(head) // 50:
            return None
        text, encoding = head.decode("latin-1"), "Latin-1, perhaps"
    return TextPreview(encoding, tuple(text.splitlines()), cut)


def _decode_cut(head: bytes) -> str:
    for missing in range(4):
        try:
            return head[: len(head) - missing].decode()
        except UnicodeDecodeError:
            if missing == 3:
                raise
    raise AssertionError("the last attempt returns or raises")


def _csv(text: str, delimiter: str, cut: bool) -> TablePreview | None:
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter=delimiter))
    except csv.Error:
        return None
    if len(rows) < 2 or len(rows[0]) < 2:
        return None
    if cut:
        rows.pop()
    width = min(max(map(len, rows)), _COLUMNS)
    cells = [tuple(cell[:_LONGEST_CELL] for cell in [*row, *[""] * width][:width]) for row in rows]
    more = cut or len(rows) > _ROWS + 1
    about = f"{len(rows[0])} columns" + ("" if cut else f", {len(rows) - 1:,} rows")
    return TablePreview(about, cells[0], (), tuple(cells[1 : _ROWS + 1]), more)


def _dump(head: bytes) -> DumpPreview:
    rows = []
    for at in range(0, min(len(head), _DUMP_BYTES), 16):
        piece = head[at : at + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in piece)
        rows.append((f"{at:08x}", piece.hex(" "), text))
    return DumpPreview(tuple(rows))


def _numpy(file: BinaryIO, head: bytes, size: int) -> Preview:
    try:
        found = numpyfiles.read_numpy(file, size)
    except numpyfiles.Unreadable as error:
        return Preview(_dump(head), str(error))
    width = len(found.rows[0]) if found.rows else 0
    names = ("value",) if len(found.shape) < 2 else tuple(map(str, range(width)))
    about = f"{found.about}; of it, {found.part}" if found.part else found.about
    whole = found.shape[-2:] if len(found.shape) > 1 else (*found.shape, 1)
    cut = (len(found.rows), width) != tuple(whole) and bool(found.rows) and bool(found.shape)
    return Preview(TablePreview(about, names, (), found.rows, cut))


# -- Parquet


def _parquet(file: BinaryIO, head: bytes, size: int) -> Preview:
    if importlib.util.find_spec("pyarrow") is None:
        return Preview(_dump(head), "To show Parquet files as tables, install pyarrow beside the server.")
    file.seek(max(size - 8, 0))
    if int.from_bytes(file.read(4), "little") > min(_LARGEST_FOOTER, size):
        return Preview(_dump(head), "Its footer is too large to be read here.")
    try:
        found = first_rows(file, size)
    except Unreadable:
        return Preview(_dump(head), "It cannot be read as a Parquet file.")
    rows = tuple(map(tuple, found["rows"]))
    table = TablePreview(found["about"], tuple(found["names"]), tuple(found["types"]), rows, found["cut"])
    return Preview(table, "Its rows lie in groups that are too large to be read here." if found["large"] else "")
