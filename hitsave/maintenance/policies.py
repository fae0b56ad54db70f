"""Which versions policies keep, of those that there are. Pure: times, and what is named elsewhere, come in.

A version goes only where policies were given and none of them keeps it. Whatever the policies, one stays that is in use
now, and one whose time lies in the future: that clock was wrong, and so its age is not known.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from hitsave.limits import CLOCKS_DIFFER, show_age
from hitsave.objects.digest import Digest
from hitsave.objects.refs import RefName


@dataclass(frozen=True, slots=True)
class Version:
    """One of several: a version of a dataset, a snapshot of a path, an evaluation of a function.

    `of` tells whose versions are counted together; `time` is in microseconds since 1970.
    """

    name: RefName
    digest: Digest
    of: str
    time: int


class Verdict(NamedTuple):
    """Whether a version stays, and why it does or does not."""

    version: Version
    stays: bool
    why: str


def _is_ahead(version: Version, now: int) -> bool:
    """Whether a version has its time from a wrong clock: it takes nobody's place among the last ones.

    Versions that were made quickly, one after the other, are a little ahead, as are clocks of other machines.
    """
    return version.time > now + CLOCKS_DIFFER * 1_000_000


@dataclass(frozen=True, slots=True)
class Policies:
    """What keeps versions; None is a policy that was not given.

    `last`: how many of each are kept, the newest ones; `within`: for how many seconds; `named`: digests, each with
    where it is named.
    """

    last: int | None = None
    within: int | None = None
    named: Mapping[Digest, str] | None = None

    def __bool__(self) -> bool:
        return (self.last, self.within, self.named) != (None, None, None)

    def judge(self, versions: Iterable[Version], now: int, used: Container[Digest] = ()) -> list[Verdict]:
        """A verdict on each version, by what they are versions of, the newest first.

        `now` is in microseconds since 1970; `used` are digests that are in use.
        """
        by_name: dict[str, list[Version]] = {}
        for version in versions:
            by_name.setdefault(version.of, []).append(version)
        return [verdict for _, some in sorted(by_name.items()) for verdict in self._judge(some, now, used)]

    def _judge(self, versions: list[Version], now: int, used: Container[Digest]) -> Iterator[Verdict]:
        def age(version: Version) -> tuple[int, bool]:
            return version.time, version.digest in used  # Of the same second, what is in use came last.

        ordered = sorted(versions, key=lambda version: (age(version), version.digest), reverse=True)
        past = [age(version) for version in ordered if not _is_ahead(version, now)]
        # Where the order of several is not known, all of them are kept.
        last = past[min(self.last, len(past)) - 1] if self.last is not None and past else None
        for version in ordered:
            reasons = list(
                self._reasons(version, now, version.digest in used, last is not None and age(version) >= last)
            )
            yield Verdict(version, bool(reasons), ", ".join(reasons) or self._why_not())

    def _reasons(self, version: Version, now: int, used: bool, among_last: bool) -> Iterator[str]:
        """Everything that keeps a version."""
        if not self:
            yield "no policy was given"
        if used:
            yield "a pointer file names it"
        if _is_ahead(version, now):
            yield "its time lies in the future"
        elif among_last:
            yield f"last {self.last}"
        if self.within is not None and now - self.within * 1_000_000 <= version.time and not _is_ahead(version, now):
            yield f"within {show_age(self.within)}"
        if self.named is not None and version.digest in self.named:
            yield f"named by {self.named[version.digest]}"

    def _why_not(self) -> str:
        reasons = []
        if self.last is not None:
            reasons.append(f"not among the last {self.last}")
        if self.within is not None:
            reasons.append(f"older than {show_age(self.within)}")
        if self.named is not None:
            reasons.append("not named in git")
        return ", ".join(reasons)
