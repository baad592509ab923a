"""A process that writes a store until it is killed: prints what it was told is on disk. Run by test_store_crash.py."""

from __future__ import annotations

import sys
from itertools import count

from arbot.domain.events import TimerFired
from arbot.ledger.posting import Ledger
from tests.support.accounting import Scribe, an_intent, opened, order_name
from tests.support.stores import a_store, begin


def main() -> None:
    """Begin a run at the URL given, then commit an intent and two fills, again and again; print each seq acknowledged."""
    store = a_store(sys.argv[1])
    epoch = begin(store)
    scribe = Scribe(Ledger(store.all_balances(), store.transaction))
    say(store.head().seq)
    for number in count(1):
        name = order_name(number, epoch=epoch)
        store.commit(
            [
                scribe.record(
                    TimerFired(key=""), opened(an_intent(number, client_order_id=name, arb_id=f"{epoch}-{number}"))
                )
            ]
        )
        say(store.head().seq)
        store.commit(
            [
                scribe.filled(client_order_id=name, venue_order_id=name, trade_id=f"T-{part}", qty=an_intent().qty / 2)
                for part in range(2)
            ]
        )
        say(store.head().seq)


def say(seq: int) -> None:
    """Tell the parent that everything up to `seq` was acknowledged."""
    sys.stdout.write(f"{seq}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
