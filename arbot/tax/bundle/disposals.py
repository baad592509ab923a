"""disposals.jsonl and disposals.csv: every slice of the year, exact; and the totals that all other files must meet.

Rules of this file:
- Nothing is rounded: `gain` is `proceeds` less `basis`, to the last digit.
- Operators are exact in the context of adding.py.
- Both files are made of the same columns, since spelling a number costs more than writing it twice.
"""

from __future__ import annotations

from decimal import Decimal

from arbot.domain.units import ZERO
from arbot.ledger.lots.words import Why
from arbot.tax.bundle.columns import Columns, as_json
from arbot.tax.bundle.folder import Folder

HEADER_CSV = "disposal,lot,asset,account,units,proceeds,basis,gain,term,acquired_utc,sold_utc,why,method,identified_at,ledger_seq"

TERMS = {"S": '"S"', "L": '"L"', "": "null"}


Key = tuple[str, str, str]
"""What totals are kept by: asset, term, why."""


class Sums:
    """Exact sums of one key."""

    __slots__ = ("basis", "count", "proceeds")

    def __init__(self) -> None:
        self.count = 0
        self.proceeds = self.basis = ZERO

    def add(self, other: Sums) -> None:
        """Take another one in."""
        self.count += other.count
        self.proceeds += other.proceeds
        self.basis += other.basis

    @property
    def gain(self) -> Decimal:
        """Return proceeds less basis."""
        return self.proceeds - self.basis


class Totals:
    """Sums of the year by asset, term and reason."""

    def __init__(self) -> None:
        self.by_key: dict[Key, Sums] = {}

    def of(self, *, asset: str | None = None, term: str | None = None, is_withheld: bool | None = None) -> Sums:
        """Return the sum over the keys that fit; None fits all."""
        total = Sums()
        for (of_asset, of_term, why), sums in self.by_key.items():
            fits = asset in (None, of_asset) and term in (None, of_term)
            if fits and is_withheld in (None, why == Why.WITHHELD.value):
                total.add(sums)
        return total

    def assets(self) -> list[str]:
        """Return the assets that were disposed of, sorted."""
        return sorted({asset for asset, _, _ in self.by_key})

    @property
    def gain(self) -> Decimal:
        """Return the exact gain of the year."""
        return self.of().gain


class Disposals:
    """Writes both files and adds up."""

    def __init__(self, folder: Folder) -> None:
        self.totals = Totals()
        self._json = folder.sheet("disposals.jsonl")
        self._csv = folder.sheet("disposals.csv", HEADER_CSV)

    def slices(self, given: Columns) -> None:
        """Write slices of the year."""
        self._add(given)
        self._json.put_all([
            f'{{"disposal": {disposal}, "lot": {lot}, "asset": "{asset}", "account": "{account}", "qty": "{qty}", '
            f'"proceeds": "{proceeds}", "basis": "{basis}", "gain": "{gain}", "acquired": "{acquired}", "sold": "{sold}", '
            f'"term": {term}, "why": "{why}", "method": "{method}", "identified_at": {identified}, "seq": {seq}}}'
            for disposal, lot, asset, account, qty, proceeds, basis, gain, acquired, sold, term, why, method, identified, seq in zip(
                as_json(given.disposal),
                as_json(given.lot),
                given.asset,
                given.account,
                given.qty_text,
                given.proceeds_text,
                given.basis_text,
                given.gain_text,
                given.acquired,
                given.sold,
                [TERMS[term] for term in given.term],
                given.why,
                given.method,
                [f'"{known}"' if known else "null" for known in given.identified],
                given.seq,
                strict=True,
            )
        ])  # fmt: skip
        self._csv.put_all(
            map(
                ",".join,
                zip(
                    given.disposal_cell,
                    given.lot_cell,
                    given.asset,
                    given.account,
                    given.qty_text,
                    given.proceeds_text,
                    given.basis_text,
                    given.gain_text,
                    given.term,
                    given.acquired,
                    given.sold,
                    given.why,
                    given.method,
                    given.identified,
                    map(str, given.seq),
                    strict=True,
                ),
            )
        )

    def _add(self, given: Columns) -> None:
        by_key = self.totals.by_key
        keys = zip(given.asset, given.term, given.why, strict=True)
        for key, proceeds, basis in zip(keys, given.proceeds, given.basis, strict=True):
            sums = by_key.get(key)
            if sums is None:
                sums = by_key[key] = Sums()
            sums.count += 1
            sums.proceeds += proceeds
            sums.basis += basis
