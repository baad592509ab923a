"""Figures of the tax year so far, for a glance and not for filing: open lots, gain by term, what has no price or no lot.

Rules of this file:
- One pass over the history under the country's rules; slices are added up as they come and kept by nobody.
- What is open does not stop a count: it is counted. A filing needs it settled: `arbot tax report`.
- As a program it reads what to count on stdin and writes the figures on stdout, so that an address of a store with its
  password stands in no list of processes; it takes the processor only when nobody else wants it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from arbot.domain.units import ZERO
from arbot.journal.store import Access, SqlStore
from arbot.ledger.jurisdictions.base import CountryOptions
from arbot.ledger.jurisdictions.registry import country as country_of
from arbot.ledger.lots.policy import Custody, Pool
from arbot.ledger.lots.refusals import MISSING_PRICE
from arbot.ledger.lots.words import OpenItem, Shortage, Slice, Unvalued
from arbot.runtime.clock import SystemClock
from arbot.tax.bundle.asked import Asked, choose
from arbot.tax.collecting import collected_seldom
from arbot.tax.history import History, TaxSettings, open_history
from arbot.tax.open_items import told_once

IDLE = 19  # the nicest a process can be


class CountWanted(msgspec.Struct, frozen=True, kw_only=True):
    """What to count: the store, whose rules, and what the configuration says of lots."""

    url: str
    country: str
    pool: Pool
    custody: Mapping[str, Custody]
    allocation_completed_ns: int


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What was counted. Money in the country's currency; `year` is the tax year's own name, such as 2026 or 2026/2027."""

    country: str
    year: str
    ccy: str
    lines: int
    open_lots: dict[str, int]  # by asset
    gain_short: Decimal
    gain_long: Decimal  # zero where the country knows no long term
    unpriced: int  # events
    unmatched: dict[str, Decimal]  # quantity disposed of without a lot, by asset


def figures(history: History, country: str, now_ns: int) -> Figures:
    """Count the tax year that `now_ns` lies in, by the country's own clock. Raises: UserError for an unknown country."""
    rules = country_of(country)
    options = rules.settled(CountryOptions())
    year = rules.year_at(now_ns, options.timezone)
    start_ns, end_ns = rules.year_bounds_ns(year, options.timezone)
    asked = Asked(country=rules.code, year=year)
    run = rules.begin(choose(asked, history.policy(), rules.method(), rules).policy, options)
    is_long = rules.term(options.timezone)
    gains, lines = {False: ZERO, True: ZERO}, 0

    def add(slices: list[Slice]) -> None:
        for one in slices:
            if start_ns <= one.sold_ns < end_ns:
                gains[is_long(one.acquired_ns, one.sold_ns)] += one.proceeds - one.basis

    with collected_seldom():
        for placed in history.lines():
            lines += 1
            add(run.feed(placed))
        add(run.finish())
        lots: dict[str, int] = {}
        for lot in run.remaining():
            lots[lot.asset] = lots.get(lot.asset, 0) + 1
    items = told_once(history.open_items(), run.open_items())
    unmatched: dict[str, Decimal] = {}
    for item in items:
        if isinstance(item, Shortage):
            unmatched[item.asset] = unmatched.get(item.asset, ZERO) + item.qty
    return Figures(
        country=rules.code,
        year=rules.year_name(year),
        ccy=rules.ccy,
        lines=lines,
        open_lots=dict(sorted(lots.items())),
        gain_short=gains[False],
        gain_long=gains[True],
        unpriced=sum(_events_without_price(item) for item in items),
        unmatched=dict(sorted(unmatched.items())),
    )


def _events_without_price(item: OpenItem) -> int:
    if isinstance(item, Unvalued):
        return item.lines
    return 1 if item.code == MISSING_PRICE else 0


def main() -> None:
    """Count what stdin asks for and write it to stdout, as JSON. Raises: UserError, StoreFailed."""
    os.nice(IDLE)
    wanted = msgspec.json.decode(sys.stdin.buffer.read(), type=CountWanted)
    clock = SystemClock()
    store = SqlStore.open(wanted.url, now_ns=clock.now_ns, access=Access.READ)
    try:
        terms = TaxSettings(
            pool=wanted.pool, custody=wanted.custody, allocation_completed_ns=wanted.allocation_completed_ns
        )
        counted = figures(open_history(store, terms), wanted.country, clock.now_ns())
    finally:
        store.close()
    sys.stdout.buffer.write(msgspec.json.encode(counted))


if __name__ == "__main__":
    main()
