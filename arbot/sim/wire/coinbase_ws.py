"""The pretend Coinbase's websocket: one session per connection, from venue events to the venue's frames.

Rules of the file:
- One `sequence_num` per connection over all channels, from 0, given to a frame when it is pushed.
- Subscribing sends the channel's snapshot first and the cumulative `subscriptions` after it.
- Book changes leave in batches 50 ms apart, public trades 250 ms apart and newest first, naming the maker's side; a
  level that changed twice in a batch is told once.
- `user` rows are cumulative and carry no trade id: all that happened to an order in one stroke is one row, after a
  PENDING row when it is new. At the end of an order its leaves_quantity is zero, whatever was asked.
- A connection that does not subscribe within 5 s is dropped, and one that is quiet for 75 s without heartbeats too.
Source: docs.cdp.coinbase.com, Advanced Trade websocket overview and channels, read 2025-11; frames recorded 2025.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from aiohttp import web

from arbot.domain.errors import ArbotError
from arbot.domain.order import Side
from arbot.domain.units import ZERO, fmt
from arbot.sim.model import BookChanged, ExecKind, Execution, SimEvent, SimOrder, TradePrint
from arbot.sim.wire import coinbase_shapes as shapes
from arbot.sim.wire.auth_coinbase import AuthRefused, Keyring
from arbot.sim.wire.coinbase_rest import USER_ID, portfolio_of
from arbot.sim.wire.connection import Connection, FrameKind
from arbot.sim.wire.desk import Desk

Json = dict[str, Any]

BOOK_BATCH_S = 0.050
TRADES_BATCH_S = 0.250
TICKER_BATCH_S = 5.0
SUBSCRIBE_WITHIN_S = 5.0
QUIET_S_MAX = 75
SNAPSHOT_TRADES = 100
SNAPSHOT_ORDERS = 50
SNAPSHOT_LEVELS_MAX = 100_000
NO_TIME = "0001-01-01T00:00:00Z"

_SIDE_NAMES = {Side.BUY: "bid", Side.SELL: "offer"}
_LIVE_STATUSES = {
    ExecKind.PENDING_NEW: "PENDING",
    ExecKind.NEW: "OPEN",
    ExecKind.TRADE: "OPEN",
    ExecKind.AMENDED: "OPEN",
}


class _Refused(ArbotError):
    """A frame of the customer is answered with an error frame."""


class CoinbaseSession:
    """What one connection subscribed to, and what it is still to be told."""

    def __init__(self, desk: Desk, keys: Keyring, connection: Connection) -> None:
        self._desk = desk
        self._venue = desk.venue
        self._keys = keys
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._ids = {one.symbol: one.venue_symbol for one in desk.venue.instruments.values()}
        self._symbols = {product_id: symbol for symbol, product_id in self._ids.items()}
        self._subscribed: dict[str, dict[str, None]] = {}  # channel -> product ids in the order they came
        self._account = ""
        self._sequence_num = 0
        self._heartbeats = 0
        self._opened_ns = self._last_ns = desk.now_ns()
        self._book: dict[str, dict[tuple[Side, int], tuple[int, int]]] = {}
        self._trades: dict[str, list[TradePrint]] = {}
        self._ticked: dict[str, None] = {}
        self._later("subscribe", SUBSCRIBE_WITHIN_S, self._drop_unless_subscribed)

    def stop(self) -> None:
        """Forget all that was still to be sent."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    # --- from the customer -------------------------------------------------------------------------------------------

    async def on_text(self, text: str) -> None:
        """Take one frame of the customer."""
        self._desk.venue.advance(self._desk.now_ns())
        try:
            message = _decoded(text)
            channel, products = self._asked(message)
            self._authenticate(message, channel)
        except AuthRefused:
            self._refuse("authentication failure")
            return
        except _Refused as refusal:
            self._refuse(str(refusal))
            return
        if message["type"] == "subscribe":
            self._subscribe(channel, products)
        else:
            self._unsubscribe(channel, products)

    def _asked(self, message: Json) -> tuple[str, Sequence[str]]:
        """Return the channel and products of a frame. Raises: _Refused."""
        if message.get("type") not in ("subscribe", "unsubscribe"):
            raise _Refused("type must be subscribe or unsubscribe")
        channel = message.get("channel")
        if not isinstance(channel, str) or channel not in _CHANNELS:
            raise _Refused(f"channel {channel!r} is unknown")
        products = message.get("product_ids") or []
        if not isinstance(products, list) or not all(one in self._symbols for one in map(str, products)):
            raise _Refused("product_ids are unknown")
        if not products and channel not in ("heartbeats", "user"):
            raise _Refused("product_ids are required")
        return channel, products

    def _authenticate(self, message: Json, channel: str) -> None:
        """Check who is asking: always for `user`, elsewhere only a token that was sent. Raises: AuthRefused."""
        if channel == "user" or "jwt" in message:
            key = self._keys.authenticate_ws(message, self._desk.now_ns())
            if channel == "user":
                if not key.can_view:
                    raise AuthRefused("key may not view")
                self._account = key.account

    def _subscribe(self, channel: str, products: Sequence[str]) -> None:
        self._cancel("subscribe")
        known = self._subscribed.setdefault(channel, {})
        known.update(dict.fromkeys(products))
        _CHANNELS[channel](self, products)
        self._tell_subscriptions()

    def _unsubscribe(self, channel: str, products: Sequence[str]) -> None:
        known = self._subscribed.get(channel, {})
        for product in products or tuple(known):
            known.pop(product, None)
        if not known:
            self._subscribed.pop(channel, None)
        self._tell_subscriptions()

    def _tell_subscriptions(self) -> None:
        state = {channel: list(products) or [_NAMELESS[channel]] for channel, products in self._subscribed.items()}
        self._push("subscriptions", {"subscriptions": state}, FrameKind.MARKET)

    def _refuse(self, message: str) -> None:
        self._connection.push(msgspec.json.encode({"type": "error", "message": message}))

    # --- snapshots ---------------------------------------------------------------------------------------------------

    def snapshot_level2(self, products: Iterable[str]) -> None:
        """Send whole books: all bids, then all offers, best first."""
        for product in products:
            symbol = self._symbols[product]
            now_ns = self._desk.now_ns()
            self._book.pop(symbol, None)  # what waited to be told is in the snapshot
            levels = [
                self._level(symbol, side, ticks, lots, now_ns)
                for side in (Side.BUY, Side.SELL)
                for ticks, lots in self._venue.top(symbol, side, SNAPSHOT_LEVELS_MAX)
            ]
            self._push("l2_data", {"type": "snapshot", "product_id": product, "updates": levels}, FrameKind.MARKET)

    def snapshot_trades(self, products: Iterable[str]) -> None:
        """Send the last trades, newest first; a product that never traded has no snapshot."""
        for product in products:
            symbol = self._symbols[product]
            self._trades.pop(symbol, None)
            prints = self._venue.prints(symbol, SNAPSHOT_TRADES)
            if prints:
                self._push("market_trades", {"type": "snapshot", "trades": self._rows(prints)}, FrameKind.MARKET)

    def snapshot_ticker(self, products: Iterable[str]) -> None:
        """Send the present ticker of each product."""
        for product in products:
            self._push("ticker", self._ticker("snapshot", product), FrameKind.MARKET)

    def snapshot_ticker_batch(self, products: Iterable[str]) -> None:
        """Send the present ticker of each product, and again every five seconds."""
        for product in products:
            self._push("ticker_batch", self._ticker("snapshot", product), FrameKind.MARKET)
        self._later("ticker_batch", TICKER_BATCH_S, self._flush_ticker_batch)

    def snapshot_heartbeats(self, products: Iterable[str]) -> None:
        """Send nothing: heartbeats come each second from now on."""

    def snapshot_user(self, products: Iterable[str]) -> None:  # noqa: ARG002 - the subscription holds them already
        """Send the open orders, fifty in a frame; one empty frame when there are none."""
        open_orders = [one for one in self._venue.open_orders(self._account) if self._wants_order(one)]
        for start in range(0, max(len(open_orders), 1), SNAPSHOT_ORDERS):
            rows = [
                self._user_row(order, "OPEN", order.filled_qty, cost=order.cost, fee=order.fee)
                for order in open_orders[start : start + SNAPSHOT_ORDERS]
            ]
            self._push_user("snapshot", rows)

    # --- from the venue ----------------------------------------------------------------------------------------------

    def on_events(self, events: Sequence[SimEvent]) -> None:
        """Take what happened at the venue: orders are told now, market data in batches."""
        rows: dict[str, Execution] = {}
        for event in events:
            if isinstance(event, BookChanged):
                self._note_book(event)
            elif isinstance(event, TradePrint):
                self._note_trade(event)
            elif isinstance(event, Execution) and "user" in self._subscribed and self._wants_order(event.order):
                if event.kind is ExecKind.PENDING_NEW:
                    row = self._user_row(event.order, "PENDING", ZERO, cost=ZERO, fee=ZERO)
                    self._push_user("update", [row])
                else:
                    rows[event.order.order_id] = event
        for event in rows.values():
            status = _LIVE_STATUSES.get(event.kind) or shapes.status_of(event.order)
            row = self._user_row(event.order, status, event.filled_qty, cost=event.cost, fee=event.fee)
            self._push_user("update", [row])

    def _note_book(self, event: BookChanged) -> None:
        product = self._ids[event.symbol]
        if self._has("level2", product):
            pending = self._book.setdefault(event.symbol, {})
            for side, ticks, lots in event.levels:
                pending[side, ticks] = (lots, event.ts_ns)
            self._later("level2", BOOK_BATCH_S, self._flush_book)

    def _note_trade(self, event: TradePrint) -> None:
        product = self._ids[event.symbol]
        if self._has("market_trades", product):
            self._trades.setdefault(event.symbol, []).append(event)
            self._later("market_trades", TRADES_BATCH_S, self._flush_trades)
        if self._has("ticker", product):
            self._ticked[product] = None
            self._later("ticker", BOOK_BATCH_S, self._flush_ticker)

    def _flush_book(self) -> None:
        pending, self._book = self._book, {}
        for symbol, levels in pending.items():
            updates = [self._level(symbol, side, ticks, lots, ts_ns) for (side, ticks), (lots, ts_ns) in levels.items()]
            if updates and self._has("level2", self._ids[symbol]):
                event = {"type": "update", "product_id": self._ids[symbol], "updates": updates}
                self._push("l2_data", event, FrameKind.MARKET)

    def _flush_trades(self) -> None:
        pending, self._trades = self._trades, {}
        for symbol, prints in pending.items():
            if self._has("market_trades", self._ids[symbol]):
                self._push("market_trades", {"type": "update", "trades": self._rows(prints)}, FrameKind.MARKET)

    def _flush_ticker(self) -> None:
        pending, self._ticked = self._ticked, {}
        for product in pending:
            if self._has("ticker", product):
                self._push("ticker", self._ticker("update", product), FrameKind.MARKET)

    def _flush_ticker_batch(self) -> None:
        for product in self._subscribed.get("ticker_batch", {}):
            self._push("ticker_batch", self._ticker("update", product), FrameKind.MARKET)
        if "ticker_batch" in self._subscribed:
            self._later("ticker_batch", TICKER_BATCH_S, self._flush_ticker_batch)

    def each_second(self) -> None:
        """Send the heartbeat, or drop a connection that has been quiet for too long without asking for one."""
        now_ns = self._desk.now_ns()
        if "heartbeats" in self._subscribed:
            self._heartbeats += 1
            beat = {
                "current_time": shapes.go_time(now_ns, now_ns - self._opened_ns),
                "heartbeat_counter": self._heartbeats,
            }
            self._push("heartbeats", beat, FrameKind.MARKET)
        elif now_ns - self._last_ns > QUIET_S_MAX * 10**9:
            self._connection.close()

    # --- frames ------------------------------------------------------------------------------------------------------

    def _push(self, channel: str, event: Json, kind: FrameKind) -> None:
        now_ns = self._desk.now_ns()
        frame = {
            "channel": channel,
            "client_id": "",
            "timestamp": shapes.iso_ns(now_ns),
            "sequence_num": self._sequence_num,
            "events": [event],
        }
        self._sequence_num += 1
        self._last_ns = now_ns
        self._connection.push(msgspec.json.encode(frame), kind)

    def _push_user(self, kind: str, rows: list[Json]) -> None:
        positions: Json = {"perpetual_futures_positions": [], "expiring_futures_positions": []}
        self._push("user", {"type": kind, "orders": rows, "positions": positions}, FrameKind.PRIVATE)

    def _level(self, symbol: str, side: Side, ticks: int, lots: int, ts_ns: int) -> Json:
        return {
            "side": _SIDE_NAMES[side],
            "event_time": shapes.iso_us(ts_ns),
            "price_level": fmt(self._venue.price(symbol, ticks)),
            "new_quantity": fmt(self._venue.qty(symbol, lots)),
        }

    def _rows(self, prints: Sequence[TradePrint]) -> list[Json]:
        return [
            shapes.public_trade(
                self._ids[one.symbol],
                one.print_id,
                price=one.price,
                qty=one.qty,
                taker=one.taker_side,
                ts_ns=one.ts_ns,
            )
            for one in reversed(prints)
        ]

    def _ticker(self, kind: str, product: str) -> Json:
        symbol = self._symbols[product]
        prints = self._venue.prints(symbol, 2_000)
        prices = [one.price for one in prints] or [ZERO]
        bid = self._best(symbol, Side.BUY)
        ask = self._best(symbol, Side.SELL)
        ticker = {
            "type": "ticker",
            "product_id": product,
            "price": fmt(prices[-1]),
            "volume_24_h": fmt(sum((one.qty for one in prints), ZERO)),
            "low_24_h": fmt(min(prices)),
            "high_24_h": fmt(max(prices)),
            "low_52_w": fmt(min(prices)),
            "high_52_w": fmt(max(prices)),
            "price_percent_chg_24_h": "0",
            "best_bid": bid[0],
            "best_ask": ask[0],
            "best_bid_quantity": bid[1],
            "best_ask_quantity": ask[1],
        }
        return {"type": kind, "tickers": [ticker]}

    def _best(self, symbol: str, side: Side) -> tuple[str, str]:
        for ticks, lots in self._venue.top(symbol, side, 1):
            return fmt(self._venue.price(symbol, ticks)), fmt(self._venue.qty(symbol, lots))
        return "", ""

    def _user_row(self, order: SimOrder, status: str, filled: Decimal, *, cost: Decimal, fee: Decimal) -> Json:
        request = order.request
        is_live = status in ("PENDING", "OPEN")
        asked = self._venue.qty(order.symbol, order.qty_lots)
        after_fees = cost + fee if order.side is Side.BUY else cost - fee
        return {
            "avg_price": shapes.average_price(filled, cost),
            "cancel_reason": order.reason if status == "CANCELLED" else "",
            "client_order_id": order.client_order_id,
            "completion_percentage": "100" if status == "FILLED" else shapes.percentage(filled, asked),
            "contract_expiry_type": "UNKNOWN_CONTRACT_EXPIRY_TYPE",
            "creation_time": shapes.iso_us(order.opened_ns),
            "cumulative_quantity": fmt(filled),
            "end_time": shapes.iso_us(request.expire_ns) if request.expire_ns else NO_TIME,
            "filled_value": fmt(cost),
            "leaves_quantity": fmt(asked - filled) if is_live else "0",
            "limit_price": fmt(request.price) if request.price is not None else "0",
            "number_of_fills": str(len(order.fills)) if filled else "0",
            "order_id": order.order_id,
            "order_side": order.side.upper(),
            "order_type": request.type.capitalize(),
            "outstanding_hold_amount": fmt(order.hold),
            "post_only": "true" if request.post_only else "false",
            "product_id": self._ids[order.symbol],
            "product_type": "SPOT",
            "reject_reason": "",
            "retail_portfolio_id": portfolio_of(order.account),
            "risk_managed_by": "UNKNOWN_RISK_MANAGEMENT_TYPE",
            "start_time": NO_TIME,
            "status": status,
            "stop_price": "",
            "time_in_force": shapes.time_in_force_of(request),
            "total_fees": fmt(fee),
            "total_value_after_fees": fmt(after_fees),
            "trigger_status": "INVALID_ORDER_TYPE",
        }

    # --- helpers -----------------------------------------------------------------------------------------------------

    def _has(self, channel: str, product: str) -> bool:
        return product in self._subscribed.get(channel, {})

    def _wants_order(self, order: SimOrder) -> bool:
        products = self._subscribed.get("user", {})
        return order.account == self._account and (not products or self._ids[order.symbol] in products)

    def _later(self, name: str, seconds: float, work: Callable[[], None]) -> None:
        """Run `work` once after so long, unless it already waits."""
        if name not in self._timers:
            self._timers[name] = self._loop.call_later(seconds, self._due, name, work)

    def _due(self, name: str, work: Callable[[], None]) -> None:
        self._timers.pop(name, None)
        work()

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    def _drop_unless_subscribed(self) -> None:
        if not self._subscribed:
            self._connection.close()


_CHANNELS: Mapping[str, Callable[[CoinbaseSession, Iterable[str]], None]] = {
    "level2": CoinbaseSession.snapshot_level2,
    "market_trades": CoinbaseSession.snapshot_trades,
    "ticker": CoinbaseSession.snapshot_ticker,
    "ticker_batch": CoinbaseSession.snapshot_ticker_batch,
    "heartbeats": CoinbaseSession.snapshot_heartbeats,
    "user": CoinbaseSession.snapshot_user,
}
_NAMELESS = {"heartbeats": "heartbeats", "user": USER_ID}
"""What stands in the subscriptions of a channel that was asked for without products."""


async def serve_websocket(request: web.Request, desk: Desk, keys: Keyring) -> web.StreamResponse:
    """Serve one connection until either side ends it."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    connection = Connection(desk, request, socket)
    session = CoinbaseSession(desk, keys, connection)
    end = desk.venue.listen(session.on_events)
    try:
        await connection.run(session.on_text, session.each_second)
    finally:
        end()
        session.stop()
    return socket


def _decoded(text: str) -> Json:
    """Return a frame as an object. Raises: _Refused."""
    try:
        message = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise _Refused("frame is not JSON") from error
    if not isinstance(message, dict):
        raise _Refused("frame is not an object")
    return message
