"""What a tape looks like on disk.

One catalogue is a folder:

    <catalogue>/<venue>/<symbol, "/" as "-">/<YYYY-MM-DD>/<recv_ts_ns of the first row, 19 digits>.parquet
    <catalogue>/.cache/                     merged columns of whole tapes, safe to delete (cache.py)
    <catalogue>/imports/<number>.json       what an import read, kept, dropped and found (importing/contract.py)

The day is the UTC day of `recv_ts_ns`. The parts of a day do not overlap and sort by name. A part is written under a
name that starts with "." and ends in ".open", made durable, and only then renamed: a file with its right name is whole.
Content other than books says so in the name (<19 digits>.trades.parquet), so that it fits beside a book. A part made of
others by compaction takes the name of the first and lists all of them in the metadata key "arbot.replaces".
Each part says all there is to say in the metadata key "arbot" (TapeMeta as JSON), the same in every part of a dataset.

Columns of a book part (zstd; the words are market/stream.py's):

    recv_ts_ns int64 · venue_ts_ns int64 · seq int64 · kind int8 · is_last bool · side int8 · price int64 · qty int64

`side` is 1 for a bid or a buying taker, -1 for an ask or a selling taker, 0 where there is none or nobody knows it;
`price` is in units of 10**-price_decimals and `qty` in units of 10**-qty_decimals of the instrument: the integers that
market.Books takes. `seq` is the number of the last journal event before the row when the daemon recorded while trading,
so that journal and tape replay in the very order in which they happened; 0 otherwise.

Columns of a bars part: start_ts_ns, open, high, low, close, volume, all int64. Bars are reference data: no order can
be filled against one.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from arbot.domain.instrument import Instrument

META_KEY = b"arbot"
FORMAT = 1


class Content(StrEnum):
    """What can be done with a dataset."""

    BOOK = "book"  # levels with sizes: can be traded against
    QUOTES = "quotes"  # best bid and ask with sizes: can be traded against, one level deep
    UNSIZED_QUOTES = "unsized_quotes"  # best bid and ask, qty 0: nobody knows how much could have been traded
    TRADES = "trades"  # trade prints only
    BARS = "bars"


class Market(StrEnum):
    """What is traded. Only SPOT is compared and traded by default: the others differ by basis, funding and margin."""

    SPOT = "spot"
    LINEAR = "linear"  # a future or perpetual whose size is in base
    INVERSE = "inverse"  # a future or perpetual whose size is in contracts of quote
    UNKNOWN = "unknown"


class Clocks(StrEnum):
    """Which clocks the recording has."""

    BOTH = "both"
    RECV_ONLY = "recv_only"  # venue_ts_ns is 0
    VENUE_ONLY = "venue_only"  # recv_ts_ns repeats the venue's time: nothing is known about delays


class TapeMeta(msgspec.Struct, frozen=True, kw_only=True):
    """What a dataset is. `tick` and `step` are the units of the integer columns (10**-decimals of the instrument)."""

    instrument: Instrument
    content: Content
    tick: Decimal
    step: Decimal
    market: Market = Market.SPOT
    contract_size: str = ""  # such as "100 USD" or "10 DOGE"; empty for SPOT, or when unknown
    clocks: Clocks = Clocks.BOTH
    depth: int = 0  # levels a side that the source sent; 0 = the whole book
    bar_ns: int = 0  # length of a bar; 0 for other content
    source: str = ""  # "recorded", "generated", or the format it was imported from
    venue_symbol: str = ""  # as the source wrote it
    run_id: str = ""  # of the daemon that recorded while trading
    format: int = FORMAT


_DECODER = msgspec.json.Decoder(TapeMeta)


def encode_meta(meta: TapeMeta) -> bytes:
    """Return the metadata as a part carries it."""
    return msgspec.json.encode(meta)


def decode_meta(raw: bytes) -> TapeMeta:
    """Return the metadata of a part. Raises: msgspec.ValidationError for what is not ours."""
    return _DECODER.decode(raw)


def slug(symbol: str) -> str:
    """Return a symbol as a folder name: ("BTC/USD") -> "BTC-USD", ("DOGE/USD:DOGE") -> "DOGE-USD_DOGE"."""
    return symbol.replace("/", "-").replace(":", "_")
