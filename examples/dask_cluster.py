"""hitsave on a Dask cluster: whatever workers are asked at once, and wherever they run, each key is computed once.

    pip install . 'dask[distributed]'    # in a clone of hitsave
    python examples/dask_cluster.py

Two worker processes get 40 calls that have 8 different arguments. First each has a cache of its own and shares only the
remote, as on two machines (HITSAVE_REMOTE where that is set, else a folder); then they share a cache, too.
"""

import os
import tempfile
import time
import uuid
from pathlib import Path

from dask.distributed import Client, LocalCluster, Worker

from hitsave import memo


@memo(remote="readwrite")
def simulate(round_: str, seed: int) -> tuple[int, str]:
    """What takes long. The second value is new in each run, and so shows who ran."""
    time.sleep(0.2)
    return seed * seed, uuid.uuid4().hex


def use_cache(folder: str, own: bool, dask_worker: Worker) -> None:
    """Runs on each worker. On a real cluster, the variable is set where workers are started, or not at all."""
    os.environ["HITSAVE_LOCAL_CACHE_DIR"] = os.path.join(folder, f"cache-{dask_worker.name}" if own else "cache")


def ask_all(client: Client, round_: str, seen: set[str]) -> str:
    """Ask for all results at once; how many calls there were, and how many of them ran, so that `seen` knows none."""
    seeds = [seed for seed in range(8) for _ in range(5)]
    # Dask itself knows equal calls of one client; `pure=False` makes them strangers, as those of several clients are.
    results = client.gather([client.submit(simulate, round_, seed, pure=False) for seed in seeds])
    assert [area for area, _ in results] == [seed * seed for seed in seeds]
    runs = {run for _, run in results} - seen
    seen |= runs
    return f"{len(results)} calls, {len(set(seeds))} keys, {len(runs)} runs"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="hitsave-dask-") as folder:
        os.environ.setdefault("HITSAVE_REMOTE", (Path(folder) / "remote").as_uri())  # Workers inherit it.
        with (
            LocalCluster(n_workers=2, threads_per_worker=2, processes=True, dashboard_address=None) as cluster,
            Client(cluster) as client,
        ):
            seen: set[str] = set()
            client.run(use_cache, folder, own=True)
            print("caches of their own:", ask_all(client, "first", seen))
            print("asked once more:", ask_all(client, "first", seen))
            client.run(use_cache, folder, own=False)
            print("one cache:", ask_all(client, "second", seen))


if __name__ == "__main__":
    main()
