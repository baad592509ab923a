"""Venues that lose, delay, repeat and reorder, on a virtual clock, around the real engine.

Each seed switches on its own set of faults. The venues keep their own truth; `checks` compare the engine with it once
everything has come to rest. Nothing here knows how the engine works.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from arbot.domain.commands import CancelAllOrders, CancelOrder, QueryOrder, SubmitOrder
from arbot.domain.events import (
    BooksMoved,
    Event,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSent,
    OrderStatusReported,
    RejectCode,
    RequestOutcomeUnknown,
    TimerFired,
)
from arbot.domain.ids import ClientOrderId, TradeId, VenueId, VenueOrderId
from arbot.domain.order import Fill, Liquidity, OrderIntent, OrderState
from arbot.domain.units import Amount
from arbot.engine.config import ExecutionPolicy, RiskLimits
from arbot.engine.strategy import Strategy
from tests.support.engine_world import MS, World

FAULTS = (
    "reject", "lost_request", "lost_response", "partial", "none_filled", "dup_fill", "cancel_overtakes_fill",
    "late_ack", "lands_late", "stream_silent", "query_fails", "hidden",
)  # fmt: skip
FEE = Decimal("0.001")


@dataclass
class VenueOrder:
    """What the venue really has."""

    intent: OrderIntent
    id: VenueOrderId
    fills: list[Fill] = field(default_factory=list)
    state: OrderState = OrderState.OPEN
    visible_ns: int = 0

    @property
    def filled(self) -> Decimal:
        """Sum of its fills."""
        return sum((fill.qty for fill in self.fills), Decimal(0))


class FaultyWorld(World):
    """A World whose orders are answered by venues with a seeded set of faults."""

    def __init__(self, seed: int, strategy: Strategy | None = None, **parts: object) -> None:
        self.rng = random.Random(seed)
        self.rates = {f: self.rng.choice((0.0, 0.0, 0.05, 0.3)) for f in FAULTS}
        self.hits: dict[str, int] = dict.fromkeys(FAULTS, 0)
        self.heap: list[tuple[int, int, Callable[[], None]]] = []
        self.order = 0
        self.truth: dict[ClientOrderId, VenueOrder] = {}
        self.sends: dict[ClientOrderId, int] = {}
        self.healed = False
        self.books_log: list[tuple[dict, ...]] = []
        super().__init__(
            ("kraken", "coinbase", "bitstamp"),
            limits=RiskLimits(arbs_open_max=3, orders_per_minute_max=2000, drawdown_max=Decimal(10**6),
                              loss_day_max=Decimal(10**6), counterparty_share_max=Decimal("0.9")),
            execution=ExecutionPolicy(hedge_slippage_bps=Decimal(50), hedge_tries_max=6),
            strategy=strategy,
            **parts,
        )  # fmt: skip

    def strikes(self, fault: str) -> bool:
        """Return whether a fault happens now, and count it."""
        happens = not self.healed and self.rng.random() < self.rates[fault]
        self.hits[fault] += happens
        return happens

    def after(self, ms: float, action: Callable[[], None]) -> None:
        """Do something later."""
        self.order += 1
        heapq.heappush(self.heap, (self.now_ns + int(ms * MS), self.order, action))

    def give(self, event: Event) -> list[str]:
        """Step the engine, remembering the books it saw, for replay."""
        market = self.market
        self.books_log.append(tuple(dict(part) for part in (market.books, market.valid, market.recv, market.venue)))
        return super().give(event)

    def later(self, ms: float, event: Event) -> None:
        """Give the engine an event later."""
        self.after(ms, lambda: self.give(event))

    def _do(self, command: object) -> list[str]:
        words = super()._do(command)
        match command:
            case SubmitOrder():
                self.receive(command.approved.intent)
            case QueryOrder():
                self.after(self.rng.uniform(1, 50), lambda: self.answer_query(command))
            case CancelOrder():
                self.after(self.rng.uniform(1, 50), lambda: self.cancel(command.client_order_id))
            case CancelAllOrders():
                for order in [o for o in self.truth.values() if o.intent.venue == command.venue]:
                    self.cancel(order.intent.client_order_id)
        return words

    def receive(self, intent: OrderIntent) -> None:
        """Take a request off the wire, or lose it."""
        mine = intent.client_order_id
        self.sends[mine] = self.sends.get(mine, 0) + 1
        self.later(0, OrderSent(client_order_id=mine))
        ms = self.rng.uniform(1, 80)
        unknown = RequestOutcomeUnknown(client_order_id=mine, request="submit", detail="timeout")
        if self.strikes("lost_request"):
            self.later(1000, unknown)
        elif self.strikes("reject"):
            self.later(ms, OrderRejected(client_order_id=mine, code=RejectCode.OTHER, detail="no"))
        elif self.strikes("lands_late"):
            self.later(1000, unknown)
            self.after(self.rng.uniform(1000, 8000), lambda: self.match(intent, answer=False))
        else:
            answer = not self.strikes("lost_response")
            self.after(ms, lambda: self.match(intent, answer=answer))
            if not answer:
                self.later(1000, unknown)

    def match(self, intent: OrderIntent, *, answer: bool) -> None:
        """Execute an IOC at the venue and tell of it, more or less."""
        mine = intent.client_order_id
        order = self.truth[mine] = VenueOrder(intent, VenueOrderId(f"V-{mine}"))
        order.visible_ns = self.now_ns + (int(self.rng.uniform(0, 5000)) * MS if self.strikes("hidden") else 0)
        share = 1
        if self.strikes("none_filled"):
            share = 0
        elif self.strikes("partial"):
            share = Decimal(self.rng.randint(1, 9)) / 10
        qty = (intent.qty * share).quantize(self.engine.state.instruments[intent.instrument].qty_step)
        parts = [qty / 2, qty - qty / 2] if self.rng.random() < 0.3 else [qty]
        order.fills = [self.make_fill(intent, order.id, part) for part in parts if part]
        order.state = OrderState.FILLED if order.filled == intent.qty else OrderState.CANCELED
        self.tell(order, answer=answer)

    def tell(self, order: VenueOrder, *, answer: bool) -> None:
        """Send the acceptance, the fills and the end, in a more or less sensible order."""
        mine = order.intent.client_order_id
        if answer:
            wait = 500 if self.strikes("late_ack") else self.rng.uniform(0, 5)
            self.later(wait, OrderAccepted(client_order_id=mine, venue_order_id=order.id))
        if self.strikes("stream_silent"):
            return
        for fill in order.fills:
            wait = 3000 if self.strikes("cancel_overtakes_fill") else self.rng.uniform(0, 20)
            self.later(wait, OrderFilled(fill=fill))
            if self.strikes("dup_fill"):
                self.later(self.rng.uniform(0, 40_000), OrderFilled(fill=fill))
        if order.state is OrderState.CANCELED:
            kind = self.rng.choice((OrderCanceled, OrderExpired))
            self.later(self.rng.uniform(0, 25), kind(client_order_id=mine, filled_qty=order.filled))

    def make_fill(self, intent: OrderIntent, order_id: VenueOrderId, qty: Decimal) -> Fill:
        """Make a fill at the limit price."""
        self.trades += 1
        return Fill(
            venue=intent.venue, instrument=intent.instrument, base=intent.base, quote=intent.quote,
            client_order_id=intent.client_order_id, venue_order_id=order_id, trade_id=TradeId(f"T{self.trades}"),
            side=intent.side, qty=qty, price=intent.limit_price,
            fee=Amount(qty * intent.limit_price * FEE, intent.quote), liquidity=Liquidity.TAKER,
            venue_ts_ns=self.now_ns,
        )  # fmt: skip

    def answer_query(self, query: QueryOrder) -> None:
        """Tell what the venue lists about an order now, or fail to."""
        if self.strikes("query_fails"):
            return
        order = self.truth.get(query.client_order_id)
        if order is None or order.visible_ns > self.now_ns:
            state, venue_order_id, filled = OrderState.UNKNOWN, None, Decimal(0)
        else:
            for fill in order.fills:
                self.give(OrderFilled(fill=fill))
            state, venue_order_id, filled = order.state, order.id, order.filled
        self.give(
            OrderStatusReported(
                client_order_id=query.client_order_id, state=state, venue_order_id=venue_order_id, filled_qty=filled,
                sources=2, asked_ts_ns=self.now_ns,
            )
        )  # fmt: skip

    def cancel(self, mine: ClientOrderId) -> None:
        """Cancel: every order here is an IOC, so there is nothing left to cancel."""

    def move_books(self) -> None:
        """Move every book a little; sometimes apart from one another by more than the fees."""
        for venue in self.config_venues():
            instrument = self.instruments[venue]
            middle = 1000 + self.rng.choice((0, 0, 0, self.rng.randint(-60, 60)))
            bids = " ".join(f"{(middle - 1 - i) / 10}x{self.rng.randint(1, 4)}" for i in range(5))
            asks = " ".join(f"{(middle + 1 + i) / 10}x{self.rng.randint(1, 4)}" for i in range(5))
            self.market.set(instrument.id, self.now_ns, bids, asks)
        self.give(BooksMoved(instruments=tuple(i.id for i in self.instruments.values())))

    def config_venues(self) -> tuple[VenueId, ...]:
        """Return the venues."""
        return self.engine.state.config.venues

    def run(self, seconds: int, *, moving: bool) -> None:
        """Let virtual time pass: market moves, deliveries and timers in their order."""
        until = self.now_ns + seconds * 1000 * MS
        next_move = self.now_ns + 100 * MS
        while True:
            key, at = min(self.timers.items(), key=lambda item: (item[1], item[0]), default=("", until + 1))
            delivery = self.heap[0][0] if self.heap else until + 1
            now = min(max(at, self.now_ns), delivery, next_move)
            if now > until:
                break
            self._pass(max(now, self.now_ns))
            if now == delivery:
                heapq.heappop(self.heap)[2]()
            elif now == next_move:
                if moving:
                    self.move_books()
                next_move += 100 * MS
            else:
                del self.timers[key]
                self.give(TimerFired(key=key))
        self._pass(until)

    def chaos_then_rest(self, seconds: int = 20) -> None:
        """Safety, then liveness: faults while the market moves, then a healed world in which everything must end."""
        self.run(seconds, moving=True)
        self.healed = True
        self.line("operator pause")
        for order in self.truth.values():
            order.visible_ns = min(order.visible_ns, self.now_ns)
        self.run(120, moving=False)


def problems(world: FaultyWorld) -> list[str]:
    """Return every way in which the engine and the venues' truth disagree, now that all is at rest."""
    state = world.engine.state
    found = [f"order sent {n} times: {o}" for o, n in world.sends.items() if n != 1]
    found += [f"no end: {o.intent.client_order_id} {o.state}" for o in state.live.values()]
    true_delta = sum((f.base_delta for o in world.truth.values() for f in o.fills), Decimal(0))
    if state.net_delta(next(iter(world.instruments.values())).base) != true_delta:
        found.append(f"net delta {state.net_delta('BTC')} but the venues say {true_delta}")  # type: ignore[arg-type]
    for venue in world.config_venues():
        for asset in ("BTC", "USD"):
            start = Decimal(10) if asset == "BTC" else Decimal(10000)
            delta = sum(
                ((f.base_delta if asset == "BTC" else f.quote_delta)
                 for o in world.truth.values() if o.intent.venue == venue for f in o.fills), Decimal(0),
            )  # fmt: skip
            ours = state.venue(venue).totals[asset]  # type: ignore[index]
            if ours != start + delta:
                found.append(f"{venue} {asset}: {ours}, truth {start + delta}")
    open_arbs = [a for a in state.unfinished.values() if a.state != "stranded"]
    found += [f"arb without an end: {a.id} {a.state}" for a in open_arbs]
    if not state.stranded_arbs() and abs(true_delta) >= Decimal("0.1"):
        found.append(f"naked {true_delta} and nobody knew")
    return found
