"""Every frame of Kraken's websocket v2 that arbot sends or reads, as msgspec structs.

Rules of the file: shapes only, no behaviour. Keys are the venue's own. A key without a default is required; unknown
keys are ignored. Numbers are JSON numbers whose text carries the precision (0.010), so they stay `Raw` text:
`number` writes one, `arbot.venues.codec` reads one.
Source: docs.kraken.com spot-websocket-v2, read 2026-11.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

WS_PUBLIC_URL = "wss://ws.kraken.com/v2"
WS_PRIVATE_URL = "wss://ws-auth.kraken.com/v2"

BOOK_DEPTHS = (10, 25, 100, 500, 1000)  # the depths the venue offers
CHECKSUM_LEVELS = 10  # levels of each side that are hashed, whatever the depth

FrameType = Literal["snapshot", "update"]
Method = Literal["subscribe", "unsubscribe"]


def number(value: Decimal) -> Raw:
    """Return `value` as a bare JSON number with exactly its own digits: Decimal("0.010") -> 0.010."""
    return Raw(format(value, "f").encode())


class _Frame(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    pass


# --- requests --------------------------------------------------------------------------------------------------------


class SubscribeParams(_Frame, frozen=True, kw_only=True):
    """What to subscribe to. Account channels take a token and no symbols."""

    channel: str
    symbol: tuple[str, ...] | UnsetType = UNSET
    depth: int | UnsetType = UNSET
    snapshot: bool | UnsetType = UNSET
    token: str | UnsetType = UNSET
    snap_orders: bool | UnsetType = UNSET
    snap_trades: bool | UnsetType = UNSET
    order_status: bool | UnsetType = UNSET
    ratecounter: bool | UnsetType = UNSET


class SubscribeRequest(_Frame, frozen=True, kw_only=True):
    """Subscribe or unsubscribe; answered once per symbol."""

    method: Method
    params: SubscribeParams
    req_id: int | UnsetType = UNSET


class PingRequest(_Frame, frozen=True, kw_only=True):
    """The application's own ping."""

    method: str  # "ping"; without a default so that it is always written
    req_id: int | UnsetType = UNSET


# --- answers ---------------------------------------------------------------------------------------------------------


class SubscribeResult(_Frame, frozen=True, kw_only=True):
    """What was subscribed."""

    channel: str
    symbol: str | UnsetType = UNSET
    depth: int | UnsetType = UNSET
    snapshot: bool | UnsetType = UNSET
    warnings: tuple[str, ...] | UnsetType = UNSET


class Answer(_Frame, frozen=True, kw_only=True):
    """Acknowledgement (`success` with `result`), refusal (`error`), or pong.

    "Exceeded msg rate" and the like come as a bare `error` without a method.
    """

    method: str | UnsetType = UNSET
    req_id: int | UnsetType = UNSET
    result: SubscribeResult | UnsetType = UNSET
    success: bool | UnsetType = UNSET
    error: str | UnsetType = UNSET
    symbol: str | UnsetType = UNSET
    time_in: str | UnsetType = UNSET
    time_out: str | UnsetType = UNSET


# --- channels --------------------------------------------------------------------------------------------------------


class Head(_Frame, frozen=True, kw_only=True):
    """The keys that say what a frame is. Answers have a method or an error, data has a channel."""

    channel: str = ""
    method: str = ""
    error: str = ""


class StatusRow(_Frame, frozen=True, kw_only=True):
    """The trading engine's state: online, maintenance, cancel_only, limit_only or post_only."""

    system: str
    version: str = ""
    api_version: str = ""
    connection_id: int = 0  # exceeds 2**53


class StatusFrame(_Frame, frozen=True, kw_only=True):
    """Sent on connect and whenever the engine's state changes."""

    channel: str
    type: FrameType
    data: tuple[StatusRow, ...]


class HeartbeatFrame(_Frame, frozen=True, kw_only=True):
    """About one a second while nothing else is sent."""

    channel: str


class BookLevel(_Frame, frozen=True, kw_only=True):
    """One price level; a zero quantity removes it."""

    price: Raw
    qty: Raw


class BookRow(_Frame, frozen=True, kw_only=True):
    """A book or its changes. A thin first snapshot has no checksum; snapshots may have no timestamp."""

    symbol: str
    bids: tuple[BookLevel, ...]
    asks: tuple[BookLevel, ...]
    checksum: int | UnsetType = UNSET
    timestamp: str | UnsetType = UNSET


class BookFrame(_Frame, frozen=True, kw_only=True):
    """Channel `book`."""

    channel: str
    type: FrameType
    data: tuple[BookRow, ...]


class TradeRow(_Frame, frozen=True, kw_only=True):
    """A public trade; `side` is the taker's, `trade_id` counts per book."""

    symbol: str
    side: Literal["buy", "sell"]
    price: Raw
    qty: Raw
    ord_type: str
    trade_id: int
    timestamp: str


class TradeFrame(_Frame, frozen=True, kw_only=True):
    """Channel `trade`, oldest first."""

    channel: str
    type: FrameType
    data: tuple[TradeRow, ...]


class FeeRow(_Frame, frozen=True, kw_only=True):
    """A fee as charged; negative is a rebate."""

    asset: str
    qty: Raw


class ExecutionRow(_Frame, frozen=True, kw_only=True):
    """One thing that happened to one order. Which keys are there depends on `exec_type`.

    Terminal rows carry neither symbol nor side. `order_status` of a `trade` row says nothing about the remainder.
    """

    order_id: str
    exec_type: str
    order_status: str | UnsetType = UNSET
    cl_ord_id: str | UnsetType = UNSET
    order_userref: int | UnsetType = UNSET
    timestamp: str | UnsetType = UNSET
    symbol: str | UnsetType = UNSET
    side: Literal["buy", "sell"] | UnsetType = UNSET
    order_type: str | UnsetType = UNSET
    order_qty: Raw | UnsetType = UNSET
    limit_price: Raw | UnsetType = UNSET
    limit_price_type: str | UnsetType = UNSET
    stop_price: Raw | UnsetType = UNSET
    time_in_force: str | UnsetType = UNSET
    fee_ccy_pref: str | UnsetType = UNSET
    exec_id: str | UnsetType = UNSET
    trade_id: int | UnsetType = UNSET
    last_qty: Raw | UnsetType = UNSET
    last_price: Raw | UnsetType = UNSET
    liquidity_ind: Literal["t", "m"] | UnsetType = UNSET
    cost: Raw | UnsetType = UNSET
    fees: tuple[FeeRow, ...] | UnsetType = UNSET
    fee_usd_equiv: Raw | UnsetType = UNSET
    cum_qty: Raw | UnsetType = UNSET
    cum_cost: Raw | UnsetType = UNSET
    avg_price: Raw | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    cancel_reason: str | UnsetType = UNSET


class ExecutionsFrame(_Frame, frozen=True, kw_only=True):
    """Channel `executions`; `sequence` counts per subscription from 1."""

    channel: str
    type: FrameType
    data: tuple[ExecutionRow, ...]
    sequence: int
