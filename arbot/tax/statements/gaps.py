"""What a statement has and the ledger lacks, the other way round, and where the statement's own balances break.

Rules of this file:
- Compared are the events of the statement's accounts between its first and its last line, both included, and only of the
  kinds this sort of statement can hold.
- A stated balance follows from the one before it: + amount - fee, exactly, per wallet and asset as spelled. Rows of one
  instant may stand in any order. The first row that does not follow is named: before it, rows are missing or changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from arbot.domain.history import FillLine, HistoryLine, TransferLine, parse_ts
from arbot.domain.units import fmt
from arbot.tax.statements.common import BalanceRow, Statement, total
from arbot.tax.statements.matching import Conflict, bare_id, match


class Divergence(NamedTuple):
    """The first row of a wallet whose stated balance does not follow from the row before it."""

    number: int
    wallet: str
    asset: str
    expected: Decimal
    stated: Decimal

    def __str__(self) -> str:
        wallet = f" in {self.wallet}" if self.wallet else ""
        lacks = fmt(total([self.stated, -self.expected]))
        says = f"balance {fmt(self.stated)} {self.asset}{wallet}, the rows before give {fmt(self.expected)}"
        return f"row {self.number}: {says} ({lacks} unexplained)"


class GapReport(NamedTuple):
    """The comparison of one statement with the ledger."""

    first_ts: str  # "" when the statement is empty
    last_ts: str
    missing_in_ledger: list[tuple[str, str]]  # (where in the file, line id)
    missing_in_statement: list[str]  # line ids
    conflicts: list[Conflict]
    agreeing: int
    diverging: list[Divergence]

    @property
    def is_whole(self) -> bool:
        """Return whether statement and ledger tell the same and no balance breaks."""
        return not (self.missing_in_ledger or self.missing_in_statement or self.conflicts or self.diverging)


def report(statement: Statement, ledger: Iterable[HistoryLine]) -> GapReport:
    """Compare a statement with the lines of a ledger."""
    accounts = _accounts_of(statement)
    own = [line for line in ledger if _accounts(line) & accounts]
    by_id = {line.id: line for line in own}
    matched = match(statement, by_id.get)
    seen = (
        {line.id for line in statement.lines} | set(matched.duplicates) | {found.line_id for found in matched.conflicts}
    )
    seen |= {bare_id(line.id) for line in statement.lines if isinstance(line, FillLine)} | matched.covered
    instants = [parse_ts(line.ts) for line in statement.lines] + [movement.ts_ns for movement in statement.unmatched]
    step_ns = int(10 ** (9 - statement.ts_digits))
    first_ns, last_ns = (min(instants) - step_ns, max(instants) + step_ns) if instants else (0, 0)
    lines = sorted(statement.lines, key=lambda line: parse_ts(line.ts))
    lacking = [(statement.where(line.id), line.id) for line in matched.new]
    lacking += [
        (f"{statement.path.name} row {', '.join(map(str, movement.rows))}", movement.line_id)
        for movement in statement.unmatched
        if movement.line_id not in matched.covered
    ]
    missing = [
        line.id
        for line in own
        if line.id not in seen and isinstance(line, statement.kinds) and first_ns < parse_ts(line.ts) < last_ns
    ]
    return GapReport(
        first_ts=lines[0].ts if lines else "",
        last_ts=lines[-1].ts if lines else "",
        missing_in_ledger=lacking,
        missing_in_statement=missing,
        conflicts=matched.conflicts,
        agreeing=len(matched.duplicates),
        diverging=check_balances(statement.balances),
    )


def check_balances(rows: list[BalanceRow]) -> list[Divergence]:
    """Return the first row of each wallet and asset that does not follow, in the order of the file."""
    last: dict[tuple[str, str], Decimal] = {}
    broken: dict[tuple[str, str], Divergence] = {}
    for key, group in _instants(rows):
        if key in broken:
            continue
        waiting = group
        if key not in last:
            last[key] = _opening(group)
        while waiting:
            following = next((row for row in waiting if _after(last[key], row) == row.balance), None)
            if following is None:
                row = waiting[0]
                broken[key] = Divergence(row.number, *key, _after(last[key], row), row.balance)
                break
            last[key] = following.balance
            waiting = [row for row in waiting if row is not following]
    return sorted(broken.values())


def _instants(rows: list[BalanceRow]) -> Iterable[tuple[tuple[str, str], list[BalanceRow]]]:
    """Yield the rows of each wallet, asset and instant, in the order of the file."""
    groups: dict[tuple[str, str, int], list[BalanceRow]] = {}
    for row in rows:
        groups.setdefault((row.wallet, row.asset, row.ts_ns), []).append(row)
    for (wallet, asset, _), group in groups.items():
        yield (wallet, asset), group


def _opening(group: list[BalanceRow]) -> Decimal:
    """Return the balance before the first instant: the one from which all its rows follow, else before its first row."""
    starts = [total([row.balance, -row.amount, row.fee]) for row in group]
    ends = {row.balance for row in group}
    return next((start for start in starts if start not in ends), starts[0])


def _after(before: Decimal, row: BalanceRow) -> Decimal:
    return total([before, row.amount, -row.fee])


def _accounts(line: HistoryLine) -> set[str]:
    return {line.src, line.dst} if isinstance(line, TransferLine) else {line.venue}


def _accounts_of(statement: Statement) -> set[str]:
    named = {account for line in statement.lines for account in _accounts(line)}
    return named | {movement.account for movement in statement.unmatched}
