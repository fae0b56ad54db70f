"""Ref segments: refs and drops come back, damage is refused, and later records overrule."""

from __future__ import annotations

import json
import re
import struct
import tracemalloc
from unittest.mock import patch

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from hitsave.errors import MalformedObject
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.refs import Namespace, Ref, RefName, dataset_ref, evaluation_ref, public_ref, snapshot_ref
from hitsave.packing import refsegment
from hitsave.packing.refsegment import RefChanges, apply_refs, decode_refs, encode_refs
from tests.objects.values import digests, modest, mutations

SOME = Digest(bytes(range(32)))
#: Few names, so that segments meet.
names = st.one_of(
    st.builds(evaluation_ref, st.text(min_size=1, max_size=6), digests, digests),
    st.builds(evaluation_ref, st.sampled_from(["a", "a/b", "a b", "~"]), st.just(SOME), st.just(SOME)),
    st.builds(dataset_ref, st.sampled_from(["", "cats", "é"]), st.sampled_from([b"a", b"a/b", b"\xff"]), digests),
    st.sampled_from([snapshot_ref(SOME), public_ref(SOME), snapshot_ref(Digest(bytes(32)))]),
)
texts = st.one_of(st.just(""), st.text(max_size=10), st.sampled_from(["me@host", "line\nend\r", '"\\', "\x7f"]))


@st.composite
def segments(draw: st.DrawFn) -> dict[RefName, Ref | None]:
    """Changes to some refs."""
    changes: dict[RefName, Ref | None] = {}
    for name in draw(st.lists(names, max_size=8)):
        ref = st.builds(
            Ref, st.just(name), digests, st.sampled_from(ObjectKind), st.integers(0, 1 << 40), texts, texts, texts
        )
        changes[name] = draw(st.none() | ref)
    return changes


def segment(*lines: bytes, length: int | None = None, magic: bytes = b"HSRS\x01\0\0\0") -> bytes:
    """A segment of any lines."""
    content = b"".join(lines)
    frame = zstandard.ZstdCompressor().compress(content)
    return magic + struct.pack("<Q", len(content) if length is None else length) + frame


def line(name: str = "datasets/a", **members: object) -> bytes:
    """A record that sets a ref, with some members changed; None leaves one out."""
    record: dict[str, object] = {"name": name, "digest": str(SOME), "kind": "blob", "created": 1, **members}
    present = {key: value for key, value in record.items() if value is not None}
    return json.dumps(present, sort_keys=True, separators=(",", ":")).encode() + b"\n"


# -- records are read in two ways: quickly where they are plain, and by the JSON decoder


def decoded(lines: bytes, plain: re.Pattern[bytes]) -> object:
    with patch.object(refsegment, "_PLAIN", plain):
        try:
            return decode_refs(segment(lines))
        except MalformedObject:
            return None


def check_both_ways(lines: bytes) -> None:
    assert decoded(lines, refsegment._PLAIN) == decoded(lines, re.compile(rb"(?!)"))


@modest
@given(segments(), st.data())
def test_both_ways_read_the_same(changes: RefChanges, data: st.DataObject) -> None:
    lines = zstandard.ZstdDecompressor().decompress(encode_refs(changes)[16:])
    check_both_ways(lines)
    if lines:
        check_both_ways(data.draw(mutations(lines)))


def test_what_is_plain_or_nearly() -> None:
    good = line(by="ann@lab", git="0" * 40, path="data/a%20b")
    assert refsegment._PLAIN.fullmatch(good)
    assert decoded(good, refsegment._PLAIN) is not None
    others = [line(by=""), line(path=""), line(created=10**18), line(created=2**63), line(created=True), line(other=1)]
    others += [
        line(name="datasets"),
        line(name="snapshots/abc"),
        line(path="\x7f"),
        line(path="\u00e9"),
        line(git="\\"),
    ]
    others += [good.replace(b":1,", b":01,"), good.replace(b"\n", b"\r\n"), good[:-1], good * 2]
    for some in (good, *others):
        check_both_ways(some)


# -- round trip


@modest
@given(segments())
def test_a_segment_comes_back_in_the_order_of_names(changes: dict[RefName, Ref | None]) -> None:
    decoded = decode_refs(encode_refs(changes))
    assert decoded == changes
    assert list(decoded) == sorted(changes)


@modest
@given(segments())
def test_a_segment_does_not_depend_on_the_order_of_changes(changes: dict[RefName, Ref | None]) -> None:
    assert encode_refs(dict(reversed(changes.items()))) == encode_refs(changes)


def test_an_empty_segment_is_a_segment() -> None:
    assert decode_refs(encode_refs({})) == {}
    assert decode_refs(segment()) == {}


def test_many_refs_are_few_bytes() -> None:
    changes: dict[RefName, Ref | None] = {}
    for number in range(5000):
        name = RefName(Namespace.DATASETS, f"project/path/{number}@{SOME}")
        changes[name] = Ref(name, SOME, ObjectKind.TREE, 1_790_000_000, "me@host", f"path/{number}")
    encoded = encode_refs(changes)
    assert len(encoded) < 100_000
    assert decode_refs(encoded) == changes


def test_members_that_are_not_known_are_ignored() -> None:
    assert decode_refs(segment(line(zebra="later", answers=[1, {}]))) == decode_refs(segment(line()))


# -- damage


def test_every_truncation_is_refused() -> None:
    data = encode_refs({snapshot_ref(SOME): Ref(snapshot_ref(SOME), SOME, ObjectKind.TREE, 5, "me@host")})
    for length in range(len(data)):
        with pytest.raises(MalformedObject):
            decode_refs(data[:length])


def test_a_flipped_bit_is_refused_or_gives_refs() -> None:
    """A segment is checked against its name before it is decoded; decoding alone must only be orderly."""
    names = [RefName(Namespace.DATASETS, f"project/{number}") for number in range(3)]
    data = encode_refs({name: Ref(name, SOME, ObjectKind.BLOB) for name in names})
    refused = 0
    for at in range(len(data)):
        for bit in range(8):
            if at in range(8, 16):
                continue  # Lengths have a test of their own.
            changed = bytearray(data)
            changed[at] ^= 1 << bit
            try:
                assert all(ref is None or ref.name == name for name, ref in decode_refs(bytes(changed)).items())
            except MalformedObject:
                refused += 1
    assert refused > len(data) * 4


@modest
@given(segments(), st.data())
def test_changed_lines_are_refused_or_give_refs(changes: dict[RefName, Ref | None], data: st.DataObject) -> None:
    encoded = encode_refs(changes)
    lines = zstandard.ZstdDecompressor().decompress(encoded[16:])
    try:
        found = decode_refs(segment(data.draw(mutations(lines))))
    except MalformedObject:
        return
    assert list(found) == sorted(found)
    assert decode_refs(encode_refs(found)) == found


@modest
@given(st.binary(max_size=80), st.sampled_from([b"", b"HSRS\x01\0\0\0", b"HSRS\x01\0\0\0" + struct.pack("<Q", 30)]))
def test_random_bytes_are_no_segment(noise: bytes, start: bytes) -> None:
    with pytest.raises(MalformedObject):
        decode_refs(start + noise)


@pytest.mark.parametrize("length", [0, 1, len(line()) - 1, len(line()) + 1, 1000])
def test_another_length_is_refused(length: int) -> None:
    with pytest.raises(MalformedObject):
        decode_refs(segment(line(), length=length))


@pytest.mark.parametrize("claimed", [0, 1, 1000, (1 << 27) + 1])
def test_a_frame_of_another_length_is_never_decompressed(claimed: int) -> None:
    bomb = segment(bytes(1 << 27), length=claimed)
    assert len(bomb) < 1 << 15
    tracemalloc.start()
    try:
        with pytest.raises(MalformedObject, match="another length"):
            decode_refs(bomb)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is too short"),
        (b"HSRS\x01\0\0\0", "is too short"),
        (segment(magic=b"HSRT\x01\0\0\0"), "magic bytes of version 1"),
        (segment(magic=b"HSRS\x02\0\0\0"), "magic bytes of version 1"),
        (segment(magic=b"HSRS\x01\0\0\1"), "magic bytes of version 1"),
        (segment(length=(1 << 32) + 1), "magic bytes of version 1"),
        (segment(length=(1 << 64) - 1), "magic bytes of version 1"),
        (b"HSRS\x01\0\0\0" + bytes(8) + b"no frame", "cannot be decompressed"),
        (segment(b"\n"), "is not JSON"),
        (segment(line()[:-1]), "is not in canonical form"),
        (segment(line()[:-1] + b"\r\n"), "is not in canonical form"),
        (segment(line(), b"\n"), "is not JSON"),
        (segment(line(), line()), "not in ascending order"),
        (segment(line("datasets/b"), line("datasets/a")), "not in ascending order"),
        (segment(line(f"evaluations/a/{SOME}@{SOME}"), line("datasets/b")), "not in ascending order"),
        (segment(b"[]\n"), "is not a JSON object"),
        (segment(line("tags/a")), "is not a ref name"),
        (segment(line("datasets/a b")), "is not a ref name"),
        (segment(line("")), "is not a ref name"),
        (segment(line(name=5)), "'name' is missing or of another type"),  # type: ignore[arg-type]
        (segment(line(digest=None)), "'digest' is missing or of another type"),
        (segment(line(digest="abc")), "is not a digest"),
        (segment(line(digest=str(SOME).upper())), "is not a digest"),
        (segment(line(kind=None)), "'kind' is missing or of another type"),
        (segment(line(kind="recipe")), "a record is not valid"),
        (segment(line(kind="")), "a record is not valid"),
        (segment(line(created=None)), "'created' is missing or of another type"),
        (segment(line(created=-1)), "'created' is negative"),
        (segment(line(by=5)), "'by' is missing or of another type"),
        (segment(line(path=[])), "'path' is missing or of another type"),
        (segment(line(dropped=-1)), "'dropped' is negative"),
    ],
)
def test_segments_that_break_a_rule_are_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedObject, match="malformed ref segment") as raised:
        decode_refs(data)
    assert reason in raised.value.reason


@pytest.mark.parametrize("value", [True, False, 1.5, 1e300, "1", [], {}])
@pytest.mark.parametrize("member", ["created", "dropped"])
def test_numbers_of_another_type_are_refused(member: str, value: object) -> None:
    with pytest.raises(MalformedObject):
        decode_refs(segment(line(**{member: value})))  # type: ignore[arg-type]


# -- applying


def test_a_later_record_overrules_an_earlier_one() -> None:
    a, b, c = (RefName(Namespace.DATASETS, name) for name in "abc")
    old, new = (Ref(a, Digest(bytes([number]) * 32), ObjectKind.BLOB) for number in (1, 2))
    other = Ref(b, SOME, ObjectKind.TREE)
    assert apply_refs([]) == {}
    assert apply_refs([{a: old, b: other}]) == {a: old, b: other}
    assert apply_refs([{a: old}, {a: new}]) == {a: new}
    assert apply_refs([{a: old, b: other}, {a: None}]) == {b: other}
    assert apply_refs([{a: old}, {a: None}, {a: new}]) == {a: new}
    assert apply_refs([{c: None}, {a: old}]) == {a: old}


@modest
@given(st.lists(segments(), max_size=4), st.integers(0, 4))
def test_merging_segments_changes_nothing(parts: list[dict[RefName, Ref | None]], at: int) -> None:
    merged: dict[RefName, Ref | None] = {}
    for part in parts[at:]:
        merged.update(part)
    whole: list[RefChanges] = [*parts[:at], decode_refs(encode_refs(merged))]
    model = {name: ref for part in parts for name, ref in part.items()}
    held = {name: ref for name, ref in {**model}.items() if ref is not None}
    assert apply_refs(parts) == apply_refs(whole) == held
