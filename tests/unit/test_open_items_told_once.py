"""Is what several sources find told once, with the remedy of the nearest?"""

from __future__ import annotations

from arbot.ledger.lots.words import OpenItem
from arbot.tax.open_items import told_once

TOLD = OpenItem("missing_price", "kraken:adjustment:1-2", "no book priced BTC", "arbot ledger openings")
AGAIN = OpenItem("missing_price", "kraken:adjustment:1-2 at kraken", "has no USD price", "import into a new ledger")
OTHER = OpenItem("no_basis", "kraken:adjustment:1-2 at kraken", "1 BTC is missing", "import an opening")


def test_a_line_that_the_history_tells_of_is_told_once() -> None:
    """Keep the history's own item and what is of another kind, in the order they came."""
    assert [TOLD, OTHER] == told_once([TOLD, TOLD], [AGAIN, OTHER, OTHER])


def test_what_only_the_run_finds_is_kept() -> None:
    """Leave out nothing that the history does not tell."""
    assert [AGAIN, OTHER] == told_once([], [AGAIN, OTHER])
    assert [TOLD] == told_once([TOLD], [TOLD])
