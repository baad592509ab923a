"""One pretend venue of a replay on hand-written books: a virtual clock, and what it told and took."""

from __future__ import annotations

import random
from decimal import Decimal

from arbot.domain.commands import CancelOrder, QueryOrder
from arbot.domain.events import OrderFilled
from arbot.domain.ids import ArbId, Asset, ClientOrderId, InstrumentId, VenueId
from arbot.domain.instrument import Instrument
from arbot.domain.order import Approved, OrderIntent, Purpose, Side, TimeInForce
from arbot.engine.market_view import BookState, Level
from arbot.runtime.clock import VirtualClock
from arbot.sim.latency import FixedDelay
from arbot.sim.replayed import ReplayedVenue
from arbot.sim.venue_model import VenueModel, fixed_fees

D = Decimal
MS = 1_000_000
VENUE = VenueId("kraken")
ID = InstrumentId("BTC/USD@kraken")
BTC, USD = Asset("BTC"), Asset("USD")
START_NS = 1_000_000_000_000

INSTRUMENT = Instrument(
    id=ID,
    venue=VENUE,
    symbol="BTC/USD",
    venue_symbol="XXBTZUSD",
    base=BTC,
    quote=USD,
    tick_size=D("0.1"),
    qty_step=D("0.001"),
    price_decimals=1,
    qty_decimals=8,
    qty_min=D("0.001"),
    notional_min=D("0.5"),
    qty_max=D(50),
)

ASKS = (("100.0", "1"), ("100.5", "2"))
BIDS = (("99.5", "1"), ("99.0", "2"))


class Market:
    """One book that can be written anew and from which can be taken. Sides are named as a trader meets them."""

    def __init__(self, bids=BIDS, asks=ASKS, is_valid=True) -> None:
        self.sides: dict[Side, dict[Decimal, Decimal]] = {}
        self.is_valid = is_valid
        self.write(bids, asks)

    def write(self, bids=None, asks=None) -> None:
        for side, levels in ((Side.BUY, asks), (Side.SELL, bids)):
            if levels is not None:
                self.sides[side] = {D(price): D(qty) for price, qty in levels}

    def take(self, instrument, side, price, qty) -> None:
        left = self.sides[side][price] - qty
        assert left >= 0
        self.sides[side][price] = left
        if not left:
            del self.sides[side][price]

    def state(self, instrument):
        return BookState(self.is_valid, 1, 1)

    def best(self, instrument, side):
        return next(iter(self.levels(instrument, side, 1)), None)

    def levels(self, instrument, side, depth):
        rows = sorted(self.sides[side].items(), reverse=side is Side.SELL)
        return tuple(Level(price, qty) for price, qty in rows[:depth])


class ReplayWorld:
    """A venue with 40 ms to it and 20 ms back, 100000 USD and 100 BTC, unless a test says otherwise."""

    def __init__(self, *, market=None, usd="100000", btc="100", seed=1, **changes) -> None:
        fields = {
            "request": FixedDelay(ms=40),
            "answer": FixedDelay(ms=20),
            "fees": fixed_fees(D("0.0025"), D("0.004")),
        }
        self.clock = VirtualClock(START_NS)
        self.market = market or Market()
        self.told: list[tuple[int, tuple]] = []  # (ms since the start, events)
        self.taken: list[tuple[str, str, str]] = []
        self.venue = ReplayedVenue(
            venue=VENUE,
            market=self.market,
            instruments=(INSTRUMENT,),
            model=VenueModel(**(fields | changes)),
            balances={USD: D(usd), BTC: D(btc)},
            chance=random.Random(seed),
            now_ns=self.clock.now_ns,
            after=lambda delay_ns, call: self.clock.call_at(self.clock.now_ns() + delay_ns, call),
            tell=self._tell,
            consume=self._consume,
        )

    def _tell(self, events) -> None:
        self.told.append(((self.clock.now_ns() - START_NS) // MS, events))

    def _consume(self, instrument, side, price, qty) -> None:
        self.taken.append((str(side), str(price), str(qty)))
        self.market.take(instrument, side, price, qty)

    def pass_ms(self, count: int) -> None:
        self.clock.advance_to(self.clock.now_ns() + count * MS)

    def submit(self, number=1, **changes):
        """Send an order, wait for its answer, and return the events that were told meanwhile."""
        before = len(self.told)
        self.venue.submit(order(number, **changes))
        self.pass_ms(100)
        return self.events(before)

    def events(self, since=0):
        return [event for _, events in self.told[since:] for event in events]

    def fills(self, since=0):
        return [(e.fill.price, e.fill.qty) for e in self.events(since) if isinstance(e, OrderFilled)]

    def ms_told(self):
        return [ms for ms, _ in self.told]


def name_of(number: int) -> ClientOrderId:
    return ClientOrderId(f"ab{number:013d}")


def order(number=1, side=Side.BUY, qty="1", price="101", tif=TimeInForce.IOC, deadline_ns=START_NS * 2):
    """Return an approved order to buy one BTC at 101, immediate or cancel, with changes."""
    intent = OrderIntent(
        client_order_id=name_of(number),
        arb_id=ArbId("1-1"),
        purpose=Purpose.LEG,
        venue=VENUE,
        instrument=ID,
        symbol="BTC/USD",
        base=BTC,
        quote=USD,
        side=side,
        qty=D(qty),
        limit_price=D(price),
        tif=tif,
        fee_rate=D("0.004"),
        decided_ts_ns=1,
        deadline_ns=deadline_ns,
    )
    return Approved(intent, ("test",))


def query(number=1):
    return QueryOrder(
        client_order_id=name_of(number), venue=VENUE, instrument=ID, venue_order_id=None, since_ns=START_NS
    )


def cancel(number=1):
    return CancelOrder(client_order_id=name_of(number), venue=VENUE, instrument=ID, venue_order_id=None)
