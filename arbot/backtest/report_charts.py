"""The pictures of the report, as plain Plotly figures: data and layout, no colours of the page.

Rules: every axis names its unit; a column has the same colour in every picture; a line has at most POINTS_MAX points, of which
the lowest and the highest of each stretch stay. Times are ms since the epoch, UTC. Money becomes float here and nowhere
before: a picture has no cents.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from arbot.backtest.result import Replayed, Result, SampleRow, Scenario
from arbot.backtest.words import money, reason

POINTS_MAX = 1_200
REASONS_MAX = 12
COLOURS = {Scenario.NAIVE: "#8b93a1", Scenario.REALISTIC: "#2f81f7", Scenario.PESSIMISTIC: "#e0803a"}
GAIN, LOSS, WHOLE = "#2da06f", "#d6534f", "#7a6ff0"

Figure = dict[str, Any]


def figures(result: Result) -> dict[str, Figure]:
    """Return every picture by the id of the element it is drawn into."""
    made: dict[str, Figure] = {
        "realised": _over_time(result, f"net profit of closed arbs ({result.ccy})", lambda _, row: float(row.realised)),
        "equity": _over_time(
            result, f"change of equity ({result.ccy})", lambda one, row: float(row.equity - one.equity_start)
        ),
        "drawdown": _drawdown(result),
        "edges": _edges(result),
        "win": _win(result),
        "declines": _declines(result),
        "unhedged": _over_time(result, f"unhedged ({result.ccy})", lambda _, row: float(row.unhedged)),
    }
    for column in result.columns:
        made[f"split-{column.scenario}"] = _waterfall(result, column)
        made[f"limits-{column.scenario}"] = _limits(column)
        made[f"venues-{column.scenario}"] = _venues(result, column)
    return made


def thinned(points: Sequence[tuple[float, float]], points_max: int = POINTS_MAX) -> list[tuple[float, float]]:
    """Return at most `points_max` points: the lowest and the highest of each stretch, first and last always."""
    if len(points) <= points_max:
        return list(points)
    size = -(-2 * len(points) // (points_max - 2))
    kept = [points[0]]
    for at in range(0, len(points), size):
        stretch = points[at : at + size]
        kept += sorted({min(stretch, key=lambda p: p[1]), max(stretch, key=lambda p: p[1])})
    return [*(point for point in kept if point[0] < points[-1][0]), points[-1]]


def _line(name: str, colour: str, points: Sequence[tuple[float, float]], **more: object) -> Figure:
    shown = thinned(points)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [x for x, _ in shown],
        "y": [y for _, y in shown],
        "line": {"color": colour, "width": 1.8, "shape": "hv"},
        **more,
    }


def _time_layout(unit: str, **more: object) -> Figure:
    return {"xaxis": {"type": "date"}, "yaxis": {"title": {"text": unit}, "rangemode": "tozero"}, **more}


def _ms(row: SampleRow) -> int:
    return row.ts_ns // 1_000_000


def _over_time(result: Result, unit: str, value: Any) -> Figure:
    lines = [
        _line(one.scenario.value, COLOURS[one.scenario], [(_ms(row), value(one, row)) for row in one.samples])
        for one in result.columns
    ]
    return {"data": lines, "layout": _time_layout(unit)}


def _drawdown(result: Result) -> Figure:
    lines = []
    for one in result.columns:
        peak, points = float("-inf"), []
        for row in one.samples:
            peak = max(peak, float(row.equity))
            points.append((_ms(row), float(row.equity) - peak))
        lines.append(_line(one.scenario.value, COLOURS[one.scenario], points, fill="tozeroy"))
    return {"data": lines, "layout": _time_layout(f"below the peak ({result.ccy})")}


def _waterfall(result: Result, column: Replayed) -> Figure:
    """Draw the arbs' own money; market moves would dwarf it and are in the table beside."""
    split = column.split
    steps = [
        ("edge", split.edge),
        ("slippage", split.slippage),
        ("unwinds", split.unwinds),
        ("fees", -split.fees),
        ("transfers", -split.transfer_costs),
        ("net of arbs", None),
        ("gaps left", split.inventory_moved),
        ("after gaps", None),
    ]
    running, texts = type(split.edge)(0), []
    for _, value in steps:
        running += value or 0
        texts.append(money(running if value is None else value))
    bars = {
        "type": "waterfall",
        "orientation": "h",
        "y": [name for name, _ in steps],
        "x": [0.0 if value is None else float(value) for _, value in steps],
        "measure": ["total" if value is None else "relative" for _, value in steps],
        "text": texts,
        "textposition": "outside",
        "textfont": {"size": 12},
        "constraintext": "none",
        "cliponaxis": False,
        "increasing": {"marker": {"color": GAIN}},
        "decreasing": {"marker": {"color": LOSS}},
        "totals": {"marker": {"color": WHOLE}},
    }
    low, high = _reach([value for _, value in steps])
    across = {
        "title": {"text": result.ccy},
        "range": [low - (high - low) * 0.42, high + (high - low) * 0.42],
        "nticks": 5,
    }
    layout = {"yaxis": {"autorange": "reversed", "type": "category"}, "xaxis": across, "showlegend": False}
    return {"data": [bars], "layout": layout}


def _reach(steps: Sequence[Decimal | None]) -> tuple[float, float]:
    """Return how far down and up a waterfall goes."""
    at, low, high = 0.0, 0.0, 0.0
    for step in steps:
        at += float(step or 0)
        low, high = min(low, at), max(high, at)
    return low, high if high > low else low + 1.0


def _edges(result: Result) -> Figure:
    bars = [
        {
            "type": "bar",
            "name": one.scenario.value,
            "x": [f"{row.edge_net_bps_low:g} to {row.edge_net_bps_high:g}" for row in one.edges],
            "y": [row.windows for row in one.edges],
            "marker": {"color": COLOURS[one.scenario]},
        }
        for one in result.columns
    ]
    axis = {"title": {"text": "peak net edge (bps)"}, "type": "category"}
    return {"data": bars, "layout": {"xaxis": axis, "yaxis": {"title": {"text": "windows"}}, "barmode": "group"}}


def _win(result: Result) -> Figure:
    lines, marks = [], []
    for one in result.columns:
        rows = [row for row in one.win if row.latency_ms]
        lines.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": one.scenario.value,
                "x": [row.latency_ms for row in rows],
                "y": [row.share * 100 for row in rows],
                "line": {"color": COLOURS[one.scenario], "width": 2},
            }
        )
        if one.latency_ms >= 1:
            line = {"color": COLOURS[one.scenario], "width": 1.5, "dash": "dash"}
            marks.append({"type": "line", "x0": one.latency_ms, "x1": one.latency_ms, "y0": 0, "y1": 1, "yref": "paper", "line": line})  # fmt: skip
    ticks = [row.latency_ms for row in result.columns[0].win if row.latency_ms]
    axis = {
        "type": "log",
        "title": {"text": "at least so long (ms)"},
        "tickvals": ticks,
        "ticktext": [f"{t:,}" for t in ticks],
    }
    return {
        "data": lines,
        "layout": {"xaxis": axis, "yaxis": {"title": {"text": "% of windows"}, "range": [0, 104]}, "shapes": marks},
    }


def _declines(result: Result) -> Figure:
    counts = [one.totals.opportunities_declined for one in result.columns]
    names = sorted({name for one in counts for name in one}, key=lambda name: max(one.get(name, 0) for one in counts))
    names = names[-REASONS_MAX:]
    bars = [
        {
            "type": "bar",
            "orientation": "h",
            "name": one.scenario.value,
            "y": [name.replace("_", " ") for name in names],
            "x": [count.get(name, 0) for name in names],
            "hovertext": [reason(name) for name in names],
            "marker": {"color": COLOURS[one.scenario]},
        }
        for one, count in zip(result.columns, counts, strict=True)
    ]
    axis = {"type": "log", "title": {"text": "times (log)"}, "dtick": 1}
    height = 120 + 46 * max(len(names), 1)
    return {
        "data": bars,
        "layout": {"xaxis": axis, "yaxis": {"automargin": True}, "barmode": "group", "height": height},
    }


def _limits(column: Replayed) -> Figure:
    names = list(dict.fromkeys(name for row in column.samples for name in row.limit_use))
    lines = []
    for number, name in enumerate(names):
        points = [(_ms(row), row.limit_use.get(name, 0.0) * 100) for row in column.samples]
        lines.append(_line(name.replace("_", " "), _PALETTE[number % len(_PALETTE)], points))
    full = {
        "type": "line",
        "x0": 0,
        "x1": 1,
        "xref": "paper",
        "y0": 100,
        "y1": 100,
        "line": {"color": LOSS, "dash": "dot"},
    }
    return {"data": lines, "layout": _time_layout("% of the limit", shapes=[full], height=260 + 24 * len(names))}


def _venues(result: Result, column: Replayed) -> Figure:
    names = list(dict.fromkeys(name for row in column.samples for name in row.value_by_venue))
    lines = []
    for number, name in enumerate(names):
        points = [(_ms(row), float(row.value_by_venue.get(name, 0))) for row in column.samples]
        lines.append(_line(name, _PALETTE[number % len(_PALETTE)], points))
    return {"data": lines, "layout": _time_layout(f"held at the venue ({result.ccy})")}


_PALETTE = ("#2f81f7", "#e0803a", "#2da06f", "#b463d8", "#d6534f", "#12a5b5", "#c2a02b", "#8b93a1")
