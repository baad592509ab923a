"""Whether a key may be used: it must be able to trade, must not be able to move money out, and must hold no surprise."""

from __future__ import annotations

from arbot.domain.errors import Mistake
from arbot.ports import KeyPermissions, VenueConfig
from arbot.venues.coinbase.gateway import PERMISSION_NAMES as COINBASE_KNOWN
from arbot.venues.kraken.gateway import PERMISSIONS_KNOWN as KRAKEN_KNOWN

KNOWN: dict[str, frozenset[str]] = {"kraken": frozenset(KRAKEN_KNOWN), "coinbase": COINBASE_KNOWN}
"""Permission names by adapter. An adapter that is not listed states none, and its keys cannot be judged by name."""


def check_permissions(permissions: KeyPermissions, config: VenueConfig) -> tuple[Mistake, ...]:
    """Return why a key must not be used at `config.venue`; empty when it may."""
    where = f"API key of {config.venue}"
    unknown = sorted(set(permissions.raw) - KNOWN.get(config.adapter, frozenset(permissions.raw)))
    checks = (
        (
            permissions.can_withdraw and not config.allow_withdraw_key,
            f"it can move money out ({', '.join(permissions.raw)})",
            "make a key without withdraw or transfer rights, or switch on [transfers] enabled",
        ),
        (
            bool(unknown),
            f"it holds permissions arbot does not know: {', '.join(unknown)}",
            "make a key with the permissions the guide lists and no others",
        ),
        (
            not permissions.can_trade,
            f"it cannot trade ({', '.join(permissions.raw) or 'no permission at all'})",
            "give the key the permissions the guide lists for this venue",
        ),
    )
    return tuple(Mistake(where, what, remedy) for is_wrong, what, remedy in checks if is_wrong)
