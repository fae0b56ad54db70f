"""What a fingerprint consists of: dependencies, each with a name, a digest and a text for people."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from blake3 import blake3


class DependencyKind(StrEnum):
    """What a dependency is."""

    FUNCTION = "function"
    CLASS = "class"
    VALUE = "value"  # Of a global, a default, a closure or an attribute of a class.
    NAME = "name"  # What a name stands for: a function, class or module.
    PACKAGE = "package"
    FILE = "file"
    PYTHON = "python"
    UNTRACKED = "untracked"  # It cannot be digested: of it, only the type counts.


class Dependency(NamedTuple):
    """One thing that a result depends on. `text` is its source, its value or its version, perhaps shortened."""

    kind: DependencyKind
    name: str
    digest: bytes
    text: str


def text_dependency(kind: DependencyKind, name: str, text: str) -> Dependency:
    """A dependency that is nothing but a text."""
    return Dependency(kind, name, blake3(text.encode("utf-8", "surrogatepass")).digest(), text)


def digest_of(dependencies: tuple[Dependency, ...]) -> bytes:
    """The digest of dependencies, which are sorted; their texts do not count."""
    hasher = blake3(b"hitsave fingerprint 1\n")
    for kind, name, digest, _ in dependencies:
        encoded = name.encode("utf-8", "surrogatepass")
        hasher.update(b"%s %d:" % (kind.value.encode(), len(encoded)) + encoded + digest)
    return hasher.digest()
