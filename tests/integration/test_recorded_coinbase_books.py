"""A recorded Coinbase connection through the compiled path: two products, 5 MB snapshots, every frame."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal

from arbot.domain.order import Side
from arbot.market.books import Books
from arbot.market.frames import FrameStatus
from arbot.venues.coinbase.book_frames import CoinbaseBookFrames
from tests.support.books import Twin, an_instrument, recorded_frames


def test_recorded_books_equal_twins_and_never_cross():
    """All book frames are recognised and applied in sequence, no book is ever crossed, and the twins agree at the end."""
    instruments = {
        f"{base}-USD": an_instrument("coinbase", venue_symbol=f"{base}-USD", base=base, price_decimals=2)
        for base in ("BTC", "ETH")
    }
    books = Books()
    frames = CoinbaseBookFrames(books, [(symbol, books.add(known, 0)) for symbol, known in instruments.items()])
    twins = {symbol: Twin() for symbol in instruments}
    seen = Counter()
    expected = 0
    for frame in recorded_frames("COINBASE"):
        status, _ = frames.apply(frame, 1, expected)
        if not frame.startswith(b'{"channel":"l2_data"'):
            assert status == FrameStatus.NOT_RECOGNISED
            assert json.loads(frame)["sequence_num"] == expected
            expected += 1
            continue
        expected += 1
        (event,) = json.loads(frame)["events"]
        twin = twins[event["product_id"]]
        apply = twin.snapshot if event["type"] == "snapshot" else twin.update
        apply(
            *(
                [(Decimal(u["price_level"]), Decimal(u["new_quantity"])) for u in event["updates"] if u["side"] == side]
                for side in ("bid", "offer")
            )
        )
        seen[FrameStatus(status).name, event["type"]] += 1
        assert books.state(instruments[event["product_id"]].id).is_valid
    assert Counter({("APPLIED", "update"): 773, ("APPLIED", "snapshot"): 2}) == seen
    for symbol, twin in twins.items():
        assert not twin.is_crossed
        assert tuple(twin.best_bids()) == books.levels(instruments[symbol].id, Side.SELL, 100_000)
        assert tuple(twin.best_asks()) == books.levels(instruments[symbol].id, Side.BUY, 100_000)
