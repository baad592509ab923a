"""Balances of every account along a history: where more left than was there.

Rules of this file:
- A line is judged by what it leaves behind as a whole: a fee may come out of what the same line brought.
- What is on its way arrives at its own instant, before lines of that instant.
- One open item per account and asset: the first line that fell below zero, and the lowest point. Cash counts too.
- An allocation of 2025 moves nothing where history has the units already: it is about their basis.
- Most lines are fills of few markets, so what a market moves is looked up once and kept.
- Sums are made with operators, which cost half of a context's methods: whoever feeds a watch has opened a context that
  keeps every digit (`negative_balances` does).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from decimal import Decimal, localcontext
from typing import NamedTuple

from arbot.domain.history import (
    CASH,
    FillLine,
    HistoryLine,
    OpeningLine,
    Placed,
    SpendLine,
    TransferLine,
    WithdrawalLine,
    parse_ts,
)
from arbot.domain.units import EXACT, ZERO, fmt
from arbot.ledger.history.codes import NEGATIVE_BALANCE
from arbot.ledger.lots.words import OpenItem


class Change(NamedTuple):
    """What a line does to one asset at one account, at once."""

    account: str
    asset: str
    number: Decimal


class Holding:
    """What an account holds of an asset, since which line it is heard of, and where it fell below zero."""

    __slots__ = ("account", "asset", "first_line", "first_ns", "lowest", "lowest_line", "number", "short", "short_line")

    def __init__(self, account: str, asset: str, first_line: HistoryLine, first_ns: int) -> None:
        self.account = account
        self.asset = asset
        self.first_line = first_line
        self.first_ns = first_ns
        self.number = ZERO
        self.short = ZERO  # what it came to when it first fell below zero
        self.short_line: HistoryLine | None = None
        self.lowest = ZERO
        self.lowest_line = ""

    def fell(self, line: HistoryLine) -> None:
        """Take note that a line left less than nothing."""
        if self.short_line is None:
            self.short, self.short_line = self.number, line
        if self.number < self.lowest:
            self.lowest, self.lowest_line = self.number, line.id


_Terms = tuple[str, str, str, str]
_Route = tuple[Holding, Holding, Holding | None]


class BalanceWatch:
    """Takes lines in order and keeps what every account holds. Arrivals still to come are not in it."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], Holding] = {}
        self._routes: dict[_Terms, _Route] = {}
        self._due: list[tuple[int, int, TransferLine]] = []  # the number parts transfers that arrive at one instant
        self._sent = 0
        self.brought: dict[str, None] = {}
        """Assets that some line brought to an account, by a trade, a deposit, an opening or as income."""
        self.allocated: dict[str, None] = {}
        """Assets whose basis was allocated to accounts when the pool ended."""

    def feed(self, placed: Placed) -> None:
        """Take the next line."""
        line, ts_ns, _ = placed
        while self._due and self._due[0][0] <= ts_ns:
            self._arrive(*heapq.heappop(self._due))
        if type(line) is FillLine:
            fee, side = line.fee, line.side
            terms = (line.venue, line.symbol, side, line.fee_ccy if fee else "")
            come, gone, charged = self._routes.get(terms) or self._route(terms, line, ts_ns)
            if side == "buy":
                come.number += line.amount
                gone.number -= line.cost
            else:
                come.number += line.cost
                gone.number -= line.amount
            if charged is not None:
                charged.number -= fee
                if charged.number < ZERO:
                    charged.fell(line)
            if gone.number < ZERO:
                gone.fell(line)
            return
        if isinstance(line, OpeningLine) and line.allocation:
            self.allocated[line.asset] = None
            if line.asset in self.brought:
                return
        for account, asset, number in changes(line):
            holding = self._holding(account, asset, line, ts_ns)
            holding.number += number
            if number >= ZERO:
                if asset not in self.allocated:
                    self.brought[asset] = None
            elif holding.number < ZERO:
                holding.fell(line)
        if isinstance(line, TransferLine) and line.ts_in is not None:
            arrives_ns = parse_ts(line.ts_in)
            if arrives_ns <= ts_ns:
                self._arrive(ts_ns, 0, line)
            else:
                self._sent += 1
                heapq.heappush(self._due, (arrives_ns, self._sent, line))

    def finish(self) -> None:
        """Let everything arrive that has a time of arrival."""
        while self._due:
            self._arrive(*heapq.heappop(self._due))

    def balances(self) -> dict[tuple[str, str], Decimal]:
        """Return what is held by (account, asset), zeros left out, sorted."""
        return {key: holding.number for key, holding in sorted(self._held.items()) if holding.number}

    def holdings(self) -> list[Holding]:
        """Return every account and asset that a line touched, sorted by both."""
        return [holding for _, holding in sorted(self._held.items())]

    def known(self, account: str, asset: str) -> Holding | None:
        """Return what is held of an asset at an account that some line touched."""
        return self._held.get((account, asset))

    def open_items(self) -> list[OpenItem]:
        """Return every account and asset that fell below zero, sorted."""
        return [item for holding in self.holdings() if (item := short_item(holding)) is not None]

    def _holding(self, account: str, asset: str, line: HistoryLine, ts_ns: int) -> Holding:
        holding = self._held.get((account, asset))
        if holding is None:
            holding = self._held[account, asset] = Holding(account, asset, line, ts_ns)
        return holding

    def _route(self, terms: _Terms, line: FillLine, ts_ns: int) -> _Route:
        """Return what fills of these terms move: what comes, what goes, what is charged."""
        come, gone = (line.base, line.quote) if line.side == "buy" else (line.quote, line.base)
        self.brought[come] = None
        charged = self._holding(line.venue, line.fee_ccy, line, ts_ns) if line.fee else None
        sides = self._holding(line.venue, come, line, ts_ns), self._holding(line.venue, gone, line, ts_ns)
        route = self._routes[terms] = (*sides, charged)
        return route

    def _arrive(self, arrives_ns: int, _number: int, line: TransferLine) -> None:
        holding = self._holding(line.dst, line.asset, line, arrives_ns)
        holding.number += line.received


def changes(line: HistoryLine) -> tuple[Change, ...]:
    """Return what a line does at once; the arrival of a transfer is not part of it."""
    match line:
        case FillLine():
            minus = EXACT.minus
            base, quote = (line.amount, minus(line.cost)) if line.side == "buy" else (minus(line.amount), line.cost)
            return (
                Change(line.venue, line.base, base),
                Change(line.venue, line.quote, quote),
                Change(line.venue, line.fee_ccy, minus(line.fee)),
            )
        case TransferLine():
            return (Change(line.src, line.asset, EXACT.minus(line.sent)),)
        case WithdrawalLine() | SpendLine():
            return (Change(line.venue, line.asset, EXACT.minus(line.amount)),)
        case _:
            return (Change(line.venue, line.asset, line.amount),)


def negative_balances(history: Iterable[Placed]) -> list[OpenItem]:
    """Return every account and asset of a history that fell below zero."""
    watch = BalanceWatch()
    with localcontext(EXACT):
        for placed in history:
            watch.feed(placed)
    return watch.open_items()


def short_item(holding: Holding) -> OpenItem | None:
    """Return that an account fell below zero in an asset, if it did."""
    account, asset, line = holding.account, holding.asset, holding.short_line
    if line is None:
        return None
    what = f"{account} has {fmt(EXACT.minus(holding.short))} {asset} less than what leaves it on {line.ts}"
    if holding.lowest != holding.short:
        what += f", {fmt(EXACT.minus(holding.lowest))} less at {holding.lowest_line}"
    ways = "a deposit or a transfer" if asset in CASH else "a transfer, or an opening that has basis and date"
    remedy = f"import what brought {asset} to {account} before that, {ways}: `arbot ledger import FILE`"
    return OpenItem(NEGATIVE_BALANCE, f"{line.id} at {account}", what, remedy)
