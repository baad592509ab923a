"""What every reader of statements shares: the table of a file, exact numbers, times, and what a file turned into.

Rules of this file:
- A row keeps its number as a spreadsheet shows it: the header of the table is the row named in the reader, data follow.
- Nothing is guessed: an unknown column, a number that is not plain, a time without a certain zone is a mistake with file,
  row, content and remedy. All mistakes of a file are collected.
- A statement is taken whole or not at all: with one mistake or open item nothing of it is booked.
"""

from __future__ import annotations

import csv
import decimal
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final, NamedTuple

from arbot.domain.errors import Mistake, UserError
from arbot.domain.history import HistoryLine
from arbot.domain.units import DIGITS_MAX, EXACT, WIDE, ZERO
from arbot.ledger.history.codes import MIXED_TIME_ZONES, coded
from arbot.ledger.lots.words import OpenItem

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?", re.ASCII)
_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_ASSET = re.compile(r"[A-Z0-9]+", re.ASCII)
_OFFSET_END = re.compile(r":[0-9]{2}(?:\.[0-9]+)? ?[+-][0-9]{2}:?[0-9]{2}$")
_PRICE_STEP: Final = Decimal(1).scaleb(-18)

USD: Final = "USD"


class Options(NamedTuple):
    """How a statement is to be read: what the command line says beside the file."""

    account: str = ""  # where the rows happened; "" = the format's own word
    timezone: str = "UTC"  # of times that carry none; only a column map may differ from UTC
    map_path: Path | None = None  # column map, transfers, movements, settled rows
    prices_path: Path | None = None  # USD prices with their source


class Movement(NamedTuple):
    """Coins or cash that came from or went to somewhere outside the statement."""

    line_id: str
    keys: tuple[str, ...]  # ids by which an entry may name it: of the row, of the venue's request
    rows: tuple[int, ...]
    ts_ns: int
    account: str
    asset: str
    amount: Decimal  # positive came in, negative went out
    fee: Decimal  # on top, in the same asset
    txid: str = ""
    usd: tuple[Decimal, str] | None = None  # price of one unit by the statement itself, and its source
    note: str = ""


class BalanceRow(NamedTuple):
    """A row that states the balance after it: `wallet` and `asset` as the statement spells them."""

    number: int
    ts_ns: int
    wallet: str
    asset: str
    amount: Decimal
    fee: Decimal
    balance: Decimal


class Statement(NamedTuple):
    """What a file turned into: canonical lines by time, the rows each came from, and everything that is in the way."""

    path: Path
    account: str
    lines: list[HistoryLine]
    rows: dict[str, tuple[int, ...]]
    mistakes: list[Mistake]
    open_items: list[OpenItem]
    unmatched: list[Movement]  # the movements behind open items of code unmatched_transfer
    passed: dict[str, int]  # rows without effect, counted by the reason
    decimals: dict[str, int]  # asset -> digits after the point the statement writes
    ts_digits: int  # digits of the second the statement writes
    balances: list[BalanceRow]
    kinds: tuple[type[HistoryLine], ...]  # of line that this sort of statement would have, had they happened

    def where(self, line_id: str) -> str:
        """Return file and rows of a line, as a person finds them."""
        return at_rows(self.path, self.rows.get(line_id, ()))


class Findings:
    """Collects what is wrong with one file, and what is without effect in it."""

    __slots__ = ("mistakes", "open_items", "passed", "path", "unmatched")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.mistakes: list[Mistake] = []
        self.open_items: list[OpenItem] = []
        self.unmatched: list[Movement] = []
        self.passed: Counter[str] = Counter()

    def mistake(self, rows: tuple[int, ...] | int, what: str, remedy: str) -> None:
        """Note something that is wrong in these rows."""
        self.mistakes.append(Mistake(at_rows(self.path, rows), what, remedy))

    def open(self, code: str, rows: tuple[int, ...], what: str, remedy: str) -> None:
        """Note something that somebody has to settle before the file can be booked."""
        self.open_items.append(OpenItem(code, at_rows(self.path, rows), what, remedy))


class Table(NamedTuple):
    """The rows of a delimited file: column names, and (row number, cells by column) one by one."""

    columns: tuple[str, ...]
    rows: Iterator[tuple[int, dict[str, str]]]


def at_rows(path: Path, rows: tuple[int, ...] | int) -> str:
    """Return "file.csv row 7" or "file.csv rows 7, 8"."""
    numbers = (rows,) if isinstance(rows, int) else rows
    if not numbers:
        return path.name
    return f"{path.name} {'row' if len(numbers) == 1 else 'rows'} {', '.join(map(str, numbers))}"


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8, with or without byte order mark. Raises: UserError."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(Mistake(str(path), f"cannot be read: {error.strerror}", "name a file that exists")) from error
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 (byte {error.start})"
        raise UserError(Mistake(path.name, problem, "name the text file that the venue exported, in UTF-8")) from error


def table(path: Path, findings: Findings, *, delimiter: str = ",", skip_rows: int = 0) -> Table:
    """Return the table of a file whose header stands after `skip_rows` rows. Blank rows are left out.

    Raises: UserError when there is no header. A row with more or fewer cells than the header is a mistake.
    """
    reader = csv.reader(io.StringIO(read_text(path), newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    try:
        for _ in range(skip_rows + 1):
            header = next(reader)
    except (StopIteration, csv.Error) as error:
        raise UserError(Mistake(path.name, "has no header row", "name the file that the venue exported")) from error
    columns = tuple(name.strip().lower() for name in header)
    twice = [name for name, times in Counter(columns).items() if times > 1]
    if twice:
        raise UserError(Mistake(path.name, f"names a column twice: {', '.join(twice)}", "export the file again"))
    return Table(columns, _rows(reader, columns, skip_rows + 1, findings))


def _rows(
    reader: Iterator[list[str]], columns: tuple[str, ...], header_row: int, findings: Findings
) -> Iterator[tuple[int, dict[str, str]]]:
    number = header_row
    try:
        for cells in reader:
            number += 1
            if not any(cells):
                continue
            if len(cells) != len(columns):
                what = f"has {len(cells)} cells, the header has {len(columns)}: {excerpt(','.join(cells))}"
                findings.mistake(number, what, "export the file again and do not save it from a spreadsheet")
                continue
            yield number, dict(zip(columns, (cell.strip() for cell in cells), strict=True))
    except csv.Error as error:
        findings.mistake(number + 1, f"is not CSV: {error}", "export the file again")


def demand_no_offset(text: str) -> None:
    """Raise ValueError when a time of an export in UTC says an offset of its own."""
    if _OFFSET_END.search(text):
        raise ValueError(coded(f"time {excerpt(text)} has an offset, and the export's times are UTC", MIXED_TIME_ZONES))


def excerpt(text: str) -> str:
    """Return a cell or row as it is shown in a mistake."""
    return repr(text if len(text) <= 120 else text[:117] + "...")


def number_of(text: str) -> Decimal:
    """Return the plain number in `text`, its digits kept. Raises: ValueError: exponents and grouping are refused."""
    if _NUMBER.fullmatch(text) is None:
        raise ValueError(f"{excerpt(text)} is not a plain number")
    if len(text) > DIGITS_MAX + 2:
        raise ValueError(f"{excerpt(text)} has too many digits")
    return Decimal(text)


def digits_after_point(number: Decimal) -> int:
    """Return how many digits after the point a number is written with."""
    exponent = number.as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0


def account_of(text: str) -> str:
    """Return `text` if it can name an account. Raises: ValueError."""
    if _ACCOUNT.fullmatch(text) is None or text == "in-transit":
        raise ValueError(f"{excerpt(text)} is no account name: letters, digits, dot, hyphen, underscore")
    return text


def asset_of(text: str) -> str:
    """Return `text` if it can name an asset. Raises: ValueError."""
    if _ASSET.fullmatch(text) is None:
        raise ValueError(f"{excerpt(text)} is no asset: capital letters and digits")
    return text


def total(numbers: Iterator[Decimal] | list[Decimal]) -> Decimal:
    """Return the exact sum."""
    result = ZERO
    for number in numbers:
        result = EXACT.add(result, number)
    return result


def times(left: Decimal, right: Decimal) -> Decimal:
    """Return the exact product."""
    return EXACT.multiply(left, right)


def ratio(numerator: Decimal, denominator: Decimal) -> Decimal:
    """Return a price: the quotient to 18 decimals, half even, without trailing zeros."""
    quotient = WIDE.divide(numerator, denominator)
    try:
        rounded = WIDE.quantize(quotient, _PRICE_STEP)
    except decimal.InvalidOperation:  # more than 60 digits in all: keep the 60 that count
        rounded = quotient
    return plain(rounded)


def plain(number: Decimal) -> Decimal:
    """Return the same number without trailing zeros and without exponent."""
    text = format(number, "f")
    return Decimal(text.rstrip("0").rstrip(".") if "." in text else text)


def columns_missing(columns: tuple[str, ...], wanted: Mapping[str, object]) -> list[str]:
    """Return the wanted columns a header lacks, in the order they are wanted."""
    return [name for name in wanted if name not in columns]
