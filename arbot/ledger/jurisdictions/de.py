"""Germany, experimental: private sales of coins held for up to one year, lots per wallet, in euros at the time.

Rules of this file (secondary sources, as of 2026-11-22):
- s.23 EStG: a gain counts when the coin was sold within one year of its purchase. The first anniversary is still within.
- FIFO per wallet where no units were named (letter of the BMF of 6 March 2025). The order is disputed: FG Nuernberg of
  22 January 2025 also accepted LIFO, which is not offered here.
- From 2024 gains below 1,000 euros a year are free, and from 1,000 on they count in full. The threshold is for all private
  sales of a person, of which arbot sees only these. No threshold is applied before 2024: it is not in the facts.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from arbot.domain.history import LotMethod
from arbot.domain.units import ZERO, fmt
from arbot.ledger.jurisdictions.base import Country, CountryOptions, Rule, Table
from arbot.ledger.jurisdictions.held_lots import HeldFrame, HeldRun, YearSums, beyond_year
from arbot.ledger.jurisdictions.rounding import nearest, text
from arbot.ledger.lots.policy import LotPolicy

YEAR_BEGINS: Final = (1, 1)
FREE_BELOW: Final = Decimal(1000)
FREE_FROM_YEAR: Final = 2024

_ASSETS = ("asset", "proceeds", "costs", "basis", "gain_within_year", "gain_beyond_year_free")
_TAX_YEARS = (
    "tax_year", "disposals", "proceeds", "costs", "basis", "gains_within_year", "losses_within_year", "net_within_year",
    "net_beyond_year_free", "free_below", "net_that_counts", "net_within_year_exact",
)  # fmt: skip
_TAX_YEARS_SHOWN = ("tax_year", "disposals", "proceeds", "costs", "basis", "net_within_year", "net_that_counts")


def counting(year: int, net: Decimal) -> Decimal:
    """Return how much of a year's net gain within one year counts: all or nothing of a gain, all of a loss."""
    return ZERO if year >= FREE_FROM_YEAR and ZERO < net < FREE_BELOW else net


def _tables(_year: int, by_asset: dict[str, YearSums], by_year: dict[int, YearSums]) -> list[Table]:
    return [
        Table(
            "de-tax-years",
            _TAX_YEARS,
            (_year_row(year, sums) for year, sums in by_year.items()),
            "The tax year",
            _TAX_YEARS_SHOWN,
        ),
        Table("de-assets", _ASSETS, (_asset_row(asset, sums) for asset, sums in by_asset.items())),
    ]


def _asset_row(asset: str, sums: YearSums) -> tuple[str, ...]:
    amounts = (sums.proceeds, sums.costs, sums.basis, sums.net, sums.net_long)
    return (asset, *(text(nearest(amount)) for amount in amounts))


def _year_row(year: int, sums: YearSums) -> tuple[str, ...]:
    amounts = (sums.proceeds, sums.costs, sums.basis, sums.gains, sums.losses, sums.net, sums.net_long)
    threshold = fmt(FREE_BELOW) if year >= FREE_FROM_YEAR else "not applied"
    counts = text(nearest(counting(year, sums.net)))
    return (str(year), str(sums.slices), *(text(nearest(each)) for each in amounts), threshold, counts, fmt(sums.net))


def _begin(policy: LotPolicy, options: CountryOptions) -> HeldRun:
    return HeldRun(policy, options, HeldFrame("de", "EUR", YEAR_BEGINS, _tables))


_READ = "2026-11-22"

GERMANY: Final = Country(
    code="de",
    name="Germany",
    ccy="EUR",
    timezone="Europe/Berlin",
    is_timezone_fixed=True,
    year_begins=YEAR_BEGINS,
    methods=(LotMethod.FIFO,),
    method_default=LotMethod.FIFO,
    run=_begin,
    term=beyond_year,
    is_experimental=True,
    rules=(
        Rule("A sale within one year of the purchase is taxable", "s.23 EStG, secondary sources", _READ),
        Rule(
            "From 2024 gains below EUR 1,000 a year are free, else all of them count",
            "s.23 EStG, secondary sources",
            _READ,
        ),
        Rule("FIFO per wallet where no units were named", "BMF letter of 6 March 2025, secondary sources", _READ),
        Rule("The fee of an exchange of coins is a cost of the coin given up", "our reading", _READ),
    ),
)
