"""Which box of Form 8949 a sale belongs to, and what stands in its columns (d) to (h).

Rules of this file (2025 Form 8949 with instructions; 2025 Schedule D; box letters G to L are those of digital assets):
- No Form 1099-DA: box I or L, proceeds net of the costs of the sale, no code, no adjustment.
- Form 1099-DA with basis reported to the IRS: box G or J; (e) is the basis of the form; a wrong one gets code B and
  (g) = reported less correct.
- Form 1099-DA without: box H or K; (e) is the correct basis; if a wrong one was shown, code B, and (g) stays zero.
- (d) is the form's, or the correct one where that is more. A cost that the form left out: code E, (g) negative. More on
  the form that no known cost explains: code O, and the difference is told, so that nobody files it unseen.
- Short or long is the taxpayer's own; if the form says the other: code T, on the right part.
- An amount on the form is right when it is ours to the cent, whichever way the last cent was rounded.
- Codes stand in alphabetical order without space or comma.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec

from arbot.domain.errors import ensure
from arbot.domain.units import EXACT
from arbot.ledger.jurisdictions.us.amounts import NO_CENTS, cents, column_h, is_shown_as, shared_cents

SHORT: Final = "S"
LONG: Final = "L"


class Box(NamedTuple):
    """A box of Form 8949: its part, the term it is for, and the line of Schedule D that it leads to."""

    letter: str
    part: str
    term: str
    line: str
    line_without_rows: str  # where a total may go when no row of it needs a correction; "" nowhere


BOXES: Final = {
    box.letter: box
    for box in (
        Box("G", "I", "short", "1b", "1a"),
        Box("H", "I", "short", "2", ""),
        Box("I", "I", "short", "3", ""),
        Box("J", "II", "long", "8b", "8a"),
        Box("K", "II", "long", "9", ""),
        Box("L", "II", "long", "10", ""),
    )
}
NOT_REPORTED: Final = {SHORT: BOXES["I"], LONG: BOXES["L"]}
BASIS_SHOWN_TO_IRS: Final = {SHORT: BOXES["G"], LONG: BOXES["J"]}
BASIS_NOT_SHOWN_TO_IRS: Final = {SHORT: BOXES["H"], LONG: BOXES["K"]}


class Reported(msgspec.Struct, frozen=True, kw_only=True):
    """What a Form 1099-DA says of one sale, or of its short or long part.

    `basis` None: the form shows none. `term` "": the form does not say, or covers both terms. `part` is the term of ours
    that it is about, "" the whole sale.
    `cost_left_out` is the part of our own costs of the sale that the form's proceeds were not reduced by.
    """

    is_basis_reported: bool
    proceeds: Decimal
    basis: Decimal | None = None
    term: str = ""
    cost_left_out: Decimal = NO_CENTS
    sale_txid: str = ""
    part: str = ""


class Columns(NamedTuple):
    """Columns (d) to (h) in cents, with the box and the line of Schedule D they go to."""

    box: Box
    line: str
    proceeds: Decimal
    basis: Decimal
    code: str
    adjustment: Decimal
    gain: Decimal


def columns(
    term: str, proceeds: Decimal, basis: Decimal, reported: Reported | None = None, *, is_total_enough: bool = False
) -> Columns:
    """Return how a sale is entered; proceeds net of costs and basis are our own, exact.

    `is_total_enough`: send what needs no correction to line 1a or 8a, where it needs no row.
    """
    own, correct = cents(proceeds), cents(basis)
    if reported is None:
        box = NOT_REPORTED[term]
        return Columns(box, box.line, own, correct, "", NO_CENTS, own - correct)
    box = (BASIS_SHOWN_TO_IRS if reported.is_basis_reported else BASIS_NOT_SHOWN_TO_IRS)[term]
    shown = cents(reported.proceeds)
    adjustment = NO_CENTS
    codes = ["T"] if reported.term not in ("", term) else []
    if shown > own and not is_shown_as(shown, proceeds):
        adjustment -= shown - own
        codes += _why_more(shown - own, shown, proceeds, reported.cost_left_out)
    is_proceeds_kept = shown >= own or is_shown_as(shown, proceeds)
    entered = shown if is_proceeds_kept else own
    is_basis_wrong = reported.basis is not None and not is_shown_as(cents(reported.basis), basis)
    codes += ["B"] if is_basis_wrong else []
    if reported.is_basis_reported:
        ensure(reported.basis is not None, "basis reported to the IRS, and none on the form", sale=reported.sale_txid)
        on_form = cents(reported.basis or NO_CENTS)
        adjustment += on_form - correct if is_basis_wrong else NO_CENTS
        correct = on_form
    is_clean = not codes and is_proceeds_kept and box.line_without_rows != ""
    line = box.line_without_rows if is_total_enough and is_clean else box.line
    gain = column_h(entered, correct, adjustment)
    return Columns(box, line, entered, correct, "".join(sorted(codes)), adjustment, gain)


def said_by_term(reports: Sequence[Reported], units: Mapping[str, Decimal]) -> dict[str, Reported]:
    """Return what forms say of each term of a sale with so many units; a form over the whole sale is split by units."""
    if not reports or reports[0].part:
        return {report.part: report for report in reports}
    whole, weights = reports[0], list(units.values())
    if len(units) == 1:
        return dict.fromkeys(units, whole)
    proceeds, cost = shared_cents(whole.proceeds, weights), shared_cents(whole.cost_left_out, weights)
    basis = shared_cents(whole.basis, weights) if whole.basis is not None else [None] * len(weights)
    return {
        term: msgspec.structs.replace(whole, proceeds=proceeds[i], basis=basis[i], cost_left_out=cost[i])
        for i, term in enumerate(units)
    }


def _why_more(excess: Decimal, shown: Decimal, proceeds: Decimal, cost: Decimal) -> list[str]:
    """Return the codes for proceeds that are higher on the form than our own, net of costs."""
    if is_shown_as(shown, EXACT.add(proceeds, cost)):
        return ["E"]
    return ["E", "O"] if NO_CENTS < cost < excess else ["O"]
