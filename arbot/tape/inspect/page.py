"""One self-contained page about an inspection: it loads nothing from anywhere and can be sent as a file."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from arbot.tape.importing.contract import Finding, Severity
from arbot.tape.inspect import pictures
from arbot.tape.inspect.groups import grouped, names_of
from arbot.tape.inspect.pairs import PairStats
from arbot.tape.inspect.report import Inspection, Looked
from arbot.tape.inspect.rules.evidence import utc
from arbot.tape.inspect.series import SeriesStats

SENTENCES_SHOWN = 5
NAMES_SHOWN = 24

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#222;margin:0 auto;max-width:1180px;padding:1.5rem}
h1{font-size:1.6rem;margin:0 0 .2rem}h2{font-size:1.15rem;margin:2.4rem 0 .3rem;border-top:1px solid #ddd;padding-top:1rem}
p{margin:.3rem 0 .8rem;max-width:60rem}.soft{color:#666}table{border-collapse:collapse;font-size:13px;width:100%}
.wide{overflow-x:auto}th{text-align:left;font-weight:600;border-bottom:2px solid #ccc;padding:.25rem .5rem;white-space:nowrap}
td{padding:.22rem .45rem;border-bottom:1px solid #eee;vertical-align:top}.tight td,.tight th{white-space:nowrap;padding:.22rem .35rem;font-size:12px}td.n,th.n{text-align:right;white-space:nowrap}
.error,.warn,.info{display:inline-block;min-width:3.4em;text-align:center;border-radius:3px;color:#fff;font-size:12px;padding:0 .4em}
.error{background:#b3261e}.warn{background:#b8680f}.info{background:#5d7185}.bad{color:#b3261e;font-weight:600}
td div b{font-weight:600;color:#14365c}.found td:last-child{min-width:11rem}.boxes{display:flex;gap:1rem;flex-wrap:wrap;margin:1rem 0}.box{border:1px solid #ddd;border-radius:6px;padding:.5rem 1rem;min-width:8rem}
.box b{display:block;font-size:1.35rem}details summary{cursor:pointer;color:#14365c}
"""


def page(looked: Looked, title: str) -> str:
    """Return the page as text."""
    found = looked.inspection
    parts = [
        f"<h1>Market data: {escape(title)}</h1>",
        _summary(found),
        _findings(found.findings),
        (
            "<h2>Coverage</h2><p>Blue: messages. Red: no message for longer than the gap limit. "
            "Nothing is carried across a gap longer than the freshness limit.</p>"
        ),
        _figure(pictures.coverage_chart(looked.streams, found.options.gap_s)),
        _series_table(found.series),
    ]
    if found.pairs:
        parts += _pair_sections(looked)
    if found.bars:
        parts.append(_bars(found))
    clocks = pictures.clock_chart(found)
    parts.append("<h2>Clocks</h2>")
    if clocks is None:
        parts.append("<p>No series has both the venue's time and ours: nothing can be said about delays.</p>")
    else:
        parts.append(
            "<p>Delay of each feed by the two clocks. Red: received before it was sent, so the two clocks disagree "
            "and the difference is no delay.</p>" + _figure(clocks)
        )
    body = "\n".join(parts)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Market data: {escape(title)}</title>'
        f"<style>{_STYLE}</style><script>{get_plotlyjs()}</script></head><body>{body}</body></html>\n"
    )


def _summary(found: Inspection) -> str:
    counts = {severity: sum(one.severity is severity for one in found.findings) for severity in Severity}
    spans = [(one.first_ts_ns, one.last_ts_ns) for one in (*found.series, *found.bars) if one.last_ts_ns]
    span = f"{utc(min(first for first, _ in spans))} to {utc(max(last for _, last in spans))} UTC" if spans else "empty"
    verdict = (
        "Errors below would make a backtest wrong: mend them or override them knowingly."
        if counts[Severity.ERROR]
        else "Read the warnings before believing a result."
        if counts[Severity.WARN]
        else "Nothing is wrong with it that could be seen."
    )
    boxes = (
        (f"{len(found.series) + len(found.bars)}", "series"),
        (f"{sum(one.rows for one in found.series) + sum(one.rows for one in found.bars):,}", "rows"),
        (f"{len(found.pairs)}", "pairs of venues compared"),
        (f"{counts[Severity.ERROR]}", "errors"),
        (f"{counts[Severity.WARN]}", "warnings"),
    )
    return (
        f'<p class="soft">{span}</p><div class="boxes">'
        + "".join(f'<div class="box"><b>{value}</b>{name}</div>' for value, name in boxes)
        + f"</div><p>{verdict}</p>"
    )


def _findings(findings: Sequence[Finding]) -> str:
    loud = [one for one in findings if one.severity is not Severity.INFO]
    quiet = [one for one in findings if one.severity is Severity.INFO]
    text = "<h2>Findings</h2>" + (_groups(loud) if loud else "<p>No error and no warning.</p>")
    if quiet:
        text += f"<details><summary>{len(quiet)} remarks</summary>{_groups(quiet)}</details>"
    return text


def _groups(findings: Sequence[Finding]) -> str:
    """Return findings as a table with a row per code and remedy."""
    rows = []
    for group in grouped(findings):
        lines = [
            f"<div><b>{escape(names_of(said, NAMES_SHOWN))}</b> {escape(said.detail)}</div>" for said in group.said
        ]
        shown, more = lines[:SENTENCES_SHOWN], lines[SENTENCES_SHOWN:]
        rest = f"<details><summary>{len(more)} more</summary>{''.join(more)}</details>" if more else ""
        badge = f'<span class="{group.severity.value}">{group.severity.value}</span>'
        rows.append((badge, escape(group.code), "".join(shown) + rest, escape(group.remedy)))
    return _table(("", "finding", "what was found", "what to do"), rows, "found")


def _series_table(series: Sequence[SeriesStats]) -> str:
    return "<h2>Series</h2>" + _table(
        (
            "series", ">messages", ">hours", ">per s", ">median<br>step s", ">largest<br>step s", ">gaps", ">crossed",
            ">repeats", ">own spread<br>bps, median", ">p99", ">delay ms<br>median",
        ),
        [
            (
                escape(one.name), f"{one.quotes:,}", f"{one.window_h:.3f}", f"{one.quotes_per_s:.2f}",
                f"{one.step_median_s:.2f}", f"{one.step_max_s:,.1f}", f"{one.gaps:,}",
                f'<span class="bad">{one.crossed:,}</span>' if one.crossed else "0", f"{one.repeats:,}",
                f"{one.spread_median_bps:.2f}", f"{one.spread_p99_bps:.1f}",
                f"{one.lag_ms['p50']:.0f}" if one.clocks.value == "both" and one.has_venue_share > 0 else "-",
            )
            for one in series
        ],
    )  # fmt: skip


def _pair_sections(looked: Looked) -> list[str]:
    found = looked.inspection
    kept_out = sum(found.pairs_kept_out.values())
    told = ", ".join(f"{count} of {name}" for name, count in found.pairs_kept_out.items())
    out = (
        f" Left out, because the difference is conversion or basis: {kept_out} pairs ({escape(told)})."
        if kept_out
        else ""
    )
    crossed = " Rows with bid above ask are left out." if found.options.removes_crossed else ""
    drawn = min(len(found.pairs), pictures.PAIRS_DRAWN_MAX)
    return [
        (
            f"<h2>Pairs of venues</h2><p>Edge: what selling at one venue's bid and buying at the other's ask would bring, "
            f"before fees. Time counts only while both quotes are at most {found.options.fresh_s:g} s old.{crossed}{out}</p>"
        ),
        _pair_table(found.pairs),
        (
            "<h2>How large the edge was</h2><p>The better direction of each pair, weighted by time. Left of zero: "
            "no edge. Fees of both venues come off.</p>"
        ),
        _figure(pictures.edge_spread(found)),
        (
            f"<h2>When it was there</h2><p>The {drawn} of {len(found.pairs)} pairs with the most time above 10 bps. "
            f"Each stroke runs from the least to the largest edge of its stretch of time; empty: not comparable.</p>"
        ),
        _figure(pictures.edge_over_time(found, looked.pairs)),
        (
            "<h2>How much of it is only old quotes</h2><p>All comparable pairs together, by freshness limit. If the edge "
            "shrinks as the limit does, it was made of quotes that were no longer there.</p>"
        ),
        _figure(pictures.share_by_fresh(found)),
    ]


def _pair_table(pairs: Sequence[PairStats]) -> str:
    rows = []
    for at in pictures.most_open(pairs):
        pair = pairs[at]
        cells = [
            escape(pictures.pair_name(pair)),
            escape(pair.pair_class),
            f"{pair.valid_h:.3f}",
            f"{100 * pair.usable_share:.1f}",
        ]
        cells += [
            " / ".join(f"{pair.mid_diff_bps[name]:.1f}" for name in ("p1", "p50", "p99")),
            f"{pair.edge_bps['max']:.1f}",
        ]
        for above in pair.above:
            both = above.both
            cells.append(f"{100 * both.time_share:.2f} % · {both.windows}" if both.windows else "-")
        longest = pair.above[1].both
        cells.append(f"{longest.median_s:.1f} / {longest.longest_s:.0f}" if longest.windows else "-")
        rows.append(tuple(cells))
    text = _table(
        (
            "pair A - B", "class", ">hours", ">usable %", ">A above B, bps<br>p1 / p50 / p99", ">largest<br>edge",
            *(f">&gt; {above.above_bps:g} bps" for above in pairs[0].above), ">&gt; 10 bps: s<br>median / longest",
        ),
        rows,
        "tight",
    )  # fmt: skip
    return text + '<p class="soft">Above each threshold: part of the usable time · number of windows.</p>'


def _bars(found: Inspection) -> str:
    own = _table(
        ("bars", ">rows", ">missing", ">without a trade", ">volume a day"),
        [
            (
                escape(one.name),
                f"{one.rows:,}",
                f"{one.bars_missing:,}",
                f"{one.zero_volume:,}",
                f"{one.volume_per_day:,.0f}",
            )
            for one in found.bars
        ],
    )
    pairs = _table(
        ("A", "B", ">bars", ">difference bps p1 / p50 / p99", ">largest", ">&gt; 10 bps %", ">&gt; 25 bps %"),
        [
            (
                escape(one.a), escape(one.b), f"{one.bars:,}",
                " / ".join(f"{one.diff_bps[name]:.1f}" for name in ("p1", "p50", "p99")),
                f"{one.largest_bps:.1f}", f"{100 * one.above_10_share:.2f}", f"{100 * one.above_25_share:.2f}",
            )
            for one in found.bar_pairs
        ],
    )  # fmt: skip
    return (
        "<h2>Bars</h2>" + own + "<p>Differences of closes are two trades at unknown moments of a bar: "
        "they show what to look into, and cannot be traded.</p>" + pairs
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "") -> str:
    """Return a table; a head that begins with > is a column of numbers. Cells are HTML."""
    numbers = [' class="n"' if head.startswith(">") else "" for head in heads]
    top = "".join(f"<th{number}>{head.removeprefix('>')}</th>" for head, number in zip(heads, numbers, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{number}>{cell}</td>" for cell, number in zip(row, numbers, strict=True)) + "</tr>"
        for row in rows
    )
    return f'<div class="wide {kind}"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _figure(figure: go.Figure) -> str:
    text: str = figure.to_html(
        full_html=False, include_plotlyjs=False, config={"displayModeBar": False, "responsive": True}
    )
    return text
