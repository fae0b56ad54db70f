"""restic, a backup program that cuts files by content into chunks and packs them: default settings, encryption too."""

import shutil
import subprocess
from collections.abc import Sequence

from benchmarks.buckets.server import Bucket
from benchmarks.buckets.tool import workspace
from benchmarks.place import Command, Place


class Restic:
    """`restic backup`, `restic restore`, and `restic restore --include`."""

    name = "restic"
    only_copies = False
    restores = True

    def missing(self) -> str | None:
        return None if shutil.which("restic") else "there is no restic program (Debian package restic)"

    def version(self) -> str:
        said = subprocess.run(["restic", "version"], capture_output=True, text=True, check=True).stdout
        return " ".join(said.split()[:2])

    def begin(self, place: Place, bucket: Bucket) -> None:
        self._prepare(place, bucket)
        place.run("restic", "init", folder=workspace(place))

    def save(self, place: Place) -> Sequence[Command]:
        return [["restic", "backup", "--quiet", "data"]]

    def join(self, place: Place, bucket: Bucket, first: Place) -> None:
        self._prepare(place, bucket)

    def load(self, place: Place) -> Sequence[Command]:
        return [["restic", "restore", "--quiet", "latest", "--target", workspace(place)]]

    def load_one(self, place: Place, name: str) -> Sequence[Command]:
        (command,) = self.load(place)
        return [[*command, "--include", f"/data/{name}"]]

    def _prepare(self, place: Place, bucket: Bucket) -> None:
        place.variables |= bucket.variables | {
            "RESTIC_REPOSITORY": f"s3:{bucket.endpoint}/{bucket.name}",
            "RESTIC_PASSWORD": "benchmark",
            "RESTIC_CACHE_DIR": str(place.folder("cache")),
        }
        place.folder("workspace")
