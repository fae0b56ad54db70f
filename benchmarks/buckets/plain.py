"""Plain uploads with obstore: what the server and the network take, where nothing is cut, named or remembered.

`python plain.py ACTION ENDPOINT BUCKET FOLDER` with AWS's variables. `put-files` and `get-files` move every file of a
folder as one object; `put-pieces` and `get-pieces` move the same bytes in objects of 64 MiB; `get-file` one file;
`list` prints bytes and objects of the bucket.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import obstore
from obstore.store import S3Store

_PIECE = 64 << 20
_FILES_AT_ONCE = 16
_PIECES_AT_ONCE = 4
_LARGE = 16 << 20
#: Of other kinds the server compresses what looks like text, which costs it more than all the rest.
_KIND = {"Content-Type": "application/zstd"}
T = TypeVar("T")


def put_files(store: S3Store, folder: Path) -> None:
    """Every file as one object; large ones in parts."""

    def put(path: Path) -> None:
        large = path.stat().st_size > _LARGE
        obstore.put(store, path.relative_to(folder).as_posix(), path if large else path.read_bytes(), attributes=_KIND)

    _in_threads(put, (path for path in folder.rglob("*") if path.is_file()), _FILES_AT_ONCE)


def get_files(store: S3Store, folder: Path) -> None:
    """Every object as one file, which was not there before."""
    keys = [found["path"] for page in obstore.list(store) for found in page]
    for inner in sorted({(folder / key).parent for key in keys}):
        inner.mkdir(parents=True, exist_ok=True)
    _in_threads(lambda key: get_file(store, folder, key), keys, _FILES_AT_ONCE)


def get_file(store: S3Store, folder: Path, key: str) -> None:
    """One object."""
    (folder / key).parent.mkdir(parents=True, exist_ok=True)
    with (folder / key).open("xb") as file:
        for piece in obstore.get(store, key).stream(1 << 20):
            file.write(piece)


def put_pieces(store: S3Store, folder: Path) -> None:
    """The bytes of all files one after the other, in few objects."""

    def put(piece: tuple[str, bytes]) -> None:
        obstore.put(store, *piece, use_multipart=False, attributes=_KIND)

    _in_threads(put, _pieces(folder), _PIECES_AT_ONCE)


def get_pieces(store: S3Store, folder: Path) -> None:
    """Every object at its place in one file."""
    keys = sorted(found["path"] for page in obstore.list(store) for found in page)
    with (folder / "pieces").open("xb") as file:

        def get(numbered: tuple[int, str]) -> None:
            number, key = numbered
            os.pwrite(file.fileno(), obstore.get(store, key).bytes(), number * _PIECE)

        _in_threads(get, enumerate(keys), _PIECES_AT_ONCE)


def show(store: S3Store) -> None:
    """Bytes and objects, as JSON."""
    size = count = 0
    for page in obstore.list(store):
        size += sum(found["size"] for found in page)
        count += len(page)
    print(json.dumps([size, count]))


def _pieces(folder: Path) -> Iterator[tuple[str, bytes]]:
    number, held = 0, bytearray()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            while part := file.read(_PIECE - len(held)):
                held += part
                if len(held) == _PIECE:
                    yield f"piece-{number:06d}", bytes(held)
                    number, held = number + 1, bytearray()
    if held:
        yield f"piece-{number:06d}", bytes(held)


def _in_threads(work: Callable[[T], object], items: Iterable[T], threads: int) -> None:
    """At most so many at once; nothing is taken from `items` before a thread is free."""
    remaining = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        under_way = []
        for item in remaining:
            under_way.append(pool.submit(work, item))
            if len(under_way) >= threads:
                under_way.pop(0).result()
        for last in under_way:
            last.result()


def main(action: str, endpoint: str, bucket: str, folder: str = ".", *keys: str) -> None:
    store = S3Store(bucket, endpoint=endpoint, client_options={"allow_http": True, "timeout": "15m"})
    if action == "list":
        return show(store)
    if action == "get-file":
        return get_file(store, Path(folder), *keys)
    actions = {"put-files": put_files, "get-files": get_files, "put-pieces": put_pieces, "get-pieces": get_pieces}
    return actions[action](store, Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
