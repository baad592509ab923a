"""Bars as quotes, for whoever insists on trading against them: one tick around the close, known when the bar has ended.

Bars without volume repeat an old price: they make no quote.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from arbot.market.stream import BOOK_SHIFT, IS_LAST, Kind, Rows, empty_rows
from arbot.tape.catalogue import Dataset
from arbot.tape.reader import Repairs, read_bars


def as_quotes(datasets: Sequence[Dataset], qtys: Sequence[int], repairs: Repairs | None = None) -> Rows:
    """Return a bid and an ask of the assumed quantity (in steps, by stream) at the end of every bar, in order.

    Streams are numbered by instrument in the order of first mention. Raises: UserError for a damaged part,
    unless `repairs` is given to count what is left out.
    """
    numbers: dict[str, int] = {}
    ends, closes, books = [], [], []
    for dataset in datasets:
        number = numbers.setdefault(dataset.meta.instrument.id, len(numbers))
        for part in dataset.parts:
            bars = read_bars(part, repairs)
            is_traded = (bars.volume > 0) & (bars.close > 1)
            ends.append(bars.start_ts_ns[is_traded] + dataset.meta.bar_ns)
            closes.append(bars.close[is_traded])
            books.append(np.full(int(is_traded.sum()), number, np.int64))
    if not ends:
        return empty_rows(0)
    end, close, book = np.concatenate(ends), np.concatenate(closes), np.concatenate(books)
    order = np.lexsort((book, end))
    end, close, book = (np.repeat(column[order], 2) for column in (end, close, book))
    is_ask = np.tile(np.array([False, True]), len(order))
    tag = book << BOOK_SHIFT | int(Kind.SNAPSHOT)
    return Rows(
        recv_ts_ns=end,
        venue_ts_ns=np.zeros_like(end),
        key=np.where(is_ask, -(close + 1), close - 1),
        qty=np.asarray(qtys, np.int64)[book],
        tag=np.where(is_ask, tag | IS_LAST, tag),
    )
