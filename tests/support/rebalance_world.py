"""Situations for the planner: two venues, bitcoin and dollars, two networks; what a test does not say is out of the way."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from arbot.treasury.answer import Plan
from arbot.treasury.problem import Holding, Market, Policy, Route, Situation
from arbot.treasury.steps import Action

VENUES = ("kraken", "coinbase")
NETWORKS = {"bitcoin": ("0.0002", 40, 240), "lightning": ("0.00001", 1, 60)}
"""Our name, its fee, and the minutes within which half and all but one in a hundred arrive."""


def market(venue: str, bid: str = "64000", ask: str = "64010", taker: str = "0.002", **rest: Any) -> Market:
    """Return a market of bitcoin in dollars."""
    return Market(
        venue=venue, base="BTC", quote="USD", bid=Decimal(bid), ask=Decimal(ask), taker=Decimal(taker), **rest
    )


def route(network: str, source: str = "kraken", target: str = "coinbase", asset: str = "BTC", **rest: Any) -> Route:
    """Return a route with the terms of NETWORKS unless others are given."""
    fee, half, most = NETWORKS.get(network, ("0", 1, 1))
    terms = {"fee": Decimal(fee), "minutes_p50": Decimal(half), "minutes_p99": Decimal(most)}
    return Route(source=source, target=target, asset=asset, network=network, **{**terms, **rest})


def holdings(btc: tuple[str, str] = ("1.8", "0.2"), usd: tuple[str, str] = ("70000", "70000")) -> tuple[Holding, ...]:
    """Return what lies at kraken and coinbase."""
    return tuple(
        Holding(venue=venue, asset=asset, qty=Decimal(qty))
        for asset, qtys in (("BTC", btc), ("USD", usd))
        for venue, qty in zip(VENUES, qtys, strict=True)
    )


def policy(**rest: Any) -> Policy:
    """Return a policy with wide caps, in which missing something costs enough to be worth mending."""
    wide = {
        "transit_network_max": Decimal(10_000_000),
        "transit_total_max": Decimal(10_000_000),
        "venue_share_max": Decimal(1),
        "missed_bps_per_h": Decimal(5),
        "risk_lambda": Decimal("0.01"),
    }
    return Policy(**{**wide, **rest})


def situation(**rest: Any) -> Situation:
    """Return a situation: too much bitcoin at kraken, dollars even, both networks open."""
    given: dict[str, Any] = {
        "ccy": "USD",
        "holdings": holdings(),
        "markets": tuple(market(venue) for venue in VENUES),
        "routes": tuple(route(network) for network in NETWORKS),
        "policy": policy(),
    }
    return Situation(**{**given, **rest})


def sent(plan: Plan) -> dict[tuple[str, str], Decimal]:
    """Return how much of what goes by which network."""
    return {(step.asset, step.network): step.qty for step in plan.steps if step.action is Action.SEND}


def methods(plan: Plan) -> list[str]:
    """Return the ways a plan uses, the largest part first."""
    parts = sorted(plan.parts, key=lambda part: -part.qty)
    return [f"{part.method.value} {part.network or part.via}".strip() for part in parts]
