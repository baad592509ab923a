"""Leaves out ways that cannot be in the cheapest plan, so that the solver searches among hundreds and not thousands.

Two kinds go. A way that costs more than leaving the money where it is, even at its largest quantity. And a network beside
another one between the same venues for the same purpose that asks no more in any respect; only while the caps on value in
flight leave room, for where they bind the second-best network is needed, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from arbot.domain.units import ZERO, div
from arbot.treasury.problem import Band
from arbot.treasury.ways import Method, Terms, Way, left_cost


def worthwhile(terms: Terms, ways: Iterable[Way], bands: Sequence[Band]) -> tuple[Way, ...]:
    """Return the ways that can be cheaper than leaving things, and all that touch what a person wants for certain."""
    firm = {band.asset for band in bands if band.is_firm}
    return tuple(way for way in ways if firm & {way.asset, way.via} or _least_cost(terms, way) < _gain_max(terms, way))


def undominated(ways: Sequence[Way]) -> tuple[Way, ...]:
    """Return the ways without those whose network is no better than another's in fee, minimum and price per unit."""
    groups: dict[tuple[str, ...], list[Way]] = {}
    for way in ways:
        groups.setdefault((way.method, way.asset, way.source, way.target, way.via), []).append(way)
    kept: list[Way] = []
    for group in groups.values():
        ranked = sorted(group, key=_asks)
        best: list[Way] = []
        for way in ranked:
            if way.route is None or not any(_beats(other, way) for other in best):
                best.append(way)
        kept += best
    return tuple(kept)


def _asks(way: Way) -> tuple[Decimal, Decimal, Decimal]:
    """Return what a way asks: the cost of a unit, the fee of its withdrawal, the least it sends."""
    once, least = (way.route.fee, way.route.qty_min) if way.route is not None else (ZERO, ZERO)
    return way.cost.total, once, least


def _beats(one: Way, other: Way) -> bool:
    return all(mine <= theirs for mine, theirs in zip(_asks(one), _asks(other), strict=True))


def _least_cost(terms: Terms, way: Way) -> Decimal:
    """Return what a unit costs when as much as possible goes that way."""
    if way.route is None or not way.qty_max:
        return way.cost.total
    return way.cost.total + div(way.route.fee * terms.worth[way.route.asset], way.qty_max)


def _gain_max(terms: Terms, way: Way) -> Decimal:
    """Return what leaving the same would cost: of the asset, and of the quote that a trade back brings along."""
    times = 2 if way.method in (Method.TRADE_BACK, Method.WAIT) else 1
    return way.moves * left_cost(terms, way.asset) * times
