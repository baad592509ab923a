"""Read a spreadsheet and its INI as RP2 does, and print gain per disposal under an order."""

from __future__ import annotations

import json
import logging
import sys
from collections import defaultdict
from decimal import Decimal

from prezzemolo.avl_tree import AVLTree
from rp2.accounting_engine import AccountingEngine
from rp2.configuration import Configuration
from rp2.ods_parser import open_ods, parse_ods
from rp2.plugin.accounting_method import fifo, hifo, lifo, lofo
from rp2.plugin.country.us import US
from rp2.tax_engine import compute_tax

METHODS = {"fifo": fifo, "lifo": lifo, "hifo": hifo, "lofo": lofo}


def main(ini: str, ods: str, method: str) -> None:
    """Read, compute, print."""
    logging.disable(logging.CRITICAL)
    configuration = Configuration(ini, US())
    handle = open_ods(configuration, ods)
    gains: dict[str, Decimal] = defaultdict(Decimal)
    for asset in sorted(configuration.assets):
        years: AVLTree = AVLTree()
        years.insert_node(1970, METHODS[method].AccountingMethod())
        computed = compute_tax(configuration, AccountingEngine(years), parse_ods(configuration, asset, handle))
        for pair in computed.gain_loss_set:
            if pair.acquired_lot is not None:  # else income
                gains[pair.taxable_event.unique_id] += pair.fiat_gain
    json.dump({name: str(gain) for name, gain in gains.items()}, sys.stdout)


main(*sys.argv[1:])
