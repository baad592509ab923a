"""Every country by its code."""

from __future__ import annotations

from typing import Final

from arbot.domain.errors import Mistake, UserError
from arbot.ledger.jurisdictions.base import Country
from arbot.ledger.jurisdictions.uk import UNITED_KINGDOM

COUNTRIES: Final = {each.code: each for each in (UNITED_KINGDOM,)}


def country(code: str) -> Country:
    """Return the country of a code such as "uk", in any case. Raises: UserError that lists the known ones."""
    found = COUNTRIES.get(code.lower())
    if found is None:
        known = ", ".join(f"{each.code} ({each.name})" for each in COUNTRIES.values())
        raise UserError(Mistake(f"country {code!r}", "is not known", f"use one of: {known}"))
    return found
