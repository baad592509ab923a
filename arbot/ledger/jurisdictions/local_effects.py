"""History lines as effects in a country's own currency, for countries whose rules on fees are a share and a switch.

Rules of this file:
- Value in the country's currency = value in USD * fx of the line; what is in that currency already needs no rate. A line
  without fx takes 1 / px of the currency where it touches it, else the default rate, else it is an open item.
- One value for both sides of an exchange: cost * price of the quote.
- A fee is a cost of the trade: wholly on the side of the coin against cash, shared between two coins. A fee in coins is a
  disposal of those coins at the same value besides (United Kingdom: CRYPTO22280, 22150).
- A fee out of what was received is worth its share of the trade: value * fee / quantity received.
- A rebate in coins is a receipt of its own, acquired at its value, and leaves the trade as it is; a rebate in cash is a
  negative cost of the trade. (Our reading: no rule text covers rebates.)
- Cash has no lots in any currency. A line without a price or rate it needs is an open item: what it brings has no
  basis and so no lot, what it takes away leaves without a disposal.
"""

from __future__ import annotations

from decimal import Decimal

from arbot.domain.history import (
    CASH,
    DepositLine,
    FillLine,
    HistoryLine,
    IncomeLine,
    OpeningLine,
    Placed,
    SpendLine,
    TransferLine,
    WithdrawalLine,
    parse_ts,
)
from arbot.domain.units import EXACT, ONE, WIDE, ZERO
from arbot.ledger.jurisdictions.us.effects import unpriced_effects
from arbot.ledger.lots import refusals
from arbot.ledger.lots.words import Acquire, Dispose, LotEffect, OpenItem, Send, Unvalued, Why

_times, _over = WIDE.multiply, WIDE.divide
_plus, _minus = EXACT.add, EXACT.subtract


class _Unvalued(Exception):
    """A price or rate of a line is missing."""


class LocalEffects:
    """Turns lines into effects and remembers what was missing."""

    def __init__(
        self,
        ccy: str,
        rate_default: Decimal | None = None,
        *,
        given_share: Decimal = ONE,
        is_transfer_fee_allowable: bool = False,
    ) -> None:
        """Take the currency, and the share of an exchange's fee that the coin given up bears."""
        self._ccy = ccy
        self._rate_default = rate_default
        self._given_share = given_share
        self._is_transfer_fee_allowable = is_transfer_fee_allowable
        self._unpriced: list[OpenItem] = []
        self._unrated: list[str] = []  # first and last line without a rate
        self._unrated_lines = 0
        self._foreign: set[str] = set()

    def of(self, placed: Placed) -> list[LotEffect]:
        """Return what a line means for coins, in order; cash by itself means nothing."""
        try:
            return self._valued(placed)
        except _Unvalued:
            return list(unpriced_effects(placed.line))

    def _valued(self, placed: Placed) -> list[LotEffect]:
        line = placed.line
        match line:
            case FillLine():
                return self._of_fill(line, placed.ts_ns)
            case TransferLine():
                return self._of_transfer(line)
            case IncomeLine():
                return self._of_income(line, placed.ts_ns)
            case SpendLine():
                return self._of_spend(line)
            case OpeningLine():
                return self._of_opening(line)
            case DepositLine() | WithdrawalLine():
                return []

    def open_items(self) -> list[OpenItem]:
        """Return the prices and rates that were missing."""
        if not self._unrated_lines:
            return self._unpriced
        first, last = self._unrated
        lines = f"line {first}" if self._unrated_lines == 1 else f"{self._unrated_lines} lines, {first} to {last}"
        rates = Unvalued(
            "missing_rate",
            lines,
            f"no fx.{self._ccy}: how many {self._ccy} one USD was worth: they cannot be valued, and what they bring has no lot",
            f'give one rate for all of them (--rate-default), or add "fx": {{"{self._ccy}": "..."}} to the lines of `arbot '
            "ledger export` and import them into a new ledger (`arbot ledger import FILE --ledger NEW.db`)",
            lines=self._unrated_lines,
        )
        return [*self._unpriced, rates]

    def notes(self) -> list[OpenItem]:
        """Return that money in other currencies was taken as cash."""
        return [
            OpenItem(
                "foreign_cash",
                asset,
                f"{asset} is taken as cash: no gain or loss on the currency itself is computed",
                f"judge holdings of {asset} apart",
            )
            for asset in sorted(self._foreign)
        ]

    def _of_fill(self, line: FillLine, ts_ns: int) -> list[LotEffect]:
        account, fee, fee_ccy = line.venue, line.fee, line.fee_ccy
        if line.side == "buy":
            given, given_qty, got, got_qty = line.quote, line.cost, line.base, line.amount
        else:
            given, given_qty, got, got_qty = line.base, line.amount, line.quote, line.cost
        value = self._value(line, line.quote, line.cost)
        fee_value = ZERO
        if fee:
            if fee_ccy == got and fee > 0:
                fee_value = _over(_times(value, fee), got_qty)
            else:
                fee_value = self._value(line, fee_ccy, fee)
        cost_value = ZERO if fee < 0 and not self._is_cash(fee_ccy) else fee_value
        is_given_cash, is_got_cash = self._is_cash(given), self._is_cash(got)
        effects: list[LotEffect] = []
        given_fee = cost_value if is_got_cash else ZERO if is_given_cash else _times(cost_value, self._given_share)
        if not is_given_cash:
            net = _minus(value, given_fee)
            effects.append(Dispose(line.id, account, given, given_qty, net, Why.SELL, "", given_fee))
        if not is_got_cash:
            cost = _plus(value, _minus(cost_value, given_fee))
            effects.append(Acquire(line.id, account, got, got_qty, cost, ts_ns))
        if fee and not self._is_cash(fee_ccy):
            if fee > 0:
                effects.append(Dispose(f"{line.id}:fee", account, fee_ccy, fee, fee_value, Why.FEE))
            else:
                effects.append(Acquire(f"{line.id}:rebate", account, fee_ccy, -fee, -fee_value, ts_ns))
        return effects

    def _of_transfer(self, line: TransferLine) -> list[LotEffect]:
        if self._is_cash(line.asset):
            return []
        effects: list[LotEffect] = []
        if line.fee:
            value = self._value(line, line.asset, line.fee)
            costs = value if self._is_transfer_fee_allowable else ZERO
            net = _minus(value, costs)
            effects.append(Dispose(f"{line.id}:fee", line.src, line.asset, line.fee, net, Why.TRANSFER_FEE, "", costs))
        if line.received:
            arrives_ns = None if line.ts_in is None else parse_ts(line.ts_in)
            effects.append(Send(line.id, line.src, line.dst, line.asset, line.received, arrives_ns))
        return effects

    def _of_income(self, line: IncomeLine, ts_ns: int) -> list[LotEffect]:
        if self._is_cash(line.asset):
            return []
        return [
            Acquire(line.id, line.venue, line.asset, line.amount, self._value(line, line.asset, line.amount), ts_ns)
        ]

    def _of_spend(self, line: SpendLine) -> list[LotEffect]:
        if self._is_cash(line.asset):
            return []
        value = self._value(line, line.asset, line.amount)
        return [Dispose(line.id, line.venue, line.asset, line.amount, value, Why.SPEND)]

    def _of_opening(self, line: OpeningLine) -> list[LotEffect]:
        basis = self._value(line, "USD", line.basis)
        return [Acquire(line.id, line.venue, line.asset, line.amount, basis, parse_ts(line.acquired))]

    def _value(self, line: HistoryLine, asset: str, qty: Decimal) -> Decimal:
        """Return what `qty` was worth in the country's currency when the line happened. Raises: _Unvalued."""
        if asset == self._ccy or not qty:
            return qty
        if asset != "USD":
            price = line.px.get(asset)
            if price is None:
                self._miss_price(line, asset)
                raise _Unvalued
            qty = _times(qty, price)
        rate = line.fx.get(self._ccy)
        if rate is not None:
            return _times(qty, rate)
        own = line.px.get(self._ccy)
        if own:
            return _over(qty, own)
        if self._rate_default is not None:
            return _times(qty, self._rate_default)
        self._miss_rate(line)
        raise _Unvalued

    def _is_cash(self, asset: str) -> bool:
        if asset not in CASH:
            return False
        if asset != self._ccy:
            self._foreign.add(asset)
        return True

    def _miss_price(self, line: HistoryLine, asset: str) -> None:
        account = line.src if isinstance(line, TransferLine) else line.venue
        self._unpriced.append(refusals.price_missing(line.id, account, asset, parse_ts(line.ts)))

    def _miss_rate(self, line: HistoryLine) -> None:
        if self._unrated and self._unrated[1] == line.id:
            return
        self._unrated = [self._unrated[0] if self._unrated else line.id, line.id]
        self._unrated_lines += 1
