"""A stablecoin is worth what its live books say: off its peg it is not traded, and one venue's wick moves nothing."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arbot.domain.decisions import OpportunityDeclined, Reason
from arbot.domain.ids import Asset, VenueId
from arbot.domain.instrument import Instrument
from arbot.domain.registry import AssetEntry, Registry, VenueEntry
from arbot.engine.config import PegPolicy
from tests.support.engine_world import World, an_instrument

VENUES = ("kraken", "coinbase", "bitstamp")
USDT = Asset("USDT")
ONE_LOOK = "wait 1000ms"
OPENED = ["kraken buy 1 @100.1", "coinbase sell 1 @101"]
TETHER_2017 = """
    0.9959 0.9925 0.9875 0.9733 0.9693 0.9647 0.9500 0.9643 0.9488 0.9426 0.9265 0.9232 0.9346 0.9339 0.9274 0.9346
    0.9609 0.9550 0.9626 0.9461 0.9400 0.9670 0.9940 0.9864 0.9920
"""
"""USDT/USD, daily, 10 April to 8 May 2017: Coin Metrics community data, as quoted in the disaster facts (read 2026-11)."""


def fine(venue: str, symbol: str) -> Instrument:
    """Return a stablecoin's instrument: ticks of a hundredth of a cent."""
    return an_instrument(venue, symbol, tick_size=Decimal("0.0001"), price_decimals=4)


def tethered(*venues: str, **policy: object) -> World:
    """Return a world of bitcoin in tether on two venues, with tether in dollars on those named."""
    coins = tuple(an_instrument(venue, "BTC/USDT") for venue in ("kraken", "coinbase"))
    world = World(
        VENUES,
        instruments=(*coins, an_instrument("bitstamp", "BTC/USD"), *(fine(venue, "USDT/USD") for venue in venues)),
        balances={"BTC": "10", "USDT": "500", "USD": "10000"},
        registry=Registry(assets={USDT: AssetEntry(issuer="tether", peg="USD", loss_share=Decimal("0.01"))}),
        pegs=PegPolicy(**policy),  # type: ignore[arg-type]
    )
    world.line("bitstamp book BTC/USD bid 100.5x1 ask 100.6x1")  # what bitcoin is worth in the reporting currency
    return world


def worth(world: World, *prices: str) -> None:
    """Write tether's books, one price a venue; - is a book with one side."""
    for venue, price in zip(VENUES, prices, strict=False):
        bid, ask = Decimal(price) - Decimal("0.0001"), Decimal(price) + Decimal("0.0001")
        world.line(f"{venue} book USDT/USD bid {bid}x1000 ask {ask}x1000")


def looked(world: World, looks: int = 3) -> list[str]:
    """Let the guard look so often, and return what it says."""
    return [word for _ in range(looks) for word in world.line(ONE_LOOK) if word.endswith("its peg")]


def edge(world: World) -> list[str]:
    """Show an edge between the two tether books; what the dollar book has to do with them is another test's matter."""
    world.line("coinbase book BTC/USDT bid 100.0x1 ask 101.2x3")
    world.line("kraken book BTC/USDT bid 100.0x2 ask 100.1x2")
    said = world.line("coinbase book BTC/USDT bid 101.0x1 ask 101.2x3")
    return [word for word in said if word != "declined quote_mismatch"]


def declined(world: World) -> OpportunityDeclined:
    """Return the last refusal."""
    return [d for _, outcome in world.log for d in outcome.decisions if isinstance(d, OpportunityDeclined)][-1]


def test_a_coin_on_its_peg_is_traded() -> None:
    """Open an arb quoted in tether that is worth nearly a dollar."""
    world = tethered(*VENUES)
    worth(world, "0.9995", "0.9990", "1.0002")

    assert [] == looked(world)
    assert OPENED == edge(world)


def test_april_2017_trips_on_the_third_day_and_stays_off() -> None:
    """Leave the peg on 13 April (0.9875) and not return before the series ends at 0.9920; no parity is assumed."""
    world, told = tethered(*VENUES), []
    for price in TETHER_2017.split():
        worth(world, price, price, price)
        told += [f"{price} {word}" for word in looked(world)]
        if price == "0.9232":
            assert ["declined depegged"] == edge(world)
            assert (Decimal(768), Decimal(40)) == (declined(world).value, declined(world).limit)

    assert ["0.9875 USDT off its peg"] == told


def test_a_lone_outlier_in_the_series_does_not_trip() -> None:
    """Keep a coin that one single look shows at 0.8493, as the data of 7 May 2017 do, but open nothing in that moment."""
    world = tethered("kraken")
    worth(world, "0.9990")
    looked(world)
    worth(world, "0.8493")
    told = looked(world, 1)
    assert ["declined depegged"] == edge(world)
    worth(world, "0.9990")

    assert [] == told + looked(world, 5)
    assert OPENED == edge(world)


def test_one_venue_at_65_cents_is_outvoted() -> None:
    """Keep a coin that is at 0.65 on one venue and near its peg on two others, as on 10 October 2025."""
    world = tethered(*VENUES)
    worth(world, "0.65", "0.9950", "0.9990")

    assert [] == looked(world, 10)
    assert OPENED == edge(world)


def test_a_wide_book_and_a_one_sided_one_say_nothing() -> None:
    """Measure by two-sided books whose sides are near: a display of zero prices and a gap of 22 % are no evidence."""
    world = tethered(*VENUES)
    worth(world, "1.0000", "1.0000", "1.0000")
    world.line("kraken book USDT/USD bid 0.70x5 ask 0.92x5")
    world.line("coinbase book USDT/USD bid ask 0.65x5")
    looked(world)

    assert world.engine.state.pegs[USDT].rate == 1
    assert OPENED == edge(world)


def test_what_is_not_known_is_not_traded() -> None:
    """Refuse arbs in a coin that no book prices: too old, or gone."""
    world = tethered("kraken", "coinbase", peg_book_age_ms_max=1_500)
    worth(world, "1.0000", "1.0000")
    looked(world)
    world.market.valid[fine("kraken", "USDT/USD").id] = False
    world.market.recv[fine("coinbase", "USDT/USD").id] = world.now_ns - 2_000_000_000

    assert ["declined price_unknown"] == edge(world)


@pytest.mark.parametrize(("price", "off"), [("0.9901", False), ("0.9899", True), ("1.0101", True), ("1.0099", False)])
def test_the_band_has_two_edges(price: str, off: bool) -> None:
    """Trip beyond 100 bps below the peg, and beyond 100 above it."""
    world = tethered(*VENUES)
    worth(world, price, price, price)

    assert (["USDT off its peg"] if off else []) == looked(world)


def test_it_comes_back_after_holding_the_narrower_band() -> None:
    """Return after ten minutes within 40 bps without a break: at 0.9970 on, at 0.9950 never."""
    world = tethered(*VENUES, peg_return_s=60)
    worth(world, "0.95", "0.95", "0.95")
    assert ["USDT off its peg"] == looked(world)
    worth(world, "0.9950", "0.9950", "0.9950")
    assert [] == world.line("wait 300s")  # inside the band it left by, not inside the one it comes back by
    worth(world, "0.9970", "0.9970", "0.9970")
    assert [] == world.line("wait 50s")
    worth(world, "0.9950", "0.9950", "0.9950")
    assert [] == world.line("wait 10s")
    worth(world, "0.9970", "0.9970", "0.9970")
    assert [] == world.line("wait 50s")

    assert ["USDT on its peg"] == world.line("wait 15s")
    assert OPENED == edge(world)


def test_a_merged_book_is_named() -> None:
    """Refuse a dollar book that takes USDC for dollars while USDC is off: Coinbase, March 2023, a phantom premium."""
    world = World(
        ("kraken", "coinbase"),
        instruments=(an_instrument("kraken"), an_instrument("coinbase"), fine("kraken", "USDC/USD")),
        registry=Registry(
            venues={VenueId("coinbase"): VenueEntry(merged={Asset("USD"): (Asset("USDC"),)})},
            assets={Asset("USDC"): AssetEntry(issuer="circle", peg="USD")},
        ),
    )
    world.line("kraken book USDC/USD bid 0.9999x1000 ask 1.0001x1000")
    world.line("kraken book BTC/USD bid 100.0x2 ask 100.1x2")
    assert world.line("coinbase book bid 101.0x1 ask 101.2x3") == OPENED
    world.line("kraken filled 1 @100.1")
    world.line("coinbase filled 1 @101")
    world.line("wait 1s")
    world.line("kraken book USDC/USD bid 0.8799x1000 ask 0.8801x1000")
    assert ["USDC off its peg"] == looked(world)

    assert ["declined merged_book"] == world.line("coinbase book bid 101.0x1 ask 101.2x3")
    assert Reason.MERGED_BOOK is declined(world).reason
    assert (Decimal(1200), Decimal(40)) == (declined(world).value, declined(world).limit)


def test_a_coin_pegged_to_other_money_is_measured_in_it() -> None:
    """Measure a euro coin in euros, through the reporting currency where no book has both."""
    eurc = Asset("EURC")
    world = World(
        ("kraken",),
        instruments=(fine("kraken", "EURC/USD"), fine("kraken", "EUR/USD"), an_instrument("kraken")),
        registry=Registry(assets={eurc: AssetEntry(issuer="circle", peg="EUR")}),
    )
    world.line("kraken book EURC/USD bid 1.0799x5 ask 1.0801x5")
    world.line("kraken book EUR/USD bid 1.0799x5 ask 1.0801x5")
    assert [] == looked(world)
    assert world.engine.state.pegs[eurc].rate == 1
    world.line("kraken book EUR/USD bid 1.1999x5 ask 1.2001x5")

    assert ["EURC off its peg"] == looked(world)


def test_no_timer_runs_where_no_coin_is_watched() -> None:
    """Cost nothing where no traded asset has a peg."""
    assert "pegs" not in World().timers
    assert "pegs" in tethered("kraken").timers
