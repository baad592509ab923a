"""What a country with a currency of its own adds to the files of flows.py: a rate, amounts in it, and what a fee becomes.

Rules of this file:
- A line's rate is that of its `fx`, else 1 / the line's price of the currency, else the default rate that was given, as in
  arbot/ledger/jurisdictions/local_effects.py. A line without any has empty cells, never a guess.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from arbot.domain.history import CASH, FillLine, HistoryLine
from arbot.domain.units import ONE, WIDE

TRADE = "a cost of the trade"
PAID_IN_COIN = "; the fee units are a disposal of their own"
REBATE_CASH = "rebate: lowers the cost of the trade"
REBATE_COIN = "rebate: a receipt of its own at value"
NETWORK = "fee units disposed of at value; a cost only where --transfer-fees-allowable was given"


class Local(NamedTuple):
    """A currency other than USD, and the rate for lines that carry none."""

    ccy: str
    rate_default: Decimal | None = None

    def rate(self, line: HistoryLine) -> Decimal | None:
        """Return what one USD was worth when the line happened."""
        rate = line.fx.get(self.ccy)
        if rate is not None:
            return rate
        price = line.px.get(self.ccy)
        return WIDE.divide(ONE, price) if price else self.rate_default


def treatment(line: FillLine) -> str:
    """Return what the rules of such a country make of the fee of a fill."""
    is_cash = line.fee_ccy in CASH
    if line.fee < 0:
        return REBATE_CASH if is_cash else REBATE_COIN
    return TRADE if is_cash else TRADE + PAID_IN_COIN
