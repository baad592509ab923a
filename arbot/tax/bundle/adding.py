"""The decimal context a report is made in: operators add, subtract and multiply without losing a digit.

Rules of this file:
- A method call on a context costs several times an operator, and a report has some twenty sums per slice: `write_report`
  opens this context once, and the bundle's modules use operators within it.
- Nothing here divides with an operator; who divides or rounds names a context or a step of his own.
- It does not trap inexact results, since rounding to cents is one; 400 digits are ten times what a sum can need.
"""

from __future__ import annotations

import decimal
from contextlib import AbstractContextManager

SUMMING = decimal.Context(
    prec=400,
    rounding=decimal.ROUND_HALF_EVEN,
    traps=[decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow, decimal.FloatOperation],
)


def adding() -> AbstractContextManager[decimal.Context]:
    """Open the context for a block."""
    return decimal.localcontext(SUMMING)
