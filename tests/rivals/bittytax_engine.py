"""Run BittyTax's matching (same day, 30 days, section 104) over legs in GBP and print gain per asset and day, and the pools."""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
from collections import defaultdict
from decimal import Decimal

import bittytax.tax_event
from bittytax.bt_types import DisposalType, TaxRules, TrType
from bittytax.config import config
from bittytax.t_record import TransactionRecord
from bittytax.tax import TaxCalculator
from bittytax.transactions import Buy, Sell

EXACT = Decimal("1e-15")


def main() -> None:
    """Read legs, match, print."""
    bittytax.tax_event.PRECISION = EXACT  # the program rounds each event to pennies; what is compared is the rule
    config.debug = False
    json.loads(sys.stdin.readline())
    legs = [json.loads(line) for line in sys.stdin]
    started = time.perf_counter()
    tax = TaxCalculator([_transaction(leg) for leg in legs], TaxRules.UK_INDIVIDUAL)
    tax.pool_same_day()
    tax.match_sell(DisposalType.SAME_DAY)
    tax.match_buyback(DisposalType.BED_AND_BREAKFAST)
    tax.process_section104(True)
    seconds = time.perf_counter() - started
    gains: dict[str, Decimal] = defaultdict(Decimal)
    for events in tax.tax_events.values():
        for event in events:
            gains[f"{event.asset} {event.date}"] += event.gain
    left = {f"{asset}@*": [str(pool.quantity), str(pool.cost + pool.fees)] for asset, pool in tax.holdings.items()}
    json.dump(
        {"gains": {name: str(gain) for name, gain in gains.items()}, "left": left, "seconds": seconds}, sys.stdout
    )


def _transaction(leg: dict[str, str]) -> Buy | Sell:
    qty, value = Decimal(leg["qty"]), Decimal(leg["value"])
    ts = dt.datetime.fromisoformat(leg["ts"])
    buy = Buy(TrType.TRADE, qty, leg["asset"], value) if leg["t"] == "acquire" else None
    sell = Sell(TrType.TRADE, qty, leg["asset"], value) if buy is None else None
    record = TransactionRecord(TrType.TRADE, buy, sell, None, "w", ts, "", None)
    transaction = buy or sell
    transaction.t_record = record
    transaction.set_tid()
    return transaction


main()
