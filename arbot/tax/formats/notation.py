"""How numbers and times are written, by the rules that the formats share.

Rules of this file:
- Numbers are plain: point, no grouping, no exponent, no trailing zeros; an absent side is empty, never 0.
- Times come as the line's own text, UTC with Z, and are cut, never rounded: no event moves into another day.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Final

from arbot.domain.units import WIDE
from arbot.tax.formats.losses import Losses

CENT: Final = Decimal("0.01")
_MONEY_STEP: Final = Decimal("1E-18")


def number(amount: Decimal) -> str:
    """Return plain text without trailing zeros, every digit kept."""
    text = format(amount, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text


def side(amount: Decimal, asset: str) -> str:
    """Return the number of a side that exists, else nothing."""
    return number(amount) if asset else ""


def rounded(amount: Decimal, asset: str, step: Decimal, losses: Losses, where: str) -> str:
    """Return the number of a side in whole steps, half even; what loses digits is noted."""
    if not asset:
        return ""
    short = amount.quantize(step, rounding=ROUND_HALF_EVEN, context=WIDE)
    if short != amount:
        losses.note("digits", where)
    return number(short)


def money(amount: Decimal) -> str:
    """Return a value in USD to 18 decimals, half even: beyond what any program adds up."""
    return number(amount.quantize(_MONEY_STEP, rounding=ROUND_HALF_EVEN, context=WIDE))


def cents(amount: Decimal) -> str:
    """Return money with 2 decimals, half up (the IRS's rule for amounts on forms)."""
    return format(amount.quantize(CENT, rounding=ROUND_HALF_UP, context=WIDE), "f")


def american(ts: str) -> str:
    """Return MM/DD/YYYY HH:MM:SS."""
    return f"{ts[5:7]}/{ts[8:10]}/{ts[:4]} {ts[11:19]}"


def american_minute(ts: str) -> str:
    """Return MM/DD/YYYY HH:MM."""
    return f"{ts[5:7]}/{ts[8:10]}/{ts[:4]} {ts[11:16]}"


def german(ts: str) -> str:
    """Return DD.MM.YYYY HH:MM:SS."""
    return f"{ts[8:10]}.{ts[5:7]}.{ts[:4]} {ts[11:19]}"


def iso_second(ts: str) -> str:
    """Return YYYY-MM-DD HH:MM:SS."""
    return f"{ts[:10]} {ts[11:19]}"


def iso_micro(ts: str) -> str:
    """Return YYYY-MM-DD HH:MM:SS.ffffff."""
    return f"{ts[:10]} {ts[11:19]}.{ts[20:-1][:6].ljust(6, '0')}"
