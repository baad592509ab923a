"""Do health, pegs and news replay? Looks that came to nothing are not journaled, and must not be missed."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from arbot.domain.events import BooksMoved, Envelope, Event
from arbot.domain.ids import Asset, VenueId
from arbot.domain.instrument import Instrument
from arbot.domain.registry import AssetEntry, Registry, VenueEntry
from arbot.engine.config import HealthPolicy, NewsPolicy, PegPolicy
from arbot.engine.engine import Engine
from strategies.cross_venue import CrossVenue
from tests.support.engine_world import FakeMarket, World, an_instrument

VENUES = ("kraken", "coinbase", "bitstamp")
SHORT = HealthPolicy(orders_min=3, recovery_s=20, probe_s=5, probes_min=1, network_silence_s=60)


class Remembered(World):
    """A world that keeps the books of each step."""

    def give(self, event: Event) -> list[str]:
        """Step, and keep what the books were."""
        kept = vars(self).setdefault("kept", [])
        market = self.market
        kept.append((dict(market.books), dict(market.valid), dict(market.recv), dict(market.venue)))
        return super().give(event)


def chaos(seed: int) -> Remembered:
    """Return a world in which venues, books and a coin did anything for a while."""
    chance = random.Random(seed)
    usdc: tuple[Instrument, ...] = tuple(
        an_instrument(venue, "USDC/USD", tick_size=Decimal("0.0001"), price_decimals=4) for venue in VENUES
    )
    world = Remembered(
        VENUES,
        instruments=(*(an_instrument(venue) for venue in VENUES), *usdc),
        balances={"BTC": "100", "USD": "10000", "USDC": "100"},
        registry=Registry(
            venues={VenueId("bitstamp"): VenueEntry(merged={Asset("USD"): (Asset("USDC"),)})},
            assets={Asset("USDC"): AssetEntry(issuer="circle", peg="USD")},
        ),
        health=SHORT,
        pegs=PegPolicy(peg_return_s=5),
        news=NewsPolicy(edge_news_bps=Decimal(60)),
    )
    coin = Decimal(1)
    for _ in range(250):
        venue = chance.choice(VENUES)
        mid = 100 + Decimal(chance.randint(-9, 9)) / 10
        coin = chance.choice([Decimal("0.97"), Decimal("0.999"), coin, coin, coin])
        lines = [
            f"book bid {mid - Decimal('0.1')}x2 ask {mid + Decimal('0.1')}x2",
            f"book USDC/USD bid {coin - Decimal('0.0001')}x9 ask {coin + Decimal('0.0001')}x9",
            f"status {chance.choice(['online', 'online', 'maintenance'])}" if chance.random() < 0.1 else "balances",
            f"networks BTC {chance.choice(['open', 'closed'])}, USD open, ETH open",
        ]
        world.line(f"{venue} {chance.choice([lines[0], lines[0], *lines])}")
        for intent in [one for one in world.intents if one.client_order_id in world.engine.state.live]:
            answer = chance.choice(["filled", "filled", "filled", "expired", "rejected other", "unknown"])
            said = f"filled {intent.qty} @{intent.limit_price}" if answer == "filled" else answer
            if intent == [one for one in world.intents if one.venue == intent.venue][-1]:
                world.line(f"{intent.venue} {said}")
        world.line(f"wait {chance.choice([100, 700, 3000])}ms")
    return world


def did_something(envelope: Envelope, words: object) -> bool:
    """Return whether the sequencer would have journaled a step."""
    return not isinstance(envelope.event, BooksMoved) or bool(words)


@pytest.mark.parametrize("seed", range(6))
def test_a_replay_without_idle_looks_comes_to_the_same(seed: int) -> None:
    """Give only the journaled steps, with the books as they stood, to a fresh engine: commands and digest are equal."""
    world = chaos(seed)
    market = FakeMarket()
    engine = Engine(world.engine.state.config, CrossVenue({"edge_net_bps_min": "2"}), market)
    for (envelope, outcome), books in zip(world.log, vars(world)["kept"], strict=True):
        if did_something(envelope, outcome.commands):
            market.books, market.valid, market.recv, market.venue = books
            assert outcome.commands == engine.step(envelope).commands

    assert engine.digest() == world.engine.digest()


def test_the_chaos_reaches_all_of_it() -> None:
    """See quarantine, a coin off its peg, locked money and news over the seeds, or the proof above is empty."""
    told = {
        type(decision).__name__ if not hasattr(decision, "reason") else str(decision.reason)
        for seed in range(6)
        for _, outcome in chaos(seed).log
        for decision in outcome.decisions
    }

    assert told >= {
        "VenueHealthChanged", "PegChanged", "venue_quarantined", "merged_book", "withdrawals_closed", "price_is_news",
    }  # fmt: skip
