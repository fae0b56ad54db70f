"""What is done with one work and one tool, in its order, over a server that nobody else uses."""

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.buckets.floor import held
from benchmarks.buckets.report import Measurement
from benchmarks.buckets.server import Bucket, Server, start_program, stop
from benchmarks.buckets.tool import Tool, data
from benchmarks.generate import TABLES, WORKS, Work
from benchmarks.measure import NOTHING, execute_until, require_same
from benchmarks.place import Command, Place, settle

#: A push is killed when the server has written this part of what a whole one makes it write.
KILLED_AT = 0.9


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of a work beside push, push again, and pull: the work to push next, pulling one file, a kill."""

    work: Work
    edited: Work | None = None
    one: bool = False
    killed: bool = False


PLANS = {
    plan.work.name: plan
    for plan in (
        Plan(WORKS["tiny"], one=True),
        Plan(WORKS["large"], killed=True),
        Plan(TABLES["table"], edited=TABLES["edited"]),
    )
}


@dataclass(slots=True)
class Trial:
    """One tool at one work. `root` is its folder, `delay` the round trip to the server in milliseconds."""

    tool: Tool
    plan: Plan
    root: Path
    sources: dict[str, Path]
    delay: float
    timeout: float
    #: What the step under way is called, for who reports that it failed.
    step: str = "preparing"

    def run(self) -> Iterator[Measurement]:
        """Carry out the steps; each is measured before the next begins."""
        with self._server("server") as (server, bucket):
            first = self._place("first")
            self.tool.begin(first, bucket)
            self._lay(first, self.plan.work)
            before = server.written(bucket.name)
            yield self._measure("push", first, self.tool.save(first), server, bucket, holds=True)
            grown = server.written(bucket.name) - before
            if not self.tool.only_copies:
                yield self._measure("again", first, self.tool.save(first), server, bucket)
            if self.plan.edited and not self.tool.only_copies:
                self._lay(first, self.plan.edited)
                yield self._measure("edited", first, self.tool.save(first), server, bucket, holds=True)
            yield from self._pulls(first, server, bucket)
            self._leave(first)
        if self.plan.killed and not self.tool.only_copies:
            yield self._resumed(grown)

    def _pulls(self, first: Place, server: Server, bucket: Bucket) -> Iterator[Measurement]:
        second = self._place("second")
        self.tool.join(second, bucket, first)
        yield self._measure("pull", second, self.tool.load(second), server, bucket)
        if self.tool.restores:
            edited = self.plan.edited if not self.tool.only_copies else None
            self._check((edited or self.plan.work), second)
        self._leave(second)
        if self.plan.one and self.tool.restores:
            source = self.sources[self.plan.work.name]
            name = _middle(source).relative_to(source)
            third = self._place("third")
            self.tool.join(third, bucket, first)
            yield self._measure("one", third, self.tool.load_one(third, name.as_posix()), server, bucket)
            self.step = "one, comparing"
            third.run("diff", "-q", source / name, data(third) / name, folder=third.root)
            self._leave(third)

    def _resumed(self, grown: int) -> Measurement:
        """Kill a first push to another server, and measure the one that follows it."""
        self.step = "killed"
        with self._server("second-server") as (server, bucket):
            first = self._place("killed")
            self.tool.begin(first, bucket)
            self._lay(first, self.plan.work)
            *before, last = self.tool.save(first)
            for command in before:
                first.run(*command, folder=first.root / "workspace")
            written = server.written(bucket.name)
            execute_until(
                last,
                lambda: server.written(bucket.name) - written >= KILLED_AT * grown,
                folder=first.root / "workspace",
                environment=first.environment,
                log=first.log,
                timeout=self.timeout,
            )
            measured = self._measure("resumed", first, [last], server, bucket, holds=True)
            other = self._place("after-kill")
            self.tool.join(other, bucket, first)
            for command in self.tool.load(other):
                other.run(*command, folder=other.root / "workspace")
            self._check(self.plan.work, other)
            self._leave(first)
            self._leave(other)
        return measured

    def _measure(
        self,
        step: str,
        place: Place,
        commands: Sequence[Command],
        server: Server,
        bucket: Bucket,
        holds: bool = False,
    ) -> Measurement:
        self.step = step
        settle()
        before = server.traffic()
        used = [place.run(*command, folder=place.root / "workspace") for command in commands]
        traffic = server.traffic() - before
        usage = sum(used, NOTHING)
        return Measurement(
            self.plan.work.name,
            self.tool.name,
            step,
            usage.seconds,
            [one.seconds for one in used],
            usage.cpu,
            traffic.cpu,
            usage.peak,
            dict(traffic.requests),
            traffic.received,
            traffic.sent,
            held(Bucket(bucket.name, server.port)) if holds else None,
        )

    @contextlib.contextmanager
    def _server(self, name: str) -> Iterator[tuple[Server, Bucket]]:
        with Server(self.root / name) as server, _line(server.port, self.delay) as port:
            yield server, Bucket(server.make_bucket("benchmark").name, port)

    def _place(self, name: str) -> Place:
        aside = self.root.parent / "aside"
        source = self.sources[self.plan.work.name]
        return Place(self.root / name, source, aside, self.plan.work.many_files, self.timeout)

    def _lay(self, place: Place, work: Work) -> None:
        """Lay a data set into the workspace; files that are there are replaced, not written into."""
        if not data(place).exists():
            data(place).mkdir()
        source = self.sources[work.name]
        place.run("cp", "-r", "--remove-destination", f"{source}/.", data(place), folder=place.root)

    def _check(self, work: Work, place: Place) -> None:
        self.step += ", comparing"
        require_same(self.sources[work.name], data(place), place.environment, place.log)

    def _leave(self, place: Place) -> None:
        """Done with a machine: large files are deleted at once, many small ones at the end of the run."""
        if not self.plan.work.many_files:
            subprocess.run(["chmod", "-R", "u+w", place.root], check=True)  # git-annex protects its folders
            shutil.rmtree(place.root)


@contextlib.contextmanager
def _line(port: int, delay: float) -> Iterator[int]:
    """The port under which tools reach the server: its own, or that of a slow line to it."""
    if not delay:
        yield port
        return
    command = [sys.executable, str(Path(__file__).with_name("link.py")), str(port), str(delay)]
    running = start_program(command, Path(__file__).parent, subprocess.PIPE)
    try:
        assert running.stdout is not None
        yield int(running.stdout.readline())
    finally:
        stop(running)


def _middle(folder: Path) -> Path:
    """One of its files: the middle one."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return found[len(found) // 2]
