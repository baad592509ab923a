"""History lines for tests: one of each kind, files of them, and stores they are imported into."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from arbot.domain.decisions import Outcome
from arbot.domain.events import AccountSnapshotReceived, Envelope
from arbot.domain.history import parse_ts
from arbot.domain.instrument import Balance
from arbot.journal.store import SqlStore
from arbot.ledger.posting import Ledger
from arbot.ports import Record
from tests.support.stores import a_store, begin

DEPOSIT = {
    "kind": "deposit", "id": "D1", "ts": "2025-01-01T00:00:00Z", "venue": "kraken", "asset": "USD", "amount": "200000",
}  # fmt: skip
OPENING = {
    "kind": "opening", "id": "L1", "ts": "2025-01-01T00:00:01Z", "venue": "kraken", "asset": "BTC", "amount": "0.5",
    "basis": "21000", "acquired": "2023-06-15T12:00:00Z",
}  # fmt: skip
FILL = {
    "kind": "fill", "id": "kraken:T1", "ts": "2025-01-01T00:00:02Z", "venue": "kraken", "symbol": "BTC/USDT",
    "base": "BTC", "quote": "USDT", "side": "sell", "amount": "0.02", "price": "94000.5", "cost": "1880.01000000",
    "fee": "0.00002000", "fee_ccy": "BTC", "order_id": "O1", "px": {"USDT": "1.0002", "BTC": "94019.30010"},
}  # fmt: skip
TRANSFER = {
    "kind": "transfer", "id": "X1", "ts": "2025-01-01T00:00:03Z", "ts_in": "2025-01-01T00:20:00.5Z", "src": "kraken",
    "dst": "wallet.cold", "asset": "BTC", "sent": "0.1", "received": "0.0998", "fee": "0.0002", "txid": "0x05",
    "px": {"BTC": "94000"},
}  # fmt: skip
INCOME = {
    "kind": "income", "id": "I1", "ts": "2025-01-01T01:00:00Z", "venue": "kraken", "asset": "ETH", "amount": "0.0012",
    "why": "interest", "px": {"ETH": "3310.5"}, "fx": {"GBP": "0.79"}, "px_src": {"ETH": "kraken mid"}, "note": "Zinsen",
}  # fmt: skip
SPEND = {
    "kind": "spend", "id": "S1", "ts": "2025-01-01T02:00:00Z", "venue": "kraken", "asset": "USDT", "amount": "3.5",
    "why": "fee", "px": {"USDT": "1.0001"},
}  # fmt: skip
WITHDRAWAL = {
    "kind": "withdrawal", "id": "W1", "ts": "2025-01-01T03:00:00Z", "venue": "kraken", "asset": "USD", "amount": "500",
}  # fmt: skip
ONE_OF_EACH = (DEPOSIT, OPENING, FILL, TRANSFER, INCOME, SPEND, WITHDRAWAL)


def text_of(*lines: dict[str, Any]) -> str:
    """Return lines as a file has them."""
    return "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)


def a_file(path: Path, *lines: dict[str, Any]) -> Path:
    """Write lines to a file and return its path."""
    path.write_text(text_of(*lines), "utf-8")
    return path


def fills(count: int, *, first: int = 1, **changes: Any) -> Iterable[dict[str, Any]]:
    """Yield fills one second apart, with ids that count up."""
    for number in range(first, first + count):
        minute, second = divmod(number, 60)
        hour, minute = divmod(minute, 60)
        ts = f"2025-03-01T{hour:02d}:{minute:02d}:{second:02d}Z"
        yield FILL | {"id": f"kraken:F{number}", "ts": ts} | changes


OPENED_NS = parse_ts("2025-02-01T00:00:00Z")


def open_venue(store: SqlStore, **totals: str) -> None:
    """Let a daemon see for the first time what kraken holds, in a run of its own, at OPENED_NS."""
    begin(store)
    ledger = Ledger(store.all_balances(), store.transaction)
    balances = tuple(Balance(asset=asset, total=Decimal(total)) for asset, total in totals.items())
    envelope = Envelope(1, OPENED_NS, AccountSnapshotReceived(venue="kraken", balances=balances))
    store.commit([Record(envelope=envelope, outcome=Outcome(), transactions=ledger.apply(envelope))])
    store.end_run()


def balances_of(store: SqlStore, account: str) -> dict[str, str]:
    """Return what an account of the ledger has by asset, zeros left out."""
    return {asset: f"{number:f}" for asset, number in store.balances(account) if number}


def a_ledger(path: Path) -> SqlStore:
    """Open a ledger file for writing."""
    return a_store(f"sqlite:///{path}")
