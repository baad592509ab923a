"""Load a beancount file and print its errors, its balances, and what its accounts of gains add up to."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from decimal import Decimal

from beancount import loader
from beancount.core.data import Transaction


def main(path: str) -> None:
    """Load, add up, print."""
    entries, errors, _ = loader.load_file(path)
    units: dict[str, Decimal] = defaultdict(Decimal)
    costs: dict[str, Decimal] = defaultdict(Decimal)
    for entry in entries:
        if isinstance(entry, Transaction):
            for posting in entry.postings:
                name = f"{posting.account} {posting.units.currency}"
                units[name] += posting.units.number
                if posting.cost is not None:
                    costs[posting.account] += posting.units.number * posting.cost.number
    json.dump(
        {
            "errors": [f"{error.source['lineno']}: {error.message}" for error in errors],
            "units": {name: str(number) for name, number in sorted(units.items())},
            "costs": {name: str(number) for name, number in sorted(costs.items())},
        },
        sys.stdout,
    )


main(sys.argv[1])
