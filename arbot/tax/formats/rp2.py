"""RP2's input: a sheet per asset with the tables IN, OUT and INTRA, and the INI that says which column is which.

Rules of this file:
- RP2 puts fees into the basis of what comes in; so it is fed effects that are allocated already (us/effects.py): IN has no fee and
  its spot price is basis / quantity, OUT no fee and spot price proceeds / quantity. What is withheld from what was received is
  netted. The fee of a transfer is the difference of sent and received, which RP2 disposes of at the spot price.
- RP2 1.7.2 keeps one pool over all accounts, reads numbers as floats of 11 decimals, and takes no proceeds of zero or less:
  each of these is told. Coins only: cash has no sheet.
- Times are UTC with microseconds; RP2 sorts by them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from arbot.domain.history import CASH, IncomeLine, TransferLine, format_ts
from arbot.domain.units import EXACT, WIDE
from arbot.ledger.lots.words import Acquire, Dispose, Send, Why
from arbot.tax.formats.entries import price_of
from arbot.tax.formats.losses import Losses
from arbot.tax.formats.matched import Matched
from arbot.tax.formats.notation import iso_micro
from arbot.tax.formats.spreadsheet import Cell

HOLDER: Final = "owner"
WIDTH: Final = 10

IN: Final = (
    "timestamp",
    "asset",
    "exchange",
    "holder",
    "transaction_type",
    "spot_price",
    "crypto_in",
    "fiat_in_no_fee",
    "fiat_in_with_fee",
    "unique_id",
)
OUT: Final = (
    "timestamp",
    "asset",
    "exchange",
    "holder",
    "transaction_type",
    "spot_price",
    "crypto_out_no_fee",
    "crypto_fee",
    "fiat_out_no_fee",
    "unique_id",
)
INTRA: Final = (
    "timestamp",
    "asset",
    "from_exchange",
    "from_holder",
    "to_exchange",
    "to_holder",
    "spot_price",
    "crypto_sent",
    "crypto_received",
    "unique_id",
)
"""The columns in their order; the INI numbers them from 0."""

_STEP: Final = Decimal("1E-11")
_DIGITS_MAX: Final = 15  # that survive a float
_INCOME: Final = {"interest": "Interest", "airdrop": "Airdrop"}

_Row = tuple[Cell, ...]


class Sheets:
    """The rows of every asset, gathered because a sheet holds its three tables one after the other."""

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._rows: dict[tuple[str, str], list[_Row]] = {}
        self._assets: dict[str, None] = {}
        self._accounts: dict[str, None] = {}

    def add(self, matched: Iterable[Matched]) -> None:
        """Take in every line of a history."""
        for one in matched:
            if isinstance(one.line, TransferLine) and one.line.asset not in CASH:
                self._transfer(one.line)
            elif one.effects:
                self._effects(one)
            else:
                self._losses.note("cash_only", one.line.id)
        if len(self._accounts) > 1:
            self._losses.note("universal", ", ".join(sorted(self._accounts)))

    def tables(self) -> Iterator[tuple[str, Iterator[_Row]]]:
        """Yield the sheet of every asset, sorted."""
        for asset in sorted(self._assets):
            yield asset, self._sheet(asset)

    def ini(self) -> str:
        """Return the configuration that belongs to the sheets."""
        text = f"[general]\nassets = {', '.join(sorted(self._assets))}\n"
        text += f"exchanges = {', '.join(sorted(self._accounts))}\nholders = {HOLDER}\n"
        for section, columns in (("in_header", IN), ("out_header", OUT), ("intra_header", INTRA)):
            text += f"\n[{section}]\n" + "".join(f"{name} = {column}\n" for column, name in enumerate(columns))
        return text

    def _sheet(self, asset: str) -> Iterator[_Row]:
        for name, columns in (("IN", IN), ("OUT", OUT), ("INTRA", INTRA)):
            rows = self._rows.get((asset, name))
            if rows:
                yield (name,)
                yield columns
                yield from rows
                yield ("TABLE END",)
                yield ()

    def _effects(self, one: Matched) -> None:
        line = one.line
        when = f"{iso_micro(line.ts)} +00:00"
        kind = _INCOME.get(line.why, "Income") if isinstance(line, IncomeLine) else "Buy"
        withheld = {
            effect.lot: effect for effect in one.effects if isinstance(effect, Dispose) and effect.why is Why.WITHHELD
        }
        for effect in one.effects:
            if isinstance(effect, Acquire):
                less = withheld.get(effect.lot)
                qty = EXACT.subtract(effect.qty, less.qty) if less else effect.qty
                basis = EXACT.subtract(effect.basis, less.proceeds) if less else effect.basis
                at = when if effect.acquired_ns == one.ts_ns else f"{_instant(effect.acquired_ns)} +00:00"
                if not self._fits(qty, basis, effect.lot):
                    continue
                head = (at, effect.asset, effect.account, HOLDER, kind)
                self._row("IN", effect.asset, (*head, *self._priced(qty, basis, effect.lot), basis, basis, effect.lot))
            elif isinstance(effect, Dispose) and effect.why is not Why.WITHHELD:
                if not self._fits(effect.qty, effect.proceeds, effect.disposal):
                    continue
                head = (when, effect.asset, effect.account, HOLDER, "Sell")
                priced = self._priced(effect.qty, effect.proceeds, effect.disposal)
                self._row("OUT", effect.asset, (*head, *priced, Decimal(0), effect.proceeds, effect.disposal))
            elif isinstance(effect, Send):
                continue
            self._accounts[effect.account] = None

    def _transfer(self, line: TransferLine) -> None:
        if line.ts_in is None:
            self._losses.note("in_flight", line.id)
        self._noted(line.sent, line.id)
        self._noted(line.received, line.id)
        price = price_of(line, line.asset)
        head = (f"{iso_micro(line.ts)} +00:00", line.asset, line.src, HOLDER, line.dst, HOLDER)
        self._row("INTRA", line.asset, (*head, price, line.sent, line.received, line.id))
        self._accounts.update(dict.fromkeys((line.src, line.dst)))

    def _row(self, table: str, asset: str, row: _Row) -> None:
        self._assets[asset] = None
        self._rows.setdefault((asset, table), []).append(row)

    def _fits(self, qty: Decimal, total: Decimal, where: str) -> bool:
        """Return whether RP2 takes the row; if not, that is noted."""
        if min(qty, total) >= _STEP:
            return True
        self._losses.note("too_small" if total > 0 else "worthless", where)
        return False

    def _priced(self, qty: Decimal, total: Decimal, where: str) -> tuple[Decimal, Decimal]:
        """Return spot price and quantity."""
        self._noted(qty, where)
        return WIDE.divide(total, qty).quantize(_STEP, rounding=ROUND_HALF_EVEN, context=WIDE), qty

    def _noted(self, qty: Decimal, where: str) -> None:
        if qty.quantize(_STEP, context=WIDE) != qty or len(qty.normalize().as_tuple().digits) > _DIGITS_MAX:
            self._losses.note("digits", where)


def _instant(ts_ns: int) -> str:
    return iso_micro(format_ts(ts_ns))
