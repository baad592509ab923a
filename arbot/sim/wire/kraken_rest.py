"""The pretend Kraken's REST API: /0/public/* (GET) and /0/private/* (POST, signed).

Every answer is HTTP 200 with {"error": [...], "result": ...}, refusals too. Private methods are a table: handler, what
the call counter pays, which permissions (any of) it needs, and which faults it can meet.
Source: docs.kraken.com REST reference, read 2025-11.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple, TypeVar
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from arbot.domain.instrument import Instrument
from arbot.domain.order import Side
from arbot.domain.units import ZERO
from arbot.sim.accounts import ApiKey
from arbot.sim.listing import ASSET_DECIMALS
from arbot.sim.model import OrderStatus, RegisteredAddress, SimOrder, Transfer, TransferRefused
from arbot.sim.venue import networks_of
from arbot.sim.wire import kraken_shapes as shapes
from arbot.sim.wire.auth_kraken import TOKEN_SECONDS, Doorman, KrakenRefused
from arbot.sim.wire.desk import Answer, Desk, RequestKind
from arbot.sim.wire.kraken_limits import Limits
from arbot.sim.wire.kraken_orders import OrderDesk, needs, number

Fields = Mapping[str, str]
Row = TypeVar("Row")
PAGE = 50
WITHDRAW_REFUSALS = {
    "insufficient_funds": "EFunding:Insufficient funds",
    "below_minimum": "EFunding:Amount too small",
    "frozen": "EFunding:Withdrawals disabled",
    "closed": "EFunding:Withdrawals disabled",
    "unknown_network": "EFunding:Unknown withdraw method",
}
MINIMUM = Decimal("0.0001")
"""Of every way in and out, in the asset."""
CLOSED_ANSWERS = {"maintenance": "EService:Unavailable", "cancel_only": "EService:Market in cancel_only mode"}
"""What orders are told while the venue says so of itself."""


class Call(NamedTuple):
    """A private call that was let in."""

    key: ApiKey
    fields: Fields
    now_ns: int


class Method(NamedTuple):
    """A row of the private table."""

    handler: Callable[[Call], object]
    cost: int
    permissions: tuple[str, ...]
    kind: RequestKind = RequestKind.QUERY


class KrakenRest:
    """Serves REST for one venue."""

    def __init__(self, desk: Desk, doorman: Doorman, limits: Limits, orders: OrderDesk) -> None:
        self._desk = desk
        self._venue = desk.venue
        self._doorman = doorman
        self._limits = limits
        self._orders = orders
        self._public: dict[str, Callable[[Fields], object]] = {
            "Time": self._time,
            "SystemStatus": self._system_status,
            "Assets": self._assets,
            "AssetPairs": self._asset_pairs,
            "Depth": self._depth,
            "Ticker": self._ticker,
            "Trades": self._trades,
        }
        funds, closed = ("query-funds",), ("query-closed-trades",)
        self._private: dict[str, Method] = {
            "Balance": Method(self._balance, 1, funds),
            "BalanceEx": Method(self._balance_ex, 1, funds),
            "TradeVolume": Method(self._trade_volume, 1, funds),
            "OpenOrders": Method(self._open_orders, 1, ("query-open-trades",)),
            "ClosedOrders": Method(self._closed_orders, 1, closed),
            "QueryOrders": Method(self._query_orders, 1, ("query-open-trades", "query-closed-trades")),
            "TradesHistory": Method(self._trades_history, 2, closed),
            "QueryTrades": Method(self._query_trades, 1, closed),
            "Ledgers": Method(self._ledgers, 2, ("query-ledger",)),
            "AddOrder": Method(self._add_order, 0, ("modify-trades",), RequestKind.ORDER),
            "CancelOrder": Method(self._cancel_order, 0, ("close-trades", "modify-trades"), RequestKind.CANCEL),
            "CancelAll": Method(self._cancel_all, 1, ("close-trades", "modify-trades"), RequestKind.CANCEL),
            "CancelAllOrdersAfter": Method(self._cancel_all_after, 1, ("close-trades", "modify-trades")),
            "GetWebSocketsToken": Method(self._token, 1, ("create-ws-token",)),
            "GetApiKeyInfo": Method(self._key_info, 1, ()),
            "DepositMethods": Method(self._deposit_methods, 1, ("add-funds", "query-funds")),
            "DepositAddresses": Method(self._deposit_addresses, 1, ("add-funds", "query-funds")),
            "DepositStatus": Method(self._deposit_status, 1, ("add-funds", "query-funds")),
            "WithdrawMethods": Method(self._withdraw_methods, 1, ("withdraw-funds", "query-funds")),
            "WithdrawAddresses": Method(self._withdraw_addresses, 1, ("withdraw-funds", "query-funds")),
            "WithdrawStatus": Method(self._withdraw_status, 1, ("withdraw-funds", "query-funds")),
            "WithdrawInfo": Method(self._withdraw_info, 1, ("withdraw-funds",)),
            "Withdraw": Method(self._withdraw, 1, ("withdraw-funds",), RequestKind.WITHDRAWAL),
            "WithdrawCancel": Method(self._withdraw_cancel, 1, ("withdraw-funds",)),
        }

    def mount(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_route("*", "/0/public/{method}", self.public)
        app.router.add_post("/0/private/{method}", self.private)

    # --- the two doors ---------------------------------------------------------------------------------------------

    async def public(self, request: web.Request) -> web.StreamResponse:
        """Serve a public call."""

        def work() -> Answer:
            try:
                self._limits.public_call(request.remote or "", self._desk.now_ns())
                handler = self._public.get(request.match_info["method"], _unknown)
                return Answer(_result(handler(request.query)))
            except KrakenRefused as error:
                return Answer(_error(error.text))

        return await self._desk.answer(request, RequestKind.QUERY, work)

    async def private(self, request: web.Request) -> web.StreamResponse:
        """Serve a private call: signature, nonce and counters are checked on receipt, the rest when it has arrived."""
        body = await request.read()
        text = request.headers.get("API-Key", "")
        now_ns = self._desk.now_ns()
        try:
            key = self._doorman.key(text)
            self._limits.check_lockout(text, now_ns)
            fields = _fields(request, body)
            signature = request.headers.get("API-Sign", "")
            try:
                self._doorman.check(key, signature, request.raw_path, fields.get("nonce", ""), body)
                method = self._private.get(request.match_info["method"], _UNKNOWN)
                self._limits.private_call(text, method.cost, now_ns)
            except KrakenRefused:
                self._limits.refused(text, now_ns)
                raise
            if method.permissions:
                needs(key, *method.permissions)
        except KrakenRefused as error:
            return _error(error.text)

        def work() -> Answer:
            try:
                self._venue.advance(self._desk.now_ns())
                closed = CLOSED_ANSWERS.get(self._venue.status_word())
                if closed is not None and method.kind in (RequestKind.ORDER, RequestKind.WITHDRAWAL):
                    return Answer(_error(closed))
                result = method.handler(Call(key, fields, self._desk.now_ns()))
            except KrakenRefused as error:
                return Answer(_error(error.text))
            return Answer(_result(result), accepted=method.kind in (RequestKind.ORDER, RequestKind.WITHDRAWAL))

        return await self._desk.answer(request, method.kind, work)

    # --- public ----------------------------------------------------------------------------------------------------

    def _time(self, _fields: Fields) -> object:
        now_ns = self._desk.now_ns()
        return {"unixtime": now_ns // 10**9, "rfc1123": shapes.rfc1123(now_ns)}

    def _system_status(self, _fields: Fields) -> object:
        return {"status": self._venue.status_word(), "timestamp": shapes.iso_seconds(self._desk.now_ns())}

    def _assets(self, fields: Fields) -> object:
        traded = (asset for one in self._venue.instruments.values() for asset in (str(one.base), str(one.quote)))
        assets = dict.fromkeys((*ASSET_DECIMALS, *traded))
        wanted = set(filter(None, fields.get("asset", "").split(",")))
        rows = {
            shapes.asset_id(asset): shapes.asset_row(
                asset,
                takes=any(self._venue.takes(asset, network) for network in networks_of(asset)),
                pays=any(self._venue.pays(asset, network) for network in networks_of(asset)),
            )
            for asset in assets
            if not wanted or wanted & {asset, shapes.asset_id(asset), shapes.alt_name(asset)}
        }
        if wanted and not rows:
            raise KrakenRefused("EQuery:Unknown asset")
        return rows

    def _asset_pairs(self, fields: Fields) -> object:
        asked = [pair for pair in fields.get("pair", "").split(",") if pair]
        if not asked:
            return {one.venue_symbol: self._pair_row(one) for one in self._venue.instruments.values()}
        # keyed by the very text that was asked
        return {pair: self._pair_row(self._venue.instruments[self._orders.symbol(pair)]) for pair in asked}

    def _pair_row(self, instrument: Instrument) -> object:
        return shapes.pair_row(instrument, self._venue.status(instrument.symbol), self._venue.tiers)

    def _depth(self, fields: Fields) -> object:
        instrument = self._instrument(fields)
        count = _count(fields, "count", 100, 500)
        at = self._desk.now_ns() // 10**9

        def rows(side: Side) -> list[object]:
            return [
                [
                    shapes.text(self._venue.price(instrument.symbol, ticks), 5),
                    shapes.text(self._venue.qty(instrument.symbol, lots), 3),
                    at,
                ]
                for ticks, lots in self._venue.top(instrument.symbol, side, count)
            ]

        return {instrument.venue_symbol: {"asks": rows(Side.SELL), "bids": rows(Side.BUY)}}

    def _ticker(self, fields: Fields) -> object:
        asked = [pair for pair in fields.get("pair", "").split(",") if pair]
        symbols = [self._orders.symbol(pair) for pair in asked] or list(self._venue.instruments)
        return {self._venue.instruments[symbol].venue_symbol: self._ticker_row(symbol) for symbol in symbols}

    def _ticker_row(self, symbol: str) -> object:
        def best(side: Side) -> list[str]:
            top = self._venue.top(symbol, side, 1)
            if not top:
                return ["0", "0", "0.000"]
            qty = self._venue.qty(symbol, top[0][1])
            return [shapes.text(self._venue.price(symbol, top[0][0]), 5), str(int(qty)), shapes.text(qty, 3)]

        prints = self._venue.prints(symbol, 2_000)
        prices = [one.price for one in prints] or [ZERO]
        volume = sum((one.qty for one in prints), ZERO)
        cost = sum((one.qty * one.price for one in prints), ZERO)

        def twice(number: Decimal) -> list[str]:  # today, last 24 hours
            return [shapes.text(number, 5)] * 2

        return {
            "a": best(Side.SELL),
            "b": best(Side.BUY),
            "c": [shapes.text(prices[-1], 5), shapes.text(prints[-1].qty if prints else ZERO, 8)],
            "v": twice(volume),
            "p": twice(shapes.average_of(cost, volume)),
            "t": [len(prints)] * 2,
            "l": twice(min(prices)),
            "h": twice(max(prices)),
            "o": shapes.text(prices[0], 5),
        }

    def _trades(self, fields: Fields) -> object:
        instrument = self._instrument(fields)
        prints = self._venue.prints(instrument.symbol, _count(fields, "count", 1_000, 1_000))
        rows = [
            [
                shapes.text(one.price, 5),
                shapes.text(one.qty, 8),
                shapes.seconds(one.ts_ns),
                "b" if one.taker_side is Side.BUY else "s",
                "l" if one.order_type == "limit" else "m",
                "",
                one.print_id,
            ]
            for one in prints
        ]
        return {instrument.venue_symbol: rows, "last": str(prints[-1].ts_ns if prints else self._desk.now_ns())}

    def _instrument(self, fields: Fields) -> Instrument:
        return self._venue.instruments[self._orders.symbol(fields.get("pair", ""))]

    # --- account ---------------------------------------------------------------------------------------------------

    def _balance(self, call: Call) -> object:
        return {
            shapes.asset_id(asset): shapes.text(balance.total, ASSET_DECIMALS.get(asset, 8))
            for asset, balance in self._venue.balances(call.key.account).items()
        }

    def _balance_ex(self, call: Call) -> object:
        return {
            shapes.asset_id(asset): {
                "balance": shapes.text(balance.total, ASSET_DECIMALS.get(asset, 8)),
                "hold_trade": shapes.text(balance.hold, ASSET_DECIMALS.get(asset, 8)),
            }
            for asset, balance in self._venue.balances(call.key.account).items()
        }

    def _trade_volume(self, call: Call) -> object:
        account = call.key.account
        at, tier = self._venue.tier(account, call.now_ns)
        tiers = self._venue.tiers
        following = tiers[at + 1] if at + 1 < len(tiers) else None
        asked = [pair for pair in call.fields.get("pair", "").split(",") if pair]
        symbols = [self._orders.symbol(pair) for pair in asked] or list(self._venue.instruments)

        def row(rate: Decimal, following_rate: Decimal | None, rates: list[Decimal]) -> object:
            return {
                "fee": _percent(rate),
                "minfee": _percent(min(rates)),
                "maxfee": _percent(max(rates)),
                "nextfee": None if following_rate is None else _percent(following_rate),
                "tiervolume": shapes.text(tier.volume_min, 4),
                "nextvolume": None if following is None else shapes.text(following.volume_min, 4),
            }

        ids = [self._venue.instruments[symbol].venue_symbol for symbol in symbols]
        taker = row(tier.taker, following.taker if following else None, [one.taker for one in tiers])
        maker = row(tier.maker, following.maker if following else None, [one.maker for one in tiers])
        return {
            "currency": "ZUSD",
            "volume": shapes.text(self._venue.volume(account, call.now_ns), 4),
            "fees": dict.fromkeys(ids, taker),
            "fees_maker": dict.fromkeys(ids, maker),
        }

    def _open_orders(self, call: Call) -> object:
        orders = [one for one in self._venue.open_orders(call.key.account) if self._matches(one, call)]
        return {"open": {one.order_id: self._order_row(one, call) for one in reversed(orders)}}

    def _closed_orders(self, call: Call) -> object:
        by_close = call.fields.get("closetime", "both") in ("close", "both")
        orders = [
            one
            for one in self._venue.orders(call.key.account)
            if one.status is not OrderStatus.OPEN
            and self._matches(one, call)
            and _within(call, one.closed_ns if by_close else one.opened_ns, self._order_times(call))
        ]
        orders.sort(key=lambda one: one.closed_ns, reverse=True)
        return {
            "closed": {one.order_id: self._order_row(one, call) for one in _page(orders, call)},
            "count": len(orders),
        }

    def _order_times(self, call: Call) -> Mapping[str, int]:
        return {one.order_id: one.closed_ns for one in self._venue.orders(call.key.account)}

    def _query_orders(self, call: Call) -> object:
        rows: dict[str, object] = {}
        for order_id in call.fields.get("txid", "").split(","):
            order = self._venue.order(call.key.account, order_id)
            if order is not None and self._desk.shows(order):
                rows[order_id] = self._order_row(order, call)
        return rows

    def _matches(self, order: SimOrder, call: Call) -> bool:
        name, userref = call.fields.get("cl_ord_id", ""), call.fields.get("userref", "")
        return (
            self._desk.shows(order)
            and (not name or order.client_order_id == name)
            and (not userref or str(order.request.userref) == userref)
        )

    def _order_row(self, order: SimOrder, call: Call) -> object:
        trades = call.fields.get("trades", "").lower() == "true"
        return shapes.order_row(order, self._venue.instruments[order.symbol], trades=trades)

    def _trades_history(self, call: Call) -> object:
        fills = self._venue.fills(call.key.account)
        times = {one.trade_id: one.ts_ns for one in fills}
        found = [
            one
            for one in reversed(fills)
            if _within(call, one.ts_ns, times) and self._shows_order(call.key.account, one.order_id)
        ]
        rows = {one.trade_id: shapes.trade_row(one, self._venue.instruments[one.symbol]) for one in _page(found, call)}
        return {"trades": rows, "count": len(found)}

    def _shows_order(self, account: str, order_id: str) -> bool:
        order = self._venue.order(account, order_id)
        return order is not None and self._desk.shows(order)

    def _query_trades(self, call: Call) -> object:
        wanted = set(call.fields.get("txid", "").split(","))
        return {
            one.trade_id: shapes.trade_row(one, self._venue.instruments[one.symbol])
            for one in self._venue.fills(call.key.account)
            if one.trade_id in wanted
        }

    def _ledgers(self, call: Call) -> object:
        asset, kind = call.fields.get("asset", "all"), call.fields.get("type", "all")
        rows = self._venue.ledger(call.key.account)
        times = {one.ledger_id: one.ts_ns for one in rows}
        wanted = set(asset.split(","))
        found = [
            one
            for one in reversed(rows)
            if _within(call, one.ts_ns, times)
            and (asset == "all" or wanted & {one.asset, shapes.asset_id(one.asset), shapes.alt_name(one.asset)})
            and kind in ("all", str(one.kind))
        ]
        return {"ledger": {one.ledger_id: shapes.ledger_row(one) for one in _page(found, call)}, "count": len(found)}

    def _token(self, call: Call) -> object:
        return {"token": self._doorman.new_token(call.key, call.now_ns), "expires": TOKEN_SECONDS}

    def _key_info(self, call: Call) -> object:
        key = call.key
        created = str(key.created_ns // 10**9)
        return {
            "apiKeyName": key.name,
            "apiKey": key.key,
            "nonce": str(key.nonce_last),
            "nonceWindow": key.nonce_window,
            "permissions": sorted(key.permissions),
            "iban": f"AA00 ARBT {key.account.upper()[:4]:0<4} 0001",
            "validUntil": "0",
            "queryFrom": "0",
            "queryTo": "0",
            "createdTime": created,
            "modifiedTime": created,
            "ipAllowlist": list(key.ip_allowlist),
            "lastUsed": str(call.now_ns // 10**9),
        }

    # --- orders ----------------------------------------------------------------------------------------------------

    def _add_order(self, call: Call) -> object:
        if call.fields.get("validate", "").lower() == "true":
            request = self._orders.check(call.key, call.fields, call.now_ns)
            instrument = self._venue.instruments[request.symbol]
            return {"descr": {"order": shapes.sentence(request.side, request.qty, request.price, instrument)}}
        order = self._orders.add(call.key, call.fields, call.now_ns)
        instrument = self._venue.instruments[order.symbol]
        return {"descr": {"order": shapes.order_sentence(order, instrument)}, "txid": [order.order_id]}

    def _cancel_order(self, call: Call) -> object:
        self._orders.cancel(
            call.key,
            call.now_ns,
            order_id=call.fields.get("txid", ""),
            client_order_id=call.fields.get("cl_ord_id", ""),
        )
        return {"count": 1}

    def _cancel_all(self, call: Call) -> object:
        return {"count": self._orders.cancel_all(call.key, call.now_ns)}

    def _cancel_all_after(self, call: Call) -> object:
        return self._orders.cancel_all_after(call.key, call.fields.get("timeout", ""), call.now_ns)

    # --- money in and out ------------------------------------------------------------------------------------------

    def _asset(self, fields: Fields) -> str:
        wanted = fields.get("asset", "")
        for one in self._venue.instruments.values():
            for asset in (one.base, one.quote):
                if wanted in (asset, shapes.asset_id(asset), shapes.alt_name(asset)):
                    return asset
        raise KrakenRefused("EFunding:Unknown asset")

    def _deposit_methods(self, call: Call) -> object:
        asset = self._asset(call.fields)
        return [
            {
                "method": shapes.deposit_method(asset, network),
                "limit": False,
                "fee": "0.0000000000",
                "gen-address": True,
                "minimum": shapes.text(MINIMUM, 8),
            }
            for network in networks_of(asset)
            if self._venue.takes(asset, network)
        ]

    def _deposit_addresses(self, call: Call) -> object:
        asset = self._asset(call.fields)
        wanted = call.fields.get("method", "")
        network = next((one for one in networks_of(asset) if shapes.deposit_method(asset, one) == wanted), None)
        if network is None:
            raise KrakenRefused("EFunding:Unknown deposit method")
        address = self._venue.deposit_address(call.key.account, asset, network)
        return [{"address": address, "expiretm": "0", "new": True}]

    def _deposit_status(self, call: Call) -> object:
        return [shapes.transfer_row(one) for one in self._transfers(call, deposits=True)]

    def _withdraw_status(self, call: Call) -> object:
        return [shapes.transfer_row(one) for one in self._transfers(call, deposits=False)]

    def _transfers(self, call: Call, *, deposits: bool) -> list[Transfer]:
        asset = self._asset(call.fields) if call.fields.get("asset") else ""
        found = self._venue.transfers(call.key.account, deposits=deposits)
        return [one for one in reversed(found) if asset in ("", one.asset) and _within(call, one.created_ns, {})]

    def _withdraw_methods(self, call: Call) -> object:
        asked = self._asset(call.fields) if call.fields.get("asset") else ""
        listed = dict.fromkeys(
            str(asset)
            for one in self._venue.instruments.values()
            for asset in (one.base, one.quote)
            if asked in ("", asset)
        )
        return [
            {
                "asset": shapes.asset_id(asset),
                "method": shapes.method(asset, network),
                "network": shapes.NETWORKS[network],
                "minimum": shapes.text(MINIMUM, 8),
            }
            for asset in listed
            for network in networks_of(asset)
            if self._venue.pays(asset, network)
        ]

    def _withdraw_addresses(self, call: Call) -> object:
        asset = self._asset(call.fields) if call.fields.get("asset") else ""
        return [
            {
                "address": one.address,
                "asset": shapes.asset_id(one.asset),
                "method": shapes.method(one.asset, _network(one)),
                "key": one.key,
                "verified": one.is_verified,
                **({"tag": one.tag} if one.tag else {}),
            }
            for one in self._venue.withdraw_keys.values()
            if asset in ("", one.asset)
        ]

    def _withdraw_terms(self, call: Call) -> tuple[RegisteredAddress, Decimal]:
        """Return where it goes and what arrives; the amount asked includes the fee."""
        one = self._venue.withdraw_keys.get((self._asset(call.fields), call.fields.get("key", "")))
        if one is None or not one.is_verified:
            raise KrakenRefused("EFunding:Unknown withdraw key")
        if call.fields.get("address") not in (None, "", one.address):
            raise KrakenRefused("EFunding:Invalid address")
        if call.fields.get("max_fee") and one.fee > number(call.fields["max_fee"], "max_fee"):
            raise KrakenRefused("EFunding:Max fee exceeded")
        amount = number(call.fields.get("amount", ""), "amount")
        if amount < MINIMUM:
            raise KrakenRefused(WITHDRAW_REFUSALS["below_minimum"])
        return one, amount - one.fee

    def _withdraw_info(self, call: Call) -> object:
        one, net = self._withdraw_terms(call)
        decimals = ASSET_DECIMALS.get(one.asset, 8)
        return {
            "method": shapes.method(one.asset, _network(one)),
            "limit": shapes.text(self._venue.accounts.get(call.key.account).available(one.asset), decimals),
            "amount": shapes.text(net, decimals),
            "fee": shapes.text(one.fee, decimals),
        }

    def _withdraw(self, call: Call) -> object:
        one, net = self._withdraw_terms(call)
        try:
            transfer = self._venue.withdraw(
                call.key.account,
                one.asset,
                net,
                one.fee,
                call.now_ns,
                address=one.address,
                address_key=one.key,
                network=one.network,
                tag=one.tag,
            )
        except TransferRefused as error:
            raise KrakenRefused(WITHDRAW_REFUSALS[error.reason]) from error
        return {"refid": transfer.reference}

    def _withdraw_cancel(self, call: Call) -> object:
        sent = self._venue.transfers(call.key.account, deposits=False)
        known = {one.reference for one in sent if not one.is_on_chain}
        reference = call.fields.get("refid", "")
        if reference not in known:
            raise KrakenRefused("EFunding:Unknown reference id")
        return self._venue.fail_transfer(reference, call.now_ns)


def _network(one: RegisteredAddress) -> str:
    return one.network or networks_of(one.asset)[0]


def _unknown(_asked: object) -> object:
    raise KrakenRefused("EGeneral:Unknown method")


_UNKNOWN = Method(_unknown, 1, ())


# --- small helpers ---------------------------------------------------------------------------------------------------


def _result(result: object) -> web.Response:
    return web.Response(body=msgspec.json.encode({"error": [], "result": result}), content_type="application/json")


def _error(text: str) -> web.Response:
    return web.Response(body=msgspec.json.encode({"error": [text]}), content_type="application/json")


def _fields(request: web.Request, body: bytes) -> dict[str, str]:
    """Return the body's fields as texts, whether it is a form or JSON. Raises: KrakenRefused."""
    try:
        if request.content_type == "application/json":
            decoded = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
            return {name: _plain(bytes(value)) for name, value in decoded.items()}
        return dict(parse_qsl(body.decode(), keep_blank_values=True))
    except (ValueError, msgspec.DecodeError) as error:
        raise KrakenRefused("EAPI:Bad request") from error


def _plain(value: bytes) -> str:
    return msgspec.json.decode(value, type=str) if value.startswith(b'"') else value.decode()


def _count(fields: Fields, name: str, default: int, most: int) -> int:
    text = fields.get(name, "") or str(default)
    if not text.isdigit() or int(text) == 0:
        raise KrakenRefused(f"EGeneral:Invalid arguments:{name}")
    return min(int(text), most)


def _within(call: Call, at_ns: int, times: Mapping[str, int]) -> bool:
    """Return whether a time lies after `start` and not after `end`, each given in seconds or as an id."""
    start, end = _moment(call, "start", times), _moment(call, "end", times)
    return (start is None or at_ns > start) and (end is None or at_ns <= end)


def _moment(call: Call, name: str, times: Mapping[str, int]) -> int | None:
    text = call.fields.get(name, "")
    if not text:
        return None
    if text in times:
        return times[text]
    return int(number(text, name) * 10**9)


def _page(rows: Iterable[Row], call: Call) -> list[Row]:
    """Return one page of rows from `ofs` on."""
    text = call.fields.get("ofs", "") or "0"
    if not text.isdigit():
        raise KrakenRefused("EGeneral:Invalid arguments:ofs")
    return list(rows)[int(text) : int(text) + PAGE]


def _percent(rate: Decimal) -> str:
    return shapes.text(rate.scaleb(2), 4)
