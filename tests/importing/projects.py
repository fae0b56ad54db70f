"""Git repositories in which another tool keeps data, made by hand as the tool's documentation lays them out."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hitsave.importing.history import History
from hitsave.importing.model import Imported, Source
from hitsave.importing.run import Import
from hitsave.objects.refs import Namespace, Ref
from hitsave.progress import Progress, Silent
from hitsave.repository import Repository
from tests.cache.content import all_files_of
from tests.cli.world import git, git_environment


@dataclass(frozen=True)
class GitProject:
    """A repository whose commits are a minute apart, from 2024 on."""

    root: Path
    cache: Path

    def begin(self) -> None:
        """An empty repository."""
        self.root.mkdir(parents=True)
        git(self.root, "init", "--quiet", "-b", "main")

    def commit(self, message: str = "data") -> str:
        """Commit all there is; the commit's hex name."""
        earlier = subprocess.run(
            ["git", "-C", self.root, "rev-list", "--all", "--count"], capture_output=True, check=True
        )
        when = f"{1704067200 + 60 * int(earlier.stdout)} +0000"
        git(self.root, "add", "--all")
        environment = {**git_environment(), "GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
        environment |= {"GIT_AUTHOR_EMAIL": "ann@lab", "HOME": os.environ.get("HOME", "/")}
        command: list[str | Path] = ["git", "-C", self.root, "commit", "--quiet", "--allow-empty", "-m", message]
        subprocess.run(command, check=True, env=environment)
        return git(self.root, "rev-parse", "HEAD").strip()

    def write(self, path: str, content: bytes | str) -> Path:
        """Write a file of the working folder."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())
        return place

    def repository(self) -> Repository:
        """hitsave's view of it."""
        variables = {"HITSAVE_LOCAL_CACHE_DIR": str(self.cache), "HITSAVE_CONFIG_DIR": str(self.cache) + "-config"}
        return Repository.open(self.root, variables)

    def run(
        self, source: Any, *, beneath: str = ".", dry_run: bool = False, progress: Progress | None = None, **how: Any
    ) -> Imported:
        """Import, with the source that `source` makes of the history."""
        with self.repository() as repository:
            history = History(self.root)
            made: Source = source(history)
            watched = progress or Silent()
            run = Import(made, history.root, repository.cache, repository.project, watched, **how)
            return run.run(self.root / beneath, dry_run)

    def refs(self) -> dict[str, Ref]:
        """What is owned, by the ref's name without its digest, and the commit."""
        with self.repository() as repository:
            return {
                f"{ref.name.name.partition('@')[0]} {ref.git_commit}": ref
                for ref in repository.cache.refs(Namespace.DATASETS)
            }

    def files(self, ref: Ref) -> dict[bytes, bytes]:
        """The files that a ref owns; a single file has an empty path."""
        with self.repository() as repository:
            return all_files_of(repository.cache, ref.digest, ref.kind)


@dataclass(frozen=True)
class DvcProject(GitProject):
    """DVC's `.dvc` files and cache. With `old`, as DVC wrote them before its version 3."""

    old: bool = False
    objects: str = ".dvc/cache"

    def begin(self) -> None:
        """An empty repository with DVC's settings."""
        super().begin()
        self.write(".dvc/config", "")
        self.write(".dvc/.gitignore", "/cache\n/config.local\n/tmp\n")

    def object_path(self, md5: str) -> Path:
        """Where the cache keeps an object."""
        inside = f"{md5[:2]}/{md5[2:]}" if self.old else f"files/md5/{md5[:2]}/{md5[2:]}"
        return self.root / self.objects / inside

    def put(self, content: bytes, ends: str = "") -> str:
        """Keep a content in the cache, read-only as DVC does; its name."""
        named = content.replace(b"\r\n", b"\n") if self.old else content
        md5 = hashlib.md5(named).hexdigest() + ends
        path = self.object_path(md5)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        path.chmod(0o444)
        return md5

    def put_list(self, listed: Any) -> str:
        """Keep a directory's list; its name."""
        return self.put(json.dumps(listed, sort_keys=True).encode(), ".dir")

    def put_folder(self, files: Mapping[str, bytes]) -> str:
        """Keep a directory; its name."""
        return self.put_list([{"md5": self.put(files[path]), "relpath": path} for path in sorted(files)])

    def track(self, path: str, content: bytes | Mapping[str, bytes], more: str = "") -> str:
        """What `dvc add` does: the content into the cache, its `.dvc` file beside; the name."""
        md5 = self.put(content) if isinstance(content, bytes) else self.put_folder(content)
        self.name(path, md5, more)
        return md5

    def name(self, path: str, md5: str, more: str = "") -> None:
        """Write a `.dvc` file, with `more` lines of the output."""
        kind = "" if self.old else "  hash: md5\n"
        name = path.rpartition("/")[2]
        self.write(f"{path}.dvc", f"outs:\n- md5: {md5}\n  size: 1\n{kind}{more}  path: {name}\n")
        ignore = self.root / path
        self.write(os.fspath(ignore.with_name(".gitignore").relative_to(self.root)), f"/{name}\n")


def everything(folder: Path, but: str = ".hitsave") -> dict[str, tuple[bytes, int]]:
    """Every file beneath a folder with its content and mode, but those whose names end so."""
    found = {}
    for above, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(above, name)
            if not name.endswith(but) and os.path.isfile(path):
                found[path] = Path(path).read_bytes(), os.stat(path).st_mode
    return found


@dataclass(frozen=True)
class LfsProject(GitProject):
    """git-lfs's pointers, written as they are, and its objects."""

    def object_path(self, oid: str) -> Path:
        """Where a content is kept."""
        return self.root / ".git/lfs/objects" / oid[:2] / oid[2:4] / oid

    def track(self, path: str, content: bytes) -> str:
        """A pointer in the working folder, where git-lfs would put the content, and the content; its name."""
        oid = hashlib.sha256(content).hexdigest()
        self.write(path, f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n")
        place = self.object_path(oid)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        return oid


@dataclass(frozen=True)
class AnnexProject(GitProject):
    """git-annex's links and pointer files, and its objects."""

    def object_path(self, key: str) -> Path:
        """Where a content is kept; the first two folders are a hash of the key, which nothing here depends on."""
        return self.root / ".git/annex/objects/Gq/4J" / key / key

    def put(self, content: bytes, key: str = "") -> str:
        """Keep a content, by its SHA-256 unless a key is given; the key."""
        key = key or f"SHA256E-s{len(content)}--{hashlib.sha256(content).hexdigest()}.bin"
        place = self.object_path(key)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        place.chmod(0o444)
        return key

    def lock(self, path: str, key: str) -> None:
        """A link to a content."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.symlink_to(os.path.relpath(self.object_path(key), place.parent))

    def unlock(self, path: str, key: str) -> None:
        """A pointer file in its place."""
        (self.root / path).unlink(missing_ok=True)
        self.write(path, f"/annex/objects/{key}\n")
