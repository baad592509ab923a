"""Round trips: what buying and selling the same coin brought, whatever lots the tax rules take.

Rules of this file:
- Per coin, over all accounts: each trade is set against the newest trades of the other direction that are still open, so
  the two legs of an arb meet each other. Values in USD, gross of fees.
- A part of a trade has value x part / quantity, multiplied first; what stays open keeps the rest, so nothing is lost.
- Operators are exact in the context of adding.py.
- What is open at the end of the year is inventory: it has flows, and no profit yet.
"""

from __future__ import annotations

from decimal import Decimal

from arbot.domain.units import WIDE, ZERO


class RoundTrips:
    """The trades of one coin within the year."""

    __slots__ = ("_open", "count", "is_long", "profit")

    def __init__(self) -> None:
        self.profit = ZERO
        self.count = 0
        self.is_long = True  # whether the open trades are buys
        self._open: list[tuple[Decimal, Decimal]] = []  # (quantity, value), oldest first

    def buy(self, qty: Decimal, value: Decimal) -> None:
        """Take units bought for a value."""
        self._trade(qty, value, is_buy=True)

    def sell(self, qty: Decimal, value: Decimal) -> None:
        """Take units sold for a value."""
        self._trade(qty, value, is_buy=False)

    def open_flow(self) -> Decimal:
        """Return what the open trades brought in: sales count up, buys down."""
        total = ZERO
        for _, value in self._open:
            total += value
        return -total if self.is_long else total

    def open_qty(self) -> Decimal:
        """Return the units bought and not sold again; negative when more were sold."""
        total = ZERO
        for qty, _ in self._open:
            total += qty
        return total if self.is_long else -total

    def _trade(self, qty: Decimal, value: Decimal, *, is_buy: bool) -> None:
        opened = self._open
        if self.is_long != is_buy:
            while opened and qty:
                open_qty, open_value = opened[-1]
                if open_qty <= qty:
                    opened.pop()
                    part_qty, part_open = open_qty, open_value
                else:
                    part_qty = qty
                    part_open = WIDE.divide(open_value * qty, open_qty)
                    opened[-1] = (open_qty - qty, open_value - part_open)
                part = value if part_qty == qty else WIDE.divide(value * part_qty, qty)
                qty, value = qty - part_qty, value - part
                self.profit += part_open - part if is_buy else part - part_open
                self.count += 1
            if not qty:
                return
            self.is_long = is_buy
        elif not opened:
            self.is_long = is_buy
        opened.append((qty, value))
