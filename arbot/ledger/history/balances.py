"""Balances of every account along a history: where more left than was there.

Rules of this file:
- A line is judged by what it leaves behind as a whole: a fee may come out of what the same line brought.
- What is on its way arrives at its own instant, before lines of that instant.
- One open item per account and asset: the first line that fell below zero, and the lowest point. Cash counts too.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from arbot.domain.history import FillLine, HistoryLine, Placed, SpendLine, TransferLine, WithdrawalLine, parse_ts
from arbot.domain.units import EXACT, ZERO, fmt
from arbot.ledger.lots.words import OpenItem

NEGATIVE_BALANCE = "negative_balance"


class Change(NamedTuple):
    """What a line does to one asset at one account, at once."""

    account: str
    asset: str
    number: Decimal


class _Shortfall(NamedTuple):
    line: str
    ts: str
    number: Decimal
    lowest: Decimal
    lowest_line: str


class BalanceWatch:
    """Takes lines in order and keeps what every account holds. Arrivals still to come are not in it."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], Decimal] = {}
        self._due: list[tuple[int, int, TransferLine]] = []
        self._short: dict[tuple[str, str], _Shortfall] = {}

    def feed(self, placed: Placed) -> None:
        """Take the next line."""
        line = placed.line
        while self._due and self._due[0][0] <= placed.ts_ns:
            self._arrive(heapq.heappop(self._due)[2])
        held, add = self._held, EXACT.add
        touched = changes(line)
        for account, asset, number in touched:
            held[account, asset] = add(held.get((account, asset), ZERO), number)
        for account, asset, _ in touched:
            if held[account, asset] < 0:
                self._note(account, asset, line)
        if isinstance(line, TransferLine) and line.ts_in is not None:
            arrives_ns = parse_ts(line.ts_in)
            if arrives_ns <= placed.ts_ns:
                self._arrive(line)
            else:
                heapq.heappush(self._due, (arrives_ns, placed.seq, line))

    def finish(self) -> None:
        """Let everything arrive that has a time of arrival."""
        while self._due:
            self._arrive(heapq.heappop(self._due)[2])

    def balances(self) -> dict[tuple[str, str], Decimal]:
        """Return what is held by (account, asset), zeros left out, sorted."""
        return {key: number for key, number in sorted(self._held.items()) if number}

    def open_items(self) -> list[OpenItem]:
        """Return every account and asset that fell below zero, sorted."""
        return [_item(account, asset, short) for (account, asset), short in sorted(self._short.items())]

    def _arrive(self, line: TransferLine) -> None:
        key = (line.dst, line.asset)
        self._held[key] = EXACT.add(self._held.get(key, ZERO), line.received)

    def _note(self, account: str, asset: str, line: HistoryLine) -> None:
        number = self._held[account, asset]
        short = self._short.get((account, asset))
        if short is None:
            self._short[account, asset] = _Shortfall(line.id, line.ts, number, number, line.id)
        elif number < short.lowest:
            self._short[account, asset] = short._replace(lowest=number, lowest_line=line.id)


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
    for placed in history:
        watch.feed(placed)
    return watch.open_items()


def _item(account: str, asset: str, short: _Shortfall) -> OpenItem:
    what = f"{account} has {fmt(EXACT.minus(short.number))} {asset} less than what leaves it on {short.ts}"
    if short.lowest != short.number:
        what += f", {fmt(EXACT.minus(short.lowest))} less at {short.lowest_line}"
    remedy = (
        f"import what brought {asset} to {account} before that: `arbot ledger import FILE`, with a deposit, "
        "a transfer, or an opening that has basis and date"
    )
    return OpenItem(NEGATIVE_BALANCE, f"{short.line} at {account}", what, remedy)
