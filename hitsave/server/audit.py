"""Who did what that cannot be undone, or that others have to be able to ask about."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sql
from sqlalchemy.exc import SQLAlchemyError

from hitsave.server.database import Database, audit

_LONGEST_LINE = 2000
_log = logging.getLogger("hitsave.server")

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
    """The audit log. It is only ever added to.

    A deed is written down when it is done: what was refused, or came to nothing, does not stand there. Where the
    database fails just then, the log of the server has the line instead, and who asked is told of a failure.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, key_id: str, label: str, address: str, action: str, detail: Mapping[str, Any]) -> None:
        """Write down a deed."""
        deed = {"key_id": key_id, "label": label, "address": address, "action": action, "detail": {**detail}}
        try:
            with self._database.transaction() as connection:
                connection.execute(sql.insert(audit).values(time=int(time.time()), **deed))
        except SQLAlchemyError:
            _log.error("this is not in the audit log: %s", json.dumps(deed)[:_LONGEST_LINE])
            raise

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
