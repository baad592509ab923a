"""Whatever the situation: a plan holds exactly, costs no more than any single method, and is the optimum on small grids."""

from __future__ import annotations

import itertools
from decimal import Decimal

import msgspec
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from arbot.domain.errors import UserError
from arbot.treasury import proof
from arbot.treasury.plan import make
from arbot.treasury.problem import Rebound, Situation, Target, Transit, bands, prices
from arbot.treasury.program import venue_cap
from arbot.treasury.ways import Method, delay_h, terms_of
from tests.support.rebalance_world import VENUES, holdings, market, policy, route, situation

D = Decimal
SETTINGS = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def decimals(low: str, high: str, places: int) -> st.SearchStrategy[Decimal]:
    """Return decimals with so many places."""
    return st.decimals(D(low), D(high), places=places, allow_nan=False, allow_infinity=False)


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """Return a situation of two venues with odd steps, minimums, caps, closed ways, targets and transfers under way."""
    network = st.sampled_from(["bitcoin", "lightning", "tron"])
    routes = {
        (draw(network), *draw(st.sampled_from([VENUES, VENUES[::-1]])), draw(st.sampled_from(["BTC", "USD"])))
        for _ in range(draw(st.integers(0, 6)))
    }
    bids = [draw(decimals("60000", "66000", 2)) for _ in VENUES]
    return situation(
        holdings=holdings(
            btc=(str(draw(decimals("0", "4", 8))), str(draw(decimals("0", "4", 8)))),
            usd=(str(draw(decimals("0", "200000", 2))), str(draw(decimals("0", "200000", 2)))),
        ),
        markets=tuple(
            market(
                venue,
                str(bid),
                str(bid + draw(decimals("0.01", "90", 2))),
                str(draw(decimals("0", "0.006", 4))),
                qty_step=draw(st.sampled_from([D("0.00000001"), D("0.0001"), D("0.003")])),
                qty_min=draw(st.sampled_from([D(0), D("0.001"), D("0.2")])),
                notional_min=draw(st.sampled_from([D(0), D(5)])),
                is_open=draw(st.integers(0, 9)) > 0,
            )
            for venue, bid in zip(VENUES, bids, strict=True)
        ),
        routes=tuple(
            route(
                name,
                source,
                target,
                asset,
                fee=draw(decimals("0", "0.01", 6)) * (1000 if asset == "USD" else 1),
                qty_min=draw(st.sampled_from([D(0), D("0.01"), D("0.4")])),
                qty_step=draw(st.sampled_from([D("0.00000001"), D("0.001")])),
                minutes_p50=D(5),
                minutes_p99=D(draw(st.sampled_from([6, 60, 6_000]))),
                is_open=draw(st.integers(0, 4)) > 0,
                is_allowed=draw(st.integers(0, 4)) > 0,
            )
            for name, source, target, asset in sorted(routes)
        ),
        rebounds=tuple(
            Rebound(
                asset="BTC", source=source, target=target, value_per_h=D(draw(st.integers(1, 3_000))), cost_bps=D(-2)
            )
            for source, target in [VENUES, VENUES[::-1]][: draw(st.integers(0, 2))]
        ),
        transits=tuple(
            Transit(source="kraken", target="coinbase", asset="BTC", network="tron", qty=D("0.25"), is_stuck=is_stuck)
            for is_stuck in draw(st.lists(st.booleans(), max_size=1))
        ),
        targets=tuple(
            Target(venue="coinbase", asset="BTC", qty=qty) for qty in draw(st.lists(decimals("0", "2", 2), max_size=1))
        ),
        policy=policy(
            missed_bps_per_h=draw(decimals("0", "60", 1)),
            transit_network_max=D(draw(st.sampled_from([1_000, 40_000, 10_000_000]))),
            venue_share_max=draw(st.sampled_from([D("0.6"), D(1)])),
        ),
    )


@given(situations())
@SETTINGS
def test_a_plan_holds_in_exact_arithmetic(given: Situation) -> None:
    """Break no bound, minimum, step, cap or allow-list; and lose in value exactly what the plan calls fees and spread."""
    try:
        plan = make(given)
    except UserError:
        assume(False)  # nothing fits: there is no plan to prove
    terms = terms_of(given)
    caps = {venue: venue_cap(terms, venue) for venue in VENUES}
    worth = prices(given)
    before = sum(qty * worth[asset] for (_, asset), qty in proof.final(given, (), ()).items())
    after = sum(qty * worth[asset] for (_, asset), qty in proof.final(given, plan.steps, ()).items())
    paid = sum((part.cost.fee + part.cost.spread for part in plan.parts if part.method is not Method.WAIT), D(0))

    assert () == proof.violations(given, worth, bands(given), plan.steps, caps)
    assert abs(before - after - paid) < D("0.000001")


@given(situations(), st.sampled_from([Method.TRANSFER, Method.CONVERT, Method.TRADE_BACK, Method.WAIT]))
@SETTINGS
def test_no_single_method_is_cheaper(given: Situation, method: Method) -> None:
    """Cost no more than the best plan by one method alone, but for what rounding to steps takes."""
    given = msgspec.structs.replace(given, targets=())
    free, single = make(given), make(given, methods=(method,))
    steps = D("0.003") * 66_000 * D("0.02") * 4  # a step more or less of four ways, at 2 percent of its value

    assert free.cost.total <= single.cost.total * D("1.0002") + steps


GRID = D("0.05")


@given(
    have=st.integers(25, 40),
    fees=st.tuples(decimals("0.00001", "0.004", 5), decimals("0.00001", "0.004", 5)),
    tails=st.tuples(st.sampled_from([60, 600, 9_000]), st.sampled_from([60, 600, 9_000])),
    missed=decimals("0", "8", 1),
)
@SETTINGS
def test_the_optimum_agrees_with_trying_everything(
    have: int, fees: tuple[Decimal, Decimal], tails: tuple[int, int], missed: Decimal
) -> None:
    """Cost on a small grid what the cheapest of all combinations costs, within one step of each way."""
    at_kraken = have * GRID
    small = situation(
        holdings=holdings(btc=(str(at_kraken), str(2 - at_kraken)), usd=("1000000", "1000000")),
        markets=tuple(market(venue, qty_step=GRID) for venue in VENUES),
        routes=tuple(
            route(name, fee=fee, qty_step=GRID, minutes_p50=D(5), minutes_p99=D(tail))
            for name, fee, tail in zip(("bitcoin", "lightning"), fees, tails, strict=True)
        ),
        policy=policy(missed_bps_per_h=missed),
    )
    best = min(
        tried_cost(small, one * GRID, other * GRID, back * GRID)
        for one, other, back in itertools.product(range(16), repeat=3)
        if one + other + back <= 18 and (one + other + back) * GRID <= at_kraken - D("0.01")
    )
    step_cost = GRID * 64_005 * D("0.012")  # the dearest way costs less than 120 bps of a step
    cost = make(small).cost.total

    assert best - D("0.01") <= cost <= best + 3 * step_cost


def tried_cost(given: Situation, by_bitcoin: Decimal, by_lightning: Decimal, back: Decimal) -> Decimal:
    """Return what sending and trading back so much costs: written out by hand, from the definitions in the guide."""
    worth, policy_ = D("64005"), given.policy
    cost, fees = D(0), D(0)
    for one, qty in zip(given.routes, (by_bitcoin, by_lightning), strict=True):
        mean_h, p99_h = delay_h(one)
        risk = D("1.2") * (p99_h / 8_760).sqrt() * policy_.risk_lambda
        cost += qty * worth * (risk + policy_.missed_bps_per_h * min(mean_h, D(24)) / 10_000)
        if qty:
            fees += one.fee
    sell, buy = D(64_000) * D("0.9995"), D(64_010) * D("1.0005")
    cost += fees * worth + back * (buy - sell + D("0.002") * (buy + sell))
    first, other = {one.venue: one.qty for one in given.holdings if one.asset == "BTC"}.values()
    ends = (first - by_bitcoin - by_lightning - back - fees, other + by_bitcoin + by_lightning + back)
    off = sum(max(D("0.75") - end, end - D("1.25"), D(0)) for end in ends)
    return cost + off * worth * policy_.missed_bps_per_h * 24 / 10_000 / 2
