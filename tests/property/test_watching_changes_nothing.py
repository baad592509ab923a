"""Does a run care whether somebody watches? The same seeds twice: unwatched, and with everything looked at at odd moments."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arbot.domain.commands import SubmitOrder
from arbot.domain.events import Event
from arbot.notify.teller import Teller
from arbot.observe.live import Rates, Source, sections
from arbot.observe.live_log import LiveLog
from arbot.observe.narrate import narrate
from arbot.observe.risk import look_at_risk
from arbot.observe.slices import at_once
from arbot.observe.status import About, Moment, look
from tests.support.faulty_venues import FaultyWorld
from tests.support.observed import Observed
from tests.support.quoted_venues import QuotedWorld

RUNS = settings(max_examples=5, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
ABOUT = About(version="1", mode="demo", run_name="t", pid=1, started_ts_ns=0)


class Watched(Observed):
    """Metrics, page, status, risk, log and messages, each asked for after some of the steps, some only by half."""

    def give(self, event: Event) -> list[str]:
        """Step the engine, then look at it."""
        words = super().give(event)
        envelope, outcome = self.log[-1]
        if not hasattr(self, "live"):
            self._begin_watching()
        self.live.observe(envelope, outcome)
        self.teller.observe(envelope, outcome)
        narrate(envelope, outcome)
        state = self.engine.state
        for ask in self.chance.sample(("read", "page", "half a page", "status", "risk", ""), 2):
            if ask == "read":
                self.read()
            elif ask.endswith("page"):
                for number, _ in enumerate(sections(self.source, self.page_rates)):
                    if ask.startswith("half") and number > 3:
                        break
                for _ in self.page_rates.refresh():
                    pass
            elif ask == "status":
                at_once(look(Moment(ABOUT, self.now_ns, state, self.summary, self.recent, {})))
            elif ask == "risk":
                at_once(look_at_risk(state))
        return words

    def _begin_watching(self) -> None:
        state = self.engine.state
        self.chance = random.Random(len(self.listed))
        self.told: list[Any] = []
        self.live, self.page_rates = LiveLog(), Rates(state)
        self.teller = Teller(self.told.append, mode="demo", version="1", venues=tuple(state.config.venues))
        self.source = Source(
            about=ABOUT,
            state=state,
            log=self.live,
            now_ns=lambda: self.now_ns,
            blocked_by=lambda: self.engine.blocked_by,
            problems=tuple,
            impaired=tuple,
            latency_us=dict,
            shares={},
            realised_at_start=Decimal(0),
            is_read_only=False,
        )


class WatchedTakers(Watched, FaultyWorld):
    """Takers among faulty venues."""


class WatchedQuotes(Watched, QuotedWorld):
    """Quotes among faulty venues."""


def end_of(world: Any) -> tuple[str, list[Any]]:
    """Return the digest of a run's state, and every step with what came of it."""
    world.run(3, moving=True)
    world.chaos_then_rest(2)
    return world.engine.digest(), world.log


@RUNS
@given(seed=st.integers(0, 10_000))
def test_takers_do_the_same_watched_or_not(seed: int) -> None:
    """Every event, decision and command, and the state at the end, are those of the run that nobody looked at."""
    assert end_of(FaultyWorld(seed)) == end_of(WatchedTakers(seed))


@RUNS
@given(seed=st.integers(0, 10_000))
def test_quotes_do_the_same_watched_or_not(seed: int) -> None:
    """The same with orders that rest."""
    assert end_of(QuotedWorld(seed)) == end_of(WatchedQuotes(seed))


def test_there_is_something_to_watch() -> None:
    """The runs above send orders and are looked at, or they prove little."""
    world = WatchedTakers(3)
    _, log = end_of(world)
    assert any(isinstance(one, SubmitOrder) for _, outcome in log for one in outcome.commands)
    assert world.live.arbs_flat
    assert world.told
