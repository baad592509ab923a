"""Find out, row by row of a table, at which times and on which market each row stands.

Rules: `recv_ts` is the recorder's clock, `venue_ts` the venue's; one of them is enough, and a row with neither is
refused. A time written out without a zone is taken for UTC, and that is told (`time_zone`). Rows of several markets in
one table are split, each part in the order of the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from arbot.tape.importing.contract import SeriesKey, Severity, Source
from arbot.tape.importing.markets import series_of
from arbot.tape.importing.tables import Piece
from arbot.tape.importing.tally import Tally
from arbot.tape.importing.text import refused
from arbot.tape.importing.times import to_ns
from arbot.tape.schema import Market


class Part(NamedTuple):
    """The rows of one series in a piece of a table: their places in it, and their numbers in the file."""

    series: SeriesKey
    at: NDArray[np.intp]
    rows: NDArray[np.int64]


class Clocks(NamedTuple):
    """Times of the rows of a piece in ns; 0 where the table gives none."""

    recv_ts_ns: NDArray[np.int64]
    venue_ts_ns: NDArray[np.int64]

    def known(self) -> NDArray[np.int64]:
        """Return the time that orders the rows: the recorder's, else the venue's."""
        return np.where(self.recv_ts_ns > 0, self.recv_ts_ns, self.venue_ts_ns)


def clocks_of(source: Source, tally: Tally, piece: Piece, found: Mapping[str, str]) -> Clocks:
    """Return both clocks of a piece, from the columns found for `recv_ts` and `venue_ts`. Raises: Refused."""
    none = np.zeros(len(piece), np.int64)
    recv, venue = (
        to_ns(piece.columns[found[name]], found[name], source, piece.first_row) if name in found else none
        for name in ("recv_ts", "venue_ts")
    )
    clocks = Clocks(recv, venue)
    timeless = np.flatnonzero(clocks.known() == 0)
    if len(timeless):
        raise refused(source, "the row has no time", "mend or remove the row", int(piece.rows()[timeless[0]]))
    for name in ("recv_ts", "venue_ts"):
        first = piece.columns[found[name]][0] if name in found else ""
        if "-" in first[1:] and not first.endswith(("Z", "UTC", "+00:00", "+0000")):
            detail = f"{found[name]} says no zone ({first}): taken for UTC"
            tally.note("time_zone", Severity.INFO, None, detail, ts_ns=clocks.known())
    return clocks


def parts_of(
    source: Source, piece: Piece, found: Mapping[str, str], assumed: Market, *, venue: str = "", symbol: str = ""
) -> Iterator[Part]:
    """Yield the rows of each market in a piece; `venue` and `symbol` are for tables without such columns.

    Raises: Refused for a market that cannot be named, and when --symbol or --venue would pour several into one.
    """
    names = [piece.columns[found[name]] if name in found else None for name in ("venue", "symbol")]
    given = [fixed if column is None else column for column, fixed in zip(names, (venue, symbol), strict=True)]
    met: dict[tuple[str, str], list[int]] = {}
    venues = [given[0]] * len(piece) if isinstance(given[0], str) else given[0].tolist()
    symbols = [given[1]] * len(piece) if isinstance(given[1], str) else given[1].tolist()
    for at, key in enumerate(zip(venues, symbols, strict=True)):
        met.setdefault(key, []).append(at)
    known: dict[SeriesKey, tuple[str, str]] = source.shared.setdefault(f"names in {source.path}", {})
    for key, places in met.items():
        series = series_of(source, *key, assumed)
        first = int(piece.rows()[places[0]])
        other = known.setdefault(SeriesKey(venue=series.venue, symbol=series.symbol, native=""), key)
        if other != key:
            raise refused(
                source,
                f"{'/'.join(key)} and {'/'.join(other)} would both become {series.symbol} of {series.venue}",
                "leave out --venue or --symbol, or split the file first",
                first,
            )
        taken = np.array(places, np.intp)
        yield Part(series, taken, piece.rows()[taken])
