"""What a line of history means for lots in the United States: fees allocated by regulation.

Rules of this file (26 CFR 1.1001-7(b), 1.1012-1(h) and (j)(3)(iii); read November 2026). V is the value of a fill in USD, cost
times the price of the quote; F that of its fee; "given" leaves, "received" comes. Cash is money of any currency.

| given, received | fee in           | given                    | received  | fee units                                  |
|-----------------|------------------|--------------------------|-----------|--------------------------------------------|
| cash, coin      | cash             | -                        | lot V + F | -                                          |
| cash, coin      | received         | -                        | lot V + F | disposed of for F, by the order in force   |
| cash, coin      | third coin       | -                        | lot V + F | disposed of for F                          |
| coin, cash      | cash             | proceeds V - F           | -         | -                                          |
| coin, cash      | given, on top    | quantity + fee for V     | -         | -                                          |
| coin, cash      | third coin       | proceeds V - F           | -         | disposed of for F                          |
| coin, coin      | cash             | proceeds V - F           | lot V     | -                                          |
| coin, coin      | received         | proceeds V - F           | lot V     | withheld: out of this lot, for F, gain 0   |
| coin, coin      | given, on top    | quantity + fee for V     | lot V     | -                                          |
| coin, coin      | third coin       | proceeds V - F           | lot V     | disposed of for F                          |

- Withheld from what is received F = V * fee / quantity received, else fee * price.
- A rebate is a fee below zero: the same with F < 0, and the units received are a lot of their own at value (our reading). A
  rebate in the coin given is not taken off the quantity given.
- A transfer carries basis; the units of its fee are disposed of first, at value.
- Cash has no lots; a fill of cash for cash creates none.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from arbot.domain.errors import ArbotError
from arbot.domain.history import (
    CASH,
    DepositLine,
    FillLine,
    HistoryLine,
    IncomeLine,
    OpeningLine,
    SpendLine,
    TransferLine,
    WithdrawalLine,
    parse_ts,
)
from arbot.domain.units import EXACT, ZERO
from arbot.ledger.lots.parcels import share
from arbot.ledger.lots.words import Acquire, Dispose, LotEffect, Remove, Send, Why

_add, _subtract, _multiply = EXACT.add, EXACT.subtract, EXACT.multiply


class PriceMissing(ArbotError):
    """A line does not say what an asset it touches was worth. Caught by the run, which makes an open item of it."""

    def __init__(self, asset: str) -> None:
        super().__init__(f"no USD price of {asset}")
        self.asset = asset


def us_effects(line: HistoryLine, ts_ns: int) -> tuple[LotEffect, ...]:
    """Return what a line acquires, disposes of and moves, in the order it is booked. Raises: PriceMissing."""
    return _LEGS[type(line)](line, ts_ns)


def unpriced_effects(line: HistoryLine) -> tuple[LotEffect, ...]:
    """Return what a line without its price still does: units leave without slices, and what comes has no lot."""
    if isinstance(line, FillLine):
        given, given_qty = (line.quote, line.cost) if line.side == "buy" else (line.base, line.amount)
        received = line.base if line.side == "buy" else line.quote
        leaving = [(line.id, given, given_qty)]
        if line.fee > 0 and line.fee_ccy != received:
            leaving.append((line.id + ":fee", line.fee_ccy, line.fee))
        return tuple(Remove(name, line.venue, asset, qty) for name, asset, qty in leaving if asset not in CASH)
    if isinstance(line, TransferLine):
        sent = Send(line.id, line.src, line.dst, line.asset, line.received, _arrival(line))
        return (Remove(line.id + ":fee", line.src, line.asset, line.fee), sent)
    if isinstance(line, SpendLine):
        return (Remove(line.id, line.venue, line.asset, line.amount),)
    return ()


def value_of(line: HistoryLine, asset: str, qty: Decimal) -> Decimal:
    """Return what units of an asset were worth in USD on a line, exactly. Raises: PriceMissing."""
    if asset == "USD":
        return qty
    price = line.px.get(asset)
    if price is None:
        raise PriceMissing(asset)
    return _multiply(qty, price)


def _fill(line: FillLine, ts_ns: int) -> tuple[LotEffect, ...]:
    name, account, fee, fee_ccy = line.id, line.venue, line.fee, line.fee_ccy
    value = value_of(line, line.quote, line.cost)
    if line.side == "buy":
        given, given_qty, received, received_qty = line.quote, line.cost, line.base, line.amount
    else:
        given, given_qty, received, received_qty = line.base, line.amount, line.quote, line.cost
    is_coin_given, is_coin_received = given not in CASH, received not in CASH
    fee_value = ZERO
    fee_effect: LotEffect | None = None
    if not fee:
        pass
    elif fee_ccy in CASH:
        fee_value = value_of(line, fee_ccy, fee)
    elif fee_ccy == given and fee > 0:
        given_qty = _add(given_qty, fee)
    else:
        fee_value = share(value, fee, received_qty) if fee_ccy == received else value_of(line, fee_ccy, fee)
        if fee < 0:
            rebate_value = fee_value.copy_negate()
            fee_effect = Acquire(name + ":rebate", account, fee_ccy, fee.copy_negate(), rebate_value, ts_ns)
        elif fee_ccy == received and is_coin_given:
            fee_effect = Dispose(name + ":fee", account, fee_ccy, fee, fee_value, Why.WITHHELD, name)
        else:
            fee_effect = Dispose(name + ":fee", account, fee_ccy, fee, fee_value, Why.FEE)
    effects: list[LotEffect] = []
    if is_coin_given:
        proceeds = _subtract(value, fee_value) if fee_value else value
        effects.append(Dispose(name, account, given, given_qty, proceeds, Why.SELL, "", fee_value))
    if is_coin_received:
        basis = value if is_coin_given or not fee_value else _add(value, fee_value)
        effects.append(Acquire(name, account, received, received_qty, basis, ts_ns))
    if fee_effect is not None:
        effects.append(fee_effect)
    return tuple(effects)


def _transfer(line: TransferLine, _ts_ns: int) -> tuple[LotEffect, ...]:
    if line.asset in CASH:
        return ()
    sent = Send(line.id, line.src, line.dst, line.asset, line.received, _arrival(line))
    if not line.fee:
        return (sent,)
    fee_value = value_of(line, line.asset, line.fee)
    return (Dispose(line.id + ":fee", line.src, line.asset, line.fee, fee_value, Why.TRANSFER_FEE), sent)


def _arrival(line: TransferLine) -> int | None:
    return None if line.ts_in is None else parse_ts(line.ts_in)


def _opening(line: OpeningLine, _ts_ns: int) -> tuple[LotEffect, ...]:
    return (Acquire(line.id, line.venue, line.asset, line.amount, line.basis, parse_ts(line.acquired)),)


def _income(line: IncomeLine, ts_ns: int) -> tuple[LotEffect, ...]:
    if line.asset in CASH:
        return ()
    return (Acquire(line.id, line.venue, line.asset, line.amount, value_of(line, line.asset, line.amount), ts_ns),)


def _spend(line: SpendLine, _ts_ns: int) -> tuple[LotEffect, ...]:
    if line.asset in CASH:
        return ()
    value = value_of(line, line.asset, line.amount)
    return (Dispose(line.id, line.venue, line.asset, line.amount, value, Why.SPEND),)


def _cash(_line: DepositLine | WithdrawalLine, _ts_ns: int) -> tuple[LotEffect, ...]:
    return ()


_LEGS: Final[dict[type, Callable[[Any, int], tuple[LotEffect, ...]]]] = {
    FillLine: _fill,
    TransferLine: _transfer,
    OpeningLine: _opening,
    IncomeLine: _income,
    SpendLine: _spend,
    DepositLine: _cash,
    WithdrawalLine: _cash,
}
