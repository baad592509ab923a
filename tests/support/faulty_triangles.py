"""Faulty venues between which money can go round: each lists ether in bitcoin, ether in dollars and bitcoin in dollars."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from arbot.domain.events import BooksMoved
from arbot.domain.ids import Asset, VenueOrderId
from arbot.domain.order import Fill, OrderIntent
from arbot.domain.units import Amount
from strategies.triangular import Triangular
from tests.support.engine_world import an_instrument
from tests.support.faulty_venues import FaultyWorld

VENUES = ("kraken", "coinbase", "bitstamp")
START = {"BTC": Decimal(10), "USD": Decimal(20000), "ETH": Decimal(200)}
LEAST = {"BTC": Decimal("0.001"), "ETH": Decimal("0.1")}
BITCOIN = {"tick_size": Decimal("0.5"), "qty_step": Decimal("0.001"), "qty_min": Decimal("0.001")}


class FaultyTriangles(FaultyWorld):
    """Fees are taken in quote, base or a third asset, as it happens."""

    def __init__(self, seed: int) -> None:
        listed = [
            one
            for venue in VENUES
            for one in (
                an_instrument(venue, "ETH/BTC", tick_size=Decimal("0.0001"), price_decimals=4),
                an_instrument(venue, "ETH/USD", tick_size=Decimal("0.05"), price_decimals=2),
                an_instrument(venue, "BTC/USD", **BITCOIN),
            )
        ]
        super().__init__(
            seed,
            Triangular({"across": True}),
            instruments=tuple(listed),
            balances={asset: str(total) for asset, total in START.items()},
        )

    def make_fill(self, intent: OrderIntent, order_id: VenueOrderId, qty: Decimal) -> Fill:
        """Make a fill at the limit price, its fee in any asset."""
        fill = super().make_fill(intent, order_id, qty)
        fee = self.rng.choice(
            (
                fill.fee,
                fill.fee,
                Amount(qty * Decimal("0.001"), intent.base),
                Amount(Decimal("0.3"), Asset("BNB")),
                Amount(-fill.fee.number, intent.quote),
            )
        )
        return msgspec.structs.replace(fill, fee=fee)

    def move_books(self) -> None:
        """Move every book a little; sometimes one apart from what the others imply, by more than three fees."""
        for one in self.listed:
            middle = {"ETH/BTC": 500, "ETH/USD": 2000, "BTC/USD": 4000}[one.symbol]
            middle += self.rng.choice((0, 0, 0, self.rng.randint(-middle // 60, middle // 60)))
            bids = " ".join(f"{(middle - 1 - i) * one.tick_size}x{self.rng.randint(1, 4)}" for i in range(5))
            asks = " ".join(f"{(middle + 1 + i) * one.tick_size}x{self.rng.randint(1, 4)}" for i in range(5))
            self.market.set(one.id, self.now_ns, bids, asks)
        self.give(BooksMoved(instruments=tuple(one.id for one in self.listed)))


def problems(world: FaultyTriangles) -> list[str]:
    """Return every way in which the engine and the venues' truth disagree, now that all is at rest."""
    state = world.engine.state
    fills = [fill for order in world.truth.values() for fill in order.fills]
    found = [f"order sent {n} times: {o}" for o, n in world.sends.items() if n != 1]
    found += [f"no end: {o.intent.client_order_id} {o.state}" for o in state.live.values()]
    for name, least in LEAST.items():
        asset = Asset(name)
        truth = sum((fill.delta(asset) for fill in fills), Decimal(0))
        if state.net_delta(asset) != truth:
            found.append(f"net delta {state.net_delta(asset)} {name} but the venues say {truth}")
        if state.net_delta_worst(asset) != abs(truth):
            found.append(f"worst {state.net_delta_worst(asset)} {name} with nothing live")
        if not state.stranded_arbs() and abs(truth) >= least:
            found.append(f"naked {truth} {name} and nobody knew")
    for venue in world.config_venues():
        for name, start in START.items():
            truth = start + sum((fill.delta(Asset(name)) for fill in fills if fill.venue == venue), Decimal(0))
            if state.venue(venue).totals[Asset(name)] != truth:
                found.append(f"{venue} {name}: {state.venue(venue).totals[Asset(name)]}, truth {truth}")
    found += [f"arb without an end: {a.id} {a.state}" for a in state.unfinished.values() if a.state != "stranded"]
    return found
