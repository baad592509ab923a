"""One writing for equal values: a sum may carry zeros at its end that the same sum in another order does not."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from arbot.domain.units import fmt


def canonical(value: object) -> str:
    """Return a text that is the same for equal values: numbers plain and without zeros at the end, structs by field."""
    if isinstance(value, Decimal):
        return fmt(value)
    if isinstance(value, msgspec.Struct):
        fields = (f"{name}={canonical(getattr(value, name))}" for name in value.__struct_fields__)
        return f"{type(value).__name__}({', '.join(fields)})"
    if isinstance(value, tuple):
        return f"({', '.join(map(canonical, value))})"
    return repr(value)
