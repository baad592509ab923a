"""Why there is no plan, in numbers: which rows would have to give way, what shuts the ways around, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from arbot.domain.errors import Mistake
from arbot.domain.units import ZERO, fmt
from arbot.treasury.program import Program, Row, broken
from arbot.treasury.ways import Terms, transfers


def explained(terms: Terms, program: Program) -> list[Mistake]:
    """Return what stands in the way, in numbers, with what to do about it."""
    remedies = {
        "target": "ask for less, open a network or allow an address (transfers.allow), or give the plan other venues' money",
        "funds": "bring money there first, or ask for less",
        "funds for trades": "bring money there first, or ask for less",
        "in flight": "raise the cap on value in flight, or go in several plans",
        "venue's share": "ask for less there, or raise limits.counterparty_share_max",
        "minimum": "ask for more, or for nothing",
    }
    found = []
    for one in broken(program):
        row, short = one.row, fmt(one.by.quantize(Decimal("0.00000001")))
        bound = row.low if row.low is not None else row.high
        found.append(
            Mistake(
                f"{row.kind}: {row.where}",
                f"cannot be kept by {short} (bound {fmt((bound or ZERO).quantize(Decimal('0.00000001')))}, "
                f"a change against now); {_hindrance(terms, row)}",
                remedies.get(row.kind, "ask for less"),
            )
        )
    return found


def off_steps(program: Program, wrong: Mapping[int, Decimal]) -> list[Mistake]:
    """Return what could be met but for the steps and minimums that venues take."""
    remedy = "ask for a little more or less, in multiples of what the venues take"
    return [
        Mistake(
            f"{program.rows[at].kind}: {program.rows[at].where}",
            f"the venues' steps and minimums miss it by {fmt(by)}",
            remedy,
        )
        for at, by in wrong.items()
    ] or [Mistake("the plan", "the venues' least trades and withdrawals do not fit what is asked for", remedy)]


def _hindrance(terms: Terms, row: Row) -> str:
    """Return which routes of the asset in question are shut, for a row about a target."""
    asset, _, venue = row.where.partition(" at ")
    shut = [
        f"{route.network} from {route.source}: {way.blocked}"
        for route in terms.situation.routes
        if route.target == venue and route.asset == asset
        for way in transfers(terms, asset, route.source, venue)
        if way.route == route and way.blocked
    ]
    return "; ".join(shut) if shut else "no way that is open brings more"
