"""How long a plan takes for many venues: 10 venues, 20 assets, 4 networks by default, from the situation to the proved answer.

python benchmarks/rebalance.py [--venues 10] [--assets 20] [--networks 4] [--seed 1] [--runs 3]
"""

from __future__ import annotations

import argparse
import random
import time
from decimal import Decimal

from arbot.treasury.plan import make
from arbot.treasury.problem import Holding, Market, Policy, Rebound, Route, Situation

CENT = Decimal("0.01")


def situation(*, venues: int, assets: int, networks: int, seed: int) -> Situation:
    """Return a seeded situation: every coin traded everywhere in USD, spread unevenly, every network between all venues."""
    chance = random.Random(seed)
    names = [f"venue{at}" for at in range(venues)]
    coins = [f"C{at}" for at in range(assets - 1)]
    worth = {coin: Decimal(chance.randint(100, 6_000_000)) * CENT for coin in coins}

    def near(number: Decimal, bps: int) -> Decimal:
        return (number * (1 + Decimal(chance.randint(-bps, bps)) / 10_000)).quantize(Decimal("0.0001"))

    holdings = [
        Holding(
            venue=venue,
            asset=coin,
            qty=(Decimal(chance.randint(0, 40_000)) / worth[coin]).quantize(Decimal("0.00000001")),
        )
        for venue in names
        for coin in coins
    ]
    holdings += [Holding(venue=venue, asset="USD", qty=Decimal(chance.randint(0, 400_000))) for venue in names]
    markets = []
    for venue in names:
        for coin in coins:
            bid = near(worth[coin], 10)
            markets.append(
                Market(
                    venue=venue,
                    base=coin,
                    quote="USD",
                    bid=bid,
                    ask=bid + Decimal("0.0002"),
                    taker=Decimal(chance.choice((10, 16, 26, 40))) / 10_000,
                    notional_min=Decimal(5),
                )
            )
    routes = [
        Route(
            source=source,
            target=target,
            asset=asset,
            network=f"network{at}" if asset != "USD" else f"bank{at}",
            fee=(Decimal(chance.randint(1, 2_000)) * CENT / worth.get(asset, Decimal(1))).quantize(
                Decimal("0.00000001")
            ),
            qty_min=(Decimal(10) / worth.get(asset, Decimal(1))).quantize(Decimal("0.00000001")),
            minutes_p50=Decimal(half),
            minutes_p99=Decimal(half * chance.randint(3, 60)),
            is_open=chance.random() > 0.1,
        )
        for source in names
        for target in names
        if source != target
        for asset in (*coins, "USD")
        for at in range(networks)
        for half in (chance.randint(1, 90),)
    ]
    rebounds = [
        Rebound(asset=coin, source=source, target=target, value_per_h=Decimal(chance.randint(1, 500)))
        for coin in coins[: assets // 2]
        for source in names[:3]
        for target in names[3:6]
    ]
    return Situation(
        ccy="USD",
        holdings=tuple(holdings),
        markets=tuple(markets),
        routes=tuple(routes),
        rebounds=tuple(rebounds),
        policy=Policy(transit_network_max=Decimal(500_000), transit_total_max=Decimal(2_000_000)),
    )


def main() -> None:
    """Time it and print what came out."""
    parser = argparse.ArgumentParser()
    for name, default in (("venues", 10), ("assets", 20), ("networks", 4), ("seed", 1), ("runs", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    told = parser.parse_args()
    for run in range(told.runs):
        given = situation(venues=told.venues, assets=told.assets, networks=told.networks, seed=told.seed + run)
        started = time.perf_counter()
        plan = make(given)
        took = time.perf_counter() - started
        print(
            f"{told.venues} venues x {told.assets} assets x {told.networks} networks: {took:.2f} s, {len(plan.steps)} steps, "
            f"{len(plan.gaps)} gaps, cost {plan.cost.total:.2f} USD, within {plan.optimum_gap:.4%} of the best possible"
        )


if __name__ == "__main__":
    main()
