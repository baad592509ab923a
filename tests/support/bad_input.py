"""A desk at which bad input is handed in: files, a ledger, the commands, and what is left on disk afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from arbot.cli.main import run
from arbot.domain.decisions import Outcome
from arbot.ledger.posting import Ledger
from arbot.ports import Record
from tests.support.bundle_world import sheet
from tests.support.journal_world import Book
from tests.support.stores import a_run

KRAKEN_HEADER = "txid,refid,time,type,subtype,aclass,asset,amount,fee,balance"
COINBASE_HEADER = "portfolio,trade id,product,side,created at,size,size unit,price,fee,total,price/fee/total unit"
MAPPED_HEADER = "Ref,Date,What,Side,Place,Coin,Quote,Amount,Price,Hash,Why,Cost,Bought,Usd"
MAP = """\
[time]
zone = "UTC"
[columns]
id = "Ref"
time = "Date"
kind = "What"
side = "Side"
account = "Place"
asset = "Coin"
base = "Coin"
quote = "Quote"
amount = "Amount"
price = "Price"
txid = "Hash"
why = "Why"
basis = "Cost"
acquired = "Bought"
usd_price = "Usd"
"""


class Told(NamedTuple):
    """What a command said."""

    code: int
    out: str
    err: str


class Desk:
    """A folder with one ledger; commands are given there, in this process."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys
        self.ledger = str(folder / "books.db")

    def run(self, *words: str) -> Told:
        """Give a command and return what it said."""
        self._capsys.readouterr()
        code = run(list(words))
        said = self._capsys.readouterr()
        return Told(code, said.out, said.err)

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file and return its path."""
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def import_file(self, name: str, content: str | bytes, *options: str) -> Told:
        """Hand in a file; a statement that needs a column map has one."""
        path = self.write(name, content)
        words = [word.replace("DIR", str(self.folder)) for word in options]
        if name.startswith("mapped") and "--map" not in words:
            words += ["--map", str(self.write("map.toml", MAP))]
        return self.run("ledger", "import", str(path), "--ledger", self.ledger, *words)

    def report(self, *words: str) -> Told:
        """Ask for the bundle of 2025."""
        year = [] if "--year" in words else ["--year", "2025"]
        return self.run("tax", "report", *year, "--ledger", self.ledger, "--out", str(self.out), *words)

    def export(self, name: str, *words: str) -> Told:
        """Ask for a file of another program."""
        return self.run("tax", "export", "--format", name, "--ledger", self.ledger, "--out", str(self.file), *words)

    @property
    def out(self) -> Path:
        """The folder of the bundle."""
        return self.folder / "bundle"

    @property
    def file(self) -> Path:
        """The file of an export."""
        return self.folder / "export.csv"

    def history(self) -> str:
        """Return everything that is booked; nothing when there is no ledger."""
        told = self.run("ledger", "export", "--ledger", self.ledger)
        return told.out if told.code == 0 else ""

    def accepted(self) -> list[tuple[str, str]]:
        """Return code and place of what the bundle says was accepted, after a look that all three places say it."""
        items = [(row["code"], row["where"]) for row in sheet(self.out, "open-items.csv")]
        manifest = json.loads((self.out / "manifest.json").read_text("utf-8"))
        assert items == [(item["code"], item["where"]) for item in manifest["accepted"]]
        page = (self.out / "summary.html").read_text("utf-8")
        assert f"Open items that were accepted by name ({len(items)})" in page
        assert all(f"<code>{code}</code>" in page for code, _ in items)
        return items


def lines(*rows: dict[str, Any]) -> str:
    """Return canonical lines as a file has them."""
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def deposit(name: str, ts: str, amount: str = "100000", **changes: Any) -> dict[str, Any]:
    """Return cash from the bank."""
    return {
        "kind": "deposit", "id": name, "ts": ts, "venue": "kraken", "asset": "USD", "amount": amount,
    } | changes  # fmt: skip


def opening(name: str, ts: str, amount: str = "1", **changes: Any) -> dict[str, Any]:
    """Return bitcoin with a history."""
    return {
        "kind": "opening", "id": name, "ts": ts, "venue": "kraken", "asset": "BTC", "amount": amount,
        "basis": "20000", "acquired": "2023-06-15T12:00:00Z",
    } | changes  # fmt: skip


def fill(name: str, ts: str, side: str, amount: str, cost: str, **changes: Any) -> dict[str, Any]:
    """Return a trade of bitcoin for dollars."""
    return {
        "kind": "fill", "id": name, "ts": ts, "venue": "kraken", "symbol": "BTC/USD", "base": "BTC", "quote": "USD",
        "side": side, "amount": amount, "price": "50000", "cost": cost, "fee": "0", "fee_ccy": "USD", "order_id": "",
        "px": {"BTC": "50000"},
    } | changes  # fmt: skip


def spend(name: str, ts: str, amount: str, **changes: Any) -> dict[str, Any]:
    """Return a payment in bitcoin."""
    asset = changes.get("asset", "BTC")
    return {
        "kind": "spend", "id": name, "ts": ts, "venue": "kraken", "asset": asset, "amount": amount, "why": "payment",
        "px": {asset: "50000"},
    } | changes  # fmt: skip


def transfer(name: str, ts: str, ts_in: str | None, **changes: Any) -> dict[str, Any]:
    """Return a move of bitcoin into a wallet."""
    return {
        "kind": "transfer", "id": name, "ts": ts, "ts_in": ts_in, "src": "kraken", "dst": "wallet", "asset": "BTC",
        "sent": "0.1", "received": "0.1", "fee": "0", "px": {"BTC": "50000"},
    } | changes  # fmt: skip


def table(header: str, *rows: str) -> str:
    """Return a CSV."""
    return "".join(f"{row}\n" for row in (header, *rows))


def journal_into(url: str, book: Book, *, mode: str = "live") -> None:
    """Write a journal of an engine into a store, in one run."""
    store = a_run(url, mode=mode)
    ledger = Ledger(store.all_balances(), store.transaction)
    for step, entry in enumerate(book.entries, 1):
        envelope = msgspec.structs.replace(entry.envelope, seq=step)
        outcome = Outcome((), tuple(entry.decisions))
        store.commit([Record(envelope=envelope, outcome=outcome, transactions=ledger.apply(envelope, entry.decisions))])
    store.end_run()
    store.close()


def completed(drafts: str, mend: Callable[[dict[str, Any]], dict[str, Any]]) -> str:
    """Return drafts of lines as a person completes them."""
    return lines(*(mend(json.loads(draft)) for draft in drafts.splitlines()))


def codes_in(err: str, codes: Iterable[str]) -> list[str]:
    """Return which of these codes stand in a message."""
    return [code for code in codes if f"[{code}]" in err]
