"""git-annex with its S3 special remote: one object for each file."""

import shutil
import subprocess
from collections.abc import Sequence

from benchmarks.buckets.server import REGION, Bucket
from benchmarks.buckets.tool import workspace
from benchmarks.place import Command, Place
from benchmarks.tools import git

#: It refuses to talk to servers on the same machine unless it is told that it may.
SETTINGS = {"annex.security.allowed-ip-addresses": "all"}


class GitAnnex:
    """`git annex add` and `copy --to`, `get` in a clone, and `get` of one path."""

    name = "git-annex"
    only_copies = False
    restores = True

    def missing(self) -> str | None:
        return None if shutil.which("git-annex") else "there is no git-annex program (Debian package git-annex)"

    def version(self) -> str:
        said = subprocess.run(["git-annex", "version", "--raw"], capture_output=True, text=True, check=True).stdout
        return f"git-annex {said.partition('-')[0]}"

    def begin(self, place: Place, bucket: Bucket) -> None:
        self._prepare(place, bucket)
        folder = place.folder("workspace")
        place.run("git", "init", "-q", folder=folder)
        place.run("git", "annex", "init", "-q", "first", folder=folder)
        where = ["host=127.0.0.1", f"port={bucket.port}", "protocol=http", "requeststyle=path"]
        # signature=v4 would sign a host without its port, which is not the host that is asked.
        what = ["type=S3", f"bucket={bucket.name}", f"datacenter={REGION}", "encryption=none"]
        place.run("git", "annex", "initremote", "-q", "bucket", *what, *where, folder=folder)

    def save(self, place: Place) -> Sequence[Command]:
        return [["git", "annex", "add", "-q", "data"], ["git", "annex", "copy", "-q", "--to", "bucket", "data"]]

    def join(self, place: Place, bucket: Bucket, first: Place) -> None:
        self._prepare(place, bucket)
        first.run("git", "commit", "-q", "--allow-empty", "-m", "data", folder=workspace(first))
        place.run("git", "clone", "-q", workspace(first).as_uri(), workspace(place), folder=place.root)
        place.run("git", "annex", "init", "-q", "second", folder=workspace(place))
        place.run("git", "annex", "enableremote", "-q", "bucket", folder=workspace(place))

    def load(self, place: Place) -> Sequence[Command]:
        return [["git", "annex", "get", "-q", "--from", "bucket", "data"]]

    def load_one(self, place: Place, name: str) -> Sequence[Command]:
        return [["git", "annex", "get", "-q", "--from", "bucket", f"data/{name}"]]

    def _prepare(self, place: Place, bucket: Bucket) -> None:
        place.variables |= git.variables(**SETTINGS) | bucket.variables
