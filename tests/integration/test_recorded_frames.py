"""Real recorded frames through the codecs. The recordings are local and never part of the repository."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import pytest

from arbot.domain.events import BookInvalidated, TradePrinted
from arbot.domain.order import Side
from arbot.market.books import Books
from arbot.venues.codec import NOTHING, StreamStats
from arbot.venues.coinbase.codec import CoinbaseMarketCodec
from arbot.venues.kraken.codec import KrakenMarketCodec
from tests.support.streams import kraken_frame, kraken_row, make_instrument, recorded, spaced

RECV_NS = 1_786_309_548_000_000_000


@pytest.mark.parametrize("layout", [bytes, spaced], ids=["compiled", "typed"])
def test_a_real_coinbase_connection_is_contiguous_and_never_crossed(layout):
    """All 1,030 frames of six channels are in sequence, both books are always tradable, and trades come out."""
    instruments = [make_instrument("coinbase", symbol, 2, 8) for symbol in ("BTC/USD", "ETH/USD")]
    books, stats = Books(), StreamStats()
    for instrument in instruments:
        books.add(instrument, 0)
    codec = CoinbaseMarketCodec(instruments, books, stats)
    events, frames = [], 0
    moved: Counter[int] = Counter()
    for line in recorded("COINBASE"):
        if line["t"] != "recv":
            continue
        frames += 1
        decoded = codec.decode(layout(line["data"].encode()), RECV_NS + frames)
        events += decoded.events
        moved.update(decoded.moved)
        for book in decoded.moved:
            instrument = instruments[book]
            assert books.state(instrument.id).is_valid
            assert books.best(instrument.id, Side.SELL).price < books.best(instrument.id, Side.BUY).price  # type: ignore[union-attr]
    assert (1_030, 0, 0, 0) == (frames, stats.sequence_gaps, stats.parse_errors, stats.crossed_books)
    assert 775 == moved.total()
    assert {0, 1} == set(moved)
    assert {TradePrinted} == {type(event) for event in events}
    assert all(event.price > 0 for event in events)


def test_the_compiled_and_the_typed_path_build_the_same_real_book():
    """After the whole recording both hold the same 69,000 levels."""
    built: list[Any] = []
    for layout in (bytes, spaced):
        instrument = make_instrument("coinbase", "BTC/USD", 2, 8)
        books = Books()
        books.add(instrument, 0)
        codec = CoinbaseMarketCodec([instrument], books, StreamStats())
        for line in recorded("COINBASE"):
            if line["t"] == "recv":
                codec.decode(layout(line["data"].encode()), RECV_NS)
        sides = [books.levels(instrument.id, side, 99_999) for side in Side]
        built.append((sides, books.state(instrument.id)))
    assert built[0] == built[1]
    assert len(built[0][0][0]) > 10_000


def test_real_frames_of_the_old_kraken_protocol_are_counted_and_harmless():
    """A protocol we do not speak makes no event and touches no book."""
    instrument = make_instrument("kraken", "XMR/USD", 2, 8)
    books, stats = Books(), StreamStats()
    books.add(instrument, 100)
    codec = KrakenMarketCodec([instrument], books, stats)
    frames = [line["data"].encode() for line in recorded("KRAKEN") if line["t"] == "recv"]
    assert all(codec.decode(frame, RECV_NS) == NOTHING for frame in frames)
    assert (len(frames), 0) == (stats.unknown_messages, stats.parse_errors)


@pytest.mark.parametrize("layout", [bytes, spaced], ids=["compiled", "typed"])
def test_real_kraken_books_verify_in_the_new_protocol(layout):
    """The recorded messages of ten pairs, written as v2 frames, all verify against the venue's own checksums."""
    names = {"XBT": "BTC"}
    decimals = written_decimals()
    instruments = {
        symbol: make_instrument(
            "kraken", "/".join(names.get(part, part) for part in symbol.split("/")), *decimals[symbol]
        )
        for symbol in decimals
    }
    books, stats = Books(), StreamStats()
    for instrument in instruments.values():
        books.add(instrument, depth_of())
    codec = KrakenMarketCodec(list(instruments.values()), books, stats)
    events, moved = [], 0
    for frame in transcoded({symbol: instrument.symbol for symbol, instrument in instruments.items()}):
        decoded = codec.decode(layout(frame), RECV_NS)
        events += decoded.events
        moved += len(decoded.moved)
    assert [] == [event for event in events if isinstance(event, BookInvalidated)]
    assert (0, 0, 0) == (stats.checksum_mismatches, stats.parse_errors, stats.crossed_books)
    assert 4_279 == moved


def written_decimals() -> dict[str, tuple[int, int]]:
    """Return the decimals in which each pair's prices and quantities were written, hence hashed: v1 had more than v2."""
    found: dict[str, set[tuple[int, int]]] = {}
    for frame in book_frames():
        for part in frame[1:-2]:
            for level in (level for key in ("a", "b", "as", "bs") for level in part.get(key, [])):
                decimals = tuple(len(text.partition(".")[2]) for text in level[:2])
                found.setdefault(frame[-1], set()).add(decimals)
    assert all(len(decimals) == 1 for decimals in found.values())
    return {pair: decimals.pop() for pair, decimals in found.items()}


def book_frames() -> list[list[Any]]:
    """Return the recorded v1 book messages, numbers as text."""
    frames = (json.loads(line["data"]) for line in recorded("KRAKEN") if line["t"] == "recv")
    return [frame for frame in frames if isinstance(frame, list) and str(frame[-2]).startswith("book-")]


def depth_of() -> int:
    """Return the subscribed depth."""
    (depth,) = {int(re.sub(r"\D", "", frame[-2])) for frame in book_frames()}
    return depth


def transcoded(symbols: dict[str, str]) -> list[bytes]:
    """Return the recorded books as v2 frames: the same texts, the same checksums, other brackets."""
    frames = []
    for frame in book_frames():
        parts = frame[1:-2]
        symbol = symbols[frame[-1]]
        if "as" in parts[0]:
            bids, asks = ([(level[0], level[1]) for level in parts[0][key]] for key in ("bs", "as"))
            frames.append(kraken_frame("snapshot", kraken_row(symbol, bids, asks, None, "")))
            continue
        bids, asks = ([(level[0], level[1]) for part in parts for level in part.get(key, [])] for key in ("b", "a"))
        (checksum,) = (int(part["c"]) for part in parts if "c" in part)
        frames.append(kraken_frame("update", kraken_row(symbol, bids, asks, checksum, "")))
    return frames
