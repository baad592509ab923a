"""What a restart makes of an arb with a conversion: both assets are counted, whichever order is told first."""

from __future__ import annotations

import itertools
from decimal import Decimal

import pytest

from arbot.domain.events import OrderRestored
from arbot.domain.ids import Asset
from tests.support.engine_world import World, play
from tests.support.triangle_world import BUYING, SELLING, triangle_world


def restarted(opening: str, table: str, order: tuple[int, ...]) -> World:
    """Return the next run's world, with the same books, and the last run's orders told in that order."""
    before = triangle_world()
    play(before, opening)
    play(before, table)
    world = triangle_world(epoch=2)
    for instrument in world.listed:
        for part in ("books", "valid", "recv", "venue"):
            getattr(world.market, part)[instrument.id] = getattr(before.market, part)[instrument.id]
    known = list(before.engine.state.orders.values())
    for place in order:
        one = known[place]
        world.intents.append(one.intent)
        world.give(
            OrderRestored(
                intent=one.intent,
                state=one.state,
                venue_order_id=one.venue_order_id,
                fills=tuple(one.fills.values()),
            )
        )
    return world


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_both_assets_come_back_whatever_is_told_first(order: tuple[int, ...]) -> None:
    """Know base, both quotes, the conversion and what is open of each, after orders in any order."""
    world = restarted(BUYING, "kraken filled 1 @0.05\nbitstamp unknown -> bitstamp query", order)
    (arb,) = world.engine.state.arbs.values()

    assert ("ETH", "BTC", "USD") == (arb.base, arb.foreign, arb.quote)
    assert ("ETH/BTC@kraken", "ETH/USD@coinbase", "BTC/USD@bitstamp") == arb.instruments
    assert arb.conversion is not None
    assert ("buy", Decimal("0.05"), Decimal(2000)) == (arb.conversion.side, arb.conversion.qty, arb.conversion.price)
    assert Decimal(1) == world.engine.state.net_delta(Asset("ETH"))
    assert Decimal("-0.05") == world.engine.state.net_delta(Asset("BTC"))


def test_what_was_left_open_is_worked_under_new_names() -> None:
    """Ask about the legs in doubt, then complete the arb as the last run would have, with order ids no run has used."""
    world = restarted(BUYING, "kraken filled 1 @0.05\nbitstamp unknown -> bitstamp query", (0, 1, 2))
    play(
        world,
        """
coinbase reported canceled 0
bitstamp reported canceled 0     -> coinbase sell 1 @100.9 hedge; bitstamp buy 0.05 @2003 hedge
coinbase filled 1 @101.0
bitstamp filled 0.05 @2000       -> flat 1
""",
    )
    names = [intent.client_order_id for intent in world.intents[3:]]

    assert ["ab0002", "ab0002"] == [name[:6] for name in names]
    assert ["2", "3"] == [name[12] for name in names]


def test_a_hedge_of_the_foreign_quote_comes_back_as_one() -> None:
    """Take a restored order that worked the bitcoin for what it was, not for an arb in bitcoin."""
    table = """
coinbase filled 1 @100.0
kraken   filled 1 @0.0505
bitstamp rejected other          -> bitstamp sell 0.05 @1997 hedge
"""
    world = restarted(SELLING, table, (0, 1, 2, 3))
    play(world, "bitstamp reported filled 0.05 -> bitstamp query\nbitstamp filled 0.05 @2000 -> flat 1 foreign 0.0005")

    assert Decimal("0.0005") == world.engine.state.net_delta(Asset("BTC"))
