"""What the pretend venues list: instruments with the real venues' steps and minimums, assets, fee tiers, opening volume.

Kraken: AssetPairs (tick_size, pair_decimals, lot_decimals, ordermin, costmin); Coinbase: products (price_increment,
base_increment, base_min_size, quote_min_size); Bitstamp: trading-pairs-info. All public reference data, seen 2025-11,
but for what triangles and stablecoins need beside it (ETH/BTC, and instruments of USDT and USDC): their names are the
venues', their steps and minimums are assumptions, in line with the venues' other instruments.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from arbot.domain.ids import Asset, VenueId, instrument_id
from arbot.domain.instrument import Instrument
from arbot.domain.units import decimals_of
from arbot.sim.fees import BITSTAMP_TIERS, COINBASE_TIERS, KRAKEN_TIERS, FeeTier
from arbot.sim.venue import BITSTAMP_POLICY, COINBASE_POLICY, KRAKEN_POLICY, VenuePolicy


class Flavour(msgspec.Struct, frozen=True, kw_only=True):
    """The kind of venue a name stands for: which wire it speaks and by which rules it plays.

    `volume_opening` is the 30-day volume demo accounts start with; it puts them on a professional fee tier.
    """

    policy: VenuePolicy
    tiers: tuple[FeeTier, ...]
    volume_opening: Decimal
    instruments: dict[str, tuple[str, str, str, int, str, str]]


# symbol -> (venue's symbol, tick_size, qty_step, qty decimals on the wire, qty_min, notional_min)
FLAVOURS: dict[str, Flavour] = {
    "kraken": Flavour(
        policy=KRAKEN_POLICY,
        tiers=KRAKEN_TIERS,
        volume_opening=Decimal(10_000_000),
        instruments={
            "BTC/USD": ("XXBTZUSD", "0.1", "0.00000001", 8, "0.00005", "0.5"),
            "ETH/USD": ("XETHZUSD", "0.01", "0.00000001", 8, "0.001", "0.5"),
            "DOGE/USD": ("XDGUSD", "0.0000001", "0.00000001", 8, "13", "0.5"),
            "BTC/USDT": ("XBTUSDT", "0.1", "0.00000001", 8, "0.00005", "0.5"),
            "BTC/USDC": ("XBTUSDC", "0.1", "0.00000001", 8, "0.00005", "0.5"),
            "ETH/BTC": ("XETHXXBT", "0.00001", "0.00000001", 8, "0.001", "0.00002"),
            "USDT/USD": ("USDTZUSD", "0.00001", "0.00000001", 8, "5", "0.5"),
            "USDC/USD": ("USDCUSD", "0.00001", "0.00000001", 8, "5", "0.5"),
        },
    ),
    "coinbase": Flavour(
        policy=COINBASE_POLICY,
        tiers=COINBASE_TIERS,
        volume_opening=Decimal(80_000_000),
        instruments={
            "BTC/USD": ("BTC-USD", "0.01", "0.00000001", 8, "0.00000001", "1"),
            "ETH/USD": ("ETH-USD", "0.01", "0.00000001", 8, "0.00000001", "1"),
            "DOGE/USD": ("DOGE-USD", "0.00001", "0.1", 1, "0.1", "1"),
            "BTC/USDT": ("BTC-USDT", "0.01", "0.00000001", 8, "0.00000001", "1"),
            "ETH/BTC": ("ETH-BTC", "0.00001", "0.00000001", 8, "0.00000001", "0.00002"),
            "USDT/USD": ("USDT-USD", "0.00001", "0.01", 2, "0.01", "1"),
        },
    ),
    "bitstamp": Flavour(
        policy=BITSTAMP_POLICY,
        tiers=BITSTAMP_TIERS,
        volume_opening=Decimal(25_000_000),
        instruments={
            "BTC/USD": ("btcusd", "1", "0.00000001", 8, "0", "10"),
            "ETH/USD": ("ethusd", "0.1", "0.00000001", 8, "0", "10"),
            "DOGE/USD": ("dogeusd", "0.00001", "0.00000001", 8, "0", "10"),
            "USDT/USD": ("usdtusd", "0.00001", "0.00000001", 8, "0", "10"),
            "USDC/USD": ("usdcusd", "0.00001", "0.00000001", 8, "0", "10"),
        },
    ),
}

ASSET_DECIMALS: dict[str, int] = {"BTC": 10, "ETH": 10, "DOGE": 8, "USD": 4, "USDC": 8, "USDT": 8}
"""Decimals an asset's balance is written with at Kraken; more are written when the exact number needs them."""


WITHDRAWAL_FEES: dict[str, Decimal] = {
    "BTC": Decimal("0.0002"),
    "DOGE": Decimal(4),
    "ETH": Decimal("0.001"),
    "USDT": Decimal(5),
}
"""What a withdrawal costs at the pretend Kraken, in the asset; zero for what is not listed. The numbers are our own."""


def instruments_of(venue: str, flavour: str, symbols: tuple[str, ...]) -> tuple[Instrument, ...]:
    """Return the instruments a venue of that flavour lists. Raises: KeyError for a symbol the flavour does not know."""
    return tuple(_instrument(venue, symbol, FLAVOURS[flavour].instruments[symbol]) for symbol in symbols)


def _instrument(venue: str, symbol: str, row: tuple[str, str, str, int, str, str]) -> Instrument:
    venue_symbol, tick_size, qty_step, qty_decimals, qty_min, notional_min = row
    base, quote = symbol.split("/")
    return Instrument(
        id=instrument_id(symbol, venue),
        venue=VenueId(venue),
        symbol=symbol,
        venue_symbol=venue_symbol,
        base=Asset(base),
        quote=Asset(quote),
        tick_size=Decimal(tick_size),
        qty_step=Decimal(qty_step),
        price_decimals=decimals_of(Decimal(tick_size)),
        qty_decimals=qty_decimals,
        qty_min=Decimal(qty_min),
        notional_min=Decimal(notional_min),
    )
