"""What a key with the role write may do, and what not: attempts at it, one by one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from hitsave.errors import RemoteConflict, RemoteError, RemoteRefused
from hitsave.objects.digest import ObjectKind, blob_digest
from hitsave.objects.refs import Ref, RefName, dataset_ref, public_ref, snapshot_ref
from hitsave.packing.commit import Commit, StoredFile, encode_commit
from hitsave.packing.pack import PackBuilder
from hitsave.packing.refsegment import RefChanges, encode_refs
from hitsave.remotes.commits.keys import commit_key, index_key, pack_key, refs_key
from hitsave.remotes.commits.log import Remote
from hitsave.remotes.commits.sessions import Session
from hitsave.remotes.commits.view import View
from hitsave.server.access import Role
from hitsave.server.store import commits
from hitsave.server.store.admission import Inadmissible
from hitsave.server.store.refchanges import changed_refs
from tests.remotes.content import format_record
from tests.server.inprocess import Running, running
from tests.server.test_admission import refs_named
from tests.server.test_commits import ANN, Setting, following


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    """Three snapshots, each in a ref segment and an index of its own."""
    folder = tmp_path_factory.mktemp("writers")
    with running(folder / "data") as server:
        made = Setting(server, folder)
        made.push(b"one", b"two", b"three")
        yield made
        made.machine.cache.close()


@pytest.fixture
def unharmed(pushed: Setting) -> Iterator[Setting]:
    """The same before and after: refs, the newest commit, and everything that it names."""
    before = pushed.admin.latest()
    yield pushed
    after = pushed.admin.latest()
    assert (after.digest, after.refs()) == (before.digest, before.refs())
    held = pushed.server.holds()
    assert all(index_key(file) in held for file in after.index_files)
    assert all(refs_key(file) in held for file in after.ref_files)


def attempt(setting: Setting, change: Callable[[View, Session, Commit], Commit]) -> None:
    """Put a commit of a writer that follows the newest one."""
    remote = setting.writer
    view = remote.latest()
    session = Session.begin(view.number)
    commit = change(view, session, remote.following(view, session, ANN, "test", view.index_files, view.ref_files))
    remote.transport.put(commit_key(commit.number), encode_commit(commit))


def with_refs(setting: Setting, changes: RefChanges, instead: int = 0) -> None:
    """Commit a ref segment, in the place of the last `instead` ones."""

    def change(view: View, session: Session, commit: Commit) -> Commit:
        segment = setting.writer.files.put_refs(changes, session)
        return replace(commit, refs=(*view.ref_files[: len(view.ref_files) - instead], segment))

    attempt(setting, change)


def held(setting: Setting) -> list[Ref]:
    return sorted(setting.admin.latest().refs().values(), key=lambda ref: ref.name)


# -- refs


def test_a_ref_is_not_dropped_by_a_record(unharmed: Setting) -> None:
    with pytest.raises(RemoteRefused, match="drop the ref"):
        with_refs(unharmed, {held(unharmed)[0].name: None})


def test_a_ref_is_not_dropped_by_a_segment_that_replaces_others(unharmed: Setting) -> None:
    for gone in held(unharmed):
        kept: dict[RefName, Ref | None] = {ref.name: ref for ref in held(unharmed) if ref != gone}
        with pytest.raises(RemoteRefused, match="drop the ref"):
            with_refs(unharmed, kept, instead=3)
        with pytest.raises(RemoteRefused, match="drop the ref"):
            with_refs(unharmed, {**kept, gone.name: None}, instead=3)
    with pytest.raises(RemoteRefused, match="drop the ref"):
        with_refs(unharmed, {}, instead=1)


@pytest.mark.parametrize("change", [{"by": "mallory"}, {"created": 1}, {"path": "/x"}, {"git_commit": "f" * 40}])
def test_what_refs_say_is_not_changed_where_segments_are_put_together(
    unharmed: Setting, change: dict[str, object]
) -> None:
    changes: dict[RefName, Ref | None] = {ref.name: ref for ref in held(unharmed)}
    first = held(unharmed)[0]
    changes[first.name] = replace(first, **change)  # type: ignore[arg-type]
    with pytest.raises(RemoteRefused, match="change the ref"):
        with_refs(unharmed, changes, instead=3)


def test_segments_in_another_order_tell_nothing_else(setting_of_two: Setting) -> None:
    """The later one overrules: to swap them would bring back what the ref said before."""
    view = setting_of_two.admin.latest()
    with pytest.raises(RemoteRefused, match="the ref"):
        attempt(setting_of_two, lambda _, __, commit: replace(commit, refs=tuple(reversed(commit.refs))))
    with pytest.raises(RemoteRefused, match="the ref"):
        attempt(setting_of_two, lambda _, __, commit: replace(commit, refs=commit.refs[:1]))
    assert setting_of_two.admin.latest().digest == view.digest


@pytest.fixture
def setting_of_two(server: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    """One ref of which two segments tell different things, as admins may have it."""
    setting = Setting(server, tmp_path_factory.mktemp("two"))
    [ref] = setting.push(b"one")
    _, commit = following(setting.admin)
    session = Session.from_token(bytes.fromhex(commit.session))
    segment = setting.admin.files.put_refs({ref.name: replace(ref, by="an admin")}, session)
    setting.clients[Role.ADMIN].put(
        commit_key(commit.number), encode_commit(replace(commit, refs=(*commit.refs, segment)))
    )
    yield setting
    setting.machine.cache.close()


def test_a_new_ref_holds_what_is_there(unharmed: Setting) -> None:
    nothing = blob_digest(b"never sent")
    merged: dict[RefName, Ref | None] = {ref.name: ref for ref in held(unharmed)}
    for name in (snapshot_ref(nothing), public_ref(nothing), dataset_ref("p", b"x", nothing)):
        with pytest.raises(RemoteError, match="is not there"):
            with_refs(unharmed, {name: Ref(name, nothing, ObjectKind.BLOB)})
        with pytest.raises(RemoteError, match="is not there"):
            with_refs(unharmed, {**merged, name: Ref(name, nothing, ObjectKind.BLOB)}, instead=3)


def test_a_dropped_ref_that_is_named_again_holds_what_is_there(setting_of_two: Setting) -> None:
    from hitsave.remotes.collection.dropping import drop_refs

    [ref] = held(setting_of_two)
    drop_refs(setting_of_two.admin, ANN, [ref.name])
    with_refs(setting_of_two, {ref.name: ref})
    assert held(setting_of_two) == [ref]


def test_which_refs_two_lists_of_segments_tell_apart() -> None:
    one, two, three = (
        Ref(snapshot_ref(blob_digest(text)), blob_digest(text), ObjectKind.BLOB) for text in (b"1", b"2", b"3")
    )
    changed = replace(one, by="bob")

    def segment(*refs: Ref, dropped: tuple[Ref, ...] = ()) -> list[tuple[RefName, Ref | None]]:
        records: list[tuple[RefName, Ref | None]] = [(ref.name, ref) for ref in refs]
        return sorted(records + [(ref.name, None) for ref in dropped], key=lambda record: record[0])

    gone = segment(dropped=(one,))
    both = segment(one, two)
    for common in ([], [segment(three)], [segment(three), segment(dropped=(three,))]):
        assert list(changed_refs(common, [segment(one), segment(two)], [both])) == []
        assert list(changed_refs(common, [segment(one), segment(changed)], [segment(changed)])) == []
        assert list(changed_refs(common, [segment(one), gone], [gone])) == []
        assert list(changed_refs(common, [segment(one), gone], [])) == []
        assert list(changed_refs(common, [segment(changed)], [segment(changed), segment(one)])) == [(changed, one)]
        assert list(changed_refs(common, [segment(one)], [segment(one), gone])) == [(one, None)]
        assert set(changed_refs(common, [both], [segment(two)])) == {(one, None)}
    assert list(changed_refs([segment(one)], [], [segment(changed)])) == [(one, changed)]
    assert list(changed_refs([segment(one)], [gone], [])) == [(None, one)]
    assert list(changed_refs([both], [], [gone, segment(one)])) == []
    assert list(changed_refs([], [], [both])) == [(None, ref) for ref in sorted((one, two), key=lambda ref: ref.name)]


@pytest.mark.parametrize("few", [0, 1000])
def test_few_and_many_refs_are_judged_alike(
    server: Running, tmp_path_factory: pytest.TempPathFactory, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits, "_FEW_REFS", few)
    setting = Setting(server, tmp_path_factory.mktemp("alike"))
    refs = setting.push(b"one", b"two", b"three")
    for ref in refs:
        with pytest.raises(RemoteRefused, match="drop the ref"):
            with_refs(setting, {ref.name: None})
        with pytest.raises(RemoteRefused, match="change the ref"):
            with_refs(setting, {ref.name: replace(ref, by="mallory")})
        with pytest.raises(RemoteRefused, match="drop the ref"):
            with_refs(setting, {other.name: other for other in refs if other != ref}, instead=3)
    with_refs(setting, {ref.name: ref for ref in refs}, instead=3)
    assert {*held(setting)} == {*refs}
    setting.machine.cache.close()


# -- commits


@pytest.mark.parametrize("which", ["indexes", "refs"])
def test_a_commit_names_each_file_once(unharmed: Setting, which: str) -> None:
    def change(view: View, session: Session, commit: Commit) -> Commit:
        files: tuple[StoredFile, ...] = getattr(commit, which)
        return replace(commit, **{which: (*files, files[0])})  # type: ignore[arg-type]

    with pytest.raises(RemoteError, match="twice"):
        attempt(unharmed, change)


def test_a_session_does_not_begin_later_than_now(unharmed: Setting) -> None:
    """None could fence it, so that what it leaves behind would stay for ever."""
    late = Session.begin(1 << 40)
    with pytest.raises(RemoteError, match="began at commit"):
        attempt(unharmed, lambda _, __, commit: replace(commit, session=late.hex))
    client = unharmed.clients[Role.WRITE]
    builder = PackBuilder(late.token)
    pack = builder.header() + builder.finish()
    before = unharmed.server.holds()
    for key, content in (
        (pack_key(builder.digest), pack),
        (refs_named(encode_refs({}))[0].replace("-" + "0" * 16, f"-{late.hex[:16]}"), encode_refs({})),
    ):
        with pytest.raises(RemoteError, match="began at commit"):
            client.put(key, content)
    assert unharmed.server.holds() == before


def test_what_a_commit_says_of_itself_is_short(unharmed: Setting) -> None:
    for change in ({"author": "a" * 100_000}, {"operation": "o" * 100_000}):
        with pytest.raises(RemoteError, match="characters"):
            attempt(unharmed, lambda _, __, commit, change=change: replace(commit, **change))  # type: ignore[misc]


def test_a_writer_fences_nobody(unharmed: Setting) -> None:
    other = Session.begin(unharmed.admin.latest().number)
    for change in ({"fenced": (other.hex,)}, {"fenced_before": 1}, {"oldest": 2}):
        with pytest.raises(RemoteRefused, match="the role admin"):
            attempt(unharmed, lambda _, __, commit, change=change: replace(commit, **change))  # type: ignore[misc]


def test_of_two_commits_for_one_number_one_is_let_in(server: Running, tmp_path_factory: pytest.TempPathFactory) -> None:
    setting = Setting(server, tmp_path_factory.mktemp("races"))
    setting.push(b"one")
    remotes = [Remote.open(server.transport(Role.WRITE), tmp_path_factory.mktemp("raced")) for _ in range(4)]
    commits = [following(remote)[1] for remote in remotes]
    found: list[str] = []

    def put(remote: Remote, commit: Commit) -> None:
        try:
            remote.transport.put(commit_key(commit.number), encode_commit(commit))
            found.append("in")
        except RemoteConflict:
            found.append("taken")

    threads = [threading.Thread(target=put, args=pair) for pair in zip(remotes, commits, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == ["in", "taken", "taken", "taken"]
    assert server.holds()[commit_key(2)] in map(encode_commit, commits)
    setting.machine.cache.close()


# -- values


def test_of_two_values_for_one_key_one_is_kept_whole(pushed: Setting) -> None:
    key = pushed.server.key(Role.WRITE)
    values = [b"%d" % number * 200_000 for number in range(6)]
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda value=value: found.append(pushed.server.put("probe/same", value, key)[0]))  # type: ignore[misc]
        for value in values
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [201, *[412] * 5]
    assert pushed.server.holds()["probe/same"] in values


def test_a_writer_removes_only_what_is_nobodys(unharmed: Setting) -> None:
    view = unharmed.admin.latest()
    before = unharmed.server.holds()
    kept = [key for key in before if not key.startswith("probe/")]
    assert {key.partition("/")[0] for key in kept} == {"format", "packs", "indexes", "refs", "commits"}
    client = unharmed.clients[Role.WRITE]
    for key in kept:
        for together in ([key], ["probe/a", key], [key, f"claims/{'0' * 64}-{'1' * 20}"]):
            with pytest.raises(RemoteError):
                client.delete(together)
    assert unharmed.server.holds() == before
    assert unharmed.admin.latest().digest == view.digest


def test_a_claim_goes_while_a_commit_is_judged(unharmed: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every computed call of a memoised function ends so; a commit of very many refs takes seconds."""
    begun, ended = threading.Event(), threading.Event()

    def judge(self: commits.Commits, *_: object) -> None:
        begun.set()
        assert ended.wait(30)
        raise Inadmissible("not this one")

    monkeypatch.setattr(commits.Commits, "admit", judge)
    key, claim = unharmed.server.key(Role.WRITE), f"claims/{'0' * 64}-{'1' * 20}"
    thread = threading.Thread(target=lambda: unharmed.server.put(f"commits/{9:020}", b"a commit", key))
    assert unharmed.server.put(claim, b"{}", key)[0] == 201
    thread.start()
    try:
        assert begun.wait(30)
        asked = {"keys": [claim]}
        answer = unharmed.server.request("POST", "/store/v1/delete", key=key, json=asked, timeout=10)
    finally:
        ended.set()
        thread.join()
    assert answer.status == 204
    assert claim not in unharmed.server.holds()


def test_a_commit_of_a_key_that_is_revoked_while_it_waits_is_not_let_in(
    unharmed: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ended, judged, found = threading.Event(), threading.Event(), list[bytes](), dict[bytes, int]()

    def judge(self: commits.Commits, _: object, content: bytes, *__: object) -> None:
        judged.append(content)
        begun.set()
        assert ended.wait(30)
        raise Inadmissible("not this one")

    monkeypatch.setattr(commits.Commits, "admit", judge)
    server = unharmed.server
    keys = {content: server.key(Role.WRITE) for content in (b"first", b"second")}

    def put(content: bytes) -> None:
        found[content] = server.put(f"commits/{9:020}", content, keys[content])[0]

    threads = [threading.Thread(target=put, args=(content,)) for content in keys]
    threads[0].start()
    assert begun.wait(30)
    threads[1].start()
    while len(server.uploads()) < 2:  # Both have come whole, or nearly.
        time.sleep(0.01)
    time.sleep(0.3)
    server.site.keys.revoke(keys[b"second"].split("_")[1])
    ended.set()
    for thread in threads:
        thread.join()
    assert (found, judged) == ({b"first": 409, b"second": 401}, [b"first"])


def test_what_is_there_is_not_written_again(unharmed: Setting) -> None:
    key = unharmed.server.key(Role.ADMIN)
    before = unharmed.server.holds()
    for name, content in before.items():
        assert unharmed.server.put(name, content, key)[0] == 412, name
    assert unharmed.server.put("format", format_record().replace(b"1", b"2"), key)[0] in (412, 422)
    for name in (f"public/{'0' * 64}", f"public/{'0' * 64}/x", f"public/{'0' * 64}.trees"):
        assert unharmed.server.put(name, b"x", key)[0] in (404, 409), name
    assert unharmed.server.holds() == before
