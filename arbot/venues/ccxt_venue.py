"""Any other exchange through ccxt, behind the same ports as our own two. This file: the account (REST).

ccxt's unified calls parse; our own transport sends (ccxt_transport). An order counts as rejected only after a complete
answer of the venue in JSON whose class of error is one of the few in REJECTED_CLASSES; everything else is unknown.
"""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import ccxt.async_support as ccxt
import ccxt.pro
from asyncio_throttle.throttler import Throttler

from arbot.domain.commands import CancelOrder, QueryOrder
from arbot.domain.errors import InstrumentUnknown, InvariantBroken, VenueRefused, VenueUnavailable, ensure
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
from arbot.domain.order import Approved, Fill, Liquidity, OrderIntent, OrderState, Side
from arbot.domain.transfer import ApprovedTransfer, DepositAddress, Network
from arbot.domain.units import ZERO, Amount, decimals_of, parse_decimal
from arbot.ports import Clock, Credentials, KeyPermissions, OpenOrder, VenueConfig
from arbot.venues import ccxt_terms
from arbot.venues.ccxt_transport import Record, doing, group_now, install, recording
from arbot.venues.ccxt_treasury import CcxtTreasury
from arbot.venues.clock_offset import ClockOffset
from arbot.venues.limiter import Charge, Lane, Limiter, generic_buckets
from arbot.venues.outcome import Accepted, Rejected, Unknown, Verdict, decode_json, excerpt, parse_object, submit_event
from arbot.venues.rest import Answer, Note, Request, RestClient, unheard
from arbot.venues.wire_order import WireNumbers, reads_as, wire_numbers

_log = logging.getLogger("arbot.venues.ccxt")

REJECTED_CLASSES: dict[type[Exception], RejectCode] = {
    ccxt.InsufficientFunds: RejectCode.INSUFFICIENT_FUNDS,
    ccxt.InvalidOrder: RejectCode.OTHER,
    ccxt.OrderImmediatelyFillable: RejectCode.POST_ONLY_WOULD_TAKE,
    ccxt.AuthenticationError: RejectCode.KEY_REFUSED,
    ccxt.PermissionDenied: RejectCode.KEY_REFUSED,
    ccxt.BadSymbol: RejectCode.MARKET_CLOSED,
}
"""Exactly these classes, not their subclasses: DuplicateOrderId is an InvalidOrder too, and means that ours exists."""

REFUSAL_CLASSES = (ccxt.AuthenticationError, ccxt.BadSymbol, ccxt.NotSupported, ccxt.ArgumentsRequired)
REJECT_STATUSES = frozenset({200, 400, 401, 403, 422})
STATES: dict[str, OrderState] = {
    "closed": OrderState.FILLED,
    "canceled": OrderState.CANCELED,
    "cancelled": OrderState.CANCELED,
    "expired": OrderState.EXPIRED,
    "rejected": OrderState.REJECTED,
}
"""Unified status -> state; all others (open, canceling, None) are open: the order exists."""

CCXT_VERSION_MIN = (4, 5, 90)  # older ones freeze after 1,024 frames, block on signing, and repeat nonces
TAKER_RATE_MAX = Decimal("0.05")  # more than this is a percent read as a fraction
POLLS_PER_S = 3
POLL_WAIT_S_MAX = Decimal(20)
URGENT_WAIT_S_MAX = Decimal(2)
ORDER_WAIT_S_MAX = Decimal("0.5")
OVERLAP_MS = 60_000
PAGES_MAX = 200
CANCEL_CHECKS = 4
CACHE_MAX = 20_000
MS = 1_000_000


def make_client(config: VenueConfig, credentials: Credentials | None, **options: Any) -> Any:
    """Return a ccxt.pro instance of the configured exchange, its own limiter and retries off. Raises: VenueRefused."""
    exchange_name = config.adapter.removeprefix("ccxt:")
    version = tuple(int(part) for part in ccxt.__version__.split("."))
    ensure(version >= CCXT_VERSION_MIN, "ccxt is too old", version=ccxt.__version__)
    if exchange_name not in ccxt.pro.exchanges:
        raise VenueRefused(config.venue, f"ccxt.pro knows no exchange {exchange_name!r}")
    kind = getattr(importlib.import_module("ccxt.pro"), exchange_name)
    settings: dict[str, Any] = {"enableRateLimit": False, "timeout": config.request_timeout_ms, **options}
    if credentials is not None:
        settings |= {"apiKey": credentials.key.reveal(), "secret": credentials.secret.reveal()}
    exchange = kind(settings)
    exchange.urls["api"] = ccxt_terms.redirected_urls(exchange.urls["api"], config)
    ensure(not exchange.options.get("maxRetriesOnFailure"), "ccxt must not retry")
    ensure(exchange.enableRateLimit is False, "ccxt's own limiter must be off")
    return exchange


class CcxtGateway:
    """One account at any exchange that ccxt knows."""

    def __init__(
        self, config: VenueConfig, credentials: Credentials | None, clock: Clock, *, note: Note = unheard
    ) -> None:
        self.venue = config.venue
        self._config = config
        self._clock = clock
        self._rest = RestClient(config.request_timeout_ms, clock, group_of=group_now, note=note)
        self.limiter = Limiter(clock, generic_buckets())
        self._throttle = Throttler(rate_limit=POLLS_PER_S, period=1.0)
        self._credentials = credentials
        self._has_key = credentials is not None
        self._offset = ClockOffset()
        self.exchange = make_client(config, credentials, number=str)
        self.exchange.milliseconds = lambda: clock.now_ns() // MS
        self._name = str(self.exchange.id)
        install(self.exchange, self._rest)
        self._instruments: dict[str, Instrument] = {}  # by our id
        self._symbols: dict[str, Instrument] = {}  # by unified symbol
        self._names: dict[str, ClientOrderId | None] = {}  # order id -> our name, None when not ours
        self._order_ids: dict[ClientOrderId, str] = {}
        self._treasury = CcxtTreasury(self, config.networks)

    def make_stream_client(self) -> Any:
        """Return a further instance with our key, for a private stream; numbers stay texts."""
        return make_client(self._config, self._credentials, number=str)

    # --- reference data ----------------------------------------------------------------------------------------------

    async def load_instruments(self) -> tuple[Instrument, ...]:
        """Return the configured instruments with steps from ccxt's precision. Raises: VenueError."""
        markets = await self._call("load_markets", True)
        found = {}
        for symbol in self._config.symbols:
            market = markets.get(symbol)
            if market is None or not market.get("spot"):
                raise InstrumentUnknown(self.venue, f"no spot instrument {symbol}")
            try:
                found[symbol] = self._instrument(market)
            except (KeyError, TypeError, ValueError) as error:
                raise VenueUnavailable(self.venue, f"{symbol}: unreadable instrument: {error}") from error
        self._symbols = found
        self._instruments = {one.id: one for one in found.values()}
        return tuple(found.values())

    def _instrument(self, market: Mapping[str, Any]) -> Instrument:
        precision, limits = market["precision"], market["limits"]
        tick_size, qty_step = self._step(precision["price"]), self._step(precision["amount"])
        return Instrument(
            id=instrument_id(market["symbol"], self.venue),
            venue=self.venue,
            symbol=market["symbol"],
            venue_symbol=market["id"],
            base=Asset(market["base"]),
            quote=Asset(market["quote"]),
            tick_size=tick_size,
            qty_step=qty_step,
            price_decimals=decimals_of(tick_size),
            qty_decimals=decimals_of(qty_step),
            qty_min=_number(limits["amount"].get("min")),
            notional_min=_number(limits["cost"].get("min")),
            qty_max=_number(limits["amount"].get("max")),
            status=InstrumentStatus.HALTED if market.get("active") is False else InstrumentStatus.ONLINE,
        )

    def _step(self, told: Any) -> Decimal:
        number = _number(told)
        if self.exchange.precisionMode == ccxt.DECIMAL_PLACES:
            return Decimal(1).scaleb(-int(number))
        if self.exchange.precisionMode != ccxt.TICK_SIZE or number <= 0:
            raise ValueError(f"precision {told!r} is no step")
        return number.normalize()

    async def fetch_fees(self) -> tuple[FeeRate, ...]:
        """Return the account's rates. A missing or zero taker rate is VenueUnavailable. Raises: VenueError."""
        instruments = await self._loaded()
        if self.exchange.has.get("fetchTradingFees"):
            table = await self._poll("fetch_trading_fees")
        else:
            table = {symbol: await self._poll("fetch_trading_fee", symbol) for symbol in self._symbols}
        scale = -2 if self._name in ccxt_terms.FEES_IN_PERCENT else 0
        fees = []
        for one in instruments.values():
            try:
                taker, maker = (parse_decimal(table[one.symbol][name]).scaleb(scale) for name in ("taker", "maker"))
            except (KeyError, TypeError, ValueError) as error:
                raise VenueUnavailable(self.venue, f"no fees for {one.symbol}: {error}") from error
            if not (0 < taker < TAKER_RATE_MAX and -TAKER_RATE_MAX < maker < TAKER_RATE_MAX):
                raise VenueUnavailable(self.venue, f"fees {taker} and {maker} of {one.symbol} are not to be believed")
            fees.append(FeeRate(instrument=one.id, taker=taker, maker=maker))
        return tuple(fees)

    async def fetch_balances(self) -> tuple[Balance, ...]:
        """Return every balance that is told in full. Raises: VenueError."""
        told = await self._poll("fetch_balance")
        total, used = told.get("total") or {}, told.get("used") or {}
        try:
            return tuple(
                Balance(asset=Asset(asset), total=parse_decimal(total[asset]), reserved=parse_decimal(used[asset]))
                for asset in total
                if total[asset] is not None and used.get(asset) is not None
            )
        except (KeyError, TypeError, ValueError) as error:
            raise VenueUnavailable(self.venue, f"unreadable balance: {error}") from error

    async def fetch_time_ns(self) -> int:
        """Return the venue's clock as it stood in the middle of this call. Raises: VenueError.

        It comes from the venue's own call where there is one, else from the Date header of a public answer.
        """
        called_ns = sent_ns = self._clock.now_ns()
        if self.exchange.has.get("fetchTime") is True:
            venue_ms = await self._call("fetch_time")
            if not isinstance(venue_ms, int):
                raise VenueUnavailable(self.venue, "unreadable time")
            bounds = (venue_ms * MS, (venue_ms + 1) * MS)
        else:
            await self._loaded()
            with recording() as record:
                sent_ns = self._clock.now_ns()
                await self._call("fetch_order_book", self._config.symbols[0])
            second = _date_second(record)
            if second is None:
                raise VenueUnavailable(self.venue, "the venue does not tell its time")
            bounds = (second * 1000 * MS, (second + 1) * 1000 * MS)
        received_ns = self._clock.now_ns()
        self._offset.observe(sent_ns, received_ns, *bounds)
        return (called_ns + received_ns) // 2 + self._offset.ns()

    async def fetch_permissions(self) -> KeyPermissions:
        """Return that a key is there; ccxt has no call that asks what a key may do. Raises: VenueError."""
        if not self._has_key:
            raise VenueRefused(self.venue, "no API key")
        warning = "this venue cannot be asked what the key may do: make sure yourself that it cannot withdraw"
        return KeyPermissions(can_trade=True, can_withdraw=False, account="", raw=(), warnings=(warning,))

    async def fetch_transfers(self, since_ns: int) -> tuple[TransferReported, ...]:
        """Return deposits and withdrawals as far as the exchange lists them. Raises: VenueError."""
        return await self._treasury.fetch_transfers(since_ns)

    # --- treasury (ccxt_treasury.py) -------------------------------------------------------------------------------------

    async def fetch_status(self) -> VenueStatusReported:
        """Return the unified status. Raises: VenueError."""
        return await self._treasury.fetch_status()

    async def fetch_networks(self, assets: Sequence[Asset]) -> NetworksReported:
        """Return the networks of these assets, as far as the exchange tells. Raises: VenueError."""
        return await self._treasury.fetch_networks(assets)

    async def fetch_deposit_address(self, asset: Asset, network: Network) -> DepositAddress:
        """Return where deposits go now. Raises: VenueError."""
        return await self._treasury.fetch_deposit_address(asset, network)

    async def withdraw(self, approved: ApprovedTransfer) -> tuple[Event, ...]:
        """Send a withdrawal once. Raises: InvariantBroken before anything has left, never VenueError."""
        return await self._treasury.withdraw(approved)

    # --- orders ------------------------------------------------------------------------------------------------------

    def has_arb_budget(self, instrument: Instrument) -> bool:  # noqa: ARG002 - the counter is per account, the port is per instrument
        """Return whether a leg, a hedge, a cancel and a query would all pass our own limit now."""
        return self.limiter.has_headroom((Charge("all", Decimal(4)),))

    async def submit(self, approved: Approved) -> tuple[Event, ...]:
        """Send the order once. Raises: InvariantBroken before anything has left, never VenueError."""
        intent = approved.intent
        name = intent.client_order_id
        ensure(intent.instrument in self._instruments, "order for an unknown instrument", order=name)
        numbers = wire_numbers(intent, self._instruments[intent.instrument])
        if not self._has_key:
            return (submit_event(name, Rejected(RejectCode.KEY_REFUSED, "never sent: no API key")),)
        if not await self.limiter.take((Charge("all"),), Lane.URGENT, ORDER_WAIT_S_MAX):
            return (submit_event(name, Rejected(RejectCode.RATE_LIMITED, "never sent: own limiter")),)
        if self._clock.now_ns() >= intent.deadline_ns:
            return (submit_event(name, Rejected(RejectCode.DEADLINE, "never sent: its deadline has passed")),)
        verdict = await self._place(intent, numbers)
        if isinstance(verdict, Accepted):
            self._remember(verdict.venue_order_id, name)
        return (submit_event(name, verdict),)

    async def _place(self, intent: OrderIntent, numbers: WireNumbers) -> Verdict:
        terms = ccxt_terms.TIME_IN_FORCE.get(self._name, ccxt_terms.TIME_IN_FORCE_UNIFIED)
        id_parameter = ccxt_terms.CLIENT_ID_PARAMETER.get(self._name, ccxt_terms.CLIENT_ID_UNIFIED)
        params = {id_parameter: intent.client_order_id, **terms[intent.tif]}
        with doing("create_order"), recording(lambda request: verify_bytes(request, intent)) as record:
            try:
                order = await self.exchange.create_order(
                    intent.symbol, "limit", intent.side.value, numbers.qty, numbers.price, params
                )
            except InvariantBroken:
                raise
            # whatever it is, the engine is told by the verdict
            except Exception as error:  # noqa: BLE001
                return classify_error(record, error)
        return classify_order(record, order, intent.client_order_id)

    async def cancel(self, command: CancelOrder) -> tuple[Event, ...]:
        """Ask for a cancel by the venue's id."""
        name = command.client_order_id
        order_id = command.venue_order_id or self._order_ids.get(name)
        instrument = self._instruments.get(command.instrument)
        if order_id is None or instrument is None:
            told = "the venue has not named this order to us"
            return (RequestOutcomeUnknown(client_order_id=name, request="cancel", detail=told),)
        verdict = await self._cancel(order_id, instrument.symbol)
        match verdict:
            case Rejected(_, detail):
                return (CancelRejected(client_order_id=name, detail=detail),)
            case Unknown(detail):
                return (RequestOutcomeUnknown(client_order_id=name, request="cancel", detail=detail[:300]),)
        return ()

    async def _cancel(self, order_id: str, symbol: str) -> Rejected | Unknown | None:
        if not self._has_key or not await self.limiter.take((Charge("all"),), Lane.URGENT, URGENT_WAIT_S_MAX):
            return Rejected(RejectCode.RATE_LIMITED, "never sent: own limiter or no key")
        with doing("cancel_order"), recording() as record:
            try:
                await self.exchange.cancel_order(order_id, symbol)
            # whatever it is, the engine is told by the verdict
            except Exception as error:  # noqa: BLE001
                if isinstance(error, ccxt.OrderNotFound) and _sole_answer(record) is not None:
                    return Rejected(RejectCode.OTHER, "order not found")
                return Unknown(f"{type(error).__name__}: {error}")
        return None

    async def cancel_all(self) -> int:
        """Cancel the orders that bear our prefix, look again, and return how many remain. Raises: VenueError."""
        remaining: list[OpenOrder] = []
        for check in range(CANCEL_CHECKS):
            remaining = [one for one in await self.fetch_open_orders() if one.client_order_id is not None]
            if not remaining:
                return 0
            if check == CANCEL_CHECKS - 1:
                break
            for one in remaining:
                verdict = await self._cancel(one.venue_order_id, one.instrument.rpartition("@")[0])
                if verdict is not None:
                    _log.warning("%s: cancel of %s: %s", self.venue, one.venue_order_id, verdict.detail)
            await self._clock.sleep(0.1 * (check + 1))
        return len(remaining)

    async def fetch_open_orders(self) -> tuple[OpenOrder, ...]:
        """Return the open orders of the configured instruments. Raises: VenueError."""
        await self._loaded()
        found = []
        for symbol, instrument in self._symbols.items():
            for order in await self._call("fetch_open_orders", symbol):
                if order.get("symbol") == symbol:
                    order_id = self._learn(order)
                    one = OpenOrder(
                        client_order_id=self._names[order_id],
                        venue_order_id=VenueOrderId(order_id),
                        instrument=instrument.id,
                        filled_qty=_number(order.get("filled")),
                        state=OrderState.PART_FILLED if _number(order.get("filled")) else OrderState.OPEN,
                    )
                    found.append(one)
        return tuple(found)

    async def query(self, command: QueryOrder) -> tuple[Event, ...]:
        """Look for the order by name or id and among open orders, then for its fills; () when one cannot be asked."""
        asked_ts_ns = self._clock.now_ns()
        try:
            await self._loaded()
            instrument = self._instruments.get(command.instrument)
            if instrument is None:
                return ()
            order, sources = await self._find(command, instrument.symbol)
            fills = await self._fills(instrument, command.since_ns // MS - OVERLAP_MS, Lane.URGENT)
        except (VenueUnavailable, VenueRefused) as error:
            _log.warning("%s: query of %s: %s", self.venue, command.client_order_id, error.detail)
            return ()
        ours = [fill for fill in fills if fill.client_order_id == command.client_order_id]
        booked = sum((-fill.qty if fill.is_reversal else fill.qty for fill in ours), ZERO)
        order_id = str(order["id"]) if order is not None else command.venue_order_id
        told = order.get("filled") if order is not None else None
        report = OrderStatusReported(
            client_order_id=command.client_order_id,
            state=_state(order, booked),
            venue_order_id=VenueOrderId(order_id) if order_id else None,
            filled_qty=max(booked, _number(told)),
            sources=sources + 1,
            asked_ts_ns=asked_ts_ns,
        )
        return (*(OrderFilled(fill=fill) for fill in ours), report)

    async def _find(self, command: QueryOrder, symbol: str) -> tuple[Mapping[str, Any] | None, int]:
        """Return the order, if any source lists it, and how many were asked."""
        name = command.client_order_id
        order_id = command.venue_order_id or self._order_ids.get(name)
        sources = 0
        parameter = ccxt_terms.ORDER_BY_NAME.get(self._name)
        if order_id is not None or parameter is not None:
            sources += 1
            params = {parameter: name} if parameter is not None and order_id is None else {}
            order = await self._order(order_id or "", symbol, params)
            if order is not None and order.get("clientOrderId") in (name, None):
                self._remember(str(order["id"]), name)
                return order, sources
        for method, has in (
            ("fetch_open_orders", "fetchOpenOrders"),
            ("fetch_closed_orders", "fetchClosedOrders"),
            ("fetch_canceled_orders", "fetchCanceledOrders"),
        ):
            if self.exchange.has.get(has) is not True:
                continue
            sources += 1
            for order in await self._call(method, symbol):
                if order.get("clientOrderId") == name:
                    self._learn(order)
                    return order, sources
        return None, sources

    async def _order(self, order_id: str, symbol: str, params: Mapping[str, str]) -> Mapping[str, Any] | None:
        """Return one order, or None when a complete answer says that there is none."""
        if not await self.limiter.take((Charge("all"),), Lane.URGENT, URGENT_WAIT_S_MAX):
            raise VenueUnavailable(self.venue, "fetch_order: own limiter")
        with doing("fetch_order"), recording() as record:
            try:
                order = await self.exchange.fetch_order(order_id, symbol, dict(params))
            except ccxt.OrderNotFound:
                if _sole_answer(record) is not None:
                    return None
                raise VenueUnavailable(self.venue, "fetch_order: no usable answer") from None
            except Exception as error:  # the caller is told
                raise self._venue_error("fetch_order", error) from error
        return order if order.get("id") else None

    async def client_id_of(self, order_id: str, symbol: str) -> ClientOrderId | None:
        """Return our name of an order, None when it is not ours; asks the venue once. Raises: VenueError."""
        if order_id not in self._names:
            order = await self._order(order_id, symbol, {})
            if order is None:
                raise VenueUnavailable(self.venue, f"order {order_id} is not listed")
            self._learn(order)
        return self._names[order_id]

    def _learn(self, order: Mapping[str, Any]) -> str:
        order_id, name = str(order["id"]), order.get("clientOrderId")
        is_ours = isinstance(name, str) and parse_client_order_id(name) is not None
        self._remember(order_id, ClientOrderId(str(name)) if is_ours else None)
        return order_id

    def _remember(self, order_id: str, name: ClientOrderId | None) -> None:
        self._names[order_id] = name
        if name is not None:
            self._order_ids[name] = order_id
        for cache in (self._names, self._order_ids):
            while len(cache) > CACHE_MAX:
                del cache[next(iter(cache))]  # type: ignore[arg-type]

    async def fetch_fills(self, since_ns: int) -> tuple[Fill, ...]:
        """Return our fills since then, oldest first. Raises: VenueError."""
        await self._loaded()
        fills = []
        for instrument in self._instruments.values():
            fills += await self._fills(instrument, max(0, since_ns // MS - 1), Lane.POLL)
        found = (fill for fill in fills if fill.venue_ts_ns >= since_ns)
        return tuple(sorted(found, key=lambda fill: (fill.venue_ts_ns, fill.trade_id)))

    async def _fills(self, instrument: Instrument, since_ms: int, lane: Lane) -> list[Fill]:
        fills = []
        for trade in await self._trades(instrument.symbol, since_ms, lane):
            order_id = str(trade.get("order") or "")
            if not order_id:
                raise VenueUnavailable(self.venue, f"trade {trade.get('id')} names no order")
            name = await self.client_id_of(order_id, instrument.symbol)
            if name is None:
                continue
            try:
                fills.append(self._fill(trade, instrument, order_id, name))
            except (KeyError, TypeError, ValueError) as error:
                raise VenueUnavailable(self.venue, f"unreadable trade {trade.get('id')}: {error}") from error
        return fills

    async def _trades(self, symbol: str, since_ms: int, lane: Lane) -> list[Mapping[str, Any]]:
        """Return every trade since then, page after page, until a page brings nothing new."""
        limit = ccxt_terms.TRADES_PAGE_SIZE.get(self._name, ccxt_terms.TRADES_PAGE_SIZE_UNIFIED)
        wording = ccxt_terms.TRADES_PARAMETERS.get(self._name)
        found: dict[str, Mapping[str, Any]] = {}
        for _ in range(PAGES_MAX):
            params = wording(since_ms) if wording is not None else {}
            call = self._poll if lane is Lane.POLL else self._call
            page = await call("fetch_my_trades", symbol, since_ms, limit, params)
            fresh = [trade for trade in page if trade.get("id") and str(trade["id"]) not in found]
            found |= {str(trade["id"]): trade for trade in fresh}
            if len(page) < limit // 2:
                return list(found.values())
            if not fresh:
                break
            since_ms = max(int(trade["timestamp"]) for trade in page)
        raise VenueUnavailable(self.venue, f"{symbol}: trades cannot be paged to the end")

    def _fill(self, trade: Mapping[str, Any], instrument: Instrument, order_id: str, name: ClientOrderId) -> Fill:
        fee = trade.get("fee") or {}
        qty, price = parse_decimal(trade["amount"]), parse_decimal(trade["price"])
        if qty <= 0 or price <= 0:
            raise ValueError("amount and price have to be positive")
        return Fill(
            venue=self.venue,
            instrument=instrument.id,
            base=instrument.base,
            quote=instrument.quote,
            client_order_id=name,
            venue_order_id=VenueOrderId(order_id),
            trade_id=TradeId(str(trade["id"])),
            side=Side(trade["side"]),
            qty=qty,
            price=price,
            fee=Amount(parse_decimal(fee["cost"]), Asset(fee["currency"])),
            liquidity=Liquidity.MAKER if trade.get("takerOrMaker") == "maker" else Liquidity.TAKER,
            venue_ts_ns=int(trade["timestamp"]) * MS,
        )

    # --- transport ---------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Release connections."""
        await self._rest.close()
        await self.exchange.close()

    async def _loaded(self) -> dict[str, Instrument]:
        if not self._instruments:
            await self.load_instruments()
        return self._instruments

    async def loaded(self) -> None:
        """Load markets once. Raises: VenueError."""
        await self._loaded()

    async def poll(self, method: str, *arguments: Any) -> Any:
        """Call on the polling lane, paced. Raises: VenueError."""
        return await self._poll(method, *arguments)

    async def withdrawal_refusal(self) -> str:
        """Return why nothing may be sent now, or an empty text after having counted one request."""
        if not self._has_key:
            return "no API key"
        return "" if await self.limiter.take((Charge("all"),), Lane.URGENT, URGENT_WAIT_S_MAX) else "own limiter"

    async def _poll(self, method: str, *arguments: Any) -> Any:
        """Call on the polling lane, paced."""
        async with self._throttle:
            return await self._ask(Lane.POLL, method, *arguments)

    async def _call(self, method: str, *arguments: Any) -> Any:
        return await self._ask(Lane.URGENT, method, *arguments)

    async def _ask(self, lane: Lane, method: str, *arguments: Any) -> Any:
        wait_s_max = URGENT_WAIT_S_MAX if lane is Lane.URGENT else POLL_WAIT_S_MAX
        if not await self.limiter.take((Charge("all"),), lane, wait_s_max):
            raise VenueUnavailable(self.venue, f"{method}: own limiter")
        try:
            with doing(method):
                return await getattr(self.exchange, method)(*arguments)
        except Exception as error:  # the caller is told
            raise self._venue_error(method, error) from error

    def _venue_error(self, method: str, error: Exception) -> VenueRefused | VenueUnavailable:
        """Return what a caller is told of any failure inside ccxt, bugs of its parsers included."""
        kind = VenueRefused if isinstance(error, REFUSAL_CLASSES) else VenueUnavailable
        return kind(self.venue, f"{method}: {type(error).__name__}: {str(error)[:300]}")


def classify_error(record: Record, error: Exception) -> Rejected | Unknown:
    """Return what an exception of `create_order` means, judged by what went over the wire."""
    told = f"{type(error).__name__}: {str(error)[:200]}"
    if not record.sent:
        return Rejected(RejectCode.OTHER, f"never sent: {told}")
    answer = _sole_answer(record)
    code = REJECTED_CLASSES.get(type(error))
    if answer is None or code is None or answer.status not in REJECT_STATUSES:
        return Unknown(told)
    return Rejected(code, excerpt(answer.status, answer.body))


def classify_order(record: Record, order: Any, client_order_id: str) -> Accepted | Unknown:
    """Return what a result of `create_order` means: without an id, or with another's name, nothing is known."""
    answer = _sole_answer(record)
    order_id = order.get("id") if isinstance(order, Mapping) else None
    if answer is None or not isinstance(order_id, str) or not order_id:
        return Unknown("the answer names no order")
    echoed = order.get("clientOrderId")
    if echoed not in (None, "", client_order_id):
        return Unknown(f"the answer is about order {echoed}")
    if not echoed:
        _log.warning("an acceptance does not echo our name %s", client_order_id)
    return Accepted(order_id)


def _sole_answer(record: Record) -> Answer | None:
    """Return the one complete answer with a JSON object to the one transmission, or None."""
    if len(record.sent) != 1 or len(record.replies) != 1:
        return None
    (reply,) = record.replies
    return reply if isinstance(reply, Answer) and parse_object(reply.body) else None


def verify_bytes(request: Request, intent: OrderIntent) -> None:
    """Look for the intent in the bytes about to leave. Raises: InvariantBroken when a part of it is missing.

    The exchange's field names are unknown here, so values are compared: our name, quantity and price have to be there
    in plain digits, and the time in force has to be visible.
    """
    body = (request.body or b"").decode()
    try:
        values = list(_values(decode_json(body.encode())))
    except ValueError:
        values = [value for pair in parse_qsl(body, keep_blank_values=True) for value in pair]
    values += [value for pair in parse_qsl(urlsplit(request.url).query) for value in pair]
    texts = [str(value) for value in values]
    shown = " ".join(texts).lower()
    marks = ccxt_terms.TIME_IN_FORCE_MARKS.get(intent.tif, ("",))
    ensure(
        intent.client_order_id in texts
        and any(reads_as(text, intent.qty) for text in texts)
        and any(reads_as(text, intent.limit_price) for text in texts)
        and not any(isinstance(value, float) or re.fullmatch(r"-?\d+(\.\d+)?e[-+]?\d+", str(value)) for value in values)
        and any(mark in shown for mark in marks),
        "the order on the wire is not the one that was approved",
        order=intent.client_order_id,
    )


def _values(parsed: Any) -> Sequence[Any]:
    if isinstance(parsed, Mapping):
        return [value for key, inner in parsed.items() for value in (key, *_values(inner))]
    if isinstance(parsed, list):
        return [value for inner in parsed for value in _values(inner)]
    return [parsed]


def _state(order: Mapping[str, Any] | None, booked: Decimal) -> OrderState:
    if order is None:
        return OrderState.UNKNOWN
    state = STATES.get(str(order.get("status")).lower())
    if state is None:
        return OrderState.PART_FILLED if booked or _number(order.get("filled")) else OrderState.OPEN
    wanted, filled = _number(order.get("amount")), max(booked, _number(order.get("filled")))
    return OrderState.CANCELED if state is OrderState.FILLED and filled < wanted else state


def _number(told: Any) -> Decimal:
    """Return a number that may be left out, where leaving it out means none."""
    return ZERO if told is None or told == "" else parse_decimal(str(told))


def _date_second(record: Record) -> int | None:
    reply = record.replies[-1] if record.replies else None
    if not isinstance(reply, Answer) or not reply.date:
        return None
    try:
        return int(parsedate_to_datetime(reply.date).timestamp())
    except ValueError:
        return None
