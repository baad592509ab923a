"""Imported lines that say again, or say better, what the journal has booked already: by id, never by amount and time.

Rules of this file:
- A line with the id of one of ours and the same content is the same line; it passes once. Prices and notes are not content,
  so an imported twin may bring the prices that ours lacks.
- Coins that came or went, and adjustments, may be told anew by a line of another kind under their id: only a person knows
  what they were. It has to move their account by exactly as much.
- What is so restated is in the ledger: the imported line moves the account on the other side of what was booked.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

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
from arbot.domain.units import EXACT

_NOT_CONTENT = ("px", "fx", "px_src", "note")
_TIMES = ("ts", "ts_in", "acquired")


class Effect(NamedTuple):
    """A line moves an account by `number` of `asset` at an instant."""

    account: str
    asset: str
    number: Decimal
    ts_ns: int


def is_same_content(one: HistoryLine, other: HistoryLine) -> bool:
    """Return whether two lines say the same of what happened: times as instants, numbers as numbers."""
    return type(one) is type(other) and _content(one) == _content(other)


def differing(one: HistoryLine, other: HistoryLine) -> str:
    """Return in words where two lines of one id differ."""
    if type(one) is not type(other):
        return f"{_kind(one)} against {_kind(other)}"
    ours, theirs = _content(one), _content(other)
    names = [name for name in ours if ours[name] != theirs[name]]
    raw, again = msgspec.structs.asdict(one), msgspec.structs.asdict(other)
    return ", ".join(f"{name} {raw[name]} against {again[name]}" for name in names)


def effects(line: HistoryLine, ts_ns: int) -> Iterator[Effect]:
    """Yield how a line moves accounts."""
    match line:
        case FillLine():
            sign = 1 if line.side == "buy" else -1
            yield Effect(line.venue, line.base, EXACT.multiply(line.amount, Decimal(sign)), ts_ns)
            yield Effect(line.venue, line.quote, EXACT.multiply(line.cost, Decimal(-sign)), ts_ns)
            if line.fee:
                yield Effect(line.venue, line.fee_ccy, EXACT.minus(line.fee), ts_ns)
        case TransferLine():
            yield Effect(line.src, line.asset, EXACT.minus(line.sent), ts_ns)
            if line.ts_in is not None:
                yield Effect(line.dst, line.asset, line.received, parse_ts(line.ts_in))
        case DepositLine() | OpeningLine() | IncomeLine():
            yield Effect(line.venue, line.asset, line.amount, ts_ns)
        case WithdrawalLine() | SpendLine():
            yield Effect(line.venue, line.asset, EXACT.minus(line.amount), ts_ns)


def _content(line: HistoryLine) -> dict[str, Any]:
    values = msgspec.structs.asdict(line)
    for name in _NOT_CONTENT:
        del values[name]
    for name in _TIMES:
        if values.get(name):
            values[name] = parse_ts(values[name])
    return values


def _kind(line: HistoryLine) -> str:
    return str(line.__struct_config__.tag)
