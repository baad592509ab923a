"""The pretend Coinbase's REST API: v3 brokerage and the v2 account calls, as bytes in and an answer out.

Rules of the file:
- No sockets here: `CoinbaseRest.handle` takes what a request is made of and returns status, headers and body, so the
  same code answers over plain http, TLS, or a test that has neither.
- ROUTES is the whole surface: method, path, scope, and who answers. A path that is not in it is a 404.
- Money is parsed from text as Decimal; a body that is not what the venue documents is a 400 INVALID_ARGUMENT.
- A refused order is HTTP 200 with `success: false`; a repeated client order id returns the order that exists when the
  request is the same, and a reason no allow-list knows when it is another.
- Lists are newest first and paged by an opaque cursor.
Source: docs.cdp.coinbase.com, Advanced Trade REST reference and Coinbase App v2 reference, read 2025-11.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl

import msgspec

from arbot.domain.errors import ArbotError
from arbot.domain.order import Side, TimeInForce
from arbot.domain.units import ONE, ZERO, decimals_of, div, fmt, parse_decimal
from arbot.sim.model import (
    OrderRejected,
    OrderRequest,
    OrderType,
    OrderUnknown,
    RejectReason,
    SimBalance,
    SimFill,
    SimOrder,
    TradePrint,
    Transfer,
    TransferRefused,
)
from arbot.sim.venue import networks_of
from arbot.sim.wire import coinbase_shapes as shapes
from arbot.sim.wire.auth_coinbase import AuthRefused, CoinbaseKey, Keyring
from arbot.sim.wire.desk import Desk, RequestKind

Json = dict[str, Any]
Row = TypeVar("Row")

PAGE_ORDERS, PAGE_ORDERS_MAX = 100, 1_000
PAGE_ACCOUNTS, PAGE_ACCOUNTS_MAX = 49, 250
PAGE_V2, PAGE_V2_MAX = 25, 300
LEVELS_MAX = 10_000
LIMIT_DIGITS_MAX = 9
NUMBER_MAX, DECIMALS_MAX = Decimal(10) ** 9, 18
USER_ID = "arbot-sim-user"

NETWORK_FEES = {"BTC": Decimal("0.0001"), "DOGE": Decimal(2), "ETH": Decimal("0.0005"), "SOL": Decimal("0.000005")}
"""What a withdrawal costs on its chain, in the asset; zero for what is not listed."""

_ENCODER = msgspec.json.Encoder(decimal_format="number")


class Reply(NamedTuple):
    """What goes back: status, headers beside the content type, and the body as it leaves.

    `accepted` says that an order was taken by this very request.
    """

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = MappingProxyType({})
    accepted: bool = False


class Asked(NamedTuple):
    """A request that was let in. `key` is None for public calls; `params` keeps repeated keys."""

    match: Mapping[str, str]
    params: Sequence[tuple[str, str]]
    body: bytes
    key: CoinbaseKey | None
    now_ns: int
    path: str

    @property
    def account(self) -> str:
        """The account of the key; private routes always have one."""
        return self.key.account if self.key is not None else ""

    def one(self, *names: str) -> str:
        """Return the first value of the first of these parameters that is given and not empty, or an empty text."""
        return next((value for name in names for key, value in self.params if key == name and value), "")

    def many(self, *names: str) -> frozenset[str]:
        """Return all values of these parameters, comma lists taken apart; empty means no filter."""
        values = (value for key, value in self.params if key in names or key.removesuffix("[]") in names)
        return frozenset(part for value in values for part in value.split(",") if part)

    def page_size(self, default: int, maximum: int) -> int:
        """Return the page size. Raises: BadRequestBody."""
        text = self.one("limit")
        if not text:
            return default
        if not (text.isascii() and text.isdigit() and len(text) <= LIMIT_DIGITS_MAX):
            raise BadRequestBody("limit is not a number")
        return min(int(text), maximum) or default

    def time_ns(self, name: str) -> int:
        """Return an RFC 3339 parameter in ns, or 0. Raises: BadRequestBody."""
        text = self.one(name)
        if not text:
            return 0
        try:
            return shapes.parse_time_ns(text)
        except ValueError as error:
            raise BadRequestBody(f"{name} is not a time") from error

    def json(self) -> Json:
        """Return the body as an object. Raises: BadRequestBody."""
        try:
            body = msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadRequestBody("body is not JSON") from error
        if not isinstance(body, dict):
            raise BadRequestBody("body is not an object")
        return body


class BadRequestBody(ArbotError):
    """The request does not say what the venue documents: 400 INVALID_ARGUMENT."""


class _NotFound(ArbotError):
    """There is no such thing: 404."""


class Limits(NamedTuple):
    """Requests per second: of one key, and of one address without a key. v2 has its own bucket per hour."""

    private_per_s: int = 30
    public_per_s: int = 10
    v2_per_hour: int = 10_000


class _Bucket:
    """Tokens that refill evenly up to one period's worth."""

    def __init__(self, size: int, period_ns: int) -> None:
        self.size = size
        self._ns_per_token = period_ns // size
        self._credit_ns = period_ns
        self._period_ns = period_ns
        self._then_ns = 0

    def take(self, now_ns: int) -> int:
        """Take one token and return how many are left, or -1 when there was none."""
        if self._then_ns:
            self._credit_ns = min(self._period_ns, self._credit_ns + max(0, now_ns - self._then_ns))
        self._then_ns = now_ns
        if self._credit_ns < self._ns_per_token:
            return -1
        self._credit_ns -= self._ns_per_token
        return self._credit_ns // self._ns_per_token


class CoinbaseRest:
    """Answer the venue's REST calls out of a SimVenue."""

    def __init__(self, desk: Desk, keys: Keyring, limits: Limits | None = None) -> None:
        self.desk = desk
        self.venue = venue = desk.venue
        self.keys = keys
        self._limits = limits or Limits()
        self._taken = 0
        self._buckets: dict[tuple[str, str], _Bucket] = {}
        self._symbols = {one.venue_symbol: one.symbol for one in venue.instruments.values()}

    def handle(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        now_ns: int,
        peer: str = "127.0.0.1",
    ) -> Reply:
        """Answer one request. `target` is path with query; `headers` must look names up without case."""
        path, _, query = target.partition("?")
        is_v2 = path.startswith("/v2/")
        self.venue.advance(now_ns)
        try:
            route, match = _route(method, path)
            key = None
            if route.scope:
                key = self.keys.authenticate_rest(
                    headers, method, path, query=query, body=body.decode("utf-8", "replace"), now_ns=now_ns
                )
            left, size = self._spend(key.name if key else peer, is_v2=is_v2, is_private=key is not None, now_ns=now_ns)
            told = {
                "x-ratelimit-limit": str(size),
                "x-ratelimit-remaining": str(max(0, left)),
                "x-ratelimit-reset": str(now_ns // 10**9 + 1),
            }
            if left < 0:
                return _json(429, shapes.error_v2("rate_limit_exceeded", "Too many requests"), told)
            if key is not None and not _may(key, route.scope):
                return _forbidden(is_v2=is_v2)
            asked = Asked(match, parse_qsl(query, keep_blank_values=True), body, key, now_ns, path)
            taken = self._taken
            reply = _json(route.status, route.answer(self, asked), told)
            return reply._replace(accepted=self._taken > taken)
        except AuthRefused as error:
            return _unauthorized(str(error), is_v2=is_v2)
        except BadRequestBody as error:
            refusal = (
                shapes.error_v2("validation_error", str(error))
                if is_v2
                else shapes.error("INVALID_ARGUMENT", str(error))
            )
            return _json(400, refusal)
        except _NotFound as error:
            refusal = shapes.error_v2("not_found", "Not found") if is_v2 else shapes.error("NOT_FOUND", str(error))
            return _json(404, refusal)

    def product_id(self, symbol: str) -> str:
        """Return the venue's name of a symbol."""
        return self.venue.instruments[symbol].venue_symbol

    def symbol(self, product_id: str) -> str | None:
        """Return the symbol of a product, or None."""
        return self._symbols.get(product_id)

    def _spend(self, who: str, *, is_v2: bool, is_private: bool, now_ns: int) -> tuple[int, int]:
        if is_v2:
            kind, size, period_ns = "v2", self._limits.v2_per_hour, 3_600 * 10**9
        elif is_private:
            kind, size, period_ns = "private", self._limits.private_per_s, 10**9
        else:
            kind, size, period_ns = "public", self._limits.public_per_s, 10**9
        bucket = self._buckets.get((kind, who))
        if bucket is None:
            bucket = self._buckets[kind, who] = _Bucket(size, period_ns)
        return bucket.take(now_ns), size

    # --- public ------------------------------------------------------------------------------------------------------

    def time(self, asked: Asked) -> Json:
        """Answer the v3 time."""
        ns = asked.now_ns
        return {"iso": shapes.iso_us(ns), "epochSeconds": str(ns // 10**9), "epochMillis": str(ns // 10**6)}

    def time_v2(self, asked: Asked) -> Json:
        """Answer the v2 time."""
        return {"data": {"iso": shapes.iso_us(asked.now_ns), "epoch": asked.now_ns // 10**9}}

    def currencies(self, asked: Asked) -> Json:  # noqa: ARG002
        """Answer the list of fiat money."""
        return shapes.fiat_currencies(self._assets())

    def currencies_crypto(self, asked: Asked) -> Json:  # noqa: ARG002
        """Answer the list of coins."""
        return shapes.crypto_currencies(self._assets())

    def exchange_rates(self, asked: Asked) -> Json:
        """Answer what one unit of the asked currency buys of each asset, from the books' own prices."""
        unit = asked.one("currency") or "USD"
        rates = {unit: "1"}
        for instrument in self.venue.instruments.values():
            price = self._last_price(instrument.symbol)
            if instrument.quote == unit and price:
                rates[instrument.base] = fmt(div(ONE, price).quantize(Decimal(1).scaleb(-16)))
        return {"data": {"currency": unit, "rates": rates}}

    def products(self, asked: Asked) -> Json:
        """Answer the list of products; there are no futures here."""
        if asked.one("product_type") not in ("", "SPOT", "UNKNOWN_PRODUCT_TYPE"):
            return {"products": [], "num_products": 0}
        wanted = asked.many("product_ids")
        symbols = [one.symbol for one in self.venue.instruments.values() if not wanted or one.venue_symbol in wanted]
        return {"products": [self._product(symbol) for symbol in symbols], "num_products": len(symbols)}

    def product(self, asked: Asked) -> Json:
        """Answer one product."""
        return self._product(self._symbol_or_404(asked.match["product_id"]))

    def product_book(self, asked: Asked) -> Json:
        """Answer one book, best levels first."""
        symbol = self._symbol_or_404(asked.one("product_id"))
        book = self._pricebook(symbol, asked.page_size(LEVELS_MAX, LEVELS_MAX), asked.now_ns)
        bid, ask = book["bids"][:1], book["asks"][:1]
        body: Json = {"pricebook": book, "last": fmt(self._last_price(symbol))}
        if bid and ask:
            low, high = Decimal(bid[0]["price"]), Decimal(ask[0]["price"])
            middle = (low + high) / 2
            bps = div((high - low) * 10_000, middle).quantize(Decimal("0.000001"))
            body |= {"mid_market": fmt(middle), "spread_bps": fmt(bps), "spread_absolute": fmt(high - low)}
        return body

    def best_bid_ask(self, asked: Asked) -> Json:
        """Answer the best level of each side for the asked products."""
        wanted = asked.many("product_ids")
        return {
            "pricebooks": [
                self._pricebook(one.symbol, 1, asked.now_ns)
                for one in self.venue.instruments.values()
                if not wanted or one.venue_symbol in wanted
            ]
        }

    def ticker(self, asked: Asked) -> Json:
        """Answer the last public trades, newest first."""
        symbol = self._symbol_or_404(asked.match["product_id"])
        prints = self.venue.prints(symbol, asked.page_size(100, 1_000))
        book = self._pricebook(symbol, 1, asked.now_ns)
        return {
            "trades": [self.public_trade(one) for one in reversed(prints)],
            "best_bid": book["bids"][0]["price"] if book["bids"] else "",
            "best_ask": book["asks"][0]["price"] if book["asks"] else "",
        }

    def public_trade(self, printed: TradePrint) -> Json:
        """Return a TradePrint as the venue shows it."""
        return shapes.public_trade(
            self.product_id(printed.symbol),
            printed.print_id,
            price=printed.price,
            qty=printed.qty,
            taker=printed.taker_side,
            ts_ns=printed.ts_ns,
        )

    def _assets(self) -> frozenset[str]:
        listed = self.venue.instruments.values()
        return frozenset(asset for one in listed for asset in (one.base, one.quote))

    def _last_price(self, symbol: str) -> Decimal:
        """Return the last trade's price, else the middle of the book, else zero."""
        prints = self.venue.prints(symbol, 1)
        if prints:
            return prints[-1].price
        bid, ask = self.venue.best(symbol, Side.BUY), self.venue.best(symbol, Side.SELL)
        if bid is None or ask is None:
            return ZERO
        return (self.venue.price(symbol, bid) + self.venue.price(symbol, ask)) / 2

    def _product(self, symbol: str) -> Json:
        instrument = msgspec.structs.replace(self.venue.instruments[symbol], status=self.venue.status(symbol))
        return shapes.product(instrument, self._last_price(symbol), "", ())

    def _pricebook(self, symbol: str, depth: int, now_ns: int) -> Json:
        sides = {}
        for name, side in (("bids", Side.BUY), ("asks", Side.SELL)):
            levels = self.venue.top(symbol, side, depth)
            sides[name] = shapes.price_levels(
                (self.venue.price(symbol, ticks), self.venue.qty(symbol, lots)) for ticks, lots in levels
            )
        return {"product_id": self.product_id(symbol), **sides, "time": shapes.iso_us(now_ns)}

    def _symbol_or_404(self, product_id: str) -> str:
        symbol = self.symbol(product_id)
        if symbol is None:
            raise _NotFound(f"product {product_id!r} was not found")
        return symbol

    # --- orders ------------------------------------------------------------------------------------------------------

    def create_order(self, asked: Asked) -> Json:
        """Place an order, or return the one that exists by that client order id."""
        body = asked.json()
        client_order_id = body.get("client_order_id")
        if not isinstance(client_order_id, str) or not client_order_id:
            raise BadRequestBody("client_order_id is required")
        configuration = body.get("order_configuration")
        echoed = configuration if isinstance(configuration, dict) else {}
        try:
            request = self._order_request(asked, body, client_order_id)
            known = self.venue.orders_by_client_id(asked.account, client_order_id)
            if known and _terms(known[0].request) != _terms(request):
                return shapes.order_refused(
                    "DUPLICATE_CLIENT_ORDER_ID",
                    "An order with this client_order_id exists and is another",
                    "UNKNOWN_PREVIEW_FAILURE_REASON",
                    configuration=echoed,
                )
            if known:
                return shapes.order_placed(known[0], self.product_id(known[0].symbol), echoed)
            self.desk.admit_order(client_order_id)
            order = self.venue.submit(request, asked.now_ns)
        except OrderRejected as error:
            return self._refused(error, echoed)
        self.desk.accepted(order)
        self._taken += 1
        return shapes.order_placed(order, self.product_id(order.symbol), echoed)

    def preview_order(self, asked: Asked) -> Json:
        """Say what an order would cost, without taking it."""
        body = asked.json()
        errors: list[str] = []
        request = None
        try:
            request = self._order_request(asked, body, "")
            self.venue.check(request, asked.now_ns)
        except OrderRejected as error:
            errors = [_REFUSALS[error.reason][2]]
        qty = request.qty if request else ZERO
        price = request.price or self._last_price(request.symbol) if request else ZERO
        quote = (request.quote_qty if request else None) or qty * price
        taker = self.venue.tier(asked.account, asked.now_ns)[1].taker
        symbol = self.symbol(str(body.get("product_id", "")))
        book = self._pricebook(symbol, 1, asked.now_ns) if symbol else {"bids": [], "asks": []}
        sign = ONE if body.get("side") == "BUY" else -ONE
        return {
            "order_total": fmt(quote + sign * quote * taker),
            "commission_total": fmt(quote * taker),
            "errs": errors,
            "warning": [],
            "quote_size": fmt(quote),
            "base_size": fmt(qty),
            "best_bid": book["bids"][0]["price"] if book["bids"] else "",
            "best_ask": book["asks"][0]["price"] if book["asks"] else "",
            "is_max": False,
            "slippage": "0",
            "preview_id": shapes.uuid_of("preview", asked.account, str(asked.now_ns)),
        }

    def batch_cancel(self, asked: Asked) -> Json:
        """Cancel orders one by one; a finished or unknown one is told as such, the rest go ahead."""
        order_ids = asked.json().get("order_ids")
        if not isinstance(order_ids, list) or not order_ids or not all(isinstance(one, str) for one in order_ids):
            raise BadRequestBody("order_ids must be a list of texts")
        return {"results": [self._cancel(asked, order_id) for order_id in order_ids]}

    def _cancel(self, asked: Asked, order_id: str) -> Json:
        try:
            self.venue.cancel(asked.account, order_id, asked.now_ns)
        except OrderUnknown:
            return {"success": False, "failure_reason": "UNKNOWN_CANCEL_ORDER", "order_id": order_id}
        return {"success": True, "failure_reason": "UNKNOWN_CANCEL_FAILURE_REASON", "order_id": order_id}

    def get_order(self, asked: Asked) -> Json:
        """Answer one order."""
        order = self.venue.order(asked.account, asked.match["order_id"])
        if order is None or not self.desk.shows(order):
            raise _NotFound("order with this orderID was not found")
        return {"order": self._order(order)}

    def list_orders(self, asked: Asked) -> Json:
        """Answer orders, newest first, filtered and paged."""
        order_ids, products = asked.many("order_ids"), asked.many("product_ids", "product_id")
        statuses, sides = asked.many("order_status"), asked.many("order_side")
        types = asked.many("order_types")
        start_ns, end_ns = asked.time_ns("start_date"), asked.time_ns("end_date")
        found = [
            order
            for order in reversed(self.venue.orders(asked.account))
            if self.desk.shows(order)
            and (not order_ids or order.order_id in order_ids)
            and (not products or self.product_id(order.symbol) in products)
            and (not statuses or shapes.status_of(order) in statuses)
            and (not sides or order.side.upper() in sides)
            and (not types or order.request.type.upper() in types)
            and order.opened_ns >= start_ns
            and (not end_ns or order.opened_ns < end_ns)
        ]
        page, cursor = _page(found, asked.page_size(PAGE_ORDERS, PAGE_ORDERS_MAX), asked.one("cursor"), _order_id)
        return {
            "orders": [self._order(order) for order in page],
            "sequence": "0",
            "has_next": bool(cursor),
            "cursor": cursor,
        }

    def list_fills(self, asked: Asked) -> Json:
        """Answer fills, newest first, filtered and paged."""
        order_ids, trades = asked.many("order_ids", "order_id"), asked.many("trade_ids", "trade_id")
        products = asked.many("product_ids", "product_id")
        start_ns, end_ns = asked.time_ns("start_sequence_timestamp"), asked.time_ns("end_sequence_timestamp")
        found = [
            row
            for row in reversed(self.venue.fills(asked.account))
            if self._shows_fill(row)
            and (not order_ids or row.order_id in order_ids)
            and (not trades or row.trade_id in trades)
            and (not products or self.product_id(row.symbol) in products)
            and row.ts_ns >= start_ns
            and (not end_ns or row.ts_ns < end_ns)
        ]
        page, cursor = _page(found, asked.page_size(PAGE_ORDERS, PAGE_ORDERS_MAX), asked.one("cursor"), _trade_id)
        rows = [shapes.fill(row, self.product_id(row.symbol), USER_ID, portfolio_of(row.account)) for row in page]
        return {"fills": rows, "cursor": cursor}

    def _shows_fill(self, row: SimFill) -> bool:
        order = self.venue.order(row.account, row.order_id)
        return order is not None and self.desk.shows(order)

    def _order(self, order: SimOrder) -> Json:
        return shapes.order(order, self.product_id(order.symbol), USER_ID, portfolio_of(order.account))

    def _refused(self, error: OrderRejected, configuration: Json) -> Json:
        code, message, preview = _REFUSALS[error.reason]
        return shapes.order_refused(code, message, preview, configuration)

    def _order_request(self, asked: Asked, body: Json, client_order_id: str) -> OrderRequest:
        """Return the order a body asks for. Raises: BadRequestBody, OrderRejected(UNKNOWN_INSTRUMENT)."""
        side = body.get("side")
        if side not in ("BUY", "SELL"):
            raise BadRequestBody("side must be BUY or SELL")
        configuration = body.get("order_configuration")
        if not isinstance(configuration, dict) or len(configuration) != 1:
            raise BadRequestBody("order_configuration must have one kind")
        ((kind, terms),) = configuration.items()
        if kind not in _KINDS or not isinstance(terms, dict):
            raise BadRequestBody(f"order_configuration {kind} is not supported")
        symbol = self.symbol(str(body.get("product_id", "")))
        if symbol is None:
            raise OrderRejected(RejectReason.UNKNOWN_INSTRUMENT, str(body.get("product_id")))
        made = _KINDS[kind](terms)
        return msgspec.structs.replace(
            made,
            account=asked.account,
            symbol=symbol,
            side=Side(side.lower()),
            client_order_id=client_order_id,
        )

    # --- accounts ----------------------------------------------------------------------------------------------------

    def accounts(self, asked: Asked) -> Json:
        """Answer the v3 accounts: available and hold, paged."""
        rows = [
            shapes.account(asset, balance, account_id(asked.account, asset), portfolio_of(asked.account), asked.now_ns)
            for asset, balance in self._balances(asked.account)
        ]
        page, cursor = _page(rows, asked.page_size(PAGE_ACCOUNTS, PAGE_ACCOUNTS_MAX), asked.one("cursor"), _uuid)
        return {"accounts": page, "has_next": bool(cursor), "cursor": cursor, "size": len(page)}

    def get_account(self, asked: Asked) -> Json:
        """Answer one v3 account."""
        asset, balance = self._account_or_404(asked)
        row = shapes.account(
            asset, balance, account_id(asked.account, asset), portfolio_of(asked.account), asked.now_ns
        )
        return {"account": row}

    def transaction_summary(self, asked: Asked) -> Json:
        """Answer volume, fees and the fee tier."""
        number, tier = self.venue.tier(asked.account, asked.now_ns)
        above = self.venue.tiers[number + 1 :]
        return shapes.transaction_summary(
            tier,
            self.venue.volume(asked.account, asked.now_ns),
            sum((row.fee for row in self.venue.fills(asked.account)), ZERO),
            number,
            volume_to=above[0].volume_min if above else None,
        )

    def key_permissions(self, asked: Asked) -> Json:
        """Answer what the asking key may do."""
        key = asked.key
        return {
            "can_view": key is not None and key.can_view,
            "can_trade": key is not None and key.can_trade,
            "can_transfer": key is not None and key.can_transfer,
            "portfolio_uuid": portfolio_of(asked.account),
            "portfolio_type": "DEFAULT",
        }

    def portfolios(self, asked: Asked) -> Json:
        """Answer the account's one portfolio."""
        return {"portfolios": [shapes.portfolio(portfolio_of(asked.account))]}

    def accounts_v2(self, asked: Asked) -> Json:
        """Answer the v2 accounts: totals without holds."""
        return _page_v2([self._account_v2(asked, *row) for row in self._balances(asked.account)], asked)

    def _account_v2(self, asked: Asked, asset: str, balance: SimBalance) -> Json:
        return shapes.account_v2(
            asset,
            balance,
            account_id(asked.account, asset),
            asked.now_ns,
            takes=any(self.venue.takes(asset, network) for network in networks_of(asset)),
            pays=any(self.venue.pays(asset, network) for network in networks_of(asset)),
        )

    def get_account_v2(self, asked: Asked) -> Json:
        """Answer one v2 account."""
        return {"data": self._account_v2(asked, *self._account_or_404(asked))}

    def send(self, asked: Asked) -> Json:
        """Withdraw to an address on a chain; a repeated `idem` returns the first transaction."""
        asset, _ = self._account_or_404(asked)
        body = asked.json()
        if body.get("type") != "send":
            raise BadRequestBody("type must be send")
        if body.get("currency", asset) != asset:
            raise BadRequestBody("currency is not the account's")
        address = body.get("to")
        if not isinstance(address, str) or not address:
            raise BadRequestBody("to is required")
        try:
            transfer = self.venue.withdraw(
                asked.account,
                asset,
                _decimal(body, "amount"),
                NETWORK_FEES.get(asset, ZERO),
                asked.now_ns,
                address=address,
                client_reference=str(body.get("idem") or ""),
                network=str(body.get("network") or ""),
                tag=str(body.get("destination_tag") or ""),
            )
        except TransferRefused as error:
            raise BadRequestBody(_TRANSFER_REFUSALS.get(error.reason, error.reason)) from error
        self._taken += 1
        return {"data": shapes.send(transfer, account_id(asked.account, asset))}

    def transactions(self, asked: Asked) -> Json:
        """Answer all transfers of an account, newest first."""
        asset, _ = self._account_or_404(asked)
        both = [*self._transfers(asked, asset, deposits=True), *self._transfers(asked, asset, deposits=False)]
        both.sort(key=lambda one: one.created_ns, reverse=True)
        return _page_v2([shapes.send(one, account_id(asked.account, asset)) for one in both], asked)

    def deposits(self, asked: Asked) -> Json:
        """Answer the deposits of an account, newest first."""
        return self._moved(asked, deposits=True)

    def withdrawals(self, asked: Asked) -> Json:
        """Answer the withdrawals of an account, newest first."""
        return self._moved(asked, deposits=False)

    def addresses(self, asked: Asked) -> Json:
        """Answer the account's deposit addresses, one a network, which are the same every time."""
        asset, _ = self._account_or_404(asked)
        return _page_v2([self._address(asked, asset, network) for network in networks_of(asset)], asked)

    def create_address(self, asked: Asked) -> Json:
        """Answer the account's deposit address: the pretend venue has one per account, asset and network."""
        asset, _ = self._account_or_404(asked)
        return {"data": self._address(asked, asset, networks_of(asset)[0])}

    def _address(self, asked: Asked, asset: str, network: str) -> Json:
        text = self.venue.deposit_address(asked.account, asset, network)
        return shapes.address(asset, network, text, account_id(asked.account, asset))

    def _moved(self, asked: Asked, *, deposits: bool) -> Json:
        asset, _ = self._account_or_404(asked)
        found = reversed(self._transfers(asked, asset, deposits=deposits))
        return _page_v2([shapes.transfer_v2(one, account_id(asked.account, asset)) for one in found], asked)

    def _transfers(self, asked: Asked, asset: str, *, deposits: bool) -> list[Transfer]:
        return [one for one in self.venue.transfers(asked.account, deposits=deposits) if one.asset == asset]

    def _balances(self, account: str) -> list[tuple[str, SimBalance]]:
        """Return every asset the venue lists or the account holds, those at zero too."""
        held = self.venue.balances(account)
        return [(asset, held.get(asset, SimBalance(ZERO, ZERO))) for asset in sorted(self._assets() | held.keys())]

    def _account_or_404(self, asked: Asked) -> tuple[str, SimBalance]:
        """Return asset and balance of the account in the path, named by id or by currency."""
        wanted = asked.match["account_id"]
        for asset, balance in self._balances(asked.account):
            if wanted in (asset, account_id(asked.account, asset)):
                return asset, balance
        raise _NotFound("account was not found")


def account_id(account: str, asset: str) -> str:
    """Return the id of an account's wallet for an asset; v2 and v3 use the same."""
    return shapes.uuid_of("account", account, asset)


def portfolio_of(account: str) -> str:
    """Return the id of the account's portfolio."""
    return shapes.uuid_of("portfolio", account)


# --- order kinds -----------------------------------------------------------------------------------------------------


def _limit(terms: Mapping[str, Any], tif: TimeInForce = TimeInForce.GTC) -> OrderRequest:
    post_only = terms.get("post_only", False)
    if not isinstance(post_only, bool):
        raise BadRequestBody("post_only must be true or false")
    return _blank(qty=_decimal(terms, "base_size"), price=_decimal(terms, "limit_price"), tif=tif, post_only=post_only)


def _limit_gtd(terms: Mapping[str, Any]) -> OrderRequest:
    try:
        end_ns = shapes.parse_time_ns(str(terms.get("end_time", "")))
    except ValueError as error:
        raise BadRequestBody("end_time is not a time") from error
    return msgspec.structs.replace(_limit(terms), expire_ns=end_ns)


def _market(terms: Mapping[str, Any]) -> OrderRequest:
    if "quote_size" in terms:
        return _blank(type=OrderType.MARKET, tif=TimeInForce.IOC, quote_qty=_decimal(terms, "quote_size"))
    return _blank(type=OrderType.MARKET, tif=TimeInForce.IOC, qty=_decimal(terms, "base_size"))


def _blank(**terms: Any) -> OrderRequest:
    """Return an order that says only its terms; account, instrument and side follow."""
    nobody: Json = {"account": "", "symbol": "", "side": Side.BUY, "qty": ZERO}
    return OrderRequest(**(nobody | terms))


_KINDS: dict[str, Callable[[Mapping[str, Any]], OrderRequest]] = {
    "market_market_ioc": _market,
    "sor_limit_ioc": lambda terms: _limit(terms, TimeInForce.IOC),
    "limit_limit_gtc": _limit,
    "limit_limit_gtd": _limit_gtd,
    "limit_limit_fok": lambda terms: _limit(terms, TimeInForce.FOK),
}

_REFUSALS: dict[RejectReason, tuple[str, str, str]] = {
    RejectReason.UNKNOWN_INSTRUMENT: ("INVALID_PRODUCT_ID", "Invalid product id", "PREVIEW_INVALID_PRODUCT_ID"),
    RejectReason.INSUFFICIENT_FUNDS: (
        "INSUFFICIENT_FUND",
        "Insufficient balance in source account",
        "PREVIEW_INSUFFICIENT_FUND",
    ),
    RejectReason.QTY_MIN: ("INVALID_REQUEST", "Order size is too small", "PREVIEW_INVALID_BASE_SIZE_TOO_SMALL"),
    RejectReason.QTY_MAX: ("INVALID_REQUEST", "Order size is too large", "PREVIEW_INVALID_BASE_SIZE_TOO_LARGE"),
    RejectReason.QTY_STEP: (
        "INVALID_SIZE_PRECISION",
        "Too many decimals in order amount",
        "PREVIEW_INVALID_SIZE_PRECISION",
    ),
    RejectReason.NOTIONAL_MIN: ("INVALID_REQUEST", "Order value is too small", "PREVIEW_INVALID_QUOTE_SIZE_TOO_SMALL"),
    RejectReason.TICK_SIZE: (
        "INVALID_PRICE_PRECISION",
        "Too many decimals in order price",
        "PREVIEW_INVALID_PRICE_PRECISION",
    ),
    RejectReason.INVALID_PRICE: ("INVALID_LIMIT_PRICE", "Limit price is invalid", "PREVIEW_INVALID_LIMIT_PRICE"),
    RejectReason.POST_ONLY: (
        "INVALID_LIMIT_PRICE_POST_ONLY",
        "Post only order would take liquidity",
        "PREVIEW_INVALID_LIMIT_PRICE_POST_ONLY",
    ),
    RejectReason.NO_LIQUIDITY: ("INVALID_NO_LIQUIDITY", "No liquidity", "PREVIEW_INVALID_NO_LIQUIDITY"),
    RejectReason.DEADLINE_ELAPSED: ("INVALID_REQUEST", "Order came too late", "PREVIEW_INVALID_ORDER_CONFIG"),
    RejectReason.DUPLICATE_CLIENT_ID: ("DUPLICATE_CLIENT_ORDER_ID", "Order exists", "UNKNOWN_PREVIEW_FAILURE_REASON"),
    RejectReason.ORDERS_LIMIT: ("INVALID_REQUEST", "Too many open orders", "PREVIEW_INVALID_ORDER_CONFIG"),
    RejectReason.INSTRUMENT_CLOSED: ("ORDER_ENTRY_DISABLED", "Order entry is disabled", "PREVIEW_ORDER_ENTRY_DISABLED"),
    RejectReason.POST_ONLY_MODE: (
        "ORDER_ENTRY_DISABLED",
        "Market is in post only mode",
        "PREVIEW_ORDER_ENTRY_DISABLED",
    ),
}
"""Reason -> (error and new_order_failure_reason, message, preview_failure_reason), the venue's enumerations."""

_TRANSFER_REFUSALS = {
    "insufficient_funds": "You don't have that much.",
    "below_minimum": "Amount is too small.",
    "frozen": "Sends are disabled at this time.",
    "closed": "Sends are disabled at this time.",
    "unknown_network": "Network is not supported for this currency.",
}


def _terms(request: OrderRequest) -> tuple[Any, ...]:
    """Return what makes two requests the same order."""
    return (
        request.symbol,
        request.side,
        request.qty,
        request.price,
        request.type,
        request.tif,
        request.post_only,
        request.expire_ns,
        request.quote_qty,
    )


def _decimal(terms: Mapping[str, Any], name: str) -> Decimal:
    """Return a positive number given as text. Raises: BadRequestBody."""
    text = terms.get(name)
    if not isinstance(text, str):
        raise BadRequestBody(f"{name} must be a text")
    try:
        number = parse_decimal(text)
    except ValueError as error:
        raise BadRequestBody(f"{name} is not a number") from error
    if not 0 < number <= NUMBER_MAX or decimals_of(number) > DECIMALS_MAX:
        raise BadRequestBody(f"{name} is out of range")
    return number


# --- pages, routes, envelopes ----------------------------------------------------------------------------------------


def _order_id(order: SimOrder) -> str:
    return order.order_id


def _trade_id(row: SimFill) -> str:
    return row.trade_id


def _uuid(row: Json) -> str:
    return str(row["uuid"])


def _page(rows: list[Row], size: int, cursor: str, name: Callable[[Row], str]) -> tuple[list[Row], str]:
    """Return the page after `cursor` and the next cursor, empty on the last page."""
    start = 0
    if cursor:
        start = next((at + 1 for at, row in enumerate(rows) if name(row) == cursor), len(rows))
    page = rows[start : start + size]
    return page, name(page[-1]) if page and start + size < len(rows) else ""


def _page_v2(rows: list[Json], asked: Asked) -> Json:
    size = asked.page_size(PAGE_V2, PAGE_V2_MAX)
    page, cursor = _page(rows, size, asked.one("starting_after"), lambda row: str(row["id"]))
    return shapes.page_v2(page, size, cursor or None, asked.path)


class _Route(NamedTuple):
    method: str
    path: re.Pattern[str]
    scope: str  # "" is public, else what the key must be allowed
    answer: Callable[[CoinbaseRest, Asked], Json]
    status: int = 200


def _routes(table: Iterable[tuple[Any, ...]]) -> tuple[_Route, ...]:
    pattern = re.compile(r"\{(\w+)\}")
    return tuple(
        _Route(method, re.compile(pattern.sub(r"(?P<\1>[^/]+)", path) + "/?"), scope, *rest)
        for method, path, scope, *rest in table
    )


_V3 = "/api/v3/brokerage"

ROUTES = _routes(
    (
        ("GET", f"{_V3}/time", "", CoinbaseRest.time),
        ("GET", f"{_V3}/market/products", "", CoinbaseRest.products),
        ("GET", f"{_V3}/market/products/{{product_id}}", "", CoinbaseRest.product),
        ("GET", f"{_V3}/market/products/{{product_id}}/ticker", "", CoinbaseRest.ticker),
        ("GET", f"{_V3}/market/product_book", "", CoinbaseRest.product_book),
        ("GET", f"{_V3}/products", "view", CoinbaseRest.products),
        ("GET", f"{_V3}/products/{{product_id}}", "view", CoinbaseRest.product),
        ("GET", f"{_V3}/products/{{product_id}}/ticker", "view", CoinbaseRest.ticker),
        ("GET", f"{_V3}/product_book", "view", CoinbaseRest.product_book),
        ("GET", f"{_V3}/best_bid_ask", "view", CoinbaseRest.best_bid_ask),
        ("POST", f"{_V3}/orders", "trade", CoinbaseRest.create_order),
        ("POST", f"{_V3}/orders/preview", "view", CoinbaseRest.preview_order),
        ("POST", f"{_V3}/orders/batch_cancel", "trade", CoinbaseRest.batch_cancel),
        ("GET", f"{_V3}/orders/historical/batch", "view", CoinbaseRest.list_orders),
        ("GET", f"{_V3}/orders/historical/fills", "view", CoinbaseRest.list_fills),
        ("GET", f"{_V3}/orders/historical/{{order_id}}", "view", CoinbaseRest.get_order),
        ("GET", f"{_V3}/accounts", "view", CoinbaseRest.accounts),
        ("GET", f"{_V3}/accounts/{{account_id}}", "view", CoinbaseRest.get_account),
        ("GET", f"{_V3}/transaction_summary", "view", CoinbaseRest.transaction_summary),
        ("GET", f"{_V3}/key_permissions", "view", CoinbaseRest.key_permissions),
        ("GET", f"{_V3}/portfolios", "view", CoinbaseRest.portfolios),
        ("GET", "/v2/time", "", CoinbaseRest.time_v2),
        ("GET", "/v2/currencies", "", CoinbaseRest.currencies),
        ("GET", "/v2/currencies/crypto", "", CoinbaseRest.currencies_crypto),
        ("GET", "/v2/exchange-rates", "", CoinbaseRest.exchange_rates),
        ("GET", "/v2/accounts", "view", CoinbaseRest.accounts_v2),
        ("GET", "/v2/accounts/{account_id}", "view", CoinbaseRest.get_account_v2),
        ("POST", "/v2/accounts/{account_id}/transactions", "transfer", CoinbaseRest.send, 201),
        ("GET", "/v2/accounts/{account_id}/transactions", "view", CoinbaseRest.transactions),
        ("GET", "/v2/accounts/{account_id}/deposits", "view", CoinbaseRest.deposits),
        ("GET", "/v2/accounts/{account_id}/withdrawals", "view", CoinbaseRest.withdrawals),
        ("GET", "/v2/accounts/{account_id}/addresses", "view", CoinbaseRest.addresses),
        ("POST", "/v2/accounts/{account_id}/addresses", "view", CoinbaseRest.create_address, 201),
    )
)


def _route(method: str, path: str) -> tuple[_Route, Mapping[str, str]]:
    """Return who answers, and the parts of the path. Raises: _NotFound."""
    for route in ROUTES:
        match = route.path.fullmatch(path) if route.method == method else None
        if match:
            return route, match.groupdict()
    raise _NotFound(f"{method} {path} was not found")


def request_kind(method: str, path: str) -> RequestKind:
    """Return which faults can meet a request."""
    if method == "POST" and _SEND.fullmatch(path.rstrip("/")):
        return RequestKind.WITHDRAWAL
    return _REQUEST_KINDS.get((method, path.rstrip("/")), RequestKind.QUERY)


_SEND = re.compile(r"/v2/accounts/[^/]+/transactions")
_REQUEST_KINDS = {
    ("POST", f"{_V3}/orders"): RequestKind.ORDER,
    ("POST", f"{_V3}/orders/batch_cancel"): RequestKind.CANCEL,
}


def _may(key: CoinbaseKey, scope: str) -> bool:
    return {"view": key.can_view, "trade": key.can_trade, "transfer": key.can_transfer}[scope]


def _json(status: int, body: Json, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(status, _ENCODER.encode(body), headers=headers or {})


def _unauthorized(why: str, *, is_v2: bool) -> Reply:
    """Return the refusal of an unproven caller: bare text without credentials, JSON when they are wrong."""
    if is_v2:
        return _json(401, shapes.error_v2("authentication_error", why))
    if why == "no credentials":
        return Reply(401, b"Unauthorized\n", "text/plain")
    return _json(401, shapes.error("unauthorized", why))


def _forbidden(*, is_v2: bool) -> Reply:
    if is_v2:
        return _json(403, shapes.error_v2("invalid_scope", "Invalid scope"))
    return _json(403, shapes.error("PERMISSION_DENIED", "Missing required scopes"))
