"""Worlds in which money can go round: ether in bitcoin, ether in dollars, bitcoin in dollars, each on a venue of its own.

Steps are coarse on purpose: ether 0.1, bitcoin 0.001 at about 2000 dollars. Fees are 10 bps a leg unless a line says
otherwise. `BUYING` has ether cheap in bitcoin, so that bitcoin is bought; `SELLING` has it dear, so that bitcoin is sold.
"""

from __future__ import annotations

from decimal import Decimal

from arbot.domain.instrument import Instrument
from strategies.triangular import Triangular
from tests.support.engine_world import World, an_instrument, play

BALANCES = {"BTC": "10", "USD": "20000", "ETH": "200"}
BUYING = """
kraken   book bid 0.0499x20 ask 0.05x20
bitstamp book bid 1999x5 ask 2000x5
coinbase book bid 101.0x1 ask 101.2x3     -> kraken buy 1 @0.05; coinbase sell 1 @101; bitstamp buy 0.05 @2000
"""
SELLING = """
kraken   book bid 0.0505x20 ask 0.0506x20
bitstamp book bid 2000x5 ask 2001x5
coinbase book bid 99.8x3 ask 100.0x1      -> coinbase buy 1 @100; kraken sell 1 @0.0505; bitstamp sell 0.05 @2000
"""


def instruments(*venues: str) -> tuple[Instrument, ...]:
    """Return one instrument a venue; a fourth and fifth venue list ether in dollars and bitcoin in dollars again."""
    ether_in_bitcoin = {"tick_size": Decimal("0.0001"), "price_decimals": 4}
    bitcoin = {"tick_size": Decimal(1), "qty_step": Decimal("0.001"), "qty_min": Decimal("0.001"), "price_decimals": 0}
    known = {
        "kraken": an_instrument("kraken", "ETH/BTC", **ether_in_bitcoin),
        "coinbase": an_instrument("coinbase", "ETH/USD"),
        "bitstamp": an_instrument("bitstamp", "BTC/USD", **bitcoin),
        "gemini": an_instrument("gemini", "ETH/USD"),
        "okx": an_instrument("okx", "BTC/USD", **bitcoin),
    }
    return tuple(known[venue] for venue in venues)


def triangle_world(*venues: str, **changes: object) -> World:
    """Return a world of the three venues, or of those named."""
    venues = venues or ("kraken", "coinbase", "bitstamp")
    values: dict[str, object] = {
        "instruments": instruments(*venues),
        "balances": BALANCES,
        "strategy": Triangular({"across": True}),
    }
    return World(venues, **(values | changes))  # type: ignore[arg-type]


def played(table: str, opening: str = BUYING, **changes: object) -> World:
    """Return a world in which an arb was opened and the table came out as it says."""
    world = triangle_world(**changes)  # type: ignore[arg-type]
    play(world, opening)
    play(world, table)
    return world
