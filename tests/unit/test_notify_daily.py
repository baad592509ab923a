"""The summary of a day: counted from what happens, at its hour, and begun anew."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import msgspec
import pytest

from arbot.domain.decisions import ArbClosed, ArbStranded, Outcome
from arbot.domain.events import BooksMoved, Envelope
from arbot.domain.ids import ArbId
from arbot.runtime.daily import Day, seconds_until
from tests.support.engine_world import World

HOUR_NS = 3_600 * 10**9
STEP = Envelope(1, 1, BooksMoved(instruments=()))


@pytest.mark.parametrize(
    ("at", "now_h", "wait_h"),
    [("06:00", 5, 1), ("06:00", 6, 24), ("06:00", 7.5, 22.5), ("00:00", 23.75, 0.25), ("23:30", 0, 23.5)],
)
def test_the_next_time_of_day(at: str, now_h: float, wait_h: float) -> None:
    """Wait until the hour in UTC, a whole day when it is just now."""
    assert wait_h * 3600 == seconds_until(at, 20_000 * 24 * HOUR_NS + int(now_h * HOUR_NS))


def closed(name: str, *, fees: str = "1", missed: bool = False, is_flush: bool = False) -> ArbClosed:
    money = Decimal(fees)
    return ArbClosed(
        arb_id=ArbId(name),
        pnl_gross=money,
        fees=money,
        pnl_net=money,
        residual=Decimal(0),
        volume_quote=money,
        unhedged_ns=0,
        missed=missed,
        is_flush=is_flush,
    )


def test_a_day_counts_each_arb_once() -> None:
    """Count trades, misses and strandings, an arb that closes again once, today and the day after, and a flush not at all."""
    world = World()
    day = Day(world.engine.state, Counter({"warning": 3}), 0)
    stranded = ArbStranded(arb_id=ArbId("4"), residual=Decimal(1), base="BTC", why="no book")
    for decision in (
        closed("1"),
        closed("2"),
        closed("3", missed=True),
        closed("1"),
        closed("9", is_flush=True),
        stranded,
    ):
        day.observe(STEP, Outcome(decisions=(decision,)))
    first = day.take(12 * HOUR_NS).text
    day.observe(STEP, Outcome(decisions=(closed("2"), closed("5"))))
    second = day.take(36 * HOUR_NS).text

    assert "The last 12.0 h: 2 arbs closed, 1 missed, 1 stranded." in first
    assert "Alerts: 0 info, 3 warning, 0 critical." in first
    assert "The last 24.0 h: 1 arbs closed, 0 missed, 0 stranded." in second
    assert "Alerts: 0 info, 0 warning, 0 critical." in second


def test_a_day_tells_what_was_earned_and_what_lies_where() -> None:
    """Name the result since the last summary, in the reporting currency, and every holding by venue."""
    world = World()
    state = world.engine.state
    day = Day(state, Counter(), 0)
    day.observe(STEP, Outcome())
    state.standing.realised_total += Decimal("12.5")
    told = day.take(HOUR_NS)

    assert "the day: 12.5 USD net" == told.title
    assert "Net result 12.5 USD, fees 0 USD" in told.text
    held = {name: venue.totals for name, venue in state.venues.items() if any(venue.totals.values())}
    assert held
    for name in held:
        assert name in told.text
    assert "the day: 0 USD net" == day.take(2 * HOUR_NS).title
    assert "summary" == msgspec.to_builtins(told)["kind"]
