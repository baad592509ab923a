"""summary.html: one page to read to an accountant. No script, nothing fetched, one sheet of A4 or letter when printed.

Rules of this file:
- Long lists are cut where the page ends, and the page says how many more there are and in which file.
- All text is escaped; ids and remarks come from outside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from html import escape

from arbot.tax.bundle.folder import MANIFEST
from arbot.tax.bundle.sheet import Sheet
from arbot.tax.bundle.told import Grid, Told

ACCEPTED_SHOWN = 3
WARNINGS_SHOWN = 4
TEXT_SHOWN = 135

WORDS = "Disposals of digital assets, lots by {method}. Made by arbot {version} out of its ledger. Not tax advice."

STYLE = """\
@page{margin:11mm}
*{box-sizing:border-box}
body{font:11px/1.35 "Helvetica Neue",Arial,sans-serif;color:#111;max-width:188mm;margin:6mm auto}
h1{font-size:18px;margin:0 0 2px}
h2{font-size:12px;margin:11px 0 3px;border-bottom:1px solid #888}
p{margin:3px 0}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
table td,table th{overflow-wrap:anywhere}
th{text-align:right;font-weight:600;border-bottom:1px solid #bbb;padding:1px 4px}
td{text-align:right;padding:1px 4px;white-space:nowrap}
th.w,td.w{text-align:left;white-space:normal}
tr:last-child td{font-weight:600}
.list td{font-weight:400!important}
.facts td{font-weight:400!important;vertical-align:top;text-align:left;white-space:normal}
.facts td:nth-child(odd){color:#555;width:17%}
.warn{border:1px solid #b00;background:#fff4f2;padding:3px 7px;margin:5px 0}
code{font-family:ui-monospace,Menlo,Consolas,monospace;font-size:9.5px;overflow-wrap:anywhere}
@media print{body{margin:0 auto;font-size:9.4px;line-height:1.2}h2{margin-top:7px}td,th{padding:.5px 4px}}
@media screen{body{padding:0 3mm;font-size:13px;max-width:210mm}h1{font-size:21px}h2{font-size:14px;margin-top:16px}
code{font-size:11.5px}td,th{padding:2px 5px}}
@media screen and (max-width:600px){table{display:block;overflow-x:auto}.facts td:nth-child(odd){width:auto}}
@media screen and (prefers-color-scheme:dark){body{color:#e4e4e4;background:#161616}h2{border-color:#777}
th{border-color:#555}.facts td:nth-child(odd){color:#a5a5a5}.warn{background:#351a16;border-color:#d4604f}}
"""


def write_summary(sheet: Sheet, told: Told) -> None:
    """Write the page."""
    for line in page(told).splitlines():
        sheet.put(line)


def page(told: Told) -> str:
    """Return the page."""
    title = f"{told.country_name}: tax year {told.year}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(WORDS.format(method=told.method, version=told.code_version))}</p>",
        _warnings(told.warnings),
        _facts(told),
        *(_grid(grid) for grid in told.grids),
        _accepted(told),
        _check(told),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}</title>\n"
        f"<style>\n{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body>\n</html>\n"
    )


def _warnings(warnings: tuple[str, ...]) -> str:
    if not warnings:
        return ""
    shown = [f"<p>{escape(_cut(text))}</p>" for text in warnings[:WARNINGS_SHOWN]]
    more = len(warnings) - len(shown)
    shown += [f"<p>{more} more in {MANIFEST}.</p>"] if more > 0 else []
    return f'<div class="warn">{"".join(shown)}</div>'


def _facts(told: Told) -> str:
    pairs = [*told.settings.items(), *((name, f"{count:,}") for name, count in told.counts.items())]
    cells = [f"<td>{escape(name)}</td><td>{escape(text)}</td>" for name, text in pairs]
    rows = ["".join(cells[at : at + 3]) for at in range(0, len(cells), 3)]
    return '<table class="facts">' + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"


def _grid(grid: Grid) -> str:
    head = _row("th", grid.header, grid.words)
    body = "".join(_row("td", row, grid.words) for row in grid.rows)
    note = f"<p>{escape(grid.note)}</p>" if grid.note else ""
    kind = "" if grid.has_total else " class=list"
    return f"<h2>{escape(grid.title)}</h2><table{kind}>{head}{body}</table>{note}"


def _row(tag: str, cells: Iterable[str], words: int) -> str:
    made = (f"<{tag}{' class=w' if at < words else ''}>{escape(text)}</{tag}>" for at, text in enumerate(cells))
    return f"<tr>{''.join(made)}</tr>"


def _accepted(told: Told) -> str:
    if not told.accepted:
        return "<h2>Open items</h2><p>None: every line has its price, its basis and its other side.</p>"
    shown = [
        f"<p><code>{escape(item.code)}</code> {escape(_cut(f'{item.where}: {item.what}'))}</p>"
        for item in told.accepted[:ACCEPTED_SHOWN]
    ]
    more = len(told.accepted) - len(shown)
    if more > 0:
        counts = sorted(Counter(item.code for item in told.accepted).items())
        codes = ", ".join(f"{count} x <code>{escape(code)}</code>" for code, count in counts)
        shown.append(f"<p>{more} more in open-items.csv; in all {codes}.</p>")
    return f"<h2>Open items that were accepted by name ({len(told.accepted)})</h2>{''.join(shown)}"


def _check(told: Told) -> str:
    return (
        "<h2>How to check</h2>"
        f"<p>{MANIFEST} has the SHA-256 of every file. Every row names its disposal, lot and place in the ledger: find the "
        "id in disposals.csv, then in <code>arbot ledger export</code>. The columns of disposals.csv add up to the totals "
        "above, to the last digit. <code>arbot ledger verify</code> checks the ledger that ends with the hash below, and the "
        "same command over it writes the same bytes again.</p>"
        f"<p>Ledger <code>{escape(told.ledger_head)}</code></p>"
    )


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_SHOWN else text[: TEXT_SHOWN - 1] + "…"
