"""The engine: one event in, commands and decisions out. One writer; the same inputs give the same outputs and digest.

It sends nothing, waits for nothing and reads no clock: `ts_ns` of the envelope is the only time there is.
"""

from __future__ import annotations

import datetime as dt
import decimal
import hashlib
from collections.abc import Iterator
from decimal import Decimal
from typing import assert_never

import msgspec

from arbot.domain.commands import CancelAllOrders, RequestAccountSnapshot, ResyncBook, Severity, StopRun
from arbot.domain.decisions import (
    ArbClosed,
    ArbMoved,
    ConversionLeg,
    OpportunityDeclined,
    OpportunitySeen,
    Outcome,
    Reason,
    TradingStateChanged,
)
from arbot.domain.errors import ensure
from arbot.domain.events import (
    AccountSnapshotReceived,
    AdjustmentRecorded,
    BookInvalidated,
    BooksMoved,
    CancelRejected,
    ClockSkewMeasured,
    Envelope,
    Event,
    FeedConnected,
    FeedDisconnected,
    FeesLoaded,
    HistoryImported,
    InstrumentsLoaded,
    LotOrderRecorded,
    LotsPicked,
    NetworksReported,
    OperatorRequested,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderRestored,
    OrderSent,
    OrderStatusReported,
    RateBudgetChanged,
    ReconciliationEnded,
    RejectCode,
    RequestOutcomeUnknown,
    RunEnded,
    RunStarted,
    StandingRestored,
    Stream,
    TimerFired,
    TradePrinted,
    TransferAccepted,
    TransferOutcomeUnknown,
    TransferRejected,
    TransferReported,
    TransferRequested,
    TransferRestored,
    TransferSent,
    VenueStatusReported,
    Verb,
)
from arbot.domain.ids import Asset, ClientOrderId, InstrumentId, VenueId
from arbot.domain.instrument import Instrument, InstrumentStatus
from arbot.domain.order import Fill, OrderState
from arbot.domain.transfer import TransferId
from arbot.domain.units import WIDE, ZERO, Amount, fmt
from arbot.engine import arbs, health, orders, pegs, quotes, transfers, transit, valuation, watchers
from arbot.engine.canonical import canonical
from arbot.engine.config import EngineConfig
from arbot.engine.detector import Detector
from arbot.engine.market_view import MarketView
from arbot.engine.orders import MS
from arbot.engine.risk import evidence, losses, news
from arbot.engine.risk.approve import judge
from arbot.engine.risk.gates import blocks
from arbot.engine.risk.plan import Breach, Plan, planned
from arbot.engine.state import OrderRecord, Standing, State
from arbot.engine.step import Step
from arbot.engine.strategy import Proposal, Quote, Strategy

FOR_EVER_NS = 2**62
BALANCE_SETTLE_MS = 5_000  # a venue's balances may lag its fills by this much
RESYNC_REST_MS = 10_000  # between two requests for the same book
VENUES_NEEDED = 2  # for an arb


class Engine:
    """All decisions of one run."""

    def __init__(self, config: EngineConfig, strategy: Strategy, market: MarketView) -> None:
        self.state = State(config, market)
        self._strategy = strategy
        self._detector = Detector(self.state)
        self._blocked: tuple[Reason, ...] | None = None

    def step(self, envelope: Envelope) -> Outcome:
        """Take one event in and return all that follows from it.

        Raises: InvariantBroken when a promise of the engine does not hold; the shell then cancels everything and stops.
        """
        with decimal.localcontext(WIDE):  # the ambient one belongs to others: ccxt changes its rounding when imported
            self.state.is_stepping = True
            try:
                return self._step(envelope)
            finally:
                self.state.is_stepping = False
                self.state.rates_of_step.clear()

    def _step(self, envelope: Envelope) -> Outcome:
        ensure(envelope.ts_ns >= self.state.now_ns, "time went back", seq=envelope.seq)
        self.state.now_ns = envelope.ts_ns
        step = Step()
        if isinstance(envelope.event, TradePrinted):
            return step.outcome()
        if isinstance(envelope.event, BooksMoved):
            self._look(step, envelope.event)
            return step.outcome()
        self._turn_day()
        self.state.version += 1
        watchers.before(self.state, step, envelope.event)
        self._apply(step, envelope.event)
        self._learn(step)
        self.state.version += 1  # what was asked on the way is not what is
        quotes.review(self.state, step, self._strategy.edge_net_bps_min)
        watchers.after(self.state, step, envelope.event)
        self.state.version += 1
        quotes.review(self.state, step, self._strategy.edge_net_bps_min)
        self._announce(step)
        return step.outcome()

    # --- opportunities ------------------------------------------------------------------------------------------------

    def _look(self, step: Step, event: BooksMoved) -> None:
        quotes.review(self.state, step, self._strategy.edge_net_bps_min, event.instruments)
        wanted: list[Quote] = []
        for proposal in self._strategy.on_books(event.instruments, self._detector):
            if isinstance(proposal, OpportunityDeclined):
                step.decide(proposal)
            elif isinstance(proposal, Proposal):
                self._consider(step, proposal)
            else:
                wanted.append(proposal)
        quotes.settle(self.state, step, wanted, event.instruments, self._strategy.edge_net_bps_min)

    def _consider(self, step: Step, proposal: Proposal) -> None:
        wanted = proposal.conversion
        step.decide(
            OpportunitySeen(
                buy=proposal.buy,
                sell=proposal.sell,
                qty=proposal.qty,
                buy_price=proposal.buy_price,
                sell_price=proposal.sell_price,
                edge_gross_bps=proposal.edge_gross_bps,
                edge_net_bps=proposal.edge_net_bps,
                conversion=None
                if wanted is None
                else ConversionLeg(instrument=wanted.instrument, side=wanted.side, qty=wanted.qty, price=wanted.price),
            )
        )
        plan = planned(self.state, proposal)
        verdict = plan if isinstance(plan, Breach) else self._judge(step, plan)
        if verdict is not None:
            step.decide(
                OpportunityDeclined(
                    buy=proposal.buy,
                    sell=proposal.sell,
                    reason=verdict.reason,
                    value=verdict.value,
                    limit=verdict.limit,
                    edge_net_bps=proposal.edge_net_bps,
                    conversion=None if wanted is None else wanted.instrument,
                )
            )

    def _judge(self, step: Step, plan: Plan) -> Breach | None:
        """Open the arb that the rules leave of a plan, or return why not."""
        verdict = judge(plan)
        if not isinstance(verdict, Breach):
            news.note(self.state, step, plan)
            arbs.open_arb(self.state, step, plan, verdict)
            return None
        if verdict.reason in (Reason.BOOK_AGE_RECV, Reason.BOOK_AGE_VENUE):
            for instrument in plan.instruments:
                self._doubt(step, instrument, verdict)
        return verdict

    def _doubt(self, step: Step, instrument: Instrument, breach: Breach) -> None:
        """Have a book built anew that an edge was seen on and that is too old: frozen, or a stream that says nothing."""
        age_ms = self.state.book_age_ms(instrument)[breach.reason is Reason.BOOK_AGE_VENUE]
        is_old = age_ms < 0 or age_ms > breach.limit
        if is_old and self.state.now_ns >= self.state.resync_after_ns.get(instrument.id, 0):
            self.state.resync_after_ns[instrument.id] = self.state.now_ns + RESYNC_REST_MS * MS
            step.command(ResyncBook(instrument=instrument.id))

    # --- events -------------------------------------------------------------------------------------------------------

    def _apply(self, step: Step, event: Event) -> None:
        match event:
            case (
                OrderSent()
                | OrderAccepted()
                | OrderRejected()
                | RequestOutcomeUnknown()
                | OrderCanceled()
                | OrderExpired()
                | CancelRejected()
                | OrderStatusReported()
            ):
                self._on_order(step, event)
            case OrderFilled():
                self._on_fill(step, event)
            case TimerFired():
                self._on_timer(step, event.key)
            case OperatorRequested():
                self._on_operator(step, event)
            case AccountSnapshotReceived():
                self._on_snapshot(step, event)
            case ReconciliationEnded():
                known = self.state.venue(event.venue)
                known.is_reconciled, known.differences = event.differences == 0, event.detail
            case AdjustmentRecorded():
                valuation.of_adjustment(self.state, step, event)
                step.command(RequestAccountSnapshot(venue=event.venue))
            case InstrumentsLoaded():
                self._on_instruments(event)
            case FeesLoaded():
                self.state.fees.update({fee.instrument: fee for fee in event.fees})
            case FeedConnected():
                self._on_feed(step, event.venue, event.stream, is_up=True)
            case FeedDisconnected():
                self._on_feed(step, event.venue, event.stream, is_up=False)
            case ClockSkewMeasured():
                self.state.venue(event.venue).skew_ms = event.skew_ms
            case RateBudgetChanged():
                self.state.rate_limited.pop(event.instrument, None)
                if not event.has_room:
                    self.state.rate_limited[event.instrument] = None
            case OrderRestored():
                arbs.restore(self.state, step, event)
            case StandingRestored():
                self._on_standing(event)
            case RunStarted():
                self.state.epoch = event.epoch
            case TransferRequested():
                transfers.request(self.state, step, event)
            case TransferSent() | TransferAccepted() | TransferRejected() | TransferOutcomeUnknown():
                transfers.answered(self.state, step, event)
            case TransferReported():
                transfers.reported(self.state, step, event)
                valuation.of_movement(self.state, step, event)
            case TransferRestored():
                transfers.restore(self.state, step, event)
            case NetworksReported():
                transfers.networks_reported(self.state, event)
            case VenueStatusReported():
                pass  # what they say of the venue is for `watchers`
            case BooksMoved() | BookInvalidated() | TradePrinted() | RunEnded():
                pass  # books speak through the MarketView
            case HistoryImported() | LotOrderRecorded() | LotsPicked():
                pass  # for the ledger's readers; nothing is decided on them
            case _:
                assert_never(event)

    def _on_order(
        self,
        step: Step,
        event: OrderSent
        | OrderAccepted
        | OrderRejected
        | RequestOutcomeUnknown
        | OrderCanceled
        | OrderExpired
        | CancelRejected
        | OrderStatusReported,
    ) -> None:
        state = self.state
        order = state.orders.get(event.client_order_id)
        if order is None:
            return  # long finished and forgotten, or of another run: its fills, if any, are looked at as orphans
        match event:
            case OrderSent():
                orders.sent(state, step, order)
            case OrderAccepted():
                orders.accepted(state, step, order, event.venue_order_id)
            case OrderRejected():
                orders.rejected(state, step, order)
                if event.code is RejectCode.MARKET_CLOSED:
                    self._close(step, order.intent.instrument, event.detail)
            case RequestOutcomeUnknown():
                orders.unknown(state, step, order)
            case OrderCanceled():
                orders.ended(state, step, order, OrderState.CANCELED, event.filled_qty)
            case OrderExpired():
                orders.ended(state, step, order, OrderState.EXPIRED, event.filled_qty)
            case CancelRejected():
                orders.cancel_refused(state, step, order)
            case OrderStatusReported():
                orders.reported(state, step, order, event)
        self._advance_arb_of(step, order)

    def _on_fill(self, step: Step, event: OrderFilled) -> None:
        fill = event.fill
        order = self.state.orders.get(fill.client_order_id)
        if order is None:
            orders.orphan(self.state, step, fill)
            self._evidence(step, fill)
            arbs.adopt_orphan(self.state, step, fill)
            return
        if orders.filled(self.state, step, order, fill):
            self._evidence(step, fill)
            arb = self.state.arbs[order.intent.arb_id]
            if arb.is_finished:
                arbs.reopen(self.state, step, arb)
            self._advance_arb_of(step, order)

    def _evidence(self, step: Step, fill: Fill) -> None:
        valuation.try_again(self.state, step)
        valuation.of_fill(self.state, step, fill)

    def _advance_arb_of(self, step: Step, order: OrderRecord) -> None:
        arb = self.state.unfinished.get(order.intent.arb_id)
        if arb is not None:
            arbs.advance(self.state, step, arb)
        self._finish_drain(step)

    def _on_timer(self, step: Step, key: str) -> None:
        kind, _, rest = key.partition(":")
        if kind == "order":
            order = self.state.live.get(ClientOrderId(rest))
            if order is not None:
                orders.query(self.state, step, order)
            return
        if kind == "transfer":
            transfers.on_timer(self.state, step, TransferId(rest))
            return
        arb = arbs.find(self.state, rest)
        if arb is not None:
            if kind == "deadline":
                arbs.deadline(self.state, step, arb)
            elif kind == "quote":
                quotes.watch(self.state, step, arb, self._strategy.edge_net_bps_min)
            else:
                arbs.advance(self.state, step, arb)
        self._finish_drain(step)

    def _on_snapshot(self, step: Step, event: AccountSnapshotReceived) -> None:
        if not self.state.venue(event.venue).has_balances:
            valuation.of_opening(self.state, step, event)
        self._on_balances(event)
        self.state.note_rates()
        valuation.note(self.state)
        valuation.try_again(self.state, step)
        losses.latch(self.state, step)

    def _on_balances(self, event: AccountSnapshotReceived) -> None:
        """Take a venue's word for its balances, unless our own fills there are too fresh for it to know them.

        Orders that rest leave the totals as they are; only what the venue holds for others cannot be told from theirs.
        """
        known = self.state.venue(event.venue)
        is_quiet = not any(not order.is_resting for order in self.state.live_orders(event.venue))
        is_empty = not any(self.state.live_orders(event.venue))
        is_settled = self.state.now_ns - known.last_fill_ts_ns > BALANCE_SETTLE_MS * MS
        if known.is_reconciled and not (is_quiet and is_settled):
            return
        told = {balance.asset: balance.total for balance in event.balances}
        totals = transit.explain(self.state, event.venue, told)
        known.has_balances = True
        known.totals = totals
        if is_empty:
            known.reserved_foreign = {b.asset: b.reserved for b in event.balances if b.reserved}
        elif not is_quiet:
            known.reserved_foreign = {}

    def _on_instruments(self, event: InstrumentsLoaded) -> None:
        state = self.state
        kept = {key: value for key, value in state.instruments.items() if value.venue != event.venue}
        wanted = state.config.instruments
        state.relist(kept | {i.id: i for i in event.instruments if i.id in wanted})
        self._detector.rebuild()

    def _close(self, step: Step, instrument: InstrumentId, detail: str) -> None:
        """Take the venue's word that an instrument is closed until instruments are loaded again.

        Otherwise every further arb would find its other leg alone, and pay for unwinding it.
        """
        known = self.state.instruments.get(instrument)
        if known is not None and known.takes_ioc:
            self.state.instruments[instrument] = msgspec.structs.replace(known, status=InstrumentStatus.CANCEL_ONLY)
            self._detector.rebuild()
            step.alert(Severity.WARNING, "instrument_closed", f"{instrument} takes no orders: {detail}")

    def _on_feed(self, step: Step, venue: VenueId, stream: Stream, *, is_up: bool) -> None:
        known = self.state.venue(venue)
        if stream is Stream.MARKET:
            known.is_market_up = is_up
            return
        known.is_account_up = is_up
        if is_up:
            for order in list(self.state.live_orders(venue)):
                if order.state is not OrderState.INTENDED:
                    orders.query(self.state, step, order)

    def _on_standing(self, event: StandingRestored) -> None:
        self.state.standing = Standing(
            killed=event.killed,
            paused=event.paused,
            latched=dict.fromkeys(event.latched, ZERO),
            day=event.day,
            realised_day=event.realised_day,
            realised_total=event.realised_total,
            realised_peak=event.realised_peak,
            arbs_flat=event.arbs_flat,
            arbs_stranded=event.arbs_stranded,
        )
        self.state.evidence = {seen.instrument: seen for seen in event.evidence}
        self.state.tails.clear()
        self.state.route_tails.clear()
        self.state.carried = {amount.asset: amount.number for amount in event.carried}
        self.state.delays = {(seen.source, seen.asset, seen.network): seen for seen in event.delays}
        self.state.network_fees = {(one.venue, one.asset, one.network): one for one in event.network_fees}

    def _learn(self, step: Step) -> None:
        """Take from the arbs of this step what their legs have taught."""
        for decision in step.decisions:
            arb = self.state.arbs.get(decision.arb_id) if isinstance(decision, (ArbMoved, ArbClosed)) else None
            if arb is not None:
                evidence.learn(self.state, arb, has_ended=isinstance(decision, ArbClosed))

    # --- people -------------------------------------------------------------------------------------------------------

    def _on_operator(self, step: Step, event: OperatorRequested) -> None:
        standing = self.state.standing
        match event.verb:
            case Verb.PAUSE:
                standing.paused = True
            case Verb.RESUME:
                standing.paused = standing.halted = False
            case Verb.HALT:
                standing.paused = standing.halted = True
                self._cancel_all(step)
            case Verb.KILL:
                standing.killed = True
                self._cancel_all(step)
                step.alert(Severity.CRITICAL, "killed", f"killed by {event.actor}: {event.reason}")
            case Verb.UNKILL:
                standing.killed = False
                standing.paused = True  # released, and still a person has to say `resume`
            case Verb.FLATTEN:
                standing.paused, standing.halted = True, False
                arbs.flatten(self.state, step)
            case Verb.RESET_LIMIT:
                self._reset_limit(event.argument)
            case Verb.DRAIN:
                standing.draining = True
                self._finish_drain(step)
            case Verb.QUARANTINE:
                health.hold(self.state, step, VenueId(event.argument), f"{event.actor}: {event.reason}")
            case Verb.RELEASE:
                health.release(self.state, step, VenueId(event.argument))
            case _:
                assert_never(event.verb)

    def _cancel_all(self, step: Step) -> None:
        for venue in self.state.config.venues:
            step.command(CancelAllOrders(venue=venue))

    def _reset_limit(self, limit: str) -> None:
        """Unlatch a limit and measure anew from here: the day's loss from zero, the drawdown from the present total."""
        standing = self.state.standing
        standing.latched.pop(limit, None)
        if limit == Reason.LOSS_DAY:
            standing.realised_day = ZERO
        elif limit == Reason.DRAWDOWN:
            standing.realised_peak = standing.realised_total

    def _finish_drain(self, step: Step) -> None:
        """Once draining and nothing is under way, cancel whatever may be left at the venues and end the run."""
        standing = self.state.standing
        if not standing.draining or standing.drained or self.state.active_arbs() or self.state.live:
            return
        standing.drained = True
        stranded = self.state.stranded_arbs()
        self._cancel_all(step)
        step.command(StopRun(reason=f"drained, {stranded} arbs stranded" if stranded else "drained"))

    # --- standing -----------------------------------------------------------------------------------------------------

    def _turn_day(self) -> None:
        day = dt.datetime.fromtimestamp(self.state.now_ns // 1_000_000_000, dt.UTC).date().isoformat()
        standing = self.state.standing
        if day != standing.day:
            standing.day, standing.realised_day = day, ZERO

    def _announce(self, step: Step) -> None:
        blocked = tuple(self._blocked_by())
        if blocked != self._blocked:
            self._blocked = blocked
            step.decide(TradingStateChanged(may_open=not blocked, reasons=blocked))

    def _blocked_by(self) -> Iterator[Reason]:
        yield from blocks(self.state)
        venues = [self.state.venue(venue) for venue in self.state.config.venues]
        if not all(v.is_market_up and v.is_account_up and v.has_balances for v in venues):
            yield Reason.VENUE_NOT_READY
        if not all(v.is_reconciled for v in venues):
            yield Reason.NOT_RECONCILED
        if sum(1 for one in self.state.config.venues if not health.is_quarantined(self.state, one)) < VENUES_NEEDED:
            yield Reason.VENUE_QUARANTINED

    @property
    def blocked_by(self) -> tuple[Reason, ...]:
        """Why no arb may be opened now; empty when trading."""
        return tuple(self._blocked_by())

    def deaf_until_ns(self) -> int:
        """Return until when no book can make the engine open an arb, unless another event than BooksMoved comes first.

        0 when books matter: always while something rests, because books pull it. A replay need not wake the engine for
        books meanwhile; a live shell may as well.
        """
        if any(True for _ in self.state.quotes()):
            return 0
        full = self.state.active_arbs() >= self.state.config.limits.arbs_open_max
        return FOR_EVER_NS if full or any(blocks(self.state)) else 0

    def quoted(self) -> tuple[InstrumentId, ...]:
        """Return the instruments whose every change at the touch concerns an order of ours that rests."""
        return quotes.quoted(self.state)

    def resting_routes(self) -> Iterator[tuple[InstrumentId, InstrumentId, int]]:
        """Yield (buy, sell, until when) of routes on which no book can make the engine open an arb, as above."""
        busy = dict.fromkeys(order.intent.instrument for order in self.state.live_orders())
        for buy, sell in self._detector.routes(tuple(busy)):
            yield buy.id, sell.id, FOR_EVER_NS
        for (buy_id, sell_id), until_ns in self.state.cool_until_ns.items():
            if until_ns > self.state.now_ns and buy_id not in busy and sell_id not in busy:
                yield buy_id, sell_id, until_ns

    def standing(self) -> StandingRestored:
        """Return what has to outlive the process, for the store."""
        standing = self.state.standing
        carried = dict(self.state.carried)
        for arb in self.state.unfinished.values():
            if arb.is_flush:
                carried[arb.base] = carried.get(arb.base, ZERO) + arb.residual_in
        news_taken, news_blocks = news.taken(self.state)
        return StandingRestored(
            killed=standing.killed,
            paused=standing.paused,
            latched=tuple(standing.latched),
            day=standing.day,
            realised_day=standing.realised_day,
            realised_total=standing.realised_total,
            realised_peak=standing.realised_peak,
            arbs_flat=standing.arbs_flat,
            arbs_stranded=standing.arbs_stranded,
            carried=tuple(Amount(number, asset) for asset, number in carried.items() if number),
            evidence=tuple(self.state.evidence.values()),
            delays=tuple(self.state.delays.values()),
            network_fees=tuple(self.state.network_fees.values()),
            conduct=health.conduct(self.state),
            depegged=pegs.depegged(self.state),
            news=news_taken,
            news_blocks=news_blocks,
        )

    def digest(self) -> str:
        """Return the SHA-256 of everything the engine knows, in a canonical writing; equal states give equal digests.

        Time and the number of steps are not in it: steps that change nothing else are not journaled, and a replay of the
        journal has to come to the same digest.
        """
        state, standing = self.state, self.state.standing
        lines = [f"run {state.epoch} {state.next_arb} {canonical(self.standing())}"]
        lines += [f"flags {standing.halted} {standing.draining}"]
        for name, venue in state.venues.items():
            totals = " ".join(f"{asset}={fmt(total)}" for asset, total in venue.totals.items())
            flags = (venue.is_reconciled, venue.is_market_up, venue.is_account_up, venue.skew_ms)
            lines.append(f"venue {name} {flags} {totals}")
        for order in state.orders.values():
            facts = (order.state.value, fmt(order.filled_qty), order.venue_order_id, order.queries, order.absences)
            lines.append(f"order {order.intent.client_order_id} {facts} {sorted(order.fills)}")
            if order.intent.tif.rests:
                lines[-1] += f" {order.is_unwanted}"
        for arb in state.arbs.values():
            lines.append(f"arb {arb.id} {arb.state.value} {fmt(state.residual(arb))} {arb.tries} {arb.unhedged_ns}")
            if arb.foreign is not None:
                lines[-1] += f" {fmt(state.residual(arb, arb.foreign))} {arb.foreign}"
        lines += transfers.digest_lines(state)
        lines += [f"rate limited {instrument}" for instrument in state.rate_limited]
        lines += [f"fee {fee.instrument} {fmt(fee.taker)} {fmt(fee.maker)}" for fee in state.fees.values()]
        lines += [f"instrument {one.id} {one.status.value}" for one in state.instruments.values()]
        lines += watchers.lines(state)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def knows(self, client_order_id: ClientOrderId) -> bool:
        """Return whether an order is one of this run's, or was restored into it, and is not yet forgotten."""
        return client_order_id in self.state.orders

    def carried(self) -> dict[Asset, Decimal]:
        """Return the sub-minimum residuals of closed arbs, by asset."""
        return dict(self.state.carried)

    def routes(self) -> Iterator[tuple[InstrumentId, InstrumentId]]:
        """Yield every (buy, sell) route there is."""
        for buy, sell in self._detector.routes(tuple(self.state.instruments)):
            yield buy.id, sell.id
