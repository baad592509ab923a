"""History lines: what happened to money, gross and priced, with no tax result. The unit of import, export and taxation.

Rules of this file:
- A line is stored and exchanged as one canonical JSON object (docs/guide/history-format.md). These structs read that text:
  amounts are Decimals, times stay text beside the nanoseconds that `Placed` carries.
- Amounts are gross: a fee comes on top of them, in any asset; a rebate is a negative fee.
- `px` is the price in USD of one unit of every asset a line touches, at its time; USD itself is left out. `fx` is how many
  units of a currency one USD was worth.
- An account is one place with its own lots: a venue account, a sub-account, a wallet.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

CASH: Final = frozenset({"USD", "EUR", "GBP", "CAD", "AUD", "CHF", "JPY"})
"""Assets that are money: they have no lots."""

IN_TRANSIT: Final = "in-transit"
"""The account of what has left one place and not yet arrived at another."""

NS_PER_S: Final = 1_000_000_000
S_PER_DAY: Final = 86_400
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()

_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})T((?:[01]\d|2[0-3]):[0-5]\d):([0-5]\d)(?:\.(\d{1,9}))?Z", re.ASCII)

SECONDS_NS: Final = {f"{second:02d}": second * NS_PER_S for second in range(60)}
MINUTES_NS: Final = {f"{m // 60:02d}:{m % 60:02d}": m * 60 * NS_PER_S for m in range(S_PER_DAY // 60)}
"""What the parts of a time of day stand for, by how they are written: looked up, a million lines have them."""


class _Line(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", gc=False):
    id: str
    ts: str
    px: dict[str, Decimal] = {}
    fx: dict[str, Decimal] = {}
    px_src: dict[str, str] = {}
    note: str = ""


class DepositLine(_Line, frozen=True, kw_only=True, tag="deposit", gc=False):
    """Cash from the owner's bank."""

    venue: str
    asset: str
    amount: Decimal


class WithdrawalLine(_Line, frozen=True, kw_only=True, tag="withdrawal", gc=False):
    """Cash to the owner's bank."""

    venue: str
    asset: str
    amount: Decimal


class OpeningLine(_Line, frozen=True, kw_only=True, tag="opening", gc=False):
    """Coins with a history outside: total basis in USD, and the original time of acquisition."""

    venue: str
    asset: str
    amount: Decimal
    basis: Decimal
    acquired: str
    allocation: str = ""  # "specific" | "global": made by a safe-harbour allocation as of 2025-01-01


class FillLine(_Line, frozen=True, kw_only=True, tag="fill", gc=False):
    """One execution. `cost` is what is booked in quote; `price` is for reading. `fee` is charged on top."""

    venue: str
    symbol: str
    base: str
    quote: str
    side: str  # "buy" | "sell"
    amount: Decimal
    price: Decimal
    cost: Decimal
    fee: Decimal
    fee_ccy: str
    order_id: str


class TransferLine(_Line, frozen=True, kw_only=True, tag="transfer", gc=False):
    """A move between two accounts of the owner: `sent` = `received` + `fee`. `ts_in` None is on its way."""

    ts_in: str | None
    src: str
    dst: str
    asset: str
    sent: Decimal
    received: Decimal
    fee: Decimal
    txid: str = ""


class IncomeLine(_Line, frozen=True, kw_only=True, tag="income", gc=False):
    """Coins or cash received outside a trade; `why` is interest, rebate, airdrop, reward or other."""

    venue: str
    asset: str
    amount: Decimal
    why: str


class SpendLine(_Line, frozen=True, kw_only=True, tag="spend", gc=False):
    """Coins or cash that leave for a service; `why` is fee, payment, funding or other."""

    venue: str
    asset: str
    amount: Decimal
    why: str


HistoryLine = DepositLine | WithdrawalLine | OpeningLine | FillLine | TransferLine | IncomeLine | SpendLine


class Placed(NamedTuple):
    """A line with its instant and its place in the ledger: lines of one instant are taken in the order of `seq`."""

    line: HistoryLine
    ts_ns: int
    seq: int


class LotMethod(StrEnum):
    """Which units go first. AVERAGE is for jurisdictions that pool; the United States do not know it for coins."""

    FIFO = "fifo"
    LIFO = "lifo"
    HIFO = "hifo"
    LOFO = "lofo"
    AVERAGE = "average"


class PickedLot(msgspec.Struct, frozen=True):
    """So many units of one lot."""

    lot: str
    qty: Decimal


@lru_cache(maxsize=8192)  # a line's time is asked for when it is read, compared, projected and posted
def parse_ts(text: str) -> int:
    """Return ns since the epoch of "2025-01-01T00:00:11.5Z". Raises: ValueError when it is not such a time in UTC."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"not a UTC time like 2025-01-01T00:00:11Z: {text[:40]!r}")
    day, minute, second, fraction = match.groups()
    nanos = int(fraction.ljust(9, "0")) if fraction else 0
    return _day_ns(day) + MINUTES_NS[minute] + SECONDS_NS[second] + nanos


def format_ts(ts_ns: int) -> str:
    """Return the text of an instant, with as many digits of the second as it needs."""
    seconds, nanos = divmod(ts_ns, NS_PER_S)
    day, second = divmod(seconds, S_PER_DAY)
    text = f"{_day_text(day)}T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    return f"{text}.{nanos:09d}".rstrip("0") + "Z" if nanos else text + "Z"


@lru_cache(maxsize=4096)
def _day_text(day: int) -> str:
    return date.fromordinal(day + _EPOCH_DAY).isoformat()


@lru_cache(maxsize=4096)
def _day_ns(text: str) -> int:
    return (date.fromisoformat(text).toordinal() - _EPOCH_DAY) * S_PER_DAY * NS_PER_S
