"""Totals, recent events, status and table: what a run is said to have come to."""

from __future__ import annotations

import io
from decimal import Decimal

import msgspec
import pytest
from rich.console import Console

from arbot.domain.book import BookState, Level
from arbot.domain.decisions import (
    ArbClosed,
    ArbMoved,
    ArbOpened,
    ArbState,
    ArbStranded,
    Decision,
    OpportunityDeclined,
    Outcome,
    Reason,
    TradingStateChanged,
)
from arbot.domain.events import (
    Envelope,
    Event,
    OrderFilled,
    OrderRejected,
    OrderStatusReported,
    RejectCode,
    RequestOutcomeUnknown,
    TimerFired,
)
from arbot.domain.ids import (
    ArbId,
    Asset,
    ClientOrderId,
    InstrumentId,
    OrderName,
    TradeId,
    VenueId,
    VenueOrderId,
    arb_id,
    client_order_id,
)
from arbot.domain.instrument import FeeRate, Instrument
from arbot.domain.order import Fill, Liquidity, OrderState, Side
from arbot.domain.units import Amount
from arbot.engine.config import EngineConfig
from arbot.engine.state import State
from arbot.observe.recent import Recent
from arbot.observe.status import About, Status, snapshot
from arbot.observe.summary import Summary
from arbot.observe.table import live_table, scan_table

S = 1_000_000_000
START_NS = 1_700_000_000 * S
ARB = arb_id(1, 1)
BUY, SELL = InstrumentId("BTC/USD@kraken"), InstrumentId("BTC/USD@coinbase")
ORDER = client_order_id(OrderName(1, 1, 1, 1))


def step(*decisions: Decision, event: Event | None = None, at_s: int = 0) -> tuple[Envelope, Outcome]:
    return Envelope(1, START_NS + at_s * S, event or TimerFired(key="x")), Outcome(decisions=decisions)


def opened(number: int = 1) -> ArbOpened:
    return ArbOpened(
        arb_id=arb_id(1, number), buy=BUY, sell=SELL, qty=Decimal("0.1"), buy_price=Decimal(100), sell_price=Decimal(101),
        edge_net_bps=Decimal(30), expected_quote=Decimal("0.03"), book_recv_ts_ns=START_NS, decided_ts_ns=START_NS,
    )  # fmt: skip


def closed(number: int = 1, net: str = "1", unhedged_ns: int = 0, missed: bool = False) -> ArbClosed:
    return ArbClosed(
        arb_id=arb_id(1, number), pnl_gross=Decimal(net) + 1, fees=Decimal(1), pnl_net=Decimal(net), residual=Decimal(0),
        volume_quote=Decimal(20), unhedged_ns=unhedged_ns, missed=missed,
    )  # fmt: skip


def moved(after: ArbState, number: int = 1) -> ArbMoved:
    return ArbMoved(arb_id=arb_id(1, number), before=ArbState.WORKING, after=after, residual=Decimal("0.1"))


def filled(trade: str = "T1", order: ClientOrderId = ORDER) -> OrderFilled:
    return OrderFilled(
        fill=Fill(
            venue=VenueId("kraken"), instrument=BUY, base=Asset("BTC"), quote=Asset("USD"), client_order_id=order,
            venue_order_id=VenueOrderId("O"), trade_id=TradeId(trade), side=Side.BUY, qty=Decimal(1), price=Decimal(1),
            fee=Amount(Decimal(0), Asset("USD")), liquidity=Liquidity.TAKER, venue_ts_ns=START_NS,
        )
    )  # fmt: skip


def unanswered(request: str = "submit") -> RequestOutcomeUnknown:
    return RequestOutcomeUnknown(client_order_id=ORDER, request=request, detail="timeout")


def summed(*steps: tuple[Envelope, Outcome], until_s: int = 0) -> object:
    summary = Summary()
    for envelope, outcome in steps:
        summary.observe(envelope, outcome)
    return summary.totals(START_NS + until_s * S)


def test_a_flat_arb_adds_its_money() -> None:
    """Gross, fees, net and volume come from the arb's end."""
    totals = summed(step(opened()), step(closed(net="1.25")))
    assert (totals.arbs_opened, totals.arbs_flat, totals.arbs_missed, totals.arbs_stranded) == (1, 1, 0, 0)
    assert (totals.pnl_gross, totals.fees, totals.pnl_net) == (Decimal("2.25"), Decimal(1), Decimal("1.25"))
    assert totals.volume_quote == 20


def test_a_quote_is_an_arb_from_its_first_fill_on() -> None:
    """Two quotes are placed; the one that nobody took is unfilled, no arb and not missed; the other is an arb."""
    placed = [msgspec.structs.replace(opened(number), is_quote=True) for number in (1, 2)]
    ended = [msgspec.structs.replace(closed(number, missed=number == 2), is_quote=True) for number in (1, 2)]
    totals = summed(step(*placed), step(event=filled()), step(*ended))
    assert (totals.quotes_placed, totals.quotes_unfilled) == (2, 1)
    assert (totals.arbs_opened, totals.arbs_flat, totals.arbs_missed) == (1, 1, 0)


def test_an_arb_that_closes_twice_counts_once_with_its_last_result() -> None:
    """A late fill reopens an arb; its second end replaces the first."""
    totals = summed(step(opened()), step(closed(net="1")), step(closed(net="3")))
    assert (totals.arbs_flat, totals.pnl_net) == (1, Decimal(3))


def test_a_flush_earns_but_is_no_arb() -> None:
    """An end without an opening adds money and no arb."""
    totals = summed(step(closed(number=9, net="-1")))
    assert (totals.arbs_opened, totals.arbs_flat, totals.pnl_net) == (0, 0, Decimal(-1))


def test_a_stranded_arb_is_told_until_it_is_brought_home() -> None:
    """Stranded counts while it lasts, and the arb counts as flat when it has ended after all."""
    stranded = step(moved(ArbState.STRANDED), ArbStranded(arb_id=ARB, residual=Decimal(1), base="BTC", why="x"))
    assert summed(step(opened()), stranded).arbs_stranded == 1
    home = summed(step(opened()), stranded, step(moved(ArbState.FLAT), closed()))
    assert (home.arbs_stranded, home.arbs_flat) == (0, 1)


def test_every_opened_arb_is_accounted_for() -> None:
    """Opened arbs are flat, stranded, or still open: nothing is lost silently."""
    totals = summed(
        step(opened(1), opened(2), opened(3)),
        step(moved(ArbState.FLAT, 1), closed(1)),
        step(moved(ArbState.STRANDED, 2), ArbStranded(arb_id=arb_id(1, 2), residual=Decimal(1), base="BTC", why="x")),
    )
    assert totals.arbs_opened == totals.arbs_flat + totals.arbs_stranded + 1


@pytest.mark.parametrize(
    "settling",
    [
        step(event=filled()),
        step(event=OrderRejected(client_order_id=ORDER, code=RejectCode.OTHER, detail="")),
        step(event=OrderStatusReported(client_order_id=ORDER, state=OrderState.CANCELED, venue_order_id=None)),
        step(closed()),
    ],
    ids=["filled", "rejected", "reported", "proven absent"],
)
def test_an_unknown_order_is_settled_by_evidence(settling: tuple[Envelope, Outcome]) -> None:
    """A fill, an answer, a report, or the end of its arb settle an order; until then it is unknown."""
    before = summed(step(event=unanswered()))
    after = summed(step(event=unanswered()), settling)
    assert (before.orders_unknown, before.orders_unknown_settled) == (1, 0)
    assert (after.orders_unknown, after.orders_unknown_settled) == (0, 1)


def test_silence_and_a_lost_cancel_settle_and_unsettle_nothing() -> None:
    """A report that no source knows the order leaves it unknown; an unanswered cancel makes no order unknown."""
    report = OrderStatusReported(client_order_id=ORDER, state=OrderState.UNKNOWN, venue_order_id=None)
    assert summed(step(event=unanswered()), step(event=report)).orders_unknown == 1
    assert summed(step(event=unanswered("cancel"))).orders_unknown == 0


def test_a_fill_told_twice_is_one_fill() -> None:
    """Fills are counted by the venue's own identity."""
    assert summed(step(event=filled("A")), step(event=filled("A")), step(event=filled("B"))).fills == 2


def test_the_longest_unhedged_time_includes_what_is_open_now() -> None:
    """Ended arbs tell their time; an open one counts up to now."""
    ended = (step(opened()), step(closed(unhedged_ns=2_500_000_000)))
    assert summed(*ended).unhedged_seconds_max == Decimal("2.5")
    still = step(moved(ArbState.ONE_SIDED, 2))
    assert summed(*ended, still, until_s=7).unhedged_seconds_max == Decimal(7)


def test_declines_are_counted_by_reason() -> None:
    """Each reason has its own count."""
    declined = OpportunityDeclined(buy=BUY, sell=SELL, reason=Reason.BOOK_SKEW)
    other = OpportunityDeclined(buy=BUY, sell=SELL, reason=Reason.COOL_DOWN)
    assert summed(step(declined, declined, other)).opportunities_declined == {"book_skew": 2, "cool_down": 1}


class Market:
    """Books with both sides, by bid and ask."""

    def __init__(self) -> None:
        self.touches = {BUY: (Decimal(99), Decimal(100)), SELL: (Decimal(101), Decimal(102))}

    def state(self, _instrument: object) -> BookState:
        return BookState(is_valid=True, recv_ts_ns=START_NS - 5_000_000, venue_ts_ns=0)

    def best(self, instrument: InstrumentId, side: Side) -> Level:
        bid, ask = self.touches[instrument]
        return Level(ask if side is Side.BUY else bid, Decimal(2))

    def levels(self, instrument: InstrumentId, side: Side, _depth: int) -> tuple[Level, ...]:
        return (self.best(instrument, side),)


def world() -> State:
    config = EngineConfig(ccy=Asset("USD"), venues=(VenueId("kraken"), VenueId("coinbase")), instruments=(BUY, SELL))
    state = State(config=config, market=Market(), now_ns=START_NS)
    listed: dict[InstrumentId, Instrument] = {}
    for name in (BUY, SELL):
        symbol, _, venue = name.partition("@")
        listed[name] = Instrument(
            id=name, venue=VenueId(venue), symbol=symbol, venue_symbol=symbol, base=Asset("BTC"), quote=Asset("USD"),
            tick_size=Decimal("0.1"), qty_step=Decimal("0.001"), price_decimals=1, qty_decimals=3,
        )  # fmt: skip
        state.fees[name] = FeeRate(instrument=name, maker=Decimal(0), taker=Decimal("0.001"))
        state.venue(VenueId(venue)).totals = {Asset("BTC"): Decimal(1), Asset("USD"): Decimal(100)}
    state.relist(listed)
    return state


def status_of(state: State, *steps: tuple[Envelope, Outcome]) -> Status:
    summary, recent = Summary(), Recent()
    for envelope, outcome in steps:
        summary.observe(envelope, outcome)
        recent.observe(envelope, outcome)
    about = About(version="1", mode="demo", run_name="r", pid=1, started_ts_ns=START_NS)
    return snapshot(about=about, now_ns=START_NS, state=state, summary=summary, recent=recent, latency_us={"p50": 12.5})


def test_the_status_shows_exact_edges() -> None:
    """Buying at 100 and selling at 101 with 10 bps taken twice is 100 bps gross and 79.9 net."""
    edge = next(edge for edge in status_of(world()).edges if edge.buy == "kraken")
    assert (edge.edge_gross_bps, edge.edge_net_bps, edge.fees_bps) == (Decimal(100), Decimal("79.9"), Decimal(20))


def test_an_edge_between_unlike_quotes_is_told_at_the_mid() -> None:
    """Bitcoin for 100 USD and for 50 EUR, the euro at 1.98 to 2.02 USD, is no gap at all, and still no trade."""
    state, market, change = world(), Market(), msgspec.structs.replace
    in_euro, of_euro = InstrumentId("BTC/EUR@coinbase"), InstrumentId("EUR/USD@coinbase")
    old = state.instruments[SELL]
    listed = {
        BUY: state.instruments[BUY],
        in_euro: change(old, id=in_euro, symbol="BTC/EUR", venue_symbol="BTC/EUR", quote=Asset("EUR")),
        of_euro: change(old, id=of_euro, symbol="EUR/USD", venue_symbol="EUR/USD", base=Asset("EUR")),
    }
    state.relist(listed)
    market.touches |= {in_euro: (Decimal(50), Decimal(51)), of_euro: (Decimal("1.98"), Decimal("2.02"))}
    state.market = market
    edge = next(edge for edge in status_of(state).edges if edge.buy == "kraken")
    assert (edge.symbol, edge.reason, edge.edge_gross_bps) == ("BTC/USD to BTC/EUR", "quote_mismatch", Decimal(0))


def test_an_edge_without_a_known_fee_says_so() -> None:
    """A fee the venue has not told is named as the reason; the edge shown is no promise."""
    state = world()
    del state.fees[BUY]
    assert {edge.reason for edge in status_of(state).edges} == {"fee_unknown"}


def test_the_status_measures_limits_as_the_engine_counts() -> None:
    """Inventory is the largest holding at the median of the mids; the share is of all capital."""
    used = {line.limit: line.used for line in status_of(world()).limits}
    assert used["inventory"] == Decimal("100.5")
    assert used["counterparty_share"] == Decimal("0.5")


def test_looking_changes_nothing() -> None:
    """A snapshot leaves the engine's state as it was, caches included, so that a replay is the same watched or not."""
    state, untouched = world(), world()
    status_of(state)
    assert (state.last_rate, state.venues, state.carried) == (
        untouched.last_rate,
        untouched.venues,
        untouched.carried,
    )


def test_the_status_survives_the_wire() -> None:
    """What /status sends is read back as the same value."""
    status = status_of(world(), step(opened()), step(moved(ArbState.ONE_SIDED)))
    sent = msgspec.json.Encoder(decimal_format="number").encode(status)
    assert msgspec.json.decode(sent, type=Status) == status


@pytest.mark.parametrize("width", [80, 140])
def test_the_table_shows_the_essentials(width: int) -> None:
    """Both venues, the state of trading, an open arb, money and every limit stand in the table, even on 80 columns."""
    status = status_of(
        world(),
        step(TradingStateChanged(may_open=False, reasons=(Reason.PAUSED,))),
        step(opened(1), opened(2)),
        step(moved(ArbState.ONE_SIDED, 1), moved(ArbState.FLAT, 2), closed(2, net="1.25")),
    )
    text = drawn(live_table(status), width)
    for told in ("kraken", "coinbase", "NOT OPENING ARBS: paused", "one sided", "1.25", "79.90", "net 1.25 USD"):
        assert told in text
    for limit in status.limits:
        assert limit.limit in text


def test_killed_is_shown_before_anything_else() -> None:
    """While killed the headline says so."""
    state = world()
    state.standing.killed = True
    assert "KILLED" in drawn(live_table(status_of(state)), 100)


def test_the_scan_shows_edges_and_no_money() -> None:
    """A scan has no account, so there is nothing to say about one."""
    text = drawn(scan_table(status_of(world())), 100)
    assert "79.90" in text
    assert "money" not in text


def test_an_arb_of_an_earlier_run_is_shown() -> None:
    """An arb that was opened before the restart appears when it moves."""
    status = status_of(world(), step(moved(ArbState.HEDGING, 7)))
    assert [(arb.arb_id, arb.state) for arb in status.arbs_open] == [(ArbId("1-7"), "hedging")]


def drawn(view: object, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(view)
    return console.file.getvalue()
