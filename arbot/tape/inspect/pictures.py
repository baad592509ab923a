"""The charts of the page, each from the numbers of one inspection.

Long series are drawn as the least and the largest
value of each stretch of time, so that no peak is lost and none is smoothed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from arbot.tape.inspect.pairs import THRESHOLDS_BPS, PairStats, states_of
from arbot.tape.inspect.quotes import QuoteSeries, Walked
from arbot.tape.inspect.report import Inspection
from arbot.tape.inspect.rules.streams import has_venue_clock
from arbot.tape.inspect.series import coverage, series_stats
from arbot.tape.inspect.states import bin_extremes

BINS = 600
PAIRS_DRAWN_MAX = 8
ROWS_DRAWN_MAX = 40
_INK, _SOFT, _FAINT, _WARM, _BAD = "#14365c", "#4a83b8", "#c9dcee", "#d9822b", "#b3261e"
_SCALE = ("#9ecae1", "#4a83b8", "#14365c", "#d9822b", "#b3261e")


def coverage_chart(streams: Sequence[Walked], gap_s: float) -> go.Figure:
    """Draw when each series has messages, and where it has none."""
    figure = go.Figure()
    shown = sorted(streams, key=lambda walked: walked.series.name, reverse=True)[-ROWS_DRAWN_MAX:]
    for walked in shown:
        series = walked.series
        if not len(series.ts_ns):
            continue
        stats = series_stats(walked, gap_s)
        gaps = coverage(series, stats.step_median_s, gap_s).gaps
        starts = [int(series.ts_ns[0]), *(gap.end_ns for gap in gaps)]
        stops = [*(gap.start_ns for gap in gaps), int(series.seen_ns[-1])]
        x = [stamp for start, stop in zip(starts, stops, strict=True) for stamp in (_time(start), _time(stop), None)]
        figure.add_scatter(
            x=x, y=[series.name] * len(x), mode="lines", line={"width": 9, "color": _SOFT}, name="messages",
            hovertemplate="%{y}<br>%{x}<extra></extra>", showlegend=False,
        )  # fmt: skip
        if gaps:
            x = [stamp for gap in gaps for stamp in (_time(gap.start_ns), _time(gap.end_ns), None)]
            figure.add_scatter(
                x=x, y=[series.name] * len(x), mode="lines", line={"width": 9, "color": _BAD}, name="gap",
                hovertemplate="gap of %{y}<br>%{x}<extra></extra>", showlegend=False,
            )  # fmt: skip
    return _laid_out(figure, 26 * len(shown) + 90, "time (UTC)")


def edge_over_time(inspection: Inspection, pairs: Sequence[tuple[QuoteSeries, QuoteSeries]]) -> go.Figure:
    """Draw least and largest better edge per stretch of time, for the pairs with the most time above 10 bps."""
    order = most_open(inspection.pairs)[:PAIRS_DRAWN_MAX]
    titles = [pair_name(inspection.pairs[at]) for at in order]
    figure = make_subplots(
        rows=max(len(order), 1), cols=1, subplot_titles=titles, vertical_spacing=0.28 / max(len(order), 1)
    )
    for row, at in enumerate(order, start=1):
        states = states_of(*pairs[at], round(inspection.options.fresh_s * 1e9))
        if not len(states.starts):
            continue
        begin = int(states.starts[0])
        width = max((int(states.starts[-1] + states.lasts[-1]) - begin) // BINS + 1, 1)
        low, high = np.empty(BINS), np.empty(BINS)
        bin_extremes(states.starts, states.lasts, np.maximum(states.e1, states.e2), begin, width, low, high)
        stamps = [_time(begin + width * step) for step in range(BINS)]
        x = [stamp for stamp in stamps for _ in range(3)]
        y = [value for pair in zip(low, high, strict=True) for value in (*pair, None)]
        y = [None if value is None or np.isnan(value) else round(float(value), 3) for value in y]
        figure.add_scatter(
            x=x, y=y, mode="lines", line={"color": _SOFT, "width": 1.4}, showlegend=False, row=row, col=1,
            hovertemplate="%{x}<br>%{y:.2f} bps<extra></extra>",
        )  # fmt: skip
        figure.add_hline(y=0, line={"color": _INK, "width": 1}, row=row, col=1)
        figure.update_yaxes(title_text="bps", row=row, col=1)
    figure.update_annotations(font_size=12, x=0, xanchor="left")
    return _laid_out(figure, 165 * max(len(order), 1) + 80, "")


def edge_spread(inspection: Inspection) -> go.Figure:
    """Draw the distribution of the better edge of each pair: p5 to p95, p25 to p75, median and largest."""
    figure = go.Figure()
    order = most_open(inspection.pairs)[:ROWS_DRAWN_MAX][::-1]
    names = [pair_name(inspection.pairs[at]) for at in order]
    for low, high, width, color, label in (
        ("p5", "p95", 4, _FAINT, "5 % to 95 % of the time"),
        ("p25", "p75", 10, _SOFT, "25 % to 75 % of the time"),
    ):
        x, y = [], []
        for at, name in zip(order, names, strict=True):
            edge = inspection.pairs[at].edge_bps
            x += [edge[low], edge[high], None]
            y += [name, name, None]
        figure.add_scatter(x=x, y=y, mode="lines", line={"width": width, "color": color}, name=label, hoverinfo="skip")
    for key, symbol, color, label in (("p50", "line-ns-open", _INK, "median"), ("max", "diamond", _WARM, "largest")):
        figure.add_scatter(
            x=[inspection.pairs[at].edge_bps[key] for at in order], y=names, mode="markers", name=label,
            marker={"symbol": symbol, "size": 9, "color": color, "line": {"width": 2, "color": color}},
            hovertemplate="%{y}<br>" + label + " %{x:.2f} bps<extra></extra>",
        )  # fmt: skip
    figure.add_vline(x=0, line={"color": _INK, "width": 1})
    return _laid_out(figure, 24 * len(order) + 130, "better edge, bps before fees")


def share_by_fresh(inspection: Inspection) -> go.Figure:
    """Draw what a freshness limit leaves: usable time, and the part of it above each threshold."""
    figure = make_subplots(rows=1, cols=2, subplot_titles=("usable part of the time", "part of the usable time above"))
    pairs = [pair for pair in inspection.pairs if pair.is_comparable] or list(inspection.pairs)
    limits = sorted({limit.fresh_s for pair in pairs for limit in pair.by_fresh})
    overlap = sum(pair.overlap_h for pair in pairs)
    usable, above = [], []
    for limit in limits:
        found = [one for pair in pairs for one in pair.by_fresh if one.fresh_s == limit]
        valid = sum(one.valid_h for one in found)
        usable.append(100 * valid / overlap if overlap else 0.0)
        above.append([
            100 * sum(one.above_shares[at] * one.valid_h for one in found) / valid if valid else None
            for at in range(len(THRESHOLDS_BPS))
        ])  # fmt: skip
    figure.add_scatter(x=limits, y=usable, mode="lines+markers", line={"color": _INK}, showlegend=False, row=1, col=1)
    for at, threshold in enumerate(THRESHOLDS_BPS):
        figure.add_scatter(
            x=limits, y=[row[at] for row in above], mode="lines+markers", line={"color": _SCALE[at]},
            name=f"> {threshold:g} bps", row=1, col=2, hovertemplate="%{x:g} s: %{y:.3f} %<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(
        type="log", title_text="freshness limit, s", tickvals=limits, ticktext=[f"{x:g}" for x in limits]
    )
    figure.update_yaxes(ticksuffix=" %", rangemode="tozero")
    figure.add_vline(x=inspection.options.fresh_s, line={"color": _WARM, "dash": "dot"})
    figure = _laid_out(figure, 400, "")
    figure.update_layout(margin_t=75)
    return figure


def clock_chart(inspection: Inspection) -> go.Figure | None:
    """Draw receive time minus venue time of each series that has both, p1 to p99; None when none has."""
    shown = [stats for stats in inspection.series if has_venue_clock(stats)][:ROWS_DRAWN_MAX][::-1]
    if not shown:
        return None
    figure = go.Figure()
    for stats in shown:
        color = _BAD if stats.lag_ms["p50"] < 0 else _SOFT
        lags = [stats.lag_ms[name] for name in ("p1", "p50", "p99")]
        figure.add_scatter(
            x=[lags[0], lags[2]], y=[stats.name] * 2, mode="lines", line={"width": 7, "color": color},
            showlegend=False, hoverinfo="skip",
        )  # fmt: skip
        figure.add_scatter(
            x=[lags[1]], y=[stats.name], mode="markers", marker={"size": 9, "color": _INK}, showlegend=False,
            hovertemplate="%{y}<br>median %{x:.1f} ms<extra></extra>",
        )  # fmt: skip
    figure.add_vline(x=0, line={"color": _INK, "width": 1})
    return _laid_out(figure, 26 * len(shown) + 100, "receive time minus venue time, ms: p1 to p99, dot = median")


def most_open(pairs: Sequence[PairStats]) -> list[int]:
    """Return the positions of pairs, those with the most time above 10 bps first, then by share above 0."""
    return sorted(
        range(len(pairs)),
        key=lambda at: (-pairs[at].above[1].both.time_share, -pairs[at].above[0].both.time_share, at),
    )


def pair_name(pair: PairStats) -> str:
    """Return a pair as people say it."""
    symbol_a, _, venue_a = pair.a.partition("@")
    symbol_b, _, venue_b = pair.b.partition("@")
    return f"{symbol_a} {venue_a} - {venue_b}" if symbol_a == symbol_b else f"{pair.a} - {pair.b}"


def _time(ts_ns: int) -> str:
    return str(np.datetime64(ts_ns, "ns").astype("datetime64[ms]"))


def _laid_out(figure: go.Figure, height: int, x_title: str) -> go.Figure:
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 10, "r": 20, "t": 40, "b": 45},
        font={"family": "system-ui, sans-serif", "size": 12, "color": "#222"},
        legend={"orientation": "h", "yref": "container", "y": 0.995, "yanchor": "top", "x": 0.5, "xanchor": "center"},
    )
    figure.update_yaxes(automargin=True)
    if x_title:
        figure.update_xaxes(title_text=x_title)
    return figure
