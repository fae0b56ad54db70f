"""Canonical JSON, and the records of a remote that are written in it."""

from __future__ import annotations

import inspect
import json
import sys
from typing import Any

import pytest
from blake3 import blake3
from hypothesis import example, given
from hypothesis import strategies as st

from hitsave.errors import MalformedObject
from hitsave.objects.canonical import Fields, decode_json, encode_json
from hitsave.objects.digest import Digest
from hitsave.packing.blocks import LARGEST_BLOCK
from hitsave.packing.chunking import FixedChunking
from hitsave.packing.commit import (
    Commit,
    RemoteFormat,
    StoredFile,
    commit_digest,
    decode_commit,
    decode_format,
    encode_commit,
    encode_format,
)
from tests.objects.values import digests, modest, mutations

SOME = Digest(bytes(range(32)))
IDENTITY = "0123456789abcdef" * 2

texts = st.text(st.characters(codec="utf-8"), max_size=8)
values: st.SearchStrategy[Any] = st.recursive(
    st.integers(0, (1 << 63) - 1) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
records = st.dictionaries(texts, values, max_size=5)

# -- canonical JSON


@modest
@given(records)
@example({"\x7f": "\U0001f600", "é": '"\\/\b\f\n\r\t\x1f', "": []})
def test_a_record_comes_back_from_one_line_of_ascii(record: dict[str, Any]) -> None:
    encoded = encode_json(record)
    assert encoded.isascii()
    assert encoded.index(b"\n") == len(encoded) - 1
    assert decode_json(encoded, "record") == record
    assert encode_json(dict(reversed(record.items()))) == encoded


@modest
@given(records, st.data())
def test_every_other_spelling_is_refused(record: dict[str, Any], data: st.DataObject) -> None:
    spelled = data.draw(
        st.sampled_from(
            [
                json.dumps(record).encode() + b"\n",
                json.dumps(record, separators=(",", ":")).encode() + b"\n",
                json.dumps(record, sort_keys=True, separators=(",", ":")).encode(),
                json.dumps(record, sort_keys=True, separators=(",", ":")).encode() + b"\r\n",
                json.dumps(record, sort_keys=True, separators=(",", ":")).encode("utf-16") + b"\n",
                b"\xef\xbb\xbf" + encode_json(record),
                json.dumps(record, sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n",
                data.draw(mutations(encode_json(record))),
            ]
        )
    )
    try:
        found = decode_json(spelled, "record")
    except MalformedObject:
        return
    assert encode_json(found) == spelled


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is not JSON"),
        (b"\n", "is not JSON"),
        (b"{}{}\n", "is not JSON"),
        (b"{'a':1}\n", "is not JSON"),
        (b'{"a":1,}\n', "is not JSON"),
        (b'{"a":01}\n', "is not JSON"),
        (b'{"a":"\xff"}\n', "is not JSON"),
        (b'{"a":"\n"}\n', "is not JSON"),
        (b'{"a":NaN}\n', "is not JSON"),
        (b'{"a":[Infinity]}\n', "is not JSON"),
        (b'{"a":{"b":-Infinity}}\n', "is not JSON"),
        (b'{"a":' + b"9" * 5000 + b"}\n", "is not JSON"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", "is not JSON"),
        (b"[]\n", "is not a JSON object"),
        (b'"text"\n', "is not a JSON object"),
        (b"1\n", "is not a JSON object"),
        (b"null\n", "is not a JSON object"),
        (b"{}", "canonical"),
        (b"{ }\n", "canonical"),
        (b" {}\n", "canonical"),
        (b"{}\n\n", "canonical"),
        (b"{}\r\n", "canonical"),
        (b'{"b":1,"a":2}\n', "canonical"),
        (b'{"a":1,"a":1}\n', "canonical"),
        (b'{"a":-0}\n', "canonical"),
        (b'{"a":1e2}\n', "canonical"),
        (b'{"a":1.50}\n', "canonical"),
        ('{"a":"é"}\n'.encode(), "canonical"),
        (b'{"a":"\\u00E9"}\n', "canonical"),
        (b'{"a":"\\u0061"}\n', "canonical"),
        (b'{"a":"\\/"}\n', "canonical"),
        (b'{"a":"\x7f"}\n', "canonical"),
    ],
)
def test_what_is_no_canonical_record_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedObject, match="malformed thing") as raised:
        decode_json(data, "thing")
    assert reason in raised.value.reason


def test_nesting_of_any_depth_is_read_or_refused() -> None:
    """Reading and spelling again reach the interpreter's limit at different depths."""
    limit = sys.getrecursionlimit()
    used = len(inspect.stack(0))
    for depth in range(limit - used - 30, limit + 5):
        data = b'{"a":' + b"[" * depth + b"]" * depth + b"}\n"
        try:
            decode_json(data, "record")
        except MalformedObject as error:
            assert error.reason == "is not JSON"  # noqa: PT017


def test_members_have_types() -> None:
    fields = Fields(
        {"text": "t", "number": 5, "digest": str(SOME), "rows": [{"a": 1}], "yes": True, "minus": -1}, "thing"
    )
    assert fields.text("text") == "t"
    assert fields.text("missing", "default") == "default"
    assert fields.number("number") == 5
    assert fields.number("missing", 7) == 7
    assert fields.digest("digest") == SOME
    assert [row.number("a") for row in fields.rows("rows")] == [1]
    for ask in (
        lambda: fields.text("number"),
        lambda: fields.text("missing"),
        lambda: fields.number("text"),
        lambda: fields.number("yes"),
        lambda: fields.number("minus"),
        lambda: fields.digest("text"),
        lambda: fields.digest("missing"),
        lambda: fields.rows("text"),
        lambda: fields.rows("missing"),
        lambda: Fields({"rows": [1]}, "thing").rows("rows"),
    ):
        with pytest.raises(MalformedObject, match="malformed thing"):
            ask()


# -- commits


sessions = st.binary(min_size=16, max_size=16).map(bytes.hex)
files = st.builds(StoredFile, digests, st.integers(0, 1 << 50), st.integers(0, 1 << 40), sessions)
file_lists = st.lists(files, max_size=3).map(tuple)


@st.composite
def commits(draw: st.DrawFn) -> Commit:
    number = draw(st.just(1) | st.integers(2, (1 << 63) - 1))
    return Commit(
        identity=draw(sessions),
        number=number,
        parent=draw(digests) if number > 1 else None,
        created=draw(st.integers(0, 1 << 40)),
        author=draw(texts),
        operation=draw(texts),
        session=draw(sessions),
        indexes=draw(file_lists),
        refs=draw(file_lists),
        oldest=draw(st.integers(1, number)),
        fenced_before=draw(st.integers(0, number)),
        fenced=tuple(sorted(draw(st.sets(sessions, max_size=3)))),
    )


@modest
@given(commits())
def test_a_commit_comes_back(commit: Commit) -> None:
    encoded = encode_commit(commit)
    assert decode_commit(encoded) == commit
    assert commit_digest(encoded) == blake3(encoded).digest()


@modest
@given(commits(), st.data())
def test_a_changed_commit_is_refused_or_another_one(commit: Commit, data: st.DataObject) -> None:
    mutated = data.draw(mutations(encode_commit(commit)))
    try:
        decoded = decode_commit(mutated)
    except MalformedObject:
        return
    assert decoded.number >= 1
    assert decode_commit(encode_commit(decoded)) == decoded


def commit_with(**members: object) -> bytes:
    """The first commit's spelling, with some members changed; None leaves one out."""
    file = {"digest": str(SOME), "length": 5, "entries": 1, "session": IDENTITY}
    record: dict[str, object] = {
        "format": 1,
        "identity": IDENTITY,
        "oldest": 1,
        "fenced_before": 0,
        "fenced": [],
        "number": 1,
        "parent": "",
        "created": 1,
        "author": "me@host",
        "operation": "push",
        "session": IDENTITY,
        "indexes": [file],
        "refs": [],
        **members,
    }
    return encode_json({key: value for key, value in record.items() if value is not None})


def test_the_first_commit_has_no_parent_and_every_other_one_has() -> None:
    assert decode_commit(commit_with()).parent is None
    assert decode_commit(commit_with(number=2, parent=str(SOME))).parent == SOME
    for number, parent in ((1, str(SOME)), (2, ""), (0, ""), (0, str(SOME)), ((1 << 63) - 1, "")):
        with pytest.raises(MalformedObject, match="only the first one has no parent, and its number is 1"):
            decode_commit(commit_with(number=number, parent=parent))


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"format": 2}, "has format 2; this hitsave reads 1"),
        ({"format": 0}, "has format 0; this hitsave reads 1"),
        ({"format": None}, "'format' is missing"),
        ({"format": "1"}, "'format' is missing or of another type"),
        ({"number": -1}, "'number' is negative"),
        ({"number": "1"}, "'number' is missing or of another type"),
        ({"created": []}, "'created' is missing or of another type"),
        ({"created": -1}, "'created' is negative"),
        ({"parent": None}, "'parent' is missing"),
        ({"number": 2, "parent": "abc"}, "is not a digest"),
        ({"number": 2, "parent": str(SOME).upper()}, "is not a digest"),
        ({"author": 5}, "'author' is missing or of another type"),
        ({"operation": None}, "'operation' is missing"),
        ({"session": None}, "'session' is missing"),
        ({"indexes": None}, "'indexes' is missing"),
        ({"indexes": {}}, "'indexes' is missing or of another type"),
        ({"refs": ["a"]}, "'refs' is not a list of objects"),
        ({"refs": [{}]}, "'digest' is missing"),
        ({"refs": [{"digest": str(SOME), "length": -5, "entries": 1}]}, "'length' is negative"),
        ({"refs": [{"digest": str(SOME), "length": 5}]}, "'entries' is missing"),
        ({"refs": [{"digest": str(SOME), "length": 5, "entries": 1}]}, "'session' is missing"),
        ({"identity": "me"}, "'identity' is not 32 lower-case hex digits"),
        ({"oldest": 0}, "retains, or fences by, commits that it does not follow"),
        ({"oldest": 2}, "retains, or fences by, commits that it does not follow"),
        ({"fenced_before": 2}, "retains, or fences by, commits that it does not follow"),
        ({"fenced": "none"}, "'fenced' is missing or of another type"),
        ({"fenced": [IDENTITY, 5]}, "'fenced' is not a list of 32 lower-case hex digits each"),
        ({"fenced": [IDENTITY, IDENTITY]}, "its fenced sessions are not in ascending order"),
    ],
)
def test_commits_that_break_a_rule_are_refused_with_the_reason(members: dict[str, object], reason: str) -> None:
    with pytest.raises(MalformedObject, match="malformed commit") as raised:
        decode_commit(commit_with(**members))
    assert reason in raised.value.reason


@pytest.mark.parametrize("member", ["number", "created", "author", "indexes"])
@pytest.mark.parametrize("value", [b"true", b"1.5", b"1e2", b"null", b"NaN"])
def test_values_that_no_record_holds_are_refused(member: str, value: bytes) -> None:
    marked = commit_with(**{member: 7654321})
    with pytest.raises(MalformedObject):
        decode_commit(marked.replace(b"7654321", value))


def test_a_commit_in_another_spelling_is_refused() -> None:
    for changed in (commit_with()[:-1], commit_with() + b"\n", commit_with().replace(b",", b", ")):
        with pytest.raises(MalformedObject, match="canonical"):
            decode_commit(changed)


# -- format records


@modest
@given(st.binary(min_size=16, max_size=16).map(bytes.hex), st.integers(4096, LARGEST_BLOCK))
def test_a_format_record_comes_back(identity: str, size: int) -> None:
    record = RemoteFormat(identity, FixedChunking(size))
    assert decode_format(encode_format(record)) == record


def format_with(**members: object) -> bytes:
    """A format record, with some members changed; None leaves one out."""
    record: dict[str, object] = {
        "format": 1,
        "identity": IDENTITY,
        "chunking": {"algorithm": "fixed", "size": 1 << 20},
        **members,
    }
    given = {key: value for key, value in record.items() if value is not None}
    return encode_json({"check": blake3(encode_json(given)).hexdigest(), **given})


def test_every_flipped_bit_of_a_format_record_is_refused() -> None:
    record = format_with()
    assert decode_format(record).identity == IDENTITY
    for at in range(len(record)):
        for bit in range(8):
            changed = bytearray(record)
            changed[at] ^= 1 << bit
            with pytest.raises(MalformedObject):
                decode_format(bytes(changed))


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"format": 2}, "is version 2; this hitsave reads 1"),
        ({"format": None}, "'format' is missing"),
        ({"identity": None}, "'identity' is missing"),
        ({"identity": 5}, "'identity' is missing or of another type"),
        ({"chunking": None}, "is missing"),
        ({"chunking": "fixed"}, "is missing"),
        ({"chunking": {"algorithm": "fixed"}}, "'size' is missing"),
        ({"chunking": {"algorithm": "fixed", "size": "1048576"}}, "'size' is missing or of another type"),
        ({"chunking": {"algorithm": "fixed", "size": 4095}}, "not known here"),
        ({"chunking": {"algorithm": "fixed", "size": 0}}, "not known here"),
        ({"chunking": {"algorithm": "fixed", "size": -1}}, "'size' is negative"),
        ({"chunking": {"algorithm": "content", "size": 1 << 20}}, "not known here"),
    ],
)
def test_format_records_that_break_a_rule_are_refused_with_the_reason(members: dict[str, object], reason: str) -> None:
    with pytest.raises(MalformedObject, match="malformed remote format") as raised:
        decode_format(format_with(**members))
    assert reason in raised.value.reason


@pytest.mark.parametrize("size", [LARGEST_BLOCK + 1, 1 << 32, 1 << 40])
def test_chunks_that_no_block_can_hold_are_refused(size: int) -> None:
    with pytest.raises(MalformedObject, match="not known here"):
        decode_format(format_with(chunking={"algorithm": "fixed", "size": size}))


@pytest.mark.parametrize(
    "identity", ["", ".", "..", "../../elsewhere", "/elsewhere", "a/b", IDENTITY[:-1], IDENTITY + "0", IDENTITY.upper()]
)
def test_an_identity_that_is_not_32_hex_digits_is_refused(identity: str) -> None:
    """It names a folder on the machine that reads it."""
    with pytest.raises(MalformedObject, match="identity"):
        decode_format(format_with(identity=identity))


def test_members_that_are_not_known_are_ignored() -> None:
    assert decode_format(format_with(zebra={"later": 1})) == decode_format(format_with())
    assert decode_commit(commit_with(zebra=[1])) == decode_commit(commit_with())
