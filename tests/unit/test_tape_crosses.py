"""Do generated cross rates hang together?"""

from __future__ import annotations

import numpy as np
import pytest

from arbot.domain.errors import UserError
from arbot.domain.order import Side
from arbot.market.books import Books
from arbot.market.scan import CHUNK_ENDED, NEVER, Scanner
from arbot.tape.generate import TapeSpec, generate_rows, metas

SPEC = TapeSpec(rows=40_000, seed=5, levels=(20, 20), bases=("BTC", "ETH", "USDT"), crosses=("ETH/BTC", "BTC/USDT"))


def test_a_cross_rate_is_the_quotient_of_the_two_others() -> None:
    """Find it within the gap of a basis and a jump on every venue, also after prices have moved."""
    rows, made = generate_rows(SPEC)
    books = Books()
    books.add_all((meta.instrument, 0) for meta in made)
    scanner = Scanner(books)
    scanner.feed(rows)
    while scanner.run(NEVER) != CHUNK_ENDED:
        pass

    def mid(symbol: str, venue: str) -> float:
        one = next(meta.instrument for meta in made if meta.instrument.id == f"{symbol}@{venue}")
        ask, bid = books.best(one.id, Side.BUY), books.best(one.id, Side.SELL)
        assert ask is not None
        assert bid is not None
        return float(ask.price + bid.price) / 2

    for venue in ("kraken", "coinbase"):
        for base, quote in (("ETH", "BTC"), ("BTC", "USDT")):
            implied = mid(f"{base}/USD", venue) / mid(f"{quote}/USD", venue)
            assert abs(mid(f"{base}/{quote}", venue) / implied - 1) < 0.01


def test_tapes_without_crosses_are_what_they_were() -> None:
    """Give the same columns whether the first bases are counted or named."""
    counted, _ = generate_rows(TapeSpec(rows=5_000, seed=3, symbols=2, levels=(20, 20)))
    named, _ = generate_rows(TapeSpec(rows=5_000, seed=3, bases=("BTC", "ETH"), levels=(20, 20)))

    assert all(np.array_equal(one, other) for one, other in zip(counted, named, strict=True))


@pytest.mark.parametrize(
    "changes",
    [
        {"bases": ("XYZ",)},
        {"bases": ("BTC", "BTC")},
        {"crosses": ("ETH/BTC",)},
        {"bases": ("BTC",), "crosses": ("BTC",)},
    ],
)
def test_a_cross_of_what_is_not_made_is_refused(changes: dict) -> None:
    """Name the key whose symbols cannot be made."""
    with pytest.raises(UserError, match=r"bases|crosses"):
        metas(TapeSpec(rows=10, **changes))
