"""A gap that is information is taken once in its direction, and again only when the mids have met."""

from __future__ import annotations

from decimal import Decimal

from arbot.domain.decisions import OpportunityDeclined
from arbot.engine.config import NewsPolicy, RiskLimits
from tests.support.engine_world import World, an_instrument

LOOSE = RiskLimits(edge_gross_bps_max=Decimal(5_000), arbs_open_max=9, notional_per_arb_max=Decimal(200))
OPENED = ["kraken buy 1 @100.1", "coinbase sell 1 @105"]
KRAKEN = "kraken book bid 100.0x2 ask 100.1x1 100.2x1"
COINBASE = "coinbase book bid 105.0x1 ask 105.2x3"


def declined(world: World) -> OpportunityDeclined:
    """Return the last refusal."""
    return [d for _, outcome in world.log for d in outcome.decisions if isinstance(d, OpportunityDeclined)][-1]


def taken(**policy: object) -> World:
    """Return a world in which a gap of 5 % between the two was taken once."""
    world = World(("kraken", "coinbase", "bitstamp"), limits=LOOSE, news=NewsPolicy(**policy))  # type: ignore[arg-type]
    world.line(KRAKEN)
    assert world.line(COINBASE) == OPENED
    world.line("kraken filled 1 @100.1")
    assert ["flat 4.9"] == world.line("coinbase filled 1 @105")
    world.line("wait 2s")
    return world


def test_the_same_gap_is_taken_once() -> None:
    """Refuse the refill after the first arb, with how far the mids are apart against how near they have to come."""
    world = taken()

    assert ["declined price_is_news"] == world.line("kraken book bid 100.0x2 ask 100.1x1 100.2x1 100.3x1")
    assert (round(declined(world).value), declined(world).limit) == (505, 20)


def test_a_refill_that_pins_the_price_is_named() -> None:
    """Say that one large order holds the price when one level is nearly all that is offered (Mantra, April 2025)."""
    world = taken()

    assert ["declined price_pinned"] == world.line("kraken book bid 100.0x2 ask 100.1x9 100.2x1")
    assert (Decimal("0.9"), Decimal("0.8")) == (declined(world).value, declined(world).limit)


def test_a_smaller_edge_of_the_same_gap_is_refused_too() -> None:
    """Wait for the mids, not for the edge to fall below the level of news."""
    world = taken()

    assert ["declined price_is_news"] == world.line("coinbase book bid 101.0x1 ask 101.2x3")


def test_another_route_into_the_same_book_is_refused() -> None:
    """Do not buy at the informed venue for a third one either, nor sell to the dear one from there."""
    world = taken()
    assert ["declined price_is_news"] == world.line("bitstamp book bid 105.0x1 ask 105.2x3")

    both = world.line("bitstamp book bid 102.9x1 ask 103.0x1")  # bought at kraken for it, bought there for coinbase
    assert ["declined price_is_news"] * 2 == both


def test_it_is_open_again_when_the_mids_have_met() -> None:
    """Take a gap again after a look at which the two mids were within 20 bps."""
    world = taken()
    world.line("coinbase book bid 100.1x1 ask 100.2x3")
    world.line("wait 2s")
    assert {} == world.engine.state.news

    assert world.line(COINBASE) == OPENED


def test_a_gap_that_closes_between_two_looks_has_not_met() -> None:
    """Judge by the looks: what nobody journaled did not happen."""
    world = taken()
    world.line("coinbase book bid 100.1x1 ask 100.2x3")

    assert ["declined price_is_news"] == world.line(COINBASE)


def test_an_ordinary_edge_leaves_no_mark() -> None:
    """Remember nothing of an edge below the level of news."""
    world = World()
    world.line("kraken book bid 100.0x2 ask 100.1x2")
    world.line("coinbase book bid 101.0x1 ask 101.2x3")

    assert {} == world.engine.state.news
    assert "news" not in world.timers


def test_a_book_that_is_gone_keeps_the_mark() -> None:
    """Go on refusing while one of the two books cannot be trusted: that is not a meeting."""
    world = taken()
    world.line("coinbase invalid")
    world.line("wait 60s")

    assert len(world.engine.state.news) == 1


def test_a_venue_off_as_a_whole_is_one_event() -> None:
    """Take one arb out of a local crash of every coin, not one a coin (Upbit, December 2024), and say so."""
    coins = ("BTC", "ETH", "XRP", "SOL")
    venues = ("kraken", "coinbase", "bitstamp")
    world = World(
        venues,
        limits=LOOSE,
        balances={"USD": "5000"} | dict.fromkeys(coins, "10"),
        instruments=tuple(an_instrument(venue, f"{coin}/USD") for venue in venues for coin in coins),
    )
    for venue in ("coinbase", "bitstamp"):
        for coin in coins:
            world.line(f"{venue} book {coin}/USD bid 100.0x5 ask 100.2x5")
    for coin in coins:  # the look that opens the first arb sees all of them down
        book = world.listed[coins.index(coin)].id
        world.market.set(book, world.now_ns, "66.9x5", "67.0x1")
    said = [word for coin in coins for word in world.line(f"kraken book {coin}/USD bid 66.9x5 ask 67.0x1")]

    assert [word for word in said if "buy" in word] == ["kraken buy 1 @67"]
    assert "coinbase sell 1 @100" in said
    assert {"declined price_is_news"} == {word for word in said if word.startswith("declined")}
    assert declined(world).value > 3_000


def test_a_single_coin_off_is_no_block() -> None:
    """Leave the other coins of a venue alone when one of them is informed."""
    coins = ("BTC", "ETH", "XRP")
    world = World(
        limits=LOOSE,
        balances={"USD": "5000"} | dict.fromkeys(coins, "10"),
        instruments=tuple(an_instrument(venue, f"{coin}/USD") for venue in ("kraken", "coinbase") for coin in coins),
    )
    for coin in coins:
        world.line(f"coinbase book {coin}/USD bid 100.0x5 ask 100.2x5")
        world.line(f"kraken book {coin}/USD bid 99.9x5 ask 100.0x5")
    assert len(world.line("kraken book BTC/USD bid 66.9x5 ask 67.0x1")) == 2

    assert {} == world.engine.state.news_blocks
    assert len(world.line("kraken book ETH/USD bid 98.9x5 ask 99.0x1")) == 2
