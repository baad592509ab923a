"""Orders and fills; the arbs they belong to are in trades.py.

Rules of this file:
- What an order is and how it ended is the engine's word, read after the step. arbot_orders_total counts each order once, when
  it ends: filled, partial (ended with less), cancelled (ended with nothing, also what is proven never to have arrived) or
  rejected. `unknown` is no end: it is counted each time an order comes into doubt. So at any moment, over all runs of a
  store, sent = filled + partial + cancelled + rejected + arbot_open_orders.
- Orders of an earlier run that may still fill were counted as sent there and are counted here when they end. Fills that the
  earlier run had booked are not counted again, nor are those that two sources tell of.
- A fill that comes after an order's end is counted as a fill; the order's outcome stays.
- Slippage compares what an order paid in all with what the book gave for as much when it was decided. Orders that rest have
  none: they fill at their price. So have those for which the book showed nothing.
- Notional in the reporting currency takes the rate at the fill, else the last one noted. Without any the fill waits in
  `_unrated` and is counted with the first rate there is.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from decimal import Decimal

from arbot.domain.book import Level
from arbot.domain.commands import SubmitOrder
from arbot.domain.decisions import FillClashed, OrderRefused, OrphanFillFound, Reason
from arbot.domain.events import (
    CancelRejected,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderRestored,
    OrderSent,
    OrderStatusReported,
    RejectCode,
    RequestOutcomeUnknown,
)
from arbot.domain.ids import Asset, ClientOrderId, TradeId, VenueId, VenueOrderId
from arbot.domain.order import Fill, Liquidity, OrderState, Purpose, Side
from arbot.domain.units import ZERO, div
from arbot.engine.detector import reach
from arbot.engine.state import OrderRecord, State
from arbot.observe.collect.words import OnDecision, OnEvent, Readings, RunFacts, Steps
from arbot.observe.metrics import NS_PER_S, Metrics

_FILLS_KEPT = 20_000  # told again after so many others, a fill would be counted twice; nobody tells one that late
OUTCOMES = ("filled", "partial", "cancelled", "rejected", "unknown")

FillKey = tuple[VenueId, VenueOrderId, TradeId, bool]


@dataclass(slots=True)
class _Live:
    """An order that may still fill: the engine's record of it, and what the book gave when it was decided."""

    record: OrderRecord
    state: OrderState
    sent_ts_ns: int
    levels: tuple[Level, ...] = ()
    is_accepted: bool = False


class Execution:
    """Counts orders and fills."""

    def __init__(self, metrics: Metrics, facts: RunFacts, state: State) -> None:
        self._metrics = metrics
        self._ccy = facts.ccy
        self._state = state
        self._live: dict[ClientOrderId, _Live] = {}
        self._fills: OrderedDict[FillKey, None] = OrderedDict()
        self._unrated: dict[tuple[VenueId, Side, Asset], Decimal] = {}
        self.events: OnEvent = {
            OrderSent: self._sent,
            OrderAccepted: self._accepted,
            OrderRejected: self._rejected,
            RequestOutcomeUnknown: self._unanswered,
            OrderFilled: self._filled,
            **dict.fromkeys((OrderCanceled, OrderExpired, CancelRejected, OrderStatusReported), self._moved),
            OrderRestored: self._restored,
        }
        self.decisions: OnDecision = {
            OrderRefused: lambda d, _: metrics.add("arbot_orders_refused_total", (d.reason.value,)),
            OrphanFillFound: lambda _, __: metrics.add("arbot_orphan_fills_total"),
            FillClashed: lambda _, __: metrics.add("arbot_fill_clashes_total"),
        }
        self.commands: OnEvent = {SubmitOrder: self._submitted}
        self._prepare(facts)

    def _prepare(self, facts: RunFacts) -> None:
        make, venues = self._metrics.ensure_children, facts.venues
        make("arbot_orders_total", venues, Side, OUTCOMES)
        make("arbot_orders_sent_total", venues, Purpose)
        make("arbot_order_rejects_total", venues, RejectCode)
        make("arbot_orders_unanswered_total", venues)
        make("arbot_orders_refused_total", Reason)
        make("arbot_order_ack_seconds", venues)
        make("arbot_leg_fill_seconds", venues, Purpose)
        make("arbot_fill_ratio", venues)
        make("arbot_slippage_ratio", venues, Side)
        make("arbot_open_orders", venues)
        make("arbot_unknown_orders", venues)
        make("arbot_fills_total", venues, Side, Liquidity)
        make("arbot_traded_notional_total", venues, Side, (facts.ccy,))
        for venue, symbols in facts.symbols.items():
            quotes = dict.fromkeys(symbol.partition("/")[2] for symbol in symbols)
            make("arbot_slippage_cost_total", (venue,), quotes)
            make("arbot_slippage_gain_total", (venue,), quotes)
            make("arbot_fees_total", (venue,), Liquidity, quotes)
            make("arbot_rebates_total", (venue,), quotes)

    def read(self, readings: Readings) -> Steps:
        """Put the orders that are open."""
        put, state = self._metrics.put, readings.state
        live = {str(venue): [0, 0] for venue in state.config.venues}
        for order in state.live_orders():
            counts = live.setdefault(order.intent.venue, [0, 0])
            counts[0] += 1
            counts[1] += order.state is OrderState.UNKNOWN
        for venue, (count, unknown) in live.items():
            put("arbot_open_orders", (venue,), count)
            put("arbot_unknown_orders", (venue,), unknown)
        for (filled_at, side, quote), notional in tuple(self._unrated.items()):
            if _rate(state, quote) is not None:
                del self._unrated[filled_at, side, quote]
                self._count_notional(filled_at, side, quote, notional)
        yield

    # --- sent and answered ----------------------------------------------------------------------------------------------

    def _submitted(self, command: SubmitOrder, ts_ns: int) -> None:
        intent = command.approved.intent
        self._metrics.add("arbot_orders_sent_total", (intent.venue, intent.purpose.value))
        record = self._state.orders[intent.client_order_id]
        depth = 0 if intent.tif.rests else self._state.config.execution.depth_max
        levels = self._state.market.levels(intent.instrument, intent.side, depth) if depth else ()
        self._live[intent.client_order_id] = _Live(record, record.state, ts_ns, levels)

    def _sent(self, event: OrderSent, ts_ns: int) -> None:
        live = self._live.get(event.client_order_id)
        if live is not None:
            live.sent_ts_ns = ts_ns
        self._look(event.client_order_id, ts_ns)

    def _accepted(self, event: OrderAccepted, ts_ns: int) -> None:
        live = self._live.get(event.client_order_id)
        if live is not None and not live.is_accepted:
            live.is_accepted = True
            took_s = (ts_ns - live.sent_ts_ns) / NS_PER_S
            self._metrics.time("arbot_order_ack_seconds", (live.record.intent.venue,), took_s)
        self._look(event.client_order_id, ts_ns)

    def _rejected(self, event: OrderRejected, ts_ns: int) -> None:
        live = self._live.get(event.client_order_id)
        if live is not None:
            self._metrics.add("arbot_order_rejects_total", (live.record.intent.venue, event.code.value))
        self._look(event.client_order_id, ts_ns)

    def _unanswered(self, event: RequestOutcomeUnknown, ts_ns: int) -> None:
        live = self._live.get(event.client_order_id)
        if live is not None:
            self._metrics.add("arbot_orders_unanswered_total", (live.record.intent.venue,))
        self._look(event.client_order_id, ts_ns)

    def _moved(self, event: OrderCanceled | OrderExpired | CancelRejected | OrderStatusReported, ts_ns: int) -> None:
        self._look(event.client_order_id, ts_ns)

    def _restored(self, event: OrderRestored, _ts_ns: int) -> None:
        for fill in event.fills:
            self._fills[_key(fill)] = None
        record = self._state.orders.get(event.intent.client_order_id)
        if record is not None and record.is_live:
            sent_ns = event.intent.decided_ts_ns
            self._live[event.intent.client_order_id] = _Live(record, record.state, sent_ns, is_accepted=True)

    # --- ended ----------------------------------------------------------------------------------------------------------

    def _look(self, name: ClientOrderId, ts_ns: int) -> None:
        """Count what became of an order in this step, if anything did."""
        live = self._live.get(name)
        if live is None or live.record.state is live.state:
            return
        live.state, intent = live.record.state, live.record.intent
        if live.state is OrderState.UNKNOWN:
            self._metrics.add("arbot_orders_total", (intent.venue, intent.side.value, "unknown"))
        elif live.state.is_terminal:
            del self._live[name]
            self._ended(live, ts_ns)

    def _ended(self, live: _Live, ts_ns: int) -> None:
        record, intent, time = live.record, live.record.intent, self._metrics.time
        self._metrics.add("arbot_orders_total", (intent.venue, intent.side.value, _outcome(record)))
        if record.state is OrderState.REJECTED:
            return
        time("arbot_fill_ratio", (intent.venue,), div(record.filled_qty, intent.qty))
        if record.state is OrderState.FILLED and not intent.tif.rests:
            took_s = (ts_ns - live.sent_ts_ns) / NS_PER_S
            time("arbot_leg_fill_seconds", (intent.venue, intent.purpose.value), took_s)
        if live.levels and record.filled_qty > 0:
            self._slipped(live)

    def _slipped(self, live: _Live) -> None:
        """Compare what was paid with what the levels of the decision come to, for the quantity that filled."""
        record, intent = live.record, live.record.intent
        got, decided, _ = reach(live.levels, intent.side, record.filled_qty, intent.limit_price)
        if not got or not decided:
            return
        paid = sum((fill.qty * fill.price * (-1 if fill.is_reversal else 1) for fill in record.fills.values()), ZERO)
        decided *= div(record.filled_qty, got)  # the book showed less than filled: at the same price on average
        worse = (paid - decided) * intent.side.sign
        self._metrics.time("arbot_slippage_ratio", (intent.venue, intent.side.value), div(worse, decided))
        name = "arbot_slippage_cost_total" if worse > 0 else "arbot_slippage_gain_total"
        self._metrics.add(name, (intent.venue, intent.quote), abs(worse))

    # --- fills ----------------------------------------------------------------------------------------------------------

    def _filled(self, event: OrderFilled, ts_ns: int) -> None:
        fill = event.fill
        self._look(fill.client_order_id, ts_ns)
        if _key(fill) in self._fills or fill.is_reversal:
            return
        self._fills[_key(fill)] = None
        if len(self._fills) > _FILLS_KEPT:
            self._fills.popitem(last=False)
        add = self._metrics.add
        add("arbot_fills_total", (fill.venue, fill.side.value, fill.liquidity.value))
        self._count_notional(fill.venue, fill.side, fill.quote, fill.qty * fill.price)
        if fill.fee.number >= 0:
            add("arbot_fees_total", (fill.venue, fill.liquidity.value, fill.fee.asset), fill.fee.number)
        else:
            add("arbot_rebates_total", (fill.venue, fill.fee.asset), -fill.fee.number)

    def _count_notional(self, venue: VenueId, side: Side, quote: Asset, notional: Decimal) -> None:
        rate = _rate(self._state, quote)
        if rate is None:
            place = (venue, side, quote)
            self._unrated[place] = self._unrated.get(place, ZERO) + notional
        else:
            self._metrics.add("arbot_traded_notional_total", (venue, side.value, self._ccy), notional * rate)


def _rate(state: State, asset: Asset) -> Decimal | None:
    """Return the rate of now, else the last one noted; None when there never was one."""
    rate = state.rate(asset)
    return state.last_rate.get(asset) if rate is None else rate


def _outcome(record: OrderRecord) -> str:
    if record.state is OrderState.FILLED:
        return "filled"
    if record.state is OrderState.REJECTED:
        return "rejected"
    return "partial" if record.filled_qty > 0 else "cancelled"


def _key(fill: Fill) -> FillKey:
    return fill.venue, fill.venue_order_id, fill.trade_id, fill.is_reversal
