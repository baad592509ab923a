"""Every country by its code."""

from __future__ import annotations

from typing import Final

from arbot.domain.errors import Mistake, UserError
from arbot.ledger.jurisdictions.au import AUSTRALIA
from arbot.ledger.jurisdictions.base import Country
from arbot.ledger.jurisdictions.ca import CANADA
from arbot.ledger.jurisdictions.de import GERMANY
from arbot.ledger.jurisdictions.uk import UNITED_KINGDOM
from arbot.ledger.jurisdictions.us.country import UNITED_STATES

COUNTRIES: Final = {each.code: each for each in (UNITED_STATES, UNITED_KINGDOM, GERMANY, CANADA, AUSTRALIA)}


def country(code: str) -> Country:
    """Return the country of a code such as "uk", in any case. Raises: UserError that lists the known ones."""
    found = COUNTRIES.get(code.lower())
    if found is None:
        known = ", ".join(f"{each.code} ({each.name})" for each in COUNTRIES.values())
        raise UserError(Mistake(f"country {code!r}", "is not known", f"use one of: {known}"))
    return found
