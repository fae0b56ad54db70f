"""Pages whose code is run, and the running of one. `python -m tests.docs.pages PAGE` writes into it what is printed.

After that, look at the difference: what a page shows is what readers rely on.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.docs import projects
from tests.docs.blocks import READER, Command, Program, Statements, read_steps
from tests.docs.matching import Bindings
from tests.docs.people import Company, Person

ROOT = Path(__file__).parents[2]

#: Every page whose code is run, with what makes the project that its reader has.
PAGES: dict[str, Callable[[Path], None]] = {
    "README.md": projects.images_and_tables,
    "docs/guides/files.md": projects.model,
    "docs/guides/datasets.md": projects.photos,
    "docs/guides/memo.md": projects.model,
    "docs/guides/libraries.md": projects.tables,
    "docs/guides/sharing.md": projects.photos,
    "docs/guides/cleaning-up.md": projects.photos,
    "docs/guides/how-it-works.md": projects.photos,
    "docs/git.md": projects.photos,
}
#: How the last line begins of what a command prints that fails: ours, or git's.
_ERRORS = ("hitsave: ", "error: ", "Automatic merge failed")


@dataclass(frozen=True, slots=True)
class Printed:
    """What a step shows and what it printed. `at` is the line of the page, counted from 0."""

    at: int
    what: str
    shown: tuple[str, ...]
    lines: tuple[str, ...]
    code: int = 0

    @property
    def fails(self) -> bool:
        """Whether the page says that it fails: what it prints ends in an error."""
        return any(line.startswith(_ERRORS) for line in self.shown[-1:])


def run_page(page: str, text: str, disk: Path, bindings: Bindings) -> Iterator[Printed]:
    """Do what a page says, step by step, on an empty disk. Whoever reads what is printed tells `bindings` of it."""
    with Company(disk) as company:
        PAGES[page](company[READER].folder)
        for step in read_steps(text):
            if isinstance(step, Program):
                company[READER].write(step.name, bindings.translate(step.text))
            else:
                yield _do(step, company[step.who if isinstance(step, Command) else READER], bindings)


def _do(step: Command | Statements, person: Person, bindings: Bindings) -> Printed:
    if isinstance(step, Statements):
        printed = person.enter(bindings.translate(step.text))
        return Printed(step.at, step.text, step.output, tuple(printed.splitlines()))
    code, printed = person.type(bindings.translate(step.line))
    lines = tuple(printed.splitlines())
    return Printed(step.at, step.line, lines if step.output is None else step.output, lines, code)


def rewritten(text: str, wrong: list[Printed]) -> str:
    """The page with what was printed in the place of what it showed."""
    lines = text.splitlines()
    for printed in reversed(wrong):
        if lines[printed.at - 1] != "```python":
            start = printed.at + 1
            lines[start : start + len(printed.shown)] = printed.lines
            continue
        end = lines.index("```", printed.at) + 1
        shown = len(printed.shown) + 3 if printed.shown else 0
        lines[end : end + shown] = ["", "```text", *printed.lines, "```"] if printed.lines else []
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write what is printed into the pages that are named."""
    for page in sys.argv[1:]:
        text = (ROOT / page).read_text()
        with tempfile.TemporaryDirectory() as disk:
            bindings = Bindings()
            steps = run_page(page, text, Path(disk).resolve(), bindings)
            wrong = [step for step in steps if not bindings.matches(step.shown, step.lines)]
        (ROOT / page).write_text(rewritten(text, wrong))
        for step in wrong:
            print(f"{page}, line {step.at + 1}: {step.what}: exit code {step.code}")


if __name__ == "__main__":
    main()
