"""disposals.jsonl and disposals.csv: every slice of the year, exact; and the totals that all other files must meet.

Rules of this file:
- Nothing is rounded: `gain` is `proceeds` less `basis`, to the last digit.
- Operators are exact in the context of adding.py.
- Both files come out of one loop, since spelling a number costs more than writing it twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from json.encoder import encode_basestring

from arbot.domain.units import ZERO
from arbot.ledger.lots.words import Slice, Why
from arbot.tax.bundle.folder import Folder
from arbot.tax.bundle.texts import cell, plain, utc

HEADER_CSV = "disposal,lot,asset,account,units,proceeds,basis,gain,term,acquired_utc,sold_utc,why,method,identified_at,ledger_seq"

IsLong = Callable[[int, int], bool]
"""From the instants of acquisition and sale in ns to whether the term is long."""

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

    def __init__(self, folder: Folder, is_long: IsLong | None) -> None:
        """`is_long` None: the country knows no terms."""
        self.totals = Totals()
        self._is_long = is_long
        self._json = folder.sheet("disposals.jsonl")
        self._csv = folder.sheet("disposals.csv", HEADER_CSV)

    def slices(self, slices: Sequence[Slice]) -> None:
        """Write slices of the year."""
        by_key, is_long, put_json, put_csv = self.totals.by_key, self._is_long, self._json.put, self._csv.put
        for one in slices:
            asset, why = one.asset, one.why._value_  # `.value` is a descriptor that costs ten times as much
            gain = one.proceeds - one.basis
            term = "" if is_long is None else "L" if is_long(one.acquired_ns, one.sold_ns) else "S"
            sums = by_key.get((asset, term, why))
            if sums is None:
                sums = by_key[asset, term, why] = Sums()
            sums.count += 1
            sums.proceeds += one.proceeds
            sums.basis += one.basis
            qty, proceeds, basis, gained = str(one.qty), str(one.proceeds), str(one.basis), str(gain)
            if "E" in qty or "E" in proceeds or "E" in basis or "E" in gained:
                qty, proceeds, basis, gained = (plain(each) for each in (one.qty, one.proceeds, one.basis, gain))
            acquired, sold = utc(one.acquired_ns), utc(one.sold_ns)
            known = utc(one.identified_ns) if one.identified_ns else ""
            identified = f'"{known}"' if known else "null"
            put_json(
                f'{{"disposal": {encode_basestring(one.disposal)}, "lot": {encode_basestring(one.lot)}, '
                f'"asset": "{asset}", "account": "{one.account}", "qty": "{qty}", "proceeds": "{proceeds}", '
                f'"basis": "{basis}", "gain": "{gained}", "acquired": "{acquired}", "sold": "{sold}", '
                f'"term": {TERMS[term]}, "why": "{why}", "method": "{one.method}", '
                f'"identified_at": {identified}, "seq": {one.seq}}}'
            )
            put_csv(
                f"{cell(one.disposal)},{cell(one.lot)},{asset},{one.account},{qty},{proceeds},{basis},{gained},{term},"
                f"{acquired},{sold},{why},{one.method},{known},{one.seq}"
            )
