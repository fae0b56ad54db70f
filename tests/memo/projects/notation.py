"""The notation of `cases/*/*.txt`: projects with their revisions, in one readable file for each theme.

    == a name that says what changes          begins a case; lines until the first directive say more
    -- lib.py                                 a file of the project, up to the next directive
    -- lib.py [crlf]                          with another form: crlf, tabs (of four blanks), bom, latin-1
    ~~ lib.py | x * 2 => x * 3                one place is replaced (\\n is a line's end)
    xx lib.py                                 a file or a folder is deleted
    mv lib.py pkg/lib.py                      moved
    tt lib.py                                 its time alone changes
    >> ran 6                                  `python main.py` must run the one body and print 6
    >> hit 6                                  it must run none, and print 6
    >> ran=f,g 6                              these bodies, by their labels; ran=2: two of them
    >> ran 6 :: NAME=value cd=sub ../main.py  with variables, in a folder of the project, with other arguments
    >> hit 6 :: at=../elsewhere main.py       in a copy of the project, at another path
    >> hit 6 :: stdin=session.py -            with a file of the project as input; \\s is a blank within an argument

A case named `*` holds files that every case of the theme has unless it writes its own. In a body, the line `RAN` or
`RAN label` leaves the mark. What is printed is compared with white space made one blank.
"""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.memo.projects.harness import Outcome, Project, marked, ran_as

CASES = Path(__file__).parent / "cases"
_DIRECTIVE = re.compile(r"^(==|--|~~|xx|mv|tt|>>) (.+)$")
_VARIABLE = re.compile(r"^[A-Z_]+=")
_EXPECTED = re.compile(r"^(ran|hit)(?:=(\S+))?(?: (.*))?$")


@dataclass(frozen=True, slots=True)
class Directive:
    """One line that is not a file's content, and the content that follows it."""

    kind: str
    text: str
    body: str


@dataclass(frozen=True, slots=True)
class Case:
    """One project: what is done to it, in order. `shared` are the theme's files."""

    theme: str
    name: str
    shared: tuple[Directive, ...]
    steps: tuple[Directive, ...]

    @property
    def id(self) -> str:
        return f"{self.theme}: {self.name}"

    def all_steps(self) -> list[Directive]:
        """With the theme's files that the case does not begin with itself."""
        begins = itertools.takewhile(lambda step: step.kind != ">>", self.steps)
        own = {step.text.partition(" ")[0] for step in begins if step.kind == "--"}
        return [*(step for step in self.shared if step.text not in own), *self.steps]


@dataclass(slots=True)
class Step:
    """One run: what it must do, and how it is begun."""

    labels: tuple[str, ...]
    output: str
    environ: dict[str, str] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)


def _split(text: str) -> Iterator[Directive]:
    """The directives of a file; what stands before the first case is for readers."""
    kind, head, body = "", "", ""
    for line in text.splitlines(keepends=True):
        match = _DIRECTIVE.match(line.rstrip("\n"))
        if match is None:
            body += line
            continue
        if kind:
            yield Directive(kind, head, body.rstrip("\n") + "\n")
        kind, head, body = match[1], match[2].strip(), ""
    if kind:
        yield Directive(kind, head, body.rstrip("\n") + "\n")


def read_cases(folder: str) -> list[Case]:
    """All cases of `cases/<folder>`, in the order of the files."""
    cases: list[Case] = []
    for path in sorted((CASES / folder).glob("*.txt")):
        shared: tuple[Directive, ...] = ()
        name, steps = "", list[Directive]()
        for directive in [*_split(path.read_text(encoding="utf-8")), Directive("==", "", "")]:
            if directive.kind != "==":
                steps.append(directive)
                continue
            if name == "*":
                shared = tuple(steps)
            elif name:
                cases.append(Case(path.stem, name, shared, tuple(steps)))
            name, steps = directive.text, []
    assert len({case.id for case in cases}) == len(cases), "two cases have one name"
    return cases


def parse_run(text: str) -> Step:
    """A line `>> EXPECTED OUTPUT :: HOW`."""
    expected, _, how = text.partition(" :: ")
    match = _EXPECTED.match(expected.strip())
    assert match, f"what is expected by {text!r}?"
    ran, labels, output = match.groups()
    if ran == "hit":
        step = Step((), output or "")
    elif labels and not labels.isdecimal():
        step = Step(tuple(labels.split(",")), output or "")
    else:
        step = Step(("-",) * int(labels or 1), output or "")
    for word in how.split():
        name, _, value = word.partition("=")
        if _VARIABLE.match(word):
            step.environ[name] = value
        elif not step.arguments and name in ("cd", "at", "stdin"):
            step.options[name] = value
        else:
            step.arguments.append(word.replace("\\s", " "))
    return step


def _formed(text: str, form: str) -> str | bytes:
    forms: dict[str, Callable[[str], str | bytes]] = {
        "": str,
        "crlf": lambda text: text.replace("\n", "\r\n"),
        "tabs": lambda text: re.sub(r"^(?: {4})+", lambda match: "\t" * (len(match[0]) // 4), text, flags=re.MULTILINE),
        "bom": lambda text: "\ufeff" + text,
        "latin-1": lambda text: text.encode("latin-1"),
    }
    return forms[form](text)


def change(project: Project, step: Directive) -> None:
    """Carries out one directive that is not a run."""
    if step.kind == "--":
        name, _, form = step.text.partition(" ")
        project.write({name: _formed(marked(step.body), form.strip("[]"))})
    elif step.kind == "~~":
        name, _, places = step.text.partition(" | ")
        old, new = (place.strip().replace("\\n", "\n") for place in places.split("=>", 1))
        project.replace(name, old, new)
    elif step.kind == "mv":
        old, new = step.text.split()
        (project.folder / new).parent.mkdir(parents=True, exist_ok=True)
        (project.folder / old).rename(project.folder / new)
    elif step.kind == "tt":
        project.revision += 1
        project.touch(step.text)
    else:
        path = project.folder / step.text
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def carry_out(project: Project, step: Step) -> Outcome:
    """One run, as it is described."""
    folder = project.copy(step.options["at"]) if "at" in step.options else project.folder
    cwd = folder / step.options.get("cd", ".")
    cwd.mkdir(exist_ok=True)
    stdin = (folder / step.options["stdin"]).read_text() if "stdin" in step.options else None
    return project.run(*step.arguments, environ=step.environ, cwd=cwd, stdin=stdin)


def follow(case: Case, project: Project, again: bool = False) -> None:
    """Does all that the case says and checks every run. `again`: the first run that runs something is repeated, and
    must then run nothing; a tool that never hits would pass for one that always runs what must run."""
    for step in case.all_steps():
        if step.kind != ">>":
            change(project, step)
            continue
        expected = parse_run(step.text)
        ran_as(carry_out(project, expected), expected.labels, expected.output)
        if again and expected.labels:
            ran_as(carry_out(project, expected), (), expected.output)
            again = False
