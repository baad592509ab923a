"""Read hand-made CSV of books, one row per snapshot of the best N levels, and the trade prints of the same recorders.

Rules: columns `timestamp` (the venue's clock), `local_timestamp` (the recorder's), `exchange` or `venue`, `symbol`, and
per level `ask_1_price,ask_1_qty,...,bid_1_price,bid_1_qty,...` or, as other exports of top-N books write it,
`asks[0].price,asks[0].amount,...`; an empty field is a level that was not there. Prints: `side` BUY or SELL (the
taker's), `price`, `qty`. Such recorders name spot and perpetuals alike (ETHUSDT), so without --market the market is
unknown: nothing is guessed from a name. Layouts seen in public recordings, 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from arbot.tape.importing.contract import Batch, Format, Source
from arbot.tape.importing.identity import clocks_of, parts_of
from arbot.tape.importing.ladders import Ladders, above_zero, book_batch, trade_batch
from arbot.tape.importing.tables import Piece, header_of, mapped, pieces_of, required
from arbot.tape.importing.tally import Tally
from arbot.tape.importing.text import refused
from arbot.tape.schema import Content, Market

PIECE_ROWS = 4_000  # of up to a hundred fields each
IDENTITY: Mapping[str, Sequence[str]] = {
    "recv_ts": ("local_timestamp", "recv_ts"),
    "venue_ts": ("timestamp", "venue_ts"),
    "venue": ("exchange", "venue"),
    "symbol": ("symbol",),
}
LEVEL = re.compile(
    r"(?P<side>ask|bid)(_(?P<from1>\d+)_|s\[(?P<from0>\d+)\]\.)(?P<what>price|qty|size|amount)", re.IGNORECASE
)
"""A column of one level, numbered from 1 or, in brackets, from 0."""
PRINT: Mapping[str, Sequence[str]] = {**IDENTITY, "side": ("side",), "price": ("price",), "qty": ("qty", "amount")}
SIDES = {"buy": 1, "sell": -1, "b": 1, "s": -1, "bid": 1, "ask": -1, "unknown": 0, "": 0}
"""Words for the taker's side."""


def read_books(source: Source) -> Iterator[Batch]:
    """Yield the books of a wide CSV. Raises: Refused."""
    fields = header_of(source)
    found = mapped(source, IDENTITY, fields)
    prices, qtys = _level_columns(source, fields)
    tally = Tally(source)
    for piece in pieces_of(source, tally, fields, [*found.values(), *prices, *qtys], piece_rows=PIECE_ROWS):
        clocks = clocks_of(source, tally, piece, found)
        price, qty = (np.stack([piece.columns[name] for name in names], axis=1) for names in (prices, qtys))
        for part in parts_of(source, piece, found, Market.UNKNOWN):
            recv, venue = (column[part.at] for column in clocks)
            ladders = Ladders(recv, venue, part.rows, price[part.at], qty[part.at])
            batch = book_batch(source, tally, part.series, Content.BOOK, ladders)
            if batch is not None:
                yield batch
    tally.tell()


def read_prints(source: Source) -> Iterator[Batch]:
    """Yield the trade prints of a CSV. Raises: Refused."""
    fields = header_of(source)
    found = mapped(source, PRINT, fields)
    required(source, found, ("price", "qty"), fields)
    tally = Tally(source)
    for piece in pieces_of(source, tally, fields, list(found.values())):
        clocks = clocks_of(source, tally, piece, found)
        price, qty = piece.columns[found["price"]], piece.columns[found["qty"]]
        side = sides_of(source, piece, found.get("side", ""))
        for part in parts_of(source, piece, found, Market.UNKNOWN):
            numbers = {"price": price[part.at], "qty": qty[part.at]}
            times = clocks.known()[part.at]
            is_good = above_zero(source, tally, part.series, ts_ns=times, rows=part.rows, columns=numbers)
            at = part.at[is_good]
            if len(at):
                yield trade_batch(
                    part.series,
                    recv_ts_ns=clocks.recv_ts_ns[at],
                    venue_ts_ns=clocks.venue_ts_ns[at],
                    side=side[at],
                    price=price[at],
                    qty=qty[at],
                    first_row=int(part.rows[is_good][0]),
                )
    tally.tell()


def sides_of(source: Source, piece: Piece, name: str) -> NDArray[np.int8]:
    """Return the takers' sides of prints, 0 for unknown. Raises: Refused for a word that is no side."""
    if not name:
        return np.zeros(len(piece), np.int8)
    words = [word.strip().lower() for word in piece.columns[name]]
    unknown = set(words) - SIDES.keys()
    if unknown:
        at = next(at for at, word in enumerate(words) if word in unknown)
        raise refused(source, f"{name} is {words[at]!r}, no side", "write BUY, SELL or nothing", piece.first_row + at)
    return np.array([SIDES[word] for word in words], np.int8)


def _level_columns(source: Source, fields: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the columns of prices and of sizes: bids best first, then asks best first."""
    found: dict[tuple[str, bool], dict[int, str]] = {}
    for field in fields:
        match = LEVEL.fullmatch(field)
        if match:
            level = int(match["from1"]) - 1 if match["from1"] else int(match["from0"])
            found.setdefault((match["side"].lower(), match["what"].lower() == "price"), {})[level] = field
    depth = max((len(levels) for levels in found.values()), default=0)
    wanted = set(range(depth))
    lists = []
    for is_price in (True, False):
        columns = []
        for side in ("bid", "ask"):
            levels = found.get((side, is_price), {})
            if not depth or levels.keys() != wanted:
                raise refused(
                    source,
                    f"no columns for {depth or 'the'} {side} {'prices' if is_price else 'sizes'} numbered without a hole",
                    "name them ask_1_price, ask_1_qty, ..., bid_1_price, bid_1_qty, ... as many asks as bids",
                )
            columns += [levels[level] for level in range(depth)]
        lists.append(columns)
    return lists[0], lists[1]


FORMATS: tuple[Format, ...] = (
    Format(
        name="wide-csv",
        about="CSV with one row per snapshot: ask_1_price,ask_1_qty,...,bid_1_price,bid_1_qty,...",
        read=read_books,
        files=("*orderbook*.csv", "*orderbook*.csv.gz", "*book*.csv", "*book*.csv.gz"),
    ),
    Format(
        name="trades-csv",
        about="CSV of trade prints: timestamp,local_timestamp,exchange,symbol,side,price,qty",
        read=read_prints,
        files=("*trade*.csv", "*trade*.csv.gz"),
    ),
)
