"""A tape cut by time: the part that settings are tuned on, and the part at its end that is held out."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np

from arbot.backtest.stock import Listed, Stock
from arbot.backtest.sweep_pass import Part
from arbot.market.stream import Rows

TUNED, HELD_OUT = "tuned", "held_out"


def span_of(stock: Stock) -> tuple[int, int]:
    """Return the times of the first and last row of a stock, (0, 0) for an empty one."""
    first = last = 0
    for chunk in stock.chunks():
        if len(chunk):
            first = first or int(chunk.recv_ts_ns[0])
            last = int(chunk.recv_ts_ns[-1])
    return first, last


def split(span: tuple[int, int], hold_out: float) -> tuple[Part, ...]:
    """Return the tuned and the held-out part: the last share `hold_out` of the time; one part when that is 0."""
    first, last = span
    cut = last + 1 - round((last + 1 - first) * hold_out)
    tuned = Part(name=TUNED, first_ts_ns=first, stop_ts_ns=cut)
    return (tuned, Part(name=HELD_OUT, first_ts_ns=cut, stop_ts_ns=last + 1)) if hold_out else (tuned,)


class StockUntil(msgspec.Struct, frozen=True):
    """A Stock that ends before the first message at or after `stop_ts_ns`."""

    whole: Stock
    stop_ts_ns: int

    @property
    def streams(self) -> tuple[Listed, ...]:
        """Return the streams of the whole."""
        return self.whole.streams

    @property
    def rows(self) -> int:
        """Return the rows of the whole: how many come before the end is not known until they are read."""
        return self.whole.rows

    @property
    def key(self) -> str:
        """Return the whole's key with the end."""
        return f"{self.whole.key}:{self.stop_ts_ns}"

    def chunks(self) -> Iterator[Rows]:
        """Yield the rows up to the end."""
        for chunk in self.whole.chunks():
            stop = int(np.searchsorted(chunk.recv_ts_ns, self.stop_ts_ns))
            if stop:
                yield chunk.part(0, stop)
            if stop < len(chunk):
                return

    def repaired(self) -> tuple[str, ...]:
        """Return what was left out of the whole."""
        return self.whole.repaired()
