"""Sessions of browsers: who has logged in with a key has a cookie instead, and a token against forged requests."""

from __future__ import annotations

import secrets
import time

import sqlalchemy as sql

from hitsave.server.access import BrowserSession, Principal
from hitsave.server.database import Database, browser_sessions
from hitsave.server.keys import Keys, hash_secret

#: Seconds after which one has to log in again.
SESSION_LIFE = 7 * 86400


class Sessions:
    """The sessions of one database."""

    def __init__(self, database: Database, keys: Keys) -> None:
        self._database = database
        self._keys = keys

    def begin(self, key: str) -> str | None:
        """Log in; the cookie's value, None where the key opens nothing."""
        principal = self._keys.check(key)
        if principal is None:
            return None
        cookie, now = secrets.token_urlsafe(32), int(time.time())
        expires = min(now + SESSION_LIFE, principal.expires or now + SESSION_LIFE)
        values = {"key_id": principal.key_id, "csrf": secrets.token_urlsafe(32), "created": now, "expires": expires}
        with self._database.transaction() as connection:
            connection.execute(sql.delete(browser_sessions).where(browser_sessions.c.expires <= now))
            connection.execute(sql.insert(browser_sessions).values(hash=hash_secret(cookie), **values))
        return cookie

    def find(self, cookie: str) -> BrowserSession | None:
        """The session of a cookie; None where it is over, or its key is."""
        now = int(time.time())
        chosen = sql.select(browser_sessions).where(browser_sessions.c.hash == hash_secret(cookie))
        with self._database.transaction() as connection:
            found = connection.execute(chosen).mappings().first()
        if found is None or found["expires"] <= now:
            return None
        key = self._keys.get(found["key_id"])
        if key is None or not key.holds_at(now):
            return None
        return BrowserSession(Principal(key.id, key.label, key.role, key.expires), found["csrf"])

    def end(self, cookie: str) -> None:
        """Log out."""
        with self._database.transaction() as connection:
            connection.execute(sql.delete(browser_sessions).where(browser_sessions.c.hash == hash_secret(cookie)))
