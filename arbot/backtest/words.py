"""A backtest's result as words and rounded numbers, for page and terminal alike.

Rules: every number has its unit beside it or in its row's name; a share is told in per cent; money is rounded half even for
show only (the JSON has every digit); what was not traded is explained, not left blank.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from arbot.backtest.result import DeclineRow, Replayed, Result, Scenario
from arbot.domain.errors import ensure
from arbot.domain.units import WIDE, ZERO, div

DAY_NS, SECOND_NS = 86_400_000_000_000, 1_000_000_000
ARBS_FEW = 30  # fewer arbs than this say little
WIDTH = 110  # of the table in the terminal

REASONS = {
    "no_edge": "fees and the minimum edge are more than the gap",
    "quote_mismatch": "the venues quote in different currencies",
    "book_not_tradable": "a book was not valid",
    "book_age_recv": "a book had not been heard of for too long",
    "book_age_venue": "a book had not changed for too long by the venue's own clock",
    "book_skew": "the two books were received too far apart in time",
    "clock_skew": "a venue's clock was not measured or too far off",
    "too_good_to_be_true": "the edge was too large to be believed",
    "fee_unknown": "the fee was not known",
    "balance_unknown": "a balance was not known",
    "balance_short": "there was not enough money or coin at the venue",
    "below_minimum": "less could be traded than the venues take in one order",
    "notional_per_arb": "the limit per arb left less than a minimum order",
    "arbs_open": "as many arbs as allowed were under way",
    "inventory": "the limit on what may pile up at a venue was reached",
    "net_delta": "the limit on what may be unhedged was reached",
    "counterparty_share": "too much of the capital was at one venue",
    "order_rate": "our limit on orders per minute was reached",
    "rate_budget": "the venue's rate limit left no room",
    "loss_day": "the limit on the day's loss had tripped",
    "drawdown": "the limit on drawdown had tripped",
    "hedge_loss": "a hedge would have lost more than allowed",
    "instrument_closed": "the venue took no orders for the instrument",
    "venue_not_ready": "a venue was not ready",
    "cool_down": "the route was at rest after an arb, or our own order was on its book",
    "paused": "trading was paused",
    "killed": "trading was killed",
    "draining": "the run was ending",
    "stranded": "a stranded arb waited for a person",
    "not_reconciled": "a venue was not reconciled",
    "price_unknown": "an asset had no price in the reporting currency",
    "stress_budget": "the worst case of all exposures would have been above its budget",
    "tail_unpaid": "the edge did not pay for the tail it would have used",
    "issuer_exposure": "too much of one issuer's coin",
    "bank_exposure": "too much behind one bank",
    "custodian_exposure": "too much with one custodian",
    "chain_exposure": "too much under way on one chain",
    "cloud_exposure": "too much on venues of one cloud region",
    "withdrawals_closed": "money could not leave a venue, so its prices were no opportunity",
    "venue_quarantined": "a venue was in quarantine",
    "maintenance": "a venue was about to close for maintenance",
    "depegged": "a stablecoin was away from its peg",
    "price_is_news": "taken once in this direction, and the mids had not met since",
    "price_pinned": "pinned by one large order: taken once in this direction, and the mids had not met since",
    "merged_book": "merged book: the venue took a coin off its peg for the quote currency",
    "transfer_overdue": "coins that should have arrived had not",
    "transfers_off": "transfers are off",
    "not_allow_listed": "the address is not on the allow-list",
    "tag_missing": "the network needs a tag",
    "network_mismatch": "the two venues do not share the network",
    "address_changed": "the target's deposit address is not the one on the allow-list",
    "confirmation_needed": "a transfer of this size needs a second yes",
    "transfer_repeated": "the same transfer was asked for before",
    "network_fee": "the network's fee was far above its own median",
    "transit_value": "too much value was in flight",
    "terms_unknown": "a venue had not said lately whether a network is open, and for how much",
    "deposits_closed": "the target took no deposits on the network",
    "would_take": "at that price a resting order would have traded at once",
    "hedge_short": "the hedge's book or balance took less than the quote",
    "hedge_failed": "a hedge had not filled at its price",
    "hedges_spent": "the quote had been hedged as often as allowed",
    "own_order": "it could have traded with an order of our own",
    "quote_moved": "another price was wanted",
    "quote_unwanted": "the strategy no longer wanted the quote",
}

ASSUMED = {
    Scenario.NAIVE: "no latency, no rejects, no rate limits; liquidity that was taken is back at once",
    Scenario.REALISTIC: "latency, rejects, rate limits and taken liquidity as [backtest] in the config says",
    Scenario.PESSIMISTIC: "slower, rivals take part of what was seen, more rejects",
}


TENTH = Decimal("0.1")


class Line(NamedTuple):
    """A row of the headline: what it is, what it means, and a cell for each column."""

    name: str
    meaning: str
    cells: tuple[str, ...]


def money(value: Decimal) -> str:
    """Return money with cents, and with more digits when it is small: 1234.5 -> 1,234.50, 0.01234 -> 0.01234."""
    if value == 0:
        return "0.00"
    digits = 2 if abs(value) >= 1 else min(8, 3 - value.adjusted())
    rounded = WIDE.quantize(value, Decimal(1).scaleb(-digits))
    if rounded == 0:
        return "0.00"
    text = f"{rounded:,f}"
    return text if abs(value) >= 1 else text.rstrip("0").ljust(4 + (value < 0), "0")


def bps(value: Decimal | float) -> str:
    """Return basis points to one decimal, half to even whatever the ambient context says."""
    return f"{WIDE.quantize(Decimal(value), TENTH):,f}"


def percent(share: float) -> str:
    """Return a share in per cent to one decimal."""
    return f"{share * 100:.1f} %"


def moment(ts_ns: int) -> str:
    """Return a time in UTC to the second."""
    return datetime.fromtimestamp(ts_ns // SECOND_NS, UTC).strftime("%Y-%m-%d %H:%M:%S")


def span(length_ns: int) -> str:
    """Return a length of time in its natural unit: 2.5 days, 3.2 h, 12 min, 4.0 s."""
    for unit_ns, unit in ((DAY_NS, "days"), (3600 * SECOND_NS, "h"), (60 * SECOND_NS, "min")):
        if length_ns >= unit_ns:
            return f"{length_ns / unit_ns:.1f} {unit}"
    return f"{length_ns / SECOND_NS:.1f} s"


def reason(name: str) -> str:
    """Return why something was declined, in words."""
    return REASONS.get(name, name.replace("_", " "))


def net(column: Replayed) -> Decimal:
    """Return what the arbs earned after fees and transfer costs, market moves and gaps left behind not counted."""
    split = column.split
    whole = WIDE.add(WIDE.add(split.edge, split.slippage), split.unwinds)
    return WIDE.subtract(whole, WIDE.add(split.fees, split.transfer_costs))


def per_day(result: Result, column: Replayed) -> Decimal:
    """Return the net profit of arbs for each day of tape. Raises: InvariantBroken for a tape of no length."""
    length_ns = _length_ns(result)
    ensure(length_ns > 0, "profit per day of a tape without length", tape=result.name)
    return div(WIDE.multiply(net(column), Decimal(DAY_NS)), Decimal(length_ns))


def _length_ns(result: Result) -> int:
    return result.scanned.last_ts_ns - result.scanned.first_ts_ns


def headline(result: Result) -> list[Line]:
    """Return the figures that come first, a cell for each column."""
    ccy, columns = result.ccy, result.columns

    def line(name: str, meaning: str, cells: Sequence[str]) -> Line:
        return Line(name, meaning, tuple(cells))

    quotes = [one.totals.quotes_placed for one in columns]
    unfilled = [one.totals.quotes_unfilled for one in columns]
    lines = [
        line(f"Net profit of arbs ({ccy})", "edge, slippage and unwinds, less fees and transfer costs",
             [money(net(one)) for one in columns]),
        line(f"… per day ({ccy})", f"over {span(_length_ns(result))} of tape; of less than a day nothing is concluded",
             [money(per_day(result, one)) if _length_ns(result) >= DAY_NS else "under a day" for one in columns]),
        line(f"Gaps left behind ({ccy})", "what was moved between venues, at the end's mids: an edge that stays is taken back",
             [money(one.split.inventory_moved) for one in columns]),
        line(f"Market moves ({ccy})", "on what was held anyway: no merit of the arbs",
             [money(one.split.inventory - one.split.inventory_moved) for one in columns]),
        line(f"Change of equity ({ccy})", "all of the above, deposits taken off",
             [money(one.equity_end - one.equity_start - one.deposits) for one in columns]),
        line("Arbs", "opened", [f"{one.totals.arbs_opened:,}" for one in columns]),
        line("… missed", "opened, and neither leg was filled", [f"{one.totals.arbs_missed:,}" for one in columns]),
        line("… stranded", "left for a person to resolve", [f"{one.totals.arbs_stranded:,}" for one in columns]),
        line("Quotes", "placed to rest; one is an arb from its first fill on", [f"{one:,}" for one in quotes]),
        line("… unfilled", "pulled before anybody came", [f"{one:,}" for one in unfilled]),
        line("Fill ratio", "of what the legs ordered, by value", [percent(one.fill_ratio) for one in columns]),
        line("Orders", "sent, hedges and unwinds included", [f"{one.orders:,}" for one in columns]),
        line("… rejected", "by the venue", [f"{one.rejects:,}" for one in columns]),
        line(f"Volume ({ccy})", "value of all fills", [money(one.totals.volume_quote) for one in columns]),
        line(f"Fees ({ccy})", "paid to venues, rebates taken off", [money(one.split.fees) for one in columns]),
        line(f"Largest drawdown ({ccy})", "fall of equity from a peak, market moves included",
             [money(one.drawdown_max) for one in columns]),
        line("Longest unhedged (s)", "time that one arb stood on one leg",
             [f"{one.totals.unhedged_seconds_max:,.3f}" for one in columns]),
        line("Time to match (ms)", "from decision to fill, median of the legs",
             [f"{one.latency_ms:,.1f}" if one.fills else "no fill" for one in columns]),
        line("Pennies per steamroller", "profit expected when opening, for each unit of what that put at stake in the worst case",
             [pennies(one) for one in columns]),
        line("Windows", "times a route cleared costs at the touch", [f"{one.windows_total:,}" for one in columns]),
        line("Ledger", "agrees with the venues to the last digit",
             ["agrees" if one.ledger_matches_venues else "DIFFERS" for one in columns]),
        line("Digest", "equal runs, equal digests (first 10 digits)", [one.digest[:10] for one in columns]),
    ]  # fmt: skip
    return lines if any(quotes) else [one for one in lines if one.name not in {"Quotes", "… unfilled"}]


def pennies(column: Replayed) -> str:
    """Return expected profit over stress loss of all arbs, and a dash where none was opened."""
    stress = sum((route.stress_loss for route in column.routes), ZERO)
    expected = sum((route.expected for route in column.routes), ZERO)
    return f"{WIDE.quantize(div(expected, stress), Decimal('0.0001')):,f}" if stress else "-"


def best_let_go(column: Replayed) -> DeclineRow | None:
    """Return the decline with the best net edge, None when nothing was declined."""
    return max(column.declines, key=lambda row: row.edge_net_bps_max, default=None)


def why_nothing(column: Replayed) -> str:
    """Return what stood in the way, for a column without an arb."""
    best = best_let_go(column)
    if best is None:
        if not column.best_edges:
            return "Nothing was opened: no two venues ever had valid books of the same instrument, and known fees, at once."
        seen = column.best_edges[0]
        return (
            f"Nothing was opened. The best net edge at the touch in all that time was "
            f"{bps(seen.edge_net_bps)} bps: {seen.symbol} bought at {seen.buy_venue} and sold at {seen.sell_venue} on "
            f"{moment(seen.ts_ns)} UTC. What stood in the way: fees and spreads were more than the gap."
        )
    most = max(column.declines, key=lambda row: row.count)
    text = (
        f"Nothing was opened. The best net edge looked at was {bps(best.edge_net_bps_max)} bps: {best.symbol} bought at "
        f"{best.buy_venue} and sold at {best.sell_venue}, not taken because {reason(best.reason)}."
    )
    if (most.reason, most.buy_venue, most.sell_venue) != (best.reason, best.buy_venue, best.sell_venue):
        text += f" The most frequent obstacle, {most.count:,} times: {reason(most.reason)}."
    return text


def _stopped(result: Result) -> list[str]:
    """Say from when on nothing was opened because an arb was stranded: no engine goes on until a person has looked."""
    said = []
    for column in result.columns:
        stranded = [arb.opened_ts_ns for arb in column.arbs if arb.state == "stranded"]
        left_ns = result.scanned.last_ts_ns - min(stranded, default=result.scanned.last_ts_ns)
        if left_ns > 0:
            said.append(
                f"The {column.scenario.value} column stopped at {moment(min(stranded))} UTC: one leg of an arb stayed open, "
                f"and nothing is opened until a person resolves that. The {span(left_ns)} after it show nothing. A tape whose "
                f"quotes come seldom leaves little time to hedge in: execution.hedge_seconds_max."
            )
    return said


def meaning(result: Result) -> list[str]:
    """Return what the figures allow one to say, and what not, a sentence each."""
    by_name = {column.scenario: column for column in result.columns}
    middle = by_name.get(Scenario.REALISTIC, result.columns[0])
    earned = {name: net(column) for name, column in by_name.items()}
    said: list[str] = []
    if not middle.totals.arbs_opened:
        said.append(why_nothing(middle))
    elif net(middle) <= 0:
        said.append("With the assumed latency and costs this setting does not earn its fees on this tape.")
    elif earned.get(Scenario.PESSIMISTIC, net(middle)) <= 0:
        said.append("The profit hangs on the assumptions: it is gone in the pessimistic column.")
    else:
        said.append("The arbs earned in every column that was replayed, on this tape and under these assumptions.")
    said.extend(_stopped(result))
    if ZERO < net(middle) < earned.get(Scenario.NAIVE, ZERO) / 2:
        said.append("More than half of what the naive column shows cannot be had at the assumed latency.")
    if middle.totals.arbs_opened and net(middle) > 0 and middle.split.inventory_moved < -net(middle) / 2:
        said.append(
            f"Gaps that had not closed at the end take back {money(-middle.split.inventory_moved)} {result.ccy} of it: "
            "much of the edge is a lasting difference between the venues, not an opportunity that comes and goes."
        )
    if 0 < middle.totals.arbs_opened < ARBS_FEW:
        said.append(f"Too few arbs to conclude anything from: {middle.totals.arbs_opened}.")
    if middle.totals.arbs_opened and middle.split.inventory_moved > abs(net(middle)) / 2:
        said.append(
            f"The tape ended on a gap that makes what was moved between venues look {money(middle.split.inventory_moved)} "
            f"{result.ccy} better: it is in the equity, and it is not earned."
        )
    if middle.unpriced:
        said.append(f"Not in the equity, because no book gives a price: {', '.join(middle.unpriced)}.")
    if not all(column.ledger_matches_venues for column in result.columns):
        said.append("The ledger and the venues disagree in a column: do not believe its money.")
    said.append(
        "A replay shows what these settings would have done then, with liquidity nobody else took; it promises nothing."
    )
    return said


def summary_lines(result: Result) -> list[str]:
    """Return what `arbot backtest` prints: warnings, the columns as a table, and what they mean."""
    scanned = result.scanned
    lines = [
        (
            f"{result.name}: {scanned.rows:,} rows, {scanned.messages:,} messages, {moment(scanned.first_ts_ns)} to "
            f"{moment(scanned.last_ts_ns)} UTC, {len(scanned.instruments)} instruments"
        )
    ]
    lines += [f"warning: {warning}" for warning in result.warnings]
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for column in result.columns:
        table.add_column(column.scenario.value, justify="right", no_wrap=True)
    for row in headline(result):
        table.add_row(row.name, *row.cells)
    out = io.StringIO()
    Console(file=out, width=WIDTH, color_system=None, markup=False, highlight=False).print(table)
    return [*lines, "", *(line.rstrip() for line in out.getvalue().splitlines()), "", *meaning(result)]
