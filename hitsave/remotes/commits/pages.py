"""Parts of one index of a remote, read by ranges and kept in memory. Nothing here is checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hitsave.errors import MalformedObject

#: Parts are read and kept in pages of this many bytes.
PAGE = 1024
#: Pages that are no further apart than this come in one request.
NEAR = 8 * 1024
#: What a request costs beside its bytes, in bytes that could be read meanwhile.
REQUEST = 32 * 1024
_LONGEST = 4 << 20

#: Where a part begins, and where it ends.
Span = tuple[int, int]


class Pages:
    """The parts of an index of `length` bytes that were read so far. `get` gives the bytes from one offset to another.

    `spent` is what reading them has cost: their bytes, and REQUEST for each request.
    """

    def __init__(self, get: Callable[[int, int], bytes], length: int) -> None:
        self._get = get
        self._length = length
        self._pages: dict[int, bytes] = {}
        self.spent = 0

    def jobs(self, spans: Iterable[Span]) -> list[Callable[[], object]]:
        """The requests that bring what is missing of these parts. They may be made side by side."""
        wanted: set[int] = set()
        for start, stop in spans:
            wanted.update(range(start // PAGE, -(-stop // PAGE)))
        missing = sorted(page for page in wanted if page not in self._pages)
        runs: list[list[int]] = []
        for page in missing:
            if runs and (page - runs[-1][1]) * PAGE <= NEAR and (page - runs[-1][0]) * PAGE < _LONGEST:
                runs[-1][1] = page + 1
            else:
                runs.append([page, page + 1])
        return [lambda first=first, last=last: self._load(first, last) for first, last in runs]  # type: ignore[misc]

    def _load(self, first: int, last: int) -> None:
        start, stop = first * PAGE, min(last * PAGE, self._length)
        content = self._get(start, stop)
        self.spent += REQUEST + len(content)
        for page in range(first, last):
            at = page * PAGE - start
            self._pages[page] = content[at : at + PAGE]

    def read(self, start: int, stop: int) -> bytes:
        """A part that was read before. Raises MalformedObject where the value ended before it."""
        first = start // PAGE
        pages = [self._pages[page] for page in range(first, -(-stop // PAGE))]
        part = b"".join(pages)[start - first * PAGE : stop - first * PAGE]
        if len(part) != stop - start:
            raise MalformedObject("index", "is shorter than its commit says")
        return part
