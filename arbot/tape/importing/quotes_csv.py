"""Read plain CSV of best bid and ask, one row per quote, several series in one file or one.

Rules: our own header is `ts_us,venue,symbol,bid,bid_sz,ask,ask_sz`; others are read with --column ours=theirs, where
ours are recv_ts, venue_ts, venue, symbol, bid, bid_sz, ask, ask_sz. `ts_us` is the time of receipt unless --column says
otherwise. What the columns do not say, --venue and --symbol do. Without both sizes the quotes are unsized: nobody knows
how much could have been traded, and no order can be filled against them. Columns that are not named here are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from arbot.tape.importing.contract import Batch, Format, Severity, Source
from arbot.tape.importing.identity import clocks_of, parts_of
from arbot.tape.importing.ladders import Ladders, book_batch
from arbot.tape.importing.tables import Piece, header_of, mapped, pieces_of, required
from arbot.tape.importing.tally import Tally
from arbot.tape.importing.text import refused
from arbot.tape.schema import Content, Market

COLUMNS: Mapping[str, Sequence[str]] = {
    "recv_ts": ("ts_us", "ts_ns", "ts_ms", "ts_s", "ts", "recv_ts", "local_timestamp"),
    "venue_ts": ("venue_ts",),
    "venue": ("venue", "exchange"),
    "symbol": ("symbol",),
    "bid": ("bid",),
    "bid_sz": ("bid_sz",),
    "ask": ("ask",),
    "ask_sz": ("ask_sz",),
}


def read_quotes(source: Source) -> Iterator[Batch]:
    """Yield the quotes of a CSV. Raises: Refused."""
    fields = header_of(source)
    found = mapped(source, COLUMNS, fields)
    required(source, found, ("bid", "ask"), fields)
    if "recv_ts" not in found and "venue_ts" not in found:
        required(source, found, ("recv_ts",), fields)
    has_sizes = "bid_sz" in found and "ask_sz" in found
    if not has_sizes and ("bid_sz" in found or "ask_sz" in found):
        raise refused(source, "sizes of one side only", "name the other with --column bid_sz=NAME or ask_sz=NAME")
    content = Content.QUOTES if has_sizes else Content.UNSIZED_QUOTES
    tally = Tally(source)
    for piece in pieces_of(source, tally, fields, list(dict.fromkeys(found.values()))):
        clocks = clocks_of(source, tally, piece, found)
        price = _pairs(piece, found, "bid", "ask")
        qty = _pairs(piece, found, "bid_sz", "ask_sz") if has_sizes else None
        for part in parts_of(source, piece, found, Market.SPOT):
            recv, venue = (column[part.at] for column in clocks)
            sizes = None if qty is None else qty[part.at]
            batch = book_batch(
                source, tally, part.series, content, Ladders(recv, venue, part.rows, price[part.at], sizes)
            )
            if not has_sizes:
                detail = "no column of sizes: nobody knows how much could have been traded at these quotes"
                tally.note("unsized_quotes", Severity.WARN, part.series, detail, ts_ns=clocks.known()[part.at])
            if batch is not None:
                yield batch
    tally.tell()


def _pairs(piece: Piece, found: Mapping[str, str], bid: str, ask: str) -> NDArray[np.object_]:
    return np.stack([piece.columns[found[bid]], piece.columns[found[ask]]], axis=1)


FORMATS: tuple[Format, ...] = (
    Format(
        name="quotes-csv",
        about="CSV of best bid and ask: ts_us,venue,symbol,bid,bid_sz,ask,ask_sz, or others with --column",
        read=read_quotes,
        files=("*tob*.csv", "*tob*.csv.gz", "*quote*.csv", "*quote*.csv.gz", "*.csv", "*.csv.gz"),
    ),
)
