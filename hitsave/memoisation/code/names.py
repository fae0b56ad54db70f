"""Which names a piece of code uses, read from its bytecode, with that of the functions and classes inside of it.

A name is followed through the attributes that are taken from it, as far as they are spelled out: `config.model.DEPTH`
is the chain ("config", "model", "DEPTH"). Who resolves it stops at the first thing that is not a module. A module that
is used in any other way than for an attribute is used as a whole.

Bytecode, and not source, is read here: it is there for every function, it is what runs, and it tells local names from
global ones.
"""

from __future__ import annotations

import dis
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from types import CodeType
from typing import NamedTuple

Chain = tuple[str, ...]

#: Globals that give access to names which nobody spelled out.
_REFLECTIVE = frozenset(("globals", "locals", "vars", "eval", "exec"))
_IMPORTERS = frozenset((("importlib", "import_module"), ("import_module",), ("__import__",)))
_GLOBAL_LOADS = frozenset(("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"))
_FREE_LOADS = frozenset(("LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"))
_NOISE = frozenset(("EXTENDED_ARG", "CACHE", "PUSH_NULL", "PRECALL"))


class Import(NamedTuple):
    """An import inside of a function, and what is taken from it.

    `module` is loaded; `attributes` leads to what is used, from that module or, with `from_top`, from the package that
    its name begins with. Where they lead to a module, it is used as a whole.
    """

    level: int
    module: str
    from_top: bool
    attributes: Chain = ()


@dataclass(frozen=True, slots=True)
class Uses:
    """What code uses: chains that begin at global names and at free variables, and imports of its own.

    `reflective` tells that it can reach every name of its module; `mentions` has each global and attribute name in it,
    and names of Python's own in texts.
    """

    globals: tuple[Chain, ...]
    free: tuple[Chain, ...]
    imports: tuple[Import, ...]
    reflective: bool
    mentions: frozenset[str]


def uses(code: CodeType) -> Uses:
    """What a function's code uses."""
    shared = _Names()
    imports: set[Import] = set()
    mentions: set[str] = set()
    for inner in _nested(code):
        mentions.update(inner.co_names, _named_in_texts(inner))
        local = _Names()
        _Scan(inner, shared, local, imports).run()
        # A local name means the same wherever it is used in one code object, and something else in every other one.
        imports |= local.imports(local.chains)
    imports |= shared.imports(shared.chains | shared.free)
    known = {chain for chain in shared.chains if chain[0] not in shared.bindings}
    return Uses(
        tuple(sorted(known)),
        tuple(sorted(chain for chain in shared.free if chain[0] in code.co_freevars)),
        tuple(sorted(imports)),
        any(chain[0] in _REFLECTIVE or chain[:2] == ("sys", "modules") for chain in known),
        frozenset(mentions),
    )


_uses_of: dict[int, tuple[CodeType, Uses]] = {}


def uses_of(code: CodeType) -> Uses:
    """What code uses; each code is read once."""
    known = _uses_of.get(id(code))
    if known is None:
        known = _uses_of[id(code)] = (code, uses(code))
    return known[1]


def remember_uses(code: CodeType, found: Uses) -> None:
    """Take what an earlier process has read."""
    _uses_of.setdefault(id(code), (code, found))


def _nested(code: CodeType) -> Iterable[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


def _named_in_texts(code: CodeType) -> Iterable[str]:
    """Names of Python's own that stand in texts: `getattr(function, "__doc__")`."""
    return (text for text in code.co_consts if isinstance(text, str) and text.startswith("__") and text.isidentifier())


@dataclass(slots=True)
class _Names:
    """Chains that were seen, and which names were bound by imports."""

    chains: set[Chain] = field(default_factory=set)
    free: set[Chain] = field(default_factory=set)
    bindings: dict[str, list[Import]] = field(default_factory=dict)

    def imports(self, chains: set[Chain]) -> set[Import]:
        """What is taken from imports; all of the module, where nothing is taken by name."""
        found: set[Import] = set()
        for name, bound in self.bindings.items():
            taken = {chain[1:] for chain in chains if chain[0] == name} or {()}
            found |= {each._replace(attributes=each.attributes + rest) for each in bound for rest in taken}
        return found


class _Scan:
    """Reads the instructions of one code object. Names that inner code can see go to `shared`, others to `local`."""

    def __init__(self, code: CodeType, shared: _Names, local: _Names, imports: set[Import]) -> None:
        self._cells = code.co_cellvars
        self._steps: Sequence[dis.Instruction] = [
            step for step in dis.get_instructions(code) if step.opname not in _NOISE
        ]
        self._shared = shared
        self._local = local
        self._imports = imports

    def run(self) -> None:
        """Note everything."""
        for at, step in enumerate(self._steps):
            name = step.opname
            if name == "IMPORT_NAME":
                self._import(at)
            elif name in _GLOBAL_LOADS:
                chain = self._chain(step.argval, at)
                self._shared.chains.add(chain)
                self._note_constant_import(chain, at)
            elif name in _FREE_LOADS:
                self._shared.free.add(self._chain(step.argval, at))
            elif "LOAD_FAST" in name:
                self._load_local(step, at)

    def _chain(self, root: str, at: int) -> Chain:
        attributes: list[str] = []
        for step in self._steps[at + 1 :]:
            if step.opname not in ("LOAD_ATTR", "LOAD_METHOD"):
                break
            attributes.append(step.argval)
        return (root, *attributes)

    def _load_local(self, step: dis.Instruction, at: int) -> None:
        names = step.argval if isinstance(step.argval, tuple) else (step.argval,)
        if step.opname.startswith("STORE_FAST"):
            names = names[1:]
        self._local.chains.update((name,) for name in names[:-1])
        if names[-1] not in self._cells:  # Such a one is only handed on to an inner function.
            chain = self._chain(names[-1], at)
            self._local.chains.add(chain)
            self._note_constant_import(chain, at)

    def _import(self, at: int) -> None:
        """One import statement: IMPORT_NAME, then for each name IMPORT_FROM and a store."""
        level, names = self._steps[at - 2].argval, self._steps[at - 1].argval
        module = Import(level, self._steps[at].argval, from_top=not names)
        at += 1
        if self._steps[at].opname.startswith("STORE_"):
            self._bind(self._steps[at], module)
            return
        taken: Chain = ()
        while self._steps[at].opname in ("IMPORT_FROM", "SWAP", "POP_TOP"):
            if self._steps[at].opname == "IMPORT_FROM":
                taken = (*taken, self._steps[at].argval)
                if self._steps[at + 1].opname.startswith("STORE_"):
                    at += 1
                    self._bind(self._steps[at], module._replace(attributes=taken))
                    taken = ()
            elif self._steps[at].opname == "POP_TOP" and not taken:
                if self._steps[at - 1].opname == "IMPORT_NAME":
                    self._imports.add(module)
                return
            at += 1

    def _bind(self, step: dis.Instruction, module: Import) -> None:
        where = self._local if step.opname.startswith("STORE_FAST") else self._shared
        name = step.argval[0] if isinstance(step.argval, tuple) else step.argval
        where.bindings.setdefault(name, []).append(module)

    def _note_constant_import(self, chain: Chain, at: int) -> None:
        """`importlib.import_module("a.b")`, the name being written there."""
        if chain not in _IMPORTERS or at + len(chain) >= len(self._steps):
            return
        argument = self._steps[at + len(chain)]
        if argument.opname == "LOAD_CONST" and isinstance(argument.argval, str):
            module = argument.argval.lstrip(".")
            self._imports.add(Import(len(argument.argval) - len(module), module, from_top=False))
