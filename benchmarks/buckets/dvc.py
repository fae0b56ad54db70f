"""DVC with its S3 remote: one object for each file, named by its MD5."""

from collections.abc import Sequence

from benchmarks.buckets.server import REGION, Bucket
from benchmarks.buckets.tool import workspace
from benchmarks.place import Command, Place
from benchmarks.tools import git
from benchmarks.tools.dvc import Dvc


class DvcInBucket:
    """`dvc add` and `dvc push`, `dvc pull` in a clone, and `dvc pull` of one path."""

    name = "dvc"
    only_copies = False
    restores = True

    def __init__(self) -> None:
        self._installed = Dvc()
        self._dvc = self._installed.program

    def missing(self) -> str | None:
        return self._installed.missing()

    def version(self) -> str:
        return self._installed.version()

    def begin(self, place: Place, bucket: Bucket) -> None:
        self._prepare(place, bucket)
        folder = place.folder("workspace")
        place.run("git", "init", "-q", folder=folder)
        place.run(self._dvc, "init", "-q", folder=folder)
        place.run(self._dvc, "remote", "add", "-q", "-d", "origin", f"s3://{bucket.name}/dvc", folder=folder)
        for name, value in (("endpointurl", bucket.endpoint), ("region", REGION)):
            place.run(self._dvc, "remote", "modify", "-q", "origin", name, value, folder=folder)

    def save(self, place: Place) -> Sequence[Command]:
        return [[self._dvc, "add", "-q", "data"], [self._dvc, "push", "-q"]]

    def join(self, place: Place, bucket: Bucket, first: Place) -> None:
        self._prepare(place, bucket)
        first.run("git", "add", "-A", folder=workspace(first))
        first.run("git", "commit", "-q", "--allow-empty", "-m", "data", folder=workspace(first))
        place.run("git", "clone", "-q", workspace(first).as_uri(), workspace(place), folder=place.root)

    def load(self, place: Place) -> Sequence[Command]:
        return [[self._dvc, "pull", "-q"]]

    def load_one(self, place: Place, name: str) -> Sequence[Command]:
        return [[self._dvc, "pull", "-q", f"data/{name}"]]

    def _prepare(self, place: Place, bucket: Bucket) -> None:
        place.variables |= git.variables() | bucket.variables | {"DVC_NO_ANALYTICS": "1"}
        for scope in ("GLOBAL_CONFIG", "SYSTEM_CONFIG", "SITE_CACHE"):
            place.variables[f"DVC_{scope}_DIR"] = str(place.folder(scope.lower()))
