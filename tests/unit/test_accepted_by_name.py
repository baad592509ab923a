"""What does `--accept` let pass?"""

from __future__ import annotations

import pytest

from arbot.ledger.lots.words import OpenItem
from arbot.tax.bundle.asked import parse_asked

ITEM = OpenItem("no_basis", "kraken:T1 at kraken", "0.5 BTC missing", "import an opening")


@pytest.mark.parametrize("accepted", ["no_basis", "no_basis:kraken:T1 at kraken", "no_basis:kraken:T1"])
def test_a_line_may_be_named_with_or_without_its_account(accepted: str) -> None:
    """Take the code, the place as it is listed, and the id of the line alone."""
    assert parse_asked(country="us", year=2025, accept=(accepted,)).is_accepted(ITEM)


@pytest.mark.parametrize(
    "accepted", ["missing_price", "no_basis:kraken:T2", "no_basis:kraken", "missing_price:kraken:T1"]
)
def test_nothing_else_passes(accepted: str) -> None:
    """Demand the very code and the whole id."""
    assert not parse_asked(country="us", year=2025, accept=(accepted,)).is_accepted(ITEM)
