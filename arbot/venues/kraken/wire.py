"""Every frame of Kraken's websocket v2 that arbot sends or reads, as msgspec structs with the keys that are used.

Rules of the file: shapes only, no behaviour. Keys are the venue's own. A key without a default is required; all others
are ignored. Numbers are JSON numbers whose text carries the precision (0.010), so they stay `Raw` text:
`arbot.venues.codec.text_of` reads one.
Source: docs.kraken.com spot-websocket-v2, read 2026-11.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

WS_PUBLIC_URL = "wss://ws.kraken.com/v2"
WS_PRIVATE_URL = "wss://ws-auth.kraken.com/v2"

BOOK_DEPTHS = (10, 25, 100, 500, 1000)  # the depths the venue offers

FrameType = Literal["snapshot", "update"]
Method = Literal["subscribe", "unsubscribe"]


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


class SubscribeRequest(_Frame, frozen=True, kw_only=True):
    """Subscribe or unsubscribe; answered once per symbol."""

    method: Method
    params: SubscribeParams


class PingRequest(_Frame, frozen=True, kw_only=True):
    """The application's own ping."""

    method: str  # "ping"; without a default so that it is always written


# --- answers ---------------------------------------------------------------------------------------------------------


class SubscribeResult(_Frame, frozen=True, kw_only=True):
    """What was subscribed."""

    channel: str
    symbol: str | UnsetType = UNSET


class Answer(_Frame, frozen=True, kw_only=True):
    """Acknowledgement (`success` with `result`), refusal (`error`), or pong.

    "Exceeded msg rate" and the like come as a bare `error` without a method.
    """

    method: str | UnsetType = UNSET
    result: SubscribeResult | UnsetType = UNSET
    success: bool | UnsetType = UNSET
    error: str | None = None
    symbol: str | UnsetType = UNSET


# --- channels --------------------------------------------------------------------------------------------------------


class Head(_Frame, frozen=True, kw_only=True):
    """The keys that say what a frame is. Answers have a method or an error, data has a channel."""

    channel: str = ""
    method: str = ""
    error: str | None = None


class StatusRow(_Frame, frozen=True, kw_only=True):
    """The trading engine's state: online, maintenance, cancel_only, limit_only or post_only."""

    system: str


class StatusFrame(_Frame, frozen=True, kw_only=True):
    """Sent on connect and whenever the engine's state changes."""

    type: FrameType
    data: tuple[StatusRow, ...]


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

    type: FrameType
    data: tuple[BookRow, ...]


class TradeRow(_Frame, frozen=True, kw_only=True):
    """A public trade; `side` is the taker's, `trade_id` counts per book."""

    symbol: str
    side: Literal["buy", "sell"]
    price: Raw
    qty: Raw
    trade_id: int
    timestamp: str


class TradeFrame(_Frame, frozen=True, kw_only=True):
    """Channel `trade`, oldest first."""

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
    timestamp: str | UnsetType = UNSET
    symbol: str | UnsetType = UNSET
    side: Literal["buy", "sell"] | UnsetType = UNSET
    exec_id: str | UnsetType = UNSET
    last_qty: Raw | UnsetType = UNSET
    last_price: Raw | UnsetType = UNSET
    liquidity_ind: Literal["t", "m"] | UnsetType = UNSET
    fees: tuple[FeeRow, ...] | UnsetType = UNSET
    cum_qty: Raw | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    cancel_reason: str | UnsetType = UNSET


class ExecutionsFrame(_Frame, frozen=True, kw_only=True):
    """Channel `executions`; `sequence` counts per subscription from 1."""

    type: FrameType
    data: tuple[ExecutionRow, ...]
    sequence: int
