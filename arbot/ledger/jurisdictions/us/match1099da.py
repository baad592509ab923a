"""Which sale of ours each row of a Form 1099-DA is about.

Rules of this file:
- By sale id, account, asset and units, the id as the venue has it (T1 for our kraken:T1 and its fee kraken:T1:fee); else by
  account, asset, units and day of sale, where equal proceeds (net, or before our costs) are asked first. The day is the
  taxpayer's; what finds nothing by it is tried by the UTC day (assumption: a broker may count days in UTC).
- A row is about a whole sale or, with the same units, about its short or long part.
- One row and one sale of the same facts match. Several of each match only when as many rows as sales say the very same,
  so that any pairing gives the same form. Everything else is listed as ambiguous; nothing is guessed.
- A row whose sale id is in the books with other units is listed, and never given to another sale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec

from arbot.domain.history import NS_PER_S
from arbot.domain.units import EXACT, WIDE, ZERO
from arbot.ledger.jurisdictions.days import LocalDays
from arbot.ledger.jurisdictions.us.amounts import cents
from arbot.ledger.jurisdictions.us.boxes import LONG, SHORT, Reported
from arbot.ledger.jurisdictions.us.form1099da import Form1099Da
from arbot.ledger.jurisdictions.us.found1099da import Ambiguity, Match, OwnSale, SalePart, Unmatched, differences_of
from arbot.ledger.lots.words import Slice

_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_DAY_NS: Final = 86_400 * NS_PER_S

Key = tuple[object, ...]


class Target(NamedTuple):
    """A sale, or the one part of it that `part` names, as a row may be about it."""

    sale: OwnSale
    part: str
    qty: Decimal
    net: Decimal  # cents
    gross: Decimal  # cents: net and the costs of the sale


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
                for difference in differences_of(sale, found, reported[sale.disposal])
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
