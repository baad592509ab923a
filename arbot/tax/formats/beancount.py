"""beancount's ledger with lots: what came has its total cost and lot id, what went names its lot, gains balance the rest.

Rules of this file:
- An acquisition is `{{total USD, date, "lot id"}}`, so lots of one day and price stay apart; a disposal is `{"lot id"}`, so
  every method and pick is kept: beancount is told which lot went, it does not choose.
- The value of a fee in a coin passes through Equity:Conversion in a transaction of its own, and nets to zero there. Units
  withheld from what was received are netted: the lot is what is left of it (gain zero by rule).
- The gain account of the last group is left open for beancount to fill in; a purchase leaves Equity:Rounding open, for the
  28th digit of a unit cost. Cash other than USD has its USD value with `@@`.
- Dates are the taxpayer's; lots have no time of day there, so what beancount would choose itself inside a day is not ours.
- A transfer goes through Assets:InTransit. Balances are asserted to the last digit on the day after the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any, Final

from arbot.domain.history import (
    CASH,
    IN_TRANSIT,
    DepositLine,
    FillLine,
    IncomeLine,
    OpeningLine,
    Placed,
    SpendLine,
    TransferLine,
    WithdrawalLine,
    parse_ts,
)
from arbot.domain.units import EXACT, ZERO
from arbot.ledger.jurisdictions.us.terms import Terms
from arbot.ledger.lots.words import Acquire, Dispose, LotEffect, Slice, Why
from arbot.tax.formats.accounts import AccountNames, commodity
from arbot.tax.formats.entries import price_of
from arbot.tax.formats.matched import Matched, Matching, Moved
from arbot.tax.formats.notation import number

CONVERSION: Final = "Equity:Conversion"
FUNDING: Final = "Equity:Funding"
OPENING: Final = "Equity:Opening"
ROUNDING: Final = "Equity:Rounding"
INCOME: Final = "Income:Other"

HEAD: Final = """option "title" "arbot"
option "operating_currency" "USD"
option "tolerance_multiplier" "0.0000000001"
option "inferred_tolerance_default" "USD:0.000000000001"

"""
_SPENT: Final = {"payment": "Expenses:Payment", "funding": "Expenses:Funding", "other": "Expenses:Other"}


class _Ledger:
    """The text under way: names, accounts that were opened, balances that the postings add up to."""

    def __init__(self, matching: Matching) -> None:
        self.names = AccountNames()
        self.days = matching.days
        self.terms = Terms(matching.days.timezone)
        self.balances: dict[tuple[str, str], Decimal] = {}
        self.opened: dict[str, None] = {}
        self.text: list[str] = []
        self.last_day = 0

    def day(self, ts_ns: int) -> str:
        return date.fromordinal(self.days.of(ts_ns)).isoformat()

    def begin(self, ts_ns: int, what: str, line_id: str, ts: str) -> None:
        """Begin a transaction."""
        self.last_day = max(self.last_day, self.days.of(ts_ns))
        self.text.append(f'{self.day(ts_ns)} * {_quoted(what)}\n  id: {_quoted(line_id)}\n  ts: "{ts}"\n')

    def post(self, account: str, rest: str = "") -> None:
        """Add a posting; without an amount beancount fills it in."""
        self.opened[account] = None
        self.text.append(f"  {account}  {rest}".rstrip() + "\n")

    def asset(self, account: str, asset: str, change: Decimal, cost: str) -> None:
        """Add a posting to an account of the owner, and to its balance."""
        name = self.names.of(account, asset)
        key = (name, asset)
        self.balances[key] = EXACT.add(self.balances.get(key, ZERO), change)
        self.post(name, f"{number(change)} {commodity(asset)} {cost}".rstrip())

    def cash(self, account: str, asset: str, change: Decimal, value: Decimal) -> None:
        """Add cash that came or went; `value` is what all of it was worth in USD, 0 where the line does not say it."""
        is_bare = asset == "USD" or not value
        self.asset(account, asset, change, "" if is_bare else f"@@ {number(abs(value))} USD")

    def came(self, account: str, asset: str, lot: Moved) -> None:
        """Add units of a lot with their cost."""
        cost = f"{{{{{number(lot.basis)} USD, {self.day(lot.acquired_ns)}, {_quoted(lot.lot)}}}}}"
        self.asset(account, asset, lot.qty, cost)

    def went(self, account: str, asset: str, qty: Decimal, lot: str) -> None:
        """Add units that leave out of a lot."""
        self.asset(account, asset, -qty, f"{{{_quoted(lot)}}}")

    def taken(self, slices: list[Slice]) -> None:
        """Add the units of disposals and their gains, the last of them left open."""
        gains: dict[str, Decimal] = {}
        for one in slices:
            self.went(one.account, one.asset, one.qty, one.lot)
            term = "Long" if self.terms.is_long(one.acquired_ns, one.sold_ns) else "Short"
            name = f"Income:Gain:{term}:{one.asset}"
            gains[name] = EXACT.add(gains.get(name, ZERO), EXACT.subtract(one.proceeds, one.basis))
        *first, last = gains
        for name in first:
            self.post(name, f"{number(-gains[name])} USD")
        self.post(last)

    def end(self) -> None:
        self.text.append("\n")

    def drain(self) -> str:
        text = "".join(self.text)
        self.text.clear()
        return text


def ledger(lines: Iterable[Placed], matching: Matching) -> Iterator[str]:
    """Yield the ledger in pieces. Ask `matching` for open items afterwards: with any, the text is not to be used."""
    book = _Ledger(matching)
    opened: dict[str, None] = {}
    yield HEAD
    for matched in matching.each(lines):
        _WRITERS[type(matched.line)](matched, matched.line, book)
        body = book.drain()
        day = book.day(matched.ts_ns)
        fresh = [name for name in book.opened if name not in opened]
        opened.update(dict.fromkeys(fresh))
        book.opened.clear()
        yield "".join(f'{day} open {name} "FIFO"\n' for name in fresh) + body
    if book.last_day:
        day = date.fromordinal(book.last_day + 1).isoformat()
        for (name, asset), balance in sorted(book.balances.items()):
            yield f"{day} balance {name}  {number(balance)} ~ 0 {commodity(asset)}\n"


def _fill(matched: Matched, line: FillLine, book: _Ledger) -> None:
    value = EXACT.multiply(line.cost, price_of(line, line.quote))
    sign = 1 if line.side == "buy" else -1
    main = [one for one in matched.slices if one.why is Why.SELL]
    book.begin(matched.ts_ns, f"{line.side} {line.symbol}", line.id, line.ts)
    for asset, change in ((line.base, line.amount * sign), (line.quote, line.cost * -sign)):
        if asset in CASH:
            book.cash(line.venue, asset, change, value)
    is_paid_in_cash = bool(line.fee) and line.fee_ccy in CASH
    if is_paid_in_cash:
        book.cash(line.venue, line.fee_ccy, -line.fee, line.fee * price_of(line, line.fee_ccy))
    passing = sum(
        (effect.proceeds for effect in matched.effects if isinstance(effect, Dispose) and effect.why is Why.FEE), ZERO
    )
    _acquired(matched.effects, book)
    if passing:
        book.post(CONVERSION, f"{number(-passing)} USD")
    if main:
        book.taken(main)
    else:
        is_coin = any(isinstance(effect, Acquire) for effect in matched.effects)
        book.post(ROUNDING if is_coin else f"Expenses:Fees:Trade:{book.names.venue(line.venue)}")
    book.end()
    fees = [one for one in matched.slices if one.why is Why.FEE]
    if fees:
        book.begin(matched.ts_ns, f"fee of {line.symbol}", f"{line.id}:fee", line.ts)
        book.post(CONVERSION, f"{number(passing)} USD")
        book.taken(fees)
        book.end()


def _acquired(effects: tuple[LotEffect, ...], book: _Ledger) -> None:
    """Add the lots of a line, each net of what was withheld from it."""
    withheld = {effect.lot: effect for effect in effects if isinstance(effect, Dispose) and effect.why is Why.WITHHELD}
    for effect in effects:
        if isinstance(effect, Acquire):
            less = withheld.get(effect.lot)
            qty = EXACT.subtract(effect.qty, less.qty) if less else effect.qty
            basis = EXACT.subtract(effect.basis, less.proceeds) if less else effect.basis
            if qty:
                book.came(effect.account, effect.asset, Moved(effect.lot, effect.acquired_ns, qty, basis))


def _transfer(matched: Matched, line: TransferLine, book: _Ledger) -> None:
    fees = f"Expenses:Fees:Network:{book.names.venue(line.src)}"
    if matched.slices:
        book.begin(matched.ts_ns, f"network fee of {line.asset} to {line.dst}", f"{line.id}:fee", line.ts)
        book.post(fees, f"{number(sum((one.proceeds for one in matched.slices), ZERO))} USD")
        book.taken(matched.slices)
        book.end()
    book.begin(matched.ts_ns, f"send {line.asset} to {line.dst}", line.id, line.ts)
    _move(matched, line, book, line.src, IN_TRANSIT)
    if line.asset in CASH and line.fee:
        value = line.fee * price_of(line, line.asset)
        book.cash(line.src, line.asset, -line.fee, value)
        book.post(fees)
    book.end()
    if line.ts_in is not None:
        book.begin(parse_ts(line.ts_in), f"receive {line.asset} from {line.src}", line.id, line.ts_in)
        _move(matched, line, book, IN_TRANSIT, line.dst)
        book.end()


def _move(matched: Matched, line: TransferLine, book: _Ledger, src: str, dst: str) -> None:
    if line.asset in CASH:
        value = line.received * price_of(line, line.asset)
        book.cash(src, line.asset, -line.received, value)
        book.cash(dst, line.asset, line.received, value)
        return
    for moved in matched.moved:
        book.went(src, line.asset, moved.qty, moved.lot)
        book.came(dst, line.asset, moved)
    book.post(ROUNDING)


def _bank(matched: Matched, line: DepositLine | WithdrawalLine, book: _Ledger) -> None:
    is_in = isinstance(line, DepositLine)
    book.begin(matched.ts_ns, "deposit" if is_in else "withdrawal", line.id, line.ts)
    value = line.amount * price_of(line, line.asset)
    book.cash(line.venue, line.asset, line.amount if is_in else -line.amount, value)
    book.post(FUNDING)
    book.end()


def _opening(matched: Matched, line: OpeningLine, book: _Ledger) -> None:
    book.begin(matched.ts_ns, "opening", line.id, line.ts)
    _acquired(matched.effects, book)
    book.post(OPENING)
    book.end()


def _income(matched: Matched, line: IncomeLine, book: _Ledger) -> None:
    book.begin(matched.ts_ns, f"income {line.why}", line.id, line.ts)
    _acquired(matched.effects, book)
    if line.asset in CASH:
        book.cash(line.venue, line.asset, line.amount, line.amount * price_of(line, line.asset))
    book.post(INCOME)
    book.end()


def _spend(matched: Matched, line: SpendLine, book: _Ledger) -> None:
    value = EXACT.multiply(line.amount, price_of(line, line.asset))
    to = _SPENT.get(line.why) or f"Expenses:Fees:Network:{book.names.venue(line.venue)}"
    book.begin(matched.ts_ns, f"spend {line.why}", line.id, line.ts)
    if line.asset in CASH:
        book.cash(line.venue, line.asset, -line.amount, value)
        book.post(to)
    else:
        book.post(to, f"{number(value)} USD")
        book.taken(matched.slices)
    book.end()


_WRITERS: Final[dict[type, Callable[[Matched, Any, _Ledger], None]]] = {
    FillLine: _fill,
    TransferLine: _transfer,
    DepositLine: _bank,
    WithdrawalLine: _bank,
    OpeningLine: _opening,
    IncomeLine: _income,
    SpendLine: _spend,
}


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
