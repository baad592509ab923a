"""The pretend Bitstamp, third venue of the demo: as much of its v2 API as an ordinary client needs to trade.

Rules of the file:
- REST: POST forms signed with X-Auth HMAC-SHA256; GET is public. Errors are the venue's own texts.
- A client order id can be used once for ever; a repeated one is refused.
- Fees are told in percent, orders' remaining amounts in base, money in texts; ids are numbers.
- Websocket: `bts:subscribe` on channels named for what they carry; books as whole tops or as differences batched 100 ms
  apart; private channels need the token of `websockets_token` and name the user.
Source: www.bitstamp.net/api and /websocket/v2, read 2025-11; private order events as ccxt 4.5.90 reads them.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from arbot.domain.errors import ArbotError
from arbot.domain.instrument import InstrumentStatus
from arbot.domain.order import Side, TimeInForce
from arbot.domain.units import ZERO, decimals_of, fmt, parse_decimal
from arbot.sim import chance
from arbot.sim.accounts import ApiKey
from arbot.sim.model import (
    BookChanged,
    ExecKind,
    Execution,
    OrderRejected,
    OrderRequest,
    OrderStatus,
    OrderType,
    OrderUnknown,
    RejectReason,
    SimBalance,
    SimEvent,
    SimFill,
    SimOrder,
    TradePrint,
    Transfer,
    TransferRefused,
    TransferStatus,
)
from arbot.sim.venue import networks_of
from arbot.sim.wire.coinbase_shapes import name_of
from arbot.sim.wire.connection import Connection, FrameKind
from arbot.sim.wire.desk import Answer, Desk, RequestKind

Json = Any

WS_PATH = "/bts"
TIMESTAMP_SKEW_MS_MAX = 150_000
TOKEN_SECONDS = 60
BOOK_BATCH_S = 0.1
BOOK_TOP = 100
LEVELS_MAX = 100_000
PAGE, PAGE_MAX = 100, 1_000
DIGITS_MAX = 15
NUMBER_MAX, DECIMALS_MAX = Decimal(10) ** 9, 18

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_SIDE_NUMBERS = {Side.BUY: 0, Side.SELL: 1}
_TRUE = frozenset({"true", "1"})


class BitstampRefused(ArbotError):
    """An answer that says no: HTTP status and body."""

    def __init__(self, status: int, reason: Json, code: str) -> None:
        super().__init__(f"{code} {reason}")
        self.status = status
        field = "code" if code.startswith("API") else "response_code"
        self.body = {"status": "error", "reason": reason, field: code}


def _refused_all(text: str, code: str = "400.000") -> BitstampRefused:
    return BitstampRefused(400, {"__all__": [text]}, code)


_NOT_FOUND = ("Order not found.", "404.002")
WITHDRAW = "withdraw"  # a permission of keys
WITHDRAWAL_FEES = {"BTC": Decimal("0.00015"), "ETH": Decimal("0.001"), "DOGE": Decimal(5)}
"""In the asset, beside the amount; zero for what is not listed. The numbers are the simulator's own."""
WITHDRAWAL_MINIMUM = Decimal("0.0001")
_TRANSFER_REFUSALS = {
    "insufficient_funds": "You have insufficient balance for this withdrawal.",
    "below_minimum": "Ensure this value is greater than or equal to the minimum.",
    "frozen": "Withdrawals are temporarily disabled.",
    "closed": "Withdrawals are temporarily disabled.",
    "unknown_network": "Network is not supported.",
}


class Asked(NamedTuple):
    """A request that was let in; `account` and `key` are empty for public calls."""

    match: Mapping[str, str]
    form: Mapping[str, str]
    account: str
    now_ns: int
    key: str = ""

    def number(self, name: str, default: int, maximum: int) -> int:
        """Return a count from the form. Raises: BitstampRefused."""
        text = self.form.get(name, "")
        if text and not (text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX):
            raise _refused_all(f"Invalid {name}.")
        return min(int(text), maximum) if text else default

    def amount(self, name: str) -> Decimal:
        """Return a positive number from the form. Raises: BitstampRefused."""
        try:
            number = parse_decimal(self.form.get(name, ""))
        except ValueError:
            number = ZERO
        if not 0 < number <= NUMBER_MAX or decimals_of(number) > DECIMALS_MAX:
            raise BitstampRefused(400, {name: ["Enter a valid number."]}, "400.000")
        return number

    def is_set(self, name: str) -> bool:
        """Return whether a flag is given as true."""
        return self.form.get(name, "").lower() in _TRUE


class BitstampRest:
    """Answer the venue's REST calls out of a SimVenue; keys are those of its accounts."""

    def __init__(self, desk: Desk, rng: random.Random) -> None:
        self.desk = desk
        self.venue = desk.venue
        self._rng = rng
        self._nonces: set[tuple[str, str]] = set()
        self._tokens: dict[str, tuple[str, int]] = {}  # token -> (account, valid until)
        self._symbols = {one.venue_symbol: one.symbol for one in desk.venue.instruments.values()}
        self._taken = 0

    def handle(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes, *, now_ns: int
    ) -> tuple[int, bytes, bool]:
        """Answer one request: (status, body, whether an order was taken). `headers` look names up without case."""
        self.venue.advance(now_ns)
        taken = self._taken
        try:
            route, match = _route(method, path)
            text = body.decode("utf-8", "replace")
            account = self._authenticate(method, path, query, headers, text, now_ns=now_ns) if route.private else ""
            form = dict(parse_qsl(text if route.private else query, keep_blank_values=True))
            key = headers.get("X-Auth", "").removeprefix("BITSTAMP ") if account else ""
            answer = route.answer(self, Asked(match, form, account, now_ns, key))
        except BitstampRefused as refusal:
            return refusal.status, _ENCODER.encode(refusal.body), False
        return 200, _ENCODER.encode(answer), self._taken > taken

    def account_of(self, token: str, now_ns: int) -> str:
        """Return the account of a websocket token, or an empty text when it is unknown or too old."""
        account, until_ns = self._tokens.get(token, ("", 0))
        return account if now_ns < until_ns else ""

    def _authenticate(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: str, *, now_ns: int
    ) -> str:
        """Return the account that signed. Raises: BitstampRefused."""
        named = headers.get("X-Auth", "")
        nonce, signature = headers.get("X-Auth-Nonce", ""), headers.get("X-Auth-Signature", "")
        timestamp, version = headers.get("X-Auth-Timestamp", ""), headers.get("X-Auth-Version", "")
        if not (named.startswith("BITSTAMP ") and nonce and signature and version == "v2"):
            raise BitstampRefused(403, "Missing key, signature and nonce parameters", "API0008")
        key = self.venue.accounts.keys.get(named.removeprefix("BITSTAMP "))
        if key is None:
            raise BitstampRefused(403, "API key not found", "API0001")
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= DIGITS_MAX):
            raise BitstampRefused(403, "Invalid timestamp", "API0017")
        if abs(int(timestamp) - now_ns // 10**6) > TIMESTAMP_SKEW_MS_MAX:
            raise BitstampRefused(403, "Request timestamp expired", "API0017")
        host = headers.get("Host", "")
        target = f"{path}?{query}" if query else path
        rest = f"{headers.get('Content-Type', '')}{nonce}{timestamp}{version}{body}"
        # a client that only strips "https://" from its URL signs the scheme of a loopback URL too
        signed = (f"{named}{method}{origin}{host}{target}{rest}" for origin in ("", "http://"))
        if not any(hmac.compare_digest(_signature(key, text), signature.lower()) for text in signed):
            raise BitstampRefused(403, "Invalid signature", "API0005")
        if len(nonce) != 36 or (key.key, nonce) in self._nonces:
            raise BitstampRefused(403, "Invalid nonce", "API0004")
        self._nonces.add((key.key, nonce))
        return key.account

    # --- public ------------------------------------------------------------------------------------------------------

    def markets(self, asked: Asked) -> Json:  # noqa: ARG002
        """Answer all markets."""
        return [
            {
                "name": one.symbol,
                "market_symbol": one.venue_symbol,
                "base_currency": one.base,
                "base_decimals": one.qty_decimals,
                "counter_currency": one.quote,
                "counter_decimals": one.price_decimals,
                "minimum_order_value": fmt(one.notional_min),
                "trading": "Disabled" if self.venue.status(one.symbol) is InstrumentStatus.HALTED else "Enabled",
                "instant_order_counter_decimals": 2,
                "instant_and_market_orders": "Enabled",
                "description": f"{name_of(one.base)} / {name_of(one.quote)}",
                "market_type": "SPOT",
            }
            for one in self.venue.instruments.values()
        ]

    def order_book(self, asked: Asked) -> Json:
        """Answer a whole book."""
        return book_of(self.desk, self._symbol(asked), LEVELS_MAX)

    def transactions(self, asked: Asked) -> Json:
        """Answer the last public trades, newest first."""
        return [
            {
                "date": str(one.ts_ns // 10**9),
                "tid": str(one.print_id),
                "amount": fmt(one.qty),
                "type": str(_SIDE_NUMBERS[one.taker_side]),
                "price": fmt(one.price),
            }
            for one in reversed(self.venue.prints(self._symbol(asked), PAGE))
        ]

    def _symbol(self, asked: Asked) -> str:
        symbol = self._symbols.get(asked.match["pair"])
        if symbol is None:
            raise BitstampRefused(404, "Market not found.", "404.001")
        return symbol

    # --- account -----------------------------------------------------------------------------------------------------

    def account_balances(self, asked: Asked) -> Json:
        """Answer every listed or held currency."""
        held = self.venue.balances(asked.account)
        listed = {asset for one in self.venue.instruments.values() for asset in (one.base, one.quote)}
        rows = ((asset, held.get(asset, SimBalance(ZERO, ZERO))) for asset in sorted(listed | held.keys()))
        return [
            {
                "currency": asset.lower(),
                "total": fmt(balance.total),
                "available": fmt(balance.available),
                "reserved": fmt(balance.hold),
            }
            for asset, balance in rows
        ]

    def fees_trading(self, asked: Asked) -> Json:
        """Answer the account's fees of every market, in percent."""
        tier = self.venue.tier(asked.account, asked.now_ns)[1]
        return [
            {
                "currency_pair": one.venue_symbol,
                "market": one.venue_symbol,
                "fees": {"maker": _percent(tier.maker), "taker": _percent(tier.taker)},
            }
            for one in self.venue.instruments.values()
        ]

    def user_transactions(self, asked: Asked) -> Json:
        """Answer fills, deposits and withdrawals, newest first (oldest first with sort=asc), paged by offset."""
        since_s = asked.number("since_timestamp", 0, 10**12)
        symbol = self._symbol(asked) if "pair" in asked.match else ""
        rows = [
            (fill.ts_ns, self._fill_row(fill))
            for fill in self.venue.fills(asked.account)
            if self._shows(fill) and symbol in ("", fill.symbol)
        ]
        if not symbol:
            moved = [
                *self.venue.transfers(asked.account, deposits=True),
                *self.venue.transfers(asked.account, deposits=False),
            ]
            done = (one for one in moved if one.status is TransferStatus.SUCCESS)
            rows += [(one.updated_ns, _transfer_row(one)) for one in done]
        rows = [row for row in rows if row[0] >= since_s * 10**9]
        rows.sort(key=lambda row: row[0])  # stable: what came later stays later
        if asked.form.get("sort", "desc") != "asc":
            rows.reverse()
        start = asked.number("offset", 0, 200_000)
        return [row for _, row in rows[start : start + asked.number("limit", PAGE, PAGE_MAX)]]

    def withdrawal_requests(self, asked: Asked) -> Json:
        """Answer the withdrawals of the last `timedelta` seconds, newest first."""
        since_ns = asked.now_ns - asked.number("timedelta", 86_400, 50_000_000_000) * 10**9
        moved = (one for one in self.venue.transfers(asked.account, deposits=False) if one.updated_ns >= since_ns)
        return [_withdrawal_row(one) for one in sorted(moved, key=lambda one: -one.updated_ns)]

    def withdraw(self, asked: Asked) -> Json:
        """Send an amount to an address; the fee is taken beside it."""
        key = self.venue.accounts.keys[asked.key]
        if WITHDRAW not in key.permissions:
            raise BitstampRefused(403, "No permission found", "API0002")
        asset, address = self._asset(asked), asked.form.get("address", "")
        if not address:
            raise BitstampRefused(400, {"address": ["This field is required."]}, "400.000")
        try:
            transfer = self.venue.withdraw(
                asked.account,
                asset,
                asked.amount("amount"),
                WITHDRAWAL_FEES.get(asset, ZERO),
                asked.now_ns,
                address=address,
                network=asked.form.get("network", ""),
                tag=asked.form.get("destination_tag", "") or asked.form.get("memo_id", ""),
            )
        except TransferRefused as error:
            raise _refused_all(_TRANSFER_REFUSALS[error.reason]) from error
        self._taken += 1
        return {"withdrawal_id": _transfer_row(transfer)["id"]}

    def deposit_address(self, asked: Asked) -> Json:
        """Answer where deposits of a currency go."""
        asset = self._asset(asked)
        network = asked.form.get("network", "") or networks_of(asset)[0]
        return {"address": self.venue.deposit_address(asked.account, asset, network)}

    def currencies(self, asked: Asked) -> Json:  # noqa: ARG002
        """Answer every currency with its networks."""
        words = {True: "Enabled", False: "Disabled"}
        return [
            {
                "name": name_of(asset),
                "currency": asset,
                "type": "fiat" if asset == "USD" else "crypto",
                "symbol": asset,
                "decimals": 8,
                "deposit": words[any(self.venue.takes(asset, network) for network in networks_of(asset))],
                "withdrawal": words[any(self.venue.pays(asset, network) for network in networks_of(asset))],
                "networks": [
                    {
                        "network": network,
                        "withdrawal_minimum_amount": fmt(WITHDRAWAL_MINIMUM),
                        "withdrawal_decimals": 8,
                        "deposit": words[self.venue.takes(asset, network)],
                        "withdrawal": words[self.venue.pays(asset, network)],
                    }
                    for network in networks_of(asset)
                ],
            }
            for asset in sorted(self._listed())
        ]

    def _listed(self) -> set[str]:
        return {str(asset) for one in self.venue.instruments.values() for asset in (one.base, one.quote)}

    def _asset(self, asked: Asked) -> str:
        asset = asked.match["asset"].upper()
        if asset not in self._listed() or asset == "USD":
            raise BitstampRefused(404, "Not found.", "404.000")
        return asset

    def websockets_token(self, asked: Asked) -> Json:
        """Answer a token for private channels."""
        token = chance.word(self._rng, 32)
        self._tokens[token] = (asked.account, asked.now_ns + TOKEN_SECONDS * 10**9)
        return {"token": token, "valid_sec": TOKEN_SECONDS, "user_id": user_id(asked.account)}

    def _shows(self, fill: SimFill) -> bool:
        order = self.venue.order(fill.account, fill.order_id)
        return order is not None and self.desk.shows(order)

    def _fill_row(self, fill: SimFill) -> Json:
        base, quote = (asset.lower() for asset in fill.symbol.split("/"))
        sign = fill.side.sign
        return {
            "id": int(fill.trade_id),
            "datetime": _datetime(fill.ts_ns),
            "type": "2",
            "fee": fmt(fill.fee),
            "order_id": int(fill.order_id),
            base: fmt(fill.qty * sign),
            quote: fmt(-fill.cost * sign),
            f"{base}_{quote}": fmt(fill.price),
        }

    # --- orders ------------------------------------------------------------------------------------------------------

    def place_limit(self, asked: Asked) -> Json:
        """Place a limit order; flags make it immediate-or-cancel, fill-or-kill or maker-or-cancel."""
        tif = TimeInForce.GTC
        if asked.is_set("ioc_order"):
            tif = TimeInForce.IOC
        elif asked.is_set("fok_order"):
            tif = TimeInForce.FOK
        price = asked.amount("price")
        return self._place(asked, type=OrderType.LIMIT, price=price, tif=tif, post_only=asked.is_set("moc_order"))

    def place_market(self, asked: Asked) -> Json:
        """Place a market order over an amount of base."""
        return self._place(asked, type=OrderType.MARKET, tif=TimeInForce.IOC)

    def _place(self, asked: Asked, **terms: Any) -> Json:
        symbol = self._symbol(asked)
        name = asked.form.get("client_order_id", "")
        if name and self.venue.orders_by_client_id(asked.account, name):
            raise _refused_all("Client order id has been used already.", "400.085")
        request = OrderRequest(
            account=asked.account,
            symbol=symbol,
            side=Side(asked.match["side"]),
            qty=asked.amount("amount"),
            client_order_id=name,
            **terms,
        )
        try:
            self.desk.admit_order(name)
            order = self.venue.submit(request, asked.now_ns)
        except OrderRejected as error:
            raise self._refusal(error, request) from error
        self.desk.accepted(order)
        self._taken += 1
        return {
            "id": order.order_id,
            "market": symbol,
            "currency_pair": symbol,
            "datetime": _datetime(order.opened_ns),
            "type": str(_SIDE_NUMBERS[order.side]),
            "price": fmt(request.price if request.price is not None else ZERO),
            "amount": fmt(request.qty),
            "client_order_id": name,
        }

    def _refusal(self, error: OrderRejected, request: OrderRequest) -> BitstampRefused:
        instrument = self.venue.instruments[request.symbol]
        if error.reason is RejectReason.INSUFFICIENT_FUNDS:
            asset = instrument.quote if request.side is Side.BUY else instrument.base
            has = self.venue.balances(request.account).get(asset, SimBalance(ZERO, ZERO)).available
            text = f"You have only {fmt(has)} {asset} available. Check your account balance for details."
            return _refused_all(text, "400.009")
        decimals = {
            RejectReason.QTY_STEP: ("amount", instrument.qty_decimals),
            RejectReason.TICK_SIZE: ("price", instrument.price_decimals),
        }
        if error.reason in decimals:
            field, count = decimals[error.reason]
            told = {field: [f"Ensure that there are no more than {count} decimal places."], "__all__": [""]}
            return BitstampRefused(400, told, "400.000")
        minimum = f"Minimum order size is {fmt(instrument.notional_min)} {instrument.quote}."
        return _refused_all(_REFUSALS.get(error.reason, minimum))

    def order_status(self, asked: Asked) -> Json:
        """Answer one order with its transactions, by id or client order id."""
        order = self._order(asked)
        base, quote = (asset.lower() for asset in order.symbol.split("/"))
        return {
            "id": int(order.order_id),
            "datetime": _datetime(order.opened_ns),
            "type": str(_SIDE_NUMBERS[order.side]),
            "subtype": order.request.type.upper(),
            "status": _STATUSES[order.status],
            "market": order.symbol,
            "transactions": [
                {
                    "tid": int(fill.trade_id),
                    "price": fmt(fill.price),
                    base: fmt(fill.qty),
                    quote: fmt(fill.cost),
                    "fee": fmt(fill.fee),
                    "datetime": _datetime(fill.ts_ns),
                    "type": 2,
                }
                for fill in order.fills
            ],
            "amount_remaining": fmt(self._left(order)),
            "client_order_id": order.client_order_id,
        }

    def open_orders(self, asked: Asked) -> Json:
        """Answer open orders; `amount` is what is left."""
        symbol = self._symbol(asked) if "pair" in asked.match else ""
        return [
            {
                "id": order.order_id,
                "datetime": _datetime(order.opened_ns),
                "type": str(_SIDE_NUMBERS[order.side]),
                "price": fmt(order.request.price or ZERO),
                "amount": fmt(self._left(order)),
                "amount_at_create": fmt(order.request.qty),
                "currency_pair": order.symbol,
                "market": order.symbol,
                "client_order_id": order.client_order_id,
            }
            for order in self.venue.open_orders(asked.account)
            if self.desk.shows(order) and symbol in ("", order.symbol)
        ]

    def cancel_order(self, asked: Asked) -> Json:
        """Cancel one order, by id or client order id."""
        order = self._order(asked)
        try:
            return self._canceled(self.venue.cancel(asked.account, order.order_id, asked.now_ns))
        except OrderUnknown as error:
            raise BitstampRefused(404, *_NOT_FOUND) from error

    def cancel_all_orders(self, asked: Asked) -> Json:
        """Cancel every open order, of one market where the path names it."""
        symbol = self._symbol(asked) if "pair" in asked.match else ""
        orders = [order for order in self.venue.open_orders(asked.account) if symbol in ("", order.symbol)]
        ended = [self.venue.cancel(asked.account, order.order_id, asked.now_ns) for order in orders]
        return {"canceled": [self._canceled(order) for order in ended], "success": True}

    def _canceled(self, order: SimOrder) -> Json:
        return {
            "id": int(order.order_id),
            "amount": fmt(self._left(order)),
            "price": fmt(order.request.price or ZERO),
            "type": _SIDE_NUMBERS[order.side],
            "market": order.symbol,
            "currency_pair": order.symbol,
            "client_order_id": order.client_order_id,
        }

    def _order(self, asked: Asked) -> SimOrder:
        order = self.venue.order(asked.account, asked.form.get("id", ""))
        if order is None:
            named = self.venue.orders_by_client_id(asked.account, asked.form.get("client_order_id", ""))
            order = named[-1] if named else None
        if order is None or not self.desk.shows(order):
            raise BitstampRefused(404, *_NOT_FOUND)
        return order

    def _left(self, order: SimOrder) -> Decimal:
        return self.venue.qty(order.symbol, order.left_lots)


_REFUSALS = {
    RejectReason.UNKNOWN_INSTRUMENT: "Market not found.",
    RejectReason.INVALID_PRICE: "Price is invalid.",
    RejectReason.POST_ONLY: "Maker-or-cancel order could not be placed.",
    RejectReason.NO_LIQUIDITY: "There is not enough liquidity.",
    RejectReason.ORDERS_LIMIT: "You have too many open orders.",
    RejectReason.INSTRUMENT_CLOSED: "Trading is disabled for this market.",
    RejectReason.POST_ONLY_MODE: "Market is in post only mode.",
    RejectReason.QTY_MAX: "Maximum order size is exceeded.",
}
"""Texts of refusals; all that is not here is about the minimum size."""

_STATUSES = {
    OrderStatus.OPEN: "Open",
    OrderStatus.FILLED: "Finished",
    OrderStatus.CANCELED: "Canceled",
    OrderStatus.EXPIRED: "Expired",
}


class _Route(NamedTuple):
    method: str
    path: re.Pattern[str]
    answer: Callable[[BitstampRest, Asked], Json]

    @property
    def private(self) -> bool:
        return self.method == "POST"


_PAIR = r"(?P<pair>[a-z0-9]+)"
ROUTES = tuple(
    _Route(method, re.compile(f"/api/v2/{path}/?"), answer)
    for method, path, answer in (
        ("GET", "markets", BitstampRest.markets),
        ("GET", "currencies", BitstampRest.currencies),
        ("POST", "(?P<asset>[a-z0-9]+)_withdrawal", BitstampRest.withdraw),
        ("POST", "(?P<asset>[a-z0-9]+)_address", BitstampRest.deposit_address),
        ("GET", f"order_book/{_PAIR}", BitstampRest.order_book),
        ("GET", f"transactions/{_PAIR}", BitstampRest.transactions),
        ("POST", "account_balances", BitstampRest.account_balances),
        ("POST", "fees/trading", BitstampRest.fees_trading),
        ("POST", "user_transactions", BitstampRest.user_transactions),
        ("POST", f"user_transactions/{_PAIR}", BitstampRest.user_transactions),
        ("POST", "withdrawal-requests", BitstampRest.withdrawal_requests),
        ("POST", "websockets_token", BitstampRest.websockets_token),
        ("POST", f"(?P<side>buy|sell)/market/{_PAIR}", BitstampRest.place_market),
        ("POST", f"(?P<side>buy|sell)/{_PAIR}", BitstampRest.place_limit),
        ("POST", "order_status", BitstampRest.order_status),
        ("POST", "open_orders(?:/all)?", BitstampRest.open_orders),
        ("POST", f"open_orders/{_PAIR}", BitstampRest.open_orders),
        ("POST", "cancel_order", BitstampRest.cancel_order),
        ("POST", "cancel_all_orders", BitstampRest.cancel_all_orders),
        ("POST", f"cancel_all_orders/{_PAIR}", BitstampRest.cancel_all_orders),
    )
)


def _route(method: str, path: str) -> tuple[_Route, Mapping[str, str]]:
    for route in ROUTES:
        match = route.path.fullmatch(path) if route.method == method else None
        if match:
            return route, {name: value for name, value in match.groupdict().items() if value is not None}
    raise BitstampRefused(404, "Not found.", "404.000")


def book_of(desk: Desk, symbol: str, depth: int) -> Json:
    """Return a book with the venue's two times; the micro-time orders it among the differences."""
    now_ns = desk.now_ns()
    sides = {
        name: [
            [fmt(desk.venue.price(symbol, ticks)), fmt(desk.venue.qty(symbol, lots))]
            for ticks, lots in desk.venue.top(symbol, side, depth)
        ]
        for name, side in (("bids", Side.BUY), ("asks", Side.SELL))
    }
    return {"timestamp": str(now_ns // 10**9), "microtimestamp": str(now_ns // 1_000), **sides}


def user_id(account: str) -> int:
    """Return the number by which private channels name an account."""
    return int.from_bytes(hashlib.sha256(account.encode()).digest()[:3]) + 1_000_000


def _transfer_row(transfer: Transfer) -> Json:
    moved = transfer.amount if transfer.is_deposit else -transfer.amount
    return {
        "id": int.from_bytes(hashlib.sha256(transfer.reference.encode()).digest()[:5]),
        "datetime": _datetime(transfer.updated_ns),
        "type": "0" if transfer.is_deposit else "1",
        "fee": fmt(transfer.fee),
        transfer.asset.lower(): fmt(moved),
    }


def _withdrawal_row(transfer: Transfer) -> Json:
    return {
        "id": _transfer_row(transfer)["id"],
        "datetime": _datetime(transfer.updated_ns),
        "type": 1,
        "currency": transfer.asset,
        "network": transfer.network,
        "address": f"{transfer.address}?dt={transfer.tag}" if transfer.tag else transfer.address,
        "amount": fmt(transfer.amount),
        "status": _WITHDRAWAL_STATUSES[transfer.status],
        "transaction_id": transfer.txid,
    }


_WITHDRAWAL_STATUSES = {
    TransferStatus.INITIAL: 0,
    TransferStatus.PENDING: 1,
    TransferStatus.SETTLED: 1,
    TransferStatus.SUCCESS: 2,
    TransferStatus.FAILURE: 4,
}
"""Bitstamp's numbers: 0 open, 1 in process, 2 finished, 3 canceled, 4 failed."""


def new_key(rng: random.Random, account: str, *, can_withdraw: bool = False) -> ApiKey:
    """Return a key of an account, to be added to the venue."""
    permissions = frozenset({"trade", WITHDRAW} if can_withdraw else {"trade"})
    return ApiKey(key=chance.word(rng, 32), secret=chance.word(rng, 32), account=account, permissions=permissions)


def _signature(key: ApiKey, text: str) -> str:
    return hmac.new(key.secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def _percent(rate: Decimal) -> str:
    return format(rate.scaleb(2).quantize(Decimal("0.00001")), "f")


def _datetime(ts_ns: int) -> str:
    moment = datetime.fromtimestamp(ts_ns // 10**9, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{ts_ns // 1000 % 10**6:06d}"


# --- websocket -------------------------------------------------------------------------------------------------------

_ORDER_EVENTS = {
    ExecKind.NEW: "order_created",
    ExecKind.TRADE: "order_changed",
    ExecKind.AMENDED: "order_changed",
    ExecKind.FILLED: "order_deleted",
    ExecKind.CANCELED: "order_deleted",
    ExecKind.EXPIRED: "order_deleted",
}
_PRIVATE = re.compile(r"private-(my_orders|my_trades)_([a-z0-9]+)-(\d+)")
_PUBLIC = re.compile(r"(order_book|diff_order_book|live_trades)_([a-z0-9]+)")
_UNAUTHORIZED = {"code": 4009, "message": "Connection is unauthorized."}
_BAD_CHANNEL = {"code": None, "message": "Bad subscription string."}


class BitstampSession:
    """What one connection subscribed to, and what it is still to be told."""

    def __init__(self, desk: Desk, rest: BitstampRest, connection: Connection) -> None:
        self._desk = desk
        self._rest = rest
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._channels: set[str] = set()
        self._ids = {one.symbol: one.venue_symbol for one in desk.venue.instruments.values()}
        self._symbols = {venue_symbol: symbol for symbol, venue_symbol in self._ids.items()}
        self._pending: dict[str, dict[tuple[Side, int], int]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def stop(self) -> None:
        """Forget all that was still to be sent."""
        if self._timer is not None:
            self._timer.cancel()

    async def on_text(self, text: str) -> None:
        """Take one frame of the customer."""
        try:
            message = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeEncodeError):
            message = None
        event = message.get("event") if isinstance(message, dict) else None
        data = message.get("data") if isinstance(message, dict) else None
        channel = str(data.get("channel", "")) if isinstance(data, dict) else ""
        if event == "bts:heartbeat":
            self._push("bts:heartbeat", "", {"status": "success"}, FrameKind.CONTROL)
        elif event == "bts:subscribe":
            self._subscribe(channel, str(data.get("auth", "")) if isinstance(data, dict) else "")
        elif event == "bts:unsubscribe" and channel in self._channels:
            self._channels.discard(channel)
            self._push("bts:unsubscription_succeeded", channel, {}, FrameKind.CONTROL)
        else:
            self._push("bts:error", channel, _BAD_CHANNEL, FrameKind.CONTROL)

    def _subscribe(self, channel: str, token: str) -> None:
        private, public = _PRIVATE.fullmatch(channel), _PUBLIC.fullmatch(channel)
        named = private or public
        if named is None or named[2] not in self._symbols:
            self._push("bts:error", channel, _BAD_CHANNEL, FrameKind.CONTROL)
            return
        if private is not None:
            account = self._rest.account_of(token, self._desk.now_ns())
            if not account or user_id(account) != int(private[3]):
                self._push("bts:error", channel, _UNAUTHORIZED, FrameKind.CONTROL)
                return
        self._channels.add(channel)
        self._push("bts:subscription_succeeded", channel, {}, FrameKind.CONTROL)
        if public is not None and public[1] == "order_book":
            self._push("data", channel, book_of(self._desk, self._symbols[named[2]], BOOK_TOP), FrameKind.MARKET)

    def on_events(self, events: Sequence[SimEvent]) -> None:
        """Take what happened at the venue."""
        for event in events:
            if isinstance(event, BookChanged):
                self._note_book(event)
            elif isinstance(event, TradePrint):
                self._tell_print(event)
            elif isinstance(event, Execution):
                self._tell_order(event)

    def each_second(self) -> None:
        """Send nothing: this venue's heartbeats are the customer's."""

    def _note_book(self, event: BookChanged) -> None:
        pair = self._ids[event.symbol]
        if not self._channels & {f"order_book_{pair}", f"diff_order_book_{pair}"}:
            return
        self._pending.setdefault(event.symbol, {}).update({(side, ticks): lots for side, ticks, lots in event.levels})
        if self._timer is None:
            self._timer = self._loop.call_later(BOOK_BATCH_S, self._flush_books)

    def _flush_books(self) -> None:
        self._timer = None
        pending, self._pending = self._pending, {}
        now_ns = self._desk.now_ns()
        for symbol, levels in pending.items():
            pair = self._ids[symbol]
            if f"order_book_{pair}" in self._channels:
                self._push("data", f"order_book_{pair}", book_of(self._desk, symbol, BOOK_TOP), FrameKind.MARKET)
            if f"diff_order_book_{pair}" in self._channels:
                changed = {
                    name: [
                        [fmt(self._desk.venue.price(symbol, ticks)), fmt(self._desk.venue.qty(symbol, lots))]
                        for (at, ticks), lots in levels.items()
                        if at is side
                    ]
                    for name, side in (("bids", Side.BUY), ("asks", Side.SELL))
                }
                times = {"timestamp": str(now_ns // 10**9), "microtimestamp": str(now_ns // 1_000)}
                self._push("data", f"diff_order_book_{pair}", times | changed, FrameKind.MARKET)

    def _tell_print(self, event: TradePrint) -> None:
        channel = f"live_trades_{self._ids[event.symbol]}"
        if channel not in self._channels:
            return
        data = {
            "id": event.print_id,
            "timestamp": str(event.ts_ns // 10**9),
            "microtimestamp": str(event.ts_ns // 1_000),
            "amount": event.qty,
            "amount_str": fmt(event.qty),
            "price": event.price,
            "price_str": fmt(event.price),
            "type": _SIDE_NUMBERS[event.taker_side],
            "buy_order_id": 0,
            "sell_order_id": 0,
        }
        self._push("trade", channel, data, FrameKind.MARKET)

    def _tell_order(self, event: Execution) -> None:
        order = event.order
        place = f"{self._ids[order.symbol]}-{user_id(order.account)}"
        if event.fill is not None and f"private-my_trades_{place}" in self._channels:
            fill = event.fill
            data = {
                "id": int(fill.trade_id),
                "id_str": fill.trade_id,
                "order_id": fill.order_id,
                "client_order_id": fill.client_order_id,
                "amount": fmt(fill.qty),
                "price": fmt(fill.price),
                "fee": fmt(fill.fee),
                "side": fill.side.value,
                "microtimestamp": str(fill.ts_ns // 1_000),
                "trade_account_id": 0,
            }
            self._push("trade", f"private-my_trades_{place}", data, FrameKind.PRIVATE)
        if event.kind in _ORDER_EVENTS and f"private-my_orders_{place}" in self._channels:
            data = self._order_data(event)
            self._push(_ORDER_EVENTS[event.kind], f"private-my_orders_{place}", data, FrameKind.PRIVATE)

    def _order_data(self, event: Execution) -> Json:
        order, request = event.order, event.order.request
        asked = self._desk.venue.qty(order.symbol, order.qty_lots)
        left = asked - event.filled_qty
        price = request.price if request.price is not None else ZERO
        return {
            "id": int(order.order_id),
            "id_str": order.order_id,
            "client_order_id": order.client_order_id,
            "order_type": _SIDE_NUMBERS[order.side],
            "order_subtype": _subtype(request),
            "datetime": str(order.opened_ns // 10**9),
            "microtimestamp": str(event.ts_ns // 1_000),
            "amount": left,
            "amount_str": fmt(left),
            "amount_traded": fmt(event.filled_qty),
            "amount_at_create": fmt(asked),
            "price": price,
            "price_str": fmt(price),
            "is_liquidation": False,
            "trade_account_id": 0,
        }

    def _push(self, event: str, channel: str, data: Json, kind: FrameKind) -> None:
        self._connection.push(_ENCODER.encode({"data": data, "channel": channel, "event": event}), kind)


def _subtype(request: OrderRequest) -> int:
    if request.type is OrderType.MARKET:
        return 2
    return {TimeInForce.GTC: 0, TimeInForce.IOC: 4, TimeInForce.FOK: 6}[request.tif]


def routes(desk: Desk, rng: random.Random) -> Iterable[web.AbstractRouteDef]:
    """Return the routes of one pretend Bitstamp: REST under /api/v2, the websocket at WS_PATH; `rng` makes tokens."""
    rest = BitstampRest(desk, rng)

    async def serve_rest(request: web.Request) -> web.StreamResponse:
        body = await request.read()

        def work() -> Answer:
            status, payload, taken = rest.handle(
                request.method, request.path, request.query_string, request.headers, body, now_ns=desk.now_ns()
            )
            return Answer(web.Response(status=status, body=payload, content_type="application/json"), accepted=taken)

        return await desk.answer(request, _kind(request.path), work)

    async def serve_ws(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        connection = Connection(desk, request, socket)
        session = BitstampSession(desk, rest, connection)
        end = desk.venue.listen(session.on_events)
        try:
            await connection.run(session.on_text, session.each_second)
        finally:
            end()
            session.stop()
        return socket

    return web.route("*", "/api/v2/{tail:.*}", serve_rest), web.get(WS_PATH, serve_ws)


def _kind(path: str) -> RequestKind:
    if re.match(r"/api/v2/(buy|sell)/", path):
        return RequestKind.ORDER
    if re.match(r"/api/v2/[a-z0-9]+_withdrawal/?$", path):
        return RequestKind.WITHDRAWAL
    return RequestKind.CANCEL if path.startswith("/api/v2/cancel_") else RequestKind.QUERY
