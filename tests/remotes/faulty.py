"""Faults of networks and stores, injected by a script or by chance into any transport.

A plan says for each operation which fault it meets, if any. A script names them one by one: operation, beginning of the
key, and the how-manieth such operation. A chance meets each operation with the same odds, from a seed.
"""

from __future__ import annotations

import contextlib
import enum
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hitsave.errors import RemoteConflict, RemoteUnavailable
from hitsave.remotes.transports.protocol import Buffer, Listed, Transport
from hitsave.remotes.transports.retrying import BackOff, Retrying
from tests.remotes.transports import WrappedTransport, join

Result = TypeVar("Result")
#: Seconds of a slow answer at most: enough that others overtake it.
_SLOW = 0.002
#: How many keys a stale listing does not show yet.
_STALE_KEYS = 2
#: After how many further operations a request is carried out whose client has given it up.
_LATE = 3


class Fault(enum.Enum):
    """What can happen to an operation."""

    BEFORE = "an error, and nothing was done"
    AFTER = "an error, though it was done"
    LATE = "a timeout, and it is done later"
    TORN = "a body that ends too early"
    TWICE = "the request is delivered twice, and the second answer comes back"
    SLOW = "a slow answer"
    STALE = "a listing without the newest keys"


#: The operations at which a fault is one; anywhere else nothing would happen.
WRITES = ("put", "put_file")
OPERATIONS: Mapping[Fault, tuple[str, ...]] = {
    Fault.BEFORE: ("get", "download", "list", "sync", *WRITES),
    Fault.AFTER: ("sync", *WRITES),
    Fault.LATE: WRITES,
    Fault.TORN: ("get", "download"),
    Fault.TWICE: WRITES,
    Fault.SLOW: ("get", "download", "list", "sync", *WRITES),
    Fault.STALE: ("list",),
}

#: The fault that an operation meets, by its name and its key.
Plan = Callable[[str, str], Fault | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """The `nth` operation of this name, from 0, with a key of this beginning, meets a fault; `times` of them do."""

    fault: Fault
    operation: str
    prefix: str = ""
    nth: int = 0
    times: int = 1

    def fits(self, operation: str, key: str) -> bool:
        """Whether the operation counts for this rule."""
        return operation == self.operation and key.startswith(self.prefix)


def scripted(*rules: Rule) -> Plan:
    """A plan that follows rules; where several fit, the first."""
    met = [0] * len(rules)
    lock = threading.Lock()

    def choose(operation: str, key: str) -> Fault | None:
        chosen: Fault | None = None
        with lock:
            for number, rule in enumerate(rules):
                if rule.fits(operation, key):
                    if chosen is None and rule.nth <= met[number] < rule.nth + rule.times:
                        chosen = rule.fault
                    met[number] += 1
        return chosen

    return choose


def by_chance(seed: int, rates: Mapping[Fault, float]) -> Plan:
    """A plan in which each operation meets each fault that it can meet at a rate from 0 to 1."""
    chance = random.Random(seed)
    lock = threading.Lock()

    def choose(operation: str, key: str) -> Fault | None:
        with lock:
            met = [fault for fault, rate in rates.items() if operation in OPERATIONS[fault] and chance.random() < rate]
        return met[0] if met else None

    return choose


def no_faults(operation: str, key: str) -> Fault | None:
    """A plan without any."""
    return None


class InjectedFaults(WrappedTransport):
    """A transport whose operations meet the faults of a plan; `injected` counts them by operation and fault."""

    def __init__(self, inner: Transport, plan: Plan = no_faults) -> None:
        super().__init__(inner)
        self._plan = plan
        self._lock = threading.Lock()
        self._late: list[tuple[int, Callable[[], object]]] = []
        self._operations = 0
        self.injected: Counter[tuple[str, Fault]] = Counter()

    def _begin(self, operation: str, key: str) -> Fault | None:
        """The fault that an operation meets, where it is none of its beginning."""
        with self._lock:
            self._operations += 1
            due = [action for at, action in self._late if at <= self._operations]
            self._late = [(at, action) for at, action in self._late if at > self._operations]
            fault = self._plan(operation, key)
            if fault is not None:
                self.injected[operation, fault] += 1
        for action in due:
            _carry_out(action)
        if fault is Fault.BEFORE:
            raise self._lost(operation, key)
        if fault is Fault.SLOW:
            time.sleep(_SLOW)
        return fault

    def settle(self) -> None:
        """Carry out what the store still has in hand of requests that were given up."""
        with self._lock:
            due, self._late = self._late, []
        for _, action in due:
            _carry_out(action)

    def _lost(self, operation: str, key: str) -> RemoteUnavailable:
        return RemoteUnavailable(f"{self.url}: {operation} {key}: the connection was lost")

    def around(self, name: str, key: str, action: Callable[[], Result]) -> Result:
        fault = self._begin(name, key)
        result = action()
        if fault is Fault.AFTER:
            raise self._lost(name, key)
        return result

    def _write(self, name: str, key: str, action: Callable[[], None]) -> None:
        fault = self._begin(name, key)
        if fault is Fault.LATE:
            with self._lock:
                self._late.append((self._operations + _LATE, action))
            raise self._lost(name, key)
        action()
        if fault is Fault.TWICE:
            action()
        if fault is Fault.AFTER:
            raise self._lost(name, key)

    def put(self, key: str, content: Buffer | Sequence[Buffer]) -> None:
        whole = join(content)  # One that is carried out late has the bytes that were sent.
        self._write("put", key, lambda: self.inner.put(key, whole))

    def put_file(self, key: str, path: Path) -> None:
        sent = path.read_bytes()
        self._write("put_file", key, lambda: self.inner.put(key, sent))

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        fault = self._begin("get", key)
        content = self.inner.get(key, start, length)
        return content[: len(content) // 2] if fault is Fault.TORN else content

    def download(self, key: str, path: Path) -> None:
        fault = self._begin("download", key)
        self.inner.download(key, path)
        if fault is Fault.TORN:
            os.truncate(path, path.stat().st_size // 2)
            raise self._lost("download", key)

    def list(self, prefix: str, after: str = "") -> list[str]:
        fault = self._begin("list", prefix)
        listed = self.inner.list(prefix, after)
        return listed[:-_STALE_KEYS] if fault is Fault.STALE else listed

    def scan(self, prefix: str) -> Iterator[Listed]:
        fault = self._begin("list", prefix)
        listed = sorted(self.inner.scan(prefix))
        return iter(listed[:-_STALE_KEYS] if fault is Fault.STALE else listed)


def on_a_bad_connection(inner: Transport) -> Retrying:
    """A transport of which one request in five is not carried out, and what tries again."""
    plan = by_chance(1, {Fault.BEFORE: 0.2, Fault.SLOW: 0.05})
    return Retrying(InjectedFaults(inner, plan), BackOff(tries=12), sleep=lambda _: None)


def _carry_out(action: Callable[[], object]) -> None:
    with contextlib.suppress(RemoteConflict):  # Nobody waits for the answer.
        action()
