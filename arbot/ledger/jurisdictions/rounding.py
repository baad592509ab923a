"""Rounding in renderers, in favour of the taxpayer: proceeds and gains down, costs and losses up.

HMRC rounds its own examples so (CRYPTO22252: a cost of 937.50 becomes 938, the gain 462). Totals are rounded from exact
sums, never added from rounded rows.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Final

from arbot.domain.units import EXACT, WIDE

CENT: Final = Decimal("0.01")
WHOLE: Final = Decimal(1)


def down(amount: Decimal, unit: Decimal = CENT) -> Decimal:
    """Return `amount` rounded towards minus infinity."""
    return amount.quantize(unit, ROUND_FLOOR, WIDE)


def up(amount: Decimal, unit: Decimal = CENT) -> Decimal:
    """Return `amount` rounded towards plus infinity."""
    return amount.quantize(unit, ROUND_CEILING, WIDE)


def nearest(amount: Decimal, unit: Decimal = CENT) -> Decimal:
    """Return `amount` rounded half up, for countries whose rule for this is not in the facts."""
    return amount.quantize(unit, ROUND_HALF_UP, WIDE)


def in_favour(proceeds: Decimal, cost: Decimal, unit: Decimal = CENT) -> tuple[Decimal, Decimal, Decimal]:
    """Return proceeds down, cost up, and the gain as their difference, so that the row foots."""
    low, high = down(proceeds, unit), up(cost, unit)
    return low, high, EXACT.subtract(low, high)


def text(amount: Decimal) -> str:
    """Return an amount as a cell: plain digits as many as it has, and no minus on zero."""
    return format(amount or abs(amount), "f")
