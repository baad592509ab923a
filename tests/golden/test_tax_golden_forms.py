"""Form 8949 against the golden cases: columns, codes, boxes, lines of Schedule D, VARIOUS, summary rows, drift."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arbot.domain.history import parse_ts
from arbot.ledger.jurisdictions.us.amounts import column_h, whole_dollars
from arbot.ledger.jurisdictions.us.boxes import Reported, columns
from arbot.ledger.jurisdictions.us.form8949 import FormRow, RowMaker, RowMode, form_dates, rows_of
from arbot.ledger.lots.words import Slice, Why
from tests.support.tax_golden import golden_cases


@pytest.mark.parametrize("case", golden_cases("form-arith", jurisdiction="US"))
def test_arithmetic_of_the_form(case):
    """Column (h) and whole dollars are those of the instructions."""
    given, expected = case["input"], case["expected"]
    if "round" in given:
        assert Decimal(expected["whole_dollars"]) == whole_dollars(Decimal(given["round"]))
    else:
        assert Decimal(expected["h"]) == column_h(*(Decimal(given[key]) for key in "deg"))


@pytest.mark.parametrize("case", golden_cases("form-row", jurisdiction="US"))
def test_a_row_beside_a_form_1099_da(case):
    """Box, line, columns and codes follow from what the form says and what is right."""
    given, expected = case["input"], case["expected"]
    reported = None
    if given["form_1099da"] != "none":
        reported = Reported(
            is_basis_reported=given["form_1099da"] == "basis-reported",
            proceeds=Decimal(given.get("reported_proceeds", given["proceeds"])),
            basis=Decimal(given["reported_basis"]) if given.get("reported_basis") is not None else None,
            term=given.get("reported_term", ""),
            cost_left_out=Decimal(given.get("cost_not_on_form", "0")),
        )

    entry = columns(
        given["term"],
        Decimal(given["proceeds"]),
        Decimal(given["basis"]),
        reported,
        is_total_enough=given.get("aggregate_option", False),
    )

    told = [expected["box"], expected["schedule_d_line"], *(Decimal(expected[key]) for key in "de"), expected["f"]]
    told += [Decimal(expected[key]) for key in "gh"]
    assert told == [entry.box.letter, *entry[1:]]


@pytest.mark.parametrize("case", golden_cases("form-render", jurisdiction="US"))
def test_rows_of_a_report(case):
    """Slices become the rows of the mode, and the drift is printed less exact gain."""
    given = [(_a_slice(cut, seq), cut) for seq, cut in enumerate(case["slices"])]
    terms = {(cut.acquired_ns, cut.sold_ns): told["term"] == "L" for cut, told in given}
    txids = {cut.disposal: told.get("sale_txid", "") for cut, told in given}
    maker = RowMaker(
        lambda acquired_ns, sold_ns: terms[acquired_ns, sold_ns],
        form_dates("UTC"),
        RowMode.SALE if case["mode"] == "sale" else RowMode.LOTS,
        sale_txid=txids.__getitem__,
    )

    rows = list(rows_of(maker, (cut for cut, _ in given)))
    rows = maker.summary() if case["mode"] == "summary" else rows

    expected = sorted(_as_numbers(row) for row in case["expected"]["rows"])
    assert expected == sorted(_as_told(row) for row in rows)
    if case["expected"].get("drift") is not None:
        assert Decimal(case["expected"]["drift"]) == maker.schedule_d().drift


def _a_slice(told: dict, seq: int) -> Slice:
    return Slice(
        disposal=told["disposal"],
        lot=told["lot"],
        asset=told["asset"],
        account=told["account"],
        qty=Decimal(told["qty"]),
        proceeds=Decimal(told["proceeds"]),
        basis=Decimal(told["basis"]),
        acquired_ns=parse_ts(told["acquired"]),
        sold_ns=parse_ts(told["sold"]),
        why=Why.SELL,
        method="fifo",
        identified_ns=0,
        seq=seq,
    )


def _as_numbers(told: dict) -> tuple:
    words = tuple(told[key] for key in ("box", "schedule_d_line", "a", "b", "c", "f"))
    return (*words, *(Decimal(told[key]) for key in "degh"))


def _as_told(row: FormRow) -> tuple:
    words = (row.box, row.line, row.description, row.date_acquired, row.date_sold, row.code)
    return (*words, row.proceeds, row.cost_basis, row.adjustment, row.gain)
