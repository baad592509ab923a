"""The results of `arbot stress` as words: lines for the terminal, and the table of docs/guide/risk.md.

Numbers of the table come from backtests/disasters/expected.json, which the command writes: nothing is typed by hand.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from arbot.backtest.stress.played import ALL_OFF, ON, THESE_OFF, Played
from arbot.backtest.stress.run import Told
from arbot.domain.units import fmt

TRIPS_SHOWN = 12
DECLINED_SHOWN = 5
_PAUSES = frozenset({"cool_down", "arbs_open", "book_age_recv"})  # the chance is still there, or never was
ORDINARY = frozenset({"balance_short", "book_age_recv", "tail_unpaid", "book_not_tradable", "price_unknown"})


def lines(told: Told) -> Iterator[str]:
    """Yield what came of a disaster, for the terminal."""
    on = told.worst(ON)
    yield f"\n{told.title}  [{told.name}]"
    if on.variant:
        yield f"  {len(told.of(ON))} variants; the worst: {on.variant}"
    yield f"  budget {money(on.budget)}, lost with everything on {money(on.incident)} ({share(on)}), ledger ties: {_yes(on)}"
    for off in dict.fromkeys(one.off for one in told.plays if one.off != ON):
        worst = told.worst(off)
        yield f"  without {_named(off, told)}: {money(worst.incident)} ({share(worst)})"
    yield from _safety(told)
    for peak in on.peaks:
        yield f"  most at {peak.kind} {peak.node}: {money(peak.value)} at {moment(peak.ts_ns)}"
    yield f"  unhedged {on.unhedged_s} s in all, {on.unhedged_s_longest} s at the longest; stranded {on.stranded}"
    if on.reaction_min is not None:
        side = "before" if on.reaction_min >= 0 else "after"
        yield f"  last added {abs(on.reaction_min):,.0f} min {side} the headline: {told.headline}"
    for trip in [one for one in on.trips if one.what not in ORDINARY][:TRIPS_SHOWN]:
        yield f"  {moment(trip.ts_ns)}  {trip.what} x{trip.count}: {trip.detail}"
    for one in told.assumptions:
        yield f"  assumed: {one}"


def _safety(told: Told) -> Iterator[str]:
    """Yield what the quiet part earned with and without what the scenario is about, and what was let go in the play."""
    on, off = told.of(ON)[0], told.of(THESE_OFF)[0]
    if off.pnl_quiet <= 0:
        return
    yield (
        f"  while all was quiet trading earned {on.pnl_quiet:,.2f}, without these {off.pnl_quiet:,.2f}: "
        f"safety cost {1 - on.pnl_quiet / off.pnl_quiet:.1%}"
    )
    let_go = [one for one in on.declined if one.reason not in _PAUSES][:DECLINED_SHOWN]
    if let_go:
        yield "  let go: " + ", ".join(
            f"{one.reason} {one.chances} times, {money(one.expected)} promised" for one in let_go
        )


def summary(told: Told) -> dict[str, Any]:
    """Return what expected.json keeps of a disaster: numbers that a reader understands, and digests that prove equal plays."""
    on = told.worst(ON)
    return {
        "title": told.title,
        "variants": len(told.of(ON)),
        "budget": fmt(on.budget),
        "on": fmt(on.incident),
        "these_off": fmt(told.worst(THESE_OFF).incident),
        "all_off": fmt(told.worst(ALL_OFF).incident),
        "own_loss_on": fmt(on.loss),
        "own_loss_off": fmt(max(one.loss for one in told.of(THESE_OFF))),
        "pnl_quiet_on": fmt(told.of(ON)[0].pnl_quiet),
        "pnl_quiet_off": fmt(told.of(THESE_OFF)[0].pnl_quiet),
        "unhedged_s": on.unhedged_s_longest,
        "reaction_min": on.reaction_min,
        "tripped": [one.what for one in on.trips if one.what not in ORDINARY and one.what != "world"],
    }


def as_markdown(expected: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table of the guide."""
    heads = ("disaster", "budget", "lost with all on", "without what it is about", "unhedged at most", "tripped")
    rows = [f"| {' | '.join(heads)} |", "|---|---:|---:|---:|---:|---|"]
    for name, row in expected.items():
        cells = (
            f"{row['title']} (`{name}`)",
            money(Decimal(row["budget"])),
            money(Decimal(row["on"])),
            money(Decimal(row["these_off"])),
            f"{row['unhedged_s']:,} s",
            ", ".join(f"`{one}`" for one in row["tripped"]),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def money(value: Decimal) -> str:
    """Return an amount in whole units."""
    return f"{value:,.0f}"


def share(one: Played) -> str:
    """Return the incident as a share of the budget."""
    return f"{one.incident / one.budget:.0%} of the budget"


def moment(ts_ns: int) -> str:
    """Return a moment in UTC, to the second."""
    return dt.datetime.fromtimestamp(ts_ns // 1_000_000_000, dt.UTC).strftime("%d %b %H:%M:%S")


def _named(off: str, told: Told) -> str:
    return {THESE_OFF: f"what it is about ({', '.join(told.protections)})", ALL_OFF: "any protection"}.get(off, off)


def _yes(on: Played) -> str:
    return "yes" if on.ledger_ties else "NO"


def within_budget(tolds: Sequence[Told]) -> bool:
    """Return whether every play with everything on stayed within its budget."""
    return all(one.incident <= one.budget for told in tolds for one in told.of(ON))
