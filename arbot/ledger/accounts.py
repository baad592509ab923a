"""The chart of accounts: every name that may stand in a posting, and where each is used.

Names are lower case, most significant word first, parts joined by ":". The asset is not part of the name: a posting
carries it. Signs are those of our own purse: positive came in, negative went out. What we hold is under `assets:`.
"""

from __future__ import annotations

from typing import Final

from arbot.domain.ids import VenueId

EQUITY_OPENING: Final = "equity:opening"
"""Other side of what a venue held when the ledger first saw it."""

EQUITY_EXCHANGE: Final = "equity:exchange"
"""The trading account: takes the other side of both halves of a fill, so that each asset sums to zero by itself."""

EQUITY_FUNDING: Final = "equity:funding"
"""Other side of cash from and to the owner's bank, as imported history tells it."""

EQUITY_ADJUSTMENTS: Final = "equity:adjustments"
"""Other side of differences that a person explained."""

TRANSIT_UNMATCHED: Final = "transit:unmatched"
"""Left one of our venues and not yet seen at another (positive); came from outside arbot's venues (negative)."""

TRADING_FEES: Final = "expenses:fees:"
"""What every account of trading fees begins with."""

TRANSFER_FEES: Final = "expenses:transfers:"
"""What every account of fees for deposits and withdrawals begins with."""

_ASSETS: Final = "assets:"


def venue_assets(venue: VenueId) -> str:
    """Return the account of what a venue holds for us: "assets:kraken"."""
    return _ASSETS + venue


def trading_fees(venue: VenueId) -> str:
    """Return the account of what a venue charged for trading; rebates make it negative."""
    return TRADING_FEES + venue


def transfer_fees(venue: VenueId) -> str:
    """Return the account of what a venue charged for deposits and withdrawals."""
    return TRANSFER_FEES + venue


def income(why: str) -> str:
    """Return the account of what came in outside trades, for one reason of a history line: "income:interest"."""
    return f"income:{why}"


def spending(why: str) -> str:
    """Return the account of what left outside trades, for one reason of a history line: "expenses:spend:payment"."""
    return f"expenses:spend:{why}"


def transfer_losses(venue: VenueId) -> str:
    """Return the account of what was sent to a venue and credited there for less: hidden fees."""
    return f"expenses:transfer-losses:{venue}"
