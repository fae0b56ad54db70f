"""The code of an evaluation, kept so that it can be shown and compared: every dependency with its digest and its text.

A blob of canonical JSON, shared by all evaluations of the same code.
"""

from __future__ import annotations

from collections.abc import Iterable

from hitsave.errors import MalformedObject
from hitsave.memoisation.code.dependency import Dependency, DependencyKind
from hitsave.objects.canonical import decode_json, encode_json, unicode_text

_WHAT = "manifest"


def encode_manifest(dependencies: Iterable[Dependency]) -> bytes:
    """The bytes of a manifest. What stands twice is written once."""
    unique = {(each.kind, each.name): each for each in dependencies}
    rows = [
        [unicode_text(each.kind), unicode_text(each.name), each.digest.hex(), unicode_text(each.text)]
        for each in unique.values()
    ]
    return encode_json({"dependencies": sorted(rows)})


def decode_manifest(data: bytes) -> dict[tuple[str, str], Dependency]:
    """Dependencies by kind and name. Raises MalformedObject."""
    found: dict[tuple[str, str], Dependency] = {}
    try:
        for kind, name, digest, text in decode_json(data, _WHAT)["dependencies"]:
            found[kind, name] = Dependency(DependencyKind(kind), name, bytes.fromhex(digest), text)
    except (KeyError, ValueError, TypeError) as error:
        raise MalformedObject(_WHAT, f"is none ({error})") from None
    return found
