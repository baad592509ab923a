"""The shadow report on wash sales: what a rule would disallow, and where the loss would go."""

from __future__ import annotations

import csv
from decimal import Decimal

import pytest

from arbot.ledger.jurisdictions.us.wash_sales import HEADER_WASH_SALES, WashShadow, WashTotal, csv_wash_sale
from arbot.ledger.lots.words import Remaining
from tests.support.tax_slices import a_slice, ns

LOSS = {"lot": "old", "acquired": "2025-01-03", "sold": "2025-05-06", "basis": "100", "proceeds": "60"}


def left(lot: str, acquired: str, qty: str = "1", **changes: str) -> Remaining:
    """Return a lot that is still held."""
    given = {"account": "kraken", "asset": "BTC", "lot": lot} | changes
    return Remaining(**given, qty=Decimal(qty), basis=Decimal(50), acquired_ns=ns(acquired))


def shadow(slices, held=(), start="2025-01-01", end="2026-01-01", timezone="UTC") -> tuple[list, list[WashTotal]]:
    """Return what was caught as (disposal, disallowed, lots) and the totals of assets."""
    report = WashShadow(timezone)
    for one in slices:
        report.take(one)
    sales = report.sales(held, ns(f"{start}T00:00:00Z"), ns(f"{end}T00:00:00Z"))
    found = [(sale.part.disposal, sale.disallowed, [lot for lot, _ in sale.lots]) for sale in sales]
    return found, report.totals()


@pytest.mark.parametrize(
    ("acquired", "is_caught"),
    [("2025-04-05", False), ("2025-04-06", True), ("2025-05-06", True), ("2025-06-05", True), ("2025-06-06", False)],
)
def test_thirty_days_before_and_after(acquired, is_caught):
    """Day 30 counts on both sides, day 31 does not."""
    found, _ = shadow([a_slice(**LOSS)], [left("new", acquired)])

    assert ([("s1", 40, ["new"])] if is_caught else []) == found


def test_days_are_local():
    """An acquisition at 03:00 UTC on day 31 is one of day 30 in New York."""
    held = [left("new", "2025-06-06T03:00:00Z")]

    assert [] == shadow([a_slice(**LOSS)], held)[0]
    assert [("s1", 40, ["new"])] == shadow([a_slice(**LOSS)], held, timezone="America/New_York")[0]


def test_other_accounts_count_and_other_assets_do_not():
    """The same asset at another account replaces; another asset does not."""
    held = [left("eth", "2025-05-07", asset="ETH"), left("wallet", "2025-05-08", account="wallet")]

    assert [("s1", 40, ["wallet"])] == shadow([a_slice(**LOSS)], held)[0]


def test_a_quarter_replaced_is_a_quarter_disallowed():
    """The loss goes by units, earliest acquisition first."""
    held = [left("later", "2025-05-20", "0.15"), left("sooner", "2025-05-10", "0.1")]

    assert [("s1", 10, ["sooner", "later"])] == shadow([a_slice(**LOSS)], held)[0]


def test_a_unit_replaces_once():
    """Of two losses the first takes the replacement."""
    slices = [a_slice(**LOSS), a_slice(**LOSS | {"lot": "old2"}, disposal="s2")]

    assert [("s1", 40, ["new"])] == shadow(slices, [left("new", "2025-05-20")])[0]


def test_neither_the_own_lot_nor_units_sold_before_replace():
    """What is left of the lot sold from counts as little as units that were gone before."""
    gone = a_slice(disposal="s0", lot="gone", acquired="2025-04-20", sold="2025-05-01", basis="100", proceeds="100")
    recent = a_slice(**LOSS | {"acquired": "2025-05-01"})

    assert [] == shadow([gone, recent], [left("old", "2025-05-01")])[0]


def test_the_loss_comes_back_with_the_units_that_replaced():
    """A loss of 40 put off until the replacement is sold changes the sum of neither year's end by a cent."""
    again = a_slice(disposal="s2", lot="new", acquired="2025-05-20", sold="2025-07-01", basis="50", proceeds="70")
    found, totals = shadow([a_slice(**LOSS), again])

    assert [("s1", 40, ["new"])] == found
    expected = WashTotal(asset="BTC", losses=Decimal(60), disallowed=Decimal(40), returned=Decimal(40))
    assert [expected] == totals


def test_what_is_put_off_over_the_year_end():
    """A replacement in January counts for December; the loss is carried until then."""
    december = a_slice(**LOSS | {"sold": "2025-12-20"})
    again = a_slice(disposal="s2", lot="new", acquired="2026-01-10", sold="2026-03-01", basis="50", proceeds="70")

    expected = WashTotal(asset="BTC", losses=Decimal(40), disallowed=Decimal(40), carried=Decimal(40))
    assert ([("s1", 40, ["new"])], [expected]) == shadow([december, again])
    returned = WashTotal(asset="BTC", losses=Decimal(20), returned=Decimal(40))
    assert ([], [returned]) == shadow([december, again], start="2026-01-01", end="2027-01-01")


def test_rows_in_csv():
    """Money in cents, lots with their units, ids quoted where they must be."""
    report = WashShadow("UTC")
    report.take(a_slice(**LOSS, disposal="s,1"))
    (sale,) = report.sales([left("n1", "2025-05-07", "0.5")], 0, ns("2026-01-01"))
    (cells,) = csv.reader([csv_wash_sale(sale)], strict=True)

    expected = ["s,1", "old", "BTC", "kraken", "2025-05-06", "1", "40.00", "0.5", "20.00", "n1:0.5"]
    assert dict(zip(HEADER_WASH_SALES.split(","), expected, strict=True)) == dict(
        zip(HEADER_WASH_SALES.split(","), cells, strict=True)
    )
