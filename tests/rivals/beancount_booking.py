"""Run beancount's booking methods (lots per account; FIFO, LIFO, HIFO) over legs and print gain per disposal and what is left.

Legs are driven one by one through `handle_ambiguous_matches`, with the full instant as the lot's date, so that the order inside a
day is kept: in a text file a lot has a date only.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
from collections import defaultdict
from decimal import Decimal

from beancount.core.amount import Amount
from beancount.core.data import Booking, Posting, Transaction
from beancount.core.position import Cost, Position
from beancount.parser.booking_method import handle_ambiguous_matches

METHODS = {"fifo": Booking.FIFO, "lifo": Booking.LIFO, "hifo": Booking.HIFO}


def main() -> None:
    """Read legs, book, print."""
    method = METHODS[json.loads(sys.stdin.readline())["method"]]
    legs = [json.loads(line) for line in sys.stdin]
    started = time.perf_counter()
    places: dict[str, dict[str, Position]] = defaultdict(dict)
    gains: dict[str, Decimal] = defaultdict(Decimal)
    for leg in legs:
        place, qty = places[f"{leg['asset']}@{leg['account']}"], Decimal(leg["qty"])
        if leg["t"] == "acquire":
            when = dt.datetime.fromisoformat(leg["ts"])
            place[leg["id"]] = _lot(leg["asset"], qty, Decimal(leg["value"]) / qty, when, leg["id"])
            continue
        cost = Decimal(0)
        for units, lot in _take(place, leg, qty, method):
            cost += units * lot.number
            if leg["t"] == "move":
                _put(places[f"{leg['asset']}@{leg['to']}"], leg["asset"], units, lot)
        if leg["t"] == "dispose":
            gains[leg["id"]] += Decimal(leg["value"]) - cost
    seconds = time.perf_counter() - started
    left = {
        name: [
            str(sum((one.units.number for one in lots.values()), Decimal(0))),
            str(sum((one.units.number * one.cost.number for one in lots.values()), Decimal(0))),
        ]
        for name, lots in places.items()
        if lots
    }
    json.dump(
        {"gains": {name: str(gain) for name, gain in gains.items()}, "left": left, "seconds": seconds}, sys.stdout
    )


def _lot(asset: str, qty: Decimal, each: Decimal, when: dt.datetime, name: str) -> Position:
    return Position(Amount(qty, asset), Cost(each, "USD", when, name))


def _take(place: dict[str, Position], leg: dict[str, str], qty: Decimal, method: Booking) -> list[tuple[Decimal, Cost]]:
    posting = Posting("Assets:X", Amount(-qty, leg["asset"]), None, None, None, {})
    entry = Transaction({"filename": "", "lineno": 0}, None, "*", None, "", frozenset(), frozenset(), [posting])
    matches = [Posting("Assets:X", one.units, one.cost, None, None, {}) for one in place.values()]
    booked, _, errors = handle_ambiguous_matches(entry, posting, matches, method)
    if errors:
        raise SystemExit(str(errors[0].message))
    taken = []
    for reduction in booked:
        name, units = reduction.cost.label, -reduction.units.number
        rest = place[name].units.number - units
        if rest:
            place[name] = Position(Amount(rest, leg["asset"]), place[name].cost)
        else:
            del place[name]
        taken.append((units, reduction.cost))
    return taken


def _put(place: dict[str, Position], asset: str, qty: Decimal, lot: Cost) -> None:
    before = place[lot.label].units.number if lot.label in place else Decimal(0)
    place[lot.label] = Position(Amount(before + qty, asset), lot)


main()
