"""What is remembered of venues, stablecoins and news: plain records, filled by `health`, `pegs` and `risk.news`."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from arbot.domain.units import ONE


@dataclass(slots=True)
class VenueHealth:
    """One venue's conduct."""

    cap_factor: Decimal = ONE  # of the venue's caps; falls with withdrawals that do not work, comes back step by step
