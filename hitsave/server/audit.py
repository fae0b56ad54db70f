"""Who did what that cannot be undone, or that others have to be able to ask about."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sql

from hitsave.server.database import Database, audit

#: What is done by pages, and by commits of clients alike.
MAKE_PUBLIC, TAKE_BACK, DROP_REFS = "make public", "take back", "drop refs"


class AuditEntry(NamedTuple):
    """One deed: `time` in seconds since 1970, by which key (its id and label) and from where, and what."""

    id: int
    time: int
    key_id: str
    label: str
    address: str
    action: str
    detail: dict[str, Any]


class Audit:
    """The audit log. It is only ever added to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, key_id: str, label: str, address: str, action: str, detail: Mapping[str, Any]) -> None:
        """Write down a deed."""
        with self._database.transaction() as connection:
            connection.execute(
                sql.insert(audit).values(
                    time=int(time.time()), key_id=key_id, label=label, address=address, action=action, detail={**detail}
                )
            )

    def latest(self, action: str, digests: Collection[str]) -> dict[str, AuditEntry]:
        """The last entry of this action about each of these objects, of those that have one."""
        # As text: PostgreSQL takes no member out of JSON that has a zero byte in another one.
        text = sql.cast(audit.c.detail, sql.Text)
        about = sql.or_(sql.false(), *(text.contains(f'"{digest}"') for digest in digests))
        chosen = sql.select(audit).where(audit.c.action == action, about).order_by(audit.c.id)
        with self._database.transaction() as connection:
            entries = [AuditEntry(*row) for row in connection.execute(chosen)]
        return {entry.detail["digest"]: entry for entry in entries if entry.detail.get("digest") in digests}

    def entries(self, before: int | None = None, limit: int = 100) -> list[AuditEntry]:
        """The latest entries, newest first; with `before`, those that were written before the one with that id."""
        chosen = sql.select(audit).order_by(audit.c.id.desc()).limit(limit)
        if before is not None:
            chosen = chosen.where(audit.c.id < before)
        with self._database.transaction() as connection:
            return [AuditEntry(*row) for row in connection.execute(chosen)]
