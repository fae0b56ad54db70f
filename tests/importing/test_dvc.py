"""Importing from DVC: repositories made by hand in the documented layout. test_real_tools.py has DVC make them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from hitsave.cache.intake import WHOLE_FROM
from hitsave.errors import CorruptObject, WorkspaceError
from hitsave.importing.dvc import DvcSource
from hitsave.importing.model import Imported, State
from hitsave.importing.run import Import
from hitsave.objects.digest import blob_digest
from hitsave.snapshots.pointer import load_pointer
from tests.cli.world import git
from tests.importing.projects import DvcProject, everything
from tests.remotes.content import noise

LARGE = os.urandom(300_000)


def states(done: Imported) -> list[tuple[bytes, State]]:
    return [(outcome.version.path, outcome.state) for outcome in done.outcomes]


class Count:
    """Progress that counts the contents that were read, and may fail at one of them."""

    def __init__(self, fail_at: int = 0, error: BaseException | None = None) -> None:
        self.files = 0
        self.notes: list[str] = []
        self._fail_at = fail_at
        self._error = error or KeyboardInterrupt()

    def start(self, what: str, size: int | None = None) -> None:
        pass

    def advance(self, size: int, files: int = 0) -> None:
        self.files += files
        if self.files == self._fail_at:
            raise self._error

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_every_version_in_every_branch_and_tag_becomes_a_ref(project: DvcProject) -> None:
    project.track("data", {"a.txt": b"one", "sub/big.bin": LARGE})
    first = project.commit()
    project.track("data", {"a.txt": b"two", "sub/big.bin": LARGE})
    second = project.commit()
    git(project.root, "checkout", "--quiet", "-b", "side", first)
    project.track("models/net.bin", b"weights")
    side = project.commit()
    git(project.root, "checkout", "--quiet", "--detach")
    project.track("data", {"b.txt": b"tagged"})
    tagged = project.commit()
    git(project.root, "tag", "-a", "v1", "-m", "v1")
    git(project.root, "checkout", "--quiet", "main")
    before = everything(project.root)

    done = project.run(DvcSource)

    assert [outcome.state for outcome in done.outcomes] == [State.IMPORTED] * 4
    refs = project.refs()
    assert set(refs) == {
        f"project/data {first}",
        f"project/data {second}",
        f"project/models/net.bin {side}",
        f"project/data {tagged}",
    }
    assert project.files(refs[f"project/data {first}"]) == {b"a.txt": b"one", b"sub/big.bin": LARGE}
    assert project.files(refs[f"project/data {second}"]) == {b"a.txt": b"two", b"sub/big.bin": LARGE}
    assert project.files(refs[f"project/data {tagged}"]) == {b"b.txt": b"tagged"}
    assert project.files(refs[f"project/models/net.bin {side}"]) == {b"": b"weights"}
    ref = refs[f"project/data {second}"]
    assert (ref.created, ref.by, ref.path) == (1704067260, "ann@lab", "project/data")
    # What is checked out gets a pointer file, and nothing else changes.
    assert done.pointers == [b"data"]
    assert load_pointer(project.root / "data.hitsave").digest == ref.digest
    assert everything(project.root) == before
    assert git(project.root, "status", "--porcelain") == "?? data.hitsave\n"


def test_working_files_match_the_pointer_file(project: DvcProject) -> None:
    files = {"a.txt": b"one", "sub/big.bin": LARGE}
    project.track("data", files)
    for name, content in files.items():
        project.write(f"data/{name}", content)
    project.commit()
    project.run(DvcSource)
    with project.repository() as repository:
        (status,) = repository.status(repository.find_datasets([]))
    assert (status.state, status.in_cache) == ("clean", True)


def test_a_second_run_needs_nothing_of_dvc(project: DvcProject) -> None:
    project.track("data", {"a.txt": b"one"})
    project.track("one.bin", b"single")
    project.commit()
    first = project.run(DvcSource)
    for path in (project.root / ".dvc/cache").rglob("*"):
        if path.is_file():
            path.unlink()
    progress = Count()
    again = project.run(DvcSource, progress=progress)
    assert [outcome.state for outcome in again.outcomes] == [State.KNOWN] * 2
    assert [(outcome.digest, outcome.size, outcome.files) for outcome in again.outcomes] == [
        (outcome.digest, outcome.size, outcome.files) for outcome in first.outcomes
    ]
    assert (progress.files, again.new_size, again.pointers) == (0, 0, [])


def test_a_content_is_read_once(project: DvcProject) -> None:
    project.track("data", {"a": b"a", "b": b"b", "copy": b"a"})
    project.commit()
    project.track("data", {"a": b"a", "b": b"b", "c": b"c"})
    project.commit()
    progress = Count()
    project.run(DvcSource, progress=progress)
    assert progress.files == 3


def test_what_an_earlier_run_took_is_not_read_for_a_later_version(project: DvcProject) -> None:
    project.track("data", {f"{number}": b"%d" % number for number in range(20)})
    project.commit()
    project.run(DvcSource)
    project.track("data", {f"{number}": b"%d" % number for number in range(21)})
    project.commit()
    progress = Count()
    done = project.run(DvcSource, progress=progress)
    assert states(done) == [(b"data", State.KNOWN), (b"data", State.IMPORTED)]
    assert progress.files == 1
    assert done.pointers == [b"data"]
    assert load_pointer(project.root / "data.hitsave").files == 21


def test_what_is_missing_is_listed_and_comes_later(project: DvcProject) -> None:
    project.track("data", {"a": b"first", "b": b"gone"})
    project.commit()
    project.track("data", {"a": b"first", "b": b"here"})
    project.commit()
    gone = project.object_path(project.put(b"gone"))
    gone.rename(gone.with_name("aside"))

    looked = project.run(DvcSource, dry_run=True)
    assert states(looked) == [(b"data", State.INCOMPLETE), (b"data", State.READY)]
    done = project.run(DvcSource)
    assert states(done) == [(b"data", State.INCOMPLETE), (b"data", State.IMPORTED)]
    assert done.outcomes[0].missing == (b"b",)
    assert done.pointers == [b"data"]

    gone.with_name("aside").rename(gone)
    assert states(project.run(DvcSource)) == [(b"data", State.IMPORTED), (b"data", State.KNOWN)]
    assert len(project.refs()) == 2


@pytest.mark.parametrize("size", [10, 300_000])
def test_a_damaged_content_is_never_taken(project: DvcProject, size: int) -> None:
    good = os.urandom(size)
    project.track("data", {"bad": good, "fine": b"fine"})
    project.commit()
    path = project.object_path(project.put(good))
    path.chmod(0o644)
    path.write_bytes(bytes(reversed(good)))
    done = project.run(DvcSource)
    assert states(done) == [(b"data", State.INCOMPLETE)]
    assert (done.outcomes[0].missing, done.outcomes[0].damaged) == ((), (b"bad",))
    assert (project.refs(), done.pointers) == ({}, [])


def test_a_damaged_or_lost_list_is_told(project: DvcProject) -> None:
    damaged = project.track("one", {"a": b"a"})
    lost = project.track("two", {"b": b"b"})
    project.commit()
    path = project.object_path(damaged)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b" ")
    project.object_path(lost).unlink()
    reasons = {outcome.version.path: outcome.reason for outcome in project.run(DvcSource).outcomes}
    assert reasons[b"one"].startswith("the list of its files is damaged")
    assert reasons[b"two"] == "the list of its files is not in DVC's cache"


def test_working_files_stand_in_for_a_cache_that_was_emptied(project: DvcProject) -> None:
    project.track("one.bin", b"older")
    project.commit()
    md5 = project.track("one.bin", b"newer")
    project.track("wrong.bin", b"as committed")
    project.commit()
    for content in (b"older", b"newer", b"as committed"):
        project.object_path(project.put(content)).unlink()
    project.write("one.bin", b"newer")
    project.write("wrong.bin", b"edited since")
    done = project.run(DvcSource)
    assert {(outcome.version.path, outcome.version.name == md5): outcome.state for outcome in done.outcomes} == {
        (b"one.bin", False): State.INCOMPLETE,
        (b"one.bin", True): State.IMPORTED,
        (b"wrong.bin", False): State.INCOMPLETE,
    }
    assert [outcome.damaged for outcome in done.outcomes if outcome.version.path == b"wrong.bin"] == [(b"",)]


def test_the_layout_before_dvc_3(old_project: DvcProject) -> None:
    text = b"a\r\nb\r\n"
    binary = b"\0" + b"\r\n" * 200_000
    old_project.track("data", {"text.csv": text, "big.csv": b"x,y\r\n" * 100_000, "plain": b"plain\n"})
    old_project.track("line-ends.txt", text)
    old_project.commit()
    done = old_project.run(DvcSource)
    assert [outcome.state for outcome in done.outcomes] == [State.IMPORTED] * 2
    (folder,) = [ref for name, ref in old_project.refs().items() if "/data " in name]
    assert old_project.files(folder)[b"text.csv"] == text
    assert old_project.files(folder)[b"big.csv"] == b"x,y\r\n" * 100_000
    # A content that it took for binary is named by its MD5 as it is.
    named = DvcProject(old_project.root, old_project.cache).put(binary)
    path = old_project.object_path(named)
    path.parent.mkdir(parents=True, exist_ok=True)
    DvcProject(old_project.root, old_project.cache).object_path(named).rename(path)
    old_project.name("binary", named)
    old_project.commit()
    assert (b"binary", State.IMPORTED) in states(old_project.run(DvcSource))


def test_a_repository_that_went_over_to_dvc_3(old_project: DvcProject) -> None:
    old_project.track("data", {"a": b"line\r\n", "b": b"same"})
    first = old_project.commit()
    new = DvcProject(old_project.root, old_project.cache)
    new.track("data", {"a": b"line\r\n", "b": b"same"})
    new.commit()
    done = new.run(DvcSource)
    # DVC names it anew, but what it holds is the same: one ref, of the commit that brought it in.
    assert states(done) == [(b"data", State.IMPORTED), (b"data", State.IMPORTED)]
    assert set(new.refs()) == {f"old/data {first}"}
    assert states(new.run(DvcSource)) == [(b"data", State.KNOWN), (b"data", State.KNOWN)]


def test_executable_files(project: DvcProject) -> None:
    project.track("run.sh", b"#!/bin/sh\n", "  isexec: true\n")
    md5 = project.put(b"tool")
    listed = project.put_list([{"md5": md5, "relpath": "tool", "isexec": True}])
    project.name("tools", listed)
    project.commit()
    done = project.run(DvcSource)
    assert load_pointer(project.root / "run.sh.hitsave").executable
    with project.repository() as repository:
        tools = next(outcome.digest for outcome in done.outcomes if outcome.version.path == b"tools")
        assert tools is not None
        assert [entry.kind.name for _, entry in repository.walk(tools)] == ["EXECUTABLE"]
    (project.root / "run.sh.hitsave").unlink()
    project.run(DvcSource)
    assert load_pointer(project.root / "run.sh.hitsave").executable


def test_lock_files_of_pipelines(project: DvcProject) -> None:
    made, shown = project.put(b"made"), project.put(b"shown")
    project.write(
        "steps/dvc.yaml",
        "stages:\n  train:\n    cmd: train\n    wdir: ../work\n    outs: [model.bin]\n"
        "    metrics:\n    - scores.json:\n        cache: false\n",
    )
    lock = "schema: '2.0'\nstages:\n  train:\n    cmd: train\n    outs:\n"
    for path, md5 in (("model.bin", made), ("scores.json", shown)):
        lock += f"    - path: {path}\n      hash: md5\n      md5: {md5}\n      size: 4\n"
    project.write("steps/dvc.lock", lock)
    project.commit()
    done = project.run(DvcSource)
    assert states(done) == [(b"work/model.bin", State.IMPORTED)]
    assert [(one.path, one.reason) for one in done.skipped] == [
        (b"work/scores.json", "is not in DVC's cache (cache: false)")
    ]
    assert (project.root / "work/model.bin.hitsave").is_file()


@pytest.mark.parametrize(
    ("listed", "reason"),
    [
        ([{"md5": "0" * 32, "relpath": "../../outside"}], "holds the path '../../outside'"),
        ([{"md5": "0" * 32, "relpath": "/etc/passwd"}], "holds the path '/etc/passwd'"),
        ([{"md5": "0" * 32, "relpath": ""}], "holds the path ''"),
        ([{"md5": "../../../../secret", "relpath": "a"}], "holds what is no file with an MD5"),
        ([{"relpath": "a"}], "holds what is no file with an MD5"),
        (["a"], "holds what is no file with an MD5"),
        ({"md5": "0" * 32}, "is not a list"),
        ([{"md5": "0" * 32, "relpath": "a"}, {"md5": "1" * 32, "relpath": "a/b"}], "a is both a file and a folder"),
    ],
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_lists_that_cannot_be(project: DvcProject, listed: Any, reason: str, dry_run: bool) -> None:
    project.name("data", project.put_list(listed))
    project.commit()
    (outcome,) = project.run(DvcSource, dry_run=dry_run).outcomes
    assert outcome.state is State.INCOMPLETE
    assert reason in outcome.reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("outs:\n- md5: ../../../etc/passwd\n  path: data\n", "has no MD5 of its content"),
        ("outs:\n- path: data\n  etag: abc\n", "has no MD5 of its content"),
        (f"outs:\n- md5: {'0' * 32}\n  path: ../data\n", "lies outside of the repository"),
        (f"outs:\n- md5: {'0' * 32}\n  path: s3://bucket/data\n", "lies outside of the repository"),
        (f"outs:\n- md5: {'0' * 32}\n  path: data\n  cache: false\n", "is not in DVC's cache (cache: false)"),
        ("outs:\n<<<<<<< HEAD\n- md5: a\n=======\n", "is no YAML"),
        ("outs: [" * 2000, "is no YAML"),
        ("\xff\xfe\0", "is no YAML"),
    ],
)
def test_dvc_files_that_name_nothing_to_import(project: DvcProject, content: str, reason: str) -> None:
    project.track("good.bin", b"good")
    project.write("data.dvc", content.encode("latin-1"))
    project.commit()
    done = project.run(DvcSource)
    assert states(done) == [(b"good.bin", State.IMPORTED)]
    (skipped,) = done.skipped
    assert skipped.reason.startswith(reason)


@pytest.mark.parametrize("content", ["", "outs:", "[]", "outs: {}", "outs: [1]", "stages: 3", "text", "wdir: [a]\n"])
def test_dvc_files_of_other_shapes(project: DvcProject, content: str) -> None:
    project.track("good.bin", b"good")
    for name in ("data.dvc", "dvc.lock", "dvc.yaml"):
        project.write(name, content)
    project.commit()
    assert (b"good.bin", State.IMPORTED) in states(project.run(DvcSource))


def test_an_md5_that_looks_like_a_number(project: DvcProject) -> None:
    for md5 in ("0" * 31 + "1", "1" * 30 + "e5", "01234567012345670123456701234567"):
        project.name(f"f{md5[-2:]}", md5)
    project.commit()
    done = project.run(DvcSource, dry_run=True)
    assert {outcome.version.name for outcome in done.outcomes} == {
        "0" * 31 + "1",
        "1" * 30 + "e5",
        "01234567012345670123456701234567",
    }


def test_settings_name_the_cache_and_remotes(tmp_path: Path, project: DvcProject) -> None:
    shared = DvcProject(project.root, project.cache, objects="../shared")
    pushed = DvcProject(project.root, project.cache, objects="../pushed")
    shared.track("one", b"in the shared cache")
    pushed.track("two", b"in a remote on this disk")
    project.write(
        ".dvc/config",
        "[core]\n    remote = far\n['remote \"far\"']\n    url = s3://bucket/x\n"
        f"['remote \"near\"']\n    url = {tmp_path / 'pushed'}\n",
    )
    project.commit()
    project.write(".dvc/config.local", "[cache]\n    dir = ../../shared\n    type = symlink\n")
    assert [state for _, state in states(project.run(DvcSource))] == [State.IMPORTED] * 2


def test_settings_that_cannot_be_read(project: DvcProject) -> None:
    project.track("one", b"one")
    project.commit()
    project.write(".dvc/config", "no section\n")
    with pytest.raises(WorkspaceError, match="config: cannot be understood"):
        project.run(DvcSource)


def test_a_dvc_project_in_a_folder_of_the_repository(project: DvcProject) -> None:
    inner = DvcProject(project.root, project.cache, objects="inner/.dvc/cache")
    project.write("inner/.dvc/config", "")
    inner.track("inner/data", {"a": b"a"})
    project.commit()
    assert states(project.run(DvcSource)) == [(b"inner/data", State.IMPORTED)]


def test_a_dry_run_writes_nothing(project: DvcProject) -> None:
    project.track("data", {"a": b"a"})
    project.commit()
    before = everything(project.root, but="\0")
    done = project.run(DvcSource, dry_run=True)
    assert (states(done), done.pointers, project.refs()) == ([(b"data", State.READY)], [], {})
    assert everything(project.root, but="\0") == before


def test_a_pointer_file_that_says_something_else_stays(project: DvcProject) -> None:
    project.track("data", {"a": b"a"})
    project.write("data/a", b"newer than DVC knows")
    project.commit()
    with project.repository() as repository:
        repository.add(project.root / "data")
    own = (project.root / "data.hitsave").read_bytes()
    progress = Count()
    done = project.run(DvcSource, progress=progress)
    assert states(done) == [(b"data", State.IMPORTED)]
    assert (project.root / "data.hitsave").read_bytes() == own
    assert progress.notes == [
        f"no pointer file is written: {project.root / 'data.hitsave'}: names a version that was not imported, and stays"
    ]


def test_an_output_inside_of_a_dataset_gets_no_pointer_file(project: DvcProject) -> None:
    project.write("all/other", b"x")
    with project.repository() as repository:
        repository.add(project.root / "all")
    project.track("all/one.bin", b"one")
    git(project.root, "add", "-f", "all/one.bin.dvc")
    project.commit()
    progress = Count()
    done = project.run(DvcSource, progress=progress)
    assert (states(done), done.pointers) == ([(b"all/one.bin", State.IMPORTED)], [])
    assert "lies in the dataset" in progress.notes[0]


def test_an_interrupted_run_keeps_what_it_published(project: DvcProject) -> None:
    for number in range(5):
        project.track("data", {"file": b"%d" % number})
        project.commit()
    with pytest.raises(KeyboardInterrupt):
        project.run(DvcSource, progress=Count(fail_at=4), batch_bytes=1)
    assert len(project.refs()) == 3
    progress = Count()
    done = project.run(DvcSource, progress=progress)
    assert [state for _, state in states(done)] == [State.KNOWN] * 3 + [State.IMPORTED] * 2
    assert progress.files == 2


def test_a_collection_meanwhile(project: DvcProject) -> None:
    """What the cache had by chance, and an import relies on, is collected before the import is done."""
    project.track("data", {"a": b"shared", "b": LARGE, "c": b"last"})
    project.commit()
    project.write("scratch/a", b"shared")
    project.write("scratch/b", LARGE)

    with project.repository() as other:
        other.add(project.root / "scratch")
        other.forget(ref.name for ref in other.cache.refs())

        class Collecting(Count):
            def advance(self, size: int, files: int = 0) -> None:
                super().advance(size, files)
                if self.files == 3:
                    other.collect(0)

        done = project.run(DvcSource, progress=Collecting())
    assert states(done) == [(b"data", State.IMPORTED)]
    (ref,) = project.refs().values()
    assert project.files(ref) == {b"a": b"shared", b"b": LARGE, b"c": b"last"}


def test_only_what_lies_beneath_the_path(project: DvcProject) -> None:
    project.track("images/cats", {"a": b"a"})
    project.track("models/net.bin", b"net")
    project.write("other.dvc", "outs:\n- path: other\n")
    project.commit()
    done = project.run(DvcSource, beneath="images")
    assert (states(done), done.skipped) == ([(b"images/cats", State.IMPORTED)], [])
    assert states(project.run(DvcSource, beneath="models/net.bin")) == [(b"models/net.bin", State.IMPORTED)]
    with pytest.raises(WorkspaceError, match="no commit has a dataset there"):
        project.run(DvcSource, beneath="nothing")


def test_what_lies_outside_of_the_workspace_is_left_out(project: DvcProject) -> None:
    project.track("outer.bin", b"outer")
    project.write("part/hitsave.toml", "")
    project.track("part/inner.bin", b"inner")
    project.commit()
    part = DvcProject(project.root / "part", project.cache)
    with part.repository() as repository:
        from hitsave.importing.history import History

        history = History(project.root)
        run = Import(DvcSource(history), history.root, repository.cache, repository.project, Count())
        done = run.run(project.root)
    assert states(done) == [(b"part/inner.bin", State.IMPORTED)]
    assert [(one.path, one.reason.split(" the workspace")[0]) for one in done.skipped] == [
        (b"outer.bin", "lies outside of")
    ]
    assert (project.root / "part/inner.bin.hitsave").is_file()


def test_names_that_are_not_ascii(project: DvcProject) -> None:
    project.track("données", {"é ü/日本.txt": b"x"})
    project.commit()
    done = project.run(DvcSource)
    assert states(done) == [("données".encode(), State.IMPORTED)]
    (ref,) = project.refs().values()
    assert project.files(ref) == {"é ü/日本.txt".encode(): b"x"}


def test_an_empty_directory(project: DvcProject) -> None:
    project.name("data", project.put_list([]))
    project.commit()
    done = project.run(DvcSource)
    assert states(done) == [(b"data", State.IMPORTED)]
    assert (done.outcomes[0].files, done.outcomes[0].size) == (0, 0)


def test_a_history_without_dvc(project: DvcProject) -> None:
    project.write("code.py", "pass\n")
    project.commit()
    with pytest.raises(WorkspaceError, match=r"no commit has a \.dvc file"):
        project.run(DvcSource)


def test_large_read_only_files_are_linked_and_a_later_change_is_noticed(project: DvcProject) -> None:
    large, open_to_all, small = noise(WHOLE_FROM + 1, 1), noise(WHOLE_FROM + 2, 2), b"small"
    project.track("data", {"large": large, "open": open_to_all, "small": small})
    project.commit()
    places = {content: project.object_path(project.put(content)) for content in (large, open_to_all, small)}
    places[open_to_all].chmod(0o644)
    done = project.run(DvcSource, link=True)
    assert [outcome.state for outcome in done.outcomes] == [State.IMPORTED]
    assert (done.linked, done.copied) == (1, 1)
    assert [places[content].stat().st_nlink for content in (large, open_to_all, small)] == [2, 1, 1]
    digest = blob_digest(large)
    with project.repository() as repository:
        assert os.path.samefile(repository.cache.path_of(digest), places[large])
        assert repository.cache.read(digest) == large
        places[large].chmod(0o644)
        places[large].write_bytes(noise(WHOLE_FROM + 1, 3))
        with pytest.raises(CorruptObject, match="its file was changed"):
            repository.cache.read(digest)
    places[large].chmod(0o444)
    done = project.run(DvcSource, link=True)  # Linked or not, what is wrong is not taken.
    assert [(outcome.state, outcome.damaged) for outcome in done.outcomes] == [(State.INCOMPLETE, (b"large",))]
    assert done.linked == 0
