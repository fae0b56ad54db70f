"""Digests, abbreviations, and the names of refs."""

from __future__ import annotations

import pytest
from blake3 import blake3
from hypothesis import example, given
from hypothesis import strategies as st

from hitsave.objects.digest import (
    Digest,
    ObjectKind,
    blob_digest,
    evaluation_digest,
    is_abbreviation,
    object_digest,
    parse_digest,
    tree_digest,
)
from hitsave.objects.refs import (
    Namespace,
    RefName,
    acceptance_prefix,
    acceptance_ref,
    dataset_ref,
    evaluation_prefix,
    evaluation_ref,
    function_prefix,
    parse_evaluation_name,
    parse_ref_name,
    public_ref,
    quote_name,
    snapshot_ref,
    unquote_name,
)
from tests.objects.values import digests, modest

HEX = "0123456789abcdef" * 4

# -- digests


@modest
@given(digests)
def test_a_digest_comes_back_from_its_text(digest: Digest) -> None:
    text = str(digest)
    assert len(text) == 64
    assert parse_digest(text) == digest
    assert type(parse_digest(text)) is Digest
    assert f"{digest}" == text
    assert repr(digest) == f"Digest({text})"
    assert text.startswith(digest.short)
    assert len(digest.short) == 12
    assert digest == bytes(digest)
    assert hash(digest) == hash(bytes(digest))


@pytest.mark.parametrize(
    "text",
    ["", HEX[:-1], HEX + "0", HEX.upper(), "g" + HEX[1:], " " + HEX[1:], HEX + "\n", HEX[:-1] + "\n", "٣" + HEX[1:]],
)
def test_other_texts_are_no_digests(text: str) -> None:
    with pytest.raises(ValueError, match="is not a digest"):
        parse_digest(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEX[:6], False),
        (HEX[:7], True),
        (HEX[:12], True),
        (HEX, True),
        (HEX + "0", False),
        ("", False),
        ("ABCDEF0", False),
        ("abcdefg", False),
        ("abcdef0\n", False),
        (" abcdef0", False),
        ("٣٣٣٣٣٣٣", False),
    ],
)
def test_abbreviations_are_7_to_64_hex_digits(text: str, expected: bool) -> None:
    assert is_abbreviation(text) is expected


@modest
@given(digests, st.integers(7, 64))
def test_every_long_enough_beginning_of_a_digest_is_an_abbreviation(digest: Digest, length: int) -> None:
    assert is_abbreviation(str(digest)[:length])


def test_the_three_kinds_give_one_content_three_names() -> None:
    content = b"the same bytes"
    found = {object_digest(kind, content) for kind in ObjectKind}
    assert found == {blob_digest(content), tree_digest(content), evaluation_digest(content)}
    assert len(found) == 3
    assert blob_digest(content) == blake3(content).digest()


@pytest.mark.parametrize("size", [0, 1, 1024, 1025, 1 << 20, (3 << 20) + 7])
def test_a_blob_has_one_digest_however_it_is_hashed_and_held(size: int) -> None:
    content = (b"0123456" * (size // 7 + 1))[:size]
    expected = blake3(content, max_threads=1).digest()
    assert blob_digest(content) == blob_digest(bytearray(content)) == blob_digest(memoryview(content)) == expected


# -- quoting


@modest
@given(st.binary(max_size=40))
@example(bytes(range(256)))
def test_any_bytes_come_back_from_their_quoted_form(name: bytes) -> None:
    quoted = quote_name(name)
    assert all("!" <= character <= "~" for character in quoted)
    assert unquote_name(quoted) == name


@modest
@given(st.binary(max_size=6), st.binary(max_size=6))
@example(b"%41", b"A")
@example(b" ", b"%20")
def test_two_names_never_have_one_quoted_form(one: bytes, other: bytes) -> None:
    assert (quote_name(one) == quote_name(other)) == (one == other)


def test_quoting_leaves_readable_names_alone() -> None:
    assert quote_name(b"data/train-v1.2_(final)@home~") == "data/train-v1.2_(final)@home~"
    assert quote_name("100% é\n".encode()) == "100%25%20%C3%A9%0A"


# -- ref names


@modest
@given(st.binary(min_size=1, max_size=40))
def test_a_ref_name_comes_back_from_its_text(name: bytes) -> None:
    ref = RefName(Namespace.DATASETS, f"cats/{quote_name(name)}")
    parsed = parse_ref_name(str(ref))
    assert parsed == ref
    assert type(parsed.namespace) is Namespace


@pytest.mark.parametrize(
    "text",
    [
        "",
        "datasets",
        "datasets/",
        "/name",
        "name",
        "tags/name",
        "Datasets/name",
        "datasetsname",
        " datasets/name",
        "datasets/a b",
        "datasets/a\n",
        "datasets/a\0",
        "datasets/é",
        "datasets/\x7f",
        "datasets/100%",
        "datasets/%4",
        "datasets/%zz",
        "datasets/%e9",
    ],
)
def test_other_texts_are_no_ref_names(text: str) -> None:
    with pytest.raises(ValueError, match="is not a ref name"):
        parse_ref_name(text)


@pytest.mark.parametrize(
    "text", ["evaluations/%41/" + HEX + "@" + HEX, "datasets/a/%21", "datasets/a/b%7Ec", "snapshots/%61bc"]
)
def test_a_needless_escape_is_refused_so_that_every_path_has_one_name(text: str) -> None:
    with pytest.raises(ValueError, match="is not a ref name"):
        parse_ref_name(text)


@modest
@given(st.text(max_size=12), st.binary(min_size=1, max_size=12), digests)
def test_the_refs_that_are_made_can_be_parsed(project: str, path: bytes, digest: Digest) -> None:
    function = project or "f"
    made = (dataset_ref(project, path, digest), snapshot_ref(digest), public_ref(digest))
    for ref in (*made, evaluation_ref(function, digest, digest), acceptance_ref(function, digest, digest)):
        assert parse_ref_name(str(ref)) == ref


versions = st.tuples(
    st.sampled_from(["", "cats", "c@ts", "%", "é", "a/b", "a"]), st.binary(min_size=1, max_size=8), digests
)


@modest
@given(versions, versions)
@example(("a/b", b"c", Digest(bytes(32))), ("a", b"b/c", Digest(bytes(32))))
@example(("cats", b"a@" + b"0" * 64, Digest(bytes(32))), ("cats", b"a", Digest(bytes(32))))
def test_two_versions_never_share_a_ref(one: tuple[str, bytes, Digest], other: tuple[str, bytes, Digest]) -> None:
    assert (dataset_ref(*one) == dataset_ref(*other)) == (one == other)


# -- names of evaluations

functions = st.one_of(
    st.text(min_size=1, max_size=12), st.sampled_from(["a.f", "a.f.<locals>.g", "a/f", "a@b", "a%2Ff"])
)


@modest
@given(functions, digests, digests, st.booleans())
@example("pkg.mod.f.<locals>.g", Digest(bytes(32)), Digest(bytes(32)), False)
def test_the_name_of_an_evaluation_tells_what_it_was_made_of(
    function: str, key: Digest, digest: Digest, accepted: bool
) -> None:
    name = (acceptance_ref if accepted else evaluation_ref)(function, key, digest)
    assert parse_evaluation_name(name) == (function, key, digest, accepted)
    prefix = (acceptance_prefix if accepted else evaluation_prefix)(function, key)
    assert name.name == f"{prefix}{digest}"
    assert prefix.startswith(function_prefix(function))


@modest
@given(functions, digests, functions, digests)
@example("a", Digest(bytes(32)), "a/b", Digest(bytes(32)))
def test_no_prefix_begins_the_name_of_another_key(one: str, key: Digest, other: str, another: Digest) -> None:
    same = (one, key) == (other, another)
    name = evaluation_ref(other, another, key).name
    assert name.startswith(evaluation_prefix(one, key)) == same
    assert name.startswith(function_prefix(one)) == (one == other)
    assert not name.startswith(acceptance_prefix(one, key))


@pytest.mark.parametrize(
    "name",
    [
        "f",
        "f/",
        f"f/{HEX}",
        f"f/{HEX}@",
        f"/{HEX}@{HEX}",
        f"a/f/{HEX}@{HEX}",
        f"f/{HEX}@{HEX}0",
        f"f/refused-{HEX}@{HEX}",
    ],
)
def test_other_names_are_no_evaluations(name: str) -> None:
    with pytest.raises(ValueError, match="is not the name of an evaluation"):
        parse_evaluation_name(RefName(Namespace.EVALUATIONS, name))
    with pytest.raises(ValueError, match="is not a ref name"):
        parse_ref_name(f"evaluations/{name}")


def test_the_name_of_another_ref_is_no_evaluation() -> None:
    with pytest.raises(ValueError, match="is not the name of an evaluation"):
        parse_evaluation_name(RefName(Namespace.DATASETS, f"f/{HEX}@{HEX}"))


def test_a_dataset_ref_reads_as_documented() -> None:
    digest = parse_digest(HEX)
    assert str(dataset_ref("cats", b"data/images", digest)) == f"datasets/cats/data/images@{HEX}"
    assert str(snapshot_ref(digest)) == f"snapshots/{HEX}"
    assert str(public_ref(digest)) == f"public/{HEX}"
    assert str(evaluation_ref("a.f.<locals>.g", digest, digest)) == f"evaluations/a.f.<locals>.g/{HEX}@{HEX}"
    assert str(acceptance_ref("a/b f", digest, digest)) == f"evaluations/a%2Fb%20f/accepted-{HEX}@{HEX}"


def test_ref_names_sort_by_their_text() -> None:
    names = [RefName(namespace, name) for namespace in Namespace for name in ("b", "a/z", "a", "a%20", "~")]
    assert [str(name) for name in sorted(names)] == sorted(str(name) for name in names)
