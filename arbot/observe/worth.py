"""What all that is held is worth, and how far it is from where [rebalance] wants it: one answer for the metrics and the page.

Equity is what the engine takes for capital: the assets that are traded here, at venues and under way; what else an account
holds is no capital of ours. It is not known while a part of it has no price or a venue has not told its balances. A deviation is
measured against the share that is wanted at a venue, of all the venues that trade the asset, of all that venues hold and of
what is under way; where nothing is wanted there is none. Rates are asked of the caller, who has them for all at one moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal

from arbot.domain.ids import Asset, VenueId
from arbot.domain.shares import spread
from arbot.domain.units import ZERO, div
from arbot.engine.state import State

ASSETS_AT_ONCE = 10
Rate = Callable[[Asset], Decimal | None]
Shares = Mapping[str, Mapping[str, Decimal]]
"""What [rebalance] tells: venue -> asset -> share."""


def worth(rate: Rate, asset: Asset, qty: Decimal) -> Decimal | None:
    """Return what so much of an asset is worth: nothing for nothing of it, None without a price."""
    price = rate(asset) if qty else ZERO
    return None if price is None else qty * price


def equity_of(state: State, rate: Rate) -> Decimal | None:
    """Return the worth of all that counts as capital, at venues and under way; None while any of it is not known."""
    if not all(venue in state.venues and state.venues[venue].has_balances for venue in state.config.venues):
        return None
    equity, traded = ZERO, frozenset(state.assets)
    held = [(asset, total) for venue in state.venues.values() for asset, total in venue.totals.items()]
    for asset, qty in (*held, *((one.asset, one.qty) for one in state.in_flight())):
        value = worth(rate, asset, qty) if asset in traded else ZERO
        if value is None:
            return None
        equity += value
    return equity


class Wanted:
    """What should lie where, as it stands at one look; `by_asset` are the venues that trade it, with their part of it."""

    def __init__(self, state: State, shares: Shares) -> None:
        self._state = state
        self._shares = shares
        self.by_asset: dict[Asset, dict[VenueId, Decimal]] = {}

    def ask(self) -> Iterator[None]:
        """Ask for all that is traded, a few assets at a time."""
        state = self._state
        traded: dict[Asset, dict[VenueId, None]] = {}
        for one in state.instruments.values():
            traded.setdefault(one.base, {})[one.venue] = None
            traded.setdefault(one.quote, {})[one.venue] = None
        yield
        for count, (asset, venues) in enumerate(traded.items(), 1):
            told = {venue: shares[asset] for venue, shares in self._shares.items() if asset in shares}
            part = spread(told, tuple(venues))
            whole = sum((known.totals.get(asset, ZERO) for known in tuple(state.venues.values())), ZERO)
            whole += sum((one.qty for one in state.in_flight() if one.asset == asset), ZERO)
            self.by_asset[asset] = {venue: whole * part[venue] for venue in venues}
            if count % ASSETS_AT_ONCE == 0:
                yield

    def deviation(self, venue: VenueId, asset: Asset) -> Decimal | None:
        """Return how far a venue is from its part, 0.1 for a tenth too much."""
        wanted, known = self.by_asset.get(asset, {}).get(venue), self._state.venues.get(venue)
        has = None if known is None else known.totals.get(asset)
        return div(has - wanted, wanted) if wanted and has is not None else None
