"""Histories drawn by hypothesis: canonical lines of three accounts and three coins, in which nothing is ever overdrawn.

Prices and quantities are small numbers on purpose, so that equal costs and equal times are met; fees come in every way.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

ACCOUNTS = ("alpha", "beta", "gamma.sub1")
COINS = ("BTC", "ETH", "USDT")
CASH = ("USD", "EUR")
FEES = ("none", "received", "given", "third", "cash", "rebate", "rebate_given", "rebate_third")
START = datetime(2024, 2, 27, 22, tzinfo=UTC)

KINDS = ("buy", "buy", "sell", "swap", "swap", "move", "move", "income", "spend", "opening")


class Drawing:
    """Turns drawn numbers into lines, and knows what each account holds."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        self.flying: list[tuple[datetime, str, str, Decimal]] = []
        self.rows: list[dict[str, Any]] = []
        self.now = START

    def step(self, kind: str, numbers: tuple[int, ...]) -> None:
        """Append one line if inventory allows it. `numbers`: account, other, coin, share, price, fee, hours, delay."""
        account, other, coin, share, price, fee, hours, delay = numbers
        self.now += timedelta(hours=hours)
        for arrival in [each for each in self.flying if each[0] <= self.now]:
            self.flying.remove(arrival)
            self.held[arrival[1], arrival[2]] += arrival[3]
        place, asset = ACCOUNTS[account], COINS[coin]
        px = {COINS[n]: str(price + n * 7) for n in range(3)} | {"EUR": "1.08"}
        part = (self.held[place, asset] * share / 100).quantize(Decimal("0.001"), "ROUND_DOWN")
        name = f"n{len(self.rows):04d}"
        row: dict[str, Any] = {"kind": kind, "id": name, "ts": text_of(self.now)}
        if kind in {"income", "opening"}:
            self.held[place, asset] += Decimal(share)
            row |= {"venue": place, "asset": asset, "amount": str(share)}
            if kind == "income":
                row |= {"why": "interest", "px": {asset: px[asset]}}
            else:
                row |= {"basis": str(share * price), "acquired": text_of(self.now - timedelta(hours=delay * 24 * 30))}
        elif kind == "spend" and part:
            self.held[place, asset] -= part
            row |= {"venue": place, "asset": asset, "amount": str(part), "why": "fee", "px": {asset: px[asset]}}
        elif kind == "move" and part and account != other:
            self.move(row, place, ACCOUNTS[other], asset, part, fee, delay, px)
        elif kind in {"buy", "sell", "swap"}:
            if not self.trade(row, kind, place, asset, COINS[(coin + 1 + other % 2) % 3], part, numbers, px):
                return
        else:
            return
        self.rows.append(row)

    def move(self, row: dict, src: str, dst: str, asset: str, sent: Decimal, fee: int, delay: int, px: dict) -> None:
        charged = (sent * fee / 100).quantize(Decimal("0.0001"))
        arrives = self.now + timedelta(hours=delay)
        self.held[src, asset] -= sent
        self.flying.append((arrives, dst, asset, sent - charged))
        row |= {
            "kind": "transfer",
            "ts_in": text_of(arrives),
            "src": src,
            "dst": dst,
            "asset": asset,
            "sent": str(sent),
        }
        row |= {"received": str(sent - charged), "fee": str(charged), "txid": "0x1", "px": {asset: px[asset]}}

    def trade(
        self, row: dict, kind: str, place: str, asset: str, wanted: str, part: Decimal, numbers: tuple, px: dict
    ) -> bool:
        _, other, _, share, price, fee, _, delay = numbers
        cash = CASH[delay % 2]
        if kind == "buy":
            base, quote, side, amount, cost = asset, cash, "buy", Decimal(share), Decimal(share * price)
        elif not part:
            return False
        elif kind == "sell":
            base, quote, side, amount, cost = asset, cash, "sell", part, part * price
        elif other % 2:
            base, quote, side, amount, cost = asset, wanted, "sell", part, part * 3
        else:
            base, quote, side, amount, cost = wanted, asset, "buy", part * 2, part
        given, received = (quote, base) if side == "buy" else (base, quote)
        given_qty, received_qty = (cost, amount) if side == "buy" else (amount, cost)
        third = next(coin for coin in COINS if coin not in {given, received})
        where = FEES[fee]
        unit = {"received": received_qty, "rebate": received_qty, "given": given_qty, "rebate_given": given_qty}
        charged = (unit.get(where, Decimal(7)) * (1 + fee) / 1000).normalize()
        fee_ccy = {"received": received, "rebate": received, "given": given, "rebate_given": given, "cash": "USD"}.get(
            where, third
        )
        charged = Decimal(0) if where == "none" else -charged if where.startswith("rebate") else charged
        after = dict.fromkeys((given, received, fee_ccy), Decimal(0))
        for moved, qty in ((given, -given_qty), (received, received_qty), (fee_ccy, -charged)):
            after[moved] += qty
        if any(self.held[place, moved] + qty < 0 for moved, qty in after.items() if moved in COINS):
            return False
        for moved, qty in after.items():
            self.held[place, moved] += qty
        row |= {"kind": "fill", "venue": place, "symbol": f"{base}/{quote}", "base": base, "quote": quote, "side": side}
        row |= {"amount": format(amount, "f"), "price": "1", "cost": format(cost, "f"), "fee": format(charged, "f")}
        row |= {"fee_ccy": fee_ccy, "order_id": "o", "px": {a: px[a] for a in (base, quote, fee_ccy) if a != "USD"}}
        return True


def text_of(when: datetime) -> str:
    """Return a time as lines write it."""
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


_NUMBERS = st.tuples(
    st.integers(0, 2),
    st.integers(0, 2),
    st.integers(0, 2),
    st.integers(1, 100),
    st.integers(1, 9),
    st.integers(0, len(FEES) - 1),
    st.sampled_from((0, 0, 1, 24, 24 * 40)),
    st.integers(0, 40),
)


def rows_of_steps(steps: list[tuple[str, tuple[int, ...]]]) -> list[dict[str, Any]]:
    """Return the lines of drawn steps."""
    drawing = Drawing()
    for kind, numbers in steps:
        drawing.step(kind, numbers)
    return drawing.rows


def histories(kinds: tuple[str, ...] = KINDS, most: int = 40) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Draw histories of up to `most` lines of these kinds; the first lines open a lot of each coin at each account."""
    openings = [("opening", (account, 0, coin, 50 + coin, 3, 0, 0, 9)) for account in range(3) for coin in range(3)]
    steps = st.lists(st.tuples(st.sampled_from(kinds), _NUMBERS), min_size=most // 3, max_size=most)
    return steps.map(lambda drawn: rows_of_steps(openings + drawn))
