"""The pretend Kraken's websocket v2: public streams on /v2, private streams and trading on /auth/v2.

On connect a status frame; one ack per symbol before that symbol's snapshot; books as seen to the subscribed depth, with
the checksum of every message; terminal execution rows without symbol and side; sequence per private subscription; a
heartbeat in every second in which nothing else was sent. Frames of one book are made once for all its subscribers.
Source: docs.kraken.com websocket v2 pages, read 2025-11.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from aiohttp import web

from arbot.domain.instrument import Instrument
from arbot.domain.order import Side
from arbot.domain.units import ZERO
from arbot.sim.accounts import ApiKey
from arbot.sim.faults import FaultName
from arbot.sim.model import BalanceChanged, BookChanged, ExecKind, Execution, LedgerRow, SimEvent, TradePrint
from arbot.sim.wire import kraken_shapes as shapes
from arbot.sim.wire.auth_kraken import Doorman, KrakenRefused
from arbot.sim.wire.connection import Connection, FrameKind
from arbot.sim.wire.desk import Desk, Exit, RequestKind
from arbot.sim.wire.kraken_orders import OrderDesk, needs

DEPTHS = (10, 25, 100, 500, 1000)
PUBLIC_CHANNELS = frozenset({"book", "trade", "ticker", "instrument"})
PRIVATE_CHANNELS = frozenset({"executions", "balances"})
DEADLINE_MS_DEFAULT = 5_000
TRADES_SNAPSHOT = 50
BAD_CHECKSUM_MASK = 0x5A5A5A5A
# the transitions a subscriber with order_status=false is told of
BRIEF = frozenset({ExecKind.NEW, ExecKind.TRADE, ExecKind.FILLED, ExecKind.CANCELED, ExecKind.EXPIRED})


class _Failure(msgspec.Struct):
    text: str


class BookFeed:
    """One instrument at one depth, as all its subscribers see it."""

    def __init__(self, desk: Desk, instrument: Instrument, depth: int) -> None:
        self._desk = desk
        self._instrument = instrument
        self._depth = depth
        self._bids: list[tuple[int, int]] = []
        self._asks: list[tuple[int, int]] = []
        self.subscribers: dict[Connection, None] = {}

    def join(self, connection: Connection, *, snapshot: bool) -> None:
        """Add a subscriber and show it the book."""
        if not self.subscribers:
            self._bids, self._asks = self._look()
        self.subscribers[connection] = None
        if snapshot:
            crc = shapes.checksum(self._asks, self._bids)
            frame = shapes.book_frame(self._instrument, self._bids, self._asks, crc, None)
            connection.push(frame, FrameKind.MARKET)

    def changed(self, ts_ns: int) -> None:
        """Tell the subscribers what changed within the depth. Levels that fell out of it are not announced."""
        if not self.subscribers:
            return
        bids, asks = self._look()
        bid_rows, ask_rows = self._rows(Side.BUY, self._bids, bids), self._rows(Side.SELL, self._asks, asks)
        self._bids, self._asks = bids, asks
        if not bid_rows and not ask_rows:
            return
        crc = shapes.checksum(asks, bids)
        if self._desk.faults.fires(FaultName.BAD_CHECKSUM, self._desk.venue.name, ts_ns):
            crc ^= BAD_CHECKSUM_MASK
        frame = shapes.book_frame(self._instrument, bid_rows, ask_rows, crc, ts_ns)
        for connection in tuple(self.subscribers):
            connection.push(frame, FrameKind.MARKET)

    def _look(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        symbol, venue = self._instrument.symbol, self._desk.venue
        return venue.top(symbol, Side.BUY, self._depth), venue.top(symbol, Side.SELL, self._depth)

    def _rows(
        self, side: Side, before: Sequence[tuple[int, int]], now: Sequence[tuple[int, int]]
    ) -> list[tuple[int, int]]:
        """Return the rows that turn one view into the other for a client that truncates to the depth.

        Removals come first, so that a client that truncates after every row arrives at the same book.
        """
        if before == now:
            return []
        old, new = dict(before), dict(now)
        is_full = len(now) == self._depth
        gone = [(price, 0) for price in old if price not in new]
        if is_full:
            gone = [(price, 0) for price, _ in gone if (price - now[-1][0]) * side.sign > 0]
        return gone + [(price, lots) for price, lots in now if old.get(price) != lots]


class Streams:
    """Who listens to what at one venue, and what they are told."""

    def __init__(self, desk: Desk, rng: random.Random, rows_grouped_share: float) -> None:
        self.desk = desk
        self._rng = rng
        self._rows_grouped_share = rows_grouped_share
        self._books: dict[tuple[str, int], BookFeed] = {}
        self._trades: dict[str, dict[Connection, None]] = {}
        self._tickers: dict[str, dict[Connection, None]] = {}
        self._sessions: dict[Connection, Session] = {}
        desk.venue.listen(self._happened)

    def add(self, session: Session) -> None:
        """Know a session's private subscriptions."""
        self._sessions[session.connection] = session

    def remove(self, connection: Connection) -> None:
        """Forget a connection."""
        self._sessions.pop(connection, None)
        for feed in self._books.values():
            feed.subscribers.pop(connection, None)
        for listeners in (*self._trades.values(), *self._tickers.values()):
            listeners.pop(connection, None)

    def book(self, symbol: str, depth: int) -> BookFeed:
        """Return the feed of an instrument at a depth."""
        key = (symbol, depth)
        if key not in self._books:
            self._books[key] = BookFeed(self.desk, self.desk.venue.instruments[symbol], depth)
        return self._books[key]

    def trades(self, symbol: str) -> dict[Connection, None]:
        """Return the listeners to an instrument's trades."""
        return self._trades.setdefault(symbol, {})

    def tickers(self, symbol: str) -> dict[Connection, None]:
        """Return the listeners to an instrument's ticker."""
        return self._tickers.setdefault(symbol, {})

    def _happened(self, events: Sequence[SimEvent]) -> None:
        prints: dict[str, list[TradePrint]] = {}
        executions: dict[str, list[Execution]] = {}
        ledger: dict[str, list[LedgerRow]] = {}
        books: dict[str, int] = {}
        for event in events:
            if isinstance(event, BookChanged):
                books[event.symbol] = event.ts_ns
            elif isinstance(event, TradePrint):
                prints.setdefault(event.symbol, []).append(event)
            elif isinstance(event, Execution):
                executions.setdefault(event.order.account, []).append(event)
            elif isinstance(event, BalanceChanged):
                ledger.setdefault(event.row.account, []).append(event.row)
        for (symbol, _), feed in self._books.items():
            if symbol in books:
                feed.changed(books[symbol])
        for symbol, rows in prints.items():
            self._tell(self._trades.get(symbol), lambda rows=rows: trade_frame(rows, "update"))  # type: ignore[misc]
        for symbol in prints:
            self._tell(self._tickers.get(symbol), lambda symbol=symbol: ticker_frame(self.desk, symbol, "update"))  # type: ignore[misc]
        grouped = self._rng.random() < self._rows_grouped_share if executions else False
        for session in tuple(self._sessions.values()):
            session.private(executions, ledger, grouped=grouped)

    def _tell(self, listeners: Mapping[Connection, None] | None, frame: Callable[[], bytes]) -> None:
        if listeners:
            made = frame()
            for connection in tuple(listeners):
                connection.push(made, FrameKind.MARKET)


class Session:
    """One connection: its methods and its private subscriptions."""

    def __init__(self, wire: KrakenSockets, connection: Connection, *, is_private: bool) -> None:
        self.connection = connection
        self._wire = wire
        self._desk = wire.desk
        self._is_private = is_private
        self._key: ApiKey | None = None
        self._executions: dict[str, bool] | None = None  # the options of the subscription
        self._sequences = {"executions": 0, "balances": 0}
        self._has_balances = False
        self._methods: dict[str, Callable[[Mapping[str, object], ApiKey, int], object]] = {
            "add_order": self._add_order,
            "amend_order": self._amend_order,
            "cancel_order": self._cancel_order,
            "cancel_all": self._cancel_all,
            "cancel_all_orders_after": self._cancel_all_after,
            "batch_add": self._batch_add,
        }

    # --- frames in -------------------------------------------------------------------------------------------------

    async def on_text(self, text: str) -> None:
        """Serve one frame of the customer."""
        time_in = self._desk.now_ns()
        try:
            # numbers stay text: a price must arrive as it was written
            frame = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
            method = _plain(frame.get("method"))
            req_id = frame.get("req_id")
            params = _plain(frame.get("params", msgspec.Raw(b"{}")))
        except (msgspec.DecodeError, TypeError):
            self._push({"error": "Malformed request", "method": "", "success": False}, None, time_in)
            return
        if method == "ping":
            self._push({"method": "pong"}, req_id, time_in)
        elif not isinstance(params, dict):
            self._push({"error": "Malformed request", "method": method, "success": False}, req_id, time_in)
        elif method in ("subscribe", "unsubscribe"):
            self._subscribe(method, params, req_id, time_in)
        elif method in self._methods and self._is_private:
            self.connection.spawn(self._trade(str(method), params, req_id, time_in))
        else:
            self._push({"error": "Method not supported", "method": method, "success": False}, req_id, time_in)

    def _push(self, frame: dict[str, object], req_id: msgspec.Raw | None, time_in: int) -> None:
        if req_id is not None:
            frame["req_id"] = req_id
        frame["time_in"] = shapes.iso(time_in)
        frame["time_out"] = shapes.iso(self._desk.now_ns())
        self.connection.push(msgspec.json.encode(frame))

    # --- subscriptions ---------------------------------------------------------------------------------------------

    def _subscribe(self, method: str, params: Mapping[str, object], req_id: msgspec.Raw | None, time_in: int) -> None:
        channel = str(params.get("channel", ""))
        served = PRIVATE_CHANNELS if self._is_private else PUBLIC_CHANNELS
        serve = self._private_channel if self._is_private else self._public_channel
        if channel not in served:
            self._push({"error": "Channel not supported", "method": method, "success": False}, req_id, time_in)
            return
        try:
            serve(method, channel, params, req_id, time_in)
        except KrakenRefused as error:
            self._push({"error": error.text, "method": method, "success": False}, req_id, time_in)

    def _public_channel(
        self, method: str, channel: str, params: Mapping[str, object], req_id: msgspec.Raw | None, time_in: int
    ) -> None:
        if channel == "instrument":
            self._push({"method": method, "result": {"channel": channel}, "success": True}, req_id, time_in)
            if method == "subscribe":
                self.connection.push(instrument_frame(self._desk), FrameKind.MARKET)
            return
        symbols = params.get("symbol")
        if not isinstance(symbols, list) or not symbols:
            raise KrakenRefused("Symbol(s) not found")
        depth = _int(params.get("depth"), 10)
        if channel == "book" and depth not in DEPTHS:
            raise KrakenRefused("Book depth not supported")
        for symbol in symbols:
            if symbol not in self._desk.venue.instruments:
                refusal = {
                    "error": f"Currency pair not supported {symbol}",
                    "method": method,
                    "success": False,
                    "symbol": symbol,
                }
                self._push(refusal, req_id, time_in)
                continue
            result: dict[str, object] = {"channel": channel, "symbol": symbol}
            snapshot = params.get("snapshot", channel != "trade") is True
            if channel == "book":
                result["depth"] = depth
            if method == "subscribe":
                result["snapshot"] = snapshot
            self._push({"method": method, "result": result, "success": True}, req_id, time_in)
            if method == "subscribe":
                self._join(channel, str(symbol), depth, snapshot=snapshot)
            else:
                self._leave(channel, str(symbol), depth)

    def _join(self, channel: str, symbol: str, depth: int, *, snapshot: bool) -> None:
        streams = self._wire.streams
        if channel == "book":
            streams.book(symbol, depth).join(self.connection, snapshot=snapshot)
        elif channel == "trade":
            streams.trades(symbol)[self.connection] = None
            if snapshot:
                prints = self._desk.venue.prints(symbol, TRADES_SNAPSHOT)
                self.connection.push(trade_frame(prints, "snapshot"), FrameKind.MARKET)
        else:
            streams.tickers(symbol)[self.connection] = None
            if snapshot:
                self.connection.push(ticker_frame(self._desk, symbol, "snapshot"), FrameKind.MARKET)

    def _leave(self, channel: str, symbol: str, depth: int) -> None:
        streams = self._wire.streams
        listeners = {
            "book": lambda: streams.book(symbol, depth).subscribers,
            "trade": lambda: streams.trades(symbol),
            "ticker": lambda: streams.tickers(symbol),
        }
        listeners[channel]().pop(self.connection, None)

    def _private_channel(
        self, method: str, channel: str, params: Mapping[str, object], req_id: msgspec.Raw | None, time_in: int
    ) -> None:
        key = self._enter(params)
        needs(key, *(("query-open-trades",) if channel == "executions" else ("query-funds",)))
        is_on = method == "subscribe"
        flags = {"snap_orders": True, "snap_trades": False, "order_status": True, "snapshot": True}
        options = {name: params.get(name, default) is True for name, default in flags.items()}
        self._push({"method": method, "result": {"channel": channel}, "success": True}, req_id, time_in)
        if channel == "executions":
            self._executions = options if is_on else None
            if is_on:
                self._snap_executions(key, options)
        else:
            self._has_balances = is_on
            if is_on:
                held = self._desk.venue.balances(key.account)
                self._push_rows("balances", [shapes.balance_row(a, b.total) for a, b in held.items()], "snapshot")

    def _enter(self, params: Mapping[str, object]) -> ApiKey:
        """Return the key behind the token of a request. Raises: KrakenRefused."""
        token = str(params.get("token", ""))
        key = self._wire.doorman.token_key(token, self._desk.now_ns(), in_use=self._key is not None)
        self._key = key
        return key

    def _snap_executions(self, key: ApiKey, options: Mapping[str, bool]) -> None:
        venue = self._desk.venue
        rows: list[object] = []
        if options["snap_orders"]:
            rows += [
                shapes.open_order_row(order, venue.instruments[order.symbol])
                for order in venue.open_orders(key.account)
            ]
        if options["snap_trades"]:
            for fill in venue.fills(key.account)[-TRADES_SNAPSHOT:]:
                order = venue.order(key.account, fill.order_id)
                if order is not None:
                    rows.append(shapes.old_fill_row(fill, order, venue.instruments[fill.symbol]))
        self._push_rows("executions", rows, "snapshot")

    def _push_rows(self, channel: str, rows: Sequence[object], kind: str) -> None:
        self._sequences[channel] += 1
        frame = {"channel": channel, "type": kind, "data": rows, "sequence": self._sequences[channel]}
        self.connection.push(msgspec.json.encode(frame), FrameKind.PRIVATE)

    def private(
        self, executions: Mapping[str, list[Execution]], ledger: Mapping[str, list[LedgerRow]], *, grouped: bool
    ) -> None:
        """Tell this session what happened to its account: one frame per row, or one for all when grouped."""
        if self._key is None:
            return
        instruments = self._desk.venue.instruments
        if self._executions is not None:
            told = [
                shapes.execution_row(one, instruments[one.order.symbol])
                for one in executions.get(self._key.account, ())
                if self._executions["order_status"] or one.kind in BRIEF
            ]
            for rows in [told] if grouped and told else [[row] for row in told]:
                self._push_rows("executions", rows, "update")
        if self._has_balances:
            for row in ledger.get(self._key.account, ()):
                self._push_rows("balances", [shapes.balance_update_row(row)], "update")

    # --- trading ---------------------------------------------------------------------------------------------------

    async def _trade(self, method: str, params: Mapping[str, object], req_id: msgspec.Raw | None, time_in: int) -> None:
        is_order = method in ("add_order", "batch_add")
        kind = RequestKind.ORDER if is_order else RequestKind.CANCEL
        if not await self._desk.arrive(kind):
            self.connection.close()
            return
        accepted = False
        try:
            key = self._enter(params)
            results = self._methods[method](params, key, self._desk.now_ns())
            accepted = is_order
        except KrakenRefused as error:
            results = _Failure(error.text)
        way = await self._desk.leave(accepted=accepted)
        if way is not Exit.SENT:  # a socket has no error page: both ways cut it
            self.connection.close()
            return
        for result in results if isinstance(results, list) else [results]:
            if isinstance(result, _Failure):
                frame: dict[str, object] = {"method": method, "error": result.text, "success": False}
            else:
                frame = {"method": method, "result": result, "success": True}
            self._push(frame, req_id, time_in)

    def _add_order(self, params: Mapping[str, object], key: ApiKey, now_ns: int) -> object:
        fields = _order_fields(params, now_ns)
        if params.get("validate") is True:
            self._wire.orders.check(key, fields, now_ns)
            return {}
        order = self._wire.orders.add(key, fields, now_ns)
        result: dict[str, object] = {"order_id": order.order_id}
        if order.client_order_id:
            result["cl_ord_id"] = order.client_order_id
        if order.request.userref:
            result["order_userref"] = order.request.userref
        return result

    def _batch_add(self, params: Mapping[str, object], key: ApiKey, now_ns: int) -> object:
        orders = params.get("orders")
        if not isinstance(orders, list) or not 2 <= len(orders) <= 15:
            raise KrakenRefused("EGeneral:Invalid arguments:orders")
        rows: list[object] = []
        shared = {name: params[name] for name in ("symbol", "deadline", "validate") if name in params}
        for one in orders:
            try:
                rows.append({**_as_dict(self._add_order({**shared, **one}, key, now_ns)), "success": True})
            except KrakenRefused as error:
                name = {"cl_ord_id": one["cl_ord_id"]} if one.get("cl_ord_id") else {}
                rows.append({**name, "success": False, "error": error.text})
        return {"orders": rows}

    def _amend_order(self, params: Mapping[str, object], key: ApiKey, now_ns: int) -> object:
        order = self._wire.orders.amend(key, {name: str(value) for name, value in params.items()}, now_ns)
        return {"amend_id": f"TA{order.order_id[1:]}", "order_id": order.order_id}

    def _cancel_order(self, params: Mapping[str, object], key: ApiKey, now_ns: int) -> object:
        by_id, by_name = _texts(params.get("order_id")), _texts(params.get("cl_ord_id"))
        results: list[object] = []
        for order_id, name in [(one, "") for one in by_id] + [("", one) for one in by_name]:
            try:
                order = self._wire.orders.cancel(key, now_ns, order_id=order_id, client_order_id=name)
                results.append({"order_id": order.order_id})
            except KrakenRefused as error:
                results.append(_Failure(error.text))
        return results

    def _cancel_all(self, _params: Mapping[str, object], key: ApiKey, now_ns: int) -> object:
        return {"count": self._wire.orders.cancel_all(key, now_ns)}

    def _cancel_all_after(self, params: Mapping[str, object], key: ApiKey, now_ns: int) -> object:
        return self._wire.orders.cancel_all_after(key, str(params.get("timeout", "")), now_ns)


class KrakenSockets:
    """Serves the websockets of one venue."""

    def __init__(
        self, desk: Desk, doorman: Doorman, orders: OrderDesk, rng: random.Random, *, rows_grouped_share: float
    ) -> None:
        self.desk = desk
        self.doorman = doorman
        self.orders = orders
        self._rng = rng
        self.streams = Streams(desk, rng, rows_grouped_share)

    def mount(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get("/v2", self._public)
        app.router.add_get("/auth/v2", self._private)

    async def _public(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, is_private=False)

    async def _private(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, is_private=True)

    async def _serve(self, request: web.Request, *, is_private: bool) -> web.StreamResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        connection = Connection(self.desk, request, socket)
        session = Session(self, connection, is_private=is_private)
        self.streams.add(session)
        words: list[str] = []
        self._tell_status(connection, words)

        def each_second() -> None:
            self._tell_status(connection, words)
            self._heartbeat(connection)

        try:
            await connection.run(session.on_text, each_second)
        finally:
            self.streams.remove(connection)
        return socket

    def _status(self) -> dict[str, object]:
        row = {
            "version": "2.0.10",
            "system": self.desk.venue.status_word(),
            "api_version": "v2",
            "connection_id": self._rng.getrandbits(63) | 1 << 62,
        }
        return {"channel": "status", "type": "update", "data": [row]}

    def _tell_status(self, connection: Connection, words: list[str]) -> None:
        """Tell what the venue says of itself when that is news to this connection."""
        if words != [self.desk.venue.status_word()]:
            words[:] = [self.desk.venue.status_word()]
            connection.push(msgspec.json.encode(self._status()))

    def _heartbeat(self, connection: Connection) -> None:
        if connection.was_quiet():
            connection.push(b'{"channel":"heartbeat"}')


# --- frames ----------------------------------------------------------------------------------------------------------


def trade_frame(prints: Iterable[TradePrint], kind: str) -> bytes:
    """Return a frame of the trade channel."""
    rows = [
        {
            "symbol": one.symbol,
            "side": str(one.taker_side),
            "price": msgspec.Raw(format(one.price, "f").encode()),
            "qty": shapes.raw(one.qty, 8),
            "ord_type": str(one.order_type),
            "trade_id": one.print_id,
            "timestamp": shapes.iso(one.ts_ns),
        }
        for one in prints
    ]
    return msgspec.json.encode({"channel": "trade", "type": kind, "data": rows})


def ticker_frame(desk: Desk, symbol: str, kind: str) -> bytes:
    """Return a frame of the ticker channel, over the trades the venue remembers."""
    venue, instrument = desk.venue, desk.venue.instruments[symbol]
    prints = venue.prints(symbol, 2_000)
    bid, ask = venue.top(symbol, Side.BUY, 1), venue.top(symbol, Side.SELL, 1)
    prices = [one.price for one in prints] or [ZERO]
    volume = sum((one.qty for one in prints), ZERO)
    cost = sum((one.qty * one.price for one in prints), ZERO)
    change = prices[-1] - prices[0]
    row = {
        "symbol": symbol,
        "bid": shapes.raw(venue.price(symbol, bid[0][0]) if bid else ZERO, instrument.price_decimals),
        "bid_qty": shapes.raw(venue.qty(symbol, bid[0][1]) if bid else ZERO, 8),
        "ask": shapes.raw(venue.price(symbol, ask[0][0]) if ask else ZERO, instrument.price_decimals),
        "ask_qty": shapes.raw(venue.qty(symbol, ask[0][1]) if ask else ZERO, 8),
        "last": shapes.raw(prices[-1], instrument.price_decimals),
        "volume": shapes.raw(volume, 8),
        "vwap": shapes.raw(shapes.average_of(cost, volume), instrument.price_decimals),
        "low": shapes.raw(min(prices), instrument.price_decimals),
        "high": shapes.raw(max(prices), instrument.price_decimals),
        "change": shapes.raw(change, instrument.price_decimals),
        "change_pct": shapes.raw(
            shapes.average_of(change * 100, prices[0]).quantize(shapes.TWO_DECIMALS) if prices[0] else ZERO, 2
        ),
    }
    return msgspec.json.encode({"channel": "ticker", "type": kind, "data": [row]})


def instrument_frame(desk: Desk) -> bytes:
    """Return the snapshot of the instrument channel."""
    venue = desk.venue
    data = shapes.instrument_data((one, venue.status(symbol)) for symbol, one in venue.instruments.items())
    return msgspec.json.encode({"channel": "instrument", "type": "snapshot", "data": data})


# --- reading ---------------------------------------------------------------------------------------------------------


def _plain(value: msgspec.Raw | None) -> object:
    """Return JSON as plain data in which every number is the text that was sent."""
    if value is None:
        return None
    text = bytes(value).strip()
    if text.startswith(b"{"):
        return {name: _plain(one) for name, one in msgspec.json.decode(text, type=dict[str, msgspec.Raw]).items()}
    if text.startswith(b"["):
        return [_plain(one) for one in msgspec.json.decode(text, type=list[msgspec.Raw])]
    if text[:1] in (b'"', b"t", b"f", b"n"):
        return msgspec.json.decode(text)
    return text.decode()


def _int(value: object, default: int) -> int:
    text = str(default if value is None else value)
    return int(text) if text.isdigit() else -1


def _texts(value: object) -> list[str]:
    if value is None:
        return []
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _as_dict(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _order_fields(params: Mapping[str, object], now_ns: int) -> dict[str, str]:
    """Return websocket order parameters under the REST names; without a deadline the venue sets five seconds."""
    names = {
        "side": "type",
        "order_type": "ordertype",
        "symbol": "pair",
        "order_qty": "volume",
        "limit_price": "price",
        "time_in_force": "timeinforce",
        "cl_ord_id": "cl_ord_id",
        "order_userref": "userref",
        "deadline": "deadline",
        "expire_time": "expiretm",
    }
    fields = {rest: str(params[name]) for name, rest in names.items() if params.get(name) is not None}
    flags = ["post"] if params.get("post_only") is True else []
    if params.get("cash_order_qty") is not None:
        fields["volume"] = str(params["cash_order_qty"])
        flags.append("viqc")
    fields["oflags"] = ",".join(flags)
    fields.setdefault("deadline", shapes.iso(now_ns + DEADLINE_MS_DEFAULT * 1_000_000))
    return fields
