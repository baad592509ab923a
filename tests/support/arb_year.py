"""An arbitrage year made up from a seed, as canonical history lines: for tests and measurements of lots and taxes.

Rules of this file:
- Three accounts: kraken (cash pairs), coinbase (cash pairs, rebates), binance (stablecoin and coin pairs). Fees come in
  cash, withheld from what is received, on top of what is given, in a third coin, and as rebates; one fill in fifty of kraken
  is against EUR.
- No account is ever overdrawn: inventory turns back where it runs low, and transfers with a fee in kind even it out.
- Whole numbers of 1e-8 inside, so every amount is exact; the same arguments give the same lines.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from arbot.domain.history import HistoryLine, Placed, parse_ts

UNIT = 10**8
STEP = {"BTC": 1_000, "ETH": 100_000}
TRADE = {"BTC": (100, 2_000), "ETH": (20, 900)}  # least and most steps of one fill
MOVE_FEE = {"BTC": 15_000, "ETH": 350_000, "USDT": 4 * UNIT, "USDC": 4 * UNIT}
QUOTES = {"kraken": ("USD",), "coinbase": ("USD",), "binance": ("USDT", "USDC")}
START = {"BTC": 9_400_000, "ETH": 330_000, "BNB": 65_000}  # cents


def number(units: int) -> str:
    """Return plain text of a number of 1e-8."""
    whole, part = divmod(abs(units), UNIT)
    text = f"{whole}.{part:08d}".rstrip("0").rstrip(".") if part else str(whole)
    return f"-{text}" if units < 0 else text


class ArbYear:
    """The state of one made-up year: prices, balances, coins on their way, the clock."""

    def __init__(self, fills: int, seed: int, start: str, days: int, *, has_fx: bool) -> None:
        self.random = Random(seed)
        self.start_s = int(datetime.fromisoformat(start).replace(tzinfo=UTC).timestamp())
        self.gap_s = max(1.0, days * 86_400 / max(fills, 1) * 0.99)
        self.at_s = float(self.start_s)
        self.made = 0
        self.fills = fills
        self.price = dict(START)
        self.balance = {
            (venue, asset): 0 for venue in QUOTES for asset in ("USD", "EUR", "BTC", "ETH", "USDT", "USDC", "BNB")
        }
        self.coming: list[tuple[float, str, str, int]] = []
        self.has_fx = has_fx
        self.lines = 0

    def line(self, kind: str, ident: str, fields: dict[str, Any], px: dict[str, str] | None = None) -> dict[str, Any]:
        row = {"kind": kind, "id": ident, "ts": self.time(self.at_s), **fields}
        if px:
            row["px"] = px
        if self.has_fx:
            row["fx"] = {"GBP": f"0.{7_700 + self.lines % 200}"}
        self.lines += 1
        return row

    def time(self, at_s: float) -> str:
        text = datetime.fromtimestamp(int(at_s), UTC).strftime("%Y-%m-%dT%H:%M:%S")
        thousandth = int(at_s * 1000) % 1000
        return f"{text}.{thousandth:03d}Z" if thousandth else f"{text}Z"

    def usd(self, asset: str) -> int:
        """Return the USD price of an asset in 1e-6."""
        if asset in self.price:
            return self.price[asset] * 10_000
        return {"USD": 1_000_000, "EUR": 1_080_000, "USDT": 1_000_200, "USDC": 1_000_000}[
            asset
        ] + self.lines % 7 * 100 * (asset != "USD")

    def px(self, *assets: str) -> dict[str, str]:
        return {asset: number(self.usd(asset) * 100) for asset in dict.fromkeys(assets) if asset != "USD"}

    def opening(self) -> Iterator[dict[str, Any]]:
        """Yield cash, coins with a history, and the first purchases of stablecoins."""
        for venue, amount in (("kraken", 6_000_000), ("coinbase", 4_000_000)):
            self.balance[venue, "USD"] = amount * UNIT
            yield self.line("deposit", f"D-{venue}", {"venue": venue, "asset": "USD", "amount": str(amount)})
        self.balance["kraken", "EUR"] = 400_000 * UNIT
        yield self.line("deposit", "D-eur", {"venue": "kraken", "asset": "EUR", "amount": "400000"}, self.px("EUR"))
        year = self.time(self.start_s)[:4]
        for index, (venue, asset, amount, price, month) in enumerate(
            (venue, asset, amount, price, month)
            for venue in QUOTES
            for asset, amount, price in (("BTC", 6, 52_000), ("ETH", 90, 2_400), ("BNB", 150, 510))
            for month in (2, 5, 11)
        ):
            self.at_s += 1
            self.balance[venue, asset] += amount * UNIT
            fields = {
                "venue": venue,
                "asset": asset,
                "amount": str(amount),
                "basis": str(amount * (price + 37 * index)),
                "acquired": f"{int(year) - 1}-{month:02d}-{1 + index:02d}T12:00:00Z",
            }
            yield self.line("opening", f"L{index:04d}", fields)
        for asset in ("USDT", "USDC"):
            self.at_s += 1
            yield self.fill("kraken", asset, "USD", "buy", 1_500_000 * UNIT, 100, "given")
            self.at_s += 1
            yield self.transfer("kraken", "binance", asset, 1_400_000 * UNIT)
        self.at_s += 3_600

    def fill(
        self, venue: str, base: str, quote: str, side: str, amount: int, price: int, fee_from: str
    ) -> dict[str, Any]:
        """Return one execution at `price` cents, or 1e-5 for a pair of coins; `fee_from` names where its fee is taken."""
        cost = amount * price // (100_000 if quote == "BTC" else 100)
        given, given_qty, received, received_qty = (
            (quote, cost, base, amount) if side == "buy" else (base, amount, quote, cost)
        )
        fee_ccy, fee = {
            "received": (received, received_qty // 1_000),
            "given": (given, given_qty // 1_000),
            "third": ("BNB", cost * self.usd(quote) // self.usd("BNB") * 3 // 4_000),
            "rebate": (quote, -(cost // 10_000)),
            "none": (quote, 0),
        }[fee_from]
        for asset, change in ((given, -given_qty), (received, received_qty), (fee_ccy, -fee)):
            self.balance[venue, asset] += change
        self.made += 1
        fields = {
            "venue": venue,
            "symbol": f"{base}/{quote}",
            "base": base,
            "quote": quote,
            "side": side,
            "amount": number(amount),
            "price": number(price * (1_000 if quote == "BTC" else 1_000_000)),
            "cost": number(cost),
            "fee": number(fee),
            "fee_ccy": fee_ccy,
            "order_id": f"O{self.made // 2:08d}",
        }
        return self.line("fill", f"{venue}:T{self.made:08d}", fields, self.px(base, quote, fee_ccy))

    def transfer(self, src: str, dst: str, asset: str, sent: int) -> dict[str, Any]:
        """Return a move that arrives some minutes later; cash moves free of charge."""
        fee = MOVE_FEE.get(asset, 0)
        arrives_s = self.at_s + self.random.randint(2, 2_400)
        self.balance[src, asset] -= sent
        self.coming.append((arrives_s, dst, asset, sent - fee))
        fields = {
            "ts_in": self.time(arrives_s),
            "src": src,
            "dst": dst,
            "asset": asset,
            "sent": number(sent),
            "received": number(sent - fee),
            "fee": number(fee),
            "txid": f"0x{self.lines:016x}",
        }
        return self.line("transfer", f"X{self.lines:08d}", fields, self.px(asset))

    def arrive(self) -> None:
        waiting = []
        for arrives_s, dst, asset, qty in self.coming:
            if int(arrives_s * 1000) <= int(self.at_s * 1000):
                self.balance[dst, asset] += qty
            else:
                waiting.append((arrives_s, dst, asset, qty))
        self.coming = waiting

    def round_trip(self) -> Iterator[dict[str, Any]]:
        """Yield a purchase at one venue and the sale of as much at another, whichever way inventory allows."""
        chance = self.random
        base = chance.choice(("BTC", "ETH"))
        self.price[base] += self.price[base] * chance.randint(-40, 40) // 10_000
        self.price[base] += (START[base] - self.price[base]) // 500
        amount = STEP[base] * chance.randint(*TRADE[base])
        buy_at, sell_at = chance.sample(sorted(QUOTES), 2)
        for one, other in ((buy_at, sell_at), (sell_at, buy_at)):
            quote = chance.choice(QUOTES[one])
            if self.balance[one, quote] > amount * self.price[base] // 90 and self.balance[other, base] > amount * 2:
                yield self.leg(one, base, quote, "buy", amount, self.price[base] - chance.randint(0, 60))
                if self.made < self.fills:
                    self.at_s += chance.randint(0, 2) / 4
                    self.arrive()
                    other_quote = chance.choice(QUOTES[other])
                    yield self.leg(other, base, other_quote, "sell", amount, self.price[base] + chance.randint(0, 60))
                return
        yield from self.even_out()

    def leg(self, venue: str, base: str, quote: str, side: str, amount: int, price: int) -> dict[str, Any]:
        roll = self.random.randrange(100)
        if venue == "kraken":
            if roll < 2 and (side == "sell" or self.balance[venue, "EUR"] > amount * price // 80):
                return self.fill(
                    venue, base, "EUR", side, amount, price * 100 // 108, "given" if side == "buy" else "received"
                )
            return self.fill(
                venue, base, quote, side, amount, price, "received" if roll < 40 else "given" if roll < 95 else "none"
            )
        if venue == "coinbase":
            return self.fill(venue, base, quote, side, amount, price, "rebate" if roll < 25 else "received")
        if roll < 3 and base == "ETH" and self.balance[venue, "BTC"] > UNIT:
            return self.fill(
                venue, base, "BTC", side, amount, self.price["ETH"] * 100_000 // self.price["BTC"], "received"
            )
        fee_from = (
            "received"
            if roll < 55
            else "third"
            if roll < 85
            else "given"
            if roll < 90
            else "rebate"
            if roll < 95
            else "none"
        )
        if fee_from == "third" and self.balance[venue, "BNB"] < UNIT:
            fee_from = "received"
        return self.fill(venue, base, quote, side, amount, price, fee_from)

    def even_out(self) -> Iterator[dict[str, Any]]:
        """Yield moves from the account that has most of each coin to the one that has least."""
        for asset in ("BTC", "ETH", "USD"):
            ranked = sorted(
                (venue for venue in QUOTES if asset != "USD" or venue != "binance"),
                key=lambda v: self.balance[v, asset],
            )
            low, high = ranked[0], ranked[-1]
            sent = (self.balance[high, asset] - self.balance[low, asset]) // 2 // 100_000 * 100_000
            if sent > 4 * MOVE_FEE.get(asset, UNIT):
                yield self.transfer(high, low, asset, sent)
                self.at_s += 1
        for asset in ("USDT", "USDC"):
            if self.balance["binance", asset] < 300_000 * UNIT and self.balance["kraken", "USD"] > 900_000 * UNIT:
                yield self.fill("kraken", asset, "USD", "buy", 400_000 * UNIT, 100, "given")
                self.at_s += 1
                yield self.transfer("kraken", "binance", asset, 400_000 * UNIT)
                self.at_s += 1
            elif self.balance["binance", asset] > 3_000_000 * UNIT:
                yield self.transfer("binance", "kraken", asset, 1_000_000 * UNIT)
                self.at_s += 1
        if self.balance["kraken", "USDT"] > 1_000_000 * UNIT:
            yield self.fill("kraken", "USDT", "USD", "sell", 900_000 * UNIT, 100, "received")
            self.at_s += 1

    def extras(self) -> Iterator[dict[str, Any]]:
        """Yield interest and a payment."""
        fields = {"venue": "binance", "asset": "ETH", "amount": "0.0123", "why": "interest"}
        self.balance["binance", "ETH"] += 1_230_000
        yield self.line("income", f"I{self.lines:08d}", fields, self.px("ETH"))
        self.at_s += 1
        fields = {"venue": "binance", "asset": "USDT", "amount": "3.5", "why": "fee"}
        self.balance["binance", "USDT"] -= 350_000_000
        yield self.line("spend", f"S{self.lines:08d}", fields, self.px("USDT"))


def arb_year(
    fills: int, *, seed: int = 1, start: str = "2025-01-01", days: int = 365, has_fx: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield the lines of a made-up arbitrage year with exactly `fills` fills (at least 2), in time order.

    `has_fx` puts units of GBP for one USD on every line. Times have at most milliseconds.
    """
    year = ArbYear(fills, seed, start, days, has_fx=has_fx)
    yield from year.opening()
    rounds = 0
    while year.made < fills:
        year.at_s += year.gap_s * 2 * year.random.uniform(0.5, 1.5)
        year.arrive()
        yield from year.round_trip()
        rounds += 1
        if rounds % 40 == 0 and year.made + 5 < fills:
            year.at_s += 1
            yield from year.even_out()
        if rounds % 500 == 250:
            year.at_s += 1
            yield from year.extras()


def write_arb_year(path: Path, fills: int, **options: Any) -> Path:
    """Write the year as canonical JSON lines and return the path."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in arb_year(fills, **options):
            file.write(json.dumps(row) + "\n")
    return path


def placed(rows: Iterator[dict[str, Any]] | list[dict[str, Any]]) -> Iterator[Placed]:
    """Yield canonical rows as placed lines, in the order they come."""
    for seq, row in enumerate(rows, start=1):
        line = msgspec.convert(row, HistoryLine)
        yield Placed(line, parse_ts(line.ts), seq)


def placed_year(fills: int, **options: Any) -> Iterator[Placed]:
    """Yield the made-up year as placed lines."""
    return placed(arb_year(fills, **options))
