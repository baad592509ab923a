"""A pretend venue: instruments, matching, accounts, transfers, events. No IO, no clock, chance only from the given rng.

Every call carries `now_ns`. Calls that change something tell the listeners afterwards, all that happened in one list,
in order: executions and balances of a trade come before the book change it caused. Numbers are exact: a fill moves
`price * qty` and a fee rounded to the policy's decimals, and nothing else, so a client that books its fills ties to
the balances to the last unit.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from typing import Protocol

import msgspec

from arbot.domain.errors import ensure
from arbot.domain.instrument import Instrument, InstrumentStatus
from arbot.domain.order import Liquidity, Side, TimeInForce
from arbot.domain.units import ZERO, ceil_to_step, floor_to_step, is_multiple
from arbot.sim import chance
from arbot.sim.accounts import CROWD, OUTSIDE, Account, Accounts, ApiKey
from arbot.sim.faults import Fault, FaultName
from arbot.sim.fees import FeeTier, fee_of, rate_of, tier_index
from arbot.sim.matching import Entry, MatchingBook, Take, crosses
from arbot.sim.model import (
    BalanceChanged,
    BookChanged,
    ExecKind,
    Execution,
    LedgerKind,
    LedgerRow,
    OrderRejected,
    OrderRequest,
    OrderStatus,
    OrderType,
    OrderUnknown,
    RegisteredAddress,
    RejectReason,
    SimBalance,
    SimEvent,
    SimFill,
    SimOrder,
    TradePrint,
    Transfer,
    TransferChanged,
    TransferRefused,
    TransferStatus,
)

Listener = Callable[[Sequence[SimEvent]], None]


class ClientIdRule(StrEnum):
    """What a repeated client order id means."""

    UNIQUE_OPEN = "unique_open"  # Kraken: refused while an open order bears it, executed again afterwards
    IDEMPOTENT = "idempotent"  # Coinbase: the existing order is returned, whatever its state
    FREE = "free"  # no rule


class VenuePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How this venue differs from the next. Ids are made from the venue's own random stream."""

    client_ids: ClientIdRule = ClientIdRule.UNIQUE_OPEN
    fee_decimals: int = 5
    order_id: Callable[[random.Random], str] = chance.kraken_id("O")
    trade_id: Callable[[random.Random], str] = chance.kraken_id("T")
    ledger_id: Callable[[random.Random], str] = chance.kraken_id("L")
    orders_open_max: int = 200
    print_id_first: int = 1
    # how long a withdrawal or deposit stays in each state before the next
    transfer_step_ms: int = 2_000


KRAKEN_POLICY = VenuePolicy()
COINBASE_POLICY = VenuePolicy(
    client_ids=ClientIdRule.IDEMPOTENT,
    fee_decimals=8,
    order_id=chance.uuid_id,
    trade_id=chance.uuid_id,
    ledger_id=chance.uuid_id,
    orders_open_max=500,
    print_id_first=1_068_572_091,
)
BITSTAMP_POLICY = VenuePolicy(
    client_ids=ClientIdRule.FREE,
    fee_decimals=5,
    order_id=chance.number_id,
    trade_id=chance.number_id,
    ledger_id=chance.number_id,
)

ASSET_NETWORKS: dict[str, tuple[str, ...]] = {
    "BTC": ("bitcoin",),
    "DOGE": ("dogecoin",),
    "SOL": ("solana",),
    "USD": ("fedwire",),
    "USDT": ("ethereum", "tron"),
}
"""The networks a pretend venue moves an asset on, the usual one first."""
NETWORKS_OTHER = ("ethereum",)


def networks_of(asset: str) -> tuple[str, ...]:
    """Return the networks of an asset, the usual one first."""
    return ASSET_NETWORKS.get(asset, NETWORKS_OTHER)


class Carrier(Protocol):
    """What takes withdrawals on from where the venue has sent them out."""

    def broadcast(self, venue: SimVenue, transfer: Transfer, now_ns: int) -> None:
        """Take over a withdrawal."""
        ...


_NEXT_TRANSFER_STATUS = {
    TransferStatus.INITIAL: TransferStatus.PENDING,
    TransferStatus.PENDING: TransferStatus.SETTLED,
    TransferStatus.SETTLED: TransferStatus.SUCCESS,
}


class SimVenue:
    """One venue. See the module text for the rules that hold for every method."""

    def __init__(
        self,
        name: str,
        instruments: Iterable[Instrument],
        tiers: tuple[FeeTier, ...],
        rng: random.Random,
        policy: VenuePolicy = KRAKEN_POLICY,
    ) -> None:
        self.name = name
        self.tiers = tiers
        self.policy = policy
        self.accounts = Accounts(rng, policy.ledger_id)
        self.instruments: dict[str, Instrument] = {one.symbol: one for one in instruments}
        self.withdrawals_frozen = False
        self.withdraw_keys: dict[tuple[str, str], RegisteredAddress] = {}  # by asset and key
        self.chains: Carrier | None = None  # without: withdrawals end by the venue's own steps, as if they had arrived
        self.standing: tuple[Fault, ...] = ()  # faults that hold here now
        self.wallets_closed: set[tuple[str, str, bool]] = set()  # (asset, network, deposits), by a person's lever
        self.system_status = "online"
        self._rotations: dict[tuple[str, str, str], int] = {}
        self._rng = rng
        self._books = {symbol: MatchingBook() for symbol in self.instruments}
        self._statuses = {symbol: one.status for symbol, one in self.instruments.items()}
        self._orders: dict[str, SimOrder] = {}
        self._open: dict[str, SimOrder] = {}
        self._order_ids_by_client_id: dict[tuple[str, str], list[str]] = {}
        self._fills: dict[str, list[SimFill]] = {}
        self._prints: dict[str, list[TradePrint]] = {symbol: [] for symbol in self.instruments}
        self._print_ids = dict.fromkeys(self.instruments, policy.print_id_first)
        self._transfers: list[Transfer] = []
        self._dead_man_ns: dict[str, int] = {}
        self._listeners: list[Listener] = []
        self._pending: list[SimEvent] = []

    # --- listeners -------------------------------------------------------------------------------------------------

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with the events of every change; return a function that ends it."""
        self._listeners.append(listener)

        def end() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return end

    def _flush(self) -> None:
        events, self._pending = self._pending, []
        if events:
            for listener in tuple(self._listeners):
                listener(events)

    # --- looking ---------------------------------------------------------------------------------------------------

    def instrument(self, symbol: str) -> Instrument:
        """Return an instrument in its present status. Raises: OrderRejected(UNKNOWN_INSTRUMENT)."""
        if symbol not in self.instruments:
            raise OrderRejected(RejectReason.UNKNOWN_INSTRUMENT, symbol)
        return self.instruments[symbol]

    def ticks(self, symbol: str, price: Decimal) -> int:
        """Return a price in units of the wire's last decimal. Raises: InvariantBroken when it is not whole."""
        return _scaled(price, self.instruments[symbol].price_decimals)

    def lots(self, symbol: str, qty: Decimal) -> int:
        """Return a quantity in units of the wire's last decimal. Raises: InvariantBroken when it is not whole."""
        return _scaled(qty, self.instruments[symbol].qty_decimals)

    def price(self, symbol: str, ticks: int) -> Decimal:
        """Return ticks as a price with all its decimals."""
        return Decimal(ticks).scaleb(-self.instruments[symbol].price_decimals)

    def qty(self, symbol: str, lots: int) -> Decimal:
        """Return lots as a quantity with all its decimals."""
        return Decimal(lots).scaleb(-self.instruments[symbol].qty_decimals)

    def top(self, symbol: str, side: Side, depth: int) -> list[tuple[int, int]]:
        """Return up to `depth` levels of the bids (BUY) or asks (SELL) as (ticks, lots), best first."""
        return self._books[symbol].half(side).top(depth)

    def market_top(self, symbol: str, side: Side, depth: int) -> list[tuple[int, int]]:
        """Return like `top`, but only what the synthetic market offers."""
        half = self._books[symbol].half(side)
        levels = ((price, half.market_lots(price)) for price in half.best_first())
        return [level for level, _ in zip((one for one in levels if one[1]), range(depth), strict=False)]

    def market_lots(self, symbol: str, side: Side, ticks: int) -> int:
        """Return what the synthetic market offers at one price."""
        return self._books[symbol].half(side).market_lots(ticks)

    def best(self, symbol: str, side: Side) -> int | None:
        """Return the best bid (BUY) or ask (SELL) in ticks."""
        return self._books[symbol].half(side).best()

    def prints(self, symbol: str, count: int) -> list[TradePrint]:
        """Return the last public trades, oldest first."""
        return self._prints[symbol][-count:]

    def balances(self, account: str) -> dict[str, SimBalance]:
        """Return an account's balances."""
        return self.accounts.get(account).balances()

    def orders(self, account: str) -> list[SimOrder]:
        """Return every order the account ever had accepted, oldest first."""
        return [order for order in self._orders.values() if order.account == account]

    def open_orders(self, account: str) -> list[SimOrder]:
        """Return the account's open orders, oldest first."""
        return [order for order in self._open.values() if order.account == account]

    def order(self, account: str, order_id: str) -> SimOrder | None:
        """Return an order of the account, or None."""
        order = self._orders.get(order_id)
        return order if order is not None and order.account == account else None

    def orders_by_client_id(self, account: str, client_order_id: str) -> list[SimOrder]:
        """Return every order of that name, oldest first."""
        return [self._orders[one] for one in self._order_ids_by_client_id.get((account, client_order_id), ())]

    def fills(self, account: str) -> list[SimFill]:
        """Return the account's fills, oldest first."""
        return self._fills.get(account, [])

    def ledger(self, account: str) -> list[LedgerRow]:
        """Return the account's ledger rows, oldest first."""
        return self.accounts.get(account).ledger

    def transfers(self, account: str, *, deposits: bool) -> list[Transfer]:
        """Return the account's deposits or withdrawals, oldest first."""
        return [one for one in self._transfers if one.account == account and one.is_deposit is deposits]

    def volume(self, account: str, now_ns: int) -> Decimal:
        """Return the account's 30-day volume in quote."""
        return self.accounts.get(account).volume.total(now_ns)

    def tier(self, account: str, now_ns: int) -> tuple[int, FeeTier]:
        """Return the row number and the row of the fee table that applies to the account."""
        at = tier_index(self.tiers, self.volume(account, now_ns))
        return at, self.tiers[at]

    def status(self, symbol: str) -> InstrumentStatus:
        """Return what may be done with an instrument now."""
        return self._statuses[symbol]

    def set_status(self, symbol: str, status: InstrumentStatus) -> None:
        """Halt or reopen an instrument."""
        self._statuses[symbol] = status

    # --- accounts --------------------------------------------------------------------------------------------------

    def open_account(
        self, name: str, balances: Mapping[str, Decimal], now_ns: int, volume_opening: Decimal = ZERO
    ) -> Account:
        """Open an account with opening balances; the opening volume sets its fee tier."""
        account = self.accounts.open(name, volume_opening)
        for asset, total in balances.items():
            self._move(name, asset, total, LedgerKind.DEPOSIT, "opening", OUTSIDE, now_ns)
        self._flush()
        return account

    def add_key(self, key: ApiKey) -> ApiKey:
        """Register an API key."""
        return self.accounts.add_key(key)

    def adjust(self, account: str, asset: str, amount: Decimal, now_ns: int, reference: str = "adjustment") -> None:
        """Credit or debit an account from outside, as a manual movement would."""
        self._move(account, asset, amount, LedgerKind.ADJUSTMENT, reference, OUTSIDE, now_ns)
        self._flush()

    def _move(  # noqa: PLR0917 - one private line of bookkeeping
        self,
        account: str,
        asset: str,
        amount: Decimal,
        kind: LedgerKind,
        reference: str,
        counterpart: str,
        now_ns: int,
        fee: Decimal = ZERO,
    ) -> None:
        row = self.accounts.move(
            account, asset, amount, kind=kind, reference=reference, counterpart=counterpart, now_ns=now_ns, fee=fee
        )
        self._pending.append(BalanceChanged(row=row))

    # --- orders ----------------------------------------------------------------------------------------------------

    def check(self, request: OrderRequest, now_ns: int) -> None:
        """Refuse an order the venue would not take, without taking it. Raises: OrderRejected."""
        self._validate(request, now_ns)

    def submit(self, request: OrderRequest, now_ns: int) -> SimOrder:
        """Take an order and match it at once; what is left rests, or is cancelled for IOC, FOK and market orders.

        Under ClientIdRule.IDEMPOTENT a repeated client order id returns the order that exists. Raises: OrderRejected.
        """
        self.advance(now_ns)
        if request.client_order_id and self.policy.client_ids is ClientIdRule.IDEMPOTENT:
            known = self.orders_by_client_id(request.account, request.client_order_id)
            if known:
                return known[0]
        takes, lots, hold_asset, hold = self._validate(request, now_ns)
        order = SimOrder(
            order_id=self.policy.order_id(self._rng),
            request=request,
            price_ticks=0 if request.price is None else self.ticks(request.symbol, request.price),
            qty_lots=lots,
            opened_ns=now_ns,
            hold_asset=hold_asset,
            hold=hold,
        )
        self.accounts.get(order.account).change_hold(hold_asset, hold)
        self._orders[order.order_id] = order
        self._open[order.order_id] = order
        if order.client_order_id:
            names = self._order_ids_by_client_id.setdefault((order.account, order.client_order_id), [])
            names.append(order.order_id)
        self._tell(ExecKind.PENDING_NEW, order, now_ns)
        self._tell(ExecKind.NEW, order, now_ns)
        self._match(order, takes, now_ns)
        self._flush()
        return order

    def cancel(self, account: str, order_id: str, now_ns: int, reason: str = "User requested") -> SimOrder:
        """Cancel an open order. Raises: OrderUnknown."""
        self.advance(now_ns)
        order = self._open.get(order_id)
        if order is None or order.account != account:
            raise OrderUnknown(order_id)
        self._end(order, OrderStatus.CANCELED, ExecKind.CANCELED, reason, now_ns)
        self._flush()
        return order

    def amend(
        self, account: str, order_id: str, now_ns: int, *, price: Decimal | None = None, qty: Decimal | None = None
    ) -> SimOrder:
        """Give an open limit order another limit price or quantity (what is filled counts towards it).

        A smaller quantity at the same price keeps its place in the queue; anything else queues anew and may match.
        Raises: OrderUnknown; OrderRejected, which leaves the order as it was.
        """
        self.advance(now_ns)
        order = self._open.get(order_id)
        if order is None or order.account != account:
            raise OrderUnknown(order_id)
        instrument, before = self.instruments[order.symbol], order.request
        request = msgspec.structs.replace(
            before, price=before.price if price is None else price, qty=before.qty if qty is None else qty
        )
        lots = self._limit_lots(request, instrument)
        if lots <= order.filled_lots:
            raise OrderRejected(RejectReason.QTY_MIN, "no more than is filled")
        ticks = self.ticks(order.symbol, request.price or ZERO)
        left = lots - order.filled_lots
        takes = self._books[order.symbol].plan(order.side, ticks, left)
        if request.post_only and takes:
            raise OrderRejected(RejectReason.POST_ONLY)
        rate = self.tier(account, now_ns)[1].taker
        _, hold = self._hold_for(request, instrument, takes, left, rate)
        money = self.accounts.get(account)
        if hold - order.hold > money.available(order.hold_asset):
            raise OrderRejected(RejectReason.INSUFFICIENT_FUNDS)
        half = self._books[order.symbol].half(order.side)
        keeps_place = ticks == order.price_ticks and lots <= order.qty_lots
        if keeps_place:
            next(entry for entry in half.levels[ticks] if entry.owner is order).lots = left
            self._book_changed(order.symbol, {(order.side, ticks)}, now_ns)
        else:
            half.remove_order(order.price_ticks, order)
            self._book_changed(order.symbol, {(order.side, order.price_ticks)}, now_ns)
        self._set_hold(money, order, hold)
        order.request, order.price_ticks, order.qty_lots = request, ticks, lots
        self._tell(ExecKind.AMENDED, order, now_ns)
        if not keeps_place:
            self._match(order, takes, now_ns)
        self._flush()
        return order

    def cancel_all(self, account: str, now_ns: int, reason: str = "User requested") -> int:
        """Cancel every open order of an account and return how many there were."""
        self.advance(now_ns)
        orders = self.open_orders(account)
        for order in orders:
            self._end(order, OrderStatus.CANCELED, ExecKind.CANCELED, reason, now_ns)
        self._flush()
        return len(orders)

    def cancel_all_after(self, account: str, at_ns: int) -> None:
        """Arm the dead-man switch: at `at_ns` all orders of the account are cancelled; zero disarms."""
        if at_ns:
            self._dead_man_ns[account] = at_ns
        else:
            self._dead_man_ns.pop(account, None)

    def advance(self, now_ns: int) -> None:
        """Let time pass: expire orders, fire dead-man switches, move transfers on."""
        for order in tuple(self._open.values()):
            if order.request.expire_ns and order.request.expire_ns <= now_ns:
                self._end(order, OrderStatus.EXPIRED, ExecKind.EXPIRED, "Expired", now_ns)
        for account, at_ns in tuple(self._dead_man_ns.items()):
            if at_ns <= now_ns:
                del self._dead_man_ns[account]
                for order in self.open_orders(account):
                    self._end(order, OrderStatus.CANCELED, ExecKind.CANCELED, "Cancel all after", now_ns)
        for transfer in self._transfers:
            self._advance_transfer(transfer, now_ns)
        self._flush()

    def _validate(self, request: OrderRequest, now_ns: int) -> tuple[list[Take], int, str, Decimal]:
        """Return (what it would take, lots, asset to hold, amount to hold). Raises: OrderRejected."""
        instrument = self.instrument(request.symbol)
        status = self._statuses[request.symbol]
        if status in (InstrumentStatus.HALTED, InstrumentStatus.CANCEL_ONLY):
            raise OrderRejected(RejectReason.INSTRUMENT_CLOSED, status)
        if status is InstrumentStatus.POST_ONLY and not request.post_only:
            raise OrderRejected(RejectReason.POST_ONLY_MODE, status)
        if status is InstrumentStatus.LIMIT_ONLY and request.type is OrderType.MARKET:
            raise OrderRejected(RejectReason.INSTRUMENT_CLOSED, status)
        if request.deadline_ns and now_ns > request.deadline_ns:
            raise OrderRejected(RejectReason.DEADLINE_ELAPSED)
        book = self._books[request.symbol]
        rate = self.tier(request.account, now_ns)[1].taker
        if request.type is OrderType.MARKET:
            lots = self._market_lots(request, instrument, book, rate)
        else:
            lots = self._limit_lots(request, instrument)
        limit = None if request.price is None else self.ticks(request.symbol, request.price)
        takes = book.plan(request.side, limit, lots)
        if request.post_only and takes:
            raise OrderRejected(RejectReason.POST_ONLY)
        if request.type is OrderType.MARKET and not takes:
            raise OrderRejected(RejectReason.NO_LIQUIDITY)
        account = self.accounts.get(request.account)
        if len(self.open_orders(request.account)) >= self.policy.orders_open_max:
            raise OrderRejected(RejectReason.ORDERS_LIMIT)
        if self.policy.client_ids is ClientIdRule.UNIQUE_OPEN and request.client_order_id:
            named = self.orders_by_client_id(request.account, request.client_order_id)
            if any(order.is_open for order in named):
                raise OrderRejected(RejectReason.DUPLICATE_CLIENT_ID, request.client_order_id)
        asset, hold = self._hold_for(request, instrument, takes, lots, rate)
        if hold > account.available(asset):
            raise OrderRejected(RejectReason.INSUFFICIENT_FUNDS, f"{asset} {account.available(asset)} < {hold}")
        return takes, lots, asset, hold

    def _limit_lots(self, request: OrderRequest, instrument: Instrument) -> int:
        price = request.price
        if price is None or price <= 0:
            raise OrderRejected(RejectReason.INVALID_PRICE)
        if not is_multiple(price, instrument.tick_size):
            raise OrderRejected(RejectReason.TICK_SIZE, str(price))
        lots = self._checked_lots(request.qty, instrument)
        if price * request.qty < instrument.notional_min:
            raise OrderRejected(RejectReason.NOTIONAL_MIN)
        return lots

    def _checked_lots(self, qty: Decimal, instrument: Instrument) -> int:
        if qty <= 0 or qty < instrument.qty_min:
            raise OrderRejected(RejectReason.QTY_MIN, str(qty))
        if instrument.qty_max and qty > instrument.qty_max:
            raise OrderRejected(RejectReason.QTY_MAX, str(qty))
        if not is_multiple(qty, instrument.qty_step):
            raise OrderRejected(RejectReason.QTY_STEP, str(qty))
        return _scaled(qty, instrument.qty_decimals)

    def _market_lots(self, request: OrderRequest, instrument: Instrument, book: MatchingBook, rate: Decimal) -> int:
        if request.quote_qty is None:
            return self._checked_lots(request.qty, instrument)
        # spend so much quote, fee included: walk the book and round the last level down to a step
        left, qty = request.quote_qty, ZERO
        for take in book.plan(request.side, None, 10**30):
            price = self.price(request.symbol, take.price)
            here = min(self.qty(request.symbol, take.lots), left / (price * (1 + rate)))
            qty += here
            left -= here * price * (1 + rate)
            if left <= 0:
                break
        return self._checked_lots(floor_to_step(qty, instrument.qty_step), instrument)

    def _hold_for(
        self, request: OrderRequest, instrument: Instrument, takes: list[Take], lots: int, rate: Decimal
    ) -> tuple[str, Decimal]:
        """Return what an order reserves: base for a sell; quote with the taker fee for a buy."""
        if request.side is Side.SELL:
            return instrument.base, self.qty(request.symbol, lots)
        if request.price is None:
            cost = sum(
                (self.price(request.symbol, take.price) * self.qty(request.symbol, take.lots) for take in takes), ZERO
            )
        else:
            cost = request.price * self.qty(request.symbol, lots)
        # every fill rounds its fee on its own: one last unit per possible fill keeps the hold sufficient
        slack = Decimal(len(takes) + 1).scaleb(-self.policy.fee_decimals)
        return instrument.quote, cost + fee_of(cost, rate, self.policy.fee_decimals, ROUND_CEILING) + slack

    def _match(self, order: SimOrder, takes: list[Take], now_ns: int) -> None:
        request = order.request
        if request.tif is TimeInForce.FOK and sum(take.lots for take in takes) < order.qty_lots:
            self._end(order, OrderStatus.CANCELED, ExecKind.CANCELED, "Fill or kill not filled", now_ns)
            return
        if any(take.maker is not None and take.maker.account == order.account for take in takes):
            # own orders never trade with each other: the newer one goes (Kraken's default, cancel-newest)
            first = next(at for at, take in enumerate(takes) if take.maker and take.maker.account == order.account)
            self._take(order, takes[:first], now_ns)
            self._end(order, OrderStatus.CANCELED, ExecKind.CANCELED, "Self trade prevention", now_ns)
            return
        self._take(order, takes, now_ns)
        if not order.is_open:
            return
        if request.type is OrderType.MARKET or request.tif is not TimeInForce.GTC:
            self._end(order, OrderStatus.CANCELED, ExecKind.CANCELED, "Immediate or cancel", now_ns)
            return
        book = self._books[order.symbol]
        book.half(order.side).add(order.price_ticks, Entry(order, order.left_lots))
        self._book_changed(order.symbol, {(order.side, order.price_ticks)}, now_ns)

    def _take(self, order: SimOrder, takes: list[Take], now_ns: int) -> None:
        """Execute a plan for a customer's order: one fill per entry met."""
        if not takes:
            return
        book = self._books[order.symbol]
        book.consume(order.side, takes)
        for take in takes:
            printed = self._print(order.symbol, take, order.side, order.request.type, now_ns)
            self._fill(order, take, Liquidity.TAKER, printed)
            if take.maker is not None:
                self._fill(take.maker, take, Liquidity.MAKER, printed)
        self._book_changed(order.symbol, {(order.side.opposite, take.price) for take in takes}, now_ns)

    def _print(self, symbol: str, take: Take, side: Side, order_type: OrderType, now_ns: int) -> TradePrint:
        print_id = self._print_ids[symbol]
        self._print_ids[symbol] += 1
        printed = TradePrint(
            symbol=symbol,
            print_id=print_id,
            price=self.price(symbol, take.price),
            qty=self.qty(symbol, take.lots),
            taker_side=side,
            order_type=order_type,
            ts_ns=now_ns,
        )
        kept = self._prints[symbol]
        kept.append(printed)
        if len(kept) > 2_000:
            del kept[:1_000]
        self._pending.append(printed)
        return printed

    def _fill(self, order: SimOrder, take: Take, liquidity: Liquidity, printed: TradePrint) -> None:
        """Book one execution: fill, money, hold, events; ends the order when it is complete."""
        instrument = self.instruments[order.symbol]
        account = self.accounts.get(order.account)
        price, qty, now_ns = printed.price, printed.qty, printed.ts_ns
        cost = price * qty
        if order.price_ticks:
            ensure(
                crosses(order.side, order.price_ticks, take.price), "filled worse than the limit", order=order.order_id
            )
        rate = rate_of(self.tier(order.account, now_ns)[1], liquidity)
        fee = fee_of(cost, rate, self.policy.fee_decimals)
        fill = SimFill(
            trade_id=self.policy.trade_id(self._rng),
            print_id=printed.print_id,
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            account=order.account,
            symbol=order.symbol,
            side=order.side,
            price=price,
            qty=qty,
            cost=cost,
            fee=fee,
            fee_asset=instrument.quote,
            liquidity=liquidity,
            ts_ns=now_ns,
            order_type=order.request.type,
        )
        order.filled_lots += take.lots
        ensure(order.filled_lots <= order.qty_lots, "filled more than asked", order=order.order_id)
        order.filled_qty += qty
        order.cost += cost
        order.fee += fee
        order.fills.append(fill)
        self._fills.setdefault(order.account, []).append(fill)
        self._set_hold(account, order, self._hold_left(order, qty, cost, fee))
        sign = order.side.sign
        moves = ((instrument.base, qty * sign, ZERO), (instrument.quote, -cost * sign, fee))
        self._tell(ExecKind.TRADE, order, now_ns, fill)
        for asset, amount, charged in moves:
            self._move(order.account, asset, amount, LedgerKind.TRADE, fill.trade_id, CROWD, now_ns, charged)
        account.volume.add(now_ns, cost)
        if order.left_lots == 0:
            self._end(order, OrderStatus.FILLED, ExecKind.FILLED, "", now_ns)

    def _hold_left(self, order: SimOrder, qty: Decimal, cost: Decimal, fee: Decimal) -> Decimal:
        """Return what stays reserved after a fill; a buy keeps enough for the rest at its limit price."""
        if order.left_lots == 0:
            return ZERO
        if order.side is Side.SELL:
            return order.hold - qty
        spent = order.hold - cost - fee
        if order.request.price is None:
            return max(ZERO, spent)
        # price improvement is released: the rest needs no more than its own share of the first hold
        first = order.hold * order.left_lots / (order.left_lots + self.lots(order.symbol, qty))
        share = ceil_to_step(first, Decimal(1).scaleb(-self.policy.fee_decimals))
        return max(ZERO, min(spent, share))

    def _set_hold(self, account: Account, order: SimOrder, hold: Decimal) -> None:
        account.change_hold(order.hold_asset, hold - order.hold)
        order.hold = hold

    def _end(self, order: SimOrder, status: OrderStatus, kind: ExecKind, reason: str, now_ns: int) -> None:
        """Bring an order to its terminal state: out of the book, hold released."""
        book = self._books[order.symbol]
        queue = book.half(order.side).levels.get(order.price_ticks, ())
        if status is not OrderStatus.FILLED and any(entry.owner is order for entry in queue):
            book.half(order.side).remove_order(order.price_ticks, order)
            self._book_changed(order.symbol, {(order.side, order.price_ticks)}, now_ns)
        self._set_hold(self.accounts.get(order.account), order, ZERO)
        order.status = status
        order.reason = reason
        order.closed_ns = now_ns
        self._open.pop(order.order_id, None)
        self._tell(kind, order, now_ns, reason=reason)

    def _tell(
        self, kind: ExecKind, order: SimOrder, now_ns: int, fill: SimFill | None = None, reason: str = ""
    ) -> None:
        self._pending.append(
            Execution(
                kind=kind,
                order=order,
                filled_qty=order.filled_qty,
                cost=order.cost,
                fee=order.fee,
                ts_ns=now_ns,
                fill=fill,
                reason=reason,
            )
        )

    def _book_changed(self, symbol: str, places: Iterable[tuple[Side, int]], now_ns: int) -> None:
        book = self._books[symbol]
        ensure(not book.is_crossed(), "book crossed", venue=self.name, symbol=symbol)
        levels = tuple((side, price, book.half(side).total(price)) for side, price in sorted(places))
        self._pending.append(BookChanged(symbol=symbol, levels=levels, ts_ns=now_ns))

    # --- the synthetic market --------------------------------------------------------------------------------------

    def set_market(self, symbol: str, levels: Iterable[tuple[Side, int, int]], now_ns: int) -> None:
        """Set what the market offers at each (side, ticks, lots); zero takes the level away.

        Where a new market order would cross a customer's resting order, it trades with it first, and only the rest is
        placed. Where it would cross the market's own other side, that side gives way: a market never crosses itself.
        """
        book = self._books[symbol]
        touched: set[tuple[Side, int]] = set()
        ordered = sorted(levels, key=lambda level: level[2] != 0)  # removals first
        for side, ticks, lots in ordered:
            half = book.half(side)
            left = lots
            if lots and crosses_best(book, side, ticks):
                gone, used = self._market_meets(symbol, side, ticks, lots, now_ns)
                touched |= gone
                left -= used
            half.set_market(ticks, left)
            touched.add((side, ticks))
        self._book_changed(symbol, touched, now_ns)
        self._flush()

    def replace_market(
        self, symbol: str, bids: Iterable[tuple[int, int]], asks: Iterable[tuple[int, int]], now_ns: int
    ) -> None:
        """Make the market's whole offer exactly these (ticks, lots), as a snapshot does."""
        book = self._books[symbol]
        levels: list[tuple[Side, int, int]] = []
        for side, wanted in ((Side.BUY, dict(bids)), (Side.SELL, dict(asks))):
            half = book.half(side)
            levels += [(side, price, 0) for price in half.prices if price not in wanted and half.market_lots(price)]
            levels += [(side, price, lots) for price, lots in wanted.items()]
        self.set_market(symbol, levels, now_ns)

    def market_trade(self, symbol: str, side: Side, lots: int, now_ns: int, limit: int | None = None) -> int:
        """Let the market itself take up to `lots` from the book, customers' orders included; return what it took."""
        book = self._books[symbol]
        takes = book.plan(side, limit, lots)
        if not takes:
            return 0
        self._market_take(symbol, side, takes, now_ns)
        self._book_changed(symbol, {(side.opposite, take.price) for take in takes}, now_ns)
        self._flush()
        return sum(take.lots for take in takes)

    def _market_take(self, symbol: str, side: Side, takes: list[Take], now_ns: int) -> None:
        self._books[symbol].consume(side, takes)
        for take in takes:
            printed = self._print(symbol, take, side, OrderType.MARKET, now_ns)
            if take.maker is not None:
                self._fill(take.maker, take, Liquidity.MAKER, printed)

    def _market_meets(
        self, symbol: str, side: Side, ticks: int, lots: int, now_ns: int
    ) -> tuple[set[tuple[Side, int]], int]:
        """Clear the way for a market level: its own other side gives way, customers in the way are traded with.

        Returns the places that changed and the lots used up. A customer's order larger than the level keeps the
        market out altogether.
        """
        book = self._books[symbol]
        against = book.half(side.opposite)
        in_way = [price for price in against.best_first() if crosses(side, ticks, price)]
        for price in in_way:
            against.set_market(price, 0)
        takes = book.plan(side, ticks, lots)
        if takes:
            self._market_take(symbol, side, takes, now_ns)
        return {(side.opposite, price) for price in in_way}, sum(take.lots for take in takes)

    # --- what the venue says of itself and its wallets ---------------------------------------------------------------

    def status_word(self) -> str:
        """Return what the venue says of itself: online, maintenance, cancel_only, post_only or limit_only."""
        return "maintenance" if self._stands(FaultName.MAINTENANCE) else self.system_status

    def is_frozen(self) -> bool:
        """Return whether withdrawals stand still."""
        return self.withdrawals_frozen or self._stands(FaultName.WITHDRAWALS_FROZEN)

    def takes(self, asset: str, network: str) -> bool:
        """Return whether deposits of an asset on a network are credited now."""
        return not self._is_closed(asset, network, deposits=True)

    def pays(self, asset: str, network: str) -> bool:
        """Return whether withdrawals of an asset on a network are taken now."""
        return not self.is_frozen() and not self._is_closed(asset, network, deposits=False)

    def _is_closed(self, asset: str, network: str, *, deposits: bool) -> bool:
        return (asset, network, deposits) in self.wallets_closed or self._stands(
            FaultName.WALLET_CLOSED, asset, network
        )

    def _stands(self, name: FaultName, asset: str = "", network: str = "") -> bool:
        return any(
            one.name is name and one.asset in ("", asset) and one.network in ("", network) for one in self.standing
        )

    def deposit_address(self, account: str, asset: str, network: str) -> str:
        """Return where deposits go now. It is made from its parts, so that a config file can name it beforehand."""
        turns = self._rotations.get((account, asset, network), 0)
        turns += self._stands(FaultName.ADDRESS_ROTATED, asset, network)
        text = f"sim-{self.name}-{asset.lower()}-{network}-{account}"
        return f"{text}-{turns}" if turns else text

    def rotate_address(self, account: str, asset: str, network: str) -> str:
        """Give out another deposit address from now on; the old one is nobody's any more."""
        key = (account, asset, network)
        self._rotations[key] = self._rotations.get(key, 0) + 1
        return self.deposit_address(account, asset, network)

    def owner_of(self, transfer: Transfer) -> str | None:
        """Return the account that another venue's withdrawal would reach here, if one has this very address."""
        asset, network = transfer.asset, transfer.network
        if network not in networks_of(asset):
            return None
        for account in self.accounts.names():
            if transfer.address == self.deposit_address(account, asset, network):
                return account
        return None

    # --- transfers -------------------------------------------------------------------------------------------------

    def announce_deposit(self, account: str, sent: Transfer, amount: Decimal, now_ns: int) -> Transfer:
        """Show a payment that is on its way to us, unconfirmed; `amount` is what will be credited."""
        transfer = Transfer(
            reference=chance.word(self._rng, 27),
            account=account,
            asset=sent.asset,
            is_deposit=True,
            amount=amount,
            fee=ZERO,
            address=sent.address,
            address_key="",
            txid=sent.txid,
            status=TransferStatus.PENDING,
            created_ns=now_ns,
            updated_ns=now_ns,
            network=sent.network,
            tag=sent.tag,
            is_on_chain=True,
        )
        self._transfers.append(transfer)
        self._transfer_changed(transfer, now_ns)
        self._flush()
        return transfer

    def credit_deposit(self, transfer: Transfer, now_ns: int) -> None:
        """Book an announced deposit."""
        ensure(transfer.status is TransferStatus.PENDING, "deposit is not pending", reference=transfer.reference)
        self._book_deposit(transfer, transfer.amount, now_ns)
        self._moved_on(transfer, TransferStatus.SUCCESS, now_ns)

    def reverse_deposit(self, transfer: Transfer, now_ns: int) -> bool:
        """Take a credited deposit back; False while the account cannot pay it."""
        if self.accounts.get(transfer.account).available(transfer.asset) < transfer.amount:
            return False
        self._book_deposit(transfer, -transfer.amount, now_ns)
        self._moved_on(transfer, TransferStatus.FAILURE, now_ns)
        return True

    def confirm_withdrawal(self, transfer: Transfer, now_ns: int) -> None:
        """Call a broadcast withdrawal done."""
        if transfer.status is TransferStatus.SETTLED:
            self._moved_on(transfer, TransferStatus.SUCCESS, now_ns)

    def replace_txid(self, transfer: Transfer, now_ns: int) -> None:
        """Give a transfer another transaction id."""
        transfer.txid = self._txid()
        self._moved_on(transfer, transfer.status, now_ns)

    def replace_deposit_txid(self, reference: str, txid: str, now_ns: int) -> None:
        """Show an announced deposit under the transaction id it has now."""
        for transfer in self._transfers:
            if transfer.reference == reference:
                transfer.txid = txid
                self._moved_on(transfer, transfer.status, now_ns)

    def _moved_on(self, transfer: Transfer, status: TransferStatus, now_ns: int) -> None:
        transfer.status, transfer.updated_ns = status, now_ns
        self._transfer_changed(transfer, now_ns)
        self._flush()

    def _book_deposit(self, transfer: Transfer, amount: Decimal, now_ns: int) -> None:
        self._move(transfer.account, transfer.asset, amount, LedgerKind.DEPOSIT, transfer.reference, OUTSIDE, now_ns)

    def deposit(
        self, account: str, asset: str, amount: Decimal, now_ns: int, *, address: str = "", txid: str = ""
    ) -> Transfer:
        """Announce a deposit; it is credited when it reaches SUCCESS."""
        transfer = Transfer(
            reference=chance.word(self._rng, 27),
            account=account,
            asset=asset,
            is_deposit=True,
            amount=amount,
            fee=ZERO,
            address=address,
            address_key="",
            txid=txid or self._txid(),
            status=TransferStatus.INITIAL,
            created_ns=now_ns,
            updated_ns=now_ns,
            network=networks_of(asset)[0],
        )
        self._transfers.append(transfer)
        self._transfer_changed(transfer, now_ns)
        self._flush()
        return transfer

    def withdraw(
        self,
        account: str,
        asset: str,
        amount: Decimal,
        fee: Decimal,
        now_ns: int,
        *,
        address: str,
        address_key: str = "",
        client_reference: str = "",
        network: str = "",
        tag: str = "",
    ) -> Transfer:
        """Start a withdrawal: `amount + fee` leaves the balance at once. Without a network it takes the asset's first.

        Raises: TransferRefused.

        A repeated `client_reference` returns the first transfer.
        """
        for known in self._transfers:
            if client_reference and known.client_reference == client_reference and known.account == account:
                return known
        route = network or networks_of(asset)[0]
        if route not in networks_of(asset):
            raise TransferRefused("unknown_network")
        if self.is_frozen():
            raise TransferRefused("frozen")
        if not self.pays(asset, route):
            raise TransferRefused("closed")
        if amount <= 0:
            raise TransferRefused("below_minimum")
        if amount + fee > self.accounts.get(account).available(asset):
            raise TransferRefused("insufficient_funds")
        transfer = Transfer(
            reference=chance.word(self._rng, 27),
            account=account,
            asset=asset,
            is_deposit=False,
            amount=amount,
            fee=fee,
            address=address,
            address_key=address_key,
            txid="",
            status=TransferStatus.INITIAL,
            created_ns=now_ns,
            updated_ns=now_ns,
            client_reference=client_reference,
            network=route,
            tag=tag,
        )
        self._transfers.append(transfer)
        self._move(account, asset, -amount, LedgerKind.WITHDRAWAL, transfer.reference, OUTSIDE, now_ns, fee)
        self._transfer_changed(transfer, now_ns)
        self._flush()
        return transfer

    def fail_transfer(self, reference: str, now_ns: int) -> bool:
        """End a transfer as failed, if it is not yet over; a withdrawal's money returns. Returns whether it was ended."""
        ended = False
        for transfer in self._transfers:
            if transfer.reference == reference and transfer.status in _NEXT_TRANSFER_STATUS:
                ended = True
                transfer.status = TransferStatus.FAILURE
                transfer.updated_ns = now_ns
                if not transfer.is_deposit:
                    self._move(
                        transfer.account,
                        transfer.asset,
                        transfer.amount + transfer.fee,
                        LedgerKind.WITHDRAWAL,
                        reference,
                        OUTSIDE,
                        now_ns,
                    )
                self._transfer_changed(transfer, now_ns)
        self._flush()
        return ended

    def _advance_transfer(self, transfer: Transfer, now_ns: int) -> None:
        step_ns = self.policy.transfer_step_ms * 1_000_000
        if transfer.is_on_chain:
            return
        while transfer.status in _NEXT_TRANSFER_STATUS and transfer.updated_ns + step_ns <= now_ns:
            if self.is_frozen() and not transfer.is_deposit:
                return
            transfer.status = _NEXT_TRANSFER_STATUS[transfer.status]
            transfer.updated_ns += step_ns
            if transfer.status is TransferStatus.SETTLED and not transfer.txid:
                transfer.txid = self._txid()
            if transfer.status is TransferStatus.SUCCESS and transfer.is_deposit:
                self._book_deposit(transfer, transfer.amount, now_ns)
            self._transfer_changed(transfer, now_ns)
            if transfer.status is TransferStatus.SETTLED and not transfer.is_deposit and self.chains is not None:
                transfer.is_on_chain = True
                self.chains.broadcast(self, transfer, now_ns)
                return

    def _transfer_changed(self, transfer: Transfer, now_ns: int) -> None:
        self._pending.append(TransferChanged(transfer=transfer, status=transfer.status, ts_ns=now_ns))

    def _txid(self) -> str:
        return f"{self._rng.getrandbits(256):064x}"

    # --- proof -----------------------------------------------------------------------------------------------------

    def check_invariants(self) -> None:
        """Prove conservation, holds and book order. Raises: InvariantBroken."""
        self.accounts.check()
        for name in self.accounts.names():
            account = self.accounts.get(name)
            holds: dict[str, Decimal] = {}
            for order in self.open_orders(name):
                holds[order.hold_asset] = holds.get(order.hold_asset, ZERO) + order.hold
            for asset, hold in account.holds.items():
                ensure(holds.get(asset, ZERO) == hold, "holds and orders differ", account=name, asset=asset)
        for symbol, book in self._books.items():
            ensure(not book.is_crossed(), "book crossed", symbol=symbol)


def crosses_best(book: MatchingBook, side: Side, ticks: int) -> bool:
    """Return whether a new level would meet the other side."""
    best = book.half(side.opposite).best()
    return best is not None and crosses(side, ticks, best)


def _scaled(number: Decimal, decimals: int) -> int:
    scaled = number.scaleb(decimals)
    whole = int(scaled)
    ensure(whole == scaled, "more decimals than the instrument has", number=number, decimals=decimals)
    return whole
