"""hitsave on a Ray cluster: whatever workers are asked at once, and wherever they run, each key is computed once.

    pip install . ray    # in a clone of hitsave
    python examples/ray_cluster.py

Two actors, each in a process of its own, get 40 calls that have 8 different arguments. First each has a cache of its
own and shares only the remote, as on two machines (HITSAVE_REMOTE where that is set, else a folder); then they share a
cache, too.
"""

import os
import tempfile
import time
import uuid
from pathlib import Path

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Nothing is sent to anybody.

import ray

from hitsave import memo


@memo(remote="readwrite")
def simulate(round_: str, seed: int) -> tuple[int, str]:
    """What takes long. The second value is new in each run, and so shows who ran."""
    time.sleep(0.2)
    return seed * seed, uuid.uuid4().hex


@ray.remote(num_cpus=1, max_concurrency=2)
class Machine:
    """Stands for a machine. On a real cluster, the variable is set where Ray is started, or not at all."""

    def use(self, cache: str, remote: str) -> None:
        """Use a cache folder and a remote."""
        os.environ.update(HITSAVE_LOCAL_CACHE_DIR=cache, HITSAVE_REMOTE=remote)

    def run(self, round_: str, seed: int) -> tuple[int, str]:
        """Call the memoised function; a task under `@ray.remote` does the same."""
        return simulate(round_, seed)


def use_caches(machines: list, caches: list[Path], remote: str) -> None:
    """Give each machine its cache."""
    ray.get([machine.use.remote(str(cache), remote) for machine, cache in zip(machines, caches, strict=True)])


def ask_all(machines: list, round_: str, seen: set[str]) -> str:
    """Ask for all results at once; how many calls there were, and how many of them ran, so that `seen` knows none."""
    seeds = [seed for seed in range(8) for _ in range(5)]
    calls = [machines[number % len(machines)].run.remote(round_, seed) for number, seed in enumerate(seeds)]
    results = ray.get(calls)
    assert [area for area, _ in results] == [seed * seed for seed in seeds]
    runs = {run for _, run in results} - seen
    seen |= runs
    return f"{len(results)} calls, {len(set(seeds))} keys, {len(runs)} runs"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="hitsave-ray-") as name:
        folder = Path(name)
        remote = os.environ.get("HITSAVE_REMOTE") or (folder / "remote").as_uri()
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
        try:
            machines = [Machine.remote() for _ in range(2)]
            seen: set[str] = set()
            use_caches(machines, [folder / "cache-0", folder / "cache-1"], remote)
            print("caches of their own:", ask_all(machines, "first", seen))
            print("asked once more:", ask_all(machines, "first", seen))
            use_caches(machines, [folder / "cache", folder / "cache"], remote)
            print("one cache:", ask_all(machines, "second", seen))
        finally:
            ray.shutdown()


if __name__ == "__main__":
    main()
