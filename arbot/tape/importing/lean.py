"""Read crypto bars of Lean's data folder: one zip per day, without a header.

Rules: the date stands only in the name, rows carry ms since midnight UTC. Trade bars are open, high, low, close, volume.
Quote bars are bid open, high, low, close, last bid size, then the same of the ask: their closing prices become one
quote at the *end* of the bar, before which nobody could know them. Crypto prices are not scaled. Venue and symbol come
from the folders crypto/{venue}/{resolution}/{symbol}/{date}_{type}.zip, or from a flat name such as
coinbase_btcusd_20171217_quote.zip. Only minutes and seconds have their date in the name: hour, day and tick are refused.
Source: https://github.com/QuantConnect/Lean, Data/crypto/readme.md, 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from arbot.tape.importing.contract import BarBatch, Batch, Format, SeriesKey, Severity, Source
from arbot.tape.importing.ladders import Ladders, above_zero, book_batch
from arbot.tape.importing.markets import series_of
from arbot.tape.importing.tables import Piece, header_of, pieces_of
from arbot.tape.importing.tally import NS, Tally, days_in
from arbot.tape.importing.text import member_name, refused
from arbot.tape.schema import Content, Market

MS_NS = 1_000_000
BAR_NS = {"minute": 60 * NS, "second": NS}
DAY_MS = 86_400_000
VALUES = ("open", "high", "low", "close", "volume")
BID = ("bid_open", "bid_high", "bid_low", "bid_close", "bid_size")
ASK = ("ask_open", "ask_high", "ask_low", "ask_close", "ask_size")
FIELDS = {"trade": ("ms", *VALUES), "quote": ("ms", *BID, *ASK)}
LAYOUT_DEPTH = 4  # {venue}/{resolution}/{symbol}/{file}


class Zip(NamedTuple):
    """What the names of a file say."""

    kind: str  # "trade" or "quote"
    bar_ns: int
    midnight_ns: int
    series: SeriesKey


def read_quotes(source: Source) -> Iterator[Batch]:
    """Yield one quote per quote bar, known at the end of the bar. Raises: Refused."""
    zipped = _named(source, "quote")
    tally = Tally(source)
    for piece in _pieces(source, tally, "quote"):
        known_ts_ns = _starts(source, piece, zipped) + zipped.bar_ns
        price, qty = (
            np.stack([piece.columns[name] for name in names], axis=1)
            for names in (("bid_close", "ask_close"), ("bid_size", "ask_size"))
        )
        detail = f"sampled: the quote at the end of each bar of {zipped.bar_ns // NS} s, nothing in between"
        tally.note("bar_label", Severity.INFO, zipped.series, detail, ts_ns=known_ts_ns)
        ladders = Ladders(known_ts_ns, np.zeros(len(piece), np.int64), piece.rows(), price, qty)
        batch = book_batch(source, tally, zipped.series, Content.QUOTES, ladders)
        if batch is not None:
            yield batch
    tally.tell()


def read_trades(source: Source) -> Iterator[Batch]:
    """Yield the trade bars. Raises: Refused."""
    zipped = _named(source, "trade")
    tally = Tally(source)
    for piece in _pieces(source, tally, "trade"):
        start_ts_ns = _starts(source, piece, zipped)
        detail = f"bars of {zipped.bar_ns // NS} s, stamped with their start: known one length later"
        tally.note("bar_label", Severity.INFO, zipped.series, detail, ts_ns=start_ts_ns)
        columns = {name: piece.columns[name] for name in VALUES}
        is_good = above_zero(
            source, tally, zipped.series, ts_ns=start_ts_ns, rows=piece.rows(), columns=columns, may_be_zero="volume"
        )
        if is_good.any():
            yield BarBatch(
                series=zipped.series,
                bar_ns=zipped.bar_ns,
                start_ts_ns=start_ts_ns[is_good],
                first_row=int(piece.rows()[is_good][0]),
                **{name: column[is_good] for name, column in columns.items()},
            )
    tally.tell()


def _pieces(source: Source, tally: Tally, kind: str) -> Iterator[Piece]:
    fields = FIELDS[kind]
    first = header_of(source)
    if len(first) != len(fields):
        raise refused(source, f"{len(first)} fields where {kind} bars have {len(fields)}", "check which file this is")
    return pieces_of(source, tally, fields, fields, skip=0)


def _named(source: Source, kind: str) -> Zip:
    """Return what the name of the zip, of its member and of the folders say. Raises: Refused when they disagree."""
    stem = source.path.name.removesuffix(".zip").lower()
    inside = member_name(source).lower()
    resolution = next((name for name in BAR_NS if re.search(rf"(^|_){name}(_|$|\.)", inside)), "")
    if kind not in stem or kind not in inside or not resolution:
        raise refused(
            source,
            f"the member {inside!r} is no {kind} bars of minutes or seconds",
            "import zips named {date}_{type}.zip of the minute or second folders",
        )
    days = {day for name in (stem, inside) for day in days_in(name)}
    if not days and source.options.day:
        days = set(days_in(source.options.day))
    if len(days) != 1:
        told = ", ".join(sorted(f"{day:%Y-%m-%d}" for day in days)) or "no date"
        raise refused(
            source, f"the names say {told}; the rows carry only a time of day", "name the zip {date}_{type}.zip"
        )
    venue, symbol, market = _market(source, stem)
    midnight_ns = int((days.pop() - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * NS
    return Zip(kind, BAR_NS[resolution], midnight_ns, series_of(source, venue, symbol, market))


def _market(source: Source, stem: str) -> tuple[str, str, Market]:
    """Return venue, symbol and kind of market, from a flat name or from the folders."""
    words = [word for word in stem.split("_") if word not in {"trade", "quote", *BAR_NS} and not days_in(word)]
    folders = source.path.resolve().parts
    market = Market.UNKNOWN if "cryptofuture" in folders else Market.SPOT
    if len(words) == 2:
        return words[0], words[1], market
    if not words and len(folders) > LAYOUT_DEPTH and folders[-3] in BAR_NS:
        return folders[-4], folders[-2], market
    return "", source.options.symbol, market


def _starts(source: Source, piece: Piece, zipped: Zip) -> NDArray[np.int64]:
    """Return the start of each bar in ns. Raises: Refused for what is no time of day in ms."""
    texts = piece.columns["ms"].astype("U")
    is_good = np.char.isdigit(texts) & (np.char.str_len(texts) <= len(str(DAY_MS)))
    ms = np.where(is_good, texts, "-1").astype(np.int64)
    is_good &= ms < DAY_MS
    if not is_good.all():
        at = int(np.flatnonzero(~is_good)[0])
        raise refused(source, f"'{texts[at]}' is no time of day in ms", "mend or remove the row", int(piece.rows()[at]))
    starts: NDArray[np.int64] = zipped.midnight_ns + ms * MS_NS
    return starts


FORMATS: tuple[Format, ...] = (
    Format(
        name="lean-quote",
        about="Lean's crypto quote bars: one zip per day, minutes or seconds",
        read=read_quotes,
        files=("*_quote.zip",),
    ),
    Format(
        name="lean-trade",
        about="Lean's crypto trade bars: one zip per day, minutes or seconds",
        read=read_trades,
        files=("*_trade.zip",),
    ),
)
