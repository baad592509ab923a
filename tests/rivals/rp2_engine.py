"""Run RP2's tax engine (universal lots, four orders) over legs and print gain per disposal and what is left."""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import time
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

from prezzemolo.avl_tree import AVLTree
from rp2.accounting_engine import AccountingEngine
from rp2.configuration import Configuration
from rp2.in_transaction import InTransaction
from rp2.input_data import InputData
from rp2.out_transaction import OutTransaction
from rp2.plugin.accounting_method import fifo, hifo, lifo, lofo
from rp2.plugin.country.us import US
from rp2.rp2_decimal import RP2Decimal
from rp2.tax_engine import compute_tax
from rp2.transaction_set import TransactionSet

METHODS = {"fifo": fifo, "lifo": lifo, "hifo": hifo, "lofo": lofo}

INI = """[general]
assets = {assets}
exchanges = X
holders = H
[in_header]
timestamp = 0
asset = 1
exchange = 2
holder = 3
transaction_type = 4
spot_price = 5
crypto_in = 6
fiat_in_no_fee = 7
fiat_in_with_fee = 8
unique_id = 9
[out_header]
timestamp = 0
asset = 1
exchange = 2
holder = 3
transaction_type = 4
spot_price = 5
crypto_out_no_fee = 6
crypto_fee = 7
fiat_out_no_fee = 8
unique_id = 9
[intra_header]
timestamp = 0
asset = 1
from_exchange = 2
from_holder = 3
to_exchange = 4
to_holder = 5
spot_price = 6
crypto_sent = 7
crypto_received = 8
unique_id = 9
"""


def main() -> None:
    """Read legs, compute, print."""
    logging.disable(logging.CRITICAL)
    method = json.loads(sys.stdin.readline())["method"]
    legs = [json.loads(line) for line in sys.stdin]
    assets = sorted({leg["asset"] for leg in legs})
    with tempfile.TemporaryDirectory() as folder:
        ini = Path(folder, "rp2.ini")
        ini.write_text(INI.format(assets=", ".join(assets)))
        configuration = Configuration(str(ini), US())
    started = time.perf_counter()
    gains: dict[str, Decimal] = defaultdict(Decimal)
    left: dict[str, list[str]] = {}
    for asset in assets:
        years: AVLTree = AVLTree()
        years.insert_node(1970, METHODS[method].AccountingMethod())
        data = _input(configuration, asset, [leg for leg in legs if leg["asset"] == asset])
        computed = compute_tax(configuration, AccountingEngine(years), data)
        for pair in computed.gain_loss_set:
            gains[pair.taxable_event.unique_id] += pair.fiat_gain
        bought = [(leg["qty"], leg["value"]) for leg in legs if leg["asset"] == asset and leg["t"] == "acquire"]
        sold = sum((Decimal(leg["qty"]) for leg in legs if leg["asset"] == asset and leg["t"] == "dispose"), Decimal(0))
        cost = sum((pair.fiat_cost_basis for pair in computed.gain_loss_set), Decimal(0))
        qty_left = sum((Decimal(qty) for qty, _ in bought), Decimal(0)) - sold
        left[f"{asset}@*"] = [str(qty_left), str(sum((Decimal(value) for _, value in bought), Decimal(0)) - cost)]
    seconds = time.perf_counter() - started
    json.dump(
        {"gains": {name: str(gain) for name, gain in gains.items()}, "left": left, "seconds": seconds}, sys.stdout
    )


def _input(configuration: Configuration, asset: str, legs: list[dict[str, str]]) -> InputData:
    sets = {name: TransactionSet(configuration, name, asset) for name in ("IN", "OUT", "INTRA")}
    for row, leg in enumerate(legs, start=1):
        qty, value = RP2Decimal(leg["qty"]), RP2Decimal(leg["value"])
        shared = {"row": row, "unique_id": leg["id"]}
        head = (configuration, leg["ts"], asset, "X", "H")
        if leg["t"] == "acquire":
            sets["IN"].add_entry(
                InTransaction(*head, "BUY", value / qty, qty, fiat_in_no_fee=value, fiat_in_with_fee=value, **shared)
            )
        else:
            sets["OUT"].add_entry(
                OutTransaction(*head, "SELL", value / qty, qty, RP2Decimal(0), fiat_out_no_fee=value, **shared)
            )
    return InputData(asset, sets["IN"], sets["OUT"], sets["INTRA"])


main()
