"""Every frame of Coinbase Advanced Trade's websocket that arbot sends or reads, as msgspec structs.

Rules of the file: shapes only, no behaviour. Keys are the venue's own. A key without a default is required; unknown
keys are ignored. Numbers travel as JSON strings and stay text.
Source: docs.cdp.coinbase.com advanced-trade websocket channels, read 2026-11.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

WS_PUBLIC_URL = "wss://advanced-trade-ws.coinbase.com"
WS_PRIVATE_URL = "wss://advanced-trade-ws-user.coinbase.com"

FrameType = Literal["snapshot", "update"]
DATA_CHANNELS = {"level2": "l2_data"}  # subscribed under one name, delivered under another


class _Frame(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    pass


# --- requests --------------------------------------------------------------------------------------------------------


class SubscribeRequest(_Frame, frozen=True, kw_only=True):
    """Subscribe to or unsubscribe from one channel. The first must come within 5 s of connecting."""

    type: Literal["subscribe", "unsubscribe"]
    channel: str
    product_ids: tuple[str, ...] | UnsetType = UNSET
    jwt: str | UnsetType = UNSET


# --- channels --------------------------------------------------------------------------------------------------------


class Head(_Frame, frozen=True, kw_only=True):
    """The keys that say what a frame is. An error has a type instead of a channel and no sequence number."""

    channel: str = ""
    sequence_num: int = -1
    type: str = ""


class ErrorFrame(_Frame, frozen=True, kw_only=True):
    """A refusal; it does not say of what."""

    type: str  # "error"
    message: str = ""


class L2Update(_Frame, frozen=True, kw_only=True):
    """One price level; quantity "0" removes it."""

    side: Literal["bid", "offer"]
    event_time: str
    price_level: str
    new_quantity: str


class L2Event(_Frame, frozen=True, kw_only=True):
    """A book (tens of thousands of levels) or its changes."""

    type: FrameType
    product_id: str
    updates: tuple[L2Update, ...]


class L2Frame(_Frame, frozen=True, kw_only=True):
    """Channel `l2_data`."""

    channel: str
    client_id: str = ""
    timestamp: str
    sequence_num: int
    events: tuple[L2Event, ...]


class TradeRow(_Frame, frozen=True, kw_only=True):
    """A public trade; `side` is the maker's."""

    trade_id: str
    product_id: str
    price: str
    size: str
    side: Literal["BUY", "SELL"]
    time: str


class TradesEvent(_Frame, frozen=True, kw_only=True):
    """Trades, newest first."""

    type: FrameType
    trades: tuple[TradeRow, ...]


class TradesFrame(_Frame, frozen=True, kw_only=True):
    """Channel `market_trades`."""

    channel: str
    client_id: str = ""
    timestamp: str
    sequence_num: int
    events: tuple[TradesEvent, ...]


class HeartbeatEvent(_Frame, frozen=True, kw_only=True):
    """A beat a second. The counter is an integer on the wire and a string in the documentation."""

    current_time: str  # Go's time text, not RFC 3339
    heartbeat_counter: int | str


class HeartbeatsFrame(_Frame, frozen=True, kw_only=True):
    """Channel `heartbeats`."""

    channel: str
    client_id: str = ""
    timestamp: str
    sequence_num: int
    events: tuple[HeartbeatEvent, ...]


class SubscriptionsEvent(msgspec.Struct, frozen=True, kw_only=True):
    """All that is subscribed now: channel (by its subscribe name) to product ids."""

    subscriptions: dict[str, tuple[str, ...]]


class SubscriptionsFrame(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Channel `subscriptions`; comes after the first data of the channel it acknowledges."""

    channel: str
    client_id: str = ""
    timestamp: str
    sequence_num: int
    events: tuple[SubscriptionsEvent, ...]


class UserOrder(_Frame, frozen=True, kw_only=True, omit_defaults=False):
    """An order's cumulative state, every key written: there is no trade id, two fills may arrive as one change.

    When an order ends, `leaves_quantity` is zeroed: its original size is only in our intent.
    """

    order_id: str
    client_order_id: str
    status: str  # PENDING OPEN FILLED CANCELLED EXPIRED FAILED CANCEL_QUEUED QUEUED EDIT_QUEUED
    product_id: str
    cumulative_quantity: str
    order_side: str = ""
    order_type: str = ""
    leaves_quantity: str = ""
    avg_price: str = ""
    filled_value: str = ""
    total_fees: str = ""
    number_of_fills: str = ""
    completion_percentage: str = ""
    limit_price: str = ""
    stop_price: str = ""
    time_in_force: str = ""
    creation_time: str = ""
    end_time: str = ""
    start_time: str = ""
    cancel_reason: str = ""
    reject_reason: str = ""
    product_type: str = ""
    contract_expiry_type: str = ""
    outstanding_hold_amount: str = ""
    post_only: str = ""
    retail_portfolio_id: str = ""
    risk_managed_by: str = ""
    total_value_after_fees: str = ""
    trigger_status: str = ""


class Positions(msgspec.Struct, frozen=True, kw_only=True):
    """Futures, of which a spot account has none."""

    perpetual_futures_positions: tuple[dict[str, Any], ...] = ()
    expiring_futures_positions: tuple[dict[str, Any], ...] = ()


class UserEvent(_Frame, frozen=True, kw_only=True):
    """Orders that changed, or (snapshot) that are open, at most 50 a frame."""

    type: FrameType
    orders: tuple[UserOrder, ...]
    positions: Positions | UnsetType = UNSET


class UserFrame(_Frame, frozen=True, kw_only=True):
    """Channel `user`."""

    channel: str
    client_id: str = ""
    timestamp: str
    sequence_num: int
    events: tuple[UserEvent, ...]
