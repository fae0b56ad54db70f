"""What a server is started with. Values come in; nothing here looks at the environment."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path

from hitsave.errors import suggest
from hitsave.limits import parse_size


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What one client may ask for; sizes in bytes, times in seconds.

    `pack`, `index`, `refs` and `small` bound the values that are put: clients close a pack at 64 MiB, and then come its
    last block and the table; an index of four million entries has 200 MB. What is compressed may decode to `block`
    bytes in a block, `decoded` in all of a pack, and `segment` in a ref segment, which holds `records` refs at most.

    `uploads` values are received at once, with `temporary` bytes under DATA/tmp; who comes then waits for `patience`.
    Requests are counted by key and by address, a minute each; `failures` are the keys that an address may get wrong in
    a minute. A request's head must be there after `head_time`; in each `body_time`, at least 64 KiB of a body have to
    come, and of an answer to be taken. A connection that is not used is closed after `idle_time`. Requests under way
    have `grace` to end when the server is told to stop. A statement in the database has `database_time`.
    """

    pack: int = 512 << 20
    index: int = 512 << 20
    refs: int = 256 << 20
    small: int = 4 << 20
    block: int = 256 << 20
    decoded: int = 32 << 30
    segment: int = 256 << 20
    records: int = 1_000_000
    json: int = 1 << 20
    uploads: int = 32
    temporary: int = 4 << 30
    patience: float = 60.0
    requests_by_key: int = 60_000
    requests_by_address: int = 60_000
    failures: int = 20
    head_time: float = 15.0
    body_time: float = 30.0
    idle_time: int = 20
    connections: int = 1000
    grace: float = 10.0
    database_time: float = 30.0


def parse_server_limits(texts: Iterable[str]) -> ServerLimits:
    """Limits of which some are given, as in "pack=1GiB" and "body_time=60". Raises ValueError."""
    known = {one.name: type(one.default) for one in fields(ServerLimits)}
    given: dict[str, int | float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in known:
            raise ValueError(f"there is no limit {name!r}{suggest(name, known, 'there are ' + ', '.join(known))}")
        try:
            given[name] = _parse_positive(value) if known[name] is int else _parse_seconds(value)
        except ValueError as error:
            raise ValueError(f"{name} {error}, not {value!r}") from None
    return ServerLimits(**given)  # type: ignore[arg-type]


def _parse_positive(text: str) -> int:
    if not (number := parse_size(text)):
        raise ValueError("must be at least 1")
    return number


def _parse_seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ValueError("must be a number of seconds")
    return seconds


@dataclass(frozen=True, slots=True)
class Settings:
    """One server.

    `data` holds what belongs to this machine: temporary files, a cache, `admin.key`, and without settings of their own
    the store and the database. `store` is a folder or the URL of a remote, `database` a URL of SQLAlchemy. `url` is how
    clients call the server where a proxy stands before it; `proxies` are the addresses, separated by commas, whose
    X-Forwarded-For is believed.
    """

    data: Path
    host: str = "127.0.0.1"
    port: int = 8321
    store: str = ""
    database: str = ""
    url: str = ""
    proxies: str = ""
    limits: ServerLimits = field(default_factory=ServerLimits)

    @property
    def store_url(self) -> str:
        """Where the store is."""
        return self.store or str(self.data / "store")

    @property
    def own_database(self) -> Path:
        """The file of the database that is used where none is named."""
        return self.data / "server.sqlite"

    @property
    def database_url(self) -> str:
        """Where the database is."""
        return self.database or f"sqlite:///{self.own_database.as_posix()}"

    @property
    def public_url(self) -> str:
        """How clients call this server, without a slash at its end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (self.url or f"http://{host}:{self.port}").rstrip("/")
