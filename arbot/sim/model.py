"""What a pretend venue knows and tells: requests, orders, fills, ledger rows, transfers, events, refusals.

Prices and quantities are integers at the instrument's `price_decimals` and `qty_decimals` inside the matching engine
and Decimal everywhere money is counted. Times are ns since the epoch, given by the caller.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from arbot.domain.errors import ArbotError
from arbot.domain.order import Liquidity, Side, TimeInForce
from arbot.domain.units import ZERO


class OrderType(StrEnum):
    """The order types a venue matches at once."""

    LIMIT = "limit"
    MARKET = "market"


class OrderStatus(StrEnum):
    """Where an order is, in the venue's eyes."""

    OPEN = "open"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"


class RejectReason(StrEnum):
    """Why an order was refused. Each wire has a table from these to its venue's own words."""

    UNKNOWN_INSTRUMENT = "unknown_instrument"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    QTY_MIN = "qty_min"
    QTY_MAX = "qty_max"
    QTY_STEP = "qty_step"
    NOTIONAL_MIN = "notional_min"
    TICK_SIZE = "tick_size"
    INVALID_PRICE = "invalid_price"
    POST_ONLY = "post_only"
    NO_LIQUIDITY = "no_liquidity"
    DEADLINE_ELAPSED = "deadline_elapsed"
    DUPLICATE_CLIENT_ID = "duplicate_client_id"
    ORDERS_LIMIT = "orders_limit"
    INSTRUMENT_CLOSED = "instrument_closed"
    POST_ONLY_MODE = "post_only_mode"


class OrderRejected(ArbotError):
    """The venue refuses an order; nothing was matched and nothing is held."""

    def __init__(self, reason: RejectReason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail


class OrderUnknown(ArbotError):
    """No open order by that id in this account."""


class TransferRefused(ArbotError):
    """A withdrawal the venue refuses; `reason` is insufficient_funds, below_minimum, frozen, closed or unknown_network."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An order as the venue understood it. `price` is None for market orders only; zero times mean "not given".

    `quote_qty` (market orders only) spends that much quote instead of trading `qty`, as Coinbase's quote_size does.
    """

    account: str
    symbol: str
    side: Side
    qty: Decimal
    price: Decimal | None = None
    type: OrderType = OrderType.LIMIT
    tif: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    client_order_id: str = ""
    userref: int = 0
    deadline_ns: int = 0
    expire_ns: int = 0
    quote_qty: Decimal | None = None


class SimFill(msgspec.Struct, frozen=True, kw_only=True):
    """One execution of a customer's order. `fee` is in `fee_asset`, which is the quote; `print_id` is the public trade's id."""

    trade_id: str
    print_id: int
    order_id: str
    client_order_id: str
    account: str
    symbol: str
    side: Side
    price: Decimal
    qty: Decimal
    cost: Decimal
    fee: Decimal
    fee_asset: str
    liquidity: Liquidity
    ts_ns: int
    order_type: OrderType


class SimOrder(msgspec.Struct, kw_only=True):
    """An order as the venue keeps it. Mutable inside the venue; treat it as read-only outside.

    `price_ticks` of a market order is 0. `hold` is what is reserved now, of `hold_asset`.
    """

    order_id: str
    request: OrderRequest
    price_ticks: int
    qty_lots: int
    opened_ns: int
    hold_asset: str
    hold: Decimal = ZERO
    filled_lots: int = 0
    filled_qty: Decimal = ZERO
    cost: Decimal = ZERO
    fee: Decimal = ZERO
    status: OrderStatus = OrderStatus.OPEN
    reason: str = ""
    closed_ns: int = 0
    fills: list[SimFill] = msgspec.field(default_factory=list)

    @property
    def account(self) -> str:
        """Whose order it is."""
        return self.request.account

    @property
    def symbol(self) -> str:
        """The instrument's symbol, such as BTC/USD."""
        return self.request.symbol

    @property
    def side(self) -> Side:
        """The customer's side."""
        return self.request.side

    @property
    def client_order_id(self) -> str:
        """The customer's own name for it, or an empty text."""
        return self.request.client_order_id

    @property
    def left_lots(self) -> int:
        """What is not yet filled, in lots."""
        return self.qty_lots - self.filled_lots

    @property
    def is_open(self) -> bool:
        """Whether it can still fill."""
        return self.status is OrderStatus.OPEN

    @property
    def ts_ns(self) -> int:
        """Time of its last change."""
        return self.closed_ns or (self.fills[-1].ts_ns if self.fills else self.opened_ns)


class LedgerKind(StrEnum):
    """What moved a balance."""

    TRADE = "trade"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    ADJUSTMENT = "adjustment"


class LedgerRow(msgspec.Struct, frozen=True, kw_only=True):
    """One movement of one asset. The balance changes by `amount - fee` and is `balance` afterwards."""

    ledger_id: str
    reference: str
    account: str
    asset: str
    kind: LedgerKind
    amount: Decimal
    fee: Decimal
    balance: Decimal
    ts_ns: int


class TransferStatus(StrEnum):
    """Life of a deposit or withdrawal: initial -> pending -> settled -> success, or failure."""

    INITIAL = "initial"
    PENDING = "pending"
    SETTLED = "settled"
    SUCCESS = "success"
    FAILURE = "failure"


class Transfer(msgspec.Struct, kw_only=True):
    """A deposit or withdrawal. `amount` is what arrives, `fee` what the venue keeps; both left the balance of a withdrawal."""

    reference: str
    account: str
    asset: str
    is_deposit: bool
    amount: Decimal
    fee: Decimal
    address: str
    address_key: str
    txid: str
    status: TransferStatus
    created_ns: int
    updated_ns: int
    client_reference: str = ""
    network: str = ""  # the simulator's own word of it, such as bitcoin; wires have their venues' words
    tag: str = ""
    is_on_chain: bool = False  # the chains between the venues move it on, not the venue's own steps


class RegisteredAddress(msgspec.Struct, frozen=True, kw_only=True):
    """An address that a customer registered for withdrawals under a name of his own (Kraken's withdrawal keys)."""

    asset: str
    key: str
    address: str
    fee: Decimal
    network: str = ""  # empty: the asset's first
    tag: str = ""
    is_verified: bool = True


class SimBalance(msgspec.Struct, frozen=True):
    """What an account holds of an asset, and how much of it open orders reserve."""

    total: Decimal
    hold: Decimal

    @property
    def available(self) -> Decimal:
        """What can be spent."""
        return self.total - self.hold


class ExecKind(StrEnum):
    """What happened to an order."""

    PENDING_NEW = "pending_new"
    NEW = "new"
    TRADE = "trade"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    AMENDED = "amended"


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """A change of an order, with the sums as they were at that moment. `fill` is given for TRADE only."""

    kind: ExecKind
    order: SimOrder
    filled_qty: Decimal
    cost: Decimal
    fee: Decimal
    ts_ns: int
    fill: SimFill | None = None
    reason: str = ""


class BookChanged(msgspec.Struct, frozen=True, kw_only=True):
    """Levels that changed, as (side, price in ticks, new total in lots); zero removes. BUY is the bid side."""

    symbol: str
    levels: tuple[tuple[Side, int, int], ...]
    ts_ns: int


class TradePrint(msgspec.Struct, frozen=True, kw_only=True):
    """A public trade. `taker_side` is the aggressor's."""

    symbol: str
    print_id: int
    price: Decimal
    qty: Decimal
    taker_side: Side
    order_type: OrderType
    ts_ns: int


class BalanceChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A ledger row was written."""

    row: LedgerRow


class TransferChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A deposit or withdrawal reached another state."""

    transfer: Transfer
    status: TransferStatus
    ts_ns: int


SimEvent = BookChanged | TradePrint | Execution | BalanceChanged | TransferChanged
