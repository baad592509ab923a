"""The one place where events get their order: number, stamp, step, book, make durable, hand out commands.

Rules:
- `submit` is a plain call. What it causes while it runs is queued behind it, never recursed into.
- Stamps never go back: the larger of the clock and the last stamp.
- A record that carries an order, moves money, ends an order, comes from a person or changes what outlives the process
  is durable before any command of its step is handed out. Everything else follows within `FLUSH_S` or with the
  next such commit, in order.
- A step that raises, or a commit that fails, breaks the sequencer for good: the supervisor is told, nothing more is
  decided, and no command of that step leaves.
- A fill that the ledger has, for an order the engine has forgotten, is old news told again: it goes no further.
- Books that moved are remembered until the end of the burst and given to the engine as one BooksMoved. Such a step is
  recorded only when it did something; what it merely declined is for the observers.
- A paced strategy (`look_ms`) is given what moved at most that often, whatever the screen says; at the end of the burst
  all the same when the touch of a book changed on which an order of ours depends that rests.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from arbot.domain.accounting import Transaction
from arbot.domain.commands import Command, SubmitOrder, SubmitTransfer
from arbot.domain.decisions import Decision, OpportunityDeclined, OpportunitySeen, Outcome
from arbot.domain.errors import InvariantBroken
from arbot.domain.events import (
    AdjustmentRecorded,
    BooksMoved,
    Envelope,
    Event,
    LotOrderRecorded,
    LotsPicked,
    OperatorRequested,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderRestored,
    OrderSent,
    OrderStatusReported,
    ReconciliationEnded,
    RunEnded,
    RunStarted,
    StandingRestored,
    TradePrinted,
    TransferAccepted,
    TransferOutcomeUnknown,
    TransferRejected,
    TransferReported,
    TransferRequested,
    TransferRestored,
    TransferSent,
)
from arbot.domain.ids import ClientOrderId, InstrumentId
from arbot.domain.order import Fill
from arbot.market.screen import APPARENT, CLEARS, QUIET
from arbot.ports import Record, Store
from arbot.runtime.clock import NS_PER_MS, NS_PER_S, Handle, Scheduler
from arbot.runtime.latency import LatencyHistogram

FLUSH_S = 0.05
BURST_MAX = 64  # books remembered before the engine is asked without waiting for the end of the burst

_DURABLE_FIRST = (
    AdjustmentRecorded,
    LotOrderRecorded,
    LotsPicked,
    OperatorRequested,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderRestored,
    OrderStatusReported,
    ReconciliationEnded,
    RunEnded,
    RunStarted,
    TransferRequested,
    TransferSent,
    TransferAccepted,
    TransferRejected,
    TransferOutcomeUnknown,
    TransferRestored,
)
_SENDS = (SubmitOrder, SubmitTransfer)
_MOVES_MONEY = (
    OrderSent,
    TransferSent,
    OrderRejected,
    OrderFilled,
    OrderCanceled,
    OrderExpired,
    TransferReported,
    AdjustmentRecorded,
)
_MARKET = (BooksMoved, TradePrinted)
_ROUTINE = (OpportunityDeclined, OpportunitySeen)


class Engine(Protocol):
    """What the sequencer needs of the engine."""

    def step(self, envelope: Envelope) -> Outcome:
        """Decide."""
        ...

    def standing(self) -> StandingRestored:
        """Return what has to outlive the process."""
        ...

    def knows(self, client_order_id: ClientOrderId) -> bool:
        """Say whether an order is still in the engine's mind."""
        ...

    def quoted(self) -> tuple[InstrumentId, ...]:
        """Return the books on which an order depends that rests."""
        ...


class Ledger(Protocol):
    """What the sequencer needs of the ledger."""

    def apply(self, envelope: Envelope, decisions: Sequence[Decision]) -> tuple[Transaction, ...]:
        """Return what the event means in double entry, given what the engine concluded from it."""
        ...

    def is_booked(self, fill: Fill) -> bool:
        """Say whether a fill was posted before."""
        ...


class Screen(Protocol):
    """What the sequencer needs of the books."""

    def screen(self, index: int) -> int:
        """Say what the best route over this book may be now: market.screen QUIET, APPARENT or CLEARS."""
        ...

    def instrument(self, index: int) -> InstrumentId:
        """Return the instrument of a book."""
        ...

    def recv_ts_ns(self, index: int) -> int:
        """Return when the book's last frame arrived."""
        ...

    def touch(self, index: int) -> tuple[int, int, int]:
        """Return what tells one touch of the book from another."""
        ...


class Edges(Protocol):
    """Who wants to know when an edge that was looked at is gone: a book without one makes no look."""

    @property
    def books(self) -> Mapping[InstrumentId, object]:
        """The books that have one."""
        ...

    def gone(self, instrument: InstrumentId, ts_ns: int) -> None:
        """Take over that an update left a book without one."""
        ...


class NoEdges:
    """Nobody wants to know."""

    books: Mapping[InstrumentId, object] = {}

    def gone(self, instrument: InstrumentId, ts_ns: int) -> None:
        """Do nothing."""


class Sequencer:
    """The EventSink of every feed, poller, timer and request."""

    def __init__(
        self,
        *,
        clock: Scheduler,
        engine: Engine,
        ledger: Ledger,
        store: Store,
        screen: Screen,
        dispatch: Callable[[Sequence[Command]], None],
        observe: Callable[[Envelope, Outcome], None],
        broken: Callable[[Exception], None],
        look_ms: int = 0,
        edges: Edges = NoEdges(),  # noqa: B008 - has no state
    ) -> None:
        self._clock = clock
        self._edges = edges
        self._look_ns = look_ms * NS_PER_MS
        self._looked_ns = 0
        self._burst_due_ns = 0
        self._quoted: tuple[InstrumentId, ...] = ()
        self._touches: dict[int, tuple[int, int, int]] = {}  # of books in `_quoted`, as last seen
        self._engine = engine
        self._ledger = ledger
        self._store = store
        self._screen = screen
        self._dispatch = dispatch
        self._observe = observe
        self._tell_broken = broken
        self._queue: deque[Event] = deque()
        self._waiting: list[Record] = []
        self._flush: Handle | None = None
        self._moved: dict[int, None] = {}
        self._apparent: set[int] = set()  # books whose apparent edge has been told
        self._burst: Handle | None = None
        self._burst_recv_ts_ns = 0
        self._is_stepping = False
        self._standing = engine.standing()
        self._seq = 0
        self._ts_ns = 0
        self.order_steps = 0  # steps that sent, filled or ended an order: balances may have moved
        self.is_broken = False
        self.books_moved = 0
        self.books_awake = 0  # of those, how many were worth a look
        self.latency = LatencyHistogram()  # frame received to decision made
        self.commits = LatencyHistogram()
        self.commit_errors = 0

    @property
    def seq(self) -> int:
        """The number of the last event."""
        return self._seq

    def submit(self, events: Sequence[Event]) -> None:
        """Run events through the engine now, in order. Raises: InvariantBroken once the sequencer is broken."""
        if self.is_broken:
            raise InvariantBroken("the sequencer is broken; nothing is decided any more")
        self._queue.extend(events)
        if self._is_stepping:
            return
        self._is_stepping = True
        try:
            while self._queue:
                self._step(self._queue.popleft())
        except Exception as error:  # whatever it was, state and journal may disagree: the supervisor is told
            self._break(error)
            raise
        finally:
            self._is_stepping = False

    def book_moved(self, book: int) -> None:
        """Remember a book that moved if the screen finds it worth a look; look at the end of the burst.

        An edge that costs eat up is looked at once, when it appears: it is declined with its numbers and counted.
        """
        self.books_moved += 1
        if self.is_broken:
            return
        if self._look_ns:
            self._note_moved(book)
            return
        look = self._screen.screen(book)
        if look != CLEARS and self._edges.books:
            instrument = self._screen.instrument(book)
            if instrument in self._edges.books:
                self._edges.gone(instrument, max(self._ts_ns, self._clock.now_ns()))
        if look != APPARENT:
            self._apparent.discard(book)
        if look == QUIET:
            return
        self.books_awake += 1
        if book in self._apparent:
            return
        if look == APPARENT:
            self._apparent.add(book)
        if not self._moved:
            self._burst_recv_ts_ns = self._screen.recv_ts_ns(book)
        self._moved[book] = None
        if len(self._moved) >= BURST_MAX and not self._is_stepping:
            self.end_burst()
        elif self._burst is None:
            self._burst = self._clock.call_later(0.0, self.end_burst)

    def _note_moved(self, book: int) -> None:
        """Remember a book for the next look of a paced strategy, which is now if an order depends on its touch."""
        now_ns = self._clock.now_ns()
        due_ns = max(self._looked_ns + self._look_ns, now_ns)
        if self._quoted and self._screen.instrument(book) in self._quoted:
            touch = self._screen.touch(book)
            if self._touches.get(book) != touch:
                self._touches[book] = touch
                due_ns = now_ns
        self._moved[book] = None
        if self._burst is not None and self._burst_due_ns <= due_ns:
            return
        if self._burst is not None:
            self._burst.cancel()
        self._burst_due_ns = due_ns
        self._burst_recv_ts_ns = max(self._screen.recv_ts_ns(book), due_ns)
        self._burst = self._clock.call_later((due_ns - now_ns) / NS_PER_S, self.end_burst)

    def end_burst(self) -> None:
        """Ask the engine about the books that moved."""
        if self._burst is not None:
            self._burst.cancel()
            self._burst = None
        if not self._moved or self.is_broken:
            return
        moved = tuple(self._screen.instrument(book) for book in self._moved)
        self.books_awake += len(moved) if self._look_ns else 0
        self._moved.clear()
        self._looked_ns = self._clock.now_ns()
        self.submit((BooksMoved(instruments=moved),))

    def flush(self) -> None:
        """Make durable what has been waiting. Raises: whatever the store raises, after breaking the sequencer."""
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        if not self._waiting or self.is_broken:
            return
        began_ns = self._clock.now_ns()
        try:
            self._store.commit(self._waiting)
        except Exception as error:  # a store that failed once is not written to again: the supervisor is told
            self.commit_errors += 1
            self._break(error)
            raise
        self._waiting = []
        self.commits.add(self._clock.now_ns() - began_ns)

    def _break(self, error: Exception) -> None:
        self._queue.clear()
        if not self.is_broken:
            self.is_broken = True
            self._tell_broken(error)

    def _step(self, event: Event) -> None:
        if isinstance(event, OrderFilled) and self._is_old_news(event.fill):
            return
        self._seq += 1
        self._ts_ns = max(self._ts_ns, self._clock.now_ns())
        envelope = Envelope(self._seq, self._ts_ns, event)
        outcome = self._engine.step(envelope)
        if isinstance(event, BooksMoved):
            self.latency.add(self._clock.now_ns() - self._burst_recv_ts_ns)
        transactions = self._ledger.apply(envelope, outcome.decisions)
        if not isinstance(event, _MARKET) or _did_something(outcome):
            self._record(envelope, outcome, transactions)
            if self._look_ns:
                self._quoted = self._engine.quoted()
        self._observe(envelope, outcome)
        self._dispatch(outcome.commands)

    def _is_old_news(self, fill: Fill) -> bool:
        """Say whether a fill is one we booked for an order the engine has forgotten: to it, it would be an orphan."""
        return not self._engine.knows(fill.client_order_id) and self._ledger.is_booked(fill)

    def _record(self, envelope: Envelope, outcome: Outcome, transactions: tuple[Transaction, ...]) -> None:
        is_sending = any(isinstance(command, _SENDS) for command in outcome.commands)
        if is_sending or isinstance(envelope.event, _MOVES_MONEY):
            self.order_steps += 1
        standing = self._engine.standing()
        is_changed = standing != self._standing
        told = standing.learned_since(self._standing) if is_changed else None
        self._standing = standing
        self._waiting.append(
            Record(
                envelope=envelope,
                outcome=outcome,
                transactions=transactions,
                standing=told,
            )
        )
        if is_changed or transactions or isinstance(envelope.event, _DURABLE_FIRST) or is_sending:
            self.flush()
        elif self._flush is None:
            self._flush = self._clock.call_later(FLUSH_S, self._flush_later)

    def _flush_later(self) -> None:
        self._flush = None
        self.flush()


def _did_something(outcome: Outcome) -> bool:
    return bool(outcome.commands) or any(not isinstance(decision, _ROUTINE) for decision in outcome.decisions)
