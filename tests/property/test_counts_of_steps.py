"""Do the counts add up? The collector beside the real engine, under seeded faults of venues, compared with what was decided."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arbot.domain.commands import SubmitOrder
from arbot.domain.decisions import ArbClosed, ArbOpened, OpportunitySeen
from arbot.domain.events import OrderFilled
from tests.support.faulty_venues import FaultyWorld
from tests.support.observed import Counts, Observed
from tests.support.quoted_venues import QuotedWorld

WORLD = settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


class FaultyObserved(Observed, FaultyWorld):
    """Takers among faulty venues."""


class QuotedObserved(Observed, QuotedWorld):
    """Quotes among faulty venues."""


def decided(world: Observed, kind: type) -> list[object]:
    """Return every decision of a kind."""
    return [one for _, outcome in world.log for one in outcome.decisions if isinstance(one, kind)]


def unequal(pairs: Iterable[tuple[str, float, float]]) -> list[str]:
    """Return what does not add up, in words."""
    return [f"{name}: {one} and {other}" for name, one, other in pairs if one != other]


def sums(world: Observed) -> list[str]:
    """Return every sum of the catalogue that does not hold now."""
    counts: Counts = world.counts_now()
    sent = [one for _, outcome in world.log for one in outcome.commands if isinstance(one, SubmitOrder)]
    fills = {one.event.fill.key for one, _ in world.log if isinstance(one.event, OrderFilled)}
    opened = decided(world, ArbOpened)
    ended = {one.arb_id for one in decided(world, ArbClosed)}
    filled = {world.intents_by_id[one.event.fill.client_order_id].arb_id for one, _ in world.log
              if isinstance(one.event, OrderFilled)}  # fmt: skip
    resting = [one for one in opened if one.is_quote and one.arb_id not in filled and one.arb_id not in ended]
    outcomes = counts.sum("arbot_orders_total") - counts.sum("arbot_orders_total", outcome="unknown")
    return unequal((
        ("opportunities", len(decided(world, OpportunitySeen)), counts.sum("arbot_opportunities_total") + len(resting)),
        ("rejected", counts.sum("arbot_opportunities_total", outcome="rejected"),
         counts.sum("arbot_opportunity_rejects_total")),
        ("arbs", len(opened), counts.sum("arbot_trades_total") + counts.sum("arbot_trades_in_flight")),
        ("orders sent", len(sent), counts.sum("arbot_orders_sent_total")),
        ("orders", len(sent), outcomes + counts.sum("arbot_open_orders")),
        ("orders that ended", outcomes - counts.sum("arbot_orders_total", outcome="rejected"),
         counts.sum("arbot_fill_ratio")),
        ("fills", len(fills), counts.sum("arbot_fills_total")),
    ))  # fmt: skip


@WORLD
@given(seed=st.integers(0, 10_000))
def test_counts_of_takers_add_up_at_any_moment(seed: int) -> None:
    """Opportunities, arbs, orders and fills: what was decided is what was counted, whatever the venues do."""
    world = FaultyObserved(seed)
    for _ in range(4):
        world.run(2, moving=True)
        assert sums(world) == []
    world.chaos_then_rest(2)
    assert sums(world) == []
    assert world.counts_now().sum("arbot_open_orders") == 0


@WORLD
@given(seed=st.integers(0, 10_000))
def test_counts_of_quotes_add_up_at_any_moment(seed: int) -> None:
    """The same with orders that rest: a quote is counted once, as taken or as expired."""
    world = QuotedObserved(seed)
    for _ in range(3):
        world.run(2, moving=True)
        assert sums(world) == []
    world.chaos_then_rest(2)
    assert sums(world) == []


def test_every_outcome_happens() -> None:
    """Each outcome of opportunities, arbs and orders is met in these worlds, or the tests above prove little."""
    seen: dict[tuple[str, str], float] = {}
    for seed in range(25):
        for make in (FaultyObserved, QuotedObserved):
            world = make(seed)
            world.chaos_then_rest(8)
            counts = world.counts_now()
            for name in ("arbot_opportunities_total", "arbot_trades_total", "arbot_orders_total"):
                for outcome, count in counts.by(name, "outcome").items():
                    seen[name, outcome] = seen.get((name, outcome), 0) + count

    assert [which for which, count in seen.items() if not count] == []


def test_money_is_what_the_engine_counts() -> None:
    """Volume, fees and slippage are sums over the fills; paid less than decided is a gain, more a cost."""
    world = FaultyObserved(3)
    world.chaos_then_rest(8)
    counts = world.counts_now()
    by_key = {one.event.fill.key: one.event.fill for one, _ in world.log if isinstance(one.event, OrderFilled)}
    volume = sum((one.qty * one.price for one in by_key.values()), Decimal(0))
    fees = sum((one.fee.number for one in by_key.values()), Decimal(0))
    assert by_key
    assert counts.sum("arbot_traded_notional_total") == pytest.approx(float(volume))
    assert counts.sum("arbot_fees_total") == pytest.approx(float(fees))
    assert counts.sum("arbot_slippage_cost_total") > 0
