"""How many fills a second the store makes durable, one by one and in groups, beside the bare database.

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
from arbot.domain.events import Envelope, OrderFilled
from arbot.domain.order import Fill, Liquidity, Side
from arbot.domain.units import Amount
from arbot.journal.codec import encode
from arbot.journal.store import SqlStore
from arbot.ledger.posting import Ledger
from arbot.ports import Record

FILLS = 2_000
GROUPS = (1, 10, 100)
PER_ORDER = 4


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
        store.close()
    Console().print(table)


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
