"""A gateway that trades on paper: real public books, pretend fills, pretend money.

Rules of the file:
- An order meets the book as it stands when it *arrives* (`latency_ms` after submit), level by level, each fill at that
  level's own price: never better than the book, never beyond the limit price.
- What we took stays taken. The live book does not know of our fills, so a level offers us its quantity less what we
  took of it, until the venue adds to it. A level that shrinks offers no more than what is left.
- IOC, FOK and post-only. What rests reserves what it may cost, queues behind what was displayed on its arrival, and is
  filled at its own price when a print or the other side of the live book gets to it (resting.py); whoever runs this
  shows it prints and books that moved.
- An order that meets a book which cannot be trusted expires unfilled; it is not guessed at.
- Ids are derived from the client order id, so they are unique over restarts without any memory.
- Numbers are exact: fee = qty x price x taker rate in quote, unrounded.
The pretend account lives and dies with the process; whoever starts it says what it holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

import msgspec

from arbot.domain.commands import CancelOrder, QueryOrder
from arbot.domain.errors import VenueRefused, ensure
from arbot.domain.events import (
    CancelRejected,
    Event,
    NetworksReported,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderStatusReported,
    RejectCode,
    TradePrinted,
    TransferRejected,
    TransferReported,
    VenueStatusReported,
)
from arbot.domain.ids import Asset, ClientOrderId, InstrumentId, TradeId, VenueId, VenueOrderId
from arbot.domain.instrument import Balance, FeeRate, Instrument
from arbot.domain.order import Approved, Fill, Liquidity, OrderIntent, OrderState, Side, TimeInForce
from arbot.domain.transfer import ApprovedTransfer, DepositAddress, Network, VenueStatus
from arbot.domain.units import ZERO, Amount
from arbot.engine.market_view import Level, MarketView
from arbot.ports import Clock, KeyPermissions, OpenOrder
from arbot.sim.fees import FeeTier
from arbot.sim.order_checks import first_refusal, is_within, missing_funds, product, worst_cost
from arbot.sim.resting import PlacedOrder, by_priority, move_up, opposes, place_of, printed

LEVELS_MAX = 1_000  # deeper than any book a venue streams that an arb would walk
_TIFS = (TimeInForce.IOC, TimeInForce.FOK, TimeInForce.POST_ONLY)


class _Left(NamedTuple):
    """What a level still offers us: `seen` is the venue's quantity when we last looked."""

    seen: Decimal
    left: Decimal


class PaperGateway:
    """Offer the Gateway protocol of one venue on paper.

    `instruments` and `fees` are the venue's own, loaded by whoever builds this; `balances` is what the pretend account
    starts with: an asset of an instrument that is not listed starts at zero.
    """

    def __init__(
        self,
        *,
        venue: VenueId,
        market: MarketView,
        clock: Clock,
        instruments: Iterable[Instrument],
        fees: Iterable[FeeRate],
        balances: Iterable[Balance],
        latency_ms: int,
    ) -> None:
        ensure(latency_ms >= 0, "latency is negative", latency_ms=latency_ms)
        self.venue = venue
        self._market = market
        self._clock = clock
        self._instruments = {instrument.id: instrument for instrument in instruments}
        self._fees = {rate.instrument: rate for rate in fees}
        self._totals: dict[Asset, Decimal] = {balance.asset: balance.total for balance in balances}
        for instrument in self._instruments.values():
            self._totals.setdefault(instrument.base, ZERO)
            self._totals.setdefault(instrument.quote, ZERO)
        self._latency_s = latency_ms / 1000
        self._taken: dict[tuple[InstrumentId, Side], dict[Decimal, _Left]] = {}
        self._answers: dict[ClientOrderId, tuple[Event, ...]] = {}
        self._on_their_way: set[ClientOrderId] = set()
        self._fills: list[Fill] = []
        self._placed: dict[ClientOrderId, PlacedOrder] = {}  # every order that rests or has rested

    async def load_instruments(self) -> tuple[Instrument, ...]:
        """Return the instruments this was given."""
        return tuple(self._instruments.values())

    async def fetch_fees(self) -> tuple[FeeRate, ...]:
        """Return the rates this was given."""
        return tuple(self._fees.values())

    async def fetch_balances(self) -> tuple[Balance, ...]:
        """Return every asset of the pretend account, also those at zero."""
        return tuple(
            Balance(asset=asset, total=total, reserved=total - self._available(asset))
            for asset, total in sorted(self._totals.items())
        )

    async def fetch_open_orders(self) -> tuple[OpenOrder, ...]:
        """Return what rests."""
        return tuple(
            OpenOrder(
                client_order_id=name,
                venue_order_id=_order_id(name),
                instrument=order.intent.instrument,
                filled_qty=order.filled_qty,
                state=order.state,
            )
            for name, order in self._placed.items()
            if not order.state.is_terminal
        )

    async def fetch_fills(self, since_ns: int) -> tuple[Fill, ...]:
        """Return this process's fills at or after `since_ns`, oldest first."""
        return tuple(fill for fill in self._fills if fill.venue_ts_ns >= since_ns)

    async def fetch_transfers(self, since_ns: int) -> tuple[TransferReported, ...]:  # noqa: ARG002
        """Return nothing: no money moves to or from a pretend account."""
        return ()

    async def fetch_status(self) -> VenueStatusReported:
        """Return that the pretend venue is there."""
        return VenueStatusReported(venue=self.venue, status=VenueStatus.ONLINE, detail="paper")

    async def fetch_networks(self, assets: Sequence[Asset]) -> NetworksReported:  # noqa: ARG002
        """Return nothing: no money moves to or from a pretend account."""
        return NetworksReported(venue=self.venue, networks=())

    async def fetch_deposit_address(self, asset: Asset, network: Network) -> DepositAddress:
        """Refuse: a pretend account has no address. Raises: VenueRefused."""
        raise VenueRefused(self.venue, f"a pretend account takes no deposits of {asset} on {network}")

    async def withdraw(self, approved: ApprovedTransfer) -> tuple[Event, ...]:
        """Refuse: there is nothing to send."""
        refused = "never sent: a pretend account has no money to send"
        return (TransferRejected(transfer=approved.intent.transfer, detail=refused),)

    async def fetch_permissions(self) -> KeyPermissions:
        """Return that one may trade here and nothing else."""
        return KeyPermissions(can_trade=True, can_withdraw=False, account=f"paper:{self.venue}", raw=("paper",))

    async def fetch_time_ns(self) -> int:
        """Return our own clock: the pretend venue has no other."""
        return self._clock.now_ns()

    def has_arb_budget(self, instrument: Instrument) -> bool:  # noqa: ARG002 - the port asks per instrument
        """Return True: a pretend account has no rate limit of its own."""
        return True

    async def submit(self, approved: Approved) -> tuple[Event, ...]:
        """Carry the order to the book and return all that came of it: refused, or accepted with its fills and its end.

        The same client order id again returns the first answer and trades nothing.
        """
        intent = approved.intent
        name = intent.client_order_id
        if name in self._answers:
            return self._answers[name]
        if name in self._on_their_way:
            return (OrderRejected(client_order_id=name, code=RejectCode.OTHER, detail="the same order is on its way"),)
        self._on_their_way.add(name)
        try:
            await self._clock.sleep(self._latency_s)
            self._answers[name] = self._arrive(intent)
        finally:
            self._on_their_way.discard(name)
        return self._answers[name]

    async def cancel(self, command: CancelOrder) -> tuple[Event, ...]:
        """End a resting order when the request has arrived, and say so."""
        await self._clock.sleep(self._latency_s)
        order = self._placed.get(command.client_order_id)
        if order is None or order.state.is_terminal:
            return (CancelRejected(client_order_id=command.client_order_id, detail="it does not rest"),)
        return (self._cancel(order),)

    async def cancel_all(self) -> int:
        """End all that rests; whoever asks about the orders is told."""
        for order in self._placed.values():
            if not order.state.is_terminal:
                self._cancel(order)
        return 0

    # --- the book moves ----------------------------------------------------------------------------------------------

    def on_trade(self, print_: TradePrinted) -> tuple[Event, ...]:
        """Let what rests take part in a public trade; return what came of it."""
        told: list[Event] = []
        qty = print_.qty
        for order in self._resting(print_.instrument):
            if opposes(order, print_.taker_side):
                part = printed(order, print_.price, qty, self._instruments[print_.instrument].qty_step)
                qty -= part
                told += self._fill_resting(order, part)
        return tuple(told)

    def on_book(self, instrument: InstrumentId) -> tuple[Event, ...]:
        """Let what rests move up in its queue and trade with what is displayed at or through its price."""
        told: list[Event] = []
        if self._market.state(instrument).is_valid:
            for order in self._resting(instrument):
                move_up(order, place_of(self._market, order.intent))
                left = msgspec.structs.replace(order.intent, qty=order.left)
                steps = self._walk(left, self._instruments[instrument])
                self._take(left, steps)
                told += self._fill_resting(order, sum((step.qty for step in steps), ZERO))
        return tuple(told)

    def _resting(self, instrument: InstrumentId) -> list[PlacedOrder]:
        open_there = [
            order
            for order in self._placed.values()
            if order.intent.instrument == instrument and not order.state.is_terminal
        ]
        return by_priority(open_there)

    def _fill_resting(self, order: PlacedOrder, qty: Decimal) -> tuple[Event, ...]:
        if qty <= 0:
            return ()
        intent, rate = order.intent, self._fees[order.intent.instrument]
        step, number = Level(intent.limit_price, qty), len(order.fills)
        fill = self._fill(intent, rate.maker, Liquidity.MAKER, step, number, self._clock.now_ns())
        order.fills.append(fill)
        order.left -= qty
        order.state = OrderState.PART_FILLED if order.left else OrderState.FILLED
        self._pay(intent, [fill])
        return (OrderFilled(fill=fill),)

    def _cancel(self, order: PlacedOrder) -> OrderCanceled:
        order.state = OrderState.CANCELED
        name = order.intent.client_order_id
        return OrderCanceled(client_order_id=name, filled_qty=order.filled_qty, reason="asked for")

    def _available(self, asset: Asset) -> Decimal:
        """Return what of an asset no resting order may cost."""
        held = ZERO
        for order in self._placed.values():
            if not order.state.is_terminal:
                paid_in, needed = worst_cost(order.intent, order.left, max(order.tier.maker, ZERO))
                held += needed if paid_in == asset else ZERO
        return self._totals[asset] - held

    # --- what became of an order -------------------------------------------------------------------------------------

    async def query(self, command: QueryOrder) -> tuple[Event, ...]:
        """Return the fills and the end of an order; nothing while it is on its way.

        An order this process never saw is reported REJECTED: the pretend account is here or nowhere, so it had no effect.
        """
        name = command.client_order_id
        if name in self._on_their_way:
            return ()
        fills = tuple(event for event in self._answers.get(name, ()) if isinstance(event, OrderFilled))
        end = self._answers[name][-1] if name in self._answers else None
        placed = self._placed.get(name)
        state = _END_STATES[type(end)] if placed is None else placed.state
        if placed is not None:
            fills = tuple(OrderFilled(fill=fill) for fill in placed.fills)
        status = OrderStatusReported(
            client_order_id=name,
            state=state,
            venue_order_id=None if state is OrderState.REJECTED else _order_id(name),
            filled_qty=sum((event.fill.qty for event in fills), ZERO),
            asked_ts_ns=self._clock.now_ns(),
        )
        return (*fills, status)

    async def close(self) -> None:
        """Release nothing: there is no connection."""

    # --- the pretend venue -------------------------------------------------------------------------------------------

    def _arrive(self, intent: OrderIntent) -> tuple[Event, ...]:
        """Match an order against the book as it stands now."""
        name = intent.client_order_id
        instrument = self._instruments.get(intent.instrument)
        rate = self._fees.get(intent.instrument)
        if instrument is None or rate is None:
            return (OrderRejected(client_order_id=name, code=RejectCode.OTHER, detail="unknown instrument or fee"),)
        now_ns = self._clock.now_ns()
        refusal = first_refusal(intent, instrument, now_ns, _TIFS) or missing_funds(
            intent, max(rate.maker, ZERO) if intent.tif.rests else rate.taker, self._available
        )
        if refusal is not None:
            return (OrderRejected(client_order_id=name, code=refusal.code, detail=refusal.detail),)

        accepted = OrderAccepted(client_order_id=name, venue_order_id=_order_id(name))
        if not self._market.state(intent.instrument).is_valid:
            expired = OrderExpired(client_order_id=name, filled_qty=ZERO, reason="the book cannot be trusted now")
            return (accepted, expired)
        if intent.tif.rests:
            return self._rest(intent, rate, accepted)
        steps = self._walk(intent, instrument)
        filled = sum((step.qty for step in steps), ZERO)
        if intent.tif is TimeInForce.FOK and filled < intent.qty:
            return (accepted, OrderExpired(client_order_id=name, filled_qty=ZERO, reason="fill or kill"))
        fills = [
            self._fill(intent, rate.taker, Liquidity.TAKER, step, number, now_ns) for number, step in enumerate(steps)
        ]
        self._take(intent, steps)
        self._pay(intent, fills)
        events: list[Event] = [accepted, *(OrderFilled(fill=fill) for fill in fills)]
        if filled < intent.qty:
            events.append(OrderExpired(client_order_id=name, filled_qty=filled, reason="immediate or cancel"))
        return tuple(events)

    def _walk(self, intent: OrderIntent, instrument: Instrument) -> list[Level]:
        """Return the parts of the book the order takes, best first, in whole steps of quantity."""
        levels = self._market.levels(intent.instrument, intent.side, LEVELS_MAX)
        offers = self._offers(intent.instrument, intent.side, levels)
        wanted, steps = intent.qty, []
        for price, offer in offers.items():
            if not wanted or (price - intent.limit_price) * intent.side.sign > 0:
                break
            qty = min(wanted, offer.left)
            qty -= qty % instrument.qty_step
            if qty > 0:
                steps.append(Level(price, qty))
                wanted -= qty
        return steps

    def _offers(self, instrument: InstrumentId, side: Side, levels: tuple[Level, ...]) -> dict[Decimal, _Left]:
        """Return what each level still offers us, and forget levels that are gone."""
        before = self._taken.get((instrument, side), {})
        offers = {}
        for price, qty in levels:
            seen, left = before.get(price, _Left(qty, qty))
            offers[price] = _Left(qty, left + (qty - seen) if qty > seen else min(left, qty))
        self._taken[instrument, side] = {price: offer for price, offer in offers.items() if offer.left < offer.seen}
        return offers

    def _rest(self, intent: OrderIntent, rate: FeeRate, accepted: OrderAccepted) -> tuple[Event, ...]:
        """Put a post-only order into its queue, or refuse one that would take."""
        name = intent.client_order_id
        best = self._market.best(intent.instrument, intent.side)
        if best is not None and is_within(best.price, intent.limit_price, intent.side):
            told = "the book offers its price"
            return (OrderRejected(client_order_id=name, code=RejectCode.POST_ONLY_WOULD_TAKE, detail=told),)
        order = PlacedOrder(intent, FeeTier(ZERO, rate.maker, rate.taker), intent.qty)
        move_up(order, place_of(self._market, intent))
        self._placed[name] = order
        return (accepted,)

    def _take(self, intent: OrderIntent, steps: list[Level]) -> None:
        """Take the levels out of the book as we see it."""
        taken = self._taken[intent.instrument, intent.side]
        quantities = {
            level.price: level.qty for level in self._market.levels(intent.instrument, intent.side, LEVELS_MAX)
        }
        for price, qty in steps:
            seen, left = taken.get(price, _Left(quantities[price], quantities[price]))
            taken[price] = _Left(seen, left - qty)

    def _pay(self, intent: OrderIntent, fills: list[Fill]) -> None:
        """Move the money."""
        for fill in fills:
            self._totals[intent.base] += fill.base_delta
            self._totals[intent.quote] += fill.quote_delta
        self._fills.extend(fills)

    def _fill(  # noqa: PLR0917 - what a fill is made of
        self, intent: OrderIntent, rate: Decimal, liquidity: Liquidity, step: Level, number: int, now_ns: int
    ) -> Fill:
        name = intent.client_order_id
        return Fill(
            venue=self.venue,
            instrument=intent.instrument,
            base=intent.base,
            quote=intent.quote,
            client_order_id=name,
            venue_order_id=_order_id(name),
            trade_id=TradeId(f"paper-{name}-{number}"),
            side=intent.side,
            qty=step.qty,
            price=step.price,
            fee=Amount(product(step.qty, step.price, rate), intent.quote),
            liquidity=liquidity,
            venue_ts_ns=now_ns,
        )


def _order_id(name: ClientOrderId) -> VenueOrderId:
    return VenueOrderId(f"paper-{name}")


_END_STATES: dict[type, OrderState] = {
    type(None): OrderState.REJECTED,
    OrderRejected: OrderState.REJECTED,
    OrderFilled: OrderState.FILLED,
    OrderExpired: OrderState.EXPIRED,
}
