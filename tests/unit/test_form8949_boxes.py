"""Boxes, columns and codes of Form 8949 beside a Form 1099-DA, and amounts as printed."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arbot.domain.errors import InvariantBroken
from arbot.ledger.jurisdictions.us.amounts import cents, is_shown_as, shared_cents, whole_dollars
from arbot.ledger.jurisdictions.us.boxes import Reported, columns, said_by_term


def entered(term: str, proceeds: str, basis: str, /, is_total_enough: bool = False, **said) -> tuple:
    """Return box, line, d, e, f, g, h as text; without `is_basis_reported` there is no form."""
    given = {
        key: Decimal(text) if key in {"proceeds", "basis", "cost_left_out"} else text for key, text in said.items()
    }
    reported = Reported(**given) if said else None
    entry = columns(term, Decimal(proceeds), Decimal(basis), reported, is_total_enough=is_total_enough)
    return (entry.box.letter, entry.line, *(str(told) for told in entry[2:]))


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        ("0.005", "0.01"),
        ("0.00499999999999999999999999999999", "0.00"),
        ("-0.005", "-0.01"),
        ("-0.004", "0.00"),
        ("1234.565", "1234.57"),
        ("1E+3", "1000.00"),
        ("0", "0.00"),
    ],
)
def test_cents_are_half_up_and_never_minus_zero(amount, expected):
    """Halves go away from zero, and nothing prints as -0.00."""
    assert expected == str(cents(Decimal(amount)))


@pytest.mark.parametrize(
    ("amount", "expected"), [("1.49", "1"), ("1.50", "2"), ("-1.50", "-2"), ("-0.49", "0"), ("0.50", "1")]
)
def test_whole_dollars_go_up_from_fifty_cents(amount, expected):
    """Below 50 cents is dropped, 50 cents and more is a dollar."""
    assert expected == str(whole_dollars(Decimal(amount)))


def test_split_cents_add_up():
    """Three equal shares of 100.00 are 33.33, 33.33 and the 33.34 that is left."""
    expected = [Decimal("33.33"), Decimal("33.33"), Decimal("33.34")]
    assert expected == shared_cents(Decimal("100.00"), [Decimal(1)] * 3)


def test_either_rounding_of_the_last_cent_is_the_same_amount():
    """A form may have rounded 1.005 to 1.00 or 1.01; 0.99 and 1.02 are other amounts."""
    shown = [is_shown_as(Decimal(text), Decimal("1.005")) for text in ("0.99", "1.00", "1.01", "1.02")]
    assert [False, True, True, False] == shown
    assert not is_shown_as(Decimal("1.01"), Decimal("1.00"))


CASES = [
    # what, term, our proceeds and basis, what the form says, expected
    ("none, short", "S", "10.005", "4", {}, ("I", "3", "10.01", "4.00", "", "0.00", "6.01")),
    ("none, long", "L", "10", "4", {}, ("L", "10", "10.00", "4.00", "", "0.00", "6.00")),
    (
        "reported, right",
        "S", "500", "400", {"is_basis_reported": True, "proceeds": "500", "basis": "400"},
        ("G", "1b", "500.00", "400.00", "", "0.00", "100.00"),
    ),
    (
        "reported, basis too low: (g) negative",
        "L", "1000", "900", {"is_basis_reported": True, "proceeds": "1000", "basis": "650"},
        ("J", "8b", "1000.00", "650.00", "B", "-250.00", "100.00"),
    ),
    (
        "reported, basis of zero shown",
        "L", "1000", "900", {"is_basis_reported": True, "proceeds": "1000", "basis": "0"},
        ("J", "8b", "1000.00", "0.00", "B", "-900.00", "100.00"),
    ),
    (
        "not reported, none shown",
        "L", "1000", "900", {"is_basis_reported": False, "proceeds": "1000"},
        ("K", "9", "1000.00", "900.00", "", "0.00", "100.00"),
    ),
    (
        "not reported, right one shown",
        "S", "1000", "900", {"is_basis_reported": False, "proceeds": "1000", "basis": "900"},
        ("H", "2", "1000.00", "900.00", "", "0.00", "100.00"),
    ),
    (
        "cost left out and basis wrong: codes in alphabetical order, adjustments together",
        "S", "996", "650",
        {"is_basis_reported": True, "proceeds": "1000", "basis": "900", "cost_left_out": "4"},
        ("G", "1b", "1000.00", "900.00", "BE", "246.00", "346.00"),
    ),
    (
        "wrong term: on the right part",
        "L", "1000", "900", {"is_basis_reported": True, "proceeds": "1000", "basis": "900", "term": "S"},
        ("J", "8b", "1000.00", "900.00", "T", "0.00", "100.00"),
    ),
    (
        "everything wrong",
        "L", "990", "900",
        {"is_basis_reported": True, "proceeds": "1000", "basis": "800", "term": "S", "cost_left_out": "4"},
        ("J", "8b", "1000.00", "800.00", "BEOT", "-110.00", "90.00"),
    ),
    (
        "more on the form than any cost explains",
        "S", "990", "900", {"is_basis_reported": False, "proceeds": "1000"},
        ("H", "2", "1000.00", "900.00", "O", "-10.00", "90.00"),
    ),
    (
        "less on the form: the correct proceeds",
        "S", "1000", "900", {"is_basis_reported": False, "proceeds": "996"},
        ("H", "2", "1000.00", "900.00", "", "0.00", "100.00"),
    ),
    (
        "the form rounded down where we round up",
        "S", "10.005", "4.005", {"is_basis_reported": True, "proceeds": "10.00", "basis": "4.00"},
        ("G", "1b", "10.00", "4.00", "", "0.00", "6.00"),
    ),
    (
        "a cost of half a cent explains what is left of it",
        "S", "9.996", "4", {"is_basis_reported": False, "proceeds": "10.02", "cost_left_out": "0.0205"},
        ("H", "2", "10.02", "4.00", "E", "-0.02", "6.00"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("term", "proceeds", "basis", "said", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_columns(term, proceeds, basis, said, expected):
    """Each thing a form can say leads to its box, line, columns and codes."""
    assert expected == entered(term, proceeds, basis, **said)


@pytest.mark.parametrize(
    ("term", "proceeds", "said", "expected"),
    [
        ("S", "500", {"is_basis_reported": True, "proceeds": "500", "basis": "400"}, "1a"),
        ("L", "500", {"is_basis_reported": True, "proceeds": "500", "basis": "400"}, "8a"),
        ("S", "500", {"is_basis_reported": True, "proceeds": "500", "basis": "401"}, "1b"),
        ("S", "501", {"is_basis_reported": True, "proceeds": "500", "basis": "400"}, "1b"),
        ("S", "500", {"is_basis_reported": False, "proceeds": "500"}, "2"),
        ("L", "500", {}, "10"),
    ],
)
def test_totals_without_rows_are_for_what_needs_no_correction(term, proceeds, said, expected):
    """Lines 1a and 8a take sales whose basis is reported and right, and no others."""
    assert expected == entered(term, proceeds, "400", is_total_enough=True, **said)[1]


def test_basis_reported_and_not_shown_is_refused():
    """A form cannot report a basis to the IRS and show none."""
    with pytest.raises(InvariantBroken, match="none on the form"):
        entered("S", "1", "1", is_basis_reported=True, proceeds="1")


def test_one_form_over_both_terms_is_split_by_units():
    """A third of the units takes a third of each amount on the form, the rest what is left of it."""
    whole = Reported(is_basis_reported=False, proceeds=Decimal("100.00"), basis=Decimal("50.00"), term="S")
    said = said_by_term((whole,), {"L": Decimal(1), "S": Decimal(2)})

    expected = {"L": (Decimal("33.33"), Decimal("16.67")), "S": (Decimal("66.67"), Decimal("33.33"))}
    assert expected == {term: (one.proceeds, one.basis) for term, one in said.items()}
