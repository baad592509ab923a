"""What an asset is worth at a venue: mids of recorded books, the last one known.

The order of preference is fixed by the instruments, not by which book happens to speak first, so that a value never
jumps because another book took over:

    1  the reporting currency itself: 1
    2  the venue's own BASE/ccy book
    3  the venue's own book of the asset in another quote, times that quote's value
    4  the first of any venue's BASE/ccy books that has a price, and that one from then on
    5  a CCY/asset book of any venue, turned round

Mids are exact; only a turned-round one is rounded, to DIGITS significant digits, half even. Nothing is assumed to be at
par: an asset without a book has no mark, and `of` raises KeyError for it.
"""

from __future__ import annotations

import decimal
from collections.abc import Sequence
from decimal import Decimal

from arbot.domain.ids import Asset, InstrumentId, VenueId
from arbot.domain.instrument import Instrument
from arbot.domain.order import Side
from arbot.domain.units import EXACT, ONE, WIDE
from arbot.engine.market_view import MarketView

DIGITS = 20  # significant digits of what has to be divided: the rest of the money stays exact
SHORT = decimal.Context(prec=DIGITS, rounding=decimal.ROUND_HALF_EVEN, traps=[decimal.InvalidOperation])
HALF = Decimal("0.5")

Chain = tuple[tuple[InstrumentId, bool], ...]  # books to multiply through; True: turned round


class Marks:
    """Last known values in `ccy`. `refresh` reads the books; `of` is a look into memory."""

    def __init__(self, ccy: Asset, instruments: Sequence[Instrument], market: MarketView) -> None:
        self._ccy = ccy
        self._instruments = tuple(instruments)
        self._market = market
        self._chains: dict[tuple[VenueId, Asset], tuple[Chain, ...]] = {}
        self._known: dict[tuple[VenueId, Asset], Decimal] = {}

    def refresh(self, venue: VenueId, asset: Asset) -> Decimal | None:
        """Return the value of one unit by the books as they stand, else the last known, else None: it never had one."""
        if asset == self._ccy:
            return ONE
        place = (venue, asset)
        chains = self._chains.get(place)
        if chains is None:
            chains = self._chains[place] = self._find(venue, asset)
        for chain in chains:
            value = self._value(chain)
            if value is not None:
                self._chains[place] = (chain,)  # the others would value the same thing differently
                self._known[place] = value
                return value
        return self._known.get(place)

    def of(self, venue: VenueId, asset: Asset) -> Decimal:
        """Return the value of one unit now, by another venue's book while the venue's own never gave one.

        Raises: KeyError when no book ever gave one.
        """
        value = self.refresh(venue, asset)
        if value is None:
            others = map(self._value, self._quote_chains(venue, asset))
            value = next((value for value in others if value is not None), None)
        if value is None:
            raise KeyError((venue, asset))
        return value

    def _find(self, venue: VenueId, asset: Asset) -> tuple[Chain, ...]:
        own = [one for one in self._instruments if one.venue == venue and one.base == asset]
        direct = tuple(((one.id, False),) for one in own if one.quote == self._ccy)
        if direct:
            return direct
        through: list[Chain] = []
        for one in own:
            through += [((one.id, False), *rest) for rest in self._quote_chains(venue, one.quote)]
        return tuple(through) or self._quote_chains(venue, asset)

    def _quote_chains(self, venue: VenueId, asset: Asset) -> tuple[Chain, ...]:
        """Return the direct books of an asset, the venue's own first, then those that have to be turned round."""
        ordered = sorted(self._instruments, key=lambda one: one.venue != venue)
        straight = tuple(((one.id, False),) for one in ordered if (one.base, one.quote) == (asset, self._ccy))
        turned = tuple(((one.id, True),) for one in ordered if (one.base, one.quote) == (self._ccy, asset))
        return straight + turned

    def _value(self, chain: Chain) -> Decimal | None:
        value = ONE
        for instrument, is_turned in chain:
            mid = self._mid(instrument)
            if mid is None:
                return None
            value = EXACT.multiply(value, SHORT.divide(ONE, mid) if is_turned else mid)
        return value

    def _mid(self, instrument: InstrumentId) -> Decimal | None:
        if not self._market.state(instrument).is_valid:
            return None
        ask, bid = self._market.best(instrument, Side.BUY), self._market.best(instrument, Side.SELL)
        if ask is None or bid is None:
            return None
        return WIDE.multiply(WIDE.add(ask.price, bid.price), HALF)
