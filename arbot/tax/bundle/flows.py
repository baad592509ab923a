"""Files made from the history's own lines: income.csv, fees.csv, transfers.csv, evidence.csv.

Rules of this file:
- Values in USD at the prices of the line, exact; a line whose price is missing has an empty value, never a guess. In another
  country the value in its currency and the rate stand beside them (local_words.py).
- The treatment of a fee is told in words; in the United States from the table below (26 CFR 1.1001-7, 1.1012-1(h)).
- Every row can be traced: line id (venue and trade id), account, order id, place in the ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache

from arbot.domain.history import (
    CASH,
    NS_PER_S,
    FillLine,
    HistoryLine,
    IncomeLine,
    Placed,
    SpendLine,
    TransferLine,
    parse_ts,
)
from arbot.domain.units import ONE
from arbot.ledger.cells import cell
from arbot.ledger.lots.words import Slice
from arbot.tax.bundle import local_words
from arbot.tax.bundle.folder import Folder
from arbot.tax.bundle.local_words import Local
from arbot.tax.bundle.passing import Span
from arbot.tax.bundle.texts import plain, utc

HEADER_INCOME = "line_id,time_utc,account,asset,units,why,price_usd,value_usd,price_source,ledger_seq"
HEADER_FEES = "line_id,time_utc,account,order_id,kind,asset,units,price_usd,value_usd,treatment,ledger_seq"
HEADER_TRANSFERS = "line_id,sent_utc,arrived_utc,state,age_s,from,to,asset,sent,received,fee,matched,txid,ledger_seq"
HEADER_EVIDENCE = "line_id,asset,price_usd,source,time_utc,ledger_seq"

BASIS = "added to the basis of what was bought"
PROCEEDS = "taken off the proceeds of what was given up"
CASH_ONLY = "cash for cash: no coin is touched"
PAID_IN_COIN = "; the fee units are a disposal of their own"
WITHHELD = "; withheld units are disposed of at no gain"
ON_TOP = "; the fee units are disposed of with the rest"
NETWORK = "fee units disposed of at value; adds to no basis"
CASH_SPENT = "cash spent: no gain and no basis"
COIN_SPENT = "units disposed of at value"
REBATE = "rebate: "
USD_ONLY = {"USD": ONE}


def treatment(line: FillLine) -> str:
    """Return what the rules make of the fee of a fill."""
    return _treatment(line.side, line.base, line.quote, line.fee_ccy, line.fee < 0)


@lru_cache(maxsize=4096)
def _treatment(side: str, base: str, quote: str, fee_asset: str, is_rebate: bool) -> str:
    given, received = (quote, base) if side == "buy" else (base, quote)
    if given in CASH and received in CASH:
        return CASH_ONLY
    text = BASIS if given in CASH else PROCEEDS
    if is_rebate:
        return REBATE + text
    if fee_asset in CASH:
        return text
    if fee_asset == given:
        return text + ON_TOP
    return text + (WITHHELD if fee_asset == received and given not in CASH else PAID_IN_COIN)


class Flows:
    """Writes the four files. `line` hears lines of the year, `any_line` every line, for transfers under way."""

    def __init__(self, folder: Folder, span: Span, local: Local | None = None) -> None:
        """`local` None: the country's money is the US dollar."""
        self._local = local
        self._treatment, self._network = (
            (treatment, NETWORK) if local is None else (local_words.treatment, local_words.NETWORK)
        )
        self.income_usd = self.fees_usd = Decimal(0)
        self.transfers_open = 0
        self._span = span
        value, rate = (f"value_{local.ccy.lower()}", f"{local.ccy.lower()}_per_usd") if local else ("", "")
        self._income = folder.sheet("income.csv", _beside(HEADER_INCOME, "value_usd", value))
        self._fees = folder.sheet("fees.csv", _beside(HEADER_FEES, "value_usd", value))
        self._transfers = folder.sheet("transfers.csv", HEADER_TRANSFERS)
        self._evidence = folder.sheet("evidence.csv", _beside(HEADER_EVIDENCE, "price_usd", rate))
        self._under_way: list[Placed] = []
        self._last_ns = 0

    def line(self, placed: Placed, _slices: Sequence[Slice]) -> None:
        """Write what a line of the year gives to income, fees and evidence."""
        line, ts_ns, seq = placed
        ident, at = cell(line.id), utc(ts_ns)
        rated = "" if self._local is None else self._rated(line)
        if line.px or (rated and line.fx):
            put, sources = self._evidence.put, line.px_src
            for asset, price in (line.px or USD_ONLY).items():
                source = cell(sources[asset]) if sources and asset in sources else ""
                put(f"{ident},{asset},{plain(price)}{rated},{source},{at},{seq}")
        if type(line) is FillLine:
            if line.fee:
                words = self._treatment(line)
                self._fee(line, ident, at, line.venue, line.order_id, "trade", line.fee_ccy, line.fee, words, seq)
        elif isinstance(line, IncomeLine):
            self._one_income(placed, line)
        elif isinstance(line, SpendLine) and line.why == "fee":
            words = CASH_SPENT if line.asset in CASH else COIN_SPENT
            self._fee(line, ident, at, line.venue, "", "spend", line.asset, line.amount, words, seq)
        elif isinstance(line, TransferLine) and line.fee:
            words = CASH_SPENT if line.asset in CASH else self._network
            self._fee(line, ident, at, line.src, "", "transfer", line.asset, line.fee, words, seq)

    def any_line(self, placed: Placed) -> None:
        """Keep in mind transfers that touch the year: they are told when history has ended."""
        self._last_ns = placed.ts_ns
        line = placed.line
        if type(line) is TransferLine and placed.ts_ns < self._span.end_ns:
            arrived_ns = parse_ts(line.ts_in) if line.ts_in else None
            if arrived_ns is None or arrived_ns >= self._span.start_ns:
                self._under_way.append(placed)

    def close(self) -> None:
        """Write the transfers, with the age of open ones at the end of the year or of history, whichever is earlier."""
        until_ns = min(self._last_ns, self._span.end_ns - 1)
        for placed in self._under_way:
            line = placed.line
            assert isinstance(line, TransferLine)  # noqa: S101 - any_line keeps no other
            arrived_ns = parse_ts(line.ts_in) if line.ts_in else None
            state = _state(arrived_ns, self._span)
            self.transfers_open += state != "arrived"
            age_s = max(0, (until_ns if arrived_ns is None else arrived_ns) - placed.ts_ns) // NS_PER_S
            arrived = utc(arrived_ns) if arrived_ns is not None else ""
            matched = f"line {line.id}" if arrived_ns is not None else "no arrival known"
            self._transfers.put(
                f"{cell(line.id)},{utc(placed.ts_ns)},{arrived},{state},{age_s},{line.src},{line.dst},{line.asset},"
                f"{plain(line.sent)},{plain(line.received)},{plain(line.fee)},{cell(matched)},{cell(line.txid)},{placed.seq}"
            )

    def _fee(  # noqa: PLR0917 - one per column
        self,
        line: HistoryLine,
        ident: str,
        at: str,
        account: str,
        order: str,
        kind: str,
        asset: str,
        qty: Decimal,
        words: str,
        seq: int,
    ) -> None:
        price = ONE if asset == "USD" else line.px.get(asset)
        if price is None:
            value, numbers = None, f"{plain(qty)},,"
        else:
            value = qty * price
            self.fees_usd += value
            numbers = f"{qty!s},{price!s},{value!s}"
            if "E" in numbers:
                numbers = f"{plain(qty)},{plain(price)},{plain(value)}"
        valued = "" if self._local is None else self._valued(line, value)
        self._fees.put(f"{ident},{at},{account},{cell(order)},{kind},{asset},{numbers}{valued},{words},{seq}")

    def _one_income(self, placed: Placed, line: IncomeLine) -> None:
        price = price_of(line, line.asset)
        value = line.amount * price if price is not None else None
        if value is not None:
            self.income_usd += value
        self._income.put(
            f"{cell(line.id)},{utc(placed.ts_ns)},{line.venue},{line.asset},{plain(line.amount)},{line.why},{_or_empty(price)},"
            f"{_or_empty(value)}{self._valued(line, value)},{cell(line.px_src.get(line.asset, ''))},{placed.seq}"
        )

    def _rated(self, line: HistoryLine) -> str:
        """Return the cell of the rate, with the comma before it; nothing where dollars need none."""
        return "" if self._local is None else f",{_or_empty(self._local.rate(line))}"

    def _valued(self, line: HistoryLine, value: Decimal | None) -> str:
        """Return the cell of the value in the country's currency, with the comma before it."""
        if self._local is None:
            return ""
        rate = self._local.rate(line)
        return f",{plain(value * rate)}" if value is not None and rate is not None else ","


def price_of(line: HistoryLine, asset: str) -> Decimal | None:
    """Return the USD price of one unit that the line states, None when it states none."""
    return ONE if asset == "USD" else line.px.get(asset)


def _state(arrived_ns: int | None, span: Span) -> str:
    if arrived_ns is None:
        return "under way"
    return "arrived" if arrived_ns < span.end_ns else "arrived after the year"


def _beside(header: str, column: str, added: str) -> str:
    """Return a header with a column added beside another; "" adds none."""
    return header.replace(column, f"{column},{added}") if added else header


def _or_empty(number: Decimal | None) -> str:
    return plain(number) if number is not None else ""
