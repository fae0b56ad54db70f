"""API keys: made, checked, listed and revoked. At rest there is only a hash; a key is shown once, when it is made.

A key reads `hsk_<id>_<secret>`. The secret has 256 bits of chance, so that one round of BLAKE3 hides it well enough.
"""

from __future__ import annotations

import contextlib
import hmac
import re
import secrets
import string
import time
from collections.abc import Callable
from typing import NamedTuple

import sqlalchemy as sql
from blake3 import blake3
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from hitsave.errors import HitsaveError
from hitsave.server.access import Principal, Role
from hitsave.server.database import Database, browser_sessions, keys

#: How long a label may be, in characters.
LONGEST_LABEL = 200
_KEY = re.compile(r"hsk_([A-Za-z0-9]{8})_([A-Za-z0-9_-]{32,64})")
_ID = re.compile(r"[A-Za-z0-9]{8}")
_LETTERS = string.ascii_letters + string.digits
_ID_LENGTH = 8
#: Seconds for which a use of a key is not noted again.
_NOTED_FOR = 60
_NOBODY = "0" * 64


class LastAdminKey(HitsaveError):
    """Without this key nobody could make another one."""

    def __init__(self, key_id: str) -> None:
        super().__init__(
            f"{key_id} is the last key with the role admin, without which nobody can make keys; make another one "
            "first, or revoke it at the server's machine, with: hitsave keygen --data DIR --revoke ID"
        )


class KeyTaken(HitsaveError):
    """There is a key with this id already."""


class KeyRecord(NamedTuple):
    """What is kept of a key; times in seconds since 1970."""

    id: str
    label: str
    role: Role
    created: int
    expires: int | None
    revoked: int | None
    last_used: int | None

    def holds_at(self, now: int) -> bool:
        """Whether the key opens anything."""
        return self.revoked is None and (self.expires is None or now < self.expires)


class Keys:
    """The keys of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def make(
        self, role: Role, label: str, expires: int | None = None, key_id: str | None = None
    ) -> tuple[str, KeyRecord]:
        """A new key, and what is kept of it. Raises KeyTaken where its id was chosen, and there is one with that."""
        try:
            with self._database.transaction() as connection:
                return _make(connection, role, label, expires, key_id or new_id())
        except IntegrityError:
            raise KeyTaken(f"there is a key with the id {key_id} already") from None

    def make_first(self, label: str, keep: Callable[[str], None]) -> bool:
        """Make an admin key where none was ever made, of servers that start at once by one alone.

        `keep` writes it down before it holds; where that fails, there is no key. Whether one was made.
        """
        with self._database.alone() as connection:
            if connection.execute(sql.select(keys.c.id).limit(1)).first() is not None:
                return False
            keep(_make(connection, Role.ADMIN, label, None, new_id())[0])
        return True

    def check(self, key: str) -> Principal | None:
        """Whose key it is; None where it is none, was revoked or has expired."""
        parts = _KEY.fullmatch(key)
        if parts is None:
            return None
        now = int(time.time())
        with self._database.transaction() as connection:
            found = connection.execute(sql.select(keys).where(keys.c.id == parts[1])).mappings().first()
            right = hmac.compare_digest(hash_secret(parts[2]), found["hash"] if found else _NOBODY)
        if found is None or not right or not _record(found).holds_at(now):
            return None
        record = _record(found)
        if (record.last_used or 0) + _NOTED_FOR <= now:
            self._note_use(record.id, now)
        return Principal(record.id, record.label, record.role, record.expires)

    def _note_use(self, key_id: str, now: int) -> None:
        # A database that cannot be written, being full or a replica, still says who may look.
        with contextlib.suppress(SQLAlchemyError), self._database.transaction() as connection:
            connection.execute(sql.update(keys).where(keys.c.id == key_id).values(last_used=now))

    def get(self, key_id: str) -> KeyRecord | None:
        """What is kept of a key."""
        if not _ID.fullmatch(key_id):  # PostgreSQL cannot even be asked for some of what an address may hold.
            return None
        with self._database.transaction() as connection:
            found = connection.execute(sql.select(keys).where(keys.c.id == key_id)).mappings().first()
        return _record(found) if found else None

    def list(self) -> list[KeyRecord]:
        """All keys that were ever made, the oldest first."""
        with self._database.transaction() as connection:
            found = connection.execute(sql.select(keys).order_by(keys.c.created, keys.c.id)).mappings().all()
        return [_record(row) for row in found]

    def revoke(self, key_id: str) -> KeyRecord | None:
        """Take a key and its sessions out of use; what is kept of it, None where there is none."""
        return self._revoke(key_id, even_last=True)

    def revoke_unless_last(self, key_id: str) -> KeyRecord | None:
        """As `revoke`, but for the last key that may make others. Raises LastAdminKey."""
        return self._revoke(key_id, even_last=False)

    def is_last_admin(self, key_id: str) -> bool:
        """Whether nobody could make keys any more without this one."""
        with self._database.transaction() as connection:
            return _is_last_admin(connection, key_id)

    def _revoke(self, key_id: str, even_last: bool) -> KeyRecord | None:
        if not _ID.fullmatch(key_id):
            return None
        with self._database.alone() as connection:  # Of two admins who revoke each other, one is told no.
            if not even_last and _is_last_admin(connection, key_id):
                raise LastAdminKey(key_id)
            connection.execute(
                sql.update(keys).where(keys.c.id == key_id, keys.c.revoked.is_(None)).values(revoked=int(time.time()))
            )
            connection.execute(sql.delete(browser_sessions).where(browser_sessions.c.key_id == key_id))
        return self.get(key_id)


def hash_secret(secret: str) -> str:
    """What is kept of a secret that has full entropy."""
    return blake3(secret.encode()).hexdigest()


def new_id() -> str:
    """An id that no key has, by all likelihood."""
    return "".join(secrets.choice(_LETTERS) for _ in range(_ID_LENGTH))


def is_id(text: str) -> bool:
    """Whether a key can have this id."""
    return _ID.fullmatch(text) is not None


def _is_last_admin(connection: sql.Connection, key_id: str) -> bool:
    holds = sql.and_(keys.c.revoked.is_(None), sql.or_(keys.c.expires.is_(None), keys.c.expires > int(time.time())))
    admins = sql.select(keys.c.id).where(keys.c.role == Role.ADMIN.name.lower(), holds)
    return connection.execute(admins).scalars().all() == [key_id]


def _make(
    connection: sql.Connection, role: Role, label: str, expires: int | None, key_id: str
) -> tuple[str, KeyRecord]:
    secret = secrets.token_urlsafe(32)
    made = KeyRecord(key_id, label, role, int(time.time()), expires, None, None)
    values = {**made._asdict(), "role": role.name.lower(), "hash": hash_secret(secret)}
    connection.execute(sql.insert(keys).values(values))
    return f"hsk_{key_id}_{secret}", made


def _record(row: sql.RowMapping) -> KeyRecord:
    return KeyRecord(
        row["id"],
        row["label"],
        Role[row["role"].upper()],
        row["created"],
        row["expires"],
        row["revoked"],
        row["last_used"],
    )
