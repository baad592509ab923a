"""What brokers reported: reads Forms 1099-DA out of a CSV file whose columns are named for the boxes of the form.

Rules of this file (Instructions for Form 1099-DA, 2025; there is no standard file, so the columns are our own):
- Canonical columns: 1a code, 1b name, 1c units, 1d acquired, 1e sold, 1f proceeds, 1g basis, 1i wash sale loss disallowed,
  2 basis reported to the IRS, 6 type of gain, 9 noncovered, 12 transferred in, applicable checkbox, account, sale id.
  "Box 1f" is the same as "1f". A column map names other headers; a header mapped to "" is left out on purpose.
- Needed: 1c, 1e, 1f, one of 1a and 1b, one of 2 and applicable checkbox, and account unless one is given for the file.
- An unknown column or value, a missing cell, boxes that contradict each other: all refused together, by row.
- 1b is our asset when it is written like one, else the asset map names it, by name or by code.
- Box 2 and the checkbox say whether the IRS was told the basis; box 6 and the checkbox say short or long; Y says neither.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Final, Protocol

import msgspec

from arbot.domain.errors import Mistake, UserError
from arbot.domain.units import ZERO, parse_decimal
from arbot.ledger.jurisdictions.us.boxes import LONG, SHORT

COLUMNS_1099DA: Final = (
    "1a", "1b", "1c", "1d", "1e", "1f", "1g", "1i", "2", "6", "9", "12", "applicable checkbox", "account", "sale id",
)  # fmt: skip
_NEEDED: Final = (("1a", "1b"), ("1c",), ("1e",), ("1f",), ("2", "applicable checkbox"))
_CHECKED: Final = {
    "": False, "no": False, "false": False, "0": False, "n": False,
    "x": True, "yes": True, "true": True, "1": True, "y": True, "checked": True,
}  # fmt: skip
_TERMS: Final = {"": "", "short": SHORT, "short-term": SHORT, "s": SHORT, "long": LONG, "long-term": LONG, "l": LONG}
_CHECKBOXES: Final = {  # letter -> is the basis reported to the IRS, term
    "G": (True, SHORT),
    "H": (False, SHORT),
    "J": (True, LONG),
    "K": (False, LONG),
}
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_ASSET: Final = re.compile(r"[A-Z0-9]+", re.ASCII)
_DATE_FORMS: Final = ("%m/%d/%Y", "%Y-%m-%d")


class _Rows(Protocol):
    """What csv.reader gives."""

    line_num: int

    def __next__(self) -> list[str]: ...

    def __iter__(self) -> Iterator[list[str]]: ...


class Form1099Da(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a broker's form. Days are ordinals (date.toordinal); `basis` None: box 1g is empty."""

    where: str
    account: str
    asset: str
    units: Decimal
    sold_day: int
    proceeds: Decimal
    basis: Decimal | None
    is_basis_reported: bool
    term: str  # "S", "L", "" where the form does not say
    acquired: str = ""  # as written: a date, VARIOUS or nothing
    wash_sale_disallowed: Decimal = ZERO
    is_noncovered: bool = False
    is_transferred_in: bool = False
    sale_id: str = ""

    @property
    def sold(self) -> str:
        """Return the day of sale, MM/DD/YYYY."""
        return date.fromordinal(self.sold_day).strftime("%m/%d/%Y")

    @property
    def remarks(self) -> str:
        """Return what else the form says of the units, in words."""
        found = [
            f"acquired {self.acquired}" if self.acquired else "",
            "noncovered" if self.is_noncovered else "",
            "transferred in" if self.is_transferred_in else "",
        ]
        return ", ".join(word for word in found if word)


def read_forms_1099da(
    lines: Iterable[str],
    name: str,
    *,
    columns: Mapping[str, str] | None = None,
    assets: Mapping[str, str] | None = None,
    account: str = "",
) -> list[Form1099Da]:
    """Return the rows of a CSV file given as lines; `name` is how mistakes call it.

    `columns` maps headers of the file to canonical ones, `assets` names or codes of the form to ours; `account` is that of
    all rows where the file has no such column. Raises: UserError with every mistake in the file.
    """
    rows = csv.reader(lines, strict=True)
    header = _header(_cells(rows, name) or [], name, columns or {}, account)
    forms: list[Form1099Da] = []
    mistakes: list[Mistake] = []
    while (cells := _cells(rows, name)) is not None:
        if not any(cell.strip() for cell in cells):
            continue
        row = _Row(f"{name} row {rows.line_num}", header, cells, mistakes, assets=assets or {}, account=account)
        form = row.form()
        if form is not None:
            forms.append(form)
    if mistakes:
        raise UserError(*mistakes)
    return forms


def _cells(rows: _Rows, name: str) -> list[str] | None:
    """Return the next row, None at the end. Raises: UserError when quoting is broken."""
    try:
        return next(rows, None)
    except csv.Error as error:
        remedy = "save the file again as comma-separated text in UTF-8"
        raise UserError(Mistake(f"{name} row {rows.line_num}", f"is no CSV: {error}", remedy)) from error


def _header(cells: list[str], name: str, columns: Mapping[str, str], account: str) -> list[str]:
    """Return the canonical name of each column, "" for one that is left out on purpose. Raises: UserError."""
    mapped = {_plain(header): canonical for header, canonical in columns.items()}
    found = [mapped.get(_plain(cell), _plain(cell).removeprefix("box ")) for cell in cells]
    mistakes = [
        Mistake(
            f"{name} row 1",
            f"column {cell!r} is no box of Form 1099-DA",
            f"name it one of {', '.join(COLUMNS_1099DA)}, or map it (to nothing, to leave it out)",
        )
        for cell, canonical in zip(cells, found, strict=True)
        if canonical not in {*COLUMNS_1099DA, ""}
    ]
    mistakes += [
        Mistake(f"{name} row 1", f"two columns are called {canonical!r}", "keep one of them")
        for canonical in COLUMNS_1099DA
        if found.count(canonical) > 1
    ]
    needed = _NEEDED if account else (*_NEEDED, ("account",))
    mistakes += [
        Mistake(f"{name} row 1", f"no column {' or '.join(choice)}", "add it, or map the header that holds it")
        for choice in needed
        if not any(column in found for column in choice)
    ]
    if mistakes:
        raise UserError(*mistakes)
    return found


def _plain(header: str) -> str:
    return " ".join(header.strip().lstrip("\ufeff").lower().split())


class _Row:
    """One row being read: mistakes are noted, and the row then gives nothing."""

    def __init__(
        self,
        where: str,
        header: list[str],
        cells: list[str],
        mistakes: list[Mistake],
        *,
        assets: Mapping[str, str],
        account: str,
    ) -> None:
        self._where = where
        self._cells = dict(zip(header, (cell.strip() for cell in cells), strict=False))
        self._has_all_cells = len(cells) == len(header)
        self._mistakes = mistakes
        self._assets = assets
        self._account = account

    def form(self) -> Form1099Da | None:
        """Return the row as a form, or None once it has noted a mistake."""
        before = len(self._mistakes)
        if not self._has_all_cells:
            self._wrong("has another number of cells than the header", "quote cells that hold a comma")
            return None
        is_basis_reported, term = self._reported_and_term()
        basis = self._number("1g") if self._cell("1g") else None
        if is_basis_reported and basis is None and len(self._mistakes) == before:
            self._wrong("says that the basis was reported to the IRS, and box 1g is empty", "fill in 1g as on the form")
        form = Form1099Da(
            where=self._where,
            account=self._account_of(),
            asset=self._asset(),
            units=self._units(),
            sold_day=self._day("1e"),
            proceeds=self._number("1f"),
            basis=basis,
            is_basis_reported=is_basis_reported,
            term=term,
            acquired=self._acquired(),
            wash_sale_disallowed=self._number("1i") if self._cell("1i") else ZERO,
            is_noncovered=self._is_checked("9"),
            is_transferred_in=_CHECKED.get(self._cell("12").lower(), True),
            sale_id=self._cell("sale id"),
        )
        return form if len(self._mistakes) == before else None

    def _cell(self, column: str) -> str:
        return self._cells.get(column, "")

    def _wrong(self, what: str, remedy: str) -> None:
        self._mistakes.append(Mistake(self._where, what, remedy))

    def _account_of(self) -> str:
        account = self._cell("account") or self._account
        if not account:
            self._wrong("has no account", "write the account as the ledger names it, such as kraken")
        return account

    def _asset(self) -> str:
        code, name = self._cell("1a"), self._cell("1b")
        asset = self._assets.get(name) or self._assets.get(code) or name
        if not _ASSET.fullmatch(asset):
            self._wrong(
                f"names an unknown asset: 1a {code!r}, 1b {name!r}", "map the name or the code to an asset such as BTC"
            )
        return asset

    def _units(self) -> Decimal:
        units = self._number("1c")
        if units <= 0 and _NUMBER.fullmatch(self._cell("1c")):
            self._wrong(f"has {self._cell('1c')} units in box 1c", "write the units that were sold")
        return units

    def _number(self, column: str) -> Decimal:
        text = self._cell(column)
        try:
            if _NUMBER.fullmatch(text):
                return parse_decimal(text)
        except ValueError:  # longer than any amount: told below
            pass
        self._wrong(f"box {column} is no plain number: {text[:40]!r}", "write digits only, such as 1234.50")
        return ZERO

    def _day(self, column: str) -> int:
        text = self._cell(column)
        for form in _DATE_FORMS:
            try:
                return datetime.strptime(text, form).toordinal()  # noqa: DTZ007 - a day of the form, no instant
            except ValueError:
                continue
        self._wrong(
            f"box {column} is no date: {text[:40]!r}",
            "write it as 12/31/2025 or 2025-12-31; leave out a row that sums up sales (box 11), it can match none",
        )
        return 1

    def _acquired(self) -> str:
        text = self._cell("1d")
        if text.upper() == "VARIOUS" or not text:
            return text.upper()
        return date.fromordinal(self._day("1d")).strftime("%m/%d/%Y")

    def _is_checked(self, column: str) -> bool:
        text = self._cell(column)
        if text.lower() not in _CHECKED:
            self._wrong(f"box {column} is neither checked nor empty: {text[:40]!r}", "write X or nothing")
        return _CHECKED.get(text.lower(), False)

    def _reported_and_term(self) -> tuple[bool, str]:
        letter, type_text = self._cell("applicable checkbox").upper(), self._cell("6").lower()
        if letter not in {"", "Y", *_CHECKBOXES}:
            self._wrong(f"applicable checkbox is {letter[:40]!r}", "write G, H, J, K or Y, or nothing")
        if type_text not in _TERMS:
            self._wrong(
                f"box 6 is {type_text[:40]!r}",
                "write short or long; what is ordinary income does not belong on Form 8949, so leave the row out",
            )
        is_reported, term = self._is_checked("2"), _TERMS.get(type_text, "")
        if letter not in _CHECKBOXES:
            return is_reported, term
        is_reported_by_letter, term_by_letter = _CHECKBOXES[letter]
        if "2" in self._cells and is_reported != is_reported_by_letter:
            self._wrong(
                f"applicable checkbox {letter} and box 2 contradict each other", "correct one of them from the form"
            )
        if term not in {"", term_by_letter}:
            self._wrong(
                f"applicable checkbox {letter} and box 6 contradict each other", "correct one of them from the form"
            )
        return is_reported_by_letter, term_by_letter
