"""Forms 1099-DA: the CSV reader, and which sale each row is about."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from arbot.domain.errors import UserError
from arbot.ledger.jurisdictions.us.boxes import Reported
from arbot.ledger.jurisdictions.us.form1099da import COLUMNS_1099DA, Form1099Da, read_forms_1099da
from arbot.ledger.jurisdictions.us.form8949 import RowMaker, form_dates, rows_of
from arbot.ledger.jurisdictions.us.found1099da import Match
from arbot.ledger.jurisdictions.us.match1099da import Matcher
from tests.support.tax_slices import a_slice, is_long

HEADER = "account,sale id,1a,1b,1c,1d,1e,1f,1g,1i,2,6,9,12,applicable checkbox"
GOOD = {
    "account": "kraken", "sale id": "", "1a": "", "1b": "BTC", "1c": "1", "1d": "", "1e": "05/06/2025", "1f": "100.00",
    "1g": "", "1i": "", "2": "", "6": "", "9": "", "12": "", "applicable checkbox": "",
}  # fmt: skip


def a_file(*rows: dict[str, str], header: str = HEADER) -> list[str]:
    """Return the lines of a file of rows that are good but for the cells given, by canonical column."""
    return [header, *(",".join((GOOD | row).values()) for row in rows)]


def mistakes_of(*lines: str, **options) -> list[str]:
    """Return where and what of everything a file is refused for."""
    with pytest.raises(UserError) as refused:
        read_forms_1099da(lines, "da.csv", **options)
    assert all(mistake.remedy for mistake in refused.value.mistakes)
    return [f"{mistake.where}: {mistake.what}" for mistake in refused.value.mistakes]


def forms_of(*rows: dict[str, str]) -> list[Form1099Da]:
    """Return the forms of such a file."""
    return read_forms_1099da(a_file(*rows), "da.csv")


def matched(forms, slices, timezone="UTC", **options) -> Match:
    """Return the match of forms and slices."""
    matcher = Matcher(forms, is_long, timezone, **options)
    for one in slices:
        matcher.take(one)
    return matcher.finish()


def test_every_box_is_read():
    """A full row comes out as the form has it, units to 18 decimals."""
    row = {
        "sale id": "T1", "1a": "4H95J0R2X", "1c": "0.123456789012345678", "1d": "2025-01-03", "1e": "2025-05-06",
        "1g": "90.5", "1i": "3", "2": "X", "6": "Short-Term", "9": "no", "12": "0.1", "applicable checkbox": "g",
    }  # fmt: skip
    (form,) = forms_of(row)

    expected = Form1099Da(
        where="da.csv row 2",
        account="kraken",
        asset="BTC",
        units=Decimal("0.123456789012345678"),
        sold_day=date(2025, 5, 6).toordinal(),
        proceeds=Decimal("100.00"),
        basis=Decimal("90.5"),
        is_basis_reported=True,
        term="S",
        acquired="01/03/2025",
        wash_sale_disallowed=Decimal(3),
        is_transferred_in=True,
        sale_id="T1",
    )
    assert expected == form
    assert ("05/06/2025", "acquired 01/03/2025, transferred in") == (form.sold, form.remarks)


def test_columns_and_assets_can_be_mapped():
    """Other headers are mapped, some left out on purpose, one account may stand for the file, names become assets."""
    lines = [
        "Box 1c,Coin,Sold On,Box 1F,Basis To IRS,Broker TIN",
        "2,Bitcoin,12/31/2025,5,no,12-3",
        "",
        "1,ETH,1/2/2025,7,,",
    ]
    forms = read_forms_1099da(
        lines,
        "da.csv",
        columns={"coin": "1b", "Sold on": "1e", "Basis to IRS": "2", "Broker TIN": ""},
        assets={"Bitcoin": "BTC"},
        account="kraken",
    )

    expected = [("BTC", "2", "12/31/2025", "5", "kraken"), ("ETH", "1", "01/02/2025", "7", "kraken")]
    assert expected == [(f.asset, str(f.units), f.sold, str(f.proceeds), f.account) for f in forms]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("1b,1c,1e,1f,2,account,fee", ["column 'fee' is no box of Form 1099-DA"]),
        ("1b,1c,1e,2", ["no column 1f", "no column account"]),
        ("1c,1e,1f,account", ["no column 1a or 1b", "no column 2 or applicable checkbox"]),
        ("1b,1c,1e,1f,Box 1f,2,account", ["two columns are called '1f'"]),
        ("", ["no column 1a or 1b", "no column 1c", "no column 1e", "no column 1f", "no column 2 or applicable checkbox", "no column account"]),
    ],
)  # fmt: skip
def test_wrong_headers_are_refused(header, expected):
    """Unknown, missing and doubled columns are named, all at once."""
    assert [f"da.csv row 1: {what}" for what in expected] == mistakes_of(header)


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"account": ""}, "has no account"),
        ({"1b": "Bitcoin", "1a": "X9J9K872S"}, "names an unknown asset: 1a 'X9J9K872S', 1b 'Bitcoin'"),
        ({"1c": "0"}, "has 0 units in box 1c"),
        ({"1c": "1e3"}, "box 1c is no plain number: '1e3'"),
        ({"1f": "$5"}, "box 1f is no plain number: '$5'"),
        ({"1f": "1" * 41}, f"box 1f is no plain number: '{'1' * 40}'"),
        ({"1g": "nan"}, "box 1g is no plain number: 'nan'"),
        ({"1e": "06.05.2025"}, "box 1e is no date: '06.05.2025'"),
        ({"1e": "02/29/2025"}, "box 1e is no date: '02/29/2025'"),
        ({"1d": "last year"}, "box 1d is no date: 'last year'"),
        ({"2": "maybe"}, "box 2 is neither checked nor empty: 'maybe'"),
        ({"6": "ordinary"}, "box 6 is 'ordinary'"),
        ({"applicable checkbox": "C"}, "applicable checkbox is 'C'"),
        ({"applicable checkbox": "H", "2": "x"}, "applicable checkbox H and box 2 contradict each other"),
        ({"applicable checkbox": "K", "6": "short"}, "applicable checkbox K and box 6 contradict each other"),
        ({"2": "x"}, "says that the basis was reported to the IRS, and box 1g is empty"),
    ],
)
def test_wrong_cells_are_refused(row, what):
    """Each cell that cannot be read is named with its row."""
    assert [f"da.csv row 3: {what}"] == mistakes_of(*a_file({}, row))


def test_all_wrong_rows_are_told_together():
    """Two wrong rows and a short one are three mistakes, not one."""
    lines = [*a_file({"1c": "x"}, {}, {"1e": "x", "1f": "x"}), "kraken,1"]

    assert ["da.csv row 2", "da.csv row 4", "da.csv row 4", "da.csv row 5"] == [
        told.split(":")[0] for told in mistakes_of(*lines)
    ]


def test_broken_quoting_is_refused():
    """A file that is no CSV is refused, not half read."""
    assert "is no CSV" in mistakes_of(HEADER, 'kraken,"T1')[0]


@pytest.mark.parametrize(
    ("checkbox", "type_", "expected"),
    [("", "", ""), ("Y", "", ""), ("Y", "long", "L"), ("K", "", "L"), ("H", "S", "S")],
)
def test_the_term_is_that_of_checkbox_or_box_6(checkbox, type_, expected):
    """Y says nothing of the holding period; box 6 may."""
    assert [expected] == [form.term for form in forms_of({"applicable checkbox": checkbox, "6": type_})]


def test_the_canonical_columns_are_the_boxes_of_the_form():
    """The columns are the form's box numbers and three words."""
    assert set(HEADER.split(",")) == set(COLUMNS_1099DA)


def test_a_sale_is_found_by_its_id():
    """The id decides, whatever day the form has; ids may be the line's or the venue's own."""
    forms = forms_of({"sale id": "TX-1", "1e": "05/07/2025"}, {"sale id": "s2"})
    slices = [a_slice(disposal="s1"), a_slice(disposal="s2")]
    match = matched(forms, slices, sale_txid=lambda disposal: "TX-1" if disposal == "s1" else "")

    expected = {
        "s1": (Reported(is_basis_reported=False, proceeds=Decimal(100), sale_txid="TX-1"),),
        "s2": (Reported(is_basis_reported=False, proceeds=Decimal(100), sale_txid="s2"),),
    }
    assert expected == match.reported
    assert ([], []) == (match.open_items(), match.notes())


def test_a_sale_id_is_the_venues_own_part_of_ours():
    """T1 on the form is our kraken:T1, and of another asset its fee; the account may be written before it."""
    slices = [
        a_slice(disposal="kraken:T1"),
        a_slice(disposal="kraken:T1:fee", asset="BNB"),
        a_slice(disposal="kraken:T2"),
    ]
    rows = [{"sale id": "T1", "1b": "BNB"}, {"sale id": "kraken:T1"}]

    assert ["kraken:T1", "kraken:T1:fee"] == list(matched(forms_of(*rows), slices).reported)


def test_a_sale_is_taken_once():
    """What one row is about by id is not there for another row of the same facts, whole or in part."""
    slices = [
        a_slice(lot="old", qty="0.7", proceeds="70", basis="10", acquired="2020-01-01"),
        a_slice(lot="new", qty="0.3", proceeds="30", basis="31"),
    ]
    by_id = {"sale id": "s1"}
    for other in ({}, {"1c": "0.7", "6": "long"}):
        match = matched(forms_of(other, by_id), slices)

        assert [Reported(is_basis_reported=False, proceeds=Decimal(100), sale_txid="s1")] == [*match.reported["s1"]]
        assert ["da.csv row 2"] == [found.form.where for found in match.unmatched_forms]


def test_many_sales_without_a_row_are_summed_up():
    """Up to twenty of an asset are told one by one, more of them as one sum."""
    slices = [a_slice(disposal=f"s{number}") for number in range(21)]
    slices += [a_slice(disposal=f"e{number}", asset="ETH") for number in range(20)]
    notes = matched(forms_of({"1c": "7"}), slices).notes()

    assert (
        "21 sales at kraken",
        "21 BTC, proceeds 2100.00, basis 1890.00: on no row of the forms, so in box I or L",
    ) == (
        notes[0].where,
        notes[0].what,
    )
    assert 21 == len(notes)


def test_a_sale_is_found_by_its_facts():
    """Account, asset, units and day are enough when one sale has them."""
    slices = [a_slice(), a_slice(disposal="s2", sold="2025-05-07"), a_slice(disposal="s3", account="wallet")]
    match = matched(forms_of({"1c": "1.000"}), slices)

    assert ["s1"] == list(match.reported)
    assert ["s2"] == [sale.disposal for sale in match.unmatched_sales]
    assert [] == match.open_items()
    assert ["form_1099da_missing"] == [note.code for note in match.notes()]


def test_the_utc_day_is_tried_after_the_taxpayers():
    """A sale on the evening of 6 May in New York is found by 7 May UTC, if nothing is sold on the local 7 May."""
    evening = a_slice(disposal="evening", sold="2025-05-07T01:00:00Z")
    noon = a_slice(disposal="noon", sold="2025-05-07T16:00:00Z")
    form = {"1e": "05/07/2025"}

    assert ["evening"] == list(matched(forms_of(form), [evening], "America/New_York").reported)
    assert ["noon"] == list(matched(forms_of(form), [evening, noon], "America/New_York").reported)


def test_equal_facts_are_told_apart_by_proceeds():
    """Of equal sales the one with the form's proceeds is meant, net first, then before our costs."""
    slices = [a_slice(disposal=f"s{n}", proceeds=text) for n, text in enumerate(("96", "100", "103"))]
    forms = forms_of({"1f": "100"}, {"1f": "100.00"}, {"1f": "103"})
    match = matched(forms, slices, cost_of=lambda disposal: Decimal(4) if disposal == "s0" else Decimal(0))

    expected = {"s0": 100, "s1": 100, "s2": 103}
    assert expected == {disposal: said[0].proceeds for disposal, said in match.reported.items()}
    assert [("E", "s0")] == [(found.code, found.disposal) for found in match.differences]


def test_ambiguous_rows_are_listed_and_not_guessed():
    """Two sales that fit one row alike are both left alone, and the report stays open."""
    slices = [a_slice(disposal="s1"), a_slice(disposal="s2", basis="10")]
    match = matched(forms_of({}), slices)

    assert {} == match.reported
    assert [(("da.csv row 2",), ("s1", "s2"))] == [
        (tuple(form.where for form in found.forms), found.disposals) for found in match.ambiguous
    ]
    (item,) = match.open_items()
    assert ("form_1099da_ambiguous", "da.csv row 2") == (item.code, item.where)
    assert "1 BTC sold 05/06/2025 at kraken, proceeds 100.00: fits 2 sales alike: s1, s2" == item.what


def test_equal_rows_fit_equal_sales_in_any_order():
    """As many rows that say the very same as sales of these facts are paired, since the form comes out the same."""
    slices = [a_slice(disposal="s1", basis="10"), a_slice(disposal="s2", basis="20")]

    assert ["s1", "s2"] == list(matched(forms_of({}, {}), slices).reported)
    assert {} == matched(forms_of({"1f": "50"}, {"1f": "51"}), slices).reported


def test_a_known_id_with_other_units_is_never_given_away():
    """A row whose sale is in the books with other units stays open, though another sale would fit."""
    slices = [a_slice(disposal="T1", qty="2"), a_slice(disposal="T2")]
    match = matched(forms_of({"sale id": "T1"}), slices)

    assert {} == match.reported
    (item,) = match.open_items()
    assert "form_1099da_unmatched" == item.code
    assert item.what.endswith("its sale id T1 is in the books with other units")


def test_rows_about_the_terms_of_a_sale():
    """A sale over both terms is matched part by part when the form has a row for each."""
    slices = [
        a_slice(lot="old", qty="0.7", proceeds="70", basis="10", acquired="2020-01-01"),
        a_slice(lot="new", qty="0.3", proceeds="30", basis="31"),
    ]
    rows = [
        {"sale id": "s1", "1c": "0.3", "1f": "30", "applicable checkbox": "H"},
        {"sale id": "s1", "1c": "0.7", "1f": "70", "applicable checkbox": "K"},
    ]
    match = matched(forms_of(*rows), slices)
    made = rows_of(RowMaker(is_long, form_dates("UTC"), reported=match.reported), slices)

    assert [("K", "70.00"), ("H", "30.00")] == [(row.box, str(row.proceeds)) for row in made]
    assert [] == match.open_items() + match.notes()


def test_an_unmatched_row_is_listed_with_its_amounts():
    """What the form has and the books do not keeps the report open."""
    (item,) = matched(forms_of({"1b": "ETH", "1g": "80", "9": "x"}), [a_slice()]).open_items()

    expected = (
        "1 ETH sold 05/06/2025 at kraken, proceeds 100.00, basis 80.00 (noncovered): "
        "no sale of these units on this day is in the books"
    )
    assert expected == item.what


@pytest.mark.parametrize(
    ("row", "code", "what"),
    [
        ({"1f": "101"}, "form_1099da_proceeds", "proceeds 101.00 on the form, 100.00 by the books, and no known cost explains it (code O)"),
        ({"1i": "5"}, "form_1099da_wash_sale", "a wash sale loss of 5 is disallowed on the form, and not entered"),
        ({"1f": "101.50"}, "form_1099da_corrected", "proceeds 101.50 on the form are not reduced by costs; 100.00 by the books (code E)"),
        ({"1f": "99"}, "form_1099da_corrected", "proceeds 99.00 on the form, 100.00 by the books, which are entered"),
        ({"1g": "80"}, "form_1099da_corrected", "basis 80.00 on the form, 90.00 by the books (code B)"),
        ({"6": "long"}, "form_1099da_corrected", "long on the form, short by the books (code T)"),
    ],
)  # fmt: skip
def test_differences_are_told(row, code, what):
    """Each correction is told with both amounts; what nothing explains keeps the report open."""
    match = matched(forms_of(row), [a_slice()], cost_of=lambda _: Decimal("1.50"))

    is_open = code != "form_1099da_corrected"
    assert [(code, what)] == [(item.code, item.what) for item in (match.open_items() if is_open else match.notes())]
    assert [] == (match.notes() if is_open else match.open_items())
