"""Definitions that were entered, digested from their source in processes that have not loaded them."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

_FILES = {
    "main.py": "",
    "plugins/__init__.py": "",
    "plugins/a.py": """
        '''A plugin.'''
        import json
        import hub
        from hub.tools import scale as _scale, unused
        from .base import Base, offset
        try:
            from fast import speed
        except ImportError:
            speed = 1
        LIMIT = 10
        OTHER = 20
        SETTINGS = {}
        SETTINGS["depth"] = 3
        HANDLERS = {"x": lambda x: x + 1}
        def register(function):
            return function
        def handle(x):
            '''What it does.'''
            return clip(_scale(x)) + offset + SETTINGS["depth"] + hub.tools.DEPTH
        def clip(x):
            return min(x, LIMIT)  # A comment.
        def unrelated(x):
            return OTHER
        @register
        def registered(x):
            return speed
        class Kind(Base):
            level = 3
            def run(self):
                def inner():
                    return self.level
                return inner()
        def late():
            from plugins.base import offset as found
            import plugins.other
            return found + plugins.other.USED
        def anything(name):
            return globals()[name]
        register(handle)
        """,
    "plugins/base.py": """
        offset = 1
        elsewhere = 2
        class Base:
            def __init__(self): self.made = MADE
        MADE = 5
        """,
    "plugins/other.py": "USED = 1\nUNUSED = 2\n",
    "plugins/stars.py": "from hub.tools import *\ndef starred(): return DEPTH\n",
    "hub/__init__.py": "from . import tools\n",
    "hub/tools.py": """
        DEPTH = 4
        unused = 5
        _RATE = 2
        def scale(x): return x * _RATE
        def far(x): return x
        """,
}
_ASK = """
import sys
from pathlib import Path
from hitsave.memoisation.code.definitions import Definitions
from hitsave.memoisation.code.origin import Origins
before = set(sys.modules)
definitions = Definitions(Origins())
for name in sys.argv[1:]:
    print(definitions.digest(name, Path.cwd()).hex())
assert not {"plugins", "hub", "fast"} & (set(sys.modules) - before), sys.modules
"""


class Workspace:
    """A project whose files are edited, and asked about by fresh processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in _FILES.items():
            self.write(name, textwrap.dedent(text))

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        assert text.count(old) == 1, (name, old)
        (self.folder / name).write_text(text.replace(old, new))

    def run(self, program: str, *arguments: str) -> list[str]:
        environ = {**os.environ, "PYTHONPATH": str(self.folder)}
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            cwd=self.folder,
            env=environ,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    def digest(self, *names: str) -> list[str]:
        return self.run(_ASK, *names)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


_HANDLE, _KIND = "plugins.a:handle", "plugins.a:Kind"


@pytest.mark.parametrize(
    ("name", "file", "old", "new"),
    [
        (_HANDLE, "plugins/a.py", "clip(_scale(x)) + offset", "clip(_scale(x)) - offset"),
        (_HANDLE, "plugins/a.py", "min(x, LIMIT)", "max(x, LIMIT)"),
        (_HANDLE, "plugins/a.py", "LIMIT = 10", "LIMIT = 11"),
        (_HANDLE, "plugins/a.py", 'SETTINGS["depth"] = 3', 'SETTINGS["depth"] = 4'),
        (_HANDLE, "plugins/a.py", "tools import scale as _scale", "tools import far as _scale"),
        (_HANDLE, "plugins/base.py", "offset = 1", "offset = 2"),
        (_HANDLE, "hub/tools.py", "x * _RATE", "x / _RATE"),
        (_HANDLE, "hub/tools.py", "_RATE = 2", "_RATE = 3"),
        (_HANDLE, "hub/tools.py", "DEPTH = 4", "DEPTH = 5"),
        (_KIND, "plugins/a.py", "level = 3", "level = 4"),
        (_KIND, "plugins/a.py", "return self.level", "return -self.level"),
        (_KIND, "plugins/base.py", "self.made = MADE", "self.made = -MADE"),
        (_KIND, "plugins/base.py", "MADE = 5", "MADE = 6"),
        ("plugins.a:registered", "plugins/a.py", "speed = 1", "speed = 2"),
        ("plugins.a:registered", "plugins/a.py", "return function", "return print or function"),
        ("plugins.a:late", "plugins/base.py", "offset = 1", "offset = 2"),
        ("plugins.a:late", "plugins/other.py", "USED = 1\n", "USED = 3\n"),
        ("plugins.a:anything", "plugins/a.py", "OTHER = 20", "OTHER = 21"),
        ("plugins.a:HANDLERS", "plugins/a.py", "x + 1}", "x + 2}"),
        ("plugins.a:", "plugins/a.py", "OTHER = 20", "OTHER = 21"),
        ("plugins.a:", "plugins/a.py", "level = 3", "level = 4"),
        ("plugins.stars:starred", "hub/tools.py", "DEPTH = 4", "DEPTH = 5"),
        ("plugins/a.py:handle", "plugins/a.py", "min(x, LIMIT)", "max(x, LIMIT)"),
        ("plugins/a.py:handle", "plugins/base.py", "offset = 1", "offset = 2"),
    ],
)
def test_what_counts(workspace: Workspace, name: str, file: str, old: str, new: str) -> None:
    before = workspace.digest(name)
    workspace.edit(file, old, new)
    assert workspace.digest(name) != before


@pytest.mark.parametrize(
    ("name", "file", "old", "new"),
    [
        (_HANDLE, "plugins/a.py", "# A comment.", "# Another."),
        (_HANDLE, "plugins/a.py", "'''What it does.'''", "'''Whatever.'''"),
        (_HANDLE, "plugins/a.py", "'''A plugin.'''", ""),
        (_HANDLE, "plugins/a.py", "min(x, LIMIT)", "min(x,\n               LIMIT)"),
        (_HANDLE, "plugins/a.py", "return OTHER", "return -OTHER"),
        (_HANDLE, "plugins/a.py", "level = 3", "level = 4"),
        (_HANDLE, "plugins/a.py", "def handle(x):", "\n\ndef handle(x: int) -> int:"),
        (_HANDLE, "plugins/a.py", ", unused", ""),
        (_HANDLE, "plugins/a.py", "import json", "import json, re"),
        (_HANDLE, "plugins/base.py", "elsewhere = 2", "elsewhere = 3"),
        (_HANDLE, "hub/tools.py", "unused = 5", "unused = 6"),
        (_HANDLE, "hub/tools.py", "def far(x): return x", "def far(x): return -x"),
        (_KIND, "plugins/a.py", "LIMIT = 10", "LIMIT = 11"),
        ("plugins.a:late", "plugins/other.py", "UNUSED = 2", "UNUSED = 3"),
        ("plugins.a:", "plugins/a.py", "return OTHER", "return -OTHER"),
        ("plugins.stars:starred", "hub/tools.py", "unused = 5", "unused = 6"),
    ],
)
def test_what_does_not_count(workspace: Workspace, name: str, file: str, old: str, new: str) -> None:
    before = workspace.digest(name)
    workspace.edit(file, old, new)
    assert workspace.digest(name) == before


def test_what_is_gone(workspace: Workspace) -> None:
    names = [_HANDLE, "plugins.a:", "plugins/a.py:handle"]
    before = workspace.digest(*names, "plugins.nowhere:x", "plugins.a:nothing", "nowhere.py:x")
    assert len(set(before[:3])) == 3
    assert len(set(before[3:])) == 1
    (workspace.folder / "plugins/a.py").unlink()
    assert workspace.digest(*names) == before[3:4] * 3


def test_a_module_that_appears_or_that_no_python_can_read(workspace: Workspace) -> None:
    before = workspace.digest("plugins.a:registered")
    workspace.write("fast.py", "speed = 3")
    after = workspace.digest("plugins.a:registered")
    workspace.write("fast.py", "speed = = 3")
    broken = workspace.digest("plugins.a:registered")
    workspace.write("fast.py", "speed = = 4")
    assert len({*before, *after, *broken, *workspace.digest("plugins.a:registered")}) == 4


def test_another_checkout_is_the_same(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> None:
    names = [_HANDLE, _KIND, "plugins.a:", "plugins/a.py:handle"]
    assert Workspace(tmp_path_factory.mktemp("other")).digest(*names) == workspace.digest(*names)


_RECORD = """
import importlib, importlib.util, sys
from pathlib import Path
from hitsave.memoisation.code.definitions import Definitions
from hitsave.memoisation.code.entered import Entered, own_code
from hitsave.memoisation.code.origin import Origins
origins = Origins()
def load(path):
    spec = importlib.util.spec_from_file_location("loaded", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
def record(body):
    with Entered(own_code(origins)) as entered:
        body()
    entries = [each for each in entered.entries if each.namespace is not globals()]
    return Definitions(origins).record(entries, Path.cwd())
def show(found):
    for name, digest in sorted(found.items()):
        print(name, digest.hex())
"""


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("plugins.a.handle(1)", ["hub.tools:scale", "plugins.a:clip", "plugins.a:handle"]),
        ("plugins.a.Kind().run()", ["plugins.a:Kind", "plugins.base:Base"]),
        ("plugins.a.HANDLERS['x'](1)", ["plugins.a:HANDLERS"]),
        ("other.clip(1)", ["plugins/a.py:clip"]),
        ("importlib.import_module('plug' + 'ins.other')", ["plugins.other:"]),
    ],
)
def test_names_and_digests_that_another_process_finds_again(workspace: Workspace, body: str, names: list[str]) -> None:
    workspace.edit("plugins/a.py", "from .base import Base, offset", "from plugins.base import Base, offset")
    program = f"import plugins.a\n{_RECORD}\nother = load('plugins/a.py')\nshow(record(lambda: {body}))"
    found = workspace.run(program)
    assert found[::2] == names
    assert workspace.digest(*names) == found[1::2]


def test_what_was_edited_since_it_was_loaded_is_never_found_again(workspace: Workspace) -> None:
    program = f"""
import plugins.a
{_RECORD}
path = Path("hub/tools.py")
path.write_text(path.read_text().replace("_RATE = 2", "_RATE = 3"))
show(record(lambda: plugins.a.handle(1)))
show(record(lambda: plugins.a.handle(1)))
"""
    found = workspace.run(program)
    digests = dict(zip(found[:6:2], found[1:6:2], strict=True)), dict(zip(found[6::2], found[7::2], strict=True))
    now = dict(zip(digests[0], workspace.digest(*digests[0]), strict=True))
    for name in ("hub.tools:scale", "plugins.a:handle"):
        assert len({digests[0][name], digests[1][name], now[name]}) == 3
    assert digests[0]["plugins.a:clip"] == now["plugins.a:clip"]


def test_what_was_written_before_it_was_loaded_is_found_again(workspace: Workspace) -> None:
    program = f"""
{_RECORD}
Path("plugins/new.py").write_text("def run(): return 1")
show(record(lambda: importlib.import_module("plug" + "ins.new").run()))
"""
    found = workspace.run(program)
    assert found[::2] == ["plugins.new:", "plugins.new:run", "plugins:"]
    assert workspace.digest(*found[::2]) == found[1::2]


def test_files_are_read_again_only_when_they_change(workspace: Workspace) -> None:
    program = """
import os, sys
from pathlib import Path
from hitsave.memoisation.code import definitions as module
from hitsave.memoisation.code.origin import Origins
reads = []
read = module.read_module
module.read_module = lambda path: (reads.append(os.path.basename(path)), read(path))[1]
definitions = module.Definitions(Origins())
ask = lambda: definitions.digest("plugins.a:handle", Path.cwd())
first = ask()
print(len(reads))
assert ask() == first
print(len(reads))
Path("hub/tools.py").write_text(Path("hub/tools.py").read_text().replace("_RATE = 2", "_RATE = 33"))
assert ask() != first
print(len(reads), reads[-1])
"""
    assert workspace.run(program) == ["4", "4", "5", "tools.py"]
