"""Writes history the way Kraken's ledgers export tells it: for reading it back, in any vintage of the export."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from decimal import Decimal

from arbot.domain.history import DepositLine, FillLine, HistoryLine, IncomeLine, TransferLine, WithdrawalLine
from arbot.domain.units import EXACT, fmt
from arbot.tax.statements.kraken_rows import COLUMN_SETS

SPELLED = {"BTC": "XXBT", "ETH": "XETH", "USD": "ZUSD", "EUR": "ZEUR", "DOGE": "XXDG"}
NEWEST = len(COLUMN_SETS) - 1


class KrakenWriter:
    """Keeps the running balances and the rows."""

    def __init__(self, vintage: int = NEWEST) -> None:
        self.columns = COLUMN_SETS[vintage]
        self._balances: dict[str, Decimal] = {}
        self._rows: list[dict[str, str]] = []

    def row(
        self, kind: str, refid: str, ts: str, asset: str, amount: Decimal, fee: Decimal, *, subtype: str = ""
    ) -> None:
        """Add one row."""
        before = self._balances.get(asset, Decimal(0))
        balance = EXACT.subtract(EXACT.add(before, amount), fee)
        self._balances[asset] = balance
        self._rows.append(
            {
                "txid": f"L{len(self._rows):05d}",
                "refid": refid,
                "time": ts.replace("T", " ").removesuffix("Z"),
                "type": kind,
                "subtype": subtype,
                "aclass": "currency",
                "subclass": "fiat" if asset in {"USD", "EUR"} else "crypto",
                "asset": SPELLED.get(asset, asset),
                "wallet": "spot / main",
                "amount": f"{amount:f}",
                "fee": fmt(fee),
                "balance": f"{balance:f}",
                "amountusd": "",
                "feeusd": "",
                "balanceusd": "",
                "feecurrency": SPELLED.get(asset, asset) if fee else "",
            }
        )

    def add(self, line: HistoryLine) -> None:
        """Add the rows of a line."""
        refid = line.id.rpartition(":")[2]
        zero = Decimal(0)
        if isinstance(line, FillLine):
            base, quote = (line.amount, -line.cost) if line.side == "buy" else (-line.amount, line.cost)
            for asset, amount in ((line.quote, quote), (line.base, base)):
                self.row("trade", refid, line.ts, asset, amount, line.fee if line.fee_ccy == asset else zero)
            if line.fee and line.fee_ccy not in {line.base, line.quote}:
                self.row("trade", refid, line.ts, line.fee_ccy, zero, line.fee)
        elif isinstance(line, DepositLine):
            self.row("deposit", refid, line.ts, line.asset, line.amount, zero)
        elif isinstance(line, WithdrawalLine):
            self.row("withdrawal", refid, line.ts, line.asset, -line.amount, zero)
        elif isinstance(line, TransferLine):
            self.row("withdrawal", refid, line.ts, line.asset, -line.received, line.fee)
        elif isinstance(line, IncomeLine):
            self.row("staking", refid, line.ts, line.asset, line.amount, zero)
        else:
            raise TypeError(line)

    def text(self) -> str:
        """Return the file."""
        sink = io.StringIO()
        writer = csv.DictWriter(sink, self.columns, extrasaction="ignore", lineterminator="\n")
        writer.writerow({name: name for name in self.columns})
        writer.writerows(self._rows)
        return sink.getvalue()


def kraken_text(lines: Sequence[HistoryLine], vintage: int = NEWEST) -> str:
    """Return the export of these lines."""
    writer = KrakenWriter(vintage)
    for line in lines:
        writer.add(line)
    return writer.text()
