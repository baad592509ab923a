"""Every outcome of every step of an arb of two legs and of a quote, times what venues do next: flat, or stranded by name.

What the engine says is open is compared, to the last unit, with fills that are counted here.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from arbot.domain.decisions import ArbState, ArbStranded
from arbot.domain.events import (
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderStatusReported,
    RejectCode,
    RequestOutcomeUnknown,
)
from arbot.domain.ids import Asset, TradeId, VenueOrderId
from arbot.domain.order import Fill, Liquidity, OrderIntent, OrderState, Side
from arbot.domain.units import Amount
from arbot.engine.state import Arb
from strategies.maker_taker import MakerTaker
from tests.scenario.test_quotes import OPEN, PARAMS, ROUTE
from tests.support.engine_world import World, play
from tests.support.triangle_world import BALANCES, BUYING, SELLING, triangle_world

LEG_OUTCOMES = ("filled", "part", "tiny", "rejected", "expired", "lost", "found", "overtaken", "late")
QUOTE_ENDS = ("canceled", "raced", "overtaken", "late")
FEES = ("quote", "base", "third")
FEE_RATE, FEE_THIRD = Decimal("0.001"), Decimal("0.3")
LEAST = {"BTC": Decimal("0.1")}
LEAST_TRIANGLE = {"ETH": Decimal("0.1"), "BTC": Decimal("0.001")}
START = {"BTC": "20", "USD": "20000", "FEE": "100"}
TINY, SOME = Decimal("0.05"), Decimal("0.3")
LEGS = """
kraken   book bid 100.0x2 ask 100.1x2
coinbase book bid 101.0x1 ask 101.2x3     -> kraken buy 1 @100.1; coinbase sell 1 @101
"""


def change(fill: Fill, asset: str) -> Decimal:
    """Return how a fill changed a balance, counted by hand."""
    sign = 1 if fill.side is Side.BUY else -1
    moved = {fill.base: sign * fill.qty, fill.quote: -sign * fill.qty * fill.price}.get(Asset(asset), Decimal(0))
    return moved - (fill.fee.number if fill.fee.asset == asset else 0)


@dataclass
class Venues:
    """What the venues really did, and how they tell of it."""

    world: World
    fee: str
    start: dict[str, str] = field(default_factory=START.copy)  # at each venue
    least: dict[str, Decimal] = field(default_factory=LEAST.copy)  # that some venue takes, of what has to be flat
    fills: list[Fill] = field(default_factory=list)
    doubtful: list[tuple[OrderIntent, str]] = field(default_factory=list)
    owed: list[tuple[OrderIntent, Decimal]] = field(default_factory=list)  # fills that are told after all has ended

    def fill(self, intent: OrderIntent, qty: Decimal) -> None:
        """Fill some of an order and tell of it."""
        asset, number = {
            "quote": (intent.quote, qty * intent.limit_price * FEE_RATE),
            "base": (intent.base, qty * FEE_RATE),
            "third": (Asset("FEE"), FEE_THIRD),
        }[self.fee]
        fill = Fill(
            venue=intent.venue, instrument=intent.instrument, base=intent.base, quote=intent.quote,
            client_order_id=intent.client_order_id, venue_order_id=VenueOrderId(f"V-{intent.client_order_id}"),
            trade_id=TradeId(f"T{len(self.fills)}"), side=intent.side, qty=qty, price=intent.limit_price,
            fee=Amount(number, asset), liquidity=Liquidity.TAKER, venue_ts_ns=self.world.now_ns,
        )  # fmt: skip
        self.fills.append(fill)
        self.world.give(OrderFilled(fill=fill))

    def end(self, intent: OrderIntent, filled_qty: Decimal) -> None:
        """Tell that an order has ended."""
        kind = OrderCanceled if intent.tif.rests else OrderExpired
        self.world.give(kind(client_order_id=intent.client_order_id, filled_qty=filled_qty))

    def answer(self, intent: OrderIntent, outcome: str) -> None:
        """Let an order come to its outcome."""
        mine, part = intent.client_order_id, (intent.qty * Decimal("0.4")).quantize(Decimal("0.01"))
        if outcome == "filled":
            self.fill(intent, intent.qty)
        elif outcome in ("part", "tiny"):
            qty = part if outcome == "part" else intent.qty / 20
            self.fill(intent, qty)
            self.end(intent, qty)
        elif outcome == "rejected":
            self.world.give(OrderRejected(client_order_id=mine, code=RejectCode.OTHER, detail="no"))
        elif outcome == "overtaken":
            self.end(intent, part)
            self.fill(intent, part)
        elif outcome in ("expired", "late"):
            self.end(intent, Decimal(0))
            if outcome == "late":
                self.owed.append((intent, part))
        else:
            self.world.give(RequestOutcomeUnknown(client_order_id=mine, request="submit", detail="timeout"))
            self.doubtful.append((intent, outcome))

    def clear_doubts(self) -> None:
        """Answer for the orders in doubt after their deadline: nothing was found twice, or it had filled."""
        if self.doubtful:
            self.world.wait("14s")
        for intent, outcome in self.doubtful:
            is_found = outcome == "found"
            if is_found:
                self.fill(intent, intent.qty)
            for _ in range(1 if is_found else 2):
                self.world.give(
                    OrderStatusReported(
                        client_order_id=intent.client_order_id,
                        state=OrderState.FILLED if is_found else OrderState.UNKNOWN,
                        venue_order_id=VenueOrderId(f"V-{intent.client_order_id}") if is_found else None,
                        filled_qty=intent.qty if is_found else Decimal(0),
                        sources=2,
                        asked_ts_ns=self.world.now_ns,
                    )
                )
        self.doubtful.clear()

    def work(self, *, fill: bool) -> None:
        """Answer every order that works a residual the same way, until none comes any more."""
        for _ in range(60):
            live = [order.intent for order in self.world.engine.state.live.values()]
            if not live:
                if not any(arb.state is not ArbState.STRANDED for arb in self.world.engine.state.unfinished.values()):
                    return
                self.world.wait("5s")
            for intent in live:
                self.answer(intent, "filled" if fill else "rejected")
        raise AssertionError("orders without an end")

    def settle(self, *, fill: bool) -> None:
        """Let everything come to its end, then tell what was owed, and let that come to its end."""
        self.clear_doubts()
        self.work(fill=fill)
        for intent, qty in self.owed:
            self.fill(intent, qty)
        self.work(fill=fill)

    def problems(self, *, fill: bool) -> list[str]:
        """Return how the engine differs from the truth, now that all is at rest."""
        state = self.world.engine.state
        found = []
        moved = {asset: sum((change(one, asset) for one in self.fills), Decimal(0)) for asset in self.least}
        for asset, number in moved.items():
            if state.net_delta(Asset(asset)) != number:
                found.append(f"net delta {state.net_delta(Asset(asset))} {asset}, truth {number}")
        for venue, known in state.venues.items():
            for asset, start in self.start.items():
                mine = [change(one, asset) for one in self.fills if one.venue == venue]
                truth = Decimal(start) + sum(mine, Decimal(0))
                if known.totals[Asset(asset)] != truth:
                    found.append(f"{venue} {asset} {known.totals[Asset(asset)]}, truth {truth}")
        stranded: list[Arb] = [arb for arb in state.arbs.values() if arb.state is ArbState.STRANDED]
        told = {one.arb_id for _, out in self.world.log for one in out.decisions if isinstance(one, ArbStranded)}
        if bool(stranded) != any(abs(number) >= self.least[asset] for asset, number in moved.items()) or any(
            arb.id not in told for arb in stranded
        ):
            found.append(f"{moved} is open, and stranded are {[arb.id for arb in stranded]}")
        if fill and stranded:
            found.append("stranded although venues take everything")
        if any(arb.state is not ArbState.STRANDED for arb in state.unfinished.values()):
            found.append("not at rest")
        return found


@pytest.mark.parametrize("fee", FEES)
@pytest.mark.parametrize("fill", [True, False], ids=["then filled", "then refused"])
def test_every_outcome_of_both_legs(fee: str, *, fill: bool) -> None:
    """End flat where venues take what is left, else stranded by name; never naked in silence."""
    wrong = []
    for outcomes in itertools.product(LEG_OUTCOMES, repeat=2):
        world = World(balances=START)
        play(world, LEGS)
        venues = Venues(world, fee)
        for intent, outcome in zip(world.intents[:2], outcomes, strict=True):
            venues.answer(intent, outcome)
        venues.settle(fill=fill)
        wrong += [f"{outcomes}: {one}" for one in venues.problems(fill=fill)]

    assert [] == wrong


def end_quote(venues: Venues, quote: OrderIntent, filled: Decimal, end: str) -> None:
    """Pull the quote and let it end, with a last fill before, across or after the end where something is left."""
    world, last = venues.world, min(SOME, quote.qty - filled)
    world.line("operator pause")
    if not last:
        return
    if end == "raced":
        venues.fill(quote, last)
    venues.end(quote, filled + (last if end in ("raced", "overtaken") else 0))
    if end == "overtaken":
        venues.fill(quote, last)
    elif end == "late":
        venues.owed.append((quote, last))


@pytest.mark.parametrize("end", QUOTE_ENDS)
@pytest.mark.parametrize("fill", [True, False], ids=["then filled", "then refused"])
def test_every_outcome_of_a_quote_and_its_hedge(end: str, *, fill: bool) -> None:
    """Hedge what filled before, while and after the order ended, whatever became of the hedge before that."""
    wrong = []
    steps = itertools.product((Decimal(0), TINY, SOME, Decimal("0.9")), LEG_OUTCOMES, FEES)
    for filled, outcome, fee in steps:
        world = World(ROUTE, strategy=MakerTaker(PARAMS), balances=START)
        play(world, OPEN.partition("kraken   sent")[0])
        (quote,) = world.intents
        world.give(
            OrderAccepted(
                client_order_id=quote.client_order_id, venue_order_id=VenueOrderId(f"V-{quote.client_order_id}")
            )
        )
        venues = Venues(world, fee)
        if filled:
            venues.fill(quote, filled)
        for hedge in world.intents[1:2]:
            venues.answer(hedge, outcome)
        end_quote(venues, quote, filled, end)
        venues.settle(fill=fill)
        wrong += [f"{filled} {outcome} {fee}: {one}" for one in venues.problems(fill=fill)]

    assert [] == wrong


@pytest.mark.parametrize("fee", FEES)
@pytest.mark.parametrize("opening", [BUYING, SELLING], ids=["buying", "selling"])
def test_late_and_overtaken_fills_of_a_triangle(fee: str, opening: str) -> None:
    """Let one leg of three be told of late, out of order or a little, while the others fill or not."""
    wrong = []
    others = tuple(itertools.product(("filled", "expired"), repeat=2))
    for place, outcome, (one, two), fill in itertools.product(
        range(3), ("tiny", "overtaken", "late"), others, (True, False)
    ):
        start = {**BALANCES, "FEE": "100"}
        world = triangle_world(balances=start)
        play(world, opening)
        venues = Venues(world, fee, start, LEAST_TRIANGLE)
        outcomes = [one, two]
        outcomes.insert(place, outcome)
        for intent, said in zip(world.intents[:3], outcomes, strict=True):
            venues.answer(intent, said)
        venues.settle(fill=fill)
        wrong += [f"{outcomes} {fill}: {problem}" for problem in venues.problems(fill=fill)]

    assert [] == wrong
