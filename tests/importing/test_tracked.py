"""Importing from git-lfs and git-annex: repositories made by hand. test_real_tools.py has the tools make them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hitsave.errors import WorkspaceError
from hitsave.importing.annex import AnnexFormat, parse_key
from hitsave.importing.history import History
from hitsave.importing.lfs import LfsFormat, folder_of
from hitsave.importing.model import Imported, State
from hitsave.importing.tracked import TrackedSource
from hitsave.snapshots.pointer import load_pointer
from tests.cli.world import git
from tests.importing.projects import AnnexProject, LfsProject, everything

LARGE = os.urandom(300_000)


def lfs(*folders: bytes, keep_links: bool = False) -> Callable[[History], TrackedSource]:
    return lambda history: TrackedSource(history, LfsFormat(history), folders, keep_links)


def annex(*folders: bytes, keep_links: bool = False) -> Callable[[History], TrackedSource]:
    return lambda history: TrackedSource(history, AnnexFormat(history), folders, keep_links)


def states(done: Imported) -> list[tuple[bytes, State]]:
    return [(outcome.version.path, outcome.state) for outcome in done.outcomes]


@pytest.fixture
def lfs_project(tmp_path: Path) -> LfsProject:
    made = LfsProject(tmp_path / "project", tmp_path / "cache")
    made.begin()
    return made


@pytest.fixture
def annex_project(tmp_path: Path) -> AnnexProject:
    made = AnnexProject(tmp_path / "project", tmp_path / "cache")
    made.begin()
    return made


# -- git-lfs


def test_single_files_and_whole_folders(lfs_project: LfsProject) -> None:
    lfs_project.write(".gitattributes", "*.psd filter=lfs diff=lfs merge=lfs -text\ndata/** filter=lfs\n")
    lfs_project.track("art/logo.psd", b"logo")
    lfs_project.track("data/a.bin", b"first")
    lfs_project.track("data/sub/big.bin", LARGE)
    lfs_project.write("data/empty", b"")
    lfs_project.write("code.py", "pass\n")
    first = lfs_project.commit()
    lfs_project.track("data/a.bin", b"second")
    second = lfs_project.commit()
    lfs_project.write("code.py", "other\n")
    lfs_project.commit()
    before = everything(lfs_project.root)

    done = lfs_project.run(lfs())

    assert states(done) == [
        (b"data", State.IMPORTED),
        (b"data", State.IMPORTED),
        (b"art/logo.psd", State.IMPORTED),
    ]
    refs = lfs_project.refs()
    assert lfs_project.files(refs[f"project/data {first}"]) == {
        b"a.bin": b"first",
        b"sub/big.bin": LARGE,
        b"empty": b"",
    }
    assert lfs_project.files(refs[f"project/data {second}"])[b"a.bin"] == b"second"
    assert lfs_project.files(refs[f"project/art/logo.psd {first}"]) == {b"": b"logo"}
    assert done.pointers == [b"data", b"art/logo.psd"]
    assert load_pointer(lfs_project.root / "data.hitsave").files == 3
    assert everything(lfs_project.root) == before
    again = lfs_project.run(lfs())
    assert {state for _, state in states(again)} == {State.KNOWN}


def test_a_folder_that_was_asked_for_holds_what_git_keeps_itself_too(lfs_project: LfsProject) -> None:
    lfs_project.track("set/images/a.png", b"image")
    lfs_project.write("set/labels.csv", "a,1\n")
    lfs_project.write("set/run.sh", "#!/bin/sh\n").chmod(0o755)
    (lfs_project.root / "set/link").symlink_to("labels.csv")
    (lfs_project.root / "set/outside").symlink_to("../../elsewhere")
    lfs_project.commit()
    done = lfs_project.run(lfs(b"set", b"set/images"))
    assert states(done) == [(b"set", State.IMPORTED)]
    assert [(one.path, one.reason) for one in done.skipped] == [
        (b"set/link", "is a symbolic link"),
        (b"set/outside", "is a symbolic link"),
    ]
    (ref,) = lfs_project.refs().values()
    files = {b"images/a.png": b"image", b"labels.csv": b"a,1\n", b"run.sh": b"#!/bin/sh\n"}
    assert lfs_project.files(ref) == files
    with_links = LfsProject(lfs_project.root, lfs_project.cache.with_name("another"))
    kept = with_links.run(lfs(b"set", keep_links=True))
    assert [one.path for one in kept.skipped] == [b"set/outside"]
    (ref,) = with_links.refs().values()
    assert with_links.files(ref) == {**files, b"link": b"labels.csv"}


def test_what_git_lfs_did_not_fetch_is_listed(lfs_project: LfsProject) -> None:
    lost = lfs_project.track("data/lost.bin", b"lost")
    lfs_project.track("data/here.bin", b"here")
    damaged = lfs_project.track("damaged.bin", b"damaged")
    lfs_project.commit()
    lfs_project.object_path(lost).unlink()
    lfs_project.object_path(damaged).write_bytes(b"DAMAGED")
    done = lfs_project.run(lfs(b"data"))
    assert [(outcome.missing, outcome.damaged) for outcome in done.outcomes] == [((b"lost.bin",), ()), ((), (b"",))]
    assert lfs_project.refs() == {}
    # A content that was checked out stands in, in the version that is.
    lfs_project.write("data/lost.bin", b"lost")
    assert states(lfs_project.run(lfs(b"data")))[0] == (b"data", State.IMPORTED)


def test_another_storage(lfs_project: LfsProject) -> None:
    lfs_project.track("a.bin", b"a")
    lfs_project.commit()
    (lfs_project.root / ".git/lfs").rename(lfs_project.root / ".git/elsewhere")
    git(lfs_project.root, "config", "lfs.storage", "elsewhere")
    assert states(lfs_project.run(lfs())) == [(b"a.bin", State.IMPORTED)]


def test_another_work_tree_of_the_repository(lfs_project: LfsProject, tmp_path: Path) -> None:
    lfs_project.track("a.bin", b"a")
    lfs_project.commit()
    git(lfs_project.root, "worktree", "add", "--quiet", str(tmp_path / "other"))
    other = LfsProject(tmp_path / "other", lfs_project.cache)
    assert states(other.run(lfs())) == [(b"a.bin", State.IMPORTED)]


@pytest.mark.parametrize(
    "content",
    [
        "version https://git-lfs.github.com/spec/v1\noid sha256:../../etc/passwd\nsize 3\n",
        "version https://git-lfs.github.com/spec/v1\nsize 3\n",
        "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\n",
        "VERSION\n",
        "",
    ],
)
def test_what_only_looks_like_a_pointer(lfs_project: LfsProject, content: str) -> None:
    lfs_project.write("a.bin", content)
    lfs_project.commit()
    with pytest.raises(WorkspaceError, match="no commit has files of git-lfs"):
        lfs_project.run(lfs())


@pytest.mark.parametrize(
    ("line", "folder"),
    [
        (b"data/** filter=lfs diff=lfs", b"data"),
        (b"/data/* -text filter=lfs", b"data"),
        (b"a/b/**/* filter=lfs", b"a/b"),
        (b"my[[:space:]]data/** filter=lfs", b"my data"),
        (b'"my data/**" filter=lfs', b"my data"),
        (b"* filter=lfs", b""),
        (b"*.bin filter=lfs", None),
        (b"data/*.bin filter=lfs", None),
        (b"da*/** filter=lfs", None),
        (b"**/deep/* filter=lfs", None),
        (b"data/** -filter", None),
        (b"data/** !filter=lfs", None),
        (b"# data/** filter=lfs", None),
        (b"", None),
    ],
)
def test_lines_of_gitattributes(line: bytes, folder: bytes | None) -> None:
    assert folder_of(line) == folder


def test_a_folder_with_attributes_of_its_own(lfs_project: LfsProject) -> None:
    lfs_project.write("data/.gitattributes", "* filter=lfs\n.gitattributes !filter\n")
    lfs_project.write(".gitattributes", "* filter=lfs\n")
    lfs_project.track("data/a.bin", b"a")
    lfs_project.track("b.bin", b"b")
    lfs_project.commit()
    assert states(lfs_project.run(lfs())) == [(b"data", State.IMPORTED), (b"b.bin", State.IMPORTED)]


# -- git-annex


def test_locked_and_unlocked_files(annex_project: AnnexProject) -> None:
    small, large = annex_project.put(b"small"), annex_project.put(LARGE)
    annex_project.lock("data/a.bin", small)
    annex_project.lock("data/sub/big.bin", large)
    first = annex_project.commit()
    annex_project.unlock("data/a.bin", small)
    annex_project.commit()
    annex_project.unlock("data/a.bin", annex_project.put(b"edited"))
    third = annex_project.commit()
    git(annex_project.root, "update-ref", "refs/heads/git-annex", first)

    done = annex_project.run(annex())

    # A file that was unlocked is what it was.
    assert states(done) == [
        (b"data/a.bin", State.IMPORTED),
        (b"data/sub/big.bin", State.IMPORTED),
        (b"data/a.bin", State.IMPORTED),
    ]
    refs = annex_project.refs()
    assert annex_project.files(refs[f"project/data/a.bin {first}"]) == {b"": b"small"}
    assert annex_project.files(refs[f"project/data/a.bin {third}"]) == {b"": b"edited"}
    assert sorted(done.pointers) == [b"data/a.bin", b"data/sub/big.bin"]
    assert load_pointer(annex_project.root / "data/a.bin.hitsave").digest == refs[f"project/data/a.bin {third}"].digest


def test_a_folder_of_annexed_files(annex_project: AnnexProject) -> None:
    small = annex_project.put(b"small")
    annex_project.lock("data/a.bin", small)
    annex_project.write("data/README", "read\n")
    first = annex_project.commit()
    annex_project.unlock("data/a.bin", small)
    annex_project.commit()
    done = annex_project.run(annex(b"data"))
    # Both versions are the same directory.
    assert states(done) == [(b"data", State.IMPORTED), (b"data", State.IMPORTED)]
    assert list(annex_project.refs()) == [f"project/data {first}"]
    assert annex_project.files(annex_project.refs()[f"project/data {first}"]) == {
        b"README": b"read\n",
        b"a.bin": b"small",
    }
    with pytest.raises(WorkspaceError, match="no commit has a folder there"):
        annex_project.run(annex(b"code"))


def test_what_the_annex_does_not_have(annex_project: AnnexProject) -> None:
    gone, changed = annex_project.put(b"gone"), annex_project.put(b"as it was")
    annex_project.lock("gone", gone)
    annex_project.lock("changed", changed)
    annex_project.commit()
    annex_project.object_path(gone).unlink()
    annex_project.object_path(changed).chmod(0o644)
    annex_project.object_path(changed).write_bytes(b"as it is!")
    outcomes = {outcome.version.path: outcome for outcome in annex_project.run(annex()).outcomes}
    assert (outcomes[b"gone"].missing, outcomes[b"changed"].damaged) == ((b"",), (b"",))


@pytest.mark.parametrize(
    ("backend", "name"),
    [
        ("MD5", hashlib.md5(b"x").hexdigest()),
        ("SHA1E", hashlib.sha1(b"x").hexdigest() + ".tar.gz"),
        ("SHA512", hashlib.sha512(b"x").hexdigest()),
        ("SHA3_256E", hashlib.sha3_256(b"x").hexdigest() + ".x"),
        ("BLAKE2B256E", hashlib.blake2b(b"x", digest_size=32).hexdigest()),
        ("BLAKE2S160", hashlib.blake2s(b"x", digest_size=20).hexdigest()),
    ],
)
def test_keys_that_are_hashes(annex_project: AnnexProject, backend: str, name: str) -> None:
    key = parse_key(f"{backend}-s1--{name}")
    assert key is not None
    assert key.checksum is not None
    annex_project.lock("right", annex_project.put(b"x", f"{backend}-s1--{name}"))
    annex_project.commit()
    assert states(annex_project.run(annex())) == [(b"right", State.IMPORTED)]


def test_keys_that_are_none(annex_project: AnnexProject) -> None:
    for path, key in (("worm", "WORM-s4-m1--worm"), ("url", "URL--http&c%%host%x"), ("skein", "SKEIN256-s4--00")):
        annex_project.lock(path, annex_project.put(b"data", key))
    annex_project.lock("short", annex_project.put(b"too long", "WORM-s4-m1--short"))
    annex_project.commit()
    done = dict(states(annex_project.run(annex())))
    assert done == {
        b"worm": State.IMPORTED,
        b"url": State.IMPORTED,
        b"skein": State.IMPORTED,
        b"short": State.INCOMPLETE,
    }


@pytest.mark.parametrize("text", ["", "abc", "SHA256", "SHA256-s1-", "sha256--x", "-s1--x", "SHA256-sx--y"])
def test_what_is_no_key(text: str) -> None:
    assert parse_key(text) is None


def test_links_that_are_not_the_annexs(annex_project: AnnexProject) -> None:
    (annex_project.root / "one").symlink_to("/etc/passwd")
    (annex_project.root / "two").symlink_to(".git/annex/objects/ab/cd/not-a-key/not-a-key")
    annex_project.write("three", "/annex/objects/not-a-key\n")
    annex_project.commit()
    with pytest.raises(WorkspaceError, match="no commit has files of git-annex"):
        annex_project.run(annex())
