"""Arbs: how they end, and what they leave open meanwhile.

Rules of this file:
- Every arb has one outcome, counted when it first ends: unfilled (nothing filled), unwound (something bought or sold was
  given back), hedged_late (an order beyond its legs was needed), complete (its legs alone made it flat); or failed, counted
  when it is stranded, for then a person is needed. What a late fill or a person makes of it afterwards changes no count.
  So opened = outcomes + arbot_trades_in_flight, over all runs of a store. An arb that was stranded before a restart and
  strands again is counted again: nothing that outlives the process says which ones those were.
- A flush, a carried residual sold on its own, is no arb; the time it was open is unhedged time all the same.
- A quote's fills are hedged as they come: that is its ordinary life and makes no outcome of it.
- Skew is taken where all legs filled completely, from the first that did to the last. Edge capture leaves out what did not
  fill at all, quotes (what is expected of one is for all of it, whatever fills), and what was expected to earn nothing.
- An asset is unhedged as soon as fills of an arb do not cancel out by more than a venue would take as an order; also for
  the moment between the fills of two legs.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from decimal import Decimal

from arbot.domain.decisions import ArbClosed, ArbMoved, ArbOpened, ArbState, ArbStranded, ResidualWorked
from arbot.domain.events import OrderFilled, OrderRestored
from arbot.domain.ids import ArbId, Asset, ClientOrderId
from arbot.domain.order import OrderState, Purpose
from arbot.domain.units import ZERO, div
from arbot.engine.state import Arb, State
from arbot.observe.collect.words import OnDecision, OnEvent, Readings, RunFacts, Steps
from arbot.observe.metrics import NS_PER_S, Metrics
from arbot.observe.rates import Rates
from arbot.observe.status import OPEN_STATES

OUTCOMES = ("complete", "hedged_late", "unwound", "unfilled", "failed")
_ENDED_KEPT = 2_000  # more than the engine remembers: a later fill than that is an orphan and opens no arb again


@dataclass(slots=True)
class _Trade:
    """What is known of an arb that has no outcome yet."""

    arb: Arb
    expected_quote: Decimal = ZERO  # 0: not known, or not to be compared
    is_helped: bool = False
    is_unwound: bool = False
    filled_ts_ns: dict[ClientOrderId, int] | None = None  # of its legs; None: it is not to be timed


class Trades:
    """Counts arbs by their end, and puts what is open of them."""

    def __init__(self, metrics: Metrics, facts: RunFacts, state: State) -> None:
        self._metrics = metrics
        self._strategy, self._ccy, self._assets = (facts.strategy,), facts.ccy, facts.assets
        self._state = state
        self._trades: dict[ArbId, _Trade] = {}
        self._counted: OrderedDict[ArbId, int] = OrderedDict()
        self._unhedged_ns: OrderedDict[ArbId, int] = OrderedDict()  # of arbs that closed, as counted
        self.events: OnEvent = {
            OrderFilled: self._filled,
            OrderRestored: lambda event, _: self._meet(event.intent.arb_id),
        }
        self.decisions: OnDecision = {
            ArbMoved: lambda moved, _: self._meet(moved.arb_id),
            ArbOpened: self._opened,
            ResidualWorked: self._worked,
            ArbClosed: self._closed,
            ArbStranded: self._stranded,
        }
        self.commands: OnEvent = {}
        make = metrics.ensure_children
        make("arbot_trades_total", self._strategy, OUTCOMES)
        make("arbot_trades_in_flight", self._strategy)
        make("arbot_trades_open", OPEN_STATES)
        make("arbot_leg_skew_seconds", self._strategy)
        make("arbot_edge_capture_ratio", self._strategy)
        make("arbot_unhedged_notional", facts.assets, (facts.ccy,))
        make("arbot_unhedged_since_timestamp_seconds", facts.assets)
        make("arbot_unhedged_seconds_total", facts.assets)

    def read(self, readings: Readings) -> Steps:
        """Put the arbs that are under way, and what of them is unhedged."""
        put, state = self._metrics.put, readings.state
        put("arbot_trades_in_flight", self._strategy, sum(1 for one in self._trades.values() if not one.arb.is_flush))
        by_state: dict[ArbState, int] = dict.fromkeys(OPEN_STATES, 0)
        for arb in state.unfinished.values():
            by_state[arb.state] += 1
        for arb_state, count in by_state.items():
            put("arbot_trades_open", (arb_state.value,), count)
        yield
        self._read_unhedged(state, readings.rates)
        yield

    def _read_unhedged(self, state: State, rates: Rates) -> None:
        put, forget = self._metrics.put, self._metrics.forget
        notional: dict[str, Decimal | None] = dict.fromkeys(self._assets, ZERO)
        since_ns = dict.fromkeys(self._assets, 0)
        for arb in state.unfinished.values():
            for asset in arb.assets if arb.unhedged_since_ns else ():
                residual = abs(state.residual(arb, asset))
                if residual:
                    rate = rates(asset)
                    rate = state.last_rate.get(asset) if rate is None else rate  # an old price rather than no alarm
                    notional[asset] = _and(notional.get(asset, ZERO), residual, rate)
                    before_ns = since_ns.get(asset, 0)
                    since_ns[asset] = min(before_ns or arb.unhedged_since_ns, arb.unhedged_since_ns)
        for name, value in notional.items():
            if value is None:
                forget("arbot_unhedged_notional", (name, self._ccy))
            else:
                put("arbot_unhedged_notional", (name, self._ccy), value)
        for name, ns in since_ns.items():
            put("arbot_unhedged_since_timestamp_seconds", (name,), ns / NS_PER_S)

    # --- their life -----------------------------------------------------------------------------------------------------

    def _meet(self, arb_id: ArbId) -> None:
        arb = self._state.arbs.get(arb_id)
        if arb is not None and arb_id not in self._trades and arb_id not in self._counted:
            self._trades[arb_id] = _Trade(arb)

    def _opened(self, opened: ArbOpened, _ts_ns: int) -> None:
        self._meet(opened.arb_id)
        trade = self._trades[opened.arb_id]
        if not opened.is_quote:
            trade.expected_quote = opened.expected_quote
            trade.filled_ts_ns = {}

    def _worked(self, worked: ResidualWorked, _ts_ns: int) -> None:
        trade = self._trades.get(worked.arb_id)
        if trade is not None and not worked.is_expected:
            trade.is_helped = True
            trade.is_unwound |= worked.purpose is Purpose.UNWIND

    def _filled(self, event: OrderFilled, ts_ns: int) -> None:
        order = self._state.orders.get(event.fill.client_order_id)
        if order is None or order.intent.purpose is not Purpose.LEG or order.state is not OrderState.FILLED:
            return
        trade = self._trades.get(order.intent.arb_id)
        if trade is not None and trade.filled_ts_ns is not None:
            trade.filled_ts_ns.setdefault(order.intent.client_order_id, ts_ns)

    def _stranded(self, stranded: ArbStranded, _ts_ns: int) -> None:
        self._meet(stranded.arb_id)
        self._count(stranded.arb_id, "failed")

    def _closed(self, closed: ArbClosed, _ts_ns: int) -> None:
        self._meet(closed.arb_id)
        trade = self._trades.get(closed.arb_id)
        base = trade.arb.base if trade is not None else self._base_of(closed.arb_id)
        self._count_unhedged(closed, base)
        if trade is None:
            return
        if closed.missed:
            outcome = "unfilled"
        elif trade.is_unwound:
            outcome = "unwound"
        else:
            outcome = "hedged_late" if trade.is_helped else "complete"
        self._count(closed.arb_id, outcome)
        if closed.is_flush:
            return
        ends = trade.filled_ts_ns or {}
        if len(ends) > 1 and len(ends) == len(trade.arb.instruments):
            skew_s = (max(ends.values()) - min(ends.values())) / NS_PER_S
            self._metrics.time("arbot_leg_skew_seconds", self._strategy, skew_s)
        if trade.expected_quote > 0 and not closed.missed:
            share = div(closed.pnl_net, trade.expected_quote)
            self._metrics.time("arbot_edge_capture_ratio", self._strategy, share)

    def _count(self, arb_id: ArbId, outcome: str) -> None:
        trade = self._trades.pop(arb_id, None)
        if trade is None:
            return
        _keep(self._counted, arb_id, 1)
        if not trade.arb.is_flush:
            self._metrics.add("arbot_trades_total", (*self._strategy, outcome))

    def _base_of(self, arb_id: ArbId) -> Asset | None:
        arb = self._state.arbs.get(arb_id)
        return None if arb is None else arb.base

    def _count_unhedged(self, closed: ArbClosed, base: Asset | None) -> None:
        """Count what is new: an arb that a late fill reopened tells its whole time at every end."""
        new_ns = closed.unhedged_ns - self._unhedged_ns.get(closed.arb_id, 0)
        _keep(self._unhedged_ns, closed.arb_id, closed.unhedged_ns)
        if base is not None:
            self._metrics.add("arbot_unhedged_seconds_total", (base,), new_ns / NS_PER_S)


def _keep(kept: OrderedDict[ArbId, int], arb_id: ArbId, value: int) -> None:
    kept[arb_id] = value
    if len(kept) > _ENDED_KEPT:
        kept.popitem(last=False)


def _and(sum_so_far: Decimal | None, qty: Decimal, rate: Decimal | None) -> Decimal | None:
    """Return the sum with one more value; None as soon as one has no price."""
    return None if sum_so_far is None or rate is None else sum_so_far + qty * rate
