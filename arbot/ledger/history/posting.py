"""What imported history lines mean in double entry: flows between two accounts, added up over the lines of one event.

Rules of this file:
- A flow takes a number of one asset out of one account and puts it into another, so every asset sums to zero.
- Cash from and to the owner's bank is `equity:funding`; coins with a history outside come from `equity:opening`; the two
  halves of a fill meet in `equity:exchange`; what has not arrived is in transit.
- What happened at a venue up to its opening snapshot is in that snapshot already. Its flows go to and from
  `equity:opening` instead of the venue's account: the account stays what the venue says, the history keeps its meaning.
- Lines are posted in sums (one transaction per event of some hundred lines): the lines themselves are the detail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal, localcontext
from typing import NamedTuple

from arbot.domain.accounting import Posting
from arbot.domain.history import (
    DepositLine,
    FillLine,
    HistoryLine,
    IncomeLine,
    OpeningLine,
    SpendLine,
    TransferLine,
    WithdrawalLine,
    parse_ts,
)
from arbot.domain.ids import Asset, VenueId
from arbot.domain.units import EXACT, ZERO
from arbot.ledger import accounts
from arbot.ledger.history.reading import read_stored

OpenedNs = Callable[[VenueId], int | None]
"""When a venue's opening snapshot was booked (ns), None for an account that has none."""


class Flow(NamedTuple):
    """`number` of `asset` out of `source` and into `target`; the opposite way when negative."""

    source: str
    target: str
    asset: str
    number: Decimal


def no_opening(_venue: VenueId) -> int | None:
    """Say of every account that no snapshot opened it."""
    return None


def sums(texts: Iterable[str], opened_ns: OpenedNs = no_opening) -> tuple[Posting, ...]:
    """Return what some canonical lines add up to by account and asset, sorted, zeros left out. Raises: ValueError."""
    totals: dict[tuple[str, str], Decimal] = {}
    get = totals.get
    place = _Places(opened_ns).of
    with localcontext(EXACT):
        for text in texts:
            for source, target, asset, number in flows(read_stored(text), place):
                into, out_of = (target, asset), (source, asset)
                totals[into] = get(into, ZERO) + number
                totals[out_of] = get(out_of, ZERO) - number
    return tuple(
        Posting(account, Asset(asset), number) for (account, asset), number in sorted(totals.items()) if number
    )


def flows(line: HistoryLine, place: Callable[[str, str], str]) -> Iterator[Flow]:
    """Yield what a line moves. `place` names the ledger account of an account of the history at a time of a line."""
    match line:
        case FillLine():
            ours, sign = place(line.venue, line.ts), 1 if line.side == "buy" else -1
            yield Flow(accounts.EQUITY_EXCHANGE, ours, line.base, line.amount * sign)
            yield Flow(ours, accounts.EQUITY_EXCHANGE, line.quote, line.cost * sign)
            yield Flow(ours, accounts.trading_fees(VenueId(line.venue)), line.fee_ccy, line.fee)
        case TransferLine():
            yield from _transfer(line, place)
        case DepositLine():
            yield Flow(accounts.EQUITY_FUNDING, place(line.venue, line.ts), line.asset, line.amount)
        case WithdrawalLine():
            yield Flow(place(line.venue, line.ts), accounts.EQUITY_FUNDING, line.asset, line.amount)
        case OpeningLine():
            yield Flow(accounts.EQUITY_OPENING, place(line.venue, line.ts), line.asset, line.amount)
        case IncomeLine():
            yield Flow(accounts.income(line.why), place(line.venue, line.ts), line.asset, line.amount)
        case SpendLine():
            yield Flow(place(line.venue, line.ts), accounts.spending(line.why), line.asset, line.amount)


def _transfer(line: TransferLine, place: Callable[[str, str], str]) -> Iterator[Flow]:
    source = place(line.src, line.ts)
    arrived = accounts.TRANSIT_UNMATCHED if line.ts_in is None else place(line.dst, line.ts_in)
    yield Flow(source, arrived, line.asset, line.received)
    yield Flow(source, accounts.transfer_fees(VenueId(line.src)), line.asset, line.fee)


class _Places:
    """Finds the ledger account of a venue at a time, asking once per venue when it was opened."""

    def __init__(self, opened_ns: OpenedNs) -> None:
        self._opened_ns = opened_ns
        self._known: dict[str, tuple[str, int | None]] = {}

    def of(self, venue: str, ts: str) -> str:
        """Return where a movement at a venue at that time is posted."""
        known = self._known.get(venue)
        if known is None:
            name = VenueId(venue)
            known = self._known[venue] = (accounts.venue_assets(name), self._opened_ns(name))
        account, opened_ns = known
        return account if opened_ns is None or parse_ts(ts) > opened_ns else accounts.EQUITY_OPENING
