"""Limits as people write them."""

from __future__ import annotations

import pytest

from hitsave.limits import Limits, parse_age, parse_limits, parse_size, show_age


@pytest.mark.parametrize(
    ("text", "seconds"), [("30d", 2592000), ("12h", 43200), ("2w", 1209600), ("7", 604800), ("0", 0)]
)
def test_ages(text: str, seconds: int) -> None:
    assert parse_age(text) == seconds
    assert parse_age(show_age(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [("10GB", 10**10), ("1.5 tb", 1_500_000_000_000), ("512MiB", 512 << 20), ("5k", 5000), ("77", 77), (123, 123)],
)
def test_sizes(text: object, size: int) -> None:
    assert parse_size(text) == size


def test_what_is_not_said_sets_no_limit() -> None:
    assert parse_limits({"count": 5}) == Limits(count=5)
    assert not parse_limits({})
    assert Limits(age=0)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"ages": "30d"}, "there is no limit 'ages'; there are age, count, size"),
        ({"age": "soon"}, 'age must be a time such as "30d" or "12h", not \'soon\''),
        ({"age": 30}, "age must be a time"),
        ({"age": "-1d"}, "age must be a time"),
        ({"count": 0}, "count must be a whole number of at least 1, not 0"),
        ({"count": True}, "count must be"),
        ({"count": 2.0}, "count must be"),
        ({"size": "10 GBs"}, 'size must be a size such as "10GB"'),
        ({"size": -1}, "size must be"),
        ({"size": None}, "size must be"),
    ],
)
def test_what_makes_no_sense(values: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        parse_limits(values)
    assert says in str(caught.value)
