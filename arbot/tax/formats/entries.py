"""What most programs want to hear of a history line: something went, something came, a fee on top.

Rules of this file:
- Amounts stay gross and exact; an absent side has the asset "" and the number 0.
- A rebate is an entry of its own: no program takes a negative fee. A transfer is two entries with one id: what leaves is
  net of the fee and equal to what arrives, the fee is on top.
- An opening lot becomes a deposit of its basis and a purchase for it at the time of acquisition: the only way to give
  basis and date to programs that compute both.
- Value is in USD: cost x price of the quote for a fill (26 CFR 1.1001-7(b), valued once for both sides), else amount x
  price. A fee withheld from what is received is worth its share of the trade.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, assert_never

from arbot.domain.history import (
    CASH,
    DepositLine,
    FillLine,
    HistoryLine,
    IncomeLine,
    OpeningLine,
    SpendLine,
    TransferLine,
    WithdrawalLine,
)
from arbot.domain.units import ZERO
from arbot.tax.formats.losses import Losses

ONE = Decimal(1)


class Event(StrEnum):
    """What an entry is, as the programs tell events apart."""

    BUY = "buy"  # cash went, coins came
    SELL = "sell"  # coins went, cash came
    SWAP = "swap"  # coins for coins, or cash for cash
    BANK_IN = "bank_in"
    BANK_OUT = "bank_out"
    MOVE_OUT = "move_out"  # to another account of the owner
    MOVE_IN = "move_in"
    INCOME = "income"
    SPEND = "spend"


TRADES = frozenset({Event.BUY, Event.SELL, Event.SWAP})
MOVES = frozenset({Event.MOVE_OUT, Event.MOVE_IN})


class Entry(NamedTuple):
    """One row's worth of history. `why` is the line's own word, or `fee_rebate`."""

    event: Event
    id: str
    ts: str
    account: str
    sent: Decimal
    sent_asset: str
    received: Decimal
    received_asset: str
    fee: Decimal
    fee_asset: str
    value: Decimal
    fee_value: Decimal
    why: str
    txid: str
    note: str
    line: HistoryLine


def entries(line: HistoryLine, losses: Losses) -> Iterator[Entry]:
    """Yield what a line means to other programs, in order of time."""
    match line:
        case FillLine():
            yield from _fill(line, losses)
        case TransferLine():
            yield from _transfer(line, losses)
        case OpeningLine():
            yield from _opening(line, losses)
        case DepositLine():
            yield _came(line, Event.BANK_IN, line.venue, line.asset, line.amount)
        case WithdrawalLine():
            yield _went(line, Event.BANK_OUT, line.venue, line.asset, line.amount)
        case IncomeLine():
            yield _came(line, Event.INCOME, line.venue, line.asset, line.amount)._replace(why=line.why)
        case SpendLine():
            yield _went(line, Event.SPEND, line.venue, line.asset, line.amount)._replace(why=line.why)
        case _:
            assert_never(line)


def price_of(line: HistoryLine, asset: str) -> Decimal:
    """Return the USD price of an asset that the line touches; of USD 1, of what is not priced 0 (cash deposits)."""
    return ONE if asset == "USD" else line.px.get(asset, ZERO)


def _fill(line: FillLine, losses: Losses) -> Iterator[Entry]:
    is_buy = line.side == "buy"
    value = line.cost * price_of(line, line.quote)
    sent, sent_asset, received, received_asset = (
        (line.cost, line.quote, line.amount, line.base) if is_buy else (line.amount, line.base, line.cost, line.quote)
    )
    fee, fee_asset, fee_value = line.fee, line.fee_ccy, ZERO
    if fee > 0:
        withheld = fee_asset == received_asset and received_asset not in CASH
        fee_value = value * fee / received if withheld else fee * price_of(line, fee_asset)
    else:
        fee, fee_asset = ZERO, ""
    is_cash_quote, is_cash_base = line.quote in CASH, line.base in CASH
    event = Event.SWAP if is_cash_quote == is_cash_base else Event.BUY if is_buy == is_cash_quote else Event.SELL
    yield Entry(
        event,
        line.id,
        line.ts,
        line.venue,
        sent,
        sent_asset,
        received,
        received_asset,
        fee,
        fee_asset,
        value,
        fee_value,
        "",
        "",
        "",
        line,
    )
    if line.fee < 0:
        losses.note("rebate_row", line.id)
        rebate = _came(line, Event.INCOME, line.venue, line.fee_ccy, -line.fee)
        yield rebate._replace(id=f"{line.id}:rebate", why="fee_rebate")


def _transfer(line: TransferLine, losses: Losses) -> Iterator[Entry]:
    price = price_of(line, line.asset)
    fee_asset = line.asset if line.fee else ""
    out = _went(line, Event.MOVE_OUT, line.src, line.asset, line.received)
    yield out._replace(fee=line.fee, fee_asset=fee_asset, fee_value=line.fee * price, txid=line.txid or line.id)
    if line.ts_in is None:
        losses.note("in_flight", line.id)
        return
    arrival = _came(line, Event.MOVE_IN, line.dst, line.asset, line.received)
    yield arrival._replace(ts=line.ts_in, txid=line.txid or line.id)


def _opening(line: OpeningLine, losses: Losses) -> Iterator[Entry]:
    note = f"opening lot {line.id}"
    bought = _came(line, Event.BUY, line.venue, line.asset, line.amount)._replace(
        ts=line.acquired, note=note, value=line.basis
    )
    if line.basis == 0:
        losses.note("opening_free", line.id)
        yield bought._replace(event=Event.BANK_IN)
        return
    losses.note("opening_bought", line.id)
    cash = _came(line, Event.BANK_IN, line.venue, "USD", line.basis)
    yield cash._replace(id=f"{line.id}:cash", ts=line.acquired, note=note)
    yield bought._replace(sent=line.basis, sent_asset="USD")


def _came(line: HistoryLine, event: Event, account: str, asset: str, amount: Decimal) -> Entry:
    value = amount * price_of(line, asset)
    return Entry(
        event, line.id, line.ts, account, ZERO, "", amount, asset, ZERO, "", value, ZERO, "", "", line.note, line
    )


def _went(line: HistoryLine, event: Event, account: str, asset: str, amount: Decimal) -> Entry:
    value = amount * price_of(line, asset)
    return Entry(
        event, line.id, line.ts, account, amount, asset, ZERO, "", ZERO, "", value, ZERO, "", "", line.note, line
    )
