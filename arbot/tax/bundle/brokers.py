"""Forms 1099-DA beside our own sales: a pass of its own, since a row's box has to be known before it is written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path

from arbot.domain.errors import Mistake, UserError
from arbot.domain.history import CASH, FillLine, Placed
from arbot.domain.units import ZERO
from arbot.ledger.jurisdictions.us.form1099da import Form1099Da, read_forms_1099da
from arbot.ledger.jurisdictions.us.form8949 import IsLong
from arbot.ledger.jurisdictions.us.found1099da import Match
from arbot.ledger.jurisdictions.us.match1099da import Matcher
from arbot.ledger.lots.words import LotRun, Slice, Why
from arbot.tax.bundle.flows import price_of
from arbot.tax.bundle.forms_map import read_forms_map
from arbot.tax.bundle.passing import Span, run_pass


def read_forms(path: Path, map_path: Path | None = None) -> list[Form1099Da]:
    """Return the rows of the file, read as its map says. Raises: UserError with every mistake in it."""
    given = read_forms_map(map_path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            return read_forms_1099da(
                lines, path.name, columns=given.columns, assets=given.assets, account=given.account
            )
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(Mistake(f"--form-1099da {path}", str(error), "name a CSV file in UTF-8")) from error


class _Sales:
    """Hears the lines of the year: the costs of each sale, then its slices."""

    def __init__(self, forms: Sequence[Form1099Da], is_long: IsLong, timezone: str) -> None:
        self._cost = ZERO
        self.matcher = Matcher(forms, is_long, timezone, cost_of=lambda _: self._cost)

    def line(self, placed: Placed, slices: Sequence[Slice]) -> None:
        """Take a line's sale."""
        self._cost = _cost_of_sale(placed, slices)
        for one in slices:
            if one.why is Why.SELL:
                self.matcher.take(one)
        self._cost = ZERO
        for one in slices:
            if one.why is not Why.SELL:
                self.matcher.take(one)


def match_forms(  # noqa: PLR0917 - what a pass needs
    forms: Sequence[Form1099Da], lines: Iterable[Placed], run: LotRun, span: Span, is_long: IsLong, timezone: str
) -> Match:
    """Return which sale each row of the forms is about."""
    sales = _Sales(forms, is_long, timezone)
    run_pass(lines, run, span, by_line=[sales], by_slice=[], flush=lambda: None)
    return sales.matcher.finish()


def _cost_of_sale(placed: Placed, slices: Sequence[Slice]) -> Decimal:
    """Return by how much the proceeds of a sale are less than its value."""
    line = placed.line
    if not isinstance(line, FillLine):
        return ZERO
    given = line.quote if line.side == "buy" else line.base
    price = price_of(line, line.quote)
    if given in CASH or price is None:
        return ZERO
    return line.cost * price - sum((one.proceeds for one in slices if one.why is Why.SELL), ZERO)
