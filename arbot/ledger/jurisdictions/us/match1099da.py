"""Which sale of ours each row of a Form 1099-DA is about.

Rules of this file:
- By sale id, account, asset and units, the id as the venue has it (T1 for our kraken:T1 and its fee kraken:T1:fee); else by account, asset, units and day of sale, where equal proceeds (net, or before
  our costs) are asked first. The day is the taxpayer's; what finds nothing by it is tried by the UTC day (assumption: a
  broker may count days in UTC).
- A row is about a whole sale or, with the same units, about its short or long part.
- One row and one sale of the same facts match. Several of each match only when as many rows as sales say the very same,
  so that any pairing gives the same form. Everything else is listed as ambiguous; nothing is guessed.
- A row whose sale id is in the books with other units is listed, and never given to another sale.
- Unmatched rows, ambiguous rows, proceeds that no known cost explains, and wash sales on the form keep a report open;
  sales without a row are told (box I or L), and so are the corrections that a match needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec

from arbot.domain.history import NS_PER_S
from arbot.domain.units import EXACT, WIDE, ZERO, fmt
from arbot.ledger.jurisdictions.days import LocalDays
from arbot.ledger.jurisdictions.us.amounts import cents
from arbot.ledger.jurisdictions.us.boxes import LONG, SHORT, Reported, columns, said_by_term
from arbot.ledger.jurisdictions.us.form1099da import Form1099Da
from arbot.ledger.lots.words import OpenItem, Slice

_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_DAY_NS: Final = 86_400 * NS_PER_S
_TERM_WORDS: Final = {SHORT: "short", LONG: "long", "": "no term"}
LISTED_MAX: Final = 20
"""Sales of one asset at one account without a row are told one by one up to so many."""
_CODES_ENTERED: Final = frozenset({"B", "E", "O", "T"})

Key = tuple[object, ...]


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


class Target(NamedTuple):
    """A sale, or the one part of it that `part` names, as a row may be about it."""

    sale: OwnSale
    part: str
    qty: Decimal
    net: Decimal  # cents
    gross: Decimal  # cents: net and the costs of the sale


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


class Matcher:
    """Gathers the sales of a year at the accounts that sent forms. Feed it slices in order, then ask for the match.

    `sale_txid` gives the venue's id of a disposal, `cost_of` the costs in USD that its proceeds were reduced by.
    """

    def __init__(
        self,
        forms: Sequence[Form1099Da],
        is_long: Callable[[int, int], bool],
        timezone: str,
        *,
        sale_txid: Callable[[str], str] | None = None,
        cost_of: Callable[[str], Decimal] | None = None,
    ) -> None:
        self._forms = tuple(forms)
        self._accounts = frozenset(form.account for form in forms)
        self._is_long = is_long
        self._days = LocalDays(timezone)
        self._sale_txid = sale_txid
        self._cost_of = cost_of
        self._sales: dict[str, OwnSale] = {}

    def take(self, part: Slice) -> None:
        """Take the next slice; those of accounts without a form are passed over."""
        if part.account not in self._accounts:
            return
        sale = self._sales.get(part.disposal) or self._begun(part)
        term = LONG if self._is_long(part.acquired_ns, part.sold_ns) else SHORT
        sums = sale.parts.setdefault(term, SalePart())
        sums.qty = EXACT.add(sums.qty, part.qty)
        sums.proceeds = EXACT.add(sums.proceeds, part.proceeds)
        sums.basis = EXACT.add(sums.basis, part.basis)

    def finish(self) -> Match:
        """Return the match."""
        return _Matching(self._forms, list(self._sales.values())).result()

    def _begun(self, part: Slice) -> OwnSale:
        sale = self._sales[part.disposal] = OwnSale(
            disposal=part.disposal,
            account=part.account,
            asset=part.asset,
            sale_txid=(self._sale_txid(part.disposal) if self._sale_txid else "") or _bare(part.disposal, part.account),
            sold_day=self._days.of(part.sold_ns),
            sold_day_utc=_EPOCH_DAY + part.sold_ns // _DAY_NS,
            cost=self._cost_of(part.disposal) if self._cost_of else ZERO,
            parts={},
        )
        return sale


class _Matching:
    """The passes, from the surest facts to the least."""

    def __init__(self, forms: tuple[Form1099Da, ...], sales: list[OwnSale]) -> None:
        self._sales = sales
        self._targets = [target for sale in sales for target in _targets(sale)]
        self._left = dict(enumerate(forms))
        self._taken: dict[str, dict[str, Form1099Da]] = {}  # by disposal, by part
        self._doubts: dict[int, tuple[tuple[int, ...], tuple[Target, ...]]] = {}  # rows and sales that share all facts

    def result(self) -> Match:
        """Return what the passes found."""
        self._pair(lambda form: _bare(form.sale_id, form.account) or None, lambda target: target.sale.sale_txid)
        known = {(sale.account, sale.asset, sale.sale_txid) for sale in self._sales}
        odd = {
            at: form
            for at, form in self._left.items()
            if (form.account, form.asset, _bare(form.sale_id, form.account)) in known
        }
        for at in odd:
            del self._left[at]
        for day in (_local_day, _utc_day):
            skipped = frozenset(self._doubts)
            for amount in (_net, _gross):
                self._pair(
                    lambda form: (form.sold_day, cents(form.proceeds)),
                    lambda target, day=day, amount=amount: (day(target), amount(target)),  # type: ignore[misc]
                    skipped,
                )
            self._pair(lambda form: form.sold_day, day, skipped)
        return self._told(odd)

    def _pair(
        self,
        form_fact: Callable[[Form1099Da], object],
        target_fact: Callable[[Target], object],
        skipped: frozenset[int] = frozenset(),
    ) -> None:
        """Match rows and sales, then rows and parts of sales, of the same fact, account, asset and units."""
        for is_part in (False, True):
            forms: dict[Key, list[int]] = {}
            for at, form in self._left.items():
                fact = form_fact(form)
                if fact is not None and at not in skipped and (form.term or not is_part):
                    about: Key = (fact, form.account, form.asset, form.units, form.term if is_part else "")
                    forms.setdefault(about, []).append(at)
            if not forms:
                continue
            targets: dict[Key, list[Target]] = {}
            for target in self._targets:
                key: Key = (target_fact(target), target.sale.account, target.sale.asset, target.qty, target.part)
                if key in forms and bool(target.part) == is_part and self._is_free(target):
                    targets.setdefault(key, []).append(target)
            for shared, found in targets.items():
                self._settle(tuple(forms[shared]), tuple(found))

    def _settle(self, rows: tuple[int, ...], targets: tuple[Target, ...]) -> None:
        said = [msgspec.structs.replace(self._left[at], where="") for at in rows]
        if len(rows) != len(targets) or any(one != said[0] for one in said):
            for at in rows:
                self._doubts[at] = (rows, targets)
            return
        for at, target in zip(rows, targets, strict=True):
            self._taken.setdefault(target.sale.disposal, {})[target.part] = self._left.pop(at)
            self._doubts.pop(at, None)

    def _is_free(self, target: Target) -> bool:
        taken = self._taken.get(target.sale.disposal)
        return taken is None or (target.part != "" and target.part not in taken and "" not in taken)

    def _told(self, odd: Mapping[int, Form1099Da]) -> Match:
        reported = {sale.disposal: _reports(sale, found) for sale, found in self._matched()}
        unmatched: dict[int, Unmatched] = {}
        ambiguous: dict[tuple[int, ...], Ambiguity] = {}
        for at, form in odd.items():
            unmatched[at] = Unmatched(form, f"its sale id {form.sale_id} is in the books with other units")
        for at, form in self._left.items():
            rows, targets = self._doubts.get(at, ((), ()))
            free = tuple(dict.fromkeys(target.sale.disposal for target in targets if self._is_free(target)))
            rows = tuple(row for row in rows if row in self._left)
            if free:
                ambiguous[rows] = Ambiguity(tuple(self._left[row] for row in rows), free)
            else:
                unmatched[at] = Unmatched(form, "no sale of these units on this day is in the books")
        return Match(
            reported=reported,
            unmatched_forms=tuple(unmatched[at] for at in sorted(unmatched)),
            unmatched_sales=tuple(sale for sale in self._sales if sale.disposal not in self._taken),
            ambiguous=tuple(ambiguous.values()),
            differences=tuple(
                difference
                for sale, found in self._matched()
                for difference in _differences(sale, found, reported[sale.disposal])
            ),
        )

    def _matched(self) -> Iterator[tuple[OwnSale, Mapping[str, Form1099Da]]]:
        return ((sale, self._taken[sale.disposal]) for sale in self._sales if sale.disposal in self._taken)


def _targets(sale: OwnSale) -> list[Target]:
    parts = sale.parts if len(sale.parts) > 1 else {}
    return [
        Target(sale, "", sale.qty, cents(sale.proceeds), cents(EXACT.add(sale.proceeds, sale.cost))),
        *(
            Target(sale, term, part.qty, cents(part.proceeds), cents(EXACT.add(part.proceeds, _share(sale, part))))
            for term, part in parts.items()
        ),
    ]


def _share(sale: OwnSale, part: SalePart) -> Decimal:
    """Return the costs of a part of a sale, by units."""
    return WIDE.divide(EXACT.multiply(sale.cost, part.qty), sale.qty)


def _bare(name: str, account: str) -> str:
    """Return a venue's own id out of a disposal's: kraken:T1:fee -> T1."""
    return name.removeprefix(f"{account}:").removesuffix(":fee")


def _local_day(target: Target) -> int:
    return target.sale.sold_day


def _utc_day(target: Target) -> int:
    return target.sale.sold_day_utc


def _net(target: Target) -> Decimal:
    return target.net


def _gross(target: Target) -> Decimal:
    return target.gross


def _reports(sale: OwnSale, found: Mapping[str, Form1099Da]) -> tuple[Reported, ...]:
    return tuple(
        Reported(
            is_basis_reported=form.is_basis_reported,
            proceeds=form.proceeds,
            basis=form.basis,
            term=form.term,
            cost_left_out=_share(sale, sale.parts[part]) if part else sale.cost,
            sale_txid=form.sale_id,
            part=part,
        )
        for part, form in found.items()
    )


def _differences(sale: OwnSale, found: Mapping[str, Form1099Da], reports: tuple[Reported, ...]) -> Iterator[Difference]:
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
