"""One machine computes, the others wait: claims in a remote, for machines that share nothing else.

- A claim saves work, and nothing relies on it: an evaluation is published whoever claims its key. So a store may lose
  claims, and a collection may remove them.
- Claims of a key are numbered, and each number is created once. Whoever created the greatest number computes. It
  creates the next one every so often, to show that it lives; number 1 stays to the end, so that nobody begins anew.
- No clocks are compared: whoever waits watches the greatest number, by its own clock, and creates the next one when it
  has stayed the same for too long. A claimant on the same system that is dead is followed at once.
- Where the remote cannot be asked, everybody computes.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from contextvars import Context
from types import TracebackType

from hitsave.cache.processes import Life, Process, life_of, this_process
from hitsave.errors import MalformedObject, RemoteConflict, RemoteError, RemoteNotFound
from hitsave.objects.canonical import Fields, decode_json, encode_json, unicode_text
from hitsave.objects.digest import Digest
from hitsave.remotes.commits.keys import claim_key, claim_number, claims_of
from hitsave.remotes.transports.protocol import Transport

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0
_FORMAT = 1
_NOBODY = Process("", 0, "")


class Claim:
    """The wish to compute a key, and while it is `held`, the right. Release it, or use it as a context manager.

    Times are in seconds. A claimant of whom nothing is heard is followed after `patience`; after `patience_alive`,
    where its process is seen to live, which may be in the midst of a call that lets no other thread run.
    """

    def __init__(
        self,
        transport: Transport,
        key: Digest,
        clock: Callable[[], float] = time.monotonic,
        patience: float = 60.0,
        patience_alive: float = 300.0,
        beat_every: float = 10.0,
    ) -> None:
        self.held = False
        self._transport = transport
        self._key = key
        self._clock = clock
        self._patience = patience
        self._patience_alive = patience_alive
        self._beat_every = beat_every
        self._record = _encode(this_process())
        self._number = 0
        self._shown = 0.0
        self._pid = os.getpid()
        self._done = threading.Event()
        self._lock = threading.Lock()

    # -- taking

    def attempts(self) -> Iterator[float]:
        """Try to get it; gives how long to wait before the next try.

        Ends when the claim is held, and also when who held it has let go: then there may be a result.
        """
        try:
            if self._create(1):
                self._hold(1)
            else:
                yield from self._watch()
        except RemoteError:  # What is computed twice is better than what is not computed.
            self.held = True

    def _watch(self) -> Iterator[float]:
        pause, since = _FIRST_PAUSE, self._clock()
        seen, record = 0, b""
        while newest := self._newest():
            if newest != seen:
                seen, since, record = newest, self._clock(), self._read(newest)
            if self._given_up(_owner(record), self._clock() - since):
                if self._read(newest) != record:  # Its owner let go, and somebody else has taken the same number.
                    seen = 0
                elif self._follow(newest, record):
                    return
                continue
            yield pause
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _given_up(self, owner: Process, silent: float) -> bool:
        life = life_of(owner)
        return life is Life.GONE or silent >= (self._patience_alive if life is Life.ALIVE else self._patience)

    def _newest(self) -> int:
        """The greatest number; 0 where nobody claims the key."""
        return max(map(claim_number, self._transport.list(claims_of(self._key))), default=0)

    def _read(self, number: int) -> bytes:
        """A claim; nothing where its owner has just gone on, or let go."""
        try:
            return self._transport.get(claim_key(self._key, number))
        except RemoteNotFound:
            return b""

    def _follow(self, number: int, record: bytes) -> bool:
        """Take the place of the owner of a claim; False where it let go meanwhile, or another one was quicker."""
        if not self._create(number + 1):
            return False
        if self._newest() == number + 1 and self._read(number) == record:
            self._hold(number + 1)
            return True
        self._transport.delete([claim_key(self._key, number + 1)])  # Somebody may have begun anew beneath it.
        return False

    def _create(self, number: int) -> bool:
        key = claim_key(self._key, number)
        try:
            self._transport.put(key, self._record)
        except RemoteConflict:  # Where an answer was lost, it may be our own.
            with suppress(RemoteNotFound):
                return self._transport.get(key) == self._record
            return False
        return True

    # -- holding

    def _hold(self, number: int) -> None:
        self._number = number
        self._shown = self._clock()
        self.held = True
        beater = threading.Thread(target=self._beat, name="hitsave claim", daemon=True)
        with suppress(RuntimeError):  # The program is ending.
            Context().run(beater.start)

    def _beat(self) -> None:
        while not self._done.wait(self._beat_every):
            with self._lock, suppress(RemoteError):  # A remote that does not answer now may do so later.
                if self._done.is_set() or not self._go_on():
                    return

    def _go_on(self) -> bool:
        """Show that this process lives; False where another one has taken its place."""
        before = self._number
        if not self._create(before + 1):
            self._number = 0
            return False
        self._number += 1
        self._shown = self._clock()
        if before > 1:
            self._transport.delete([claim_key(self._key, before)])
        return True

    def release(self) -> None:
        """Let go. More than once is no error; in a forked child it does nothing."""
        if self._pid != os.getpid():
            return
        self._done.set()
        with self._lock, suppress(RemoteError):  # Then the others wait until their patience ends.
            number, self._number = self._number, 0
            if number == 1 and self._clock() - self._shown < self._patience / 2:
                self._transport.delete([claim_key(self._key, 1)])
            elif number:
                self._remove_up_to(number)

    def _remove_up_to(self, number: int) -> None:
        """Remove all claims, unless somebody has followed: then the key is not free."""
        claims = self._transport.list(claims_of(self._key))
        if max(map(claim_number, claims), default=0) <= number:
            self._transport.delete(claims)

    def __enter__(self) -> Claim:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _encode(owner: Process) -> bytes:
    """A claim as objects_spec.md, section 9.9, has it. The token makes it differ from every other one."""
    host, started = unicode_text(owner.host), unicode_text(owner.started)
    token = secrets.token_hex(16)
    return encode_json({"format": _FORMAT, "host": host, "pid": owner.pid, "started": started, "token": token})


def _owner(record: bytes) -> Process:
    try:
        fields = Fields(decode_json(record, "claim"), "claim")
        fields.number("format")
        fields.token("token")
        return Process(fields.text("host"), fields.number("pid"), fields.text("started"))
    except MalformedObject:  # It says nothing.
        return _NOBODY
