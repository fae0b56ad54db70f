"""The source of code that runs, and its digest.

A source file may have been edited since it was imported, and what runs then is not what stands there. So a piece of
source is believed only when it compiles to the very code that runs, line numbers aside. Where none does (the file was
edited, or there is none, or somebody rewrote the code after it was compiled), the bytecode itself is digested: that is
never wrong, and only less patient with formatting.
"""

from __future__ import annotations

import ast
import linecache
import os
import textwrap
import threading
from dataclasses import dataclass, field
from types import CodeType
from typing import NamedTuple

from blake3 import blake3

from hitsave.memoisation.code.names import remember_uses, uses_of
from hitsave.memoisation.code.normal import Attention, Definition, IsOurs, definition_digest, definitions
from hitsave.memoisation.code.readings import Reading, Readings, code_key, pack_uses, unpack_uses

#: What `from __future__ import` leaves in the flags of code.
_FUTURES = 0x1FE0000


class Piece(NamedTuple):
    """A function or class as it counts: its digest, and its text for people; empty where there is no source."""

    digest: bytes
    text: str


@dataclass(slots=True)
class SourceFile:
    """One file that was read, parsed and compiled. `content` is the digest of its bytes."""

    lines: list[str]
    content: bytes
    nodes: dict[int, list[Definition]] = field(default_factory=dict)
    classes: dict[str, list[ast.ClassDef]] = field(default_factory=dict)
    codes: dict[str, list[CodeType]] = field(default_factory=dict)

    def segment(self, node: Definition) -> str:
        """The text of a definition, with its decorators."""
        lines = self.lines[_first_line(node) - 1 : node.end_lineno]
        if isinstance(node, ast.Lambda):
            return ast.get_source_segment("\n".join(self.lines), node) or "\n".join(lines)
        return textwrap.dedent("\n".join(lines))


class Sources:
    """Reads source files, each once for as long as it stays the same, and finds definitions in them."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[object, SourceFile | None]] = {}
        self._pieces: dict[tuple[int, Attention], tuple[CodeType, Piece]] = {}
        self._contents: dict[str, tuple[object, bytes | None]] = {}
        self._lock = threading.RLock()
        #: What earlier processes have read, for the fingerprint that is being made.
        self.readings: Readings | None = None

    def renew_lock(self) -> None:
        """In a forked child: another thread of its parent may hold it."""
        self._lock = threading.RLock()

    def file(self, name: str) -> SourceFile | None:
        """The source file that code names; None where there is none that can be read."""
        with self._lock:
            signature = _signature(name)
            known = self._files.get(name)
            if known is None or known[0] != signature:
                known = (signature, _load(name))
                self._files[name] = known
            return known[1]

    def function(self, code: CodeType, attention: Attention, is_ours: IsOurs) -> Piece:
        """What counts of a function's code."""
        known = self._pieces.get((id(code), attention))
        if known is None:
            known = (code, self._recall_function(code, attention, is_ours))
            self._pieces[id(code), attention] = known
        return known[1]

    def _recall_function(self, code: CodeType, attention: Attention, is_ours: IsOurs) -> Piece:
        """What an earlier process has read of it, or else what it says."""
        name, content = code.co_filename, None if self.readings is None else self._content(code.co_filename)
        key = None if content is None else code_key(code, attention)
        if self.readings is None or content is None or key is None:
            return self._find_function(code, attention, is_ours)
        known = self.readings.get(name, content, key)
        if known is not None and all(is_ours(_expression(text)) == answer for text, answer in known.asked):
            remember_uses(code, unpack_uses(known.uses))
            return Piece(known.digest, known.text)
        asked: list[tuple[str, bool]] = []

        def ask(decorator: ast.expr) -> bool:
            answer = is_ours(decorator)
            asked.append((ast.unparse(decorator), answer))
            return answer

        piece = self._find_function(code, attention, ask)
        file = self.file(name)
        if file is not None and file.content == content:  # It may have been edited meanwhile.
            reading = Reading(piece.digest, piece.text, tuple(asked), pack_uses(uses_of(code)))
            self.readings.put(name, content, key, reading)
        return piece

    def _content(self, name: str) -> bytes | None:
        """The digest of a source file's bytes; None where there is none."""
        signature = _signature(name)
        known = self._contents.get(name)
        if known is None or known[0] != signature:
            text = _read(name)
            known = self._contents[name] = (signature, None if text is None else _content_of(text))
        return known[1]

    def _find_function(self, code: CodeType, attention: Attention, is_ours: IsOurs) -> Piece:
        file = self.file(code.co_filename)
        if file is not None:
            for candidate in file.codes.get(code.co_qualname, ()):
                if same_code(candidate, code) and (node := _node_of(file, candidate)) is not None:
                    digest = definition_digest(node, attention, is_ours)
                    if attention.annotations:  # Then it shows whether they are kept as text.
                        digest = blake3(digest + (code.co_flags & _FUTURES).to_bytes(4, "little")).digest()
                    text = file.segment(node)
                    return Piece(with_text(digest, text) if attention.text else digest, text)
        return Piece(code_digest(code, attention), "")

    def classes(self, filename: str, qualname: str) -> list[tuple[ast.ClassDef, str]]:
        """Every definition of a class by that name in a file, with its text."""
        file = self.file(filename)
        return [] if file is None else [(node, file.segment(node)) for node in file.classes.get(qualname, ())]


def with_text(digest: bytes, text: str) -> bytes:
    """The digest of a definition whose text counts as it stands."""
    return blake3(digest + text.encode("utf-8", "surrogatepass")).digest()


def _signature(name: str) -> object:
    try:
        found = os.stat(name)
    except (OSError, ValueError):
        lines = linecache.cache.get(name)
        return lines[2] if lines is not None and len(lines) > 2 else None  # A cell of a notebook lies there alone.
    return found.st_mtime_ns, found.st_size, found.st_ino


def _load(name: str) -> SourceFile | None:
    text = _read(name)
    if text is None:
        return None
    try:
        tree = ast.parse(text)
        compiled = compile(text, name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    file = SourceFile(_lines_of(text), _content_of(text))
    for qualname, node in definitions(tree):
        file.nodes.setdefault(_first_line(node), []).append(node)
        if isinstance(node, ast.ClassDef):
            file.classes.setdefault(qualname, []).append(node)
    pending = [compiled]
    while pending:
        inner = [constant for constant in pending.pop().co_consts if isinstance(constant, CodeType)]
        for code in inner:
            file.codes.setdefault(code.co_qualname, []).append(code)
        pending += inner
    return file


def _read(name: str) -> str | bytes | None:
    """Bytes of a file, whose encoding the compiler knows how to tell; text of what lies in memory."""
    try:
        with open(name, "rb") as file:
            return file.read()
    except (OSError, ValueError):
        lines = linecache.getlines(name)
        return "".join(lines) if lines else None


def _content_of(text: str | bytes) -> bytes:
    return blake3(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text).digest()


def _expression(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def _lines_of(text: str | bytes) -> list[str]:
    return _decode(text).replace("\r\n", "\n").replace("\r", "\n").replace("\f", " ").split("\n")


def _decode(text: str | bytes) -> str:
    if isinstance(text, str):
        return text
    import io
    import tokenize

    try:
        return text.decode(tokenize.detect_encoding(io.BytesIO(text).readline)[0], "replace")
    except (SyntaxError, LookupError):
        return text.decode("utf-8", "replace")


def _first_line(node: Definition) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(each.lineno for each in decorators)])


def _node_of(file: SourceFile, code: CodeType) -> Definition | None:
    """The node that was compiled to a code object of the same text."""
    nodes = file.nodes.get(code.co_firstlineno, [])
    if code.co_name == "<lambda>":
        return _lambda_of([node for node in nodes if isinstance(node, ast.Lambda)], code)
    named = [node for node in nodes if getattr(node, "name", None) == code.co_name]
    return named[0] if len(named) == 1 else None


def _lambda_of(nodes: list[ast.Lambda], code: CodeType) -> ast.Lambda | None:
    """Of several lambdas in one line, the innermost that holds all positions of the code."""
    places = [
        (line, column)
        for line, _, column, _ in code.co_positions()
        if line is not None and column is not None and (line, column) != (code.co_firstlineno, 0)
    ]
    if not places:
        return nodes[0] if len(nodes) == 1 else None
    first, last = min(places), max(places)
    fitting = [
        node
        for node in nodes
        if (node.body.lineno, node.body.col_offset) <= first
        and last <= (node.body.end_lineno or 0, node.body.end_col_offset or 0)
    ]
    return max(fitting, key=lambda node: (node.lineno, node.col_offset), default=None)


# -- code without source


def same_code(one: CodeType, other: CodeType) -> bool:
    """Whether two code objects do the same, wherever they stand."""
    if one is other:
        return True
    return (
        one.co_code == other.co_code
        and one.co_names == other.co_names
        and one.co_varnames == other.co_varnames
        and one.co_freevars == other.co_freevars
        and one.co_cellvars == other.co_cellvars
        and one.co_flags == other.co_flags
        and one.co_argcount == other.co_argcount
        and one.co_posonlyargcount == other.co_posonlyargcount
        and one.co_kwonlyargcount == other.co_kwonlyargcount
        and one.co_exceptiontable == other.co_exceptiontable
        and len(one.co_consts) == len(other.co_consts)
        and all(map(_same_constant, one.co_consts, other.co_consts))
    )


def _same_constant(one: object, other: object) -> bool:
    if isinstance(one, CodeType) and isinstance(other, CodeType):
        return same_code(one, other)
    return type(one) is type(other) and _constant_bytes(one) == _constant_bytes(other)


def code_digest(code: CodeType, attention: Attention) -> bytes:
    """The digest of bytecode: what it does, without line numbers, and without its docstring unless that counts."""
    hasher = blake3(b"bytecode")
    for part in _code_parts(code, attention):
        hasher.update(len(part).to_bytes(8, "little") + part)
    return hasher.digest()


def _code_parts(code: CodeType, attention: Attention) -> list[bytes]:
    constants = code.co_consts if attention.docstrings else _without_docstring(code)
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    numbers = (code.co_flags, code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount)
    return [
        code.co_code,
        code.co_exceptiontable,
        repr((names, numbers)).encode("utf-8", "surrogatepass"),
        *(
            code_digest(constant, attention) if isinstance(constant, CodeType) else _constant_bytes(constant)
            for constant in constants
        ),
    ]


def _without_docstring(code: CodeType) -> tuple[object, ...]:
    constants: tuple[object, ...] = code.co_consts
    is_function = bool(code.co_flags & 0x2) and code.co_name != "<lambda>"  # CO_NEWLOCALS; not a class or module.
    if is_function and constants and isinstance(constants[0], str):
        return (None, *constants[1:])
    return constants


def _constant_bytes(constant: object) -> bytes:
    if isinstance(constant, frozenset):
        parts = sorted(_constant_bytes(each) for each in constant)
        return b"frozenset" + b"".join(b"%d:" % len(part) + part for part in parts)
    if isinstance(constant, tuple):
        parts = [_constant_bytes(each) for each in constant]
        return b"tuple" + b"".join(b"%d:" % len(part) + part for part in parts)
    shown = hex(constant) if type(constant) is int else repr(constant)
    return f"{type(constant).__name__} {shown}".encode("utf-8", "surrogatepass")
