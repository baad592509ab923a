"""Rows of Form 8949 made slice by slice, the statement's summary, and lines of Schedule D."""

from __future__ import annotations

import csv
from decimal import Decimal

import pytest

from arbot.domain.errors import UserError
from arbot.ledger.jurisdictions.us.boxes import Reported
from arbot.ledger.jurisdictions.us.form8949 import (
    HEADER_8949,
    FormRow,
    RowMaker,
    RowMode,
    csv_row,
    form_dates,
    on_form,
    rows_of,
)
from tests.support.tax_slices import a_slice, is_long, ns

SPLIT_SALE = [
    a_slice(lot="a", qty="0.5", proceeds="50", basis="40", acquired="2023-12-31"),
    a_slice(lot="b", qty="0.3", proceeds="30", basis="31", acquired="2024-12-31"),
    a_slice(lot="c", qty="0.2", proceeds="20", basis="25", acquired="2024-02-29"),
]


def made(slices, mode=RowMode.LOTS, timezone="UTC", **options) -> tuple[list[FormRow], RowMaker]:
    """Return rows and their maker."""
    maker = RowMaker(is_long, form_dates(timezone), mode, **options)
    return list(rows_of(maker, slices)), maker


def test_the_header_is_the_agreed_one():
    """The header row is equal byte for byte to what readers expect."""
    expected = (
        "box,part,description,units,asset,sale_txid,date_acquired,date_sold,proceeds,cost_basis,code,adjustment,gain,"
        "term,account,lot_id,disposal_id,method,identified_at,ledger_seq"
    )
    assert expected == HEADER_8949


def test_a_row_in_csv():
    """A row names everything that traces it; FIFO by default has no time of identification."""
    (row,), _ = made([a_slice(qty="0.10", proceeds="100.005", seq=7)])

    expected = "I,I,0.1 BTC,0.1,BTC,,01/03/2025,05/06/2025,100.01,90.00,,0.00,10.01,short,kraken,a,s1,fifo,,7"
    assert expected == csv_row(row)


def test_identified_at_is_when_the_order_was_recorded():
    """A pick or standing order brings its own time, to the last digit it has."""
    slices = [a_slice(method="hifo", identified_ns=ns("2025-01-02T03:04:05.25Z"))]

    assert {"2025-01-02T03:04:05.25Z"} == {made(slices, mode)[0][0].identified_at for mode in RowMode}


@pytest.mark.parametrize("lot", ["plain", "a,b", 'say "x"', "two\nlines", "carriage\rreturn"])
def test_any_id_survives_csv(lot):
    """What a reader of RFC 4180 reads back is what was written."""
    rows, _ = made([a_slice(lot=lot)], sale_txid=lambda _: "TX-991")
    (cells,) = csv.reader([csv_row(rows[0])], strict=True)
    read = dict(zip(HEADER_8949.split(","), cells, strict=True))

    assert (lot, "1 BTC, TX-991") == (read["lot_id"], read["description"])


def test_a_sale_over_both_terms_has_two_rows():
    """Lots on both sides of a year stay apart; several days of one term are VARIOUS, one day is told."""
    rows, _ = made(SPLIT_SALE, RowMode.SALE)

    expected = [
        ("L", "0.7 BTC", "VARIOUS", "70.00", "65.00", "5.00", ""),
        ("I", "0.3 BTC", "12/31/2024", "30.00", "31.00", "-1.00", "b"),
    ]
    told = [
        (r.box, r.description, r.date_acquired, str(r.proceeds), str(r.cost_basis), str(r.gain), r.lot_id) for r in rows
    ]
    assert expected == told


def test_lots_of_one_day_keep_their_date_without_naming_one_lot():
    """Two lots of the same local day are no VARIOUS."""
    rows, _ = made([a_slice(lot="a"), a_slice(lot="b", acquired="2025-01-03T23:59:59.999Z")], RowMode.SALE)

    assert [("01/03/2025", "")] == [(row.date_acquired, row.lot_id) for row in rows]


def test_a_leap_day_is_a_date_like_any_other():
    """29 February is printed, and the sale on 1 March a year later is long."""
    slices = [
        a_slice(disposal="s1", acquired="2024-02-29", sold="2025-02-28"),
        a_slice(disposal="s2", acquired="2024-02-29", sold="2025-03-01"),
    ]
    rows, _ = made(slices)

    assert [("I", "02/29/2024"), ("L", "02/29/2024")] == [(row.box, row.date_acquired) for row in rows]


def test_days_are_those_of_the_taxpayer():
    """Half past four in the morning UTC is still the day before in New York."""
    slices = [a_slice(acquired="2025-01-01T04:30:00Z", sold="2025-07-01T03:30:00Z")]
    rows, _ = made(slices, timezone="America/New_York")

    assert ("12/31/2024", "06/30/2025") == (rows[0].date_acquired, rows[0].date_sold)


def test_an_unknown_time_zone_is_refused():
    """A wrong name of a place is the user's mistake, with a remedy."""
    with pytest.raises(UserError, match="Mars"):
        form_dates("Mars/Olympus")


def test_rows_stream():
    """Rows come as soon as they are certain: at once per lot, with the next sale per sale."""
    by_lot, by_sale = (RowMaker(is_long, form_dates("UTC"), mode) for mode in RowMode)
    slices = [a_slice(disposal="s1"), a_slice(disposal="s1", lot="b"), a_slice(disposal="s2")]

    assert [1, 1, 1, 0] == [*(len(by_lot.take(one)) for one in slices), len(by_lot.finish())]
    assert [0, 0, 1, 1] == [*(len(by_sale.take(one)) for one in slices), len(by_sale.finish())]


def test_summary_rows_per_account_and_box():
    """Each account has one row per box with code M, and short and long are never added together."""
    slices = [*SPLIT_SALE, a_slice(disposal="s2", account="coinbase", proceeds="-0.004", basis="1")]
    _, maker = made(slices)

    expected = [
        ("I", "coinbase see attached statement", "0.00", "1.00", "M", "-1.00"),
        ("I", "kraken see attached statement", "30.00", "31.00", "M", "-1.00"),
        ("L", "kraken see attached statement", "70.00", "65.00", "M", "5.00"),
    ]
    summary = maker.summary()
    told = [(r.box, r.description, str(r.proceeds), str(r.cost_basis), r.code, str(r.gain)) for r in summary]
    assert expected == told
    assert {("", "", "")} == {(row.date_acquired, row.date_sold, row.units) for row in summary}
    assert csv_row(summary[0]).endswith(",short,coinbase,,,,,")


def test_summary_names_the_codes_inside():
    """Code M stands with the codes of the rows it sums, in alphabetical order."""
    said = Reported(is_basis_reported=True, proceeds=Decimal(100), basis=Decimal(80), term="L", sale_txid="T1")
    rows, maker = made([a_slice()], reported={"s1": (said,)})

    assert (["BT"], ["BMT"]) == ([row.code for row in rows], [row.code for row in maker.summary()])
    assert "1 BTC, T1" == rows[0].description


def test_a_sale_on_a_form_is_one_row_per_term():
    """The form's proceeds are split by units over the terms, in either mode."""
    said = Reported(is_basis_reported=False, proceeds=Decimal("100.00"))
    for mode in RowMode:
        rows, maker = made(SPLIT_SALE, mode, reported={"s1": (said,)})

        assert [("K", "70.00", "VARIOUS"), ("H", "30.00", "12/31/2024")] == [
            (row.box, str(row.proceeds), row.date_acquired) for row in rows
        ]
        assert ["2", "9"] == [total.line for total in maker.schedule_d().lines]


def test_a_form_on_one_part_leaves_the_other_unreported():
    """A form about the long part of a sale leaves the short part in box I."""
    said = Reported(is_basis_reported=False, proceeds=Decimal("70.00"), part="L")
    rows, _ = made(SPLIT_SALE, reported={"s1": (said,)})

    assert ["K", "I"] == [row.box for row in rows]


def test_lines_without_rows():
    """What needs no correction gives no row and no summary, and is in the total of line 1a."""
    said = Reported(is_basis_reported=True, proceeds=Decimal(100), basis=Decimal(90))
    rows, maker = made([a_slice(), a_slice(disposal="s2")], reported={"s1": (said,)}, is_total_enough=True)

    assert ["s2"] == [row.disposal_id for row in rows]
    assert ["I"] == [row.box for row in maker.summary()]
    totals = [(total.line, total.rows, total.gain) for total in maker.schedule_d().lines]
    assert [("1a", 1, Decimal("10.00")), ("3", 1, Decimal("10.00"))] == totals


def test_whole_dollars_are_rounded_at_the_total_only():
    """Three rows of 0.50 print a dollar each and add up to 2, not to 3; rows and lines foot."""
    slices = [a_slice(disposal=f"s{n}", proceeds="0.50", basis="0.10") for n in range(3)]
    rows, maker = made(slices, is_in_dollars=True)

    assert ["1,0,,0,1"] * 3 == [",".join(csv_row(row).split(",")[8:13]) for row in rows]
    (total,) = maker.schedule_d().lines
    assert (2, 0, 2, Decimal("0.8")) == (total.proceeds, total.cost_basis, total.gain, total.drift)
    assert [2] == [row.gain for row in maker.summary()]


def test_schedule_d_adds_short_and_long():
    """The gains of the parts are the sums of their lines, and nothing but lines with rows is listed."""
    _, maker = made(SPLIT_SALE)
    schedule = maker.schedule_d()

    assert ["3", "10"] == [total.line for total in schedule.lines]
    assert (-1, 5, 4, 0) == (schedule.gain_short, schedule.gain_long, schedule.gain, schedule.drift)


def test_a_year_without_sales():
    """No slices, no rows, no lines, gain zero."""
    rows, maker = made([])

    assert ([], [], (), 0) == (rows, maker.summary(), maker.schedule_d().lines, maker.schedule_d().gain)


def test_negative_amounts_stand_in_parentheses_on_the_form():
    """The paper form shows a loss of 12.30 as (12.30)."""
    assert ["(12.30)", "0.00", "1.00"] == [on_form(Decimal(text)) for text in ("-12.30", "0.00", "1.00")]
