"""A shadow report: which losses a wash-sale rule would disallow, if one applied to coins. Nothing is filed from it.

Rules of this file:
- Section 1091 covers stock and securities, so it takes no loss on coins away (26 CFR 1.1091-1; Instructions for Schedule D,
  2025). A bill to extend it was not law in November 2026. No figure of a report is changed by what is worked out here.
- What if: a loss is disallowed as far as units of the same asset were acquired, at any account, within 30 days before or
  after the sale, day of sale counted as zero, days local; earliest acquisition first. A unit replaces once.
- The loss disallowed joins the basis of the units that replaced, spread evenly over what is left of their lot, and comes
  back when they are sold; that sale's loss may be disallowed in turn.
- Assumptions: units count that are still held at the sale or come later; the lot that is sold from does not replace itself;
  holding periods are not carried over. Losses before the first slice given are not known.
- Lots are put together from slices and from what is left, so all slices of the history are kept until the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec

from arbot.domain.units import EXACT, WIDE, ZERO, fmt
from arbot.ledger.jurisdictions.days import LocalDays, day_text
from arbot.ledger.jurisdictions.us.amounts import cents
from arbot.ledger.lots.words import Remaining, Slice

WINDOW_DAYS: Final = 30
HEADER_WASH_SALES: Final = (
    "disposal_id,lot_id,asset,account,date_sold,qty,loss,qty_replaced,loss_disallowed,replaced_by_lots"
)


class WashSale(NamedTuple):
    """A slice whose loss would be disallowed, in part or in whole; amounts in USD, exact to 60 digits."""

    part: Slice
    day: int
    loss: Decimal  # above zero, after what earlier wash sales added to the basis
    qty_replaced: Decimal
    disallowed: Decimal
    lots: tuple[tuple[str, Decimal], ...]


class WashTotal(msgspec.Struct):
    """One asset over the span asked for. The year's gain would change by `disallowed` less `returned`."""

    asset: str
    losses: Decimal = ZERO  # of all loss slices; what was put off and is put off again counts again, here and below
    disallowed: Decimal = ZERO
    returned: Decimal = ZERO  # came back through the basis of units sold
    carried: Decimal = ZERO  # still in the basis of units held at the end of the span


class _Lot:
    __slots__ = ("acquired_ns", "added", "day", "free", "held", "name")

    def __init__(self, name: str, acquired_ns: int, day: int) -> None:
        self.name = name
        self.acquired_ns = acquired_ns
        self.day = day
        self.held = ZERO  # not yet sold
        self.free = ZERO  # has not yet replaced anything
        self.added = ZERO  # basis from losses disallowed


class _Asset:
    """The lots of an asset in order of acquisition; those that can replace no more are jumped over."""

    def __init__(self, lots: list[_Lot]) -> None:
        self.lots = sorted(lots, key=lambda lot: (lot.acquired_ns, lot.name))
        self.by_name = {lot.name: lot for lot in self.lots}
        self._onward = list(range(len(self.lots) + 1))

    def able(self, day: int) -> Iterator[_Lot]:
        """Give the lots that can replace what is sold on a day; days have to ascend."""
        at = self._next(0)
        while at < len(self.lots):
            lot = self.lots[at]
            if lot.day > day + WINDOW_DAYS:
                return
            if lot.day < day - WINDOW_DAYS or not lot.free or not lot.held:
                self._onward[at] = at + 1  # for good: days ascend, and units do not come back
            else:
                yield lot
            at = self._next(at + 1)

    def _next(self, at: int) -> int:
        onward = self._onward
        while onward[at] != at:
            onward[at] = onward[onward[at]]
            at = onward[at]
        return at


class WashShadow:
    """Takes all slices of a history in order of sale, then tells those of a span that a rule would catch.

    Raises: UserError when the time zone is unknown.
    """

    def __init__(self, timezone: str) -> None:
        self._day: Callable[[int], int] = LocalDays(timezone).of
        self._slices: list[Slice] = []
        self._totals: dict[str, WashTotal] = {}

    def take(self, part: Slice) -> None:
        """Take the next slice, of any year."""
        self._slices.append(part)

    def sales(self, left: Iterable[Remaining], start_ns: int, end_ns: int) -> Iterator[WashSale]:
        """Give the sales caught in a span, in order; `left` is what is left at the end of history. Ask `totals` after it."""
        assets = self._assets(left)
        self._totals = {asset: WashTotal(asset) for asset in sorted(assets)}
        for part in self._slices:
            if part.sold_ns >= end_ns:
                break
            sale, returned = self._judged(part, assets[part.asset])
            total = self._totals[part.asset]
            total.carried = EXACT.subtract(EXACT.add(total.carried, sale.disallowed), returned)
            if part.sold_ns < start_ns:
                continue
            total.losses = EXACT.add(total.losses, sale.loss)
            total.disallowed = EXACT.add(total.disallowed, sale.disallowed)
            total.returned = EXACT.add(total.returned, returned)
            if sale.disallowed:
                yield sale

    def totals(self) -> list[WashTotal]:
        """Return the sums by asset of the span last gone through."""
        return list(self._totals.values())

    def _judged(self, part: Slice, asset: _Asset) -> tuple[WashSale, Decimal]:
        """Return the slice as a wash sale, with nothing disallowed where it is none, and what came back by it."""
        lot = asset.by_name[part.lot]
        day = self._day(part.sold_ns)
        returned = _share(lot.added, part.qty, lot.held)
        lot.added = EXACT.subtract(lot.added, returned)
        lot.held = EXACT.subtract(lot.held, part.qty)
        lot.free = min(lot.free, lot.held)
        gain = WIDE.subtract(WIDE.subtract(part.proceeds, part.basis), returned)
        if gain >= 0:
            return WashSale(part, day, ZERO, ZERO, ZERO, ()), returned
        replaced: list[tuple[str, Decimal]] = []
        loss = gain.copy_negate()
        missing, loss_left = part.qty, loss
        for able in asset.able(day):
            if able is lot:
                continue
            qty = min(missing, able.free, able.held)
            moved = _share(loss_left, qty, missing)
            loss_left = EXACT.subtract(loss_left, moved)
            missing = EXACT.subtract(missing, qty)
            able.free = EXACT.subtract(able.free, qty)
            able.added = EXACT.add(able.added, moved)
            replaced.append((able.name, qty))
            if not missing:
                break
        disallowed = EXACT.subtract(loss, loss_left)
        return WashSale(part, day, loss, EXACT.subtract(part.qty, missing), disallowed, tuple(replaced)), returned

    def _assets(self, left: Iterable[Remaining]) -> dict[str, _Asset]:
        lots: dict[str, dict[str, _Lot]] = {}
        every: tuple[Slice | Remaining, ...] = (*self._slices, *left)
        for one in every:
            of_asset = lots.setdefault(one.asset, {})
            lot = of_asset.get(one.lot)
            if lot is None:
                lot = of_asset[one.lot] = _Lot(one.lot, one.acquired_ns, self._day(one.acquired_ns))
            lot.held = lot.free = EXACT.add(lot.held, one.qty)
        return {asset: _Asset(list(of_asset.values())) for asset, of_asset in lots.items()}


def csv_wash_sale(sale: WashSale) -> str:
    """Return the row under HEADER_WASH_SALES, without line end: money in cents, RFC 4180 quoting."""
    part = sale.part
    lots = " ".join(f"{name}:{fmt(qty)}" for name, qty in sale.lots)
    cells = (
        part.disposal, part.lot, part.asset, part.account, day_text(sale.day), fmt(part.qty), str(cents(sale.loss)),
        fmt(sale.qty_replaced), str(cents(sale.disallowed)), lots,
    )  # fmt: skip
    return ",".join(
        '"' + cell.replace('"', '""') + '"' if any(mark in cell for mark in ',"\r\n') else cell for cell in cells
    )


def _share(amount: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """Return the part of an amount that goes with units, all of it with the last ones."""
    if not amount or part == whole:
        return amount
    return WIDE.divide(EXACT.multiply(amount, part), whole)
