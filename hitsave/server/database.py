"""Keys, sessions of browsers, and the audit log, in SQLite or PostgreSQL alike.

Times are whole seconds since 1970. Several servers may use one database; whatever must happen once is decided by it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sql
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from hitsave.errors import ConfigError

#: What the tables look like. A database with another number is refused.
SCHEMA_VERSION = 1
#: Seconds that a statement may take, for the most part waiting for others' locks, and a connection.
PATIENCE = 30.0

metadata = sql.MetaData()

versions = sql.Table("hitsave_schema", metadata, sql.Column("version", sql.Integer, primary_key=True))

keys = sql.Table(
    "hitsave_keys",
    metadata,
    sql.Column("id", sql.String(8), primary_key=True),
    sql.Column("hash", sql.String(64), nullable=False),
    sql.Column("label", sql.Text, nullable=False),
    sql.Column("role", sql.String(8), nullable=False),
    sql.Column("created", sql.BigInteger, nullable=False),
    sql.Column("expires", sql.BigInteger),
    sql.Column("revoked", sql.BigInteger),
    sql.Column("last_used", sql.BigInteger),
)

browser_sessions = sql.Table(
    "hitsave_sessions",
    metadata,
    sql.Column("hash", sql.String(64), primary_key=True),
    sql.Column("key_id", sql.String(8), sql.ForeignKey("hitsave_keys.id"), nullable=False, index=True),
    sql.Column("csrf", sql.String(64), nullable=False),
    sql.Column("created", sql.BigInteger, nullable=False),
    sql.Column("expires", sql.BigInteger, nullable=False),
)

audit = sql.Table(
    "hitsave_audit",
    metadata,
    sql.Column("id", sql.BigInteger().with_variant(sql.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sql.Column("time", sql.BigInteger, nullable=False, index=True),
    sql.Column("key_id", sql.String(8), nullable=False),
    sql.Column("label", sql.Text, nullable=False),
    sql.Column("address", sql.Text, nullable=False),
    sql.Column("action", sql.String(32), nullable=False),
    sql.Column("detail", sql.JSON, nullable=False),
)


class Database:
    """One database. Connections are pooled; `transaction` commits at its end."""

    def __init__(self, engine: sql.Engine) -> None:
        self.engine = engine

    @classmethod
    def open(cls, url: str, patience: float = PATIENCE) -> Database:
        """Open a database, and make its tables where it is new; `patience` in seconds. Raises ConfigError."""
        database = cls(_engine(url, patience))
        try:
            database._make_tables()
        except SQLAlchemyError as error:
            database.close()
            raise ConfigError(f"{database.name}: cannot be opened ({first_line(error)})") from None
        except ConfigError:
            database.close()
            raise
        return database

    @property
    def name(self) -> str:
        """The URL without its password."""
        return self.engine.url.render_as_string(hide_password=True)

    def _make_tables(self) -> None:
        with self.alone() as connection:
            metadata.create_all(connection)
            found = connection.execute(sql.select(versions.c.version)).scalars().all()
            if not found:
                connection.execute(sql.insert(versions).values(version=SCHEMA_VERSION))
            elif found != [SCHEMA_VERSION]:
                raise ConfigError(
                    f"{self.name}: has the tables of version {max(found)}, and this hitsave those of {SCHEMA_VERSION}"
                )

    @contextmanager
    def alone(self) -> Iterator[sql.Connection]:
        """A transaction in which no other server makes tables, or the first key."""
        with self.transaction() as connection:
            if self.engine.dialect.name == "postgresql":
                connection.execute(sql.text("SELECT pg_advisory_xact_lock(8321)"))
            elif self.engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection

    @contextmanager
    def transaction(self) -> Iterator[sql.Connection]:
        """A connection whose changes hold together, at the end."""
        with self.engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """End connections."""
        self.engine.dispose()


def _engine(url: str, patience: float) -> sql.Engine:
    # Without a driver, PostgreSQL means the one that the extra installs.
    for plain in ("postgresql://", "postgres://"):
        if url.startswith(plain):
            url = f"postgresql+psycopg://{url.removeprefix(plain)}"
    try:
        parsed = sql.make_url(url)
        backend = parsed.get_backend_name()
        if backend not in ("sqlite", "postgresql"):
            raise ConfigError(f"--database: {backend} is not known here; use SQLite or PostgreSQL")
        engine = sql.create_engine(parsed, **(_postgresql(parsed, patience) if backend == "postgresql" else {}))
    except ModuleNotFoundError as error:
        raise ConfigError(f"{error.name} is missing; for PostgreSQL, run: pip install 'hitsave[postgres]'") from None
    except (ArgumentError, NoSuchModuleError):
        raise ConfigError("--database: write sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME") from None
    if engine.dialect.name == "sqlite":
        sql.event.listen(engine, "connect", functools.partial(_prepare_sqlite, patience))
    return engine


def _postgresql(url: sql.URL, patience: float) -> dict[str, Any]:
    """Connections that were lost are noticed before they are used, or by silence. What the URL says holds."""
    limits = {
        "connect_timeout": str(math.ceil(patience)),
        "tcp_user_timeout": str(round(patience * 1000)),
        "options": f"-c statement_timeout={round(patience * 1000)}",
    }
    given = {name: value for name, value in limits.items() if name not in url.query}
    return {"pool_pre_ping": True, "pool_timeout": patience, "connect_args": given}


def _prepare_sqlite(patience: float, connection: Any, _: object) -> None:
    # Patience comes first: another process may be making the same file.
    for pragma in (f"busy_timeout={round(patience * 1000)}", "journal_mode=WAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def first_line(error: SQLAlchemyError) -> str:
    """What a database says has failed, in one line."""
    return next(iter(str(getattr(error, "orig", None) or error).splitlines()), type(error).__name__)
