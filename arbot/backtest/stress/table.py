"""The results of `arbot stress` as words: lines for the terminal, and the table of docs/guide/risk.md.

Numbers of the table come from backtests/disasters/expected.json, which the command writes: nothing is typed by hand.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from arbot.backtest.stress.played import ALL_OFF, ON, THESE_OFF, Played
from arbot.backtest.stress.quiet import Quiet
from arbot.backtest.stress.run import FAMILY_MIN, Told
from arbot.domain.units import fmt

QUIET = "quiet-month"  # its name beside those of the disasters
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
    if 1 < len(told.of(ON)) < FAMILY_MIN:
        for one in told.of(ON):
            yield f"    {one.variant}: lost {money(one.incident)} with everything on{_reaction(one)}"
    yield f"  budget {money(on.budget)}, lost with everything on {money(on.incident)} ({share(on)}), ledger ties: {_yes(on)}"
    for off in told.offs:
        worst = told.worst(off)
        yield f"  without {_named(off, told)}: {money(worst.incident)} ({share(worst)})"
    if told.bounded:
        yield f"  why not more: {told.bounded}"
    yield from _safety(told)
    for peak in on.peaks:
        yield f"  most at {peak.kind} {peak.node}: {money(peak.value)} at {moment(peak.ts_ns)}"
    yield f"  unhedged {on.unhedged_s} s in all, {on.unhedged_s_longest} s at the longest; stranded {on.stranded}"
    if on.reaction_min is not None:
        yield f"  headline: {told.headline}{_reaction(on)}"
    for trip in [one for one in on.trips if one.what not in ORDINARY][:TRIPS_SHOWN]:
        yield f"  {moment(trip.ts_ns)}  {trip.what} x{trip.count}: {trip.detail}"
    for one in told.assumptions:
        yield f"  assumed: {one}"


def _reaction(one: Played) -> str:
    """Return how long before or after the headline the last exposure was added, as the end of a line."""
    if one.reaction_min is None:
        return ""
    return (
        f"; last added {abs(one.reaction_min):,.0f} min {'before' if one.reaction_min >= 0 else 'after'} the headline"
    )


def _safety(told: Told) -> Iterator[str]:
    """Yield what the quiet part earned with and without what the scenario is about, and what was let go in the play."""
    earned, on = told.quiet(), told.of(ON)[0]
    if earned is None or earned[1] <= 0:
        return
    yield (
        f"  while all was quiet trading earned {earned[0]:,.2f}, without these at the same size {earned[1]:,.2f}: "
        f"safety cost {1 - earned[0] / earned[1]:.1%}"
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
        "bounded": told.bounded,
        "quiet": None if (earned := told.quiet()) is None else [fmt(one) for one in earned],
        "digest": on.digest,
        "unhedged_s": on.unhedged_s_longest,
        "reaction_min": on.reaction_min,
        "tripped": [one.what for one in on.trips if one.what not in ORDINARY and one.what != "world"],
    }


def month_summary(month: Quiet) -> dict[str, Any]:
    """Return what expected.json keeps of the quiet month."""
    made: dict[str, Any] = msgspec.to_builtins(month, builtin_types=(Decimal,))
    return {name: _told(value) for name, value in made.items()}


def _told(value: Any) -> Any:
    """Return a value with every number of money as its digits."""
    if isinstance(value, Decimal):
        return fmt(value)
    if isinstance(value, dict):
        return {name: _told(one) for name, one in value.items()}
    return [_told(one) for one in value] if isinstance(value, (list, tuple)) else value


def as_markdown(expected: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table of the guide."""
    heads = (
        "disaster",
        "budget",
        "lost with all on",
        "without what it is about",
        "of the budget",
        "unhedged",
        "tripped",
    )
    rows = [f"| {' | '.join(heads)} |", "|---|---:|---:|---:|---:|---:|---|"]
    told = {name: row for name, row in expected.items() if name != QUIET}
    for name, row in told.items():
        cells = (
            f"{row['title']} (`{name}`)",
            money(Decimal(row["budget"])),
            money(Decimal(row["on"])),
            money(Decimal(row["these_off"])),
            f"{Decimal(row['these_off']) / Decimal(row['budget']):.1f} x{' *' if row['bounded'] else ''}",
            f"{row['unhedged_s']:,} s",
            ", ".join(f"`{one}`" for one in row["tripped"]),
        )
        rows.append(f"| {' | '.join(cells)} |")
    rows += ["", "\\* Nobody could have lost twice the budget there:", ""]
    rows += [f"- `{name}`: {row['bounded']}." for name, row in told.items() if row["bounded"]]
    return "\n".join([*rows, "", *_month_rows(expected.get(QUIET))])


def _month_rows(month: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield what a quiet month costs, and where."""
    if month is None:
        return
    yield (
        f"**A quiet month.** {month['days']} days, {month['rows']:,} rows, the same size of an arb: {month['pnl_on']} earned in "
        f"{month['arbs_on']} arbs with every protection on, {month['pnl_off']} in {month['arbs_off']} with all off. "
        f"**Safety cost {Decimal(month['cost_share']):.1%}.** Where windows were let go, all of what they promised:"
    )
    yield from ("", "| reason | windows | promised | with all off | promised |", "|---|---:|---:|---:|---:|")
    for row in month["let_go"]:
        cells = (f"`{row['reason']}`", row["windows"], row["expected"], row["windows_off"], row["expected_off"])
        yield f"| {' | '.join(str(cell) for cell in cells)} |"


def month_lines(month: Quiet) -> Iterator[str]:
    """Yield what a quiet month costs, for the terminal."""
    yield f"\nA quiet month  [{QUIET}]"
    yield f"  {month.days} days, {month.rows:,} rows, the same size of an arb, at realistic latencies"
    yield f"  earned with everything on {month.pnl_on:,.2f} in {month.arbs_on} arbs, with all off {month.pnl_off:,.2f} in {month.arbs_off}"
    yield f"  safety cost {month.cost_share:.1%}; windows let go, by reason, and what they promised:"
    for row in month.let_go:
        without_any = f"with all off {row.windows_off}, {row.expected_off:,.2f}"
        yield f"    {row.reason}: {row.windows}, {row.expected:,.2f} ({without_any})"


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
