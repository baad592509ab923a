"""Each limit sees the third leg: one world per reason, in which only the conversion stands in the way."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from arbot.domain.decisions import OpportunityDeclined, Reason
from arbot.domain.errors import UserError
from arbot.domain.events import (
    ClockSkewMeasured,
    FeedDisconnected,
    InstrumentsLoaded,
    RateBudgetChanged,
    ReconciliationEnded,
    Stream,
)
from arbot.domain.ids import Asset, VenueId
from arbot.domain.instrument import InstrumentStatus
from arbot.domain.order import Side
from arbot.domain.registry import AssetEntry, Registry
from arbot.engine.config import ExposureCaps, RiskLimits
from arbot.engine.strategy import Conversion, Proposal
from arbot.runtime.strategy_loader import load_strategy
from strategies.stablecoin import Stablecoin
from strategies.triangular import Triangular
from tests.support.engine_world import MS, World, an_instrument
from tests.support.triangle_world import BALANCES, BUYING, SELLING, instruments, triangle_world

BITSTAMP = VenueId("bitstamp")
TETHER = Registry(assets={Asset("USDT"): AssetEntry(peg="USD", issuer="tether")})


def after(event: object) -> Callable[[], World]:
    """Return a maker of worlds in which this has happened."""

    def make() -> World:
        world = triangle_world()
        world.give(event)  # type: ignore[arg-type]
        return world

    return make


def changed(**changes: object) -> Callable[[], World]:
    """Return a maker of worlds in which the conversion's instrument is another."""

    def make() -> World:
        *others, conversion = instruments("kraken", "coinbase", "bitstamp")
        return triangle_world(instruments=(*others, msgspec.structs.replace(conversion, **changes)))

    return make


def full_of_bitcoin() -> World:
    """Return a world in which bitcoin, and only bitcoin, is near the limit of what may pile up at a venue."""
    limits = RiskLimits(inventory_notional_max=Decimal(20_005))
    return triangle_world(limits=limits, balances={**BALANCES, "ETH": "100"})


def rate_used_up() -> World:
    """Return a world in which the conversion's venue has had all its orders of this minute but two."""
    world = triangle_world(limits=RiskLimits(orders_per_minute_max=3))
    world.engine.state.venue(BITSTAMP).orders_sent_ts_ns.append(world.now_ns - 59_000 * MS)
    return world


def no_fee() -> World:
    """Return a world in which the conversion's fee was never told."""
    world = triangle_world()
    del world.engine.state.fees[world.instruments[BITSTAMP].id]
    return world


BITCOIN = instruments("bitstamp")[0]
TRIPPED: dict[str, tuple[Reason, Callable[[], World]]] = {
    "account stream down": (
        Reason.VENUE_NOT_READY,
        after(FeedDisconnected(venue=BITSTAMP, stream=Stream.ACCOUNT, reason="test")),
    ),
    "not reconciled": (
        Reason.NOT_RECONCILED,
        after(ReconciliationEnded(venue=BITSTAMP, differences=1, detail=("BTC",))),
    ),
    "takes no orders": (
        Reason.INSTRUMENT_CLOSED,
        after(
            InstrumentsLoaded(
                venue=BITSTAMP, instruments=(msgspec.structs.replace(BITCOIN, status=InstrumentStatus.POST_ONLY),)
            )
        ),
    ),
    "clock off": (Reason.CLOCK_SKEW, after(ClockSkewMeasured(venue=BITSTAMP, skew_ms=1_001, rtt_ms=1))),
    "no room in the venue's rate": (
        Reason.RATE_BUDGET,
        after(RateBudgetChanged(instrument=BITCOIN.id, has_room=False)),
    ),
    "no room in our rate": (Reason.ORDER_RATE, rate_used_up),
    "fee unknown": (Reason.FEE_UNKNOWN, no_fee),
    "less than its minimum": (Reason.BELOW_MINIMUM, changed(qty_min=Decimal(1))),
    "largest order": (Reason.BELOW_MINIMUM, changed(qty_max=Decimal("0.004"))),
    "inventory of what it brings": (Reason.INVENTORY, full_of_bitcoin),
}


@pytest.mark.parametrize("claim", TRIPPED)
def test_limit_sees_the_conversion(claim: str) -> None:
    """Decline with exactly this reason, naming the conversion, and send nothing."""
    reason, make = TRIPPED[claim]
    world = make()
    said = [world.line(line.partition("->")[0]) for line in BUYING.strip().splitlines()][-1]
    declined = [d for _, outcome in world.log for d in outcome.decisions if isinstance(d, OpportunityDeclined)][-1]

    assert [f"declined {reason}"] == said
    assert BITCOIN.id == declined.conversion


@pytest.mark.parametrize(
    ("opening", "held"), [(BUYING, {"USD": "5"}), (SELLING, {"BTC": "0.004"})], ids=["dollars", "bitcoin"]
)
def test_balance_at_the_conversions_venue_trips(opening: str, held: dict[str, str]) -> None:
    """Decline when the venue of the conversion cannot pay it: dollars for a buy, bitcoin for a sell."""
    world = triangle_world()
    totals = world.engine.state.venue(BITSTAMP).totals
    totals.update({Asset(asset): Decimal(total) for asset, total in held.items()})
    said = [world.line(line.partition("->")[0]) for line in opening.strip().splitlines()][-1]

    assert [f"declined {Reason.BALANCE_SHORT}"] == said


def test_balance_at_the_conversions_venue_sizes_down() -> None:
    """Take as much as the conversion can pay: 60 of the 100 dollars a whole ether needs, on every leg's step."""
    world = triangle_world()
    world.engine.state.venue(BITSTAMP).totals[Asset("USD")] = Decimal(61)
    said = [world.line(line.partition("->")[0]) for line in BUYING.strip().splitlines()][-1]

    assert ["kraken buy 0.6 @0.05", "coinbase sell 0.6 @101", "bitstamp buy 0.03 @2000"] == said


@pytest.mark.parametrize("is_old", [True, False])
def test_book_of_the_conversion_trips(*, is_old: bool) -> None:
    """Decline when its book is too old, or was received too long before the others."""
    limit = {"book_age_recv_ms_max": 100} if is_old else {"book_skew_ms_max": 50}
    world = triangle_world(limits=RiskLimits(**limit))
    lines = [line.partition("->")[0] for line in BUYING.strip().splitlines()]
    for line in (lines[1], lines[0]):
        world.line(line)
    world.line("bitstamp silent")
    world.line("wait 101ms")
    said = world.line(lines[2])

    assert f"declined {Reason.BOOK_AGE_RECV if is_old else Reason.BOOK_SKEW}" in said
    assert ("resync BTC/USD@bitstamp" in said) is is_old


def test_what_is_open_of_the_foreign_quote_trips() -> None:
    """Decline when one open arb's bitcoin, were its legs to fail, uses up the limit on what may be unhedged."""
    world = triangle_world(limits=RiskLimits(net_delta_notional_max=Decimal(105)))
    world.engine.state.carried[Asset("BTC")] = Decimal("0.0505")
    said = [world.line(line.partition("->")[0]) for line in BUYING.strip().splitlines()][-1]

    assert [f"declined {Reason.NET_DELTA}"] == said


class Wrong:
    """Proposes a triangle that does not close."""

    name, edge_net_bps_min, look_ms = "wrong", Decimal(1), 1

    def __init__(self, conversion: Conversion | None) -> None:
        self.conversion = conversion

    def on_books(self, changed: object, context: object):
        """Propose it."""
        yield Proposal(
            buy=instruments("kraken")[0].id, sell=instruments("coinbase")[0].id, qty=Decimal(1),
            buy_price=Decimal("0.05"), sell_price=Decimal(101), edge_gross_bps=Decimal(90), edge_net_bps=Decimal(60),
            conversion=self.conversion,
        )  # fmt: skip


@pytest.mark.parametrize("side", [None, Side.SELL])
def test_a_triangle_that_does_not_close_is_declined(side: Side | None) -> None:
    """Decline unlike quotes without a conversion, and with one that goes the wrong way."""
    turn = side and Conversion(instrument=BITCOIN.id, side=side, qty=Decimal("0.05"), price=Decimal(2000))
    world = triangle_world(strategy=Wrong(turn))
    said = [world.line(line.partition("->")[0]) for line in BUYING.strip().splitlines()][-1]

    assert [f"declined {Reason.QUOTE_MISMATCH}"] == said


def coin_world(**parts: object) -> World:
    """Return a world of bitcoin in tether, bitcoin in dollars, and tether in dollars."""
    fine = {"tick_size": Decimal("0.0001"), "price_decimals": 4}
    listed = (
        an_instrument("kraken", "BTC/USDT"),
        an_instrument("coinbase", "BTC/USD"),
        an_instrument("bitstamp", "USDT/USD", **fine),
    )
    return World(
        ("kraken", "coinbase", "bitstamp"), instruments=listed, strategy=Stablecoin({}), registry=TETHER,
        balances={"BTC": "10", "USD": "20000", "USDT": "1000"}, **parts,
    )  # fmt: skip


def coin_lines(rate: str) -> tuple[str, str, str]:
    """Return books in which bitcoin is cheap in tether at that rate."""
    low, high = (Decimal(rate) + Decimal(n) / 10_000 for n in (-1, 1))
    return (
        f"bitstamp book bid {low}x5000 ask {high}x5000",
        "kraken book bid 99.9x2 ask 100.0x2",
        f"coinbase book bid {(Decimal(rate) * 101).quantize(Decimal('0.1'))}x1 ask 101.5x1",
    )


@pytest.mark.parametrize("rate", ["0.9995", "1.0010"])
def test_stablecoin_takes_the_rate_from_the_book(rate: str) -> None:
    """Convert at what the book of tether asks, whatever that is near to its peg."""
    world = coin_world()
    first, second, third = coin_lines(rate)
    world.line(first)
    world.line("wait 5s")
    world.line(second)
    asked = (Decimal(rate) + Decimal("0.0001")).normalize()

    assert f"bitstamp buy 100.1 @{asked}" in world.line(third)


@pytest.mark.parametrize(
    ("rate", "parts", "reason"),
    [
        ("0.9700", {}, Reason.DEPEGGED),
        ("0.9995", {"exposure": ExposureCaps(issuer_share_max=Decimal("0.045"))}, Reason.ISSUER_EXPOSURE),
    ],
)
def test_peg_and_issuer_stand_in_front(rate: str, parts: dict, reason: Reason) -> None:
    """Decline what the strategy proposes when tether is off its peg, or when there is too much of its issuer's coin."""
    world = coin_world(**parts)
    first, second, third = coin_lines(rate)
    world.line(first)
    world.line("wait 5s")
    world.line(second)

    assert [f"declined {reason}"] == world.line(third)


@pytest.mark.parametrize(
    ("make", "params", "named"),
    [
        (Triangular, {"edge": 1}, "edge"),
        (Triangular, {"edge_net_bps_min": "0"}, "edge_net_bps_min"),
        (Triangular, {"across": "yes"}, "across"),
        (Triangular, {"assets": 1}, "assets"),
        (Triangular, {"look_ms": 0}, "look_ms"),
        (Stablecoin, {"coin": 1}, "coin"),
        (Stablecoin, {"edge_net_bps_min": "-1"}, "edge_net_bps_min"),
        (Stablecoin, {"coins": []}, "coins"),
        (Stablecoin, {"look_ms": True}, "look_ms"),
    ],
)
def test_a_wrong_parameter_is_named(make: Callable[[dict], object], params: dict, named: str) -> None:
    """Refuse a parameter that is unknown or senseless, by its name."""
    with pytest.raises(ValueError, match=named):
        make(params)


def test_wrong_parameters_are_told_all_at_once() -> None:
    """Three mistakes in the parameters are three texts, and the loader makes a mistake of each."""
    with pytest.raises(UserError) as raised:
        load_strategy("strategies.triangular", {"acros": True, "edge_net_bps_min": "x", "look_ms": 0}, Path())
    assert [mistake.what.split()[0] for mistake in raised.value.mistakes] == ["unknown", "edge_net_bps_min:", "look_ms"]


def test_triangles_on_one_venue_and_of_wanted_assets_only() -> None:
    """Look at nothing across venues without `across`, and at no base that `assets` does not name."""
    for params in ({}, {"across": True, "assets": ["BTC"]}):
        world = triangle_world(strategy=Triangular(params))
        assert [] == [word for line in BUYING.strip().splitlines() for word in world.line(line.partition("->")[0])]
