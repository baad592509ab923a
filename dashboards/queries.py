"""PromQL as this house writes it: every selector names job and instance, and is narrowed by each variable it has a label for.

A desk may run several daemons, so every query says over what it adds up. Counters are read with the rate interval, which
Grafana sets wide enough for the scrape; moments become ages here, because only the query knows the time.
"""

from __future__ import annotations

from typing import NamedTuple

from arbot.observe.catalogue import CATALOGUE

RATE = "$__rate_interval"
RANGE = "$__range"
DESK = 'job=~"$job",instance=~"$instance"'
NARROWED = {"venue": "venue", "pair": "pair", "symbol": "pair", "strategy": "strategy"}
"""Label to the variable that narrows it."""


class Query(NamedTuple):
    """One query of a panel. `legend` names a series with {{labels}}; `instant` asks for the last value only."""

    expr: str
    legend: str = ""
    instant: bool = False
    form: str = "time_series"  # or `table`, `heatmap`


def whole(name: str, *matchers: str, suffix: str = "") -> str:
    """Return the selector of a metric over the whole desk, whatever venue or pair is chosen."""
    return f"{name}{suffix}{{{','.join((DESK, *matchers))}}}"


def pick(name: str, *matchers: str, suffix: str = "") -> str:
    """Return the selector of a metric, narrowed by the variables. Raises: KeyError when the catalogue has no such metric."""
    chosen = [f'{label}=~"${NARROWED[label]}"' for label in CATALOGUE[name].labels if label in NARROWED]
    return whole(name, *chosen, *matchers, suffix=suffix)


def by(how: str, labels: str, inner: str) -> str:
    """Return an aggregation over labels; without labels over everything."""
    return f"{how} by ({labels}) ({inner})" if labels else f"{how}({inner})"


def rate(selector: str, labels: str = "") -> str:
    """Return how much a counter grows a second."""
    return by("sum", labels, f"rate({selector}[{RATE}])")


def grown(selector: str, labels: str = "", window: str = RANGE) -> str:
    """Return by how much a counter grew in the time shown."""
    return by("sum", labels, f"increase({selector}[{window}])")


def changed(selector: str) -> str:
    """Return by how much a gauge changed in the time shown, by currency."""
    return by("sum", "ccy", f"delta({selector}[{RANGE}])")


def quantile(share: float, name: str, labels: str = "", *matchers: str) -> str:
    """Return a quantile of a histogram."""
    keys = f"le, {labels}" if labels else "le"
    return _known(f"histogram_quantile({share}, {rate(pick(name, *matchers, suffix='_bucket'), keys)})")


def share_below(name: str, bound: str, labels: str = "") -> str:
    """Return the share of a histogram's observations up to one of its bounds."""
    below = grown(pick(name, f'le="{bound}"', suffix="_bucket"), labels)
    return over(below, grown(pick(name, suffix="_count"), labels))


def quantile_shown(share: float, name: str, labels: str = "") -> str:
    """Return a quantile of a histogram's observations in the time shown."""
    keys = f"le, {labels}" if labels else "le"
    return f"histogram_quantile({share}, {grown(pick(name, suffix='_bucket'), keys)})"


def _known(quantiles: str) -> str:
    """Return the quantiles of what was observed at all: the others are NaN, and would only fill the legend."""
    return f"({quantiles} < Inf)"


def spread_out(name: str, *matchers: str) -> Query:
    """Return the query of a heatmap: observations by bucket."""
    expr = by("sum", "le", f"increase({pick(name, *matchers, suffix='_bucket')}[{RATE}])")
    return Query(expr, "{{le}}", form="heatmap")


def per_minute(expr: str) -> str:
    """Return a rate a second as one a minute: what happens seldom reads better so."""
    return f"{expr} * 60"


def in_bps(expr: str) -> str:
    """Return a ratio in basis points."""
    return f"{expr} * 1e4"


def in_ms(expr: str) -> str:
    """Return seconds as the milliseconds Grafana tells moments from."""
    return f"{expr} * 1000"


def over(above: str, below: str) -> str:
    """Return a share, where there is anything to have a share of."""
    return f"{above} / ({below} > 0)"


def top(most: int, expr: str) -> str:
    """Return the largest few."""
    return f"topk({most}, {expr})"


def at_least(least: float, expr: str) -> str:
    """Return values with a floor, so that they can stand on a logarithmic axis."""
    return f"clamp_min({expr}, {least})"


def some(most: int, expr: str, label: str) -> str:
    """Return the largest few above zero; where all are zero one that is called none, so that a panel is never blank."""
    return f'{top(most, f"{expr} > 0")} or label_replace(sum({expr}) == 0, "{label}", "none", "", "")'


def above_zero(expr: str) -> str:
    """Return what is not zero: a label whose set is closed has many values that never come."""
    return f"({expr} > 0)"


def sorted_down(expr: str) -> str:
    """Return a result with the largest first."""
    return f"sort_desc({expr})"


def age(selector: str, labels: str = "") -> str:
    """Return the longest time since a moment, 0 before it, as it was when it was scraped: time() would add what has passed since."""
    return f"clamp_min({by('max', labels, f'timestamp({selector}) - {selector}')}, 0)"


def age_or_zero(selector: str, labels: str = "") -> str:
    """Return the longest time since a moment that is 0 while there is none; then 0."""
    return by("max", labels, f"(timestamp({selector}) - {selector}) * ({selector} > bool 0)")


def state_of(name: str, labels: str) -> str:
    """Return the number of the state a stateset is in, in the catalogue's order."""
    states = CATALOGUE[name].states
    numbered = [f'{pick(name, f"""{name}="{state}" """.strip())} * {number}' for number, state in enumerate(states)]
    return by("max", labels, " or ".join(numbered))
