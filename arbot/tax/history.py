"""One ordered history out of a store: imported lines and those of arbot's own journal, each event once.

Rules of this file:
- Lines come in the order (instant, journal number), imported ones streamed from the store; the journal's own lines are few
  enough to be kept. What a venue held at first stands before every line of that venue.
- What is open is known before the first line is asked for, and everything is the same on every reading of the same store.
- Standing orders and picks are those in the journal, at the times it has: nothing of the present configuration decides which
  lots go, except who keeps the coins, which is a fact about a venue.
- An allocation of 2025 was carried out when its last line was imported, unless the configuration says when it stood in the
  books. The law's time limits for it (Rev. Proc. 2024-28) are for people to keep.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from heapq import merge
from typing import TYPE_CHECKING, Protocol

import msgspec

from arbot.domain.history import (
    FillLine,
    HistoryLine,
    LotMethod,
    OpeningLine,
    PickedLot,
    Placed,
    SpendLine,
    TransferLine,
)
from arbot.journal import queries
from arbot.journal.history import allocation_lines, history_count, history_pages, known_lines
from arbot.journal.money import lot_methods, money_entries, stored_mode
from arbot.ledger.history.journaled import Entry, Journaled, Picked, Unmatched, read_journal
from arbot.ledger.history.reading import read_stored
from arbot.ledger.history.settling import DIFFERENCE, Settled, settle
from arbot.ledger.lots.policy import AllocationKind, Custody, LotPolicy, Pick, Pool, StandingOrder
from arbot.ledger.lots.words import OpenItem

if TYPE_CHECKING:
    from arbot.journal.store import SqlStore

PRETEND = ("demo", "paper")
IDS_MAX = 500  # in one question to the store


class TaxTerms(Protocol):
    """What the configuration says of taxes that no record says: how lots are pooled, and who keeps which account's coins."""

    @property
    def pool(self) -> str:
        """One of `Pool`."""
        ...

    @property
    def custody(self) -> Mapping[str, str]:
        """One of `Custody` by account; "broker" where it says nothing."""
        ...

    @property
    def allocation_completed_ns(self) -> int:
        """When the allocation of 2025 stood in the books; 0 is when it was imported."""
        ...


class TaxSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Those terms for a ledger without a configuration."""

    pool: Pool = Pool.ACCOUNT
    custody: Mapping[str, Custody] = {}
    allocation_completed_ns: int = 0


def open_history(store: SqlStore, tax: TaxTerms = TaxSettings()) -> History:  # noqa: B008 - frozen
    """Read the journal of a store and settle it with what was imported. Raises: BodyRefused, StoreFailed."""
    mode = stored_mode(store)
    has_imports = bool(history_count(store))
    journaled = _journaled(store, mode)
    twins = _twins(store, journaled) if has_imports else {}
    settled = settle(journaled, twins, lambda: _imported(store), is_pretend=mode in PRETEND)
    if any(item.code == DIFFERENCE for item in settled.items):  # where it began is in snapshots that were not read
        journaled = _journaled(store, mode, has_all_snapshots=True)
        settled = settle(journaled, twins, lambda: _imported(store), is_pretend=mode in PRETEND)
    return History(store, tax, mode, journaled, settled)


class History:
    """The history of one store, made by `open_history`. `mode` is that of its account; `head_hash` is the chain's end."""

    def __init__(self, store: SqlStore, tax: TaxTerms, mode: str, journaled: Journaled, settled: Settled) -> None:
        self._store = store
        self._tax = tax
        self._journaled = journaled
        self._settled = settled
        self.mode = mode
        head = store.head()
        self.head_hash = head.hash
        self.head_seq = head.seq
        self.booked_ns = _booked_ns(store, head.seq)
        self.notes = tuple(settled.notes)
        self.drafts: tuple[str, ...] = tuple(settled.drafts)

    def lines(self) -> Iterator[Placed]:
        """Yield every line in order, from the beginning on every call."""
        own, skipped = self._settled.lines, self._settled.skipped
        lines = _imported(self._store)
        if skipped:
            lines = (placed for placed in lines if placed.line.id not in skipped)
        if not own:
            return lines
        return merge(own, lines, key=_place)

    def lines_of(self, lots: Iterable[str]) -> list[HistoryLine]:
        """Return the lines that acquired these lots, as far as they are known, in the order asked for."""
        names = [lot.removesuffix(":rebate") for lot in lots]
        with self._store.database.read() as connection:
            found = {name: read_stored(known.body) for name, known in known_lines(connection, names).items()}
        own, _ = self.told_by_journal()
        return [line for name in names if (line := found.get(name) or own.get(name)) is not None]

    def told_by_journal(self) -> tuple[dict[str, HistoryLine], dict[str, Unmatched]]:
        """Return the journal's own lines by id, and what came or went without anybody saying where, by id."""
        lines = {placed.line.id: placed.line for placed in (*self._journaled.lines, *self._settled.lines)}
        return lines, {one.id: one for one in self._journaled.unmatched}

    def open_items(self) -> list[OpenItem]:
        """Return what has to be settled or accepted before anything is filed, in the order of the journal."""
        return list(self._settled.items)

    def policy(self, method: LotMethod = LotMethod.FIFO) -> LotPolicy:
        """Return which lots go. `method` is what holds where no order is in the books; one but FIFO is a what-if."""
        picks = self._picks()
        kind, completed_ns = self._allocation() if picks else (None, 0)  # nothing else depends on it
        return LotPolicy(
            method=method,
            pool=Pool(self._tax.pool),
            orders=tuple(
                StandingOrder(
                    method=event.method,
                    recorded_ns=ts_ns,
                    told_broker_ns=ts_ns if event.is_told_to_broker else 0,
                    account=event.venue,
                    asset=event.asset,
                )
                for event, ts_ns in self._journaled.orders
            ),
            picks=picks,
            by_order=self._by_order(),
            custody={account: Custody(keeper) for account, keeper in self._tax.custody.items()},
            allocation=kind,
            allocation_completed_ns=completed_ns,
        )

    def _allocation(self) -> tuple[AllocationKind | None, int]:
        """Return how basis was allocated in 2025, global where any line says so, and when that was carried out (ns)."""
        kinds: dict[AllocationKind, int] = {}
        for body, imported_ns in allocation_lines(self._store):
            line = read_stored(body)
            if isinstance(line, OpeningLine) and line.allocation:
                kind = AllocationKind(line.allocation)
                kinds[kind] = max(imported_ns, kinds.get(kind, 0))
        if not kinds:
            return None, 0
        kind = AllocationKind.GLOBAL if AllocationKind.GLOBAL in kinds else AllocationKind.SPECIFIC
        return kind, self._tax.allocation_completed_ns or kinds[kind]

    def _by_order(self) -> dict[str, StandingOrder]:
        """Return what our orders said, by the line of each fill; in the order of the fills."""
        orders_of = self._journaled.orders_of
        said = lot_methods(self._store) if orders_of else {}
        return {
            line: StandingOrder(method=LotMethod(said[order][0]), recorded_ns=said[order][1])
            for line, order in orders_of.items()
            if order in said
        }

    def _picks(self) -> dict[str, Pick]:
        """Return what was named for each line; what was named anew keeps its forerunners, in case it came too late."""
        lines = {placed.line.id: placed.line for placed in self._settled.lines}
        picks: dict[str, Pick] = {}
        for picked in self._journaled.picks:
            told_ns = picked.ts_ns if picked.event.is_told_to_broker else 0
            for name, lots in _shared_out(picked, lines):
                last = picks.get(name)
                if last is None:
                    picks[name] = Pick(lots=lots, recorded_ns=picked.ts_ns, told_broker_ns=told_ns)
                elif last.lots == lots:  # said again, as when the broker was told: it counts since it was first said
                    picks[name] = msgspec.structs.replace(last, told_broker_ns=last.told_broker_ns or told_ns)
                else:
                    bare = msgspec.structs.replace(last, before=())
                    picks[name] = Pick(
                        lots=lots, recorded_ns=picked.ts_ns, told_broker_ns=told_ns, before=(bare, *last.before)
                    )
        return picks


def _journaled(store: SqlStore, mode: str, *, has_all_snapshots: bool = False) -> Journaled:
    entries = (
        Entry(entry.seq, entry.record.envelope, entry.record.outcome.decisions, entry.record.transactions)
        for entry in money_entries(store, has_all_snapshots=has_all_snapshots)
    )
    return read_journal(entries, is_pretend=mode in PRETEND)


def _booked_ns(store: SqlStore, seq: int) -> int:
    """Return when a journal was last written, by its last entry and its runs; 0 when nothing is in it."""
    with store.database.read() as connection:
        times = [entry.ts_ns for entry in queries.journal_page(connection, seq - 1, limit=1)]
    return max([*times, *(max(run.started_ns, run.ended_ns) for run in store.runs())], default=0)


def _imported(store: SqlStore) -> Iterator[Placed]:
    for page in history_pages(store):
        yield from [Placed(read_stored(body), ts_ns, seq) for ts_ns, seq, _, body in page]


def _twins(store: SqlStore, journaled: Journaled) -> dict[str, HistoryLine]:
    """Return the imported lines that have an id of the journal's own."""
    ids = [placed.line.id for placed in journaled.lines]
    ids += [one.id for one in journaled.unmatched if one.is_deposit]
    found: dict[str, HistoryLine] = {}
    with store.database.read() as connection:
        for start in range(0, len(ids), IDS_MAX):
            known = known_lines(connection, ids[start : start + IDS_MAX])
            found |= {name: read_stored(line.body) for name, line in known.items()}
    return found


def _place(placed: Placed) -> tuple[int, int]:
    return placed.ts_ns, placed.seq


def _shared_out(picked: Picked, lines: Mapping[str, HistoryLine]) -> Iterator[tuple[str, tuple[PickedLot, ...]]]:
    """Yield the lots of a pick by line: an order's fills take them one after the other, each as much as it disposes of."""
    if len(picked.lines) == 1:
        yield picked.lines[0], picked.event.lots
        return
    left = [(one.lot, one.qty) for one in picked.event.lots]
    for name in picked.lines:
        wanted = _disposed(lines.get(name))
        taken = []
        while left and wanted > 0:
            lot, qty = left[0]
            part = min(qty, wanted)
            taken.append(PickedLot(lot, part))
            wanted -= part
            left[0] = (lot, qty - part)
            if not left[0][1]:
                left.pop(0)
        if taken:
            yield name, tuple(taken)


def _disposed(line: HistoryLine | None) -> Decimal:
    """Return how many units a line gives up."""
    if isinstance(line, FillLine):
        return line.amount if line.side == "sell" else line.cost
    if isinstance(line, TransferLine):
        return line.sent
    return line.amount if isinstance(line, SpendLine) else Decimal(0)
