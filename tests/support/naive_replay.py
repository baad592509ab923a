"""A replay as one would write it on one page: dictionaries, a list of things to do, and the engine asked at every message.

It shares the engine with the real one, and nothing else: no scanner, no sequencer, no compiled book, no pretend venue.
Fixed delays, no chance, no rate limits, takers only, no funding: what both must agree on.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from arbot.backtest.replay import Terms
from arbot.backtest.stock import Stock
from arbot.domain.book import BookState, Level
from arbot.domain.commands import CancelTimer, QueryOrder, SetTimer, StopRun, SubmitOrder
from arbot.domain.events import (
    AccountSnapshotReceived,
    BooksMoved,
    ClockSkewMeasured,
    Envelope,
    Event,
    FeedConnected,
    FeesLoaded,
    InstrumentsLoaded,
    OperatorRequested,
    OrderAccepted,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSent,
    ReconciliationEnded,
    RejectCode,
    RunStarted,
    Stream,
    TimerFired,
    Verb,
)
from arbot.domain.ids import Asset, InstrumentId, RunId, TradeId, VenueOrderId
from arbot.domain.instrument import Balance, FeeRate, Instrument
from arbot.domain.order import Fill, Liquidity, OrderIntent, Side
from arbot.domain.units import WIDE, Amount
from arbot.engine.engine import Engine
from arbot.market.stream import BOOK_SHIFT, IS_LAST, KIND_MASK, Kind


@dataclass
class NaiveBook:
    """One book: what the recording shows, and what we took of levels that it has not set since."""

    instrument: Instrument
    depth: int
    sides: dict[Side, dict[Decimal, Decimal]] = field(default_factory=lambda: {Side.BUY: {}, Side.SELL: {}})
    taken: dict[tuple[Side, Decimal], tuple[Decimal, Decimal]] = field(default_factory=dict)
    is_synced: bool = False
    recv_ts_ns: int = 0
    venue_ts_ns: int = 0

    def best_first(self, side: Side) -> list[Decimal]:
        """Return the prices of bids (BUY) or asks (SELL), best first."""
        return sorted(self.sides[side], reverse=side is Side.BUY)

    def apply(self, kind: int, rows: list[tuple[int, int]], recv_ts_ns: int, venue_ts_ns: int) -> None:
        """Apply a message."""
        if kind == Kind.CLEAR:
            self.sides, self.is_synced = {Side.BUY: {}, Side.SELL: {}}, False
        if kind not in (Kind.SNAPSHOT, Kind.DELTA) or (kind == Kind.DELTA and not self.is_synced):
            if kind == Kind.ALIVE and self.is_synced:
                self.recv_ts_ns = recv_ts_ns
            return
        if kind == Kind.SNAPSHOT:
            self.sides, self.is_synced = {Side.BUY: {}, Side.SELL: {}}, True
        for key, qty in rows:
            side = Side.BUY if key > 0 else Side.SELL
            price = Decimal(abs(key)).scaleb(-self.instrument.price_decimals)
            self.sides[side].pop(price, None)
            if qty:
                self.sides[side][price] = Decimal(qty).scaleb(-self.instrument.qty_decimals)
            if kind == Kind.DELTA:
                self.taken.pop((side, price), None)
        for side in Side:
            for price in self.best_first(side)[self.depth or None :]:
                del self.sides[side][price]
        if kind == Kind.SNAPSHOT:
            for (side, price), (shown, ours) in list(self.taken.items()):
                if self.sides[side].get(price) == shown:
                    self._reduce(side, price, shown - ours)
                else:
                    del self.taken[side, price]
        self.recv_ts_ns, self.venue_ts_ns = recv_ts_ns, venue_ts_ns or recv_ts_ns

    def take(self, side: Side, price: Decimal, qty: Decimal) -> None:
        """Take out of a level of bids (BUY) or asks (SELL) until the recording sets it again."""
        shown, ours = self.taken.get((side, price), (self.sides[side][price], Decimal(0)))
        self.taken[side, price] = (shown, ours + qty)
        self._reduce(side, price, self.sides[side][price] - qty)

    def _reduce(self, side: Side, price: Decimal, qty: Decimal) -> None:
        if qty:
            self.sides[side][price] = qty
        else:
            del self.sides[side][price]

    @property
    def is_valid(self) -> bool:
        """Whether both sides are there and do not cross."""
        bids, asks = self.sides[Side.BUY], self.sides[Side.SELL]
        return self.is_synced and bool(bids) and bool(asks) and max(bids) < min(asks)


class NaiveReplay:
    """`run` plays everything; `orders` and `fills` say what was done."""

    def __init__(self, stock: Stock, terms: Terms, request_ns: int, answer_ns: int) -> None:
        self.terms, self.stock, self.delays = terms, stock, (request_ns, answer_ns)
        self.books = [NaiveBook(one.instrument, one.depth) for one in stock.streams]
        self.by_id = {book.instrument.id: book for book in self.books}
        self.engine = Engine(terms.config, terms.strategy, self)
        self.held = {venue: dict(balances) for venue, balances in terms.balances.items()}
        self.now_ns = self.seq = self.number = 0
        self.todo: list[tuple[int, int, Callable[[], None]]] = []
        self.timers: dict[str, int] = {}
        self.orders: list[tuple[int, OrderIntent]] = []
        self.fills: list[tuple[int, Fill]] = []
        self.is_stopped = False

    # the MarketView

    def state(self, instrument: InstrumentId) -> BookState:
        """Return what is known of a book."""
        book = self.by_id[instrument]
        return BookState(book.is_valid, book.recv_ts_ns, book.venue_ts_ns)

    def levels(self, instrument: InstrumentId, side: Side, depth: int) -> tuple[Level, ...]:
        """Return the levels met when trading on a side."""
        book = self.by_id[instrument]
        return tuple(Level(price, book.sides[side.opposite][price]) for price in book.best_first(side.opposite)[:depth])

    def best(self, instrument: InstrumentId, side: Side) -> Level | None:
        """Return the first of them."""
        return next(iter(self.levels(instrument, side, 1)), None)

    # the loop

    def run(self) -> None:
        """Play all rows, then finish what is open."""
        some: list[tuple[int, int]] = []
        for chunk in self.stock.chunks():
            for recv, venue, key, qty, tag in zip(*(column.tolist() for column in chunk), strict=True):
                if not self.seq:
                    self.begin(recv - 1)
                some.append((key, qty))
                if tag & IS_LAST:
                    self.message(recv, venue, self.books[tag >> BOOK_SHIFT], tag & KIND_MASK, some)
                    some = []
        self.give(OperatorRequested(verb=Verb.DRAIN, actor="backtest", reason="the tape has ended"))
        end_ns = self.now_ns + 60_000_000_000
        while self.todo and self.todo[0][0] <= end_ns and not self.is_stopped:
            self.do_next()

    def begin(self, ts_ns: int) -> None:
        """Tell the engine all it has to know."""
        self.now_ns = ts_ns
        self.give(
            RunStarted(run_id=RunId("x"), epoch=1, code_version="", config_digest="", mode="backtest"),
        )
        for venue in self.terms.config.venues:
            mine = tuple(book.instrument for book in self.books if book.instrument.venue == venue)
            tier = self.terms.models[venue].fees.tiers[0]
            self.give(InstrumentsLoaded(venue=venue, instruments=mine))
            self.give(
                FeesLoaded(
                    venue=venue,
                    fees=tuple(FeeRate(instrument=one.id, maker=tier.maker, taker=tier.taker) for one in mine),
                )
            )
            self.give(FeedConnected(venue=venue, stream=Stream.MARKET))
            self.give(FeedConnected(venue=venue, stream=Stream.ACCOUNT))
            self.give(ClockSkewMeasured(venue=venue, skew_ms=0, rtt_ms=0))
            balances = tuple(Balance(asset=asset, total=total) for asset, total in sorted(self.held[venue].items()))
            self.give(AccountSnapshotReceived(venue=venue, balances=balances))
            self.give(ReconciliationEnded(venue=venue, differences=0))

    def message(self, recv: int, venue: int, book: NaiveBook, kind: int, rows: list[tuple[int, int]]) -> None:
        """Do what was due before the message, apply it, and ask the engine; all messages of one time come before its deeds."""
        while self.todo and self.todo[0][0] < recv:
            self.do_next()
        book.apply(kind, rows, recv, venue)
        self.now_ns = recv
        if kind != Kind.TRADE:
            self.give(BooksMoved(instruments=(book.instrument.id,)))

    def do_next(self) -> None:
        """Do the next thing that is due."""
        due_ns, _, action = heapq.heappop(self.todo)
        self.now_ns = max(self.now_ns, due_ns)
        action()

    def later(self, delay_ns: int, action: Callable[[], None]) -> None:
        """Do something later; of two things at one time the first that was planned goes first."""
        self.number += 1
        heapq.heappush(self.todo, (self.now_ns + delay_ns, self.number, action))

    def give(self, event: Event) -> None:
        """Step the engine and do what it wants."""
        self.seq += 1
        for command in self.engine.step(Envelope(self.seq, self.now_ns, event)).commands:
            match command:
                case SubmitOrder():
                    intent = command.approved.intent
                    self.orders.append((self.now_ns, intent))
                    self.later(self.delays[0], lambda one=intent: self.arrive(one))
                    self.give(OrderSent(client_order_id=intent.client_order_id))
                case SetTimer():
                    self.timers[command.key] = command.at_ns
                    wait_ns = max(0, command.at_ns - self.now_ns)
                    self.later(wait_ns, lambda key=command.key, at=command.at_ns: self.fire(key, at))
                case CancelTimer():
                    self.timers.pop(command.key, None)
                case StopRun():
                    self.is_stopped = True
                case QueryOrder():
                    raise AssertionError(f"nothing here is ever in doubt: {command}")
                case _:
                    pass

    def fire(self, key: str, at_ns: int) -> None:
        """Fire a timer that was neither moved nor cancelled."""
        if self.timers.get(key) == at_ns:
            del self.timers[key]
            self.give(TimerFired(key=key))

    # the venue

    def arrive(self, intent: OrderIntent) -> None:
        """Match an order that takes what it can at once, and answer."""
        name, book = intent.client_order_id, self.by_id[intent.instrument]
        held, rate = self.held[intent.venue], self.terms.models[intent.venue].fees.tiers[0].taker
        asset, needed = (
            (intent.quote, intent.qty * intent.limit_price * (1 + rate))
            if intent.side is Side.BUY
            else (intent.base, intent.qty)
        )
        if held[asset] < needed:
            self.answer([OrderRejected(client_order_id=name, code=RejectCode.INSUFFICIENT_FUNDS, detail="")])
            return
        told: list[Event] = [OrderAccepted(client_order_id=name, venue_order_id=VenueOrderId(f"replay-{name}"))]
        left = intent.qty if book.is_valid else Decimal(0)
        filled = Decimal(0)
        against = intent.side.opposite
        for price in book.best_first(against):
            if not left or (price - intent.limit_price) * intent.side.sign > 0:
                break
            qty = min(left, book.sides[against][price])
            qty -= qty % book.instrument.qty_step
            if not qty:
                continue
            fee = WIDE.multiply(WIDE.multiply(qty, price), rate)
            fill = Fill(
                venue=intent.venue, instrument=intent.instrument, base=intent.base, quote=intent.quote,
                client_order_id=name, venue_order_id=VenueOrderId(f"replay-{name}"),
                trade_id=TradeId(f"{name}-{len(told)}"), side=intent.side, qty=qty, price=price,
                fee=Amount(fee, Asset(intent.quote)), liquidity=Liquidity.TAKER, venue_ts_ns=self.now_ns,
            )  # fmt: skip
            told.append(OrderFilled(fill=fill))
            self.fills.append((self.now_ns, fill))
            held[intent.base] += fill.base_delta
            held[intent.quote] += fill.quote_delta
            left, filled = left - qty, filled + qty
        if self.terms.models[intent.venue].consumes:
            for event in told[1:]:
                assert isinstance(event, OrderFilled)
                book.take(against, event.fill.price, event.fill.qty)
        if filled < intent.qty:
            told.append(OrderExpired(client_order_id=name, filled_qty=filled))
        self.answer(told)

    def answer(self, events: list[Event]) -> None:
        """Tell later, all at once."""

        def tell() -> None:
            for event in events:
                self.give(event)

        self.later(self.delays[1], tell)
