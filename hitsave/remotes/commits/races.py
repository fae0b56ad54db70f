"""What a writer does who lost a race for the next number (objects_spec.md, section 9.5).

Whoever has lost waits before the next try, by chance, and the longer the more often it lost: where many write at once,
few of them try at the same moment, and most tries succeed. One of those who try always does, so that waits are bounded:
a pause is measured by how long a try takes, and a slow store makes it longer by itself.

To put lists of files together makes a try longer, and is for nothing where it is lost. So it is left to those who have
not lost, and to few others, until the lists are long.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

#: A try that took longer than so many seconds counts as one that did not: most of it is not done again.
_LONGEST_TRY = 0.5
#: So often the bound of a pause is doubled.
_DOUBLINGS = 3
#: Of the tries after a lost one, one in so many puts together what is due ...
_FEW = 16
#: ... and each does where lists have so many times the files that they should have.
_OVERDUE = 4


@dataclass(frozen=True, slots=True)
class Races:
    """Time in seconds, waiting, and chance (from 0 to 1), as they are given."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep
    chance: Callable[[], float] = random.random

    def pause(self, lost: int, took: float) -> None:
        """Wait after the last of `lost` tries, which took so many seconds."""
        bound: float = min(took, _LONGEST_TRY) * 2 ** min(lost, _DOUBLINGS)
        self.sleep(bound * self.chance())

    def overdue(self, lost: bool) -> int:
        """This try puts lists together that have more than so many times the files that they should have."""
        return _OVERDUE if lost and self.chance() * _FEW >= 1 else 1
