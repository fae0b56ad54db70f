"""Projects of many modules, generated, with one memoised function that reaches all of it."""

from __future__ import annotations

from pathlib import Path

#: Modules and lines of each.
SIZES = {"small": (1, 30), "large": (50, 300)}

_STEP = '''
def step_{number}(value, rate=0.5, items=(1, 2, 3)):
    """Step {number} of part {part}."""
    total = 0.0
    for place, item in enumerate(items):
        if item > {number}:
            total += math.sqrt(item) * rate
        else:
            total -= value / (place + 1)
    return total + SCALE_{number}


SCALE_{number} = {number}.5
'''
_LINES = _STEP.count("\n") + 1
_MAIN = """from decoration import memo

from project import part0


@memo
def work(value):
    return part0.run(value)


work(1)
"""


def write_project(folder: Path, size: str) -> None:
    """Write `main.py` and the package `project` into a folder."""
    modules, lines = SIZES[size]
    package = folder / "project"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    for part in range(modules):
        (package / f"part{part}.py").write_text(_module(part, lines // _LINES, last=part + 1 == modules))
    (folder / "main.py").write_text(_MAIN)


def _module(part: int, steps: int, last: bool) -> str:
    text = "import math\n" + ("" if last else f"\nfrom project import part{part + 1}\n") + "\n"
    text += "\n".join(_STEP.format(number=number, part=part) for number in range(steps))
    calls = " + ".join(f"step_{number}(value)" for number in range(steps))
    return text + f"\n\ndef run(value):\n    return {calls}{'' if last else f' + part{part + 1}.run(value)'}\n"
