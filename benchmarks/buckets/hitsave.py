"""hitsave itself: `add` and `push`, `pull`, and `pull --include`."""

import shutil
from collections.abc import Sequence

from benchmarks.buckets.server import REGION, Bucket
from benchmarks.buckets.tool import workspace
from benchmarks.place import Command, Place
from benchmarks.tools import git
from benchmarks.tools.hitsave import SHARED, Hitsave


class HitsaveInBucket:
    """What another machine gets is the pointer file and the settings, as after `git clone`."""

    name = "hitsave"
    only_copies = False
    restores = True

    def __init__(self) -> None:
        self._installed = Hitsave()
        self._hitsave = self._installed.program

    def missing(self) -> str | None:
        return self._installed.missing()

    def version(self) -> str:
        return self._installed.version()

    def begin(self, place: Place, bucket: Bucket) -> None:
        self._prepare(place, bucket)
        url = f"s3://{bucket.name}/hitsave?endpoint={bucket.endpoint}&region={REGION}"
        place.run(self._hitsave, "remote", "add", "origin", url, folder=workspace(place))

    def save(self, place: Place) -> Sequence[Command]:
        return [[self._hitsave, "add", "data"], [self._hitsave, "push"]]

    def join(self, place: Place, bucket: Bucket, first: Place) -> None:
        self._prepare(place, bucket)
        for name in SHARED:
            if (workspace(first) / name).exists():
                shutil.copy(workspace(first) / name, workspace(place) / name)

    def load(self, place: Place) -> Sequence[Command]:
        return [[self._hitsave, "pull"]]

    def load_one(self, place: Place, name: str) -> Sequence[Command]:
        return [[self._hitsave, "pull", "--include", f"/{name}"]]

    def _prepare(self, place: Place, bucket: Bucket) -> None:
        place.variables |= git.variables() | bucket.variables
        for name in ("CONFIG", "LOCAL_CACHE"):
            place.variables[f"HITSAVE_{name}_DIR"] = str(place.folder(name.lower()))
        place.run("git", "init", "-q", folder=place.folder("workspace"))
