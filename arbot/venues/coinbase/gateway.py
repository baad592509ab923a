"""Coinbase Advanced Trade over signed REST (https://docs.cdp.coinbase.com/api-reference/advanced-trade-api, 2026-11).

ccxt makes the JWTs and names URLs; requests go out once through our own client, so that the raw answer is in hand.
Fills are booked from here only: the venue's private stream carries no trade ids.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import ccxt.async_support as ccxt
from asyncio_throttle.throttler import Throttler

from arbot.domain.commands import CancelOrder, QueryOrder
from arbot.domain.errors import InstrumentUnknown, VenueRefused, VenueUnavailable, ensure
from arbot.domain.events import (
    CancelRejected,
    Event,
    NetworksReported,
    OrderFilled,
    OrderStatusReported,
    RejectCode,
    RequestOutcomeUnknown,
    TransferReported,
    VenueStatusReported,
)
from arbot.domain.ids import (
    Asset,
    ClientOrderId,
    TradeId,
    VenueOrderId,
    instrument_id,
    parse_client_order_id,
)
from arbot.domain.instrument import Balance, FeeRate, Instrument, InstrumentStatus
from arbot.domain.order import Approved, Fill, Liquidity, OrderIntent, OrderState, Side, TimeInForce
from arbot.domain.transfer import ApprovedTransfer, DepositAddress, Network, TransferIntent
from arbot.domain.units import ZERO, Amount, decimals_of, parse_decimal
from arbot.ports import Clock, Credentials, KeyPermissions, OpenOrder, VenueConfig
from arbot.venues.clock_offset import ClockOffset
from arbot.venues.codec import timestamp_ns
from arbot.venues.coinbase.outcome import classify_cancel, classify_submit
from arbot.venues.coinbase.treasury import CoinbaseTreasury, verify_send
from arbot.venues.endpoints import coinbase_group
from arbot.venues.limiter import Charge, Lane, Limiter, coinbase_buckets
from arbot.venues.outcome import Rejected, Unknown, excerpt, parse_object, submit_event
from arbot.venues.rest import ORDER_BODY_BYTES_MAX, Answer, Lost, Note, Request, RestClient, unheard
from arbot.venues.timestamps import rfc3339_ms
from arbot.venues.wire_order import WireNumbers, reads_as, wire_numbers
from arbot.venues.withdrawal import Refused, never_sent

_log = logging.getLogger("arbot.venues.coinbase")

SIDES: dict[str, Side] = {"BUY": Side.BUY, "SELL": Side.SELL}
ORDER_CONFIGURATIONS: dict[TimeInForce, tuple[str, dict[str, bool]]] = {
    TimeInForce.IOC: ("sor_limit_ioc", {}),
    TimeInForce.FOK: ("limit_limit_fok", {}),
    TimeInForce.GTC: ("limit_limit_gtc", {"post_only": False}),
    TimeInForce.POST_ONLY: ("limit_limit_gtc", {"post_only": True}),
}
TERMINAL_STATES: dict[str, OrderState] = {
    "FILLED": OrderState.FILLED,
    "CANCELLED": OrderState.CANCELED,
    "EXPIRED": OrderState.EXPIRED,
    "FAILED": OrderState.REJECTED,
}
"""Order status -> state. All others (PENDING, QUEUED, OPEN, CANCEL_QUEUED, ...) are open: the order exists."""

HALTING_FLAGS = ("is_disabled", "trading_disabled", "view_only", "auction_mode")
LIMITING_FLAGS: tuple[tuple[str, InstrumentStatus], ...] = (
    ("cancel_only", InstrumentStatus.CANCEL_ONLY),
    ("post_only", InstrumentStatus.POST_ONLY),
    ("limit_only", InstrumentStatus.LIMIT_ONLY),
)
TRADE_TYPES_KNOWN = frozenset({"FILL", "REVERSAL", "CORRECTION", "SYNTHETIC"})
PERMISSION_NAMES = frozenset({"can_view", "can_trade", "can_transfer"})

BASE = "brokerage"
POLLS_PER_S = 5
POLL_WAIT_S_MAX = Decimal(20)
URGENT_WAIT_S_MAX = Decimal(2)
ORDER_WAIT_S_MAX = Decimal("0.5")
ORDERS_PER_QUERY = 50
PAGE_SIZE = 100
ACCOUNTS_PAGE_SIZE = 250
PAGES_MAX = 500
OVERLAP_NS = 60_000_000_000
QUEUED_WINDOW_NS = 3_600_000_000_000  # an order is not pending or queued for longer than this
CANCEL_CHECKS = 4
TOKEN_MARGIN_NS = 2_000_000_000  # of the 120 s that a token lives
CACHE_MAX = 20_000
MS = 1_000_000


class CoinbaseGateway:
    """One Coinbase portfolio: the one the key is bound to."""

    def __init__(
        self, config: VenueConfig, credentials: Credentials | None, clock: Clock, *, note: Note = unheard
    ) -> None:
        self.venue = config.venue
        self._config = config
        self._clock = clock
        self._rest = RestClient(config.request_timeout_ms, clock, group_of=coinbase_group, note=note)
        self.limiter = Limiter(clock, coinbase_buckets())
        self._throttle = Throttler(rate_limit=POLLS_PER_S, period=1.0)
        self._offset = ClockOffset()
        self._has_key = credentials is not None
        self._signer = self._make_signer(credentials)
        self._instruments: dict[str, Instrument] = {}  # by our id
        self._products: dict[str, Instrument] = {}  # by product id
        self._names: dict[str, ClientOrderId | None] = {}  # order id -> our name, None when not ours
        self._order_ids: dict[ClientOrderId, str] = {}
        self._treasury = CoinbaseTreasury(self, config.networks)

    def _make_signer(self, credentials: Credentials | None) -> Any:
        options: dict[str, Any] = {"enableRateLimit": False, "number": str}
        if credentials is not None:
            options |= {"apiKey": credentials.key.reveal(), "secret": credentials.secret.reveal()}
        if self._config.rest_url:
            options["urls"] = {"api": {"rest": self._config.rest_url.rstrip("/")}}
        signer = ccxt.coinbase(options)
        ensure(not signer.options.get("maxRetriesOnFailure"), "ccxt must not retry")
        signer.seconds = self._venue_seconds
        return signer

    def _venue_seconds(self) -> int:
        """Return the venue's time less a margin: a token from the future is refused, and the offset is an estimate."""
        return (self._clock.now_ns() + self._offset.ns() - TOKEN_MARGIN_NS) // 1_000_000_000

    # --- reference data ----------------------------------------------------------------------------------------------

    async def load_instruments(self) -> tuple[Instrument, ...]:
        """Return the configured instruments; -USD and -USDC products are two instruments. Raises: VenueError."""
        await self.fetch_time_ns()
        wanted = {symbol.replace("/", "-"): symbol for symbol in self._config.symbols}
        answer = await self._public(f"{BASE}/market/products", {"product_ids": list(wanted)})
        found = {}
        for facts in self._rows(answer, "products"):
            product_id = str(facts.get("product_id"))
            if product_id in wanted:
                try:
                    found[product_id] = self._instrument(facts)
                except (KeyError, TypeError, ValueError) as error:
                    raise VenueUnavailable(self.venue, f"{product_id}: unreadable instrument: {error}") from error
        missing = [symbol for product_id, symbol in wanted.items() if product_id not in found]
        if missing:
            raise InstrumentUnknown(self.venue, f"no instrument {', '.join(missing)}")
        self._products = found
        self._instruments = {one.id: one for one in found.values()}
        return tuple(found[product_id] for product_id in wanted)

    def _instrument(self, facts: Mapping[str, Any]) -> Instrument:
        base, quote = facts["base_currency_id"], facts["quote_currency_id"]
        tick_size = parse_decimal(facts.get("price_increment") or facts["quote_increment"])
        qty_step = parse_decimal(facts["base_increment"])
        if tick_size <= 0 or qty_step <= 0:
            raise ValueError("an increment is not positive")
        symbol = f"{base}/{quote}"
        return Instrument(
            id=instrument_id(symbol, self.venue),
            venue=self.venue,
            symbol=symbol,
            venue_symbol=facts["product_id"],
            base=Asset(base),
            quote=Asset(quote),
            tick_size=tick_size,
            qty_step=qty_step,
            price_decimals=decimals_of(tick_size),
            qty_decimals=decimals_of(qty_step),
            qty_min=parse_decimal(facts["base_min_size"]),
            notional_min=parse_decimal(facts["quote_min_size"]),
            qty_max=parse_decimal(facts.get("base_max_size") or "0"),
            status=_status(facts),
        )

    async def fetch_fees(self) -> tuple[FeeRate, ...]:
        """Return the account's rates, one tier for all. A missing or zero taker rate is VenueUnavailable. Raises: VenueError."""
        instruments = await self._loaded()
        tier = (await self._poll(f"{BASE}/transaction_summary", {"product_type": "SPOT"})).get("fee_tier")
        try:
            taker = parse_decimal(tier["taker_fee_rate"])  # type: ignore[index]
            maker = parse_decimal(tier["maker_fee_rate"])  # type: ignore[index]
        except (KeyError, TypeError, ValueError) as error:
            raise VenueUnavailable(self.venue, f"no fee rates in the answer: {error}") from error
        if not (0 < taker < 1 and 0 <= maker < 1):
            raise VenueUnavailable(self.venue, f"fee rates {taker} and {maker} are not to be believed")
        return tuple(FeeRate(instrument=one.id, taker=taker, maker=maker) for one in instruments.values())

    async def fetch_balances(self) -> tuple[Balance, ...]:
        """Return what is available plus what is on hold, by asset, from every page. Raises: VenueError."""
        found: dict[Asset, Balance] = {}
        async for account in self._cursor_pages(
            f"{BASE}/accounts", {"limit": str(ACCOUNTS_PAGE_SIZE)}, "accounts", Lane.POLL
        ):
            if account.get("type") == "ACCOUNT_TYPE_VAULT" or account.get("active") is False:
                continue
            try:
                asset = Asset(str(account["currency"]))
                available = parse_decimal(account["available_balance"]["value"])
                reserved = parse_decimal(account["hold"]["value"])
            except (KeyError, TypeError, ValueError) as error:
                raise VenueUnavailable(self.venue, f"unreadable account: {error}") from error
            before = found.get(asset, Balance(asset=asset, total=ZERO))
            total = before.total + available + reserved
            found[asset] = Balance(asset=asset, total=total, reserved=before.reserved + reserved)
        return tuple(found.values())

    async def fetch_time_ns(self) -> int:
        """Return the venue's clock as it stood in the middle of this call, to the millisecond. Raises: VenueError."""
        called_ns = self._clock.now_ns()
        await self._take_public("time")
        sent_ns = self._clock.now_ns()
        told = await self._public(f"{BASE}/time", {}, is_paid=True)
        received_ns = self._clock.now_ns()
        try:
            venue_ns = int(told["epochMillis"]) * MS
        except (KeyError, TypeError, ValueError) as error:
            raise VenueUnavailable(self.venue, f"unreadable time: {error}") from error
        self._offset.observe(sent_ns, received_ns, venue_ns, venue_ns + MS)
        return (called_ns + received_ns) // 2 + self._offset.ns()

    async def fetch_permissions(self) -> KeyPermissions:
        """Return what the key may do. A further `can_` flag that is set is a permission nobody knows: VenueRefused.

        Raises: VenueError.
        """
        told = await self._private("GET", f"{BASE}/key_permissions", {}, Lane.URGENT)
        if not all(isinstance(told.get(name), bool) for name in PERMISSION_NAMES):
            raise VenueUnavailable(self.venue, "the key's permissions are unreadable")
        unknown = sorted(
            name for name in told if name.startswith("can_") and told[name] and name not in PERMISSION_NAMES
        )
        if unknown:
            raise VenueRefused(self.venue, f"the key holds permissions arbot does not know: {', '.join(unknown)}")
        return KeyPermissions(
            can_trade=told["can_view"] and told["can_trade"],
            can_withdraw=told["can_transfer"],
            account=str(told.get("portfolio_uuid", "")),
            raw=tuple(sorted(name for name, is_set in told.items() if is_set is True)),
        )

    def ws_jwt(self) -> str:
        """Return a token for one websocket message; make a fresh one for each. Raises: VenueRefused without a key."""
        if not self._has_key:
            raise VenueRefused(self.venue, "the user stream needs an API key")
        return str(self._signer.create_auth_token(self._venue_seconds()))

    async def fetch_transfers(self, since_ns: int) -> tuple[TransferReported, ...]:
        """Return transfers of the assets we trade, from the account histories of the v2 API. Raises: VenueError."""
        return await self._treasury.fetch_transfers(since_ns)

    # --- treasury (treasury.py) ------------------------------------------------------------------------------------------

    async def fetch_status(self) -> VenueStatusReported:
        """Return ONLINE: the venue says nothing of itself."""
        return await self._treasury.fetch_status()

    async def fetch_networks(self, assets: Sequence[Asset]) -> NetworksReported:
        """Return the networks of these assets, as far as the venue tells. Raises: VenueError."""
        return await self._treasury.fetch_networks(assets)

    async def fetch_deposit_address(self, asset: Asset, network: Network) -> DepositAddress:
        """Return where deposits go now. Raises: VenueError."""
        return await self._treasury.fetch_deposit_address(asset, network)

    async def withdraw(self, approved: ApprovedTransfer) -> tuple[Event, ...]:
        """Send a withdrawal once. Raises: InvariantBroken before anything has left, never VenueError."""
        return await self._treasury.withdraw(approved)

    # --- orders ------------------------------------------------------------------------------------------------------

    def has_arb_budget(self, instrument: Instrument) -> bool:  # noqa: ARG002 - the counter is per account, the port is per instrument
        """Return whether a leg, a hedge, a cancel and a query would all pass the venue's limit now."""
        return self.limiter.has_headroom((Charge("private", Decimal(4)),))

    async def submit(self, approved: Approved) -> tuple[Event, ...]:
        """Send the order once. Raises: InvariantBroken before anything has left, never VenueError."""
        intent = approved.intent
        name = intent.client_order_id
        ensure(intent.instrument in self._instruments, "order for an unknown instrument", order=name)
        instrument = self._instruments[intent.instrument]
        numbers = wire_numbers(intent, instrument)
        if not self._has_key:
            return (submit_event(name, Rejected(RejectCode.KEY_REFUSED, "never sent: no API key")),)
        if not await self.limiter.take((Charge("private"),), Lane.URGENT, ORDER_WAIT_S_MAX):
            return (submit_event(name, Rejected(RejectCode.RATE_LIMITED, "never sent: own limiter")),)
        if self._clock.now_ns() >= intent.deadline_ns:
            return (submit_event(name, Rejected(RejectCode.DEADLINE, "never sent: its deadline has passed")),)
        fields = _order_fields(intent, instrument, numbers)
        request = self._sign("POST", f"{BASE}/orders", fields)
        _verify_bytes(request, fields, intent)
        reply = await self._rest.send(request, ORDER_BODY_BYTES_MAX)
        if isinstance(reply, Lost):
            return (submit_event(name, Unknown(reply.detail)),)
        verdict = classify_submit(reply.status, reply.body, name)
        if isinstance(verdict, Rejected) and verdict.code is RejectCode.RATE_LIMITED:
            self.limiter.exhaust("private")
        event = submit_event(name, verdict)
        if not isinstance(verdict, Rejected | Unknown):
            self._remember(verdict.venue_order_id, name)
        return (event,)

    async def cancel(self, command: CancelOrder) -> tuple[Event, ...]:
        """Ask for a cancel. Coinbase knows only its own ids, so an order it has not named to us is looked for first."""
        name = command.client_order_id
        order_id = command.venue_order_id or self._order_ids.get(name)
        try:
            if order_id is None:
                since_ns = self._clock.now_ns() - QUEUED_WINDOW_NS
                found = await self._list_orders({"start_date": rfc3339_ms(since_ns)}, name, Lane.URGENT)
                order_id = next(iter(found), None)
            if order_id is None:
                return (CancelRejected(client_order_id=name, detail="no order of that name is listed"),)
            verdict = await self._cancel(order_id)
        except (VenueUnavailable, VenueRefused) as error:
            verdict = Unknown(error.detail)
        match verdict:
            case Rejected(_, detail):
                return (CancelRejected(client_order_id=name, detail=detail),)
            case Unknown(detail):
                return (RequestOutcomeUnknown(client_order_id=name, request="cancel", detail=detail[:300]),)
        return ()

    async def _cancel(self, order_id: str) -> Rejected | Unknown | None:
        if not await self.limiter.take((Charge("private"),), Lane.URGENT, URGENT_WAIT_S_MAX):
            return Rejected(RejectCode.RATE_LIMITED, "never sent: own limiter")
        reply = await self._rest.send(self._sign("POST", f"{BASE}/orders/batch_cancel", {"order_ids": [order_id]}))
        return Unknown(reply.detail) if isinstance(reply, Lost) else classify_cancel(reply.status, reply.body, order_id)

    async def cancel_all(self) -> int:
        """Cancel the orders that bear our prefix, look again, and return how many remain. Raises: VenueError."""
        remaining: tuple[OpenOrder, ...] = ()
        for check in range(CANCEL_CHECKS):
            remaining = tuple(one for one in await self.fetch_open_orders() if one.client_order_id is not None)
            if not remaining:
                return 0
            if check == CANCEL_CHECKS - 1:
                break
            for one in remaining:
                verdict = await self._cancel(one.venue_order_id)
                if verdict is not None:
                    _log.warning("%s: cancel of %s: %s", self.venue, one.venue_order_id, verdict.detail)
            await self._clock.sleep(0.1 * (check + 1))
        return len(remaining)

    async def fetch_open_orders(self) -> tuple[OpenOrder, ...]:
        """Return all open orders. The venue's OPEN filter hides pending and queued ones, so recent ones are listed unfiltered too.

        Raises: VenueError.
        """
        await self._loaded()
        recent = {"start_date": rfc3339_ms(self._clock.now_ns() - QUEUED_WINDOW_NS)}
        orders = await self._list_orders({"order_status": "OPEN"}, None, Lane.URGENT)
        orders |= await self._list_orders(recent, None, Lane.URGENT)
        found = []
        for order_id, order in orders.items():
            state, filled_qty = self._order_state(order)
            if not state.is_terminal:
                product_id = str(order.get("product_id"))
                known = self._products.get(product_id)
                one = OpenOrder(
                    client_order_id=self._names[order_id],
                    venue_order_id=VenueOrderId(order_id),
                    instrument=known.id if known else f"{product_id}@{self.venue}",
                    filled_qty=filled_qty,
                    state=state,
                )
                found.append(one)
        return tuple(found)

    async def query(self, command: QueryOrder) -> tuple[Event, ...]:
        """Look in the list of orders, by order id if we have one, and among fills; () when one of them cannot be asked."""
        asked_ts_ns = self._clock.now_ns()
        try:
            await self._loaded()
            orders, sources = await self._find(command)
            filled_ids = [order_id for order_id, order in orders.items() if self._order_state(order)[1] > 0]
            fills = await self._fills_where({"order_ids": filled_ids}, Lane.URGENT) if filled_ids else []
        except (VenueUnavailable, VenueRefused) as error:
            _log.warning("%s: query of %s: %s", self.venue, command.client_order_id, error.detail)
            return ()
        states = [self._order_state(order) for order in orders.values()]
        state = next((one for one, _ in states if not one.is_terminal), states[0][0]) if states else OrderState.UNKNOWN
        report = OrderStatusReported(
            client_order_id=command.client_order_id,
            state=state,
            venue_order_id=VenueOrderId(next(iter(orders))) if orders else command.venue_order_id,
            filled_qty=sum((filled for _, filled in states), ZERO),
            sources=sources,
            asked_ts_ns=asked_ts_ns,
        )
        ours = (fill for fill in fills if fill.client_order_id == command.client_order_id)
        return (*(OrderFilled(fill=fill) for fill in ours), report)

    async def _find(self, command: QueryOrder) -> tuple[dict[str, Mapping[str, Any]], int]:
        """Return the orders of that name with the number of independent sources asked."""
        name, start = command.client_order_id, rfc3339_ms(max(0, command.since_ns - OVERLAP_NS))
        order_id = command.venue_order_id or self._order_ids.get(name)
        instrument = self._instruments.get(command.instrument)
        sources = 0
        if order_id is not None:
            sources += 1
            order = await self._order(order_id, Lane.URGENT)
            if order is not None and order.get("client_order_id") == name:
                return {order_id: order}, sources
        product = {"product_ids": [instrument.venue_symbol]} if instrument else {}
        found = await self._list_orders({"start_date": start, **product}, name, Lane.URGENT)
        sources += 1
        if not found:
            sources += 1
            rows = await self._fill_rows({"start_sequence_timestamp": start, **product}, Lane.URGENT)
            for one_id in sorted({str(row.get("order_id")) for row in rows}):
                if one_id not in self._names or self._names[one_id] == name:
                    order = await self._order(one_id, Lane.URGENT)
                    if order is not None and order.get("client_order_id") == name:
                        found[one_id] = order
        return found, sources

    async def _order(self, order_id: str, lane: Lane) -> Mapping[str, Any] | None:
        """Return one order, or None when the venue says that it has none of that id."""
        request_path = f"{BASE}/orders/historical/{order_id}"
        reply = await self._exchange("GET", request_path, {}, lane)
        answer = parse_object(reply.body) if isinstance(reply, Answer) else None
        if isinstance(reply, Answer) and reply.status == 404 and (answer or {}).get("error") == "NOT_FOUND":
            return None
        order = self._result(reply, request_path).get("order")
        if not isinstance(order, dict) or order.get("order_id") != order_id:
            raise VenueUnavailable(self.venue, f"order {order_id} is unreadable")
        self._learn(order_id, order)
        return order

    async def _list_orders(
        self, filters: Mapping[str, Any], name: str | None, lane: Lane
    ) -> dict[str, Mapping[str, Any]]:
        """Return orders by id from every page, those of one name if it is given; the venue has no such filter."""
        found: dict[str, Mapping[str, Any]] = {}
        fields = {"limit": str(PAGE_SIZE), **filters}
        async for order in self._cursor_pages(f"{BASE}/orders/historical/batch", fields, "orders", lane):
            order_id = order.get("order_id")
            if not isinstance(order_id, str) or not order_id:
                raise VenueUnavailable(self.venue, "an order without id is listed")
            self._learn(order_id, order)
            if name is None or order.get("client_order_id") == name:
                found[order_id] = order
        return found

    def _learn(self, order_id: str, order: Mapping[str, Any]) -> None:
        name = order.get("client_order_id")
        is_ours = isinstance(name, str) and parse_client_order_id(name) is not None
        self._remember(order_id, ClientOrderId(str(name)) if is_ours else None)

    def _remember(self, order_id: str, name: ClientOrderId | None) -> None:
        self._names[order_id] = name
        if name is not None:
            self._order_ids[name] = order_id
        for cache in (self._names, self._order_ids):
            while len(cache) > CACHE_MAX:
                del cache[next(iter(cache))]  # type: ignore[arg-type]

    async def fetch_fills(self, since_ns: int) -> tuple[Fill, ...]:
        """Return our fills since then, oldest first. The order of every fill is looked up once. Raises: VenueError."""
        await self._loaded()
        start = rfc3339_ms(max(0, since_ns - OVERLAP_NS))
        fills = await self._fills_where({"start_sequence_timestamp": start}, Lane.POLL)
        return tuple(fill for fill in fills if fill.venue_ts_ns >= since_ns)

    async def _fills_where(self, filters: Mapping[str, Any], lane: Lane) -> list[Fill]:
        rows = await self._fill_rows(filters, lane)
        await self._look_up_orders(sorted({str(row.get("order_id")) for row in rows}), lane)
        fills = []
        for row in rows:
            name = self._names[str(row.get("order_id"))]
            if name is not None:
                try:
                    fills.append(self._fill(row, name))
                except (AttributeError, KeyError, TypeError, ValueError) as error:
                    raise VenueUnavailable(self.venue, f"unreadable fill {row.get('trade_id')}: {error}") from error
        return sorted(fills, key=lambda fill: (fill.venue_ts_ns, fill.trade_id))

    async def _fill_rows(self, filters: Mapping[str, Any], lane: Lane) -> list[Mapping[str, Any]]:
        fields = {"limit": str(PAGE_SIZE), **filters}
        path = f"{BASE}/orders/historical/fills"
        return [row async for row in self._cursor_pages(path, fields, "fills", lane)]

    async def _look_up_orders(self, order_ids: Iterable[str], lane: Lane) -> None:
        unknown = [order_id for order_id in order_ids if order_id not in self._names]
        for first in range(0, len(unknown), ORDERS_PER_QUERY):
            await self._list_orders({"order_ids": unknown[first : first + ORDERS_PER_QUERY]}, None, lane)
        for order_id in unknown:
            if order_id not in self._names and await self._order(order_id, lane) is None:
                raise VenueUnavailable(self.venue, f"a fill belongs to order {order_id}, which is not listed")

    def _fill(self, row: Mapping[str, Any], name: ClientOrderId) -> Fill:
        """`trade_id` is unique among plain fills; adjustments repeat it and are told apart by `entry_id`."""
        instrument = self._products.get(str(row["product_id"]))
        trade_type = row["trade_type"]
        if instrument is None:
            raise ValueError(f"unknown product {row['product_id']}")
        if trade_type not in TRADE_TYPES_KNOWN or row.get("size_in_quote") is True:
            raise ValueError(f"cannot book type {trade_type}, size_in_quote {row.get('size_in_quote')}")
        qty, price, trade_id = parse_decimal(row["size"]), parse_decimal(row["price"]), row["trade_id"]
        if qty <= 0 or price <= 0 or not trade_id:
            raise ValueError("size, price and trade id have to be there")
        return Fill(
            venue=self.venue,
            instrument=instrument.id,
            base=instrument.base,
            quote=instrument.quote,
            client_order_id=name,
            venue_order_id=VenueOrderId(row["order_id"]),
            trade_id=TradeId(trade_id if trade_type == "FILL" else f"{trade_id}:{row['entry_id']}"),
            side=SIDES[row["side"]],
            qty=qty,
            price=price,
            fee=Amount(parse_decimal(row["commission"]), instrument.quote),
            liquidity=Liquidity.MAKER if row.get("liquidity_indicator") == "MAKER" else Liquidity.TAKER,
            venue_ts_ns=timestamp_ns(row["trade_time"]),
            is_reversal=trade_type == "REVERSAL",
        )

    def _order_state(self, order: Mapping[str, Any]) -> tuple[OrderState, Decimal]:
        """Return state and filled quantity. A failed order that filled in part has ended like a canceled one."""
        try:
            filled_qty = parse_decimal(order["filled_size"] or "0")
        except (KeyError, TypeError, ValueError) as error:
            raise VenueUnavailable(self.venue, f"unreadable order: {error}") from error
        state = TERMINAL_STATES.get(str(order.get("status")))
        if state is None:
            return (OrderState.PART_FILLED if filled_qty else OrderState.OPEN), filled_qty
        return (OrderState.CANCELED if state is OrderState.REJECTED and filled_qty else state), filled_qty

    # --- transport ---------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Release connections."""
        await self._rest.close()
        await self._signer.close()

    async def _loaded(self) -> dict[str, Instrument]:
        if not self._instruments:
            await self.load_instruments()
        return self._instruments

    async def _take_public(self, path: str) -> None:
        if not await self.limiter.take((Charge("public"),), Lane.URGENT, POLL_WAIT_S_MAX):
            raise VenueUnavailable(self.venue, f"{path}: own limiter")

    async def _public(self, path: str, fields: Mapping[str, Any], *, is_paid: bool = False) -> dict[str, Any]:
        if not is_paid:
            await self._take_public(path)
        signed = self._signer.sign(path, ["v3", "public"], "GET", dict(fields))
        return self._result(await self._rest.send(Request("GET", signed["url"], {})), path)

    async def _poll(self, path: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Ask on the polling lane, paced."""
        async with self._throttle:
            return await self._private("GET", path, fields, Lane.POLL)

    async def _private(self, method: str, path: str, fields: Mapping[str, Any], lane: Lane) -> dict[str, Any]:
        return self._result(await self._exchange(method, path, fields, lane), path)

    async def _exchange(
        self, method: str, path: str, fields: Mapping[str, Any], lane: Lane, version: str = "v3"
    ) -> Answer | Lost:
        if not self._has_key:
            raise VenueRefused(self.venue, f"{path} needs an API key")
        wait_s_max = URGENT_WAIT_S_MAX if lane is Lane.URGENT else POLL_WAIT_S_MAX
        if not await self.limiter.take((Charge("private"),), lane, wait_s_max):
            raise VenueUnavailable(self.venue, f"{path}: own limiter")
        return await self._rest.send(self._sign(method, path, fields, version))

    def _sign(self, method: str, path: str, fields: Mapping[str, Any], version: str = "v3") -> Request:
        signed = self._signer.sign(path, [version, "private"], method, dict(fields))
        body = signed["body"].encode() if signed["body"] else None
        return Request(method, signed["url"], signed["headers"], body)

    async def _cursor_pages(self, path: str, fields: Mapping[str, Any], key: str, lane: Lane) -> Any:
        """Yield the rows of every page. Raises: VenueUnavailable when a cursor leads in a circle."""
        cursor, seen = "", {""}
        for _ in range(PAGES_MAX):
            page_fields = {**fields, "cursor": cursor} if cursor else fields
            if lane is Lane.POLL:
                page = await self._poll(path, page_fields)
            else:
                page = await self._private("GET", path, page_fields, lane)
            for row in self._rows(page, key):
                yield row
            cursor = str(page.get("cursor") or "")
            if page.get("has_next") is False or not cursor:
                return
            if cursor in seen:
                break
            seen.add(cursor)
        raise VenueUnavailable(self.venue, f"{path}: pages without end")

    async def traded_assets(self) -> frozenset[Asset]:
        """Return the assets of our instruments. Raises: VenueError."""
        return frozenset(asset for one in (await self._loaded()).values() for asset in (one.base, one.quote))

    async def transmit(self, path: str, fields: Mapping[str, str], intent: TransferIntent) -> Answer | Lost | Refused:
        """Send a withdrawal once, or say why it was not sent. Raises: InvariantBroken before anything has left."""
        if not self._has_key:
            return never_sent("no API key")
        if not await self.limiter.take((Charge("private"),), Lane.URGENT, URGENT_WAIT_S_MAX):
            return never_sent("own limiter")
        request = self._sign("POST", path, fields, "v2")
        verify_send(request, fields, intent)
        return await self._rest.send(request, ORDER_BODY_BYTES_MAX)

    async def v2_pages(self, path: str) -> AsyncIterator[Mapping[str, Any]]:
        """Yield the rows of every page of a v2 list."""
        after = ""
        for _ in range(PAGES_MAX):
            fields = {"limit": str(PAGE_SIZE), **({"starting_after": after} if after else {})}
            async with self._throttle:
                page = self._result(await self._exchange("GET", path, fields, Lane.POLL, "v2"), path)
            for row in self._rows(page, "data"):
                yield row
            pagination = page.get("pagination")
            following = pagination.get("next_starting_after") if isinstance(pagination, dict) else None
            if not following:
                return
            if following == after:
                break
            after = str(following)
        raise VenueUnavailable(self.venue, f"{path}: pages without end")

    def _rows(self, answer: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
        rows = answer.get(key)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise VenueUnavailable(self.venue, f"no {key} in the answer")
        return rows

    def _result(self, reply: Answer | Lost, path: str) -> dict[str, Any]:
        if isinstance(reply, Lost):
            raise VenueUnavailable(self.venue, f"{path}: {reply.detail}")
        answer = parse_object(reply.body)
        if reply.status == 200 and answer is not None:
            return answer
        if reply.status == 429:
            self.limiter.exhaust("private")
        is_refusal = answer is not None and reply.status in (400, 401, 403, 404)
        kind = VenueRefused if is_refusal or reply.status == 401 else VenueUnavailable
        raise kind(self.venue, f"{path}: {excerpt(reply.status, reply.body)}")


def _status(facts: Mapping[str, Any]) -> InstrumentStatus:
    """Return what may be done; ccxt's `active` knows only one of these flags."""
    if any(facts.get(flag) for flag in HALTING_FLAGS) or facts.get("status", "online") not in ("online", ""):
        return InstrumentStatus.HALTED
    return next((status for flag, status in LIMITING_FLAGS if facts.get(flag)), InstrumentStatus.ONLINE)


def _order_fields(intent: OrderIntent, instrument: Instrument, numbers: WireNumbers) -> dict[str, Any]:
    kind, flags = ORDER_CONFIGURATIONS[intent.tif]
    return {
        "client_order_id": intent.client_order_id,
        "product_id": instrument.venue_symbol,
        "side": intent.side.value.upper(),
        "order_configuration": {kind: {"base_size": numbers.qty, "limit_price": numbers.price, **flags}},
    }


def _verify_bytes(request: Request, fields: Mapping[str, Any], intent: OrderIntent) -> None:
    """Compare the bytes about to leave with the intent. Raises: InvariantBroken on any difference."""
    sent = parse_object(request.body or b"")
    kind = ORDER_CONFIGURATIONS[intent.tif][0]
    ensure(sent == fields, "the order on the wire is not the one that was approved", order=intent.client_order_id)
    numbers = (sent or {})["order_configuration"][kind]
    ensure(
        reads_as(numbers["base_size"], intent.qty) and reads_as(numbers["limit_price"], intent.limit_price),
        "the numbers on the wire are not those that were approved",
        order=intent.client_order_id,
    )
