"""How many fills a second the store makes durable, one by one and in groups, beside the bare database.

And what one commit costs that ends an arb and teaches two legs something, with LESSONS instruments known: of the standing it
carries what has changed; beside it the same with all of it.

Run: python benchmarks/store_commit.py [database URL]. Without a URL a SQLite file in a temporary folder is used.
"""

from __future__ import annotations

import sqlite3
import statistics
import sys
import tempfile
from decimal import Decimal
from pathlib import Path
from time import perf_counter

from rich.console import Console
from rich.table import Table

from arbot.domain.decisions import Outcome
from arbot.domain.events import Envelope, LegEvidence, OrderFilled, StandingRestored, TimerFired
from arbot.domain.order import Fill, Liquidity, Side
from arbot.domain.units import Amount
from arbot.journal.codec import encode
from arbot.journal.store import SqlStore
from arbot.ledger.posting import Ledger
from arbot.ports import Record

FILLS = 2_000
GROUPS = (1, 10, 100)
PER_ORDER = 4
LESSONS = 200
COMMITS = 300


def main():
    table = Table(title=f"durable fills per second ({FILLS} fills each)")
    for heading in ("group", "store", "commit p50 us", "commit p99 us", "bare SQLite insert of the same bodies"):
        table.add_column(heading, justify="right")
    with tempfile.TemporaryDirectory() as folder:
        url = sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{folder}/arbot.db"
        store = SqlStore.open(url, now_ns=lambda: 1)
        store.begin_run(run_id="benchmark", mode="demo", code_version="0", config_digest="0")
        ledger = Ledger(store.all_balances(), store.transaction)
        step = 0
        for group in GROUPS:
            records = []
            for _ in range(FILLS):
                step += 1
                envelope = Envelope(step, step, OrderFilled(fill=a_fill(step)))
                records.append(Record(envelope=envelope, outcome=Outcome(), transactions=ledger.apply(envelope)))
            took = [timed(store.commit, records[at : at + group]) for at in range(0, FILLS, group)]
            cuts = statistics.quantiles(took, n=100)
            bare = bare_rate(Path(folder) / f"bare-{group}.db", [encode(record) for record in records], group)
            table.add_row(
                str(group),
                f"{FILLS / sum(took):,.0f}",
                f"{cuts[49] * 1e6:,.0f}",
                f"{cuts[98] * 1e6:,.0f}",
                f"{bare:,.0f}",
            )
        taught = commits_that_teach(store, step)
        store.close()
    Console().print(table, taught)


def commits_that_teach(store, step):
    """Return a table of what commits cost whose standing has LESSONS instruments in it."""
    table = Table(title=f"one commit that teaches two legs of {LESSONS}, {COMMITS} in turns")
    for heading in ("standing in the record", "bytes", "commit p50 us", "commit p99 us"):
        table.add_column(heading, justify="right")
    took, sizes = {"all": [], "changed": []}, {}
    before = a_standing(0)
    for turn in range(1, COMMITS + 1):
        after = a_standing(turn, before)
        for name, standing in (("all", after), ("changed", after.learned_since(before))):
            step += 1
            record = Record(envelope=Envelope(step, step, TimerFired(key="t")), outcome=Outcome(), standing=standing)
            sizes[name] = len(encode(record))
            took[name].append(timed(store.commit, [record]))
        before = after
    for name, seconds in took.items():
        cuts = statistics.quantiles(seconds, n=100)
        table.add_row(name, f"{sizes[name]:,}", f"{cuts[49] * 1e6:,.0f}", f"{cuts[98] * 1e6:,.0f}")
    return table


def a_standing(turn, before=None):
    """Return a standing in which two legs have learned since the one before."""
    evidence = list(before.evidence) if before else [a_leg(number, 0) for number in range(LESSONS)]
    for number in (turn % LESSONS, (turn + 1) % LESSONS):
        evidence[number] = a_leg(number, turn)
    return StandingRestored(
        killed=False,
        paused=False,
        latched=(),
        day="2026-11-22",
        realised_day=Decimal(turn),
        realised_total=Decimal(turn),
        realised_peak=Decimal(turn),
        evidence=tuple(evidence),
    )


def a_leg(number, turn):
    seen = Decimal(turn) + Decimal("1.234567891")
    return LegEvidence(
        instrument=f"A{number}/USD@kraken", legs=seen, failed=seen, unwinds=seen, unwind_bps=seen, answers=seen, latency_log=seen
    )  # fmt: skip


def a_fill(number):
    return Fill(
        venue="kraken",
        instrument="BTC/USD@kraken",
        base="BTC",
        quote="USD",
        client_order_id=f"order{number // PER_ORDER}",
        venue_order_id=f"O{number // PER_ORDER}",
        trade_id=f"T{number}",
        side=Side.BUY if number % 2 else Side.SELL,
        qty=Decimal("0.01234567"),
        price=Decimal("60000.1"),
        fee=Amount(Decimal("2.962989"), "USD"),
        liquidity=Liquidity.TAKER,
        venue_ts_ns=number,
    )


def timed(call, *arguments):
    started = perf_counter()
    call(*arguments)
    return perf_counter() - started


def bare_rate(path, bodies, group):
    """Return rows per second of the database alone, as durable, with one table and nothing derived."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE journal (seq INTEGER PRIMARY KEY, body TEXT)")
    started = perf_counter()
    for at in range(0, len(bodies), group):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO journal (body) VALUES (?)", [(body,) for body in bodies[at : at + group]])
        connection.execute("COMMIT")
    rate = len(bodies) / (perf_counter() - started)
    connection.close()
    return rate


if __name__ == "__main__":
    main()
