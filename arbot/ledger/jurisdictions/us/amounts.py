"""Amounts as the forms print them: cents, or whole dollars for all of them.

Rules of this file (Instructions for Form 8949 and for Schedule D, 2025):
- Cents are rounded half up, away from zero: 0.005 is 0.01, -0.005 is -0.01. There is no negative zero.
- Whole dollars: below 50 cents down, from 50 cents on up. Amounts are added with their cents, and only the total is rounded.
- Column (h) is worked out from the printed (d), (e) and (g), so that every row foots.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from arbot.domain.units import EXACT, WIDE

CENT: Final = Decimal("0.01")
DOLLAR: Final = Decimal(1)
NO_CENTS: Final = Decimal("0.00")


def cents(amount: Decimal) -> Decimal:
    """Return the amount in cents, half up: 1234.565 -> 1234.57, -0.004 -> 0.00.

    Raises: decimal.InvalidOperation above 26 digits of dollars.
    """
    return amount.quantize(CENT, ROUND_HALF_UP) or NO_CENTS


def all_cents(amounts: Iterable[Decimal]) -> list[Decimal]:
    """Return each amount in cents, as `cents` does."""
    return [amount.quantize(CENT, ROUND_HALF_UP) or NO_CENTS for amount in amounts]


def whole_dollars(amount: Decimal) -> Decimal:
    """Return the amount in dollars, 50 cents up: 1.49 -> 1, 1.50 -> 2, -1.50 -> -2."""
    return amount.quantize(DOLLAR, ROUND_HALF_UP) or Decimal(0)


def column_h(proceeds: Decimal, basis: Decimal, adjustment: Decimal) -> Decimal:
    """Return gain or loss: (d) less (e), combined with (g)."""
    return proceeds - basis + adjustment


def is_shown_as(shown: Decimal, exact: Decimal) -> bool:
    """Return whether an amount in cents is the exact one, whichever way its last cent was rounded."""
    return EXACT.subtract(shown, exact).copy_abs() < CENT  # abs() would round to the ambient precision


def shared_cents(amount: Decimal, weights: list[Decimal]) -> list[Decimal]:
    """Split an amount by weights (sum above zero) into cents: multiplied first, the last part takes what is left."""
    total = EXACT.create_decimal(0)
    for weight in weights:
        total = EXACT.add(total, weight)
    parts = [cents(WIDE.divide(EXACT.multiply(amount, weight), total)) for weight in weights[:-1]]
    return [*parts, amount - sum(parts, NO_CENTS)]
