"""One replay: the daemon's own sequencer, engine, strategy and ledger on a virtual clock, with pretend venues.

The flow: the scanner (market/scan.py) applies recorded messages until one is worth the engine's attention, or until
something of ours falls due (an order arrives, an answer comes back, a timer fires). The clock is set there, the engine
gets its event, and what it wants is carried out by the venues of sim/replayed.py after their delays. All messages of
one nanosecond come before what is due at it. Nothing reads ahead: what happens at t depends on rows up to t.

The tape ends like a run of the daemon: no new arbs, what is open is finished against the last books within the same
limits, then RunEnded.

A strategy that wants to be asked about any book is asked at most every `look_ms`: at the first message after a rest, and
when the rest is over about what moved meanwhile; sooner only when the touch of a book changes on which an order depends
that rests. Whether messages are chosen by the compiled scan or here, one by one, the moments are the same.
"""

from __future__ import annotations

import decimal
import gc
import hashlib
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

import msgspec
import numpy as np

from arbot import __version__
from arbot.backtest.collect import Collector
from arbot.backtest.funding import IN_TRANSIT, Funding
from arbot.backtest.progress import Progress, Silent
from arbot.backtest.result import Replayed, Scanned, Scenario
from arbot.backtest.scenario import VenueModel, chance_of
from arbot.backtest.stock import Stock
from arbot.domain.commands import (
    CancelAllOrders,
    CancelOrder,
    CancelTimer,
    Command,
    QueryOrder,
    RaiseAlert,
    RequestAccountSnapshot,
    RequestTransfers,
    ResyncBook,
    SetTimer,
    StopRun,
    SubmitOrder,
    SubmitTransfer,
)
from arbot.domain.decisions import Outcome
from arbot.domain.errors import ensure
from arbot.domain.events import (
    BooksMoved,
    ClockSkewMeasured,
    Envelope,
    Event,
    FeedConnected,
    FeesLoaded,
    InstrumentsLoaded,
    OperatorRequested,
    OrderSent,
    RateBudgetChanged,
    ReconciliationEnded,
    RunEnded,
    RunStarted,
    Stream,
    Verb,
)
from arbot.domain.ids import Asset, InstrumentId, RunId, VenueId
from arbot.domain.order import Side, TimeInForce
from arbot.domain.units import WIDE, ZERO
from arbot.engine.config import EngineConfig
from arbot.engine.engine import Engine
from arbot.engine.strategy import Strategy
from arbot.ledger.accounts import venue_assets
from arbot.ledger.posting import Ledger
from arbot.market.books import Books, scaled
from arbot.market.layout import Words
from arbot.market.scan import CANDIDATE, CHUNK_ENDED, DUE, NEVER, WATCHED, Scanner
from arbot.market.stream import KIND_MASK, SIDE_UNKNOWN, Kind, Rows
from arbot.ports import Record
from arbot.runtime.clock import NS_PER_MS, NS_PER_S, VirtualClock
from arbot.runtime.screening import BookScreen
from arbot.runtime.sequencer import Sequencer
from arbot.runtime.timers import Timers
from arbot.sim.replayed import ReplayedVenue

BUDGET_LOOK_NS = 100 * NS_PER_MS  # while a rate limit leaves no room, it is looked at again this often
FEES_LOOK_NS = 60 * NS_PER_S
END_GRACE_NS = 5 * NS_PER_S
_ENCODER = msgspec.json.Encoder()
_INSTANT = (TimeInForce.IOC, TimeInForce.FOK)


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay is told, beside the rows: the same for every scenario but `scenario` and `models`."""

    config: EngineConfig
    strategy: Strategy
    config_digest: str
    models: Mapping[VenueId, VenueModel]
    balances: Mapping[VenueId, Mapping[Asset, Decimal]]
    scenario: Scenario
    seed: int
    sample_ns: int
    funding: Funding
    first_ts_ns: int = 0  # earlier rows only fill the books
    wakes_always: bool = False  # the engine is asked at every message: slow, and for proofs
    watchers: tuple[Callable[[Envelope, Outcome], None], ...] = ()  # see every step after the collector


class Journal:
    """The store of a replay: a running digest of what a daemon would have journaled, and nothing on disk."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def commit(self, records: Sequence[Record]) -> None:
        """Take records into the digest: event, commands and decisions, field by field."""
        for record in records:
            self._digest.update(_ENCODER.encode(record.envelope))
            self._digest.update(_ENCODER.encode(record.outcome))

    def digest(self) -> str:
        """Return the SHA-256 so far."""
        return self._digest.hexdigest()


class Replay:
    """A replay under way. Make it, call `run` once."""

    def __init__(self, stock: Stock, terms: Terms) -> None:
        self.terms = terms
        self.stock = stock
        self.books = Books()
        self.books.add_all((listed.instrument, listed.depth) for listed in stock.streams)
        self.scanner = Scanner(self.books)
        if terms.wakes_always:
            self.scanner.wake_always()
        self._look_ns = terms.strategy.look_ms * NS_PER_MS
        self._look_at_ns = 0
        self._is_look_set = False
        if self._look_ns:
            self.scanner.pace(0)
        self.clock = VirtualClock(0)
        self.journal = Journal()
        self.ledger = Ledger()
        self.engine = Engine(terms.config, terms.strategy, self.books)
        self.timers = Timers(self.clock, lambda fired: self.tell((fired,)))
        self.venues = {venue: self._venue(venue) for venue in terms.config.venues}
        self.collector = Collector(
            ccy=terms.config.ccy,
            instruments=tuple(listed.instrument for listed in stock.streams),
            market=self.books,
            balances=self._holdings,
            scenario=terms.scenario,
            limits=terms.config.limits,
        )
        self.sequencer = Sequencer(
            clock=self.clock,
            engine=self.engine,
            ledger=self.ledger,
            store=self.journal,  # type: ignore[arg-type] - of a Store the sequencer uses commit alone
            screen=BookScreen(
                self.books, {}, terms.strategy.edge_net_bps_min
            ),  # not asked: the scanner stands in for it
            dispatch=self._dispatch,
            observe=self._observe,
            broken=lambda _error: None,  # what broke it is raised to whoever runs the replay
        )
        self._is_stale = True  # mutes and watches have to be told anew
        self._resting: set[InstrumentId] = set()
        self._without_room: set[InstrumentId] = set()
        self._is_begun = self._is_stopped = False
        self._rows = self._rows_before = self._first_ts_ns = self._last_ts_ns = 0
        self._before: dict[str, int] = {}  # what the scanner had counted when the engine came
        self._do = {
            SubmitOrder: self._submit,
            CancelOrder: lambda command: self.venues[command.venue].cancel(command),
            QueryOrder: lambda command: self.venues[command.venue].query(command),
            CancelAllOrders: lambda command: self.venues[command.venue].cancel_all(),
            RequestAccountSnapshot: lambda command: self.tell((self.venues[command.venue].snapshot(),)),
            SubmitTransfer: lambda command: self.terms.funding.submit(command.approved),
            RequestTransfers: lambda command: self.terms.funding.report(command.venue),
            SetTimer: self.timers.set,
            CancelTimer: self.timers.cancel,
            ResyncBook: lambda _: None,  # a recording cannot be asked for a snapshot
            RaiseAlert: lambda _: None,  # the collector has seen it with the outcome
            StopRun: lambda _: self._stop(),
        }

    # --- the whole of it ----------------------------------------------------------------------------------------------

    def run(self, progress: Progress | None = None) -> Replayed:
        """Replay all rows and return what came of it. Raises: InvariantBroken when a promise of the engine breaks."""
        with decimal.localcontext(WIDE):  # the ambient one belongs to others: ccxt changes its rounding when imported
            return self._run(progress or Silent())

    def _run(self, progress: Progress) -> Replayed:
        progress.start(self.terms.scenario.value, self.stock.rows)
        gc.freeze()  # what was imported stays: no collection of what the engine leaves behind need look at it again
        try:
            for chunk in self.stock.chunks():
                self._take(chunk)
                progress.advance(self._rows)
            if self._is_begun:
                self._end()
        finally:
            gc.unfreeze()
        return self.collector.replayed(
            digest=self.journal.digest(),
            now_ns=self.clock.now_ns(),
            windows=self._windows(),
            bests=self.scanner.best_edges(),
            instrument=self.books.instrument,
            ledger_matches_venues=self._ledger_matches(),
            deposits=self.terms.funding.paid_in,
            transfer_costs=self.terms.funding.costs,
        )

    def scanned(self) -> Scanned:
        """Return what the tape was since the engine was there."""
        counts = {name: count - self._before.get(name, 0) for name, count in self.scanner.counts().items()}
        return Scanned(
            rows=self._rows - self._rows_before,
            messages=counts["messages"],
            candidates=counts["candidates"] + counts["muted"],
            first_ts_ns=self._first_ts_ns,
            last_ts_ns=self._last_ts_ns,
            instruments=tuple(listed.instrument.id for listed in self.stock.streams),
            crossed=counts["crossed"],
            one_sided=counts["one_sided"],
        )

    def tell(self, events: tuple[Event, ...]) -> None:
        """Give the engine events now."""
        self.sequencer.submit(events)

    def _take(self, chunk: Rows) -> None:
        """Go through one chunk; before the first time of interest only the books see it."""
        if not len(chunk):
            return
        self._rows += len(chunk)
        first_ts_ns = max(self.terms.first_ts_ns, int(chunk.recv_ts_ns[0]))
        self._last_ts_ns = int(chunk.recv_ts_ns[-1])
        self.scanner.feed(chunk)
        if not self._is_begun:
            self.scanner.mute(NEVER, ())
            while self.scanner.run(first_ts_ns - 1) in (CANDIDATE, WATCHED):
                pass  # every message is one when the engine is to be woken always
            if self._last_ts_ns < first_ts_ns:
                return
            self._first_ts_ns = first_ts_ns
            self._before = self.scanner.counts()
            self._rows_before = self._rows - len(chunk) + self.scanner.rows_done
            self._begin(first_ts_ns)
        self._play()

    def _windows(self) -> Words:
        """Return the windows since the engine was there, those that had begun before cut off."""
        windows = self.scanner.windows(self.clock.now_ns())
        windows = windows[windows[:, 3] > self._first_ts_ns]
        windows[:, 2] = np.maximum(windows[:, 2], self._first_ts_ns)
        return windows

    def after(self, delay_ns: int, call: Callable[[], None]) -> None:
        """Make the call so many ns from now."""
        self.clock.call_at(self.clock.now_ns() + max(0, delay_ns), call)

    def value(self, asset: Asset, qty: Decimal) -> Decimal:
        """Return what that is worth now in the reporting currency. Raises: InvariantBroken when no book prices it."""
        rate = self.engine.state.rate(asset)
        ensure(rate is not None, "money moved in an asset that no book prices", asset=asset)
        return qty * (rate or ZERO)

    def _holdings(self) -> dict[VenueId, dict[Asset, Decimal]]:
        held = {venue: one.totals() for venue, one in self.venues.items()}
        in_transit = self.terms.funding.in_transit()
        return held | ({IN_TRANSIT: in_transit} if in_transit else {})

    def _begin(self, first_ts_ns: int) -> None:
        """Start as the daemon does after a clean recovery: everything known, nothing open."""
        self._is_begun = self._is_stale = True
        self.clock.advance_to(first_ts_ns - 1)
        terms = self.terms
        self.tell(
            (
                RunStarted(
                    run_id=RunId("backtest"),
                    epoch=1,
                    code_version=__version__,
                    config_digest=terms.config_digest,
                    mode="backtest",
                ),
            )
        )
        for venue, pretend in self.venues.items():
            instruments = tuple(one.instrument for one in self.stock.streams if one.instrument.venue == venue)
            self.tell((InstrumentsLoaded(venue=venue, instruments=instruments),))
            self._learn_fees(pretend.fees())
            self.tell(
                (
                    FeedConnected(venue=venue, stream=Stream.MARKET),
                    FeedConnected(venue=venue, stream=Stream.ACCOUNT),
                    ClockSkewMeasured(venue=venue, skew_ms=0, rtt_ms=0),
                    pretend.snapshot(),
                    ReconciliationEnded(venue=venue, differences=0),
                )
            )
        self.terms.funding.begin(self)
        self._sample_later()
        self._ask_fees_later()

    def _play(self) -> None:
        """Go through the rest of the chunk."""
        scanner, clock = self.scanner, self.clock
        while True:
            if self._is_stale:
                self._refresh()
            due_ns = clock.due_ns()
            reason = scanner.run(NEVER if due_ns is None else due_ns)
            if reason == CHUNK_ENDED:
                return
            if reason == DUE:
                clock.advance_to(due_ns or 0)
                continue
            message = scanner.message
            clock.stand_at(int(message.recv_ts_ns[-1]))
            instrument = self.books.instrument(scanner.book)
            self._tell_resting(message, instrument.id)
            if reason == CANDIDATE and self._look_ns:
                if self._is_due() or (self.scanner.is_touched and instrument.id in self.engine.quoted()):
                    self._look()
            elif reason == CANDIDATE:
                self.sequencer.submit((BooksMoved(instruments=(instrument.id,)),))

    def _is_due(self) -> bool:
        """Return whether a paced strategy may be asked about any book again."""
        return self.clock.now_ns() >= max(self._look_at_ns, self.engine.deaf_until_ns())

    def _look(self) -> None:
        """Ask a paced strategy about all books that moved, and again after its rest if more do."""
        moved = tuple(self.books.instrument(index).id for index in self.scanner.take_moved())
        if not moved:
            return
        self._look_at_ns = self.clock.now_ns() + self._look_ns
        self.scanner.pace(self._look_at_ns)
        self.sequencer.submit((BooksMoved(instruments=moved),))
        if not self._is_look_set:
            self._is_look_set = True
            self.clock.call_at(self._look_at_ns, self._look_later)

    def _look_later(self) -> None:
        self._is_look_set = False
        if self._is_due():
            self._look()
        elif self.clock.now_ns() < self._look_at_ns:  # a touch was looked at meanwhile: the rest began anew
            self._is_look_set = True
            self.clock.call_at(self._look_at_ns, self._look_later)

    def _end(self) -> None:
        """Open nothing more, finish what is open against the last books, and end the run."""
        execution = self.terms.config.execution
        limit_ns = self.clock.now_ns() + execution.leg_deadline_ms * NS_PER_MS
        limit_ns += execution.hedge_seconds_max * NS_PER_S + END_GRACE_NS
        self.collector.sample(self.clock.now_ns())
        self.terms.funding.end()
        self.tell((OperatorRequested(verb=Verb.DRAIN, actor="backtest", reason="the tape has ended"),))
        while not self._is_stopped:
            due_ns = self.clock.due_ns()
            if due_ns is None or due_ns > limit_ns:
                break
            self.clock.advance_to(due_ns)
        self.tell((RunEnded(reason="the tape has ended", open_orders=sum(1 for _ in self.engine.state.live_orders())),))
        self.sequencer.flush()
        self.collector.sample(self.clock.now_ns())

    # --- what the engine wants ----------------------------------------------------------------------------------------

    def _dispatch(self, commands: Sequence[Command]) -> None:
        for command in commands:
            self._do[type(command)](command)  # type: ignore[operator]

    def _observe(self, envelope: Envelope, outcome: Outcome) -> None:
        if outcome.commands or not isinstance(envelope.event, BooksMoved):
            self._is_stale = True
        self.collector.observe(envelope, outcome)
        for watch in self.terms.watchers:
            watch(envelope, outcome)

    def _submit(self, command: SubmitOrder) -> None:
        intent = command.approved.intent
        self.tell((OrderSent(client_order_id=intent.client_order_id),))
        self.venues[intent.venue].submit(command.approved)
        if intent.tif not in _INSTANT:
            self._resting.add(intent.instrument)
        self._look_at_budget(intent.venue)

    def _stop(self) -> None:
        self._is_stopped = True

    def _look_at_budget(self, venue: VenueId) -> None:
        """Tell the engine when a venue's rate limit has no room for an arb, and look again until it has."""
        pretend, is_short = self.venues[venue], False
        for listed in self.stock.streams:
            instrument = listed.instrument
            if instrument.venue == venue:
                has_room = pretend.has_arb_budget(instrument.id)
                if has_room == (instrument.id in self._without_room):
                    (self._without_room.discard if has_room else self._without_room.add)(instrument.id)
                    self.tell((RateBudgetChanged(instrument=instrument.id, has_room=has_room),))
                is_short |= not has_room
        if is_short:
            self.after(BUDGET_LOOK_NS, lambda: self._look_at_budget(venue))

    # --- the pretend venues -------------------------------------------------------------------------------------------

    def _venue(self, venue: VenueId) -> ReplayedVenue:
        terms = self.terms
        return ReplayedVenue(
            venue=venue,
            market=self.books,
            instruments=[one.instrument for one in self.stock.streams if one.instrument.venue == venue],
            model=terms.models[venue],
            balances=terms.balances[venue],
            chance=chance_of(terms.seed, venue),
            now_ns=self.clock.now_ns,
            after=self.after,
            tell=self.tell,
            consume=self._consume,
        )

    def _consume(self, instrument_id: InstrumentId, side: Side, price: Decimal, qty: Decimal) -> None:
        """Show in the book that we took something, until the recording sets that level again."""
        index = self.books.index(instrument_id)
        instrument = self.books.instrument(index)
        key = -side.sign * scaled(price, instrument.price_decimals)
        is_there = self.scanner.take(index, key, scaled(qty, instrument.qty_decimals))
        ensure(is_there, "took what was not in the book", instrument=instrument_id, price=price, qty=qty)

    def _tell_resting(self, message: Rows, instrument_id: InstrumentId) -> None:
        """Let orders that rest on this book see what was traded and how it stands now."""
        if instrument_id not in self._resting:
            return
        index = self.books.index(instrument_id)
        instrument = self.books.instrument(index)
        pretend = self.venues[instrument.venue]
        for key, qty, tag in zip(message.key.tolist(), message.qty.tolist(), message.tag.tolist(), strict=True):
            if tag & KIND_MASK == Kind.TRADE:
                sides = (Side.BUY, Side.SELL) if tag & SIDE_UNKNOWN else ((Side.BUY,) if key > 0 else (Side.SELL,))
                price = Decimal(abs(key)).scaleb(-instrument.price_decimals)
                for taker_side in sides:
                    pretend.on_trade(instrument_id, price, Decimal(qty).scaleb(-instrument.qty_decimals), taker_side)
        if int(message.tag[0]) & KIND_MASK != Kind.TRADE:
            pretend.on_book(instrument_id)
        self._is_stale = True

    def _ask_fees_later(self) -> None:
        def ask() -> None:
            for pretend in self.venues.values():
                fees = pretend.fees_changed()
                if fees is not None:
                    self._learn_fees(fees)
            self._ask_fees_later()

        self.after(FEES_LOOK_NS, ask)

    def _learn_fees(self, fees: FeesLoaded) -> None:
        for fee in fees.fees:
            self.books.set_taker_rate(self.books.index(fee.instrument), fee.taker)
        self.scanner.review_all()
        self.tell((fees,))

    def _sample_later(self) -> None:
        def sample() -> None:
            self.collector.sample(self.clock.now_ns())
            self._sample_later()

        self.after(self.terms.sample_ns, sample)

    # --- the scanner's view of the engine -----------------------------------------------------------------------------

    def _refresh(self) -> None:
        """Tell the scanner where the engine is deaf, and which books have orders of ours resting on them."""
        self._is_stale = False
        for instrument_id in tuple(self._resting):
            index = self.books.index(instrument_id)
            is_watched = self.venues[self.books.instrument(index).venue].watches(instrument_id)
            self.scanner.watch(index, is_watched=is_watched)
            has_live = any(order.intent.instrument == instrument_id for order in self.engine.state.live_orders())
            if not is_watched and not has_live:
                self._resting.discard(instrument_id)
        index_of = self.books.index
        if self._look_ns:
            self.scanner.quote(index_of(one) for one in self.engine.quoted())
        self.scanner.mute(
            self.engine.deaf_until_ns(),
            [(index_of(buy), index_of(sell), until) for buy, sell, until in self.engine.resting_routes()],
        )

    def _ledger_matches(self) -> bool:
        return all(
            self.ledger.balance(venue_assets(venue), asset) == total
            for venue, pretend in self.venues.items()
            for asset, total in pretend.totals().items()
        )
