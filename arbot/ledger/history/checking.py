"""What a history itself shows to be wrong, whatever the country: seen in the pass that makes a report, told with line and remedy.

Rules of this file:
- An account below zero (`negative_balance`): something is missing before. Where lots miss the same units, or what a venue
  held at first has no basis yet, that says it.
- Units that left and never came anywhere, of an asset that nobody knows (`unknown_asset`): most likely a misspelling.
- An opening says that an account's history of an asset begins there: lines of both before it (`before_epoch`) may be counted
  twice. Openings that belong to something else say nothing of the kind: an allocation, a deposit from outside, the rest
  that imported history leaves of a venue's first snapshot.
- Nothing happened before the first block of Bitcoin (`before_epoch`).
- A transfer that is `IN_FLIGHT_MAX_NS` older than the end of history and still under way is lost sight of
  (`unmatched_transfer`). Assumption: 30 days; the slowest networks take days.
- Two things are told and keep nothing from being filed: lines after the day on which they were booked (`in_future`), and a
  year in which nothing happened (`year_empty`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import localcontext
from typing import Final

from arbot.domain.history import (
    CASH,
    NS_PER_S,
    S_PER_DAY,
    FillLine,
    HistoryLine,
    OpeningLine,
    Placed,
    TransferLine,
    format_ts,
    parse_ts,
)
from arbot.domain.units import EXACT, fmt
from arbot.ledger.history.balances import BalanceWatch, Holding, short_item
from arbot.ledger.history.codes import BEFORE_EPOCH, IN_FUTURE, UNKNOWN_ASSET, UNMATCHED_TRANSFER, YEAR_EMPTY
from arbot.ledger.history.known_assets import KNOWN, nearest
from arbot.ledger.history.reading import FIRST_NS
from arbot.ledger.lots.refusals import NO_BASIS
from arbot.ledger.lots.words import OpenItem

DAY_NS: Final = S_PER_DAY * NS_PER_S
IN_FLIGHT_MAX_NS: Final = 30 * DAY_NS
TIMES_KEPT: Final = 20
"""Lines with an impossible time that are named one by one; the rest are counted with the last of them."""

ANEW: Final = (
    "mend the line in its file and import the file into a new ledger: `arbot ledger import FILE --ledger NEW.db`"
)


class Named:
    """Items of one kind: the first ones by name, the rest counted with the last of them."""

    def __init__(self) -> None:
        self._items: list[OpenItem] = []
        self._untold = 0

    def add(self, item: OpenItem) -> None:
        """Take one more."""
        if len(self._items) < TIMES_KEPT:
            self._items.append(item)
        else:
            self._untold += 1

    def told(self) -> list[OpenItem]:
        """Return those to tell."""
        if not self._untold:
            return list(self._items)
        last = self._items[-1]
        more = f"{last.what}, and {self._untold} more lines like it after this one"
        return [*self._items[:-1], OpenItem(last.code, last.where, more, last.remedy)]


class HistoryCheck:
    """Takes every line of a history in order, in a context that keeps every digit. `until_ns` is when it was booked last."""

    def __init__(self, until_ns: int) -> None:
        self._latest_ns = until_ns + DAY_NS
        self._watch = BalanceWatch()
        self._feed = self._watch.feed
        self._too_early = Named()
        self._too_late = Named()
        self._openings: dict[tuple[str, str], OpeningLine] = {}
        self._epochs: list[OpenItem] = []
        self._under_way: list[tuple[int, TransferLine]] = []
        self._last_ns = 0

    def line(self, placed: Placed) -> None:
        """Take the next line."""
        line, ts_ns, _ = placed
        if not FIRST_NS <= ts_ns <= self._latest_ns:
            self._note_time(line, ts_ns)
        self._feed(placed)
        if type(line) is not FillLine:
            if isinstance(line, OpeningLine):
                self._open(line, ts_ns)
            elif isinstance(line, TransferLine):
                if line.ts_in is None:
                    self._under_way.append((ts_ns, line))
                elif parse_ts(line.ts_in) > self._latest_ns >= ts_ns:
                    self._note_time(line, parse_ts(line.ts_in))
        self._last_ns = ts_ns

    def open_items(self, found: Sequence[OpenItem] = ()) -> list[OpenItem]:
        """Return what is wrong and not among what was `found` by others already."""
        with localcontext(EXACT):
            self._watch.finish()
        named = {(item.code, item.where) for item in found}
        without_lots = {item.where.replace(":fee at ", " at ") for item in found if item.code == NO_BASIS}
        items = self._too_early.told() + self._epochs
        for asset, holdings in self._short():
            if asset not in {**self._watch.brought, **self._watch.allocated} and asset not in KNOWN:
                items.append(self._unknown(asset, holdings))
                continue
            opened = (one for one in holdings if f"opening:{one.account}:{asset}" not in without_lots)
            short = (item for holding in opened if (item := short_item(holding)) is not None)
            items += [item for item in short if asset in CASH or item.where not in without_lots]
        items += [_lost(line) for ts_ns, line in self._under_way if self._last_ns - ts_ns > IN_FLIGHT_MAX_NS]
        return [item for item in items if (item.code, item.where) not in named]

    def notes(self) -> list[OpenItem]:
        """Return what a reader has to know and nothing has to be settled for: lines from after the day of booking."""
        return self._too_late.told()

    def year_empty(self, year: str) -> OpenItem:
        """Return that history has no line in a year, with what it has."""
        first_ns = min((holding.first_ns for holding in self._watch.holdings()), default=0)
        span = f"it has lines from {format_ts(first_ns)} to {format_ts(self._last_ns)}" if first_ns else "it is empty"
        remedy = "check --year and --ledger, or import what is missing: `arbot ledger import FILE`"
        return OpenItem(YEAR_EMPTY, year, f"history has no line in this year: {span}", remedy)

    # --- times ----------------------------------------------------------------------------------------------------------

    def _note_time(self, line: HistoryLine, ts_ns: int) -> None:
        account = line.src if isinstance(line, TransferLine) else line.venue
        if ts_ns < FIRST_NS:
            code, named = BEFORE_EPOCH, self._too_early
            what = "is before the first block of Bitcoin: the clock that wrote it was not set"
        else:
            code, named = IN_FUTURE, self._too_late
            what = f"is after the day on which it was booked, {format_ts(self._latest_ns - DAY_NS)[:10]}"
        named.add(OpenItem(code, f"{line.id} at {account}", f"{format_ts(ts_ns)} {what}", ANEW))

    # --- where history begins -------------------------------------------------------------------------------------------

    def _open(self, line: OpeningLine, ts_ns: int) -> None:
        if line.allocation or line.id.startswith(("opening:", f"{line.venue}:deposit:")):
            return
        key = (line.venue, line.asset)
        if key in self._openings:
            return
        self._openings[key] = line
        earlier = self._watch.known(*key)
        if earlier is None or earlier.first_ns >= ts_ns:
            return
        first = earlier.first_line
        when = first.ts if parse_ts(first.ts) == earlier.first_ns else format_ts(earlier.first_ns)
        what = (
            f"{when} is before the opening of {line.asset} at {line.venue}, {line.id} of {line.ts}: what moved before an "
            "opening may be counted twice"
        )
        remedy = (
            f"give {line.id} a ts before {when} if its {fmt(line.amount)} {line.asset} were there from the start, or leave "
            f"out what it already counts: `arbot ledger import FILE --ledger NEW.db`; if both are right, --accept {BEFORE_EPOCH}"
        )
        self._epochs.append(OpenItem(BEFORE_EPOCH, f"{first.id} at {line.venue}", what, remedy))

    # --- assets ---------------------------------------------------------------------------------------------------------

    def _short(self) -> list[tuple[str, list[Holding]]]:
        """Return what fell below zero by asset, both sorted."""
        short: dict[str, list[Holding]] = {}
        for holding in self._watch.holdings():
            if holding.short_line is not None:
                short.setdefault(holding.asset, []).append(holding)
        return sorted(short.items())

    def _unknown(self, asset: str, holdings: list[Holding]) -> OpenItem:
        first = min(holdings, key=lambda holding: holding.first_ns)
        line = first.short_line or first.first_line
        places = ", ".join(holding.account for holding in holdings)
        what = f"{fmt(EXACT.minus(first.lowest))} {asset} left {first.account} on {line.ts}, and no line ever brought any ({places})"
        meant = nearest(asset, self._watch.brought)
        hint = f"if {meant} is meant, " if meant else ""
        remedy = f"{hint}{ANEW}; if {asset} exists, import an opening of it that has basis and date"
        return OpenItem(UNKNOWN_ASSET, f"{line.id} at {first.account}", what, remedy)


def check_history(lines: Iterable[Placed], until_ns: int) -> HistoryCheck:
    """Return the check of a whole history, in a pass of its own."""
    check = HistoryCheck(until_ns)
    with localcontext(EXACT):
        for placed in lines:
            check.line(placed)
    return check


def _lost(line: TransferLine) -> OpenItem:
    what = f"{fmt(line.sent)} {line.asset} left {line.src} for {line.dst} on {line.ts} and never arrived"
    remedy = (
        "look it up at both ends; write when it arrived into ts_in (or what became of it, as a spend), and import the file "
        "into a new ledger: `arbot ledger import FILE --ledger NEW.db`"
    )
    return OpenItem(UNMATCHED_TRANSFER, line.id, what, remedy)
