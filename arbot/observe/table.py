"""The live table: one look at books, edges, arbs, money and limits. Drawn from a Status, so any process can draw it."""

from __future__ import annotations

from decimal import Decimal

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from arbot.domain.decisions import ArbState
from arbot.domain.units import fmt
from arbot.observe.edges import EdgeLine
from arbot.observe.status import LimitLine, Status

_ROWS_MAX = 8
_TIGHT, _FULL = Decimal("0.8"), Decimal(1)


def live_table(status: Status) -> RenderableType:
    """Return the whole view."""
    return Group(
        _headline(status),
        _books(status),
        _edges(status),
        _arbs(status),
        _health(status),
        Group(_limits(status)),
        _money(status),
    )


def scan_table(status: Status) -> RenderableType:
    """Return the view of `arbot scan`: books and edges only."""
    return Group(_books(status), edge_table(status.edges))


def edge_table(edges: tuple[EdgeLine, ...]) -> Table:
    """Return the routes with gross and net edge."""
    table = _table(
        "edges", "symbol", "buy at", "sell at", ">gross bps", ">fees bps", ">net bps", ">qty", "not taken for"
    )
    ranked = sorted(edges, key=lambda edge: edge.edge_net_bps, reverse=True)
    for edge in ranked[:_ROWS_MAX]:
        net = Text(_two(edge.edge_net_bps), style="green" if edge.edge_net_bps > 0 else "dim")
        gross, fees = _two(edge.edge_gross_bps), _two(edge.fees_bps)
        table.add_row(edge.symbol, edge.buy, edge.sell, gross, fees, net, fmt(edge.qty), _words(edge.reason))
    return table


def _headline(status: Status) -> RenderableType:
    seconds = (status.ts_ns - status.started_ts_ns) // 1_000_000_000
    state, style = _state(status)
    line = Text.assemble(
        ("arbot ", "bold"), f"{status.version}  {status.mode} {status.run_name}  ", f"up {seconds} s  ", (state, style)
    )
    if status.impaired:
        line.append(f"\nsomething may be missing since an error in {', '.join(status.impaired)}: see the log", "yellow")
    return Panel(line, expand=True)


def _state(status: Status) -> tuple[str, str]:
    if status.killed:
        return "KILLED", "bold white on red"
    if status.may_open:
        return "TRADING", "bold green"
    why = ", ".join(_words(reason) for reason in status.reasons) or "starting"
    return f"NOT OPENING ARBS: {why}", "bold yellow"


def _books(status: Status) -> Table:
    table = _table("books", "venue", "symbol", ">bid qty", ">bid", ">ask", ">ask qty", ">age ms", "state")
    for book in status.books:
        state = Text("valid", style="green") if book.is_valid else Text("not valid", style="red")
        age = str(book.age_ms) if book.age_ms >= 0 else "never"
        table.add_row(
            book.venue, book.symbol, fmt(book.bid_qty), fmt(book.bid), fmt(book.ask), fmt(book.ask_qty), age, state
        )
    return table


def _edges(status: Status) -> Table:
    return edge_table(status.edges)


def _arbs(status: Status) -> Table:
    table = _table("arbs", "arb", "symbol", "buy at", "sell at", ">qty", ">bps", "state", ">net", ">age s")
    for arb in (*status.arbs_open, *status.arbs_recent)[:_ROWS_MAX]:
        symbol, _, buy_at = arb.buy.partition("@")
        state = arb.state if not arb.missed else "unfilled" if arb.is_quote else "missed"
        style = {"flat": "green", "stranded": "bold red"}.get(state, "yellow")
        open_now = " ".join(fmt(number) for number in (arb.residual, arb.residual_foreign) if number) or "0"
        net = _two(arb.pnl_net) if arb.state == ArbState.FLAT else f"open {open_now}"
        table.add_row(
            arb.arb_id,
            f"{symbol} by {arb.conversion}" if arb.conversion else symbol,
            buy_at,
            arb.sell.partition("@")[2],
            fmt(arb.qty),
            _two(arb.edge_net_bps),
            Text(state.replace("_", " "), style=style),
            net,
            str(arb.age_ms // 1_000),
        )
    return table


def _health(status: Status) -> RenderableType:
    """Return one line a venue, and one each for stablecoins and money under way where there are any."""
    table = _table("venues", "venue", ">ack ms", ">1 in 20", ">refused", ">no answer", ">resting", "how it is")
    for line in status.health:
        style = "bold red" if line.is_quarantined else "yellow" if line.words() != "well" else "green"
        table.add_row(
            line.venue,
            str(line.ack_ms_mean),
            str(line.ack_ms_tail),
            f"{_two(line.reject_share * 100)} %",
            f"{_two(line.unanswered_share * 100)} %",
            str(status.quotes_resting.get(line.venue, 0)),
            Text(line.words(), style=style),
        )
    pegs = "  ".join(
        f"{peg.asset} {f'{peg.rate:.4f}' if peg.is_known else 'unknown'}{' OFF ITS PEG' if peg.is_off else ''}"
        for peg in status.pegs
    )
    transit = "  ".join(
        f"{line.count} of {fmt(line.qty)} {line.asset} ({_two(line.value)} {status.ccy}), {line.overdue} overdue"
        for line in status.transit
        if line.count
    )
    notes = [Text(f"{name}  {told}") for name, told in (("stablecoins", pegs), ("under way", transit)) if told]
    return Group(table, *notes)


def _limits(status: Status) -> Table:
    table = _table("limits", "limit", ">used", ">bound", ">share", "")
    for limit in status.limits:
        table.add_row(limit.limit, _two(limit.used), _two(limit.bound), f"{_two(limit.share * 100)} %", _bar(limit))
    return table


def _bar(limit: LimitLine) -> Text:
    filled = int(min(limit.share, _FULL) * 20)
    style = "red" if limit.share >= _FULL or limit.is_latched else "yellow" if limit.share >= _TIGHT else "green"
    told = " latched: arbot reset-limit" if limit.is_latched else ""
    return Text("█" * filled + "·" * (20 - filled) + told, style=style)


def _money(status: Status) -> RenderableType:
    totals = status.totals
    declined = sorted(totals.opportunities_declined.items(), key=lambda item: -item[1])
    reasons = "  ".join(f"{_words(reason)} {count}" for reason, count in declined[:4])
    unknown = sum(counts.get("unknown", 0) for counts in status.orders_live.values())
    live = sum(sum(counts.values()) for counts in status.orders_live.values())
    quotes = (
        f"quotes {totals.quotes_placed} placed, {totals.quotes_unfilled} unfilled   " if totals.quotes_placed else ""
    )
    text = Text()
    text.append(f"net {_two(totals.pnl_net)} {status.ccy}", style="bold green" if totals.pnl_net >= 0 else "bold red")
    text.append(f"  gross {_two(totals.pnl_gross)}  fees {_two(totals.fees)}  volume {_two(totals.volume_quote)}")
    text.append(f"  fills {totals.fills}\n")
    text.append(
        f"arbs {totals.arbs_opened} opened, {totals.arbs_flat} flat ({totals.arbs_missed} missed), "
        f"{totals.arbs_stranded} stranded   {quotes}orders {live} live, {unknown} unknown   "
        f"unhedged at most {fmt(totals.unhedged_seconds_max)} s\n"
    )
    text.append(f"declined  {reasons or 'nothing yet'}")
    return Panel(text, title="money", title_align="left", expand=True)


def _table(title: str, *columns: str) -> Table:
    """Return an empty table; a column whose name begins with > holds numbers."""
    table = Table(title=title, title_justify="left", title_style="bold", expand=True, box=None, pad_edge=False)
    for column in columns:
        table.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left", no_wrap=True)
    return table


def _two(number: Decimal) -> str:
    return f"{number:,.2f}"


def _words(reason: str) -> str:
    return reason.replace("_", " ")
