"""Which commits a server lets in, by whom, and what may be removed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hitsave.errors import RemoteConflict, RemoteError, RemoteRefused
from hitsave.objects.digest import Digest, ObjectKind, blob_digest
from hitsave.objects.refs import Ref
from hitsave.packing.commit import Commit, StoredFile, encode_commit
from hitsave.packing.indexmerge import IndexPart, MergedIndex
from hitsave.packing.pack import PackTable
from hitsave.remotes.collection.collect import collect
from hitsave.remotes.collection.dropping import bring_back, drop_refs
from hitsave.remotes.commits.committed import MOST_FILES
from hitsave.remotes.commits.keys import COMMITS, commit_key, index_key, pack_key, refs_key
from hitsave.remotes.commits.log import Author, Remote
from hitsave.remotes.commits.sessions import Session
from hitsave.remotes.commits.view import View
from hitsave.server.access import Role
from hitsave.server.store.admission import Inadmissible, check_keeps_objects
from tests.remotes.content import Machine, check_remote, keep, noise, put_folder
from tests.server.inprocess import Running
from tests.server.test_admission import make_pack

NOW = 1_800_000_000
ANN = Author("ann@lab", NOW)
LATER = Author("ann@lab", NOW + 30 * 86400)


class Setting:
    """A server with three clients, and a machine that pushes."""

    def __init__(self, server: Running, folder: Path) -> None:
        self.server = server
        self.machine = Machine(folder / "ann")
        self.clients = {role: server.transport(role) for role in Role}
        self.remotes = {
            role: Remote.open(client, folder / f"cached-{role.name}", create=role is Role.WRITE)
            for role, client in sorted(self.clients.items(), key=lambda item: item[0] is not Role.WRITE)
        }

    @property
    def writer(self) -> Remote:
        return self.remotes[Role.WRITE]

    @property
    def admin(self) -> Remote:
        return self.remotes[Role.ADMIN]

    def push(self, *contents: bytes) -> list[Ref]:
        refs = [ref for content in contents for ref in keep(self.machine.cache, {b"name": content})]
        for ref in refs:
            self.machine.push(self.clients[Role.WRITE], ref)
        return refs

    def audit(self) -> list[tuple[str, dict[str, object]]]:
        return [(entry.action, entry.detail) for entry in self.server.site.audit.entries()]


@pytest.fixture
def setting(server: Running, tmp_path: Path) -> Iterator[Setting]:
    made = Setting(server, tmp_path)
    yield made
    made.machine.cache.close()


# -- who pushes


def test_pushes_of_a_writer_pass_also_where_they_merge(setting: Setting, tmp_path: Path) -> None:
    refs = setting.push(*(b"content %d" % number for number in range(2 * MOST_FILES)))
    refs += setting.push(noise(300_000), *(noise(3000, seed) for seed in range(3)))
    newest = setting.writer.latest().commit
    assert newest is not None
    assert newest.number == len(refs)
    assert len(newest.indexes) <= MOST_FILES
    assert any(file.entries > 2 * MOST_FILES // 2 for file in newest.indexes)
    bob = Machine(tmp_path / "bob")
    check_remote(bob, setting.clients[Role.READ], *refs)
    bob.cache.close()
    assert setting.audit() == []


def test_who_may_only_read_cannot_push(setting: Setting) -> None:
    [ref] = keep(setting.machine.cache, {b"name": b"content"})
    before = setting.server.holds()
    with pytest.raises(RemoteRefused, match="the role write"):
        setting.machine.push(setting.clients[Role.READ], ref)
    assert setting.server.holds() == before


def test_dropping_is_for_admins_and_is_written_down(setting: Setting) -> None:
    kept, dropped = setting.push(b"kept", b"dropped")
    before = setting.server.holds()
    with pytest.raises(RemoteRefused, match=r"drop the ref .* needs a key with the role admin"):
        drop_refs(setting.writer, ANN, [dropped.name])
    with pytest.raises(RemoteRefused, match="the role admin"):
        collect(setting.writer, LATER, 0, drop=[dropped.name])
    assert {key for key in setting.server.holds() if key.startswith(COMMITS)} <= before.keys()
    assert drop_refs(setting.admin, ANN, [dropped.name]) == [dropped]
    [(action, detail)] = setting.audit()
    assert action == "drop refs"
    assert detail["refs"] == [str(dropped.name)]
    assert detail["operation"] == "forget"
    assert setting.admin.latest().refs() == {kept.name: kept}
    assert [*bring_back(setting.admin, ANN).refs] == [dropped]


def test_a_writer_gives_back_what_was_lost_and_knows_no_more_of_it(setting: Setting, tmp_path: Path) -> None:
    [ref] = setting.push(b"content")
    before = setting.admin.latest().refs()
    own = replace(ref, by="bob@lab", created=ref.created + 1)
    bob = Machine(tmp_path / "bob")
    with bob.cache.intake() as intake:
        put_folder(intake, {b"name": b"content"})
        intake.publish([own])
    remote = setting.remotes[Role.WRITE]
    view = remote.latest()
    with pytest.raises(RemoteRefused, match="change the ref"):
        remote.append(view, Session.begin(view.number), ANN, "push", (), {own.name: own})
    view = setting.admin.latest()
    following = setting.admin.following(view, Session.begin(view.number), ANN, "lose", (), view.ref_files)
    setting.clients[Role.ADMIN].put(commit_key(following.number), encode_commit(following))
    bob.push(setting.clients[Role.WRITE], own)
    check_remote(bob, setting.clients[Role.READ], own)
    assert setting.admin.latest().refs() == {**before, own.name: own}
    assert setting.audit() == []
    bob.cache.close()


def test_a_collection_by_an_admin_removes_and_is_written_down(setting: Setting, tmp_path: Path) -> None:
    kept, dropped = setting.push(b"kept", noise(200_000))
    done = collect(setting.admin, LATER, 0, drop=[dropped.name])
    assert done.freed > 0 or done.kept > 0
    done = collect(setting.admin, Author("ann", LATER.now + 30 * 86400), 0)
    bob = Machine(tmp_path / "bob")
    check_remote(bob, setting.clients[Role.READ], kept)
    bob.cache.close()
    actions = [action for action, _ in setting.audit()]
    assert "drop refs" in actions
    assert "delete keys" in actions


def test_an_admin_cannot_remove_what_is_needed(setting: Setting) -> None:
    setting.push(b"content", b"more")
    view = setting.admin.latest()
    commit = view.commit
    assert commit is not None
    needed = [
        "format",
        commit_key(1),
        commit_key(commit.number),
        *map(index_key, commit.indexes),
        *map(refs_key, commit.refs),
        *(pack_key(pack.digest) for pack in view.packs()),
    ]
    before = setting.server.holds()
    for key in needed:
        with pytest.raises(RemoteError, match="needed by the newest state"):
            setting.clients[Role.ADMIN].delete(["probe/a", key])
        with pytest.raises(RemoteRefused, match="the role admin"):
            setting.clients[Role.WRITE].delete([key])
    assert setting.server.holds() == before
    setting.clients[Role.ADMIN].delete([f"packs/00/{'0' * 64}.pack"])


# -- commits that break the rules

Change = Callable[[Commit], Commit]

BROKEN: dict[str, tuple[Change, str]] = {
    "of another remote": (lambda commit: replace(commit, identity="0" * 32), "another remote"),
    "ahead": (lambda commit: replace(commit, number=commit.number + 1), "cannot follow"),
    "names a missing index": (
        lambda commit: replace(commit, indexes=(*commit.indexes, StoredFile(Digest(bytes(32)), 5, 1, commit.session))),
        "is missing",
    ),
    "names missing refs": (
        lambda commit: replace(commit, refs=(*commit.refs, StoredFile(Digest(bytes(32)), 5, 1, commit.session))),
        "is missing",
    ),
    "another length of an index": (
        lambda commit: replace(commit, indexes=(replace(commit.indexes[0], length=commit.indexes[0].length + 1),)),
        "length",
    ),
    "another count of refs": (
        lambda commit: replace(commit, refs=(replace(commit.refs[0], entries=commit.refs[0].entries + 1),)),
        "length",
    ),
    "drops all indexes": (lambda commit: replace(commit, indexes=()), "the role admin"),
    "drops all refs": (lambda commit: replace(commit, refs=()), "the role admin"),
    "expires": (lambda commit: replace(commit, oldest=commit.number), "the role admin"),
    "fences": (lambda commit: replace(commit, fenced_before=commit.number), "the role admin"),
    "fences one": (lambda commit: replace(commit, fenced=("1" * 32,)), "the role admin"),
}


def following(remote: Remote) -> tuple[View, Commit]:
    view = remote.latest()
    session = Session.begin(view.number)
    return view, remote.following(view, session, ANN, "test", view.index_files, view.ref_files)


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    from tests.server.inprocess import running

    folder = tmp_path_factory.mktemp("pushed")
    with running(folder / "data") as server:
        made = Setting(server, folder)
        made.push(b"one", b"two")
        yield made
        made.machine.cache.close()


@pytest.mark.parametrize("name", BROKEN)
def test_a_commit_that_breaks_the_rules_is_not_written(pushed: Setting, name: str) -> None:
    change, reason = BROKEN[name]
    view, commit = following(pushed.writer)
    before = pushed.server.holds()
    broken = change(commit)
    with pytest.raises(RemoteError, match=reason):
        pushed.clients[Role.WRITE].put(commit_key(broken.number), encode_commit(broken))
    assert pushed.server.holds() == before
    assert pushed.admin.latest().digest == view.digest


def test_a_commit_that_comes_late_finds_its_number_taken(pushed: Setting) -> None:
    _, commit = following(pushed.writer)
    others_parent = replace(commit, parent=Digest(bytes(32)))
    before = pushed.server.holds()
    for late in (replace(commit, number=1, parent=None), replace(commit, number=2), others_parent):
        with pytest.raises(RemoteConflict):
            pushed.clients[Role.WRITE].put(commit_key(late.number), encode_commit(late))
    with pytest.raises(RemoteError, match="the key is not that of"):
        pushed.clients[Role.WRITE].put(commit_key(commit.number + 5), encode_commit(commit))
    assert pushed.server.holds() == before


def put_lying(setting: Setting, change: Callable[[View, Remote, Session], tuple[StoredFile, ...]]) -> None:
    remote = setting.writer
    view = remote.latest()
    session = Session.begin(view.number)
    indexes = change(view, remote, session)
    commit = remote.following(view, session, ANN, "test", indexes, view.ref_files)
    remote.transport.put(commit_key(commit.number), encode_commit(commit))


def test_an_index_that_moves_objects_is_refused(pushed: Setting) -> None:
    """Packs are there, and so is every digest; but one is said to lie where it does not."""

    def swap(view: View, remote: Remote, session: Session) -> tuple[StoredFile, ...]:
        packs = [*view.packs()]
        first = packs[0]
        records = [*first.table.records]
        places = [record[32:] for record in records]
        moved = tuple(sorted(record[:32] + place for record, place in zip(records, reversed(places), strict=True)))
        lie = first._replace(table=PackTable(first.table.blocks, moved))
        return (remote.files.put_index([lie, *packs[1:]], session),)

    with pytest.raises(RemoteError, match=r"role admin|did not"):
        put_lying(pushed, swap)


def test_an_index_that_leaves_an_object_out_is_refused(pushed: Setting) -> None:
    def leave_out(view: View, remote: Remote, session: Session) -> tuple[StoredFile, ...]:
        first, *rest = view.packs()
        less = first._replace(table=PackTable(first.table.blocks, first.table.records[:-1]))
        return (remote.files.put_index([less, *rest], session),)

    with pytest.raises(RemoteRefused, match="drop objects"):
        put_lying(pushed, leave_out)


def test_an_index_of_a_pack_of_somebody_else_is_refused(pushed: Setting) -> None:
    pack, data = make_pack(os.urandom(100))

    def adopt(view: View, remote: Remote, session: Session) -> tuple[StoredFile, ...]:
        return (*view.index_files, remote.files.put_index([pack], session))

    with pytest.raises(RemoteError, match="is not there"):
        put_lying(pushed, adopt)
    pushed.clients[Role.WRITE].put(pack_key(pack.digest), data)
    with pytest.raises(RemoteRefused, match="another push"):
        put_lying(pushed, adopt)


def test_an_index_says_of_a_new_pack_what_its_table_says(pushed: Setting) -> None:
    from hitsave.packing.pack import ENTRY_RECORD
    from tests.server.test_admission import TOKEN

    pack, data = make_pack(b"something new")
    pushed.clients[Role.WRITE].put(pack_key(pack.digest), data)
    foreign = ENTRY_RECORD.pack(blob_digest(b"not in it"), 0, 0, 9, 1)
    lie = pack._replace(table=PackTable(pack.table.blocks, tuple(sorted((*pack.table.records, foreign)))))
    remote, view = pushed.writer, pushed.writer.latest()
    session = Session.from_token(TOKEN)
    commit = remote.following(
        view, session, ANN, "test", (*view.index_files, remote.files.put_index([pack], session)), view.ref_files
    )
    with pytest.raises(RemoteError, match="malformed index"):  # Its length gives it away.
        remote.files.put_index([lie], session)
    remote.transport.put(commit_key(commit.number), encode_commit(commit))
    assert pushed.admin.latest().has(blob_digest(b"something new"))


def test_a_writer_cannot_change_what_a_ref_holds(setting: Setting) -> None:
    [ref] = setting.push(b"one")
    remote = setting.writer
    view = remote.latest()
    session = Session.begin(view.number)
    for changed in (replace(ref, digest=blob_digest(b"x"), kind=ObjectKind.BLOB), replace(ref, by="somebody else")):
        segment = remote.files.put_refs({ref.name: changed}, session)
        commit = remote.following(view, session, ANN, "test", view.index_files, (*view.ref_files, segment))
        with pytest.raises(RemoteRefused, match="change the ref"):
            remote.transport.put(commit_key(commit.number), encode_commit(commit))
    again = remote.files.put_refs({ref.name: ref}, session)
    commit = remote.following(view, session, ANN, "test", view.index_files, (*view.ref_files, again))
    remote.transport.put(commit_key(commit.number), encode_commit(commit))


def test_a_fenced_push_cannot_commit(setting: Setting) -> None:
    setting.push(b"one")
    view = setting.admin.latest()
    assert view.commit is not None
    late = Session.begin(view.number)
    _, commit = following(setting.admin)
    setting.clients[Role.ADMIN].put(commit_key(commit.number), encode_commit(replace(commit, fenced=(late.hex,))))
    newest = setting.writer.latest()
    fenced = setting.writer.following(newest, late, ANN, "test", newest.index_files, newest.ref_files)
    with pytest.raises(RemoteConflict):
        setting.clients[Role.WRITE].put(commit_key(fenced.number), encode_commit(fenced))


# -- the comparison of indexes, by itself


def test_merged_indexes_keep_everything_and_say_nothing_else() -> None:
    from hitsave.packing.index import Index, encode_index

    packs = [make_pack(os.urandom(50))[0] for _ in range(6)]
    one, other = Index(encode_index(packs[:3])), Index(encode_index(packs[3:5]))
    merged = Index(b"".join(MergedIndex([IndexPart(one), IndexPart(other)]).pieces()))
    assert check_keeps_objects([one, other], [merged]) == {}
    with_new = Index(encode_index(packs))
    assert check_keeps_objects([one, other], [with_new]) == {packs[5].digest: set(packs[5].table.records)}
    with pytest.raises(Inadmissible, match="drop objects"):
        check_keeps_objects([one, other], [one])
    with pytest.raises(Inadmissible, match="drop objects"):
        check_keeps_objects([merged], [])
    stretched = [packs[0]._replace(length=packs[0].length + 1), *packs[1:3]]
    with pytest.raises(Inadmissible, match="did not"):
        check_keeps_objects([one], [Index(encode_index(stretched))])
