"""What a replay says of arbs with a conversion: each part of the money as a trader would compute it by hand."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from arbot.backtest.collect import Collector
from arbot.backtest.result import Replayed, Scenario
from arbot.domain.events import Event
from arbot.domain.ids import Asset
from arbot.domain.units import ZERO
from arbot.engine.config import RiskLimits
from strategies.triangular import Triangular
from tests.support.engine_world import World
from tests.support.triangle_world import BALANCES, BUYING, SELLING, instruments


class WatchedTriangle(World):
    """A world of three venues whose every step a collector takes in."""

    def __init__(self) -> None:
        self.collector: Collector | None = None
        venues = ("kraken", "coinbase", "bitstamp")
        super().__init__(
            venues, instruments=instruments(*venues), balances=BALANCES, strategy=Triangular({"across": True})
        )
        for line in ("kraken book bid 0.0499x20 ask 0.0501x20", "bitstamp book bid 1999x5 ask 2001x5"):
            self.line(line)
        self.line("coinbase book bid 99.9x3 ask 100.1x3")
        self.collector = Collector(
            ccy=Asset("USD"),
            instruments=self.listed,
            market=self.market,
            balances=lambda: {name: venue.totals for name, venue in self.engine.state.venues.items()},
            scenario=Scenario.REALISTIC,
            limits=RiskLimits(),
        )
        self.collector.sample(self.now_ns)

    def give(self, event: Event) -> list[str]:
        """Step the engine and let the collector see it."""
        words = super().give(event)
        if self.collector is not None:
            self.collector.observe(*self.log[-1])
        return words

    def played(self, opening: str, table: str) -> Replayed:
        """Return what came of an arb that opened so and went on so."""
        first, *others = opening.strip().splitlines()
        books = (*others, first) if opening is SELLING else (first, *others)  # nothing opens before the last
        for line in (*books, *table.strip().splitlines()):
            self.line(line.partition("->")[0])
        assert self.collector is not None
        return self.collector.replayed(
            digest="d", now_ns=self.now_ns, windows=np.empty((0, 5), np.int64),
            instrument=lambda index: self.listed[index], ledger_matches_venues=True, deposits=ZERO,
            transfer_costs=ZERO,
        )  # fmt: skip


CASES = {
    # one ether: 101 - 0.05 x 2000 = 1; the fee in bitcoin is 0.00005 x 2000 = 0.1
    "all as seen, fees in three assets": (
        BUYING,
        (
            "kraken filled 1 @0.05 fee 0.00005 BTC\ncoinbase filled 1 @101 fee 0.101 USD\n"
            "bitstamp filled 0.05 @2000 fee 0.1 USD"
        ),
        "1 0 0 0.301",
    ),
    # the bitcoin leg a ten-thousandth dearer costs 0.0001 x 2000 = 0.2, the conversion at 1998 gives 0.05 x 2 back
    "slippage of the bitcoin leg and of the conversion": (
        BUYING,
        "kraken filled 1 @0.0501\ncoinbase filled 1 @101\nbitstamp filled 0.05 @1998",
        "1 -0.1 0 0",
    ),
    # the conversion is done later at 2001: 0.05 x 1 dearer than the decision's price, and that is an unwind's doing
    "a rejected conversion done by a hedge": (
        BUYING,
        "kraken filled 1 @0.05\ncoinbase filled 1 @101\nbitstamp rejected other\nbitstamp filled 0.05 @2001",
        "1 0 -0.05 0",
    ),
    # one leg of ether alone promises nothing; unwound at 0.0499 it loses 0.0001 x 2000, and the bitcoin turned back 0.049 x 1
    "unwound into bitcoin, and the bitcoin turned back": (
        BUYING,
        (
            "kraken filled 1 @0.05\nbitstamp filled 0.05 @2000\ncoinbase rejected other\ncoinbase rejected other\n"
            "kraken filled 1 @0.0499\nbitstamp filled 0.049 @1999"
        ),
        "0 0 -0.249 0",
    ),
    # 0.0505 x 2000 - 100 = 1
    "selling the foreign quote, as seen": (
        SELLING,
        "coinbase filled 1 @100\nkraken filled 1 @0.0505\nbitstamp filled 0.05 @2000",
        "1 0 0 0",
    ),
    "nothing filled": (SELLING, "coinbase expired\nkraken expired\nbitstamp expired", "0 0 0 0"),
}


@pytest.mark.parametrize("claim", CASES)
def test_the_parts_of_three_legs(claim: str) -> None:
    """Split an arb's money as by hand, and have the parts be the change of equity, to the last digit."""
    opening, table, expected = CASES[claim]
    result = WatchedTriangle().played(opening, table)
    (arb,) = result.arbs
    split = result.split
    told = [arb.edge, arb.slippage, arb.unwinds, arb.fees]

    assert [Decimal(number) for number in expected.split()] == told
    assert arb.edge + arb.slippage + arb.unwinds - arb.fees == arb.pnl_net
    assert (
        result.equity_end - result.equity_start
        == split.edge + split.slippage + split.unwinds - split.fees + split.inventory
    )


def test_rows_name_all_three_legs() -> None:
    """Name the three instruments, what each leg filled, and count all orders in the fill ratio."""
    result = WatchedTriangle().played(
        BUYING, "kraken filled 1 @0.05\ncoinbase filled 1 @101\nbitstamp filled 0.02 @2000\nbitstamp expired"
    )
    (arb,) = result.arbs

    assert "ETH/BTC to ETH/USD by BTC/USD@bitstamp" == arb.symbol
    assert ("kraken", "coinbase", "bitstamp") == (arb.buy_venue, arb.sell_venue, arb.conversion_venue)
    assert [Decimal(1), Decimal(1), Decimal("0.02")] == [arb.leg_qty_buy, arb.leg_qty_sell, arb.leg_qty_conversion]
    assert round((100 + 101 + 40) / 301, 6) == round(result.fill_ratio, 6)
    assert [("kraken", "coinbase", arb.symbol, 1)] == [
        (row.buy_venue, row.sell_venue, row.symbol, row.arbs) for row in result.routes
    ]
