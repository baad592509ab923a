"""For any slices: rows foot, lines are sums of rows, drift is what rounding made, no mode loses a cent in silence."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from arbot.domain.units import fmt
from arbot.ledger.jurisdictions.us.boxes import BOXES, Reported, columns
from arbot.ledger.jurisdictions.us.form8949 import FormRow, RowMaker, RowMode, form_dates, rows_of
from arbot.ledger.jurisdictions.us.wash_sales import WashShadow
from arbot.ledger.lots.words import Slice
from tests.support.tax_slices import a_slice, is_long, ns

MONEY = st.decimals(min_value="-9e9", max_value="9e9", places=7, allow_nan=False, allow_infinity=False)
CENTS = st.decimals(min_value="-9e9", max_value="9e9", places=2, allow_nan=False, allow_infinity=False)
DAYS = [f"{year}-{month:02}-{day}" for year in (2023, 2024, 2025) for month in (2, 7, 12) for day in (27, 28)]


@st.composite
def years(draw: st.DrawFn) -> list[Slice]:
    """Return the slices of a few sales, each out of a few lots, money with thirds of a cent in it."""
    slices: list[Slice] = []
    for number in range(draw(st.integers(0, 6))):
        account, asset = draw(st.sampled_from(["kraken", "coinbase"])), draw(st.sampled_from(["BTC", "ETH"]))
        slices += [
            a_slice(
                disposal=f"s{number}",
                lot=f"{number}-{lot}",
                account=account,
                asset=asset,
                qty=draw(st.sampled_from(["0.00000001", "1", "2.5"])),
                proceeds=draw(MONEY) / 3,
                basis=abs(draw(MONEY)) / 3,
                acquired=draw(st.sampled_from(DAYS)),
                sold="2025-12-30",
                seq=number,
            )
            for lot in range(draw(st.integers(1, 4)))
        ]
    return slices


def exact(amounts: Iterable[Decimal]) -> Fraction:
    """Return a sum without any rounding."""
    return sum((Fraction(amount) for amount in amounts), Fraction())


@given(years(), st.sampled_from(RowMode), st.booleans())
@settings(max_examples=60, deadline=None)
def test_rows_foot_and_lines_are_their_sums(slices: list[Slice], mode: RowMode, is_in_dollars: bool) -> None:
    """(h) = (d) - (e) + (g) in every row and line; lines add rows in cents; drift is printed less exact."""
    maker = RowMaker(is_long, form_dates("UTC"), mode, is_in_dollars=is_in_dollars)
    rows = list(rows_of(maker, slices))
    schedule = maker.schedule_d()

    for row in [*rows, *maker.summary(), *schedule.lines]:
        assert exact([row.proceeds, row.adjustment, row.gain.copy_negate()]) == exact([row.cost_basis])
    assert sorted({row.line for row in rows}) == sorted(total.line for total in schedule.lines)
    if not is_in_dollars:
        for total in schedule.lines:
            assert exact([total.gain]) == exact(row.gain for row in rows if row.line == total.line)
        assert exact(row.gain for row in maker.summary()) == exact(row.gain for row in rows)
    exact_gain = exact(one.proceeds for one in slices) - exact(one.basis for one in slices)
    assert exact([schedule.gain]) - exact_gain == exact([schedule.drift])


@given(years())
@settings(max_examples=60, deadline=None)
def test_modes_agree_up_to_the_drift_they_print(slices: list[Slice]) -> None:
    """Per line, the printed gains of both modes differ by the difference of their drifts, and units are the same."""
    made: dict[RowMode, list[FormRow]] = {}
    lines = {}
    for mode in RowMode:
        maker = RowMaker(is_long, form_dates("UTC"), mode)
        made[mode] = list(rows_of(maker, slices))
        lines[mode] = {total.line: total for total in maker.schedule_d().lines}

    lots, sale = (lines[mode] for mode in (RowMode.LOTS, RowMode.SALE))
    assert list(lots) == list(sale)
    for line, total in lots.items():
        assert exact([total.gain]) - exact([sale[line].gain]) == exact([total.drift]) - exact([sale[line].drift])
        assert total.proceeds_exact == sale[line].proceeds_exact
    assert all(row.units == fmt(Decimal(row.units)) for rows in made.values() for row in rows)
    assert len(made[RowMode.SALE]) <= len(made[RowMode.LOTS])
    for box in BOXES:
        units = [exact(Decimal(row.units) for row in rows if row.box == box) for rows in made.values()]
        assert units[0] == units[1]


@given(
    st.sampled_from("SL"), MONEY, MONEY, CENTS, st.none() | CENTS, st.booleans(), st.sampled_from(["", "S", "L"]), CENTS
)
@settings(max_examples=60, deadline=None)
def test_no_form_changes_the_gain(
    term: str,
    proceeds: Decimal,
    basis: Decimal,
    shown: Decimal,
    shown_basis: Decimal | None,
    is_reported: bool,
    shown_term: str,
    cost: Decimal,
) -> None:
    """Whatever a form says, the gain entered is our own to the cents that its rounding may differ by, and codes ascend."""
    said = Reported(
        is_basis_reported=is_reported and shown_basis is not None,
        proceeds=shown,
        basis=shown_basis,
        term=shown_term,
        cost_left_out=abs(cost),
    )
    entry = columns(term, proceeds, basis, said)

    assert abs(entry.gain - (proceeds - basis)) <= Decimal("0.02")
    assert list(entry.code) == sorted(set(entry.code))
    assert entry.proceeds >= min(shown, proceeds)
    assert (entry.box.term == "long") == (term == "L")
    assert entry.adjustment == 0 or entry.code


@given(years())
@settings(max_examples=60, deadline=None)
def test_wash_sales_put_losses_off_and_lose_none(slices: list[Slice]) -> None:
    """What is disallowed has come back or is carried, and never exceeds the losses."""
    report = WashShadow("UTC")
    for one in slices:
        report.take(one)
    list(report.sales([], 0, ns("2027-01-01")))

    for total in report.totals():
        assert exact([total.disallowed]) == exact([total.returned, total.carried])
        assert 0 <= total.disallowed <= total.losses
