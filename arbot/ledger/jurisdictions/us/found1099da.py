"""What came of comparing Forms 1099-DA with the books, and how it is told.

Rules of this file:
- Unmatched rows, ambiguous rows, proceeds that no known cost explains, and wash sales on the form keep a report open.
- Sales without a row are told (box I or L): one by one where they are few, else summed up by account and asset. So are the
  corrections that a match needs.
- Every item names the row or sale, its amounts, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec

from arbot.domain.units import EXACT, ZERO, fmt
from arbot.ledger.jurisdictions.us.amounts import cents
from arbot.ledger.jurisdictions.us.boxes import LONG, SHORT, Reported, columns, said_by_term
from arbot.ledger.jurisdictions.us.form1099da import Form1099Da
from arbot.ledger.lots.words import OpenItem

LISTED_MAX: Final = 20
"""Sales of one asset at one account without a row are told one by one up to so many."""
_TERM_WORDS: Final = {SHORT: "short", LONG: "long", "": "no term"}
_CODES_ENTERED: Final = frozenset({"B", "E", "O", "T"})


class SalePart(msgspec.Struct):
    """The short or long part of a sale, exact."""

    qty: Decimal = ZERO
    proceeds: Decimal = ZERO
    basis: Decimal = ZERO


class OwnSale(msgspec.Struct, kw_only=True):
    """A sale in our books at an account that sent forms."""

    disposal: str
    account: str
    asset: str
    sale_txid: str
    sold_day: int
    sold_day_utc: int
    cost: Decimal
    parts: dict[str, SalePart]

    @property
    def qty(self) -> Decimal:
        """Return the units sold."""
        return _sum(part.qty for part in self.parts.values())

    @property
    def proceeds(self) -> Decimal:
        """Return what was realised, net of costs."""
        return _sum(part.proceeds for part in self.parts.values())

    @property
    def basis(self) -> Decimal:
        """Return the basis of the units sold."""
        return _sum(part.basis for part in self.parts.values())


class Unmatched(NamedTuple):
    """A row without a sale, and why."""

    form: Form1099Da
    why: str


class Ambiguity(NamedTuple):
    """Rows and sales of the same facts that nothing tells apart."""

    forms: tuple[Form1099Da, ...]
    disposals: tuple[str, ...]


class Difference(NamedTuple):
    """What a form says otherwise than the books, of one term of a sale."""

    code: str  # B, E, O, T as on Form 8949; W a wash sale that is not entered; "" proceeds below ours
    form: Form1099Da
    disposal: str
    what: str


class Match(msgspec.Struct, frozen=True):
    """What was found: by disposal what forms say, and everything that did not fit, in the order of forms and sales."""

    reported: Mapping[str, tuple[Reported, ...]]
    unmatched_forms: tuple[Unmatched, ...]
    unmatched_sales: tuple[OwnSale, ...]
    ambiguous: tuple[Ambiguity, ...]
    differences: tuple[Difference, ...]

    def open_items(self) -> list[OpenItem]:
        """Return what keeps a filing report back."""
        return [
            *(_unmatched_item(found) for found in self.unmatched_forms),
            *(_ambiguous_item(found) for found in self.ambiguous),
            *(_difference_item(found) for found in self.differences if found.code in {"O", "W"}),
        ]

    def notes(self) -> list[OpenItem]:
        """Return what is told beside: corrections made by code, and sales without a row."""
        return [
            *(_difference_item(found) for found in self.differences if found.code not in {"O", "W"}),
            *_missing_items(self.unmatched_sales),
        ]


def differences_of(
    sale: OwnSale, found: Mapping[str, Form1099Da], reports: tuple[Reported, ...]
) -> Iterator[Difference]:
    """Give what the forms about a sale say otherwise than the books."""
    said = said_by_term(reports, {term: part.qty for term, part in sale.parts.items()})
    for term, part in sale.parts.items():
        if term not in said:
            continue
        form = found.get(term) or found[""]
        entry = columns(term, part.proceeds, part.basis, said[term])
        own, shown = cents(part.proceeds), cents(said[term].proceeds)
        words = {
            "B": f"basis {_money(said[term].basis)} on the form, {cents(part.basis)} by the books",
            "E": f"proceeds {shown} on the form are not reduced by costs; {own} by the books",
            "O": f"proceeds {shown} on the form, {own} by the books, and no known cost explains it",
            "T": f"{_TERM_WORDS[said[term].term]} on the form, {_TERM_WORDS[term]} by the books",
        }
        for letter in entry.code:
            yield Difference(letter, form, sale.disposal, words[letter])
        if entry.proceeds > shown:
            yield Difference(
                "", form, sale.disposal, f"proceeds {shown} on the form, {own} by the books, which are entered"
            )
    for form in found.values():
        if form.wash_sale_disallowed:
            text = f"a wash sale loss of {fmt(form.wash_sale_disallowed)} is disallowed on the form, and not entered"
            yield Difference("W", form, sale.disposal, text)


def _money(amount: Decimal | None) -> str:
    return "none" if amount is None else str(cents(amount))


def _told_of(form: Form1099Da) -> str:
    told = f"{fmt(form.units)} {form.asset} sold {form.sold} at {form.account}, proceeds {cents(form.proceeds)}"
    told += f", basis {cents(form.basis)}" if form.basis is not None else ""
    return f"{told} ({form.remarks})" if form.remarks else told


def _unmatched_item(found: Unmatched) -> OpenItem:
    return OpenItem(
        "form_1099da_unmatched",
        found.form.where,
        f"{_told_of(found.form)}: {found.why}",
        "import the missing history with `arbot ledger import FILE`, or ask the broker to correct the form",
    )


def _ambiguous_item(found: Ambiguity) -> OpenItem:
    return OpenItem(
        "form_1099da_ambiguous",
        ", ".join(form.where for form in found.forms),
        f"{_told_of(found.forms[0])}: fits {len(found.disposals)} sales alike: {', '.join(found.disposals)}",
        "give each row the id of its sale in the column `sale id`",
    )


def _difference_item(found: Difference) -> OpenItem:
    code = {"O": "form_1099da_proceeds", "W": "form_1099da_wash_sale"}.get(found.code, "form_1099da_corrected")
    return OpenItem(
        code,
        f"{found.form.where}, sale {found.disposal}",
        found.what + (f" (code {found.code})" if found.code in _CODES_ENTERED else ""),
        "compare the form with the venue's statement; correct the one that is wrong",
    )


def _missing_items(sales: Sequence[OwnSale]) -> Iterator[OpenItem]:
    """Give the sales without a row: one by one where they are few, else summed up by account and asset."""
    by_asset: dict[tuple[str, str], list[OwnSale]] = {}
    for sale in sales:
        by_asset.setdefault((sale.account, sale.asset), []).append(sale)
    for (account, _), found in by_asset.items():
        if len(found) <= LISTED_MAX:
            yield from (_missing_item(f"sale {sale.disposal} at {account}", [sale]) for sale in found)
        else:
            yield _missing_item(f"{len(found)} sales at {account}", found)


def _missing_item(where: str, sales: Sequence[OwnSale]) -> OpenItem:
    qty, proceeds, basis = (
        _sum(amounts)
        for amounts in (
            (sale.qty for sale in sales),
            (sale.proceeds for sale in sales),
            (sale.basis for sale in sales),
        )
    )
    told = f"{fmt(qty)} {sales[0].asset}, proceeds {cents(proceeds)}, basis {cents(basis)}"
    return OpenItem(
        "form_1099da_missing",
        where,
        f"{told}: on no row of the forms, so in box I or L",
        "nothing to do if the broker need not report it; else ask for the form",
    )


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    total = ZERO
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total
