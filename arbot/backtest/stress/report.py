"""The report of `arbot stress`: one HTML page that holds everything, like the report of a backtest.

A table of all disasters first; then of each its picture (our own loss with everything on, without what it is about, and
without any protection, against the budget; the exposure it is about; marks of what tripped), and what was assumed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

import msgspec
from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

from arbot.backtest.report_style import SCRIPT, STYLE
from arbot.backtest.stress.played import ALL_OFF, ON, THESE_OFF, Played, Sample
from arbot.backtest.stress.quiet import Quiet
from arbot.backtest.stress.run import Told, multiple
from arbot.backtest.stress.table import ORDINARY, moment, money, share

_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
COLOURS = {ON: "#2da06f", THESE_OFF: "#d6534f", ALL_OFF: "#8b93a1"}
WORDS = {ON: "everything on", THESE_OFF: "without what it is about", ALL_OFF: "without any"}
MARKS_MAX = 10
RATIO_MAX = 4  # of prices in one picture; beyond it small moves are seen on a scale of ratios only
DECLINED_MAX = 8


def page(tolds: Sequence[Told], month: Quiet | None = None) -> str:
    """Return the page."""
    figures = {name: figure for told in tolds for name, figure in _figures(told)}
    drawn = msgspec.json.encode(figures).decode().replace("<", "\\u003c")  # no "<" could end the script element
    body = _overview(tolds) + "".join(_section(told) for told in tolds) + ("" if month is None else _month(month))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f"<title>arbot: disasters</title><style>{STYLE}</style></head>\n<body><main>\n{body}\n</main>\n"
        f'<script type="application/json" id="figures">{drawn}</script>\n'
        f"<script>{get_plotlyjs()}</script>\n<script>{SCRIPT}</script>\n</body></html>\n"
    )


def _overview(tolds: Sequence[Told]) -> str:
    heads = (
        "disaster",
        "budget",
        "lost, all on",
        "of budget",
        "without what it is about",
        "of budget",
        "without any",
        "unhedged at most (s)",
    )
    rows = []
    for told in tolds:
        on, these, bare = (told.worst(off) for off in (ON, THESE_OFF, ALL_OFF))
        style = "good" if on.incident <= on.budget else "bad"
        rows.append(
            f'<tr><th scope="row"><a href="#{told.name}">{escape(told.title)}</a></th><td class="n">{money(on.budget)}</td>'
            f'<td class="n {style}">{money(on.incident)}</td><td class="n {style}">{on.incident / on.budget:.0%}</td>'
            f'<td class="n">{money(these.incident)}</td><td class="n">{multiple(told):.1f} x{"*" if told.bounded else ""}</td>'
            f'<td class="n">{money(bare.incident)}</td>'
            f'<td class="n">{on.unhedged_s_longest:,}</td></tr>'
        )
    cells = "".join(f'<th class="{"n" if place else ""}">{head}</th>' for place, head in enumerate(heads))
    return (
        '<h1>Disasters</h1><p class="dim">Played through the live engine, risk, executor and ledger. Lost: what the bot has '
        "cost at the worst moment against the same holdings left untouched; where a venue is lost, all that lay there. "
        "The worst variant of each family. Money in the reporting currency. * Nobody could have lost twice the budget there; "
        "the section says why.</p>"
        f'<div class="scroll"><table><thead><tr>{cells}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def _section(told: Told) -> str:
    on = told.worst(ON)
    variant = f" The worst of {len(told.of(ON))} variants: {escape(on.variant)}." if on.variant else ""
    reaction = ""
    if on.reaction_min is not None:
        side = "before" if on.reaction_min >= 0 else "after"
        reaction = f" Last added to {escape(told.watch)} {abs(on.reaction_min):,.0f} min {side} the headline."
    return (
        f'<section id="{told.name}"><h2>{escape(told.title)}</h2><p>{escape(told.about)}{variant}</p>'
        f"<p><b>{money(on.incident)} of {money(on.budget)}</b> ({share(on)}); unhedged {on.unhedged_s} s in all, stranded "
        f"{on.stranded}, ledger {'ties' if on.ledger_ties else 'does NOT tie'}.{reaction}</p>"
        f'<div><h3>Prices</h3><div class="figure" id="prices-{told.name}"></div></div>'
        f'<div class="two"><div><h3>{_lost_words(told)}</h3><div class="figure" id="loss-{told.name}"></div></div>'
        f'<div><h3>Exposure: {escape(told.watch)}</h3><div class="figure" id="watch-{told.name}"></div></div></div>'
        f'<p class="dim">Dashed: the budget. Dotted: the first time something tripped, as in the table below.{_headline(told)}</p>'
        f"{_offs(told)}{_trips(on)}{_declined(on)}{_facts(told)}</section>"
    )


def _lost_words(told: Told) -> str:
    return "Lost with the venue" if _is_venue(told) else "What the bot has cost"


def _is_venue(told: Told) -> bool:
    """Return whether a venue went with all that lay there, which is then what counts."""
    return any(sample.lost > 0 for one in told.plays for sample in one.samples)


def _headline(told: Told) -> str:
    return (
        f" Orange: the headline, {moment(told.announcement_ns)}: {escape(told.headline)}."
        if told.announcement_ns
        else ""
    )


def _month(month: Quiet) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(one.reason)}</th><td class="n">{one.windows}</td><td class="n">{one.expected:,.2f}</td>'
        f'<td class="n">{one.windows_off}</td><td class="n">{one.expected_off:,.2f}</td></tr>'
        for one in (month.taken, *month.let_go)
    )
    heads = ("windows", "with everything on", "promised", "with all off", "promised")
    return (
        f'<section id="quiet-month"><h2>A quiet month</h2><p>{month.days} days on which nothing is wrong, {month.rows:,} rows, the '
        f"same size of an arb. Earned with everything on <b>{month.pnl_on:,.2f}</b> in {month.arbs_on} arbs, with all off "
        f"<b>{month.pnl_off:,.2f}</b> in {month.arbs_off}: safety cost <b>{month.cost_share:.1%}</b>.</p>"
        f"{_fold('Windows taken and let go, by reason', heads, rows, is_open=True)}</section>"
    )


def _offs(told: Told) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(WORDS.get(off, f"without {off}"))}</th><td class="n">{money(one.incident)}</td>'
        f'<td class="n">{money(one.loss)}</td><td class="n">{one.arbs}</td><td class="n">{one.unhedged_s_longest:,}</td></tr>'
        for off in (ON, *told.offs)
        for one in (told.worst(off),)
    )
    why = f"<p>Why not more: {escape(told.bounded)}.</p>" if told.bounded else ""
    return why + _fold(
        "Each protection off", ("protections", "lost", "by the bot itself", "arbs", "unhedged at most (s)"), rows
    )


def _trips(on: Played) -> str:
    rows = "".join(
        f'<tr><td>{moment(one.ts_ns)}</td><td>{escape(one.what)}</td><td class="n">{one.count:,}</td>'
        f"<td>{escape(one.detail)}</td></tr>"
        for one in on.trips
    )
    return _fold("What tripped, and when first (UTC)", ("when", "what", "times", "the first time"), rows, is_open=True)


def _declined(on: Played) -> str:
    rows = "".join(
        f'<tr><td>{escape(one.reason)}</td><td class="n">{one.chances:,}</td><td class="n">{money(one.expected)}</td></tr>'
        for one in on.declined[:DECLINED_MAX]
    )
    return _fold(
        "What was let go, and what it promised", ("reason", "chances", "promised, at all the books offered"), rows
    )


def _facts(told: Told) -> str:
    assumed = "".join(f"<li>{escape(one)}</li>" for one in told.assumptions)
    sources = "".join(f"<li>{escape(one)}</li>" for one in told.sources)
    return f"<details><summary>Assumed, and sources</summary><b>Assumed</b><ul>{assumed}</ul><b>Sources</b><ul>{sources}</ul></details>"


def _fold(title: str, heads: Sequence[str], rows: str, *, is_open: bool = False) -> str:
    cells = "".join(f"<th>{escape(head)}</th>" for head in heads)
    return (
        f'<details{" open" if is_open else ""}><summary>{escape(title)}</summary><div class="scroll"><table><thead><tr>{cells}'
        f"</tr></thead><tbody>{rows}</tbody></table></div></details>"
    )


# --- pictures -------------------------------------------------------------------------------------------------------------


def _figures(told: Told) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the pictures of the variant that was worst with everything on, the same variant in every line."""
    variant = told.worst(ON).variant
    shown = [one for one in told.plays if one.variant == variant and one.off in WORDS]
    is_venue, marks, level = _is_venue(told), _marks(told.worst(ON), told), _level(float(shown[0].budget))
    pictures = (
        ("loss", "lost" if is_venue else "cost up to then", _lost if is_venue else _cost, [*marks, level]),
        ("watch", "exposure", _watched, [*marks, level] if is_venue else marks),
    )
    for name, unit, what, shapes in pictures:
        layout = {"xaxis": {"type": "date"}, "yaxis": {"title": {"text": unit}}, "shapes": shapes}
        yield f"{name}-{told.name}", {"data": [_line(one, what) for one in shown], "layout": layout}
    shown_prices = [price for path in told.prices.values() for _, price in path]
    scale = "log" if max(shown_prices) > RATIO_MAX * min(shown_prices) else "linear"
    axis = {"title": {"text": "100 at the start"}, "type": scale}
    axes = {"xaxis": {"type": "date"}, "yaxis": axis, "shapes": marks, "showlegend": True}
    yield f"prices-{told.name}", {"data": [_path(name, path) for name, path in told.prices.items()], "layout": axes}


def _path(name: str, path: Sequence[tuple[int, float]]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [ts_ns // 1_000_000 for ts_ns, _ in path],
        "y": [price for _, price in path],
        "line": {"width": 1.6},
    }


def _lost(sample: Sample) -> float:
    return sample.lost


def _cost(sample: Sample) -> float:
    return sample.loss


def _watched(sample: Sample) -> float:
    return sample.watched


def _line(one: Played, what: Any) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": WORDS[one.off],
        "x": [sample.ts_ns // 1_000_000 for sample in one.samples],
        "y": [round(what(sample), 2) for sample in one.samples],
        "line": {"color": COLOURS[one.off], "width": 1.8, "shape": "hv"},
    }


def _level(value: float) -> dict[str, Any]:
    dash = {"color": "#e0803a", "width": 1, "dash": "dash"}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": value, "y1": value, "line": dash}


def _marks(on: Played, told: Told) -> list[dict[str, Any]]:
    """Return a thin line at every first trip that an ordinary day does not have, and a thick one at the headline."""
    thin = {"color": "#7a6ff0", "width": 1, "dash": "dot"}
    moments = [one.ts_ns for one in on.trips if one.what not in ORDINARY][:MARKS_MAX]
    marks = [_upright(ts_ns, thin) for ts_ns in moments]
    return [*marks, _upright(told.announcement_ns, {"color": "#e0803a", "width": 2})] if told.announcement_ns else marks


def _upright(ts_ns: int, line: dict[str, Any]) -> dict[str, Any]:
    at = ts_ns // 1_000_000
    return {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": at, "x1": at, "line": line}
