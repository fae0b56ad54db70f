"""`hitsave://` as fsspec has it: what is there, what is read, what is refused."""

from __future__ import annotations

import errno
import itertools
import multiprocessing
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import pytest

from hitsave.errors import AmbiguousDigest, HitsaveError, RemoteError, WorkspaceError
from hitsave.filesystem import HitsaveFileSystem
from hitsave.objects.digest import Digest, ObjectKind, blob_digest
from hitsave.repository import Repository
from hitsave.snapshots.pointer import pointer_path
from tests.api.content import write
from tests.filesystem.conftest import Reader, publish, settings
from tests.filesystem.tables import FILES, LARGE


def add_dataset(reader: Reader, files: dict[str, bytes]) -> Path:
    """A dataset that this user made; its pointer file."""
    folder = write(reader.repository.workspace.root / "data", files)
    reader.repository.add(folder)
    return pointer_path(folder)


# -- what is there


def test_it_is_found_by_its_protocol(ben: Reader, digest: str) -> None:
    fs, path = fsspec.core.url_to_fs(f"hitsave://{digest}/readme.md")
    assert isinstance(fs, HitsaveFileSystem)
    assert path == f"{digest}/readme.md"
    assert fs.unstrip_protocol(path) == f"hitsave://{digest}/readme.md"
    assert fsspec.filesystem("hitsave") is fs


def test_looking_around(fs: HitsaveFileSystem, digest: str) -> None:
    short = digest[:9]
    assert fs.ls(short, detail=False) == [f"{short}/{name}" for name in ("empty", "odd [name]", "readme.md", "train")]
    assert fs.info(f"hitsave://{short}/readme.md") == {
        "name": f"{short}/readme.md",
        "size": 6,
        "type": "file",
        "digest": str(blob_digest(b"about\n")),
        "executable": False,
    }
    assert fs.info(short)["type"] == "directory"
    assert fs.info(short)["digest"] == digest
    assert fs.ls(f"{short}/readme.md") == [fs.info(f"{short}/readme.md")]
    assert fs.find(short) == sorted(f"{short}/{name}" for name in FILES)
    assert fs.find(f"{short}/train", maxdepth=1) == [f"{short}/train/0.csv", f"{short}/train/1.csv"]
    assert fs.find(f"{short}/readme.md") == [f"{short}/readme.md"]
    assert fs.find(f"{short}/nothing") == []
    assert [(root, sorted(dirs), sorted(files)) for root, dirs, files in fs.walk(f"{short}/train")] == [
        (f"{short}/train", ["deep"], ["0.csv", "1.csv"]),
        (f"{short}/train/deep", [], ["large.bin"]),
    ]
    assert fs.glob(f"hitsave://{short}/**/*.csv") == [f"{short}/train/0.csv", f"{short}/train/1.csv"]
    assert fs.glob(f"{short}/*") == fs.ls(short, detail=False)
    assert fs.glob(f"{short}/train/?.csv") == fs.find(f"{short}/train", maxdepth=1)
    assert fs.du(short) == sum(map(len, FILES.values()))
    assert fs.exists(short)
    assert fs.isdir(f"{short}/train")
    assert fs.isfile(f"{short}/train/0.csv")
    assert not fs.isfile(f"{short}/train")
    assert not fs.exists(f"{short}/train/9.csv")
    assert not fs.exists(f"{short}/readme.md/inner")
    assert not fs.exists(f"{short}/train/../readme.md")
    assert fs.ukey(f"{short}/readme.md") == str(blob_digest(b"about\n"))
    assert fs.checksum(f"{short}/readme.md") == int(str(blob_digest(b"about\n")), 16)


def test_every_file(fs: HitsaveFileSystem, ben: Reader, digest: str) -> None:
    for name, content in FILES.items():
        with fs.open(f"{digest}/{name}") as file:
            assert file.read() == content
    assert fs.cat(f"{digest}/**/*.csv") == {
        f"{digest}/{name}": content for name, content in FILES.items() if name.endswith(".csv")
    }
    assert ben.keeps_nothing()


def test_a_file_by_its_own_digest(fs: HitsaveFileSystem, digest: str) -> None:
    own = fs.info(f"{digest}/train/deep/large.bin")["digest"]
    assert fs.info(own) == {"name": own, "size": len(LARGE), "type": "file", "digest": own, "executable": False}
    assert fs.cat_file(own, 5, 10) == LARGE[5:10]
    assert fs.find(own) == [own]
    assert not fs.exists(f"{own}/inner")


def test_many_directories_are_read_many_at_once(fs: HitsaveFileSystem, ben: Reader, tmp_path: Path) -> None:
    many = publish(tmp_path, {f"{number // 10:03}/{number}/file": b"%d" % number for number in range(600)})
    fs.exists(many)
    ben.reset()
    assert len(fs.find(many)) == 600 + len(FILES)
    assert ben.requests <= 10


# -- pointer files


def test_a_pointer_file_stands_for_what_it_names(fs: HitsaveFileSystem, ben: Reader) -> None:
    pointer = add_dataset(ben, {"a/x.csv": b"x\n1\n"})
    assert fs.find("data.hitsave") == ["data.hitsave/a/x.csv"]
    with fsspec.open("hitsave://data.hitsave/a/x.csv", "r") as file:
        assert file.read() == "x\n1\n"
    assert fs.cat_file(f"hitsave://{pointer}/a/x.csv") == b"x\n1\n"  # An absolute path.
    assert fs.modified("data.hitsave/a/x.csv").timestamp() == pytest.approx(pointer.stat().st_mtime)
    write(ben.repository.workspace.root / "data", {"a/x.csv": b"x\n2\n"})
    assert fs.cat_file("data.hitsave/a/x.csv") == b"x\n1\n"
    ben.repository.add(ben.repository.workspace.root / "data")
    assert fs.cat_file("data.hitsave/a/x.csv") == b"x\n2\n"


def test_a_damaged_pointer_file_is_no_missing_file(fs: HitsaveFileSystem, ben: Reader) -> None:
    pointer = add_dataset(ben, {"x": b"1"})
    pointer.write_text("<<<<<<< ours\n")
    with pytest.raises(WorkspaceError, match="merge conflict"):
        fs.exists("data.hitsave/x")


# -- links


def test_links_inside_of_a_tree_are_followed(ben: Reader, fs: HitsaveFileSystem) -> None:
    root = write(ben.repository.workspace.root / "linked", {"real/file": b"content"})
    (root / "to-file").symlink_to("real/file")
    (root / "to-folder").symlink_to("real")
    (root / "real/up").symlink_to("../real")
    (root / "real/loop").symlink_to("loop")
    (ben.repository.workspace.root / "hitsave.toml").write_text("project = 'x'\nsymlinks = 'store'\n")
    with Repository.open(ben.repository.workspace.root) as repository:
        digest = str(repository.keep(root).digest)
    assert fs.cat_file(f"{digest}/to-file") == b"content"
    assert fs.cat_file(f"{digest}/to-folder/up/up/file") == b"content"
    assert not fs.exists(f"{digest}/real/loop")
    kinds = {Path(info["name"]).name: info["type"] for info in fs.ls(digest)}
    assert kinds == {"real": "directory", "to-file": "file", "to-folder": "link"}
    assert fs.isdir(f"{digest}/to-folder")
    assert fs.find(digest) == [f"{digest}/real/file", f"{digest}/to-file"]


# -- reading


def test_ranges(fs: HitsaveFileSystem, digest: str) -> None:
    path = f"{digest}/train/deep/large.bin"
    for start, end in ((0, 10), (None, 3), (-5, None), (len(LARGE) - 3, len(LARGE) + 9), (7, 7), (9, 3), (5, -5)):
        assert fs.cat_file(path, start, end) == LARGE[start:end]
    with fs.open(path) as file:
        assert file.size == len(LARGE)
        assert file.seek(-10, os.SEEK_END) == len(LARGE) - 10
        assert file.read() == LARGE[-10:]
        assert file.read(5) == b""
        file.seek(1_000_000)
        assert file.read(700_000) == LARGE[1_000_000:1_700_000]
        assert file.read(10) == LARGE[1_700_000:1_700_010]
        assert file.tell() == 1_700_010
        file.seek(50)
        assert file.readline() == LARGE[50:].partition(b"\n")[0] + b"\n"
        file.seek(len(LARGE) + 10)
        assert file.read(10) == b""
    with pytest.raises(ValueError, match="closed"):
        file.read(1_000_000)


def test_cat_ranges_is_one_round_of_requests(fs: HitsaveFileSystem, ben: Reader, digest: str) -> None:
    large, small = f"{digest}/train/deep/large.bin", f"{digest}/train/0.csv"
    fs.cat_ranges([large, small], 0, 1)  # Indexes and recipe.
    ben.reset()
    starts = [1_000_000, 1_000_100, 2, 1_000_050]
    found = fs.cat_ranges([large, large, small, large], starts, [start + 5 for start in starts])
    assert found == [
        LARGE[1_000_000:1_000_005],
        LARGE[1_000_100:1_000_105],
        FILES["train/0.csv"][2:7],
        LARGE[1_000_050:1_000_055],
    ]
    assert ben.requests <= 1
    assert ben.received <= 512 << 10
    failed = fs.cat_ranges([small, f"{digest}/nothing"], [0, 0], [1, 1])
    assert failed[0] == b"x"
    assert isinstance(failed[1], FileNotFoundError)
    with pytest.raises(FileNotFoundError):
        fs.cat_ranges([small, f"{digest}/nothing"], [0, 0], [1, 1], on_error="raise")


def test_a_part_of_a_file_reads_its_chunks_only(fs: HitsaveFileSystem, ben: Reader, digest: str) -> None:
    path = f"{digest}/train/deep/large.bin"
    fs.info(path)
    ben.reset()
    assert fs.cat_file(path, 2_000_000, 2_000_010) == LARGE[2_000_000:2_000_010]
    assert ben.received < 600 << 10
    ben.reset()
    assert fs.cat_file(path, 2_000_003, 2_000_008) == LARGE[2_000_003:2_000_008]
    assert ben.requests == 0  # The chunk is kept in memory.


def test_reading_from_begin_to_end_reads_each_byte_once(fs: HitsaveFileSystem, ben: Reader, digest: str) -> None:
    content = bytearray()
    with fs.open(f"{digest}/train/deep/large.bin") as file:
        ben.reset()
        while piece := file.read(10_000):
            content += piece
    assert content == LARGE
    assert ben.received < 1.02 * len(LARGE)
    assert ben.requests <= 10


def test_two_neighbouring_reads_read_nothing_ahead(fs: HitsaveFileSystem, ben: Reader, digest: str) -> None:
    with fs.open(f"{digest}/train/deep/large.bin") as file:
        ben.reset()
        assert file.read(500_000) + file.read(500_000) == LARGE[:1_000_000]
    assert ben.received < 1_000_000 + (512 << 10)


def test_what_is_damaged_in_the_cache_is_read_from_the_remote(fs: HitsaveFileSystem, ben: Reader, digest: str) -> None:
    blob = blob_digest(LARGE)
    place = ben.repository.path_of(blob)
    assert fs.cat_file(f"{digest}/train/deep/large.bin", 0, 5) == LARGE[:5]
    place.chmod(0o644)
    place.write_bytes(b"damaged")
    assert fs.cat_file(f"{digest}/train/deep/large.bin", 0, 5) == LARGE[:5]
    with fs.open(f"{digest}/train/deep/large.bin") as file:
        assert file.read() == LARGE


def test_a_file_is_downloaded(fs: HitsaveFileSystem, tmp_path: Path, digest: str) -> None:
    fs.get(f"{digest}/train", str(tmp_path / "out"), recursive=True)
    assert (tmp_path / "out/deep/large.bin").read_bytes() == LARGE


# -- errors


def test_what_is_not_there_is_no_file(fs: HitsaveFileSystem, digest: str) -> None:
    for path in (f"{digest}/nothing", "0123456789/x", "notahash", "", "absent.hitsave/x"):
        with pytest.raises(FileNotFoundError, match="hitsave://"):
            fs.info(path)
        assert not fs.exists(path)
    with pytest.raises(FileNotFoundError, match="no object 0123456789 in the cache, nor in the remote"):
        fs.open("hitsave://0123456789/x")
    with pytest.raises(FileNotFoundError, match="7 hex digits"):
        fs.ls("012345")
    with pytest.raises(IsADirectoryError, match="train"):
        fs.open(f"{digest}/train")


def test_content_that_is_nowhere_is_not_taken_for_a_missing_file(
    fs: HitsaveFileSystem, ben: Reader, digest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ben.repository.exchange.fetch(
        [ben.repository._snapshot_ref(Digest(bytes.fromhex(digest)), ObjectKind.TREE)], include=lambda path: False
    )
    monkeypatch.setenv("HITSAVE_NO_CLOUD", "1")
    assert fs.exists(f"{digest}/readme.md")
    with pytest.raises(HitsaveError, match="in the cache"):
        fs.cat_file(f"{digest}/readme.md")


def test_what_is_pushed_later_is_found(fs: HitsaveFileSystem, ben: Reader, digest: str, tmp_path: Path) -> None:
    assert fs.ls(digest, detail=False)
    later = publish(tmp_path, {"later.bin": LARGE[::-1], "small.txt": b"small"})
    assert fs.cat_file(f"{later}/later.bin", 0, 5) == LARGE[::-1][:5]
    assert fs.cat_file(f"{later}/small.txt") == b"small"
    assert ben.keeps_nothing()


def test_a_remote_that_is_damaged_is_an_error(fs: HitsaveFileSystem, ben: Reader, digest: str, tmp_path: Path) -> None:
    for pack in (tmp_path / "remote/packs").rglob("*.pack"):
        content = bytearray(pack.read_bytes())
        content[len(content) // 2] ^= 1
        pack.chmod(0o644)
        pack.write_bytes(content)
    with pytest.raises(RemoteError, match="is corrupt"):
        fs.cat_file(f"{digest}/train/deep/large.bin")


def test_an_ambiguous_digest_lists_what_it_may_be(fs: HitsaveFileSystem, ben: Reader) -> None:
    seen: dict[str, bytes] = {}
    for content in (b"%d" % number for number in itertools.count()):
        short = str(blob_digest(content))[:7]
        if short in seen:
            break
        seen[short] = content
    with ben.repository.cache.intake() as intake:
        both = [intake.add(ObjectKind.BLOB, one) for one in (seen[short], content)]
        intake.publish([])
    with pytest.raises(AmbiguousDigest) as caught:
        fs.exists(short)
    assert caught.value.candidates == tuple(sorted(map(str, both)))


def test_nothing_can_be_written(fs: HitsaveFileSystem, digest: str) -> None:
    path = f"{digest}/new"
    for act in (
        lambda: fs.open(path, "wb"),
        lambda: fs.open(path, "a"),
        lambda: fs.mkdir(path),
        lambda: fs.makedirs(path),
        lambda: fs.rm(f"{digest}/readme.md"),
        lambda: fs.rm_file(f"{digest}/readme.md"),
        lambda: fs.cp_file(f"{digest}/readme.md", path),
        lambda: fs.mv(f"{digest}/readme.md", path),
        lambda: fs.touch(path),
        lambda: fs.pipe(path, b"new"),
        lambda: fs.put_file(__file__, path),
    ):
        with pytest.raises(OSError, match="hitsave://") as caught:
            act()
        assert caught.value.errno == errno.EROFS
    assert fs.find(digest) == sorted(f"{digest}/{name}" for name in FILES)


# -- threads, processes, settings


def test_threads(fs: HitsaveFileSystem, ben: Reader, digest: str) -> None:
    path = f"{digest}/train/deep/large.bin"

    def read(number: int) -> bool:
        start = number * 97_001 % len(LARGE)
        with fs.open(path) as file:
            file.seek(start)
            found = file.read(100_000)
        return bool(found == LARGE[start : start + 100_000] == fs.cat_file(path, start, start + 100_000))

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(read, range(64)))
    assert ben.keeps_nothing()


def _cat(fs: HitsaveFileSystem, path: str) -> bytes:
    return bytes(fs.cat_file(path, 1000, 2000))


@pytest.mark.parametrize("method", ["spawn", *(["fork"] if hasattr(os, "fork") else [])])
def test_other_processes(fs: HitsaveFileSystem, digest: str, method: str) -> None:
    path = f"{digest}/train/deep/large.bin"
    assert _cat(fs, path) == LARGE[1000:2000]
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.starmap(_cat, [(fs, path)] * 4) == [LARGE[1000:2000]] * 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_file_that_was_opened_before_a_fork_says_so(fs: HitsaveFileSystem, digest: str) -> None:
    file = fs.open(f"{digest}/train/deep/large.bin")
    file.read(10)
    child = os.fork()
    if child == 0:
        try:
            file.read(1_000_000)
        except RemoteError as error:
            os._exit(7 if "before this process was forked" in str(error) else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert file.read(1_000_000) == LARGE[10:1_000_010]


def test_pickling(fs: HitsaveFileSystem, ben: Reader, digest: str) -> None:
    again = pickle.loads(pickle.dumps(fs))
    assert isinstance(again, HitsaveFileSystem)
    assert again.cat_file(f"{digest}/readme.md") == b"about\n"
    opened = pickle.loads(pickle.dumps(fsspec.open(f"hitsave://{digest}/readme.md", "rt")))
    with opened as file:
        assert file.read() == "about\n"


def test_the_workspace_can_be_named(tmp_path: Path, digest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a worker that runs elsewhere, in `storage_options`."""
    workspace, environ = settings(tmp_path, "cleo")
    for key, value in environ.items():
        monkeypatch.setenv(key, value)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    with pytest.raises(FileNotFoundError):
        fsspec.open(f"hitsave://{digest}/readme.md").open()
    with fsspec.open(f"hitsave://{digest}/readme.md", workspace=workspace) as file:
        assert file.read() == b"about\n"
    fs = fsspec.filesystem("hitsave", workspace=str(workspace))
    assert fs.exists(digest)


# -- the extra


def test_without_the_extra_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "hitsave.filesystem")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ImportError, match=r"pip install 'hitsave\[fsspec\]'"):
        import hitsave.filesystem  # noqa: F401


def test_nothing_else_loads_fsspec() -> None:
    script = "import sys, hitsave; hitsave.open, hitsave.DirectorySnapshot; sys.exit('fsspec' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
