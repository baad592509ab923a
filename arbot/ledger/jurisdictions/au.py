"""Australia, experimental: parcels per account, July to June, in Australian dollars at the time; the discount shown apart.

Rules of this file (secondary sources, as of 2026-11-22):
- Parcels go as identified in time, else FIFO. Average cost is not accepted. Keeping parcels per account is our reading: the
  coins of an account are the ones that leave it.
- Gains on what was held for more than 12 months may be discounted by 50 %. The discount is shown beside gains and losses,
  before losses are set off, and never taken off: in which order losses are used is the taxpayer's to say.
- The 2026-27 Budget proposes to replace the discount from 1 July 2027; it is not law.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from arbot.domain.history import LotMethod
from arbot.domain.units import EXACT, fmt
from arbot.ledger.jurisdictions.base import Country, CountryOptions, Rule, Table, year_name
from arbot.ledger.jurisdictions.held_lots import HeldFrame, HeldRun, YearSums, beyond_year
from arbot.ledger.jurisdictions.rounding import nearest, text
from arbot.ledger.lots.policy import LotPolicy

YEAR_BEGINS: Final = (7, 1)
DISCOUNT: Final = Decimal("0.5")

_AMOUNTS = ("proceeds", "costs", "basis", "gains_to_12_months", "gains_beyond_12_months", "losses", "discount_at_most")
_ASSETS = ("asset", *_AMOUNTS)
_TAX_YEARS = ("tax_year", "disposals", *_AMOUNTS, "net_before_discount", "net_before_discount_exact")
_TAX_YEARS_SHOWN = (
    "tax_year", "gains_to_12_months", "gains_beyond_12_months", "losses", "net_before_discount", "discount_at_most",
)  # fmt: skip


def _tables(_year: int, by_asset: dict[str, YearSums], by_year: dict[int, YearSums]) -> list[Table]:
    return [
        Table(
            "au-tax-years",
            _TAX_YEARS,
            (_year_row(year, sums) for year, sums in by_year.items()),
            "The tax year",
            _TAX_YEARS_SHOWN,
        ),
        Table("au-assets", _ASSETS, ((asset, *_amounts(sums)) for asset, sums in by_asset.items())),
    ]


def _amounts(sums: YearSums) -> tuple[str, ...]:
    losses = EXACT.add(sums.losses, sums.losses_long)
    discount = EXACT.multiply(sums.gains_long, DISCOUNT)
    exact = (sums.proceeds, sums.costs, sums.basis, sums.gains, sums.gains_long, losses, discount)
    return tuple(text(nearest(amount)) for amount in exact)


def _year_row(year: int, sums: YearSums) -> tuple[str, ...]:
    net = EXACT.add(sums.net, sums.net_long)
    return (year_name(year, YEAR_BEGINS), str(sums.slices), *_amounts(sums), text(nearest(net)), fmt(net))


def _begin(policy: LotPolicy, options: CountryOptions) -> HeldRun:
    return HeldRun(policy, options, HeldFrame("au", "AUD", YEAR_BEGINS, _tables))


_READ = "2026-11-22"

AUSTRALIA: Final = Country(
    code="au",
    name="Australia",
    ccy="AUD",
    timezone="Australia/Sydney",
    year_begins=YEAR_BEGINS,
    methods=(LotMethod.FIFO,),
    method_default=LotMethod.FIFO,
    run=_begin,
    term=beyond_year,
    is_experimental=True,
    rules=(
        Rule("Parcels as identified, else FIFO; average cost is not accepted", "secondary sources", _READ),
        Rule("50 % discount on gains beyond 12 months, shown apart", "secondary sources", _READ),
        Rule("The tax year runs from July to June", "secondary sources", _READ),
        Rule("Parcels are kept per account", "our reading", _READ),
        Rule("The fee of an exchange of coins is a cost of the coin given up", "our reading", _READ),
    ),
)
