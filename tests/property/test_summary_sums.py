"""Totals kept step by step are those that adding everything up anew would give."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from arbot.domain.decisions import ArbClosed, ArbMoved, ArbOpened, ArbState, ArbStranded, Decision, Outcome
from arbot.domain.events import Envelope, OrderFilled, TimerFired
from arbot.domain.ids import (
    ArbId,
    Asset,
    InstrumentId,
    OrderName,
    TradeId,
    VenueId,
    VenueOrderId,
    arb_id,
    client_order_id,
)
from arbot.domain.order import Fill, Liquidity, Side
from arbot.domain.units import Amount
from arbot.observe.summary import Summary

NUMBERS = range(1, 5)
BUY, SELL = InstrumentId("BTC/USD@a"), InstrumentId("BTC/USD@b")


def opened(number: int, *, is_quote: bool) -> ArbOpened:
    return ArbOpened(
        arb_id=arb_id(1, number), buy=BUY, sell=SELL, qty=Decimal(1), buy_price=Decimal(1), sell_price=Decimal(1),
        edge_net_bps=Decimal(1), expected_quote=Decimal(1), book_recv_ts_ns=0, decided_ts_ns=0, is_quote=is_quote,
    )  # fmt: skip


def closed(number: int, gross: int, fees: int, *, missed: bool) -> ArbClosed:
    return ArbClosed(
        arb_id=arb_id(1, number), pnl_gross=Decimal(gross), fees=Decimal(fees), pnl_net=Decimal(gross - fees),
        residual=Decimal(0), volume_quote=Decimal(10 * fees), unhedged_ns=0, missed=missed,
    )  # fmt: skip


def moved(number: int, after: ArbState) -> ArbMoved:
    return ArbMoved(
        arb_id=arb_id(1, number), before=ArbState.PLANNED, after=after, residual=Decimal(0), residual_foreign=Decimal(0)
    )


def filled(number: int) -> OrderFilled:
    return OrderFilled(
        fill=Fill(
            venue=VenueId("a"), instrument=BUY, base=Asset("BTC"), quote=Asset("USD"),
            client_order_id=client_order_id(OrderName(1, number, 1, 1)), venue_order_id=VenueOrderId("o"), trade_id=TradeId("t"),
            side=Side.BUY, qty=Decimal(1), price=Decimal(1), fee=Amount(Decimal(0), Asset("USD")),
            liquidity=Liquidity.MAKER, venue_ts_ns=0,
        )
    )  # fmt: skip


number = st.sampled_from(NUMBERS)
decision: st.SearchStrategy[Decision] = st.one_of(
    st.builds(opened, number, is_quote=st.booleans()),
    st.builds(closed, number, st.integers(-9, 9), st.integers(0, 9), missed=st.booleans()),
    st.builds(lambda n: ArbStranded(arb_id=arb_id(1, n), residual=Decimal(1), base=Asset("BTC"), why="x"), number),
    st.builds(moved, number, st.sampled_from([ArbState.HEDGING, ArbState.STRANDED, ArbState.FLAT])),
)


@given(st.lists(st.one_of(decision, st.builds(filled, number)), max_size=25))
def test_kept_totals_are_the_totals(steps: list[Decision | OrderFilled]) -> None:
    """However arbs open, close, close anew, strand and come home, and quotes fill late, no arb counts twice or not at all."""
    summary = Summary()
    opens: set[ArbId] = set()
    quotes: set[ArbId] = set()
    stranded: set[ArbId] = set()
    ends: dict[ArbId, ArbClosed] = {}
    for count, one in enumerate(steps):
        if isinstance(one, OrderFilled):
            summary.observe(Envelope(count, count, one), Outcome())
            arb = next(arb_id(1, n) for n in NUMBERS if filled(n).fill.client_order_id == one.fill.client_order_id)
            opens |= {arb} & quotes
            continue
        summary.observe(Envelope(count, count, TimerFired(key="x")), Outcome(decisions=(one,)))
        if isinstance(one, ArbOpened):
            (quotes if one.is_quote else opens).add(one.arb_id)
        elif isinstance(one, ArbClosed):
            ends[one.arb_id] = one
        elif isinstance(one, ArbStranded):
            stranded.add(one.arb_id)
        elif isinstance(one, ArbMoved) and one.after is not ArbState.STRANDED:
            stranded.discard(one.arb_id)
    totals = summary.totals(len(steps))
    own = [end for arb, end in ends.items() if arb in opens - stranded]
    assert (len(own), sum(end.missed for end in own)) == (totals.arbs_flat, totals.arbs_missed)
    assert sum(end.missed for arb, end in ends.items() if arb in quotes) == totals.quotes_unfilled
    for name in ("pnl_gross", "fees", "pnl_net", "volume_quote"):
        assert sum((getattr(end, name) for end in ends.values()), Decimal(0)) == getattr(totals, name)
