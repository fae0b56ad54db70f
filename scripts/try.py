"""The main job on real files, command by command: run it with `make try`.

Everything happens in `.try/` beside this repository: two workspaces, two caches and a remote, so that nothing of yours
is touched. The data are the images of scikit-image and the tables of bokeh-sampledata.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent / ".try"
ANN, BOB, REMOTE = HERE / "ann", HERE / "bob", HERE / "remote"
HAS_GIT = shutil.which("git") is not None

PROGRAM = """\
from hitsave import DirectorySnapshot, FileSnapshot

photo = FileSnapshot.snap("data/images/coffee.png")
print(photo.name, photo.content_length, photo.digest[:12])

data = DirectorySnapshot.from_digest("DIGEST")  # the old version
print(len(data), "files, of which", sum(name.endswith(".png") for name in data), "are PNG images")
print(data["tables/auto-mpg.csv"].open().readline().decode().strip())
print(data.restore_safe(include="*.csv").name[:12], "is a read-only directory with the CSV tables alone")
"""

TRAINING = """\
import time

from hitsave import experiment


def scale(values):
    total = sum(values)
    return [value / total for value in values]


@experiment
def train(rate, epochs=10):
    print("training ...")
    time.sleep(1)
    weights = scale([rate * epoch for epoch in range(1, epochs + 1)])
    return {"loss": round(1 - weights[-1], 4)}


print(train(0.1))
"""

HELLO = """\
from hitsave import FileSnapshot, memo


@memo
def write_hello(name):
    print("writing for", name)
    with open("hello.txt", "w") as file:
        file.write(f"Hello, {name}!\\n")
    return FileSnapshot.snap("hello.txt")


write_hello("Alice")
write_hello("Bob")
snap = write_hello("Alice")  # This one is kept: nothing is written.
print(open("hello.txt").read(), end="")
snap.restore(overwrite=True)
print(open("hello.txt").read(), end="")
"""


class Person:
    """Somebody with a workspace and a cache of their own."""

    def __init__(self, name: str, workspace: Path) -> None:
        self.name = name
        self.workspace = workspace
        self.environment = os.environ | {
            "HITSAVE_LOCAL_CACHE_DIR": str(HERE / f"cache-of-{name}"),
            "HITSAVE_CONFIG_DIR": str(HERE / f"config-of-{name}"),
            "GIT_AUTHOR_NAME": name,
            "GIT_AUTHOR_EMAIL": f"{name}@example.org",
            "GIT_COMMITTER_NAME": name,
            "GIT_COMMITTER_EMAIL": f"{name}@example.org",
        }

    def run(self, *command: str, shown: str | None = None) -> str:
        """Show a command, run it, and show what it says; gives its stdout."""
        prompt = f"{self.name}$ {shown or ' '.join(command)}"
        print(f"\033[1m{prompt}\033[0m" if sys.stdout.isatty() else prompt, flush=True)
        done = subprocess.run(
            command,
            check=False,
            cwd=self.workspace,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        print("".join(f"    {line}\n" for line in _shorten(done.stdout.splitlines())), end="", flush=True)
        if done.returncode:
            sys.exit(f"exit code {done.returncode}")
        return done.stdout


def _shorten(lines: list[str]) -> list[str]:
    return lines if len(lines) <= 12 else [*lines[:8], f"... {len(lines) - 10} more lines ...", *lines[-2:]]


def say(text: str) -> None:
    """A line between commands."""
    print(f"\n# {text}", flush=True)


def folder_of(package: str, inside: str) -> Path:
    """A folder that a package ships."""
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        sys.exit(f"{package} is not installed; run this with 'make try'")
    return Path(next(iter(found.submodule_search_locations)), inside)


def bring_data(data: Path) -> None:
    """Real images and tables, some tens of megabytes."""
    ignore = shutil.ignore_patterns("*.py", "__pycache__", "*.pyi")
    shutil.copytree(folder_of("skimage", "data"), data / "images", ignore=ignore)
    shutil.copytree(folder_of("bokeh_sampledata", "_data"), data / "tables", ignore=ignore)


def share(ann: Person, bob: Person, message: str) -> None:
    """The small files of a workspace, pointer files and settings, reach the other one: through git, as code does."""
    if HAS_GIT:
        ann.run("git", "add", ".")
        ann.run("git", "commit", "--quiet", "-m", message, shown=f'git commit -m "{message}"')
        if bob.workspace.exists():
            bob.run("git", "pull", "--quiet")
        else:
            bob.workspace.mkdir()
            bob.run("git", "clone", "--quiet", str(ann.workspace), ".", shown="git clone ann bob")
        return
    bob.workspace.mkdir(exist_ok=True)
    for path in (*ann.workspace.glob("*.hitsave"), *ann.workspace.glob("*.toml"), *ann.workspace.glob("*.py")):
        shutil.copy(path, bob.workspace / path.name)
    print("    (git is not installed here: pointer files, hitsave.toml and programs were copied)")


def write_program(person: Person, name: str, text: str) -> None:
    """A program in a workspace, shown."""
    (person.workspace / name).write_text(text)
    print(f"    {name}:\n" + "".join(f"    | {line}\n" for line in text.splitlines()), end="")


def main() -> None:
    """Everything, in order."""
    shutil.rmtree(HERE, ignore_errors=True)
    ANN.mkdir(parents=True)
    ann, bob = Person("ann", ANN), Person("bob", BOB)
    bring_data(ANN / "data")

    say("Ann has images and tables in data/. She keeps them, and shares them through a folder.")
    if HAS_GIT:
        ann.run("git", "init", "--quiet")
    old = ann.run("hitsave", "add", "data").split()[0][:12]
    ann.run("cat", "data.hitsave")
    ann.run("hitsave", "remote", "add", "origin", str(REMOTE), shown="hitsave remote add origin ../remote")
    ann.run("hitsave", "push")
    share(ann, bob, "data")

    say("Bob has an empty cache. He gets the code with git, and the data with hitsave.")
    bob.run("hitsave", "pull")
    bob.run("diff", "-r", "data", str(ANN / "data"), shown="diff -r data ../ann/data && echo the same")
    print("    the same")

    say("Ann changes something. Only what changed is read, stored and sent.")
    with (ANN / "data" / "tables" / "auto-mpg.csv").open("a") as table:
        table.write("99,4,97,46,1835,20.5,70,Europe,volkswagen 1131 deluxe sedan\n")
    (ANN / "data" / "images" / "horse.png").unlink()
    ann.run("hitsave", "status")
    ann.run("hitsave", "add", "data")
    ann.run("hitsave", "push")
    share(ann, bob, "one more car, one horse less")
    bob.run("hitsave", "pull")

    say("The old version is still there, by the first digits of its digest.")
    bob.run("hitsave", "snapshot", "--restore", old, "data-before")
    bob.run("ls", "data-before/images/horse.png")

    say("In Python, on Bob's side:")
    program = PROGRAM.replace("DIGEST", old)
    print("".join(f"    | {line}\n" for line in program.splitlines()), end="")
    bob.run(sys.executable, "-c", program, shown="python program.py")

    say("Ann has a training script. The second run has nothing to do.")
    write_program(ann, "train.py", TRAINING)
    ann.run(sys.executable, "train.py", shown="python train.py")
    ann.run(sys.executable, "train.py", shown="python train.py")
    say("She changes a helper. The third run computes again, and can say why.")
    (ANN / "train.py").write_text(TRAINING.replace("sum(values)", "max(values)"))
    ann.run(sys.executable, "train.py", shown="python train.py")
    ann.run("hitsave", "why", "train")
    ann.run("hitsave", "evals", "train")

    say("Results are pushed with the data. Bob runs the script as Ann has it now, and need not train.")
    ann.run("hitsave", "push")
    share(ann, bob, "a training script")
    bob.run(sys.executable, "train.py", shown="python train.py")

    say("Files that a function writes are kept with its result.")
    write_program(ann, "hello.py", HELLO)
    ann.run(sys.executable, "hello.py", shown="python hello.py")

    say("Ann no longer wants the old version. Forgetting drops its owner; gc collects what nobody else owns.")
    ann.run("hitsave", "forget", f"data@{old}")
    ann.run("hitsave", "gc", "--dry-run")
    ann.run("hitsave", "gc")
    ann.run("hitsave", "gc", "--remote", "--dry-run", "--keep", "0")
    ann.run("hitsave", "undo")
    ann.run("hitsave", "fsck")
    ann.run("hitsave", "fsck", "--remote")
    say(f"That was all. Look around in {os.path.relpath(HERE)}: two workspaces, two caches, one remote.")


if __name__ == "__main__":
    main()
