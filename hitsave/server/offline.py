"""The keys of a server's own database, for who may read and write that: no key is asked for.

So a lost admin key is replaced. What is done stands in the audit log, as done at the machine itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from hitsave.errors import ConfigError
from hitsave.server.access import Role
from hitsave.server.administration import is_label, key_as_json
from hitsave.server.audit import Audit
from hitsave.server.database import Database, first_line
from hitsave.server.keys import LONGEST_LABEL, KeyRecord, Keys
from hitsave.server.settings import Settings

_BY = "at the machine of the database"


class OwnKeys:
    """Makes, lists and revokes keys; like a client that is an admin. All raise ConfigError."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def make_key(self, role: str, label: str, lifetime: int | None) -> dict[str, Any]:
        """Make a key that holds for so many seconds; with it, what is kept of it."""
        if not is_label(label):
            raise ConfigError(f"a label has 1 to {LONGEST_LABEL} printable characters")
        expires = None if lifetime is None else int(time.time()) + lifetime
        with self._opened() as database:
            key, record = Keys(database).make(Role[role.upper()], label, expires)
            _note(database, "make key", record)
        return {"key": key, **key_as_json(record)}

    def keys(self) -> Sequence[dict[str, Any]]:
        """What is kept of all keys."""
        with self._opened() as database:
            return [key_as_json(record) for record in Keys(database).list()]

    def revoke_key(self, key_id: str) -> dict[str, Any]:
        """Take a key out of use."""
        with self._opened() as database:
            record = Keys(database).revoke(key_id)
            if record is None:
                raise ConfigError(f"there is no key with the id {key_id}; see --list")
            _note(database, "revoke key", record)
        return key_as_json(record)

    @contextmanager
    def _opened(self) -> Iterator[Database]:
        settings = self._settings
        if not settings.database and not settings.own_database.exists():
            raise ConfigError(f"{settings.data}: holds no database of a server; name another folder, or --database")
        with closing(Database.open(settings.database_url)) as database:
            try:
                yield database
            except SQLAlchemyError as error:
                raise ConfigError(f"{database.name}: {first_line(error)}") from None


def _note(database: Database, action: str, record: KeyRecord) -> None:
    detail = {"id": record.id, "label": record.label, "role": record.role.name.lower(), "expires": record.expires}
    Audit(database).note("", _BY, "", action, detail)
