"""From datasets to one Inspection: the document behind the table, the JSON and the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from arbot.market.stream import Rows
from arbot.tape.importing.contract import Finding, ImportReport
from arbot.tape.inspect.bars import BarPairStats, BarSeries, BarStats, bar_pair_stats, bar_pairs_of, bar_stats
from arbot.tape.inspect.findings import findings_of
from arbot.tape.inspect.pairs import PairStats, is_comparable, pair_class, pair_stats, pairs_of
from arbot.tape.inspect.quotes import QuoteSeries, Walked, walk_stream
from arbot.tape.inspect.rules.evidence import Bars, Evidence, Stream
from arbot.tape.inspect.series import SeriesStats, series_stats
from arbot.tape.schema import Content, TapeMeta

FRESH_LIMITS_S = (0.5, 1.0, 1.5, 3.0, 6.0, 20.0, 60.0)

_RICHNESS = (Content.BOOK, Content.QUOTES, Content.UNSIZED_QUOTES, Content.TRADES, Content.BARS)


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the person asked for."""

    fresh_s: float = 5.0
    is_every_pair: bool = False  # pairs of unlike quotes or markets too
    removes_crossed: bool = False
    gap_s: float = 60.0


class Dataset(NamedTuple):
    """One dataset to look at: its rows part by part, or its bars."""

    meta: TapeMeta
    parts: Iterable[Rows] = ()
    bars: BarSeries | None = None
    rows: int = 0


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """All that was found. Times in ns UTC, shares of time 0 to 1; NaN (null in JSON) = nothing to measure."""

    options: Options
    series: tuple[SeriesStats, ...]
    bars: tuple[BarStats, ...]
    pairs: tuple[PairStats, ...]
    pairs_kept_out: dict[str, int]  # class -> pairs of unlike quotes or markets that were not compared
    bar_pairs: tuple[BarPairStats, ...]
    findings: tuple[Finding, ...]


class Looked(NamedTuple):
    """An inspection, and the series it was made from, for pictures."""

    inspection: Inspection
    pairs: tuple[tuple[QuoteSeries, QuoteSeries], ...]
    streams: tuple[Walked, ...]


class Watch:
    """Hears how far an inspection is; this one tells nobody (backtest.progress.Progress has the same shape)."""

    def start(self, what: str, total: int) -> None:
        """Begin a phase."""

    def advance(self, done: int) -> None:
        """Note how far it is."""


def inspect(
    datasets: Sequence[Dataset],
    imports: Sequence[ImportReport],
    options: Options,
    watch: Watch | None = None,
    damage: Callable[[], Sequence[Finding]] = tuple,
) -> Looked:
    """Return what the data is worth. Reads each dataset once, in memory that grows with changes of best prices.

    `damage` is asked last for what could not be read. Raises: UserError when the reading does.
    """
    watch = watch or Watch()
    streams = [
        Stream(walked, series_stats(walked, options.gap_s))
        for walked in _walk_all([dataset for dataset in datasets if dataset.bars is None], watch)
    ]
    streams = sorted((one for one in streams if one.stats.rows), key=lambda one: (one.stats.base, one.stats.name))
    bars = [Bars(dataset.bars, bar_stats(dataset.bars)) for dataset in datasets if dataset.bars is not None]
    return look(streams, bars, imports, options, watch, damage())


def look(  # noqa: PLR0917
    streams: Sequence[Stream], bars: Sequence[Bars], imports: Sequence[ImportReport], options: Options,
    watch: Watch | None = None, damage: Sequence[Finding] = (),
) -> Looked:  # fmt: skip
    """Return what streams that were walked already are worth."""
    watch = watch or Watch()
    quoted = _to_compare(streams)
    if options.removes_crossed:
        quoted = [series.without_crossed() for series in quoted]
    every = pairs_of(quoted, lambda _a, _b: True)
    wanted = [pair for pair in every if options.is_every_pair or is_comparable(*pair)]
    watch.start("comparing venues", len(wanted))
    pairs = []
    for done, (a, b) in enumerate(wanted, start=1):
        pairs.append(pair_stats(a, b, options.fresh_s, FRESH_LIMITS_S))
        watch.advance(done)
    bar_pairs = [bar_pair_stats(a, b) for a, b in bar_pairs_of(one.series for one in bars)]
    evidence = Evidence(streams, bars, pairs, bar_pairs, options.fresh_s)
    inspection = Inspection(
        options=options,
        series=tuple(stream.stats for stream in streams),
        bars=tuple(one.stats for one in bars),
        pairs=tuple(pairs),
        pairs_kept_out=_kept_out(every, wanted),
        bar_pairs=tuple(bar_pairs),
        findings=findings_of(evidence, imports, damage),
    )
    return Looked(inspection, tuple(wanted), tuple(stream.walked for stream in streams))


def _to_compare(streams: Sequence[Stream]) -> list[QuoteSeries]:
    """Return one series of quotes per instrument: of its book if there is one."""
    best: dict[str, Stream] = {}
    for stream in sorted(streams, key=lambda one: _RICHNESS.index(one.stats.content)):
        if stream.stats.content is not Content.TRADES:
            best.setdefault(stream.stats.name, stream)
    return [stream.walked.series for stream in best.values()]


def _walk_all(datasets: Sequence[Dataset], watch: Watch) -> Iterator[Walked]:
    watch.start("reading", sum(dataset.rows for dataset in datasets))
    done = 0

    def counted(parts: Iterable[Rows]) -> Iterator[Rows]:
        nonlocal done
        for part in parts:
            yield part
            done += len(part)
            watch.advance(done)

    for dataset in datasets:
        yield walk_stream(dataset.meta, counted(dataset.parts))


def _kept_out(
    every: Sequence[tuple[QuoteSeries, QuoteSeries]], wanted: Sequence[tuple[QuoteSeries, QuoteSeries]]
) -> dict[str, int]:
    names = {(a.name, b.name) for a, b in wanted}
    counts: dict[str, int] = {}
    for a, b in every:
        if (a.name, b.name) not in names:
            counts[pair_class(a, b)] = counts.get(pair_class(a, b), 0) + 1
    return dict(sorted(counts.items()))
