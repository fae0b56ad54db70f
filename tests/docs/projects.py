"""What the readers of pages have on their disks before they begin: small data that are the same at each run."""

from __future__ import annotations

import io
import random
import subprocess
from pathlib import Path

from tests.cli.world import git_environment


def _content(name: str, size: int) -> bytes:
    """Bytes that do not compress, as those of images."""
    return random.Random(name).randbytes(size)


def _write(folder: Path, name: str, content: bytes) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _repository(folder: Path) -> None:
    subprocess.run(["git", "init", "--quiet", "-b", "main", folder], check=True, env=git_environment())


def model(folder: Path) -> None:
    """A model of some size, in a git repository."""
    _repository(folder)
    _write(folder, "model.bin", _content("model", 300_000))


def photos(folder: Path) -> None:
    """Photographs in two folders, with a table of labels, in a git repository."""
    _repository(folder)
    for number in range(1, 7):
        _write(folder, f"photos/cats/{number}.jpg", _content(f"cat {number}", 150_000 + 1000 * number))
        _write(folder, f"photos/dogs/{number}.jpg", _content(f"dog {number}", 40_000 + 1000 * number))
    rows = [f"{kind}/{number}.jpg,{kind[:-1]}\n" for kind in ("cats", "dogs") for number in range(1, 7)]
    _write(folder, "photos/labels.csv", "".join(["file,label\n", *rows]).encode())


def tables(folder: Path) -> None:
    """A table as text, a large one as Parquet, and a photograph; they are a dataset already, in a git repository."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tests.filesystem.tables import image

    _repository(folder)
    large = io.BytesIO()
    pq.write_table(pa.table({"a": range(1000), "b": range(0, 2000, 2)}), large)
    _write(folder, "data/large.parquet", large.getvalue())
    _write(folder, "data/tables/cars.csv", b"name,weight\nbeetle,840\nmini,617\n")
    _write(folder, "data/photo.png", image())


def images_and_tables(folder: Path) -> None:
    """As `make try` has them, by number and kind: 28 PNG images among 81 files, and a table of cars."""
    _repository(folder)
    _write(folder, "data/images/coffee.png", _content("coffee", 466_706))
    _write(folder, "data/images/horse.png", _content("horse", 17_000))
    for number in range(22):
        _write(folder, f"data/images/{number}.png", _content(f"image {number}", 900_000))
    for number in range(4):
        _write(folder, f"data/tables/icons/{number}.png", _content(f"icon {number}", 2_000))
    for number in range(52):
        _write(folder, f"data/tables/{number}.json", _content(f"table {number}", 4_000))
    _write(folder, "data/tables/auto-mpg.csv", b"mpg,cyl,displ,hp,weight,accel,yr,origin,name\n" + b"18,8,307\n" * 300)
