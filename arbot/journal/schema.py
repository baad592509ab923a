"""The tables. `journal` is the truth; PROJECTIONS can be deleted and derived from it again.

Rules of this file:
- Money is text in canonical notation: no database arithmetic ever touches it. Times are ns since the epoch.
- `seq` everywhere is the journal's own gapless number; `step` is the number the engine's sequencer gave the event.
- A change of any table raises VERSION.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, MetaData, Table, Text, UniqueConstraint

VERSION: Final = 3

METADATA: Final = MetaData()

# --- what cannot be derived ------------------------------------------------------------------------------------------

META: Final = Table("meta", METADATA, Column("name", Text, primary_key=True), Column("value", Text, nullable=False))
"""`schema` is the version of these tables, `mode` what kind of account is in here ("live", "paper", "demo")."""

HEAD: Final = Table(
    "head",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
)
"""One row: the newest epoch and the end of the chain. Every commit moves it and thereby proves that it may write."""

RUNS: Final = Table(
    "runs",
    METADATA,
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("run_id", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("code_version", Text, nullable=False),
    Column("config_digest", Text, nullable=False),
    Column("started_ns", BigInteger, nullable=False),
    Column("ended_ns", BigInteger),
)

KILL_SWITCH: Final = Table(
    "kill_switch",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("ts_ns", BigInteger, nullable=False),
    Column("killed", Boolean, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
)
"""Every throw of the switch; the newest row holds."""

JOURNAL: Final = Table(
    "journal",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, ForeignKey("runs.epoch"), nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("ts_ns", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("prev_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
    UniqueConstraint("epoch", "step"),
)

# --- projections -----------------------------------------------------------------------------------------------------

ARBS: Final = Table(
    "arbs",
    METADATA,
    Column("arb_id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
)

ORDERS: Final = Table(
    "orders",
    METADATA,
    Column("client_order_id", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("line", Integer, nullable=False),
    Column("arb_id", Text, nullable=False),
    Column("venue", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("venue_order_id", Text),
    Column("filled_qty", Text, nullable=False),
    Column("end_state", Text),
    Column("end_qty", Text),
    Column("intent", Text, nullable=False),
    Index("orders_by_arb", "arb_id"),
    Index("orders_by_state", "state"),
)
"""`end_state` and `end_qty` are what the venue said at the end; `state` follows when the fills add up to `end_qty`."""

FILLS: Final = Table(
    "fills",
    METADATA,
    Column("venue", Text, primary_key=True),
    Column("venue_order_id", Text, primary_key=True),
    Column("trade_id", Text, primary_key=True),
    Column("is_reversal", Boolean, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("ts_ns", BigInteger, nullable=False),
    Column("venue_ts_ns", BigInteger, nullable=False),
    Column("client_order_id", Text, nullable=False),
    Column("body", Text, nullable=False),
    Index("fills_by_order", "client_order_id"),
    Index("fills_by_venue_time", "venue", "venue_ts_ns"),
    Index("fills_by_seq", "seq"),
)

TRANSFERS: Final = Table(
    "transfers",
    METADATA,
    Column("venue", Text, primary_key=True),
    Column("transfer_id", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("asset", Text, nullable=False),
    Column("qty", Text, nullable=False),
    Column("fee", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("venue_ts_ns", BigInteger, nullable=False),
)

OWN_TRANSFERS: Final = Table(
    "own_transfers",
    METADATA,
    Column("transfer", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("requested_ts_ns", BigInteger, nullable=False),
    Column("intent", Text, nullable=False),
)
"""Transfers that arbot itself began; what became of each is in `own_transfer_news`, the newest row holds."""

OWN_TRANSFER_NEWS: Final = Table(
    "own_transfer_news",
    METADATA,
    Column("transfer", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("line", Integer, primary_key=True, autoincrement=False),
    Column("ts_ns", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
)

TRANSACTIONS: Final = Table(
    "transactions",
    METADATA,
    Column("reference", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("ts_ns", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("origin", Text, nullable=False),
)

POSTINGS: Final = Table(
    "postings",
    METADATA,
    Column("reference", Text, ForeignKey("transactions.reference"), primary_key=True),
    Column("line", Integer, primary_key=True, autoincrement=False),
    Column("account", Text, nullable=False),
    Column("asset", Text, nullable=False),
    Column("number", Text, nullable=False),
)

BALANCES: Final = Table(
    "balances",
    METADATA,
    Column("account", Text, primary_key=True),
    Column("asset", Text, primary_key=True),
    Column("number", Text, nullable=False),
)

STANDING: Final = Table(
    "standing",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
)

LESSONS: Final = Table(
    "lessons",
    METADATA,
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
)
"""What was learned of instruments, routes and fees: parts of the standing, one row each, because a step changes few."""

HISTORY: Final = Table(
    "history",
    METADATA,
    Column("ts_ns", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("line", Integer, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("body", Text, nullable=False),
    Index("history_by_id", "id", unique=True),
    sqlite_with_rowid=False,
)
"""Imported history, a row per line, kept in the order it is read: `seq` and `line` are its event and its place there."""

PROJECTIONS: Final = (
    ARBS,
    ORDERS,
    FILLS,
    TRANSFERS,
    OWN_TRANSFERS,
    OWN_TRANSFER_NEWS,
    TRANSACTIONS,
    POSTINGS,
    BALANCES,
    STANDING,
    LESSONS,
    HISTORY,
)
"""In an order in which rows can be inserted; delete in the reverse."""
