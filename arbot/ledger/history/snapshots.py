"""Balance snapshots of venues as assertions: what the first one opens, and what the newest one does not agree with.

Rules of this file:
- The ledger's first snapshot of a venue is its opening: what no record before explains was there from before.
- An opening stands before every line of its venue, however late the snapshot was taken: those lines moved what it counts.
  Where a line is not later than the snapshot it is a nanosecond before it, so that the order needs no other rule once a
  person has completed and imported it.
- Every later snapshot must tie to the last digit, and what a venue does not list counts as nothing. What a record explains
  within `SETTLE_NS` was on its way to us when the snapshot was taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from arbot.domain.accounting import Transaction, TransactionKind
from arbot.domain.events import AccountSnapshotReceived
from arbot.domain.history import HistoryLine, Placed, TransferLine, parse_ts
from arbot.domain.units import EXACT, ZERO
from arbot.ledger.history.evidence import Evidence, Pricing
from arbot.ledger.history.movements import Movements

SETTLE_NS: Final = 60 * 1_000_000_000
_ASSETS: Final = "assets:"


class Opened(NamedTuple):
    """So much of an asset was there at the opening, with its price then."""

    asset: str
    qty: Decimal
    pricing: Pricing


class Opening(NamedTuple):
    """What a venue held before the ledger knew it: as of `ts_ns`, before its lines; `seen_ns` and `seq` are the snapshot's."""

    venue: str
    ts_ns: int
    seen_ns: int
    seq: int
    holdings: tuple[Opened, ...]


class Balanced(NamedTuple):
    """An asset at the newest snapshot: what was booked then, or soon after, and what the venue says.

    `tied_seq` and `tied_ns` are of the last snapshot that agreed with the journal alone, 0 for none.
    """

    asset: str
    ours: Decimal
    later: tuple[Decimal, ...]
    theirs: Decimal
    tied_seq: int
    tied_ns: int

    def lacks(self, imported: Decimal) -> Decimal:
        """Return what the books lack when imported lines explain so much: zero when they tie, then or soon after."""
        left = EXACT.subtract(self.theirs, imported)
        return ZERO if left in (self.ours, *self.later) else EXACT.subtract(left, self.ours)


class Held(NamedTuple):
    """The newest snapshot of a venue, asset by asset, with what was booked of assets it does not list."""

    venue: str
    seq: int
    ts_ns: int
    balances: tuple[Balanced, ...]


class Snapshots:
    """Balances of venues as booked, compared with every snapshot that is fed."""

    def __init__(self) -> None:
        self._ours: dict[tuple[str, str], Decimal] = {}
        self._opened: dict[str, tuple[int, int, dict[str, Decimal]]] = {}
        self._newest: dict[str, tuple[int, int]] = {}
        self._tied: dict[tuple[str, str], tuple[int, int]] = {}
        self._theirs: dict[str, dict[str, tuple[Decimal, Decimal]]] = {}  # by the newest snapshot: ours and theirs
        self._later: dict[tuple[str, str], list[Decimal]] = {}  # sums soon after the newest snapshot

    def book(self, ts_ns: int, transactions: Sequence[Transaction]) -> None:
        """Add up what was booked."""
        for transaction in transactions:
            for posting in transaction.postings:
                if not posting.account.startswith(_ASSETS):
                    continue
                key = (posting.account.removeprefix(_ASSETS), str(posting.asset))
                self._ours[key] = EXACT.add(self._ours.get(key, ZERO), posting.number)
                newest = self._newest.get(key[0])
                if newest is not None and ts_ns - newest[1] <= SETTLE_NS:
                    self._later.setdefault(key, []).append(self._ours[key])

    def take(self, seq: int, ts_ns: int, event: AccountSnapshotReceived, transactions: Sequence[Transaction]) -> None:
        """Compare a snapshot with what was booked; the first one opens the venue."""
        venue = str(event.venue)
        for transaction in transactions:
            if transaction.kind is TransactionKind.OPENING:
                was = {str(p.asset): p.number for p in transaction.postings if p.account.startswith(_ASSETS)}
                self._opened.setdefault(venue, (seq, ts_ns, was))
        theirs = {str(balance.asset): balance.total for balance in event.balances}
        ours = {asset: number for (name, asset), number in self._ours.items() if name == venue}
        self._newest[venue] = (seq, ts_ns)
        compared = self._theirs[venue] = {}
        for asset in sorted(ours.keys() | theirs.keys()):
            booked, told = compared[asset] = (ours.get(asset, ZERO), theirs.get(asset, ZERO))
            self._later.pop((venue, asset), None)
            if booked == told:
                self._tied[venue, asset] = (seq, ts_ns)

    def openings(self, lines: Sequence[Placed], evidence: Evidence, movements: Movements) -> tuple[Opening, ...]:
        """Return what every venue held at first, by venue. `lines` are all other lines of the journal."""
        first: dict[str, int] = {}
        for placed in lines:
            for account, ts_ns in touched(placed.line, placed.ts_ns):
                first[account] = min(ts_ns, first.get(account, ts_ns))
        openings = []
        for venue, (seq, ts_ns, was) in sorted(self._opened.items()):
            holdings = dict(was)
            for one in movements.known.values():
                if one.venue == venue and one.is_in_opening and one.is_deposit and one.origin is not None:
                    holdings[one.asset] = EXACT.subtract(holdings.get(one.asset, ZERO), one.qty)
            opened = tuple(
                Opened(asset, qty, evidence.price(f"opening|{venue}", (asset,), ts_ns))
                for asset, qty in sorted(holdings.items())
            )
            before_ns = min(ts_ns, first.get(venue, ts_ns + 1) - 1)
            openings.append(Opening(venue, before_ns, ts_ns, seq, opened))
        return tuple(openings)

    def held(self) -> tuple[Held, ...]:
        """Return the newest snapshot of every venue, by venue."""
        return tuple(
            Held(
                venue,
                seq,
                ts_ns,
                tuple(
                    Balanced(
                        asset, ours, tuple(self._later.get((venue, asset), ())), theirs,
                        *self._tied.get((venue, asset), (0, 0)),
                    )
                    for asset, (ours, theirs) in self._theirs[venue].items()
                ),
            )
            for venue, (seq, ts_ns) in sorted(self._newest.items())
        )  # fmt: skip


def touched(line: HistoryLine, ts_ns: int) -> Iterator[tuple[str, int]]:
    """Yield the accounts that a line moves, each with when."""
    if isinstance(line, TransferLine):
        yield line.src, ts_ns
        if line.ts_in is not None:
            yield line.dst, parse_ts(line.ts_in)
    else:
        yield line.venue, ts_ns
