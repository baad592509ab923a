"""Every way by which an asset can get from one venue to another, with its price: the columns of the linear program.

There are five. TRANSFER sends the asset itself. CONVERT sells it, sends the other asset, and buys back at the target.
TRADE_BACK does the losing direction of the arb now: it sells here and buys there at the same moment. WAIT counts on our
own arbs to carry it, as they have done. LEAVE lets it lie until the horizon. All are priced alike, in the reporting
currency: fees, the spread paid across two venues, the risk of being without the coin (value x stress volatility x the
root of the route's p99 delay x lambda), and what is missed while the money is in the wrong place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import StrEnum

import msgspec

from arbot.domain.units import BPS_PER_ONE, ONE, ZERO, common_step, div
from arbot.treasury import problem
from arbot.treasury.problem import Market, Rebound, Route, Situation

Place = tuple[str, str]  # (venue, asset)

HOURS_A_YEAR = Decimal(8_760)
WAIT_PARTS = 4
"""Waiting grows dearer by the square of the quantity; so many straight pieces stand for the curve, from above."""
_NORMAL_99 = Decimal("2.3263478740408408")  # the standard normal quantile of 0.99
_POISSON_99 = Decimal("4.605170185988091")  # ln 100: a random stream's next event, in means (assumption: ours is one)


class Method(StrEnum):
    """The five ways, by their names in the answer."""

    TRANSFER = "transfer"
    CONVERT = "convert"
    TRADE_BACK = "trade back"
    WAIT = "wait"
    LEAVE = "leave"


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What something costs, in the reporting currency, by cause. A negative spread earns."""

    fee: Decimal = ZERO
    spread: Decimal = ZERO
    risk: Decimal = ZERO
    waiting: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        """Return the sum."""
        return self.fee + self.spread + self.risk + self.waiting

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            fee=self.fee + other.fee,
            spread=self.spread + other.spread,
            risk=self.risk + other.risk,
            waiting=self.waiting + other.waiting,
        )

    def __mul__(self, times: Decimal) -> Cost:
        return Cost(
            fee=self.fee * times, spread=self.spread * times, risk=self.risk * times, waiting=self.waiting * times
        )


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """A trade of a way, as much base as the way has quantity. `limit` is the worst price it is planned at."""

    venue: str
    is_buy: bool
    base: str
    quote: str
    limit: Decimal
    taker: Decimal
    is_later: bool = False  # after the transfer has arrived


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """One way, per unit of its quantity. `blocked` says why it cannot be used; such a way is only priced.

    `spends` is what its trades need at once, `now` what they change at once, `later` what is different in the end besides
    `now`; what it sends over `route` is not in `now`. `moves` is how much of `asset` a unit brings to the target.
    """

    method: Method
    asset: str
    source: str
    target: str
    via: str = ""
    route: Route | None = None
    legs: tuple[Leg, ...] = ()
    unit: str
    step: Decimal
    qty_min: Decimal = ZERO
    qty_max: Decimal | None = None
    moves: Decimal = ONE
    spends: Mapping[Place, Decimal] = {}
    now: Mapping[Place, Decimal] = {}
    later: Mapping[Place, Decimal] = {}
    sends: Decimal = ZERO
    cost: Cost
    hours: Decimal = ZERO
    hours_p99: Decimal = ZERO
    blocked: str = ""


class Terms(msgspec.Struct, frozen=True):
    """What pricing needs again and again."""

    situation: Situation
    worth: Mapping[str, Decimal]
    markets: Mapping[tuple[str, str, str], Market]  # (venue, base, quote)
    routes: Mapping[tuple[str, str, str], tuple[Route, ...]]  # (source, target, asset)
    rebounds: Mapping[tuple[str, str, str], Rebound]  # (asset, source, target)
    bases: Mapping[tuple[str, str], tuple[str, ...]]  # (venue, quote) -> what is traded in it there
    quotes: Mapping[tuple[str, str], tuple[str, ...]]  # (venue, base) -> in what it is traded there
    free: Mapping[Place, Decimal]  # what can be moved now
    rooms: Mapping[str, Decimal]  # network -> stressed value that may still go by it; "" in total

    def flown(self, route: Route) -> Decimal:
        """Return the stressed value of a unit on a route."""
        return self.worth[route.asset] * problem.stressed(self.situation, route.asset, route.minutes_p99)


def terms_of(situation: Situation) -> Terms:
    """Return the situation arranged for looking things up. Raises: UserError where an asset has no price."""
    worth = problem.prices(situation)
    routes: dict[tuple[str, str, str], tuple[Route, ...]] = {}
    bases: dict[tuple[str, str], tuple[str, ...]] = {}
    quotes: dict[tuple[str, str], tuple[str, ...]] = {}
    for route in situation.routes:
        place = (route.source, route.target, route.asset)
        routes[place] = (*routes.get(place, ()), route)
    for one in situation.markets:
        bases[one.venue, one.quote] = (*bases.get((one.venue, one.quote), ()), one.base)
        quotes[one.venue, one.base] = (*quotes.get((one.venue, one.base), ()), one.quote)
    return Terms(
        situation,
        worth,
        {(one.venue, one.base, one.quote): one for one in situation.markets},
        routes,
        {(one.asset, one.source, one.target): one for one in situation.rebounds},
        bases,
        quotes,
        problem.free(situation),
        problem.rooms(situation, worth),
    )


def transfers(terms: Terms, asset: str, source: str, target: str) -> Iterator[Way]:
    """Yield one way per network; those that are closed or not allowed say so."""
    if asset not in terms.worth:
        return
    for route in terms.routes.get((source, target, asset), ()):
        hours, hours_p99 = delay_h(route)
        yield Way(
            method=Method.TRANSFER,
            asset=asset,
            source=source,
            target=target,
            route=route,
            unit=asset,
            step=route.qty_step,
            later={(target, asset): ONE},
            sends=ONE,
            cost=Cost(
                risk=_risk(terms, problem.volatility(terms.situation, asset), hours_p99) * terms.worth[asset],
                waiting=_missed(terms, hours) * terms.worth[asset],
            ),
            hours=hours,
            hours_p99=hours_p99,
            blocked=_route_blocked(terms, route),
        )


def conversions(terms: Terms, asset: str, source: str, target: str) -> Iterator[Way]:
    """Yield the ways over another asset that is traded against this one at both venues, one per network of the other."""
    for via in terms.quotes.get((source, asset), ()):
        if via in terms.quotes.get((target, asset), ()):
            yield from _sold_and_bought(terms, asset, via, source, target)
    for via in terms.bases.get((source, asset), ()):
        if via in terms.bases.get((target, asset), ()):
            yield from _bought_and_sold(terms, asset, via, source, target)


def trades_back(terms: Terms, asset: str, source: str, target: str) -> Iterator[Way]:
    """Yield one way per quote in which both venues trade the asset: sell at the source, buy at the target, at once."""
    for quote in terms.quotes.get((source, asset), ()):
        here, there = terms.markets[source, asset, quote], terms.markets.get((target, asset, quote))
        if there is None:
            continue
        sell, buy = _leg(terms, here, is_buy=False), _leg(terms, there, is_buy=True)
        gets, pays = _proceeds(sell), _price(buy)
        yield Way(
            method=Method.TRADE_BACK,
            asset=asset,
            source=source,
            target=target,
            via=quote,
            legs=(sell, buy),
            unit=asset,
            step=common_step(here.qty_step, there.qty_step),
            qty_min=_least(here, there),
            spends={(source, asset): ONE, (target, quote): pays},
            now={(source, asset): -ONE, (source, quote): gets, (target, asset): ONE, (target, quote): -pays},
            cost=_traded(terms, (sell, buy)),
            blocked=_market_blocked(here, there),
        )


def waits(terms: Terms, asset: str, source: str, target: str) -> Iterator[Way]:
    """Yield waiting for our own arbs to carry it, as much as they do by the horizon, in WAIT_PARTS pieces."""
    rebound, situation = terms.rebounds.get((asset, source, target)), terms.situation
    if rebound is None or rebound.value_per_h <= 0 or asset not in terms.worth:
        return
    worth, horizon = terms.worth[asset], situation.policy.horizon_h
    part_h = horizon / WAIT_PARTS
    common = [quote for quote in terms.quotes.get((source, asset), ()) if (target, asset, quote) in terms.markets]
    quote = common[0] if common else ""
    back = div(worth, terms.worth[quote]) if quote else ZERO
    money = {(source, quote): back, (target, quote): -back} if quote else {}
    for part in range(WAIT_PARTS):
        until = part_h * (part + 1)
        yield Way(
            method=Method.WAIT,
            asset=asset,
            source=source,
            target=target,
            via=quote,
            unit=asset,
            step=problem.COIN_STEP,
            qty_max=div(rebound.value_per_h * part_h, worth),
            later={(source, asset): -ONE, (target, asset): ONE, **money},
            cost=Cost(
                spread=worth * rebound.cost_bps / BPS_PER_ONE,
                waiting=_missed(terms, until - part_h / 2) * worth,
            ),
            hours=until,
            hours_p99=until * _POISSON_99,
        )


def delay_h(route: Route) -> tuple[Decimal, Decimal]:
    """Return the mean and the p99 of a route's delay in hours: a lognormal through its two quantiles, so the mean is late."""
    sigma = div(div(route.minutes_p99, route.minutes_p50).ln(), _NORMAL_99)
    mean = route.minutes_p50 * (sigma * sigma / 2).exp()
    return mean / 60, route.minutes_p99 / 60


def left_cost(terms: Terms, asset: str) -> Decimal:
    """Return what a unit in the wrong place costs until the horizon."""
    return _missed(terms, terms.situation.policy.horizon_h) * terms.worth[asset]


def _sold_and_bought(terms: Terms, asset: str, via: str, source: str, target: str) -> Iterator[Way]:
    here, there = terms.markets[source, asset, via], terms.markets[target, asset, via]
    sell, buy = _leg(terms, here, is_buy=False), _leg(terms, there, is_buy=True, is_later=True)
    needed = _price(buy)
    step = common_step(here.qty_step, there.qty_step)
    for carried in transfers(terms, via, source, target):
        yield msgspec.structs.replace(
            _converted(terms, asset, carried, (sell, buy)),
            unit=asset,
            step=step,
            qty_min=_least(here, there),
            spends={(source, asset): ONE},
            now={(source, asset): -ONE, (source, via): _proceeds(sell)},
            later={(target, asset): ONE},
            sends=needed,
            blocked=_market_blocked(here, there) or carried.blocked,
        )


def _bought_and_sold(terms: Terms, asset: str, via: str, source: str, target: str) -> Iterator[Way]:
    here, there = terms.markets[source, via, asset], terms.markets[target, via, asset]
    buy, sell = _leg(terms, here, is_buy=True), _leg(terms, there, is_buy=False, is_later=True)
    pays, gets = _price(buy), _proceeds(sell)
    for carried in transfers(terms, via, source, target):
        yield msgspec.structs.replace(
            _converted(terms, asset, carried, (buy, sell)),
            unit=via,
            step=common_step(common_step(here.qty_step, there.qty_step), carried.step),
            qty_min=_least(here, there),
            moves=gets,
            spends={(source, asset): pays},
            now={(source, asset): -pays, (source, via): ONE},
            later={(target, asset): gets},
            sends=ONE,
            blocked=_market_blocked(here, there) or carried.blocked,
        )


def _converted(terms: Terms, asset: str, carried: Way, legs: tuple[Leg, Leg]) -> Way:
    """Return what both directions share, with the cost of a unit of the base.

    While the other asset travels we are without this one, so the wilder of the two counts.
    """
    wild = max(problem.volatility(terms.situation, name) for name in (asset, carried.asset))
    worth = terms.worth[legs[0].base]
    return msgspec.structs.replace(
        carried,
        method=Method.CONVERT,
        asset=asset,
        via=carried.asset,
        legs=legs,
        cost=_traded(terms, legs)
        + Cost(risk=_risk(terms, wild, carried.hours_p99) * worth, waiting=_missed(terms, carried.hours) * worth),
    )


def _leg(terms: Terms, market: Market, *, is_buy: bool, is_later: bool = False) -> Leg:
    slip = terms.situation.policy.slippage_bps / BPS_PER_ONE
    return Leg(
        venue=market.venue,
        is_buy=is_buy,
        base=market.base,
        quote=market.quote,
        limit=market.ask * (ONE + slip) if is_buy else market.bid * (ONE - slip),
        taker=market.taker,
        is_later=is_later,
    )


def _price(buy: Leg) -> Decimal:
    return buy.limit * (ONE + buy.taker)


def _proceeds(sell: Leg) -> Decimal:
    return sell.limit * (ONE - sell.taker)


def _traded(terms: Terms, legs: tuple[Leg, Leg]) -> Cost:
    """Return fees and spread of selling and buying one unit of the same base, whichever comes first."""
    worth = terms.worth[legs[0].quote]
    spread = sum((leg.limit if leg.is_buy else -leg.limit for leg in legs), ZERO)
    return Cost(fee=sum((leg.limit * leg.taker for leg in legs), ZERO) * worth, spread=spread * worth)


def _least(*markets: Market) -> Decimal:
    """Return the smallest base quantity that every one of the markets takes."""
    return max(max(one.qty_min, div(one.notional_min, one.bid)) for one in markets)


def _risk(terms: Terms, volatility: Decimal, hours_p99: Decimal) -> Decimal:
    """Return the price of the risk of a unit of value over a delay."""
    return volatility * div(hours_p99, HOURS_A_YEAR).sqrt() * terms.situation.policy.risk_lambda


def _missed(terms: Terms, hours: Decimal) -> Decimal:
    """Return what a unit of value in the wrong place misses in so many hours, and no longer than the horizon."""
    policy = terms.situation.policy
    return policy.missed_bps_per_h * min(hours, policy.horizon_h) / BPS_PER_ONE


def _market_blocked(*markets: Market) -> str:
    closed = [one for one in markets if not one.is_open]
    return f"{closed[0].base}/{closed[0].quote} is closed at {closed[0].venue}" if closed else ""


def _route_blocked(terms: Terms, route: Route) -> str:
    situation = terms.situation
    if route.asset in problem.stuck_coins(situation):
        return f"{route.asset} of an earlier transfer is stuck: no other one of the same coin"
    if route.network in problem.stuck_networks(situation):
        return f"a transfer is stuck on {route.network}: no other one there"
    if not situation.transfers_enabled:
        return "transfers.enabled is false"
    if not route.is_allowed:
        return f"no entry of transfers.allow sends {route.asset} to {route.target} by {route.network}"
    if not route.is_open:
        return route.closed_why or f"{route.network} is closed for {route.asset}"
    return ""
