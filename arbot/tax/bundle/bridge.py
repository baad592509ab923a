"""reconciliation.csv: from what trading brought to what is taxed, every step exact.

Rules of this file:
- Flows are worked out from the history's lines (value V = cost x price of the quote), lots from their state before and
  after the year, gains from the slices: three sources that have to meet. What does not meet is shown as unexplained.
- For one coin: gain = round trips + inventory - fees, where inventory = flow of the trades still open + value of units paid
  as fees or spent - value of units that came otherwise + change of the basis held. For stablecoins all of it before fees
  is one step.
- Fees are costs of trades: taken off proceeds or added to basis. Fees of transfers and spends lower no gain; they stand
  below the line, so that the profit a person feels can be compared.
- Units that replace others in an allocation (Rev. Proc. 2024-28) do not count as having come.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import NamedTuple

from arbot.domain.history import CASH, FillLine, IncomeLine, OpeningLine, Placed, SpendLine, TransferLine
from arbot.domain.units import ZERO
from arbot.ledger.cells import cells
from arbot.ledger.jurisdictions.us.amounts import cents
from arbot.ledger.lots.policy import Pool
from arbot.ledger.lots.words import Remaining, Slice, Why
from arbot.tax.bundle.disposals import Totals
from arbot.tax.bundle.flows import price_of
from arbot.tax.bundle.folder import Folder
from arbot.tax.bundle.round_trips import RoundTrips
from arbot.tax.bundle.texts import plain

HEADER = "step,asset,amount_usd,amount_exact,what"

STABLECOINS = frozenset({
    "USDT", "USDC", "DAI", "USDS", "PYUSD", "FDUSD", "TUSD", "USDP", "GUSD", "RLUSD", "USDE", "BUSD", "USDG", "EURC", "EURT",
})  # parity-ok: they share a step of the report; every leg keeps the price of its line  # fmt: skip
"""Coins that are meant to stay at the price of a currency: their legs are a step of their own."""

ROUND_TRIPS = "round trips"
INVENTORY = "inventory drift"
STABLE = "stablecoin legs"
FEES = "fees"
UNEXPLAINED = "unexplained"
GAIN = "taxable gain"
SELL = Why.SELL  # a member asked of its class costs as much as a sum
WORDS = {
    ROUND_TRIPS: "each trade against the newest open trade the other way, gross of fees",
    INVENTORY: "open trades, units paid, units that came, and the change of the basis held",
    STABLE: "gain on stablecoins before fees",
    FEES: "costs of trades, taken off proceeds or added to basis",
    UNEXPLAINED: "gain of the slices less the steps above: zero unless open items were accepted",
    GAIN: "proceeds less basis of every disposal of the year",
}


class Coin:
    """What happened to one coin within the year."""

    __slots__ = ("basis_change", "came", "fees", "paid", "trips")

    def __init__(self) -> None:
        self.trips = RoundTrips()
        self.came = self.paid = self.fees = self.basis_change = ZERO

    def inventory(self) -> Decimal:
        """Return what the gain owes to units held over."""
        return self.trips.open_flow() + self.paid - self.came + self.basis_change

    def before_fees(self) -> Decimal:
        """Return the gain before fees."""
        return self.trips.profit + self.inventory()


class Row(NamedTuple):
    """One step for one coin, or its sum where `asset` is empty."""

    step: str
    asset: str
    amount: Decimal


class Bridge:
    """Hears the lines and slices of the year; `rows` once the lots before and after it are known."""

    def __init__(self, pool: Pool) -> None:
        self.coins: dict[str, Coin] = {}
        self.costs_below: Decimal = ZERO  # of transfers and spends: no part of a gain
        self.income: Decimal = ZERO
        self._is_allocation_a_swap = pool is Pool.UNTIL_2025
        self._hear: dict[type, Callable[[Placed, Sequence[Slice]], None]] = {
            FillLine: self._fill,
            IncomeLine: self._other,
            OpeningLine: self._other,
            SpendLine: self._paid,
            TransferLine: self._paid,
        }

    def line(self, placed: Placed, slices: Sequence[Slice]) -> None:
        """Take a line of the year and the slices it made."""
        hear = self._hear.get(type(placed.line))
        if hear is not None:
            hear(placed, slices)

    def hold(self, before: Sequence[Remaining], after: Sequence[Remaining]) -> None:
        """Take the lots before the year's first line and after its last."""
        for lot in before:
            coin = self._coin(lot.asset)
            coin.basis_change -= lot.basis
        for lot in after:
            coin = self._coin(lot.asset)
            coin.basis_change += lot.basis

    def rows(self, gain: Decimal) -> list[Row]:
        """Return every step coin by coin, then its sum; the last ones are what is unexplained and the gain itself."""
        steps: dict[str, list[Row]] = {ROUND_TRIPS: [], INVENTORY: [], STABLE: [], FEES: []}
        for asset in sorted(self.coins):
            coin = self.coins[asset]
            if asset in STABLECOINS:
                steps[STABLE].append(Row(STABLE, asset, coin.before_fees()))
            else:
                steps[ROUND_TRIPS].append(Row(ROUND_TRIPS, asset, coin.trips.profit))
                steps[INVENTORY].append(Row(INVENTORY, asset, coin.inventory()))
            steps[FEES].append(Row(FEES, asset, -coin.fees))
        made: list[Row] = []
        explained = ZERO
        for step, rows in steps.items():
            total = ZERO
            for row in rows:
                total += row.amount
            made += [*rows, Row(step, "", total)]
            explained += total
        return [*made, Row(UNEXPLAINED, "", gain - explained), Row(GAIN, "", gain)]

    def below(self) -> list[tuple[str, Decimal, str]]:
        """Return what is no part of the gain: name, amount, what it is. The last one is what the bot earned."""
        felt = -self.costs_below
        for asset, coin in self.coins.items():
            felt -= coin.fees
            if asset not in STABLECOINS:
                felt += coin.trips.profit
        return [
            ("transfers and spends", -self.costs_below, "at value; they lower no gain"),
            ("income", self.income, "coins and cash received outside trades, taxed as income"),
            ("economic profit", felt, "round trips less fees, transfers and spends: what the bot earned"),
        ]

    def _fill(self, placed: Placed, slices: Sequence[Slice]) -> None:
        line = placed.line
        assert isinstance(line, FillLine)  # noqa: S101 - the table of `line` says so
        price = price_of(line, line.quote)
        if price is None:
            return
        value = line.cost * price
        if line.side == "buy":
            given, received, given_qty, received_qty = line.quote, line.base, line.cost, line.amount
        else:
            given, received, given_qty, received_qty = line.base, line.quote, line.amount, line.cost
        sold = fee_units = ZERO
        for one in slices:
            proceeds = one.proceeds
            if one.why is SELL:
                sold += proceeds
            else:
                fee_units += proceeds
                self._coin(one.asset).paid += proceeds
        fee, fee_asset = line.fee, line.fee_ccy
        if given not in CASH:
            coin = self._coin(given)
            coin.trips.sell(given_qty, value)
            cost = value - sold
            if fee_asset == given and fee > 0:
                extra = fee * (price_of(line, given) or ZERO)
                cost += extra
                coin.paid += extra
            coin.fees += cost
        elif received in CASH:
            return
        else:
            is_coin_paid = fee > 0 and fee_asset not in CASH
            cost = fee_units if is_coin_paid else fee * (price_of(line, fee_asset) or ZERO)
            self._coin(received).fees += cost
        if received not in CASH:
            self._coin(received).trips.buy(received_qty, value)
        if fee < 0 and fee_asset not in CASH:
            self._coin(fee_asset).came -= cost

    def _other(self, placed: Placed, _slices: Sequence[Slice]) -> None:
        line = placed.line
        if isinstance(line, OpeningLine):
            if line.asset not in CASH and not (line.allocation and self._is_allocation_a_swap):
                self._coin(line.asset).came += line.basis
        elif isinstance(line, IncomeLine):
            value = line.amount * (price_of(line, line.asset) or ZERO)
            self.income += value
            if line.asset not in CASH:
                self._coin(line.asset).came += value

    def _paid(self, placed: Placed, slices: Sequence[Slice]) -> None:
        for one in slices:
            self._coin(one.asset).paid += one.proceeds
        line = placed.line
        if isinstance(line, TransferLine | SpendLine):
            qty = line.fee if isinstance(line, TransferLine) else line.amount
            self.costs_below += qty * (price_of(line, line.asset) or ZERO)

    def _coin(self, asset: str) -> Coin:
        coin = self.coins.get(asset)
        if coin is None:
            coin = self.coins[asset] = Coin()
        return coin


def write_bridge(folder: Folder, bridge: Bridge, totals: Totals) -> list[Row]:
    """Write the steps and return them. Amounts stand twice: in cents for reading, exact for adding."""
    rows = bridge.rows(totals.gain)
    sheet = folder.sheet("reconciliation.csv", HEADER)
    for row in rows:
        sheet.put(cells(row.step, row.asset or "all", plain(cents(row.amount)), plain(row.amount), WORDS[row.step]))
    for step, amount, words in bridge.below():
        sheet.put(cells(f"below: {step}", "all", plain(cents(amount)), plain(amount), words))
    return rows
