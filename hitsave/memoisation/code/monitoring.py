"""Sees the code that begins to run through `sys.monitoring`, from Python 3.12 on.

Two tools share the work. One sees every code object of the process once, and tells own from foreign. The other watches
the own ones alone: each is switched off when it is settled, and on again when a block begins. So nothing is paid for
foreign code after its first call, for a loop of calls after its first, and about a microsecond in a block for each own
function that it enters. `restart_events`, which one tool would need, makes every code object of the process be looked
at anew.
"""

from __future__ import annotations

import sys
from types import CodeType

from hitsave.memoisation.code.entered import IMPORT_MODULE, Entered, Ledger, entered_here

if sys.version_info >= (3, 12):
    _EVENTS = sys.monitoring.events.PY_START | sys.monitoring.events.PY_RESUME

    #: Numbers that no kind of tool has by convention.
    _NUMBERS = (4, 3, 5)

    class Monitoring:
        """The two tools."""

        def __init__(self, ledger: Ledger, finder: int, watcher: int) -> None:
            self._ledger = ledger
            self._watcher = watcher
            for tool, callback in ((finder, self._found), (watcher, self._entered)):
                for event in (sys.monitoring.events.PY_START, sys.monitoring.events.PY_RESUME):
                    sys.monitoring.register_callback(tool, event, callback)
            sys.monitoring.set_local_events(watcher, IMPORT_MODULE, _EVENTS)
            sys.monitoring.set_events(finder, _EVENTS)

        def arm(self, settled: dict[int, CodeType]) -> None:
            """Switch own code on. To be seen again, it must have been off in between."""
            for code in settled.values():
                sys.monitoring.set_local_events(self._watcher, code, 0)
                sys.monitoring.set_local_events(self._watcher, code, _EVENTS)

        def start(self, entered: Entered) -> None:
            """Nothing to do: the tools see all threads."""

        def stop(self, entered: Entered) -> None:
            """Nothing to do: what is on then is seen once more at most."""

        def reconsider(self) -> None:
            """Have all code seen again."""
            sys.monitoring.restart_events()

        def _found(self, code: CodeType, offset: int) -> object:
            """Some code begins to run for the first time."""
            if code is not IMPORT_MODULE and self._ledger.note(code, sys._getframe(1), entered_here.get()) is False:
                sys.monitoring.set_local_events(self._watcher, code, _EVENTS)
            return sys.monitoring.DISABLE

        def _entered(self, code: CodeType, offset: int) -> object:
            """Own code begins to run."""
            ledger = self._ledger
            generation = ledger.generation
            settled = ledger.note(code, sys._getframe(1), entered_here.get())
            if settled is False or code is IMPORT_MODULE:
                return None
            # A block that has begun since has switched it on already. No other thread runs between asking and leaving.
            return sys.monitoring.DISABLE if generation == ledger.generation else None

    def monitor(ledger: Ledger) -> Monitoring | None:
        """The hook; None where other tools leave no room for it."""
        free = [number for number in _NUMBERS if sys.monitoring.get_tool(number) is None]
        if len(free) < 2:
            return None
        for number in free[:2]:
            sys.monitoring.use_tool_id(number, "hitsave")
        return Monitoring(ledger, *free[:2])
