"""Tell the engine when a venue's rate limit leaves no room for an arb, and when it does again.

The limiters are clocks that run down; the engine reads none. So they are looked at often and only changes are told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from arbot.domain.events import RateBudgetChanged
from arbot.domain.ids import InstrumentId, VenueId
from arbot.domain.instrument import Instrument
from arbot.ports import EventSink, Gateway
from arbot.runtime.clock import Scheduler

LOOK_S = 0.1


class BudgetWatch:
    """What was last told of each instrument; nothing told means that there is room."""

    def __init__(
        self,
        gateways: Mapping[VenueId, Gateway],
        instruments: Callable[[], Iterable[Instrument]],
        sink: EventSink,
    ) -> None:
        self._gateways = gateways
        self._instruments = instruments
        self._sink = sink
        self._told: dict[InstrumentId, bool] = {}

    def look(self) -> None:
        """Compare every instrument's budget with what was last told."""
        for instrument in tuple(self._instruments()):
            has_room = self._gateways[instrument.venue].has_arb_budget(instrument)
            if has_room != self._told.get(instrument.id, True):
                self._told[instrument.id] = has_room
                self._sink.submit((RateBudgetChanged(instrument=instrument.id, has_room=has_room),))

    async def run(self, clock: Scheduler, beat: Callable[[str], None]) -> None:
        """Look for ever."""
        while True:
            self.look()
            beat("budget")
            await clock.sleep(LOOK_S)
