"""How an asset is to be spread over venues: as told, the rest evenly. For plans and for what is measured against them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from arbot.domain.units import ONE, ZERO, div


def spread(told: Mapping[str, Decimal], venues: Sequence[str]) -> dict[str, Decimal]:
    """Return the share of each venue: as told, even for venues that nothing is told of; together one, or all zero."""
    told = {venue: told[venue] for venue in venues if venue in told}
    others = len(venues) - len(told)
    spare = ONE - sum(told.values(), ZERO)
    whole = {venue: told[venue] if venue in told else div(spare, Decimal(others)) for venue in venues}
    total = sum(whole.values(), ZERO)
    return {venue: div(share, total) for venue, share in whole.items()} if total else whole
