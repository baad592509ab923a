"""Kraken spot over signed REST (https://docs.kraken.com/api-reference/, 2026-11).

ccxt signs (nonce, HMAC) and names URLs; requests go out once through our own client, so that the raw answer is in hand.
Private requests of one key go one after the other in the order of their nonces; urgent ones overtake polls.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import ccxt.async_support as ccxt
import msgspec
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
from arbot.venues.endpoints import kraken_group
from arbot.venues.kraken.assets import SUFFIXES_ELSEWHERE, asset_table, field_name
from arbot.venues.kraken.outcome import classify_cancel, classify_submit, reject_code
from arbot.venues.kraken.treasury import KrakenTreasury, verify_withdrawal
from arbot.venues.limiter import Charge, Lane, Limiter, kraken_buckets, kraken_cancel_cost
from arbot.venues.nonce import MemoryMark, NonceGuard, NonceLane, NonceMark
from arbot.venues.outcome import Rejected, Unknown, excerpt, parse_object, submit_event
from arbot.venues.rest import ORDER_BODY_BYTES_MAX, Answer, Lost, Note, Request, RestClient, unheard
from arbot.venues.timestamps import parse_seconds_ns, rfc3339_ms
from arbot.venues.wire_order import WireNumbers, reads_as, wire_numbers
from arbot.venues.withdrawal import Refused, never_sent

_log = logging.getLogger("arbot.venues.kraken")

SIDES: dict[str, Side] = {"buy": Side.BUY, "sell": Side.SELL}
TIME_IN_FORCE: dict[TimeInForce, str] = {
    TimeInForce.IOC: "IOC",
    TimeInForce.GTC: "GTC",
    TimeInForce.POST_ONLY: "GTC",
}
ORDER_FLAGS = "fciq"  # fees in quote
ORDER_FLAGS_POST_ONLY = "fciq,post"
"""Add Order's `oflags`, separated by commas; `deadline` is for the order's arrival only (API reference, 2026-11)."""
STATUSES: dict[str, InstrumentStatus] = {
    "online": InstrumentStatus.ONLINE,
    "limit_only": InstrumentStatus.LIMIT_ONLY,
    "post_only": InstrumentStatus.POST_ONLY,
    "cancel_only": InstrumentStatus.CANCEL_ONLY,
}
"""Pair status -> what may be done; anything else (reduce_only, maintenance, delisted, ...) is halted."""

TERMINAL_STATES: dict[str, OrderState] = {
    "closed": OrderState.FILLED,
    "canceled": OrderState.CANCELED,
    "expired": OrderState.EXPIRED,
}

PERMISSIONS_WITHDRAW = frozenset({"withdraw-funds", "add-withdraw-address", "update-withdraw-address", "earn-funds"})
PERMISSIONS_TRADE = frozenset(
    {
        "query-funds",
        "query-open-trades",
        "query-closed-trades",
        "modify-trades",
        "close-trades",
        "query-ledger",
        "create-ws-token",
    }
)
PERMISSIONS_KNOWN = PERMISSIONS_WITHDRAW | PERMISSIONS_TRADE | {"add-funds", "export-data"}

REFUSALS = ("EAPI:Invalid", "EGeneral:Permission denied", "EGeneral:Invalid", "EGeneral:Unknown", "EQuery:", "EAuth:")
"""Beginnings of errors of reading calls that asking again will not mend; all others mean: not now."""
RATE_LIMIT_TEXTS = frozenset({"EAPI:Rate limit exceeded", "EGeneral:Temporary lockout"})
RATE_LIMIT_MARKS = (b":Rate limit exceeded", b"EGeneral:Temporary lockout")
"""The same in an answer as it comes, orders' own limit included: Kraken complains with status 200."""

POLLS_PER_S = 2
POLL_WAIT_S_MAX = Decimal(60)  # the REST counter of the lowest tier drains in 45 s
URGENT_WAIT_S_MAX = Decimal(2)
ORDER_WAIT_S_MAX = Decimal("0.5")
ORDERS_PER_QUERY = 20  # txids in one QueryOrders
PAGES_MAX = 500
OVERLAP_S = 60  # history is asked for from this long before, as clocks and sequence differ
CANCEL_CHECKS = 4
CACHE_MAX = 20_000


class OrderFacts(msgspec.Struct, frozen=True):
    """What fills need to know about their order: our name for it, if ours, and the asset of the fee."""

    client_order_id: ClientOrderId | None
    is_fee_in_base: bool


class KrakenGateway:
    """One Kraken account."""

    def __init__(
        self,
        config: VenueConfig,
        credentials: Credentials | None,
        clock: Clock,
        *,
        nonce_mark: NonceMark | None = None,
        note: Note = unheard,
    ) -> None:
        self.venue = config.venue
        self.assets_ignored: tuple[str, ...] = ()
        self._config = config
        self._clock = clock
        self._rest = RestClient(
            config.request_timeout_ms, clock, group_of=kraken_group, limited_texts=RATE_LIMIT_MARKS, note=note
        )
        self.limiter = Limiter(clock, kraken_buckets(config.tier))
        self._throttle = Throttler(rate_limit=POLLS_PER_S, period=1.0)
        self._lane = NonceLane(clock)
        self._nonces = NonceGuard(nonce_mark or MemoryMark())
        self._offset = ClockOffset()
        self._has_key = credentials is not None
        self._signer = self._make_signer(credentials)
        self._assets: dict[str, Asset] = {}
        self._pairs: dict[str, Instrument] = {}  # by id, short name and websocket name
        self._instruments: dict[str, Instrument] = {}  # the configured ones, by our id
        self._orders: dict[str, OrderFacts] = {}  # by txid
        self._sent_ns: dict[ClientOrderId, int] = {}
        self._treasury = KrakenTreasury(self, config.networks)

    def _make_signer(self, credentials: Credentials | None) -> Any:
        options: dict[str, Any] = {"enableRateLimit": False, "number": str}
        if credentials is not None:
            options |= {"apiKey": credentials.key.reveal(), "secret": credentials.secret.reveal()}
        if self._config.rest_url:
            url = self._config.rest_url.rstrip("/")
            options["urls"] = {"api": {"public": url, "private": url}}
        signer = ccxt.kraken(options)
        ensure(not signer.options.get("maxRetriesOnFailure"), "ccxt must not retry")
        signer.options["lastNonce"] = self._nonces.highest
        signer.milliseconds = lambda: self._clock.now_ns() // 1_000_000
        return signer

    # --- reference data ----------------------------------------------------------------------------------------------

    async def load_instruments(self) -> tuple[Instrument, ...]:
        """Return the configured instruments. `tick_size` is Kraken's own, not its decimals. Raises: VenueError."""
        assets = await self._public("Assets")
        pairs = await self._public("AssetPairs")
        await self.fetch_time_ns()
        self._assets = asset_table(assets)
        found: dict[str, Instrument] = {}
        broken: dict[str, str] = {}
        by_name: dict[str, Instrument] = {}
        for pair_id, facts in pairs.items():
            symbol = self._symbol(facts)
            if symbol is None:
                continue
            try:
                one = self._instrument(pair_id, symbol, facts, assets)
            except (KeyError, TypeError, ValueError, AttributeError) as error:  # told below if it is one of ours
                broken[symbol] = f"{type(error).__name__}: {error}"
                continue
            found[symbol] = one
            for name in (pair_id, facts.get("altname"), facts.get("wsname"), symbol):
                if isinstance(name, str):
                    by_name[name] = one
        for symbol in self._config.symbols:
            if symbol in broken:
                raise VenueUnavailable(self.venue, f"{symbol}: unreadable instrument: {broken[symbol]}")
            if symbol not in found:
                raise InstrumentUnknown(self.venue, f"no instrument {symbol}")
        self._pairs = by_name
        configured = tuple(found[symbol] for symbol in self._config.symbols)
        self._instruments = {one.id: one for one in configured}
        return configured

    def _symbol(self, facts: Mapping[str, Any]) -> str | None:
        base, quote = self._assets.get(facts.get("base", "")), self._assets.get(facts.get("quote", ""))
        if base is None or quote is None or str(facts.get("altname", "")).endswith(".d"):
            return None
        return f"{base}/{quote}"

    def _instrument(self, pair_id: str, symbol: str, facts: Mapping[str, Any], assets: Mapping[str, Any]) -> Instrument:
        base, quote = symbol.split("/")
        price_decimals, lot_decimals = int(facts["pair_decimals"]), int(facts["lot_decimals"])
        tick_size = parse_decimal(facts["tick_size"]) if "tick_size" in facts else Decimal(1).scaleb(-price_decimals)
        qty_step = Decimal(1).scaleb(-min(lot_decimals, int(assets[facts["base"]]["decimals"])))
        if tick_size <= 0 or decimals_of(tick_size) > price_decimals:
            raise ValueError(f"tick_size {tick_size} does not fit {price_decimals} decimals")
        return Instrument(
            id=instrument_id(symbol, self.venue),
            venue=self.venue,
            symbol=symbol,
            venue_symbol=pair_id,
            base=Asset(base),
            quote=Asset(quote),
            tick_size=tick_size,
            qty_step=qty_step,
            price_decimals=price_decimals,
            qty_decimals=lot_decimals,
            qty_min=parse_decimal(facts["ordermin"]),
            notional_min=parse_decimal(facts["costmin"]) if "costmin" in facts else ZERO,
            status=STATUSES.get(facts["status"], InstrumentStatus.HALTED),
        )

    async def fetch_fees(self) -> tuple[FeeRate, ...]:
        """Return the account's rates. A missing, zero or absurd taker rate is VenueUnavailable. Raises: VenueError."""
        instruments = await self._loaded()
        pairs = ",".join(one.venue_symbol for one in instruments.values())
        volume = await self._poll("TradeVolume", {"pair": pairs})
        return tuple(
            FeeRate(
                instrument=one.id,
                taker=self._rate(volume, "fees", one, may_be_zero=False),
                maker=self._rate(volume, "fees_maker", one, may_be_zero=True),
            )
            for one in instruments.values()
        )

    def _rate(self, volume: Mapping[str, Any], table: str, instrument: Instrument, *, may_be_zero: bool) -> Decimal:
        """Return a percent of the answer as a fraction."""
        try:
            rate = parse_decimal(volume[table][instrument.venue_symbol]["fee"]).scaleb(-2)
        except (KeyError, TypeError, ValueError) as error:
            raise VenueUnavailable(self.venue, f"no {table} for {instrument.symbol}: {error}") from error
        if not (0 < rate < 1 or (may_be_zero and rate == 0)):
            raise VenueUnavailable(self.venue, f"{table} of {instrument.symbol} is {rate}, not to be believed")
        return rate

    async def fetch_balances(self) -> tuple[Balance, ...]:
        """Return balances by the field's asset names. Raises: VenueError.

        Money under a known suffix is elsewhere and left out, as are assets we do not trade under unknown names; both
        are listed in `assets_ignored`. An unknown spelling of an asset we trade is VenueRefused: it might be money.
        """
        instruments = await self._loaded()
        traded = {asset for one in instruments.values() for asset in (one.base, one.quote)}
        found: dict[Asset, Balance] = {}
        ignored = []
        for name, facts in (await self._poll("BalanceEx")).items():
            asset = self._assets.get(name)
            if asset is None:
                stem, _, suffix = name.partition(".")
                stem_asset = self._assets.get(stem, field_name(stem))
                if stem_asset in traded and suffix not in SUFFIXES_ELSEWHERE:
                    raise VenueRefused(self.venue, f"unknown spelling {name!r} of {stem_asset}, which we trade")
                ignored.append(name)
                continue
            try:
                total, reserved = parse_decimal(facts["balance"]), parse_decimal(facts["hold_trade"])
            except (KeyError, TypeError, ValueError) as error:
                raise VenueUnavailable(self.venue, f"unreadable balance of {name}: {error}") from error
            before = found.get(asset, Balance(asset=asset, total=ZERO))
            found[asset] = Balance(asset=asset, total=before.total + total, reserved=before.reserved + reserved)
        if tuple(ignored) != self.assets_ignored:
            self.assets_ignored = tuple(ignored)
            _log.warning("%s: balances left out: %s", self.venue, ", ".join(ignored) or "none any more")
        return tuple(found.values())

    async def fetch_time_ns(self) -> int:
        """Return the venue's clock as it stood in the middle of this call. Raises: VenueError.

        Kraken tells whole seconds; several answers narrow the offset to about 0.1 s.
        """
        called_ns = self._clock.now_ns()
        await self._take_public("Time")
        sent_ns = self._clock.now_ns()
        told = await self._public("Time", is_paid=True)
        received_ns = self._clock.now_ns()
        second = told.get("unixtime")
        if not isinstance(second, int):
            raise VenueUnavailable(self.venue, f"unreadable time {told!r}")
        self._offset.observe(sent_ns, received_ns, second * 1_000_000_000, (second + 1) * 1_000_000_000)
        return (called_ns + received_ns) // 2 + self._offset.ns()

    async def fetch_permissions(self) -> KeyPermissions:
        """Return what the key may do, in Kraken's own words. A permission with an unknown name is VenueRefused. Raises: VenueError."""
        info = await self._private("GetApiKeyInfo", {}, Lane.URGENT)
        names = info.get("permissions")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise VenueUnavailable(self.venue, "the key's permissions are unreadable")
        unknown = sorted(set(names) - PERMISSIONS_KNOWN)
        if unknown:
            raise VenueRefused(self.venue, f"the key holds permissions arbot does not know: {', '.join(unknown)}")
        missing = sorted(PERMISSIONS_TRADE.difference(names))
        warnings = (f"the key lacks {', '.join(missing)}",) if missing else ()
        if not info.get("ipAllowlist"):
            warnings += ("the key may be used from any address: give it an allow-list",)
        return KeyPermissions(
            can_trade=set(names) >= PERMISSIONS_TRADE,
            can_withdraw=bool(PERMISSIONS_WITHDRAW.intersection(names)),
            account=str(info.get("iban", "")),
            raw=tuple(names),
            warnings=warnings,
        )

    async def ws_token(self) -> str:
        """Return a fresh token for the private websocket; it must be used within 15 minutes. Raises: VenueError."""
        token = (await self._private("GetWebSocketsToken", {}, Lane.URGENT)).get("token")
        if not isinstance(token, str) or not token:
            raise VenueUnavailable(self.venue, "no websocket token in the answer")
        return token

    async def fetch_transfers(self, since_ns: int) -> tuple[TransferReported, ...]:
        """Return deposits (+) and withdrawals (-) since then, fee apart. Raises: VenueError."""
        return await self._treasury.fetch_transfers(since_ns)

    # --- treasury (treasury.py) ------------------------------------------------------------------------------------------

    async def fetch_status(self) -> VenueStatusReported:
        """Return what SystemStatus says. Raises: VenueError."""
        return await self._treasury.fetch_status()

    async def fetch_networks(self, assets: Sequence[Asset]) -> NetworksReported:
        """Return the ways of these assets. Raises: VenueError."""
        return await self._treasury.fetch_networks(assets)

    async def fetch_deposit_address(self, asset: Asset, network: Network) -> DepositAddress:
        """Return where deposits go now. Raises: VenueError."""
        return await self._treasury.fetch_deposit_address(asset, network)

    async def withdraw(self, approved: ApprovedTransfer) -> tuple[Event, ...]:
        """Send a withdrawal once. Raises: InvariantBroken before anything has left, never VenueError."""
        return await self._treasury.withdraw(approved)

    # --- orders ------------------------------------------------------------------------------------------------------

    def has_arb_budget(self, instrument: Instrument) -> bool:
        """Return whether a leg, a hedge and the cancel of a fresh order would all pass the venue's counters now."""
        orders = Charge("engine", 2 + kraken_cancel_cost(ZERO), instrument.venue_symbol)
        return self.limiter.has_headroom((orders, Charge("rest", Decimal(2))))

    async def submit(self, approved: Approved) -> tuple[Event, ...]:
        """Send the order once. Raises: InvariantBroken before anything has left, never VenueError."""
        intent = approved.intent
        ensure(intent.instrument in self._instruments, "order for an unknown instrument", order=intent.client_order_id)
        instrument = self._instruments[intent.instrument]
        numbers = wire_numbers(intent, instrument)
        refusal = await self._refusal_before_sending(instrument)
        if refusal is not None:
            return (submit_event(intent.client_order_id, refusal),)
        async with self._lane.turn(urgent=True):
            deadline_ns = intent.deadline_ns + self._offset.ns()
            if self._clock.now_ns() >= intent.deadline_ns:
                late = Rejected(RejectCode.DEADLINE, "never sent: its deadline passed while it waited")
                return (submit_event(intent.client_order_id, late),)
            request = self._sign("AddOrder", self._order_fields(intent, instrument, numbers, deadline_ns))
            _verify_bytes(request, intent, instrument)
            self._sent_ns[intent.client_order_id] = self._clock.now_ns()
            reply = await self._rest.send(request, ORDER_BODY_BYTES_MAX)
        _forget_oldest(self._sent_ns)
        if isinstance(reply, Lost):
            return (submit_event(intent.client_order_id, Unknown(reply.detail)),)
        verdict = classify_submit(reply.status, reply.body)
        if isinstance(verdict, Rejected) and verdict.code is RejectCode.RATE_LIMITED:
            self.limiter.exhaust("engine", instrument.venue_symbol)
        return (submit_event(intent.client_order_id, verdict),)

    async def _refusal_before_sending(self, instrument: Instrument) -> Rejected | None:
        """Return why an order must not even be sent, if it must not."""
        if not self._has_key:
            return Rejected(RejectCode.KEY_REFUSED, "never sent: no API key")
        if not self._offset.is_known:
            try:
                await self.fetch_time_ns()
            except (VenueUnavailable, VenueRefused) as error:
                return Rejected(RejectCode.OTHER, f"never sent: no deadline without the venue's clock: {error.detail}")
        charge = Charge("engine", subject=instrument.venue_symbol)
        if not await self.limiter.take((charge,), Lane.URGENT, ORDER_WAIT_S_MAX):
            return Rejected(RejectCode.RATE_LIMITED, "never sent: own limiter")
        return None

    def _order_fields(
        self, intent: OrderIntent, instrument: Instrument, numbers: WireNumbers, deadline_ns: int
    ) -> dict[str, str]:
        ensure(intent.tif in TIME_IN_FORCE, "Kraken has no such time in force", tif=intent.tif)
        return {
            "pair": instrument.venue_symbol,
            "type": intent.side.value,
            "ordertype": "limit",
            "volume": numbers.qty,
            "price": numbers.price,
            "timeinforce": TIME_IN_FORCE[intent.tif],
            "cl_ord_id": intent.client_order_id,
            "oflags": _flags(intent),
            "deadline": rfc3339_ms(deadline_ns),
        }

    async def cancel(self, command: CancelOrder) -> tuple[Event, ...]:
        """Ask for a cancel by order id, or by our name while the venue has given none."""
        target = {"txid": command.venue_order_id} if command.venue_order_id else {"cl_ord_id": command.client_order_id}
        instrument = self._instruments.get(command.instrument)
        now_ns = self._clock.now_ns()
        age_s = Decimal(now_ns - self._sent_ns.get(command.client_order_id, now_ns)) / 1_000_000_000
        charge = Charge("engine", kraken_cancel_cost(age_s), instrument.venue_symbol if instrument else "")
        if not self._has_key or not await self.limiter.take((charge,), Lane.URGENT, ORDER_WAIT_S_MAX):
            why = "own limiter" if self._has_key else "no API key"
            return (CancelRejected(client_order_id=command.client_order_id, detail=f"never sent: {why}"),)
        reply = await self._transmit("CancelOrder", target, urgent=True)
        found = Unknown(reply.detail) if isinstance(reply, Lost) else classify_cancel(reply.status, reply.body)
        match found:
            case Rejected(_, detail):
                return (CancelRejected(client_order_id=command.client_order_id, detail=detail),)
            case Unknown(detail):
                told = RequestOutcomeUnknown(
                    client_order_id=command.client_order_id, request="cancel", detail=detail[:300]
                )
                return (told,)
        return ()

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
                reply = await self._transmit("CancelOrder", {"txid": one.venue_order_id}, urgent=True)
                if isinstance(reply, Lost):
                    _log.warning("%s: cancel of %s: %s", self.venue, one.venue_order_id, reply.detail)
            await self._clock.sleep(0.1 * (check + 1))
        return len(remaining)

    async def fetch_open_orders(self) -> tuple[OpenOrder, ...]:
        """Return all open orders; Kraken lists them in one answer. Raises: VenueError."""
        await self._loaded()
        result = await self._private("OpenOrders", {}, Lane.URGENT)
        return tuple(self._open_order(txid, order) for txid, order in self._table(result, "open").items())

    def _open_order(self, txid: str, order: Mapping[str, Any]) -> OpenOrder:
        self._remember(txid, order)
        pair = str(order.get("descr", {}).get("pair", ""))
        known = self._pairs.get(pair)
        state, filled_qty = self._order_state(order)
        return OpenOrder(
            client_order_id=self._orders[txid].client_order_id,
            venue_order_id=VenueOrderId(txid),
            instrument=known.id if known else f"{pair}@{self.venue}",
            filled_qty=filled_qty,
            state=state,
        )

    async def query(self, command: QueryOrder) -> tuple[Event, ...]:
        """Look among open orders, then closed ones, then in the history of trades; () when one cannot be asked.

        Kraken's `cl_ord_id` is unique among open orders only: should two orders bear it, both are reported as one
        whose fills are the fills of both.
        """
        asked_ts_ns = self._clock.now_ns()
        try:
            await self._loaded()
            orders, sources = await self._find(command)
            fills = await self._fills_of(orders)
        except (VenueUnavailable, VenueRefused) as error:
            _log.warning("%s: query of %s: %s", self.venue, command.client_order_id, error.detail)
            return ()
        if len(orders) > 1:
            _log.error("%s: %d orders bear the name %s", self.venue, len(orders), command.client_order_id)
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
        return (*(OrderFilled(fill=fill) for fill in fills), report)

    async def _find(self, command: QueryOrder) -> tuple[dict[str, Mapping[str, Any]], int]:
        """Return the orders of that name with the number of independent sources asked."""
        name = command.client_order_id
        result = await self._private("OpenOrders", {"cl_ord_id": name}, Lane.URGENT)
        found = _named(self._table(result, "open"), name)
        start = str(max(0, command.since_ns // 1_000_000_000 - OVERLAP_S))
        closed = await self._pages("ClosedOrders", {"cl_ord_id": name, "start": start}, "closed", Lane.URGENT)
        found |= _named(closed, name)
        sources = 2
        if not found and command.venue_order_id is not None:
            result = await self._private("QueryOrders", {"txid": command.venue_order_id}, Lane.URGENT)
            found |= {
                txid: order
                for txid, order in result.items()
                if txid == command.venue_order_id and isinstance(order, dict)
            }
            sources += 1
        for txid, order in found.items():
            self._orders[txid] = OrderFacts(name, _is_fee_in_base(order))
        return found, sources

    async def _fills_of(self, orders: Mapping[str, Mapping[str, Any]]) -> list[Fill]:
        filled = [order for order in orders.values() if self._order_state(order)[1] > 0]
        if not filled:
            return []
        try:
            opened_s = min(int(Decimal(order["opentm"])) for order in filled)
        except (KeyError, ArithmeticError, TypeError) as error:
            raise VenueUnavailable(self.venue, f"order without opening time: {error}") from error
        trades = await self._pages("TradesHistory", {"start": str(opened_s - 1)}, "trades", Lane.URGENT)
        ours = {tid: trade for tid, trade in trades.items() if trade.get("ordertxid") in orders}
        return self._fills(ours)

    async def fetch_fills(self, since_ns: int) -> tuple[Fill, ...]:
        """Return our fills since then, oldest first. The order of every trade is looked up once. Raises: VenueError."""
        await self._loaded()
        start = max(0, since_ns // 1_000_000_000 - 1)
        trades = await self._pages("TradesHistory", {"start": str(start)}, "trades", Lane.POLL)
        await self._look_up_orders({str(trade.get("ordertxid")) for trade in trades.values()})
        return tuple(fill for fill in self._fills(trades) if fill.venue_ts_ns >= since_ns)

    async def _look_up_orders(self, txids: Iterable[str]) -> None:
        unknown = sorted(txid for txid in txids if txid not in self._orders)
        for first in range(0, len(unknown), ORDERS_PER_QUERY):
            batch = unknown[first : first + ORDERS_PER_QUERY]
            found = await self._poll("QueryOrders", {"txid": ",".join(batch)})
            for txid in batch:
                if not isinstance(found.get(txid), dict):
                    raise VenueUnavailable(self.venue, f"a trade belongs to order {txid}, which is not listed")
                self._remember(txid, found[txid])

    def _remember(self, txid: str, order: Mapping[str, Any]) -> None:
        name = order.get("cl_ord_id")
        is_ours = isinstance(name, str) and parse_client_order_id(name) is not None
        self._orders[txid] = OrderFacts(ClientOrderId(str(name)) if is_ours else None, _is_fee_in_base(order))
        _forget_oldest(self._orders)

    def _fills(self, trades: Mapping[str, Mapping[str, Any]]) -> list[Fill]:
        """Return the trades of our own orders as fills, oldest first."""
        fills = []
        for tid, trade in trades.items():
            facts = self._orders[str(trade.get("ordertxid"))]
            if facts.client_order_id is None:
                continue
            instrument = self._pairs.get(str(trade.get("pair")))
            if instrument is None:
                raise VenueUnavailable(self.venue, f"trade {tid} on unknown pair {trade.get('pair')}")
            try:
                fills.append(self._fill(tid, trade, facts, facts.client_order_id, instrument))
            except (KeyError, TypeError, ValueError, ArithmeticError) as error:
                raise VenueUnavailable(self.venue, f"unreadable trade {tid}: {error}") from error
        return sorted(fills, key=lambda fill: (fill.venue_ts_ns, fill.trade_id))

    def _fill(
        self, tid: str, trade: Mapping[str, Any], facts: OrderFacts, name: ClientOrderId, instrument: Instrument
    ) -> Fill:
        fee_asset = instrument.base if facts.is_fee_in_base else instrument.quote
        return Fill(
            venue=self.venue,
            instrument=instrument.id,
            base=instrument.base,
            quote=instrument.quote,
            client_order_id=name,
            venue_order_id=VenueOrderId(trade["ordertxid"]),
            trade_id=TradeId(tid),
            side=SIDES[trade["type"]],
            qty=_positive(trade["vol"]),
            price=_positive(trade["price"]),
            fee=Amount(parse_decimal(trade["fee"]), fee_asset),
            liquidity=Liquidity.MAKER if trade.get("maker") is True else Liquidity.TAKER,
            venue_ts_ns=parse_seconds_ns(trade["time"]),
        )

    def _order_state(self, order: Mapping[str, Any]) -> tuple[OrderState, Decimal]:
        """Return state and filled quantity; a status nobody knows counts as open, since the order exists."""
        try:
            qty, filled_qty = parse_decimal(order["vol"]), parse_decimal(order["vol_exec"])
        except (KeyError, TypeError, ValueError) as error:
            raise VenueUnavailable(self.venue, f"unreadable order: {error}") from error
        state = TERMINAL_STATES.get(str(order.get("status")))
        if state is None:
            return (OrderState.PART_FILLED if filled_qty else OrderState.OPEN), filled_qty
        if state is OrderState.FILLED and filled_qty < qty:
            state = OrderState.CANCELED
        return state, filled_qty

    # --- transport ---------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Release connections."""
        await self._rest.close()
        await self._signer.close()

    async def _loaded(self) -> dict[str, Instrument]:
        if not self._instruments:
            await self.load_instruments()
        return self._instruments

    async def assets(self) -> dict[str, Asset]:
        """Return Kraken's names of assets -> ours. Raises: VenueError."""
        await self._loaded()
        return self._assets

    async def public(self, path: str) -> dict[str, Any]:
        """Ask a public path. Raises: VenueError."""
        return await self._public(path)

    async def ask(self, path: str, fields: Mapping[str, str], lane: Lane) -> Any:
        """Ask a private path on a lane; polls are paced. Raises: VenueError."""
        return await (self._poll(path, fields) if lane is Lane.POLL else self._private(path, fields, lane))

    async def transmit(self, path: str, fields: Mapping[str, str], intent: TransferIntent) -> Answer | Lost | Refused:
        """Send a withdrawal once, or say why it was not sent. Raises: InvariantBroken before anything has left."""
        if not self._has_key:
            return never_sent("no API key")
        if not await self.limiter.take((Charge("rest"),), Lane.URGENT, URGENT_WAIT_S_MAX):
            return never_sent("own limiter")
        async with self._lane.turn(urgent=True):
            request = self._sign(path, fields)
            verify_withdrawal(request, fields, intent)
            return await self._rest.send(request, ORDER_BODY_BYTES_MAX)

    async def _take_public(self, path: str) -> None:
        if not await self.limiter.take((Charge("public"),), Lane.URGENT, POLL_WAIT_S_MAX):
            raise VenueUnavailable(self.venue, f"{path}: own limiter")

    async def _public(self, path: str, *, is_paid: bool = False) -> dict[str, Any]:
        if not is_paid:
            await self._take_public(path)
        signed = self._signer.sign(path, ["public"], "GET", {})
        reply = await self._rest.send(Request("GET", signed["url"], {}))
        result = self._result(reply, path, "public")
        if not isinstance(result, dict):
            raise VenueUnavailable(self.venue, f"{path}: unexpected result")
        return result

    async def _poll(self, path: str, fields: Mapping[str, str] | None = None) -> Any:
        """Ask on the polling lane, paced."""
        async with self._throttle:
            return await self._private(path, fields or {}, Lane.POLL)

    async def _private(self, path: str, fields: Mapping[str, str], lane: Lane, cost: int = 1) -> Any:
        if not self._has_key:
            raise VenueRefused(self.venue, f"{path} needs an API key")
        wait_s_max = URGENT_WAIT_S_MAX if lane is Lane.URGENT else POLL_WAIT_S_MAX
        if not await self.limiter.take((Charge("rest", Decimal(cost)),), lane, wait_s_max):
            raise VenueUnavailable(self.venue, f"{path}: own limiter")
        return self._result(await self._transmit(path, fields, urgent=lane is Lane.URGENT), path, "rest")

    async def _transmit(self, path: str, fields: Mapping[str, str], *, urgent: bool) -> Answer | Lost:
        async with self._lane.turn(urgent=urgent):
            return await self._rest.send(self._sign(path, fields))

    def _sign(self, path: str, fields: Mapping[str, str]) -> Request:
        signed = self._signer.sign(path, ["private"], "POST", dict(fields))
        self._nonces.used(self._signer.options["lastNonce"])
        return Request("POST", signed["url"], signed["headers"], signed["body"].encode())

    async def _pages(self, path: str, fields: Mapping[str, str], key: str, lane: Lane) -> dict[str, Mapping[str, Any]]:
        """Return every row of a history; Kraken pages by 50, newest first. Raises: VenueUnavailable when rows are missing."""
        rows: dict[str, Mapping[str, Any]] = {}
        cost = 2 if path == "TradesHistory" else 1
        offset = 0
        for _ in range(PAGES_MAX):
            page_fields = {**fields, "ofs": str(offset)} if offset else fields
            if lane is Lane.POLL:
                async with self._throttle:
                    result = await self._private(path, page_fields, lane, cost)
            else:
                result = await self._private(path, page_fields, lane, cost)
            page, count = self._table(result, key), result.get("count", 0)
            if not isinstance(count, int):
                raise VenueUnavailable(self.venue, f"{path}: unreadable count")
            rows |= page
            offset += len(page)
            if offset >= count:
                return rows
            if not page:
                break
        raise VenueUnavailable(self.venue, f"{path}: {len(rows)} rows came, more were announced")

    def _table(self, result: Any, key: str) -> dict[str, Mapping[str, Any]]:
        rows = result.get(key) if isinstance(result, dict) else None
        if not isinstance(rows, dict) or not all(isinstance(row, dict) for row in rows.values()):
            raise VenueUnavailable(self.venue, f"no {key} in the answer")
        return rows

    def _result(self, reply: Answer | Lost, path: str, bucket: str) -> Any:
        if isinstance(reply, Lost):
            raise VenueUnavailable(self.venue, f"{path}: {reply.detail}")
        answer = parse_object(reply.body)
        errors = answer.get("error") if answer is not None else None
        if reply.status != 200 or answer is None or not isinstance(errors, list):
            raise VenueUnavailable(self.venue, f"{path}: {excerpt(reply.status, reply.body)}")
        texts = [str(text) for text in errors if not str(text).startswith("W")]
        if texts:
            if RATE_LIMIT_TEXTS.intersection(texts):
                self.limiter.exhaust(bucket)
            is_refusal = reject_code(texts) is not RejectCode.RATE_LIMITED and texts[0].startswith(REFUSALS)
            kind = VenueRefused if is_refusal and texts[0] != "EAPI:Invalid nonce" else VenueUnavailable
            raise kind(self.venue, f"{path}: {', '.join(texts)}")
        if not isinstance(answer.get("result"), dict | list):
            raise VenueUnavailable(self.venue, f"{path}: no result")
        return answer["result"]


def _flags(intent: OrderIntent) -> str:
    return ORDER_FLAGS_POST_ONLY if intent.tif is TimeInForce.POST_ONLY else ORDER_FLAGS


def _verify_bytes(request: Request, intent: OrderIntent, instrument: Instrument) -> None:
    """Compare the bytes about to leave with the intent. Raises: InvariantBroken on any difference."""
    pairs = parse_qsl((request.body or b"").decode(), keep_blank_values=True, strict_parsing=True)
    sent = dict(pairs)
    expected = {
        "pair": instrument.venue_symbol,
        "type": intent.side.value,
        "ordertype": "limit",
        "cl_ord_id": intent.client_order_id,
        "oflags": _flags(intent),
        "timeinforce": TIME_IN_FORCE[intent.tif],
    }
    ensure(len(sent) == len(pairs), "a field twice in the order on the wire", order=intent.client_order_id)
    ensure(
        {name: sent.get(name) for name in expected} == expected
        and reads_as(sent.get("volume"), intent.qty)
        and reads_as(sent.get("price"), intent.limit_price)
        and sent.keys() - expected.keys() == {"nonce", "volume", "price", "deadline"},
        "the order on the wire is not the one that was approved",
        order=intent.client_order_id,
    )


def _named(orders: Mapping[str, Mapping[str, Any]], name: str) -> dict[str, Mapping[str, Any]]:
    """Return the orders that bear the name, should the venue have ignored the filter."""
    return {txid: order for txid, order in orders.items() if order.get("cl_ord_id") == name}


def _is_fee_in_base(order: Mapping[str, Any]) -> bool:
    """Whether fees are taken in base: by flag, else by Kraken's default, quote for buys and base for sells."""
    flags = str(order.get("oflags") or "").split(",")
    if "fciq" in flags or "fcib" in flags:
        return "fcib" in flags
    descr = order.get("descr")
    return isinstance(descr, dict) and descr.get("type") == "sell"


def _positive(text: Any) -> Decimal:
    number = parse_decimal(text)
    if number <= 0:
        raise ValueError(f"not positive: {text}")
    return number


def _forget_oldest(cache: dict[Any, Any]) -> None:
    while len(cache) > CACHE_MAX:
        del cache[next(iter(cache))]
