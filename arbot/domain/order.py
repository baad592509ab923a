"""Orders: what we want, what we were allowed to send, what came of it, and the table of their life."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from arbot.domain.ids import ArbId, Asset, ClientOrderId, InstrumentId, TradeId, VenueId, VenueOrderId
from arbot.domain.units import EXACT, ZERO, Amount


class Side(StrEnum):
    """Buy or sell, from our point of view."""

    BUY = "buy"
    SELL = "sell"

    @property
    def opposite(self) -> Side:
        """The other side."""
        return Side.SELL if self is Side.BUY else Side.BUY

    @property
    def sign(self) -> int:
        """+1 when base comes in, -1 when it goes out."""
        return 1 if self is Side.BUY else -1


class TimeInForce(StrEnum):
    """How long an order may rest."""

    IOC = "ioc"
    FOK = "fok"
    GTC = "gtc"
    POST_ONLY = "post_only"  # as GTC, and refused when it would take

    @property
    def rests(self) -> bool:
        """Whether what does not trade at once stays in the book until it is cancelled."""
        return self in (TimeInForce.GTC, TimeInForce.POST_ONLY)


class Liquidity(StrEnum):
    """Which side of the fee schedule a fill fell on."""

    MAKER = "maker"
    TAKER = "taker"


class Purpose(StrEnum):
    """Why an order exists. Everything but LEG only reduces exposure."""

    LEG = "leg"
    HEDGE = "hedge"
    UNWIND = "unwind"
    FLUSH = "flush"
    FLATTEN = "flatten"


class OrderState(StrEnum):
    """Where an order is in its life; see ORDER_LIFE."""

    INTENDED = "intended"
    SENT = "sent"
    OPEN = "open"
    PART_FILLED = "part_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    UNKNOWN = "unknown"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing more is expected (a late fill is still booked and reopens the arb)."""
        return self in TERMINAL


TERMINAL = frozenset({OrderState.FILLED, OrderState.CANCELED, OrderState.REJECTED, OrderState.EXPIRED})

_LIVE = (OrderState.OPEN, OrderState.PART_FILLED)

ORDER_LIFE: dict[OrderState, tuple[OrderState, ...]] = {
    OrderState.INTENDED: (OrderState.SENT, OrderState.UNKNOWN, OrderState.REJECTED),
    OrderState.SENT: (
        *_LIVE,
        OrderState.FILLED,
        OrderState.CANCELED,
        OrderState.REJECTED,
        OrderState.EXPIRED,
        OrderState.UNKNOWN,
    ),
    OrderState.OPEN: (
        OrderState.PART_FILLED,
        OrderState.FILLED,
        OrderState.CANCELED,
        OrderState.EXPIRED,
        OrderState.UNKNOWN,
    ),
    OrderState.PART_FILLED: (OrderState.FILLED, OrderState.CANCELED, OrderState.EXPIRED, OrderState.UNKNOWN),
    OrderState.UNKNOWN: (*_LIVE, OrderState.FILLED, OrderState.CANCELED, OrderState.REJECTED, OrderState.EXPIRED),
    OrderState.FILLED: (),
    OrderState.CANCELED: (),
    OrderState.REJECTED: (),
    OrderState.EXPIRED: (),
}
"""Which state may follow which. The diagram in docs/ARCHITECTURE.md is generated from this table."""


class OrderIntent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An order we want: complete, exact, and named before anything leaves.

    `limit_price` is the worst acceptable price. `deadline_ns` is the wall time after which the venue must not match it
    (Kraken enforces it; elsewhere IOC has to do), of an order that rests: after which it must not take it any more. Quantities in base, prices in quote per base.
    """

    client_order_id: ClientOrderId
    arb_id: ArbId
    purpose: Purpose
    venue: VenueId
    instrument: InstrumentId
    symbol: str
    base: Asset
    quote: Asset
    side: Side
    qty: Decimal
    limit_price: Decimal
    tif: TimeInForce
    fee_rate: Decimal
    decided_ts_ns: int
    deadline_ns: int
    lot_method: str = ""  # of `LotMethod`: which units its fills give up first; empty: as the standing order has it

    @property
    def notional(self) -> Decimal:
        """Worst-case quote value, before fees."""
        return self.qty * self.limit_price


class Approved(msgspec.Struct, frozen=True):
    """An intent that passed every rule. Built in `engine/risk` only (a tidy test looks for others); gateways take no less."""

    intent: OrderIntent
    rules: tuple[str, ...]


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """One execution of our order, as the venue reports it.

    Identity is the venue and `key`. `fee` may be negative (rebate) and in any asset.
    """

    venue: VenueId
    instrument: InstrumentId
    base: Asset
    quote: Asset
    client_order_id: ClientOrderId
    venue_order_id: VenueOrderId
    trade_id: TradeId
    side: Side
    qty: Decimal
    price: Decimal
    fee: Amount
    liquidity: Liquidity
    venue_ts_ns: int
    is_reversal: bool = False

    @property
    def key(self) -> tuple[VenueOrderId, TradeId, bool]:
        """What makes it the same fill at one venue. A reversal may carry the trade id that it takes back."""
        return self.venue_order_id, self.trade_id, self.is_reversal

    @property
    def base_delta(self) -> Decimal:
        """Change of our base balance, fee in base included."""
        moved = EXACT.multiply(self.qty, Decimal(self.side.sign * (-1 if self.is_reversal else 1)))
        return EXACT.subtract(moved, self.fee.number) if self.fee.asset == self.base else moved

    @property
    def quote_delta(self) -> Decimal:
        """Change of our quote balance, fee in quote included."""
        sign = -self.side.sign * (-1 if self.is_reversal else 1)
        moved = EXACT.multiply(EXACT.multiply(self.qty, self.price), Decimal(sign))
        return EXACT.subtract(moved, self.fee.number) if self.fee.asset == self.quote else moved

    def delta(self, asset: Asset) -> Decimal:
        """Change of our balance of any asset: base, quote, or a third one in which the fee was taken."""
        if asset == self.base:
            return self.base_delta
        if asset == self.quote:
            return self.quote_delta
        return -self.fee.number if asset == self.fee.asset else ZERO
