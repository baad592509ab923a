"""Whatever bytes arrive, a codec answers with a value, and no book ends up crossed and tradable."""

from __future__ import annotations

import json
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from arbot.domain.ids import VenueId
from arbot.domain.order import Side
from arbot.market.books import Books
from arbot.venues.codec import Codec, Decoded, StreamStats
from arbot.venues.coinbase.codec import CoinbaseAccountCodec, CoinbaseMarketCodec
from arbot.venues.kraken.codec import KrakenAccountCodec, KrakenMarketCodec
from tests.support.streams import (
    OURS,
    T0_NS,
    coinbase_frame,
    coinbase_levels,
    coinbase_order,
    kraken_ack,
    kraken_crc,
    kraken_frame,
    kraken_row,
    make_instrument,
)

KRAKEN = make_instrument("kraken", "BTC/USD", 1, 8)
COINBASE = make_instrument("coinbase", "BTC/USD", 2, 8)
BIDS = [(f"{100 - i}.0", "1.00000000") for i in range(3)]
ASKS = [(f"{101 + i}.0", "1.00000000") for i in range(3)]
TRADE = (
    f'{{"order_id":"O1","cl_ord_id":"{OURS}","exec_type":"trade","symbol":"BTC/USD","side":"buy","exec_id":"T1",'
    '"last_qty":0.5,"last_price":65010.1,"liquidity_ind":"t","fees":[{"asset":"USD","qty":1.5}]}'
)
SEEDS = [
    kraken_frame("snapshot", kraken_row("BTC/USD", BIDS, ASKS, kraken_crc(BIDS, ASKS))),
    kraken_frame("update", kraken_row("BTC/USD", BIDS[:1], ASKS[:1], kraken_crc(BIDS, ASKS))),
    kraken_ack("book", "BTC/USD"),
    f'{{"channel":"executions","type":"snapshot","sequence":1,"data":[{TRADE}]}}'.encode(),
    b'{"channel":"status","type":"update","data":[{"system":"online"}]}',
    b'{"error":"no","method":"subscribe","success":false}',
    coinbase_frame("l2_data", 0, coinbase_levels("BTC-USD", "snapshot", BIDS, ASKS)),
    coinbase_frame("l2_data", 1, coinbase_levels("BTC-USD", "update", BIDS, ASKS)),
    coinbase_frame("user", 0, {"type": "update", "orders": [coinbase_order("OPEN", "0.2")]}),
    coinbase_frame("subscriptions", 2, {"subscriptions": {"level2": ["BTC-USD"]}}),
    b'{"type":"error","message":"no"}',
]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Return a real frame with bytes cut out, doubled or overwritten."""
    frame = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(frame)))
        until = draw(st.integers(at, min(len(frame), at + 12)))
        frame[at:until] = draw(
            st.binary(max_size=6) | st.sampled_from([b"-", b"e9", b"NaN", b"1e400", b'"', b"[", b"0"])
        )
    return bytes(frame)


@st.composite
def grafted(draw: st.DrawFn) -> bytes:
    """Return a real frame in which one value, however deep, was replaced by another."""
    frame = json.loads(draw(st.sampled_from(SEEDS)))
    place = frame
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = draw(st.sampled_from(keys))
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or draw(st.booleans()):
            place[key] = draw(json_values)
            return json.dumps(frame, separators=(",", ":")).encode()
        place = inner


frames = st.binary(max_size=64) | mutated() | grafted() | json_values.map(lambda value: json.dumps(value).encode())


def make_codecs() -> tuple[Books, list[Codec]]:
    """Return one codec of each kind over fresh books."""
    books = Books()
    books.add(KRAKEN, 10)
    books.add(COINBASE, 0)
    makers: list[Callable[[StreamStats], Codec]] = [
        lambda stats: KrakenMarketCodec([KRAKEN], books, stats),
        lambda stats: KrakenAccountCodec(VenueId("kraken"), stats),
        lambda stats: CoinbaseMarketCodec([COINBASE], books, stats),
        CoinbaseAccountCodec,
    ]
    return books, [make(StreamStats()) for make in makers]


@settings(max_examples=300, deadline=None)
@given(st.lists(frames, max_size=4))
def test_any_bytes_get_an_answer_and_no_crossed_book_is_tradable(stream):
    """No frame raises; after each, a book that says it is valid has a bid below its ask."""
    books, codecs = make_codecs()
    for seed in SEEDS:
        for codec in codecs:
            codec.decode(seed, T0_NS)
    for frame in stream:
        for codec in codecs:
            assert isinstance(codec.decode(frame, T0_NS), Decoded)
        for instrument in (KRAKEN, COINBASE):
            if books.state(instrument.id).is_valid:
                bid, ask = books.best(instrument.id, Side.SELL), books.best(instrument.id, Side.BUY)
                assert bid is not None
                assert ask is not None
                assert bid.price < ask.price
                assert bid.qty > 0
                assert ask.qty > 0
