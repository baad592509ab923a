"""hledger's journal: one transaction for each event, exact in every commodity, balances asserted at the end.

Rules of this file:
- A trade has its exact cost with `@@` in the quote asset; fees and rebates are postings of their own in their own asset.
- A transfer leaves to Assets:InTransit on its day and arrives from it on its own: what is in flight stays visible.
- For balances and fees, not gains: there are no lots. Commodities are always quoted: a symbol with a digit has to be.
- Dates are UTC; hledger sorts by date and keeps the order of the file inside one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final, assert_never

from arbot.domain.history import (
    IN_TRANSIT,
    DepositLine,
    FillLine,
    HistoryLine,
    IncomeLine,
    OpeningLine,
    Placed,
    SpendLine,
    TransferLine,
    WithdrawalLine,
)
from arbot.domain.units import EXACT, ZERO
from arbot.tax.formats.accounts import AccountNames
from arbot.tax.formats.losses import Losses
from arbot.tax.formats.notation import number

HEADER: Final = "decimal-mark ."
_SPENT: Final = {"payment": "Expenses:Payment", "funding": "Expenses:Funding", "other": "Expenses:Other"}


class _Journal:
    """The text under way: names and the balances that its postings add up to."""

    def __init__(self, losses: Losses) -> None:
        self.names = AccountNames()
        self.losses = losses
        self.balances: dict[tuple[str, str], Decimal] = {}
        self.last_day = ""

    def head(self, ts: str, what: str, line_id: str) -> str:
        day = ts[:10]
        self.last_day = max(self.last_day, day)
        return f"{day} {what}  ; id:{' '.join(line_id.split())}, ts:{ts}\n"  # a line feed would end the comment

    def asset(self, account: str, asset: str, change: Decimal, cost: str = "") -> str:
        """Return a posting to an account of the owner, and add it to its balance."""
        name = self.names.of(account, asset)
        key = (name, asset)
        self.balances[key] = EXACT.add(self.balances.get(key, ZERO), change)
        return f"    {name}  {_amount(change, asset)}{cost}\n"


def journal(lines: Iterable[Placed], losses: Losses) -> Iterator[str]:
    """Yield the journal in pieces: a transaction for each event, then the assertions."""
    book = _Journal(losses)
    yield f"{HEADER}\n\n"
    for placed in lines:
        yield _event(placed.line, book) + "\n"
    if not book.balances:
        return
    yield f"{book.last_day} balances at the end\n"
    for name, asset in sorted(book.balances):
        yield f"    {name}  {_amount(ZERO, asset)} = {_amount(book.balances[name, asset], asset)}\n"


def _event(line: HistoryLine, book: _Journal) -> str:
    match line:
        case FillLine():
            return _fill(line, book)
        case TransferLine():
            return _transfer(line, book)
        case DepositLine():
            return _single(line, book, line.amount, "deposit", "Equity:Funding")
        case WithdrawalLine():
            return _single(line, book, -line.amount, "withdrawal", "Equity:Funding")
        case OpeningLine():
            return _single(line, book, line.amount, "opening", "Equity:Opening")
        case IncomeLine():
            return _single(line, book, line.amount, f"income {line.why}", "Income:Other")
        case SpendLine():
            to = _SPENT.get(line.why) or f"Expenses:Fees:Network:{book.names.venue(line.venue)}"
            return _single(line, book, -line.amount, f"spend {line.why}", to)
        case _:
            assert_never(line)


def _fill(line: FillLine, book: _Journal) -> str:
    sign = 1 if line.side == "buy" else -1
    cost = f" @@ {_amount(line.cost, line.quote)}"
    text = (
        book.head(line.ts, f"{line.side} {line.symbol}", line.id)
        + book.asset(line.venue, line.base, line.amount * sign, cost)
        + book.asset(line.venue, line.quote, line.cost * -sign)
    )
    if line.fee:
        fees = f"Expenses:Fees:Trade:{book.names.venue(line.venue)}"
        text += f"    {fees}  {_amount(line.fee, line.fee_ccy)}\n" + book.asset(line.venue, line.fee_ccy, -line.fee)
    return text


def _transfer(line: TransferLine, book: _Journal) -> str:
    text = (
        book.head(line.ts, f"send {line.asset} to {line.dst}", line.id)
        + book.asset(line.src, line.asset, -line.sent)
        + book.asset(IN_TRANSIT, line.asset, line.received)
    )
    if line.fee:
        text += f"    Expenses:Fees:Network:{book.names.venue(line.src)}  {_amount(line.fee, line.asset)}\n"
    if line.ts_in is None:
        return text
    return (
        text
        + "\n"
        + book.head(line.ts_in, f"receive {line.asset} from {line.src}", line.id)
        + book.asset(IN_TRANSIT, line.asset, -line.received)
        + book.asset(line.dst, line.asset, line.received)
    )


def _single(
    line: DepositLine | WithdrawalLine | OpeningLine | IncomeLine | SpendLine,
    book: _Journal,
    change: Decimal,
    what: str,
    against: str,
) -> str:
    return (
        book.head(line.ts, what, line.id)
        + book.asset(line.venue, line.asset, change)
        + f"    {against}  {_amount(-change, line.asset)}\n"
    )


def _amount(amount: Decimal, asset: str) -> str:
    return f'{number(amount)} "{asset}"'
