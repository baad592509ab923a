"""Running totals of one run, counted from what the engine was told and concluded, for the last word of demo and daemon.

An arb that was reopened by a late fill closes again with its whole result: the newer replaces the older. A flush (a
carried residual that is sold on its own) earns and pays like an arb but is not counted as one. A quote is an arb from its
first fill on; before that it is a quote that was placed, and without one it ends as unfilled.

Sums and counts are kept as the steps come, never added up anew: a run of months has a hundred thousand arbs, and who looks
must not hold the loop for them.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import msgspec

from arbot.domain.decisions import (
    ArbClosed,
    ArbMoved,
    ArbOpened,
    ArbState,
    ArbStranded,
    Decision,
    OpportunityDeclined,
    Outcome,
)
from arbot.domain.events import (
    Envelope,
    Event,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderStatusReported,
    RequestOutcomeUnknown,
    RunEnded,
)
from arbot.domain.ids import ArbId, ClientOrderId, arb_id, parse_client_order_id
from arbot.domain.order import OrderState
from arbot.domain.units import ZERO

NS_PER_S = Decimal(1_000_000_000)
_NAMED = (OrderAccepted, OrderRejected, OrderCanceled, OrderExpired)
_UNHEDGED = frozenset({ArbState.ONE_SIDED, ArbState.HEDGING, ArbState.UNWINDING, ArbState.STRANDED})


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """What a run came to. Money in the quote of the arbs; `orders_unknown` are those whose fate is not known yet."""

    arbs_opened: int
    arbs_flat: int
    arbs_missed: int
    arbs_stranded: int
    fills: int
    volume_quote: Decimal
    pnl_gross: Decimal
    fees: Decimal
    pnl_net: Decimal
    unhedged_seconds_max: Decimal
    orders_unknown: int
    orders_unknown_settled: int
    opportunities_declined: dict[str, int]
    quotes_placed: int = 0
    quotes_unfilled: int = 0


class _Sums:
    """What all closed arbs came to."""

    def __init__(self) -> None:
        self.volume_quote = self.pnl_gross = self.fees = self.pnl_net = ZERO

    def put_in(self, closed: ArbClosed) -> None:
        """Add one."""
        self.volume_quote += closed.volume_quote
        self.pnl_gross += closed.pnl_gross
        self.fees += closed.fees
        self.pnl_net += closed.pnl_net

    def take_out(self, closed: ArbClosed) -> None:
        """Take one back, because it closed anew."""
        self.volume_quote -= closed.volume_quote
        self.pnl_gross -= closed.pnl_gross
        self.fees -= closed.fees
        self.pnl_net -= closed.pnl_net


class Summary:
    """Keeps the totals; `observe` takes every step."""

    def __init__(self) -> None:
        self._has_ended = False
        self._opened: set[ArbId] = set()
        self._quotes: set[ArbId] = set()
        self._closed: dict[ArbId, ArbClosed] = {}
        self._sums = _Sums()
        self._own: set[ArbId] = set()  # opened and closed: what is not stranded of them is flat
        self._own_missed: set[ArbId] = set()
        self._quotes_unfilled: set[ArbId] = set()
        self._stranded: set[ArbId] = set()
        self._unhedged_since: dict[ArbId, int] = {}
        self._unhedged_max_ns = 0
        self._fills: set[tuple[str, str, str]] = set()
        self._unknown: set[ClientOrderId] = set()
        self._unknown_settled = 0
        self._declined: Counter[str] = Counter()

    def observe(self, envelope: Envelope, outcome: Outcome) -> None:
        """Count one step; what comes after the end of the run is no part of it."""
        if self._has_ended:
            return
        self._has_ended = isinstance(envelope.event, RunEnded)
        self._count_event(envelope.event)
        for decision in outcome.decisions:
            self._count_decision(decision, envelope.ts_ns)

    def totals(self, now_ns: int) -> Totals:
        """Return the totals; arbs that are unhedged now count up to `now_ns`."""
        sums = self._sums
        longest_ns = max((now_ns - since for since in self._unhedged_since.values()), default=0)
        return Totals(
            arbs_opened=len(self._opened),
            arbs_flat=len(self._own) - len(self._own & self._stranded),
            arbs_missed=len(self._own_missed) - len(self._own_missed & self._stranded),
            arbs_stranded=len(self._stranded),
            fills=len(self._fills),
            volume_quote=sums.volume_quote,
            pnl_gross=sums.pnl_gross,
            fees=sums.fees,
            pnl_net=sums.pnl_net,
            unhedged_seconds_max=(max(self._unhedged_max_ns, longest_ns) / NS_PER_S).quantize(Decimal("0.001")),
            orders_unknown=len(self._unknown),
            orders_unknown_settled=self._unknown_settled,
            opportunities_declined=dict(sorted(self._declined.items())),
            quotes_placed=len(self._quotes),
            quotes_unfilled=len(self._quotes_unfilled),
        )

    def _count_event(self, event: Event) -> None:
        if isinstance(event, OrderFilled):
            fill = event.fill
            if not fill.is_reversal:
                self._fills.add((fill.venue, fill.venue_order_id, fill.trade_id))
            self._settle(fill.client_order_id)
            arb = _arb_of(fill.client_order_id)
            if arb is not None and arb in self._quotes:
                self._begin(self._opened, arb)
        elif isinstance(event, RequestOutcomeUnknown):
            if event.request == "submit":
                self._unknown.add(event.client_order_id)
            if (
                _arb_of(event.client_order_id) in self._closed
            ):  # the streams had told its fate before the request gave up
                self._settle(event.client_order_id)
        elif isinstance(event, _NAMED) or (
            isinstance(event, OrderStatusReported) and event.state is not OrderState.UNKNOWN
        ):
            self._settle(event.client_order_id)

    def _count_decision(self, decision: Decision, ts_ns: int) -> None:
        if isinstance(decision, OpportunityDeclined):
            self._declined[decision.reason.value] += 1
        elif isinstance(decision, ArbOpened):
            self._begin(self._quotes if decision.is_quote else self._opened, decision.arb_id)
        elif isinstance(decision, ArbMoved):
            self._move(decision, ts_ns)
        elif isinstance(decision, ArbStranded):
            self._stranded.add(decision.arb_id)
        elif isinstance(decision, ArbClosed):
            self._close(decision)
            self._unhedged_max_ns = max(self._unhedged_max_ns, decision.unhedged_ns)
            # An order that was proven never to have arrived ends with its arb; no event of the venue names it.
            for order in [order for order in self._unknown if _arb_of(order) == decision.arb_id]:
                self._settle(order)

    def _begin(self, those: set[ArbId], arb: ArbId) -> None:
        those.add(arb)
        if arb in self._closed:  # a late fill: the quote was given up before
            self._place(self._closed[arb])

    def _close(self, closed: ArbClosed) -> None:
        before = self._closed.get(closed.arb_id)
        if before is not None:
            self._sums.take_out(before)
        self._sums.put_in(closed)
        self._closed[closed.arb_id] = closed
        self._place(closed)

    def _place(self, closed: ArbClosed) -> None:
        """Put an arb that closed where it counts now."""
        arb = closed.arb_id
        for those, belongs in (
            (self._own, arb in self._opened),
            (self._own_missed, arb in self._opened and closed.missed),
            (self._quotes_unfilled, arb in self._quotes and closed.missed),
        ):
            if belongs:
                those.add(arb)
            else:
                those.discard(arb)

    def _move(self, moved: ArbMoved, ts_ns: int) -> None:
        if moved.after is not ArbState.STRANDED:
            self._stranded.discard(moved.arb_id)
        if moved.after in _UNHEDGED:
            self._unhedged_since.setdefault(moved.arb_id, ts_ns)
        else:
            self._unhedged_since.pop(moved.arb_id, None)

    def _settle(self, order: ClientOrderId) -> None:
        if order in self._unknown:
            self._unknown.discard(order)
            self._unknown_settled += 1


def _arb_of(order: ClientOrderId) -> ArbId | None:
    name = parse_client_order_id(order)
    return arb_id(name.epoch, name.arb) if name else None
