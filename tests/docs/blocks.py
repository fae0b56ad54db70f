"""What a page shows, taken apart: commands with what they print, programs, and Python with what it prints.

    ```console          commands behind `$ `, or behind `ben$ ` where somebody else types, each with its output
    ```python NAME      the file NAME, written into the current folder
    ```python           statements, all of a page run in one session; what they print is the ```text block after them
    <!-- $ command -->  a command that readers do not see, one for each line

Every other block is not run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

#: Who types behind a bare `$ `.
READER = "ann"

_FENCE = re.compile(r"```(.*)")
_COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)
_PROMPT = re.compile(r"([a-z]*)\$ (.*)")


@dataclass(frozen=True, slots=True)
class Command:
    """A line that somebody types, and what it prints; None where that is not shown."""

    at: int
    who: str
    line: str
    output: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Program:
    """A file that the reader writes."""

    at: int
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Statements:
    """Python that the reader types into a session, and what it prints."""

    at: int
    text: str
    output: tuple[str, ...]


Step = Command | Program | Statements


@dataclass(frozen=True, slots=True)
class _Block:
    """A fenced block: the line of its first fence, counted from 0, the words behind that, and the lines inside."""

    at: int
    words: tuple[str, ...]
    lines: tuple[str, ...]

    @property
    def end(self) -> int:
        return self.at + len(self.lines) + 1


def read_steps(text: str) -> list[Step]:
    """Everything in a page that is to be done, in its order."""
    lines = text.splitlines()
    blocks = list(_fenced(lines))
    inside = {at for block in blocks for at in range(block.at, block.end + 1)}
    steps = [step for at, comment in _comments(text) if at not in inside for step in _hidden(at, comment)]
    for number, block in enumerate(blocks):
        follower = blocks[number + 1] if number + 1 < len(blocks) else None
        steps += _steps(block, _output(block, follower, lines))
    return sorted(steps, key=lambda step: step.at)


def _fenced(lines: list[str]) -> Iterator[_Block]:
    start: int | None = None
    for at, line in enumerate(lines):
        fence = _FENCE.fullmatch(line)
        if fence is None:
            continue
        if start is None:
            start, words = at, tuple(fence[1].split())
        else:
            yield _Block(start, words, tuple(lines[start + 1 : at]))
            start = None


def _output(block: _Block, follower: _Block | None, lines: list[str]) -> tuple[str, ...]:
    """The block after this one where that shows what it prints: nothing but empty lines lies between them."""
    if follower is None or follower.words != ("text",) or any(lines[block.end + 1 : follower.at]):
        return ()
    return follower.lines


def _steps(block: _Block, output: tuple[str, ...]) -> Iterator[Step]:
    if block.words[:1] == ("console",):
        yield from _typed(block.at + 1, block.lines)
    elif block.words[:1] == ("python",):
        text = "".join(f"{line}\n" for line in block.lines)
        if len(block.words) > 1:
            yield Program(block.at + 1, block.words[1], text)
        else:
            yield Statements(block.at + 1, text, output)


def _typed(start: int, lines: tuple[str, ...]) -> Iterator[Command]:
    prompts = [number for number, line in enumerate(lines) if _PROMPT.fullmatch(line)]
    for number, after in zip(prompts, [*prompts[1:], len(lines)], strict=True):
        who, line = _prompt(lines[number])
        yield Command(start + number, who, line, tuple(lines[number + 1 : after]))


def _prompt(line: str) -> tuple[str, str]:
    found = _PROMPT.fullmatch(line)
    assert found is not None, f"{line!r} is no command: it does not begin with '$ '"
    return found[1] or READER, found[2]


def _comments(text: str) -> Iterator[tuple[int, str]]:
    for found in _COMMENT.finditer(text):
        yield text.count("\n", 0, found.start()), found[1]


def _hidden(at: int, comment: str) -> Iterator[Command]:
    for number, line in enumerate(comment.splitlines()):
        if line.strip():
            yield Command(at + number, *_prompt(line.strip()), None)
