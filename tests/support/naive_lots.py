"""A second reading of the lot rules, as plain as can be: lists, sorting and fractions. Nothing of the engine is used.

It takes canonical lines as dicts and states what a person would do by hand under 26 CFR 1.1001-7, 1.1012-1(h) and (j).
Slow on purpose. It refuses with `Refused` where units have no lot.
"""

from __future__ import annotations

from calendar import timegm
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import NamedTuple
from zoneinfo import ZoneInfo

MONEY = ("USD", "EUR", "GBP", "CAD", "AUD", "CHF", "JPY")


class Refused(Exception):
    """More units leave than have a lot."""


class NaiveSlice(NamedTuple):
    """A part of a disposal out of one lot."""

    disposal: str
    lot: str
    asset: str
    account: str
    qty: Fraction
    proceeds: Fraction
    basis: Fraction
    acquired: int
    sold: int
    why: str
    method: str


def moment(text: str) -> int:
    """Return ns since the epoch."""
    whole, _, part = text.rstrip("Z").partition(".")
    seconds = timegm(datetime.strptime(whole + "+0000", "%Y-%m-%dT%H:%M:%S%z").utctimetuple())
    return seconds * 10**9 + int((part or "0").ljust(9, "0"))


def naive_term(acquired: int, sold: int, timezone: str = "UTC") -> str:
    """Return L when a year has passed, counted from the day after acquisition, else S. Walks the calendar day by day."""
    zone = ZoneInfo(timezone)
    first = datetime.fromtimestamp(acquired // 10**9, zone).date() + timedelta(days=1)
    last = datetime.fromtimestamp(sold // 10**9, zone).date()
    month, day = (3, 1) if (first.month, first.day) == (2, 29) else (first.month, first.day)
    return "L" if last >= date(first.year + 1, month, day) else "S"


class NaiveLots:
    """All lots in one list. `method` is one name; `orders` and `picks` are lists of dicts that counted already."""

    def __init__(self, method: str = "fifo", *, pooled: bool = False, picks: dict[str, list] | None = None) -> None:
        self.method = method
        self.pooled = pooled
        self.picks = picks or {}
        self.lots: list[dict] = []
        self.flying: list[tuple[int | None, str, list[dict]]] = []
        self.slices: list[NaiveSlice] = []
        self.count = 0

    def run(self, rows: list[dict]) -> NaiveLots:
        """Take all lines; then let everything arrive that will."""
        for row in rows:
            self.land(moment(row["ts"]))
            getattr(self, "on_" + row["kind"])(row)
        self.land(1 << 62)
        return self

    def land(self, now: int) -> None:
        for arrives, to, lots in list(self.flying):
            if arrives is not None and arrives <= now:
                self.flying.remove((arrives, to, lots))
                for lot in lots:
                    self.lots.append({**lot, "account": to})

    def on_deposit(self, row: dict) -> None:
        """Cash has no lots."""

    def on_withdrawal(self, row: dict) -> None:
        """Cash has no lots."""

    def on_opening(self, row: dict) -> None:
        self.acquire(
            row["id"],
            row["venue"],
            row["asset"],
            Fraction(row["amount"]),
            Fraction(row["basis"]),
            moment(row["acquired"]),
        )

    def on_income(self, row: dict) -> None:
        if row["asset"] not in MONEY:
            worth = Fraction(row["amount"]) * self.price(row, row["asset"])
            self.acquire(row["id"], row["venue"], row["asset"], Fraction(row["amount"]), worth, moment(row["ts"]))

    def on_spend(self, row: dict) -> None:
        if row["asset"] not in MONEY:
            worth = Fraction(row["amount"]) * self.price(row, row["asset"])
            self.dispose(row, row["id"], row["asset"], Fraction(row["amount"]), worth, "spend")

    def on_transfer(self, row: dict) -> None:
        asset = row["asset"]
        if asset in MONEY:
            return
        here = {**row, "venue": row["src"]}
        fee = Fraction(row["fee"])
        if fee:
            self.dispose(here, row["id"] + ":fee", asset, fee, fee * self.price(row, asset), "transfer_fee")
        moved = self.take(row["src"], asset, Fraction(row["received"]), row["id"])
        if not self.pooled:
            self.flying.append((moment(row["ts_in"]) if row["ts_in"] else None, row["dst"], moved))
            self.land(moment(row["ts"]))
        else:
            self.lots += moved

    def on_fill(self, row: dict) -> None:
        """Cases F1 to F13, one after the other."""
        name, here, now = row["id"], row["venue"], moment(row["ts"])
        amount, cost, fee, fee_ccy = (
            Fraction(row["amount"]),
            Fraction(row["cost"]),
            Fraction(row["fee"]),
            row["fee_ccy"],
        )
        base, quote = row["base"], row["quote"]
        value = cost * self.price(row, quote)
        out, out_qty, into, into_qty = (
            (quote, cost, base, amount) if row["side"] == "buy" else (base, amount, quote, cost)
        )
        if fee_ccy == into and into not in MONEY:
            worth = value * fee / into_qty
        elif fee:
            worth = fee * self.price(row, fee_ccy)
        else:
            worth = Fraction(0)
        fee_in_coin = fee != 0 and fee_ccy not in MONEY
        on_top = fee > 0 and fee_in_coin and fee_ccy == out
        if out not in MONEY:
            if on_top:  # F5, F10
                self.dispose(row, name, out, out_qty + fee, value, "sell")
            else:  # F2, F3, F4, F6, F9, F13
                self.dispose(row, name, out, out_qty, value - worth, "sell")
        if into not in MONEY:
            basis = value + worth if out in MONEY else value  # F1, F8, F11; or F3 to F6
            self.acquire(name, here, into, into_qty, basis, now)
        if fee_in_coin and fee < 0:
            self.acquire(name + ":rebate", here, fee_ccy, -fee, -worth, now)
        elif fee_in_coin and not on_top:
            withheld = fee_ccy == into and out not in MONEY
            self.dispose(
                row, name + ":fee", fee_ccy, fee, worth, "withheld" if withheld else "fee", name if withheld else ""
            )

    def price(self, row: dict, asset: str) -> Fraction:
        return Fraction(1) if asset == "USD" else Fraction(row["px"][asset])

    def acquire(self, lot: str, account: str, asset: str, qty: Fraction, basis: Fraction, acquired: int) -> None:
        self.count += 1
        self.lots.append(
            {
                "lot": lot,
                "account": account,
                "asset": asset,
                "qty": qty,
                "basis": basis,
                "acquired": acquired,
                "n": self.count,
            }
        )

    def dispose(
        self, row: dict, name: str, asset: str, qty: Fraction, proceeds: Fraction, why: str, only: str = ""
    ) -> None:
        for lot in self.take(row["venue"], asset, qty, name, only):
            share = proceeds * lot["qty"] / qty
            self.slices.append(
                NaiveSlice(
                    name,
                    lot["lot"],
                    asset,
                    row["venue"],
                    lot["qty"],
                    share,
                    lot["basis"],
                    lot["acquired"],
                    moment(row["ts"]),
                    why,
                    lot["chosen"],
                )
            )

    def take(self, account: str, asset: str, qty: Fraction, name: str, only: str = "") -> list[dict]:
        """Take units out of the lots, named ones first, then in order; each taken part is a lot of its own."""
        taken = []
        wishes = (
            [(only, qty)] if only else [*((p["lot"], Fraction(p["qty"])) for p in self.picks.get(name, [])), ("", qty)]
        )
        for lot_name, most in wishes:
            wanted = min(most, qty)
            for lot in self.ranked(account, asset, lot_name):
                part = min(lot["qty"], wanted)
                if part:
                    basis = lot["basis"] * part / lot["qty"]
                    chosen = "pick" if lot_name and not only else self.method
                    taken.append({**lot, "qty": part, "basis": basis, "chosen": chosen})
                    lot["qty"] -= part
                    lot["basis"] -= basis
                    wanted -= part
                    qty -= part
            if lot_name and wanted:
                raise Refused(f"{lot_name} is short of {wanted} {asset} at {account}")
        self.lots = [lot for lot in self.lots if lot["qty"]]
        if qty:
            raise Refused(f"{account} is short of {qty} {asset}")
        return taken

    def ranked(self, account: str, asset: str, only: str) -> list[dict]:
        """Return the lots that may go, first one first."""
        lots = [
            lot
            for lot in self.lots
            if lot["qty"]
            and lot["asset"] == asset
            and only in {"", lot["lot"]}
            and (self.pooled or lot["account"] == account)
        ]
        lots.sort(key=lambda lot: (lot["acquired"], lot["n"]))
        if self.method == "lifo":
            lots.reverse()
        elif self.method in {"hifo", "lofo"}:
            lots.sort(key=lambda lot: lot["basis"] / lot["qty"], reverse=self.method == "hifo")
        return lots

    def left(self) -> dict[tuple[str, str, str], tuple[Fraction, Fraction]]:
        """Return quantity and basis left by (account, asset, lot)."""
        flying = [{**lot, "account": "in-transit"} for _, _, lots in self.flying for lot in lots]
        found: dict = {}
        for lot in self.lots + flying:
            key = ("*" if self.pooled else lot["account"], lot["asset"], lot["lot"])
            qty, basis = found.get(key, (Fraction(0), Fraction(0)))
            found[key] = qty + lot["qty"], basis + lot["basis"]
        return found
