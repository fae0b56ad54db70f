"""One browser for all tests of the module, and a server that somebody has pushed a real run to."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cli.world import User, World
from tests.server.serving import Served, serving

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()

#: In milliseconds.
PATIENCE = 15_000

#: As long as file systems allow, and without a place to break it.
LONG_NAME = "long" * 60

EXPERIMENT = """
from hitsave import experiment

OFFSET = {offset}

@experiment
def train(lr, model="small <b>"):
    curve = [1 / (1 + lr * step) for step in range(50)]
    return {{"accuracy": OFFSET - lr, "loss": curve[-1], "curve": curve, "converged": lr < 0.05}}

@experiment
def drawn():
    import plotly.graph_objects as objects
    return objects.Figure(objects.Scatter(y=[1, 3, 2]), layout={{"title": {{"text": "<i>three</i> <script>"}}}})
"""
DRIVER = """
from importlib.util import find_spec

from training import drawn, train

for lr in (0.1, 0.01, 0.001):
    train(lr)
if find_spec("plotly"):
    drawn()
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real browser without a window, with a folder of its own."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed (scripts/system-packages.sh)")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as started:
        with closing(started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)) as found:
            yield found


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server, with the run and the files that `ann` has pushed."""
    root = tmp_path_factory.mktemp("browser")
    with serving(root / "data") as server:
        ann = World(root).user("ann")
        key_file = root / "key"
        key_file.write_text(server.make_key("write", "ann"))
        ann.do("login", server.url, "--key-file", key_file)
        ann.do("remote", "add", "origin", server.url)
        for offset in (0.9, 0.95):
            run_experiment(ann, offset)
        deep = {"deep/er.txt": b"deeper", f"{LONG_NAME}/{LONG_NAME}": b"long"}
        ann.write({"readme.txt": b"what this is\n", "large.bin": bytes(range(256)) * 4000, **deep})
        ann.add("data")
        ann.do("push")
        yield server


def run_experiment(user: User, offset: float) -> None:
    """Run a memoised function, as a script does."""
    import subprocess
    import sys

    (user.workspace / "training.py").write_text(textwrap.dedent(EXPERIMENT.format(offset=offset)))
    (user.workspace / "run.py").write_text(DRIVER)
    subprocess.run(
        [sys.executable, Path("run.py")], cwd=user.workspace, env=user.environment(), check=True, timeout=120
    )


class Watched:
    """A window of the browser, and what went wrong in it."""

    def __init__(self, browser: Any, base: str, **settings: Any) -> None:
        self.context = browser.new_context(base_url=base, **settings)
        self.context.set_default_timeout(PATIENCE)
        self.page = self.context.new_page()
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda said: self._note(said))

    def _note(self, said: Any) -> None:
        if said.type == "error":
            self.faults.append(said.text)

    def close(self) -> None:
        """Close it."""
        self.context.close()


def log_in(window: Watched, key: str) -> None:
    """Log in by the keyboard, as people do."""
    window.page.goto("/experiments")
    window.page.keyboard.type(key)  # The field has the focus.
    window.page.keyboard.press("Enter")
    window.page.wait_for_url("**/experiments")


def expect_count(found: Any, count: int) -> None:
    """Wait until so many elements are there: a click returns before the page that it leads to has come."""
    from playwright.sync_api import expect

    expect(found).to_have_count(count, timeout=PATIENCE)
