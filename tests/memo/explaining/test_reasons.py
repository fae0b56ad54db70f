"""Reasons as they are kept: of a bounded size, and alike for all calls that one change made run again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitsave.errors import MalformedObject
from hitsave.memoisation.explaining.differences import Difference
from hitsave.memoisation.explaining.explanation import Cause, Explanation
from hitsave.memoisation.explaining.reasons import LARGEST, decode_reason, encode_reason

texts = st.none() | st.text(max_size=50)
differences = st.builds(
    Difference, st.sampled_from(["function", "value"]), st.text(max_size=20), texts, texts, st.text(max_size=9)
)


@given(st.lists(differences, max_size=20), st.sampled_from([Cause.CODE, Cause.BOTH, Cause.LOST]))
def test_what_is_small_comes_back_as_it_was(found: list[Difference], cause: Cause) -> None:
    explanation = Explanation("pkg.f", cause, differences=tuple(found), since="ab" * 32)
    encoded = encode_reason(explanation)
    assert encoded is not None
    assert decode_reason(encoded) == explanation


@given(st.lists(st.tuples(st.integers(0, 200_000), st.integers(0, 200_000), st.booleans()), max_size=40))
def test_it_is_never_large(sizes: list[tuple[int, int, bool]]) -> None:
    found = tuple(
        Difference("function", f"pkg.g{at}", "old\n" * (old // 4), ("new\n" if lines else "new ") * (new // 4))
        for at, (old, new, lines) in enumerate(sizes)
    )
    encoded = encode_reason(Explanation("pkg.f", Cause.CODE, differences=found))
    assert encoded is not None
    assert len(encoded) < 2 * LARGEST
    decoded = decode_reason(encoded)
    assert len(decoded.differences) + decoded.omitted == len(found)


def test_of_a_long_text_what_differs_is_kept() -> None:
    lines = [f"line {number}" for number in range(10_000)]
    changed = [*lines[:7000], "another", *lines[7001:]]
    encoded = encode_reason(
        Explanation(
            "pkg.f", Cause.CODE, differences=(Difference("function", "pkg.g", "\n".join(lines), "\n".join(changed)),)
        )
    )
    assert encoded is not None
    assert len(encoded) < 1000
    [found] = decode_reason(encoded).differences
    assert "    -line 7000" in found.lines()
    assert "    +another" in found.lines()
    assert found.old is not None
    assert found.old.startswith("... (6997 lines)\nline 6997\n")


def test_what_was_cut_says_so() -> None:
    encoded = encode_reason(
        Explanation("pkg.f", Cause.CODE, differences=(Difference("value", "pkg.N", None, "x" * 10_000),))
    )
    assert encoded is not None
    assert "(1808 more characters were not kept)" in str(decode_reason(encoded))
    many = tuple(Difference("value", f"pkg.N{at}", None, "x" * 8000) for at in range(100))
    encoded = encode_reason(Explanation("pkg.f", Cause.CODE, differences=many))
    assert encoded is not None
    assert decode_reason(encoded).omitted > 80
    assert str(decode_reason(encoded)).endswith(" more that are not kept")


def test_that_a_call_is_new_goes_without_saying() -> None:
    assert (
        encode_reason(Explanation("pkg.f", Cause.ARGUMENTS, "ab" * 32, (Difference("argument", "x", "1", "2"),)))
        is None
    )


def test_calls_that_one_change_made_run_again_share_their_reason() -> None:
    found = (Difference("value", "pkg.N", "1", "2"),)
    one, other = (
        encode_reason(Explanation("pkg.f", Cause.CODE, nearest, found, "cd" * 32)) for nearest in ("ab" * 32, "ef" * 32)
    )
    assert one == other


@pytest.mark.parametrize(
    "data", [b"{}\n", b'{"cause":"whim","differences":[],"function":"f","omitted":0,"since":""}\n', b"[]\n", b""]
)
def test_what_is_no_reason(data: bytes) -> None:
    with pytest.raises(MalformedObject):
        decode_reason(data)
