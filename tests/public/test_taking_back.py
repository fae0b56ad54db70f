"""Through a server: who may take a public link back, what that leaves, and how soon it holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hitsave.errors import RemoteError, RemoteRefused
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.refs import Ref, public_ref, snapshot_ref
from hitsave.packing.refsegment import RefChanges
from hitsave.progress import Silent
from hitsave.remotes.collection.collect import collect
from hitsave.remotes.collection.withdrawing import take_back
from hitsave.remotes.commits.log import Author, Remote
from hitsave.remotes.commits.sessions import Session
from hitsave.remotes.public.layout import PUBLIC, file_key, list_key
from hitsave.server.access import Role
from tests.cli.world import User, World, assert_same
from tests.remotes.content import ANN, Folder, Machine, check_remote, keep, put_folder
from tests.server.inprocess import Running, running
from tests.server.pages.exhibits import Visitor

FOLDER: Folder = {b"a": b"1234567890", b"deep": {b'"quoted" \\ name': b"inner"}}


class Setting:
    """A server with a public folder that only its link owns, and clients of each role."""

    def __init__(self, server: Running, folder: Path) -> None:
        self.server = server
        self.machine = Machine(folder / "ann")
        with self.machine.cache.intake() as intake:
            digest = put_folder(intake, FOLDER)
            self.public = Ref(public_ref(digest), digest, ObjectKind.TREE, 5, "ann@lab", "p/data")
            intake.publish([self.public])
        self.machine.remote(server.transport(Role.WRITE), create=True)
        self.machine.push(server.transport(Role.WRITE), self.public)
        self.folder = folder

    @property
    def digest(self) -> Digest:
        return self.public.digest

    def remote(self, role: Role) -> Remote:
        return Remote.open(self.server.transport(role), self.folder / f"cached-{role.name}")

    def commit(self, role: Role, changes: RefChanges) -> None:
        remote = self.remote(role)
        view = remote.latest()
        remote.append(view, Session.begin(view.number), ANN, "test", (), changes)

    def audit(self) -> list[tuple[str, str, dict[str, object]]]:
        return [(entry.label, entry.action, entry.detail) for entry in self.server.site.audit.entries()]

    def leave_files(self) -> list[str]:
        """Files in the store as a publication by way of the bucket leaves them."""
        names = ["/a", '/deep/"quoted" \\ name', "/é ü"]
        keys = sorted([list_key(self.digest), *(file_key(self.digest) + name for name in names)])
        for key in keys:
            path = self.server.store / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"left over")
        return keys


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path / "data") as server:
        yield server


@pytest.fixture
def setting(server: Running, tmp_path: Path) -> Iterator[Setting]:
    made = Setting(server, tmp_path)
    yield made
    made.machine.cache.close()


# -- who may


def test_a_writer_takes_back_what_somebody_else_made_public(setting: Setting, tmp_path: Path) -> None:
    path = f"/public/{setting.digest}/a"
    assert setting.server.request("GET", path, key=None).data == FOLDER[b"a"]
    assert take_back(setting.remote(Role.WRITE), ANN, setting.digest, Silent()) == setting.public
    assert setting.server.request("GET", path, key=None).status == 404
    own = replace(setting.public, name=snapshot_ref(setting.digest))
    assert setting.remote(Role.READ).latest().refs() == {own.name: own}
    (label, action, detail), made = setting.audit()
    assert (label, action, detail["operation"]) == ("a test", "take back", "unpublish")
    assert made[:2] == ("a test", "make public")
    assert (made[2]["digest"], made[2]["path"]) == (detail["digest"], detail["path"])
    assert detail["digest"] == str(setting.digest)
    # Nothing that it owned can be collected.
    collect(setting.remote(Role.ADMIN), Author("ann@lab", 10**10), 0)
    bob = Machine(tmp_path / "bob")
    check_remote(bob, setting.server.transport(Role.READ), own)
    bob.cache.close()


def test_who_may_only_read_cannot_take_back(setting: Setting) -> None:
    before = setting.server.holds()
    with pytest.raises(RemoteRefused, match="the role write"):
        take_back(setting.remote(Role.READ), ANN, setting.digest, Silent())
    assert setting.server.holds() == before


def test_what_a_writer_still_cannot_drop_or_change(setting: Setting) -> None:
    [other] = keep(setting.machine.cache, {b"other": b"x"})
    setting.machine.push(setting.server.transport(Role.WRITE), other)
    public, own = setting.public, replace(setting.public, name=snapshot_ref(setting.digest))
    broken: list[tuple[str, RefChanges]] = [
        ("the only owner", {public.name: None}),
        ("an owner that keeps half", {public.name: None, own.name: replace(own, kind=ObjectKind.BLOB)}),
        ("an owner of something else", {public.name: None, own.name: replace(own, digest=other.digest)}),
        ("a snapshot", {other.name: None}),
        ("both", {public.name: None, own.name: own, other.name: None}),
        ("who made it", {public.name: replace(public, by="eve@lab")}),
        ("what it is", {public.name: replace(public, digest=other.digest)}),
    ]
    for _, changes in broken:
        with pytest.raises(RemoteRefused, match="needs a key with the role admin"):
            setting.commit(Role.WRITE, changes)
    assert setting.remote(Role.READ).latest().refs() == {public.name: public, other.name: other}
    assert [action for _, action, _ in setting.audit()] == ["make public"]
    setting.commit(Role.ADMIN, {public.name: None})
    assert [action for _, action, _ in setting.audit()] == ["take back", "make public"]


def test_the_page_takes_back_and_keeps_what_it_owned(setting: Setting) -> None:
    keys = setting.leave_files()
    writer, reader = Visitor.with_role(setting.server, Role.WRITE), Visitor.with_role(setting.server, Role.READ)
    fields = {"digest": str(setting.digest)}
    assert reader.post("/links/take-back", {**fields, "csrf": csrf_of(reader)}).status == 403
    assert writer.post("/links/take-back", {**fields, "csrf": csrf_of(writer)}).status == 303
    assert [*setting.remote(Role.READ).latest().refs()] == [snapshot_ref(setting.digest)]
    assert not {*keys} & setting.server.holds().keys()
    assert setting.audit()[0][1:] == ("take back", fields)


def csrf_of(visitor: Visitor) -> str:
    return visitor.get("/experiments").field("csrf")


# -- keys under public/


def test_nobody_writes_public_files_through_a_server(setting: Setting) -> None:
    before = setting.server.holds()
    for role in (Role.WRITE, Role.ADMIN):
        for key in (file_key(setting.digest), list_key(setting.digest), f"{file_key(setting.digest)}/a"):
            status, said = setting.server.put(key, b"forged", setting.server.key(role))
            assert (status, "gives public files itself" in said) == (409, True)
    assert setting.server.holds() == before


def test_what_is_public_is_not_removed_and_what_is_left_over_is(setting: Setting) -> None:
    keys = setting.leave_files()
    client = setting.server.transport(Role.WRITE)
    assert client.list(PUBLIC) == client.list(file_key(setting.digest)) == keys
    assert client.list(PUBLIC, keys[0]) == keys[1:]
    assert client.list(f"{file_key(setting.digest)}/") == [key for key in keys if "/" in key.removeprefix(PUBLIC)]
    assert sorted(listed.key for listed in client.scan(PUBLIC)) == keys
    before = setting.server.holds()
    for role in (Role.WRITE, Role.ADMIN):
        with pytest.raises(RemoteError, match="needed by the newest state"):
            setting.server.transport(role).delete(["probe/a", *keys])
    with pytest.raises(RemoteRefused, match="the role write"):
        setting.server.transport(Role.READ).delete(keys)
    assert setting.server.holds() == before
    take_back(setting.remote(Role.WRITE), ANN, setting.digest, Silent())
    assert client.list(PUBLIC) == []
    assert [action for _, action, _ in setting.audit()][-2] == "take back"
    assert "delete keys" in [action for _, action, _ in setting.audit()]


@pytest.mark.parametrize("inside", ["/../../format", "/a/../../../format", "/./a", "//a", "/", "/a\0", "/\ud800", "x"])
def test_what_is_no_key_under_public_is_refused(setting: Setting, inside: str) -> None:
    before = setting.server.holds()
    digest = "0" * 64
    body = json.dumps({"keys": [f"public/{digest}{inside}"]})
    answer = setting.server.request("POST", "/store/v1/delete", key=setting.server.key(), body=body)
    assert answer.status == 404
    assert setting.server.holds() == before


def test_a_collection_through_a_server_removes_what_is_left_over(setting: Setting) -> None:
    kept = setting.leave_files()
    admin = setting.remote(Role.ADMIN)
    assert collect(admin, ANN, 10**9).public == ()
    assert {*kept} <= setting.server.holds().keys()
    take_back(setting.remote(Role.WRITE), ANN, setting.digest, Silent())
    setting.leave_files()
    assert [found.key for found in collect(admin, ANN, 10**9, dry_run=True).public] == kept
    assert {*kept} <= setting.server.holds().keys()
    assert [found.key for found in collect(admin, ANN, 10**9).public] == kept
    assert not {*kept} & setting.server.holds().keys()


# -- how soon


def test_what_was_taken_back_is_gone_at_once_from_every_server(setting: Setting, tmp_path: Path) -> None:
    digest = setting.digest
    paths = [f"/public/{digest}{rest}" for rest in ("", "/", "/a", ".trees", ".zip", ".tar.zst", "?format=json")]
    with running(tmp_path / "other", store=str(setting.server.store)) as other:
        visitors = [Visitor.with_role(server, Role.READ) for server in (setting.server, other)]
        for turn in range(5):
            assert all(str(digest) in visitor.get("/links").text for visitor in visitors)
            for server in (setting.server, other):
                answers = [server.request("GET", path, key=None) for path in paths]
                assert {answer.status for answer in answers} == {200}, turn
                tag = answers[2].headers["ETag"]
            take_back(setting.remote(Role.WRITE), ANN, digest, Silent())
            for server in (other, setting.server):
                for path in paths:
                    headers = {"If-None-Match": tag}
                    assert server.request("GET", path, key=None, headers=headers).status == 404, (turn, path)
            assert not any(str(digest) in visitor.get("/links").text for visitor in visitors)
            setting.machine.push(other.transport(Role.WRITE), setting.public)


# -- people


@pytest.fixture
def ann(tmp_path: Path, server: Running) -> User:
    user = World(tmp_path / "people").user()
    user.variables["HITSAVE_KEY"] = server.key(Role.WRITE, "ann's laptop")
    user.do("remote", "add", "origin", server.url)
    user.write({"a": b"1", "deep/b": b"2"})
    return user


def test_a_colleague_takes_back_by_digest(ann: User, server: Running, tmp_path: Path) -> None:
    digest = ann.do("snapshot", "--public", "--yes", "data").text.strip()
    bob = World(tmp_path / "others").user("bob")
    bob.variables["HITSAVE_KEY"] = server.key(Role.WRITE, "bob's laptop")
    bob.do("remote", "add", "origin", server.url)
    admin = Visitor.with_role(server, Role.ADMIN)
    key_id = ann.variables["HITSAVE_KEY"].split("_")[1]
    assert f"<code>{key_id}</code>" in admin.get("/links").text  # And not who she says that she is.
    assert "is private again" in bob.do("snapshot", "--unpublish", digest[:12]).said
    assert server.request("GET", f"/public/{digest}", key=None).status == 404
    entry, _ = server.site.audit.entries()
    assert (entry.label, entry.action, entry.detail["digest"]) == ("bob's laptop", "take back", digest)
    log = admin.get("/log").text
    for word in ("make public", "take back", f"data {digest[:12]}<"):
        assert word in log, word
    assert "is not public" in bob.refused("snapshot", "--unpublish", digest[:12])
    # Pushing what is here makes nothing public again.
    ann.do("push")
    assert server.request("GET", f"/public/{digest}", key=None).status == 404
    bob.do("snapshot", "--restore", digest[:12], "out")
    assert_same(ann.data, bob.workspace / "out")
