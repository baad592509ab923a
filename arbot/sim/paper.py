"""A gateway that trades on paper: real public books, pretend fills, pretend money.

Rules of the file:
- An order meets the book as it stands when it *arrives* (`latency_ms` after submit), level by level, each fill at that
  level's own price: never better than the book, never beyond the limit price.
- What we took stays taken. The live book does not know of our fills, so a level offers us its quantity less what we
  took of it, until the venue adds to it. A level that shrinks offers no more than what is left.
- IOC and FOK only: nothing of ours ever rests, so nothing is ever reserved, and there is nothing to cancel.
- An order that meets a book which cannot be trusted expires unfilled; it is not guessed at.
- Ids are derived from the client order id, so they are unique over restarts without any memory.
- Numbers are exact: fee = qty x price x taker rate in quote, unrounded.
The pretend account lives and dies with the process; whoever starts it says what it holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from arbot.domain.commands import CancelOrder, QueryOrder
from arbot.domain.errors import VenueRefused, ensure
from arbot.domain.events import (
    CancelRejected,
    Event,
    NetworksReported,
    OrderAccepted,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderStatusReported,
    RejectCode,
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
from arbot.sim.order_checks import first_refusal, missing_funds, product

LEVELS_MAX = 1_000  # deeper than any book a venue streams that an arb would walk
_TIFS = (TimeInForce.IOC, TimeInForce.FOK)


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

    async def load_instruments(self) -> tuple[Instrument, ...]:
        """Return the instruments this was given."""
        return tuple(self._instruments.values())

    async def fetch_fees(self) -> tuple[FeeRate, ...]:
        """Return the rates this was given."""
        return tuple(self._fees.values())

    async def fetch_balances(self) -> tuple[Balance, ...]:
        """Return every asset of the pretend account, also those at zero."""
        return tuple(Balance(asset=asset, total=total) for asset, total in sorted(self._totals.items()))

    async def fetch_open_orders(self) -> tuple[OpenOrder, ...]:
        """Return nothing: no paper order rests."""
        return ()

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
        """Return that there is nothing to cancel."""
        return (CancelRejected(client_order_id=command.client_order_id, detail="a paper order never rests"),)

    async def cancel_all(self) -> int:
        """Return 0: nothing is open."""
        return 0

    async def query(self, command: QueryOrder) -> tuple[Event, ...]:
        """Return the fills and the end of an order; nothing while it is on its way.

        An order this process never saw is reported REJECTED: the pretend account is here or nowhere, so it had no effect.
        """
        name = command.client_order_id
        if name in self._on_their_way:
            return ()
        fills = tuple(event for event in self._answers.get(name, ()) if isinstance(event, OrderFilled))
        end = self._answers[name][-1] if name in self._answers else None
        state = _END_STATES[type(end)]
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
            intent, rate.taker, self._totals.__getitem__
        )
        if refusal is not None:
            return (OrderRejected(client_order_id=name, code=refusal.code, detail=refusal.detail),)

        accepted = OrderAccepted(client_order_id=name, venue_order_id=_order_id(name))
        if not self._market.state(intent.instrument).is_valid:
            expired = OrderExpired(client_order_id=name, filled_qty=ZERO, reason="the book cannot be trusted now")
            return (accepted, expired)
        steps = self._walk(intent, instrument)
        filled = sum((step.qty for step in steps), ZERO)
        if intent.tif is TimeInForce.FOK and filled < intent.qty:
            return (accepted, OrderExpired(client_order_id=name, filled_qty=ZERO, reason="fill or kill"))
        fills = [self._fill(intent, rate, step, number, now_ns) for number, step in enumerate(steps)]
        self._book(intent, steps, fills)
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

    def _book(self, intent: OrderIntent, steps: list[Level], fills: list[Fill]) -> None:
        """Take the levels out of the book as we see it and move the money."""
        taken = self._taken[intent.instrument, intent.side]
        quantities = {
            level.price: level.qty for level in self._market.levels(intent.instrument, intent.side, LEVELS_MAX)
        }
        for price, qty in steps:
            seen, left = taken.get(price, _Left(quantities[price], quantities[price]))
            taken[price] = _Left(seen, left - qty)
        for fill in fills:
            self._totals[intent.base] += fill.base_delta
            self._totals[intent.quote] += fill.quote_delta
        self._fills.extend(fills)

    def _fill(self, intent: OrderIntent, rate: FeeRate, step: Level, number: int, now_ns: int) -> Fill:
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
            fee=Amount(product(step.qty, step.price, rate.taker), intent.quote),
            liquidity=Liquidity.TAKER,
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
