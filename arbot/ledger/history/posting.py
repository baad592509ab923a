"""What imported history lines mean in double entry: flows between two accounts, added up over the lines of one event.

Rules of this file:
- A flow takes a number of one asset out of one account and puts it into another, so every asset sums to zero.
- Cash from and to the owner's bank is `equity:funding`; coins with a history outside come from `equity:opening`; the two
  halves of a fill meet in `equity:exchange`; what has not arrived is in transit.
- What happened at a venue up to its opening snapshot is in that snapshot already. Its flows go to and from
  `equity:opening` instead of the venue's account: the account stays what the venue says, the history keeps its meaning.
- What the journal has booked by itself may be told anew under its id, which begins with the account's name. The account is
  not moved again: the other side of what was booked is, which is transit for movements. A fill told anew moves nothing.
- Lines are posted in sums (one transaction per event of some hundred lines): the lines themselves are the detail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal, localcontext
from typing import cast

import msgspec

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
from arbot.ledger.history.plain_fills import FillTerms, PlainFill

RETOLD_ADJUSTMENT = ":adjustment:"
"""In the id of a line that tells anew what an adjustment was."""

OpenedNs = Callable[[VenueId], int | None]
"""When a venue's opening snapshot was booked (ns), None for an account that has none."""


Flow = tuple[str, str, str, Decimal]
"""(source, target, asset, number): so much out of one account and into another; never negative but for rebates."""


HasArrived = Callable[[TransferLine], bool]
"""Whether a transfer brings a deposit that its target venue has told already: then it is booked, and came out of transit."""


def nothing_arrived(_line: TransferLine) -> bool:
    """Say of every transfer that no venue has told of its arrival."""
    return False


def no_opening(_venue: VenueId) -> int | None:
    """Say of every account that no snapshot opened it."""
    return None


def sums(
    lines: Iterable[HistoryLine | PlainFill],
    opened_ns: OpenedNs = no_opening,
    has_arrived: HasArrived = nothing_arrived,
) -> tuple[Posting, ...]:
    """Return what some lines add up to by account and asset, sorted by both, zeros left out."""
    places = _Places(opened_ns)
    place = places.of
    plain: dict[FillTerms, list[PlainFill]] = {}
    fills: dict[tuple[str, ...], list[Decimal]] = {}
    totals: dict[tuple[str, str], Decimal] = {}
    with localcontext(EXACT):
        for line in lines:
            if type(line) is PlainFill:  # most lines: those of one kind and place are added up before they are posted
                alike = plain.get(line[2])
                if alike is None:
                    plain[line[2]] = [line]
                else:
                    alike.append(line)
            elif type(line) is FillLine:
                terms = (place(line.venue, line.ts), line.venue, line.side, line.base, line.quote, line.fee_ccy)
                found = fills.get(terms)
                if found is None:
                    fills[terms] = [line.amount, line.cost, line.fee]
                else:
                    found[0] += line.amount
                    found[1] += line.cost
                    found[2] += line.fee
            elif type(line) is TransferLine and line.txid and has_arrived(line):
                _add(totals, _transfer(msgspec.structs.replace(line, ts_in=None), place))
            else:
                _add(totals, flows(cast("HistoryLine", line), place))
        for (venue, side, base, quote, fee_ccy), alike in plain.items():
            for ours, some in places.split(venue, alike):
                _, _, _, amounts, costs, fees = zip(*some, strict=True)
                terms = (ours, venue, side, base, quote, fee_ccy)
                found = fills.setdefault(terms, [ZERO, ZERO, ZERO])
                found[0] += sum(map(Decimal, amounts))
                found[1] += sum(map(Decimal, costs))
                found[2] += sum(map(Decimal, fees))
        for (ours, venue, side, base, quote, fee_ccy), (amount, cost, fee) in fills.items():
            _add(totals, _fill(ours, venue, side, (base, amount), (quote, cost), (fee_ccy, fee)))
    return tuple(
        Posting(account, Asset(asset), number) for (account, asset), number in sorted(totals.items()) if number
    )


def _add(totals: dict[tuple[str, str], Decimal], some: tuple[Flow, ...]) -> None:
    for source, target, asset, number in some:
        totals[target, asset] = totals.get((target, asset), ZERO) + number
        totals[source, asset] = totals.get((source, asset), ZERO) - number


def retold_sums(lines: Iterable[HistoryLine], opened_ns: OpenedNs = no_opening) -> tuple[Posting, ...]:
    """Return what lines add up to that tell anew what the journal has booked; an id names the account that is not moved."""
    totals: dict[tuple[str, str], Decimal] = {}
    with localcontext(EXACT):
        for line in lines:
            if not isinstance(line, FillLine):
                _add(totals, flows(line, _Retold(line.id, opened_ns).of))
    return tuple(
        Posting(account, Asset(asset), number) for (account, asset), number in sorted(totals.items()) if number
    )


class _Retold:
    """Finds the ledger account of a line that tells anew what one account has booked."""

    def __init__(self, line_id: str, opened_ns: OpenedNs) -> None:
        self._line_id = line_id
        self._other = accounts.EQUITY_ADJUSTMENTS if RETOLD_ADJUSTMENT in line_id else accounts.TRANSIT_UNMATCHED
        self._places = _Places(opened_ns)

    def of(self, venue: str, ts: str) -> str:
        """Return where a movement of an account at that time is posted."""
        return self._other if self._line_id.startswith(f"{venue}:") else self._places.of(venue, ts)


def flows(line: HistoryLine, place: Callable[[str, str], str]) -> tuple[Flow, ...]:
    """Return what a line moves. `place` names the ledger account of an account of the history at a time of a line."""
    match line:
        case FillLine():
            terms = (line.base, line.amount), (line.quote, line.cost), (line.fee_ccy, line.fee)
            return _fill(place(line.venue, line.ts), line.venue, line.side, *terms)
        case TransferLine():
            return _transfer(line, place)
        case DepositLine():
            return ((accounts.EQUITY_FUNDING, place(line.venue, line.ts), line.asset, line.amount),)
        case WithdrawalLine():
            return ((place(line.venue, line.ts), accounts.EQUITY_FUNDING, line.asset, line.amount),)
        case OpeningLine():
            return ((accounts.EQUITY_OPENING, place(line.venue, line.ts), line.asset, line.amount),)
        case IncomeLine():
            return ((accounts.income(line.why), place(line.venue, line.ts), line.asset, line.amount),)
        case SpendLine():
            return ((place(line.venue, line.ts), accounts.spending(line.why), line.asset, line.amount),)


_Part = tuple[str, Decimal]


def _fill(ours: str, venue: str, side: str, base: _Part, quote: _Part, fee: _Part) -> tuple[Flow, ...]:  # noqa: PLR0917
    come, gone = (accounts.EQUITY_EXCHANGE, ours), (ours, accounts.EQUITY_EXCHANGE)
    first, second = (come, gone) if side == "buy" else (gone, come)
    return (*first, *base), (*second, *quote), (ours, accounts.trading_fees(VenueId(venue)), *fee)


def _transfer(line: TransferLine, place: Callable[[str, str], str]) -> tuple[Flow, ...]:
    source = place(line.src, line.ts)
    arrived = accounts.TRANSIT_UNMATCHED if line.ts_in is None else place(line.dst, line.ts_in)
    return (
        (source, arrived, line.asset, line.received),
        (source, accounts.transfer_fees(VenueId(line.src)), line.asset, line.fee),
    )


class _Places:
    """Finds the ledger account of a venue at a time, asking once per venue when it was opened."""

    def __init__(self, opened_ns: OpenedNs) -> None:
        self._opened_ns = opened_ns
        self._known: dict[str, tuple[str, int | None]] = {}

    def of(self, venue: str, ts: str) -> str:
        """Return where a movement at a venue at that time is posted."""
        account, opened_ns = self._find(venue)
        return account if opened_ns is None or parse_ts(ts) > opened_ns else accounts.EQUITY_OPENING

    def split(self, venue: str, fills: list[PlainFill]) -> Iterator[tuple[str, list[PlainFill]]]:
        """Yield where fills of a venue are posted, with those that are."""
        account, opened_ns = self._find(venue)
        if opened_ns is None or fills[0].ts_ns > opened_ns:  # they ascend
            yield account, fills
            return
        count = sum(fill.ts_ns <= opened_ns for fill in fills)
        yield accounts.EQUITY_OPENING, fills[:count]
        if count < len(fills):
            yield account, fills[count:]

    def _find(self, venue: str) -> tuple[str, int | None]:
        known = self._known.get(venue)
        if known is None:
            name = VenueId(venue)
            known = self._known[venue] = (accounts.venue_assets(name), self._opened_ns(name))
        return known
