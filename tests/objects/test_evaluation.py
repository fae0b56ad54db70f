"""Evaluations: one value, one encoding; everything else is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitsave.errors import MalformedObject
from hitsave.objects.canonical import encode_json
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.evaluation import (
    Acceptance,
    BlobLink,
    Evaluation,
    Extra,
    TakenSnapshot,
    call_key,
    decode_evaluation,
    encode_evaluation,
)
from tests.objects.values import acceptances, digests, evaluations, modest, mutations

DIGEST = Digest(bytes(range(32)))
LINK = BlobLink(DIGEST, 5)
LEAST = Evaluation(function="a.f", code=DIGEST, arguments=DIGEST, manifest=LINK, result=LINK)
ACCEPTED = Acceptance(function="a.f", accepts=DIGEST, code=Digest(bytes(32)), manifest=LINK)


@modest
@given(evaluations | acceptances)
def test_a_value_comes_back_from_its_encoding(value: Evaluation | Acceptance) -> None:
    encoded = encode_evaluation(value)
    assert decode_evaluation(encoded) == value
    assert type(decode_evaluation(encoded)) is type(value)


@modest
@given(evaluations | acceptances, st.data())
def test_changed_bytes_are_refused_or_mean_something_else(value: Evaluation | Acceptance, data: st.DataObject) -> None:
    encoded = encode_evaluation(value)
    changed = data.draw(mutations(encoded))
    try:
        found = decode_evaluation(changed)
    except MalformedObject:
        return
    assert (found == value) == (changed == encoded)
    assert encode_evaluation(found) == changed


@modest
@given(evaluations, evaluations)
def test_two_values_never_have_one_encoding(one: Evaluation, other: Evaluation) -> None:
    assert (encode_evaluation(one) == encode_evaluation(other)) == (one == other)


def test_the_size_is_that_of_the_result_with_its_buffers() -> None:
    assert LEAST.size == 5
    assert replace(LEAST, buffers=(BlobLink(DIGEST, 7), BlobLink(DIGEST, 9))).size == 21


@modest
@given(st.text(max_size=4), digests, digests, st.text(max_size=4), digests, digests)
def test_two_calls_never_share_a_key(
    one: str, code: Digest, arguments: Digest, other: str, other_code: Digest, others: Digest
) -> None:
    first, second = (one, code, arguments), (other, other_code, others)
    assert (call_key(*first) == call_key(*second)) == (first == second)
    assert call_key(one, code, arguments) == replace(LEAST, function=one, code=code, arguments=arguments).key


def test_the_order_of_code_and_arguments_matters() -> None:
    assert call_key("f", DIGEST, bytes(32)) != call_key("f", bytes(32), DIGEST)


def test_a_key_is_made_of_whole_digests() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        call_key("f", DIGEST[:31], DIGEST)
    with pytest.raises(ValueError, match="32 bytes"):
        call_key("f", DIGEST, DIGEST + b"\0")


@pytest.mark.parametrize(
    "value",
    [
        replace(LEAST, function=""),
        replace(LEAST, started=-1),
        replace(LEAST, elapsed=1 << 63),
        replace(LEAST, result=BlobLink(DIGEST, -1)),
        replace(LEAST, code=Digest(b"short")),
        replace(LEAST, by="\udcff"),
        replace(LEAST, started=1.5),  # type: ignore[arg-type]
        replace(LEAST, buffers=[LINK]),  # type: ignore[arg-type]
        replace(LEAST, snapshots=(TakenSnapshot(DIGEST, ObjectKind.EVALUATION, 1),)),
        replace(LEAST, extras=(Extra("b", DIGEST), Extra("a", DIGEST))),
        replace(LEAST, extras=(Extra("a", DIGEST), Extra("a", DIGEST))),
        replace(ACCEPTED, function=""),
        replace(ACCEPTED, made=-1),
        replace(ACCEPTED, note="\ud800"),
    ],
)
def test_a_value_that_breaks_a_rule_is_not_encoded(value: Evaluation | Acceptance) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        encode_evaluation(value)


def changed(value: Evaluation | Acceptance, change: Callable[[dict[str, Any]], object]) -> bytes:
    """The canonical spelling of a value's members with a change."""
    members = json.loads(encode_evaluation(value))
    change(members)
    return encode_json(members)


@pytest.mark.parametrize("value", [LEAST, ACCEPTED], ids=["evaluation", "acceptance"])
def test_every_member_is_wanted(value: Evaluation | Acceptance) -> None:
    for member in json.loads(encode_evaluation(value)):
        with pytest.raises(MalformedObject):
            decode_evaluation(changed(value, lambda members, member=member: members.pop(member)))


@pytest.mark.parametrize("value", [LEAST, ACCEPTED], ids=["evaluation", "acceptance"])
def test_members_that_are_not_known_are_refused(value: Evaluation | Acceptance) -> None:
    with pytest.raises(MalformedObject, match="'other' is not known"):
        decode_evaluation(changed(value, lambda members: members.update(other=1)))
    with pytest.raises(MalformedObject, match="'other' is not known"):
        decode_evaluation(changed(value, lambda members: members["manifest"].update(other=1)))
