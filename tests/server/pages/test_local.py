"""`hitsave dashboard`: one person's own cache, on this machine alone."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hitsave.cache.store import Cache
from hitsave.objects.digest import blob_digest
from tests.cli.world import User, World
from tests.server.pages.exhibits import FILES, FUNCTION, Visitor, add_dataset, add_run


@dataclass
class Local:
    """A dashboard that runs, and whose it is."""

    visitor: Visitor
    user: User
    process: subprocess.Popen[str]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    user = World(tmp_path_factory.mktemp("local")).user("ann")
    with Cache.open(user.cache) as cache, cache.intake() as intake:
        intake.publish(
            [add_run(intake, 1), add_dataset(intake, FILES), add_dataset(intake, {b"lone": b"x" * 999}, "b")]
        )
    command = [sys.executable, "-m", "hitsave", "dashboard", "--no-open"]
    with subprocess.Popen(
        command, cwd=user.workspace, env=user.environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield Local(Visitor(process.stdout.readline().strip().rstrip("/")), user, process)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_it_needs_no_key_and_answers_to_its_own_name_alone(local: Local) -> None:
    assert local.visitor.url.startswith("http://127.0.0.1:")
    answer = local.visitor.get("/experiments")
    assert answer.status == 200
    assert "/function?name=" in answer.text
    assert "/keys" not in answer.text
    assert local.visitor.get("/keys").status == 404
    assert local.visitor.get("/log").status == 404
    assert local.visitor.get("/login").status == 303
    assert local.visitor.get("/store/v1/whoami").status == 404
    port = local.visitor.url.rpartition(":")[2]
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1:1"):
        assert local.visitor.get("/experiments", Host=host).status == 421, host
    assert FUNCTION not in answer.text


CODE = """
from hitsave import memo

RATE = {rate}

def helper(x):
    return x * RATE + {more}

@memo
def top(x):
    return helper(x)

top(3)
"""


def test_why_it_ran_is_told_by_the_lines_that_differ(local: Local) -> None:
    for rate, more in ((1, 0), (2, "len('<b>')")):
        (local.user.workspace / "why.py").write_text(CODE.format(rate=rate, more=more))
        command = [sys.executable, "why.py"]
        subprocess.run(command, cwd=local.user.workspace, env=local.user.environment(), check=True, timeout=60)
    links: list[str] = []
    until = time.monotonic() + 20
    while not links and time.monotonic() < until:  # What came within the last second may not be known yet.
        links = local.visitor.get("/function?name=why.top").links("/evaluations/")
    text = local.visitor.get(links[0]).text
    assert '<span class="old">-    return x * RATE + 0\n</span>' in text
    assert '<span class="new">+    return x * RATE + len(&#39;&lt;b&gt;&#39;)\n</span>' in text
    assert '<td data-label="Before"><pre class="cell">1</pre></td>' in text


def test_what_is_deleted_can_be_brought_back(local: Local) -> None:
    visitor, lone = local.visitor, blob_digest(b"x" * 999)
    path = f"/blobs/{lone}/delete"
    question = visitor.get(path)
    fields = {"csrf": question.field("csrf"), "seal": question.field("seal")}
    assert visitor.post(path, {**fields, "csrf": "guessed"}).status == 403
    assert visitor.post(path, fields, Origin="http://evil.example").status == 403
    assert visitor.post(path, fields).status == 303
    assert "hitsave undo" in visitor.get("/collection").text
    assert local.user.run("cat-file", "-p", str(lone)).code == 1
    local.user.do("undo")
    assert local.user.do("cat-file", "-p", str(lone)).out == b"x" * 999


def test_without_the_extra_it_says_what_is_missing(tmp_path: Path, local: Local) -> None:
    (tmp_path / "starlette.py").write_text("raise ModuleNotFoundError('No module', name='starlette')")
    said = local.user.refused("dashboard", "--no-open", environ={"PYTHONPATH": str(tmp_path)})
    assert "pip install 'hitsave[server]'" in said
