"""Many clients push and pull at once through a real server: `python -m benchmarks.server [--clients 64] [--rounds 3]`.

Each client has a cache of its own. In each round it keeps new files, pushes them, and fetches what another client has
pushed in the round before. At the end every ref has to be there and every byte right, as `hitsave fsck` looks at it,
or this fails. Printed as JSON: bytes a second either way, what a push asked for and how long it took, and the most
memory that the server had. With `--url` the clients share a folder or bucket without a server, which has to be empty.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

from benchmarks.requests import CountedRequests
from hitsave.cache.store import Cache
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.encoding import encode_tree, tree_from
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.objects.refs import Ref, snapshot_ref
from hitsave.remotes.commits.log import Author, Remote
from hitsave.remotes.opening import open_transport
from hitsave.remotes.reading.fetch import fetch
from hitsave.remotes.transports.protocol import Transport
from hitsave.remotes.transports.retrying import Retrying
from hitsave.remotes.transports.web import WebTransport
from hitsave.remotes.verification.verify import verify
from hitsave.remotes.writing.push import push

_SMALL_FILES = 50
_SMALL, _LARGE = 2_000, 4_000_000
_PATIENCE = 60


@dataclass(frozen=True)
class Load:
    """What one process of clients does; `key` is that of a server, None where there is none."""

    url: str
    key: str | None
    folder: Path
    clients: range
    all_clients: int
    rounds: int


class Pushes:
    """What pushes took: seconds each, requests by what they are for, bytes, and races for a commit that were lost."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.lost: list[int] = []
        self.asked: Counter[str] = Counter()
        self.sent = self.received = 0

    def note(self, seconds: float, counted: CountedRequests) -> None:
        """One push, of which everything was counted."""
        self.seconds.append(seconds)
        self.lost.append(counted.lost)
        self.asked += counted.asked
        self.sent += counted.sent
        self.received += counted.received

    def add(self, others: Pushes) -> None:
        """Those of another client, too."""
        self.seconds += others.seconds
        self.lost += others.lost
        self.asked += others.asked
        self.sent += others.sent
        self.received += others.received

    def told(self) -> dict[str, Any]:
        """What is printed of them."""
        median, count = statistics.median(self.seconds), len(self.seconds)
        return {
            "median_push_s": round(median, 2),
            "slowest_push_s": round(max(self.seconds), 1),
            "slowest_to_median": round(max(self.seconds) / median, 1),
            "lost_races_per_push": round(sum(self.lost) / count, 2),
            "most_lost_races": max(self.lost),
            "requests_per_push": round(self.asked.total() / count, 1),
            "sent_per_push": round(self.sent / count),
            "received_per_push": round(self.received / count),
            "each": {what: round(times / count, 2) for what, times in sorted(self.asked.items())},
        }


class Client:
    """One cache, and the way to the store."""

    def __init__(self, load: Load, number: int) -> None:
        self._load = load
        self._number = number
        folder = load.folder / f"client-{number}"
        self.cache = Cache.open(folder / "cache")
        self._transport = CountedRequests(open_store(load.url, load.key))
        self._remotes = folder / "remotes"
        self.pushes = Pushes()

    def round(self, turn: int) -> tuple[int, int]:
        """Push something new, and fetch what somebody pushed before; bytes of content either way."""
        ref, size = keep(self.cache, self._number, turn)
        remote = Remote.open(self._transport, self._remotes)
        self._transport.start()
        begin = time.perf_counter()
        push(remote, self.cache, [ref], Author(f"client {self._number}", int(time.time())))
        self.pushes.note(time.perf_counter() - begin, self._transport)
        if turn == 0:
            return size, 0
        others = content_ref((self._number + 1) % self._load.all_clients, turn - 1)
        while others.name not in remote.latest().held_of([others.name]):
            time.sleep(0.05)
        fetch(remote, self.cache, [(others.digest, others.kind)], [others])
        return size, size


def open_store(url: str, key: str | None) -> Transport:
    """The way to a server, or to another store."""
    return Retrying(WebTransport(url, key)) if key else open_transport(url)


def contents(client: int, turn: int) -> list[tuple[bytes, bytes]]:
    """The files of one push; no two are alike."""
    chance = random.Random(client * 1000 + turn)
    small = [(b"%03d" % number, chance.randbytes(_SMALL)) for number in range(_SMALL_FILES)]
    return [*small, (b"large", chance.randbytes(_LARGE))]


def keep(cache: Cache, client: int, turn: int) -> tuple[Ref, int]:
    """Keep the files of one push; the ref that owns them, and how many bytes they are."""
    files = contents(client, turn)
    with cache.intake() as intake:
        entries = [
            TreeEntry(name, EntryKind.FILE, intake.add(ObjectKind.BLOB, data), len(data)) for name, data in files
        ]
        digest = intake.add(ObjectKind.TREE, encode_tree(tree_from(entries)))
        ref = Ref(snapshot_ref(digest), digest, ObjectKind.TREE)
        intake.publish([ref])
    return ref, sum(len(data) for _, data in files)


def content_ref(client: int, turn: int) -> Ref:
    """The ref that a client has pushed."""
    from hitsave.objects.digest import blob_digest, object_digest

    entries = [TreeEntry(name, EntryKind.FILE, blob_digest(data), len(data)) for name, data in contents(client, turn)]
    digest = Digest(object_digest(ObjectKind.TREE, encode_tree(tree_from(entries))))
    return Ref(snapshot_ref(digest), digest, ObjectKind.TREE)


def run_clients(load: Load) -> tuple[int, int, Pushes]:
    """All rounds of some clients, side by side; bytes sent and fetched, and what their pushes took."""
    clients = [Client(load, number) for number in load.clients]
    sent = fetched = 0
    with ThreadPoolExecutor(len(clients)) as threads:
        for turn in range(load.rounds):
            for out, back in threads.map(lambda client, turn=turn: client.round(turn), clients):
                sent, fetched = sent + out, fetched + back
    pushes = Pushes()
    for client in clients:
        client.cache.close()
        pushes.add(client.pushes)
    return sent, fetched, pushes


def start_server(folder: Path) -> tuple[subprocess.Popen[bytes], str, str]:
    """A server with an empty store; its process, URL and key."""
    import socket

    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port = trial.getsockname()[1]
    data = folder / "server"
    command = [sys.executable, "-m", "hitsave", "serve", "--data", os.fspath(data), "--port", str(port)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    url, until = f"http://127.0.0.1:{port}", time.monotonic() + _PATIENCE
    while True:
        try:
            urllib3.request("GET", url, retries=False)
            return process, url, (data / "admin.key").read_text().strip()
        except urllib3.exceptions.HTTPError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def peak_memory(pid: int) -> int | None:
    """The most bytes that a process had in memory; None where the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def measure(folder: Path, clients: int, rounds: int, processes: int) -> dict[str, Any]:
    """Run everything on a server; what is printed. Raises AssertionError where something was lost."""
    process, url, key = start_server(folder)
    try:
        idle = peak_memory(process.pid)
        found = measure_store(folder, url, key, clients, rounds, processes)
        peak = peak_memory(process.pid)
    finally:
        process.terminate()
        process.wait(_PATIENCE)
    memory = {"server_idle_mb": idle, "server_peak_mb": peak}
    return found | {name: round(size / 1e6) if size else None for name, size in memory.items()}


def measure_store(folder: Path, url: str, key: str | None, clients: int, rounds: int, processes: int) -> dict[str, Any]:
    """Run everything on an empty store; what is printed. Raises AssertionError where something was lost."""
    transport = open_store(url, key)
    Remote.open(transport, folder / "first", create=True)
    step = -(-clients // processes)
    parts = [range(at, min(at + step, clients)) for at in range(0, clients, step)]
    loads = [Load(url, key, folder, part, clients, rounds) for part in parts]
    begin = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(len(loads)) as pool:
        done = pool.map(run_clients, loads)
    seconds = time.perf_counter() - begin
    remote = Remote.open(transport, folder / "checked")
    report = verify(remote)
    assert report.faults == (), report.faults
    assert report.refs == clients * rounds, f"{clients * rounds - report.refs} refs were lost"
    sent, fetched, pushes = sum(part[0] for part in done), sum(part[1] for part in done), Pushes()
    for part in done:
        pushes.add(part[2])
    return {
        "clients": clients,
        "pushes": clients * rounds,
        "seconds": round(seconds, 1),
        "sent_mb_per_s": round(sent / seconds / 1e6, 1),
        "fetched_mb_per_s": round(fetched / seconds / 1e6, 1),
        **pushes.told(),
        "commits": remote.latest().number,
    }


def main() -> None:
    """Measure in a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--url", help="an empty folder or bucket that all clients use, in place of a server")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, rest = Path(name), (chosen.clients, chosen.rounds, chosen.processes)
        found = measure_store(folder, chosen.url, None, *rest) if chosen.url else measure(folder, *rest)
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
