"""What rules look at, and what they say."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

from arbot.tape.importing.contract import Severity
from arbot.tape.inspect.bars import BarPairStats, BarSeries, BarStats
from arbot.tape.inspect.pairs import PairStats
from arbot.tape.inspect.quotes import Walked
from arbot.tape.inspect.series import SeriesStats
from arbot.tape.schema import Content

DOLLARS = frozenset({"USD", "USDT", "USDC", "BUSD", "FDUSD", "TUSD", "DAI", "USDP"})  # parity-ok: see below
"""Quote assets worth about a dollar: near enough to tell a false print from a true one, not near enough to trade on."""


class Stream(NamedTuple):
    """One stream: what was walked, and its statistics."""

    walked: Walked
    stats: SeriesStats


class Bars(NamedTuple):
    """One series of bars and its statistics."""

    series: BarSeries
    stats: BarStats


class Evidence(NamedTuple):
    """All that an inspection has gathered."""

    streams: Sequence[Stream] = ()
    bars: Sequence[Bars] = ()
    pairs: Sequence[PairStats] = ()
    bar_pairs: Sequence[BarPairStats] = ()
    fresh_s: float = 5.0

    @property
    def quoted(self) -> list[Stream]:
        """Streams with a best bid and ask."""
        return [stream for stream in self.streams if stream.stats.content is not Content.TRADES]


class Found(NamedTuple):
    """One finding before it gets code, severity and remedy from the table; `severity` when it is not the table's."""

    series: str
    detail: str
    count: int = 0
    share: float = 0.0
    first_ts_ns: int = 0
    last_ts_ns: int = 0
    severity: Severity | None = None
    remedy: str = ""


def utc(ts_ns: int) -> str:
    """Return a time as people read it."""
    return dt.datetime.fromtimestamp(ts_ns // 1_000_000_000, dt.UTC).strftime("%Y-%m-%d %H:%M:%S")


def is_same_money(one: str, other: str) -> bool:
    """Return whether two quote assets are one, or both worth about a dollar."""
    return one == other or (one in DOLLARS and other in DOLLARS)
