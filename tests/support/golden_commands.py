"""Lot cases as a user brings them: canonical lines in a file, choices in the journal at their own times, two commands.

Rules of this file:
- A purchase or sale for USD is a fill of COIN/USD with its fee in USD; a swap is a fill of what is given against what is
  received, whose USD price makes it worth what the case says; `fill` is a line in short. A gift has no line, nor has a fee
  for disposing of a fee.
- A choice is journaled as the running program does it, in a run whose clock shows the time that the case has it recorded.
- Custody, and the time at which a global allocation was carried out, come from a configuration file.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from arbot.cli.main import run
from arbot.domain.decisions import Outcome
from arbot.domain.events import Envelope, Event, LotOrderRecorded, LotsPicked
from arbot.domain.history import LotMethod, PickedLot, parse_ts
from arbot.journal.store import SqlStore
from arbot.ports import Record
from arbot.runtime.clock import VirtualClock
from tests.support.bundle_world import jsonl

ZERO = Decimal(0)
MAIN = "main"


class NoLine(Exception):
    """A case tells something that canonical lines cannot say."""


def lines_of(tx: Iterable[dict[str, Any]], allocation: str = "") -> list[dict[str, Any]]:
    """Return the transactions of a case as canonical lines, its openings marked as of an allocation; lines stay as they are.

    Raises: NoLine.
    """
    lines = [_LINES[one["t"]](one) if "t" in one else one for one in tx]
    return [line | {"allocation": allocation} if allocation and line["kind"] == "opening" else line for line in lines]


def _head(kind: str, one: dict[str, Any]) -> dict[str, Any]:
    return {"kind": kind, "id": one["id"], "ts": one["ts"]}


def _for_cash(one: dict[str, Any]) -> dict[str, Any]:
    qty, cash = one["qty"], one["cash"]
    price = text(Decimal(cash) / Decimal(qty))
    return _head("fill", one) | {
        "venue": one["account"], "symbol": f"{one['asset']}/USD", "base": one["asset"], "quote": "USD", "side": one["t"],
        "amount": qty, "price": price, "cost": cash, "fee": one.get("fee", "0"), "fee_ccy": "USD", "order_id": "",
        "px": {one["asset"]: price},
    }  # fmt: skip


def _spend(one: dict[str, Any]) -> dict[str, Any]:
    if Decimal(one.get("fee", 0)):
        raise NoLine("a payment in coins has no fee of its own")
    return _head("spend", one) | {
        "venue": one["account"], "asset": one["asset"], "amount": one["qty"], "why": "payment",
        "px": {one["asset"]: text(Decimal(one["cash"]) / Decimal(one["qty"]))},
    }  # fmt: skip


def _swap(one: dict[str, Any]) -> dict[str, Any]:
    give, get = one["give"], one["get"]
    value, received = Decimal(get["value"]), Decimal(get["qty"])
    px = {get["asset"]: text(value / received), give["asset"]: text(value / Decimal(give["qty"]))}
    fees = one.get("fee_assets") or []
    told = [one.get("cost_cash"), one.get("withheld_from_given"), one.get("withheld_from_received"), *fees]
    if sum(map(bool, told)) > 1 or any(fee["for"] != MAIN for fee in fees):
        raise NoLine("a fill has one fee, which is a cost of the exchange")
    fee, fee_ccy = "0", "USD"
    if one.get("cost_cash"):
        fee = one["cost_cash"]
    elif one.get("withheld_from_given"):
        fee, fee_ccy = one["withheld_from_given"]["qty"], give["asset"]
    elif one.get("withheld_from_received"):
        fee, fee_ccy = one["withheld_from_received"]["qty"], get["asset"]
    for charged in fees:
        fee, fee_ccy = charged["qty"], charged["asset"]
        px[fee_ccy] = text(Decimal(charged["value"]) / Decimal(fee))
    return _head("fill", one) | {
        "venue": one["account"], "symbol": f"{give['asset']}/{get['asset']}", "base": give["asset"],
        "quote": get["asset"], "side": "sell", "amount": give["qty"], "price": text(received / Decimal(give["qty"])),
        "cost": get["qty"], "fee": fee, "fee_ccy": fee_ccy, "order_id": "", "px": px,
    }  # fmt: skip


def _move(one: dict[str, Any]) -> dict[str, Any]:
    fee = Decimal(one["sent"]) - Decimal(one["received"])
    return _head("transfer", one) | {
        "ts_in": one.get("ts_in") or one["ts"], "src": one["account"], "dst": one["to"], "asset": one["asset"],
        "sent": one["sent"], "received": one["received"], "fee": text(fee), "txid": "",
        "px": {one["asset"]: one["price"] if Decimal(one["price"]) else "1"},
    }  # fmt: skip


def _opening(one: dict[str, Any]) -> dict[str, Any]:
    return _head("opening", one) | {
        "venue": one["account"], "asset": one["asset"], "amount": one["qty"],
        "basis": text(Decimal(one["qty"]) * Decimal(one["unit_basis"])), "acquired": one["acquired"],
    }  # fmt: skip


def _income(one: dict[str, Any]) -> dict[str, Any]:
    return _head("income", one) | {
        "venue": one["account"], "asset": one["asset"], "amount": one["qty"], "why": "reward",
        "px": {one["asset"]: text(Decimal(one["value"]) / Decimal(one["qty"]))},
    }  # fmt: skip


def _fill(one: dict[str, Any]) -> dict[str, Any]:
    base, _, quote = one["pair"].partition("/")
    fee, _, fee_ccy = one.get("fee", f"0 {quote}").partition(" ")
    line = _head("fill", one) | {
        "venue": one["account"], "symbol": one["pair"], "base": base, "quote": quote, "side": one["side"],
        "amount": one["qty"], "price": text(Decimal(one["cost"]) / Decimal(one["qty"])), "cost": one["cost"], "fee": fee,
        "fee_ccy": fee_ccy, "order_id": "", "px": one["px"],
    }  # fmt: skip
    return line | ({"fx": one["fx"]} if "fx" in one else {})


def _gift(one: dict[str, Any]) -> dict[str, Any]:
    raise NoLine(f"a gift has no line: {one['id']}")


_LINES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "buy": _for_cash, "sell": _for_cash, "spend": _spend, "swap": _swap, "move": _move, "fill": _fill, "opening": _opening,
    "income": _income, "gift": _gift,
}  # fmt: skip


def text(number: Decimal) -> str:
    """Return plain decimal text."""
    return f"{number:f}"


# --- choices ---------------------------------------------------------------------------------------------------------


def choices_of(case: dict[str, Any]) -> list[tuple[int, Event]]:
    """Return orders and picks of a case with the instant at which each was recorded or told, in order of time."""
    found: list[tuple[int, Event]] = []
    for order in case.get("orders") or ():
        found += _told(order, lambda told, order=order: LotOrderRecorded(
            method=LotMethod(order["method"]), venue=order.get("account") or "", asset=order.get("asset") or "",
            is_told_to_broker=told, actor="me",
        ))  # fmt: skip
    for one in case.get("tx", ()):
        if pick := one.get("pick"):
            lots = tuple(PickedLot(named["lot"], Decimal(named["qty"])) for named in pick["lots"])
            found += _told(
                pick, lambda told, one=one, lots=lots: LotsPicked(disposal=one["id"], lots=lots, is_told_to_broker=told)
            )
    if isinstance(case.get("method"), dict):
        for year, method in case["method"].items():
            recorded_ns = max(1, parse_ts(f"{year}-01-01T00:00:00Z") - 1)
            found.append((recorded_ns, LotOrderRecorded(method=LotMethod(method))))
    return sorted(found, key=lambda each: each[0])


def _told(record: dict[str, Any], event: Callable[[bool], Event]) -> list[tuple[int, Event]]:
    recorded, told = record.get("recorded_at"), record.get("told_broker_at")
    if told and recorded in (None, told):
        return [(parse_ts(told), event(True))]
    return [(parse_ts(recorded), event(False))] + ([(parse_ts(told), event(True))] if told else [])


def journal_at(ledger: Path, events: Iterable[tuple[int, Event]]) -> None:
    """Journal events as of given instants (ns), in one run."""
    store = SqlStore.open(f"sqlite:///{ledger}", now_ns=VirtualClock().now_ns)
    try:
        with store.run_at_once(run_id="choices", code_version="test") as connection:
            records = [
                Record(envelope=Envelope(step, ts_ns, event), outcome=Outcome())
                for step, (ts_ns, event) in enumerate(events, start=1)
            ]
            store.append(connection, records)
    finally:
        store.close()


# --- commands --------------------------------------------------------------------------------------------------------


def config_of(case: dict[str, Any], folder: Path) -> Path:
    """Write a configuration that says who keeps which account, and when an allocation was carried out."""
    custody = "".join(f'"{name}" = "{kind}"\n' for name, kind in (case.get("accounts") or {}).items())
    completed = (case.get("allocation") or {}).get("completed_at")
    path = folder / "config.toml"
    path.write_text(
        '[run]\nname = "case"\nmode = "paper"\nsymbols = ["BTC/USD"]\n'
        '[venues.kraken]\nadapter = "kraken"\n[venues.coinbase]\nadapter = "coinbase"\n'
        '[paper.venues.kraken]\nbalances = { USD = "1" }\n[paper.venues.coinbase]\nbalances = { USD = "1" }\n'
        "[tax]\n"
        + (f'allocation_completed = "{completed}"\n' if completed else "")
        + (f"[tax.custody]\n{custody}" if custody else ""),
        "utf-8",
    )
    return path


def with_cash(rows: list[dict[str, Any]], *currencies: str) -> list[dict[str, Any]]:
    """Give every account cash enough for a case that says nothing of it: USD, or these currencies at 1.25 USD."""
    places = sorted({row[name] for row in rows for name in ("venue", "src", "dst") if name in row})
    ts = min((row["ts"] for row in rows), key=parse_ts)
    return [
        {"kind": "deposit", "id": f"cash-{place}-{ccy}", "ts": ts, "venue": place, "asset": ccy, "amount": "10000000"}
        | ({} if ccy == "USD" else {"px": {ccy: "1.25"}})
        for place in places
        for ccy in currencies or ("USD",)
    ] + rows


def import_lines(folder: Path, rows: Iterable[dict[str, Any]], name: str = "history.jsonl") -> Path:
    """Import rows by the command into folder/ledger.db and return that; the command has to succeed."""
    file, ledger = folder / name, folder / "ledger.db"
    file.write_text("".join(json.dumps(row, separators=(", ", ": ")) + "\n" for row in rows), "utf-8")
    assert run(["ledger", "import", str(file), "--ledger", str(ledger)]) == 0
    return ledger


def report(ledger: Path, out: Path, *words: str) -> int:
    """Report by the command and return its exit code."""
    return run(["tax", "report", "--ledger", str(ledger), "--out", str(out), *words])


def rows_told(folder: Path) -> dict[tuple[str, str, str, bool], dict[str, Decimal]]:
    """Return quantity, proceeds, basis and gain of disposals.jsonl by (disposal, lot, term, is it withheld)."""
    rows: dict[tuple[str, str, str, bool], dict[str, Decimal]] = {}
    for one in jsonl(folder, "disposals.jsonl"):
        key = one["disposal"], one["lot"], one["term"], one["why"] == "withheld"
        row = rows.setdefault(key, dict.fromkeys(("qty", "proceeds", "basis", "gain"), ZERO))
        for name in row:
            row[name] += Decimal(one[name])
    return rows


def left_told(folder: Path) -> dict[tuple[str, str, str], dict[str, Decimal]]:
    """Return quantity and basis of remaining.jsonl by (account, asset, lot)."""
    return {
        (one["account"], one["asset"], one["lot"]): {"qty": Decimal(one["qty"]), "basis": Decimal(one["basis"])}
        for one in jsonl(folder, "remaining.jsonl")
    }


def years_of(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Return the calendar years in which something happened, ascending."""
    return sorted({row["ts"][:4] for row in rows})


def balances_booked(ledger: Path) -> dict[tuple[str, str], Decimal]:
    """Return what the ledger's table of balances says, by account and asset."""
    with sqlite3.connect(ledger) as connection:
        rows = connection.execute("SELECT account, asset, number FROM balances").fetchall()
    return {(account, asset): Decimal(number) for account, asset, number in rows}
