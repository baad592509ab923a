"""Numbers that carry money, and the only place where they are divided or rounded.

Price is quote per base, Qty is base, Rate is a fraction (0.004 = 40 bps), Bps are basis points.
Every rounding function names its direction. No float enters or leaves.
"""

from __future__ import annotations

import decimal
from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import NewType

import msgspec

from arbot.domain.errors import ensure
from arbot.domain.ids import Asset

Price = NewType("Price", Decimal)
Qty = NewType("Qty", Decimal)
Rate = NewType("Rate", Decimal)
Bps = NewType("Bps", Decimal)

ZERO = Decimal(0)
ONE = Decimal(1)
BPS_PER_ONE = Decimal(10_000)
DIGITS_MAX = 40  # digits in one number from outside; venues use at most 18 decimals
WIDE = decimal.Context(
    prec=60,
    rounding=decimal.ROUND_HALF_EVEN,
    traps=[decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow],
)
EXACT = decimal.Context(
    prec=400, traps=[decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow, decimal.Inexact]
)
"""Sums and products of the ledger: wide enough for DIGITS_MAX times DIGITS_MAX, and a lost digit raises."""


class Amount(msgspec.Struct, frozen=True):
    """A number and the asset it is in, never apart."""

    number: Decimal
    asset: Asset

    def __add__(self, other: Amount) -> Amount:
        ensure(self.asset == other.asset, "amounts of different assets added", left=self, right=other)
        return Amount(EXACT.add(self.number, other.number), self.asset)

    def __neg__(self) -> Amount:
        return Amount(-self.number, self.asset)


def parse_decimal(text: str) -> Decimal:
    """Return the exact finite number written in `text`.

    Raises: ValueError on NaN, infinity, or more than DIGITS_MAX digits (an exponent counts as the digits it stands for).
    """
    try:
        number = Decimal(text)
    except decimal.InvalidOperation as error:
        raise ValueError(f"not a number: {text[:40]!r}") from error
    return checked(number)


def checked(number: Decimal) -> Decimal:
    """Return `number` unchanged if it is finite and of sane length. Raises: ValueError."""
    _, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int):
        raise ValueError(f"not finite: {number}")  # noqa: TRY004 - the caller's text is at fault, not its type
    if len(digits) + abs(exponent) > DIGITS_MAX:
        raise ValueError(f"too many digits: {len(digits)} digits, exponent {exponent}")
    return number


def fmt(number: Decimal) -> str:
    """Return plain text without exponent or trailing zeros, as venues and files want it: 1E+3 -> 1000, 0.50 -> 0.5."""
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def div(numerator: Decimal, denominator: Decimal) -> Decimal:
    """Return the quotient to 60 significant digits, half even. Raises: decimal.DivisionByZero."""
    return WIDE.divide(numerator, denominator)


def floor_to_step(number: Decimal, step: Decimal) -> Decimal:
    """Return the largest multiple of `step` that is not above `number`."""
    return WIDE.multiply(WIDE.divide(number, step).to_integral_value(rounding=ROUND_FLOOR, context=WIDE), step)


def ceil_to_step(number: Decimal, step: Decimal) -> Decimal:
    """Return the smallest multiple of `step` that is not below `number`."""
    return WIDE.multiply(WIDE.divide(number, step).to_integral_value(rounding=ROUND_CEILING, context=WIDE), step)


def is_multiple(number: Decimal, step: Decimal) -> bool:
    """Return whether `number` is a whole number of steps."""
    return number % step == 0


def median(numbers: Iterable[Decimal]) -> Decimal:
    """Return the middle number, of an even count the mean of the middle two. Raises: IndexError when there are none."""
    ranked = sorted(numbers)
    middle = len(ranked) // 2
    return ranked[middle] if len(ranked) % 2 else (ranked[middle - 1] + ranked[middle]) / 2


def common_step(one: Decimal, other: Decimal) -> Decimal:
    """Return the smallest positive step that is a whole multiple of both, so that both venues accept it.

    0.001 and 0.0025 -> 0.005.
    """
    exponent = min(exponent_of(one), exponent_of(other))
    unit = Decimal(1).scaleb(exponent)
    a, b = int(one / unit), int(other / unit)
    gcd_a, gcd_b = a, b
    while gcd_b:
        gcd_a, gcd_b = gcd_b, gcd_a % gcd_b
    return Decimal(a * b // gcd_a) * unit


def exponent_of(number: Decimal) -> int:
    """Return the decimal exponent of the last digit that counts: 0.010 -> -2, 5 -> 0, 100 -> 2."""
    exponent = number.normalize().as_tuple().exponent
    ensure(isinstance(exponent, int), "exponent of a non-finite number", number=number)
    return int(exponent)


def decimals_of(step: Decimal) -> int:
    """Return how many decimals a multiple of `step` can need: 0.01 -> 2, 5 -> 0."""
    return max(0, -exponent_of(step))


def bps_to_rate(bps: Decimal) -> Rate:
    """Return basis points as a fraction, exactly: 25 -> 0.0025."""
    return Rate(bps.scaleb(-4))


def rate_to_bps(rate: Decimal) -> Bps:
    """Return a fraction as basis points, exactly."""
    return Bps(rate.scaleb(4))


def share_bps(part: Decimal, whole: Decimal) -> Bps:
    """Return `part` of `whole` in basis points, to four decimals, half even."""
    return Bps(WIDE.quantize(WIDE.multiply(div(part, whole), BPS_PER_ONE), Decimal("0.0001")))
