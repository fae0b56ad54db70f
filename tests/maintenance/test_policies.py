"""Policies by themselves: what they keep, whatever versions there are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hitsave.maintenance.policies import Policies, Verdict, Version
from hitsave.objects.digest import Digest, blob_digest
from hitsave.objects.refs import dataset_ref

SECOND = 1_000_000
NOW = 1_800_000_000 * SECOND
DAY = 86400


def version(number: int, days_ago: float, of: str = "data") -> Version:
    digest = blob_digest(b"%d" % number)
    return Version(dataset_ref("p", of.encode(), digest), digest, of, NOW - int(days_ago * DAY) * SECOND)


def stay(verdicts: list[Verdict]) -> set[Version]:
    return {verdict.version for verdict in verdicts if verdict.stays}


VERSIONS = st.lists(
    st.builds(version, st.integers(0, 12), st.integers(-2, 6), st.sampled_from(["data", "more"])),
    max_size=12,
    unique_by=lambda version: version.name,
)
DIGESTS = st.integers(0, 12).map(lambda number: blob_digest(b"%d" % number))
POLICIES = st.builds(
    Policies,
    st.none() | st.integers(1, 5),
    st.none() | st.integers(0, 6).map(lambda days: days * DAY),
    st.none() | st.dictionaries(DIGESTS, st.just("main"), max_size=4),
)


@given(VERSIONS, POLICIES, st.sets(DIGESTS, max_size=2))
def test_a_version_goes_only_where_each_policy_lets_it(
    versions: list[Version], policies: Policies, used: set[Digest]
) -> None:
    verdicts = policies.judge(versions, NOW, used)
    assert {verdict.version for verdict in verdicts} == set(versions)
    assert len(verdicts) == len(versions)
    assert all(verdict.why for verdict in verdicts)
    for each in versions:
        newer = [other for other in versions if other.of == each.of and each.time < other.time <= NOW]
        as_new = [other for other in versions if other.of == each.of and each.time <= other.time <= NOW]
        must_stay = (
            each.digest in used
            or each.time > NOW
            or (policies.within is not None and NOW - each.time <= policies.within * SECOND)
            or (policies.named is not None and each.digest in policies.named)
            or not policies
        )
        if must_stay or (policies.last is not None and len(as_new) <= policies.last):
            assert each in stay(verdicts)
        elif policies.last is None or len(newer) >= policies.last:
            assert each not in stay(verdicts)


@given(VERSIONS, POLICIES, st.sets(DIGESTS, max_size=2))
def test_more_policies_and_wider_ones_keep_more(versions: list[Version], wide: Policies, used: set[Digest]) -> None:
    narrower = [
        Policies(wide.last, wide.within, None),
        Policies(None, wide.within, wide.named),
        Policies(wide.last, None, wide.named),
        Policies(wide.last and max(1, wide.last - 1), wide.within and wide.within - DAY, wide.named),
    ]
    kept = stay(wide.judge(versions, NOW, used))
    for narrow in filter(None, narrower):
        assert stay(narrow.judge(versions, NOW, used)) <= kept


def test_verdicts_say_why() -> None:
    versions = [version(number, days) for number, days in enumerate((40, 20, 3, 1, -1))]
    policies = Policies(1, 10 * DAY, {versions[0].digest: "tag v1"})
    found = [(verdict.stays, verdict.why) for verdict in policies.judge(versions, NOW, {versions[2].digest})]
    assert found == [
        (True, "its time lies in the future"),
        (True, "last 1, within 10d"),
        (True, "a pointer file names it, within 10d"),
        (False, "not among the last 1, older than 10d, not named in git"),
        (True, "named by tag v1"),
    ]


def test_of_one_second_what_is_in_use_is_the_newest_and_none_goes_for_another() -> None:
    versions = [version(number, 1) for number in range(3)]
    assert stay(Policies(1).judge(versions, NOW, {versions[1].digest})) == {versions[1]}
    assert stay(Policies(2).judge(versions, NOW, {versions[1].digest})) == set(versions)


def test_a_little_ahead_is_not_the_future() -> None:
    """Versions that were made in the same second have times that follow each other."""
    digests = [blob_digest(b"%d" % number) for number in range(3)]
    versions = [
        Version(dataset_ref("p", b"data", digest), digest, "data", NOW + number * SECOND)
        for number, digest in enumerate(digests)
    ]
    assert stay(Policies(1).judge(versions, NOW)) == {versions[2]}
    assert stay(Policies(within=0).judge(versions, NOW)) == set(versions)
