"""How the report looks and moves: style sheet and script, in the page itself.

The script draws the figures in the colours of the page (light, dark, print), and sorts tables by a click on a head. It asks
for nothing outside: the page forbids it by its content security policy.
"""

from __future__ import annotations

STYLE = """
:root { --bg:#ffffff; --card:#f6f7f9; --ink:#1c2128; --dim:#5d6673; --line:#d9dde3; --good:#1f7a52; --bad:#b3322e; --warn:#fff4d6; --warnink:#6b4e00; }
@media (prefers-color-scheme: dark) { :root { --bg:#14171c; --card:#1c2027; --ink:#e4e8ee; --dim:#98a2b0; --line:#343b46; --good:#4cc38a; --bad:#ff7b72; --warn:#3a2f12; --warnink:#f0d48a; } }
@media print { :root { --bg:#fff; --card:#fff; --ink:#000; --dim:#444; --line:#bbb; --good:#1f7a52; --bad:#b3322e; --warn:#fff; --warnink:#000; } }
* { box-sizing:border-box; }
body { margin:0; background:var(--bg); color:var(--ink); font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif; }
main { max-width:1160px; margin:0 auto; padding:24px 18px 60px; }
h1 { font-size:26px; margin:0 0 4px; overflow-wrap:anywhere; } h2 { font-size:19px; margin:38px 0 4px; } h3 { font-size:15px; margin:14px 0 2px; }
p { margin:4px 0 10px; max-width:78ch; } .dim, small { color:var(--dim); } small { font-size:12.5px; }
.warn { background:var(--warn); color:var(--warnink); border:1px solid var(--line); border-radius:8px; padding:8px 14px; margin:14px 0; }
.warn ul { margin:4px 0; padding-left:20px; } .warn li { overflow-wrap:anywhere; }
.said { background:var(--card); border-left:4px solid #2f81f7; border-radius:4px; padding:10px 16px; margin:16px 0; }
.said p { margin:3px 0; max-width:none; }
.scroll { overflow-x:auto; border:1px solid var(--line); border-radius:8px; margin:8px 0; }
table { border-collapse:collapse; width:100%; font-size:13.5px; } th, td { padding:5px 10px; text-align:left; border-bottom:1px solid var(--line); vertical-align:top; }
tbody tr:last-child td, tbody tr:last-child th { border-bottom:0; } thead th { background:var(--card); vertical-align:bottom; }
.n { text-align:right; white-space:nowrap; font-variant-numeric:tabular-nums; } th.sort { cursor:pointer; } th.sort:hover { text-decoration:underline; }
th[aria-sort=ascending]::after { content:" \\25B2"; } th[aria-sort=descending]::after { content:" \\25BC"; }
.head tbody th { font-weight:600; white-space:nowrap; } .head .key td, .head .key th { font-size:16px; font-weight:700; background:var(--card); }
.good { color:var(--good); } .bad { color:var(--bad); }
.three { display:grid; grid-template-columns:repeat(auto-fit,minmax(310px,1fr)); gap:6px 16px; } .three > div { min-width:0; }
.two { display:grid; grid-template-columns:repeat(auto-fit,minmax(400px,1fr)); gap:6px 16px; } .two > div { min-width:0; }
@media (max-width:520px) { .two { grid-template-columns:1fr; } .mean { display:none; } th, td { padding:4px 5px; } .head tbody th { white-space:normal; } .head { font-size:12px; } .head .key td, .head .key th { font-size:13px; } main { padding:16px 10px 40px; } }
.figure { min-height:280px; } details { margin:8px 0; } summary { cursor:pointer; font-weight:600; padding:4px 0; }
.tall { max-height:560px; overflow:auto; border:1px solid var(--line); border-radius:8px; } .tall .scroll { overflow:visible; border:0; margin:0; } .tall table { font-size:12.5px; } .tall th, .tall td { padding:4px 6px; } .tall td:nth-child(-n+2) { white-space:nowrap; } .tall thead th { position:sticky; top:0; } code { font-size:12.5px; overflow-wrap:anywhere; }
svg.spark { display:block; width:150px; height:38px; } .none { color:var(--dim); font-style:italic; padding:14px; border:1px dashed var(--line); border-radius:8px; }
@media print { small { font-size:9px; } .tall { max-height:none; overflow:visible; } .figure, tr, .said { break-inside:avoid; } h2, h3 { break-after:avoid; } body { font-size:11px; } table { font-size:9px; } th, td { padding:2px 4px; } main { max-width:none; padding:0; } }
"""

SCRIPT = """
'use strict';
const figures = JSON.parse(document.getElementById('figures').textContent);
function merged(one, other) {
  const out = Object.assign({}, one);
  for (const [key, value] of Object.entries(other))
    out[key] = value && value.constructor === Object && out[key] && out[key].constructor === Object ? merged(out[key], value) : value;
  return out;
}
function draw() {
  const css = getComputedStyle(document.documentElement), ink = css.getPropertyValue('--ink').trim(), line = css.getPropertyValue('--line').trim();
  const axis = { gridcolor: line, linecolor: line, zerolinecolor: line, automargin: true };
  const look = { paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)', font: { color: ink, size: 12 }, height: 300, autosize: true,
    margin: { l: 56, r: 14, t: 26, b: 44 }, legend: { orientation: 'h', y: 1.02, yanchor: 'bottom', x: 0 }, hovermode: 'closest', xaxis: axis, yaxis: axis };
  for (const [id, figure] of Object.entries(figures)) {
    const place = document.getElementById(id);
    if (place) Plotly.react(place, figure.data, merged(look, figure.layout), { responsive: true, displayModeBar: false });
  }
}
draw();
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
matchMedia('print').addEventListener('change', draw);
for (const fold of document.querySelectorAll('details')) fold.addEventListener('toggle', () => window.dispatchEvent(new Event('resize')));
for (const head of document.querySelectorAll('th.sort')) head.addEventListener('click', () => {
  const table = head.closest('table'), body = table.tBodies[0], at = head.cellIndex, down = head.getAttribute('aria-sort') !== 'descending';
  const value = row => { const cell = row.cells[at]; return cell.dataset.v === undefined ? cell.textContent : Number(cell.dataset.v); };
  const rows = Array.from(body.rows).sort((a, b) => { const x = value(a), y = value(b); return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1); });
  for (const other of table.querySelectorAll('th.sort')) other.removeAttribute('aria-sort');
  head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
  body.append(...rows);
});
"""
