"""How near the market came to an arb at the touch, also where nothing ever cleared costs and the engine was never asked.

Looked at when the account is sampled, not at every message: a lower bound of the best there was. For each base and quote the
cheapest ask, its taker fee on top, is held against the dearest bid on another venue, its fee taken off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from arbot.backtest.result import BestRow
from arbot.domain.ids import Asset, InstrumentId
from arbot.domain.instrument import FeeRate, Instrument
from arbot.domain.order import Side
from arbot.domain.units import ONE, WIDE, share_bps
from arbot.engine.market_view import MarketView

Offer = tuple[Decimal, Decimal, Instrument]  # price with the fee in it, price, whose


class BestEdges:
    """Keeps the best of each symbol."""

    def __init__(self, instruments: Sequence[Instrument], market: MarketView) -> None:
        self._market = market
        self._groups: dict[tuple[Asset, Asset], list[Instrument]] = {}
        self._fees: dict[InstrumentId, Decimal] = {}
        self._best: dict[tuple[Asset, Asset], BestRow] = {}
        for one in instruments:
            self._groups.setdefault((one.base, one.quote), []).append(one)

    def learn(self, fees: Sequence[FeeRate]) -> None:
        """Take note of our fees; an instrument without one is not looked at."""
        self._fees.update({fee.instrument: fee.taker for fee in fees})

    def look(self, ts_ns: int) -> None:
        """Compare the touches as they are now."""
        for key, group in self._groups.items():
            asks, bids = [], []
            for one in group:
                fee, is_valid = self._fees.get(one.id), self._market.state(one.id).is_valid
                ask, bid = self._market.best(one.id, Side.BUY), self._market.best(one.id, Side.SELL)
                if fee is not None and is_valid and ask is not None and bid is not None:
                    asks.append((WIDE.multiply(ask.price, ONE + fee), ask.price, one))
                    bids.append((WIDE.multiply(bid.price, ONE - fee), bid.price, one))
            for edge, buy, sell in _pairs(asks, bids):
                best = self._best.get(key)
                if best is None or edge > best.edge_net_bps:
                    self._best[key] = BestRow(
                        buy_venue=buy.venue, sell_venue=sell.venue, symbol=buy.symbol, edge_net_bps=edge, ts_ns=ts_ns
                    )

    def rows(self) -> tuple[BestRow, ...]:
        """Return the best of each symbol, the best first."""
        return tuple(sorted(self._best.values(), key=lambda row: -row.edge_net_bps))


def _pairs(asks: list[Offer], bids: list[Offer]) -> Iterator[tuple[Decimal, Instrument, Instrument]]:
    """Yield the pairs among which the best one is: two of each side suffice, for one venue can be on both."""
    for cost, ask, buy in sorted(asks, key=lambda offer: offer[0])[:2]:
        for proceeds, _, sell in sorted(bids, key=lambda offer: -offer[0])[:2]:
            if buy.venue != sell.venue:
                yield share_bps(WIDE.subtract(proceeds, cost), ask), buy, sell
