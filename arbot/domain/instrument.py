"""What can be traded where, and in which steps."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from arbot.domain.ids import Asset, InstrumentId, VenueId
from arbot.domain.units import ZERO


class InstrumentStatus(StrEnum):
    """What the venue lets us do with an instrument now."""

    ONLINE = "online"
    LIMIT_ONLY = "limit_only"
    POST_ONLY = "post_only"
    CANCEL_ONLY = "cancel_only"
    HALTED = "halted"


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """A symbol on a venue with its steps and minimums.

    `price_decimals` and `qty_decimals` are the decimals the venue writes on the wire and hashes in checksums
    (Kraken `pair_decimals`, `lot_decimals`); books hold prices and quantities as integers at that scale.
    `tick_size` and `qty_step` are what an order must be a multiple of. A zero maximum means the venue states none.
    """

    id: InstrumentId
    venue: VenueId
    symbol: str
    venue_symbol: str
    base: Asset
    quote: Asset
    tick_size: Decimal
    qty_step: Decimal
    price_decimals: int
    qty_decimals: int
    qty_min: Decimal = ZERO
    notional_min: Decimal = ZERO
    qty_max: Decimal = ZERO
    status: InstrumentStatus = InstrumentStatus.ONLINE

    @property
    def takes_ioc(self) -> bool:
        """Whether an immediate-or-cancel limit order may be sent now."""
        return self.status in (InstrumentStatus.ONLINE, InstrumentStatus.LIMIT_ONLY)


class FeeRate(msgspec.Struct, frozen=True, kw_only=True):
    """Fees of one instrument at the account's own tier, as fractions of the quote value, charged in quote."""

    instrument: InstrumentId
    maker: Decimal
    taker: Decimal


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue says it holds of an asset: total, of which reserved by open orders."""

    asset: Asset
    total: Decimal
    reserved: Decimal = ZERO
