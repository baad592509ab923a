"""Forms made from sales find their sales again, in whatever order the rows stand, and nothing is lost on either side."""

from __future__ import annotations

from decimal import Decimal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from arbot.ledger.jurisdictions.us.form1099da import Form1099Da
from arbot.ledger.jurisdictions.us.form8949 import RowMaker, form_dates, rows_of
from arbot.ledger.jurisdictions.us.found1099da import Match
from arbot.ledger.jurisdictions.us.match1099da import Matcher
from arbot.ledger.lots.words import Slice
from tests.support.tax_slices import a_slice, day_of, is_long

SOLD = ("2025-05-06", "2025-05-07")


@st.composite
def sales_and_forms(draw: st.DrawFn) -> tuple[list[Slice], list[Form1099Da]]:
    """Return sales of few different facts, and forms that tell of some of them, with or without an id, and of others."""
    slices, forms = [], []
    for number in range(draw(st.integers(0, 6))):
        sold, qty = draw(st.sampled_from(SOLD)), draw(st.sampled_from(["1", "2"]))
        proceeds = draw(st.sampled_from(["100", "100.004", "96.5"]))
        lots = [("a", "2020-01-01"), ("b", "2025-02-01")][: draw(st.integers(1, 2))]
        slices += [
            a_slice(disposal=f"kraken:T{number}", lot=lot, qty=qty, proceeds=proceeds, acquired=acquired, sold=sold)
            for lot, acquired in lots
        ]
        if draw(st.booleans()):
            forms.append(
                Form1099Da(
                    where=f"row {number}",
                    account="kraken",
                    asset="BTC",
                    units=Decimal(qty) * len(lots),
                    sold_day=day_of(sold),
                    proceeds=draw(st.sampled_from([Decimal("100.00"), Decimal("193.00"), Decimal("210.50")])),
                    basis=None,
                    is_basis_reported=False,
                    term="",
                    sale_id=draw(st.sampled_from(["", f"T{number}", "T99"])),
                )
            )
    return slices, forms


def matched(slices: list[Slice], forms: list[Form1099Da]) -> Match:
    """Return the match."""
    matcher = Matcher(forms, is_long, "UTC")
    for one in slices:
        matcher.take(one)
    return matcher.finish()


@given(sales_and_forms(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_order_of_rows_changes_nothing(given_: tuple[list[Slice], list[Form1099Da]], chance) -> None:
    """Whatever is matched, open or ambiguous stays so when the file is shuffled."""
    slices, forms = given_
    shuffled = list(forms)
    chance.shuffle(shuffled)
    one, other = matched(slices, forms), matched(slices, shuffled)

    assert one.reported == other.reported
    assert sorted(found.form.where for found in one.unmatched_forms) == sorted(
        found.form.where for found in other.unmatched_forms
    )
    assert [sale.disposal for sale in one.unmatched_sales] == [sale.disposal for sale in other.unmatched_sales]


@given(sales_and_forms())
@settings(max_examples=60, deadline=None)
def test_every_row_ends_in_one_place(given_: tuple[list[Slice], list[Form1099Da]]) -> None:
    """A row is matched, unmatched or ambiguous; a sale takes one row, and its amounts stand on Form 8949."""
    slices, forms = given_
    match = matched(slices, forms)

    open_rows = [found.form.where for found in match.unmatched_forms]
    open_rows += [form.where for found in match.ambiguous for form in found.forms]
    assert len(open_rows) == len(set(open_rows))
    assert len(forms) == len(open_rows) + len(match.reported)
    maker = RowMaker(is_long, form_dates("UTC"), reported=match.reported)
    rows = list(rows_of(maker, slices))
    for disposal, (said,) in match.reported.items():
        entered = sum(row.proceeds for row in rows if row.disposal_id == disposal)
        assert entered >= said.proceeds
        assert {"H", "K"} >= {row.box for row in rows if row.disposal_id == disposal}
    assert {row.box for row in rows if row.disposal_id not in match.reported} <= {"I", "L"}


@given(sales_and_forms())
@settings(max_examples=60, deadline=None)
def test_ids_settle_what_facts_cannot(given_: tuple[list[Slice], list[Form1099Da]]) -> None:
    """With the right id in every row each finds its own sale."""
    slices, forms = given_
    named = [msgspec.structs.replace(form, sale_id="T" + form.where.removeprefix("row ")) for form in forms]

    assert {f"kraken:{form.sale_id}" for form in named} == set(matched(slices, named).reported)
