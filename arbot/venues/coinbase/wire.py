"""Every frame of Coinbase Advanced Trade's websocket that arbot sends or reads, as structs with the keys that are used.

Rules of the file: shapes only, no behaviour. Keys are the venue's own. A key without a default is required; all others
are ignored. Numbers travel as JSON strings and stay text.
Source: docs.cdp.coinbase.com advanced-trade websocket channels, read 2026-11.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

WS_PUBLIC_URL = "wss://advanced-trade-ws.coinbase.com"
WS_PRIVATE_URL = "wss://advanced-trade-ws-user.coinbase.com"

FrameType = Literal["snapshot", "update"]


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

    events: tuple[TradesEvent, ...]


class SubscriptionsEvent(msgspec.Struct, frozen=True, kw_only=True):
    """All that is subscribed now: channel (by its subscribe name) to product ids."""

    subscriptions: dict[str, tuple[str, ...]]


class SubscriptionsFrame(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Channel `subscriptions`; comes after the first data of the channel it acknowledges."""

    events: tuple[SubscriptionsEvent, ...]


class UserOrder(_Frame, frozen=True, kw_only=True):
    """An order's cumulative state: there is no trade id, two fills may arrive as one change.

    When an order ends the venue zeroes `leaves_quantity`: its original size is only in our intent.
    """

    order_id: str
    client_order_id: str
    status: str  # PENDING OPEN FILLED CANCELLED EXPIRED FAILED CANCEL_QUEUED QUEUED EDIT_QUEUED
    cumulative_quantity: str
    cancel_reason: str = ""
    reject_reason: str = ""


class UserEvent(_Frame, frozen=True, kw_only=True):
    """Orders that changed, or (snapshot) that are open, at most 50 a frame."""

    type: FrameType
    orders: tuple[UserOrder, ...]


class UserFrame(_Frame, frozen=True, kw_only=True):
    """Channel `user`."""

    events: tuple[UserEvent, ...]
