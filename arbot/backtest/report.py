"""The report of a backtest: one HTML page that holds everything, Plotly included, and asks nobody for anything.

Order: warnings, what it means, the headline in three columns, where the money went, the account over time, windows and the
latency that wins them, what was declined and why, exposure and limits, routes, arbs, assumptions. Every text is escaped;
every number has its unit in its row or column head. Works on a phone, in the dark, and on paper.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from html import escape

import msgspec
from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

from arbot.backtest.report_charts import figures, thinned
from arbot.backtest.report_style import SCRIPT, STYLE
from arbot.backtest.result import ArbRow, Replayed, Result, RouteRow, Scenario
from arbot.backtest.words import (
    ASSUMED,
    bps,
    headline,
    meaning,
    moment,
    money,
    percent,
    reason,
    span,
    why_nothing,
)
from arbot.domain.units import ZERO, fmt

ARBS_SHOWN = 500
DECLINES_SHOWN = 40
WINDOWS_SHOWN = 20
SPARK_POINTS = 120
THOUSANDTH = Decimal("0.001")
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"

_PARTS: tuple[tuple[str, Callable[[Replayed], Decimal]], ...] = (
    ("edge the decisions saw", lambda one: one.split.edge),
    ("slippage of the legs", lambda one: one.split.slippage),
    ("hedges and unwinds", lambda one: one.split.unwinds),
    ("fees", lambda one: -one.split.fees),
    ("transfer costs", lambda one: -one.split.transfer_costs),
    ("gaps left behind", lambda one: one.split.inventory_moved),
    ("market moves", lambda one: one.split.inventory - one.split.inventory_moved),
    ("change of equity, deposits taken off", lambda one: one.equity_end - one.equity_start - one.deposits),
)

Cell = tuple[str, str, str]  # text, class, value to sort by; all escaped or made here


def page(result: Result) -> str:
    """Return the page."""
    sections = (
        _head,
        _money,
        _over_time,
        _windows,
        _declined,
        _exposure,
        _routes,
        _arbs,
        _assumptions,
    )
    body = "\n".join(section(result) for section in sections)
    # In a script element only "</" and "<!--" could end or bend the text: no "<" is left in it at all.
    drawn = msgspec.json.encode(figures(result)).decode().replace("<", "\\u003c")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f"<title>{escape(result.name)}: backtest</title><style>{STYLE}</style></head>\n<body><main>\n{body}\n</main>\n"
        f'<script type="application/json" id="figures">{drawn}</script>\n'
        f"<script>{get_plotlyjs()}</script>\n<script>{SCRIPT}</script>\n</body></html>\n"
    )


# --- sections ---------------------------------------------------------------------------------------------------------


def _head(result: Result) -> str:
    scanned = result.scanned
    text = (
        f"Backtest of {len(scanned.instruments)} instruments over {span(scanned.last_ts_ns - scanned.first_ts_ns)}: "
        f"{moment(scanned.first_ts_ns)} to {moment(scanned.last_ts_ns)} UTC, {scanned.rows:,} rows in {scanned.messages:,} "
        f"messages. Money in {result.ccy}."
    )
    warnings = "".join(f"<li>{escape(one)}</li>" for one in result.warnings)
    box = f'<div class="warn" role="alert"><b>Read this first</b><ul>{warnings}</ul></div>' if warnings else ""
    said = "".join(f"<p>{escape(one)}</p>" for one in meaning(result))
    names = "".join(
        f'<th class="n" title="{escape(ASSUMED[one.scenario])}">{one.scenario}</th>' for one in result.columns
    )
    rows = []
    for line in headline(result):
        cells = "".join(f'<td class="n{_sign(line.name, cell)}">{escape(cell)}</td>' for cell in line.cells)
        key = ' class="key"' if line.name.startswith(("Net profit", "Change of equity")) else ""
        rows.append(
            f'<tr{key}><th scope="row">{escape(line.name)}</th>{cells}<td class="mean"><small>{escape(line.meaning)}</small></td></tr>'
        )
    return (
        f'<h1>{escape(result.name)}</h1><p class="dim">{escape(text)}</p>{box}<div class="said">{said}</div>'
        f'<div class="scroll"><table class="head"><thead><tr><th></th>{names}<th class="mean"></th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
        + "".join(
            f"<p><small><b>{one.scenario}</b>: {escape(ASSUMED[one.scenario])}.</small></p>" for one in result.columns
        )
    )


def _money(result: Result) -> str:
    return _section(
        "Where the money went",
        "From what the decisions promised (edge) to the change of equity. Net of arbs is what trading itself brought. Gaps "
        "left: coins bought where they are cheap and sold where they are dear lose, at each venue's own mid, the part of the gap "
        "that is still open at the end. Market moves happen to whoever holds coins: they are in the table, not in the pictures.",
        _grid("three", ((one.scenario, f"split-{one.scenario}") for one in result.columns)) + _split_table(result),
    )


def _split_table(result: Result) -> str:
    """Return the parts of the change of equity, which add up in each column."""
    rows = []
    for name, what in _PARTS:
        values = [what(one) for one in result.columns]
        cells = "".join(
            f'<td class="{style}">{text}</td>' for text, style, _ in (_amount(one, is_signed=True) for one in values)
        )
        rows.append(f'<tr><th scope="row">{name} ({escape(result.ccy)})</th>{cells}</tr>')
    names = "".join(f'<th class="n">{one.scenario}</th>' for one in result.columns)
    return f'<div class="scroll"><table><thead><tr><th></th>{names}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _over_time(result: Result) -> str:
    return _section(
        "Over time",
        "The first picture is the arbs alone. The others are the whole account, market moves of what it holds included."
        if _has_arbs(result)
        else "No arb was opened: what the account did, the market did to what it held.",
        (_figure("realised") if _has_arbs(result) else "")
        + _grid("two", (("Equity", "equity"), ("Drawdown", "drawdown"))),
    )


def _windows(result: Result) -> str:
    if not any(one.windows_total for one in result.columns):
        return _section(
            "Windows", "", '<p class="none">No route ever cleared fees and the minimum edge at the touch.</p>'
        )
    middle = _middle(result)
    rows = [
        [
            (escape(f"{one.symbol}: {one.buy_venue} to {one.sell_venue}"), "", ""),
            _cell(moment(one.start_ts_ns), one.start_ts_ns),
            _cell(f"{(one.end_ts_ns - one.start_ts_ns) / 1e6:,.1f}", one.end_ts_ns - one.start_ts_ns),
            _cell(bps(one.edge_net_bps_peak), one.edge_net_bps_peak),
        ]
        for one in middle.windows[:WINDOWS_SHOWN]
    ]
    table = _table(("route", "began (UTC)", "lasted (ms)", "peak net edge (bps)"), rows)
    share = [[_cell(f"{one.latency_ms:,}"), _cell(f"{one.windows:,}"), _cell(percent(one.share))] for one in middle.win]
    wins = _table(("at least (ms)", "windows", "share"), share)
    return _section(
        "Windows, and the latency that wins them",
        "A window is a time during which a route cleared fees and minimum edge at the touch, traded or not. To win one, an order "
        "has to match before it ends: the right picture says how many lasted at least so long; dashed lines are the median times "
        "from decision to match in each column.",
        _grid("two", (("Size of the edge", "edges"), ("Share of windows that lasted", "win")))
        + f"<details><summary>As numbers, and the longest windows ({middle.scenario})</summary>{wins}{table}</details>",
    )


def _declined(result: Result) -> str:
    middle = _middle(result)
    nearest = _nearest(middle)
    if not any(one.declines for one in result.columns):
        said = "" if _has_arbs(result) else f"<p><b>{escape(why_nothing(middle))}</b></p>"
        return _section("Declined opportunities", "", f'{said}<p class="none">Nothing was declined.</p>{nearest}')
    ranked = sorted(middle.declines, key=lambda row: -row.edge_net_bps_max)[:DECLINES_SHOWN]
    rows = [
        [
            (escape(f"{row.symbol}: {row.buy_venue} to {row.sell_venue}"), "", ""),
            (escape(reason(row.reason)), "", ""),
            _cell(f"{row.count:,}", row.count),
            _cell(bps(row.edge_net_bps_max), row.edge_net_bps_max),
        ]
        for row in ranked
    ]
    table = _table(("route", "because", "times", "best net edge (bps)"), rows)
    nothing = "" if middle.totals.arbs_opened else f"<p><b>{escape(why_nothing(middle))}</b></p>"
    return _section(
        "Declined opportunities",
        "Every look at a gap that was not taken, by reason. The table has the best edges that were let go.",
        nothing
        + _figure("declines")
        + f"<details open><summary>The best let go ({middle.scenario})</summary>{table}</details>{nearest}",
    )


def _nearest(column: Replayed) -> str:
    """Return the best edge of each symbol at the samples, as a table."""
    rows = [
        [
            (escape(f"{one.symbol}: {one.buy_venue} to {one.sell_venue}"), "", ""),
            _cell(bps(one.edge_net_bps), one.edge_net_bps),
            _cell(moment(one.ts_ns), one.ts_ns),
        ]
        for one in column.best_edges[:DECLINES_SHOWN]
    ]
    table = _table(("route", "best net edge at the touch (bps)", "when (UTC)"), rows)
    told = f"How near each route came at the touch, traded or not ({column.scenario})"
    return f"<details><summary>{escape(told)}</summary>{table}</details>" if rows else ""


def _exposure(result: Result) -> str:
    return _section(
        "Exposure and limits",
        "Unhedged: value of arbs that stood on one leg. Both pictures show the most since the sample before; at 100 % a limit stops "
        "new arbs.",
        (_figure("unhedged") if _has_arbs(result) else '<p class="none">No arb, so nothing ever stood on one leg.</p>')
        + "<h3>Use of limits</h3>"
        + _grid("three", ((one.scenario, f"limits-{one.scenario}") for one in result.columns))
        + "<h3>Value held at each venue</h3>"
        + _grid("three", ((one.scenario, f"venues-{one.scenario}") for one in result.columns)),
    )


def _routes(result: Result) -> str:
    heads = (
        "route", "windows", "median (ms)", "arbs", "missed", "fill ratio (%)", f"volume ({result.ccy})",
        f"edge ({result.ccy})", f"fees ({result.ccy})", f"net ({result.ccy})",
        f"stress ({result.ccy})", "pennies", "costs",
    )  # fmt: skip
    parts = []
    for one in result.columns:
        ranked = sorted(one.routes, key=lambda row: (-row.pnl_net, -row.windows))
        rows = [_route_cells(row, one) for row in ranked]
        parts.append(
            _fold(one, _table(heads, rows) if rows else '<p class="none">No route had a window or an arb.</p>')
        )
    return _section(
        "By pair of venues",
        "Buying at the first, selling at the second. Costs: the grey line adds up the edge promised arb by arb, the coloured one "
        "what was left after slippage, unwinds and fees; what lies between them is the cost. Stress: what the arbs together put "
        "under the steamroller, each while it was open. Pennies: profit the decisions expected for each unit of that.",
        "".join(parts),
    )


def _arbs(result: Result) -> str:
    ccy = result.ccy
    heads = (
        "opened (UTC)", "route", f"net ({ccy})", "state", "qty", "bought", "sold", "gross (bps)", "net (bps)",
        f"edge ({ccy})", f"slippage ({ccy})", f"unwinds ({ccy})", f"fees ({ccy})", "unhedged (ms)", "rejects",
    )  # fmt: skip
    parts = []
    for one in result.columns:
        rows = [_arb_cells(arb) for arb in one.arbs[:ARBS_SHOWN]]
        shown = f"<p><small>{len(rows):,} of {len(one.arbs):,}; all are in arbs.csv.</small></p>" if rows else ""
        table = (
            f'<div class="tall">{_table(heads, rows)}</div>'
            if rows
            else f'<p class="none">{escape(why_nothing(one))}</p>'
        )
        parts.append(_fold(one, shown + table))
    return _section("Arbs", "Quantities in the base asset. A click on a head sorts.", "".join(parts))


def _assumptions(result: Result) -> str:
    scanned = result.scanned
    facts: list[tuple[str, str]] = [
        *sorted(result.settings.items()),
        ("instruments", ", ".join(scanned.instruments)),
        ("tapes", ", ".join(result.tapes)),
        ("engine was woken", f"{scanned.candidates:,} times by {scanned.messages:,} messages"),
        ("messages that left a crossed book, not used", f"{scanned.crossed:,}"),
        ("messages that left a book with one side", f"{scanned.one_sided:,}"),
        ("seed", str(result.seed)),
        ("config digest", result.config_digest),
        ("arbot", result.code_version),
        *((f"digest, {one.scenario}", one.digest) for one in result.columns),
        *((f"orders and fills, {one.scenario}", one.order_hash) for one in result.columns),
    ]
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td><code>{escape(value)}</code></td></tr>' for name, value in facts
    )
    return _section(
        "Assumptions",
        "What this rests on. Orders take from the recorded book what was there when they arrived; nobody reacts to them.",
        f'<div class="scroll"><table><tbody>{rows}</tbody></table></div>',
    )


# --- pieces -----------------------------------------------------------------------------------------------------------


def _section(title: str, text: str, body: str) -> str:
    said = f'<p class="dim">{escape(text)}</p>' if text else ""
    return f"<section><h2>{escape(title)}</h2>{said}{body}</section>"


def _figure(name: str) -> str:
    return f'<div class="figure" id="{escape(name)}"></div>'


def _grid(kind: str, figures_: Iterable[tuple[str, str]]) -> str:
    cells = "".join(f"<div><h3>{escape(title)}</h3>{_figure(name)}</div>" for title, name in figures_)
    return f'<div class="{kind}">{cells}</div>'


def _fold(column: Replayed, body: str) -> str:
    is_open = " open" if column.scenario is Scenario.REALISTIC else ""
    return f"<details{is_open}><summary>{escape(column.scenario)}</summary>{body}</details>"


def _has_arbs(result: Result) -> bool:
    return any(one.arbs for one in result.columns)


def _middle(result: Result) -> Replayed:
    """Return the realistic column, or the first where there is none."""
    return next((one for one in result.columns if one.scenario is Scenario.REALISTIC), result.columns[0])


def _cell(text: str, value: Decimal | float | None = None, style: str = "") -> Cell:
    return escape(text), f"n{style}", "" if value is None else str(value)


def _amount(value: Decimal, *, is_signed: bool = False) -> Cell:
    style = "" if not is_signed or value == ZERO else " good" if value > 0 else " bad"
    return _cell(money(value), value, style)


def _table(heads: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Return a table that sorts by a click; the style of a column's head is that of its first cell."""
    styles = [cell[1].split(" ")[0] for cell in rows[0]] if rows else [""] * len(heads)
    head = "".join(f'<th class="sort {style}">{escape(name)}</th>' for name, style in zip(heads, styles, strict=True))
    body = []
    for row in rows:
        cells = (
            f'<td class="{style}"' + (f' data-v="{value}"' if value else "") + f">{text}</td>"
            for text, style, value in row
        )
        body.append(f"<tr>{''.join(cells)}</tr>")
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'


def _sign(name: str, cell: str) -> str:
    if name.startswith("Ledger"):
        return " good" if cell == "agrees" else " bad"
    is_result = name.startswith(("Net profit", "… per day", "Gaps", "Change"))
    if not is_result or not cell[-1:].isdigit() or not cell.strip("-0.,"):
        return ""
    return " bad" if cell.startswith("-") else " good"


def _route_cells(row: RouteRow, column: Replayed) -> list[Cell]:
    return [
        (escape(f"{row.symbol}: {row.buy_venue} to {row.sell_venue}"), "", ""),
        _cell(f"{row.windows:,}", row.windows),
        _cell(f"{row.window_ms_median:,.1f}", row.window_ms_median),
        _cell(f"{row.arbs:,}", row.arbs),
        _cell(f"{row.missed:,}", row.missed),
        _cell(f"{row.fill_ratio * 100:.1f}" if row.arbs else "none", row.fill_ratio),
        _amount(row.volume),
        _amount(row.edge),
        _amount(row.fees),
        _amount(row.pnl_net, is_signed=True),
        _amount(row.stress_loss),
        _cell(f"{row.pennies.quantize(THOUSANDTH):,f}", row.pennies),
        (_spark(row, column), "", ""),
    ]


def _spark(row: RouteRow, column: Replayed) -> str:
    """Return a small drawing of promised edge and net result, added up arb by arb."""
    route = (row.buy_venue, row.sell_venue, row.symbol)
    promised, kept = [(0.0, 0.0)], [(0.0, 0.0)]
    for arb in column.arbs:
        if (arb.buy_venue, arb.sell_venue, arb.symbol) == route and arb.state != "flush":
            promised.append((float(len(promised)), promised[-1][1] + float(arb.edge)))
            kept.append((float(len(kept)), kept[-1][1] + float(arb.pnl_net)))
    if len(promised) == 1:
        return ""
    low = min(y for _, y in (*promised, *kept))
    height = max(y for _, y in (*promised, *kept)) - low or 1.0

    def path(points: list[tuple[float, float]]) -> str:
        scale = 146 / (len(promised) - 1)
        return " ".join(
            f"{2 + x * scale:.1f},{35 - (y - low) / height * 32:.1f}" for x, y in thinned(points, SPARK_POINTS)
        )

    colour = "#2da06f" if kept[-1][1] > 0 else "#d6534f"
    return (
        '<svg class="spark" viewBox="0 0 150 38" role="img" aria-label="edge promised and net result, added up">'
        f'<polyline fill="none" stroke="#8b93a1" stroke-width="1.5" points="{path(promised)}"/>'
        f'<polyline fill="none" stroke="{colour}" stroke-width="1.8" points="{path(kept)}"/></svg>'
    )


def _arb_cells(arb: ArbRow) -> list[Cell]:
    return [
        (moment(arb.opened_ts_ns), "", str(arb.opened_ts_ns)),
        (escape(f"{arb.symbol}: {arb.buy_venue} to {arb.sell_venue}"), "", ""),
        _amount(arb.pnl_net, is_signed=True),
        (escape(arb.state), "bad" if arb.state in ("stranded", "open") else "", ""),
        _cell(fmt(arb.qty), arb.qty),
        _cell(fmt(arb.leg_qty_buy), arb.leg_qty_buy),
        _cell(fmt(arb.leg_qty_sell), arb.leg_qty_sell),
        _cell(bps(arb.edge_gross_bps), arb.edge_gross_bps),
        _cell(bps(arb.edge_net_bps), arb.edge_net_bps),
        _amount(arb.edge),
        _amount(arb.slippage, is_signed=True),
        _amount(arb.unwinds, is_signed=True),
        _amount(arb.fees),
        _cell(f"{arb.unhedged_ms:,}", arb.unhedged_ms),
        _cell(str(arb.rejects), arb.rejects),
    ]
