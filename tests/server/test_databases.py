"""Whatever clients say, either database keeps it as it was said, or it is refused: no fault, nothing lost."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from hitsave.objects.refs import dataset_ref, public_ref
from hitsave.packing.commit import encode_commit
from hitsave.remotes.commits.keys import commit_key
from hitsave.remotes.commits.log import Author
from hitsave.remotes.commits.sessions import Session
from hitsave.server.access import COOKIE, Role
from hitsave.server.audit import MAKE_PUBLIC
from tests.server.inprocess import Running, running
from tests.server.test_commits import ANN, Setting, following
from tests.server.wire import faults, head, logged, raw, status

ODD = (
    "'; DROP TABLE hitsave_keys; --",
    '" OR 1=1',
    "%s %(label)s :label {0} $1 ?",
    "\\x00 \\u0000 \\'",
    "\U0001f600 é",
    "a" * 200,
)
REFUSED = ("\0", "a\0b", "\ud800", "a\nb", "\x1b[31m", "\u202e", "", "a" * 201, "a" * 100_000)


@pytest.fixture(params=["sqlite", "postgresql"], scope="module")
def either(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with each kind of database."""
    url = request.getfixturevalue("postgres").empty_database() if request.param == "postgresql" else ""
    with running(tmp_path_factory.mktemp(request.param) / "data", database=url) as server:
        yield server


def make(server: Running, label: str, key: str) -> tuple[int, dict[str, object]]:
    body = json.dumps({"role": "read", "label": label, "lifetime": None}).encode()
    answer = server.request("POST", "/store/v1/api-keys", key=key, body=body)
    return answer.status, answer.json()


def test_labels_are_kept_as_they_are_or_refused(either: Running) -> None:
    admin = either.key()
    with logged() as records:
        for label in ODD:
            code, made = make(either, label, admin)
            assert code == 201, label
            assert either.request("GET", "/store/v1/whoami", key=str(made["key"])).json()["label"] == label
            assert either.site.audit.entries(limit=1)[0].detail["label"] == label
        for label in REFUSED:
            assert make(either, label, admin)[0] == 400, label[:10]
        listed = {key["label"] for key in either.request("GET", "/store/v1/api-keys", key=admin).json()["keys"]}
        assert set(ODD) <= listed
        assert not listed & set(REFUSED)
    assert faults(records) == []


def test_what_is_asked_for_is_never_a_statement(either: Running) -> None:
    admin = either.key()
    before = len(either.site.keys.list())
    odd = [*ODD, "\0", "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), "1" * 5000, "-1", "1e9", "٣"]
    with logged() as records:
        for text in odd:
            spelled = quote(text)
            assert either.request("DELETE", f"/store/v1/api-keys/{spelled}", key=admin).status == 404
            for name in ("before", "limit"):
                assert either.request("GET", f"/store/v1/audit?{name}={spelled}", key=admin).status in (200, 400)
            for path in ("/log", "/keys", "/links"):
                answer = either.request("GET", f"{path}?page={spelled}&before={spelled}", key=admin)
                assert answer.status in (200, 400, 404), (path, text)
            form = f"key={spelled}&next={spelled}"
            answer = either.request("POST", "/login", key=None, body=form, headers={"Content-Type": FORM})
            assert answer.status in (303, 400, 401, 403, 429)
        for cookie in (b"'; DROP TABLE hitsave_sessions; --", b"\xff\xfe", b"%00", b"a" * 5000):
            found = raw(either, head("GET", "/keys", "", f"Cookie: {COOKIE}=".encode() + cookie))
            assert status(found) in (303, 307, 401, 400)
    assert faults(records) == []
    assert len(either.site.keys.list()) == before


FORM = "application/x-www-form-urlencoded"


def test_what_a_commit_says_of_itself_stands_in_the_log(either: Running, tmp_path: Path) -> None:
    setting = Setting(either, tmp_path)
    [ref] = setting.push(b"content %r" % either.url.encode())
    named = replace(ref, name=dataset_ref("'; DROP", b'\0"\xff%s', ref.digest))
    setting.machine.push(setting.clients[Role.WRITE], ref)
    view = setting.writer.latest()
    setting.writer.append(view, Session.begin(view.number), ANN, "push", (), {named.name: named})
    view, commit = following(setting.admin)
    said = "a\0b'; DROP TABLE hitsave_audit; -- \U0001f600"
    dropping = replace(commit, refs=(), author=said, operation=said)
    setting.clients[Role.ADMIN].put(commit_key(commit.number), encode_commit(dropping))
    [entry] = either.site.audit.entries(limit=1)
    assert (entry.detail["author"], entry.detail["operation"]) == (said, said)
    assert entry.detail["refs"] == [str(named.name), str(ref.name)]
    assert either.request("GET", "/log", key=either.key()).status == 200
    setting.machine.cache.close()


def test_who_made_a_link_is_found_whatever_commits_say(either: Running, tmp_path: Path) -> None:
    setting = Setting(either, tmp_path)
    author = Author("a\0b' \\u0000", ANN.now)
    for number, path in enumerate(("a\0b", "\\u0000", "plain")):
        [ref] = setting.push(b"content %d %r" % (number, either.url.encode()))
        link = replace(ref, name=public_ref(ref.digest), path=path)
        view = setting.writer.latest()
        setting.writer.append(view, Session.begin(view.number), author, "a\0b", (), {link.name: link})
        entry = either.site.audit.entries(limit=1)[0]
        assert entry.detail["digest"] == str(ref.digest)
        assert either.site.audit.latest(MAKE_PUBLIC, [str(ref.digest)]) == {str(ref.digest): entry}
        page = either.request("GET", "/links", key=either.key(), headers={"Accept": "text/html"})
        assert (page.status, str(ref.digest).encode() in page.data) == (200, True)
    setting.machine.cache.close()


def all_at_once(*actions: Callable[[], object]) -> None:
    threads = [threading.Thread(target=action) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_key_is_revoked_once_whoever_does_so_at_the_same_time(either: Running) -> None:
    admin, key = either.key(), either.key(Role.READ)
    cookie = either.site.sessions.begin(key)
    assert cookie is not None
    key_id, found = key.split("_")[1], list[int]()

    def revoke() -> None:
        found.append(either.request("DELETE", f"/store/v1/api-keys/{key_id}", key=admin).status)

    def log_in() -> None:
        either.site.sessions.begin(key)

    all_at_once(revoke, log_in, revoke, log_in, revoke, log_in, revoke)
    assert found == [200] * 4
    assert either.site.sessions.find(cookie) is None
    assert either.site.sessions.begin(key) is None
    assert either.request("GET", "/store/v1/whoami", key=key).status == 401
    record = either.site.keys.get(key_id)
    assert record is not None
    assert record.revoked is not None


def test_of_two_admins_who_revoke_each_other_one_stays(either: Running) -> None:
    for record in either.site.keys.list():
        either.site.keys.revoke(record.id)
    ann, bob = either.key(), either.key()
    found: list[int] = []

    def revoke(whose: str, by: str) -> None:
        path = f"/store/v1/api-keys/{whose.split('_')[1]}"
        found.append(either.request("DELETE", path, key=by).status)

    all_at_once(lambda: revoke(ann, bob), lambda: revoke(bob, ann))
    assert found.count(200) == 1
    assert sorted(either.request("GET", "/store/v1/whoami", key=key).status for key in (ann, bob)) == [200, 401]
