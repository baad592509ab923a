"""What the run looks like at one moment: the value behind /status, the live table and the gauges of a scrape.

It reads the engine's state and changes nothing in it, not even a cache, so that looking never alters a replay.
Prices in quote, edges in bps, ages in ms (-1 = never told), money in quote or, where it says so, in the reporting
currency.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import NamedTuple

import msgspec

from arbot.domain.decisions import ArbState
from arbot.domain.ids import Asset
from arbot.domain.instrument import Instrument
from arbot.domain.order import OrderState, Side
from arbot.domain.registry import NodeKind
from arbot.domain.units import ONE, ZERO, div
from arbot.engine.risk.exposure import cap_lines, table_of
from arbot.engine.risk.losses import measures
from arbot.engine.risk.stress import stress_lines
from arbot.engine.state import State
from arbot.engine.watching import AnswerKind
from arbot.observe.edges import EdgeLine, edges_told
from arbot.observe.rates import Rates
from arbot.observe.recent import ArbLine, Recent
from arbot.observe.slices import Look, at_once, gathered
from arbot.observe.summary import Summary, Totals
from arbot.observe.watched import (
    HealthLine,
    PegLine,
    TransitLine,
    health_lines,
    peg_lines,
    quotes_resting,
    transit_lines,
    worst_peg_bps,
    worst_share,
)

_MINUTE_NS = 60_000_000_000
BOOKS_A_SLICE = 50


class BookLine(msgspec.Struct, frozen=True, kw_only=True):
    """One book at the touch; the prices are zero while a side is empty."""

    venue: str
    symbol: str
    bid: Decimal
    bid_qty: Decimal
    ask: Decimal
    ask_qty: Decimal
    age_ms: int
    is_valid: bool


class LimitLine(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a limit is in use. `share` is 1 at the limit."""

    limit: str
    used: Decimal
    bound: Decimal
    is_latched: bool

    @property
    def share(self) -> Decimal:
        """Return used over bound."""
        return div(self.used, self.bound)


class BalanceLine(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue holds of an asset, as the engine counts it."""

    asset: str
    total: Decimal
    reserved: Decimal


class VenueLine(msgspec.Struct, frozen=True, kw_only=True):
    """One venue account. `skew_ms` is None until it was measured."""

    venue: str
    market_up: bool
    account_up: bool
    reconciled: bool
    differences: tuple[str, ...]
    skew_ms: int | None
    balances: tuple[BalanceLine, ...]


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a person asks first. `edges` are those of every route, or of the best ones: see edges.py."""

    version: str
    mode: str
    run_name: str
    pid: int
    ts_ns: int
    started_ts_ns: int
    ccy: str
    may_open: bool
    reasons: tuple[str, ...]
    killed: bool
    paused: bool
    draining: bool
    latched: tuple[str, ...]
    venues: tuple[VenueLine, ...]
    books: tuple[BookLine, ...]
    edges: tuple[EdgeLine, ...]
    arbs_open: tuple[ArbLine, ...]
    arbs_recent: tuple[ArbLine, ...]
    orders_live: dict[str, dict[str, int]]  # by venue and state
    net_delta: dict[str, Decimal]
    unhedged_since_ns: int  # 0 when nothing is
    limits: tuple[LimitLine, ...]
    totals: Totals
    realised_total: Decimal
    realised_day: Decimal
    drawdown: Decimal
    decision_latency_us: dict[str, float]
    health: tuple[HealthLine, ...] = ()
    pegs: tuple[PegLine, ...] = ()
    transit: tuple[TransitLine, ...] = ()
    quotes_resting: dict[str, int] = {}  # by venue
    impaired: tuple[str, ...] = ()  # what watches and has failed: what it shows may lack something


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What does not change during a run."""

    version: str
    mode: str
    run_name: str
    pid: int
    started_ts_ns: int


class Moment(NamedTuple):
    """What a status is taken of."""

    about: About
    now_ns: int
    state: State
    summary: Summary
    recent: Recent
    latency_us: dict[str, float]


def snapshot(
    *, about: About, now_ns: int, state: State, summary: Summary, recent: Recent, latency_us: dict[str, float]
) -> Status:
    """Return the status at `now_ns`, all at once: a millisecond for a few venues, 30 for 20 venues with 50 symbols."""
    return at_once(look(Moment(about, now_ns, state, summary, recent, latency_us)))


def look(moment: Moment) -> Look[Status]:
    """Look at all of it in slices. What changes between two of them may be told half."""
    about, now_ns, state, summary, recent, latency_us = moment
    rates = Rates(state)
    yield from rates.ask()
    listed = tuple(state.instruments.values())
    books = yield from gathered((_book(state, one, now_ns) for one in listed), BOOKS_A_SLICE)
    edges = yield from gathered(edges_told(state, recent), 1)
    venues = yield from gathered(_venues(state), 1)
    limits = tuple(limits_in_use(state, now_ns, rates))
    yield
    standing = state.standing
    return Status(
        version=about.version,
        mode=about.mode,
        run_name=about.run_name,
        pid=about.pid,
        ts_ns=now_ns,
        started_ts_ns=about.started_ts_ns,
        ccy=state.config.ccy,
        may_open=recent.may_open,
        reasons=recent.reasons,
        killed=standing.killed,
        paused=standing.paused or standing.halted,
        draining=standing.draining,
        latched=tuple(standing.latched),
        venues=venues,
        books=books,
        edges=edges,
        arbs_open=recent.open_arbs(now_ns),
        arbs_recent=recent.last_arbs(now_ns),
        orders_live=_orders(state),
        net_delta={
            asset: state.net_delta(asset) for asset in dict.fromkeys(one.base for one in state.instruments.values())
        },
        unhedged_since_ns=min(
            (arb.unhedged_since_ns for arb in state.unfinished.values() if arb.unhedged_since_ns), default=0
        ),
        limits=limits,
        totals=summary.totals(now_ns),
        realised_total=standing.realised_total,
        realised_day=standing.realised_day,
        drawdown=standing.realised_peak - standing.realised_total,
        decision_latency_us=latency_us,
        health=tuple(health_lines(state)),
        pegs=tuple(peg_lines(state)),
        transit=tuple(transit_lines(state)),
        quotes_resting=quotes_resting(state),
    )


def limits_in_use(
    state: State, now_ns: int, rate: Callable[[Asset], Decimal | None] | None = None
) -> Iterator[LimitLine]:
    """Yield the limits that fill up over time, with their use; what has no price now is left out of the sums.

    `rate` is `state.rate` unless somebody asked for all rates before.
    """
    worth = state.rate if rate is None else rate
    limits, standing = state.config.limits, state.standing
    held: list[Decimal] = []
    deltas = [ZERO]
    for asset in state.assets:
        price = worth(asset)
        if price is None:
            continue
        if asset != state.config.ccy:
            held.extend(venue.totals.get(asset, ZERO) * price for venue in state.venues.values())
            deltas.append(state.net_delta_worst(asset) * price)
    fullest, whole = fullest_nodes(state), table_of(state).whole
    at_venue, cap = fullest.pop(NodeKind.VENUE.value, (ZERO, ZERO))
    rates = [
        sum(1 for sent in venue.orders_sent_ts_ns if sent > now_ns - _MINUTE_NS) for venue in state.venues.values()
    ]
    used: dict[str, tuple[Decimal, Decimal]] = {
        "arbs_open": (Decimal(state.active_arbs()), Decimal(limits.arbs_open_max)),
        "inventory": (max(held, default=ZERO), limits.inventory_notional_max),
        "net_delta": (max(deltas), limits.net_delta_notional_max),
        "counterparty_share": (
            div(at_venue, whole) if cap else ZERO,
            div(cap, whole) if cap else limits.counterparty_share_max,
        ),
        "order_rate": (Decimal(max(rates, default=0)), Decimal(limits.orders_per_minute_max)),
        **{limit.value: (max(value, ZERO), bound) for limit, value, bound in measures(state)},
        "reject_share": (worst_share(state, AnswerKind.REFUSED), state.config.health.reject_share_max),
        "unanswered_share": (worst_share(state, AnswerKind.NONE), state.config.health.unanswered_share_max),
        "peg_band": (worst_peg_bps(state), state.config.pegs.peg_band_bps),
    }
    for kind, (value, bound) in fullest.items():
        used[f"{kind}_exposure"] = (value, bound)
    used["stress_budget"] = max(
        ((row.loss, row.budget) for row in stress_lines(state) if row.budget > 0),
        key=lambda pair: div(*pair),
        default=(ZERO, ONE),
    )
    for limit, (value, bound) in used.items():
        yield LimitLine(limit=limit, used=value, bound=bound, is_latched=limit in standing.latched)


def fullest_nodes(state: State) -> dict[str, tuple[Decimal, Decimal]]:
    """Return of each kind of node the one nearest its cap, as value and cap; kinds without a capped node are left out."""
    fullest: dict[str, tuple[Decimal, Decimal]] = {}
    for line in cap_lines(state):
        if line.limit is None or line.limit <= 0:
            continue
        kind, pair = line.node[0].value, (line.value, line.limit)
        if kind not in fullest or div(*pair) > div(*fullest[kind]):
            fullest[kind] = pair
    return fullest


def _venues(state: State) -> Iterator[VenueLine]:
    for name, venue in tuple(state.venues.items()):
        yield VenueLine(
            venue=name,
            market_up=venue.is_market_up,
            account_up=venue.is_account_up,
            reconciled=venue.is_reconciled,
            differences=venue.differences,
            skew_ms=venue.skew_ms,
            balances=tuple(
                BalanceLine(asset=asset, total=total, reserved=state.reserved(name, asset))
                for asset, total in venue.totals.items()
            ),
        )


def _book(state: State, instrument: Instrument, now_ns: int) -> BookLine:
    known = state.market.state(instrument.id)
    bid = state.market.best(instrument.id, Side.SELL)
    ask = state.market.best(instrument.id, Side.BUY)
    return BookLine(
        venue=instrument.venue,
        symbol=instrument.symbol,
        bid=bid.price if bid else ZERO,
        bid_qty=bid.qty if bid else ZERO,
        ask=ask.price if ask else ZERO,
        ask_qty=ask.qty if ask else ZERO,
        age_ms=max(0, now_ns - known.recv_ts_ns) // 1_000_000 if known.recv_ts_ns else -1,
        is_valid=known.is_valid,
    )


def _orders(state: State) -> dict[str, dict[str, int]]:
    live = [order_state.value for order_state in OrderState if not order_state.is_terminal]
    counts: dict[str, dict[str, int]] = {venue: dict.fromkeys(live, 0) for venue in state.config.venues}
    for order in state.live_orders():
        counts.setdefault(order.intent.venue, dict.fromkeys(live, 0))[order.state.value] += 1
    return counts


OPEN_STATES = tuple(state for state in ArbState if state is not ArbState.FLAT)
