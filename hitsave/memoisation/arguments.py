"""The arguments of a call: bound as the function would bind them, each with its digest.

How they were passed does not count: by position or by name, in whatever order, defaults spelled out or not. Functions
and classes in them count with their code.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import CodeType
from typing import Any, NamedTuple

from blake3 import blake3

from hitsave.errors import MemoError, Undigestable
from hitsave.memoisation.code.dependency import Dependency
from hitsave.memoisation.code.fingerprint import Fingerprint, Fingerprints
from hitsave.memoisation.code.ignoring import Ignored
from hitsave.memoisation.code.kinds import unwrapped
from hitsave.memoisation.code.normal import Attention
from hitsave.memoisation.code.watch import Aliases
from hitsave.memoisation.values.digest import digest_value

_MOST_KNOWN = 10_000
_LISTED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Argument(NamedTuple):
    """One parameter and what it was given."""

    name: str
    value: object
    digest: bytes


class Bound(NamedTuple):
    """All arguments of a call, in the order of the signature, and the digest of them together."""

    arguments: tuple[Argument, ...]
    digest: bytes


class Binder:
    """Binds calls of one function."""

    def __init__(self, function: Any, ignored: Iterable[str]) -> None:
        try:
            self._signature = inspect.signature(function)
        except (TypeError, ValueError):
            raise MemoError(
                f"{function!r}: its signature is not known, so that its calls cannot be told apart"
            ) from None
        parameters = self._signature.parameters.values()
        self._left_out = frozenset(ignored)
        self._simple = all(each.kind in _LISTED for each in parameters)
        self._names = tuple(each.name for each in parameters)
        self._positional_only = sum(each.kind is inspect.Parameter.POSITIONAL_ONLY for each in parameters)
        self._defaults = {each.name: each.default for each in parameters if each.default is not inspect.Parameter.empty}

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[tuple[str, Any]]:
        """Names and values in the order of the signature. Raises TypeError as a call of the function would."""
        names = self._names
        if self._simple and len(args) <= len(names) and (not kwargs or not self._positional_only):
            values = dict(zip(names, args, strict=False))
            if kwargs:
                if not values.keys().isdisjoint(kwargs):
                    return self._bind_slowly(args, kwargs)
                values.update(kwargs)
            if len(values) < len(names):
                values = {**self._defaults, **values}
            if len(values) == len(names):
                try:
                    return [(name, values[name]) for name in names if name not in self._left_out]
                except KeyError:
                    pass
        return self._bind_slowly(args, kwargs)

    def _bind_slowly(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[tuple[str, Any]]:
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        found = []
        for name, value in bound.arguments.items():
            if self._signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
                found += [(f"**{key}", value[key]) for key in sorted(value) if key not in self._left_out]
            elif name not in self._left_out:
                found.append((name, value))
        return found


class ArgumentCode:
    """The code that arrives in arguments: of functions, and of the classes of instances."""

    def __init__(
        self, fingerprints: Fingerprints, ignored: Ignored, sensitivity: str, aliases: Aliases, project: str
    ) -> None:
        self._fingerprints = fingerprints
        self._project = project
        self._ignored = ignored
        self._sensitivity = sensitivity
        self._aliases = aliases
        self._attention = Attention()
        self._known: dict[tuple[int, Attention], tuple[object, Fingerprint, str]] = {}
        #: What the last arguments referred to.
        self.used: dict[int, Fingerprint] = {}

    def begin(self, attention: Attention) -> None:
        """Other arguments follow, of a function that looks at all this."""
        self.used = {}
        self._attention = attention

    def refer(self, value: object) -> str:
        """What stands for a function or class in the digest of an argument."""
        value = unwrapped(value)
        return self._look(value, self._attention)

    def _look(self, value: object, attention: Attention) -> str:
        known = self._known.get((id(value), attention))
        if known is None or not known[1].holds(self._aliases):
            found = self._fingerprints.make(
                value,
                project=self._project,
                ignored=self._ignored,
                sensitivity=self._sensitivity,
                aliases=self._aliases,
                attention=attention,
            )
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[id(value), attention] = (value, found, f"{found.label} {found.digest.hex()}")
        self.used[id(value)] = known[1]
        return known[2]

    def attention(self, besides: Attention) -> Attention:
        """What the code in the last arguments looks at, and somebody else.

        Names aside: nearly every data class looks at its own, and those in the source count anyway.
        """
        found = besides
        for each in self.used.values():
            if each.attention != besides:
                found = found.joined(each.attention._replace(names=False))
        return found

    def look_again(self, attention: Attention) -> list[bytes]:
        """The digests of all that the last arguments referred to, for somebody who looks at more."""
        values = [each.walk.root for each in self.used.values()]
        return sorted(self._look(value, attention).encode("utf-8", "surrogatepass") for value in values)

    def codes(self) -> list[CodeType]:
        """The code of every function that the last arguments depend on."""
        return [code for found in self.used.values() for code in found.codes]

    def dependencies(self) -> Iterable[Dependency]:
        """What the last arguments depend on."""
        for found in self.used.values():
            yield from found.dependencies


def digest_arguments(
    function: str,
    bound: list[tuple[str, Any]],
    code: ArgumentCode,
    attention: Attention,
    fingerprint_for: Callable[[Attention], Fingerprint],
) -> Bound:
    """The arguments with their digests. Raises Undigestable, which names the argument.

    `attention` is what the function looks at. The code in arguments may be given one another, and what the body knows;
    where it looks at more, `fingerprint_for` makes the function's fingerprint for that, which then counts here.
    """
    code.begin(attention)
    hasher = blake3(b"hitsave arguments 1\n")
    arguments = []
    for name, value in bound:
        try:
            digest = digest_value(value, code.refer, name=name)
        except Undigestable as error:
            error.add_note(f"in a call of {function}")
            raise
        encoded = name.encode()
        hasher.update(b"%d:" % len(encoded) + encoded + digest)
        arguments.append(Argument(name, value, digest))
    again: list[bytes] = []
    while (wider := code.attention(attention)) != attention:
        attention = wider.joined(fingerprint_for(wider).attention)
        again = [fingerprint_for(attention).digest, *code.look_again(attention)]
    for each in again:
        hasher.update(b"%d:" % len(each) + each)
    return Bound(tuple(arguments), hasher.digest())
