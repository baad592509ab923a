"""What the planner is told: what lies where, what it should be, and by which ways money can go. Values only.

Quantities are in their asset, prices, bids and asks in the other asset, money in the reporting currency, fees of trades
as fractions of the quote value, times in minutes or hours as named. A price that nobody quotes is a mistake, never one.
What is under way counts at its target, except what is stuck: nobody knows when that comes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from statistics import median

import msgspec

from arbot.domain.errors import Mistake, UserError
from arbot.domain.shares import spread
from arbot.domain.units import ONE, WIDE, ZERO, div

COIN_STEP = Decimal("0.00000001")
"""What is sent is a multiple of it where nothing else is said: venues write eight decimals (facts: both wires)."""


class _Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Holding(_Value, frozen=True, kw_only=True):
    """What a venue holds of an asset; `reserved` is bound by open orders and stays out of every plan."""

    venue: str
    asset: str
    qty: Decimal
    reserved: Decimal = ZERO


class Transit(_Value, frozen=True, kw_only=True):
    """A transfer under way. A stuck one forbids another of the same coin, and any on the same network."""

    source: str
    target: str
    asset: str
    network: str
    qty: Decimal
    minutes_p99: Decimal = Decimal(1_440)
    is_stuck: bool = False


class Market(_Value, frozen=True, kw_only=True):
    """An instrument as it can be traded at once: both sides of the book at the touch, and the account's own taker fee."""

    venue: str
    base: str
    quote: str
    bid: Decimal
    ask: Decimal
    taker: Decimal
    qty_step: Decimal = COIN_STEP
    qty_min: Decimal = ZERO
    notional_min: Decimal = ZERO
    is_open: bool = True


class Route(_Value, frozen=True, kw_only=True):
    """A network between two venues for an asset. `fee` is paid at the source on top of what arrives."""

    source: str
    target: str
    asset: str
    network: str
    fee: Decimal
    qty_min: Decimal = ZERO
    qty_step: Decimal = COIN_STEP
    minutes_p50: Decimal
    minutes_p99: Decimal
    is_open: bool = True  # at both ends
    is_allowed: bool = True  # the target's address is on the allow-list
    closed_why: str = ""


class Rebound(_Value, frozen=True, kw_only=True):
    """How much of an asset our own arbs carry from one venue to another in an hour, as value; a negative cost earns."""

    asset: str
    source: str
    target: str
    value_per_h: Decimal
    cost_bps: Decimal = ZERO


class Target(_Value, frozen=True, kw_only=True):
    """What a person wants at a venue: a quantity that must be reached."""

    venue: str
    asset: str
    qty: Decimal


class Policy(_Value, frozen=True, kw_only=True):
    """How the planner weighs. Shares are fractions; volatilities are fractions a year; caps in the reporting currency.

    `shares` wants a part of all we have of an asset at a venue; what it does not name is spread evenly over the other
    venues that trade the asset. 1.2 a year is the stress volatility assumed for coins (disasters.md S1).
    """

    shares: Mapping[str, Mapping[str, Decimal]] = {}  # venue -> asset -> share
    tolerance_share: Decimal = Decimal("0.25")  # of what is wanted, either way
    horizon_h: Decimal = Decimal(24)
    missed_bps_per_h: Decimal = Decimal("0.5")  # of the value that is in the wrong place
    risk_lambda: Decimal = Decimal("0.001")  # what a unit of stress loss costs
    volatility_default: Decimal = Decimal("1.2")
    volatility: Mapping[str, Decimal] = {}
    slippage_bps: Decimal = Decimal(5)  # a trade may go so far beyond the touch
    transit_network_max: Decimal = Decimal(5_000)  # in flight by one network, at stressed prices
    transit_total_max: Decimal = Decimal(10_000)
    stress_vol_day: Decimal = Decimal("0.15")  # makes prices stressed: grows with the root of the route's p99 delay
    venue_share_max: Decimal = Decimal("0.75")  # of capital at one venue, afterwards
    confirm_above: Decimal = Decimal(1_000)


class Situation(_Value, frozen=True, kw_only=True):
    """Everything the planner knows. `prices` serves only assets that no market here quotes; `notes` says what is assumed."""

    ccy: str
    holdings: tuple[Holding, ...]
    transits: tuple[Transit, ...] = ()
    markets: tuple[Market, ...] = ()
    routes: tuple[Route, ...] = ()
    rebounds: tuple[Rebound, ...] = ()
    targets: tuple[Target, ...] = ()
    prices: Mapping[str, Decimal] = {}
    policy: Policy = Policy()
    transfers_enabled: bool = True
    notes: tuple[str, ...] = ()


class Band(_Value, frozen=True, kw_only=True):
    """What a venue should hold of an asset in the end: from `low` to `high`, around `wanted`. A firm one must be reached."""

    venue: str
    asset: str
    wanted: Decimal
    low: Decimal
    high: Decimal
    is_firm: bool


MINUTES_A_DAY = Decimal(1_440)
FIRM_TOLERANCE_SHARE = Decimal("0.01")
"""A target that a person named is met within a hundredth of all we have of the asset."""


def prices(situation: Situation) -> dict[str, Decimal]:
    """Return what each asset is worth: the median of the mids against priced assets. Raises: UserError for those without.

    Assets quoted in the reporting currency come first, then those quoted in them. No asset is assumed at par.
    """
    known = {situation.ccy: ONE}
    while True:
        mids: dict[str, list[Decimal]] = {}
        for market in situation.markets:
            mid = (market.bid + market.ask) / 2
            if market.quote in known and market.base not in known:
                mids.setdefault(market.base, []).append(mid * known[market.quote])
            elif market.base in known and market.quote not in known:
                mids.setdefault(market.quote, []).append(div(known[market.base], mid))
        if not mids:
            break
        known |= {asset: median(found) for asset, found in mids.items()}
    known = {**situation.prices, **known}
    needed = dict.fromkeys([holding.asset for holding in situation.holdings if holding.qty])
    needed |= dict.fromkeys([one.asset for one in situation.transits])
    needed |= dict.fromkeys([one.asset for one in situation.targets])
    lacking = [asset for asset in needed if asset not in known]
    if lacking:
        raise UserError(
            *(
                Mistake(
                    f"price of {asset}", "no market here quotes it", "start the daemon, or name a price in the file"
                )
                for asset in lacking
            )
        )
    return known


def check(situation: Situation) -> None:
    """Refuse what cannot be true. Raises: UserError with every mistake."""
    mistakes = [*_wrong_numbers(situation), *_wrong_targets(situation), *_twice(situation)]
    if mistakes:
        raise UserError(*mistakes)


def held(situation: Situation) -> dict[tuple[str, str], Decimal]:
    """Return what lies at each venue, whether bound by orders or not."""
    return {(one.venue, one.asset): one.qty for one in situation.holdings}


def free(situation: Situation) -> dict[tuple[str, str], Decimal]:
    """Return what can be moved at each venue."""
    return {(one.venue, one.asset): max(ZERO, one.qty - one.reserved) for one in situation.holdings}


def arriving(situation: Situation) -> dict[tuple[str, str], Decimal]:
    """Return what is under way to each venue and expected to come."""
    coming: dict[tuple[str, str], Decimal] = {}
    for one in situation.transits:
        if not one.is_stuck:
            place = (one.target, one.asset)
            coming[place] = coming.get(place, ZERO) + one.qty
    return coming


def bands(situation: Situation) -> tuple[Band, ...]:
    """Return what every venue should hold, by asset and venue. `check` has found the shares and targets to be possible."""
    present = held(situation)
    totals: dict[str, Decimal] = {}
    for source in (present, arriving(situation)):
        for (_, asset), qty in source.items():
            totals[asset] = totals.get(asset, ZERO) + qty
    firm = {(one.venue, one.asset): one.qty for one in situation.targets}
    found = []
    for asset, total in sorted(totals.items()):
        venues = trading_venues(situation, asset)
        fixed = {venue: qty for (venue, named), qty in firm.items() if named == asset}
        rest = [venue for venue in venues if venue not in fixed]
        shares = _shares(situation.policy, asset, rest)
        left = total - sum(fixed.values(), ZERO)
        for venue in dict.fromkeys([*venues, *fixed]):
            wanted = fixed[venue] if venue in fixed else left * shares[venue]
            width = total * FIRM_TOLERANCE_SHARE if venue in fixed else wanted * situation.policy.tolerance_share
            low, high = max(ZERO, wanted - width), wanted + width
            found.append(Band(venue=venue, asset=asset, wanted=wanted, low=low, high=high, is_firm=venue in fixed))
    return tuple(found)


def trading_venues(situation: Situation, asset: str) -> tuple[str, ...]:
    """Return the venues at which an asset can be traded, in the order of the markets."""
    return tuple(dict.fromkeys(market.venue for market in situation.markets if asset in (market.base, market.quote)))


def stuck_coins(situation: Situation) -> frozenset[str]:
    """Return the coins of which no other transfer may start."""
    return frozenset(one.asset for one in situation.transits if one.is_stuck)


def stuck_networks(situation: Situation) -> frozenset[str]:
    """Return the networks on which nothing may start."""
    return frozenset(one.network for one in situation.transits if one.is_stuck)


def stressed(situation: Situation, asset: str, minutes_p99: Decimal) -> Decimal:
    """Return by how much the caps count what is in flight above its price: as the engine's rule for transfers does."""
    if asset == situation.ccy:
        return ONE
    return ONE + situation.policy.stress_vol_day * WIDE.sqrt(div(minutes_p99, MINUTES_A_DAY))


def rooms(situation: Situation, worth: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Return the stressed value that may still go by each network, and under "" in total; what is stuck is still there."""
    policy, flying, total = situation.policy, dict[str, Decimal](), ZERO
    for one in situation.transits:
        value = one.qty * worth[one.asset] * stressed(situation, one.asset, one.minutes_p99)
        flying[one.network], total = flying.get(one.network, ZERO) + value, total + value
    networks = dict.fromkeys(route.network for route in situation.routes)
    left = {network: max(ZERO, policy.transit_network_max - flying.get(network, ZERO)) for network in networks}
    return {**left, "": max(ZERO, policy.transit_total_max - total)}


def volatility(situation: Situation, asset: str) -> Decimal:
    """Return the stress volatility of an asset a year, against the reporting currency."""
    if asset == situation.ccy:
        return ZERO
    return situation.policy.volatility.get(asset, situation.policy.volatility_default)


def _shares(policy: Policy, asset: str, venues: Sequence[str]) -> dict[str, Decimal]:
    """Return the shares of what is not fixed: as told, and even for venues that nothing is told of; together one."""
    told = {venue: policy.shares[venue][asset] for venue in venues if asset in policy.shares.get(venue, {})}
    return spread(told, venues)


def _wrong_numbers(situation: Situation) -> list[Mistake]:
    found = [
        Mistake(f"{one.asset} at {one.venue}", f"{one.qty} is negative", "name what is there")
        for one in situation.holdings
        if one.qty < 0 or one.reserved < 0
    ]
    for market in situation.markets:
        where = f"{market.base}/{market.quote} at {market.venue}"
        if not ZERO < market.bid <= market.ask:
            found.append(
                Mistake(
                    where, f"bid {market.bid} and ask {market.ask} are no book", "give 0 < bid <= ask, of one moment"
                )
            )
        if market.qty_step <= 0 or not ZERO <= market.taker < ONE:
            found.append(Mistake(where, "its step or its fee cannot be", "give qty_step > 0 and taker as a fraction"))
    for route in situation.routes:
        where = f"{route.asset} from {route.source} to {route.target} by {route.network}"
        if route.fee < 0 or route.qty_min < 0 or route.qty_step <= 0 or route.source == route.target:
            found.append(
                Mistake(where, "its fee, minimum, step or ends cannot be", "give numbers of the venue's own page")
            )
        if not ZERO < route.minutes_p50 <= route.minutes_p99:
            found.append(Mistake(where, "half take longer than all but one in a hundred", "give 0 < p50 <= p99"))
    if situation.policy.horizon_h <= 0 or situation.policy.tolerance_share < 0:
        found.append(
            Mistake("policy", "the horizon or the tolerance cannot be", "give horizon_h > 0, tolerance_share >= 0")
        )
    return found


def _wrong_targets(situation: Situation) -> list[Mistake]:
    found = []
    present, coming = held(situation), arriving(situation)
    venues = {market.venue for market in situation.markets} | {venue for venue, _ in present}
    for one in situation.targets:
        place = f"target {one.venue}:{one.asset}"
        if one.venue not in venues:
            found.append(Mistake(place, "there is no such venue", f"use {', '.join(sorted(venues))}"))
        if one.qty < 0:
            found.append(Mistake(place, f"{one.qty} is negative", "write what should lie there: zero or more"))
    for asset in sorted({one.asset for one in situation.targets}):
        wanted = {one.venue: one.qty for one in situation.targets if one.asset == asset}
        total = sum((qty for source in (present, coming) for (_, name), qty in source.items() if name == asset), ZERO)
        asked, rest = sum(wanted.values(), ZERO), set(trading_venues(situation, asset)) - set(wanted)
        if asked > total or (not rest and asked != total):
            found.append(
                Mistake(
                    f"targets of {asset}",
                    f"they come to {asked}, and there are {total} in all",
                    f"ask for {total} at most"
                    if asked > total
                    else f"let them come to {total}, or leave out a venue that takes the rest",
                )
            )
    for asset in sorted({name for shares in situation.policy.shares.values() for name in shares}):
        told = {venue: shares[asset] for venue, shares in situation.policy.shares.items() if asset in shares}
        rest = set(trading_venues(situation, asset)) - set(told)
        total = sum(told.values(), ZERO)
        if total > ONE or (not rest and total != ONE):
            found.append(
                Mistake(f"shares of {asset}", f"they come to {total}", "let them come to 1, or leave out a venue")
            )
    return found


def _twice(situation: Situation) -> list[Mistake]:
    groups: dict[str, list[tuple[str, ...]]] = {
        "holding": [(one.venue, one.asset) for one in situation.holdings],
        "target": [(one.venue, one.asset) for one in situation.targets],
        "market": [(one.venue, one.base, one.quote) for one in situation.markets],
        "route": [(one.source, one.target, one.asset, one.network) for one in situation.routes],
    }
    return [
        Mistake(f"{kind} {' '.join(name)}", "it is there twice", "leave one of them out")
        for kind, names in groups.items()
        for name, same in groupby(sorted(names))
        if len(list(same)) > 1
    ]
